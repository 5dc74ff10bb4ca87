/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kernel's map of who is held, looked at and filled behind the watch's back. Included after cage.h. */

#include <bpf/bpf.h>

#include "agent/core/cgroup_events.h"

static inline int is_held_map(int fd, void *userdata) {
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);

        assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
        if (strcmp(info.name, "cgroup_held") != 0)
                return 0;
        *(int *) userdata = fd;
        return 1;
}

static inline int held_map(const struct cgroup_events *e) {
        int fd = -EBADF;

        assert_int_equal(cgroup_events_each_map(e, is_held_map, &fd), 1);
        return fd;
}

static inline size_t held_map_count(const struct cgroup_events *e) {
        const int fd = held_map(e);
        uint32_t key, next;
        size_t n = 0;

        for (bool more = bpf_map_get_next_key(fd, NULL, &next) == 0; more; n++) {
                key = next;
                more = bpf_map_get_next_key(fd, &key, &next) == 0;
        }
        return n;
}

/* With processes that there are not. */
static inline void held_map_fill(const struct cgroup_events *e) {
        const struct cgroup_held nobody = { .start_ticks = 1, .cgroup_id = 1 };
        const int fd = held_map(e);
        uint32_t pid = 1U << 30;

        while (bpf_map_update_elem(fd, &pid, &nobody, BPF_ANY) == 0)
                pid++;
        assert_int_equal(errno, E2BIG);
}

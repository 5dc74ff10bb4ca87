/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A cgroup to hold and the programs to hold it with. Included after cage.h. */

#include <bpf/bpf.h>

#include "agent/core/isolate.h"

static const struct command_id hold_a = { { 0xa } }, hold_b = { { 0xb } };

static struct isolate *isolate;
static struct cage cage;

static inline int box_begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        cage = cage_make("held");
        assert_int_equal(isolate_new(cage_pins(), &isolate), 0);
        assert_int_equal(isolate_prepare(isolate), 0);
        return 0;
}

static inline int box_end(void **state) {
        isolate_free(TAKE_PTR(isolate));
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, box_begin, box_end)

static inline struct permit permit_of(const char *net, uint16_t port, uint8_t proto) {
        struct permit p = { .port = port, .proto = proto };

        assert_int_equal(permit_net_from_str(net, &p), 0);
        return p;
}

static inline void hold(const struct command_id *id, const struct permit *p, size_t n, bool calls, bool packets) {
        assert_int_equal(isolate_begin(isolate, id, p, n, NULL, 0), 0);
        if (calls)
                assert_int_equal(isolate_attach(isolate, id, cage.fd, cage.id, ISOLATE_CALLS), 0);
        if (packets)
                assert_int_equal(isolate_attach(isolate, id, cage.fd, cage.id, ISOLATE_PACKETS), 0);
        isolate_end(isolate);
}

static inline void pin_of(const struct command_id *id, uint64_t cgroup_id, enum isolate_hook h, char ret[static 256]) {
        char text[33];

        command_id_to_str(id, text);
        (void) snprintf(ret, 256, "%s/%s/%llx_%s", cage_pins(), text, (unsigned long long) cgroup_id,
                        isolate_hook_id(h));
}

static inline void detach(const struct command_id *id, enum isolate_hook h) {
        char path[256];

        pin_of(id, cage.id, h, path);
        _cleanup_close_ int fd = bpf_obj_get(path);

        assert_true(fd >= 0);
        assert_int_equal(bpf_link_detach(fd), 0);
}

static inline void hold_without(enum isolate_hook without) {
        hold(&hold_a, NULL, 0, true, true);
        detach(&hold_a, without);
}

static inline void hold_with_only(enum isolate_hook only) {
        hold(&hold_a, NULL, 0, true, true);
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                if (h != only)
                        detach(&hold_a, h);
}

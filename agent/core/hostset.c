/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hostset.h"

#include <fcntl.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/host.skel.h"

_Static_assert(HOST_BROKERS_MAX == LOCAL_BROKERS_MAX, "every broker of a policy fits");

/* Packets are judged both ways, and connect(2) is refused at once. What else a call could do shows in packets, but for
 * an option that leads past every place where they are looked at. */
static const bool used[_ISOLATE_HOOK_MAX] = {
        [ISOLATE_CONNECT4] = true, [ISOLATE_CONNECT6] = true, [ISOLATE_SETSOCKOPT] = true,
        [ISOLATE_EGRESS] = true,   [ISOLATE_INGRESS] = true,
};

bool hostset_has(enum isolate_hook h) {
        return used[h];
}

void hostset_close(struct hostset *s) {
        if (!s->loaded)
                return;
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                closep(&s->hook[h]);
        closep(&s->uplink);
        closep(&s->count);
        *s = (struct hostset) { 0 };
}

static int duplicate(int fd) {
        const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        return copy < 0 ? -errno : copy;
}

static int read_id(int prog, uint32_t *ret) {
        struct bpf_prog_info info = { 0 };
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(prog, &info, &size) < 0)
                return -errno;
        *ret = info.id;
        return 0;
}

static int fill(struct host_bpf *skel, const struct management *m, const struct host_policy *policy) {
        const int units = bpf_map__fd(skel->maps.host_units), map = bpf_map__fd(skel->maps.host_policy);
        const uint32_t zero = 0;

        for (size_t i = 0; i < m->n_units; i++)
                if (bpf_map_update_elem(units, &m->units[i].cgroup_id, &m->units[i].may, BPF_ANY) < 0)
                        return -errno;
        if (bpf_map_update_elem(map, &zero, policy, BPF_ANY) < 0 || bpf_map_freeze(units) < 0 ||
            bpf_map_freeze(map) < 0)
                return -errno;
        return 0;
}

static int take(struct host_bpf *skel, struct hostset *ret) {
        const struct bpf_program *progs[_ISOLATE_HOOK_MAX] = {
                [ISOLATE_CONNECT4] = skel->progs.host_connect4,     [ISOLATE_CONNECT6] = skel->progs.host_connect6,
                [ISOLATE_SETSOCKOPT] = skel->progs.host_setsockopt, [ISOLATE_EGRESS] = skel->progs.host_egress,
                [ISOLATE_INGRESS] = skel->progs.host_ingress,
        };
        struct hostset s = { .loaded = true };
        int r = 0;

        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                s.hook[h] = progs[h] ? duplicate(bpf_program__fd(progs[h])) : -EBADF;
                r = progs[h] && s.hook[h] < 0 ? s.hook[h] : r;
        }
        s.uplink = duplicate(bpf_program__fd(skel->progs.host_uplink));
        r = s.uplink < 0 ? s.uplink : r;
        s.count = duplicate(bpf_map__fd(skel->maps.host_count));
        r = s.count < 0 ? s.count : r;
        if (r == 0)
                r = read_id(s.uplink, &s.uplink_id);
        if (r < 0)
                hostset_close(&s);
        else
                *ret = s;
        return r;
}

int hostset_load(const struct management *m, uint32_t mark, const struct permit *a, size_t n_a, const struct permit *b,
                 size_t n_b, int count, struct hostset *ret) {
        _cleanup_free_ struct host_policy *policy = calloc(1, sizeof(*policy));
        struct host_bpf *skel;
        int r;

        if (!policy)
                return -ENOMEM;
        if (n_a + n_b > ISOLATE_PERMITS_MAX)
                return -E2BIG;
        policy->root_id = m->root_id;
        policy->mark = mark;
        policy->n_permits = (uint32_t) (n_a + n_b);
        policy->n_own = (uint32_t) m->n_own;
        for (size_t k = 0; k < n_a + n_b; k++)
                isolate_fill_permit(k < n_a ? &a[k] : &b[k - n_a], &policy->permit[k]);
        policy->n_brokers = (uint32_t) m->n_brokers;
        for (size_t k = 0; k < m->n_brokers; k++)
                isolate_fill_permit(&m->brokers[k], &policy->broker[k]);
        policy->n_leases = (uint32_t) m->n_leases;
        for (size_t k = 0; k < m->n_leases; k++)
                isolate_fill_permit(&m->leases[k], &policy->lease[k]);
        for (size_t k = 0; k < m->n_own; k++)
                isolate_fill_permit(&m->own[k], &policy->own[k]);
        skel = host_bpf__open();
        if (!skel)
                return errno > 0 ? -errno : -EIO;
        r = count >= 0 ? bpf_map__reuse_fd(skel->maps.host_count, count) : 0;
        if (r == 0)
                r = host_bpf__load(skel);
        if (r == 0)
                r = fill(skel, m, policy);
        if (r == 0)
                r = take(skel, ret);
        host_bpf__destroy(skel);
        return r;
}

void hostset_keep_uplink(struct hostset *s, struct hostset *before) {
        const struct hostset own = *s;

        s->uplink = before->uplink;
        s->uplink_id = before->uplink_id;
        before->uplink = own.uplink;
        before->uplink_id = own.uplink_id;
}

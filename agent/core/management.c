/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/management.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/slices.h"

struct walk {
        const char *root;
        const struct local *local;
        struct management *m;
};

static int visit(const char *path, void *userdata) {
        struct walk *w = userdata;
        struct management *m = w->m;
        const char *unit = slices_unit(path);
        const uint32_t may = unit ? (local_answers(w->local, unit) ? HOST_ANSWERS : 0) |
                                             (local_configures(unit) ? HOST_CONFIGURES : 0) |
                                             (local_asks(unit) ? HOST_ASKS : 0)
                                  : 0;
        uint64_t id;
        int fd;

        if (may == 0 || cgroup_open(w->root, path, &fd, &id) < 0)
                return 0; /* gone meanwhile */
        (void) close(fd);
        if (m->n_units == HOST_UNITS_MAX)
                return -E2BIG;
        m->units[m->n_units++] = (struct management_unit) { .cgroup_id = id, .may = may };
        return 0;
}

static int compare(const void *a, const void *b) {
        const struct management_unit *x = a, *y = b;

        return x->cgroup_id < y->cgroup_id ? -1 : x->cgroup_id > y->cgroup_id;
}

static void add_own(struct management *m, const struct sockaddr *address) {
        struct permit p = { .prefix = 128, .addr = { [10] = 0xff, [11] = 0xff } };

        if (m->n_own == HOST_OWN_MAX)
                return; /* FAIL-CLOSED: to that one nobody of the host connects */
        if (address->sa_family == AF_INET)
                memcpy(p.addr + 12, &((const struct sockaddr_in *) address)->sin_addr, 4);
        else if (address->sa_family == AF_INET6)
                memcpy(p.addr, &((const struct sockaddr_in6 *) address)->sin6_addr, 16);
        else
                return;
        m->own[m->n_own++] = p;
}

static int read_own(struct management *m) {
        static const char *const loopback[] = { "127.0.0.0/8", "::1", "0.0.0.0", "::" };
        struct ifaddrs *list;

        for (size_t i = 0; i < ELEMENTSOF(loopback); i++)
                if (permit_net_from_str(loopback[i], &m->own[m->n_own]) == 0)
                        m->n_own++;
        if (getifaddrs(&list) < 0)
                return -errno;
        for (const struct ifaddrs *i = list; i; i = i->ifa_next)
                if (i->ifa_addr)
                        add_own(m, i->ifa_addr);
        freeifaddrs(list);
        return 0;
}

int management_read(const char *cgroup_root, const struct local *l, struct management *ret) {
        _cleanup_free_ struct management *m = calloc(1, sizeof(*m));
        struct walk w = { .root = cgroup_root, .local = l, .m = m };
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!m)
                return -ENOMEM;
        r = cgroup_open(cgroup_root, "/", &fd, &m->root_id);
        if (r == 0)
                r = cgroup_each_path(fd, visit, &w);
        if (r == 0)
                r = read_own(m);
        memcpy(m->brokers, l->brokers, l->n_brokers * sizeof(l->brokers[0]));
        m->n_brokers = l->n_brokers;
        if (r < 0)
                return r;
        qsort(m->units, m->n_units, sizeof(m->units[0]), compare);
        memcpy(ret, m, sizeof(*m));
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/management.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/slices.h"
#include "agent/util/alive.h"
#include "agent/util/io.h"

/* of systemd-networkd: a file for each interface */
#define LEASES      "/run/systemd/netif/leases"
#define LEASE_SIZE  65536
#define DHCP_SERVER 67

struct walk {
        const char *root;
        const struct local *local;
        struct management *m;
};

/* False when there is no room for more. */
static bool add_unit(const char *unit, const char *path, void *userdata) {
        struct walk *w = userdata;
        struct management *m = w->m;
        const uint32_t may = (local_answers(w->local, unit) ? HOST_ANSWERS : 0) |
                             (local_configures(unit) ? HOST_CONFIGURES : 0) | (local_asks(unit) ? HOST_ASKS : 0);
        uint64_t id;
        int fd;

        alive();
        if (may == 0 || cgroup_open(w->root, path, &fd, &id) < 0)
                return true; /* gone meanwhile */
        (void) close(fd);
        m->units[m->n_units++] = (struct management_unit) { .cgroup_id = id, .may = may };
        return m->n_units < HOST_UNITS_MAX;
}

static int visit(const char *path, void *userdata) {
        const char *unit = slices_unit(path);

        return unit && !add_unit(unit, path, userdata);
}

static int ask_units(struct systemd *s, struct walk *w) {
        char *patterns[LOCAL_SPOKEN_FOR_MAX + 1];
        const char *p;
        size_t n = 0;

        while (n < LOCAL_SPOKEN_FOR_MAX && (p = local_spoken_for(w->local, n)))
                patterns[n++] = (char *) p;
        patterns[n] = NULL;
        return systemd_each_unit(s, patterns, add_unit, w);
}

static int read_units(struct systemd *s, const struct management *known, int root, struct walk *w) {
        const int r = ask_units(s, w);

        w->m->told = r == 0 || (known && known->told);
        if (r == 0)
                return 0;
        memset(w->m->units, 0, sizeof(w->m->units));
        w->m->n_units = 0;
        /* whoever has made it look as if there were no systemd is not believed either */
        if (!known || (r == -EOPNOTSUPP && !known->told))
                return MIN(cgroup_each_path(root, visit, w), 0);
        memcpy(w->m->units, known->units, sizeof(known->units));
        w->m->n_units = known->n_units;
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

static void add_lease(struct management *m, const char *text) {
        const char *line = strstr(text, "\nSERVER_ADDRESS=");
        char address[INET_ADDRSTRLEN];

        if (line && m->n_leases < HOST_LEASES_MAX && sscanf(line, "\nSERVER_ADDRESS=%15[0-9.]", address) == 1 &&
            permit_net_from_str(address, &m->leases[m->n_leases]) == 0) {
                m->leases[m->n_leases].port = DHCP_SERVER;
                m->leases[m->n_leases++].proto = IPPROTO_UDP;
        }
}

/* What other clients than networkd were leased is not read: where they are alone, they may ask anybody. */
static void read_leases(const struct management *known, struct management *m) {
        struct dirent *e;
        DIR *d = known ? NULL : opendir(LEASES);

        if (known) {
                memcpy(m->leases, known->leases, sizeof(m->leases));
                m->n_leases = known->n_leases;
        }
        while (d && (e = readdir(d))) {
                _cleanup_free_ char *text = NULL;

                if (e->d_name[0] != '.' && io_read_file(dirfd(d), e->d_name, LEASE_SIZE, &text, NULL) == 0)
                        add_lease(m, text);
        }
        if (d)
                (void) closedir(d);
}

int management_read(const char *cgroup_root, struct systemd *s, const struct local *l, const struct management *known,
                    struct management *ret) {
        _cleanup_free_ struct management *m = calloc(1, sizeof(*m));
        struct walk w = { .root = cgroup_root, .local = l, .m = m };
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!m)
                return -ENOMEM;
        r = cgroup_open(cgroup_root, "/", &fd, &m->root_id);
        if (r == 0)
                r = read_units(s, known, fd, &w);
        if (r == 0)
                r = read_own(m);
        memcpy(m->brokers, l->brokers, l->n_brokers * sizeof(l->brokers[0]));
        m->n_brokers = l->n_brokers;
        read_leases(known, m);
        if (r < 0)
                return r;
        qsort(m->units, m->n_units, sizeof(m->units[0]), compare);
        memcpy(ret, m, sizeof(*m));
        return 0;
}

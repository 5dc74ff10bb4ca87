/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/socket.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "agent/collect/numdir.h"
#include "agent/collect/source.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

#define TASKS_MAX  4096U
#define FDS_MAX    65536U
#define FDINFO_MAX 16384U

/* Absent: this kernel was built without that protocol, or has it switched off. */
static const struct source tables[] = {
        { "net-tcp", "tcp", SOURCE_OPTIONAL },
        { "net-tcp6", "tcp6", SOURCE_OPTIONAL },
        { "net-udp", "udp", SOURCE_OPTIONAL },
        { "net-udp6", "udp6", SOURCE_OPTIONAL },
        { "net-udplite", "udplite", SOURCE_OPTIONAL },
        { "net-raw", "raw", SOURCE_OPTIONAL },
        { "net-raw6", "raw6", SOURCE_OPTIONAL },
        { "net-icmp", "icmp", SOURCE_OPTIONAL },
        { "net-icmp6", "icmp6", SOURCE_OPTIONAL },
        { "net-unix", "unix", SOURCE_OPTIONAL },
        { "net-packet", "packet", SOURCE_OPTIONAL },
        { "net-netlink", "netlink", SOURCE_OPTIONAL },
        { "net-arp", "arp", SOURCE_OPTIONAL },
        { "net-route", "route", SOURCE_OPTIONAL },
        { "net-route6", "ipv6_route", SOURCE_OPTIONAL },
        { "net-addresses6", "if_inet6", SOURCE_OPTIONAL },
        { "net-interfaces", "dev", SOURCE_OPTIONAL },
        /* who sees packets on their way, and what went wrong with them */
        { "net-handlers", "ptype", SOURCE_OPTIONAL },
        { "net-multicast", "igmp", SOURCE_OPTIONAL },
        { "net-multicast6", "igmp6", SOURCE_OPTIONAL },
        { "net-snmp", "snmp", SOURCE_OPTIONAL },
        { "net-snmp6", "snmp6", SOURCE_OPTIONAL },
        { "net-stat", "netstat", SOURCE_OPTIONAL },
        { "net-sockstat", "sockstat", SOURCE_OPTIONAL },
        { "net-protocols", "protocols", SOURCE_OPTIONAL },
};

/* True the first time that a namespace is seen. */
static bool is_new(struct socket_seen *seen, const char *name) {
        for (size_t i = 0; i < seen->n; i++)
                if (strcmp(seen->names[i], name) == 0)
                        return false;
        if (seen->n < SOCKET_NETNS_MAX)
                (void) snprintf(seen->names[seen->n++], sizeof(seen->names[0]), "%s", name);
        return true;
}

static void copy_tables(struct store *s, const struct process *p, int task, const char *tid, const char *netns) {
        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                char path[64], source[160];
                const struct index_item item = {
                        .kind = tables[i].kind, .source = source, .pid = p->pid, .not_frozen = !p->frozen
                };

                (void) snprintf(path, sizeof(path), "%s/net/%s", tid, tables[i].path);
                (void) snprintf(source, sizeof(source), "/proc/%d/task/%s %s", (int) p->pid, path, netns);
                source_copy(s, &item, task, path, tables[i].flags);
        }
}

static void look_at_task(struct store *s, const struct process *p, struct socket_seen *seen, int task,
                         const char *tid) {
        char path[64], netns[32], source[96];
        const struct index_item item = { .kind = "net", .source = source, .pid = p->pid, .not_frozen = !p->frozen };
        ssize_t r;

        (void) snprintf(path, sizeof(path), "%s/ns/net", tid);
        (void) snprintf(source, sizeof(source), "/proc/%d/task/%s", (int) p->pid, path);
        r = source_link(task, path, netns, sizeof(netns));
        if (r < 0) {
                store_hole(s, &item, (int) r, -1);
                return;
        }
        size_t known = seen->n;

        if (!is_new(seen, netns))
                return;
        if (seen->n == known)
                store_hole(s, &item, -EOVERFLOW, -1);
        else
                copy_tables(s, p, task, tid, netns);
}

/* Namespaces belong to threads: one that wants to hide a connection moves one thread only. */
static void copy_netns(struct store *s, const struct process *p, struct socket_seen *seen) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(p->dir, "task");
        int r = d ? 0 : -errno;
        char source[64];
        const struct index_item item = { .kind = "net", .source = source, .pid = p->pid, .not_frozen = !p->frozen };
        size_t n = 0;

        (void) snprintf(source, sizeof(source), "/proc/%d/task", (int) p->pid);
        for (const char *tid; r == 0 && (tid = numdir_next(d));)
                if (store_over(s))
                        r = -ETIME;
                else if (++n > TASKS_MAX)
                        r = -EOVERFLOW;
                else
                        look_at_task(s, p, seen, dirfd(d), tid);
        if (r < 0)
                store_hole(s, &item, r, -1);
}

/* One table of descriptors. What the kernel says of a single one can be made to take it a tenth of a second: of an
 * epoll it writes down each file that is watched. */
struct fds {
        DIR *dir;
        int infos;
        int64_t until_us; /* fdinfo is left out from then on, */
        bool late;        /* and was */
};

static int read_info(struct fds *f, const char *fd, char **ret, size_t *ret_n) {
        if (f->infos < 0)
                return -ENOENT;
        if (clock_mono_us() >= f->until_us) {
                f->late = true;
                return -ETIME;
        }
        return io_read_file(f->infos, fd, FDINFO_MAX, ret, ret_n);
}

static int add_fd(struct store *s, struct fds *f, const char *fd) {
        _cleanup_json_ json_t *o = json_pack("{s:I}", "fd", (json_int_t) atoi(fd));
        _cleanup_free_ char *line = NULL, *info = NULL;
        char target[PATH_MAX];
        size_t n = 0;
        int r = o ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        ssize_t n_target = source_link(dirfd(f->dir), fd, target, sizeof(target));

        if (n_target >= 0)
                r = index_set_bytes(o, "target", target, (size_t) n_target);
        else if (json_object_set_new(o, "target_errno", json_string(strerrorname_np((int) -n_target))) < 0)
                r = -ENOMEM;
        int info_r = read_info(f, fd, &info, &n);

        if (r == 0 && info_r == 0)
                r = index_set_bytes(o, "info", info, n);
        else if (r == 0 && json_object_set_new(o, "info_errno", json_string(strerrorname_np(-info_r))) < 0)
                r = -ENOMEM;
        if (r == 0)
                r = index_json_line(o, &line);
        return r < 0 ? r : store_write(s, line, strlen(line));
}

/* One line a descriptor. What one descriptor does not tell is said on its line. path: of the directory below /proc/PID
 * that has fd and fdinfo, with a slash after it. */
static void copy_fds(struct store *s, const struct process *p, const char *path, int64_t until_us) {
        char fds[64], infos[64], source[96], info_source[96];
        const struct index_item item = { .kind = "fds", .source = source, .pid = p->pid, .not_frozen = !p->frozen };
        struct index_item late = item;
        size_t n = 0;

        (void) snprintf(fds, sizeof(fds), "%sfd", path);
        (void) snprintf(infos, sizeof(infos), "%sfdinfo", path);
        (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) p->pid, fds);
        (void) snprintf(info_source, sizeof(info_source), "/proc/%d/%s", (int) p->pid, infos);
        late.source = info_source;
        _cleanup_(numdir_closep) DIR *d = numdir_open(p->dir, fds);
        int r = d ? 0 : -errno;
        _cleanup_close_ int info_dir = openat(p->dir, infos, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct fds f = { .dir = d, .infos = info_dir, .until_us = until_us };

        if (r < 0) {
                store_hole(s, &item, r, -1);
                return;
        }
        r = store_begin(s, &item);
        for (const char *fd; r == 0 && (fd = numdir_next(d));)
                r = store_over(s) ? -ETIME : ++n > FDS_MAX ? -EOVERFLOW : add_fd(s, &f, fd);
        store_end(s, r, -1, false);
        if (f.late)
                store_hole(s, &late, -ETIME, -1);
}

/* Descriptors belong to threads too: one that wants to hide a file opens it in one thread only. */
static void copy_all_fds(struct store *s, const struct process *p, int64_t until_us) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(p->dir, "task");
        char path[64];
        size_t n = 0;

        copy_fds(s, p, "", until_us);
        for (const char *tid; d && n++ < TASKS_MAX && !store_over(s) && (tid = numdir_next(d));)
                if (atoi(tid) != p->pid && numdir_own_files(p->pid, atoi(tid))) {
                        (void) snprintf(path, sizeof(path), "task/%.20s/", tid);
                        copy_fds(s, p, path, until_us);
                }
}

void socket_collect(struct target_set *t, struct store *s, struct socket_seen *seen) {
        for (size_t i = 0; i < t->n_processes; i++)
                if (!t->processes[i].done)
                        copy_netns(s, &t->processes[i], seen);
        /* No process takes the time of those after it; what it does not need is theirs. */
        const int64_t begun = clock_mono_us(), left = store_left_us(s), n = (int64_t) t->n_processes;

        for (size_t i = 0; i < t->n_processes; i++)
                if (!t->processes[i].done)
                        copy_all_fds(s, &t->processes[i], begun + left * ((int64_t) i + 1) / n);
}

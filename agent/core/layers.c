/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/layers.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/landlock.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "agent/core/cgroup.h"
#include "agent/core/direct.h"
#include "agent/core/uplink.h"
#include "agent/core/watch.h"
#include "agent/util/log.h"

#define SCRATCH "freezed-layers"

/* What the guard sees where it reaches all that is held: BUT_ON_HOST not of a host that is held as a whole. */
enum guarded { NOWHERE, BUT_ON_HOST, EVERYWHERE };

/* What no program of this version sees. */
static const struct {
        const char *id, *why;
        enum guarded guarded;
} uncovered[] = {
        { "packet-sockets",
          "AF_PACKET and AF_XDP sockets, and devices like tun, bypass cgroup programs; a process that can make one "
          "needs CAP_NET_RAW or CAP_NET_ADMIN; that it starts a setuid program, or one with file capabilities, is not "
          "counted",
          BUT_ON_HOST },
        { "foreign-socket", "a socket belongs to the cgroup that made it, wherever it is handed to", EVERYWHERE },
        { "queued-packets",
          "what a queueing discipline or an unresolved neighbour held when the hold began leaves later", NOWHERE },
        { "kernel-packets",
          "what the kernel repeats in its own name (membership reports, neighbour probes) goes on for some seconds, "
          "and it answers calls to a listener that somebody outside keeps open",
          NOWHERE },
        { "early-boot",
          "after a boot a unit without default dependencies may run before a hold on the whole host is in force again; "
          "one that is held itself may not",
          NOWHERE },
        { "kernel-helpers", "a program that the kernel starts itself (core_pattern, modprobe) is in no unit", NOWHERE },
        { "loaded-bpf",
          "BPF programs that a service has attached run on: a receipt tells of those that it still has open", NOWHERE },
        { "vsock", "AF_VSOCK has no cgroup hook", BUT_ON_HOST },
        { "other-families",
          "nor has any other kind of socket that is not IP's (AF_TIPC, AF_RXRPC, AF_CAN, AF_BLUETOOTH, ...): a receipt "
          "tells of those that a process has open",
          BUT_ON_HOST },
        { "forwarded", "traffic that the target has another host or namespace forward is not its own socket's",
          NOWHERE },
        { "proxies",
          "who is in another cgroup passes on what reaches it through a unix socket, a pipe or a file, and carries out "
          "the jobs that it was given",
          NOWHERE },
        { "overruled",
          "a program that root attaches above can take back a refused call (bpf_set_retval), though not a dropped "
          "packet",
          NOWHERE },
        { "signals", "a frozen process can still be killed from outside", EVERYWHERE },
        { "kernel-signals",
          "a frozen process dies of what the kernel sends it itself: of a timer or a descriptor (F_SETSIG) that it had "
          "set to do so, of lack of memory",
          NOWHERE },
};

static void add(json_t *array, const char *id, int error, const char *why) {
        json_t *o = json_pack("{ss ss}", "id", id, "state", error == 0 ? "yes" : "no");

        if (o && error != 0)
                (void) json_object_set_new(o, "why", json_string(why ? why : strerror(-error)));
        (void) json_array_append_new(array, o);
}

static void add_guard(const char *id, int error, void *userdata) {
        add(userdata, id, error,
            error == -ENODATA ? "attached, but the kernel does not run it"
            : error == -EXDEV ? "the agent does not run as freezed.service"
                              : NULL);
}

/* whose hold it would be, if it were one */
static const struct command_id nobody;

static int own_open(const struct agent *a, char **ret_path) {
        uint64_t id;
        int fd = -EBADF, r = a->cgroup_root ? cgroup_of_pid(getpid(), ret_path) : -ENOENT;

        if (r == 0)
                r = cgroup_open(a->cgroup_root, *ret_path, &fd, &id);
        return r < 0 ? r : fd;
}

/* A cgroup below our own; the programs attached to it run for nobody. */
static int scratch_open(const struct agent *a, int *ret_own, uint64_t *ret_id) {
        _cleanup_free_ char *own = NULL, *path = NULL;
        _cleanup_close_ int dir = own_open(a, &own);
        int fd, r;

        if (dir < 0)
                return dir;
        if (mkdirat(dir, SCRATCH, 0700) < 0 && errno != EEXIST)
                return -errno;
        if (asprintf(&path, "%s/" SCRATCH, strcmp(own, "/") == 0 ? "" : own) < 0)
                return -ENOMEM;
        r = cgroup_open(a->cgroup_root, path, &fd, ret_id);
        if (r < 0)
                return r;
        *ret_own = TAKE_FD(dir);
        return fd;
}

static void try_hooks(struct agent *a, json_t *array, int fd, uint64_t id) {
        struct isolate_link links[_ISOLATE_HOOK_MAX] = { 0 };
        int begun = isolate_begin(a->isolate, &nobody, NULL, 0, NULL, 0), r = begun;

        if (begun == 0) {
                r = isolate_attach(a->isolate, &nobody, fd, id, ISOLATE_CALLS);
                if (r == 0)
                        r = isolate_attach(a->isolate, &nobody, fd, id, ISOLATE_PACKETS);
                isolate_end(a->isolate);
        }
        isolate_read(a->isolate, &nobody, id, links);
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++)
                add(array, isolate_hook_id(h), links[h].link_id ? 0 : r < 0 ? r : -EOPNOTSUPP, NULL);
        if (isolate_drop(a->isolate, &nobody) < 0)
                add(array, "detach", -EBUSY, NULL);
}

static void try_freezer(json_t *array, int fd) {
        struct cgroup_freezer state = { 0 };
        int r = cgroup_freezer_write(fd, true);

        if (r == 0)
                r = cgroup_freezer_read(fd, &state);
        add(array, "freezer", r < 0 ? r : state.frozen ? 0 : -EOPNOTSUPP, NULL);
        if (cgroup_freezer_write(fd, false) < 0)
                add(array, "thaw", -EIO, NULL);
}

/* Asks to destroy a socket that does not exist. A kernel that can do it looks for the socket first. */
static int try_destroy(void) {
        char buf[256] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
        struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(h, sizeof(*req));
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
        char answer[4096];
        ssize_t n = -1;
        int r = -EIO;

        if (!nl)
                return -errno;
        h->nlmsg_type = SOCK_DESTROY;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
        req->sdiag_family = AF_INET;
        req->sdiag_protocol = IPPROTO_TCP;
        req->id.idiag_sport = htons(9);
        req->id.idiag_dport = htons(9);
        req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
        if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) >= 0 && mnl_socket_sendto(nl, h, h->nlmsg_len) >= 0)
                n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
        if (n > 0)
                r = mnl_cb_run(answer, (size_t) n, 0, mnl_socket_get_portid(nl), NULL, NULL) < 0 ? -errno : 0;
        (void) mnl_socket_close(nl);
        return r == -ENOENT ? 0 : r;
}

static int try_landlock(void) {
        return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0 ? -errno : 0;
}

/* What the isolation of the whole host has on interfaces, beside the hooks above. */
static void try_uplinks(json_t *array) {
        const int tcx = uplinks_try_tcx();

        add(array, "tcx", tcx, NULL);
        /* what TCX does needs no second */
        if (tcx < 0)
                add(array, "clsact", uplinks_try_clsact(), NULL);
        add(array, "netdev-egress", direct_try(), "the kernel takes no nftables chain at the egress of an interface");
}

static bool is_guarded(const struct agent *a, size_t what) {
        bool all = uncovered[what].guarded != NOWHERE && guard_is_live(a->guard);

        for (size_t i = 0; i < a->held.n; i++)
                for (size_t k = 0; k < a->held.v[i].sites.n; k++) {
                        const struct site *s = &a->held.v[i].sites.v[k];

                        all &= guard_covers(a->guard, s) &&
                               !(uncovered[what].guarded == BUT_ON_HOST && site_is_host(s));
                }
        return all;
}

void layers_recover(struct agent *a) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int own = own_open(a, &path);
        int r = isolate_drop(a->isolate, &nobody);

        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "recover"),
                          "What was tried on a cgroup of our own is still attached to it: %s", strerror(-r));
        if (own >= 0)
                (void) unlinkat(own, SCRATCH, AT_REMOVEDIR);
}

json_t *layers_to_json(struct agent *a) {
        json_t *array = json_array();
        _cleanup_close_ int own = -EBADF, scratch = -EBADF;
        uint64_t id = 0;

        if (!array)
                return NULL;
        scratch = scratch_open(a, &own, &id);
        add(array, "cgroup2", a->cgroup_root ? 0 : -ENOENT, NULL);
        add(array, "systemd", systemd_version(a->systemd) > 0 ? 0 : -ENOENT, "PID 1 is not systemd or does not answer");
        if (scratch >= 0) {
                try_hooks(a, array, scratch, id);
                try_freezer(array, scratch);
        } else {
                add(array, "scratch-cgroup", scratch, NULL);
        }
        try_uplinks(array);
        add(array, "destroy-sockets", try_destroy(), NULL);
        add(array, "cgroup-events", watch_error(a), NULL);
        add(array, "selftest", a->probe ? 0 : -ENODEV, NULL);
        add(array, "landlock", try_landlock(), NULL);
        guard_each_layer(a->guard, add_guard, array);
        for (size_t k = 0; k < ELEMENTSOF(uncovered); k++)
                if (!is_guarded(a, k))
                        add(array, uncovered[k].id, -EOPNOTSUPP, uncovered[k].why);
        if (own >= 0)
                (void) unlinkat(own, SCRATCH, AT_REMOVEDIR);
        return array;
}

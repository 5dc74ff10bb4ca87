/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hosthold.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <bpf/bpf.h>

#include "agent/core/hostset.h"
#include "agent/util/alive.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* What somebody else can make long takes this share of one processor at most. */
#define SHARE 20

/* CLOCK_MONOTONIC of when it may be done again */
struct pace {
        int64_t not_before_us;
};

static bool is_due(const struct pace *p) {
        return clock_mono_us() >= p->not_before_us;
}

static void spend(struct pace *p, int64_t since_us) {
        const int64_t now = clock_mono_us();

        p->not_before_us = now + (now - since_us) * SHARE;
}

struct kept {
        struct command_id id;
        struct hostset set;
        struct management facts;                    /* that the set was loaded for */
        struct permit permits[COMMAND_PERMITS_MAX]; /* local policy's, as it was then */
        size_t n_permits;
        struct uplinks last; /* as the last look left them, and when that was */
        int64_t last_us;
};

struct hosthold {
        struct kept **v;
        size_t n;
        uint32_t *progs;       /* as many: the uplink programs of each, or 0 */
        uint32_t mark;         /* nobody can guess it who means to pass for the host's programs */
        bool soon;             /* the clock was put forward */
        struct pace ask, walk; /* who manages the host, and the namespaces of others */
        sd_event_source *links, *tables, *clock;
        const struct hosthold_tell *tell;
};

static void kept_free(struct kept *k) {
        if (!k)
                return;
        hostset_close(&k->set);
        uplinks_done(&k->last);
        free(k);
}

int hosthold_new(const struct hosthold_tell *tell, struct hosthold **ret) {
        struct hosthold *x = calloc(1, sizeof(*x));

        if (!x)
                return -ENOMEM;
        x->tell = tell;
        if (getrandom(&x->mark, sizeof(x->mark), 0) != sizeof(x->mark) || x->mark == 0)
                x->mark = UINT32_MAX; /* 0 is what a packet has that nobody marked */
        *ret = x;
        return 0;
}

static void rest(struct hosthold *x) {
        x->links = sd_event_source_disable_unref(x->links);
        x->tables = sd_event_source_disable_unref(x->tables);
        x->clock = sd_event_source_disable_unref(x->clock);
}

void hosthold_free(struct hosthold *x) {
        if (!x)
                return;
        rest(x);
        for (size_t i = 0; i < x->n; i++)
                kept_free(x->v[i]);
        free(x->v);
        free(x->progs);
        free(x);
}

static struct kept *find(const struct hosthold *x, const struct command_id *id) {
        for (size_t i = 0; i < x->n; i++)
                if (command_id_equal(&x->v[i]->id, id))
                        return x->v[i];
        return NULL;
}

static int find_or_add(struct hosthold *x, const struct command_id *id, struct kept **ret) {
        struct kept **more;
        uint32_t *progs;

        *ret = find(x, id);
        if (*ret)
                return 0;
        more = reallocarray(x->v, x->n + 1, sizeof(struct kept *));
        x->v = more ? more : x->v;
        progs = reallocarray(x->progs, x->n + 1, sizeof(*progs));
        x->progs = progs ? progs : x->progs;
        if (!more || !progs)
                return -ENOMEM;
        *ret = calloc(1, sizeof(**ret));
        if (!*ret)
                return -ENOMEM;
        **ret = (struct kept) { .id = *id };
        x->v[x->n++] = *ret;
        return 0;
}

static void forget(struct hosthold *x, size_t i) {
        kept_free(x->v[i]);
        x->v[i] = x->v[--x->n];
}

/* Addresses come and go with every container, and a walk through the namespaces of all of them takes long. */
static bool only_moved(const struct agent *a, const struct kept *k, const struct management *now) {
        return k->set.loaded && management_only_moved(now, &k->facts) && k->n_permits == a->local.n_permits &&
               memcmp(k->permits, a->local.permits, k->n_permits * sizeof(k->permits[0])) == 0;
}

/* 1 when a new set was loaded, 0 when the old one is as good. */
static int load(struct agent *a, const struct hold *h, struct kept *k) {
        _cleanup_free_ struct management *now = calloc(1, sizeof(*now));
        struct hostset set;
        int r = now ? management_read(a->cgroup_root, a->systemd, &a->local, k->set.loaded ? &k->facts : NULL, now)
                    : -ENOMEM;

        if (r < 0)
                return r;
        if (k->set.loaded && memcmp(now, &k->facts, sizeof(*now)) == 0)
                return 0;
        r = hostset_load(now, a->hosthold->mark, a->local.permits, a->local.n_permits, h->permits, h->n_permits,
                         k->set.loaded ? k->set.count : -EBADF, &set);
        if (r < 0)
                return r;
        if (only_moved(a, k, now))
                hostset_keep_uplink(&set, &k->set);
        hostset_close(&k->set);
        k->set = set;
        memcpy(&k->facts, now, sizeof(*now));
        k->n_permits = a->local.n_permits;
        memcpy(k->permits, a->local.permits, k->n_permits * sizeof(k->permits[0]));
        return 1;
}

int hosthold_begin(struct agent *a, const struct hold *h) {
        struct kept *k;
        int r = a->cgroup_root ? find_or_add(a->hosthold, &h->id, &k) : -ENOENT;

        if (r == 0)
                r = load(a, h, k);
        return r < 0 ? r : 0;
}

/* A link that is there is given the new program and stays; -errno for one that is not, or that cannot be. */
static int hook_apply(struct agent *a, const struct kept *k, const struct site *s, enum isolate_hook h) {
        struct isolate_link there;
        _cleanup_close_ int link = isolate_open_link(a->isolate, &k->id, s->cgroup_id, h, &there);

        if (link >= 0)
                return bpf_link_update(link, k->set.hook[h], NULL) < 0 ? -errno : 0;
        link = isolate_attach_program(a->isolate, &k->id, s->fd, s->cgroup_id, h, k->set.hook[h]);
        return link < 0 ? link : 0;
}

static int hooks_apply(struct agent *a, const struct kept *k, const struct site *s, bool all,
                       enum isolate_phase phase) {
        int first = 0;

        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                int r = hostset_has(h) && (all || isolate_hook_phase(h) == phase) ? hook_apply(a, k, s, h) : 0;

                first = first < 0 ? first : r;
        }
        return first;
}

static struct uplinks_of uplinks_of(const struct agent *a, const struct command_id *hold) {
        const struct hosthold *x = a->hosthold;
        const struct kept *k = find(x, hold);

        for (size_t i = 0; i < x->n; i++)
                x->progs[i] = x->v[i]->set.uplink_id;
        return (struct uplinks_of) { .pins = a->config.pins,
                                     .hold = hold,
                                     .mark = x->mark,
                                     .prog_id = k ? k->set.uplink_id : 0,
                                     .progs = x->progs,
                                     .n_progs = x->n };
}

static bool is_covered(const struct uplink *u) {
        return u->prog_id != 0 && u->direct;
}

static bool was_covered(const struct kept *k, const struct uplink *u) {
        for (size_t i = 0; i < k->last.n; i++)
                if (k->last.v[i].netns == u->netns && k->last.v[i].ifindex == u->ifindex)
                        return is_covered(&k->last.v[i]);
        return false;
}

/* An interface that is new had nothing to lose. */
static void count_lost(struct agent *a, const struct kept *k, const struct uplinks *now) {
        for (size_t i = 0; i < now->n; i++)
                if ((now->v[i].mended || !is_covered(&now->v[i])) && was_covered(k, &now->v[i]))
                        a->hosthold->tell->lost(a, &k->id, is_covered(&now->v[i]) ? 1 : -EIO, k->last_us);
}

static void cover(struct agent *a, struct kept *k, bool is_new) {
        const struct uplinks_of of = uplinks_of(a, &k->id);
        struct uplinks now;

        uplinks_cover(&of, k->set.uplink, is_new, &now);
        count_lost(a, k, &now);
        uplinks_done(&k->last);
        k->last = now;
        k->last_us = clock_mono_us();
}

static void cover_home(struct agent *a, const struct kept *k) {
        const struct uplinks_of of = uplinks_of(a, &k->id);
        struct uplinks now;

        uplinks_cover_home(&of, k->set.uplink, &now);
        count_lost(a, k, &now);
        uplinks_done(&now);
}

int hosthold_attach(struct agent *a, const struct hold *h, const struct site *s, enum isolate_phase phase) {
        struct kept *k = find(a->hosthold, &h->id);
        int r;

        if (!k || !k->set.loaded)
                return -ENODATA;
        r = hooks_apply(a, k, s, false, phase);
        if (phase == ISOLATE_PACKETS)
                cover(a, k, true);
        return r;
}

int hosthold_drop(struct agent *a, const struct command_id *hold) {
        for (size_t i = 0; i < a->hosthold->n; i++)
                if (command_id_equal(&a->hosthold->v[i]->id, hold)) {
                        forget(a->hosthold, i);
                        break;
                }
        return uplinks_drop(hold);
}

const struct management *hosthold_known(const struct agent *a) {
        const struct hosthold *x = a->hosthold;

        for (size_t i = 0; x && i < x->n; i++)
                if (x->v[i]->set.loaded)
                        return &x->v[i]->facts;
        return NULL;
}

void hosthold_read(const struct agent *a, const struct command_id *hold, struct uplinks *ret) {
        const struct uplinks_of of = uplinks_of(a, hold);

        uplinks_read(&of, ret);
}

/* The hold's site that is the host, NULL when it has none. */
static struct site *host_site(struct agent *a, const struct hold *h) {
        struct sites *sites =
                h->state == HOLD_RELEASING || hosthold_is_given_up(h) ? NULL : held_find(&a->held, &h->id);

        for (size_t i = 0; sites && verb_info(h->verb)->isolates && i < sites->n; i++)
                if (site_is_host(&sites->v[i]) && sites->v[i].missing == REASON_NONE)
                        return &sites->v[i];
        return NULL;
}

/* *ret_changed: there is a new set, and the links of the cgroup have it, but for a failure. */
static int follow(struct agent *a, const struct hold *h, struct site *s, struct kept *k, bool *ret_changed) {
        const int64_t since_us = clock_mono_us();
        int r = load(a, h, k);

        spend(&a->hosthold->ask, since_us);
        *ret_changed = r == 1;
        if (r == 1)
                r = site_open(s, a->cgroup_root);
        if (r == 0 && *ret_changed)
                r = hooks_apply(a, k, s, true, ISOLATE_CALLS);
        closep(&s->fd);
        s->fd = -EBADF;
        return r;
}

/* Our own namespace each time; all of them when that took no long time. */
static void cover_due(struct agent *a, struct kept *k, bool is_new, bool due) {
        const int64_t since_us = clock_mono_us();

        if (!is_new && !due) {
                cover_home(a, k);
                return;
        }
        cover(a, k, is_new);
        spend(&a->hosthold->walk, since_us);
}

static void look_after(struct agent *a, const struct hold *h, struct site *s, bool ask, bool walk, bool *ret_changed) {
        bool changed = false;
        struct kept *k;
        int r = find_or_add(a->hosthold, &h->id, &k);
        const uint32_t uplink_id = k ? k->set.uplink_id : 0;

        if (r == 0 && (ask || !k->set.loaded))
                r = follow(a, h, s, k, &changed);
        *ret_changed |= changed;
        if (k && k->set.loaded)
                cover_due(a, k, k->set.uplink_id != uplink_id, walk);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep"),
                          "The isolation of the host could not follow it: %s", strerror(-r));
}

static int look(struct agent *a) {
        const bool ask = is_due(&a->hosthold->ask), walk = is_due(&a->hosthold->walk);
        bool changed = false;
        int n = 0;

        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                struct site *s = host_site(a, h);

                if (!s)
                        continue;
                look_after(a, h, s, ask, walk, &changed);
                alive();
                n++;
        }
        /* who keeps the links as they were has to know that these programs are ours */
        if (changed)
                a->hosthold->tell->replaced(a);
        return n;
}

void hosthold_hear(struct agent *a) {
        struct hosthold *x = a->hosthold;

        /* put forward once: whoever has the kernel tell of something all the time does not put it off */
        if (x->clock && !x->soon)
                x->soon = sd_event_source_set_time_relative(x->clock, HOSTHOLD_SOON_US) >= 0;
}

static int on_netlink(sd_event_source *e, int fd, uint32_t events, void *userdata) {
        struct agent *a = userdata;
        char buf[8192];

        (void) e;
        (void) events;
        /* what it says does not matter, and a message that did not fit says the same: look */
        while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR)
                ;
        for (size_t i = 0; i < a->hosthold->n; i++) {
                const struct kept *k = a->hosthold->v[i];
                const struct hold *h = hold_set_find(a->holds, &k->id);

                if (k->set.loaded && h && host_site(a, h))
                        cover_home(a, k);
        }
        hosthold_hear(a);
        return 0;
}

static int on_clock(sd_event_source *e, uint64_t usec, void *userdata) {
        struct agent *a = userdata;
        const bool asks = is_due(&a->hosthold->ask);
        int64_t next = HOSTHOLD_LOOK_US;

        (void) usec;
        a->hosthold->soon = false;
        (void) look(a);
        /* what it was put forward for was not asked yet */
        if (!asks)
                next = MIN(MAX(a->hosthold->ask.not_before_us - clock_mono_us(), HOSTHOLD_SOON_US), HOSTHOLD_LOOK_US);
        (void) sd_event_source_set_time_relative(e, (uint64_t) next);
        (void) sd_event_source_set_enabled(e, SD_EVENT_ONESHOT);
        return 0;
}

/* Of other network namespaces it tells as far as it has given them ids. */
static int listen_to(struct agent *a, int protocol, uint32_t groups, sd_event_source **ret) {
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        int r;

        if (fd < 0 || bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &(int) { 1 }, sizeof(int));
        r = sd_event_add_io(a->event, ret, fd, EPOLLIN, on_netlink, a);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(*ret, true);
        if (r >= 0)
                (void) TAKE_FD(fd);
        return r;
}

static void listen_to_host(struct agent *a) {
        struct hosthold *x = a->hosthold;
        int r = x->links
                        ? 0
                        : listen_to(a, NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, &x->links);

        /* without it the clock finds what was done to the tables */
        if (!x->tables)
                (void) listen_to(a, NETLINK_NETFILTER, 1U << (NFNLGRP_NFTABLES - 1), &x->tables);
        if (r >= 0 && !x->clock)
                r = sd_event_add_time_relative(a->event, &x->clock, CLOCK_MONOTONIC, HOSTHOLD_LOOK_US, 0, on_clock, a);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "keep"), "Interfaces that appear are not heard of: %s",
                          strerror(-r));
}

void hosthold_keep(struct agent *a) {
        struct hosthold *x = a->hosthold;

        for (size_t i = x->n; i-- > 0;)
                if (!hold_set_find(a->holds, &x->v[i]->id))
                        forget(x, i);
        /* heard of before it is looked at, so that nothing appears in between */
        if (x->n > 0)
                listen_to_host(a);
        if (look(a) > 0)
                listen_to_host(a);
        else
                rest(x);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/netlink.h"

#include <string.h>

#include <libmnl/libmnl.h>

/* The kernel fills what it is given, up to this. */
#define BUFFER_SIZE (32U * 1024)
/* A kernel that does not go on with a dump. */
#define WAIT_SECONDS 2

struct copy {
        const struct netlink_table *table;
        struct reader_out *out;
        const char *source;
        void *userdata;
        bool begun, changed;
};

static int begin(struct copy *c) {
        if (c->begun)
                return 0;
        c->begun = true;
        return reader_begin(c->out, c->table->kind, c->source);
}

static int put_entry(struct copy *c, const struct nlmsghdr *h) {
        const struct netlink_table *t = c->table;
        const uint8_t *payload = mnl_nlmsg_get_payload(h);
        const size_t n = mnl_nlmsg_get_payload_len(h);
        _cleanup_json_ json_t *o = json_object();
        int r = o ? attrs_fields(o, payload, MIN(n, t->n_header), t->fields) : -ENOMEM;

        if (r == 0 && n > t->n_header)
                r = attrs_decode(o, payload + t->n_header, n - t->n_header, t->attrs);
        if (r == 0)
                r = begin(c);
        if (r == 0)
                r = reader_line(c->out, o);
        if (r == 0 && t->seen)
                t->seen(h, c->userdata);
        return r;
}

/* NLMSG_DONE carries how a dump ended, NLMSG_ERROR why it did not begin. */
static int error_in(const struct nlmsghdr *h) {
        int err = 0;

        if (mnl_nlmsg_get_payload_len(h) >= sizeof(err))
                memcpy(&err, mnl_nlmsg_get_payload(h), sizeof(err));
        return err < 0 ? err : 0;
}

/* 1: the dump is over. */
static int take(struct copy *c, const void *buf, int n, unsigned seq) {
        for (const struct nlmsghdr *h = buf; mnl_nlmsg_ok(h, n); h = mnl_nlmsg_next(h, &n)) {
                int r;

                if (h->nlmsg_seq != seq || h->nlmsg_type == NLMSG_NOOP)
                        continue;
                c->changed |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
                if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                        r = error_in(h);
                        return r < 0 ? r : 1;
                }
                r = put_entry(c, h);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int ask(struct mnl_socket *nl, const struct netlink_table *t) {
        char buf[NETLINK_REQUEST_MAX + 64] __attribute__((aligned(8)));
        struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

        h->nlmsg_type = t->type;
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        h->nlmsg_seq = 1;
        memcpy(mnl_nlmsg_put_extra_header(h, t->n_request), t->request, t->n_request);
        return mnl_socket_sendto(nl, h, h->nlmsg_len) < 0 ? -errno : 0;
}

static int dump(struct copy *c, struct mnl_socket *nl) {
        const struct timeval wait = { .tv_sec = WAIT_SECONDS };
        char buf[BUFFER_SIZE] __attribute__((aligned(8)));
        int r = ask(nl, c->table);

        (void) setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
        while (r == 0) {
                ssize_t n = mnl_socket_recvfrom(nl, buf, sizeof(buf));

                if (n < 0 && errno == EINTR)
                        continue;
                r = n < 0 ? errno == EAGAIN ? -ETIME : -errno : take(c, buf, (int) n, 1);
        }
        return r < 0 ? r : 0;
}

static bool is_absence(int r) {
        return r == -ENOENT || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT;
}

/* A socket of its own for each question: an answer that was given up does not get into the next one. */
static int ask_and_dump(struct copy *c) {
        struct mnl_socket *nl = mnl_socket_open2(c->table->bus, SOCK_CLOEXEC);
        int r = !nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(c, nl);

        if (nl)
                (void) mnl_socket_close(nl);
        return r;
}

bool netlink_copy(struct reader_out *o, const struct netlink_table *t, const char *source, void *userdata) {
        struct copy c = { .table = t, .out = o, .source = source, .userdata = userdata };
        int r = ask_and_dump(&c);

        if (!c.begun && t->optional && is_absence(r))
                return true;
        return begin(&c) == 0 && reader_end(o, r, -1, c.changed) == 0;
}

bool netlink_copy_all(struct reader_out *o, const struct netlink_table *t, size_t n, const char *source) {
        for (size_t i = 0; i < n; i++)
                if (!netlink_copy(o, &t[i], source, NULL))
                        return false;
        return true;
}

static bool copy_parts(struct reader_out *o, const struct netlink_table *t, const char *source, size_t n,
                       netlink_request_fn request, const void *userdata) {
        uint8_t bytes[NETLINK_REQUEST_MAX];
        struct netlink_table part = *t;
        struct copy c = { .table = &part, .out = o, .source = source };
        int r = 0;

        part.request = bytes;
        for (size_t i = 0; i < n && r == 0; i++) {
                part.n_request = request(i, bytes, userdata);
                r = ask_and_dump(&c);
                if (is_absence(r) || r == -ENODEV) {
                        c.changed |= !t->optional;
                        r = 0;
                }
        }
        if (!c.begun && r == 0)
                return true;
        return begin(&c) == 0 && reader_end(o, r, -1, c.changed) == 0;
}

bool netlink_copy_parts(struct reader_out *o, const struct netlink_table *t, const char *source,
                        const struct netlink_parts *p, const void *userdata) {
        if (!copy_parts(o, t, source, MIN(p->n, p->max) * p->each, p->request, userdata))
                return false;
        if (p->n <= p->max)
                return true;
        return reader_begin(o, t->kind, source) == 0 && reader_end(o, -EOVERFLOW, (int64_t) p->n, false) == 0;
}

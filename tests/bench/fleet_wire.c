/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_wire.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "tests/bench/fleet_tls.h"

/* what libnats says of itself, as far as the server looks at it */
#define CONNECT                                                                                                   \
        "CONNECT "                                                                                                \
        "{\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"name\":\"freezed-relay\",\"lang\":\"C\"," \
        "\"version\":\"3.4.1\",\"protocol\":1,\"echo\":true,\"headers\":true,\"no_responders\":true}\r\n"
#define LINE_MAX_SIZE 4096U
#define READ_SIZE     (512U * 1024)
#define READY_MAX     256

struct wire_traffic wire_traffic;

/* sd-event asks the kernel for all that are ready each time that it handles one: of thousands that is their square. So
 * it watches this one, which watches the connections. */
static int epoll = -EBADF;

struct wire {
        int fd;
        struct wire_server to;
        struct tls *tls;  /* since the server greeted, when it is trusted by somebody */
        uint32_t watched; /* events */
        const struct wire_calls *calls;
        void *userdata;
        bool open, closed;
        unsigned sids, pings, settles; /* pings are numbered as they are sent: pongs come in that order */
        char *in, *out;                /* what is not whole yet; what the socket did not take */
        size_t n_in, n_out;
};

/* --- out */

static void end(struct wire *w) {
        if (w->closed)
                return;
        w->closed = true;
        (void) close(w->fd);
        w->fd = -EBADF;
        w->calls->closed(w->userdata);
}

static int watch(struct wire *w, int how, uint32_t events) {
        struct epoll_event e = { .events = events, .data.ptr = w };

        if (w->watched == events)
                return 0;
        w->watched = events;
        return epoll_ctl(epoll, how, w->fd, &e) < 0 ? -errno : 0;
}

static void keep(char **buf, size_t *n, const char *more, size_t n_more) {
        char *v = n_more > 0 ? realloc(*buf, *n + n_more) : NULL;

        if (!v)
                return;
        memcpy(v + *n, more, n_more);
        *buf = v;
        *n += n_more;
}

/* What the connection takes of what waits, or gives: bytes, 0 at its end, -errno. */
static ssize_t carry_out(struct wire *w) {
        ssize_t n = w->tls ? tls_send(w->tls, w->out, w->n_out)
                           : send(w->fd, w->out, w->n_out, MSG_NOSIGNAL | MSG_DONTWAIT);

        return n < 0 && !w->tls ? -errno : n;
}

static ssize_t carry_in(struct wire *w, char *buf, size_t size) {
        ssize_t n = w->tls ? tls_recv(w->tls, buf, size) : recv(w->fd, buf, size, MSG_DONTWAIT);

        return n < 0 && !w->tls ? -errno : n;
}

static void count(struct wire *w, ssize_t in, ssize_t out) {
        uint64_t tls_in = (uint64_t) MAX(in, 0), tls_out = (uint64_t) MAX(out, 0);

        if (w->tls)
                tls_carried(w->tls, &tls_in, &tls_out);
        wire_traffic.in += tls_in;
        wire_traffic.out += tls_out;
}

static void flush(struct wire *w) {
        ssize_t n = w->n_out > 0 ? carry_out(w) : 0;

        count(w, 0, n);
        if (n < 0 && n != -EAGAIN) {
                end(w);
                return;
        }
        if (n > 0) {
                w->n_out -= (size_t) n;
                memmove(w->out, w->out + n, w->n_out);
        }
        if (w->n_out == 0) {
                free(w->out);
                w->out = NULL;
        }
        const bool waits = w->n_out == 0 || (w->tls && tls_waits(w->tls));
        (void) watch(w, EPOLL_CTL_MOD, EPOLLIN | (waits ? 0U : EPOLLOUT));
}

static void put(struct wire *w, const char *text, size_t n) {
        if (w->closed)
                return;
        keep(&w->out, &w->n_out, text, n);
        if (w->open)
                flush(w);
}

void wire_hear(struct wire *w, const char *subject) {
        char line[LINE_MAX_SIZE];

        put(w, line, (size_t) snprintf(line, sizeof(line), "SUB %s %u\r\n", subject, ++w->sids));
}

void wire_say(struct wire *w, const char *subject, const char *reply, const char *text, size_t n) {
        const size_t size = LINE_MAX_SIZE + n;
        _cleanup_free_ char *line = malloc(size);

        if (!line)
                return;
        size_t at =
                (size_t) snprintf(line, size, "PUB %s %s%s%zu\r\n", subject, reply ? reply : "", reply ? " " : "", n);
        memcpy(line + at, text, n);
        memcpy(line + at + n, "\r\n", 2);
        put(w, line, at + n + 2);
}

void wire_ping(struct wire *w) {
        w->pings++;
        put(w, "PING\r\n", 6);
}

void wire_settle(struct wire *w) {
        wire_ping(w);
        w->settles = w->pings;
}

/* --- in */

static int64_t header(const char *headers, size_t n, const char *name) {
        const char *at = memmem(headers, n, name, strlen(name));

        return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

/* "MSG subject sid [reply] n", "HMSG subject sid [reply] n_headers n". What follows the line, or 0 when it is not all
 * there. */
static size_t take_message(struct wire *w, char *line, const char *rest, size_t n_rest) {
        const bool has_headers = line[0] == 'H';
        char *words[6], *save = NULL;
        struct wire_message m = { 0 };
        size_t n = 0, n_headers, size;

        for (char *word = strtok_r(line, " ", &save); word && n < ELEMENTSOF(words); word = strtok_r(NULL, " ", &save))
                words[n++] = word;
        if (n < (has_headers ? 5U : 4U)) {
                end(w);
                return 0;
        }
        size = strtoul(words[n - 1], NULL, 10);
        n_headers = has_headers ? strtoul(words[n - 2], NULL, 10) : 0;
        if (n_rest < size + 2)
                return 0;
        m = (struct wire_message) { .subject = words[1], .text = rest + n_headers, .n = size - n_headers };
        if (has_headers) {
                m.status = (int) header(rest, n_headers, "NATS/1.0 ");
                m.sequence = header(rest, n_headers, "Nats-Sequence: ");
        }
        w->calls->message(w->userdata, &m);
        return size + 2;
}

/* A line that is no message. */
static void take_line(struct wire *w, const char *line) {
        if (strncmp(line, "INFO ", 5) == 0 && !w->open) {
                if (w->to.trust && tls_new(w->to.trust, w->fd, w->to.address.sin_addr, &w->tls) < 0) {
                        end(w);
                        return;
                }
                w->open = true;
                put(w, CONNECT, strlen(CONNECT));
                w->calls->open(w->userdata);
        } else if (strcmp(line, "PING") == 0)
                put(w, "PONG\r\n", 6);
        else if (strcmp(line, "PONG") == 0) {
                w->pings--;
                if (w->settles > 0 && --w->settles == 0)
                        w->calls->settled(w->userdata);
        } else if (strncmp(line, "-ERR", 4) == 0)
                fprintf(stderr, "fleet: the server says %s\n", line);
}

/* Takes what is whole of the bytes; how many that are. */
static size_t take(struct wire *w, const char *bytes, size_t n) {
        size_t at = 0;

        while (!w->closed) {
                const char *stop = memmem(bytes + at, n - at, "\r\n", 2);
                char line[LINE_MAX_SIZE];
                size_t size = stop ? (size_t) (stop - bytes) - at : 0, more = 0;

                if (!stop || size >= sizeof(line))
                        break;
                memcpy(line, bytes + at, size);
                line[size] = '\0';
                if (strncmp(line, "MSG ", 4) == 0 || strncmp(line, "HMSG ", 5) == 0) {
                        more = take_message(w, line, bytes + at + size + 2, n - at - size - 2);
                        if (more == 0)
                                break;
                } else
                        take_line(w, line);
                at += size + 2 + more;
        }
        return at;
}

static void read_all(struct wire *w) {
        static char buf[READ_SIZE];
        ssize_t n;

        if (w->n_in >= sizeof(buf)) {
                end(w);
                return;
        }
        memcpy(buf, w->in, w->n_in);
        n = carry_in(w, buf + w->n_in, sizeof(buf) - w->n_in);
        count(w, n, 0);
        if (n == -EAGAIN)
                return;
        if (n <= 0) {
                end(w);
                return;
        }
        const size_t all = w->n_in + (size_t) n, taken = take(w, buf, all);
        free(w->in);
        w->in = NULL;
        w->n_in = 0;
        keep(&w->in, &w->n_in, buf + taken, all - taken);
}

static void on_ready(struct wire *w, uint32_t events) {
        if (!w->closed && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_all(w);
        /* a handshake is over when the other has said something */
        if (!w->closed && w->open && (events & EPOLLOUT || w->tls))
                flush(w);
}

/* None of them is freed here: wire_free() is for later. */
static int on_epoll(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        struct epoll_event ready[READY_MAX];
        int n = epoll_wait(fd, ready, READY_MAX, 0);

        (void) s;
        (void) revents;
        (void) userdata;
        for (int i = 0; i < n; i++)
                on_ready(ready[i].data.ptr, ready[i].events);
        return 0;
}

static int begin(sd_event *event) {
        if (epoll >= 0)
                return 0;
        epoll = epoll_create1(EPOLL_CLOEXEC);
        return epoll < 0 ? -errno : sd_event_add_io(event, NULL, epoll, EPOLLIN, on_epoll, NULL);
}

int wire_new(sd_event *event, const struct sockaddr_in *from, const struct wire_server *to,
             const struct wire_calls *calls, void *userdata, struct wire **ret) {
        const int on = 1;
        struct wire *w = calloc(1, sizeof(*w));
        int r = w ? begin(event) : -ENOMEM;

        if (r < 0) {
                free(w);
                return r;
        }
        *w = (struct wire) { .to = *to, .calls = calls, .userdata = userdata };
        w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        /* the port is chosen when the other end is known: each source address has all of them */
        r = w->fd < 0 || setsockopt(w->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
                            bind(w->fd, (const struct sockaddr *) from, sizeof(*from)) < 0 ||
                            (connect(w->fd, (const struct sockaddr *) &to->address, sizeof(to->address)) < 0 &&
                             errno != EINPROGRESS)
                    ? -errno
                    : watch(w, EPOLL_CTL_ADD, EPOLLIN);
        if (r < 0) {
                if (w->fd >= 0)
                        (void) close(w->fd);
                free(w);
                return r;
        }
        *ret = w;
        return 0;
}

void wire_free(struct wire *w) {
        if (!w)
                return;
        if (w->fd >= 0)
                (void) close(w->fd);
        tls_free(w->tls);
        free(w->in);
        free(w->out);
        free(w);
}

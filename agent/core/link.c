/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/link.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

#include "agent/core/agent.h"
#include "agent/util/log.h"

/* the gate, its successor while it restarts, and a test */
#define CONNECTIONS_MAX 4U
/* so that a receipt of many targets is one message that the socket takes at once */
#define SEND_BUFFER (4 * (int) FRAME_MAX)
/* after accept4() ran out of descriptors or memory; who has connected waits in the backlog */
#define RETRY_US (100 * 1000)

struct connection {
        struct link *link;
        sd_event_source *source;
        uint64_t id;
        int fd;
};

struct link {
        struct agent *agent;
        link_fn fn;
        sd_event_source *source, *retry;
        int fd;
        bool rests; /* and that is said */
        uint64_t next_id;
        struct connection connections[CONNECTIONS_MAX];
        uint8_t in[FRAME_MAX + 1], out[FRAME_MAX];
};

static void disconnect(struct connection *c) {
        c->source = sd_event_source_disable_unref(c->source);
        closep(&c->fd);
        c->fd = -EBADF;
        c->id = 0;
}

static void send_frame(struct connection *c, const struct frame *f) {
        size_t n;

        if (frame_pack(f, c->link->out, sizeof(c->link->out), &n) < 0 ||
            send(c->fd, c->link->out, n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t) n)
                disconnect(c);
}

static void send_keys(struct connection *c) {
        const struct trust *t = c->link->agent->trust;
        uint8_t payload[TRUST_KEYS_MAX * 64];
        struct frame f = { .kind = FRAME_KEYS, .payload = payload };

        for (size_t i = 0; t && i < t->n_keys; i++) {
                memcpy(payload + f.n_payload, t->keys[i].key.id, 32);
                memcpy(payload + f.n_payload + 32, t->keys[i].key.pub, 32);
                f.n_payload += 64;
        }
        send_frame(c, &f);
}

static int on_frame(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct connection *c = userdata;
        struct link *l = c->link;
        struct frame f;
        ssize_t n = recv(fd, l->in, sizeof(l->in), MSG_DONTWAIT | MSG_TRUNC);

        (void) s;
        (void) events;
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                disconnect(c);
                return 0;
        }
        if ((size_t) n > FRAME_MAX || frame_unpack(l->in, (size_t) n, &f) < 0 || !frame_is_from_gate(f.kind)) {
                l->agent->counters.malformed++;
                disconnect(c);
                return 0;
        }
        l->fn(l->agent, &f,
              &(struct answer) { .link = l, .connection = c->id, .number = f.number, .carried = f.carried });
        return 0;
}

/* Nobody can be let in now, and the socket would say for ever that somebody waits. */
static void rest(struct link *l, int error) {
        if (!l->rests)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "arrive"), "A gate cannot be let in yet: %s",
                          strerror(error));
        l->rests = true;
        (void) sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        (void) sd_event_source_set_time_relative(l->retry, RETRY_US);
        (void) sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        struct link *l = userdata;

        (void) s;
        (void) usec;
        return sd_event_source_set_enabled(l->source, SD_EVENT_ON);
}

static int on_connect(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        struct link *l = userdata;
        _cleanup_close_ int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct connection *c = NULL;

        (void) s;
        (void) events;
        if (peer < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
                rest(l, errno);
                return 0;
        }
        l->rests = false;
        if (peer < 0)
                return 0;
        for (size_t i = 0; i < CONNECTIONS_MAX && !c; i++)
                if (l->connections[i].fd < 0)
                        c = &l->connections[i];
        if (!c)
                return 0;
        if (setsockopt(peer, SOL_SOCKET, SO_SNDBUFFORCE, &(int) { SEND_BUFFER }, sizeof(int)) < 0)
                (void) setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &(int) { SEND_BUFFER }, sizeof(int));
        if (sd_event_add_io(l->agent->event, &c->source, peer, EPOLLIN, on_frame, c) < 0)
                return 0;
        c->link = l;
        c->fd = TAKE_FD(peer);
        c->id = ++l->next_id;
        send_keys(c);
        return 0;
}

/* The timer is made here, while there is a descriptor for it. */
static int add_sources(struct link *l) {
        int r = sd_event_add_io(l->agent->event, &l->source, l->fd, EPOLLIN, on_connect, l);

        if (r >= 0)
                r = sd_event_add_time(l->agent->event, &l->retry, CLOCK_MONOTONIC, 0, 1000, on_retry, l);
        return r < 0 ? r : sd_event_source_set_enabled(l->retry, SD_EVENT_OFF);
}

static int listen_at(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        (void) unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || chmod(path, 0600) < 0 ||
            listen(fd, 8) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int link_new(struct agent *a, const char *path, link_fn fn, struct link **ret) {
        struct link *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->agent = a;
        l->fn = fn;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                l->connections[i].fd = -EBADF;
        r = sd_listen_fds(false) > 0 ? SD_LISTEN_FDS_START : listen_at(path);
        l->fd = r;
        if (r >= 0)
                r = add_sources(l);
        if (r < 0) {
                link_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

void link_free(struct link *l) {
        if (!l)
                return;
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                disconnect(&l->connections[i]);
        l->source = sd_event_source_disable_unref(l->source);
        l->retry = sd_event_source_disable_unref(l->retry);
        closep(&l->fd);
        free(l);
}

/* What somebody was given who has connected to the path; not what listens there, which is the service manager's too. */
static bool is_connection(int fd, const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNSPEC };
        socklen_t n = sizeof(address), size = sizeof(int);
        int listens = 1;

        return getsockname(fd, (struct sockaddr *) &address, &n) == 0 && address.sun_family == AF_UNIX &&
               strncmp(address.sun_path, path, sizeof(address.sun_path)) == 0 &&
               getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

/* No other file of a core's is opened here: with its place in the turn, and that closed, ours would be gone. */
static bool is_socket(int dir, const char *name) {
        char to[8];

        return readlinkat(dir, name, to, sizeof(to)) == sizeof(to) && memcmp(to, "socket:[", sizeof(to)) == 0;
}

void link_part(const char *path, pid_t pid) {
        _cleanup_close_ int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        const struct dirent *e;
        char name[32];
        DIR *d;

        (void) snprintf(name, sizeof(name), "/proc/%d/fd", (int) pid);
        d = opendir(name);
        while (d && pidfd >= 0 && (e = readdir(d))) {
                _cleanup_close_ int fd = is_socket(dirfd(d), e->d_name)
                                                 ? (int) syscall(SYS_pidfd_getfd, pidfd, atoi(e->d_name), 0)
                                                 : -EBADF;

                if (fd >= 0 && is_connection(fd, path))
                        (void) shutdown(fd, SHUT_RDWR);
        }
        if (d)
                (void) closedir(d);
}

void link_send_keys(struct link *l) {
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
                if (l->connections[i].fd >= 0)
                        send_keys(&l->connections[i]);
}

static struct connection *find(const struct answer *to) {
        for (size_t i = 0; to->link && i < CONNECTIONS_MAX; i++)
                if (to->link->connections[i].fd >= 0 && to->link->connections[i].id == to->connection)
                        return &to->link->connections[i];
        return NULL;
}

int link_peer(const struct answer *to, struct ucred *ret) {
        const struct connection *c = find(to);
        socklen_t n = sizeof(*ret);

        if (!c)
                return -ENOTCONN;
        return getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, ret, &n) < 0 ? -errno : 0;
}

void link_answer(const struct answer *to, const char *envelope, bool more) {
        struct connection *c = find(to);

        if (c)
                send_frame(c, &(struct frame) { .kind = FRAME_REPLY,
                                                .more = more,
                                                .number = to->number,
                                                .payload = (const uint8_t *) envelope,
                                                .n_payload = strlen(envelope) });
}

void link_refuse(const struct answer *to, enum reason reason) {
        struct connection *c = find(to);

        if (c)
                send_frame(c, &(struct frame) { .kind = FRAME_REFUSAL,
                                                .number = to->number,
                                                .payload = (const uint8_t[]) { (uint8_t) reason },
                                                .n_payload = 1 });
}

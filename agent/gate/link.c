/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/link.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/util/log.h"

/* the largest that the gate sends */
#define OUT_MAX (FRAME_HEADER_SIZE + DSSE_SIGS_MAX * FRAME_SIG_SIZE + DSSE_PAYLOAD_MAX)

struct link {
        sd_event *event; /* outlives the link */
        sd_event_source *source;
        const struct link_handler *handler;
        void *userdata;
        size_t n_out; /* 0: nothing is held */
        uint8_t out[OUT_MAX];
        uint8_t in[FRAME_MAX];
};

static int leave(struct link *l, int status, const char *why) {
        log_event(status == 0 ? LOG_NOTICE : LOG_ERR, NULL, LOG_FIELDS(.stage = "arrive"), "%s", why);
        return sd_event_exit(l->event, status);
}

/* Keeps what the socket does not take; an error of the connection is left for the reading side to find. */
static void flush(struct link *l) {
        ssize_t n = send(sd_event_source_get_io_fd(l->source), l->out, l->n_out, MSG_DONTWAIT | MSG_NOSIGNAL);
        bool held = n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == EINTR);

        if (!held)
                l->n_out = 0;
        (void) sd_event_source_set_io_events(l->source, EPOLLIN | (held ? EPOLLOUT : 0));
}

static int receive(struct link *l, int fd) {
        struct frame f;
        ssize_t n;

        n = recv(fd, l->in, sizeof(l->in), MSG_DONTWAIT | MSG_TRUNC);
        if (n == 0)
                return leave(l, EXIT_SUCCESS, "The core closed the connection");
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n < 0)
                return leave(l, EXIT_SUCCESS, "The connection to the core is lost");
        /* FAIL-CLOSED: a core that cannot be understood is not asked to enforce anything. */
        if ((size_t) n > sizeof(l->in) || frame_unpack(l->in, (size_t) n, &f) < 0 || frame_is_from_gate(f.kind))
                return leave(l, EXIT_FAILURE, "The core sent what is not a frame for the gate");
        l->handler->frame(l->userdata, &f);
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct link *l = userdata;
        bool had_room = link_has_room(l);

        (void) source;
        if ((revents & EPOLLOUT) && !had_room)
                flush(l);
        if (!had_room && link_has_room(l))
                l->handler->room(l->userdata);
        return revents & (EPOLLIN | EPOLLHUP | EPOLLERR) ? receive(l, fd) : 0;
}

int link_new(sd_event *event, int fd, const struct link_handler *handler, void *userdata, struct link **ret) {
        _cleanup_(link_freep) struct link *l = NULL;
        _cleanup_close_ int owned = fd;
        int r;

        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->event = event;
        l->handler = handler;
        l->userdata = userdata;
        r = sd_event_add_io(event, &l->source, fd, EPOLLIN, on_io, l);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(l->source, true);
        if (r < 0)
                return r;
        (void) TAKE_FD(owned);
        /* Answers first: they make room and cost next to nothing. */
        r = sd_event_source_set_priority(l->source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

void link_free(struct link *l) {
        if (!l)
                return;
        (void) sd_event_source_disable_unref(l->source);
        free(l);
}

void link_freep(struct link **l) {
        link_free(*l);
}

bool link_has_room(const struct link *l) {
        return l->n_out == 0;
}

int link_send(struct link *l, const struct frame *f) {
        int r;

        if (!link_has_room(l))
                return -EAGAIN;
        r = frame_pack(f, l->out, sizeof(l->out), &l->n_out);
        if (r < 0)
                return r;
        flush(l);
        return 0;
}

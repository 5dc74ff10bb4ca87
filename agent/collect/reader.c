/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/collect/sandbox.h"
#include "agent/util/io.h"

#define CHUNK_SIZE (32U * 1024)
/* Until it is listened to a reader has said a page, which is less than what comes before anything that takes memory: so
 * however many namespaces there are, one reader at a time has its rules in it. */
#define PIPE_WAITING 4096
#define PIPE_HEARD   (256 * 1024)
/* It dies by itself of a kernel that makes it wait for ever. */
#define LIFE_SECONDS 120U

enum frame_type { FRAME_BEGIN = 1, FRAME_DATA, FRAME_END, FRAME_DONE };

/* Both ends are the same program. */
struct frame {
        uint32_t type;
        uint32_t n; /* bytes of the payload */
};

struct frame_begin {
        char kind[INDEX_KIND_MAX + 1];
        char source[READER_SOURCE_MAX];
};

struct frame_end {
        int64_t expected;
        int32_t err;
        uint32_t changed;
};

static int send_frame(struct reader_out *o, uint32_t type, const void *payload, size_t n) {
        const struct frame f = { type, (uint32_t) n };
        int r = io_write_all(o->fd, &f, sizeof(f));

        return r < 0 || n == 0 ? r : io_write_all(o->fd, payload, n);
}

int reader_begin(struct reader_out *o, const char *kind, const char *source) {
        struct frame_begin b = { .kind = { 0 } };

        (void) snprintf(b.kind, sizeof(b.kind), "%s", kind);
        (void) snprintf(b.source, sizeof(b.source), "%s", source);
        o->n = 0;
        return send_frame(o, FRAME_BEGIN, &b, sizeof(b));
}

int reader_write(struct reader_out *o, const void *bytes, size_t n) {
        const char *p = bytes;

        if (n > READER_OBJECT_MAX - o->n)
                return -EFBIG;
        o->n += n;
        for (size_t part; n > 0; p += part, n -= part) {
                part = MIN(n, (size_t) CHUNK_SIZE);
                int r = send_frame(o, FRAME_DATA, p, part);
                if (r < 0)
                        return r;
        }
        return 0;
}

int reader_line(struct reader_out *o, const json_t *object) {
        _cleanup_free_ char *line = NULL;
        int r = object ? index_json_line(object, &line) : -ENOMEM;

        return r < 0 ? r : reader_write(o, line, strlen(line));
}

int reader_end(struct reader_out *o, int err, int64_t expected, bool changed) {
        const struct frame_end e = { .expected = expected, .err = err, .changed = changed };

        return send_frame(o, FRAME_END, &e, sizeof(e));
}

static int is_lower(const void *a, const void *b) {
        return *(const int *) a - *(const int *) b;
}

/* The folder and the answer's pipe among them: the core waits for the end of that one. The first three lead nowhere,
 * and stay: a library that complains does so there, not in a socket that got the number. */
static int close_others(const int *keep, size_t n) {
        int first = 3;

        for (size_t i = 0; i < n; i++) {
                if (keep[i] > first && close_range((unsigned) first, (unsigned) keep[i] - 1, 0) < 0)
                        return -errno;
                first = keep[i] + 1;
        }
        return close_range((unsigned) first, ~0U, 0) < 0 ? -errno : 0;
}

static int set_up(const struct reader_job *job, int out, pid_t parent) {
        int keep[job->n_keep + 1];

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return -errno;
        if (getppid() != parent)
                return -ESRCH;
        if (job->netns >= 0 && setns(job->netns, CLONE_NEWNET) < 0)
                return -errno;
        keep[0] = out;
        for (size_t i = 0; i < job->n_keep; i++)
                keep[i + 1] = job->keep[i];
        qsort(keep, job->n_keep + 1, sizeof(keep[0]), is_lower);
        int r = close_others(keep, job->n_keep + 1);

        (void) alarm(LIFE_SECONDS);
        return r < 0 ? r : sandbox_enter_reader(job->capabilities, job->n_capabilities);
}

static void run(const struct reader_job *job, int fd, pid_t parent) {
        struct reader_out out = { .fd = fd };
        int r = set_up(job, fd, parent);

        if (r == 0)
                job->fn(&out, job->userdata);
        /* What stopped it is all that is known of what it was to read. */
        const struct frame_end e = { .err = r, .expected = -1 };
        (void) send_frame(&out, FRAME_DONE, &e, sizeof(e));
}

int reader_start(const struct reader_job *job, struct reader *ret) {
        _cleanup_close_ int to = -EBADF, from = -EBADF;
        const pid_t parent = getpid();
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        from = ends[0];
        to = ends[1];
        (void) fcntl(to, F_SETPIPE_SZ, PIPE_WAITING);
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0) {
                run(job, to, parent);
                _exit(0);
        }
        *ret = (struct reader) { .pid = pid, .fd = TAKE_FD(from) };
        return 0;
}

void reader_done(struct reader *r) {
        closep(&r->fd);
        if (r->pid > 0)
                (void) waitpid(r->pid, NULL, WNOHANG);
        *r = (struct reader) READER_NULL;
}

/* What comes from one reader. */
struct relay {
        struct store *store;
        const struct index_item *item;
        int fd, silence_ms;
        uint64_t n;
        bool begun;
        struct frame_begin begin;
        struct index_item object;
};

static int receive(struct relay *y, void *ret, size_t n) {
        struct pollfd p = { .fd = y->fd, .events = POLLIN };
        uint8_t *to = ret;

        while (n > 0) {
                int ready = store_over(y->store) ? -ETIME : poll(&p, 1, y->silence_ms);
                ssize_t got = ready > 0 ? read(y->fd, to, n) : 0;

                if ((ready == -1 || got < 0) && errno == EINTR)
                        continue;
                if (ready == 0 || ready == -ETIME)
                        return -ETIME;
                if (ready < 0 || got < 0)
                        return -errno;
                if (got == 0)
                        return -EPIPE;
                to += got;
                n -= (size_t) got;
        }
        return 0;
}

static int on_begin(struct relay *y, const uint8_t *payload, size_t n) {
        if (y->begun || n != sizeof(y->begin))
                return -EBADMSG;
        memcpy(&y->begin, payload, n);
        if (y->begin.kind[sizeof(y->begin.kind) - 1] != '\0' || y->begin.source[sizeof(y->begin.source) - 1] != '\0' ||
            !index_kind_ok(y->begin.kind))
                return -EBADMSG;
        y->object = *y->item;
        y->object.kind = y->begin.kind;
        y->object.source = y->begin.source;
        y->begun = true;
        /* An object that cannot be begun is told of when it ends. */
        (void) !store_begin(y->store, &y->object);
        return 0;
}

static int on_data(struct relay *y, const uint8_t *payload, size_t n) {
        if (!y->begun)
                return -EBADMSG;
        y->n += n;
        if (y->n > READER_BYTES_MAX)
                return -EFBIG;
        (void) !store_write(y->store, payload, n);
        return 0;
}

/* Positive or absurd numbers are no error. */
static int error_of(const struct frame_end *e) {
        return e->err <= 0 && e->err >= -4095 ? e->err : -EBADMSG;
}

static int on_end(struct relay *y, const uint8_t *payload, size_t n) {
        struct frame_end e;

        if (!y->begun || n != sizeof(e))
                return -EBADMSG;
        memcpy(&e, payload, n);
        y->begun = false;
        store_end(y->store, error_of(&e), e.expected, e.changed != 0);
        return 0;
}

static int on_done(struct relay *y, const uint8_t *payload, size_t n) {
        struct frame_end e;

        if (y->begun || n != sizeof(e))
                return -EBADMSG;
        memcpy(&e, payload, n);
        int err = error_of(&e);

        return err < 0 ? err : 1;
}

/* 1: it is done. */
static int relay_frame(struct relay *y) {
        static int (*const on[])(struct relay * y, const uint8_t *payload, size_t n) = {
                [FRAME_BEGIN] = on_begin, [FRAME_DATA] = on_data, [FRAME_END] = on_end, [FRAME_DONE] = on_done
        };
        uint8_t payload[CHUNK_SIZE];
        struct frame f;
        int r = receive(y, &f, sizeof(f));

        if (r < 0)
                return r;
        if (f.type >= ELEMENTSOF(on) || !on[f.type] || f.n > sizeof(payload))
                return -EBADMSG;
        r = receive(y, payload, f.n);
        return r < 0 ? r : on[f.type](y, payload, f.n);
}

int reader_collect(struct reader *r, struct store *s, const struct index_item *item, int silence_ms) {
        struct relay y = { .store = s, .item = item, .fd = r->fd, .silence_ms = silence_ms };
        int err;

        (void) fcntl(r->fd, F_SETPIPE_SZ, PIPE_HEARD);
        do
                err = relay_frame(&y);
        while (err == 0);
        if (y.begun)
                store_end(s, err, -1, false);
        if (err < 0)
                store_hole(s, item, err, -1);
        reader_done(r);
        return MIN(err, 0);
}

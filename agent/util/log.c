/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/util/log.h"

#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

/* The journal's native protocol is spoken here, one datagram of FIELD=value lines, because sd_journal_sendv waits when
 * the journal's queue is full. Escaped values hold no newline, so the protocol's binary form is never needed. */
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Room for a message, nine values and the names of all ten. Below PIPE_BUF, so that a pipe which polls writable takes a
 * whole line without waiting. */
#define LINE_SIZE (LOG_MESSAGE_MAX + 9U * LOG_VALUE_MAX + 10U * 24U)

struct line {
        char text[LINE_SIZE];
        size_t n;
};

static struct {
        int journal;
        bool prefix; /* stderr is read by systemd, which takes "<3>" as the priority */
        uint64_t lost;
} sink = { .journal = -EBADF };

static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == dev && st.st_ino == ino;
}

static bool connect_journal(int fd) {
        const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };

        return connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0;
}

void log_open(void) {
        _cleanup_close_ int fd = -EBADF;

        if (sink.journal >= 0 || !stderr_is_journal())
                return;
        sink.prefix = true;
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0 && connect_journal(fd))
                sink.journal = TAKE_FD(fd);
}

/* Adds text as it is. */
static void add_raw(struct line *l, const char *s, size_t n) {
        n = MIN(n, sizeof(l->text) - l->n);
        memcpy(l->text + l->n, s, n);
        l->n += n;
}

static void add_text(struct line *l, const char *s) {
        add_raw(l, s, strlen(s));
}

/* Adds a value as at most max bytes, escapes counted; an escape that does not fit whole ends it. */
static void add_value(struct line *l, const char *value, size_t max) {
        for (size_t used = 0; *value; value++) {
                bool plain = *value >= ' ' && *value <= '~';
                char escaped[5] = { *value };
                size_t n = 1;

                if (!plain)
                        n = (size_t) snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned char) *value);
                if (used + n > max)
                        return;
                add_raw(l, escaped, n);
                used += n;
        }
}

static void add_field(struct line *l, const char *before, const char *name, const char *value, const char *after) {
        if (!value)
                return;
        add_text(l, before);
        add_text(l, name);
        add_text(l, "=");
        add_value(l, value, LOG_VALUE_MAX);
        add_text(l, after);
}

static void add_fields(struct line *l, const struct log_fields *f, const char *before, const char *after) {
        if (!f)
                return;
        add_field(l, before, "COMMAND_ID", f->command_id, after);
        add_field(l, before, "STAGE", f->stage, after);
        add_field(l, before, "REASON", f->reason, after);
        add_field(l, before, "KEY_ID", f->key_id, after);
        add_field(l, before, "HOLD", f->hold, after);
        add_field(l, before, "TARGET", f->target, after);
}

static void add_lost(struct line *l, const char *before, const char *after) {
        char count[24];

        if (sink.lost == 0)
                return;
        (void) snprintf(count, sizeof(count), "%llu", (unsigned long long) sink.lost);
        add_field(l, before, "LOG_LOST", count, after);
}

static bool to_journal(int priority, const char *message_id, const struct log_fields *f, const char *message) {
        const char digit[] = { (char) ('0' + LOG_PRI(priority)), '\0' };
        struct line l = { .n = 0 };

        add_field(&l, "", "PRIORITY", digit, "\n");
        add_field(&l, "", "SYSLOG_IDENTIFIER", program_invocation_short_name, "\n");
        add_field(&l, "", "MESSAGE_ID", message_id, "\n");
        add_fields(&l, f, "", "\n");
        add_lost(&l, "", "\n");
        add_text(&l, "MESSAGE=");
        add_value(&l, message, LOG_MESSAGE_MAX);
        add_text(&l, "\n");
        if (send(sink.journal, l.text, l.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return true;
        /* The journal's socket may have been made anew; the kernel says the first once and the second from then on. */
        return (errno == ECONNREFUSED || errno == ENOTCONN) && connect_journal(sink.journal) &&
               send(sink.journal, l.text, l.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool to_stderr(int priority, const struct log_fields *f, const char *message) {
        const char prefix[] = { '<', (char) ('0' + LOG_PRI(priority)), '>', '\0' };
        struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
        struct line l = { .n = 0 };

        if (sink.prefix)
                add_text(&l, prefix);
        add_value(&l, program_invocation_short_name, LOG_VALUE_MAX);
        add_text(&l, ": ");
        add_value(&l, message, LOG_MESSAGE_MAX);
        add_fields(&l, f, " ", "");
        add_lost(&l, " ", "");
        add_text(&l, "\n");
        if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
                return false;
        return write(STDERR_FILENO, l.text, l.n) == (ssize_t) l.n;
}

static void emit(int priority, const char *message_id, const struct log_fields *f, const char *message) {
        int saved = errno;
        bool sent = sink.journal >= 0 ? to_journal(priority, message_id, f, message) : to_stderr(priority, f, message);

        /* FAIL-OPEN: the ledger is the record of what happened; the log may lose a line rather than hold up a
         * command. */
        sink.lost = sent ? 0 : sink.lost + 1;
        errno = saved;
}

static _printf_(4, 0) void emit_formatted(int priority, const char *message_id, const struct log_fields *f,
                                          const char *fmt, va_list ap) {
        char message[LOG_MESSAGE_MAX + 1];

        if (vsnprintf(message, sizeof(message), fmt, ap) >= 0)
                emit(priority, message_id, f, message);
}

void log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...) {
        va_list ap;

        va_start(ap, fmt);
        emit_formatted(priority, message_id, fields, fmt, ap);
        va_end(ap);
}

static int64_t this_second(void) {
        struct timespec ts = { 0 };

        /* Coarse: this is asked for every forged message of a flood. */
        (void) clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
        return ts.tv_sec;
}

/* True when the limit leaves room for one more; says first what an earlier second left out. */
static bool take(struct log_limit *limit, int priority, const struct log_fields *fields) {
        int64_t second = this_second();

        if (second != limit->second) {
                uint64_t dropped = limit->dropped;

                limit->second = second;
                limit->used = 0;
                limit->dropped = 0;
                if (dropped > 0) {
                        char message[96];

                        (void) snprintf(message, sizeof(message), "%llu messages like the next one were left out",
                                        (unsigned long long) dropped);
                        emit(priority, NULL, LOG_FIELDS(.stage = fields ? fields->stage : NULL), message);
                }
        }
        if (limit->used >= limit->per_second) {
                limit->dropped++;
                return false;
        }
        limit->used++;
        return true;
}

void log_lossy(struct log_limit *limit, int priority, const char *message_id, const struct log_fields *fields,
               const char *fmt, ...) {
        va_list ap;

        if (!take(limit, priority, fields))
                return;
        va_start(ap, fmt);
        emit_formatted(priority, message_id, fields, fmt, ap);
        va_end(ap);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-daemon.h>

#include "agent/util/clock.h"

struct notify {
        int fd;
        uint64_t interval_us;
        sd_event_source *timer;
};

static void tell(const struct notify *n, const char *what) {
        if (n->fd >= 0)
                (void) send(n->fd, what, strlen(what), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        const struct notify *n = userdata;
        int r;

        tell(n, "WATCHDOG=1");
        r = sd_event_source_set_time(source, usec + n->interval_us);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int connect_manager(const char *path, int *ret) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        size_t n = strlen(path);

        if (n < 2 || n >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, n);
        /* the notation of an abstract name */
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + n)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int add_watchdog(sd_event *event, struct notify *n) {
        int r = sd_watchdog_enabled(true, &n->interval_us);

        if (r <= 0)
                return r;
        n->interval_us /= 2;
        r = sd_event_add_time(event, &n->timer, CLOCK_MONOTONIC, (uint64_t) clock_mono_us() + n->interval_us,
                              n->interval_us / 4, on_timer, n);
        /* A flood is no reason to look dead. */
        return r < 0 ? r : sd_event_source_set_priority(n->timer, SD_EVENT_PRIORITY_IMPORTANT);
}

int notify_new(sd_event *event, struct notify **ret) {
        const char *path = getenv("NOTIFY_SOCKET");
        _cleanup_(notify_freep) struct notify *n = NULL;
        int r = 0;

        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->fd = -EBADF;
        if (path) {
                r = connect_manager(path, &n->fd);
                if (r == 0)
                        r = add_watchdog(event, n);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(n);
        return 0;
}

void notify_free(struct notify *n) {
        if (!n)
                return;
        (void) sd_event_source_disable_unref(n->timer);
        closep(&n->fd);
        free(n);
}

void notify_freep(struct notify **n) {
        notify_free(*n);
}

void notify_ready(const struct notify *n) {
        tell(n, "READY=1");
}

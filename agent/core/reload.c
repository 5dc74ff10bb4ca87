/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/reload.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "agent/util/clock.h"
#include "agent/util/fault.h"

#define PRIVATE_SOCKET "unix:path=/run/systemd/private"
#define DESTINATION    "org.freedesktop.systemd1"
#define MANAGER        "/org/freedesktop/systemd1"
/* Thousands of units, on a host that is busy. Who asks while PID 1 is being told waits for that as well, so twice this,
 * and a client waits 30 s. */
#define TIMEOUT_US (13ULL * 1000 * 1000)

struct waiter {
        struct waiter *next;
        reload_fn fn;
        void (*drop)(void *userdata);
        void *userdata;
};

struct reload {
        sd_event *event;
        sd_bus *bus; /* while one is under way; PID 1 sends every signal to every private connection */
        /* a PID 1 that is stuck is connected to by the kernel all the same, and sd-bus gives it 90 s to say hello */
        sd_event_source *timeout;
        struct waiter *under_way, *next;
};

int reload_new(sd_event *event, struct reload **ret) {
        struct reload *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        r->event = sd_event_ref(event);
        *ret = r;
        return 0;
}

static void waiters_free(struct waiter *w) {
        while (w) {
                struct waiter *next = w->next;

                if (w->drop)
                        w->drop(w->userdata);
                free(w);
                w = next;
        }
}

static void end(struct reload *r) {
        r->timeout = sd_event_source_disable_unref(r->timeout);
        r->bus = sd_bus_close_unref(r->bus);
}

void reload_free(struct reload *r) {
        if (!r)
                return;
        end(r);
        waiters_free(r->under_way);
        waiters_free(r->next);
        sd_event_unref(r->event);
        free(r);
}

static int connect_private(sd_bus **ret) {
        sd_bus *bus = NULL;
        int r = sd_booted() > 0 ? sd_bus_new(&bus) : -EOPNOTSUPP;

        if (r >= 0)
                r = sd_bus_set_address(bus, PRIVATE_SOCKET);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = fault_effect("systemd-reload");
        if (r < 0) {
                (void) sd_bus_close_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

static void begin(struct reload *r);

static void tell(struct reload *r, int result) {
        struct waiter *w = TAKE_PTR(r->under_way);

        end(r);
        while (w) {
                struct waiter *next = w->next;

                if (w->fn)
                        w->fn(result, w->userdata);
                free(w);
                w = next;
        }
        if (r->next && !r->bus)
                begin(r);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        tell(userdata, -sd_bus_message_get_errno(m));
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        tell(userdata, -ETIMEDOUT);
        return 0;
}

static int call(sd_bus *bus, sd_bus_message_handler_t fn, void *userdata) {
        return sd_bus_call_method_async(bus, NULL, DESTINATION, MANAGER, DESTINATION ".Manager", "Reload", fn, userdata,
                                        NULL);
}

static void begin(struct reload *r) {
        int e = connect_private(&r->bus);

        r->under_way = TAKE_PTR(r->next);
        if (e >= 0)
                e = sd_bus_attach_event(r->bus, r->event, SD_EVENT_PRIORITY_NORMAL);
        if (e >= 0)
                e = sd_event_add_time_relative(r->event, &r->timeout, CLOCK_MONOTONIC, TIMEOUT_US, 0, on_timeout, r);
        if (e >= 0)
                e = call(r->bus, on_reply, r);
        if (e < 0)
                tell(r, e);
}

int reload_ask(struct reload *r, reload_fn fn, void (*drop)(void *userdata), void *userdata) {
        struct waiter *w = malloc(sizeof(*w)), **last = &r->next;

        if (!w)
                return -ENOMEM;
        *w = (struct waiter) { .fn = fn, .drop = drop, .userdata = userdata };
        while (*last)
                last = &(*last)->next;
        *last = w;
        if (!r->bus)
                begin(r);
        return 0;
}

static int on_reply_now(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        (void) error;
        *(int *) userdata = -sd_bus_message_get_errno(m);
        return 0;
}

int reload_now(int64_t timeout_us) {
        const int64_t deadline = clock_mono_us() + timeout_us;
        sd_bus *bus = NULL;
        int result = 1, r = connect_private(&bus);

        if (r >= 0)
                r = call(bus, on_reply_now, &result);
        while (r >= 0 && result > 0) {
                const int64_t left = deadline - clock_mono_us();

                r = left <= 0 ? -ETIMEDOUT : sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, (uint64_t) left);
        }
        (void) sd_bus_close_unref(bus);
        return r < 0 ? r : result;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* fleet_floor PORT FLEET GROUP BYTES ANSWERS: publishes so many bytes where an order to the group goes, and says how
 * many microseconds later the last of so many answers was there. Nobody looks at any of it. */

#include <string.h>
#include <time.h>

#include <sodium.h>

#include "policy/subject.h"
#include "tests/bench/fleet_wire.h"

#define WAIT_US (120ULL * 1000 * 1000)

static struct {
        sd_event *event;
        struct wire *wire;
        char order[SUBJECT_SIZE], answers[SUBJECT_SIZE], *bytes;
        size_t n_bytes, left;
        int64_t start_us;
} floor_run;

static int64_t now_us(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void on_open(void *userdata) {
        (void) userdata;
        wire_hear(floor_run.wire, floor_run.answers);
        wire_settle(floor_run.wire);
}

static void on_settled(void *userdata) {
        (void) userdata;
        floor_run.start_us = now_us();
        wire_say(floor_run.wire, floor_run.order, NULL, floor_run.bytes, floor_run.n_bytes);
}

static void on_message(void *userdata, const struct wire_message *m) {
        (void) userdata;
        (void) m;
        if (--floor_run.left > 0)
                return;
        printf("%lld\n", (long long) (now_us() - floor_run.start_us));
        (void) sd_event_exit(floor_run.event, 0);
}

static void on_closed(void *userdata) {
        (void) userdata;
        fprintf(stderr, "fleet_floor: the server closed the connection\n");
        (void) sd_event_exit(floor_run.event, 1);
}

static int on_late(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        (void) userdata;
        fprintf(stderr, "fleet_floor: %zu answers are missing\n", floor_run.left);
        return sd_event_exit(floor_run.event, 1);
}

int main(int argc, char **argv) {
        static const struct wire_calls calls = {
                .open = on_open, .settled = on_settled, .message = on_message, .closed = on_closed
        };
        struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        struct wire_server to = { .address = from };
        struct subject s = { .kind = SUBJECT_CMD_GROUP };
        int r;

        if (argc != 6 || sodium_init() < 0)
                return 2;
        to.address.sin_port = htons((uint16_t) atoi(argv[1]));
        (void) snprintf(s.fleet, sizeof(s.fleet), "%s", argv[2]);
        (void) snprintf(s.group, sizeof(s.group), "%s", argv[3]);
        randombytes_buf(s.id.b, sizeof(s.id.b));
        floor_run.n_bytes = strtoul(argv[4], NULL, 10);
        floor_run.left = strtoul(argv[5], NULL, 10);
        floor_run.bytes = calloc(floor_run.n_bytes, 1);
        r = floor_run.bytes && subject_build(&s, floor_run.order) == 0 &&
                            subject_answers(s.fleet, &s.id, floor_run.answers) == 0
                    ? sd_event_default(&floor_run.event)
                    : -EINVAL;
        if (r >= 0)
                r = wire_new(floor_run.event, &from, &to, &calls, NULL, &floor_run.wire);
        if (r >= 0)
                r = sd_event_add_time_relative(floor_run.event, NULL, CLOCK_MONOTONIC, WAIT_US, 0, on_late, NULL);
        return r < 0 ? 1 : sd_event_loop(floor_run.event);
}

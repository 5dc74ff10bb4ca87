/* SPDX-License-Identifier: Apache-2.0 */

/* fleet_sim PORT TRUST DIR FROM COUNT SPREAD_S: hosts FROM to FROM + COUNT - 1 of DIR (fleet_make made them), connected
 * to the nats-server at that port of the loopback.
 *
 * Says a line of JSON when all of them are connected, again after each time that none was. Reads lines:
 *   counters         says what happened so far
 *   echo BYTES N     from now on every message is answered with N messages of so many bytes, by no agent; 0: by it
 *                    again
 *   at-once 0|1      whether lost connections are tried again at once, or when the relay would
 *   tls FILE         connections to come are encrypted, to a server that the authorities of the file know; -: none is
 *
 * Ends with its input. */

#include "tests/bench/fleet_host.h"

#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include <sodium.h>

#include "tests/bench/fleet_core.h"
#include "tests/bench/fleet_tls.h"
#include "tests/bench/fleet_wire.h"

static struct fleet fleet;
static size_t count;

static int64_t now_ms(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void fail(const char *what, int r) {
        fprintf(stderr, "fleet_sim: %s: %s\n", what, strerror(-r));
        exit(1);
}

static int64_t rss_kb(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
        long pages = 0, resident = 0;

        return f && fscanf(f, "%ld %ld", &pages, &resident) == 2 ? resident * (sysconf(_SC_PAGESIZE) / 1024) : 0;
}

static int64_t cpu_ms(void) {
        struct rusage u;

        (void) getrusage(RUSAGE_SELF, &u);
        return u.ru_utime.tv_sec * 1000LL + u.ru_stime.tv_sec * 1000LL +
               (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void say_counters(const char *why) {
        printf("{\"%s\":%zu,\"at_ms\":%" PRId64 ",\"failures\":%zu,\"messages\":%" PRIu64 ",\"answers\":%" PRIu64
               ",\"caught\":%" PRIu64 ",\"caught_up\":%zu,\"core_ms\":%" PRIu64 ",\"in\":%" PRIu64 ",\"out\":%" PRIu64
               ",\"rss_kb\":%" PRId64 ",\"cpu_ms\":%" PRId64 "}\n",
               why, fleet.n_ready, now_ms(), fleet.failures, fleet.messages, fleet.answers, fleet.caught,
               fleet.n_caught_up, fleet.core_ns / 1000000, wire_traffic.in, wire_traffic.out, rss_kb(), cpu_ms());
        (void) fflush(stdout);
}

static void on_ready(struct fleet *f) {
        if (f->n_ready == count)
                say_counters("ready");
}

static void trust(const char *ca) {
        int r = 0;

        fleet.server.trust = NULL;
        if (strcmp(ca, "-") != 0)
                r = tls_trust_new(ca, &fleet.server.trust);
        if (r < 0)
                fail(ca, r);
}

static void obey(const char *line) {
        unsigned at_once;
        char ca[128];

        if (strcmp(line, "counters\n") == 0)
                say_counters("counters");
        else if (sscanf(line, "at-once %u", &at_once) == 1)
                fleet.again_at_once = at_once;
        else if (sscanf(line, "tls %127s", ca) == 1)
                trust(ca);
        else if (sscanf(line, "echo %zu %u", &fleet.echo, &fleet.echoes) < 1)
                fail(line, -EINVAL);
}

static int on_input(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        char line[160];

        (void) fd;
        (void) revents;
        (void) userdata;
        /* whoever writes a line writes all of it, and waits for what it does */
        if (!fgets(line, sizeof(line), stdin))
                return sd_event_exit(sd_event_source_get_event(s), 0);
        obey(line);
        return 0;
}

static void make(const struct fleet_world *world, const char *dir, size_t from) {
        for (size_t i = 0; i < count; i++) {
                struct fleet_core *core;
                struct fleet_host *host;
                char *state;
                int r = asprintf(&state, "%s/%zu", dir, from + i) < 0 ? -ENOMEM : 0;

                if (r == 0)
                        r = fleet_core_new(world, state, &core);
                if (r < 0)
                        fail(state, r);
                r = fleet_host_new(&fleet, core, from + i, &host);
                if (r < 0)
                        fail("host", r);
        }
}

int main(int argc, char **argv) {
        struct fleet_world *world;
        char *ledger;
        int r;

        if (argc != 7) {
                fprintf(stderr, "fleet_sim PORT TRUST DIR FROM COUNT SPREAD_S\n");
                return 2;
        }
        /* what asks a stream is large, mostly untouched, and gone soon */
        (void) mallopt(M_MMAP_THRESHOLD, 128 * 1024);
        count = strtoul(argv[5], NULL, 10);
        fleet.server.address = (struct sockaddr_in) { .sin_family = AF_INET,
                                                      .sin_port = htons((uint16_t) atoi(argv[1])),
                                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        fleet.broker.spread_s = atoi(argv[6]);
        fleet.ready = on_ready;
        r = sodium_init() < 0 ? -EIO : sd_event_default(&fleet.event);
        if (r >= 0)
                r = asprintf(&ledger, "%s/ledger.%s", argv[3], argv[4]) < 0 ? -ENOMEM : 0;
        if (r == 0)
                r = fleet_world_new(fleet.event, argv[2], ledger, &world);
        if (r < 0)
                fail(argv[2], r);
        /* OpenSSL writes to sockets that may be gone */
        (void) signal(SIGPIPE, SIG_IGN);
        setvbuf(stdin, NULL, _IONBF, 0);
        r = sd_event_add_io(fleet.event, NULL, STDIN_FILENO, EPOLLIN, on_input, NULL);
        if (r < 0)
                fail("stdin", r);
        make(world, argv[3], strtoul(argv[4], NULL, 10));
        (void) malloc_trim(0);
        return sd_event_loop(fleet.event) < 0;
}

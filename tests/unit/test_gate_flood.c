/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: tests/lib/gate_rig.c agent/gate/limit.c agent/util/clock.c */

/* The real freezed-gate under those who mean it ill. Nothing here measures speed (`make bench` does): a genuine order
 * gets through, and the gate neither grows nor works for a uid beyond its budget. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/gate/limit.h"
#include "agent/util/clock.h"
#include "lib/gate_rig.h"
#include "lib/people.h"

#define N_KEYS KEY_STRANGER
/* nobody, and others that nothing here runs as */
#define UID_BAD   65534U
#define UID_OTHER 64000U
#define WIDTH     4
#define N_GENUINE 30
/* What malloc may keep after it has seen the largest message once. */
#define GROWTH_KB 256

static struct rig rig;

static int start(void **state) {
        (void) state;
        rig_start(&rig);
        rig_keys(&rig, N_KEYS);
        return 0;
}

static int stop(void **state) {
        (void) state;
        rig_stop(&rig);
        return 0;
}

static void need_root(void) {
        if (geteuid() == 0)
                return;
        print_message("skip: needs root to be several users\n");
        skip();
}

/* The gate lets it in and listens to it. */
static void expect_served(int client) {
        char text[1024];
        struct frame f;

        rig_send_string(client, "{\"query\":\"health\",\"nonce\":\"00112233445566778899aabbccddeeff\"}");
        f = rig_take(&rig);
        assert_int_equal(f.kind, FRAME_HEALTH);
        rig_reply(&rig, f.number, "{}", 2, false);
        assert_true(rig_recv(client, text, sizeof(text)));
        assert_string_equal(text, "{}");
}

static void expect_busy(int client) {
        char text[1024];

        assert_true(rig_recv(client, text, sizeof(text)));
        assert_string_equal(rig_refusal_id(text), "busy");
        assert_false(rig_recv(client, text, sizeof(text)));
        assert_int_equal(close(client), 0);
}

static void gate_takes_sixteen_connections_of_a_uid(void **state) {
        int clients[LIMIT_CONNECTIONS_PER_UID];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                clients[i] = rig_connect(&rig, geteuid());
        expect_busy(rig_connect(&rig, geteuid()));
        expect_served(clients[0]);
        expect_served(clients[ELEMENTSOF(clients) - 1]);

        assert_int_equal(close(clients[3]), 0);
        clients[3] = rig_connect(&rig, geteuid());
        expect_served(clients[3]);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                assert_int_equal(close(clients[i]), 0);
}

/* Places for people, by users that each have as many as they may; and so many are left for root. */
#define N_PEOPLE (LIMIT_CONNECTIONS_MAX - 2 * LIMIT_CONNECTIONS_KEPT)

static void fill(int clients[static N_PEOPLE], uid_t first, unsigned int per_uid) {
        for (size_t i = 0; i < N_PEOPLE; i++)
                clients[i] = rig_connect(&rig, first + i / per_uid);
        for (size_t i = 0; i < N_PEOPLE; i++)
                expect_served(clients[i]);
}

static void leave(const int *clients, size_t n) {
        for (size_t i = 0; i < n; i++)
                assert_int_equal(close(clients[i]), 0);
}

static void gate_displaces_who_failed_first_when_it_is_full(void **state) {
        int clients[N_PEOPLE], newcomer;

        (void) state;
        need_root();
        fill(clients, UID_OTHER, LIMIT_CONNECTIONS_PER_UID);
        /* what the second uid sends is no slip any more */
        for (unsigned int i = 0; i < LIMIT_SLIPS_MAX; i++)
                assert_string_equal(rig_refused(clients[LIMIT_CONNECTIONS_PER_UID], "x", 1), "malformed");
        newcomer = rig_connect(&rig, UID_BAD);
        expect_served(newcomer);
        /* of that uid the one that was silent for longest */
        expect_busy(clients[LIMIT_CONNECTIONS_PER_UID + 1]);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                if (i != LIMIT_CONNECTIONS_PER_UID + 1) {
                        expect_served(clients[i]);
                        assert_int_equal(close(clients[i]), 0);
                }
        assert_int_equal(close(newcomer), 0);
}

/* Clients of three users, of users without number, and of users whose question waits. */
static void gate_lets_a_newcomer_in_when_who_is_there_does_nothing(void **state) {
        int clients[N_PEOPLE], newcomer;
        struct frame f;

        (void) state;
        need_root();
        fill(clients, UID_OTHER, LIMIT_CONNECTIONS_PER_UID);
        expect_served(clients[0]);
        newcomer = rig_connect(&rig, UID_BAD);
        expect_served(newcomer);
        expect_busy(clients[1]);
        assert_int_equal(close(newcomer), 0);
        expect_served(clients[0]);
        assert_int_equal(close(clients[0]), 0);
        leave(clients + 2, ELEMENTSOF(clients) - 2);

        /* others: the gate may not have seen yet that those left */
        fill(clients, UID_OTHER + N_PEOPLE, 1);
        newcomer = rig_connect(&rig, UID_BAD);
        expect_served(newcomer);
        expect_busy(clients[0]);
        /* a uid does not displace its equals */
        expect_busy(rig_connect(&rig, UID_BAD));
        /* nor anybody whose order the core has; the one whose question waits is next */
        for (size_t i = 1; i < ELEMENTSOF(clients); i++) {
                _cleanup_free_ char *order = rig_envelope("{\"n\":1}", BY(ALICE));

                rig_send_string(clients[i], order);
                f = rig_take(&rig);
                assert_int_equal(f.kind, FRAME_COMMAND);
        }
        clients[0] = rig_connect(&rig, UID_BAD + 1);
        expect_served(clients[0]);
        expect_busy(newcomer);
        leave(clients, ELEMENTSOF(clients));
}

static void gate_keeps_places_for_root_and_services(void **state) {
        int people[N_PEOPLE], services[LIMIT_CONNECTIONS_KEPT], root[LIMIT_CONNECTIONS_KEPT];

        (void) state;
        need_root();
        fill(people, UID_OTHER, LIMIT_CONNECTIONS_PER_UID);
        for (size_t i = 0; i < ELEMENTSOF(services); i++)
                services[i] = rig_connect(&rig, LIMIT_SERVICE_UID_MAX);
        for (size_t i = 0; i < ELEMENTSOF(root); i++)
                root[i] = rig_connect(&rig, 0);
        for (size_t i = 0; i < ELEMENTSOF(root); i++) {
                expect_served(services[i]);
                expect_served(root[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(people); i++)
                expect_served(people[i]);
        leave(people, ELEMENTSOF(people));
        leave(services, ELEMENTSOF(services));
        leave(root, ELEMENTSOF(root));
}

/* What the gate has used of processors. */
static int64_t cpu_of_gate_ms(void) {
        char path[64];
        unsigned long user, system;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", rig.gate);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system),
                         2);
        return (int64_t) (user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

static void gate_without_a_descriptor_rests_serves_and_lets_in_later(void **state) {
        int first = rig_connect(&rig, geteuid()), second;
        struct rlimit before;

        (void) state;
        expect_served(first);
        assert_int_equal(prlimit(rig.gate, RLIMIT_NOFILE, NULL, &before), 0);
        assert_int_equal(prlimit(rig.gate, RLIMIT_NOFILE, &(struct rlimit) { 4, before.rlim_max }, NULL), 0);
        second = rig_connect(&rig, geteuid());
        const int64_t used = cpu_of_gate_ms();
        assert_int_equal(poll(&(struct pollfd) { .fd = second, .events = POLLIN }, 1, 1000), 0);
        assert_in_range(cpu_of_gate_ms() - used, 0, 200);
        expect_served(first);

        assert_int_equal(prlimit(rig.gate, RLIMIT_NOFILE, &before, NULL), 0);
        expect_served(second);
        assert_int_equal(close(first), 0);
        assert_int_equal(close(second), 0);
}

/* Reads what is there; how many refusals it was. */
static unsigned int drain(int client) {
        unsigned int n = 0;
        char text[1024];

        while (recv(client, text, sizeof(text), MSG_DONTWAIT) > 0)
                n++;
        return n;
}

/* Sends as fast as the gate takes it, until killed or for so long; how many messages were refused. */
static unsigned int flood(const char *const *texts, size_t n_texts, int64_t us) {
        struct pollfd clients[WIDTH];
        unsigned int n = 0;
        size_t turn = 0;

        for (size_t i = 0; i < WIDTH; i++)
                clients[i] = (struct pollfd) { .fd = rig_try_connect(&rig), .events = POLLOUT | POLLIN };
        for (int64_t end = clock_mono_us() + us; clock_mono_us() < end;) {
                (void) poll(clients, WIDTH, 10);
                for (size_t i = 0; i < WIDTH; i++) {
                        const char *text = texts[turn++ % n_texts];

                        n += drain(clients[i].fd);
                        (void) send(clients[i].fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
                }
        }
        for (size_t i = 0; i < WIDTH; i++)
                (void) close(clients[i].fd);
        return n;
}

static pid_t flood_as(uid_t uid, const char *const *texts, size_t n_texts) {
        pid_t pid = rig_fork(uid);

        if (pid == 0) {
                (void) flood(texts, n_texts, 3600LL * 1000 * 1000);
                _exit(EXIT_SUCCESS);
        }
        return pid;
}

/* Connects and leaves as fast as it can. */
static pid_t storm_as(uid_t uid) {
        pid_t pid = rig_fork(uid);

        while (pid == 0) {
                int fd = rig_try_connect(&rig);

                if (fd >= 0)
                        (void) close(fd);
        }
        return pid;
}

static void end_flood(pid_t pid) {
        int status;

        /* still at it: else nothing was tested */
        assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void give_genuine_orders(unsigned int n) {
        _cleanup_free_ char *order = rig_envelope("{\"genuine\":1}", BY(ALICE));
        int client = rig_connect(&rig, geteuid());
        char text[1024];

        for (unsigned int i = 0; i < n; i++) {
                struct frame f;

                rig_send_string(client, order);
                f = rig_take(&rig);
                assert_int_equal(f.kind, FRAME_COMMAND);
                assert_memory_equal(f.payload, "{\"genuine\":1}", f.n_payload);
                rig_reply(&rig, f.number, "{}", 2, false);
                assert_true(rig_recv(client, text, sizeof(text)));
                assert_string_equal(text, "{}");
                (void) usleep(10 * 1000);
        }
        assert_int_equal(close(client), 0);
}

static void gate_hears_a_genuine_order_through_a_flood_and_does_not_grow(void **state) {
        _cleanup_free_ char *unknown = rig_envelope("{}", BY(STRANGER)), *forged = rig_forged("{}", BY(BOB)),
                            *large = malloc(DSSE_ENVELOPE_MAX + 2);
        const char *texts[] = { unknown, forged, "{", unknown, forged, large };
        long before;
        pid_t pid;

        (void) state;
        memset(large, '[', DSSE_ENVELOPE_MAX + 1);
        large[DSSE_ENVELOPE_MAX + 1] = '\0';
        pid = flood_as(UID_BAD, texts, ELEMENTSOF(texts));
        give_genuine_orders(N_GENUINE);
        before = rig_proc(&rig, "status", "VmRSS:");
        assert_true(before > 0);
        give_genuine_orders(2 * N_GENUINE);
        assert_in_range(rig_proc(&rig, "status", "VmRSS:"), 1, before + GROWTH_KB);
        end_flood(pid);
}

static void gate_hears_a_genuine_order_through_a_storm_of_connections(void **state) {
        pid_t pid = storm_as(UID_BAD);

        (void) state;
        give_genuine_orders(N_GENUINE);
        for (int i = 0; i < N_GENUINE; i++)
                give_genuine_orders(1);
        end_flood(pid);
}

static void gate_works_no_longer_for_a_uid_than_its_budget(void **state) {
        _cleanup_free_ char *forged = rig_forged("{}", BY(BOB));
        const char *texts[] = { forged };
        int64_t began = clock_mono_us(), cost = limit_cost_us(strlen(forged), 1), took;
        unsigned int n = 0;

        (void) state;
        /* a busy machine comes to it later */
        do
                n += flood(texts, 1, 1500 * 1000);
        while (n < LIMIT_BUDGET_US / cost / 2 && clock_mono_us() - began < RIG_WAIT_MS * 1000LL);
        took = clock_mono_us() - began;
        /* the budget was spent, what came back meanwhile may have been spent too, and not one message more */
        assert_in_range(n, LIMIT_BUDGET_US / cost / 2, (LIMIT_BUDGET_US + took) / cost + 1);
        /* and then it is heard again */
        give_genuine_orders(1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(gate_takes_sixteen_connections_of_a_uid, start, stop),
                cmocka_unit_test_setup_teardown(gate_displaces_who_failed_first_when_it_is_full, start, stop),
                cmocka_unit_test_setup_teardown(gate_lets_a_newcomer_in_when_who_is_there_does_nothing, start, stop),
                cmocka_unit_test_setup_teardown(gate_keeps_places_for_root_and_services, start, stop),
                cmocka_unit_test_setup_teardown(gate_without_a_descriptor_rests_serves_and_lets_in_later, start, stop),
                cmocka_unit_test_setup_teardown(gate_hears_a_genuine_order_through_a_flood_and_does_not_grow, start,
                                                stop),
                cmocka_unit_test_setup_teardown(gate_hears_a_genuine_order_through_a_storm_of_connections, start, stop),
                cmocka_unit_test_setup_teardown(gate_works_no_longer_for_a_uid_than_its_budget, start, stop),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}

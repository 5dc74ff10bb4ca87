/* SPDX-License-Identifier: Apache-2.0 */

/* rounds UNIT CGROUP UNITS ROUNDS FLEET KEY KEY [alone]: runs on the host that is measured. Each round contains the
 * unit through the agent and releases it, does the floor's work on the same cgroup, and does what the stock tools do;
 * `alone` leaves out floor and tools. Where UNITS is more than 1 they are contained by one command, a `#` in UNIT and
 * CGROUP stands for 1 to UNITS, and the stock tools, which have no such command, are left out. One line for every
 * figure, `name microseconds`. A round that is not answered `contained` ends the program with status 1. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>

#include <sodium.h>

#include "tests/bench/floor.h"
#include "tests/bench/orders.h"
#include "tests/bench/peer.h"

#define GATE        "/run/freezed/command.sock"
#define LEDGER      "/var/lib/freezed/ledger/00000001.log"
#define CGROUP_ROOT "/sys/fs/cgroup/"
/* between one thing and the next: the service opens its connections again, the agent loads its next set of programs */
#define SETTLE_US 40000
#define WARM_UP   3

#define UNITS_MAX 256

/* What each round is about. */
struct held_units {
        char *unit[UNITS_MAX], *cgroup[UNITS_MAX];
        size_t n;
};

static char *numbered(const char *pattern, size_t number) {
        const char *mark = strchr(pattern, '#');
        char *s = NULL;
        int r = mark ? asprintf(&s, "%.*s%zu%s", (int) (mark - pattern), pattern, number, mark + 1)
                     : asprintf(&s, "%s", pattern);

        if (r < 0)
                fail("out of memory");
        return s;
}

static void name_units(struct held_units *u, const char *unit, const char *cgroup, int n) {
        for (u->n = 0; u->n < UNITS_MAX && u->n < (size_t) n; u->n++) {
                _cleanup_free_ char *dir = numbered(cgroup, u->n + 1);

                u->unit[u->n] = numbered(unit, u->n + 1);
                if (asprintf(&u->cgroup[u->n], CGROUP_ROOT "%s", dir) < 0)
                        fail("out of memory");
        }
}

static void forget_units(struct held_units *u) {
        for (size_t i = 0; i < u->n; i++) {
                free(u->unit[i]);
                free(u->cgroup[i]);
        }
}

static void say(const char *name, int64_t us) {
        (void) printf("%s %lld\n", name, (long long) us);
}

static bool is_frozen(const char *cgroup_dir) {
        char path[512], text[256] = "";
        _cleanup_fclose_ FILE *f = NULL;

        (void) snprintf(path, sizeof(path), "%s/cgroup.events", cgroup_dir);
        f = fopen(path, "re");
        return f && fread(text, 1, sizeof(text) - 1, f) > 0 && strstr(text, "frozen 1");
}

static bool are_frozen(const struct held_units *u, bool frozen) {
        for (size_t i = 0; i < u->n; i++)
                if (is_frozen(u->cgroup[i]) != frozen)
                        return false;
        return true;
}

static const char *state_of(const json_t *receipt) {
        return json_string_value(json_object_get(receipt, "state"));
}

/* The collector of one round must not run during the next. */
static void wait_final(int gate, json_t *receipt) {
        while (!json_is_true(json_object_get(receipt, "final"))) {
                json_decref(receipt);
                receipt = orders_next(gate);
        }
        json_decref(receipt);
}

static void say_phases(json_t *receipt) {
        const char *name;
        json_t *us;

        json_object_foreach(json_object_get(receipt, "phases_us"), name, us) {
                char full[64];

                (void) snprintf(full, sizeof(full), "phase_%s", name);
                say(full, json_integer_value(us));
        }
}

static void agent_round(int gate, const struct held_units *u, const struct orders_pair *p, bool quiet) {
        int64_t us;
        json_t *receipt = orders_ask(gate, p->contain, &us);

        if (strcmp(state_of(receipt), "contained") != 0 || !are_frozen(u, true))
                fail("not contained: %s", json_dumps(receipt, 0));
        if (!quiet) {
                say("agent", us);
                say_phases(receipt);
        }
        wait_final(gate, receipt);
        receipt = orders_ask(gate, p->release, &us);
        if (strcmp(state_of(receipt), "released") != 0 || !are_frozen(u, false))
                fail("not released: %s", json_dumps(receipt, 0));
        if (!quiet)
                say("release", us);
        wait_final(gate, receipt);
}

static void say_floor(struct floor *f) {
        struct floor_times t;

        floor_round(f, &t);
        say("floor", t.total);
        say("floor_verify", t.verify);
        say("floor_record", t.record);
        say("floor_links", t.links);
        say("floor_freeze", t.freeze);
}

static void say_peer(const char *unit, const char *cgroup_dir) {
        struct peer_times t;

        peer_round(unit, cgroup_dir, &t);
        say("tools", t.total);
        say("tools_nft", t.nft);
        say("tools_freeze", t.freeze);
        say("tools_check", t.check);
}

/* The size of the newest order in the ledger. */
static size_t record_size(void) {
        _cleanup_fclose_ FILE *f = fopen(LEDGER, "re");
        size_t found = 0;
        uint32_t n;

        while (f && fread(&n, sizeof(n), 1, f) == 1 && n != 0) {
                const size_t n_body = ntohl(n);
                _cleanup_free_ char *body = calloc(1, n_body + 32 + 1);

                if (!body || fread(body, 1, n_body + 32, f) != n_body + 32)
                        break;
                if (memmem(body, n_body, "\"kind\":\"order\"", 14) && memmem(body, n_body, "\"verb\":\"contain\"", 16))
                        found = sizeof(n) + n_body + 32;
        }
        if (found == 0)
                fail("no order in %s", LEDGER);
        return found;
}

static void measure(const struct held_units *u, const struct orders_signers *s, const struct orders_pair *pairs,
                    int rounds, bool alone) {
        const char *const *cgroups = (const char *const *) u->cgroup;
        struct floor *floor = NULL;
        int gate = orders_connect(GATE);

        for (int i = 0; i < rounds; i++) {
                const bool warm = i >= WARM_UP;

                agent_round(gate, u, &pairs[i], !warm);
                (void) usleep(SETTLE_US);
                if (!warm || alone)
                        continue;
                if (!floor)
                        floor = floor_new(s, pairs[i].contain, "/var/lib/freezed", cgroups, u->n, record_size());
                say_floor(floor);
                (void) usleep(SETTLE_US);
                if (u->n > 1)
                        continue;
                say_peer(u->unit[0], u->cgroup[0]);
                (void) usleep(SETTLE_US);
        }
        if (floor)
                floor_free(floor);
        (void) close(gate);
}

int main(int argc, char **argv) {
        const bool alone = argc == 9 && strcmp(argv[8], "alone") == 0;
        struct orders_signers signers;
        struct held_units units;
        int rounds;

        if ((argc != 8 && !alone) || sodium_init() < 0)
                fail("usage: rounds UNIT CGROUP UNITS ROUNDS FLEET KEY KEY [alone]");
        rounds = atoi(argv[4]) + WARM_UP;
        name_units(&units, argv[1], argv[2], atoi(argv[3]));
        orders_load(argv[5], (const char *const[]) { argv[6], argv[7] }, &signers);
        peer_prepare(argv[2]);
        _cleanup_free_ struct orders_pair *pairs = calloc((size_t) rounds, sizeof(*pairs));
        if (!pairs)
                fail("out of memory");
        for (int i = 0; i < rounds; i++)
                pairs[i] = orders_sign(&signers, (const char *const *) units.unit, units.n);
        measure(&units, &signers, pairs, rounds, alone);
        for (int i = 0; i < rounds; i++)
                orders_pair_done(&pairs[i]);
        forget_units(&units);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* rounds UNIT CGROUP ROUNDS FLEET KEY KEY [alone]: runs on the host that is measured. Each round contains the unit
 * through the agent and releases it, does the floor's work on the same cgroup, and does what the stock tools do;
 * `alone` leaves out floor and tools. One line for every figure, `name microseconds`. A round that is not answered
 * `contained` ends the program with status 1. */

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

static void agent_round(int gate, const char *cgroup_dir, const struct orders_pair *p, bool quiet) {
        int64_t us;
        json_t *receipt = orders_ask(gate, p->contain, &us);

        if (strcmp(state_of(receipt), "contained") != 0 || !is_frozen(cgroup_dir))
                fail("not contained: %s", json_dumps(receipt, 0));
        if (!quiet) {
                say("agent", us);
                say_phases(receipt);
        }
        wait_final(gate, receipt);
        receipt = orders_ask(gate, p->release, &us);
        if (strcmp(state_of(receipt), "released") != 0 || is_frozen(cgroup_dir))
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

int main(int argc, char **argv) {
        const bool alone = argc == 8 && strcmp(argv[7], "alone") == 0;
        struct orders_signers signers;
        struct floor *floor = NULL;
        char cgroup_dir[512];
        int rounds, gate;

        if ((argc != 7 && !alone) || sodium_init() < 0)
                fail("usage: rounds UNIT CGROUP ROUNDS FLEET KEY KEY [alone]");
        rounds = atoi(argv[3]) + WARM_UP;
        (void) snprintf(cgroup_dir, sizeof(cgroup_dir), CGROUP_ROOT "%s", argv[2]);
        orders_load(argv[4], (const char *const[]) { argv[5], argv[6] }, &signers);
        peer_prepare(argv[2]);
        gate = orders_connect(GATE);
        _cleanup_free_ struct orders_pair *pairs = calloc((size_t) rounds, sizeof(*pairs));
        for (int i = 0; pairs && i < rounds; i++)
                pairs[i] = orders_sign(&signers, argv[1]);
        for (int i = 0; pairs && i < rounds; i++) {
                const bool warm = i >= WARM_UP;

                agent_round(gate, cgroup_dir, &pairs[i], !warm);
                (void) usleep(SETTLE_US);
                if (!warm || alone)
                        continue;
                if (!floor)
                        floor = floor_new(&signers, pairs[i].contain, "/var/lib/freezed", cgroup_dir, record_size());
                say_floor(floor);
                (void) usleep(SETTLE_US);
                say_peer(argv[1], cgroup_dir);
                (void) usleep(SETTLE_US);
        }
        for (int i = 0; pairs && i < rounds; i++)
                orders_pair_done(&pairs[i]);
        if (floor)
                floor_free(floor);
        (void) close(gate);
        return 0;
}

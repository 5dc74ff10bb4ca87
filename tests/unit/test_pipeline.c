/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: malloc */
/* WRAP: calloc */
/* WRAP: reallocarray */
/* WRAP: fdatasync */
/* LINK: agent/core/pipeline.c agent/core/anew.c agent/core/preserved.c agent/core/paths.c */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c */

/* A frame on its way to what carries it out, which here only records it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"
#include "lib/oom.h"
#include "lib/scratch.h"
#include "lib/order_box.h"

#include "agent/core/certified.h"
#include "agent/core/custody.h"
#include "agent/core/fold.h"
#include "agent/core/hearing.h"
#include "agent/core/hostkey.h"
#include "agent/core/lease.h"
#include "agent/core/order.h"
#include "agent/core/pipeline.h"
#include "agent/core/plan.h"
#include "agent/core/refusal.h"
#include "agent/core/release.h"
#include "agent/core/retain.h"
#include "agent/core/rooted.h"
#include "agent/core/status.h"

#define SEGMENT_SIZE (1024U * 1024)

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size) {
        if (oom_on && oom_left-- == 0) {
                oom_hit = true;
                return NULL;
        }
        return __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size) {
        if (oom_on && oom_left-- == 0) {
                oom_hit = true;
                return NULL;
        }
        return __real_reallocarray(p, n, size);
}

static bool disk_fails;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd) {
        errno = EIO;
        return disk_fails ? -1 : __real_fdatasync(fd);
}

int64_t clock_wall_ms(void) {
        return NOW;
}

int64_t clock_boot_ms(void) {
        return HOUR;
}

int64_t clock_mono_us(void) {
        return 0;
}

bool clock_synced(void) {
        return true;
}

void clock_boot_id(uint8_t ret[static 16]) {
        memset(ret, 7, 16);
}

/* What became of the last frame. */
static struct {
        unsigned answered, refused, arrived;
        enum reason reason;
} told;

/* What an order takes besides its record. */
static int carry_out(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p) {
        struct sites sites = { .v = calloc(1, sizeof(*sites.v)) };
        _cleanup_(recorded_freep) struct recorded *recorded = NULL;
        _cleanup_free_ char *receipt = NULL;
        int r;

        if (sites.v) {
                sites.v[sites.n++] = SITE_NULL;
                sites.v[0].target = authorised_command(authorised)->targets[0];
                sites.v[0].path = strdup("/system.slice/nginx.service");
        }
        if (!sites.v || !sites.v[0].path) {
                sites_done(&sites);
                authorised_free(authorised);
                return -ENOMEM;
        }
        r = record_order(a, authorised, d, &sites, p, &recorded);
        if (r < 0)
                return r;
        receipt = malloc(1);
        if (!receipt)
                return -ENOMEM;
        told.answered++;
        return 0;
}

int order_stop(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
               const struct answer *to) {
        (void) to;
        return carry_out(a, authorised, d, p);
}

int order_snapshot(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) {
        return order_stop(a, authorised, d, p, to);
}

int release_extend(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) {
        return order_stop(a, authorised, d, p, to);
}

int release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                  const struct answer *to) {
        return order_stop(a, authorised, d, p, to);
}

int retain_order(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                 const struct answer *to) {
        return order_stop(a, authorised, d, p, to);
}

int refusal_answer(struct agent *a, const struct command *c, uint64_t people, const uint8_t *digest,
                   const struct decision *d, const struct answer *to) {
        (void) a;
        (void) c;
        (void) people;
        (void) digest;
        link_refuse(to, d->reason);
        return 0;
}

int refusal_duplicate(struct agent *a, const struct command *c, const uint8_t *digest, const struct answer *to) {
        (void) a;
        (void) c;
        (void) digest;
        (void) to;
        told.answered++;
        return 0;
}

void link_refuse(const struct answer *to, enum reason reason) {
        (void) to;
        told.refused++;
        told.reason = reason;
}

void heard_arrived(struct agent *a, const struct command_id *id, const uint8_t digest[static 32]) {
        (void) a;
        (void) id;
        (void) digest;
        told.arrived++;
}

/* Not asked for here. */
void refusal_for_others(struct agent *a, const struct answer *to) {
        (void) a;
        (void) to;
}

int plan_answer(struct agent *a, const struct authorised *authorised, const struct answer *to) {
        (void) a;
        (void) authorised;
        (void) to;
        return 0;
}

/* How often what is no command came to where it is judged, and what that says. */
static unsigned judged;
static int verdict;

int certified_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        (void) a;
        (void) d;
        (void) to;
        judged++;
        return verdict;
}

int rooted_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        return certified_take(a, d, to);
}

int hearing_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        return certified_take(a, d, to);
}

int status_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        (void) a;
        (void) f;
        (void) to;
        return 0;
}

int health_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        return status_answer(a, f, to);
}

int custody_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        return status_answer(a, f, to);
}

void agent_tick(struct agent *a) {
        (void) a;
}

void agent_idle_work(struct agent *a) {
        (void) a;
}

void lease_arm(struct agent *a) {
        (void) a;
}

static struct scratch dir;

/* As a start makes it, from what is on the disk. */
static void start(void) {
        bool torn;

        agent_begin();
        agent.local = w.local;
        assert_true(sd_event_new(&agent.event) >= 0);
        assert_int_equal(hostkey_open(dir.path, &agent.key), 0);
        memcpy(w.hosts[1], hostkey_public(agent.key)->id, 32);
        assert_int_equal(
                ledger_open(scratch_path(&dir, "ledger"), SEGMENT_SIZE, fold_replay, &agent, &torn, &agent.ledger), 0);
        told.answered = told.refused = told.arrived = 0;
}

static void stop(void) {
        agent.event = sd_event_unref(agent.event);
        hostkey_free(TAKE_PTR(agent.key));
        agent_end();
        hold_set_free(w.holds);
        w.holds = hold_set_new();
        assert_non_null(w.holds);
}

static int begin(void **state) {
        scratch_make(&dir);
        assert_int_equal(set_up(state), 0);
        start();
        return 0;
}

static int end(void **state) {
        stop();
        scratch_remove(&dir);
        return tear_down(state);
}

/* Sends the order that the world holds; false when allocation k failed. */
static bool order_and_fail(size_t k) {
        const struct answer to = { .number = 1 };
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        struct frame f = { .kind = FRAME_COMMAND, .type = DSSE_COMMAND, .number = 1 };

        assert_int_equal(command_to_json(&w.c, &json), 0);
        d = world_sign(json);
        f.payload = d.payload;
        f.n_payload = d.n_payload;
        f.n_sigs = d.n_sigs;
        memcpy(f.sigs, d.sigs, sizeof(f.sigs));
        oom_begin(k);
        pipeline_frame(&agent, &f, &to);
        return !oom_end();
}

static bool begins_anew(void) {
        int code;

        if (sd_event_get_exit_code(agent.event, &code) < 0)
                return false;
        assert_int_equal(code, -ENOMEM);
        return true;
}

/* Whichever allocation fails: the order was carried out, if need be without a record; or nothing of it is remembered
 * anywhere and it can be sent again; or the core ends, and the next start knows what is to be done. */
static void no_order_is_lost_when_memory_runs_out(void **state) {
        unsigned refused = 0, anew = 0;
        bool whole = false;

        (void) state;
        for (uint32_t k = 0; !whole; k++) {
                const uint64_t before = ledger_head(agent.ledger).n;

                w.c.id = id_of(1000 + k);
                whole = order_and_fail(k);
                const bool is_recorded = ledger_head(agent.ledger).n > before;

                assert_int_equal(told.answered + told.refused + begins_anew(), 1);
                if (told.refused) {
                        assert_string_equal(reason_id(told.reason), "machine-failed");
                        assert_false(is_recorded);
                        assert_null(hold_set_seen(agent.holds, &w.c.id));
                        refused++;
                }
                if (begins_anew())
                        assert_true(is_recorded);
                anew += begins_anew();
                stop();
                start();
                assert_int_equal(hold_set_find(agent.holds, &w.c.id) != NULL, is_recorded);
                if (is_recorded)
                        assert_int_equal(hold_set_find(agent.holds, &w.c.id)->state, HOLD_PENDING);
        }
        assert_true(refused > 0 && anew > 1);
}

static enum reason let_go(uint32_t n) {
        told.answered = told.refused = 0;
        order(VERB_RELEASE);
        w.c.id = id_of(n);
        TARGET_HOLDS(3);
        w.by = BY(ALICE) | BY(BOB);
        assert_true(order_and_fail(SIZE_MAX));
        assert_int_equal(told.answered + told.refused, 1);
        return told.refused ? told.reason : REASON_NONE;
}

/* Neither the record nor zeros over it are on the disk for certain: the next start may find it, so it is no refusal,
 * whenever it comes again. */
static void what_the_disk_may_have_taken_is_not_refused(void **state) {
        (void) state;
        w.c.id = id_of(3);
        assert_true(order_and_fail(SIZE_MAX));
        disk_fails = true;
        assert_string_equal(reason_id(let_go(6)), "machine-failed");
        assert_string_equal(reason_id(let_go(6)), "machine-failed");
        assert_string_equal(reason_id(let_go(7)), "ledger-failed");
        disk_fails = false;
        stop();
        start();
        assert_string_equal(reason_id(let_go(6)), "none");
}

/* There is none. */
static enum reason keep_evidence(uint32_t n) {
        told.answered = told.refused = 0;
        order(VERB_EVIDENCE_HOLD);
        w.c.id = id_of(n);
        TARGET_HOLDS(9);
        assert_true(order_and_fail(SIZE_MAX));
        return told.refused ? told.reason : REASON_NONE;
}

/* Nor is what a core that cannot end, and has the ledger, may have recorded; what is not there is not asked for. */
static void what_another_core_may_have_recorded_is_not_refused(void **state) {
        (void) state;
        ledger_free(TAKE_PTR(agent.ledger));
        assert_string_equal(reason_id(let_go(6)), "ledger-failed");
        agent.aside = true;
        assert_string_equal(reason_id(let_go(6)), "machine-failed");
        assert_string_equal(reason_id(keep_evidence(7)), "machine-failed");
        agent.aside = false;
        assert_string_equal(reason_id(keep_evidence(8)), "no-such-evidence");
}

static enum reason hand_in(enum dsse_type type, const char *payload) {
        const struct answer to = { .number = 1 };
        const struct frame f = { .kind = FRAME_COMMAND,
                                 .type = type,
                                 .number = 1,
                                 .payload = (const uint8_t *) payload,
                                 .n_payload = strlen(payload) };

        told.refused = 0;
        pipeline_frame(&agent, &f, &to);
        return told.refused ? told.reason : REASON_NONE;
}

/* Nor is a trust root, or what a registrar says of the host. */
static void whatever_the_disk_may_have_taken_is_not_judged_again(void **state) {
        static const enum dsse_type types[] = { DSSE_TRUST, DSSE_ATTRIBUTES };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                judged = 0;
                verdict = -ENOTRECOVERABLE;
                assert_string_equal(reason_id(hand_in(types[i], "one")), "machine-failed");
                verdict = 0;
                assert_string_equal(reason_id(hand_in(types[i], "one")), "machine-failed");
                assert_int_equal(judged, 1);
                assert_string_equal(reason_id(hand_in(types[i], "another")), "none");
                stop();
                start();
                assert_string_equal(reason_id(hand_in(types[i], "one")), "none");
        }
}

/* A head lists what stops and what releases: nothing else can be what it names, refused or not. */
static void only_what_heads_list_arrives(void **state) {
        static const struct {
                enum verb verb;
                bool listed;
        } cases[] = {
                { VERB_CONTAIN, true },  { VERB_FREEZE, true },           { VERB_RELEASE, true },
                { VERB_EXTEND, false },  { VERB_SNAPSHOT, false },        { VERB_EVIDENCE_HOLD, false },
                { VERB_CONTAIN, false }, { VERB_EVIDENCE_DELETE, false },
        };

        (void) state;
        for (uint32_t i = 0; i < ELEMENTSOF(cases); i++) {
                order(cases[i].verb);
                w.c.id = id_of(1000 + i);
                if (cases[i].verb == VERB_EXTEND || cases[i].verb == VERB_RELEASE)
                        TARGET_HOLDS(7);
                w.c.lease_ms = cases[i].verb == VERB_EXTEND ? MINUTE : 0;
                if (cases[i].verb == VERB_RELEASE)
                        w.by = BY(ALICE) | BY(BOB);
                else if (i == 6) /* may not order it */
                        w.by = BY(DAVE);
                told.arrived = 0;
                assert_true(order_and_fail(SIZE_MAX));
                assert_int_equal(told.arrived, cases[i].listed);
        }
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(no_order_is_lost_when_memory_runs_out),
                CASE(only_what_heads_list_arrives),
                CASE(what_the_disk_may_have_taken_is_not_refused),
                CASE(what_another_core_may_have_recorded_is_not_refused),
                CASE(whatever_the_disk_may_have_taken_is_not_judged_again),
        };

        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}

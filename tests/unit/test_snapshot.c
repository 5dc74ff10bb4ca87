/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/snapshot.c agent/core/folder.c agent/core/plain.c agent/core/preserved.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/log.c agent/util/clock.c agent/util/fault.c */

/* What a start says of a snapshot whose end nobody lived to tell. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/scratch.h"

#include "agent/core/head.h"
#include "agent/core/preserve.h"
#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/retain.h"
#include "agent/core/room.h"
#include "agent/core/snapshot.h"
#include "agent/util/io.h"

#define FOLDER "evidence/SA-20261120-001/" ID
#define ID     "01000000000000000000000000000000"

static const uint8_t digest[32] = { 7 };
static struct scratch dir;
static struct agent agent;
static json_t *told; /* the last receipt */
static bool no_memory;

json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *of, const char *verb,
                      const char *state, reason_set reasons) {
        (void) a;
        (void) id;
        assert_memory_equal(of, digest, sizeof(digest));
        assert_true(reasons == reason_bit(REASON_RECOVERED));
        return no_memory ? NULL : json_pack("{ss ss so}", "verb", verb, "state", state, "flags", json_array());
}

void receipt_add_flag(json_t *receipt, enum reason reason) {
        (void) json_array_append_new(json_object_get(receipt, "flags"), json_string(reason_id(reason)));
}

int receipt_conclude(struct agent *a, json_t *receipt, bool final, struct outcome *o, char **ret) {
        (void) a;
        assert_true(receipt && final && o->id && !o->settle);
        json_decref(told);
        told = json_incref(receipt);
        *ret = strdup("");
        return 0;
}

/* Not asked for here. */
void link_answer(const struct answer *to, const char *envelope, bool more) {
        (void) envelope;
        assert_null(to->link);
        assert_false(more);
}

void link_refuse(const struct answer *to, enum reason reason) {
        (void) to;
        (void) reason;
        fail();
}

int receipt_add_evidence(json_t *receipt, const struct preserved *p) {
        (void) receipt;
        (void) p;
        return -ENOMEM;
}

void receipt_catch_up(struct agent *a, const struct command_id *id, json_t **receipt) {
        (void) a;
        (void) id;
        (void) receipt;
}

int record_evidence(struct agent *a, const struct command_id *id, const struct preserved *p, int64_t keep_ms) {
        (void) a;
        (void) id;
        (void) p;
        (void) keep_ms;
        return -ENOMEM;
}

char *record_envelope(struct agent *a, const struct command_id *id) {
        (void) a;
        (void) id;
        return NULL;
}

void retain_sealed(struct agent *a, const struct command_id *id) {
        (void) a;
        (void) id;
}

void head_turn(struct agent *a, enum epoch_why why) {
        (void) a;
        (void) why;
}

struct seal_position head_position(const struct agent *a) {
        (void) a;
        return (struct seal_position) { 0 };
}

uint64_t room_for_snapshot(const char *state, const struct local *l, const struct shelf *s, uint64_t granted,
                           uint64_t want) {
        (void) state;
        (void) l;
        (void) s;
        (void) granted;
        return want;
}

bool room_provide(const char *state, uint64_t bytes) {
        (void) state;
        (void) bytes;
        return false;
}

int preserve_start(sd_event *event, const struct preserve_job *job, preserve_fn done, void *userdata,
                   struct preserve **ret) {
        (void) event;
        (void) job;
        (void) done;
        (void) userdata;
        (void) ret;
        return -ENOMEM;
}

void preserve_free(struct preserve *p) {
        (void) p;
}

struct sites *held_find(const struct held_list *l, const struct command_id *id) {
        (void) l;
        (void) id;
        return NULL;
}

const char *site_unit(const struct site *s) {
        (void) s;
        return NULL;
}

static int set_up(void **state) {
        (void) state;
        scratch_make(&dir);
        agent = (struct agent) { .config.state = dir.path, .holds = hold_set_new() };
        assert_non_null(agent.holds);
        assert_int_equal(hostkey_open(dir.path, &agent.key), 0);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        json_decref(TAKE_PTR(told));
        hold_set_free(agent.holds);
        hostkey_free(agent.key);
        scratch_remove(&dir);
        return 0;
}

static const char *folder = FOLDER; /* which of them is meant */

static const char *in_folder(const char *name) {
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        return scratch_path(&dir, path);
}

static void make_folder(void) {
        assert_int_equal(io_mkdirs(in_folder("data"), 0700), 0);
}

/* As the host of that key signs it. */
static void sign(const struct hostkey *key, const char *hold, const char *members) {
        _cleanup_free_ char *payload = NULL, *envelope = NULL;
        FILE *f;

        assert_true(asprintf(&payload, "{\"predicate\":{\"hold\":\"%s\",%s}}", hold, members) > 0);
        assert_int_equal(hostkey_envelope(key, DSSE_EVIDENCE, payload, &envelope), 0);
        f = fopen(in_folder("evidence.dsse.json"), "we");
        assert_non_null(f);
        assert_true(fputs(envelope, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void say(enum verb verb) {
        struct command c = { .verb = verb, .id.b = { 1 }, .incident = "SA-20261120-001" };

        snapshot_remains(&agent, &c, digest);
}

static const char *member(const char *name) {
        const char *text = json_string_value(json_object_get(json_object_get(told, "evidence"), name));

        return text ? text : "";
}

/* State, flags, and whether it names what is signed. */
static void expect(const char *state, const char *flag, bool is_signed) {
        const json_t *flags = json_object_get(told, "flags");

        assert_string_equal(json_string_value(json_object_get(told, "state")), state);
        assert_int_equal(json_array_size(flags), flag != NULL);
        if (flag)
                assert_string_equal(json_string_value(json_array_get(flags, 0)), flag);
        assert_int_equal(strlen(member("statement_sha256")), is_signed ? 64 : 0);
}

static void what_was_not_begun_failed(void **state) {
        (void) state;
        say(VERB_SNAPSHOT);
        expect("failed", "evidence-failed", false);
        assert_null(json_object_get(told, "evidence"));
}

static void what_was_not_signed_failed_and_is_named(void **state) {
        (void) state;
        make_folder();
        say(VERB_SNAPSHOT);
        expect("failed", "evidence-failed", false);
        assert_string_equal(member("state"), "failed");
        assert_string_equal(member("folder"), scratch_path(&dir, FOLDER));
}

static void what_was_signed_is_told(void **state) {
        (void) state;
        make_folder();
        sign(agent.key, ID, "\"state\":\"complete\",\"holes\":0,\"objects\":3");
        say(VERB_SNAPSHOT);
        expect("snapshot", NULL, true);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(told, "evidence"), "objects")), 3);
        sign(agent.key, ID, "\"state\":\"complete\",\"holes\":1");
        say(VERB_SNAPSHOT);
        expect("snapshot", "evidence-holes", true);
        sign(agent.key, ID, "\"state\":\"cut-short\"");
        say(VERB_SNAPSHOT);
        expect("partial", "evidence-holes", true);
        sign(agent.key, ID, "\"state\":\"failed\"");
        say(VERB_SNAPSHOT);
        expect("failed", "evidence-failed", true);
}

/* In whichever order they are found. */
static void of_several_the_best_that_is_signed_is_told(void **state) {
        static const char *const states[] = { "failed", "complete", "cut-short" };
        static const char *const folders[] = { FOLDER, FOLDER ".2", FOLDER ".3", FOLDER ".4" };

        (void) state;
        for (size_t best = 0; best < ELEMENTSOF(folders); best++) {
                for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                        char members[64];
                        const size_t k = (i + ELEMENTSOF(folders) - best) % ELEMENTSOF(folders);

                        folder = folders[i];
                        make_folder();
                        (void) unlink(in_folder("evidence.dsse.json"));
                        (void) snprintf(members, sizeof(members), "\"state\":\"%s\",\"holes\":0",
                                        states[(k + 1) % ELEMENTSOF(states)]);
                        if (k < ELEMENTSOF(states))
                                sign(agent.key, ID, members);
                }
                folder = FOLDER;
                say(VERB_SNAPSHOT);
                expect("snapshot", NULL, true);
                assert_string_equal(member("folder"), scratch_path(&dir, folders[best]));
        }
}

static void without_memory_for_a_receipt_nothing_is_told(void **state) {
        (void) state;
        make_folder();
        sign(agent.key, ID, "\"state\":\"complete\",\"holes\":1");
        no_memory = true;
        say(VERB_SNAPSHOT);
        no_memory = false;
        assert_null(told);
}

/* The collector can write what it likes there, and whoever has root can copy. */
static void what_another_signed_is_not(void **state) {
        static const char complete[] = "\"state\":\"complete\",\"holes\":0";
        _cleanup_(hostkey_freep) struct hostkey *other = NULL;
        _cleanup_scratch_ struct scratch of_other;

        (void) state;
        scratch_make(&of_other);
        assert_int_equal(hostkey_open(of_other.path, &other), 0);
        make_folder();
        sign(other, ID, complete);
        say(VERB_SNAPSHOT);
        expect("failed", "evidence-failed", false);
        sign(agent.key, "02000000000000000000000000000000", complete);
        say(VERB_SNAPSHOT);
        expect("failed", "evidence-failed", false);
        sign(agent.key, ID, complete);
        say(VERB_SNAPSHOT);
        expect("snapshot", NULL, true);
}

static void a_hold_that_is_over_is_released(void **state) {
        (void) state;
        say(VERB_CONTAIN);
        expect("released", "evidence-failed", false);
        say(VERB_FREEZE);
        expect("released", NULL, false);
        make_folder();
        sign(agent.key, ID, "\"state\":\"complete\",\"holes\":0");
        say(VERB_CONTAIN);
        expect("released", NULL, true);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_was_not_begun_failed),
                CASE(what_was_not_signed_failed_and_is_named),
                CASE(what_was_signed_is_told),
                CASE(what_another_signed_is_not),
                CASE(a_hold_that_is_over_is_released),
                CASE(of_several_the_best_that_is_signed_is_told),
                CASE(without_memory_for_a_receipt_nothing_is_told),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}

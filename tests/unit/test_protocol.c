/* SPDX-License-Identifier: Apache-2.0 */

/* Holds policy/PROTOCOL.md to the code. Its tables are what the X-macro tables say, and its example is made again from
 * the seed and taken apart again from the envelope. A part of the document is whatever stands between <!-- begin NAME
 * --> and <!-- end NAME -->; when a table differs, the test prints the one that belongs there. */

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/decide.h"
#include "policy/frame.h"
#include "policy/herald.h"
#include "policy/trust.h"
#include "policy/verb.h"

#define DOCUMENT "policy/PROTOCOL.md"

static char *document;

static int read_document(void **state) {
        _cleanup_fclose_ FILE *f = fopen(DOCUMENT, "rbe");
        size_t size = 0;

        (void) state;
        if (!f || getdelim(&document, &size, '\0', f) < 0)
                return -1;
        return 0;
}

static int drop_document(void **state) {
        (void) state;
        free(document);
        return 0;
}

/* The lines between the two marks; owned by the caller. */
static char *part(const char *name) {
        char begin[64], end[64];
        const char *from, *to;

        (void) snprintf(begin, sizeof(begin), "<!-- begin %s -->\n", name);
        (void) snprintf(end, sizeof(end), "<!-- end %s -->\n", name);
        from = strstr(document, begin);
        assert_non_null(from);
        from += strlen(begin);
        to = strstr(from, end);
        assert_non_null(to);
        return strndup(from, to - from);
}

/* The text of a fenced part, without the fence and the last newline. */
static char *example(const char *name) {
        char *text = part(name), *from, *to;

        from = strchr(text, '\n');
        to = strstr(text, "\n```\n");
        assert_true(strncmp(text, "```", 3) == 0 && from && to && from < to);
        *to = '\0';
        memmove(text, from + 1, to - from);
        return text;
}

/* A part in hex, wrapped at will. */
static uint8_t *hex_example(const char *name, size_t *ret_n) {
        _cleanup_free_ char *text = example(name);
        uint8_t *bytes = malloc(strlen(text));

        assert_non_null(bytes);
        assert_int_equal(sodium_hex2bin(bytes, strlen(text), text, strlen(text), " \n", ret_n, NULL), 0);
        return bytes;
}

static FILE *table;
static char *table_text;
static size_t table_size;

static void begin_table(const char *head) {
        int columns = 0;

        table = open_memstream(&table_text, &table_size);
        assert_non_null(table);
        fprintf(table, "%s\n", head);
        for (const char *c = head; *c; c++)
                columns += *c == '|';
        for (int i = 0; i < columns; i++)
                fputs(i == 0 ? "|" : "---|", table);
        fputc('\n', table);
}

static void check_table(const char *name) {
        _cleanup_free_ char *is = part(name);
        bool same;

        assert_int_equal(fclose(table), 0);
        same = strcmp(is, table_text) == 0;
        /* not by cmocka, which cuts long texts */
        if (!same)
                (void) fprintf(stderr, "The table \"%s\" of %s has to be:\n%s\n", name, DOCUMENT, table_text);
        free(table_text);
        assert_true(same);
}

static void reasons_are_documented(void **state) {
        static const char *const kinds[] = {
                [REASON_KIND_REFUSE] = "refuse", [REASON_KIND_WAIT] = "wait", [REASON_KIND_FLAG] = "flag",
                [REASON_KIND_GAP] = "gap",       [REASON_KIND_NOTE] = "note",
        };

        (void) state;
        begin_table("| number | id | kind | exit | meaning |");
        for (int r = 0; r < _REASON_MAX; r++)
                fprintf(table, "| %d | `%s` | %s | %d | %s |\n", r, reason_id(r), kinds[reason_kind(r)], reason_exit(r),
                        reason_text(r));
        check_table("reasons");
}

static void verbs_are_documented(void **state) {
        static const char *const classes[] = {
                [VERB_CLASS_STOP] = "stop",       [VERB_CLASS_OBSERVE] = "observe", [VERB_CLASS_EXTEND] = "extend",
                [VERB_CLASS_RELEASE] = "release", [VERB_CLASS_KEEP] = "keep",       [VERB_CLASS_DROP] = "drop",
        };

        (void) state;
        begin_table("| verb | class | isolates | freezes | snapshot | what it does |");
        for (int v = 0; v < _VERB_MAX; v++) {
                const struct verb_info *i = verb_info(v);

                fprintf(table, "| `%s` | %s | %s | %s | %s | %s |\n", i->id, classes[i->cls], i->isolates ? "yes" : "",
                        i->freezes ? "yes" : "", i->snapshots ? "yes" : "", i->text);
        }
        check_table("verbs");
}

static void profiles_are_documented(void **state) {
        (void) state;
        begin_table("| profile | memory | journal | deadline | bytes | what it is |");
        for (int p = 0; p < _PROFILE_MAX; p++) {
                const struct profile_info *i = profile_info((enum profile) p);

                fprintf(table, "| `%s` | %s | %lld min | %lld min | %lld GiB | %s |\n", i->id, i->memory ? "yes" : "",
                        (long long) i->budget.window_ms / 60000, (long long) i->budget.deadline_ms / 60000,
                        (long long) i->budget.max_bytes >> 30, i->text);
        }
        check_table("profiles");
}

static void severities_are_documented(void **state) {
        static const char *const words[] = {
#define X(name, id, word) word,
                SEVERITY_TABLE(X)
#undef X
        };

        (void) state;
        begin_table("| severity | the other word |");
        for (int s = 0; s < _SEVERITY_MAX; s++)
                fprintf(table, "| `%s` | %s |\n", severity_id(s), words[s]);
        check_table("severities");
}

static void target_classes_are_documented(void **state) {
        _cleanup_free_ char *is = part("targets");

        (void) state;
        for (int c = 0; c < _TARGET_MAX; c++) {
                char row[32];

                (void) snprintf(row, sizeof(row), "| `%s%s` |", target_class_id(c), c == TARGET_HOST ? "" : ":");
                assert_non_null(strstr(is, row));
        }
}

static void states_of_a_hold_are_documented(void **state) {
        (void) state;
        begin_table("| state | may be followed by |");
        for (int s = 0; s < _HOLD_STATE_MAX; s++) {
                const char *comma = "";

                fprintf(table, "| `%s` | ", hold_state_id(s));
                for (int t = 0; t < _HOLD_STATE_MAX; t++)
                        if (hold_state_may_follow(s, t)) {
                                fprintf(table, "%s`%s`", comma, hold_state_id(t));
                                comma = ", ";
                        }
                fprintf(table, "%s |\n", *comma ? "" : "nothing");
        }
        check_table("states");
}

static void payload_types_are_documented(void **state) {
        static const struct {
                size_t payload, envelope;
        } caps[] = {
#define X(name, str, payload_max, envelope_max) { payload_max, envelope_max },
                DSSE_TYPE_TABLE(X)
#undef X
        };

        (void) state;
        begin_table("| number | payload type | payload at most | envelope at most |");
        for (int t = 0; t < _DSSE_TYPE_MAX; t++)
                fprintf(table, "| %d | `%s` | %zu | %zu |\n", t, dsse_type_to_str(t), caps[t].payload,
                        caps[t].envelope);
        check_table("types");
}

static void frame_kinds_are_documented(void **state) {
        static const struct {
                const char *name;
                unsigned int lo, hi, step;
        } kinds[] = {
#define X(name, lo, hi, step, from_gate) { #name, lo, hi, step },
                FRAME_KIND_TABLE(X)
#undef X
        };

        (void) state;
        begin_table("| number | kind | to | payload at least | at most | a multiple of |");
        for (int k = 0; k < _FRAME_KIND_MAX; k++)
                fprintf(table, "| %d | %s | %s | %u | %u | %u |\n", k, kinds[k].name,
                        frame_is_from_gate(k) ? "core" : "gate", kinds[k].lo, kinds[k].hi, kinds[k].step);
        check_table("frames");
}

static void acts_of_custody_are_documented(void **state) {
        (void) state;
        begin_table("| number | act |");
        for (int a = 0; a < _CUSTODY_ACT_MAX; a++)
                fprintf(table, "| %d | `%s` |\n", a, custody_act_id(a));
        check_table("custody");
}

static void limits_are_documented(void **state) {
        static const struct {
                const char *what;
                long long value;
        } limits[] = {
                { "signatures in an envelope", DSSE_SIGS_MAX },
                { "hosts in one command", COMMAND_HOSTS_MAX },
                { "targets in one command", COMMAND_TARGETS_MAX },
                { "permitted addresses in one command", COMMAND_PERMITS_MAX },
                { "bytes of a fleet, group, person or role", COMMAND_FLEET_MAX },
                { "bytes of a target's name", TARGET_NAME_MAX },
                { "bytes of an incident", COMMAND_INCIDENT_MAX },
                { "bytes of a reason", COMMAND_REASON_MAX },
                { "largest integer", COMMAND_INT_MAX },
                { "ms from iat to exp", COMMAND_STOP_LIFE_MS },
                { "ms from iat to exp of a release", COMMAND_RELEASE_LIFE_MS },
                { "ms from iat to exp of a head", HERALD_LIFE_MS },
                { "PATIENCE: ms after which an order that a head lists is withheld", HERALD_PATIENCE_MS },
                { "orders in a head", HERALD_ORDERS_MAX },
                { "groups of a host", ATTRIBUTES_GROUPS_MAX },
                { "keys in a trust root", TRUST_KEYS_MAX },
                { "people in a trust root", TRUST_PEOPLE_MAX },
                { "roles in a trust root", TRUST_ROLES_MAX },
                { "rules in a trust root", TRUST_RULES_MAX },
                { "BEHIND: ms that the clock may be behind the floor", DECIDE_BEHIND_MS },
                { "AHEAD: ms that a signer's clock may be ahead", DECIDE_AHEAD_MS },
                { "STEP: ms by which one message may raise the floor", DECIDE_FLOOR_STEP_MS },
                { "GRACE: ms past its expiry for which an id is remembered", SEEN_GRACE_MS },
                { "ids that are remembered", SEEN_MAX },
                { "of these, not for what is dated ahead", HOLD_SEEN_AHEAD },
                { "of these, for stop orders of people and releases", HOLD_SEEN_RESERVE },
                { "of those, not for a stop order of one person", HOLD_SEEN_JOINT },
                { "of those, for releases", HOLD_SEEN_RELEASE },
                { "evidence under legal holds, each pair of them counted", SHELF_BONDS_MAX },
                { "of these, of what is not here", SHELF_ABSENT_MAX },
                { "active holds", HOLD_ACTIVE_MAX },
                { "active holds of automation", HOLD_AUTOMATION_MAX },
                { "keys of automation whose budgets are remembered", ACCOUNT_KEYS_MAX },
                { "incidents of one of these", ACCOUNT_INCIDENTS_MAX },
                { "ms of the floor for which an incident is remembered after it was charged", ACCOUNT_INCIDENT_MS },
                { "ms that a hold of automation, or its extension, counts of a day at least", ACCOUNT_LEAST_MS },
        };

        (void) state;
        begin_table("| limit | value |");
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                fprintf(table, "| %s | %lld |\n", limits[i].what, limits[i].value);
        check_table("limits");
}

static uint8_t secret[crypto_sign_SECRETKEYBYTES];
static struct sshkey key;

static void the_example_key_is_made_from_its_seed(void **state) {
        _cleanup_free_ char *line = example("key-line"), *id = example("key-id");
        _cleanup_free_ uint8_t *seed = NULL, *blob = NULL;
        uint8_t pub[crypto_sign_PUBLICKEYBYTES], made_blob[SSHKEY_BLOB_SIZE];
        char made_line[SSHKEY_LINE_SIZE], made_id[SSHKEY_ID_SIZE];
        size_t n_seed, n_blob;

        (void) state;
        seed = hex_example("key-seed", &n_seed);
        blob = hex_example("key-blob", &n_blob);
        assert_int_equal(n_seed, crypto_sign_SEEDBYTES);
        assert_int_equal(n_blob, SSHKEY_BLOB_SIZE);
        assert_int_equal(crypto_sign_seed_keypair(pub, secret, seed), 0);
        sshkey_from_raw(pub, &key);
        sshkey_to_blob(&key, made_blob);
        sshkey_to_line(&key, made_line);
        sshkey_id_to_str(key.id, made_id);
        assert_memory_equal(blob, made_blob, n_blob);
        assert_string_equal(line, made_line);
        assert_string_equal(id, made_id);
}

static void the_example_payload_is_what_the_serialiser_writes(void **state) {
        _cleanup_free_ char *payload = example("payload"), *again = NULL, *digest = example("digest");
        _cleanup_command_ struct command *c = NULL;
        uint8_t hash[crypto_hash_sha256_BYTES];
        enum reason reason;
        char hex[65];

        (void) state;
        assert_int_equal(command_parse((const uint8_t *) payload, strlen(payload), &c, &reason), 0);
        assert_string_equal(reason_id(reason), "none");
        assert_int_equal(command_to_json(c, &again), 0);
        assert_string_equal(again, payload);
        assert_true(command_id_is_of_key(&c->id, key.id));
        (void) crypto_hash_sha256(hash, (const uint8_t *) payload, strlen(payload));
        assert_string_equal(sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash)), digest);
}

static void the_example_envelope_is_made_and_taken_apart(void **state) {
        _cleanup_free_ char *payload = example("payload"), *envelope = example("envelope"), *again = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ uint8_t *pae = NULL, *made_pae = NULL;
        uint8_t sig[64];
        size_t n_pae, n_made_pae;
        enum reason reason;
        uint64_t by;

        (void) state;
        pae = hex_example("pae", &n_pae);
        assert_int_equal(dsse_pae(DSSE_COMMAND, (const uint8_t *) payload, strlen(payload), &made_pae, &n_made_pae), 0);
        assert_int_equal(n_pae, n_made_pae);
        assert_memory_equal(pae, made_pae, n_pae);

        assert_int_equal(dsse_parse(envelope, strlen(envelope), &d, &reason), 0);
        assert_string_equal(reason_id(reason), "none");
        assert_int_equal(d.type, DSSE_COMMAND);
        assert_string_equal((const char *) d.payload, payload);
        assert_int_equal(dsse_verify(&d, &key, 1, &by, &reason), 0);
        assert_int_equal(by, 1);

        assert_int_equal(crypto_sign_detached(sig, NULL, pae, n_pae, secret), 0);
        assert_memory_equal(sig, d.sigs[0].sig, sizeof(sig));
        assert_int_equal(dsse_to_json(&d, &again), 0);
        assert_string_equal(again, envelope);
}

static void the_example_frame_is_what_the_gate_sends(void **state) {
        _cleanup_free_ char *envelope = example("envelope");
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ uint8_t *head = NULL;
        static uint8_t buf[FRAME_MAX];
        struct frame f = { .kind = FRAME_COMMAND, .type = DSSE_COMMAND, .number = 7 };
        enum reason reason;
        size_t n_head, n;

        (void) state;
        assert_int_equal(dsse_parse(envelope, strlen(envelope), &d, &reason), 0);
        f.n_sigs = d.n_sigs;
        memcpy(f.sigs, d.sigs, sizeof(d.sigs));
        f.payload = d.payload;
        f.n_payload = d.n_payload;
        assert_int_equal(frame_pack(&f, buf, sizeof(buf), &n), 0);

        head = hex_example("frame", &n_head);
        assert_int_equal(n_head, FRAME_HEADER_SIZE + FRAME_SIG_SIZE);
        assert_int_equal(n, n_head + d.n_payload);
        assert_memory_equal(head, buf, n_head);
}

static void the_example_trust_root_is_one(void **state) {
        _cleanup_free_ char *text = example("trust"), *again = NULL;
        _cleanup_trust_ struct trust *t = NULL, *back = NULL;
        enum reason reason;

        (void) state;
        assert_int_equal(trust_parse((const uint8_t *) text, strlen(text), &t, &reason), 0);
        assert_string_equal(reason_id(reason), "none");
        assert_int_equal(trust_to_json(t, &again), 0);
        assert_int_equal(trust_parse((const uint8_t *) again, strlen(again), &back, &reason), 0);

        /* what the text around it says of it */
        for (size_t i = 0; i < t->n_rules; i++)
                if (t->rules[i].verb == VERB_RELEASE)
                        assert_int_equal(t->rules[i].k, 2);
        assert_int_equal(t->root_k, 2);
}

static void the_example_policy_is_one(void **state) {
        _cleanup_free_ char *text = example("policy");
        struct local l, defaults;
        enum reason reason;

        (void) state;
        assert_int_equal(local_parse((const uint8_t *) text, strlen(text), &l, &reason), 0);
        assert_string_equal(reason_id(reason), "none");
        local_defaults(&defaults);
        assert_int_equal(l.automation_budget_ms, defaults.automation_budget_ms);
        assert_int_equal(l.automation_day_ms, defaults.automation_day_ms);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                cmocka_unit_test(reasons_are_documented),
                cmocka_unit_test(verbs_are_documented),
                cmocka_unit_test(profiles_are_documented),
                cmocka_unit_test(severities_are_documented),
                cmocka_unit_test(target_classes_are_documented),
                cmocka_unit_test(states_of_a_hold_are_documented),
                cmocka_unit_test(payload_types_are_documented),
                cmocka_unit_test(frame_kinds_are_documented),
                cmocka_unit_test(acts_of_custody_are_documented),
                cmocka_unit_test(limits_are_documented),
                cmocka_unit_test(the_example_key_is_made_from_its_seed),
                cmocka_unit_test(the_example_payload_is_what_the_serialiser_writes),
                cmocka_unit_test(the_example_envelope_is_made_and_taken_apart),
                cmocka_unit_test(the_example_frame_is_what_the_gate_sends),
                cmocka_unit_test(the_example_trust_root_is_one),
                cmocka_unit_test(the_example_policy_is_one),
        };

        return cmocka_run_group_tests(cases, read_document, drop_document);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/rooted.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <sodium.h>

#include "agent/core/certified.h"
#include "agent/core/hearing.h"
#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/refusal.h"
#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/log.h"

#define FILE_NAME "trust.json"

/* One that was accepted, and what it was read from. */
struct root {
        struct trust *trust;
        uint8_t file[32], payload[32];
};

static void root_done(struct root *r) {
        trust_freep(&r->trust);
}

static int accept_text(const char *text, size_t n, const struct trust *prev, struct root *ret,
                       enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        int r = trust_accept(text, n, prev, &ret->trust, ret_reason);

        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        r = dsse_parse(text, n, &d, ret_reason);
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        (void) crypto_hash_sha256(ret->file, (const uint8_t *) text, n);
        (void) crypto_hash_sha256(ret->payload, d.payload, d.n_payload);
        return 0;
}

static int read_root(const char *path, const struct trust *prev, struct root *ret, enum reason *ret_reason) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r = io_read_file(AT_FDCWD, path, DSSE_ENVELOPE_MAX, &text, &n);

        *ret_reason = REASON_NONE;
        return r < 0 ? r : accept_text(text, n, prev, ret, ret_reason);
}

void rooted_date(struct agent *a) {
        if (a->trust)
                floor_raise(&a->floor, MIN(a->trust->iat_ms, clock_wall_ms()));
}

static bool is_ahead(const struct trust *t) {
        return t->iat_ms > clock_wall_ms() + DECIDE_AHEAD_MS;
}

static void put_in_force(struct agent *a, struct root *r, bool taken) {
        free(a->trust);
        a->trust = TAKE_PTR(r->trust);
        memcpy(a->trust_digest, r->file, sizeof(r->file));
        memcpy(a->trust_payload, r->payload, sizeof(r->payload));
        a->trust_taken = taken;
        rooted_date(a);
        if (is_ahead(a->trust))
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "trust", .reason = reason_id(REASON_CLOCK_SKEW)),
                          "Trust root version %" PRId64 " is dated ahead of this host's clock", a->trust->version);
}

static void log_root(const char *path, int r, enum reason reason) {
        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "start", .reason = reason_id(reason)), "%s: %s", path,
                  r < 0 ? strerror(-r) : reason_text(reason));
}

static bool is_of_the_fleet(const struct agent *a, const struct root *root) {
        return strcmp(root->trust->fleet, a->trust->fleet) == 0;
}

static int keep(struct agent *a, const char *text) {
        _cleanup_close_ int dir = open(a->config.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r = dir < 0 ? -errno : fault_effect("trust");

        return r < 0 ? r : io_replace_file(dir, FILE_NAME, text, strlen(text), 0600);
}

/* What the ledger has and does not follow was taken when root's file was another: under one that has come since, or of
 * a fleet that was made anew. *ret: the envelope of the last one that follows; malloc'ed, NULL when none does. False
 * when one could not be read: what followed it is not known then. */
static bool load_recorded(struct agent *a, char **ret) {
        bool all = true;

        for (size_t i = 0; i < a->trusted.count; i++) {
                _cleanup_(root_done) struct root root = { 0 };
                _cleanup_free_ char *text = NULL;
                enum reason reason = REASON_NONE;
                int r = record_read_trust(a, a->trusted.n[i], &text);

                if (r == 0)
                        r = accept_text(text, strlen(text), a->trust, &root, &reason);
                if (r < 0 && r != -ESTALE) {
                        log_root("a trust root in the ledger", r, REASON_NONE);
                        all = false;
                }
                if (r < 0 || reason != REASON_NONE)
                        continue;
                put_in_force(a, &root, true);
                free(*ret);
                *ret = TAKE_PTR(text);
        }
        return all;
}

/* It came as an order, whatever it followed. What cannot be read was none. *ret_by: the root people of the root in
 * force signed it too. */
static bool was_recorded(struct agent *a, const uint8_t payload[static 32], bool *ret_by) {
        bool found = false;

        for (size_t i = 0; i < a->trusted.count && !found; i++) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                _cleanup_free_ char *text = NULL;
                uint8_t digest[32];
                enum reason reason;

                if (record_read_envelope(a, a->trusted.n[i], &text) < 0 ||
                    dsse_parse(text, strlen(text), &d, &reason) < 0 || reason != REASON_NONE)
                        continue;
                (void) crypto_hash_sha256(digest, d.payload, d.n_payload);
                found = memcmp(digest, payload, sizeof(digest)) == 0;
                if (found && ret_by)
                        *ret_by = trust_signed_by_root(a->trust, &d);
        }
        return found;
}

static int read_kept(const struct agent *a, struct root *ret) {
        _cleanup_free_ char *path = NULL;
        enum reason reason = REASON_NONE;
        int r = asprintf(&path, "%s/" FILE_NAME, a->config.state) < 0 ? -ENOMEM : 0;

        if (r == 0)
                r = read_root(path, NULL, ret, &reason);
        if (r != -ENOENT && (r < 0 || reason != REASON_NONE))
                log_root(path, r, r < 0 ? REASON_NONE : reason);
        return r < 0 ? r : reason != REASON_NONE ? -EBADMSG : 0;
}

static void forget_kept(const struct agent *a) {
        _cleanup_close_ int dir = open(a->config.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                  "%s/" FILE_NAME " is of a root that %s is no successor of, and is not in force%s", a->config.state,
                  a->config.trust,
                  dir < 0 || unlinkat(dir, FILE_NAME, 0) < 0 ? "; it cannot be removed" : "; it is removed");
}

/* FAIL-CLOSED: a file that is lost, damaged or was put back brings nobody back whom a newer one has removed. Neither
 * does one that came as an order before root began anew: the ledger tells of it, and nothing of what root put there,
 * whose people did not sign it. */
static void load_taken(struct agent *a) {
        _cleanup_(root_done) struct root root = { 0 };
        _cleanup_free_ char *recorded = NULL;
        bool theirs = false;
        uint8_t first[32];
        int r;

        memcpy(first, a->trust_payload, sizeof(first));
        const bool all = load_recorded(a, &recorded);
        r = read_kept(a, &root);
        const bool usable = r == 0 && is_of_the_fleet(a, &root);
        const bool newer = usable && root.trust->version > a->trust->version;
        if (newer && all && !recorded && was_recorded(a, root.payload, &theirs) && !theirs &&
            !was_recorded(a, first, NULL))
                forget_kept(a);
        else if (newer)
                put_in_force(a, &root, true);
        else if (recorded && r != -ENOMEM && !(usable && memcmp(root.payload, a->trust_payload, 32) == 0))
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                          "%s/" FILE_NAME " was lost, and is what the ledger has of it, version %" PRId64 "%s",
                          a->config.state, a->trust->version, keep(a, recorded) < 0 ? ", but cannot be written" : "");
}

/* Root's file is there and cannot be read: what came as an order after it stands for it. FAIL-CLOSED: only one that the
 * ledger has, so that nothing older is put in its place, nor what somebody put together. */
static void load_instead(struct agent *a) {
        _cleanup_(root_done) struct root root = { 0 };

        if (read_kept(a, &root) < 0 || !was_recorded(a, root.payload, NULL))
                return;
        put_in_force(a, &root, true);
        log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                  "%s cannot be used; what came as an order after it, version %" PRId64 ", is in force",
                  a->config.trust, a->trust->version);
}

/* True of the file that was there before the one in force was taken: it was left where it is. */
static bool is_overtaken(const struct agent *a) {
        _cleanup_(root_done) struct root root = { 0 };
        enum reason reason;

        if (!a->trust_taken || read_root(a->config.trust, NULL, &root, &reason) < 0 || reason != REASON_NONE ||
            !is_of_the_fleet(a, &root) || root.trust->version > a->trust->version)
                return false;
        log_event(LOG_NOTICE, NULL, LOG_FIELDS(.stage = "trust"),
                  "%s is version %" PRId64 "; version %" PRId64 ", which came as an order, stays in force",
                  a->config.trust, root.trust->version, a->trust->version);
        return true;
}

void rooted_load(struct agent *a) {
        _cleanup_(root_done) struct root root = { 0 };
        const bool first = !a->trust;
        enum reason reason;

        if (is_overtaken(a))
                return;
        int r = read_root(a->config.trust, NULL, &root, &reason);
        if (r == 0 && reason == REASON_NONE && !first) {
                if (memcmp(root.file, a->trust_digest, sizeof(root.file)) == 0)
                        return;
                root_done(&root);
                root = (struct root) { 0 };
                r = read_root(a->config.trust, a->trust, &root, &reason);
        }
        if (r < 0 || reason != REASON_NONE)
                log_root(a->config.trust, r, r < 0 ? REASON_NONE : reason);
        else
                put_in_force(a, &root, false);
        if (first && !a->trust && r != -ENOENT)
                load_instead(a);
        if (first && a->trust)
                load_taken(a);
}

/* What was recorded is in force at the next start, so it is at once; the start also writes a file that is not there. */
static int take_in(struct agent *a, struct root *root, const char *text, enum reason *ret_reason) {
        int r = record_trust(a, root->trust->version, text);

        *ret_reason = r < 0 ? REASON_LEDGER : REASON_NONE;
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"), "The trust root could not be recorded: %s",
                          strerror(-r));
                return r == -ENOTRECOVERABLE ? r : 0;
        }
        put_in_force(a, root, true);
        r = keep(a, text);
        log_event(r < 0 ? LOG_ERR : LOG_NOTICE, NULL, LOG_FIELDS(.stage = "trust"),
                  "Trust root version %" PRId64 " is in force%s%s", a->trust->version,
                  r < 0 ? "; the ledger has it, but its file cannot be written: " : "", r < 0 ? strerror(-r) : "");
        certified_load(a);
        hearing_begin(a);
        return 0;
}

static int answer(struct agent *a, const char *id, const uint8_t digest[static 32], const struct answer *to) {
        _cleanup_json_ json_t *receipt =
                receipt_plain(a, NULL, digest, NULL, "trusted", is_ahead(a->trust) ? reason_bit(REASON_CLOCK_SKEW) : 0);
        _cleanup_free_ char *envelope = NULL;
        int r;

        r = json_object_set_new(receipt, "id", json_string(id));
        r |= json_object_set_new(receipt, "trust", json_pack("{sI}", "version", (json_int_t) a->trust->version));
        if (r != 0)
                return -ENOMEM;
        r = receipt_seal(a, receipt, true, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}

/* FAIL-CLOSED: who may do what changes by it, so nothing may be in doubt. That it has expired is no matter: its own
 * successor follows it, and an expired one lets nothing go. */
static int judge(struct agent *a, const struct dsse *d, enum reason *ret_reason) {
        _cleanup_(root_done) struct root root = { 0 };
        _cleanup_free_ char *text = NULL;
        int r = dsse_to_json(d, &text);

        if (r == 0)
                r = accept_text(text, strlen(text), a->trust, &root, ret_reason);
        if (r == 0 && *ret_reason == REASON_NONE && !agent_ledger_ok(a)) {
                if (a->aside)
                        return -ENOTRECOVERABLE; /* the core that has the ledger may have recorded it */
                *ret_reason = REASON_LEDGER;
        }
        return r < 0 || *ret_reason != REASON_NONE ? r : take_in(a, &root, text, ret_reason);
}

/* A refusal of what nobody known signed is neither recorded nor about those bytes. */
static int is_signed(const struct agent *a, const struct dsse *d, bool *ret) {
        struct sshkey keys[TRUST_KEYS_MAX];
        enum reason reason;
        uint64_t by;

        trust_keys(a->trust, keys);
        int r = dsse_verify(d, keys, a->trust->n_keys, &by, &reason);
        *ret = r == 0 && reason == REASON_NONE;
        return r;
}

int rooted_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        struct decision decision = { .kind = DECISION_REFUSED, .reason = REASON_NO_TRUST };
        bool known = false;
        uint8_t digest[32];
        char id[33];
        int r = 0;

        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        (void) sodium_bin2hex(id, sizeof(id), digest, sizeof(id) / 2);
        if (a->trust && memcmp(digest, a->trust_payload, sizeof(digest)) == 0)
                return answer(a, id, digest, to);
        if (a->trust)
                r = is_signed(a, d, &known);
        if (r == 0 && a->trust)
                r = judge(a, d, &decision.reason);
        if (r < 0)
                return r;
        if (decision.reason != REASON_NONE)
                return refusal_of(a, id, known ? digest : NULL, &decision, to);
        link_send_keys(to->link);
        return answer(a, id, digest, to);
}

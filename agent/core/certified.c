/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/certified.h"

#include <fcntl.h>
#include <string.h>

#include <sodium.h>

#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/refusal.h"
#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/log.h"

#define FILE_NAME "attributes.json"
/* what stands for the id of a command in the receipt */
#define RECEIPT_ID "attributes"
/* taken at once, and then one each minute */
#define CHANGES_MAX     16
#define CHANGE_EVERY_MS INT64_C(60000)

/* Signed by a registrar, and about this host. */
static int verify(const struct agent *a, const struct dsse *d, struct attributes *ret, enum reason *ret_reason) {
        struct attributes attributes;
        int r = attributes_verify(a->trust, d, &attributes, ret_reason);

        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        if (memcmp(attributes.key.id, hostkey_public(a->key)->id, sizeof(attributes.key.id)) != 0)
                *ret_reason = REASON_HOST;
        else
                *ret = attributes;
        return 0;
}

static int put_in_force(struct agent *a, const struct attributes *attributes, const struct dsse *d) {
        struct attributes *copy = memdup_array(attributes, 1, sizeof(*attributes));
        uint8_t digest[sizeof(a->attributes_digest)];

        if (!copy)
                return -ENOMEM;
        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        if (memcmp(digest, a->attributes_digest, sizeof(digest)) != 0)
                heard_forget_missing(a);
        free(a->attributes);
        a->attributes = copy;
        memcpy(a->attributes_digest, digest, sizeof(digest));
        return 0;
}

static int keep(struct agent *a, const struct dsse *d) {
        _cleanup_close_ int dir = open(a->config.state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *envelope = NULL;
        int r = dir < 0 ? -errno : dsse_to_json(d, &envelope);

        if (r == 0)
                r = fault_effect("attributes");
        return r < 0 ? r : io_replace_file(dir, FILE_NAME, envelope, strlen(envelope), 0600);
}

static int load(struct agent *a, enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *text = NULL, *path = NULL;
        struct attributes attributes = { 0 };
        bool lost;
        size_t n;
        int r;

        *ret_reason = REASON_NONE;
        if (asprintf(&path, "%s/" FILE_NAME, a->config.state) < 0)
                return -ENOMEM;
        r = io_read_file(AT_FDCWD, path, DSSE_ENVELOPE_MAX, &text, &n);
        lost = r == -ENOENT;
        /* the last one, whoever signed it: an older one is not what this host was */
        if (lost) {
                r = record_read_envelope(a, a->attributes_record, &text);
                n = r == 0 ? strlen(text) : 0;
        }
        if (r == 0)
                r = dsse_parse(text, n, &d, ret_reason);
        if (r == 0 && *ret_reason == REASON_NONE)
                r = verify(a, &d, &attributes, ret_reason);
        if (r == 0 && *ret_reason == REASON_NONE)
                r = put_in_force(a, &attributes, &d);
        if (lost && r == 0 && *ret_reason == REASON_NONE)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                          "%s was lost, and is what the ledger has of it%s", path,
                          keep(a, &d) < 0 ? ", but cannot be written" : "");
        return r;
}

void certified_load(struct agent *a) {
        enum reason reason;
        int r;

        free(a->attributes);
        a->attributes = NULL;
        r = load(a, &reason);
        if (r != -ENOENT && (r < 0 || reason != REASON_NONE))
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start", .reason = reason_id(reason)),
                          "%s/" FILE_NAME ": this host is of no group: %s", a->config.state,
                          r < 0 ? strerror(-r) : reason_text(reason));
}

json_t *certified_to_json(const struct agent *a) {
        const struct attributes *in_force = a->attributes;
        json_t *groups;

        if (!in_force)
                return json_null();
        groups = json_array();
        for (size_t i = 0; groups && i < in_force->n_groups; i++)
                (void) json_array_append_new(groups, json_string(in_force->groups[i]));
        return json_pack("{sI ss so}", "n", (json_int_t) in_force->n, "name", in_force->name, "groups", groups);
}

static bool is_in_force(const struct agent *a, const uint8_t digest[static 32]) {
        return a->attributes && memcmp(a->attributes_digest, digest, sizeof(a->attributes_digest)) == 0;
}

/* FAIL-CLOSED: whom an order is for changes by it, so nothing may be in doubt. */
static enum reason judge(const struct agent *a, const struct attributes *attributes) {
        if (a->attributes && attributes->n <= a->attributes->n)
                return REASON_ATTRIBUTES_STALE;
        if (MAX(clock_wall_ms(), floor_now(&a->floor)) >= a->trust->expires_ms)
                return REASON_ROOT_EXPIRED;
        return agent_ledger_ok(a) ? REASON_NONE : REASON_LEDGER;
}

/* FAIL-CLOSED: a stolen key could fill the ledger's disk, and what lets go is refused without room in it. */
static bool may_change(struct agent *a) {
        const int64_t now = clock_boot_ms(), due = MAX(a->attributes_due_ms, now);

        if (due - now > (CHANGES_MAX - 1) * CHANGE_EVERY_MS)
                return false;
        a->attributes_due_ms = due + CHANGE_EVERY_MS;
        return true;
}

/* One that was recorded and not kept is not in force, and counts when it comes again, or when the file that stands
 * instead of it is lost. */
static int take_in(struct agent *a, const struct attributes *attributes, const struct dsse *d,
                   enum reason *ret_reason) {
        int r = record_attributes(a, attributes, d);

        *ret_reason = r < 0 ? REASON_LEDGER : REASON_NONE;
        if (r == 0) {
                r = keep(a, d);
                *ret_reason = r < 0 ? REASON_INTERNAL : REASON_NONE;
        }
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"), "Attributes could not be kept: %s",
                          strerror(-r));
        if (r < 0)
                return r == -ENOTRECOVERABLE ? r : 0;
        return put_in_force(a, attributes, d);
}

static int answer(struct agent *a, const uint8_t digest[static 32], const struct answer *to) {
        _cleanup_json_ json_t *receipt = receipt_plain(a, NULL, digest, NULL, "certified", 0);
        _cleanup_free_ char *envelope = NULL;
        int r;

        r = json_object_set_new(receipt, "id", json_string(RECEIPT_ID));
        r |= json_object_set_new(receipt, "attributes", certified_to_json(a));
        if (r != 0)
                return -ENOMEM;
        r = receipt_seal(a, receipt, true, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}

int certified_take(struct agent *a, const struct dsse *d, const struct answer *to) {
        struct decision decision = { .kind = DECISION_REFUSED };
        struct attributes attributes = { 0 };
        uint8_t digest[32];
        int r = verify(a, d, &attributes, &decision.reason);
        /* a refusal of what nobody known signed is not recorded */
        const bool is_signed = r == 0 && decision.reason != REASON_NO_TRUST && decision.reason != REASON_UNTRUSTED &&
                               decision.reason != REASON_SIGNATURE;

        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        if (r == 0 && decision.reason == REASON_NONE && is_in_force(a, digest))
                return answer(a, digest, to);
        if (r == 0 && decision.reason == REASON_NONE)
                decision.reason = judge(a, &attributes);
        if (r == 0 && decision.reason == REASON_LEDGER && a->aside)
                r = -ENOTRECOVERABLE; /* the core that has the ledger may have recorded them */
        if (r == 0 && decision.reason == REASON_NONE && !may_change(a))
                decision.reason = REASON_BUSY;
        if (r == 0 && decision.reason == REASON_NONE)
                r = take_in(a, &attributes, d, &decision.reason);
        if (r < 0)
                return r;
        if (decision.reason != REASON_NONE)
                return refusal_of(a, RECEIPT_ID, is_signed ? digest : NULL, &decision, to);
        return answer(a, digest, to);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/core/seal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "agent/core/folder.h"
#include "agent/core/plain.h"
#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/version.h"

#define TAGMANIFEST    "tagmanifest-sha256.txt"
#define SIGNATURE_NAME TAGMANIFEST ".sig"
#define ORDER_NAME     "order.dsse.json"
#define BAG_DECLARED   "bagit.txt"
#define BAG_INFO       "bag-info.txt"
#define PEM_NAME       "host_key.pem"
#define PEM_MAX        1024U
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "urn:freezed:evidence:v1"

/* One file of the folder as it was read here. */
struct seen {
        char *bytes; /* owned; NULL: absent or not what it should be */
        size_t n;
        uint8_t sha256[32];
};

static void seen_done(struct seen *s) {
        free(s->bytes);
}

static int read_seen(int folder, const char *name, size_t max, struct seen *ret) {
        return plain_read(folder, name, max, &ret->bytes, &ret->n, ret->sha256);
}

static bool agrees(const struct seal_job *job, const struct seen *manifest) {
        return manifest->bytes && job->has_result &&
               memcmp(manifest->sha256, job->result.manifest_sha256, sizeof(manifest->sha256)) == 0;
}

/* What the signature is about, by way of the tag manifest. In the order of their names. */
enum tag { TAG_INFO, TAG_DECLARED, TAG_MANIFEST, TAG_ORDER, TAG_PUBLIC, _TAG_MAX };

static const char *const tag_names[_TAG_MAX] = {
        [TAG_INFO] = BAG_INFO,    [TAG_DECLARED] = BAG_DECLARED, [TAG_MANIFEST] = COLLECT_MANIFEST,
        [TAG_ORDER] = ORDER_NAME, [TAG_PUBLIC] = COLLECT_PUBLIC,
};

/* FAIL-CLOSED: `complete` needs a collector that ended well, a result, a manifest that is the one it wrote, and its
 * list of what is in it. */
static enum preserve_state judge(const struct seal_job *job, const struct seen *manifest, const struct seen *listed) {
        const struct seal_exit *e = &job->exit;

        if (e->code == COLLECT_EXIT_USAGE || e->code == COLLECT_EXIT_SANDBOX)
                return PRESERVE_FAILED;
        if (e->code == COLLECT_EXIT_DONE) {
                if (!agrees(job, manifest))
                        return PRESERVE_FAILED;
                return !listed->bytes || job->result.flags & COLLECT_CUT ? PRESERVE_CUT_SHORT : PRESERVE_COMPLETE;
        }
        return listed->bytes && listed->n > 0 ? PRESERVE_CUT_SHORT : PRESERVE_FAILED;
}

static json_t *exit_to_json(const struct seal_exit *e) {
        if (e->lost)
                return json_pack("{s:b}", "lost", 1);
        if (e->signal)
                return json_pack("{s:i, s:b}", "killed", e->signal, "deadline", e->deadline);
        return json_pack("{s:i}", "exited", e->code);
}

static json_t *subject(const char *name, const uint8_t sha256[static 32]) {
        char hex[65];

        sodium_bin2hex(hex, sizeof(hex), sha256, 32);
        return json_pack("[{s:s, s:{s:s}}]", "name", name, "digest", "sha256", hex);
}

/* A file that is not there, or is something else, was read as that: no error of ours. */
static bool is_read(int r) {
        return r == 0 || r == -ENOENT || r == -EBADMSG || r == -ELOOP || r == -ENXIO;
}

/* FAIL-CLOSED: a list that is there and could not be read must not be taken for one that is not. */
static int read_lists(int folder, struct seen tags[static _TAG_MAX]) {
        const int manifest = read_seen(folder, COLLECT_MANIFEST, COLLECT_MANIFEST_MAX, &tags[TAG_MANIFEST]);
        const int public = read_seen(folder, COLLECT_PUBLIC, COLLECT_PUBLIC_MAX, &tags[TAG_PUBLIC]);

        return !is_read(manifest) ? manifest : is_read(public) ? 0 : public;
}

/* What the folder's manifest is to the one of which the collector told. */
static const char *manifest_says(const struct seal_job *job, const struct seen *manifest) {
        return !manifest->bytes ? "absent" : agrees(job, manifest) ? "matches" : "differs";
}

static json_t *recipients_to_json(const struct seal_job *job) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < job->n_recipients; i++) {
                char s[AGE_RECIPIENT_SIZE];

                age_recipient_to_str(&job->recipients[i], s);
                (void) json_array_append_new(a, json_string(s));
        }
        return a;
}

static json_t *position_to_json(const struct seal_position *p) {
        char root[65];

        return json_pack("{s:I, s:I, s:s}", "n", (json_int_t) p->n, "epoch", (json_int_t) p->epoch, "root",
                         sodium_bin2hex(root, sizeof(root), p->root, sizeof(p->root)));
}

static json_t *predicate(const struct seal_job *job, const struct preserved *p, const char *manifest) {
        char hold[33], digest[65], host[SSHKEY_ID_SIZE], boot[33];
        uint8_t boot_id[16];
        _cleanup_json_ json_t *o = NULL;

        command_id_to_str(&job->hold, hold);
        sodium_bin2hex(digest, sizeof(digest), job->digest, sizeof(job->digest));
        sshkey_id_to_str(hostkey_public(job->key)->id, host);
        clock_boot_id(boot_id);
        sodium_bin2hex(boot, sizeof(boot), boot_id, sizeof(boot_id));
        o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:{s:s}, s:{s:I, s:I}, s:I, s:I, s:s, s:o, s:o, s:o}", "v", 1,
                      "state", preserved_state_id(p->state), "profile", profile_info(job->profile)->id, "hold", hold,
                      "host", host, "boot_id", boot, "command", "sha256", digest, "window", "since_ms",
                      (json_int_t) job->since_ms, "until_ms", (json_int_t) job->until_ms, "started_ms",
                      (json_int_t) job->started_ms, "ended_ms", (json_int_t) clock_wall_ms(), "manifest", manifest,
                      "collector", exit_to_json(&job->exit), "flags", preserved_flags_to_json(p->flags), "recipients",
                      recipients_to_json(job));
        if (o && json_object_set_new(o, "ledger", position_to_json(&job->position)) < 0)
                return NULL;
        if (o && job->incident[0] && json_object_set_new(o, "incident", json_string(job->incident)) < 0)
                return NULL;
        if (o && p->counted &&
            (json_object_set_new(o, "objects", json_integer((json_int_t) p->objects)) < 0 ||
             json_object_set_new(o, "sealed", json_integer((json_int_t) p->sealed)) < 0 ||
             json_object_set_new(o, "holes", json_integer((json_int_t) p->holes)) < 0 ||
             json_object_set_new(o, "bytes", json_integer((json_int_t) p->bytes)) < 0))
                return NULL;
        return TAKE_PTR(o);
}

static int write_statement(int folder, const struct seal_job *job, struct preserved *p, const char *manifest) {
        _cleanup_json_ json_t *o = json_pack("{s:s, s:o, s:s, s:o}", "_type", STATEMENT_TYPE, "subject",
                                             subject(TAGMANIFEST, p->tagmanifest_sha256), "predicateType",
                                             PREDICATE_TYPE, "predicate", predicate(job, p, manifest));
        _cleanup_free_ char *payload = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        _cleanup_free_ char *envelope = NULL;
        int r;

        if (!payload)
                return -ENOMEM;
        r = hostkey_envelope(job->key, DSSE_EVIDENCE, payload, &envelope);
        if (r < 0)
                return r;
        r = io_replace_file(folder, FOLDER_STATEMENT, envelope, strlen(envelope), 0400);
        p->has_statement = r == 0;
        (void) crypto_hash_sha256(p->statement_sha256, (uint8_t *) envelope, strlen(envelope));
        return r;
}

static int write_tag(int folder, enum tag which, const char *text, struct seen tags[static _TAG_MAX]) {
        struct seen *tag = &tags[which];

        tag->bytes = strdup(text);
        if (!tag->bytes)
                return -ENOMEM;
        tag->n = strlen(text);
        (void) crypto_hash_sha256(tag->sha256, (const uint8_t *) text, tag->n);
        return io_replace_file(folder, tag_names[which], text, tag->n, 0400);
}

static int write_info(int folder, const struct seal_job *job, struct seen tags[static _TAG_MAX]) {
        const time_t t = (time_t) (job->started_ms / 1000);
        char hold[33], host[SSHKEY_ID_SIZE], date[16], text[512];
        struct tm tm;

        command_id_to_str(&job->hold, hold);
        sshkey_id_to_str(hostkey_public(job->key)->id, host);
        if (!gmtime_r(&t, &tm) || strftime(date, sizeof(date), "%Y-%m-%d", &tm) == 0)
                return -EOVERFLOW;
        (void) snprintf(text, sizeof(text),
                        "Bagging-Date: %s\nBag-Software-Agent: freezed %s\nExternal-Identifier: %s\n"
                        "Freezed-Host: %s\nFreezed-Incident: %s\n",
                        date, AGENT_VERSION, hold, host, job->incident);
        return write_tag(folder, TAG_INFO, text, tags);
}

/* What makes the folder a bag (RFC 8493): who took it, when, and the order for it as it was signed. */
static int write_tags(int folder, const struct seal_job *job, struct seen tags[static _TAG_MAX]) {
        int r = write_tag(folder, TAG_DECLARED, "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", tags);

        if (r == 0)
                r = write_info(folder, job, tags);
        if (r == 0 && job->order)
                r = write_tag(folder, TAG_ORDER, job->order, tags);
        return r;
}

static int write_tagmanifest(int folder, const struct seen tags[static _TAG_MAX], struct seen *ret) {
        char text[_TAG_MAX * (2 * sizeof(ret->sha256) + 2 + 32)], hex[65], *p = text;

        for (size_t i = 0; i < _TAG_MAX; i++)
                if (tags[i].bytes)
                        p += sprintf(p, "%s  %s\n", sodium_bin2hex(hex, sizeof(hex), tags[i].sha256, 32), tag_names[i]);
        ret->n = (size_t) (p - text);
        ret->bytes = strdup(text);
        if (!ret->bytes)
                return -ENOMEM;
        (void) crypto_hash_sha256(ret->sha256, (const uint8_t *) text, ret->n);
        return io_replace_file(folder, TAGMANIFEST, text, ret->n, 0400);
}

static int write_signature(int folder, const struct seal_job *job, const struct seen *tagmanifest) {
        _cleanup_free_ char *pem = NULL;
        uint8_t sig[64];
        size_t n = 0;
        int r = io_read_file(AT_FDCWD, job->pem, PEM_MAX, &pem, &n);

        if (r == 0)
                r = io_replace_file(folder, PEM_NAME, pem, n, 0400);
        if (r < 0)
                return r;
        hostkey_sign(job->key, (const uint8_t *) tagmanifest->bytes, tagmanifest->n, sig);
        return io_replace_file(folder, SIGNATURE_NAME, sig, sizeof(sig), 0400);
}

static int sign_folder(int folder, const struct seal_job *job, struct seen tags[static _TAG_MAX], struct preserved *p) {
        const char *manifest = manifest_says(job, &tags[TAG_MANIFEST]);
        _cleanup_(seen_done) struct seen tagmanifest = { .bytes = NULL };
        int r;

        /* FAIL-CLOSED: a manifest that is not the one its maker told of is not signed; the statement says so */
        if (!agrees(job, &tags[TAG_MANIFEST])) {
                seen_done(&tags[TAG_MANIFEST]);
                tags[TAG_MANIFEST].bytes = NULL;
        }
        r = write_tags(folder, job, tags);

        if (r == 0)
                r = write_tagmanifest(folder, tags, &tagmanifest);
        if (r == 0)
                r = write_signature(folder, job, &tagmanifest);
        memcpy(p->tagmanifest_sha256, tagmanifest.sha256, sizeof(p->tagmanifest_sha256));
        /* Last: the statement is what says that the folder was sealed. */
        return r < 0 ? r : write_statement(folder, job, p, manifest);
}

void seal_folder(int folder, const struct seal_job *job, struct preserved *ret) {
        struct seen tags[_TAG_MAX] = { 0 };
        const int unread = read_lists(folder, tags);
        int r = fault_effect("evidence-sign");

        *ret = (struct preserved) { .counted = job->has_result };
        if (job->has_result) {
                ret->objects = job->result.objects;
                ret->holes = job->result.holes;
                ret->bytes = job->result.bytes;
                ret->sealed = job->result.sealed;
                ret->flags = job->result.flags;
        }
        if (job->exit.code != COLLECT_EXIT_DONE && !job->synced)
                ret->flags |= COLLECT_UNSYNCED;
        ret->has_manifest = tags[TAG_MANIFEST].bytes;
        memcpy(ret->manifest_sha256, tags[TAG_MANIFEST].sha256, sizeof(ret->manifest_sha256));
        ret->state = unread < 0 ? PRESERVE_FAILED : judge(job, &tags[TAG_MANIFEST], &tags[TAG_PUBLIC]);
        if (r == 0)
                r = sign_folder(folder, job, tags, ret);
        for (size_t i = 0; i < _TAG_MAX; i++)
                seen_done(&tags[i]);
        if (r == 0)
                r = unread;
        if (r < 0) {
                ret->state = PRESERVE_FAILED;
                ret->err = r;
        }
}

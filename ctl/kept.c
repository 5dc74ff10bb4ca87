/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "ctl/kept.h"
#include "ctl/member.h"
#include "policy/dsse.h"

#define TOMBSTONE      "tombstone.dsse.json"
#define TOMBSTONE_TYPE "urn:freezed:tombstone:v1"
#define KEEPING        "keeping.dsse.json"
#define KEEPING_TYPE   "urn:freezed:keeping:v1"
#define TAGS           "tagmanifest-sha256.txt"
#define SUBJECTS_MAX   16U

static bool is_name(const char *name) {
        return *name && name[0] != '.' && !strchr(name, '/');
}

/* One file of the folder that the statement is about. */
static bool is_subject(const struct bag *b, const json_t *s) {
        const char *name = member_str(s, "name"), *digest = member_str(json_object_get(s, "digest"), "sha256");
        _cleanup_free_ char *bytes = NULL;
        uint8_t sha256[32];
        char hex[65];
        size_t n;

        if (!is_name(name) || bag_read_file(b, name, &bytes, &n) < 0)
                return false;
        (void) crypto_hash_sha256(sha256, (const uint8_t *) bytes, n);
        if (strcmp(digest, sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256))) != 0)
                return false;
        /* the tag manifest is the one that the host signed when it was sealed */
        return strcmp(name, TAGS) != 0 || !*b->subject || strcmp(digest, b->subject) == 0;
}

static bool names(const json_t *subjects, const char *name) {
        const json_t *s;
        size_t i;

        json_array_foreach(subjects, i, s) if (strcmp(member_str(s, "name"), name) == 0) return true;
        return false;
}

/* It is about this folder, and of what was signed there about nothing less. */
static bool is_about(const struct bag *b, const json_t *o, const char *type) {
        const json_t *subjects = json_object_get(o, "subject"), *s;
        const char *hold = member_str(json_object_get(o, "predicate"), "hold");
        size_t i;

        if (strcmp(member_str(o, "predicateType"), type) != 0 || json_array_size(subjects) == 0 ||
            json_array_size(subjects) > SUBJECTS_MAX || (*b->subject && !names(subjects, TAGS)) ||
            (b->predicate && strcmp(hold, member_str(b->predicate, "hold")) != 0))
                return false;
        json_array_foreach(subjects, i, s) if (!is_subject(b, s)) return false;
        return true;
}

static bool is_by(const struct dsse *d, const struct sshkey *host) {
        enum reason reason;
        uint64_t who = 0;

        return dsse_verify(d, host, 1, &who, &reason) == 0 && reason == REASON_NONE && who == 1;
}

/* By the host that signed the folder, known or not; where nobody signed that, by any that is known. */
static bool is_signed(const struct bag *b, const struct dsse *d, const struct hosts *known) {
        struct sshkey host;

        if (b->predicate) {
                sshkey_from_raw(b->pub, &host);
                return is_by(d, &host);
        }
        for (size_t i = 0; i < known->n; i++)
                if (is_by(d, &known->v[i].key))
                        return true;
        return false;
}

/* What is around the signed bytes is nobody's word, so there is one form of it only: the host's. */
static bool is_as_written(const struct dsse *d, const char *text, size_t n) {
        _cleanup_free_ char *json = NULL;

        return dsse_to_json(d, &json) == 0 && strlen(json) == n && memcmp(json, text, n) == 0;
}

/* The predicate, or NULL; *ret_bad: there is a file, and it is not to be believed. */
static json_t *load(const struct bag *b, const struct hosts *known, const char *name, const char *type,
                    uint8_t ret_sha256[static 32], bool *ret_bad) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *o = NULL;
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        size_t n;
        int r = bag_read_file(b, name, &text, &n);

        *ret_bad = r != -ENOENT;
        if (r < 0 || dsse_parse(text, n, &d, &reason) < 0 || reason != REASON_NONE || d.type != DSSE_EVIDENCE ||
            !is_as_written(&d, text, n) || !is_signed(b, &d, known))
                return NULL;
        o = json_loadb((const char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        if (!is_about(b, o, type))
                return NULL;
        *ret_bad = false;
        (void) crypto_hash_sha256(ret_sha256, (const uint8_t *) text, n);
        return json_incref(json_object_get(o, "predicate"));
}

void kept_check(struct bag *b, const struct hosts *known) {
        uint8_t sha256[32];
        bool bad;

        b->tombstone = load(b, known, TOMBSTONE, TOMBSTONE_TYPE, b->tombstone_sha256, &bad);
        if (b->tombstone || bad)
                bag_found(b, bad ? BAG_TOMBSTONE : BAG_DELETED, TOMBSTONE);
        b->keeping = load(b, known, KEEPING, KEEPING_TYPE, sha256, &bad);
        if (bad)
                bag_found(b, BAG_KEEPING, KEEPING);
}

void kept_to_json(json_t *o, const struct bag *b) {
        if (b->tombstone)
                (void) json_object_set(o, "tombstone", b->tombstone);
        if (b->keeping)
                (void) json_object_set(o, "keeping", b->keeping);
}

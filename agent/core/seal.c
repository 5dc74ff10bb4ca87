/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/core/seal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

#define SIGNATURE_NAME COLLECT_MANIFEST ".sig"
#define STATEMENT_NAME "evidence.dsse.json"
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

/* Neither waits nor follows: the collector may have been taken over. */
static int read_plain(int folder, const char *name, size_t max, struct seen *ret) {
        _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        _cleanup_free_ char *bytes = NULL;
        struct stat st;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t) st.st_size > max)
                return -EBADMSG;
        bytes = malloc((size_t) st.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        while (n < (size_t) st.st_size) {
                ssize_t got = read(fd, bytes + n, (size_t) st.st_size - n);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -EBADMSG;
                n += (size_t) got;
        }
        (void) crypto_hash_sha256(ret->sha256, (const uint8_t *) bytes, n);
        ret->bytes = TAKE_PTR(bytes);
        ret->n = n;
        return 0;
}

static bool agrees(const struct seal_job *job, const struct seen *manifest) {
        return manifest->bytes && job->has_result &&
               memcmp(manifest->sha256, job->result.manifest_sha256, sizeof(manifest->sha256)) == 0;
}

/* FAIL-CLOSED: `complete` needs a collector that ended well, a result, and a manifest that is the one it wrote. */
static enum preserve_state judge(const struct seal_job *job, const struct seen *manifest, const struct seen *index) {
        const struct seal_exit *e = &job->exit;

        if (e->code == COLLECT_EXIT_USAGE || e->code == COLLECT_EXIT_SANDBOX)
                return PRESERVE_FAILED;
        if (e->code == COLLECT_EXIT_DONE) {
                if (!agrees(job, manifest))
                        return PRESERVE_FAILED;
                return job->result.flags & COLLECT_CUT ? PRESERVE_CUT_SHORT : PRESERVE_COMPLETE;
        }
        return index->bytes && index->n > 0 ? PRESERVE_CUT_SHORT : PRESERVE_FAILED;
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

/* in-toto wants a subject in every statement: where there is not even an index, it is the order that came to
 * nothing. */
static json_t *find_subject(const struct seal_job *job, const struct seen *manifest, const struct seen *index) {
        if (manifest->bytes)
                return subject(COLLECT_MANIFEST, manifest->sha256);
        if (index->bytes)
                return subject(COLLECT_INDEX, index->sha256);
        return subject("command", job->digest);
}

static json_t *predicate(const struct seal_job *job, const struct preserved *p, const struct seen *manifest) {
        char hold[33], digest[65], host[SSHKEY_ID_SIZE], boot[33];
        uint8_t boot_id[16];
        const char *says = !manifest->bytes ? "absent" : agrees(job, manifest) ? "matches" : "differs";
        _cleanup_json_ json_t *o = NULL;

        command_id_to_str(&job->hold, hold);
        sodium_bin2hex(digest, sizeof(digest), job->digest, sizeof(job->digest));
        sshkey_id_to_str(hostkey_public(job->key)->id, host);
        clock_boot_id(boot_id);
        sodium_bin2hex(boot, sizeof(boot), boot_id, sizeof(boot_id));
        o = json_pack("{s:i, s:s, s:s, s:s, s:s, s:{s:s}, s:{s:I, s:I}, s:I, s:I, s:s, s:o, s:o}", "v", 1, "state",
                      preserved_state_id(p->state), "hold", hold, "host", host, "boot_id", boot, "command", "sha256",
                      digest, "window", "since_ms", (json_int_t) job->since_ms, "until_ms", (json_int_t) job->until_ms,
                      "started_ms", (json_int_t) job->started_ms, "ended_ms", (json_int_t) clock_wall_ms(), "manifest",
                      says, "collector", exit_to_json(&job->exit), "flags", preserved_flags_to_json(p->flags));
        if (o && job->incident[0] && json_object_set_new(o, "incident", json_string(job->incident)) < 0)
                return NULL;
        if (o && p->counted &&
            (json_object_set_new(o, "objects", json_integer((json_int_t) p->objects)) < 0 ||
             json_object_set_new(o, "holes", json_integer((json_int_t) p->holes)) < 0 ||
             json_object_set_new(o, "bytes", json_integer((json_int_t) p->bytes)) < 0))
                return NULL;
        return TAKE_PTR(o);
}

static int write_statement(int folder, const struct seal_job *job, const struct preserved *p,
                           const struct seen *manifest, const struct seen *index) {
        _cleanup_json_ json_t *o = json_pack("{s:s, s:o, s:s, s:o}", "_type", STATEMENT_TYPE, "subject",
                                             find_subject(job, manifest, index), "predicateType", PREDICATE_TYPE,
                                             "predicate", predicate(job, p, manifest));
        _cleanup_free_ char *payload = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        _cleanup_free_ char *envelope = NULL;
        int r;

        if (!payload)
                return -ENOMEM;
        r = hostkey_envelope(job->key, DSSE_EVIDENCE, payload, &envelope);
        if (r < 0)
                return r;
        return io_replace_file(folder, STATEMENT_NAME, envelope, strlen(envelope), 0400);
}

static int write_signature(int folder, const struct seal_job *job, const struct seen *manifest) {
        _cleanup_free_ char *pem = NULL;
        uint8_t sig[64];
        size_t n = 0;
        int r = io_read_file(AT_FDCWD, job->pem, PEM_MAX, &pem, &n);

        if (r == 0)
                r = io_replace_file(folder, PEM_NAME, pem, n, 0400);
        if (r < 0)
                return r;
        hostkey_sign(job->key, (const uint8_t *) manifest->bytes, manifest->n, sig);
        return io_replace_file(folder, SIGNATURE_NAME, sig, sizeof(sig), 0400);
}

void seal_folder(int folder, const struct seal_job *job, struct preserved *ret) {
        _cleanup_(seen_done) struct seen manifest = { .bytes = NULL }, index = { .bytes = NULL };
        int r = fault_effect("evidence-sign");

        *ret = (struct preserved) { .counted = job->has_result };
        if (job->has_result) {
                ret->objects = job->result.objects;
                ret->holes = job->result.holes;
                ret->bytes = job->result.bytes;
                ret->flags = job->result.flags;
        }
        (void) read_plain(folder, COLLECT_MANIFEST, COLLECT_MANIFEST_MAX, &manifest);
        if (!manifest.bytes)
                (void) read_plain(folder, COLLECT_INDEX, COLLECT_INDEX_MAX, &index);
        ret->has_manifest = manifest.bytes;
        memcpy(ret->manifest_sha256, manifest.sha256, sizeof(ret->manifest_sha256));
        ret->state = judge(job, &manifest, &index);
        if (r == 0 && agrees(job, &manifest))
                r = write_signature(folder, job, &manifest);
        /* Last: the statement is what says that the folder was sealed. */
        if (r == 0)
                r = write_statement(folder, job, ret, &manifest, &index);
        if (r < 0) {
                ret->state = PRESERVE_FAILED;
                ret->err = r;
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/tombstone.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/version.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE "urn:freezed:tombstone:v1"
/* Freeing a large file takes a file system some milliseconds for each gigabyte; orders wait for a step. */
#define FILES_A_STEP 16U

static void closedirp(DIR **d) {
        if (*d)
                (void) closedir(*d);
}

int tombstone_digest(const struct folder *f, uint8_t ret[static 32]) {
        return folder_digest(f, FOLDER_TOMBSTONE, ret);
}

static json_t *order_to_json(const struct tombstone *t) {
        char id[33], hex[65];

        if (!t->order)
                return json_null();
        command_id_to_str(&t->by, id);
        sodium_bin2hex(hex, sizeof(hex), t->command_sha256, sizeof(t->command_sha256));
        return json_pack("{ss ss ss sO ss}", "id", id, "sha256", hex, "role", t->role, "people", t->people, "reason",
                         t->why);
}

static json_t *predicate(const struct folder *f, const struct tombstone *t) {
        char hold[33], host[SSHKEY_ID_SIZE], boot[33];
        uint64_t files = 0, bytes = 0;

        if (folder_count(f, &files, &bytes) < 0)
                return NULL;
        command_id_to_str(&f->id, hold);
        sshkey_id_to_str(hostkey_public(t->key)->id, host);
        sodium_bin2hex(boot, sizeof(boot), t->boot_id, sizeof(t->boot_id));
        return json_pack("{si ss ss ss ss ss ss so sI sI sI sI sI sI sI}", "v", 1, "hold", hold, "host", host, "fleet",
                         t->fleet, "boot_id", boot, "agent", AGENT_VERSION, "why", t->order ? "order" : "retention",
                         "order", order_to_json(t), "files", (json_int_t) files, "bytes", (json_int_t) bytes, "ledger",
                         (json_int_t) t->ledger, "wall_ms", (json_int_t) clock_wall_ms(), "floor_ms",
                         (json_int_t) t->floor_ms, "sealed_ms", (json_int_t) t->sealed_ms, "keep_ms",
                         (json_int_t) t->keep_ms);
}

static bool names(const struct dsse *d, const struct command_id *id) {
        _cleanup_json_ json_t *o = json_loadb((const char *) d->payload, d->n_payload, JSON_REJECT_DUPLICATES, NULL);
        const char *hold = json_string_value(json_object_get(json_object_get(o, "predicate"), "hold"));
        char is[33];

        command_id_to_str(id, is);
        return hold && strcmp(hold, is) == 0;
}

/* Is the tombstone that is there by this host? One that somebody laid there beforehand would say what they like. */
static bool is_ours(const struct folder *f, const struct tombstone *t) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        uint64_t who = 0;
        size_t n = 0;

        return io_read_file(f->fd, FOLDER_TOMBSTONE, DSSE_HOST_ENVELOPE_MAX, &text, &n) == 0 &&
               dsse_parse(text, n, &d, &reason) == 0 && reason == REASON_NONE && d.type == DSSE_EVIDENCE &&
               dsse_verify(&d, hostkey_public(t->key), 1, &who, &reason) == 0 && reason == REASON_NONE && who == 1 &&
               names(&d, &f->id);
}

static int write_it(const struct folder *f, const struct tombstone *t) {
        _cleanup_free_ char *payload = NULL, *envelope = NULL;
        _cleanup_json_ json_t *o = NULL;
        int r = fault_effect("evidence-tombstone");

        if (r == 0 && t->order)
                r = io_replace_file(f->fd, FOLDER_DELETION, t->order, strlen(t->order), 0400);
        if (r < 0)
                return r;
        o = json_pack("{ss so ss so}", "_type", STATEMENT_TYPE, "subject", folder_subjects(f), "predicateType",
                      PREDICATE_TYPE, "predicate", predicate(f, t));
        payload = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (!payload)
                return -ENOMEM;
        r = hostkey_envelope(t->key, DSSE_EVIDENCE, payload, &envelope);
        return r < 0 ? r : io_replace_file(f->fd, FOLDER_TOMBSTONE, envelope, strlen(envelope), 0400);
}

/* Somebody may have made a directory there, which the collector does not. */
static int drop(int data, const char *name) {
        if (unlinkat(data, name, 0) == 0 || errno == ENOENT)
                return 0;
        return (errno == EISDIR || errno == EPERM) && unlinkat(data, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

static int drop_some(const struct folder *f) {
        _cleanup_(closedirp) DIR *d = NULL;
        size_t n = 0;
        int r = folder_open_data(f, &d);

        if (r < 0 || !d)
                return r;
        r = fault_effect("evidence-delete");
        for (const struct dirent *e; r == 0 && n < FILES_A_STEP && (e = readdir(d));)
                if (!folder_is_dots(e->d_name)) {
                        r = drop(dirfd(d), e->d_name);
                        n++;
                }
        if (r < 0)
                return r;
        if (n > 0)
                return 1;
        return unlinkat(f->fd, FOLDER_DATA, AT_REMOVEDIR) < 0 || fsync(f->fd) < 0 ? -errno : 1;
}

int tombstone_step(const struct folder *f, const struct tombstone *t) {
        int r;

        if (!is_ours(f, t)) {
                r = write_it(f, t);
                return r < 0 ? r : 1;
        }
        return drop_some(f);
}

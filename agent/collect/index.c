/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/index.h"

#include <string.h>

#include <sodium.h>

#define BASE64 sodium_base64_VARIANT_ORIGINAL

bool index_kind_ok(const char *kind) {
        size_t n = strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-");
        return n > 0 && n <= INDEX_KIND_MAX && kind[n] == '\0';
}

static int set_base64(json_t *object, const char *key, const void *bytes, size_t n) {
        _cleanup_free_ char *b64 = malloc(sodium_base64_encoded_len(n, BASE64));
        char name[64];

        if (!b64)
                return -ENOMEM;
        sodium_bin2base64(b64, sodium_base64_encoded_len(n, BASE64), bytes, n, BASE64);
        (void) snprintf(name, sizeof(name), "%s_b64", key);
        return json_object_set_new(object, name, json_string(b64)) < 0 ? -ENOMEM : 0;
}

int index_set_bytes(json_t *object, const char *key, const void *bytes, size_t n) {
        /* A NUL would be legal JSON, but half of the tools that read the line end a string there. */
        json_t *text = memchr(bytes, '\0', n) ? NULL : json_stringn(bytes, n);

        if (!text)
                return set_base64(object, key, bytes, n);
        return json_object_set_new(object, key, text) < 0 ? -ENOMEM : 0;
}

/* The library leaves DEL as it is, which some terminals act on as well. Within JSON it is always within a string. */
static char *escape_del(const char *text) {
        static const char escaped[] = "\\u007f";
        size_t n = strlen(text) + 2, dels = 0;

        for (const char *p = text; (p = strchr(p, 0x7f)); p++)
                dels++;
        char *line = malloc(n + dels * (sizeof(escaped) - 2)), *to = line;

        if (!line)
                return NULL;
        for (; *text; text++)
                if (*text == 0x7f)
                        to = stpcpy(to, escaped);
                else
                        *to++ = *text;
        (void) stpcpy(to, "\n");
        return line;
}

int index_json_line(const json_t *object, char **ret) {
        /* ASCII only: a terminal acts on C1 controls and on text that changes its direction as much as on ESC. */
        _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
        char *line = text ? escape_del(text) : NULL;

        if (!line)
                return -ENOMEM;
        *ret = line;
        return 0;
}

/* Not within a character of UTF-8, or the text would be none. */
static size_t cut_source(const char *source) {
        size_t n = strnlen(source, INDEX_HOLE_SOURCE_MAX), cut = n;

        if (source[n] == '\0')
                return n;
        while (n - cut < 4 && ((unsigned char) source[cut] & 0xc0) == 0x80)
                cut--;
        return n - cut < 4 ? cut : n;
}

static int add_item(json_t *o, const struct index_item *i, size_t n_source) {
        if (json_object_set_new(o, "kind", json_string(i->kind)) < 0)
                return -ENOMEM;
        if (i->pid > 0 && json_object_set_new(o, "pid", json_integer(i->pid)) < 0)
                return -ENOMEM;
        if (i->not_frozen && json_object_set_new(o, "not_frozen", json_true()) < 0)
                return -ENOMEM;
        if (i->own_timer && json_object_set_new(o, "own_timer", json_true()) < 0)
                return -ENOMEM;
        if (i->source[n_source] && json_object_set_new(o, "source_cut", json_true()) < 0)
                return -ENOMEM;
        return index_set_bytes(o, "source", i->source, n_source);
}

static int add_member(json_t *o, const char *member) {
        return member && json_object_set_new(o, "member", json_string(member)) < 0 ? -ENOMEM : 0;
}

static int64_t stamp_us(const struct statx_timestamp *t) {
        return t->tv_sec * INT64_C(1000000) + t->tv_nsec / 1000;
}

/* Those of statx(2), times in microseconds; what the file system does not have is not there. */
static int add_stat(json_t *o, const struct statx *st) {
        const struct {
                const char *name;
                unsigned mask;
                int64_t value;
        } members[] = {
                { "inode", STATX_INO, (int64_t) st->stx_ino },
                { "mode", STATX_MODE, st->stx_mode },
                { "nlink", STATX_NLINK, st->stx_nlink },
                { "uid", STATX_UID, st->stx_uid },
                { "gid", STATX_GID, st->stx_gid },
                { "size", STATX_SIZE, (int64_t) st->stx_size },
                { "atime_us", STATX_ATIME, stamp_us(&st->stx_atime) },
                { "mtime_us", STATX_MTIME, stamp_us(&st->stx_mtime) },
                { "ctime_us", STATX_CTIME, stamp_us(&st->stx_ctime) },
                { "btime_us", STATX_BTIME, stamp_us(&st->stx_btime) },
        };
        char dev[32];
        json_t *s;

        (void) snprintf(dev, sizeof(dev), "%u:%u", st->stx_dev_major, st->stx_dev_minor);
        s = json_pack("{s:s}", "dev", dev);
        for (size_t i = 0; s && i < ELEMENTSOF(members); i++)
                if (st->stx_mask & members[i].mask)
                        (void) json_object_set_new(s, members[i].name, json_integer(members[i].value));
        return json_object_set_new(o, "stat", s) < 0 ? -ENOMEM : 0;
}

int index_object_line(const struct index_item *i, const struct index_object *obj, char **ret) {
        _cleanup_json_ json_t *o = NULL;
        char hex[65];

        sodium_bin2hex(hex, sizeof(hex), obj->sha256, sizeof(obj->sha256));
        o = json_pack("{s:s, s:I, s:s, s:I, s:I}", "file", obj->file, "bytes", (json_int_t) obj->bytes, "sha256", hex,
                      "started_ms", (json_int_t) obj->started_ms, "ended_ms", (json_int_t) obj->ended_ms);
        if (!o || add_item(o, i, strlen(i->source)) < 0 || add_member(o, obj->member) < 0 ||
            (obj->stat && add_stat(o, obj->stat) < 0))
                return -ENOMEM;
        return index_json_line(o, ret);
}

int index_hole_line(const struct index_item *i, const struct index_hole *h, char **ret) {
        _cleanup_json_ json_t *o = json_object();
        const char *name = h->err ? strerrorname_np(h->err) : "changed";

        if (!o || json_object_set_new(o, "hole", json_string(name ? name : "errno")) < 0 ||
            add_item(o, i, cut_source(i->source)) < 0)
                return -ENOMEM;
        if (h->file && (json_object_set_new(o, "file", json_string(h->file)) < 0 || add_member(o, h->member) < 0))
                return -ENOMEM;
        if (h->expected >= 0 && json_object_set_new(o, "expected", json_integer(h->expected)) < 0)
                return -ENOMEM;
        if (json_object_set_new(o, "got", json_integer((json_int_t) h->got)) < 0 ||
            json_object_set_new(o, "changed", json_boolean(h->changed)) < 0)
                return -ENOMEM;
        return index_json_line(o, ret);
}

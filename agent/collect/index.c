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

int index_json_line(const json_t *object, char **ret) {
        /* ASCII only: a terminal acts on C1 controls and on text that changes its direction as much as on ESC. */
        _cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
        char *line;

        if (!text || asprintf(&line, "%s\n", text) < 0)
                return -ENOMEM;
        *ret = line;
        return 0;
}

static int add_item(json_t *o, const struct index_item *i) {
        if (json_object_set_new(o, "kind", json_string(i->kind)) < 0)
                return -ENOMEM;
        if (i->pid > 0 && json_object_set_new(o, "pid", json_integer(i->pid)) < 0)
                return -ENOMEM;
        return index_set_bytes(o, "source", i->source, strlen(i->source));
}

int index_object_line(const struct index_item *i, const struct index_object *obj, char **ret) {
        _cleanup_json_ json_t *o = NULL;
        char hex[65];

        sodium_bin2hex(hex, sizeof(hex), obj->sha256, sizeof(obj->sha256));
        o = json_pack("{s:s, s:I, s:s, s:I, s:I}", "file", obj->file, "bytes", (json_int_t) obj->bytes, "sha256", hex,
                      "started_ms", (json_int_t) obj->started_ms, "ended_ms", (json_int_t) obj->ended_ms);
        if (!o || add_item(o, i) < 0)
                return -ENOMEM;
        return index_json_line(o, ret);
}

int index_hole_line(const struct index_item *i, const struct index_hole *h, char **ret) {
        _cleanup_json_ json_t *o = json_object();
        const char *name = h->err ? strerrorname_np(h->err) : "changed";

        if (!o || json_object_set_new(o, "hole", json_string(name ? name : "errno")) < 0 || add_item(o, i) < 0)
                return -ENOMEM;
        if (h->file && json_object_set_new(o, "file", json_string(h->file)) < 0)
                return -ENOMEM;
        if (h->expected >= 0 && json_object_set_new(o, "expected", json_integer(h->expected)) < 0)
                return -ENOMEM;
        if (json_object_set_new(o, "got", json_integer((json_int_t) h->got)) < 0 ||
            json_object_set_new(o, "changed", json_boolean(h->changed)) < 0)
                return -ENOMEM;
        return index_json_line(o, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The DSSE vectors for unit tests: their files, the index and the keys that it names. See tests/vectors/generate.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/dsse.h"

#define VECTORS "tests/vectors/dsse/"

static json_t *index_root;
static struct sshkey key_a, key_b;

static inline char *slurp(const char *name, size_t *ret_n) {
        char path[256];
        _cleanup_fclose_ FILE *f = NULL;
        char *data;
        long size;

        (void) snprintf(path, sizeof(path), VECTORS "%s", name);
        f = fopen(path, "rbe");
        assert_non_null(f);
        assert_int_equal(fseek(f, 0, SEEK_END), 0);
        size = ftell(f);
        assert_true(size >= 0);
        rewind(f);
        /* of just that size, so that a read beyond the bytes is seen */
        data = malloc(size > 0 ? (size_t) size : 1);
        assert_int_equal(fread(data, 1, (size_t) size, f), size);
        *ret_n = (size_t) size;
        return data;
}

static inline const char *str_of(const json_t *j, const char *member) {
        const char *s = json_string_value(json_object_get(j, member));

        assert_non_null(s);
        return s;
}

static inline struct sshkey key_named(const char *name) {
        const json_t *j = json_object_get(json_object_get(index_root, "keys"), name);
        char id[SSHKEY_ID_SIZE];
        uint8_t pub[32];
        struct sshkey k;
        size_t n;

        assert_int_equal(sodium_hex2bin(pub, sizeof(pub), str_of(j, "public"), 64, NULL, &n, NULL), 0);
        assert_int_equal(sshkey_from_line(str_of(j, "line"), &k), 0);
        assert_memory_equal(k.pub, pub, sizeof(pub));
        sshkey_id_to_str(k.id, id);
        assert_string_equal(id, str_of(j, "id"));
        return k;
}

static inline int load_index(void **state) {
        _cleanup_free_ char *data = NULL;
        size_t n;

        (void) state;
        data = slurp("index.json", &n);
        index_root = json_loadb(data, n, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(index_root);
        key_a = key_named("A");
        key_b = key_named("B");
        return 0;
}

static inline int unload_index(void **state) {
        (void) state;
        json_decref(index_root);
        return 0;
}

static inline enum reason parse(const char *json, size_t n, struct dsse *ret) {
        enum reason reason = _REASON_MAX;

        assert_int_equal(dsse_parse(json, n, ret, &reason), 0);
        return reason;
}

static inline enum reason verify(const struct dsse *d, const struct sshkey *keys, size_t n_keys, uint64_t *ret_signed) {
        enum reason reason = _REASON_MAX;

        assert_int_equal(dsse_verify(d, keys, n_keys, ret_signed, &reason), 0);
        assert_true(reason == REASON_NONE || *ret_signed == 0);
        return reason;
}

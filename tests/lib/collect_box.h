/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A store in a folder of the test's own, and what is sealed in it opened again with stock tools. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sodium.h>

#include "agent/collect/store.h"
#include "agent/util/clock.h"
#include "lib/age_keys.h"
#include "lib/scratch.h"

#define BOX_FAR_US (600LL * 1000 * 1000)

struct box {
        struct scratch dir, opened;
        int folder;
        struct store *store;
        struct collect_result result;
        json_t *index; /* array of the lines, after box_finish */
};

static inline void box_open(struct box *b, uint64_t max_bytes) {
        struct age_recipient to;
        const struct store_limits limits = { .recipients = &to,
                                             .n_recipients = 1,
                                             .max_bytes = max_bytes,
                                             .deadline_us = clock_mono_us() + BOX_FAR_US };

        *b = (struct box) { .folder = -EBADF };
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        scratch_make(&b->dir);
        scratch_make(&b->opened);
        b->folder = open(b->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(b->folder >= 0);
        assert_int_equal(store_open(b->folder, &limits, &b->store), 0);
}

/* Where the content of an object is once it is opened. */
static inline const char *box_path(const struct box *b, const json_t *object) {
        const char *member = json_string_value(json_object_get(object, "member"));
        const char *file = json_string_value(json_object_get(object, "file"));
        char name[96];

        assert_non_null(file);
        (void) snprintf(name, sizeof(name), "data/%.80s", member ? member : strrchr(file, '/') + 1);
        if (!member)
                *strstr(name, ".zst.age") = '\0';
        return scratch_path(&b->opened, name);
}

/* What is in the object is what its line says. */
static inline void box_check(const struct box *b, const json_t *object) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = scratch_read(box_path(b, object));
        uint8_t digest[32];
        char hex[65];

        (void) crypto_hash_sha256(digest, (const uint8_t *) bytes.data, bytes.n);
        (void) sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
        assert_string_equal(json_string_value(json_object_get(object, "sha256")), hex);
        assert_int_equal(json_integer_value(json_object_get(object, "bytes")), bytes.n);
}

static inline void box_load(struct box *b) {
        _cleanup_fclose_ FILE *f = fopen(scratch_path(&b->opened, "index.jsonl"), "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        assert_non_null(f);
        b->index = json_array();
        while (getline(&line, &size, f) > 0) {
                for (const char *p = line; *p; p++)
                        assert_true(*p == '\n' ? p[1] == '\0' : *p >= 0x20 && *p < 0x7f);
                json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

                assert_non_null(o);
                assert_int_equal(json_array_append_new(b->index, o), 0);
                if (json_object_get(o, "sha256"))
                        box_check(b, o);
        }
}

static inline void box_unseal(struct box *b) {
        char command[1024];

        (void) snprintf(command, sizeof(command),
                        "echo " AGE_KEYS_SECRET " >%s/key && tests/lib/open_bag.sh %s %s/key %s", b->opened.path,
                        b->dir.path, b->opened.path, b->opened.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
}

/* Seals and loads; the manifest has to verify. */
static inline void box_finish(struct box *b) {
        char command[256];

        assert_int_equal(store_finish(b->store, &b->result), 0);
        (void) snprintf(command, sizeof(command), "cd %s && sha256sum -c --strict --quiet manifest-sha256.txt",
                        b->dir.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        box_unseal(b);
        box_load(b);
}

static inline void box_done(struct box *b) {
        store_free(b->store);
        json_decref(b->index);
        closep(&b->folder);
        scratch_remove(&b->dir);
        scratch_remove(&b->opened);
}

#define _cleanup_box_ _cleanup_(box_done)

/* The nth line of that kind, objects or holes; NULL when there are fewer. */
static inline const json_t *box_line(const struct box *b, const char *type, const char *kind, size_t nth) {
        size_t i;
        const json_t *o;

        json_array_foreach(b->index, i, o) {
                const char *k = json_string_value(json_object_get(o, "kind"));

                if (json_object_get(o, type) && k && strcmp(k, kind) == 0 && nth-- == 0)
                        return o;
        }
        return NULL;
}

#define box_object(b, kind, nth) box_line(b, "sha256", kind, nth)
#define box_hole(b, kind, nth)   box_line(b, "hole", kind, nth)

static inline const char *box_text(const json_t *o, const char *key) {
        const char *text = json_string_value(json_object_get(o, key));

        assert_non_null(text);
        return text;
}

static inline json_int_t box_int(const json_t *o, const char *key) {
        assert_true(json_is_integer(json_object_get(o, key)));
        return json_integer_value(json_object_get(o, key));
}

/* Content of an object. */
static inline struct scratch_bytes box_bytes(const struct box *b, const json_t *object) {
        return scratch_read(box_path(b, object));
}

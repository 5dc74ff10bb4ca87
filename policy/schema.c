/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/schema.h"

#include <setjmp.h>
#include <string.h>

#define PAYLOAD_VERSION 1

/* FAIL-CLOSED: jansson does not survive an allocation that fails. Its lexer drops a character of the string that it is
 * reading and goes on, so that an order would be carried out on another unit, or runs past its buffer, or asserts; its
 * dumper drops a member's name (all seen in 2.14; akheron/jansson#362). So control never returns into it: what it had
 * allocated until then is lost, for want of a list of it. Its allocator is one for the whole process, and each thread
 * says for itself whether it is to leave. */
static _Thread_local struct {
        bool leaves;
        jmp_buf out_of_memory;
} allocator;

static void *malloc_or_leave(size_t n) {
        void *p = malloc(n);

        if (!p && allocator.leaves)
                longjmp(allocator.out_of_memory, 1);
        return p;
}

/* Before there is a second thread. */
__attribute__((__constructor__)) static void allocator_give(void) {
        json_set_alloc_funcs(malloc_or_leave, free);
}

/* These two have no locals: setjmp() does not keep any. False when out of memory. */
static bool load_or_leave(const char *bytes, size_t n, json_t **ret, json_error_t *ret_error) {
        if (setjmp(allocator.out_of_memory) != 0)
                return false;
        *ret = json_loadb(bytes, n, JSON_REJECT_DUPLICATES, ret_error);
        return true;
}

static bool dump_or_leave(const json_t *v, char **ret) {
        if (setjmp(allocator.out_of_memory) != 0)
                return false;
        *ret = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
        return true;
}

int schema_json(const char *bytes, size_t n, json_t **ret, enum reason *ret_reason) {
        json_error_t error = {};
        json_t *root = NULL;
        bool ok;

        allocator.leaves = true;
        ok = load_or_leave(bytes, n, &root, &error);
        allocator.leaves = false;
        if (!ok)
                return -ENOMEM;
        if (root) {
                *ret = root;
                *ret_reason = REASON_NONE;
        } else
                *ret_reason = json_error_code(&error) == json_error_invalid_utf8 ? REASON_ENCODING : REASON_MALFORMED;
        return 0;
}

int schema_dump(const json_t *v, char **ret) {
        char *json = NULL;
        bool ok;

        allocator.leaves = true;
        ok = dump_or_leave(v, &json);
        allocator.leaves = false;
        if (!ok || !json)
                return -ENOMEM;
        *ret = json;
        return 0;
}

static enum reason version_check(const json_t *root) {
        const json_t *v = json_object_get(root, "v");

        /* json_object_get finds nothing in what is no object */
        if (!json_is_integer(v))
                return REASON_SCHEMA;
        return json_integer_value(v) == PAYLOAD_VERSION ? REASON_NONE : REASON_VERSION;
}

int schema_load(const uint8_t *bytes, size_t n, size_t max, json_t **ret, enum reason *ret_reason) {
        _cleanup_json_ json_t *root = NULL;
        enum reason reason = REASON_OVERSIZE;
        int r = 0;

        if (n <= max)
                r = schema_json((const char *) bytes, n, &root, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE)
                reason = version_check(root);
        if (reason == REASON_NONE)
                *ret = TAKE_PTR(root);
        *ret_reason = reason;
        return 0;
}

static bool is_named(const char *member, const struct schema_field *fields, size_t n_fields) {
        for (size_t i = 0; i < n_fields; i++)
                if (strcmp(fields[i].name, member) == 0)
                        return true;
        return false;
}

enum reason schema_object(const json_t *v, const struct schema_field *fields, size_t n_fields, void *ret) {
        const char *member;
        json_t *value;

        if (!json_is_object(v))
                return REASON_SCHEMA;
        json_object_foreach((json_t *) v, member, value) if (!is_named(member, fields, n_fields)) return REASON_FIELD;

        for (const struct schema_field *f = fields; f < fields + n_fields; f++) {
                enum reason reason;

                value = json_object_get(v, f->name);
                if (!value && f->required)
                        return REASON_SCHEMA;
                reason = value ? f->read(value, f, (uint8_t *) ret + f->offset) : REASON_NONE;
                if (reason != REASON_NONE)
                        return reason;
        }
        return REASON_NONE;
}

enum reason schema_array(const json_t *v, const struct schema_list *l, void **ret, size_t *ret_n) {
        _cleanup_free_ uint8_t *items = NULL;
        size_t n = json_array_size(v);

        if (!json_is_array(v) || n < l->min)
                return REASON_SCHEMA;
        if (n > l->max)
                return REASON_SCHEMA;
        if (n > 0) {
                items = calloc(n, l->size);
                if (!items)
                        return REASON_INTERNAL;
        }
        for (size_t i = 0; i < n; i++) {
                enum reason reason = l->item(json_array_get(v, i), items + i * l->size);

                if (reason != REASON_NONE)
                        return reason;
        }
        if (l->unique && schema_has_twins(items, n, l->size))
                return REASON_SCHEMA;

        *ret = TAKE_PTR(items);
        *ret_n = n;
        return REASON_NONE;
}

enum reason schema_int(const json_t *v, const struct schema_field *f, void *ret) {
        int64_t i = json_integer_value(v);

        if (!json_is_integer(v) || i < f->min || i > f->max)
                return REASON_SCHEMA;
        switch (f->size) {
        case sizeof(uint8_t):
                *(uint8_t *) ret = (uint8_t) i;
                break;
        case sizeof(uint16_t):
                *(uint16_t *) ret = (uint16_t) i;
                break;
        case sizeof(uint32_t):
                *(uint32_t *) ret = (uint32_t) i;
                break;
        default:
                *(int64_t *) ret = i;
        }
        return REASON_NONE;
}

enum reason schema_bool(const json_t *v, const struct schema_field *f, void *ret) {
        (void) f;
        if (!json_is_boolean(v))
                return REASON_SCHEMA;
        *(bool *) ret = json_is_true(v);
        return REASON_NONE;
}

static enum reason text_store(const json_t *v, const struct schema_field *f, bool (*is_valid)(const char *, size_t),
                              char *ret) {
        const char *s = json_string_value(v);
        size_t n = json_string_length(v);

        if (!s || n < (size_t) f->min || n > (size_t) f->max || !is_valid(s, f->size))
                return REASON_SCHEMA;
        memcpy(ret, s, n + 1);
        return REASON_NONE;
}

enum reason schema_text(const json_t *v, const struct schema_field *f, void *ret) {
        return text_store(v, f, schema_is_text, ret);
}

enum reason schema_name(const json_t *v, const struct schema_field *f, void *ret) {
        return text_store(v, f, schema_is_name, ret);
}

enum reason schema_skip(const json_t *v, const struct schema_field *f, void *ret) {
        (void) v;
        (void) f;
        (void) ret;
        return REASON_NONE;
}

/* Shapes of UTF-8 sequences (Unicode 15, table 3-7): how many bytes follow a first byte, and the range of the second.
 * Control characters are no shape: C1 is C2 80 to C2 9F. Nor are surrogates, ED A0 80 to ED BF BF. */
static const struct {
        uint8_t first_min, first_max, n_more, second_min, second_max;
} utf8_shapes[] = {
        { 0x20, 0x7e, 0, 0, 0 },       { 0xc2, 0xc2, 1, 0xa0, 0xbf }, { 0xc3, 0xdf, 1, 0x80, 0xbf },
        { 0xe0, 0xe0, 2, 0xa0, 0xbf }, { 0xe1, 0xec, 2, 0x80, 0xbf }, { 0xed, 0xed, 2, 0x80, 0x9f },
        { 0xee, 0xef, 2, 0x80, 0xbf }, { 0xf0, 0xf0, 3, 0x90, 0xbf }, { 0xf1, 0xf3, 3, 0x80, 0xbf },
        { 0xf4, 0xf4, 3, 0x80, 0x8f },
};

/* Bytes of the character at s, which ends with a NUL; 0 when it is none that text may have. */
static size_t char_size(const uint8_t *s) {
        size_t i, k;

        for (i = 0; i < ELEMENTSOF(utf8_shapes); i++)
                if (s[0] >= utf8_shapes[i].first_min && s[0] <= utf8_shapes[i].first_max)
                        break;
        if (i == ELEMENTSOF(utf8_shapes))
                return 0;
        if (utf8_shapes[i].n_more > 0 && (s[1] < utf8_shapes[i].second_min || s[1] > utf8_shapes[i].second_max))
                return 0;
        for (k = 2; k <= utf8_shapes[i].n_more; k++)
                if (s[k] < 0x80 || s[k] > 0xbf)
                        return 0;
        return utf8_shapes[i].n_more + 1U;
}

bool schema_is_text(const char *s, size_t size) {
        if (strnlen(s, size) == size)
                return false;
        for (size_t n; *s; s += n) {
                n = char_size((const uint8_t *) s);
                if (n == 0)
                        return false;
        }
        return true;
}

bool schema_is_name(const char *s, size_t size) {
        static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
        static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
        size_t n = strnlen(s, size);

        return n > 0 && n < size && strspn(s, others) == n && strchr(first, s[0]);
}

bool schema_has_twins(const void *items, size_t n, size_t size) {
        const uint8_t *p = items;

        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        if (memcmp(p + i * size, p + k * size, size) == 0)
                                return true;
        return false;
}

int schema_result(enum reason r, enum reason *ret_reason) {
        if (r == REASON_INTERNAL)
                return -ENOMEM;
        *ret_reason = r;
        return 0;
}

int schema_read(const uint8_t *bytes, size_t n, size_t max, const struct schema_field *fields, size_t n_fields,
                void *ret, enum reason *ret_reason) {
        _cleanup_json_ json_t *root = NULL;
        enum reason reason;
        int r = schema_load(bytes, n, max, &root, &reason);

        if (r < 0)
                return r;
        return schema_result(reason == REASON_NONE ? schema_object(root, fields, n_fields, ret) : reason, ret_reason);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading JSON by table. Each kind of object that anyone may send has one array of fields; what the array does not name
 * is refused, so that a newer member can never be ignored by an older host. Used for commands, trust roots and the
 * host's policy.
 *
 * Readers answer with a reason: NONE; SCHEMA (wrong type or out of range, or more entries than a host accounts for:
 * that can never pass, unlike LIMIT); FIELD (a member that the table does not name); INTERNAL, which here means out of
 * memory and nothing else. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"

/* the largest integer that every JSON reader keeps exact */
#define SCHEMA_INT_MAX ((1LL << 53) - 1)

struct schema_field {
        const char *name;
        bool required;
        /* Checks v and stores it at ret, which is `offset` bytes into the object being filled. */
        enum reason (*read)(const json_t *v, const struct schema_field *f, void *ret);
        size_t offset, size;
        int64_t min, max; /* of integers their value, of text its length in bytes */
};

/* A field that is kept in one member of a struct, and one whose reader gets the whole struct. */
#define SCHEMA_MEMBER(type, member) offsetof(type, member), sizeof(((type *) 0)->member)
#define SCHEMA_WHOLE                0, 0

/* A list in which every item is kept in `size` bytes. */
struct schema_list {
        size_t size, min, max;
        bool unique; /* no two items may be kept as the same bytes */
        enum reason (*item)(const json_t *v, void *ret);
};

/* Parses JSON strictly: UTF-8 (ENCODING), one array or object, no member twice, nothing behind it (MALFORMED). jansson
 * itself must not be called for this: it goes wrong when memory lacks. Returns 0 and a reason, *ret owned by the caller
 * and set only with NONE, or -ENOMEM. */
int schema_json(const char *bytes, size_t n, json_t **ret, enum reason *ret_reason) _warn_unused_;
/* Writes JSON: compact, keys sorted. v is what json_object() or json_array() made. *ret is malloc'ed. -ENOMEM. */
int schema_dump(const json_t *v, char **ret) _warn_unused_;
/* Parses a payload or a policy: at most max bytes (OVERSIZE), JSON as above, an object (SCHEMA) whose member "v" is 1
 * (VERSION). The version is judged before anything else in the object, because another version may have other members.
 * Returns as schema_json does. */
int schema_load(const uint8_t *bytes, size_t n, size_t max, json_t **ret, enum reason *ret_reason) _warn_unused_;
/* Reads an object: unknown members first, then the fields in the table's order. ret may be half filled when the answer
 * is not NONE. */
enum reason schema_object(const json_t *v, const struct schema_field *fields, size_t n_fields, void *ret);
/* Both, for whatever is signed or configured as one object: returns 0 and a reason, ret half filled unless NONE, or
 * -ENOMEM. */
int schema_read(const uint8_t *bytes, size_t n, size_t max, const struct schema_field *fields, size_t n_fields,
                void *ret, enum reason *ret_reason) _warn_unused_;
/* Reads an array into one zeroed allocation, owned by the caller; NULL when it is empty. More than max is SCHEMA, and
 * fewer than min. */
enum reason schema_array(const json_t *v, const struct schema_list *l, void **ret, size_t *ret_n);

/* Readers for tables. Integers fit members of 1, 2, 4 and 8 bytes; text and names go to char arrays. */
enum reason schema_int(const json_t *v, const struct schema_field *f, void *ret);
enum reason schema_bool(const json_t *v, const struct schema_field *f, void *ret);
enum reason schema_text(const json_t *v, const struct schema_field *f, void *ret);
enum reason schema_name(const json_t *v, const struct schema_field *f, void *ret);
/* Accepts a value that was read elsewhere, and stores nothing. */
enum reason schema_skip(const json_t *v, const struct schema_field *f, void *ret);

/* True when s ends within size bytes and is UTF-8 without control characters (C0, DEL, C1): safe to print and to
 * log. */
bool schema_is_text(const char *s, size_t size);
/* True for ^[a-z0-9][a-z0-9._-]*$ that ends within size bytes: fleets, groups, people, roles. */
bool schema_is_name(const char *s, size_t size);
/* True when two of n items of the size are the same bytes. */
bool schema_has_twins(const void *items, size_t n, size_t size);

/* INTERNAL becomes -ENOMEM; any other reason is stored and 0 returned. */
int schema_result(enum reason r, enum reason *ret_reason);

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/attrs.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include <linux/netlink.h>
#include <sodium.h>

#include "agent/collect/index.h"

/* An attribute is 64 KiB at most, and so nests 16,000 deep at most: not on our stack. */
#define DEPTH_MAX 16U
/* jansson's integers have a sign */
#define NUMBER_MAX INT64_MAX

static json_t *hex_of(const void *bytes, size_t n) {
        _cleanup_free_ char *hex = malloc(2 * n + 1);

        return hex ? json_string(sodium_bin2hex(hex, 2 * n + 1, bytes, n)) : NULL;
}

static json_t *number_of(uint64_t v) {
        char text[24];

        if (v <= NUMBER_MAX)
                return json_integer((json_int_t) v);
        (void) snprintf(text, sizeof(text), "%" PRIu64, v);
        return json_string(text);
}

static const struct {
        size_t size;
        bool big;
} numbers[] = {
        [ATTRS_U8] = { 1, false },  [ATTRS_U16] = { 2, false }, [ATTRS_U32] = { 4, false }, [ATTRS_U64] = { 8, false },
        [ATTRS_BE16] = { 2, true }, [ATTRS_BE32] = { 4, true }, [ATTRS_BE64] = { 8, true },
};

static bool is_number(unsigned type) {
        return type < ELEMENTSOF(numbers) && numbers[type].size > 0;
}

static uint64_t read_number(const void *bytes, unsigned type) {
        const size_t size = numbers[type].size;
        const bool low_first = !numbers[type].big && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
        const uint8_t *b = bytes;
        uint64_t v = 0;

        for (size_t i = 0; i < size; i++)
                v = v << 8 | b[low_first ? size - 1 - i : i];
        return v;
}

static json_t *address_of(const uint8_t *b, size_t n) {
        char text[INET6_ADDRSTRLEN];

        if (n == 4 || n == 16)
                return json_string(inet_ntop(n == 4 ? AF_INET : AF_INET6, b, text, sizeof(text)));
        if (n != 6)
                return hex_of(b, n);
        (void) snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
        return json_string(text);
}

/* The second of a name makes an array of both. */
static int add(json_t *o, const char *name, json_t *value) {
        json_t *before = json_object_get(o, name);
        json_t *array = json_is_array(before) ? json_incref(before) : before ? json_pack("[O]", before) : NULL;

        if (!value || (before && !array)) {
                json_decref(value);
                json_decref(array);
                return -ENOMEM;
        }
        if (!before)
                return json_object_set_new(o, name, value) < 0 ? -ENOMEM : 0;
        int r = json_array_append_new(array, value);

        return json_object_set_new(o, name, array) < 0 || r < 0 ? -ENOMEM : 0;
}

static int add_unknown(json_t *o, unsigned id, const void *bytes, size_t n) {
        char name[24];

        (void) snprintf(name, sizeof(name), "attr_%u", id);
        return add(o, name, hex_of(bytes, n));
}

/* Text may be no text: then it is called otherwise. */
static int add_bytes(json_t *o, const char *name, const void *bytes, size_t n) {
        _cleanup_json_ json_t *one = json_object();
        const char *key;
        json_t *value;
        int r = one ? index_set_bytes(one, name, bytes, n) : -ENOMEM;

        if (r < 0)
                return r;
        json_object_foreach(one, key, value) {
                r = add(o, key, json_incref(value));
        }
        return r;
}

static const struct attrs *find(const struct attrs *table, unsigned id) {
        for (const struct attrs *a = table; a && a->name; a++)
                if (a->id == id)
                        return a;
        return NULL;
}

static int decode(json_t *o, const uint8_t *p, size_t n, const struct attrs *table, unsigned depth);

/* An array even of one, so that who reads it has one case. */
static int add_list(json_t *o, const char *name, const uint8_t *p, size_t n, const struct attrs *nest, unsigned depth) {
        _cleanup_json_ json_t *members = json_array();
        size_t at = 0;
        int r = members ? 0 : -ENOMEM;

        while (r == 0 && n - at >= NLA_HDRLEN) {
                struct nlattr a;
                memcpy(&a, p + at, sizeof(a));
                if (a.nla_len < NLA_HDRLEN || a.nla_len > n - at)
                        break;
                json_t *member = json_object();

                r = member ? decode(member, p + at + NLA_HDRLEN, a.nla_len - NLA_HDRLEN, nest, depth) : -ENOMEM;
                if (json_array_append_new(members, member) < 0)
                        r = -ENOMEM;
                at += MIN((size_t) NLA_ALIGN(a.nla_len), n - at);
        }
        if (r == 0 && at < n)
                r = json_array_append_new(members, hex_of(p + at, n - at)) < 0 ? -ENOMEM : 0;
        return r < 0 ? r : add(o, name, json_incref(members));
}

static int add_inner(json_t *o, const struct attrs *a, const uint8_t *p, size_t n, unsigned depth) {
        json_t *inner = json_object();
        int r = !inner                  ? -ENOMEM
                : a->type == ATTRS_NEST ? decode(inner, p, n, a->nest, depth)
                                        : attrs_fields(inner, p, n, a->fields);

        if (r < 0) {
                json_decref(inner);
                return r;
        }
        return add(o, a->name, inner);
}

static int add_known(json_t *o, const struct attrs *a, const uint8_t *p, size_t n, unsigned depth) {
        switch (a->type) {
        case ATTRS_TEXT:
                return add_bytes(o, a->name, p, strnlen((const char *) p, n));
        case ATTRS_UNIX:
                return n > 1 && p[0] == '\0' ? add_bytes(o, "abstract", p + 1, n - 1)
                                             : add_bytes(o, a->name, p, strnlen((const char *) p, n));
        case ATTRS_ADDRESS:
                return add(o, a->name, address_of(p, n));
        case ATTRS_NEST:
        case ATTRS_STRUCT:
                return add_inner(o, a, p, n, depth);
        case ATTRS_LIST:
                return add_list(o, a->name, p, n, a->nest, depth);
        default:
                return add(o, a->name, is_number(a->type) ? number_of(read_number(p, a->type)) : hex_of(p, n));
        }
}

static int add_attribute(json_t *o, unsigned id, const uint8_t *p, size_t n, const struct attrs *table,
                         unsigned depth) {
        const struct attrs *a = find(table, id);

        if (!a || (is_number(a->type) && n != numbers[a->type].size) || depth >= DEPTH_MAX)
                return add_unknown(o, id, p, n);
        return add_known(o, a, p, n, depth + 1);
}

static int decode(json_t *o, const uint8_t *p, size_t n, const struct attrs *table, unsigned depth) {
        while (n >= NLA_HDRLEN) {
                struct nlattr a;
                int r;

                memcpy(&a, p, sizeof(a));
                if (a.nla_len < NLA_HDRLEN || a.nla_len > n)
                        break;
                r = add_attribute(o, a.nla_type & NLA_TYPE_MASK, p + NLA_HDRLEN, a.nla_len - NLA_HDRLEN, table, depth);
                if (r < 0)
                        return r;
                const size_t step = MIN((size_t) NLA_ALIGN(a.nla_len), n);

                p += step;
                n -= step;
        }
        return n > 0 ? add(o, "rest", hex_of(p, n)) : 0;
}

int attrs_decode(json_t *object, const void *bytes, size_t n, const struct attrs *table) {
        return decode(object, bytes, n, table, 0);
}

int attrs_fields(json_t *object, const void *bytes, size_t n, const struct attrs_field *table) {
        for (const struct attrs_field *f = table; f->name; f++) {
                const uint8_t *p = (const uint8_t *) bytes + f->offset;
                const size_t size = is_number(f->type) ? numbers[f->type].size : f->size;
                int r;

                if (f->offset + size > n)
                        continue;
                if (is_number(f->type))
                        r = add(object, f->name, number_of(read_number(p, f->type)));
                else
                        r = add(object, f->name, f->type == ATTRS_ADDRESS ? address_of(p, size) : hex_of(p, size));
                if (r < 0)
                        return r;
        }
        return 0;
}

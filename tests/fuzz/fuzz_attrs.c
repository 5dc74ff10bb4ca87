/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/attrs.c agent/collect/index.c */
#include <stdint.h>
#include <string.h>

#include "agent/collect/attrs.h"
#include "agent/collect/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct attrs_field fields[] = {
        { "u8", 0, ATTRS_U8, 0 },       { "be16", 1, ATTRS_BE16, 0 }, { "u64", 3, ATTRS_U64, 0 },
        { "at", 11, ATTRS_ADDRESS, 4 }, { "hex", 15, ATTRS_HEX, 9 },  { 0 },
};

/* Every type, and nests that never end. */
static const struct attrs table[] = {
        { 0, ATTRS_HEX, "hex", NULL, NULL },
        { 1, ATTRS_U8, "u8", NULL, NULL },
        { 2, ATTRS_U16, "u16", NULL, NULL },
        { 3, ATTRS_U32, "u32", NULL, NULL },
        { 4, ATTRS_U64, "u64", NULL, NULL },
        { 5, ATTRS_BE16, "be16", NULL, NULL },
        { 6, ATTRS_BE32, "be32", NULL, NULL },
        { 7, ATTRS_BE64, "be64", NULL, NULL },
        { 8, ATTRS_TEXT, "text", NULL, NULL },
        { 9, ATTRS_UNIX, "path", NULL, NULL },
        { 10, ATTRS_ADDRESS, "addr", NULL, NULL },
        { 11, ATTRS_NEST, "nest", table, NULL },
        { 12, ATTRS_LIST, "list", table, NULL },
        { 13, ATTRS_STRUCT, "struct", NULL, fields },
        { 0 },
};

/* Whatever the bytes are, they become one line of plain ASCII that is JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *o = json_object(), *again = NULL;
        _cleanup_free_ char *line = NULL;

        if (attrs_fields(o, data, size, fields) < 0)
                __builtin_trap();
        (void) json_object_clear(o);
        if (attrs_decode(o, data, size, table) < 0 || index_json_line(o, &line) < 0)
                __builtin_trap();
        for (const char *c = line; *c; c++)
                if (*c == '\n' ? c[1] != '\0' : *c < 0x20 || *c > 0x7e)
                        __builtin_trap();
        again = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        if (!again || !json_equal(o, again))
                __builtin_trap();
        return 0;
}

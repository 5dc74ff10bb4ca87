/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/member.h"

const char *member_str(const json_t *o, const char *name) {
        const char *s = json_string_value(json_object_get(o, name));

        return s ? s : "";
}

int64_t member_int(const json_t *o, const char *name, int64_t absent) {
        const json_t *v = json_object_get(o, name);

        return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool member_is_true(const json_t *o, const char *name) {
        return json_is_true(json_object_get(o, name));
}

bool member_is_false(const json_t *o, const char *name) {
        return json_is_false(json_object_get(o, name));
}

reason_set member_reasons(const json_t *o, const char *array, size_t *ret_unknown) {
        reason_set set = 0;
        size_t i, unknown = 0;
        json_t *v;

        json_array_foreach(json_object_get(o, array), i, v) {
                enum reason r;
                if (json_is_string(v) && reason_from_id(json_string_value(v), &r))
                        set |= reason_bit(r);
                else
                        unknown++;
        }
        *ret_unknown = unknown;
        return set;
}

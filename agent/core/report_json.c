/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/report_json.h"

json_t *reasons_to_json(reason_set set, unsigned kinds) {
        json_t *array = json_array();

        for (unsigned r = 0; array && r < _REASON_MAX; r++)
                if ((set & reason_bit(r)) && (kinds == 0 || kinds & (1U << reason_kind(r))))
                        (void) json_array_append_new(array, json_string(reason_id(r)));
        return array;
}

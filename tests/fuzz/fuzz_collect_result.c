/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/util/collect_abi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct collect_result r;
        struct collect_wire in, out;

        if (size != sizeof(in))
                return 0;
        memcpy(&in, data, sizeof(in));
        if (!collect_unpack(&in, &r))
                return 0;
        if (r.objects > COLLECT_OBJECTS_MAX)
                __builtin_trap();
        collect_pack(&r, &out);
        if (memcmp(&in, &out, sizeof(in)) != 0)
                __builtin_trap();
        return 0;
}

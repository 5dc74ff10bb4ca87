/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/unpack.c ctl/sums.c ctl/member.c */
#include <stdint.h>

#include "ctl/sums.h"
#include "ctl/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        const uint8_t *at, *end;
};

/* Members lie within what was given, one behind the other, and their names are ours. */
static int found(const char *name, const uint8_t *bytes, size_t n, void *userdata) {
        struct input *in = userdata;

        if (bytes < in->at || n > (size_t) (in->end - bytes) || !sums_name_ok(name) || strchr(name, '/'))
                __builtin_trap();
        in->at = bytes + n;
        return n == 7 ? -ECANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct input in = { data, data + size };
        int r = unpack(data, size, found, &in);

        if (r != 0 && r != -EBADMSG && r != -ECANCELED)
                __builtin_trap();
        return 0;
}

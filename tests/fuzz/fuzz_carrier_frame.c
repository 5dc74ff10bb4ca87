/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/carrier_frame.c */
#include <string.h>

#include "ctl/carrier_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The parts are all of the bytes, one behind the other, and each is as long as its field says. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *bytes = (const char *) data;
        struct carrier_parts p, untouched;

        memset(&p, 7, sizeof(p));
        untouched = p;
        if (carrier_frame_read(bytes, size, &p) < 0) {
                if (memcmp(&p, &untouched, sizeof(p)) != 0)
                        __builtin_trap();
                return 0;
        }
        if (p.subject != bytes + sizeof(p.head) || p.reply != p.subject + p.head.n_subject ||
            p.text != p.reply + p.head.n_reply || p.text + p.n != bytes + size ||
            p.head.n_subject >= CARRIER_SUBJECT_SIZE || p.head.n_reply >= CARRIER_SUBJECT_SIZE)
                __builtin_trap();
        return 0;
}

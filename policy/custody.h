/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What somebody is about to do with evidence of this host, told to the core so that it is on record first: the payload
 * of a CUSTODY frame. Who it is is not in it; the core asks the kernel.
 *
 *   0  16  nonce: of the question, repeated in the answer
 *  16  16  the hold whose evidence it is; zeros: no single one
 *  32  32  SHA-256 of the folder's tag manifest as its statement names it; zeros: none
 *  64   1  the act */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* X(NAME, "id") */
#define CUSTODY_ACT_TABLE(X)                                                  \
        X(LIST, "list")       /* all there is, by what the host says of it */ \
        X(SHOW, "show")       /* one folder, by what the host says of it */   \
        X(VERIFY, "verify")   /* every file was read */                       \
        X(EXPORT, "export")   /* copied as it is sealed */                    \
        X(DECRYPT, "decrypt") /* opened with a secret key, whether into a folder or a bag */

enum custody_act {
#define X(name, id) CUSTODY_##name,
        CUSTODY_ACT_TABLE(X)
#undef X
                _CUSTODY_ACT_MAX,
};

#define CUSTODY_SIZE 65U

struct custody {
        uint8_t nonce[16], hold[16], sha256[32];
        enum custody_act act;
};

void custody_pack(const struct custody *c, uint8_t ret[static CUSTODY_SIZE]);
/* -EBADMSG for another size or an act that is not in the table, *ret untouched. */
int custody_unpack(const uint8_t *bytes, size_t n, struct custody *ret) _warn_unused_;
const char *custody_act_id(enum custody_act a);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signs what a snapshot's folder holds. Nothing in the folder is trusted: a file is read only when it is a regular file
 * of bounded size, and what is signed about it is what was read here. */

#include "agent/core/hostkey.h"
#include "agent/core/preserved.h"
#include "agent/util/collect_abi.h"
#include "policy/age.h"
#include "policy/command.h"

/* How the collector ended. */
struct seal_exit {
        int code;      /* exit code, or -1 */
        int signal;    /* that killed it, or 0 */
        bool deadline; /* it was our SIGKILL */
        bool lost;     /* it did not even die of that */
};

struct seal_job {
        const struct hostkey *key;
        const char *pem; /* path of host_key.pem */
        struct command_id hold;
        uint8_t digest[32];
        char incident[COMMAND_INCIDENT_MAX + 1];
        const char *order; /* the signed envelope; NULL: not known any more */
        struct age_recipient recipients[AGE_RECIPIENTS_MAX];
        size_t n_recipients;
        enum profile profile;
        int64_t since_ms, until_ms, started_ms;
        struct seal_position position;
        struct seal_exit exit;
        bool synced; /* what one left that did not end well was made durable since */
        bool has_result;
        struct collect_result result; /* as the collector says */
};

/* Decides the state, writes the bag's tag files, signature, key and statement durably. Fills *ret but for folder and
 * took_us, always; what failed is in its err. Blocks for hashing at most COLLECT_MANIFEST_MAX and COLLECT_PUBLIC_MAX
 * bytes and for seven small durable writes. */
void seal_folder(int folder, const struct seal_job *job, struct preserved *ret);

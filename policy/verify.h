/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Second stage of the pipeline: arrive -> VERIFY -> authorise. A struct verified exists only if at least one key of the
 * trust root signed exactly these bytes as a command; there is no other constructor. */

#include <stddef.h>
#include <stdint.h>

#include "policy/dsse.h"
#include "policy/reason.h"
#include "policy/trust.h"

struct verified;

/* Checks type and signatures. Returns 0 with REASON_NONE and *ret owned by the caller, 0 with a reason and *ret
 * untouched, or -ENOMEM. The payload bytes are copied out of d once; nothing later reads the envelope again. */
int verify_command(const struct trust *t, const struct dsse *d, struct verified **ret,
                   enum reason *ret_reason) _warn_unused_;
/* At least one person of that role signed exactly these bytes as that type. Only then may the payload be parsed.
 * Returns 0 and a reason: NONE, ROLE when others of the trust root signed, or as verify_command; or -ENOMEM. */
int verify_by_role(const struct trust *t, const struct dsse *d, enum dsse_type type, const char *role,
                   enum reason *ret_reason) _warn_unused_;
void verified_free(struct verified *v);
void verified_freep(struct verified **v);

/* The signed bytes, borrowed. */
const uint8_t *verified_payload(const struct verified *v, size_t *ret_n);
/* SHA-256 of the signed bytes. */
const uint8_t *verified_digest(const struct verified *v);
/* Bit i: keys[i] of the trust root signed. Never 0. */
uint64_t verified_keys(const struct verified *v);
/* Bit i: people[i] of the trust root signed. Never 0. */
uint64_t verified_people(const struct verified *v);

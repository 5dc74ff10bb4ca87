/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Drops what no trusted key signed, cheapest question first. It spares the core work and decides nothing: the core
 * checks every signature again and asks who may do what. */

#include <stddef.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"
#include "policy/reason.h"
#include "policy/sshkey.h"

/* Signature checks spent on the signatures of one envelope that name no key: enough for one of them against a full
 * trust root. Those left over are dropped as unknown. A named signature is checked once at most. */
#define SCREEN_TRIES_MAX DSSE_KEYS_MAX

/* Leaves in d the signatures by known keys, each with its key's id, and of a trust root those that name other keys,
 * too: one by a known key has to be there all the same. A signature that names an unknown key costs no crypto. Returns
 * 0 with REASON_NONE, or 0 with NO_TRUST (there is no key), UNTRUSTED (no known key signed) or SIGNATURE (a known key's
 * is false) and d's signatures in no particular state, or -errno of dsse_verify. *ret_verified: how many checks were
 * made at most. */
int screen_envelope(struct dsse *d, const struct sshkey *keys, size_t n_keys, unsigned int *ret_verified,
                    enum reason *ret_reason) _warn_unused_;

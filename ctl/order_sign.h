/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A command into the envelope that is sent. */

#include <stdint.h>

#include "ctl/sign.h"
#include "policy/command.h"

/* A new id, of the first key that is going to sign (command.h). */
void order_name(const struct signers *s, struct command_id *ret);
/* *ret is malloc'ed; ret_digest, of the payload, may be NULL. Returns 0, CTL_USAGE when this is no valid command, or
 * another exit code. */
int order_sign(const struct signers *s, const struct command *cmd, char **ret, uint8_t *ret_digest,
               struct why *w) _warn_unused_;

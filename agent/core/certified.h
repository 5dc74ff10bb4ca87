/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this host is, as a registrar of its fleet certified it (policy/attributes.h): STATE/attributes.json, the
 * envelope as it came. In force is what is there, is about this host, and is signed by a registrar of the trust root
 * that is in force; a host without is of no group. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* Reads the file again; at the start and when the trust root may be another. What is not in force is logged and left
 * where it is. */
void certified_load(struct agent *a);
/* Judges an envelope and answers with a receipt; the ledger and the disk have it before it is in force. 0 or -errno. */
int certified_take(struct agent *a, const struct dsse *d, const struct answer *to) _warn_unused_;
/* {"n", "name", "groups"} of what is in force: new reference; JSON null when nothing is. */
json_t *certified_to_json(const struct agent *a);

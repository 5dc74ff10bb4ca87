/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happens to a message between a client and the core: parsed, screened, framed, sent; and the answers back. It
 * holds no key that could sign and decides nothing: whatever it lets through, the core checks again. */

#include <systemd/sd-event.h>

#include "policy/cleanup.h"

struct gate;

/* Takes over both descriptors: a listening and a connected SOCK_SEQPACKET. Nobody is answered before the core has sent
 * its keys. The loop ends when the core's connection does. -errno. */
int gate_new(sd_event *event, int listen_fd, int core_fd, struct gate **ret) _warn_unused_;
void gate_free(struct gate *g);
void gate_freep(struct gate **g);

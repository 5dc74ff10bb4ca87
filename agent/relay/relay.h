/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Carries envelopes between the brokers of a fleet and the gate of this host, and is nobody to either: to the gate just
 * another client, to the broker just another subscriber. It decides nothing and believes nothing:
 *
 *   what comes is handed to the gate as it came, whatever subject it came under
 *   an answer goes out under the subject that the signed answer itself names, never to a reply subject
 *   what the gate refuses without a signature is told to nobody: a stranger who sends garbage hears nothing
 *
 * It may be killed at any line. What it had not handed on is caught up from the stream. */

#include <systemd/sd-event.h>

#include "agent/relay/line.h"
#include "policy/broker.h"
#include "policy/cleanup.h"

struct relay;

/* Takes nothing over. dir: where the state file is, or NULL. patience_us: how long an order may wait for what goes
 * before it (aside.h). -errno. */
int relay_new(sd_event *event, const struct broker *b, struct inbox *inbox, struct line *line, const char *gate,
              const char *dir, int64_t patience_us, struct relay **ret) _warn_unused_;
void relay_free(struct relay *r);
void relay_freep(struct relay **r);

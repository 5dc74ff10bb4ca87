/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a line of `freezectl escalate` says became of an event, an order or the program itself. The sentences are those
 * of packaging/doc/escalation.md. */

/* X(NAME, "as it is told", "what it means") */
#define ESCALATE_OUTCOME_TABLE(X)                                                                                      \
        X(STARTED, "started", "it takes events from now on: by how many `rules`, and at which `port`")                 \
        X(ORDERED, "ordered", "signed, kept in the state file, and being sent; `order` is the hold's id")              \
        X(WOULD_ORDER, "would-order", "the same with `--dry-run`: nothing is signed, kept or sent")                    \
        X(NO_RULE, "no-rule", "no rule fits")                                                                          \
        X(RESOLVED, "resolved", "releases nothing: a hold ends with its lease, or by an order of two people")          \
        X(DUPLICATE, "duplicate", "this event has ordered this before, also before a restart")                         \
        X(COOLDOWN, "cooldown", "the rule has ordered the same for these targets not long ago")                        \
        X(BUDGET, "budget", "so much was ordered already; `why` says which budget")                                    \
        X(STALE, "stale", "it is dated longer ago than `max_age`, or as far ahead")                                    \
        X(REFUSED, "refused",                                                                                          \
          "the event does not name a target or host that an order could have; of an order: the host said no, with "    \
          "its `reasons`")                                                                                             \
        X(MALFORMED, "malformed", "it could not be read; `why` says what is wrong")                                    \
        X(OVERSIZE, "oversize", "a line that is longer than is taken")                                                 \
        X(MENDED, "mended", "bytes that are no text were replaced before the message was read")                        \
        X(TRUNCATED, "truncated",                                                                                      \
          "Alertmanager left alerts out (`max_alerts`): how many, and nobody here knows which")                        \
        X(FAILED, "failed", "it could not be signed, or there was no memory for it")                                   \
        X(RECEIPT, "receipt", "the host's signed answer to an order; `final` says whether more is to come")            \
        X(WAITING, "waiting",                                                                                          \
          "no agent was there, or no broker, or a host refused it for what may pass; it is sent again until it "       \
          "expires (`--expires`, 10 minutes)")                                                                         \
        X(SENT, "sent", "a broker has the order, which is for so many `hosts`; a `receipt` for each of them follows")  \
        X(DONE, "done", "each of them answered to the end: how many are `verified`, `accepted`, `refused`, `silent`")  \
        X(SILENT, "silent", "it expired, and nobody answered; of a fleet with the same numbers, and up to 20 names")   \
        X(UNFINISHED, "unfinished", "it expired, and not everybody answered to the end; likewise")                     \
        X(UNVERIFIED, "unverified", "an answer was not by a known host")                                               \
        X(LOST, "lost",                                                                                                \
          "an order of the state file is given up: it cannot be read, or no host of the inventory is meant by it")     \
        X(BROKER_UP, "broker-up", "there is a connection to a broker of the fleet")                                    \
        X(BROKER_DOWN, "broker-down", "there is none, and it is tried again; `why` says what is wrong")                \
        X(BROKER_DENIED, "broker-denied", "the broker does not permit something; `why` says what")                     \
        X(ANSWERS_LOST, "answers-lost", "they came faster than they were taken: the hosts are asked again")            \
        X(REJECTED, "rejected",                                                                                        \
          "a request that got no further than its headers, or was never finished: which status, and how many; or "     \
          "that there is no descriptor to let a client in, once: it waits")                                            \
        X(STATE_NOT_KEPT, "state-not-kept",                                                                            \
          "the state file could not be written. What is ordered is ordered all the same, and a crash would forget it") \
        X(STATE_KEPT, "state-kept", "it could be written again")                                                       \
        X(NOT_TOLD, "not-told", "a CloudEvent that the webhook did not take")                                          \
        X(ENDED, "ended", "the program ends, as the process that talks to brokers is gone; `why` says so")

enum escalate_outcome {
#define X(name, ...) ESCALATE_OUTCOME_##name,
        ESCALATE_OUTCOME_TABLE(X)
#undef X
                _ESCALATE_OUTCOME_MAX,
};

const char *escalate_outcome_id(enum escalate_outcome o);
const char *escalate_outcome_text(enum escalate_outcome o);

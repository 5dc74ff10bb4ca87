/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How the relay says how it is: a line for the service manager, and state.json for whoever looks. It is what an
 * unprivileged process says of itself: nothing is signed, and nobody decides by it.
 *
 * {"v":1,"state":"connecting|ready|deaf|mute|cut-off","subject":*,"why":*,"since_ms":..,"server":*,"fleet":*,"host":*,
 *  "groups":[..],"withheld":[..],"counters":{..}} */

#include <stdbool.h>
#include <stdint.h>

#include "agent/relay/answer.h"
#include "policy/cleanup.h"

/* X(NAME, "name") */
#define TELL_STATE_TABLE(X)                                                                 \
        X(CONNECTING, "connecting") /* not connected, not for long */                       \
        X(READY, "ready")           /* connected, and the server took every subscription */ \
        X(DEAF, "deaf")             /* connected; the server refuses a subscription */      \
        X(MUTE, "mute")             /* connected; the server refuses what is published */   \
        X(CUT_OFF, "cut-off")       /* not connected for longer than TELL_CUT_OFF_US */

enum tell_state {
#define X(name, str) TELL_##name,
        TELL_STATE_TABLE(X)
#undef X
                _TELL_STATE_MAX,
};

#define TELL_CUT_OFF_US (60LL * 1000 * 1000)

/* X(name): what is counted */
#define TELL_COUNTER_TABLE(X)                                            \
        X(connects)   /* that worked */                                  \
        X(failures)   /* to connect */                                   \
        X(envelopes)  /* handed to the gate */                           \
        X(queries)    /* the same */                                     \
        X(caught_up)  /* of the envelopes, those from the stream */      \
        X(answers)    /* published */                                    \
        X(garbage)    /* came, and is neither an envelope nor a query */ \
        X(refused)    /* by the gate, unsigned: told to nobody */        \
        X(for_others) /* as the core says, unsigned: likewise */         \
        X(dropped)    /* came, and had no room */                        \
        X(unsaid)     /* answers that could not be published in time */  \
        X(withheld)   /* how many are now */

struct tell {
        const char *dir; /* where state.json is; NULL: nowhere */
        enum tell_state state;
        char subject[SUBJECT_SIZE]; /* of DEAF and MUTE */
        char why[160];              /* it is not connected */
        char server[320];
        int64_t since_ms; /* wall clock */
        /* orders that two heads in a row named and the stream did not have */
        struct command_id withheld[ANSWER_MISSING_MAX];
        size_t n_withheld;
        struct {
#define X(name) int64_t name;
                TELL_COUNTER_TABLE(X)
#undef X
        } counters;
};

const char *tell_state_str(enum tell_state s);
/* Copies what a server said so that nothing in it ends a line or is taken for a field: printable ASCII, else '?'. */
void tell_text(char *ret, size_t size, const char *said);
/* What it is whom a server refuses something, in its words: "Permissions Violation for Subscription to "x"". The
 * subject is "" where they do not have it in quotes. */
enum tell_state tell_denied(const char *said, char ret_subject[static SUBJECT_SIZE]);
/* What it is that has not been connected for so long. */
enum tell_state tell_down(int64_t for_us);
/* Another state, or another subject of it; what it was since when. True when something changed. */
bool tell_set(struct tell *t, enum tell_state s, const char *subject);
/* Writes the file and tells the manager. w may be NULL. Never blocks for long and never fails: nobody depends on it. */
void tell_now(const struct tell *t, const struct who *w);

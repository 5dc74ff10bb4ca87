/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Runs the real freezed-gate between a core that the test plays and clients that it makes. Every step waits at most
 * RIG_WAIT_MS and fails the test then. Included after cmocka.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/frame.h"

#define RIG_WAIT_MS 60000

struct rig {
        char dir[64];
        pid_t gate;
        int listener, core; /* the core's two ends */
        int manager;        /* where the service manager hears from the gate; below 0: there is none */
        uint8_t buf[FRAME_MAX];
};

/* The program under test: freezed-gate in $FREEZED_B, or in the build directory that this test was built in. */
const char *rig_program(void);

/* Starts the gate and takes its connection; it has no keys yet. */
void rig_start(struct rig *r);
/* The same as systemd starts it: the listening socket is inherited, and it has a watchdog of so many microseconds. */
void rig_start_managed(struct rig *r, unsigned int watchdog_us);
/* The same, when so many clients have connected already. */
void rig_start_late(struct rig *r, int *ret_clients, size_t n);
/* Ends it, unless rig_wait() has seen its end, and removes what it left. */
void rig_stop(struct rig *r);
/* The exit status of a gate that ends by itself. */
int rig_wait(struct rig *r);

/* As the core: the keys of alice to bot (people.h), so many of them. */
void rig_keys(struct rig *r, size_t n);
/* The next frame that the gate sends. The payload is in r->buf. */
struct frame rig_take(struct rig *r);
/* True when the gate sends nothing for so long. */
bool rig_quiet(struct rig *r, int ms);
void rig_reply(struct rig *r, uint32_t number, const void *text, size_t n, bool more);
void rig_refuse(struct rig *r, uint32_t number, enum reason reason);

/* As a client: connected with this effective uid, which takes root unless it is one's own. */
int rig_connect(struct rig *r, uid_t uid);
/* The same as whoever runs, and nothing fails: below 0 when there is no connection. */
int rig_try_connect(const struct rig *r);
/* A child that is that user if this is root, and ends with this process. As fork(); the child must not assert. */
pid_t rig_fork(uid_t uid);
void rig_send(int client, const void *text, size_t n);
void rig_send_string(int client, const char *text);
/* The next message, NUL-terminated; false when the gate closed the connection. */
bool rig_recv(int client, char *ret, size_t size);
/* Sends it and returns the id that it is refused with, or "" when the connection ends instead. */
const char *rig_refused(int client, const void *text, size_t n);
/* The id in a refusal. */
const char *rig_refusal_id(const char *text);

/* An envelope of a command with that payload by a set of keys (BY() of people.h); malloc'ed. */
char *rig_envelope(const char *payload, unsigned int by);
/* The same by a key that the core trusts, over other bytes. */
char *rig_forged(const char *payload, unsigned int by);

/* A line of /proc/PID/FILE that begins with key, after it; -1 when there is none. */
long rig_proc(const struct rig *r, const char *file, const char *key);

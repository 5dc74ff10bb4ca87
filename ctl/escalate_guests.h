/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who is connected to the listener. Until the headers of a request are whole, and say that it may be sent here, a
 * connection is a stranger's: it has ESCALATE_GUESTS_STRANGER_MS for them, one client has so many of such, and when
 * there are more, or when few places are left, the one goes that has been a stranger for longest, of the client that
 * has the most of them. So who sends headers byte by byte, or none, can take no place from who sends them at once.
 *
 * To go is to have nothing more read: what a client has sent already, in whole, is served all the same. For any thread;
 * never blocks for long. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ESCALATE_GUESTS_MAX         64U
#define ESCALATE_GUESTS_STRANGER_MS 15000
/* of one address */
#define ESCALATE_GUESTS_STRANGERS_MAX 16U
/* from so many on whoever comes sends a stranger away */
#define ESCALATE_GUESTS_CROWD 48U

struct escalate_guest {
        const void *who; /* by which the caller knows it */
        int fd;          /* borrowed, until it goes */
        uint8_t address[16];
        int64_t since_ms;    /* it is a stranger's */
        bool known, leaving; /* not a stranger; was told to go */
};

struct escalate_guests {
        pthread_mutex_t lock;
        struct escalate_guest v[ESCALATE_GUESTS_MAX];
        size_t n;
        uint64_t sent_away;
};

void escalate_guests_init(struct escalate_guests *g);
void escalate_guests_done(struct escalate_guests *g);

/* A connection is there; address may be NULL. The others make room. */
void escalate_guests_come(struct escalate_guests *g, const void *who, int fd, const struct sockaddr *address,
                          int64_t now_ms);
/* A request of it may be sent here. */
void escalate_guests_know(struct escalate_guests *g, const void *who);
/* It is over: the next one on the same connection is a stranger's again. */
void escalate_guests_rest(struct escalate_guests *g, const void *who, int64_t now_ms);
/* The connection is about to be closed. */
void escalate_guests_leave(struct escalate_guests *g, const void *who);

/* Sends away whose time is over. How many ms until the next one's is, or -1. */
int escalate_guests_sweep(struct escalate_guests *g, int64_t now_ms);
bool escalate_guests_is_empty(struct escalate_guests *g);
/* How many were sent away since this was last asked. */
uint64_t escalate_guests_sent_away(struct escalate_guests *g);

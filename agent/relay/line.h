/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The connection to a broker: everything that is called of the client library (libnats 3.4.1). Each call is leashed:
 * when it does not return, the process ends. The library never reconnects by itself, because that is a thread which
 * nobody can bound, and no connection is closed that did not close itself, because closing can wait for such a thread.
 *
 * What it says comes through the inbox. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/relay/inbox.h"
#include "policy/broker.h"
#include "policy/cleanup.h"
#include "policy/nkey.h"

struct line;

/* Reads the certificates that b names; key NULL: it logs in without. All are borrowed. -EINVAL when the library does
 * not take them, -ENOMEM. */
int line_new(const struct broker *b, const struct nkey *key, struct inbox *inbox, struct line **ret) _warn_unused_;

/* Connects to one server. -ECONNREFUSED, with what the library says in ret_why, when it could not be. Blocks for some
 * seconds. */
int line_connect(struct line *l, const char *server, const char **ret_why) _warn_unused_;
bool line_is_open(const struct line *l);
/* After the inbox said that it is closed, and only then. */
void line_drop(struct line *l);

/* Takes back all subscriptions. */
void line_forget(struct line *l);
/* Subscribes. The server may refuse that later: see line_settle(). -EIO. */
int line_hear(struct line *l, const char *subject) _warn_unused_;
/* Waits until the server has seen all that was sent: what it refused is in the inbox then. -EIO when it does not
 * answer. Blocks for some seconds. */
int line_settle(struct line *l) _warn_unused_;
/* reply may be NULL. -EIO. */
int line_say(struct line *l, const char *subject, const char *reply, const char *text, size_t n) _warn_unused_;

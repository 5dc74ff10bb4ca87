/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How to reach the brokers of a fleet: /etc/freezed/relay.json of a host, ctl.json of an operator. Nothing in it gives
 * authority: a broker carries bytes that are signed elsewhere.
 *
 * Members; * marks the ones that may be absent:
 * - v: 1
 * - servers: 1 to BROKER_SERVERS_MAX of "nats://HOST:PORT" or "tls://HOST:PORT", all of one kind; HOST is a name, an
 * IPv4 address, or an IPv6 address in brackets
 * - ca*: path of the certificates that a server's has to lead to; with tls:// alone, and then it must be there
 * - cert*, key*: path of a certificate to show, with its chain, and of its private key; both or none, with tls:// alone
 * - nkey*: path of the seed to log in with
 * - spread_s*: from 0 to BROKER_SPREAD_MAX_S, 30 when absent. What was missed is fetched within so many seconds after a
 *   connection, at a random time, so that a fleet that returns at once does not ask at once */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"

#define BROKER_FILE_MAX     (16U * 1024)
#define BROKER_SERVERS_MAX  8U
#define BROKER_URL_MAX      300U
#define BROKER_HOST_SIZE    254U
#define BROKER_PATH_MAX     255U
#define BROKER_SPREAD_MAX_S 3600

struct broker {
        char servers[BROKER_SERVERS_MAX][BROKER_URL_MAX + 1];
        size_t n_servers;
        bool tls;
        char ca[BROKER_PATH_MAX + 1], cert[BROKER_PATH_MAX + 1], key[BROKER_PATH_MAX + 1], nkey[BROKER_PATH_MAX + 1];
        int64_t spread_s;
};

/* Parses the file. Returns 0 and a reason as schema_load and schema_object do, *ret untouched unless NONE; or -ENOMEM.
 */
int broker_parse(const uint8_t *json, size_t n, struct broker *ret, enum reason *ret_reason) _warn_unused_;
/* The host of one of its servers, without brackets: what its certificate has to be for. */
void broker_host(const char *server, char ret[static BROKER_HOST_SIZE]);

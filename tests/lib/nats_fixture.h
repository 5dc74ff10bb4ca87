/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A nats-server for the tests of a group, and who connects to it. Include after cmocka.h. */

#include "ctl/carrier.h"
#include "lib/nats_server.h"

static struct nats_server server;

static inline int nats_begin(void **state) {
        (void) state;
        nats_server_start(&server, "");
        return 0;
}

static inline int nats_end(void **state) {
        (void) state;
        nats_server_done(&server);
        return 0;
}

static inline struct broker nats_broker_at(uint16_t port) {
        struct broker b = { .n_servers = 0 };

        nats_server_add(&b, port);
        return b;
}

/* Owned by the caller. */
static inline struct carrier *nats_carrier_at(uint16_t port) {
        const struct broker b = nats_broker_at(port);
        struct carrier *c = NULL;
        struct why w;

        if (carrier_open(&b, &c, &w) != 0)
                fail_msg("%s", w.text);
        return c;
}

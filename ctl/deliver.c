/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/deliver.h"

/* a gate that takes nothing must not keep the other events waiting */
#define SEND_TIMEOUT_MS   2000
#define ANSWER_TIMEOUT_MS 30000

int deliver(const struct ctl *c, const char *envelope, struct client *ret) {
        _cleanup_(client_done) struct client client = CLIENT_NULL;
        int r = client_connect(c->opt.socket ? c->opt.socket : CLIENT_SOCKET, SEND_TIMEOUT_MS, &client);

        if (r >= 0)
                r = client_send(&client, envelope, strlen(envelope));
        if (r < 0)
                return r;
        client_rearm(&client, c->opt.timeout_ms ? c->opt.timeout_ms : ANSWER_TIMEOUT_MS);
        *ret = client;
        client = CLIENT_NULL;
        return 0;
}

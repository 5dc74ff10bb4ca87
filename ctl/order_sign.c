/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/order_sign.h"

void order_name(const struct signers *s, struct command_id *ret) {
        randombytes_buf(ret->b, sizeof(ret->b));
        if (s->n > 0)
                command_id_be_of_key(ret, s->v[0].key.id);
}

int order_sign(const struct signers *s, const struct command *cmd, char **ret, uint8_t *ret_digest, struct why *w) {
        _cleanup_(dsse_done) struct dsse env = DSSE_NULL;
        char *json = NULL;
        int r = command_to_json(cmd, &json);

        if (r == -EINVAL)
                return why_set(w, CTL_USAGE, "this is no valid order: something in it is out of range");
        if (r < 0)
                return why_errno(w, r, "order");
        env.type = DSSE_COMMAND;
        env.payload = (uint8_t *) json;
        env.n_payload = strlen(json);
        int code = sign_envelope(s, &env, w);
        if (code != 0)
                return code;
        if (ret_digest)
                (void) crypto_hash_sha256(ret_digest, env.payload, env.n_payload);
        r = dsse_to_json(&env, ret);
        return r < 0 ? why_errno(w, r, "order") : 0;
}

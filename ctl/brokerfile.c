/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/brokerfile.h"
#include "ctl/file.h"
#include "ctl/text.h"
#include "policy/schema.h"

int brokerfile_load(const char *nats, struct broker *ret, struct why *w) {
        const bool url = nats && strstr(nats, "://") != NULL;
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        size_t n = 0;
        int r;

        if (!nats)
                return why_set(w, CTL_USAGE, "over which brokers? give --nats URL or --nats FILE");
        if (url) {
                _cleanup_json_ json_t *o = json_pack("{s:i,s:[s]}", "v", 1, "servers", nats);
                text = o ? json_dumps(o, JSON_COMPACT) : NULL;
                r = text ? 0 : -EINVAL;
                n = text ? strlen(text) : 0;
        } else
                r = file_read(nats, BROKER_FILE_MAX, &text, &n, NULL);
        if (r == 0)
                r = broker_parse((const uint8_t *) text, n, ret, &reason);
        if (r < 0)
                return why_errno(w, r, "--nats %s", CLEAN(nats));
        if (reason != REASON_NONE)
                return why_set(w, CTL_USAGE,
                               "--nats \"%s\": neither nats://HOST:PORT nor a file "
                               "{\"v\":1,\"servers\":[\"tls://HOST:PORT\"],\"ca\":PATH}, with nkey, cert and key",
                               CLEAN(nats));
        return 0;
}

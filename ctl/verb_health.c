/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/relaystate.h"

/* What a monitoring system should wake somebody for: an agent that cannot record, has nobody to obey, does not read its
 * policy, holds less than it was told to, or is kept in the dark. A layer that this kernel does not have is a fact and
 * no fault. */
static int health_exit(const json_t *h) {
        const json_t *trust = json_object_get(h, "trust");

        if (!member_is_true(json_object_get(h, "ledger"), "ok") || strcmp(member_str(trust, "state"), "valid") != 0 ||
            strcmp(member_str(json_object_get(h, "policy"), "state"), "broken") == 0)
                return CTL_MACHINE;
        const json_t *holds = json_object_get(h, "holds"), *head = json_object_get(h, "head");
        if (strcmp(member_str(head, "state"), "stale") == 0 || json_array_size(json_object_get(head, "withheld")) > 0)
                return CTL_PARTIAL;
        return member_int(holds, "partial", 0) > 0 || json_array_size(json_object_get(holds, "orphans")) > 0
                       ? CTL_PARTIAL
                       : CTL_OK;
}

int verb_health(struct ctl *c, char **words, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        struct receipt r = RECEIPT_NULL;
        const struct page p = exchange_page(c);

        (void) words;
        (void) n;
        int x = hosts_load(&c->opt, &known, &c->why);
        if (x != 0)
                return x;
        int answer = exchange_query(c, "health", NULL, &known, &r);
        int code = answer != 0 ? answer : receipt_exit(&r);
        if (answer == 0 && r.kind == RECEIPT_SIGNED)
                code = health_exit(r.payload);
        if (answer == 0 && !c->opt.json && r.kind == RECEIPT_SIGNED)
                render_health(&p, &r, code);
        else if (answer == 0 && !c->opt.json)
                render_receipt(&p, &r);
        exchange_json_host(c, answer, &r, "report");
        if (answer == 0)
                relaystate_show(c, &p, RELAYSTATE_FILE);
        exchange_json_summary(c, answer, &r, code, NULL);
        receipt_done(&r);
        return code;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/exchange.h"
#include "ctl/fleet_ask.h"
#include "ctl/text.h"

static void tell_json(struct fleet_ask *a, int code) {
        for (size_t i = 0; i < a->muster.n; i++) {
                _cleanup_json_ json_t *o = fleet_ask_host(a, &a->muster.v[i]);
                exchange_json_line(a->c, o);
        }
        _cleanup_json_ json_t *s = fleet_ask_summary(a, code);
        exchange_json_line(a->c, s);
        a->c->summarised = true;
}

static void tell_inventory(const struct fleet_ask *a) {
        const struct page p = exchange_page(a->c);
        const struct inventory *i = &a->inventory;

        render_verdict(&p, TONE_PLAIN, "INVENTORY", "%zu hosts of the fleet %s; nobody was asked: that takes --nats",
                       i->n, a->trust->fleet);
        for (size_t k = 0; k < i->n; k++) {
                char id[SSHKEY_ID_SIZE];
                const char *g = i->v[k].groups;
                sshkey_id_to_str(i->v[k].host.key.id, id);
                fprintf(p.f, "  %-24s  %s  ", CLEAN(i->v[k].host.name), id);
                for (size_t n = 0; n < i->v[k].n_groups; n++, g += strlen(g) + 1)
                        fprintf(p.f, "%s%s", n > 0 ? "," : "", g);
                fputs(i->v[k].n_groups == 0 ? "-\n" : "\n", p.f);
        }
        for (size_t k = 0; k < i->n_bad; k++)
                render_row(&p, k == 0 ? "not counted" : NULL, "line %zu of the inventory (%s)", i->bad[k].line,
                           reason_id(i->bad[k].reason));
}

int verb_fleet_hosts(struct ctl *c, char **words, size_t n) {
        _cleanup_(fleet_ask_done) struct fleet_ask a = { .c = c };
        const struct page p = exchange_page(c);
        int x = fleet_ask_open(c, &a);

        (void) words;
        (void) n;
        if (x == 0 && c->opt.nats)
                x = fleet_ask_round(&a, c->opt.timeout_ms ? c->opt.timeout_ms : FLEET_ASK_MS);
        if (x != 0 && a.muster.round == 0)
                return x;
        /* what was heard before it broke is told, and is not all */
        int code = !c->opt.nats ? CTL_OK : x != 0 ? x : muster_exit(&a.muster);
        if (c->opt.json)
                tell_json(&a, code);
        else if (c->opt.nats)
                fleet_ask_page(&a, &p, code, SIZE_MAX, false);
        else
                tell_inventory(&a);
        return code;
}

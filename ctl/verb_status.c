/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/command.h"

struct filter {
        char text[TARGET_STR_SIZE]; /* as the host writes it */
        bool is_hold;
};

static int read_filter(const char *word, struct filter *ret, struct why *w) {
        static const char prefix[] = "hold:";
        struct command_id id;
        struct target t;

        if (strncmp(word, prefix, strlen(prefix)) == 0)
                word += strlen(prefix);
        ret->is_hold = command_id_from_str(word, &id) >= 0;
        if (ret->is_hold)
                (void) snprintf(ret->text, sizeof(ret->text), "%s", word);
        else if (target_from_str(word, &t) >= 0)
                target_to_str(&t, ret->text, sizeof(ret->text));
        else
                return why_set(w, CTL_USAGE, "\"%s\" is neither a hold nor a target", CLEAN(word));
        return 0;
}

/* What is held less than it should be makes a difference to a script. */
static int worst(const json_t *report) {
        json_t *h;
        size_t i;
        int code = CTL_OK;

        json_array_foreach(json_object_get(report, "holds"), i, h) {
                enum receipt_state s = receipt_state(h);
                if (s != RECEIPT_STATE_CONTAINED)
                        code = CTL_PARTIAL;
                if (s == RECEIPT_STATE_FAILED || s >= _RECEIPT_STATE_MAX)
                        return CTL_MACHINE;
                if (receipt_contradicts_itself(h))
                        code = CTL_PARTIAL;
        }
        return code;
}

int verb_status(struct ctl *c, char **words, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        struct receipt r = RECEIPT_NULL;
        const struct page p = exchange_page(c);
        struct filter filter = { 0 };

        int x = n > 0 ? read_filter(words[0], &filter, &c->why) : 0;
        if (x == 0)
                x = hosts_load(&c->opt, &known, &c->why);
        if (x != 0)
                return x;
        /* of a hold that is asked for by name more is told: what waits for its processes, and that it is over */
        int answer = exchange_query(c, "status", filter.is_hold ? filter.text : NULL, &known, &r);
        int code = answer != 0 ? answer : receipt_exit(&r);
        if (answer == 0 && r.kind == RECEIPT_SIGNED) {
                size_t matching = render_matching(r.payload, n > 0 ? filter.text : NULL);
                bool ended = json_is_object(json_object_get(r.payload, "ended"));
                code = n > 0 && matching == 0 && !ended ? reason_exit(REASON_NO_HOLD) : worst(r.payload);
        }
        if (answer == 0 && !c->opt.json && r.kind == RECEIPT_SIGNED)
                render_status(&p, &r, n > 0 ? filter.text : NULL);
        else if (answer == 0 && !c->opt.json)
                render_receipt(&p, &r);
        exchange_json_host(c, answer, &r, "report");
        exchange_json_summary(c, answer, &r, code, NULL);
        receipt_done(&r);
        return code;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define LIST_SIZE ((ATTRIBUTES_NAME_MAX + 2) * ATTRIBUTES_GROUPS_MAX)

void render_attributes(const struct page *p, const struct attributes *a) {
        char id[SSHKEY_ID_SIZE], groups[LIST_SIZE] = "";
        size_t used = 0;

        sshkey_id_to_str(a->key.id, id);
        for (size_t i = 0; i < a->n_groups; i++)
                used += (size_t) snprintf(groups + used, sizeof(groups) - used, "%s%s", i > 0 ? ", " : "",
                                          a->groups[i]);
        render_verdict(p, TONE_PLAIN, "ATTRIBUTES", "of host %s of fleet %s", a->name, a->fleet);
        render_row(p, "host key", "%s", id);
        render_row(p, "groups", "%s", a->n_groups > 0 ? groups : "none");
        render_row(p, "serial", "%" PRId64 ": takes the place of all lower ones", a->n);
        render_row(p, "made", "%s", TIME(a->iat_ms));
}

void render_head(const struct page *p, const struct herald_head *h) {
        render_verdict(p, TONE_PLAIN, "HEAD", "of fleet %s, number %" PRId64, h->fleet, h->n);
        render_row(p, "believed", "from %s for %s", TIME(h->iat_ms), SPAN(h->exp_ms - h->iat_ms));
        render_row(p, "trust root", "version %" PRId64, h->trust_version);
        for (size_t i = 0; i < h->n_orders; i++) {
                char id[33];

                command_id_to_str(&h->orders[i].id, id);
                render_row(p, i == 0 ? "orders" : NULL, "%s, until %s", id, TIME(h->orders[i].exp_ms));
        }
        if (h->n_orders == 0)
                render_row(p, "orders", "none is active");
}

void render_certified(const struct page *p, const json_t *attributes) {
        const json_t *group;
        char groups[LIST_SIZE] = "";
        size_t i, used = 0;

        if (!json_is_object(attributes))
                return;
        json_array_foreach(json_object_get(attributes, "groups"), i, group) if (used < sizeof(groups)) used +=
                (size_t) snprintf(groups + used, sizeof(groups) - used, "%s%s", i > 0 ? ", " : "",
                                  CLEAN(json_string_value(group)));
        render_row(p, "certified", "as %s, groups: %s (serial %" PRId64 ")", CLEAN(member_str(attributes, "name")),
                   used > 0 ? groups : "none", member_int(attributes, "n", 0));
}

void render_heard(const struct page *p, const json_t *head) {
        const char *state = member_str(head, "state");
        const json_t *id;
        size_t i;

        if (!*state || strcmp(state, "none") == 0)
                return;
        if (member_int(head, "n", 0) > 0)
                render_row(p, "head", "%s: number %" PRId64 ", %s ago", CLEAN(state), member_int(head, "n", 0),
                           SPAN(member_int(head, "age_ms", 0)));
        else
                render_row(p, "head", "%s: none of the fleet is believed",
                           strcmp(state, "stale") == 0 ? "STALE" : CLEAN(state));
        json_array_foreach(json_object_get(head, "withheld"), i, id)
                render_row(p, i == 0 ? "WITHHELD" : NULL, "order %s is for this host and has not come",
                           CLEAN(json_string_value(id)));
}

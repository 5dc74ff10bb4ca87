/* SPDX-License-Identifier: Apache-2.0 */

/* The payload of a head, whose key lies on a machine. What parses keeps to the header's ranges, is written and read
 * back as the same, and never lives longer than it says. */

#include <string.h>

#include "policy/herald.h"
#include "policy/schema.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void check_order(const struct herald_order *o) {
        const struct address *to = &o->to;
        const uint8_t host[32] = { 0 };

        CHECK(o->exp_ms >= 0 && o->exp_ms <= SCHEMA_INT_MAX);
        CHECK((to->to == COMMAND_TO_HOSTS) == (to->n_hosts > 0) && to->n_hosts <= ADDRESS_HOSTS_MAX);
        CHECK((to->to == COMMAND_TO_HOSTS) == (to->max_hosts == 0) && address_breadth(to) > 0);
        CHECK((to->to == COMMAND_TO_GROUP) == (to->group[0] != '\0'));
        CHECK(!to->part.is_set || to->to != COMMAND_TO_HOSTS);
        CHECK(!to->part.is_set ||
              (to->part.from >= 0 && to->part.from < to->part.below && to->part.below <= PLACE_END));
        CHECK(to->to != COMMAND_TO_GROUP || !address_names(to, host, NULL));
}

static void check_life(const struct herald_head *h, bool synced, int64_t now) {
        const struct herald_clock c = { now, now, synced };
        int64_t life = -1;

        if (herald_life(h, &c, &life) == REASON_NONE)
                CHECK(life > 0 && life <= HERALD_LIFE_MS && life <= h->exp_ms - h->iat_ms && now + life <= h->exp_ms);
        else
                CHECK(life == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_herald_ struct herald_head *h = NULL, *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        enum reason reason = _REASON_MAX;

        CHECK(herald_parse(data, size, &h, &reason) == 0);
        CHECK((h != NULL) == (reason == REASON_NONE) && reason < _REASON_MAX);
        if (!h)
                return 0;
        CHECK(h->n >= 1 && h->trust_version >= 1 && h->n_orders <= HERALD_ORDERS_MAX);
        CHECK(h->iat_ms >= 0 && h->exp_ms > h->iat_ms && h->exp_ms - h->iat_ms <= HERALD_LIFE_MS);
        for (size_t i = 0; i < h->n_orders; i++)
                check_order(&h->orders[i]);
        for (int64_t now = h->iat_ms - 7; now < h->exp_ms + HERALD_LIFE_MS; now += HERALD_LIFE_MS / 3) {
                check_life(h, true, now);
                check_life(h, false, now);
        }
        CHECK(herald_to_json(h, &first) == 0);
        CHECK(herald_parse((const uint8_t *) first, strlen(first), &again, &reason) == 0 && reason == REASON_NONE);
        CHECK(herald_to_json(again, &second) == 0 && strcmp(first, second) == 0);
        return 0;
}

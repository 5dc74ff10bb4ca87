/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A fleet whose bot has one more role, and a host of it. Included after cmocka.h. */

#include "lib/people.h"
#include "policy/attributes.h"

/* people_trust, and the bot has that role too. */
static inline void fleet_trust(const char *role, struct trust *ret) {
        people_trust(1000, ret);
        ret->roles[ret->n_roles] = (struct trust_role) { .people = PERSON(BOT) };
        strcpy(ret->roles[ret->n_roles++].name, role);
}

static inline struct attributes fleet_host(void) {
        struct attributes a = { .fleet = "prod",
                                .name = "web-17",
                                .groups = { "eu", "web" },
                                .n_groups = 2,
                                .n = 3,
                                .iat_ms = 1795000000000 };
        const uint8_t pub[32] = { 7 };

        sshkey_from_raw(pub, &a.key);
        return a;
}

/* A text with one piece of it replaced; owned by the caller. */
static inline char *with(const char *text, const char *from, const char *to) {
        const char *at = strstr(text, from);
        char *made = NULL;

        assert_non_null(at);
        assert_true(asprintf(&made, "%.*s%s%s", (int) (at - text), text, to, at + strlen(from)) > 0);
        return made;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/ears.h"

#include <string.h>

#include <sodium.h>

#define RETRY_US (1000LL * 1000)
/* how far apart a fleet that lost its server tries again at first; twice as far after each failure, so often */
#define RETRY_SPREAD_S 5
#define DOUBLINGS_MAX  4U

static int one(const struct who *w, enum subject_kind kind, const char *group, bool pattern,
               char ret[static SUBJECT_SIZE]) {
        struct subject s = { .kind = kind };

        memcpy(s.fleet, w->fleet, sizeof(s.fleet));
        if (kind == SUBJECT_CMD_HOST || kind == SUBJECT_ASK_HOST)
                memcpy(s.host, w->host, sizeof(s.host));
        (void) snprintf(s.group, sizeof(s.group), "%s", group);
        return pattern ? subject_pattern(&s, ret) : subject_build(&s, ret);
}

int ears_each(const struct who *w, int (*hear)(void *userdata, const char *subject), void *userdata) {
        static const struct {
                enum subject_kind kind;
                bool pattern;
        } kinds[] = {
                { SUBJECT_CMD_HOST, true }, { SUBJECT_CMD_ALL, true },  { SUBJECT_TRUST, true },
                { SUBJECT_HEAD, false },    { SUBJECT_ASK_ALL, false }, { SUBJECT_ASK_HOST, false },
        };
        char text[SUBJECT_SIZE];
        int r;

        subject_inbox(w->host, text);
        r = hear(userdata, text);
        for (size_t i = 0; i < ELEMENTSOF(kinds) && r == 0; i++) {
                r = one(w, kinds[i].kind, "", kinds[i].pattern, text);
                r = r == 0 ? hear(userdata, text) : r;
        }
        for (size_t i = 0; i < w->n_groups && r == 0; i++) {
                r = one(w, SUBJECT_CMD_GROUP, w->groups[i], true, text);
                r = r == 0 ? hear(userdata, text) : r;
        }
        return r;
}

static int64_t spread_us(int64_t seconds) {
        return seconds > 0 ? (int64_t) randombytes_uniform((uint32_t) (seconds * 1000)) * 1000 : 0;
}

int64_t ears_retry_us(const struct broker *b, unsigned failures) {
        const int64_t wide = (int64_t) RETRY_SPREAD_S << MIN(failures, DOUBLINGS_MAX);

        return RETRY_US + spread_us(MIN(b->spread_s, wide));
}

int64_t ears_catch_up_us(const struct broker *b) {
        return spread_us(b->spread_s);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* The payload of a command, which one stolen key can sign. What parses keeps to the header's ranges, and is written and
 * read back as the same. */

#include <string.h>

#include "policy/command.h"
#include "policy/dsse.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void check_target(const struct target *t, bool of_hold) {
        struct target again;
        char s[TARGET_STR_SIZE];

        CHECK((t->cls == TARGET_HOLD) == of_hold);
        CHECK((t->name[0] == '\0') == (t->cls == TARGET_HOST) && strlen(t->name) <= TARGET_NAME_MAX);
        CHECK((strchr(t->name, '/') != NULL) == (t->cls == TARGET_CGROUP));
        CHECK(!strstr(t->name, "/../") && !strstr(t->name, "//") && strcmp(t->name, "/") != 0);
        for (const char *p = t->name; *p; p++)
                CHECK((unsigned char) *p >= ' ' && *p != 0x7f);
        target_to_str(t, s, sizeof(s));
        CHECK(target_from_str(s, &again) == 0 && memcmp(&again, t, sizeof(again)) == 0);
}

static void check_permit(const struct permit *p) {
        struct permit again = *p;
        char s[PERMIT_STR_SIZE];

        permit_net_to_str(p, s, sizeof(s));
        CHECK(permit_net_from_str(s, &again) == 0 && memcmp(&again, p, sizeof(again)) == 0);
}

static void check_command(const struct command *c) {
        const struct verb_info *verb = verb_info(c->verb);
        bool of_hold = verb->cls == VERB_CLASS_EXTEND || verb->cls == VERB_CLASS_RELEASE;

        CHECK(c->iat_ms >= 0 && c->exp_ms > c->iat_ms && c->exp_ms <= COMMAND_INT_MAX);
        CHECK(c->exp_ms - c->iat_ms <= (c->verb == VERB_RELEASE ? COMMAND_RELEASE_LIFE_MS : COMMAND_STOP_LIFE_MS));
        CHECK(c->lease_ms >= 0 && c->lease_ms <= COMMAND_INT_MAX && c->seq >= 0 && c->root_version >= 0);
        CHECK(c->fleet[0] != '\0' && c->reason[0] != '\0' && !strpbrk(c->incident, "/. "));
        CHECK((c->to == COMMAND_TO_HOSTS) == (c->n_hosts > 0) && c->n_hosts <= COMMAND_HOSTS_MAX);
        CHECK((c->to == COMMAND_TO_HOSTS) == (c->max_hosts == 0));
        CHECK((c->to == COMMAND_TO_GROUP) == (c->group[0] != '\0'));
        CHECK(c->n_targets > 0 && c->n_targets <= COMMAND_TARGETS_MAX && c->n_permits <= COMMAND_PERMITS_MAX);
        CHECK(c->n_permits == 0 || verb->isolates);
        for (size_t i = 0; i < c->n_targets; i++)
                check_target(&c->targets[i], of_hold);
        for (size_t i = 0; i < c->n_permits; i++)
                check_permit(&c->permits[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_command_ struct command *c = NULL, *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;
        enum reason reason = _REASON_MAX;

        CHECK(command_parse(data, size, &c, &reason) == 0);
        CHECK((c != NULL) == (reason == REASON_NONE) && reason < _REASON_MAX);
        if (!c)
                return 0;
        CHECK(size <= DSSE_PAYLOAD_MAX);
        check_command(c);

        /* Members that were left out can make the text longer than a payload may be. */
        if (command_to_json(c, &first) == -EINVAL) {
                CHECK(size > DSSE_PAYLOAD_MAX - 1024);
                return 0;
        }
        CHECK(command_parse((const uint8_t *) first, strlen(first), &again, &reason) == 0 && reason == REASON_NONE);
        CHECK(command_to_json(again, &second) == 0 && strcmp(first, second) == 0);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/answer.c agent/relay/ears.c */

/* What the gate answers to the relay. The first byte chooses: 'R' and 'Q' make the rest the payload of a receipt and of
 * a report, which is what the core signs; anything else leaves the message as it is. What is taken goes out under one
 * subject, and makes the relay listen to nothing but its own. */

#include <string.h>

#include "agent/relay/answer.h"
#include "agent/relay/ears.h"
#include "policy/dsse.h"
#include "policy/schema.h"
#include "policy/sshkey.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* Of a fleet's subjects, or the inbox; and nothing that a broker reads as "all". */
static int hear(void *userdata, const char *subject) {
        const struct who *w = userdata;
        char inbox[SUBJECT_SIZE], own[SUBJECT_SIZE];
        const size_t n = strlen(subject);

        subject_inbox(w->host, inbox);
        if (strcmp(subject, inbox) == 0)
                return 0;
        (void) snprintf(own, sizeof(own), "frz.v1.%s.", w->fleet);
        for (char *c = own + strlen("frz.v1."); *c && c[1]; c++)
                *c = *c == '.' ? '~' : *c;
        CHECK(strncmp(subject, own, strlen(own)) == 0 && !strpbrk(subject, "> \t\r\n"));
        CHECK(!strchr(subject, '*') || strchr(subject, '*') == subject + n - 1);
        return 0;
}

static json_t *health_of(const struct who *w) {
        json_t *groups = json_array();
        char host[SSHKEY_ID_SIZE];

        sshkey_id_to_str(w->host, host);
        for (size_t i = 0; i < w->n_groups; i++)
                CHECK(json_array_append_new(groups, json_string(w->groups[i])) == 0);
        return json_pack("{ss ss s{ss} s{so}}", "type", "health", "host", host, "trust", "fleet", w->fleet,
                         "attributes", "groups", groups);
}

static void check_who(const struct answer *a) {
        struct who w, again;

        memset(&w, 0xa5, sizeof(w));
        if (answer_who(a, &w) < 0)
                return;
        CHECK(a->kind == ANSWER_REPORT && w.n_groups <= WHO_GROUPS_MAX);
        CHECK(!*w.fleet || schema_is_name(w.fleet, sizeof(w.fleet)));
        for (size_t i = 0; i < w.n_groups; i++)
                CHECK(schema_is_name(w.groups[i], sizeof(w.groups[i])));
        CHECK((ears_each(&w, hear, &w) == 0) == (*w.fleet != '\0'));
        _cleanup_json_ json_t *health = health_of(&w);
        const struct answer told = { .kind = ANSWER_REPORT, .payload = health };
        memset(&again, 0x5a, sizeof(again));
        CHECK(health && answer_who(&told, &again) == 0 && memcmp(&w, &again, sizeof(w)) == 0);
}

static void check_id(const struct answer *a) {
        const json_t *id = json_object_get(a->payload, a->kind == ANSWER_RECEIPT ? "id" : "nonce");
        struct command_id back;
        char text[33];

        CHECK(json_is_string(id));
        if (a->attributes) {
                CHECK(a->kind == ANSWER_RECEIPT && strcmp(json_string_value(id), "attributes") == 0);
                return;
        }
        command_id_to_str(&a->id, text);
        CHECK(strcmp(json_string_value(id), text) == 0);
        CHECK(command_id_from_str(text, &back) == 0 && command_id_equal(&back, &a->id));
}

static void check(const struct answer *a) {
        CHECK((a->kind == ANSWER_REFUSAL) == (a->payload == NULL));
        CHECK(a->n_missing <= ANSWER_MISSING_MAX && (a->n_missing == 0 || a->kind == ANSWER_HEAD));
        CHECK(a->n_missing <= json_array_size(json_object_get(a->payload, "missing")));
        CHECK(!a->later || a->kind == ANSWER_RECEIPT);
        CHECK(!a->busy || a->kind == ANSWER_REFUSAL);
        CHECK(a->root == 0 || a->kind == ANSWER_RECEIPT || a->kind == ANSWER_REPORT);
        if (a->kind == ANSWER_REFUSAL)
                CHECK(a->final);
        else if (a->kind != ANSWER_HEAD)
                check_id(a);
        check_who(a);
}

static void try(const char *text, size_t n, char as) {
        const struct answer untouched = { .kind = (enum answer_kind) 77, .n_missing = 77, .root = 77 };
        struct answer a = untouched;
        int r = answer_parse(text, n, &a);

        CHECK(r == 0 || r == -EBADMSG);
        if (r < 0) {
                CHECK(a.kind == untouched.kind && a.n_missing == 77 && a.root == 77 && !a.payload);
                return;
        }
        CHECK(as != 'R' || a.kind == ANSWER_RECEIPT);
        CHECK(as != 'Q' || a.kind == ANSWER_REPORT || a.kind == ANSWER_HEAD);
        check(&a);
        answer_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t sig[64] = { 1 }, keyid[32] = { 1 };
        _cleanup_free_ char *json = NULL;

        if (size < 1)
                return 0;
        struct dsse d = { .type = data[0] == 'R' ? DSSE_RECEIPT : DSSE_REPORT,
                          .payload = (uint8_t *) data + 1,
                          .n_payload = size - 1 };
        if (data[0] != 'R' && data[0] != 'Q') {
                try((const char *) data + 1, size - 1, 0);
                return 0;
        }
        CHECK(dsse_add(&d, keyid, sig) == 0 && dsse_to_json(&d, &json) == 0);
        try(json, strlen(json), (char) data[0]);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/muster.c ctl/fleet_ask_tell.c ctl/receipt.c ctl/hosts.c ctl/render.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* What a host that was taken over says when its fleet is asked how it is: the input as it is, which nobody signed; as
 * the payload that the host signed; and that as the answer to this very question. It answers for itself alone and once,
 * is never called better than what it says of itself, and moves no cursor of whoever looks. */

#include <string.h>

#include <sodium.h>

#include "ctl/fleet_ask.h"
#include "ctl/member.h"
#include "ctl/times.h"
#include "policy/schema.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

#define HOSTS  2U
#define FIRST  "0123456789abcdef0123456789abcdef"
#define SECOND "11111111111111111111111111111111"

static uint8_t secret[crypto_sign_SECRETKEYBYTES];
static struct inventory_host hosts[HOSTS];
static struct ctl ctl;
static struct trust trust = { .fleet = "prod" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int64_t boot_ms(void) {
        return 1000;
}

/* The first by its fingerprint is the one whose key whoever fuzzes has. */
static void make_hosts(void) {
        uint8_t pub[crypto_sign_PUBLICKEYBYTES], seed[crypto_sign_SEEDBYTES] = { 1 };

        if (*hosts[0].host.name)
                return;
        (void) strcpy(hosts[0].host.name, "web-0");
        (void) strcpy(hosts[1].host.name, "web-1");
        CHECK(crypto_sign_seed_keypair(pub, secret, seed) == 0);
        sshkey_from_raw(pub, &hosts[0].host.key);
        do {
                seed[1]++;
                uint8_t other[crypto_sign_SECRETKEYBYTES];
                CHECK(crypto_sign_seed_keypair(pub, other, seed) == 0);
                sshkey_from_raw(pub, &hosts[1].host.key);
        } while (memcmp(hosts[0].host.key.id, hosts[1].host.key.id, 32) > 0);
}

static char *sign(const void *payload, size_t n) {
        struct dsse d = { .type = DSSE_REPORT, .payload = (uint8_t *) payload, .n_payload = n };
        _cleanup_free_ uint8_t *pae = NULL;
        uint8_t sig[64];
        size_t n_pae;
        char *json;

        CHECK(dsse_pae(DSSE_REPORT, payload, n, &pae, &n_pae) == 0);
        CHECK(crypto_sign_detached(sig, NULL, pae, n_pae, secret) == 0);
        CHECK(dsse_add(&d, hosts[0].host.key.id, sig) == 0 && dsse_to_json(&d, &json) == 0);
        return json;
}

static void add(struct muster *m, size_t host, const char *msg, size_t n) {
        CHECK(muster_add(m, hosts[host].host.key.id, msg, n, 1) == 0);
}

/* Nothing that it says of itself speaks against it. */
static bool is_well(const json_t *report) {
        const json_t *holds = json_object_get(report, "holds"), *head = json_object_get(report, "head");

        return json_is_true(json_object_get(json_object_get(report, "ledger"), "ok")) &&
               strcmp(member_str(json_object_get(report, "trust"), "state"), "valid") == 0 &&
               strcmp(member_str(json_object_get(report, "policy"), "state"), "broken") != 0 &&
               strcmp(member_str(head, "state"), "stale") != 0 &&
               json_array_size(json_object_get(head, "withheld")) == 0 &&
               json_integer_value(json_object_get(holds, "partial")) <= 0 &&
               json_array_size(json_object_get(holds, "orphans")) == 0;
}

/* Whatever else it says, one bad thing is not made up for. */
static void check_worse(const json_t *report) {
        static const struct {
                const char *member, *value;
                enum muster_state at_best;
        } rows[] = {
                { "ledger", "{\"ok\":false}", MUSTER_LEDGER },
                { "trust", "{\"state\":\"root-expired\"}", MUSTER_TRUST },
                { "policy", "{\"state\":\"broken\"}", MUSTER_POLICY },
                { "head", "{\"state\":\"fresh\",\"withheld\":[\"x\"]}", MUSTER_WITHHELD },
                { "holds", "{\"partial\":1}", MUSTER_PARTIAL },
                { "holds", "{\"orphans\":[\"x\"]}", MUSTER_PARTIAL },
                { "head", "{\"state\":\"stale\"}", MUSTER_DEAF },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_json_ json_t *worse = json_copy((json_t *) report);
                CHECK(worse && json_object_set_new(worse, rows[i].member, json_loads(rows[i].value, 0, NULL)) == 0);
                CHECK(muster_judge(worse) <= rows[i].at_best && muster_judge(worse) > MUSTER_SILENT);
        }
}

static void check_judged(const struct muster *m) {
        const json_t *report = m->v[0].report;
        enum muster_state s = muster_state(m, &m->v[0]);

        CHECK(s == muster_judge(report) && s > MUSTER_SILENT && s < _MUSTER_STATE_MAX);
        CHECK((s == MUSTER_READY || s == MUSTER_HOLDING) == is_well(report));
        CHECK((muster_state_exit(s) == CTL_OK) == is_well(report));
        CHECK(muster_gaps(report) <= json_array_size(json_object_get(report, "layers")));
        check_worse(report);
}

/* Of the other nothing is known but that it is silent, and the fleet is not well while it is. */
static void check_other(const struct muster *m) {
        CHECK(muster_state(m, &m->v[1]) == MUSTER_SILENT && !m->v[1].report);
        CHECK(m->answered <= 1 && !muster_is_over(m) && muster_exit(m) != CTL_OK);
}

static void check_shown(const struct muster *m) {
        const struct fleet_ask a = {
                .c = &ctl, .trust = &trust, .inventory = { .v = hosts, .n = HOSTS }, .muster = *m
        };
        _cleanup_json_ json_t *o = fleet_ask_host(&a, &m->v[0]), *all = fleet_ask_summary(&a, muster_exit(m));
        _cleanup_free_ char *text = NULL;
        size_t n, lines = 0;
        const struct page p = { .f = open_memstream(&text, &n) };

        CHECK(o && all && p.f);
        CHECK(!muster_has_answered(m, &m->v[0]) || json_object_get(o, "report") == m->v[0].report);
        fleet_ask_page(&a, &p, muster_exit(m), HOSTS, true);
        CHECK(fclose(p.f) == 0 && strlen(text) == n && text[n - 1] == '\n' && strncmp(text, "ALL", 3) != 0);
        for (char *line = text, *end; *line; line = end + 1, lines++) {
                end = strchr(line, '\n');
                *end = '\0';
                CHECK(schema_is_text(line, (size_t) (end - line) + 1));
        }
        CHECK(lines == 2 + HOSTS + !!m->strays);
}

static void check(const struct muster *m) {
        check_other(m);
        if (m->answered == 1)
                check_judged(m);
        check_shown(m);
}

/* Makes it the answer that it was asked for; NULL when it is no object. */
static char *as_answer(const uint8_t *data, size_t size) {
        _cleanup_json_ json_t *o = NULL;
        _cleanup_free_ char *payload = NULL;
        char id[SSHKEY_ID_SIZE];
        enum reason reason;

        CHECK(schema_json((const char *) data, size, &o, &reason) == 0);
        if (!json_is_object(o))
                return NULL;
        sshkey_id_to_str(hosts[0].host.key.id, id);
        _cleanup_json_ json_t *is = json_pack("{si ss ss ss}", "v", 1, "type", "health", "host", id, "nonce", FIRST);
        CHECK(is && json_object_update(o, is) == 0 && schema_dump(o, &payload) == 0);
        return strlen(payload) <= DSSE_HOST_PAYLOAD_MAX ? sign(payload, strlen(payload)) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct inventory i = { .v = hosts, .n = HOSTS };
        struct muster m = MUSTER_NULL;

        CHECK(sodium_init() >= 0);
        make_hosts();
        _cleanup_free_ char *raw = sign(data, size), *answer = as_answer(data, size);
        CHECK(muster_init(&m, &i) == 0);
        muster_begin(&m, FIRST);
        add(&m, 0, (const char *) data, size);
        CHECK(m.answered == 0 && m.strays == 1);
        add(&m, 0, raw, strlen(raw));
        check(&m);
        if (answer) {
                const size_t strays = m.strays;
                add(&m, 0, answer, strlen(answer));
                CHECK(m.answered == 1 && m.strays == strays);
                /* in another's name it is nothing, and neither is it later */
                add(&m, 1, answer, strlen(answer));
                CHECK(m.strays == strays + 1);
                check(&m);
                muster_begin(&m, SECOND);
                add(&m, 0, answer, strlen(answer));
                CHECK(m.answered == 0 && m.strays == 1 && muster_state(&m, &m.v[0]) == MUSTER_SILENT);
                check(&m);
        }
        muster_done(&m);
        return 0;
}

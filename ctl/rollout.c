/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/brokerfile.h"
#include "ctl/order.h"
#include "ctl/order_sign.h"
#include "ctl/rollout.h"
#include "ctl/rollout_kept.h"
#include "ctl/rollout_look.h"
#include "ctl/text.h"

/* two hosts at one place of 2^32: another salt has them apart */
#define SALTS_MAX 16

void rollout_done(struct rollout *r) {
        for (size_t i = 0; i < r->n_waves; i++) {
                rollcall_done(&r->waves[i].calls);
                free(r->waves[i].text);
                free(r->waves[i].looks);
                free(r->waves[i].told);
        }
        carrier_free(r->carrier);
        bundle_done(&r->bundle);
        expected_done(&r->to);
        inventory_done(&r->inventory);
}

static int one_wave(struct rollout *r) {
        r->waves[0].part = (struct waves_part) { .hosts = r->to.n };
        r->n_waves = 1;
        return 0;
}

static int cut(struct rollout *r) {
        _cleanup_free_ uint8_t(*ids)[32] = reallocarray(NULL, r->to.n, sizeof(*ids));
        uint8_t salt[PLACE_SALT_SIZE];
        struct waves_part parts[WAVES_MAX];
        struct why *w = &r->c->why;
        struct waves waves;
        int x = -EEXIST;

        if (!r->c->opt.wave)
                return one_wave(r);
        if (waves_parse(r->c->opt.wave, &waves) < 0)
                return why_set(w, CTL_USAGE, "--wave \"%s\": numbers of hosts or per cent, rising, the last one 100%%",
                               CLEAN(r->c->opt.wave));
        if (r->to.to.to == COMMAND_TO_HOSTS)
                return why_set(w, CTL_USAGE, "--wave is for a group or all");
        if (!ids)
                return why_errno(w, -ENOMEM, "waves");
        for (size_t i = 0; i < r->to.n; i++)
                memcpy(ids[i], r->to.v[i]->host.key.id, sizeof(*ids));
        for (int i = 0; x == -EEXIST && i < SALTS_MAX; i++) {
                randombytes_buf(salt, sizeof(salt));
                x = waves_cut(&waves, salt, (const uint8_t(*)[32]) ids, r->to.n, parts, &r->n_waves);
        }
        if (x < 0)
                return why_errno(w, x, "waves");
        for (size_t i = 0; i < r->n_waves; i++)
                r->waves[i].part = parts[i];
        return 0;
}

int rollout_confirm(const struct rollout *r) {
        char answer[32] = "", number[32];
        struct why *w = &r->c->why;

        if (r->c->opt.yes)
                return 0;
        if (!isatty(STDIN_FILENO))
                return why_set(w, CTL_USAGE, "nobody to ask: read the above, then say it with --yes");
        (void) snprintf(number, sizeof(number), "%zu", r->to.n);
        fprintf(stderr, "Type the number of hosts to go on: ");
        (void) fflush(stderr);
        if (!fgets(answer, sizeof(answer), stdin))
                answer[0] = '\0';
        answer[strcspn(answer, "\n")] = '\0';
        return strcmp(answer, number) == 0 ? 0 : why_set(w, CTL_REFUSED, "nothing was sent: that is not %s", number);
}

static void address(struct rollout *r, const struct rollout_wave *w) {
        struct command *cmd = r->cmd;

        cmd->to = r->to.to.to;
        memcpy(cmd->group, r->to.to.group, sizeof(cmd->group));
        cmd->part = w->part.part;
        cmd->max_hosts = w->part.part.is_set ? (uint32_t) w->part.hosts : r->to.to.max_hosts;
        if (cmd->to == COMMAND_TO_HOSTS) {
                memcpy(cmd->hosts[0], r->to.to.hosts[0], sizeof(cmd->hosts[0]));
                cmd->n_hosts = 1;
        }
}

int rollout_expect(struct rollout *r, struct rollout_wave *w, const uint8_t digest[static 32]) {
        _cleanup_free_ const struct inventory_host **hosts = calloc(r->to.n, sizeof(*hosts));
        char id[33];
        size_t n = 0;

        command_id_to_str(&w->id, id);
        for (size_t i = 0; hosts && i < r->to.n; i++)
                if (place_is_in(&w->part.part, r->to.v[i]->host.key.id))
                        hosts[n++] = r->to.v[i];
        int e = hosts ? rollcall_init(&w->calls, hosts, n, id, digest) : -ENOMEM;
        return e < 0 ? why_errno(&r->c->why, e, "order") : 0;
}

static int sign_wave(struct rollout *r, const struct signers *s, struct rollout_wave *w) {
        uint8_t digest[32];

        order_name(s, &r->cmd->id);
        w->id = r->cmd->id;
        address(r, w);
        int x = order_sign(s, r->cmd, &w->text, digest, &r->c->why);
        return x != 0 ? x : rollout_expect(r, w, digest);
}

/* All of them before the first is sent: nobody is asked for a key between two waves. */
static int sign(struct rollout *r) {
        _cleanup_(sign_done) struct signers s = SIGNERS_NULL;
        const struct options *o = &r->c->opt;
        struct sshkey keys[TRUST_KEYS_MAX];
        const int64_t life = r->cmd->exp_ms - r->cmd->iat_ms;

        trust_keys(r->trust, keys);
        int x = sign_open(o->keys.v, o->keys.n, keys, r->trust->n_keys, SIGN_PICK_ONE, &s, &r->c->why);
        r->cmd->iat_ms = order_now_ms();
        r->cmd->exp_ms = r->cmd->iat_ms + life;
        for (size_t i = 0; x == 0 && i < r->n_waves; i++)
                x = sign_wave(r, &s, &r->waves[i]);
        return x;
}

/* What all waves that were sent have in common; one that was not sent is never success. */
static int exit_code(const struct rollout *r, int failure) {
        if (!r->waves[0].sent)
                return failure ? failure : CTL_SILENT;
        int code = rollcall_exit(&r->waves[0].calls);
        for (size_t i = 1; i < r->n_waves; i++)
                if (!r->waves[i].sent || rollcall_exit(&r->waves[i].calls) != code)
                        return CTL_PARTIAL;
        /* neither was a line of attributes that does not count */
        if (code == CTL_OK && failure == 0 && r->lines && r->inventory.n_bad > 0)
                return CTL_PARTIAL;
        return code == CTL_OK && failure != 0 ? failure : code;
}

/* Each wave is sent and every host has said its last word: sent again, it would say the same. */
static bool is_over(const struct rollout *r) {
        for (size_t i = 0; i < r->n_waves; i++)
                if (!r->waves[i].sent || !rollcall_stands(&r->waves[i].calls))
                        return false;
        return true;
}

int rollout_go(struct rollout *r) {
        int x = 0;

        rollout_tell_ids(r);
        rollout_catch();
        for (size_t i = 0; x == 0 && i < r->n_waves; i++) {
                struct rollout_wave *w = &r->waves[i];
                x = rollout_send(r, w);
                if (r->stopped || w->calls.counts[ROLLCALL_VERIFIED] < w->calls.n)
                        break;
                if (x == 0 && i + 1 < r->n_waves)
                        x = rollout_look(r, w);
                r->stopped = rollout_is_stopped();
                if (r->stopped || !rollout_look_is_good(w))
                        break;
        }
        if (is_over(r) && r->kept[0]) {
                (void) unlink(r->kept);
                r->kept[0] = '\0';
        }
        int code = exit_code(r, x);
        rollout_tell(r, code);
        return code;
}

static int join(const struct rollout *r, char **ret, size_t *ret_n) {
        FILE *f = open_memstream(ret, ret_n);

        for (size_t i = 0; f && i < r->n_waves; i++)
                fprintf(f, "%s\n", r->waves[i].text);
        return f && fclose(f) == 0 ? 0 : -ENOMEM;
}

/* FAIL-OPEN: a disk that takes nothing must not be in the way of an order; it is said. */
static void keep(struct rollout *r, const char *text, size_t n) {
        int e = rollout_keep(&r->waves[0].id, text, n, r->kept);

        if (e < 0)
                fprintf(stderr, "freezectl: the signed order cannot be kept (%s): what ends this program loses it\n",
                        strerror(-e));
}

/* What is signed, kept; or given to the next person, when more people have to sign. */
static int conclude(struct rollout *r) {
        _cleanup_free_ char *text = NULL;
        struct bundle b = { .n = 0 };
        enum reason reason;
        bool lacks = false;
        size_t n;
        int e = join(r, &text, &n);

        if (e == 0)
                e = bundle_parse(text, n, &b, &reason);
        if (e < 0)
                return why_errno(&r->c->why, e, "order");
        int x = b.n > 0 ? rollout_judge(r, &b.v[0], &lacks)
                        : why_set(&r->c->why, CTL_MACHINE, "what was signed cannot be read again (%s)",
                                  reason_id(reason));
        if (x == 0)
                keep(r, text, n);
        else if (lacks && b.n > 1)
                x = why_set(&r->c->why, CTL_USAGE,
                            "nothing was sent: each wave is an order of its own, so sign them all at once, with --key "
                            "twice; or leave --wave out");
        else if (lacks)
                x = rollout_pend(r, &b.v[0]);
        bundle_done(&b);
        return x;
}

int rollout_open(struct rollout *r) {
        struct ctl *c = r->c;

        if (!r->trust)
                return why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        int x = brokerfile_load(c->opt.nats, &r->broker, &c->why);
        return x != 0 || r->lines ? x : inventory_load(c->opt.inventory, r->trust, &r->inventory, &c->why);
}

static int prepare(struct rollout *r) {
        struct ctl *c = r->c;

        if (c->opt.out)
                return why_set(&c->why, CTL_USAGE, "--nats sends and --out does not: one of them");
        if (!c->opt.to)
                return why_set(&c->why, CTL_USAGE, "--nats takes --to host=NAME, group=NAME or all");
        if (c->opt.max_hosts > UINT32_MAX)
                return why_set(&c->why, CTL_USAGE, "--max-hosts is at most %u", UINT32_MAX);
        int x = rollout_open(r);
        if (x == 0)
                x = inventory_expect(&r->inventory, c->opt.to, (uint32_t) c->opt.max_hosts, &r->to, &c->why);
        if (x == 0)
                x = cut(r);
        if (x != 0)
                return x;
        (void) snprintf(r->to_text, sizeof(r->to_text), "%s", CLEAN(c->opt.to));
        address(r, &r->waves[0]);
        x = rollout_apart(r);
        if (x != 0)
                return x;
        rollout_announce(r);
        x = rollout_confirm(r);
        /* before any key is read: the process that talks to brokers is a copy of this one */
        if (x == 0)
                x = carrier_open(&r->broker, &r->carrier, &c->why);
        if (x == 0)
                x = sign(r);
        return x == 0 ? conclude(r) : x;
}

int rollout_run(struct ctl *c, struct command *cmd, const struct trust *t) {
        _cleanup_free_ struct rollout *r = calloc(1, sizeof(*r));

        if (!r)
                return why_errno(&c->why, -ENOMEM, "order");
        r->c = c;
        r->cmd = cmd;
        r->trust = t;
        int x = prepare(r);
        if (x == 0)
                x = rollout_go(r);
        rollout_done(r);
        return x;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/ask.h"
#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/sign.h"
#include "ctl/text.h"

/* What must not be signed even by somebody who says yes. */
static int judge(struct ctl *c, const struct signed_file *f, const struct signatures *s) {
        if (!f->command && !f->trust)
                return why_set(&c->why, CTL_REFUSED, "not signed: this freezectl cannot read what it says (%s)",
                               reason_id(f->reason));
        if (f->command && f->command->exp_ms <= order_now_ms())
                return why_set(&c->why, reason_exit(REASON_EXPIRED),
                               "not signed: the order has expired; it has to be made anew");
        if (s->now.reason == REASON_SIGNATURE || s->then.reason == REASON_SIGNATURE)
                return why_set(&c->why, reason_exit(REASON_SIGNATURE),
                               "not signed: a signature on it does not match, so it was changed after "
                               "somebody signed it");
        return 0;
}

/* Signing twice would look like progress and be none. */
static int refuse_repeat(struct ctl *c, const struct signers *s, const struct dsse *d) {
        for (size_t i = 0; i < s->n; i++)
                for (size_t j = 0; j < d->n_sigs; j++)
                        if (memcmp(s->v[i].key.id, d->sigs[j].keyid, 32) == 0)
                                return why_set(&c->why, CTL_USAGE,
                                               "this key (%s) has signed it already; another person has to",
                                               s->v[i].name);
        return 0;
}

static int sign(struct ctl *c, struct signed_file *f, const struct signatures *s) {
        _cleanup_(sign_done) struct signers signers = SIGNERS_NULL;
        struct sshkey keys[2 * TRUST_KEYS_MAX];
        size_t n = 0;

        if (s->by) {
                trust_keys(s->by, keys);
                n += s->by->n_keys;
        }
        if (s->before) {
                trust_keys(s->before, keys + n);
                n += s->before->n_keys;
        }
        int x = sign_open(c->opt.keys.v, c->opt.keys.n, keys, n, SIGN_PICK_ONE, &signers, &c->why);
        if (x == 0)
                x = refuse_repeat(c, &signers, &f->env);
        return x != 0 ? x : sign_envelope(&signers, &f->env, &c->why);
}

static void tell_json(struct ctl *c, const char *path, const struct signed_file *f) {
        _cleanup_json_ json_t *line = json_pack("{s:{s:s,s:i,s:i}}", "summary", "file", path, "signatures",
                                                (int) f->env.n_sigs, "exit", CTL_OK);

        exchange_json_line(c, line);
        c->summarised = true;
}

static void tell(struct ctl *c, const char *path, const struct signed_file *f, const struct signatures *s) {
        const struct page p = exchange_page(c);

        render_verdict(&p, TONE_GOOD, "SIGNED", "%s", CLEAN(path));
        render_signatures(&p, &f->env, s);
        if (s->by && !s->enough)
                fprintf(c->out, "Not enough yet. Another person:  freezectl approve %s\n", CLEAN(path));
        else if (f->trust)
                fprintf(c->out, "Next, as root on each host:  freezectl enroll %s\n", CLEAN(path));
        else
                fprintf(c->out, "Next:  freezectl send %s\n", CLEAN(path));
}

/* sign and approve: show what it is in plain words, ask, add a signature. approve wants somebody else to have signed
 * first. */
int verb_approve(struct ctl *c, char **words, size_t n) {
        _cleanup_(signed_file_done) struct signed_file f = SIGNED_FILE_NULL;
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_trust_ struct trust *t = NULL;
        const struct page p = { c->opt.json ? stderr : c->out, c->colour && !c->opt.json };
        const char *out = c->opt.out ? c->opt.out : words[0];

        struct signatures s;

        (void) n;
        int x = signed_file_load(words[0], &f, NULL, NULL, &c->why);
        if (x != 0)
                return x;
        if (strcmp(c->verb->name, "approve") == 0 && f.env.n_sigs == 0)
                return why_set(&c->why, CTL_USAGE,
                               "nobody has signed %s yet, so there is nothing to approve: freezectl sign %s",
                               CLEAN(words[0]), CLEAN(words[0]));
        /* both only for names: what is signed is the file */
        struct why ignored;
        if (hosts_load(&c->opt, &known, &ignored) != 0)
                hosts_done(&known);
        if (trustfile_load(&c->opt, &t, &c->why) != 0 && c->opt.trust)
                return CTL_MACHINE;

        render_order(&p, &f, t, &known, order_now_ms());
        int r = signed_file_count(&f, t, &s);
        x = r < 0 ? why_errno(&c->why, r, "signatures") : judge(c, &f, &s);
        if (x == 0)
                x = ask_yes(c, "Sign this?");
        if (x == 0)
                x = sign(c, &f, &s);
        if (x == 0)
                x = signed_file_save(out, &f.env, &c->why);
        if (x != 0)
                return x;
        c->why.text[0] = '\0';
        if (c->opt.json)
                tell_json(c, out, &f);
        else if (signed_file_count(&f, t, &s) >= 0)
                tell(c, out, &f, &s);
        return CTL_OK;
}

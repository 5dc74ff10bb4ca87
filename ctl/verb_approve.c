/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/ask.h"
#include "ctl/exchange.h"
#include "ctl/pending.h"
#include "ctl/order.h"
#include "ctl/sign.h"
#include "ctl/text.h"

/* What must not be signed even by somebody who says yes. */
static int judge(struct ctl *c, const struct signed_file *f, const struct signatures *s) {
        if (!f->command && !f->trust && !f->attributes && !f->head)
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
        _cleanup_json_ json_t *line = json_pack("{s:{s:s*,s:i,s:i}}", "summary", "file", path, "signatures",
                                                (int) f->env.n_sigs, "exit", CTL_OK);
        char id[33];

        if (c->opt.nats && f->command) {
                command_id_to_str(&f->command->id, id);
                (void) json_object_set_new(json_object_get(line, "summary"), "id", json_string(id));
        }
        exchange_json_line(c, line);
        c->summarised = true;
}

static void tell_next(struct ctl *c, const char *path, const struct signed_file *f, bool enough) {
        char id[33] = "";

        if (f->command)
                command_id_to_str(&f->command->id, id);
        if (c->opt.nats)
                fprintf(c->out, "%s  freezectl %s %s --nats %s\n",
                        enough ? "Next:" : "Not enough yet. Another person:", enough ? "send" : "approve", id,
                        CLEAN(c->opt.nats));
        else if (!enough)
                fprintf(c->out, "Not enough yet. Another person:  freezectl approve %s\n", CLEAN(path));
        else if (f->head)
                fprintf(c->out, "A relay takes it to the hosts.\n");
        else if (f->trust && f->trust->version > 1)
                fprintf(c->out, "Next:  freezectl trust send %s    (with --nats to all hosts)\n", CLEAN(path));
        else if (f->trust)
                fprintf(c->out, "Next, as root on each host:  freezectl enroll %s\n", CLEAN(path));
        else
                fprintf(c->out, "Next:  freezectl send %s\n", CLEAN(path));
}

static void tell(struct ctl *c, const char *path, const struct signed_file *f, const struct signatures *s) {
        const struct page p = exchange_page(c);

        render_verdict(&p, TONE_GOOD, "SIGNED", "%s", path ? CLEAN(path) : verb_info(f->command->verb)->id);
        render_signatures(&p, &f->env, s);
        tell_next(c, path, f, !s->by || s->enough);
}

/* Into the file, and to the broker. The one does not wait for the other: what was signed is not lost with a connection.
 */
static int put(struct ctl *c, const char *path, struct signed_file *f, const struct trust *t) {
        int x = path ? signed_file_save(path, &f->env, &c->why) : 0;

        return x == 0 && c->opt.nats ? pending_put(c, t, f) : x;
}

static int show_and_sign(struct ctl *c, struct signed_file *f, const struct trust *t, const struct hosts *known) {
        const struct page p = { c->opt.json ? stderr : c->out, c->colour && !c->opt.json };
        struct signatures s;

        render_order(&p, f, t, known, order_now_ms());
        int r = signed_file_count(f, t, &s);
        int x = r < 0 ? why_errno(&c->why, r, "signatures") : judge(c, f, &s);
        if (x == 0)
                x = ask_yes(c, "Sign this?");
        return x == 0 ? sign(c, f, &s) : x;
}

/* An id is of what hangs at the broker; anything else is a file. */
static int load(struct ctl *c, const char *word, const struct trust *t, struct signed_file *ret,
                const char **ret_path) {
        struct command_id id;

        *ret_path = c->opt.out;
        if (c->opt.nats && command_id_from_str(word, &id) == 0)
                return pending_get(c, t, &id, ret);
        *ret_path = c->opt.out ? c->opt.out : word;
        int x = signed_file_load(word, ret, NULL, NULL, &c->why);
        if (x != 0)
                return x;
        if (c->opt.nats && !ret->command)
                return why_set(&c->why, CTL_USAGE, "%s is no order: with --nats only orders are signed", CLEAN(word));
        if (strcmp(c->verb->name, "approve") == 0 && ret->env.n_sigs == 0)
                return why_set(&c->why, CTL_USAGE,
                               "nobody has signed %s yet, so there is nothing to approve: freezectl sign %s",
                               CLEAN(word), CLEAN(word));
        return 0;
}

/* sign and approve: show what it is in plain words, ask, add a signature. approve wants somebody else to have signed
 * first. */
int verb_approve(struct ctl *c, char **words, size_t n) {
        _cleanup_(signed_file_done) struct signed_file f = SIGNED_FILE_NULL;
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_trust_ struct trust *t = NULL;
        struct signatures s;
        const char *out;

        if (n == 0 && !c->opt.nats)
                return why_set(&c->why, CTL_USAGE, "approve what? give FILE, or --nats URL to see what waits there");
        int x = trustfile_load(&c->opt, &t, &c->why);
        if (x != 0 && (c->opt.trust || c->opt.nats))
                return CTL_MACHINE;
        if (n == 0)
                return pending_list(c, t);
        x = load(c, words[0], t, &f, &out);
        if (x != 0)
                return x;
        /* only for names: what is signed is the file */
        struct why ignored;
        if (hosts_load(&c->opt, &known, &ignored) != 0)
                hosts_done(&known);
        x = show_and_sign(c, &f, t, &known);
        if (x == 0)
                x = put(c, out, &f, t);
        if (x != 0)
                return x;
        c->why.text[0] = '\0';
        if (c->opt.json)
                tell_json(c, out, &f);
        else if (signed_file_count(&f, t, &s) >= 0)
                tell(c, out, &f, &s);
        return CTL_OK;
}

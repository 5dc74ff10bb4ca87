/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/text.h"
#include "ctl/trustbuild.h"
#include "ctl/trustfile.h"

#define EXPIRES_MS (365LL * 24 * 3600 * 1000)

static int set_root(struct trust *t, const struct options *o, struct why *w) {
        struct option_list words = { 0 };
        char word[1024];

        if (o->root) {
                if ((size_t) snprintf(word, sizeof(word), TRUST_ROOT_ROLE "=%s", o->root) >= sizeof(word))
                        return why_set(w, CTL_USAGE, "--root is too long");
                words.v[words.n++] = word;
                int x = trustbuild_roles(t, &words, w);
                if (x != 0)
                        return x;
        }
        int root = trust_role_find(t, TRUST_ROOT_ROLE);
        if (root < 0)
                return why_set(w, CTL_USAGE,
                               "who signs the trust root? give --root NAME,... or --responder NAME=FILE.pub");
        if (o->root_threshold)
                t->root_k = (uint8_t) o->root_threshold;
        else if (t->root_k == 0)
                t->root_k = (uint8_t) MIN(__builtin_popcountll(t->roles[root].people), 2);
        return 0;
}

/* Signs, writes, and says who is still missing. */
static int finish(struct ctl *c, const struct trust *t, const struct trust *before) {
        _cleanup_(signed_file_done) struct signed_file f = SIGNED_FILE_NULL;
        const struct page p = exchange_page(c);
        enum reason reason;
        struct signatures s;

        int x = trustbuild_finish(t, &f.env, &c->why);
        if (x == 0)
                x = trustbuild_sign(t, before, &c->opt, &f.env, &c->why);
        if (x == 0)
                x = signed_file_save(c->opt.out, &f.env, &c->why);
        if (x != 0)
                return x;
        int r = trust_parse(f.env.payload, f.env.n_payload, &f.trust, &reason);
        if (r >= 0)
                r = signed_file_count(&f, before, &s);
        if (r < 0)
                return why_errno(&c->why, r, "trust root");
        if (c->opt.json) {
                _cleanup_json_ json_t *line =
                        json_pack("{s:{s:s,s:I,s:b,s:i}}", "summary", "file", c->opt.out, "version",
                                  (json_int_t) t->version, "complete", s.enough, "exit", CTL_OK);
                exchange_json_line(c, line);
                c->summarised = true;
                return CTL_OK;
        }
        render_order(&p, &f, before, NULL, order_now_ms());
        fprintf(c->out, "Written to %s. ", c->opt.out);
        if (s.enough && t->version > 1)
                fprintf(c->out, "Next:  freezectl trust send %s    (with --nats to all hosts)\n", c->opt.out);
        else if (s.enough)
                fprintf(c->out, "Next, as root on each host:  freezectl enroll %s\n", c->opt.out);
        else
                fprintf(c->out, "Not enough signatures yet. Somebody of the role root:  freezectl sign %s\n",
                        c->opt.out);
        return CTL_OK;
}

int verb_trust_init(struct ctl *c, char **words, size_t n) {
        _cleanup_free_ struct trust *t = calloc(1, sizeof(*t));
        const struct options *o = &c->opt;

        (void) words;
        (void) n;
        if (!t)
                return why_errno(&c->why, -ENOMEM, "trust root");
        if (!o->fleet || !o->out)
                return why_set(&c->why, CTL_USAGE, "trust init needs --fleet NAME and --out FILE");
        if (strlen(o->fleet) >= sizeof(t->fleet))
                return why_set(&c->why, CTL_USAGE, "--fleet is longer than %zu bytes", sizeof(t->fleet) - 1);
        (void) snprintf(t->fleet, sizeof(t->fleet), "%s", o->fleet);
        t->version = 1;
        t->iat_ms = order_now_ms();
        t->expires_ms = t->iat_ms + (o->expires_ms ? o->expires_ms : EXPIRES_MS);
        t->retention_ms = o->retention_ms;
        int x = trustbuild_people(t, &o->people, NULL, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->responders, "responder", &c->why);
        if (x == 0 && !o->root)
                x = trustbuild_people(t, &o->responders, TRUST_ROOT_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->automations, "automation", &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->custodians, TRUST_CUSTODIAN_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->registrars, TRUST_REGISTRAR_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->heralds, TRUST_HERALD_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_roles(t, &o->roles, &c->why);
        if (x == 0)
                x = set_root(t, o, &c->why);
        if (x == 0)
                x = trustbuild_rules(t, &o->rules, &c->why);
        if (x == 0)
                x = trustbuild_recipients(t, &o->recipients, &c->why);
        if (x == 0)
                x = trustbuild_witnesses(t, &o->witnesses, &c->why);
        if (x == 0 && (o->default_rules || o->rules.n == 0))
                x = trustbuild_default_rules(t, &c->why);
        return x != 0 ? x : finish(c, t, NULL);
}

int verb_trust_rotate(struct ctl *c, char **words, size_t n) {
        _cleanup_trust_ struct trust *before = NULL;
        _cleanup_free_ struct trust *t = malloc(sizeof(*t));
        const struct options *o = &c->opt;

        (void) n;
        if (!t)
                return why_errno(&c->why, -ENOMEM, "trust root");
        if (!o->out)
                return why_set(&c->why, CTL_USAGE, "trust rotate needs --out FILE");
        int x = trustfile_read(words[0], NULL, &before, NULL, &c->why);
        if (x != 0)
                return x;
        *t = *before;
        t->version++;
        t->iat_ms = order_now_ms();
        t->expires_ms = t->iat_ms + (o->expires_ms ? o->expires_ms : EXPIRES_MS);
        if (o->retention_ms > 0)
                t->retention_ms = o->retention_ms;
        x = trustbuild_people(t, &o->people, NULL, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->responders, "responder", &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->automations, "automation", &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->custodians, TRUST_CUSTODIAN_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->registrars, TRUST_REGISTRAR_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_people(t, &o->heralds, TRUST_HERALD_ROLE, &c->why);
        if (x == 0)
                x = trustbuild_roles(t, &o->roles, &c->why);
        if (x == 0)
                x = set_root(t, o, &c->why);
        if (x == 0)
                x = trustbuild_remove(t, &o->removed, &c->why);
        if (x == 0)
                x = trustbuild_rules(t, &o->rules, &c->why);
        if (x == 0)
                x = trustbuild_recipients(t, &o->recipients, &c->why);
        if (x == 0)
                x = trustbuild_witnesses(t, &o->witnesses, &c->why);
        return x != 0 ? x : finish(c, t, before);
}

int verb_trust_show(struct ctl *c, char **words, size_t n) {
        _cleanup_(signed_file_done) struct signed_file f = SIGNED_FILE_NULL;
        const struct page p = exchange_page(c);

        const char *path = n > 0 ? words[0] : TRUSTFILE_PATH;
        int x = signed_file_load(path, &f, NULL, NULL, &c->why);
        if (x != 0)
                return x;
        if (!f.trust)
                return why_set(&c->why, CTL_REFUSED, "%s is no trust root%s%s", CLEAN(path),
                               f.reason == REASON_NONE ? "" : ": ",
                               f.reason == REASON_NONE ? "" : reason_text(f.reason));
        if (c->opt.json) {
                _cleanup_json_ json_t *o = json_loadb((const char *) f.env.payload, f.env.n_payload, 0, NULL);
                exchange_json_line(c, o);
                c->summarised = true;
                return CTL_OK;
        }
        render_order(&p, &f, NULL, NULL, order_now_ms());
        return CTL_OK;
}

int verb_trust_verify(struct ctl *c, char **words, size_t n) {
        _cleanup_trust_ struct trust *from = NULL, *t = NULL;
        const struct page p = exchange_page(c);

        (void) n;
        int x = c->opt.from ? trustfile_read(c->opt.from, NULL, &from, NULL, &c->why) : 0;
        if (x == 0)
                x = trustfile_read(words[0], from, &t, NULL, &c->why);
        if (x != 0)
                return x;
        bool expired = t->expires_ms <= order_now_ms();
        int code = expired ? reason_exit(REASON_ROOT_EXPIRED) : CTL_OK;
        if (c->opt.json) {
                _cleanup_json_ json_t *line =
                        json_pack("{s:{s:s,s:I,s:b,s:i}}", "summary", "fleet", t->fleet, "version",
                                  (json_int_t) t->version, "expired", expired, "exit", code);
                exchange_json_line(c, line);
                c->summarised = true;
                return code;
        }
        render_verdict(&p, render_tone(code), expired ? "EXPIRED" : "VALID",
                       "trust root of fleet %s, version %" PRId64 ", until %s%s", t->fleet, t->version,
                       TIME(t->expires_ms), from ? "; it follows the one given with --from" : "");
        return code;
}

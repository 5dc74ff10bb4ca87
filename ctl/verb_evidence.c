/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/anchor.h"
#include "ctl/bagdir.h"
#include "ctl/custody_tell.h"
#include "ctl/exchange.h"
#include "ctl/export.h"
#include "ctl/render_bag.h"
#include "ctl/text.h"

static void say(struct ctl *c, const char *member, json_t *o) {
        _cleanup_json_ json_t *line = json_pack("{s:o}", member, o);

        exchange_json_line(c, line);
}

static void summarise(struct ctl *c, size_t n, int code) {
        _cleanup_json_ json_t *line = json_pack("{s:{s:I, s:i}}", "summary", "folders", (json_int_t) n, "exit", code);

        exchange_json_line(c, line);
        c->summarised = true;
}

/* Before it is done. */
static void tell(struct ctl *c, const struct hosts *known, enum custody_act act, const char *path,
                 struct custody_told *ret) {
        custody_tell(c, known, act, path, ret);
        if (c->opt.json)
                say(c, "custody", custody_told_to_json(ret));
}

/* After what was asked for. */
static void say_told(const struct ctl *c, const struct custody_told *t) {
        const struct page p = exchange_page(c);

        if (!c->opt.json)
                custody_told_render(&p, t);
}

/* Each folder, held against the ledger; *worst is raised to what there is against one. */
static int list_folder(struct ctl *c, const struct hosts *known, const struct anchor *anchor, const char *path,
                       enum bag_severity *worst) {
        const struct page p = exchange_page(c);
        struct bag b = BAG_NULL;
        json_t *o;

        int x = bag_look(path, known, &b, &c->why);
        if (x != 0)
                return x;
        const uint32_t against = anchor_look(anchor, bagdir_folder(path), &b);

        *worst = MAX(*worst, MAX(b.worst, anchor_severity(against)));
        if (c->opt.json) {
                o = bag_to_json(path, &b);
                if (o && against)
                        (void) json_object_set_new(
                                o, "ledger",
                                json_string(chain_finding_id((enum chain_finding) __builtin_ctz(against))));
                say(c, "evidence", o);
        } else
                render_bag_line(&p, path, &b, against);
        bag_done(&b);
        return 0;
}

static bool is_listed(const struct bagdir *all, size_t n, const char *folder) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(bagdir_folder(all[i].path), folder) == 0)
                        return true;
        return false;
}

/* What the ledger tells of and no folder is left of, not even as after a deletion. */
static size_t list_gone(struct ctl *c, const struct anchor *anchor, const struct bagdir *all, size_t n) {
        const struct page p = exchange_page(c);
        size_t gone = 0;

        for (size_t i = 0; i < anchor->chain.n_folders; i++) {
                const struct chain_folder *f = &anchor->chain.folders[i];
                char path[PATH_MAX];

                if (is_listed(all, n, f->path))
                        continue;
                gone++;
                (void) snprintf(path, sizeof(path), "%s/evidence/%s", bagdir_state(&c->opt), f->path);
                if (c->opt.json)
                        say(c, "gone", gone_to_json(path, f));
                else
                        render_gone_line(&p, path, f);
        }
        return gone;
}

/* The ledger is read first: what comes meanwhile is a folder that it does not know yet, and not one that is gone. */
int verb_evidence_list(struct ctl *c, char **words, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_(custody_told_done) struct custody_told told = CUSTODY_TOLD_NULL;
        _cleanup_(anchor_done) struct anchor anchor = ANCHOR_NULL;
        _cleanup_free_ struct bagdir *all = NULL;
        const struct page p = exchange_page(c);
        enum bag_severity worst;
        size_t n_all = 0, gone = 0;

        (void) words;
        (void) n;
        int x = hosts_load(&c->opt, &known, &c->why);
        if (x == 0)
                anchor_read(&c->opt, bagdir_state(&c->opt), &anchor, &c->why);
        if (x == 0)
                x = bagdir_all(&c->opt, &all, &n_all, &c->why);
        if (x == 0)
                tell(c, &known, CUSTODY_LIST, NULL, &told);
        worst = anchor.worst;
        for (size_t i = 0; x == 0 && i < n_all; i++)
                x = list_folder(c, &known, &anchor, all[i].path, &worst);
        if (x != 0)
                return x;
        gone = list_gone(c, &anchor, all, n_all);
        const int code = gone > 0 || worst == BAG_SEVERITY_BAD ? CTL_REFUSED : CTL_OK;
        if (c->opt.json) {
                say(c, "ledger", anchor_to_json(&anchor));
                summarise(c, n_all, code);
        } else {
                if (n_all + gone == 0 && code == CTL_OK)
                        fprintf(c->out, "This host has no evidence.\n");
                anchor_render_findings(&p, &anchor);
        }
        say_told(c, &told);
        return code;
}

/* look: only what the host says of it; else every file is read. */
static int show(struct ctl *c, const char *word, bool look) {
        _cleanup_(custody_told_done) struct custody_told told = CUSTODY_TOLD_NULL;
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        const struct page p = exchange_page(c);
        _cleanup_(anchor_done) struct anchor anchor = ANCHOR_NULL;
        struct bag b = BAG_NULL;
        struct bagdir dir;

        int x = hosts_load(&c->opt, &known, &c->why);
        if (x == 0)
                x = bagdir_find(&c->opt, word, &dir, &c->why);
        if (x == 0)
                tell(c, &known, look ? CUSTODY_SHOW : CUSTODY_VERIFY, dir.path, &told);
        if (x == 0)
                x = look ? bag_look(dir.path, &known, &b, &c->why) : bag_verify(dir.path, &known, &b, &c->why);
        if (x != 0)
                return x;
        anchor_check(&c->opt, dir.path, &b, &anchor, &c->why);
        const bool is_shown = look && b.predicate && b.worst != BAG_SEVERITY_BAD;
        const int code = is_shown && *b.name ? CTL_OK : bag_exit(&b);
        if (c->opt.json) {
                say(c, "evidence", bag_to_json(dir.path, &b));
                say(c, "ledger", anchor_to_json(&anchor));
                summarise(c, 1, code);
        } else if (is_shown) {
                render_bag(&p, dir.path, &b);
                render_bag_findings(&p, &b);
        } else {
                render_bag_verdict(&p, dir.path, &b);
                anchor_render(&p, &anchor);
        }
        say_told(c, &told);
        bag_done(&b);
        return code;
}

int verb_evidence_show(struct ctl *c, char **words, size_t n) {
        (void) n;
        return show(c, words[0], true);
}

int verb_evidence_verify(struct ctl *c, char **words, size_t n) {
        (void) n;
        return show(c, words[0], false);
}

/* What was not all opened, or not all there, is not the whole of it; what was changed is opened by nobody here. */
static int opened_exit(const struct bag *b, const struct opened *o) {
        if (o->wrong > 0 || b->worst == BAG_SEVERITY_BAD)
                return CTL_REFUSED;
        return o->missing > 0 || o->unlisted > 0 || !o->ended ? CTL_PARTIAL : bag_exit(b);
}

/* What is sealed says anything of what is in it, and whoever made up the folder can have sealed it to that key. */
static int check_signer(struct ctl *c, const struct bag *b) {
        char line[SSHKEY_LINE_SIZE];
        struct sshkey key;

        if (*b->name)
                return 0;
        sshkey_from_raw(b->pub, &key);
        sshkey_to_line(&key, line);
        return why_set(
                &c->why, CTL_REFUSED,
                "nothing is opened of a host that is not known here. If %s is its fingerprint as you have it from "
                "where it was enrolled, add \"NAME %s\" to ~/.config/freezed/" HOSTS_FILE_NAME,
                b->host, line);
}

static int open_bag(struct ctl *c, const struct bag *b, const struct anchor *anchor, const char *path) {
        const struct page p = exchange_page(c);
        struct identities with = { .n = 0 };
        struct opened o;

        int x = check_signer(c, b);
        if (x == 0)
                x = identities_load(c->opt.identity, &with, &c->why);
        if (x == 0)
                x = opened_make(b, &with, c->opt.out, &o, &c->why);
        sodium_memzero(&with, sizeof(with));
        if (x != 0)
                return x;
        int code = opened_exit(b, &o);
        if (c->opt.json) {
                say(c, "evidence", bag_to_json(path, b));
                say(c, "ledger", anchor_to_json(anchor));
                say(c, "opened", opened_to_json(&o));
                summarise(c, 1, code);
                return code;
        }
        render_opened(&p, c->opt.out, &o, code);
        render_bag(&p, path, b);
        anchor_render(&p, anchor);
        return code;
}

int verb_evidence_decrypt(struct ctl *c, char **words, size_t n) {
        _cleanup_(custody_told_done) struct custody_told told = CUSTODY_TOLD_NULL;
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        const struct page p = exchange_page(c);
        _cleanup_(anchor_done) struct anchor anchor = ANCHOR_NULL;
        enum bag_severity of_files;
        struct bag b = BAG_NULL;
        struct bagdir dir;

        (void) n;
        if (!c->opt.identity || !c->opt.out)
                return why_set(&c->why, CTL_USAGE, "evidence decrypt needs --identity FILE and --out DIR");
        int x = hosts_load(&c->opt, &known, &c->why);
        if (x == 0)
                x = bagdir_find(&c->opt, words[0], &dir, &c->why);
        if (x == 0)
                tell(c, &known, CUSTODY_DECRYPT, dir.path, &told);
        if (x == 0)
                x = bag_verify(dir.path, &known, &b, &c->why);
        of_files = b.worst;
        if (x != 0)
                return x;
        anchor_check(&c->opt, dir.path, &b, &anchor, &c->why);
        /* What nobody here confirms is for verify to tell. What the ledger speaks against is opened all the same, and
         * told: whoever can change the ledger must not keep it closed by that. */
        if (!b.contradicted)
                b.worst = of_files;
        if (of_files == BAG_SEVERITY_BAD || !b.predicate) {
                if (!c->opt.json)
                        render_bag_verdict(&p, dir.path, &b);
                x = why_set(&c->why, CTL_REFUSED, "nothing is opened that is not what a host signed");
        } else
                x = open_bag(c, &b, &anchor, dir.path);
        say_told(c, &told);
        bag_done(&b);
        return x;
}

static int export_bag(struct ctl *c, const struct bag *b, const struct anchor *anchor,
                      const struct custody_told *told) {
        const struct page p = exchange_page(c);
        struct identities with = { .n = 0 };
        struct exported e;
        int x = c->opt.identity ? check_signer(c, b) : 0;

        if (x == 0 && c->opt.identity)
                x = identities_load(c->opt.identity, &with, &c->why);
        if (x == 0)
                x = export_make(b, anchor, c->opt.identity ? &with : NULL, told, c->opt.out, &e, &c->why);
        sodium_memzero(&with, sizeof(with));
        if (x != 0)
                return x;
        int code = e.is_open ? opened_exit(b, &e.opened) : bag_exit(b);
        if (c->opt.json) {
                say(c, "exported", export_to_json(&e));
                summarise(c, 1, code);
        } else
                export_render(&p, c->opt.out, &e, code);
        return code;
}

int verb_evidence_export(struct ctl *c, char **words, size_t n) {
        _cleanup_(custody_told_done) struct custody_told told = CUSTODY_TOLD_NULL;
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        const struct page p = exchange_page(c);
        _cleanup_(anchor_done) struct anchor anchor = ANCHOR_NULL;
        struct bag b = BAG_NULL;
        struct bagdir dir;

        (void) n;
        if (!c->opt.out)
                return why_set(&c->why, CTL_USAGE, "evidence export needs --out DIR or --out FILE.tar");
        int x = hosts_load(&c->opt, &known, &c->why);
        if (x == 0)
                x = bagdir_find(&c->opt, words[0], &dir, &c->why);
        if (x == 0)
                tell(c, &known, c->opt.identity ? CUSTODY_DECRYPT : CUSTODY_EXPORT, dir.path, &told);
        if (x == 0)
                x = bag_verify(dir.path, &known, &b, &c->why);
        if (x != 0)
                return x;
        anchor_check(&c->opt, dir.path, &b, &anchor, &c->why);
        /* a ledger that cannot be read speaks against nothing */
        const bool unread = b.contradicted && anchor.chain.findings & 1U << CHAIN_UNREADABLE;
        if ((b.worst == BAG_SEVERITY_BAD && !unread) || !b.predicate) {
                if (!c->opt.json)
                        render_bag_verdict(&p, dir.path, &b);
                x = why_set(&c->why, CTL_REFUSED,
                            "nothing is exported that is not what a host signed; copy the folder as it is, for others "
                            "to see");
        } else
                x = export_bag(c, &b, &anchor, &told);
        say_told(c, &told);
        bag_done(&b);
        return x;
}

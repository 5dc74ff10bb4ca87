/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "ctl/enrolled.h"
#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"

#define CONFIG_DIR "/etc/freezed"
#define STATE_DIR  "/var/lib/freezed"

struct enrolment {
        char trust_path[PATH_MAX], taken_path[PATH_MAX], pub_path[PATH_MAX], hosts_path[PATH_MAX],
                name[HOSTS_NAME_MAX + 2];
        struct sshkey host;
        struct trust *trust;
        char *text; /* the trust root's file */
};

static int join(char *ret, const char *dir, const char *name, struct why *w) {
        int k = snprintf(ret, PATH_MAX, "%s/%s", dir, name);

        return k < 0 || k >= PATH_MAX ? why_set(w, CTL_USAGE, "%s/%s: too long", CLEAN(dir), name) : 0;
}

static int set_paths(struct enrolment *e, const struct options *o, struct why *w) {
        const char *config = o->config_dir ? o->config_dir : CONFIG_DIR;
        const char *state = o->state_dir ? o->state_dir : STATE_DIR;

        int x = join(e->trust_path, config, "trust.json", w);
        if (x == 0)
                x = join(e->hosts_path, config, HOSTS_FILE_NAME, w);
        if (x == 0)
                x = join(e->pub_path, state, "host_key.pub", w);
        if (x == 0)
                x = join(e->taken_path, state, "trust.json", w);
        if (x == 0 && o->hosts_file && (size_t) snprintf(e->hosts_path, PATH_MAX, "%s", o->hosts_file) >= PATH_MAX)
                x = why_set(w, CTL_USAGE, "--hosts-file is too long");
        if (x != 0)
                return x;
        if (o->name)
                (void) snprintf(e->name, sizeof(e->name), "%s", o->name);
        else if (gethostname(e->name, sizeof(e->name) - 1) < 0)
                return why_errno(w, -errno, "host name");
        return 0;
}

static int read_host_key(struct enrolment *e, struct why *w) {
        _cleanup_free_ char *line = NULL;

        int r = file_read(e->pub_path, SSHKEY_LINE_SIZE + 256, &line, NULL, NULL);
        if (r == -ENOENT)
                return why_set(
                        w, CTL_MACHINE,
                        "%s is not there: the agent makes it when it first starts. systemctl start freezed, then "
                        "enroll again",
                        CLEAN(e->pub_path));
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(e->pub_path));
        if (sshkey_from_line(line, &e->host) < 0)
                return why_set(w, CTL_MACHINE, "%s: not the public key of a host", CLEAN(e->pub_path));
        return 0;
}

/* The same trust root, perhaps with a signature more. */
static bool is_same(const char *a, const char *b) {
        _cleanup_(dsse_done) struct dsse da = DSSE_NULL, db = DSSE_NULL;
        enum reason reason[2];

        if (dsse_parse(a, strlen(a), &da, &reason[0]) < 0 || dsse_parse(b, strlen(b), &db, &reason[1]) < 0)
                return false;
        return reason[0] == REASON_NONE && reason[1] == REASON_NONE && da.n_payload == db.n_payload &&
               memcmp(da.payload, db.payload, da.n_payload) == 0;
}

static bool is_missing(const char *path) {
        return access(path, F_OK) < 0 && errno == ENOENT;
}

/* What root put there, or what came after it as an order (agent/core/rooted.h). */
static int read_old(const struct enrolment *e, struct trust **ret, char **ret_text, struct why *w) {
        _cleanup_trust_ struct trust *taken = NULL;
        _cleanup_free_ char *text = NULL;

        int x = trustfile_read(e->trust_path, NULL, ret, ret_text, w);
        if (x != 0 || is_missing(e->taken_path))
                return x;
        x = trustfile_read(e->taken_path, NULL, &taken, &text, w);
        if (x == 0 && strcmp(taken->fleet, (*ret)->fleet) == 0 && taken->version > (*ret)->version) {
                trust_freep(ret);
                *ret = TAKE_PTR(taken);
                free(*ret_text);
                *ret_text = TAKE_PTR(text);
        }
        return x;
}

/* The trust root that is there stays in force until its successor is proven: once enrolled, a host follows the chain.
 * Only the very first one is taken on the word of root, who could replace the agent anyway. */
static int read_trust(struct enrolment *e, const char *file, struct why *w) {
        _cleanup_trust_ struct trust *old = NULL;
        _cleanup_free_ char *old_text = NULL;

        if (is_missing(e->trust_path))
                return trustfile_read(file, NULL, &e->trust, &e->text, w);
        int x = read_old(e, &old, &old_text, w);
        if (x == 0)
                x = trustfile_read(file, NULL, &e->trust, &e->text, w);
        if (x != 0 || is_same(old_text, e->text))
                return x;
        trust_freep(&e->trust);
        e->trust = NULL;
        free(e->text);
        e->text = NULL;
        struct why inner;
        x = trustfile_read(file, old, &e->trust, &e->text, &inner);
        if (x != 0)
                return why_set(w, x,
                               "%s\nThis host has version %" PRId64
                               " of fleet %s; what follows it has to be version %" PRId64
                               ", signed by the root people of both",
                               inner.text, old->version, old->fleet, old->version + 1);
        return 0;
}

/* The line in the hosts file first: it may be refused, and then nothing was changed. Where root begins anew, nothing
 * that came as an order comes before the word of root. */
static int install(const struct enrolment *e, struct why *w) {
        int x = hosts_add(e->hosts_path, e->name, &e->host, w);
        if (x != 0)
                return x;
        if (is_missing(e->trust_path) && unlink(e->taken_path) < 0 && errno != ENOENT)
                return why_errno(w, -errno, "%s", CLEAN(e->taken_path));
        int r = file_make_parents(e->trust_path);
        if (r >= 0)
                r = file_replace(e->trust_path, e->text, strlen(e->text), 0644);
        return r < 0 ? why_errno(w, r, "%s", CLEAN(e->trust_path)) : 0;
}

/* Installed is not in force: that is what the agent says of itself. */
static int tell(struct ctl *c, const struct enrolment *e) {
        const struct page p = exchange_page(c);
        char id[SSHKEY_ID_SIZE], line[SSHKEY_LINE_SIZE], agent[256];
        const enum enrolled enrolled = enrolled_ask(c, e->text, agent, sizeof(agent));
        const int x = enrolled == ENROLLED_NOT ? CTL_PARTIAL : CTL_OK;

        sshkey_id_to_str(e->host.id, id);
        sshkey_to_line(&e->host, line);
        if (c->opt.json) {
                _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:s,s:s,s:s,s:I,s:s,s:i}}", "summary", "host", id, "name",
                                                     e->name, "line", line, "fleet", e->trust->fleet, "version",
                                                     (json_int_t) e->trust->version, "agent", agent, "exit", x);
                exchange_json_line(c, o);
                c->summarised = true;
                return x;
        }
        render_verdict(&p, x == 0 ? TONE_GOOD : TONE_BAD, x == 0 ? "ENROLLED" : "NOT IN FORCE",
                       "%s in fleet %s, trust root version %" PRId64, e->name, e->trust->fleet, e->trust->version);
        render_row(&p, "trust root", "%s", CLEAN(e->trust_path));
        render_trust_made(&p, e->trust, order_now_ms());
        render_row(&p, "host key", "%s", id);
        render_row(&p, "known in", "%s", CLEAN(e->hosts_path));
        render_row(&p, "agent", "%s", agent);
        fprintf(c->out, "For operators elsewhere, in ~/.config/freezed/hosts:\n%s %s\n", e->name, line);
        return x;
}

int verb_enroll(struct ctl *c, char **words, size_t n) {
        struct enrolment *e = calloc(1, sizeof(*e));

        (void) n;
        if (!e)
                return why_errno(&c->why, -ENOMEM, "enroll");
        int x = set_paths(e, &c->opt, &c->why);
        if (x == 0)
                x = read_trust(e, words[0], &c->why);
        if (x == 0)
                x = read_host_key(e, &c->why);
        if (x == 0)
                x = install(e, &c->why);
        if (x == 0)
                x = tell(c, e);
        trust_freep(&e->trust);
        free(e->text);
        free(e);
        return x;
}

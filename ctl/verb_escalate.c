/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "ctl/escalate.h"
#include "ctl/escalate_tell.h"
#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"

#define STATE_DIR "/var/lib/freezed"

static void done(struct escalate *x) {
        closep(&x->lock);
        for (size_t i = 0; i < x->n_flights; i++)
                client_done(&x->flights[i].client);
        escalate_fleet_freep(&x->fleet);
        escalate_http_stopp(&x->http);
        escalate_hook_freep(&x->hook);
        escalate_lines_done(&x->lines);
        escalate_state_done(&x->state);
        escalate_rules_done(&x->rules);
        hosts_done(&x->known);
        sign_done(&x->signers);
        trust_freep(&x->trust);
}

static int load_rules(struct escalate *x) {
        const struct options *o = &x->c->opt;
        _cleanup_free_ char *text = NULL;
        size_t n;

        if (!o->rules_file)
                return why_set(&x->c->why, CTL_USAGE, "which rules? give --rules FILE");
        if (!o->input && !o->listen)
                return why_set(&x->c->why, CTL_USAGE, "events from where? give --stdin SOURCE, --listen PORT or both");
        if (o->input && !escalate_source_from_id(o->input, &x->input))
                return why_set(&x->c->why, CTL_USAGE,
                               "--stdin wants falco, tetragon, cloudevents or alertmanager, not \"%s\"",
                               CLEAN(o->input));
        if (o->inventory && !o->nats)
                return why_set(&x->c->why, CTL_USAGE, "--inventory is for --nats");
        if (!o->listen && (o->token_file || o->tls))
                return why_set(&x->c->why, CTL_USAGE, "--token-file and --tls are for --listen");
        int r = file_read(o->rules_file, ESCALATE_RULES_FILE_MAX, &text, &n, NULL);
        if (r < 0)
                return why_errno(&x->c->why, r, "%s", CLEAN(o->rules_file));
        return escalate_rules_parse(o->rules_file, text, n, &x->rules, &x->c->why);
}

/* The directory is locked, not the file, which is another one each time. */
static int lock_state(struct escalate *x, const char *dir) {
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return why_errno(&x->c->why, -errno, "%s", CLEAN(dir));
        x->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (x->lock >= 0 && flock(x->lock, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        if (errno == EWOULDBLOCK)
                return why_set(&x->c->why, CTL_MACHINE,
                               "%s: another one is at work there; give this one a --state-dir of its own", CLEAN(dir));
        return why_errno(&x->c->why, -errno, "%s", CLEAN(dir));
}

/* A rehearsal sends nothing of what somebody else may be about to send. */
static void forget_unsent(struct escalate_state *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->v[i].envelope);
                s->v[i].envelope = NULL;
        }
}

/* FAIL-CLOSED: a state that cannot be read would give every budget anew. It is written as a whole, so a crash does not
 * make such a one, and a rehearsal may read it beside who writes it. */
static int load_state(struct escalate *x) {
        const char *dir = x->c->opt.state_dir ? x->c->opt.state_dir : STATE_DIR;
        const bool rehearses = x->c->opt.dry_run;
        _cleanup_free_ char *text = NULL;
        size_t n;

        if ((size_t) snprintf(x->state_path, sizeof(x->state_path), "%s-escalate/state.json", dir) >=
            sizeof(x->state_path))
                return why_set(&x->c->why, CTL_USAGE, "--state-dir is too long");
        char *slash = strrchr(x->state_path, '/');
        *slash = '\0';
        int code = rehearses ? 0 : lock_state(x, x->state_path);
        *slash = '/';
        if (code != 0)
                return code;
        int r = file_read_plain(x->state_path, ESCALATE_STATE_FILE_MAX, &text, &n);
        if (r == -ENOENT && rehearses)
                return why_set(&x->c->why, CTL_USAGE,
                               "%s: nothing is there to begin with. Give --state-dir as the program has it that is at "
                               "work; without it a rehearsal begins with no orders",
                               CLEAN(x->state_path));
        if (r == -ENOENT)
                return 0;
        if (r >= 0)
                r = escalate_state_from_json(text, n, &x->state);
        if (rehearses)
                forget_unsent(&x->state);
        if (r == -EBADMSG)
                return why_set(
                        &x->c->why, CTL_MACHINE,
                        "%s: this is not what was written there; without it nobody knows what was ordered in the "
                        "last 24 h. Move it away to begin anew",
                        CLEAN(x->state_path));
        return r < 0 ? why_errno(&x->c->why, r, "%s", CLEAN(x->state_path)) : 0;
}

/* What talks to brokers has no key: it is started before there is one here. */
static int load_fleet(struct escalate *x) {
        struct ctl *c = x->c;
        int code = 0;

        if (!c->opt.dry_run || c->opt.nats)
                code = trustfile_load(&c->opt, &x->trust, &c->why);
        return code == 0 && c->opt.nats ? escalate_fleet_start(x) : code;
}

static bool is_for_this_host(const struct escalate_rules *r) {
        for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->v[i].to, "local") == 0)
                        return true;
        return false;
}

/* All that an order needs, before the first event: then is the time to find out that it is not there. */
static int load_authority(struct escalate *x) {
        struct sshkey keys[TRUST_KEYS_MAX];
        struct ctl *c = x->c;
        int code = 0;

        if (!x->trust && !c->opt.fleet)
                code = why_set(&c->why, CTL_MACHINE,
                               "which fleet? there is no %s here: give --trust FILE or --fleet NAME", TRUSTFILE_PATH);
        if (code == 0 && x->trust)
                trust_keys(x->trust, keys);
        if (code == 0)
                code = sign_open(c->opt.keys.v, c->opt.keys.n, keys, x->trust ? x->trust->n_keys : 0, SIGN_PICK_ONE,
                                 &x->signers, &c->why);
        if (code == 0 && (!x->fleet || is_for_this_host(&x->rules)))
                code = exchange_host(c, &x->known, &x->me);
        return code;
}

static int start(struct escalate *x) {
        struct ctl *c = x->c;
        int code = 0;

        if (c->opt.webhook)
                code = escalate_hook_new(c->opt.webhook, &x->hook, &c->why);
        if (code == 0 && c->opt.listen)
                code = escalate_http_start(c->opt.listen, c->opt.token_file, c->opt.tls, &x->http, &c->why);
        x->reads_input = c->opt.input != NULL;
        if (code == 0)
                escalate_tell(x, ESCALATE_OUTCOME_STARTED, "",
                              json_pack("{s:I, s:i}", "rules", (json_int_t) x->rules.n, "port",
                                        x->http ? escalate_http_port(x->http) : 0));
        return code;
}

/* Before there is a thread that could get them instead. */
static int block_signals(struct why *w) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        int fd = signalfd(-1, &set, SFD_CLOEXEC);
        return fd < 0 ? -why_errno(w, -errno, "signalfd") : fd;
}

int verb_escalate(struct ctl *c, char **words, size_t n) {
        _cleanup_(freep) struct escalate *x = calloc(1, sizeof(*x));
        int code;

        (void) words;
        (void) n;
        if (!x)
                return why_errno(&c->why, -ENOMEM, "escalate");
        x->c = c;
        x->signers = SIGNERS_NULL;
        x->lock = -EBADF;
        _cleanup_close_ int signals = block_signals(&c->why);
        code = signals < 0 ? CTL_MACHINE : load_rules(x);
        if (code == 0)
                code = hosts_load(&c->opt, &x->known, &c->why);
        if (code == 0)
                code = load_fleet(x);
        /* a rehearsal that is not told where asks what rules would do, and not what is left of their budgets */
        if (code == 0 && (!c->opt.dry_run || c->opt.state_dir))
                code = load_state(x);
        if (code == 0 && !c->opt.dry_run)
                code = load_authority(x);
        if (code == 0)
                code = start(x);
        if (code == 0) {
                code = escalate_loop(x, signals);
                /* its output is lines for each event and order; there is nothing to sum up */
                c->summarised = true;
        }
        done(x);
        return code;
}

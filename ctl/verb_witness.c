/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/anchor.h"
#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"
#include "ctl/witness.h"

#define STATE_DIR "/var/lib/freezed"

/* This host's own, as its ledger and its agent have it. */
struct own {
        char ledger[PATH_MAX], heads[PATH_MAX];
        struct sshkey key;
        struct trust *trust; /* owned */
};

static int load_own(const struct options *o, struct own *ret, struct why *w) {
        const char *state = o->state_dir ? o->state_dir : STATE_DIR;
        _cleanup_free_ char *line = NULL;
        char path[PATH_MAX];
        int r;

        if ((size_t) snprintf(path, sizeof(path), "%s/host_key.pub", state) >= sizeof(path) ||
            (size_t) snprintf(ret->ledger, sizeof(ret->ledger), "%s/ledger", state) >= sizeof(ret->ledger) ||
            (size_t) snprintf(ret->heads, sizeof(ret->heads), "%s" ANCHOR_HEADS, state) >= sizeof(ret->heads))
                return why_set(w, CTL_USAGE, "--state-dir is too long");
        r = file_read(path, SSHKEY_LINE_SIZE + 256, &line, NULL, NULL);
        if (r == 0)
                r = sshkey_from_line(line, &ret->key);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        int x = trustfile_load(o, &ret->trust, w);
        if (x == 0 && (!ret->trust || ret->trust->n_witnesses == 0))
                x = why_set(w, CTL_REFUSED, "the trust root names no witness: freezectl trust rotate --witness");
        return x;
}

/* What is not whole is not given to be signed: it would be signed for good. */
static int load_chain(const struct own *own, struct chain *ret, struct why *w) {
        int x = chain_read(own->ledger, own->heads, &own->key, own->trust->witnesses, own->trust->n_witnesses, NULL,
                           ret, w);

        for (enum chain_finding f = 0; x == 0 && f < _CHAIN_FINDING_MAX; f++)
                if ((ret->findings & (1U << f)) && anchor_severity(1U << f) == BAG_SEVERITY_BAD)
                        x = why_set(w, CTL_REFUSED, "%s", chain_finding_text(f));
        if (x == 0 && !ret->has_head)
                x = why_set(w, CTL_MACHINE, "%s: %s", CLEAN(own->ledger), chain_finding_text(CHAIN_NO_CHECKPOINT));
        return x;
}

static int store(const struct own *own, const struct witnessed *v, struct why *w) {
        char path[PATH_MAX];
        int r;

        if ((size_t) snprintf(path, sizeof(path), "%s/cosigned.%08" PRIx32, own->heads, note_key_id(v->key)) >=
            sizeof(path))
                return why_set(w, CTL_USAGE, "--state-dir is too long");
        if (mkdir(own->heads, 0700) < 0 && errno != EEXIST)
                return why_errno(w, -errno, "%s", CLEAN(own->heads));
        r = file_replace(path, v->note, v->n_note, 0600);
        return r < 0 ? why_errno(w, r, "%s", CLEAN(path)) : 0;
}

static void tell(struct ctl *c, const char *url, const struct witnessed *v) {
        const struct page p = exchange_page(c);
        _cleanup_json_ json_t *line = NULL;

        if (!c->opt.json) {
                render_verdict(&p, TONE_GOOD, "COSIGNED", "%s saw %" PRIu64 " records on %s", CLEAN(v->key->name), v->n,
                               TIME((int64_t) v->time * 1000));
                return;
        }
        line = json_pack("{s:{s:s, s:s, s:I, s:I}}", "witness", "url", url, "name", v->key->name, "n",
                         (json_int_t) v->n, "time", (json_int_t) v->time);
        exchange_json_line(c, line);
}

/* Each is asked, whatever became of the others. The first that is not as it should be is why. */
int verb_evidence_witness(struct ctl *c, char **words, size_t n) {
        _cleanup_(chain_done) struct chain chain = { .n = 0 };
        struct own own = { .trust = NULL };
        int x = load_own(&c->opt, &own, &c->why), first;

        if (x == 0)
                x = load_chain(&own, &chain, &c->why);
        first = x;
        for (size_t i = 0; x == 0 && i < n; i++) {
                _cleanup_(witnessed_done) struct witnessed v = { .note = NULL };
                struct why w = { "" };
                int one = witness_ask(words[i], &chain, own.key.pub, own.trust->witnesses, own.trust->n_witnesses,
                                      c->opt.timeout_ms, &v, &w);

                if (one == 0)
                        one = store(&own, &v, &w);
                if (one == 0)
                        tell(c, words[i], &v);
                else if (first == 0) {
                        c->why = w;
                        first = one;
                }
        }
        trust_freep(&own.trust);
        return first;
}

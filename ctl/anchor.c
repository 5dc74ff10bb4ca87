/* SPDX-License-Identifier: Apache-2.0 */

#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include <sodium.h>

#include "ctl/anchor.h"
#include "ctl/bagdir.h"
#include "ctl/file.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"

/* a host's clock and a witness's may differ by that much, as a signer's and a host's may (policy/decide.h) */
#define SKEW_MS  (10 * 60 * 1000)
#define HOST_KEY "host_key.pub"

_Static_assert(CHAIN_WITNESSES_MAX >= TRUST_WITNESSES_MAX, "each witness of a trust root");

static const enum bag_severity severities[_CHAIN_FINDING_MAX] = {
#define X(name, id, severity, text) [CHAIN_##name] = BAG_SEVERITY_##severity,
        CHAIN_FINDING_TABLE(X)
#undef X
};

enum bag_severity anchor_severity(uint32_t findings) {
        enum bag_severity worst = BAG_SEVERITY_NONE;

        for (enum chain_finding f = 0; f < _CHAIN_FINDING_MAX; f++)
                if (findings & (1U << f))
                        worst = MAX(worst, severities[f]);
        return worst;
}

void anchor_done(struct anchor *a) {
        chain_done(&a->chain);
        free(a->proof);
}

static int load_witnesses(const struct options *o, struct anchor *a, struct why *w) {
        _cleanup_trust_ struct trust *t = NULL;
        int x = trustfile_load(o, &t, w);

        if (x != 0 || !t)
                return x;
        a->n_witnesses = t->n_witnesses;
        memcpy(a->witnesses, t->witnesses, sizeof(t->witnesses));
        return 0;
}

static int read_proof(const char *path, const struct sshkey *host, const struct chain_want *want, struct anchor *a,
                      struct why *w) {
        _cleanup_free_ char *file = NULL;
        int r;

        if (asprintf(&file, "%s/" ANCHOR_PROOF, path) < 0)
                return why_errno(w, -ENOMEM, "proof");
        r = file_read_plain(file, TLOG_PROOF_MAX, &a->proof, &a->n_proof);
        if (r == -ENOENT) {
                a->chain.findings |= 1U << CHAIN_NO_LEDGER;
                return 0;
        }
        a->is_file = true;
        return r < 0 ? why_errno(w, r, "%s", CLEAN(file))
                     : chain_read_proof(a->proof, a->n_proof, host, a->witnesses, a->n_witnesses, want, &a->chain, w);
}

/* A witness's clock is not the host's: what it had seen before it began, according to the host, began earlier. */
static void check_time(const struct bag *b, struct anchor *a) {
        const struct chain_witness *seen = a->chain.found > 0 ? chain_witness_of(&a->chain) : NULL;

        if (seen && member_int(b->predicate, "started_ms", 0) - SKEW_MS > (int64_t) (seen->time * 1000))
                a->chain.findings |= 1U << CHAIN_FUTURE;
}

/* Where the folder lies, when that is among a host's own evidence. */
struct home {
        char *ledger, *heads; /* owned; ledger NULL: elsewhere */
        struct sshkey host;   /* whose that is */
        bool has_key;         /* and whether the directory says so */
};

static void home_done(struct home *h) {
        free(h->ledger);
        free(h->heads);
}

static int look_in(const char *state, struct home *h, struct why *w) {
        _cleanup_free_ char *key = NULL, *line = NULL;
        size_t n;

        if (asprintf(&h->ledger, "%s/ledger", state) < 0 || asprintf(&h->heads, "%s" ANCHOR_HEADS, state) < 0 ||
            asprintf(&key, "%s/" HOST_KEY, state) < 0)
                return why_errno(w, -ENOMEM, "ledger");
        if (access(h->ledger, F_OK) < 0)
                free(TAKE_PTR(h->ledger));
        h->has_key = h->ledger && file_read_plain(key, SSHKEY_LINE_SIZE + 256, &line, &n) == 0 &&
                     sshkey_from_line(line, &h->host) == 0;
        return 0;
}

/* Three directories above the folder. */
static int find_home(const char *folder, struct home *h, struct why *w) {
        _cleanup_free_ char *up = NULL, *state = NULL;

        if (!folder)
                return 0;
        if (asprintf(&up, "%s/../../..", folder) < 0 || !(state = realpath(up, NULL)))
                return why_errno(w, -ENOMEM, "ledger");
        return look_in(state, h, w);
}

/* The statement names the ledger as it was when the snapshot began: it is made of these records, and of none after.
 * Without its record that still tells another ledger; unless it says that there was none, or the rest could not be
 * read. */
static void check_history(const struct bag *b, struct anchor *a) {
        const json_t *at = json_object_get(b->predicate, "ledger");
        const uint64_t n = (uint64_t) MAX(member_int(at, "n", 0), (int64_t) 0);
        uint8_t root[MERKLE_HASH_SIZE];
        char hex[TEXT_HEX32_SIZE];

        if (!at || a->chain.n == 0 || (a->chain.found == 0 && (n == 0 || (a->chain.findings & (1U << CHAIN_RECORD)))))
                return;
        if ((a->chain.found == 0 || n < a->chain.found) && n <= a->chain.n) {
                merkle_root_of((const uint8_t(*)[MERKLE_HASH_SIZE]) a->chain.leaves, n, root);
                if (strcmp(member_str(at, "root"), text_hex32(root, hex)) == 0)
                        return;
        }
        a->chain.findings |= 1U << CHAIN_HISTORY;
}

#define HOLD_DIGITS 32U

/* For which order it was taken: as the statement says; where there is none, as the folder is called. */
static const char *hold_of(const struct bag *b, const char *folder, char ret[static HOLD_DIGITS + 1]) {
        const char *hold = b->predicate ? member_str(b->predicate, "hold") : folder;

        if (!hold || strspn(hold, "0123456789abcdef") != HOLD_DIGITS)
                return NULL;
        memcpy(ret, hold, HOLD_DIGITS);
        ret[HOLD_DIGITS] = '\0';
        return ret;
}

static bool is_by(const struct bag *b, const struct sshkey *host) {
        return memcmp(b->pub, host->pub, sizeof(b->pub)) == 0;
}

/* Held against the ledger that it lies beside, which is that of whose directory it is. */
static int look_home(struct home *h, const struct bag *b, const struct chain_want *want, struct anchor *a,
                     struct why *w) {
        if (h->has_key && b->predicate && !is_by(b, &h->host)) {
                a->chain.findings |= 1U << CHAIN_FOREIGN;
                return 0;
        }
        if (!a->known && (b->predicate || !want->no_statement || !h->has_key))
                return 0;
        if (!h->has_key)
                sshkey_from_raw(b->pub, &h->host);
        return chain_read(h->ledger, h->heads, &h->host, a->witnesses, a->n_witnesses, want, &a->chain, w);
}

static int look_elsewhere(const char *path, const struct bag *b, const struct chain_want *want, struct anchor *a,
                          struct why *w) {
        struct sshkey host;

        if (!a->known)
                return 0;
        sshkey_from_raw(b->pub, &host);
        return read_proof(path, &host, want, a, w);
}

/* Of what was read in part nothing is told but that. */
static void end_reading(struct anchor *a, int x) {
        if (x != 0) {
                anchor_done(a);
                a->known = a->is_file = false;
                a->proof = NULL;
                a->chain.findings = 1U << CHAIN_UNREADABLE;
        }
        a->worst = anchor_severity(a->chain.findings);
}

void anchor_check(const struct options *o, const char *path, struct bag *b, struct anchor *ret, struct why *w) {
        _cleanup_free_ char *real = realpath(path, NULL);
        _cleanup_(home_done) struct home home = { .ledger = NULL };
        const char *slash = real ? strrchr(real, '/') : NULL;
        struct chain_want want = { .folder = slash ? slash + 1 : NULL };
        struct anchor a = { .known = b->predicate && *b->name };
        char hold[HOLD_DIGITS + 1];
        int x = load_witnesses(o, &a, w);

        want.hold = hold_of(b, want.folder, hold);
        want.no_statement = sodium_is_zero(b->statement_sha256, sizeof(b->statement_sha256)) == 1;
        memcpy(want.statement_sha256, b->statement_sha256, sizeof(want.statement_sha256));
        if (x == 0)
                x = find_home(real, &home, w);
        if (x == 0)
                x = home.ledger ? look_home(&home, b, &want, &a, w) : look_elsewhere(path, b, &want, &a, w);
        if (x == 0 && !a.is_file && chain_proof(&a.chain, &a.proof, &a.n_proof) == -ENOMEM)
                x = why_errno(w, -ENOMEM, "proof");
        check_time(b, &a);
        check_history(b, &a);
        if (x == 0 && a.chain.n > 0 && b->tombstone)
                a.chain.findings |= chain_look_at_tombstone(&a.chain, bagdir_folder(real), b->tombstone_sha256);
        end_reading(&a, x);
        b->contradicted = a.worst == BAG_SEVERITY_BAD && b->worst < a.worst;
        b->worst = MAX(b->worst, a.worst);
        *ret = a;
}

/* Of a host that has had a ledger. The directory of the heads is there before any is. */
static bool is_of_a_host(const char *state) {
        static const char *const had[] = { "/host_key", "/" HOST_KEY, "/evidence", ANCHOR_HEADS "/cosigned.*" };
        bool is = false;

        for (size_t i = 0; !is && i < ELEMENTSOF(had); i++) {
                char path[PATH_MAX];
                glob_t g = { .gl_pathc = 0 };

                is = (size_t) snprintf(path, sizeof(path), "%s%s", state, had[i]) < sizeof(path) &&
                     glob(path, GLOB_NOSORT, NULL, &g) == 0;
                globfree(&g);
        }
        return is;
}

void anchor_read(const struct options *o, const char *state, struct anchor *ret, struct why *w) {
        _cleanup_(home_done) struct home home = { .ledger = NULL };
        struct anchor a = ANCHOR_NULL;
        int x = load_witnesses(o, &a, w);

        if (x == 0)
                x = look_in(state, &home, w);
        a.known = home.ledger && home.has_key;
        a.host = home.host;
        if (x == 0 && !a.known)
                a.chain.findings |= 1U << (home.ledger           ? CHAIN_NO_KEY
                                           : is_of_a_host(state) ? CHAIN_LEDGER_GONE
                                                                 : CHAIN_NO_LEDGER);
        else if (x == 0)
                x = chain_read(home.ledger, home.heads, &a.host, a.witnesses, a.n_witnesses, NULL, &a.chain, w);
        end_reading(&a, x);
        *ret = a;
}

uint32_t anchor_look(const struct anchor *a, const char *folder, const struct bag *b) {
        const struct chain_folder *f = chain_find_folder(&a->chain, folder);
        char hex[TEXT_HEX32_SIZE];

        if (a->known && b->predicate && !is_by(b, &a->host))
                return 1U << CHAIN_FOREIGN;
        if (!a->known || !f || !*f->statement)
                return a->known && b->predicate ? 1U << CHAIN_NOT_RECORDED : 0;
        if (sodium_is_zero(b->statement_sha256, sizeof(b->statement_sha256)))
                return 1U << CHAIN_STATEMENT_GONE;
        if (strcmp(f->statement, text_hex32(b->statement_sha256, hex)) != 0)
                return 1U << CHAIN_REPLACED;
        return b->tombstone ? chain_look_at_tombstone(&a->chain, folder, b->tombstone_sha256) : 0;
}

static void render_witnesses(const struct page *p, const struct anchor *a) {
        if (a->n_witnesses == 0)
                render_row(p, "witness", "none is named in the trust root: the host alone vouches for its ledger");
        for (size_t i = 0; i < a->n_witnesses; i++) {
                const struct chain_witness *s = &a->chain.witnesses[i];

                if (*s->name)
                        render_row(p, "witness", "%s saw %" PRIu64 " records on %s", CLEAN(s->name), s->n,
                                   TIME((int64_t) s->time * 1000));
                else
                        render_row(p, "witness", "%s has seen nothing of it", CLEAN(a->witnesses[i].name));
        }
}

static void render_ledger(const struct page *p, const struct chain *c) {
        if (c->found > 0)
                render_row(p, "ledger", "%" PRIu64 " records in one chain; this is record %" PRIu64, c->n, c->found);
        else
                render_row(p, "ledger", "%" PRIu64 " records in one chain; this is none of them", c->n);
        render_row(p, "epochs", "%" PRIu64 ", %" PRIu64 " of them begun by the host's key%s; the last %s", c->epochs,
                   c->by_host, c->lost > 0 ? " (not all for a boot)" : "",
                   c->heartbeat_ms > 0 ? TIME(c->heartbeat_ms) : "never");
        if (c->has_head)
                render_row(p, "checkpoint", "%" PRIu64 " records, in epoch %" PRIu64 "; not sealed yet: %" PRIu64,
                           c->head.n, c->epoch.number, c->n - MIN(c->n, c->head.n));
}

void anchor_render(const struct page *p, const struct anchor *a) {
        if (a->is_file && a->chain.has_head)
                render_row(p, "ledger", "record %" PRIu64 " of %" PRIu64 ", by the proof in the folder", a->chain.found,
                           a->chain.head.n);
        else if (a->chain.n > 0)
                render_ledger(p, &a->chain);
        if (a->known && !(a->chain.findings & (1U << CHAIN_FOREIGN)))
                render_witnesses(p, a);
        anchor_render_findings(p, a);
}

void anchor_render_findings(const struct page *p, const struct anchor *a) {
        for (enum chain_finding f = 0; f < _CHAIN_FINDING_MAX; f++)
                if (a->chain.findings & (1U << f))
                        render_row(p, chain_finding_id(f), "%s", chain_finding_text(f));
}

json_t *anchor_to_json(const struct anchor *a) {
        const struct chain *c = &a->chain;
        _cleanup_json_ json_t *findings = json_array(), *witnesses = json_array();

        for (enum chain_finding f = 0; findings && f < _CHAIN_FINDING_MAX; f++)
                if (c->findings & (1U << f))
                        (void) json_array_append_new(findings, json_string(chain_finding_id(f)));
        for (size_t i = 0; witnesses && i < a->n_witnesses; i++)
                (void) json_array_append_new(witnesses, json_pack("{s:s, s:I, s:I}", "name", a->witnesses[i].name, "n",
                                                                  (json_int_t) c->witnesses[i].n, "time",
                                                                  (json_int_t) c->witnesses[i].time));
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O, s:O}", "record", (json_int_t) c->found,
                         "records", (json_int_t) c->n, "checkpoint", (json_int_t) c->head.n, "epoch",
                         (json_int_t) c->epoch.number, "epochs", (json_int_t) c->epochs, "by_host",
                         (json_int_t) c->by_host, "lost", (json_int_t) c->lost, "heartbeat_ms",
                         (json_int_t) c->heartbeat_ms, "proof", a->is_file, "witnesses", witnesses, "findings",
                         findings);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "ctl/file.h"
#include "ctl/sign.h"
#include "ctl/sshprivkey.h"
#include "ctl/text.h"

#define PUB_FILE_MAX SSHPRIVKEY_FILE_MAX

static const struct {
        int r;
        const char *text;
} agent_troubles[] = {
        { -ENOENT, "there is no ssh-agent: start one and ssh-add your key, or give --key FILE" },
        { -ECONNREFUSED, "the ssh-agent of SSH_AUTH_SOCK is gone: start one and ssh-add your key, or give --key FILE" },
        { -EACCES, "ssh-agent refused (locked, or the question was declined)" },
        { -ECONNRESET, "ssh-agent closed the connection without an answer" },
        { -ETIMEDOUT, "ssh-agent did not answer in time" },
        { -EPROTO, "ssh-agent gave an answer that is not well-formed" },
        { -EBADMSG, "ssh-agent gave a signature that does not verify" },
};

static int agent_trouble(struct why *w, int r) {
        for (size_t i = 0; i < ELEMENTSOF(agent_troubles); i++)
                if (agent_troubles[i].r == r)
                        return why_set(w, CTL_MACHINE, "%s", agent_troubles[i].text);
        return why_errno(w, r, "ssh-agent");
}

static int agent_keys(struct signers *s, struct sshagent_key *ret, size_t *ret_n, struct why *w) {
        int r = 0;

        if (s->agent < 0)
                r = sshagent_connect(&s->agent);
        if (r >= 0)
                r = sshagent_list(s->agent, ret, ret_n);
        return r < 0 ? agent_trouble(w, r) : 0;
}

static int add(struct signers *s, const struct sshkey *key, const char *name, uint8_t *secret, struct why *w) {
        for (size_t i = 0; i < s->n; i++)
                if (memcmp(s->v[i].key.id, key->id, sizeof(key->id)) == 0) {
                        sodium_free(secret);
                        return 0;
                }
        if (s->n == SIGN_MAX) {
                sodium_free(secret);
                return why_set(w, CTL_USAGE, "an order takes at most %u signatures", SIGN_MAX);
        }
        struct signer *v = &s->v[s->n++];
        v->key = *key;
        v->secret = secret;
        (void) text_clean(name, v->name, sizeof(v->name));
        return 0;
}

static int add_from_agent(struct signers *s, const struct sshkey *key, const char *file, struct why *w) {
        _cleanup_free_ struct sshagent_key *keys = calloc(SSHAGENT_KEYS_MAX, sizeof(*keys));
        size_t n = 0;
        char id[SSHKEY_ID_SIZE];

        if (!keys)
                return why_errno(w, -ENOMEM, "keys");
        int x = agent_keys(s, keys, &n, w);
        if (x != 0)
                return x;
        for (size_t i = 0; i < n; i++)
                if (memcmp(keys[i].key.id, key->id, sizeof(key->id)) == 0)
                        return add(s, key, keys[i].comment, NULL, w);
        sshkey_id_to_str(key->id, id);
        return why_set(w, CTL_MACHINE, "%s: ssh-agent does not hold this key (%s): ssh-add it", CLEAN(file), id);
}

static int add_private(struct signers *s, const char *file, const char *text, size_t n, mode_t mode, struct why *w) {
        /* FAIL-CLOSED: like ssh itself */
        if (mode & 077)
                return why_set(w, CTL_MACHINE,
                               "%s: others may read this private key (mode %04o): chmod 600 it, and replace it if "
                               "others could have had it",
                               CLEAN(file), (unsigned) mode & 07777);

        uint8_t *secret = sodium_malloc(SSHPRIVKEY_SECRET_SIZE);
        struct sshkey key;
        enum sshprivkey_problem problem = SSHPRIVKEY_DAMAGED;
        int r = secret ? sshprivkey_parse(text, n, secret, &key, &problem) : -ENOMEM;
        if (r >= 0 && problem == SSHPRIVKEY_NONE)
                return add(s, &key, file, secret, w);
        sodium_free(secret);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        return why_set(w, CTL_MACHINE, "%s: %s", CLEAN(file), sshprivkey_problem_text(problem));
}

static int add_file(struct signers *s, const char *file, struct why *w) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        mode_t mode;
        struct sshkey public;

        int r = file_read(file, PUB_FILE_MAX, &text, &n, &mode);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        int x;
        if (strlen(text) == n && sshkey_from_line(text, &public) >= 0)
                x = add_from_agent(s, &public, file, w);
        else
                x = add_private(s, file, text, n, mode, w);
        sodium_memzero(text, n);
        return x;
}

static bool is_candidate(const struct sshkey *k, const struct sshkey *candidates, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (memcmp(candidates[i].id, k->id, sizeof(k->id)) == 0)
                        return true;
        return false;
}

/* The person has to say which: signing with somebody's other key would look like somebody else's word. */
static int ambiguous(const struct signers *s, struct why *w) {
        int x = why_set(w, CTL_USAGE, "ssh-agent holds several keys that could sign; choose one with --key FILE.pub:");

        for (size_t i = 0; i < s->n; i++) {
                char id[SSHKEY_ID_SIZE];
                size_t used = strlen(w->text);
                sshkey_id_to_str(s->v[i].key.id, id);
                (void) snprintf(w->text + used, sizeof(w->text) - used, "\n  %s %s", id, s->v[i].name);
        }
        return x;
}

static int add_agent_default(struct signers *s, const struct sshkey *candidates, size_t n_candidates,
                             enum sign_pick pick, struct why *w) {
        _cleanup_free_ struct sshagent_key *keys = calloc(SSHAGENT_KEYS_MAX, sizeof(*keys));
        size_t n = 0;

        if (!keys)
                return why_errno(w, -ENOMEM, "keys");
        int x = agent_keys(s, keys, &n, w);
        for (size_t i = 0; x == 0 && i < n; i++)
                if (n_candidates == 0 || is_candidate(&keys[i].key, candidates, n_candidates))
                        x = add(s, &keys[i].key, keys[i].comment, NULL, w);
        if (x != 0 || pick == SIGN_PICK_ALL)
                return x;
        if (s->n > 1)
                return ambiguous(s, w);
        if (s->n == 0 && n > 0)
                return why_set(w, CTL_MACHINE, "ssh-agent holds no key that the trust root names; give --key FILE");
        if (s->n == 0)
                return why_set(w, CTL_MACHINE, "ssh-agent holds no Ed25519 key: ssh-add one, or give --key FILE");
        return 0;
}

int sign_open(const char *const *files, size_t n_files, const struct sshkey *candidates, size_t n_candidates,
              enum sign_pick pick, struct signers *ret, struct why *w) {
        int x = 0;

        if (n_files == 0)
                x = add_agent_default(ret, candidates, n_candidates, pick, w);
        for (size_t i = 0; x == 0 && i < n_files; i++)
                x = add_file(ret, files[i], w);
        return x;
}

void sign_done(struct signers *s) {
        for (size_t i = 0; i < s->n; i++)
                sodium_free(s->v[i].secret);
        closep(&s->agent);
        *s = SIGNERS_NULL;
}

int sign_envelope(const struct signers *s, struct dsse *d, struct why *w) {
        _cleanup_free_ uint8_t *pae = NULL;
        size_t n;

        int r = dsse_pae(d->type, d->payload, d->n_payload, &pae, &n);
        for (size_t i = 0; r >= 0 && i < s->n; i++) {
                const struct signer *v = &s->v[i];
                uint8_t sig[64];
                if (v->secret)
                        (void) crypto_sign_detached(sig, NULL, pae, n, v->secret);
                else {
                        r = sshagent_sign(s->agent, &v->key, pae, n, sig);
                        if (r < 0)
                                return agent_trouble(w, r);
                }
                r = dsse_add(d, v->key.id, sig);
        }
        if (r == -ENOSPC)
                return why_set(w, CTL_USAGE, "an order takes at most %u signatures", DSSE_SIGS_MAX);
        return r < 0 ? why_errno(w, r, "signing") : 0;
}

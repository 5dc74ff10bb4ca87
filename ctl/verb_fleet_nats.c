/* SPDX-License-Identifier: Apache-2.0 */

/* What the brokers of a fleet have to know of its hosts, and hosts of the brokers. */

#include <string.h>

#include <sodium.h>

#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/natsconfig.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"
#include "policy/schema.h"

#define LISTED_MAX 20U

/* A host that nobody knows the nkey of cannot log in: that is told beside the configuration, which is whole without. */
static int tell_missing(struct ctl *c, const struct inventory *i, const struct natsconfig *n) {
        size_t missing = 0;

        for (size_t k = 0; k < i->n; k++)
                if (!natsconfig_has(n, &i->v[k]) && missing++ < LISTED_MAX)
                        fprintf(stderr, "freezectl: no nkey of %s: it cannot connect\n", CLEAN(i->v[k].host.name));
        if (missing == 0 && i->n_bad == 0)
                return CTL_OK;
        return why_set(&c->why, CTL_PARTIAL,
                       "%zu of %zu hosts of the inventory have no nkey, and %zu lines of it do not "
                       "count",
                       missing, i->n, i->n_bad);
}

int verb_fleet_nats_config(struct ctl *c, char **words, size_t n) {
        _cleanup_(natsconfig_done) struct natsconfig config = NATSCONFIG_NULL;
        _cleanup_(inventory_done) struct inventory i = INVENTORY_NULL;
        _cleanup_trust_ struct trust *t = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        (void) words;
        (void) n;
        if (!c->opt.nkeys)
                return why_set(&c->why, CTL_USAGE, "who logs in with which nkey? give --nkeys FILE");
        int x = trustfile_load(&c->opt, &t, &c->why);
        if (x == 0 && !t)
                x = why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        if (x == 0)
                x = inventory_load(c->opt.inventory, t, &i, &c->why);
        if (x != 0)
                return x;
        int r = file_read(c->opt.nkeys, NATSCONFIG_FILE_MAX, &text, &size, NULL);
        if (r < 0)
                return why_errno(&c->why, r, "%s", CLEAN(c->opt.nkeys));
        x = natsconfig_parse(c->opt.nkeys, text, size, &i, &config, &c->why);
        if (x != 0)
                return x;
        r = natsconfig_write(&config, t->fleet, c->out);
        return r < 0 ? why_errno(&c->why, r, "%s", t->fleet) : tell_missing(c, &i, &config);
}

static int make_seed(const char *path, struct why *w) {
        char seed[NKEY_SEED_LENGTH + 2];
        uint8_t random[32];

        randombytes_buf(random, sizeof(random));
        nkey_seed(random, seed);
        strcat(seed, "\n");
        int r = file_create(path, seed, strlen(seed), 0600);
        sodium_memzero(random, sizeof(random));
        sodium_memzero(seed, sizeof(seed));
        return r < 0 && r != -EEXIST ? why_errno(w, r, "%s", CLEAN(path)) : 0;
}

int verb_fleet_nkey(struct ctl *c, char **words, size_t n) {
        char host[HOSTS_NAME_MAX + 1] = "", *seed = NULL;
        const char *name = c->opt.name;
        struct nkey key;
        size_t size = 0;
        int x = make_seed(words[0], &c->why);

        (void) n;
        if (x != 0)
                return x;
        int r = file_read(words[0], NKEY_SEED_LENGTH + 1, &seed, &size, NULL);
        if (r < 0)
                return why_errno(&c->why, r, "%s", CLEAN(words[0]));
        r = nkey_from_seed(seed, size, &key);
        sodium_memzero(seed, size);
        free(seed);
        if (r < 0)
                return why_set(&c->why, CTL_MACHINE, "%s is there, and is not the seed of a user's nkey",
                               CLEAN(words[0]));
        if (!name && gethostname(host, sizeof(host) - 1) == 0)
                name = host;
        if (c->opt.json) {
                _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:s,s:s,s:i}}", "summary", "name", name ? name : "",
                                                     "nkey", key.pub, "file", words[0], "exit", CTL_OK);
                exchange_json_line(c, o);
                c->summarised = true;
        } else
                fprintf(c->out, "%s %s\n", name ? CLEAN(name) : "?", key.pub);
        nkey_done(&key);
        return CTL_OK;
}

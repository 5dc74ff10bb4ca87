/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/sign.h"
#include "ctl/text.h"

#define PUB_FILE_MAX (16U * 1024)

static int key_of_file(const char *path, struct sshkey *ret, struct why *w) {
        _cleanup_free_ char *line = NULL;
        size_t n;
        int r = file_read(path, PUB_FILE_MAX, &line, &n, NULL);

        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        if (strlen(line) != n || sshkey_from_line(line, ret) < 0)
                return why_set(w, CTL_USAGE, "%s: not the public key of a host (host_key.pub of its state directory)",
                               CLEAN(path));
        return 0;
}

/* A known host, or the one that answers here; or one whose key lies in a file. */
static int find_host(struct ctl *c, struct attributes *a) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        const struct host *host = NULL;
        char to[128];

        if (c->opt.host && c->opt.key_file)
                return why_set(&c->why, CTL_USAGE, "--host or --key-file, not both");
        if (c->opt.key_file)
                return key_of_file(c->opt.key_file, &a->key, &c->why);
        int x = hosts_load(&c->opt, &known, &c->why);
        if (x != 0)
                return x;
        if (c->opt.host) {
                (void) snprintf(to, sizeof(to), "host=%s", c->opt.host);
                x = hosts_resolve(&known, to, &host, &c->why);
        } else if (known.n > 1 && c->opt.out)
                x = why_set(&c->why, CTL_USAGE, "several hosts are known: say which with --host NAME");
        else
                x = exchange_host(c, &known, &host);
        if (x != 0)
                return x;
        a->key = host->key;
        (void) snprintf(a->name, sizeof(a->name), "%s", host->name);
        return 0;
}

static int copy_name(char ret[static ATTRIBUTES_NAME_MAX + 1], const char *s, const char *option, struct why *w) {
        if (strlen(s) > ATTRIBUTES_NAME_MAX)
                return why_set(w, CTL_USAGE, "--%s is longer than %u bytes", option, ATTRIBUTES_NAME_MAX);
        (void) snprintf(ret, ATTRIBUTES_NAME_MAX + 1, "%s", s);
        return 0;
}

static int fill(struct ctl *c, const struct trust *t, struct attributes *a) {
        const struct options *o = &c->opt;
        int x = find_host(c, a);

        (void) snprintf(a->fleet, sizeof(a->fleet), "%s", t->fleet);
        if (x == 0 && o->name)
                x = copy_name(a->name, o->name, "name", &c->why);
        if (x == 0 && o->groups.n > ATTRIBUTES_GROUPS_MAX)
                x = why_set(&c->why, CTL_USAGE, "a host is of at most %u groups", ATTRIBUTES_GROUPS_MAX);
        for (; x == 0 && a->n_groups < o->groups.n; a->n_groups++)
                x = copy_name(a->groups[a->n_groups], o->groups.v[a->n_groups], "group", &c->why);
        a->iat_ms = order_now_ms();
        /* a time rises by itself, so that two people who certify need not ask each other for the last one */
        a->n = o->serial > 0 ? o->serial : a->iat_ms;
        if (x == 0 && !*a->name)
                x = why_set(&c->why, CTL_USAGE, "what is the host called? give --name NAME");
        return x;
}

static int sign(struct ctl *c, const struct trust *t, struct dsse *d) {
        _cleanup_(sign_done) struct signers s = SIGNERS_NULL;
        struct sshkey keys[TRUST_KEYS_MAX];
        const uint64_t registrars = trust_role_people(t, TRUST_REGISTRAR_ROLE);
        struct attributes signed_ones;
        enum reason reason;
        size_t n = 0;

        if (registrars == 0)
                return why_set(&c->why, CTL_REFUSED,
                               "the trust root names nobody as %s, so hosts take attributes from nobody: trust rotate "
                               "--registrar NAME=FILE.pub",
                               TRUST_REGISTRAR_ROLE);
        for (size_t i = 0; i < t->n_keys; i++)
                if (registrars & UINT64_C(1) << t->keys[i].person)
                        keys[n++] = t->keys[i].key;
        int x = sign_open(c->opt.keys.v, c->opt.keys.n, keys, n, SIGN_PICK_ONE, &s, &c->why);
        if (x == 0)
                x = sign_envelope(&s, d, &c->why);
        if (x != 0)
                return x;
        int r = attributes_verify(t, d, &signed_ones, &reason);
        if (r < 0)
                return why_errno(&c->why, r, "attributes");
        return reason == REASON_NONE ? 0
                                     : why_set(&c->why, reason_exit(reason),
                                               "hosts would refuse that (%s): it takes the "
                                               "key of a %s",
                                               reason_id(reason), TRUST_REGISTRAR_ROLE);
}

/* Without --out the envelope is a line of the inventory, and goes where that is written. */
static int put(struct ctl *c, const struct attributes *a, const struct dsse *d) {
        const struct page p = exchange_page(c);
        _cleanup_free_ char *json = NULL;
        char id[SSHKEY_ID_SIZE];

        if (!c->opt.out) {
                int r = dsse_to_json(d, &json);
                if (r < 0)
                        return why_errno(&c->why, r, "attributes");
                fprintf(c->out, "%s\n", json);
                return CTL_OK;
        }
        int x = signed_file_save(c->opt.out, d, &c->why);
        if (x != 0)
                return x;
        sshkey_id_to_str(a->key.id, id);
        if (c->opt.json) {
                _cleanup_json_ json_t *line =
                        json_pack("{s:{s:s,s:s,s:s,s:I,s:i}}", "summary", "file", c->opt.out, "host", id, "name",
                                  a->name, "n", (json_int_t) a->n, "exit", CTL_OK);
                exchange_json_line(c, line);
                c->summarised = true;
                return CTL_OK;
        }
        render_attributes(&p, a);
        fprintf(c->out, "Written to %s. To the host:  freezectl send %s\n", c->opt.out, c->opt.out);
        return CTL_OK;
}

int verb_fleet_certify(struct ctl *c, char **words, size_t n) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_trust_ struct trust *t = NULL;
        struct attributes a = { 0 };
        char *json = NULL;

        (void) words;
        (void) n;
        int x = trustfile_load(&c->opt, &t, &c->why);
        if (x != 0)
                return x;
        if (!t)
                return why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        x = fill(c, t, &a);
        if (x != 0)
                return x;
        int r = attributes_to_json(&a, &json);
        if (r == -EINVAL)
                return why_set(
                        &c->why, CTL_USAGE,
                        "these are no valid attributes; check --name and --group (lower-case letters, digits, dot, "
                        "dash, underscore) and that no group is there twice");
        if (r < 0)
                return why_errno(&c->why, r, "attributes");
        d.type = DSSE_ATTRIBUTES;
        d.payload = (uint8_t *) json;
        d.n_payload = strlen(json);
        x = sign(c, t, &d);
        return x != 0 ? x : put(c, &a, &d);
}

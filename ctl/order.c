/* SPDX-License-Identifier: Apache-2.0 */

#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/order_sign.h"
#include "ctl/rollout.h"
#include "ctl/sign.h"
#include "ctl/text.h"
#include "ctl/times.h"

/* the schema wants a reason, but nobody should have to think of one while the exploit runs */
#define NO_REASON "no reason given"

void order_done(struct order *o) {
        signed_file_done(&o->file);
        free(o->text);
        *o = ORDER_NULL;
}

int64_t order_now_ms(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

int order_hold_target(const char *word, char *ret, struct why *w) {
        static const char prefix[] = "hold:";
        struct command_id id;

        if (strncmp(word, prefix, strlen(prefix)) == 0)
                word += strlen(prefix);
        if (command_id_from_str(word, &id) < 0)
                return why_set(w, CTL_USAGE,
                               "\"%s\" is no hold: its 32 hex digits are in the receipt and in `freezectl status`",
                               CLEAN(word));
        (void) snprintf(ret, TARGET_STR_SIZE, "%s%s", prefix, word);
        return 0;
}

/* NET[:PORT[/PROTO]]; an IPv6 network with a port stands in brackets. */
static int parse_permit(const char *s, struct permit *ret) {
        static const struct {
                const char *name;
                uint8_t number;
        } protos[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP } };
        char net[PERMIT_STR_SIZE];
        bool bracket = *s == '[';
        const char *start = s + bracket, *end = bracket ? strchr(start, ']') : strchr(start, ':');
        struct permit p = { 0 };

        if (bracket && !end)
                return -EINVAL;
        /* two colons without brackets are an IPv6 network */
        if (!bracket && end && strchr(end + 1, ':'))
                end = NULL;
        size_t n = end ? (size_t) (end - start) : strlen(start);
        if (n >= sizeof(net))
                return -EINVAL;
        (void) snprintf(net, sizeof(net), "%.*s", (int) n, start);
        if (permit_net_from_str(net, &p) < 0)
                return -EINVAL;
        const char *rest = start + n + bracket;
        if (*rest == ':') {
                char *after;
                if (rest[1] < '1' || rest[1] > '9')
                        return -EINVAL;
                unsigned long port = strtoul(rest + 1, &after, 10);
                if (port > 65535)
                        return -EINVAL;
                p.port = (uint16_t) port;
                rest = after;
        }
        for (size_t i = 0; p.port != 0 && *rest == '/' && i < ELEMENTSOF(protos); i++)
                if (strcmp(rest + 1, protos[i].name) == 0) {
                        p.proto = protos[i].number;
                        rest += strlen(rest);
                }
        if (*rest)
                return -EINVAL;
        *ret = p;
        return 0;
}

static int fill_lists(struct command *cmd, const struct options *o, char *const *targets, size_t n, struct why *w) {
        cmd->targets = calloc(n, sizeof(*cmd->targets));
        cmd->permits = calloc(MAX(o->permits.n, 1U), sizeof(*cmd->permits));
        cmd->hosts = calloc(1, sizeof(*cmd->hosts));
        if (!cmd->targets || !cmd->permits || !cmd->hosts)
                return why_errno(w, -ENOMEM, "order");
        for (; cmd->n_targets < n; cmd->n_targets++)
                if (target_from_str(targets[cmd->n_targets], &cmd->targets[cmd->n_targets]) < 0)
                        return why_set(w, CTL_USAGE,
                                       "\"%s\" is no target: unit:NAME.service, slice:NAME.slice, cgroup:/PATH, "
                                       "container:ID, user:NAME, pid:N, host, or a bare unit or slice name",
                                       CLEAN(targets[cmd->n_targets]));
        for (; cmd->n_permits < o->permits.n; cmd->n_permits++)
                if (parse_permit(o->permits.v[cmd->n_permits], &cmd->permits[cmd->n_permits]) < 0)
                        return why_set(
                                w, CTL_USAGE,
                                "--permit \"%s\": an address or network, and a port if any: 10.0.0.5, 10.0.0.0/8:443, "
                                "10.0.0.5:53/udp, [fd00::/8]:443/tcp",
                                CLEAN(o->permits.v[cmd->n_permits]));
        return 0;
}

/* What command_to_json found out of range, by what was given. */
static int out_of_range(const struct command *cmd, const struct options *o, struct why *w) {
        const char *life = verb_class_lets_go(verb_info(cmd->verb)->cls) ? "1h" : "24h";

        return why_set(w, CTL_USAGE,
                       "this is no valid order; check%s%s%s --expires (at most %s), and that no target is there twice",
                       o->incident ? " --incident (as in SA-20261120-001)," : "",
                       o->reason ? " --reason (one line, at most 512 bytes)," : "",
                       o->fleet ? " --fleet (lower-case letters, digits, dot, dash)," : "", life);
}

static int copy_text(char *ret, size_t n, const char *s, const char *option, struct why *w) {
        if (strlen(s) >= n)
                return why_set(w, CTL_USAGE, "--%s is longer than %zu bytes", option, n - 1);
        (void) snprintf(ret, n, "%s", s);
        return 0;
}

static int fill(struct command *cmd, const struct options *o, const struct host *host, const struct trust *t,
                struct why *w) {
        const char *fleet = o->fleet ? o->fleet : t ? t->fleet : NULL;

        if (!fleet)
                return why_set(w, CTL_MACHINE, "which fleet? there is no %s here: give --trust FILE or --fleet NAME",
                               TRUSTFILE_PATH);
        int x = copy_text(cmd->fleet, sizeof(cmd->fleet), fleet, "fleet", w);
        if (x == 0)
                x = copy_text(cmd->incident, sizeof(cmd->incident), o->incident ? o->incident : "", "incident", w);
        if (x == 0)
                x = copy_text(cmd->reason, sizeof(cmd->reason), o->reason ? o->reason : NO_REASON, "reason", w);
        if (x != 0)
                return x;
        cmd->to = COMMAND_TO_HOSTS;
        if (host)
                memcpy(cmd->hosts[cmd->n_hosts++], host->key.id, sizeof(cmd->hosts[0]));
        cmd->severity = o->severity;
        cmd->lease_ms = o->lease_ms;
        cmd->step = o->step;
        cmd->profile = o->profile;
        cmd->iat_ms = order_now_ms();
        cmd->exp_ms = cmd->iat_ms + (o->expires_ms ? o->expires_ms : ORDER_LIFE_MS);
        cmd->root_version = t ? t->version : 0;
        return 0;
}

static int build(struct ctl *c, struct command *cmd, struct order *o) {
        char *json = NULL;
        enum reason reason;

        int r = command_to_json(cmd, &json);
        if (r == -EINVAL)
                return out_of_range(cmd, &c->opt, &c->why);
        if (r >= 0) {
                o->file.env.type = DSSE_COMMAND;
                o->file.env.payload = (uint8_t *) json;
                o->file.env.n_payload = strlen(json);
                r = command_parse(o->file.env.payload, o->file.env.n_payload, &o->file.command, &reason);
        }
        return r < 0 ? why_errno(&c->why, r, "order") : 0;
}

static int sign(struct ctl *c, struct command *cmd, struct order *o, const struct trust *t) {
        _cleanup_(sign_done) struct signers s = SIGNERS_NULL;
        struct sshkey keys[TRUST_KEYS_MAX];

        if (t)
                trust_keys(t, keys);
        int x = sign_open(c->opt.keys.v, c->opt.keys.n, keys, t ? t->n_keys : 0, SIGN_PICK_ONE, &s, &c->why);
        if (x == 0) {
                order_name(&s, &cmd->id);
                x = build(c, cmd, o);
        }
        if (x == 0)
                x = sign_envelope(&s, &o->file.env, &c->why);
        if (x != 0)
                return x;
        int r = dsse_to_json(&o->file.env, &o->text);
        if (r < 0)
                return why_errno(&c->why, r, "order");
        o->n = strlen(o->text);
        return 0;
}

static int write_out(struct ctl *c, const struct order *o, const struct trust *t, const struct hosts *known) {
        const struct page p = exchange_page(c);
        char id[33];

        int x = signed_file_save(c->opt.out, &o->file.env, &c->why);
        if (x != 0)
                return x;
        command_id_to_str(&o->file.command->id, id);
        if (c->opt.json) {
                _cleanup_json_ json_t *line =
                        json_pack("{s:{s:s,s:s,s:i}}", "summary", "file", c->opt.out, "id", id, "exit", CTL_OK);
                exchange_json_line(c, line);
                c->summarised = true;
                return CTL_OK;
        }
        render_order(&p, &o->file, t, known, order_now_ms());
        fprintf(c->out,
                "Written to %s; nothing was sent.\nA second signature:  freezectl approve %s\nTo the host:         "
                "freezectl send %s\n",
                c->opt.out, c->opt.out, c->opt.out);
        return CTL_OK;
}

int order_run(struct ctl *c, enum verb verb, bool plan, char *const *targets, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_(order_done) struct order o = ORDER_NULL;
        _cleanup_command_ struct command *cmd = calloc(1, sizeof(*cmd));
        _cleanup_trust_ struct trust *t = NULL;
        const struct host *host = NULL;

        if (!cmd)
                return why_errno(&c->why, -ENOMEM, "order");
        cmd->verb = verb;
        cmd->plan = plan;
        int x = fill_lists(cmd, &c->opt, targets, n, &c->why);
        if (x == 0)
                x = hosts_load(&c->opt, &known, &c->why);
        /* with --fleet nothing of it is needed, and a broken one must not be in the way of a stop */
        if (x == 0 && trustfile_load(&c->opt, &t, &c->why) != 0 && !c->opt.fleet)
                return CTL_MACHINE;
        if (x == 0 && !c->opt.nats)
                x = exchange_host(c, &known, &host);
        if (x == 0)
                x = fill(cmd, &c->opt, host, t, &c->why);
        if (x == 0 && c->opt.nats)
                return rollout_run(c, cmd, t);
        if (x == 0)
                x = sign(c, cmd, &o, t);
        if (x != 0)
                return x;
        return c->opt.out ? write_out(c, &o, t, &known) : order_deliver(c, &o, &known, t);
}

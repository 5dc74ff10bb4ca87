/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/deliver.h"
#include "ctl/escalate_lines.h"
#include "ctl/exchange.h"
#include "ctl/openc2.h"
#include "ctl/openc2_fleet.h"
#include "ctl/order.h"
#include "ctl/order_sign.h"
#include "ctl/text.h"
#include "ctl/times.h"

#define INPUT_SIZE 65536U
/* until the first answer of a host elsewhere */
#define ANSWER_TIMEOUT_MS 30000
#define NO_REASON         "ordered by OpenC2"

struct adapter {
        struct ctl *c;
        struct hosts known;
        struct signers signers;
        struct trust *trust;
        const struct host *me;
        struct openc2_fleet fleet; /* with --nats: devices are those of the inventory */
        int worst;
};

/* The language has no place for it in a response, and a line may be read far from its command. */
static json_t *with_id(json_t *results, const char *id) {
        json_t *all = results ? results : json_object(), *own = json_object_get(all, OPENC2_NSID);

        if (!own && json_object_set_new(all, OPENC2_NSID, json_object()) == 0)
                own = json_object_get(all, OPENC2_NSID);
        (void) json_object_set_new(own, "command_id", json_string(id));
        return all;
}

static void respond(struct adapter *a, const struct openc2_command *cmd, unsigned status, const char *text,
                    json_t *results) {
        _cleanup_json_ json_t *o = NULL;

        if (cmd && cmd->silent) {
                json_decref(results);
                return;
        }
        o = openc2_response(status, text, cmd && *cmd->id ? with_id(results, cmd->id) : results);
        exchange_json_line(a->c, o);
        (void) fflush(a->c->out);
}

/* With --nats the agent here is asked who it is when somebody means it, and not before: there may be none. */
static const struct host *this_host(struct adapter *a) {
        if (!a->me && exchange_host(a->c, &a->known, &a->me) != 0)
                a->c->why.text[0] = '\0';
        return a->me;
}

static const struct host *host_of(struct adapter *a, const struct openc2_command *q) {
        uint8_t id[32];

        if (!*q->host)
                return this_host(a);
        if (a->fleet.courier)
                return openc2_fleet_host(&a->fleet, q->host);
        if (sshkey_id_from_str(q->host, id) >= 0)
                return hosts_by_id(&a->known, id);
        return hosts_by_name(&a->known, q->host);
}

static int fill(const struct adapter *a, const struct openc2_command *q, const struct host *host, struct command *cmd) {
        const struct options *o = &a->c->opt;

        cmd->targets = memdup_array(&q->target, 1, sizeof(q->target));
        cmd->hosts = memdup_array(host->key.id, 1, sizeof(*cmd->hosts));
        cmd->permits = memdup_array(q->permits, q->n_permits, sizeof(*q->permits));
        if (!cmd->targets || !cmd->hosts || !cmd->permits)
                return -ENOMEM;
        cmd->n_targets = cmd->n_hosts = 1;
        cmd->n_permits = q->n_permits;
        cmd->to = COMMAND_TO_HOSTS;
        (void) snprintf(cmd->fleet, sizeof(cmd->fleet), "%s", o->fleet ? o->fleet : a->trust->fleet);
        strcpy(cmd->incident, q->incident);
        strcpy(cmd->reason, *q->reason ? q->reason : NO_REASON);
        order_name(&a->signers, &cmd->id);
        cmd->verb = q->verb;
        cmd->severity = q->severity;
        cmd->profile = q->profile;
        cmd->lease_ms = q->lease_ms ? q->lease_ms : verb_info(q->verb)->cls == VERB_CLASS_STOP ? o->lease_ms : 0;
        cmd->iat_ms = order_now_ms();
        cmd->exp_ms = cmd->iat_ms + (o->expires_ms ? o->expires_ms : ORDER_LIFE_MS);
        cmd->root_version = a->trust ? a->trust->version : 0;
        return 0;
}

/* Sends to the agent here and waits for the final answer. 0: *ret and *ret_envelope; else -errno. */
static int ask_here(struct adapter *a, const char *envelope, const struct receipt_want *want, struct receipt *ret,
                    char **ret_envelope) {
        _cleanup_(client_done) struct client client = CLIENT_NULL;
        int r = deliver(a->c, envelope, &client);

        while (r >= 0) {
                _cleanup_free_ char *msg = NULL;
                struct receipt next = RECEIPT_NULL;
                size_t n;

                r = client_recv(&client, &msg, &n);
                if (r >= 0)
                        r = receipt_read(msg, n, &a->known, want, &next);
                if (r < 0)
                        break;
                receipt_done(ret);
                *ret = next;
                free(*ret_envelope);
                *ret_envelope = TAKE_PTR(msg);
                if (receipt_is_final(ret))
                        return 0;
                client_rearm(&client, a->c->opt.timeout_ms ? a->c->opt.timeout_ms : FINAL_TIMEOUT_MS);
        }
        /* what is signed and not final is an answer, too: 102 */
        return ret->kind == RECEIPT_SIGNED ? 0 : r;
}

static int ask(struct adapter *a, const struct command *cmd, const char *envelope, const uint8_t digest[static 32],
               bool away, struct receipt *ret, char **ret_envelope, bool *ret_given) {
        char id[33];
        const struct receipt_want want = { .type = DSSE_RECEIPT,
                                           .id = id,
                                           .digest = digest,
                                           .hosts = (const uint8_t(*)[32]) cmd->hosts,
                                           .n_hosts = 1 };

        command_id_to_str(&cmd->id, id);
        if (!away)
                return ask_here(a, envelope, &want, ret, ret_envelope);
        return openc2_fleet_ask(&a->fleet, cmd, envelope, &want,
                                a->c->opt.timeout_ms ? a->c->opt.timeout_ms : ANSWER_TIMEOUT_MS, ret, ret_envelope,
                                ret_given);
}

static json_t *envelope_json(const char *text) {
        json_t *o = NULL;
        enum reason reason;

        return text && schema_json(text, strlen(text), &o, &reason) == 0 ? o : NULL;
}

/* A release that lacks people is not lost, nor an order that no broker was there for: who reads the response can
 * approve what is in it, and send it. */
static json_t *results(const struct command *cmd, const struct receipt *r, const char *receipt, const char *order,
                       bool given) {
        char id[33];
        const json_t *told = receipt_told(r->payload);
        const char *why = json_string_value(json_array_get(json_object_get(told, "reasons"), 0)) ?: "";
        const bool lacks = r->kind == RECEIPT_SIGNED && strcmp(why, reason_id(REASON_THRESHOLD)) == 0;

        command_id_to_str(&cmd->id, id);
        return json_pack("{s:{s:s, s:o*, s:o*}}", OPENC2_NSID, "id", id, "receipt",
                         r->kind == RECEIPT_SIGNED ? envelope_json(receipt) : NULL, "order",
                         lacks || !given ? envelope_json(order) : NULL);
}

static void order(struct adapter *a, const struct openc2_command *q, const struct host *host) {
        _cleanup_command_ struct command *cmd = calloc(1, sizeof(*cmd));
        _cleanup_free_ char *envelope = NULL, *answer = NULL;
        struct receipt r = RECEIPT_NULL;
        const bool away = a->fleet.courier && *q->host;
        bool given = true;
        uint8_t digest[32];
        char text[512];
        int n = cmd ? fill(a, q, host, cmd) : -ENOMEM;

        if (n < 0) {
                respond(a, q, OPENC2_INTERNAL, "out of memory", NULL);
                return;
        }
        const int code = order_sign(&a->signers, cmd, &envelope, digest, &a->c->why);
        if (code != 0) {
                respond(a, q, code == CTL_USAGE ? OPENC2_BAD_REQUEST : OPENC2_INTERNAL, a->c->why.text, NULL);
                a->c->why.text[0] = '\0';
                a->worst = MAX(a->worst, code);
                return;
        }
        if (q->acknowledge)
                respond(a, q, OPENC2_PROCESSING, "Processing", results(cmd, &r, NULL, NULL, true));
        n = ask(a, cmd, envelope, digest, away, &r, &answer, &given);
        a->worst = MAX(a->worst, n < 0 ? CTL_SILENT : receipt_exit(&r));
        if (!q->acknowledge && n < 0)
                respond(a, q, OPENC2_UNAVAILABLE,
                        given ? "no agent answered; the order may still be carried out if it had it"
                              : "no broker is there: nothing was sent; the signed order is in the results",
                        results(cmd, &r, NULL, envelope, given));
        else if (!q->acknowledge) {
                const unsigned status = openc2_status(&r, text, sizeof(text));

                respond(a, q, status, text, results(cmd, &r, answer, envelope, true));
        }
        receipt_done(&r);
}

static void take(struct adapter *a, const char *line, size_t size) {
        _cleanup_json_ json_t *o = NULL;
        struct openc2_command q;
        const char *why = NULL;
        enum reason reason;
        unsigned status;

        if (size == strspn(line, " \t\r") || size == 0)
                return;
        if (schema_json(line, size, &o, &reason) < 0 || !o) {
                respond(a, NULL, OPENC2_BAD_REQUEST, "this is no JSON, or a member is there twice", NULL);
                a->worst = MAX(a->worst, CTL_USAGE);
                return;
        }
        status = openc2_read(o, order_now_ms(), &q, &why);
        if (status != 0) {
                respond(a, &q, status, why, NULL);
                a->worst = MAX(a->worst, CTL_USAGE);
                return;
        }
        if (q.query) {
                respond(a, &q, OPENC2_OK, NULL, openc2_features(&q));
                return;
        }
        const struct host *host = host_of(a, &q);
        if (host)
                order(a, &q, host);
        else
                respond(a, &q, OPENC2_NOT_FOUND, "this device is none of the known hosts", NULL);
}

static int read_all(struct adapter *a) {
        _cleanup_(escalate_lines_done) struct escalate_lines lines = ESCALATE_LINES_NULL;
        static char bytes[INPUT_SIZE];

        for (;;) {
                const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
                int how;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return why_errno(&a->c->why, -errno, "standard input");
                for (size_t at = 0, taken = 0; at < (size_t) MAX(n, 1); at += taken) {
                        how = n > 0 ? escalate_lines_feed(&lines, bytes + at, (size_t) n - at, &taken)
                                    : escalate_lines_finish(&lines);
                        if (how < 0)
                                return why_errno(&a->c->why, how, "standard input");
                        if (how == ESCALATE_LINES_LINE)
                                take(a, lines.text, lines.n);
                        else if (how == ESCALATE_LINES_LONG)
                                respond(a, NULL, OPENC2_BAD_REQUEST, "the line is longer than is taken", NULL);
                        if (n == 0)
                                return a->worst;
                }
        }
}

static int export_order(struct ctl *c) {
        _cleanup_(signed_file_done) struct signed_file f = SIGNED_FILE_NULL;
        _cleanup_json_ json_t *o = NULL;
        const char *why = "this is no order";
        size_t n;
        int code = signed_file_load(c->opt.export, &f, NULL, &n, &c->why);

        if (code != 0)
                return code;
        if (f.command)
                o = openc2_from_command(f.command, &why);
        if (!o)
                return why_set(&c->why, CTL_USAGE, "%s: %s", CLEAN(c->opt.export), why);
        exchange_json_line(c, o);
        return CTL_OK;
}

static int start(struct adapter *a) {
        struct sshkey keys[TRUST_KEYS_MAX];
        struct ctl *c = a->c;
        int code = hosts_load(&c->opt, &a->known, &c->why);

        if (code == 0)
                code = trustfile_load(&c->opt, &a->trust, &c->why);
        if (code == 0 && !a->trust && !c->opt.fleet)
                code = why_set(&c->why, CTL_MACHINE,
                               "which fleet? there is no %s here: give --trust FILE or --fleet NAME", TRUSTFILE_PATH);
        if (code == 0 && c->opt.nats)
                code = openc2_fleet_start(c, a->trust, &a->fleet);
        if (code == 0 && a->trust)
                trust_keys(a->trust, keys);
        if (code == 0)
                code = sign_open(c->opt.keys.v, c->opt.keys.n, keys, a->trust ? a->trust->n_keys : 0, SIGN_PICK_ONE,
                                 &a->signers, &c->why);
        return code != 0 || c->opt.nats ? code : exchange_host(c, &a->known, &a->me);
}

int verb_openc2(struct ctl *c, char **words, size_t n) {
        struct adapter a = { .c = c, .signers = SIGNERS_NULL };
        int code;

        (void) words;
        (void) n;
        c->summarised = true;
        if (c->opt.export)
                return export_order(c);
        code = start(&a);
        if (code == 0)
                code = read_all(&a);
        openc2_fleet_done(&a.fleet);
        hosts_done(&a.known);
        sign_done(&a.signers);
        trust_freep(&a.trust);
        return code;
}

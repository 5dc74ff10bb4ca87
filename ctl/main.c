/* SPDX-License-Identifier: Apache-2.0 */

/* freezectl: the table of verbs, and what happens before and after each. */

#include <limits.h>
#include <signal.h>
#include <string.h>

#include <sodium.h>

#include "ctl/ctl.h"
#include "ctl/exchange.h"
#include "ctl/help.h"
#include "ctl/text.h"

#define O(name) OPTION_BIT(name)
#define ASK     (O(JSON) | O(TIMEOUT) | O(SOCKET) | O(HOSTS_FILE))
#define ORDER                                                                                                     \
        (ASK | O(TO) | O(KEY) | O(SEVERITY) | O(INCIDENT) | O(REASON) | O(EXPIRES) | O(OUT) | O(YES) | O(TRUST) | \
         O(FLEET))
#define ANYWHERE (O(NATS) | O(INVENTORY) | O(MAX_HOSTS) | O(WAVE) | O(WAIT_WAVE))
#define EVIDENCE (O(STATE_DIR) | O(SOCKET) | O(HOSTS_FILE) | O(JSON))
#define PEOPLE                                                                                                     \
        (O(OUT) | O(KEY) | O(RESPONDER) | O(AUTOMATION) | O(CUSTODIAN) | O(REGISTRAR) | O(HERALD) | O(RETENTION) | \
         O(ROLE) | O(RULE) | O(ROOT) | O(ROOT_THRESHOLD) | O(RECIPIENT) | O(WITNESS) | O(EXPIRES) | O(JSON))

const struct ctl_verb ctl_verbs[] = {
        { "contain", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX,
          ORDER | ANYWHERE | O(LEASE) | O(PERMIT) | O(PROFILE), verb_contain,
          "Cut off from the network, freeze, preserve evidence",
          "Connections that are open are cut too. One responder's signature is enough. It stays so until two people "
          "release it,\n"
          "unless --lease says how long. The receipt says what the kernel reports, and what could not be done.",
          "freezectl contain beacon.service --severity P0 --incident SA-20261120-001 --reason 'talks to a stranger'" },
        { "isolate", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | ANYWHERE | O(LEASE) | O(PERMIT),
          verb_contain, "Cut off from the network, leave running",
          "--permit keeps addresses reachable, beside those of the host's policy.",
          "freezectl isolate nginx.service --permit 10.0.0.5:443/tcp --lease 2h" },
        { "freeze", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | ANYWHERE | O(LEASE), verb_contain,
          "Freeze, leave the network as it is",
          "What its sockets have queued is still sent by the kernel: to stop that, contain.",
          "freezectl freeze worker.service --lease 15m" },
        { "snapshot", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | ANYWHERE | O(PROFILE), verb_contain,
          "Preserve evidence, change nothing",
          "--profile says how much: `logs` takes no memory, `full` more time; the host's policy says what each may "
          "cost.\n"
          "Exits 1 when nothing could be taken, and 4 when it was cut short.",
          "freezectl snapshot beacon.service --incident SA-20261120-001" },
        { "escalate", NULL, CTL_STOP, "--rules FILE", 0, 0,
          O(RULES) | O(STDIN) | O(LISTEN) | O(TOKEN_FILE) | O(TLS) | O(DRY_RUN) | O(WEBHOOK) | O(KEY) | O(EXPIRES) |
                  O(TRUST) | O(FLEET) | O(STATE_DIR) | O(NATS) | O(INVENTORY) | ASK,
          verb_escalate, "Events of Alertmanager, Falco, Tetragon, CloudEvents into leased orders",
          "What comes in is answered by lines of JSON that say what became of it; with --json each signed receipt is "
          "there as a\n"
          "CloudEvent, too. Webhooks are POST /alertmanager, /falco, /tetragon and /cloudevents. What was ordered in "
          "the last\n"
          "24 h is known after a restart (/var/lib/freezed-escalate/state.json). An alert that is resolved releases "
          "nothing.\n"
          "With --nats what is for other hosts goes over the fleet's brokers, or waits for one.",
          "freezectl escalate --rules rules.json --stdin falco --key /etc/freezed/escalate.key" },
        { "openc2", NULL, CTL_STOP, "[--export FILE]", 0, 0,
          O(EXPORT) | O(KEY) | O(EXPIRES) | O(LEASE) | O(TRUST) | O(FLEET) | O(NATS) | O(INVENTORY) | ASK, verb_openc2,
          "OpenC2 commands, one a line, into orders; answers OpenC2 responses",
          "contain, deny (isolate), stop (freeze), investigate (snapshot), cancel of a command (release), query of "
          "features.\n"
          "--lease is for commands that say no duration. With --nats a device is one of the inventory, reached over "
          "the "
          "brokers.",
          "freezectl openc2 --key /etc/freezed/soar.key --lease 15m" },
        { "release", NULL, CTL_RESUME, "HOLD...|--incident ID", 0, CTL_WORDS_MAX, ORDER | ANYWHERE | O(STEP),
          verb_release, "End holds; takes two people",
          "What is frozen is thawed while it is still isolated, and then has its network back. With --step it is left "
          "isolated\n"
          "until another release: look at it first. With --incident and no HOLD: all holds of the incident that the "
          "host has now. When signatures are missing "
          "the\n"
          "signed order is kept in the working directory, for another person to approve.\n"
          "With --nats HOLD is the id that the order went out with. A host that it has not reached yet never carries "
          "it "
          "out.",
          "freezectl release 0123456789abcdef0123456789abcdef --reason 'patched, verified'" },
        { "extend", NULL, CTL_RESUME, "HOLD... --lease D", 1, CTL_WORDS_MAX, ORDER | ANYWHERE | O(LEASE), verb_extend,
          "Make a hold's lease longer", "The lease ends D from now, if that is later than it ended before.",
          "freezectl extend 0123456789abcdef0123456789abcdef --lease 15m" },
        { "status", NULL, CTL_LOOK, "[HOLD|TARGET]", 0, 1, ASK, verb_status, "What is held, read from the kernel now",
          "Exits 4 when something is held less than ordered, and 3 when what was named is not held.",
          "freezectl status beacon.service" },
        { "health", NULL, CTL_LOOK, "", 0, 0, ASK, verb_health, "The agent, and what this kernel can and cannot do",
          "Exits 1 when the ledger or the trust root is not in order, and 4 when a hold is partial.",
          "freezectl health --json" },
        { "plan", NULL, CTL_LOOK, "VERB TARGET...", 2, CTL_WORDS_MAX,
          ORDER | ANYWHERE | O(LEASE) | O(PERMIT) | O(PROFILE), verb_plan,
          "What it would do and whom it would hit; changes nothing", "", "freezectl plan contain beacon.service" },
        { "sign", NULL, CTL_CARRY, "FILE", 1, 1,
          O(KEY) | O(OUT) | O(TRUST) | O(HOSTS_FILE) | O(YES) | O(JSON) | O(NATS), verb_approve,
          "Show what a file orders, ask, add your signature",
          "FILE may also be an order, a trust root, attributes or a head that nobody has signed yet. With --nats the "
          "order\n"
          "is at the broker, too, for the next person.",
          "freezectl sign order.json --key ~/.ssh/id_ed25519.pub" },
        { "approve", NULL, CTL_CARRY, "FILE|ID", 0, 1,
          O(KEY) | O(OUT) | O(TRUST) | O(HOSTS_FILE) | O(YES) | O(JSON) | O(NATS), verb_approve,
          "The same for what somebody else has signed",
          "With --nats and nothing else it lists the orders that wait at the broker for signatures: who has signed, "
          "who "
          "may,\n"
          "how many are missing, until when. ID is one of those. When none is missing, anybody may send it.",
          "freezectl approve release-01234567.json" },
        { "send", NULL, CTL_CARRY, "FILE|ID", 1, 1, ASK | O(TRUST) | O(YES) | O(NATS) | O(INVENTORY) | O(WAIT_WAVE),
          verb_send, "Send a signed order",
          "It acts once, however often it is sent: the second time the host answers with the receipt of the first.\n"
          "With --nats to all whom the order names. ID is one that was sent with --nats before and is not over: it "
          "goes "
          "on\n"
          "with it, under the same ids; the signed orders of such are kept in ~/.local/state/freezed/rollouts.\n"
          "A FILE of attributes, as `freezectl fleet certify` prints them, goes with --nats to each host its own line, "
          "verified here first.",
          "freezectl send release-01234567.json" },
        { "evidence", "list", CTL_EVIDENCE, "", 0, 0, EVIDENCE, verb_evidence_list,
          "What this host has preserved; as root, on it",
          "Held against the host's ledger: what that tells of and is not there is listed as gone. Exits 3 then, and "
          "when the\n"
          "ledger contradicts a folder, or one was changed; whether the files are what was signed tells `evidence "
          "verify`.",
          "freezectl evidence list" },
        { "evidence", "show", CTL_EVIDENCE, "HOLD|INCIDENT|FOLDER", 1, 1, EVIDENCE, verb_evidence_show,
          "What the host says of one folder of it",
          "Whether it still holds that: `freezectl evidence verify`. Exits 5 for a host that is not known here, 4 for "
          "what\n"
          "nobody signed, and 3 for what was changed, or what the host's ledger contradicts.",
          "freezectl evidence show SA-20261120-001" },
        { "evidence", "verify", CTL_EVIDENCE, "HOLD|INCIDENT|FOLDER", 1, 1, EVIDENCE | O(TRUST), verb_evidence_verify,
          "Is every file the one that the host signed, since when, and who saw it?",
          "Takes no key to open it. Held against the host's ledger, or the proof out of it that an export has. Exits 0 "
          "when "
          "all of\n"
          "that is proven, 5 when it is whole and in doubt: of an unknown host, in no ledger that is here, or seen by "
          "no "
          "witness\n"
          "of the trust root; 4 when something is missing, 3 when something was changed, or the ledger contradicts it.",
          "freezectl evidence verify /media/case-7/0123456789abcdef0123456789abcdef" },
        { "evidence", "export", CTL_EVIDENCE, "HOLD|INCIDENT|FOLDER --out DIR|FILE.tar", 1, 1,
          O(IDENTITY) | O(OUT) | O(TRUST) | EVIDENCE, verb_evidence_export,
          "Verify it and put it into a bag for others, with timelines and the commands that open it",
          "As it is sealed, which can be sent by any way. With --identity opened: cores, journals and objects in the "
          "clear.\n"
          "The bag is a directory, or a tar archive when the name ends in .tar.\n"
          "Nothing is opened of a host that is not known here.",
          "freezectl evidence export SA-20261120-001 --out case-7.tar" },
        { "evidence", "witness", CTL_EVIDENCE, "URL...", 1, 8, O(STATE_DIR) | O(TRUST) | O(TIMEOUT) | O(JSON),
          verb_evidence_witness, "Have the head of this host's ledger signed by witnesses; as root, on it",
          "Those that the trust root names; what they sign is kept beside the ledger, and `evidence verify` asks for "
          "it. "
          "Exits 5\n"
          "when one does not answer, and 3 when one saw more records than there are, or others: then the ledger was "
          "changed;\n"
          "3 also when an https address has no certificate that is accepted.",
          "freezectl evidence witness https://witness.example/" },
        { "evidence", "decrypt", CTL_EVIDENCE, "HOLD|INCIDENT|FOLDER --identity FILE --out DIR", 1, 1,
          O(IDENTITY) | O(OUT) | EVIDENCE, verb_evidence_decrypt,
          "Verify it, open it, compare each object with the index",
          "On your own machine: the host cannot. `age -d` and `zstd -d` open each file as well.\n"
          "Nothing is opened of a host that is not known here, and never more than it says, or the disk has room for.\n"
          "What the host's ledger contradicts, where that or the proof out of it is here, is opened, and exits 3.",
          "freezectl evidence decrypt ./0123456789abcdef0123456789abcdef --identity key.txt --out case-7" },
        { "evidence", "hold", CTL_EVIDENCE, "HOLD|INCIDENT...", 1, CTL_WORDS_MAX, ORDER | O(STATE_DIR),
          verb_evidence_hold, "Put it under legal hold: neither time nor an order deletes it",
          "It has the id of this order. Each legal hold counts by itself, and `freezectl evidence show` lists them.",
          "freezectl evidence hold SA-20261120-001 --reason 'matter 7 of 2026'" },
        { "evidence", "unhold", CTL_EVIDENCE, "LEGALHOLD...", 1, CTL_WORDS_MAX, ORDER, verb_evidence_unhold,
          "Lift legal holds; takes custodians",
          "No other legal hold of the same evidence is lifted, and nothing is deleted by that.",
          "freezectl evidence unhold 0123456789abcdef0123456789abcdef --reason 'matter 7 is closed'" },
        { "evidence", "delete", CTL_EVIDENCE, "HOLD|INCIDENT...", 1, CTL_WORDS_MAX, ORDER | O(STATE_DIR),
          verb_evidence_delete, "Delete it; takes custodians, who are nobody that contains or releases",
          "What stays is the folder with its manifests, digests and signatures, and a tombstone that the host signs: "
          "what was\n"
          "deleted, when, and by whose order. Refused while it is under a legal hold, or what it is of is held.",
          "freezectl evidence delete 0123456789abcdef0123456789abcdef --reason 'handed over, case closed'" },
        { "trust", "init", CTL_TRUST, "--fleet NAME --out FILE", 0, 0, PEOPLE | O(FLEET) | O(PERSON) | O(DEFAULT_RULES),
          verb_trust_init, "Make a fleet's first trust root",
          "The usual rules: one responder stops, two release; automation stops P0 and P1 for at most 15 minutes at a "
          "time.\n"
          "Anybody puts evidence under legal hold, two custodians lift that, or delete it.\n"
          "They hold unless there is a --rule; with --default-rules both do.",
          "freezectl trust init --fleet prod --responder alice=alice.pub --responder bob=bob.pub --automation "
          "soar=soar.pub --out trust.json" },
        { "trust", "show", CTL_TRUST, "[FILE]", 0, 1, O(JSON), verb_trust_show, "A trust root in plain words", "",
          "freezectl trust show /etc/freezed/trust.json" },
        { "trust", "verify", CTL_TRUST, "FILE", 1, 1, O(FROM) | O(JSON), verb_trust_verify,
          "Is it signed as it has to be?", "With --from also: does it follow OLD, signed by the root people of both?",
          "freezectl trust verify trust-2.json --from trust.json" },
        { "trust", "rotate", CTL_TRUST, "FILE --out NEW", 1, 1, PEOPLE | O(ADD_PERSON) | O(REMOVE_PERSON),
          verb_trust_rotate, "Make the next version",
          "It has to be signed by enough root people of the old and of the new version.",
          "freezectl trust rotate trust.json --remove-person bob --responder carol=carol.pub --out trust-2.json" },
        { "trust", "send", CTL_TRUST, "FILE", 1, 1, ASK | O(TRUST) | O(YES) | O(NATS) | O(INVENTORY), verb_trust_send,
          "Put the next version in force, on this host or with --nats on all",
          "Each takes it only as the next version of the one that it has, signed by the root people of both, and "
          "answers "
          "which\n"
          "one is in force. A host's first one is put there by `freezectl enroll`.",
          "freezectl trust send trust-2.json --nats tls.json" },
        { "enroll", NULL, CTL_TRUST, "FILE", 1, 1, O(CONFIG_DIR) | O(STATE_DIR) | O(NAME) | O(HOSTS_FILE) | O(JSON),
          verb_enroll, "Make this host follow a trust root; as root, on it",
          "Later trust roots are installed the same way, and only if they follow the one that is there.",
          "freezectl enroll trust.json" },
        { "fleet", "certify", CTL_FLEET, "[--host NAME|FPR|--key-file PUB] --group G...", 0, 0,
          O(HOST) | O(KEY_FILE) | O(NAME) | O(GROUP) | O(SERIAL) | O(KEY) | O(OUT) | O(TRUST) | O(HOSTS_FILE) |
                  O(SOCKET) | O(TIMEOUT) | O(JSON),
          verb_fleet_certify, "Certify the groups that a host is of; takes a registrar",
          "These and no others: without --group it is of none. `freezectl send` takes the file to the host; without "
          "--out "
          "it is\n"
          "printed, as a line of the fleet's inventory.",
          "freezectl fleet certify --key-file web-17.pub --name web-17 --group web --group eu --key registrar --out "
          "web-17.json" },
        { "fleet", "inventory", CTL_FLEET, "--nats URL|FILE", 0, 0,
          O(NATS) | O(INVENTORY) | O(TRUST) | O(OUT) | O(JSON), verb_fleet_inventory,
          "Print the inventory that the fleet's stream has: each line verified, of each host the newest",
          "A broker can keep a host back, or what is newest about one, and no more. With --inventory FILE those are "
          "named of which the\n"
          "stream lacks what FILE has, and it exits 4; --out is not written then, nor when nobody is there, which "
          "exits 5. A stream\n"
          "forgets after 7 days: `freezectl send` of the inventory puts it there again, and changes nothing at hosts.",
          "freezectl fleet inventory --nats tls.json --out inventory.jsonl" },
        { "fleet", "hosts", CTL_FLEET, "[--nats URL|FILE]", 0, 0,
          O(NATS) | O(INVENTORY) | O(TRUST) | O(TIMEOUT) | O(JSON), verb_fleet_hosts,
          "Ask all hosts of the inventory how they are: what they hold, what they lack, whether they hear the fleet",
          "Each host signs its answer to this question. Waits 5s unless --timeout says. Who is silent, answers that "
          "prove "
          "nothing, and\n"
          "hosts that the inventory does not have are told apart. Without --nats: the inventory. Exits 5 when nobody "
          "answers, else 4\n"
          "when hosts differ.",
          "freezectl fleet hosts --nats tls.json" },
        { "fleet", "watch", CTL_FLEET, "--nats URL|FILE", 0, 0,
          O(NATS) | O(INVENTORY) | O(TRUST) | O(TIMEOUT) | O(JSON), verb_fleet_watch,
          "The same every 5 s, until it is ended",
          "On a terminal in place, those first that somebody has to look at; what a silent host said last stays, with "
          "its age.\n"
          "Elsewhere, and with --json, a line for each change.",
          "freezectl fleet watch --nats tls.json" },
        { "fleet", "setup", CTL_FLEET, "--nats URL|FILE", 0, 0, O(NATS) | O(FLEET) | O(TRUST) | O(YES) | O(JSON),
          verb_fleet_setup, "Make the streams in which the brokers keep what a host may have missed",
          "They are FRZ_CMD_FLEET and FRZ_RSP_FLEET, in JetStream. Again it says whether they are still what they have "
          "to be;\n"
          "what somebody made otherwise is shown, and brought in line with a yes or --yes. Exits 4 when it is not.",
          "freezectl fleet setup --nats tls.json --fleet prod" },
        { "fleet", "head", CTL_FLEET, "--nats URL|FILE --key FILE [--once]", 0, 0,
          O(NATS) | O(KEY) | O(TRUST) | O(ORDERS) | O(ONCE) | O(STATE_DIR) | O(JSON), verb_fleet_head,
          "Be the fleet's herald: say every 15 s what is being ordered, so that hosts notice what is kept from them",
          "Reads the orders of the stream and of --orders, believes those who may give them by the trust root, and "
          "signs a head,\n"
          "until it is ended. Takes the key of a herald. How far it has counted is in "
          "/var/lib/freezed-herald/state.json (--state-dir\n"
          "D: D-herald). Two heralds at different brokers are better than one. What it cannot read it does not say.",
          "freezectl fleet head --nats tls.json --key /etc/freezed/herald.key" },
        { "fleet", "nkey", CTL_FLEET, "FILE", 1, 1, O(NAME) | O(JSON), verb_fleet_nkey,
          "Make what logs in at the brokers, unless it is there, and print its public half",
          "The line is for the --nkeys of `freezectl fleet nats-config`. On a host, FILE has to be readable for the "
          "user "
          "freezed-relay;\n"
          "it opens the way to the brokers and nothing else.",
          "freezectl fleet nkey /etc/freezed/nats.seed --name web-17" },
        { "fleet", "nats-config", CTL_FLEET, "--nkeys FILE", 0, 0, O(NKEYS) | O(INVENTORY) | O(TRUST),
          verb_fleet_nats_config, "Print the part of nats-server's configuration that says who may do what",
          "A user for each host of the inventory with an nkey, which keeps it from others' mail and from ordering, and "
          "one "
          "for each\n"
          "operator and herald. Again after hosts or groups have changed, then `nats-server --signal reload`. Exits 4 "
          "when a host has\n"
          "no nkey.",
          "freezectl fleet nats-config --nkeys nkeys >/etc/nats/authorization.conf" },
        { "help", NULL, CTL_LOOK, "[VERB|man|completion]", 0, 2, 0, verb_help,
          "This, one verb, the manual, the bash completion", "", "freezectl help contain" },
        { 0 },
};

/* *ret_words: how many words name it. */
static const struct ctl_verb *find(char **words, int n, int *ret_words, struct why *w) {
        bool known = false;

        for (const struct ctl_verb *v = ctl_verbs; v->name; v++) {
                if (strcmp(v->name, words[0]) != 0)
                        continue;
                known = true;
                if (v->sub && (n < 2 || strcmp(v->sub, words[1]) != 0))
                        continue;
                *ret_words = v->sub ? 2 : 1;
                return v;
        }
        (void) why_set(w, CTL_USAGE,
                       known ? "%s what? `freezectl help %s` tells"
                             : "there is no verb \"%s\"; `freezectl help` lists them",
                       CLEAN(words[0]), CLEAN(words[0]));
        return NULL;
}

static bool wants_colour(FILE *f) {
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(fileno(f)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* Options, arity, the verb itself. */
static int run(struct ctl *c, char **words, size_t n) {
        char name[64];
        bool help;
        size_t kept = 0;

        int x = option_parse(words, n, c->verb->options, &c->opt, &kept, &help, &c->why);
        if (x == 0 && help) {
                help_verb(c->out, c->verb);
                return CTL_OK;
        }
        (void) help_name(c->verb, name, sizeof(name));
        if (x != 0 || kept < c->verb->min || kept > c->verb->max) {
                if (x == 0)
                        x = why_set(&c->why, CTL_USAGE, "wanted is: freezectl %s %s", name, c->verb->args);
                size_t used = strlen(c->why.text);
                (void) snprintf(c->why.text + used, sizeof(c->why.text) - used, " (`freezectl help %s`)", name);
                return x;
        }
        return c->verb->run(c, words, kept);
}

/* --json promises a summary object in every case. */
static void summarise_failure(struct ctl *c, int code) {
        _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:i}}", "summary", "error", c->why.text, "exit", code);

        if (c->opt.json && !c->summarised && o)
                exchange_json_line(c, o);
}

int main(int argc, char **argv) {
        struct ctl c = { .opt = OPTIONS_NULL, .out = stdout, .colour = wants_colour(stdout) };
        static char help[] = "help";
        int used = 0;

        (void) signal(SIGPIPE, SIG_IGN);
        if (sodium_init() < 0)
                return CTL_MACHINE;
        if (argc < 2) {
                help_screen(stderr);
                return CTL_USAGE;
        }
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                argv[1] = help;
        c.verb = find(argv + 1, argc - 1, &used, &c.why);
        int code = c.verb ? run(&c, argv + 1 + used, (size_t) (argc - 1 - used)) : CTL_USAGE;
        if (*c.why.text && code != CTL_OK)
                fprintf(stderr, "freezectl: %s\n", c.why.text);
        if (code != CTL_OK)
                summarise_failure(&c, code);
        /* an answer that did not reach whoever reads it is no success */
        if (fflush(stdout) != 0 || ferror(stdout))
                return code == CTL_OK ? CTL_MACHINE : code;
        return code;
}

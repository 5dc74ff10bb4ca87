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
#define PEOPLE                                                                                              \
        (O(OUT) | O(KEY) | O(RESPONDER) | O(AUTOMATION) | O(ROLE) | O(RULE) | O(ROOT) | O(ROOT_THRESHOLD) | \
         O(EXPIRES) | O(JSON))

const struct ctl_verb ctl_verbs[] = {
        { "contain", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | O(LEASE) | O(PERMIT), verb_contain,
          "Cut off from the network, freeze, preserve evidence",
          "Connections that are open are cut too. One responder's signature is enough. It stays so until two people "
          "release it,\n"
          "unless --lease says how long. The receipt says what the kernel reports, and what could not be done.",
          "freezectl contain beacon.service --severity P0 --incident SA-20261120-001 --reason 'talks to a stranger'" },
        { "isolate", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | O(LEASE) | O(PERMIT), verb_contain,
          "Cut off from the network, leave running",
          "--permit keeps addresses reachable, beside those of the host's policy.",
          "freezectl isolate nginx.service --permit 10.0.0.5:443/tcp --lease 2h" },
        { "freeze", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER | O(LEASE), verb_contain,
          "Freeze, leave the network as it is",
          "What its sockets have queued is still sent by the kernel: to stop that, contain.",
          "freezectl freeze worker.service --lease 15m" },
        { "snapshot", NULL, CTL_STOP, "TARGET...", 1, CTL_WORDS_MAX, ORDER, verb_contain,
          "Preserve evidence, change nothing", "", "freezectl snapshot beacon.service --incident SA-20261120-001" },
        { "release", NULL, CTL_RESUME, "HOLD...|--incident ID", 0, CTL_WORDS_MAX, ORDER | O(STEP), verb_release,
          "End holds; takes two people",
          "What is frozen is thawed while it is still isolated, and then has its network back. With --step it is left "
          "isolated\n"
          "until another release: look at it first. With --incident and no HOLD: all holds of the incident that the "
          "host has now. When signatures are missing "
          "the\n"
          "signed order is kept in the working directory, for another person to approve.",
          "freezectl release 0123456789abcdef0123456789abcdef --reason 'patched, verified'" },
        { "extend", NULL, CTL_RESUME, "HOLD... --lease D", 1, CTL_WORDS_MAX, ORDER | O(LEASE), verb_extend,
          "Make a hold's lease longer", "The lease ends D from now, if that is later than it ended before.",
          "freezectl extend 0123456789abcdef0123456789abcdef --lease 15m" },
        { "status", NULL, CTL_LOOK, "[HOLD|TARGET]", 0, 1, ASK, verb_status, "What is held, read from the kernel now",
          "Exits 4 when something is held less than ordered, and 3 when what was named is not held.",
          "freezectl status beacon.service" },
        { "health", NULL, CTL_LOOK, "", 0, 0, ASK, verb_health, "The agent, and what this kernel can and cannot do",
          "Exits 1 when the ledger or the trust root is not in order, and 4 when a hold is partial.",
          "freezectl health --json" },
        { "plan", NULL, CTL_LOOK, "VERB TARGET...", 2, CTL_WORDS_MAX, ORDER | O(LEASE) | O(PERMIT), verb_plan,
          "What it would do and whom it would hit; changes nothing", "", "freezectl plan contain beacon.service" },
        { "sign", NULL, CTL_CARRY, "FILE", 1, 1, O(KEY) | O(OUT) | O(TRUST) | O(HOSTS_FILE) | O(YES) | O(JSON),
          verb_approve, "Show what a file orders, ask, add your signature",
          "FILE may also be an order or trust root that nobody has signed yet.",
          "freezectl sign order.json --key ~/.ssh/id_ed25519.pub" },
        { "approve", NULL, CTL_CARRY, "FILE", 1, 1, O(KEY) | O(OUT) | O(TRUST) | O(HOSTS_FILE) | O(YES) | O(JSON),
          verb_approve, "The same for what somebody else has signed", "", "freezectl approve release-01234567.json" },
        { "send", NULL, CTL_CARRY, "FILE", 1, 1, ASK | O(TRUST) | O(YES), verb_send, "Send a signed order",
          "It acts once, however often it is sent: the second time the host answers with the receipt of the first.",
          "freezectl send release-01234567.json" },
        { "trust", "init", CTL_TRUST, "--fleet NAME --out FILE", 0, 0, PEOPLE | O(FLEET) | O(PERSON) | O(DEFAULT_RULES),
          verb_trust_init, "Make a fleet's first trust root",
          "The usual rules: one responder stops, two release; automation stops P0 and P1 for at most 15 minutes at a "
          "time.\n"
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
        { "enroll", NULL, CTL_TRUST, "FILE", 1, 1, O(CONFIG_DIR) | O(STATE_DIR) | O(NAME) | O(HOSTS_FILE) | O(JSON),
          verb_enroll, "Make this host follow a trust root; as root, on it",
          "Later trust roots are installed the same way, and only if they follow the one that is there.",
          "freezectl enroll trust.json" },
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

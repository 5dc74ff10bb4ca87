/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every option, in one table: parsing, help, the manual and the completion read it. Which of them a verb takes is a set
 * in the verb table; an option that a verb does not take is an error, because an ignored --lease would be a lie. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/why.h"
#include "policy/profile.h"
#include "policy/verb.h"

#define OPTION_LIST_MAX 64U

struct option_list {
        const char *v[OPTION_LIST_MAX]; /* borrowed from argv */
        size_t n;
};

struct options {
        const char *to, *incident, *reason, *out, *socket, *hosts_file, *trust, *fleet, *config_dir, *state_dir, *name,
                *root, *from, *identity, *host, *key_file, *nats, *wave, *inventory, *rules_file, *input, *listen,
                *token_file, *tls, *webhook, *export, *orders, *nkeys;
        struct option_list keys, permits, people, responders, automations, custodians, roles, rules, removed,
                recipients, witnesses, registrars, heralds, groups;
        int64_t lease_ms, expires_ms, timeout_ms, retention_ms, serial, max_hosts, wait_wave_ms; /* 0: not given */
        unsigned root_threshold;                                                                 /* 0: not given */
        enum severity severity;                                                                  /* P1 unless given */
        enum profile profile; /* default unless given */
        bool json, yes, step, once, default_rules, dry_run;
};

#define OPTIONS_NULL ((struct options) { .severity = SEVERITY_P1 })

/* X(NAME, "name", KIND, member, "ARG", "sentence") ; NULL ARG: takes none */
#define OPTION_TABLE(X)                                                                                                \
        X(TO, "to", TEXT, to, "local|host=ID|group=NAME|all",                                                          \
          "The host it is for: this one (default), or one by name or fingerprint; with --nats also a group or all")    \
        X(KEY, "key", LIST, keys, "FILE", "Sign with this key file, or with the agent's key of this .pub; repeatable") \
        X(SEVERITY, "severity", SEVERITY, severity, "P0..P3", "Or Critical, High, Medium, Low; P1 when not given")     \
        X(INCIDENT, "incident", TEXT, incident, "ID", "The incident that it belongs to, as in SA-20261120-001")        \
        X(REASON, "reason", TEXT, reason, "TEXT", "Why, in your words; it is signed and kept")                         \
        X(PROFILE, "profile", PROFILE, profile, "default|logs|full", "How much evidence: logs takes no memory")        \
        X(LEASE, "lease", SPAN, lease_ms, "D", "Ends by itself after that long: 10s, 15m, 2h")                         \
        X(PERMIT, "permit", LIST, permits, "NET[:PORT[/PROTO]]",                                                       \
          "Stays reachable: 10.0.0.5:443/tcp, [fd00::/8]; repeatable")                                                 \
        X(EXPIRES, "expires", SPAN, expires_ms, "D",                                                                   \
          "How long the signed file is good for: 10m of an order, 365d of a trust root")                               \
        X(STEP, "step", FLAG, step, NULL, "Thaw, and leave the network cut off until the next release")                \
        X(OUT, "out", TEXT, out, "FILE", "Write the signed file there and send nothing")                               \
        X(JSON, "json", FLAG, json, NULL, "One object a line for each host, then a summary object")                    \
        X(TIMEOUT, "timeout", SPAN, timeout_ms, "D", "Wait that long for the answer; 30s when not given")              \
        X(YES, "yes", FLAG, yes, NULL, "Do not ask")                                                                   \
        X(SOCKET, "socket", TEXT, socket, "PATH", "The agent's socket; /run/freezed/command.sock when not given")      \
        X(HOSTS_FILE, "hosts-file", TEXT, hosts_file, "FILE", "The known hosts, instead of the usual two files")       \
        X(TRUST, "trust", TEXT, trust, "FILE", "The trust root; /etc/freezed/trust.json when not given")               \
        X(FLEET, "fleet", TEXT, fleet, "NAME", "The fleet it is for; the trust root's when not given")                 \
        X(PERSON, "person", LIST, people, "NAME=FILE.pub",                                                             \
          "Somebody and a key of theirs; repeatable, also for more keys")                                              \
        X(RESPONDER, "responder", LIST, responders, "NAME=FILE.pub", "A person in the role responder; repeatable")     \
        X(AUTOMATION, "automation", LIST, automations, "NAME=FILE.pub",                                                \
          "A program in the role automation; repeatable")                                                              \
        X(CUSTODIAN, "custodian", LIST, custodians, "NAME=FILE.pub",                                                   \
          "A person in the role custodian, who orders nothing but about evidence; repeatable")                         \
        X(REGISTRAR, "registrar", LIST, registrars, "NAME=FILE.pub",                                                   \
          "A person who certifies what hosts are, and releases nothing; repeatable")                                   \
        X(HERALD, "herald", LIST, heralds, "NAME=FILE.pub",                                                            \
          "A machine that says what is being ordered, so that hosts notice what does not reach them; repeatable")      \
        X(ROLE, "role", LIST, roles, "ROLE=NAME,...", "Exactly these people have the role; repeatable")                \
        X(RULE, "rule", LIST, rules, "VERB,..:ROLE:K[:LEASE[:SEVERITY,..[:KIND,..[:HOSTS]]]]",                         \
          "K people of ROLE may order VERB; repeatable")                                                               \
        X(DEFAULT_RULES, "default-rules", FLAG, default_rules, NULL, "The usual rules beside those of --rule")         \
        X(ROOT, "root", TEXT, root, "NAME,...", "Who signs the trust root; all responders when not given")             \
        X(ROOT_THRESHOLD, "root-threshold", COUNT, root_threshold, "K", "That many of them; 2 when there are two")     \
        X(RECIPIENT, "recipient", LIST, recipients, "age1...",                                                         \
          "Evidence is sealed to this public key of age (age-keygen); repeatable")                                     \
        X(RETENTION, "retention", SPAN, retention_ms, "D",                                                             \
          "Evidence is deleted after that long, as in 90d; when not given, only by an order")                          \
        X(WITNESS, "witness", LIST, witnesses, "NAME+ID+KEY",                                                          \
          "Keeps the heads of the hosts' ledgers: a key for cosignatures, as C2SP writes it; repeatable")              \
        X(ADD_PERSON, "add-person", LIST, people, "NAME=FILE.pub", "Adds somebody, or a key of theirs; repeatable")    \
        X(REMOVE_PERSON, "remove-person", LIST, removed, "NAME",                                                       \
          "Takes somebody out, with keys and roles; repeatable")                                                       \
        X(FROM, "from", TEXT, from, "OLD", "The trust root that this one follows")                                     \
        X(IDENTITY, "identity", TEXT, identity, "FILE", "The secret key of age that opens evidence (age-keygen)")      \
        X(CONFIG_DIR, "config-dir", TEXT, config_dir, "DIR", "Instead of /etc/freezed")                                \
        X(STATE_DIR, "state-dir", TEXT, state_dir, "DIR", "Instead of /var/lib/freezed")                               \
        X(NAME, "name", TEXT, name, "NAME", "What to call this host; its host name when not given")                    \
        X(HOST, "host", TEXT, host, "NAME|FPR",                                                                        \
          "A known host, by name or fingerprint; the one that answers here when not given")                            \
        X(KEY_FILE, "key-file", TEXT, key_file, "PUB", "The public key of a host (its host_key.pub)")                  \
        X(GROUP, "group", LIST, groups, "NAME", "A group that the host is of; repeatable")                             \
        X(SERIAL, "serial", SERIAL, serial, "N", "Higher than the last one; the time in ms when not given")            \
        X(RULES, "rules", TEXT, rules_file, "FILE",                                                                    \
          "Which event orders what; packaging/doc/escalation.md has its members")                                      \
        X(STDIN, "stdin", TEXT, input, "SOURCE",                                                                       \
          "Read events, one a line: falco, tetragon, cloudevents or alertmanager")                                     \
        X(LISTEN, "listen", TEXT, listen, "[ADDRESS:]PORT", "Take webhooks there; on loopback unless an address says") \
        X(TOKEN_FILE, "token-file", TEXT, token_file, "FILE", "Senders of webhooks have this bearer token")            \
        X(TLS, "tls", TEXT, tls, "DIR", "cert.pem and key.pem; with a ca.pem senders need a certificate by it")        \
        X(DRY_RUN, "dry-run", FLAG, dry_run, NULL, "Say what would be ordered, and order nothing")                     \
        X(WEBHOOK, "webhook", TEXT, webhook, "URL", "Post each signed receipt there, as a CloudEvent")                 \
        X(EXPORT, "export", TEXT, export, "FILE", "Print that signed order as an OpenC2 command")                      \
        X(NATS, "nats", TEXT, nats, "URL|FILE",                                                                        \
          "Over the fleet's brokers: nats://HOST:PORT, or a file with servers, ca, cert, key and nkey")                \
        X(INVENTORY, "inventory", TEXT, inventory, "FILE",                                                             \
          "The fleet's hosts; ~/.config/freezed/inventory.jsonl, then /etc/freezed/inventory.jsonl when not given")    \
        X(MAX_HOSTS, "max-hosts", SERIAL, max_hosts, "N",                                                              \
          "Signed, and refused here, when it would be for more hosts; as many as the inventory has when not given")    \
        X(WAVE, "wave", TEXT, wave, "N,P%,100%",                                                                       \
          "So many hosts first; the next wave when every host of the one before is verified, and says so again")       \
        X(WAIT_WAVE, "wait-wave", SPAN, wait_wave_ms, "D", "Between two waves; then the first one is asked again")     \
        X(ONCE, "once", FLAG, once, NULL, "Do it one time, and end")                                                   \
        X(ORDERS, "orders", TEXT, orders, "FILE|DIR",                                                                  \
          "Signed orders, an envelope a line, that are listed whatever the brokers have; read each time")              \
        X(NKEYS, "nkeys", TEXT, nkeys, "FILE",                                                                         \
          "Who logs in with which nkey, a line each: NAME NKEY, operator=NAME NKEY, herald=NAME NKEY, "                \
          "automation=NAME NKEY")

enum option {
#define X(name, ...) OPTION_##name,
        OPTION_TABLE(X)
#undef X
                _OPTION_MAX,
};

_Static_assert(_OPTION_MAX <= 64, "a set of options is one 64-bit word");
#define OPTION_BIT(name) (UINT64_C(1) << OPTION_##name)

struct option_info {
        const char *name, *arg, *text;
};

/* o must be of the table. */
const struct option_info *option_info(enum option o);

/* Sorts the words into options and positional ones, in any order; "--" ends the options. words is rewritten so that the
 * *ret_n positional words come first. Returns 0, or CTL_USAGE and *w; *ret is then half filled. "--help" sets *ret_help
 * and ends the parsing. */
int option_parse(char **words, size_t n, uint64_t allowed, struct options *ret, size_t *ret_n, bool *ret_help,
                 struct why *w) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */

/* freezed-relay: the host's end of the fleet. Reads how to reach the brokers, gives up what it does not need any more,
 * and runs until somebody ends it. It ends itself when the client library does not return (leash.h). */

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "agent/relay/aside.h"
#include "agent/relay/inbox.h"
#include "agent/relay/leash.h"
#include "agent/relay/line.h"
#include "agent/relay/relay.h"
#include "agent/relay/sandbox.h"
#include "agent/util/io.h"
#include "agent/util/log.h"
#include "policy/broker.h"
#include "policy/cleanup.h"
#include "policy/nkey.h"
#include "policy/reason.h"

#define CONFIG_FILE "/etc/freezed/relay.json"
#define GATE_SOCKET "/run/freezed/command.sock"
#define EXIT_USAGE  2

static struct nkey login;

static int failed(int error, const char *what) {
        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "relay"), "%s: %s", what, strerror(-error));
        return EXIT_FAILURE;
}

static int read_config(const char *path, struct broker *ret) {
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        size_t n;
        int r;

        r = io_read_file(AT_FDCWD, path, BROKER_FILE_MAX, &text, &n);
        if (r < 0)
                return r;
        r = broker_parse((const uint8_t *) text, n, ret, &reason);
        if (r == 0 && reason != REASON_NONE) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "relay", .reason = reason_id(reason)), "%s: %s", path,
                          reason_text(reason));
                r = -EINVAL;
        }
        return r;
}

static int read_login(const char *path) {
        char *text;
        size_t n;
        int r;

        r = io_read_file(AT_FDCWD, path, NKEY_SEED_LENGTH + 1, &text, &n);
        if (r < 0)
                return r;
        r = nkey_from_seed(text, n, &login);
        sodium_memzero(text, n);
        free(text);
        return r;
}

/* An unseeded jansson hashes an attacker's member names predictably. */
static int seed(void) {
        if (sodium_init() < 0 || sodium_mlock(&login, sizeof(login)) < 0)
                log_event(LOG_NOTICE, NULL, NULL, "The key that logs in is not locked in memory");
        json_object_seed(randombytes_random() | 1);
        return 0;
}

static int loop(const struct broker *b, const char *gate, const char *dir, int64_t patience_us) {
        _cleanup_(inbox_freep) struct inbox *inbox = NULL;
        sd_event *event = NULL;
        struct relay *relay;
        struct line *line;
        int r;

        r = inbox_new(&inbox);
        if (r == 0)
                r = sd_event_new(&event);
        if (r < 0)
                return failed(r, "Cannot make an event loop");
        r = line_new(b, b->nkey[0] ? &login : NULL, inbox, &line);
        if (r < 0)
                return failed(r, "The client library does not take the certificates");
        r = relay_new(event, b, inbox, line, gate, dir, patience_us, &relay);
        if (r < 0)
                return failed(r, "Cannot start");
        (void) sd_event_set_watchdog(event, true);
        (void) sd_notify(false, "READY=1");
        r = sd_event_loop(event);
        (void) failed(r, "The event loop ended");
        /* nothing of the library is waited for */
        _exit(EXIT_FAILURE);
}

static int run(const char *config, const char *gate, const char *dir, int64_t patience_us) {
        static struct broker broker;
        int r;

        log_open();
        r = seed();
        if (r == 0)
                r = read_config(config, &broker);
        if (r < 0)
                return failed(r, "Cannot read the configuration");
        r = broker.nkey[0] ? read_login(broker.nkey) : 0;
        if (r < 0)
                return failed(r, "Cannot read the seed of the nkey");
        r = leash_open();
        if (r == 0)
                r = sandbox_enter(dir);
        return r < 0 ? failed(r, "Cannot confine itself") : loop(&broker, gate, dir, patience_us);
}

/* An order waits for no longer than it does without the option. */
static bool set_patience(const char *ms, int64_t *ret_us) {
        char *end;
        const long n = strtol(ms, &end, 10);

        if (*end || end == ms || n < 0 || n > ASIDE_WAIT_US / 1000)
                return false;
        *ret_us = n * 1000;
        return true;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "gate", required_argument, NULL, 'g' },
                { "state", required_argument, NULL, 's' },
                { "patience", required_argument, NULL, 'p' },
                {},
        };
        const char *config = CONFIG_FILE, *gate = GATE_SOCKET, *dir = getenv("RUNTIME_DIRECTORY");
        int64_t patience_us = ASIDE_WAIT_US;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option == 'c')
                        config = optarg;
                else if (option == 'g')
                        gate = optarg;
                else if (option == 's')
                        dir = optarg;
                else if (option == 'p' && set_patience(optarg, &patience_us))
                        continue;
                else
                        return EXIT_USAGE;
        if (optind != argc) {
                (void) fprintf(stderr,
                               "Usage: %s [--config FILE] [--gate SOCKET] [--state DIRECTORY] [--patience MS]\n",
                               program_invocation_short_name);
                return EXIT_USAGE;
        }
        return run(config, gate, dir, patience_us);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* freezed, the core: starts what it needs, takes from itself what it does not, and serves the gate. It never ends a
 * hold because it ends: links are pinned and cgroups stay frozen. */

#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <sodium.h>
#include <systemd/sd-daemon.h>

#include "agent/core/agent.h"
#include "agent/core/head.h"
#include "agent/core/link.h"
#include "agent/core/pipeline.h"
#include "agent/core/record.h"
#include "agent/core/recover.h"
#include "agent/core/sandbox.h"
#include "agent/core/snapshot.h"
#include "agent/util/log.h"
#include "agent/util/version.h"

static const struct {
        const char *name, *value, *text;
        size_t field;
} options[] = {
        { "trust", "FILE", "trust root", offsetof(struct config, trust) },
        { "policy", "FILE", "this host's policy", offsetof(struct config, policy) },
        { "state", "DIR", "host key, ledger, evidence", offsetof(struct config, state) },
        { "pins", "DIR", "on a bpffs: links of the isolation programs", offsetof(struct config, pins) },
        { "socket", "PATH", "where the gate connects, unless the service manager passes it",
          offsetof(struct config, socket) },
        { "collector", "FILE", "program that collects evidence", offsetof(struct config, collector) },
};

static const struct config defaults = {
        .trust = "/etc/freezed/trust.json",
        .policy = "/etc/freezed/policy.json",
        .state = "/var/lib/freezed",
        .pins = "/sys/fs/bpf/freezed",
        .socket = "/run/freezed/core.sock",
        .collector = "/usr/lib/freezed/freezed-collect",
};

static int usage(FILE *out, int code) {
        (void) fprintf(out, "freezed %s - holds services on signed command\n\n", AGENT_VERSION);
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                (void) fprintf(out, "  --%-10s %-5s %s (%s)\n", options[i].name, options[i].value, options[i].text,
                               *(const char *const *) ((const char *) &defaults + options[i].field));
        return code;
}

static int parse(int argc, char **argv, struct config *ret) {
        struct option table[ELEMENTSOF(options) + 1] = { 0 };
        int c, index;

        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                table[i] = (struct option) { .name = options[i].name, .has_arg = required_argument, .val = 1 };
        while ((c = getopt_long(argc, argv, "", table, &index)) != -1) {
                if (c != 1)
                        return -EINVAL;
                *(const char **) ((char *) ret + options[index].field) = optarg;
        }
        return optind == argc ? 0 : -EINVAL;
}

/* The agent and the way in, which ends before it. */
struct core {
        struct agent *agent;
        struct link *link;
};

static void core_done(struct core *c) {
        link_free(c->link);
        if (c->agent)
                snapshot_free_all(c->agent);
        agent_free(c->agent);
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        struct core *c = userdata;

        (void) s;
        (void) si;
        agent_reload(c->agent);
        link_send_keys(c->link);
        return 0;
}

/* From here on signals wait for the event loop. The self-test's child is forked before and keeps the defaults. */
static int block_signals(void) {
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGHUP);
        (void) sigaddset(&mask, SIGCHLD);
        return sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ? -errno : 0;
}

/* Each target of an order is a directory held open while it is carried out, and the self-test's child has six sockets
 * in each. */
static void raise_files(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        l.rlim_cur = l.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &l);
}

static int watch_signals(sd_event *event, struct core *c) {
        int r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);

        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGHUP, on_reload, c);
        return r;
}

static int serve(const struct config *config, sd_event *event, struct core *c) {
        struct probe *probe = NULL;
        struct agent *a;
        int r;

        raise_files();
        r = probe_start(&probe);
        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"), "No self-test: %s", strerror(-r));
        r = block_signals();
        if (r == 0)
                r = sandbox_no_network();
        if (r == 0)
                r = agent_new(config, event, &c->agent);
        if (r < 0) {
                probe_free(probe);
                return r;
        }
        a = c->agent;
        a->probe = probe;
        /* Before the gate is heard: what was held is held again before anyone can ask for more. */
        if (record_start(a) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"),
                          "The ledger cannot take a record: nothing is released");
        head_begin(a);
        recover_all(a);
        r = link_new(a, config->socket, pipeline_frame, &c->link);
        for (unsigned i = 0; i < a->turn.n_dying; i++)
                link_part(config->socket, a->turn.dying[i]);
        if (r == 0)
                r = watch_signals(event, c);
        if (r < 0)
                return r;
        agent_idle_work(a);
        (void) sd_event_set_watchdog(event, true);
        (void) sd_notifyf(false, "READY=1\nSTATUS=%zu holds active", hold_set_count(a->holds));
        return sd_event_loop(event);
}

int main(int argc, char **argv) {
        struct config config = defaults;
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(core_done) struct core core = { 0 };
        int r;

        if (argc == 2 && strcmp(argv[1], "--help") == 0)
                return usage(stdout, EXIT_SUCCESS);
        if (parse(argc, argv, &config) < 0)
                return usage(stderr, 2);
        log_open();
        r = sodium_init();
        if (r >= 0)
                r = sd_event_new(&event);
        if (r >= 0)
                r = serve(&config, event, &core);
        (void) sd_notify(false, "STOPPING=1");
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "start"), "Cannot go on: %s", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

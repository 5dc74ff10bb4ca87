/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/enrolled.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/text.h"

#define PATIENCE_S 10
#define AGAIN_MS   100

extern char **environ;

static int run(const char *const *argv) {
        posix_spawn_file_actions_t actions;
        pid_t pid;
        int status = -1;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -1;
        (void) posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *) argv, environ) == 0)
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
        (void) posix_spawn_file_actions_destroy(&actions);
        return status;
}

/* The trust root that is in force, new reference; NULL: nobody said, with a reason in c->why. */
static json_t *ask(struct ctl *c) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        struct receipt r = RECEIPT_NULL;
        json_t *trust = NULL;

        if (hosts_load(&c->opt, &known, &c->why) == 0 && exchange_query(c, "health", NULL, &known, &r) == 0 &&
            r.kind == RECEIPT_SIGNED)
                trust = json_incref(json_object_get(r.payload, "trust"));
        receipt_done(&r);
        return trust;
}

static bool is_in_force(const json_t *trust, const struct trust *t) {
        return strcmp(member_str(trust, "fleet"), t->fleet) == 0 && member_int(trust, "version", 0) == t->version;
}

/* A reload is a signal: the agent may not have come to it yet. */
static enum enrolled ask_until(struct ctl *c, const struct trust *t, char *ret_text, size_t size) {
        const time_t until = time(NULL) + PATIENCE_S;

        for (;;) {
                _cleanup_json_ json_t *trust = ask(c);
                if (trust && is_in_force(trust, t)) {
                        (void) snprintf(ret_text, size, "reloaded; it is in force");
                        return ENROLLED_IN_FORCE;
                }
                if (!trust || time(NULL) >= until) {
                        const char *const fleet = member_str(trust, "fleet");
                        if (!trust)
                                (void) snprintf(ret_text, size, "reloaded, but has not said so: freezectl health");
                        else
                                (void) snprintf(ret_text, size,
                                                "GOES ON WITH version %" PRId64
                                                " of fleet %s, which this one does not follow: systemctl restart "
                                                "freezed",
                                                member_int(trust, "version", 0), CLEAN(fleet));
                        c->why.text[0] = '\0';
                        return trust ? ENROLLED_NOT : ENROLLED_LATER;
                }
                (void) poll(NULL, 0, AGAIN_MS);
        }
}

enum enrolled enrolled_ask(struct ctl *c, const struct trust *t, char *ret_text, size_t size) {
        static const char *const active[] = { "systemctl", "is-active", "--quiet", "freezed.service", NULL };
        static const char *const reload[] = { "systemctl", "reload", "freezed.service", NULL };

        if (c->opt.config_dir || run(active) != 0) {
                (void) snprintf(ret_text, size, "not running; it reads the trust root when it starts");
                return ENROLLED_LATER;
        }
        if (run(reload) != 0) {
                (void) snprintf(ret_text, size, "COULD NOT BE RELOADED: systemctl reload freezed");
                return ENROLLED_NOT;
        }
        return ask_until(c, t, ret_text, size);
}

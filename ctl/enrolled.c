/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/enrolled.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <sodium.h>

#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/dsse.h"

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

/* One that nobody could read has no digest, and none is in force by it. */
static void payload_digest(const char *envelope, char ret[static 65]) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        uint8_t digest[32];
        enum reason reason;

        ret[0] = '\0';
        if (dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return;
        (void) crypto_hash_sha256(digest, d.payload, d.n_payload);
        (void) sodium_bin2hex(ret, 65, digest, sizeof(digest));
}

static bool is_in_force(const json_t *trust, const char *sha256) {
        return *sha256 && strcmp(member_str(trust, "sha256"), sha256) == 0;
}

/* A reload is a signal: the agent may not have come to it yet. */
static enum enrolled ask_until(struct ctl *c, const char *sha256, char *ret_text, size_t size) {
        const time_t until = time(NULL) + PATIENCE_S;

        for (;;) {
                _cleanup_json_ json_t *trust = ask(c);
                if (trust && is_in_force(trust, sha256)) {
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

enum enrolled enrolled_ask(struct ctl *c, const char *envelope, char *ret_text, size_t size) {
        static const char *const active[] = { "systemctl", "is-active", "--quiet", "freezed.service", NULL };
        static const char *const reload[] = { "systemctl", "reload", "freezed.service", NULL };
        char sha256[65];

        if (c->opt.config_dir || run(active) != 0) {
                (void) snprintf(ret_text, size, "not running; it reads the trust root when it starts");
                return ENROLLED_LATER;
        }
        if (run(reload) != 0) {
                (void) snprintf(ret_text, size, "COULD NOT BE RELOADED: systemctl reload freezed");
                return ENROLLED_NOT;
        }
        payload_digest(envelope, sha256);
        return ask_until(c, sha256, ret_text, size);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/file.h"
#include "ctl/rollout_kept.h"
#include "ctl/text.h"

#define DIR_NAME "rollouts/"
#define SUFFIX   ".jsonl"
/* hosts answer for it for longer, but who would still ask */
#define KEPT_MS (7LL * 24 * 3600 * 1000)

static bool path_of(const struct command_id *id, char ret[static PATH_MAX]) {
        char name[sizeof(DIR_NAME) + 32 + sizeof(SUFFIX)], hex[33];

        command_id_to_str(id, hex);
        (void) snprintf(name, sizeof(name), DIR_NAME "%s" SUFFIX, hex);
        return file_in_own_state(name, ret);
}

int rollout_keep(const struct command_id *id, const char *text, size_t n, char ret[static PATH_MAX]) {
        char path[PATH_MAX];
        int r;

        if (!path_of(id, path))
                return -ENOENT;
        r = file_make_parents(path);
        /* for its owner only: whoever has the bytes can send them */
        if (r == 0)
                r = file_create(path, text, n, 0600);
        if (r == 0)
                memcpy(ret, path, sizeof(path));
        return r;
}

/* -EBADMSG for what is no bundle. */
static int load(const char *path, struct bundle *ret) {
        _cleanup_free_ char *text = NULL;
        enum reason reason = REASON_NONE;
        size_t n = 0;
        int r = file_read_plain(path, BUNDLE_MAX, &text, &n);

        if (r == 0)
                r = bundle_parse(text, n, ret, &reason);
        return r == 0 && reason != REASON_NONE ? -EBADMSG : r;
}

/* Calls fn with each of them until it says that it took it over. */
static bool each(bool (*fn)(struct bundle *b, const char *path, void *userdata), void *userdata) {
        char dir[PATH_MAX], path[2 * PATH_MAX];
        bool taken = false;
        struct dirent *e;
        DIR *d;

        if (!file_in_own_state(DIR_NAME, dir))
                return false;
        d = opendir(dir);
        while (d && !taken && (e = readdir(d))) {
                struct bundle b = { .n = 0 };
                const size_t n = strlen(e->d_name);
                if (n != 32 + strlen(SUFFIX) || strcmp(e->d_name + 32, SUFFIX) != 0)
                        continue;
                (void) snprintf(path, sizeof(path), "%s%s", dir, e->d_name);
                if (strlen(path) >= PATH_MAX || load(path, &b) < 0)
                        continue;
                taken = fn(&b, path, userdata);
                if (!taken)
                        bundle_done(&b);
        }
        if (d)
                (void) closedir(d);
        return taken;
}

struct by_id {
        const struct command_id *id;
        struct bundle *ret;
        char *ret_path;
};

static bool is_of_id(struct bundle *b, const char *path, void *userdata) {
        struct by_id *x = userdata;

        for (size_t i = 0; i < b->n; i++)
                if (command_id_equal(&b->v[i].command->id, x->id)) {
                        *x->ret = *b;
                        (void) snprintf(x->ret_path, PATH_MAX, "%s", path);
                        return true;
                }
        return false;
}

int rollout_kept_load(const struct command_id *id, struct bundle *ret, char ret_path[static PATH_MAX], struct why *w) {
        struct by_id x = { id, ret, ret_path };
        char hex[33];

        command_id_to_str(id, hex);
        if (each(is_of_id, &x))
                return 0;
        return why_set(w, CTL_USAGE, "no rollout %s is kept here: it is over, or somebody else began it", hex);
}

struct by_order {
        const struct command *cmd;
        int64_t now_ms;
        struct command_id id;
        int64_t iat_ms;
};

static bool is_alike(struct bundle *b, const char *path, void *userdata) {
        const struct command *c = b->v[0].command;
        struct by_order *x = userdata;

        if (c->exp_ms + KEPT_MS <= x->now_ms)
                (void) unlink(path);
        if (c->exp_ms <= x->now_ms || !bundle_is_alike(c, x->cmd))
                return false;
        x->id = c->id;
        x->iat_ms = c->iat_ms;
        bundle_done(b);
        return true;
}

bool rollout_kept_find(const struct command *cmd, int64_t now_ms, struct command_id *ret, int64_t *ret_iat_ms) {
        struct by_order x = { .cmd = cmd, .now_ms = now_ms };

        if (!each(is_alike, &x))
                return false;
        *ret = x.id;
        *ret_iat_ms = x.iat_ms;
        return true;
}

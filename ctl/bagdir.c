/* SPDX-License-Identifier: Apache-2.0 */

#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/bagdir.h"
#include "ctl/text.h"

#define STATE_DIR "/var/lib/freezed"

const char *bagdir_state(const struct options *o) {
        return o->state_dir ? o->state_dir : STATE_DIR;
}

const char *bagdir_folder(const char *path) {
        const char *hold = strrchr(path, '/');

        while (hold && hold > path && hold[-1] != '/')
                hold--;
        return hold ? hold : path;
}

static int base(const struct options *o, char ret[static PATH_MAX], struct why *w) {
        const char *state = bagdir_state(o);
        struct stat st;

        if ((size_t) snprintf(ret, PATH_MAX, "%s/evidence", state) >= PATH_MAX)
                return why_set(w, CTL_USAGE, "--state-dir is too long");
        /* one that cannot be looked into must not look empty */
        if (access(state, R_OK | X_OK) < 0)
                return why_errno(w, -errno, "%s", CLEAN(state));
        if (stat(ret, &st) < 0 && errno != ENOENT)
                return why_errno(w, -errno, "%s", CLEAN(ret));
        return 0;
}

static int fail(const char *path, int err) {
        (void) path;
        (void) err;
        return 1;
}

int bagdir_all(const struct options *o, struct bagdir **ret, size_t *ret_n, struct why *w) {
        char pattern[PATH_MAX + 8], dir[PATH_MAX];
        struct bagdir *v;
        glob_t g;
        size_t n = 0;
        int r, x = base(o, dir, w);

        if (x != 0)
                return x;
        (void) snprintf(pattern, sizeof(pattern), "%s/*/*", dir);
        r = access(dir, F_OK) < 0 && errno == ENOENT ? GLOB_NOMATCH : glob(pattern, GLOB_ONLYDIR, fail, &g);
        if (r == GLOB_ABORTED)
                return why_errno(w, -errno, "%s", CLEAN(dir));
        v = calloc(r == 0 && g.gl_pathc > 0 ? g.gl_pathc : 1, sizeof(*v));
        for (size_t i = 0; v && r == 0 && i < g.gl_pathc; i++)
                if ((size_t) snprintf(v[n].path, sizeof(v[n].path), "%s", g.gl_pathv[i]) < sizeof(v[n].path))
                        n++;
        if (r == 0)
                globfree(&g);
        if (!v)
                return why_errno(w, -ENOMEM, "evidence");
        *ret = v;
        *ret_n = n;
        return 0;
}

/* The last part but one is the incident, the last one the hold. */
static bool is_meant(const char *path, const char *word) {
        const char *hold = strrchr(path, '/') + 1;
        const size_t n = strlen(word);

        if (strncmp(hold, word, n) == 0)
                return true;
        return (size_t) (hold - path) > n + 1 && memcmp(hold - 1 - n, word, n) == 0 && hold[-2 - (ptrdiff_t) n] == '/';
}

#define EXPORTED "data/evidence"

/* An exported bag has the host's own inside. */
static int of_path(const char *word, struct bagdir *ret, struct why *w) {
        char inside[PATH_MAX + sizeof("/" EXPORTED "/evidence.dsse.json")];
        const bool in = snprintf(inside, sizeof(inside), "%s/" EXPORTED "/evidence.dsse.json", word) > 0 &&
                        access(inside, F_OK) == 0;

        if ((size_t) snprintf(ret->path, sizeof(ret->path), "%s%s", word, in ? "/" EXPORTED : "") >= sizeof(ret->path))
                return why_set(w, CTL_USAGE, "the path is too long");
        return 0;
}

int bagdir_match(const struct options *o, const char *word, struct bagdir **ret, size_t *ret_n, struct why *w) {
        _cleanup_free_ struct bagdir *all = NULL;
        size_t n = 0, found = 0;

        int x = bagdir_all(o, &all, &n, w);
        if (x != 0)
                return x;
        for (size_t i = 0; i < n; i++)
                if (is_meant(all[i].path, word))
                        all[found++] = all[i];
        if (found == 0)
                return why_set(w, CTL_USAGE,
                               "this host has no evidence of \"%s\"; `freezectl evidence list` shows what it has, and "
                               "a folder is written with a slash",
                               CLEAN(word));
        *ret = TAKE_PTR(all);
        *ret_n = found;
        return 0;
}

int bagdir_find(const struct options *o, const char *word, struct bagdir *ret, struct why *w) {
        _cleanup_free_ struct bagdir *all = NULL;
        size_t n = 0;

        if (strchr(word, '/') || strcmp(word, ".") == 0)
                return of_path(word, ret, w);
        int x = bagdir_match(o, word, &all, &n, w);
        if (x == 0 && n > 1)
                return why_set(w, CTL_USAGE, "\"%s\" means %zu folders: give more of the hold's id", CLEAN(word), n);
        if (x == 0)
                *ret = all[0];
        return x;
}

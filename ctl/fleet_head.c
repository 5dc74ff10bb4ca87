/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "ctl/fleet_head.h"
#include "ctl/file.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define STATE_DIR      "/var/lib/freezed"
#define STATE_FILE_MAX 4096U

int64_t fleet_head_next(int64_t now_ms, int64_t said, int64_t seen) {
        const int64_t most = now_ms + FLEET_HEAD_AHEAD_MS;
        int64_t n = now_ms;

        if (said <= most)
                n = MAX(n, said + 1);
        if (seen <= most)
                n = MAX(n, seen + 1);
        return n;
}

/* The directory is locked, not the file, which is another one each time. */
static int lock_state(struct fleet_head *h, const char *dir) {
        struct why *w = &h->c->why;

        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return why_errno(w, -errno, "%s", CLEAN(dir));
        h->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (h->lock >= 0 && flock(h->lock, LOCK_EX | LOCK_NB) >= 0)
                return 0;
        if (errno == EWOULDBLOCK)
                return why_set(w, CTL_MACHINE,
                               "%s: another herald is at work there; give this one a --state-dir of its own",
                               CLEAN(dir));
        return why_errno(w, -errno, "%s", CLEAN(dir));
}

/* FAIL-OPEN: a file that cannot be read is none: the number is the time at least, and a head that is not said makes a
 * fleet deaf. */
int fleet_head_open_state(struct fleet_head *h) {
        const char *dir = h->c->opt.state_dir ? h->c->opt.state_dir : STATE_DIR;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        if ((size_t) snprintf(h->state_path, sizeof(h->state_path), "%s-herald/state.json", dir) >=
            sizeof(h->state_path))
                return why_set(&h->c->why, CTL_USAGE, "--state-dir is too long");
        char *slash = strrchr(h->state_path, '/');
        *slash = '\0';
        int x = lock_state(h, h->state_path);
        *slash = '/';
        if (x != 0)
                return x;
        int r = file_read_plain(h->state_path, STATE_FILE_MAX, &text, &n);
        _cleanup_json_ json_t *o = r < 0 ? NULL : json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
        h->said = MAX(member_int(o, "n", 0), (int64_t) 0);
        if (r != -ENOENT && (h->said == 0 || h->said > SCHEMA_INT_MAX)) {
                h->said = 0;
                fprintf(stderr, "freezectl: %s is not what was written there; counting on from the time\n",
                        CLEAN(h->state_path));
        }
        return 0;
}

int fleet_head_save_state(const struct fleet_head *h, int64_t n) {
        char text[64];
        int length = snprintf(text, sizeof(text), "{\"v\":1,\"n\":%" PRId64 "}\n", n);

        return file_replace(h->state_path, text, (size_t) length, 0600);
}

void fleet_head_again(struct fleet_head *h) {
        h->from = 1;
        h->rounds = 0;
        h->in_stream = (struct fleet_head_unlisted) { 0 };
}

struct fleet_head_unlisted fleet_head_unlisted(const struct fleet_head *h) {
        return (struct fleet_head_unlisted) { h->in_stream.strays + h->in_files.strays,
                                              h->in_stream.crowded + h->in_files.crowded };
}

void fleet_head_forget(struct fleet_head *h) {
        active_anew(&h->active);
        fleet_head_again(h);
}

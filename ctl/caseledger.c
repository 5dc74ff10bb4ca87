/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/caseledger.h"
#include "ctl/extract.h"
#include "ctl/member.h"

#define NAME      "ledger.jsonl"
#define DATA_NAME "data/" NAME
/* a larger one is copied, and not read for events */
#define EVENTS_FILE_MAX (64 * 1024 * 1024)

struct work {
        const struct bag *bag;
        struct outbox *box;
        struct caseevents *events;
        FILE *f; /* what is taken */
        uint64_t records, bad;
        struct why *w;
};

static int add_record(const char *body, size_t n, const json_t *o, void *userdata) {
        struct work *k = userdata;
        int r = caseevents_record(k->events, o);

        if (r == 0 && (fwrite(body, 1, n, k->f) != n || putc('\n', k->f) == EOF))
                r = -EIO;
        k->records += r == 0;
        return r;
}

/* STATE/ledger, of a folder that is STATE/evidence/INCIDENT/HOLD. */
static bool find_ledger(const struct work *k, char ret[static PATH_MAX]) {
        char self[64], path[PATH_MAX] = "", *slash = NULL;

        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", k->bag->dir);
        if (readlink(self, path, sizeof(path) - 1) < 0)
                return false;
        for (size_t up = 0; up < 2; up++) {
                slash = strrchr(path, '/');
                if (!slash)
                        return false;
                *slash = '\0';
        }
        slash = strrchr(path, '/');
        if (!slash || strcmp(slash, "/evidence") != 0)
                return false;
        *slash = '\0';
        return (size_t) snprintf(ret, PATH_MAX, "%s/ledger", path) < PATH_MAX && access(ret, F_OK) == 0;
}

static int take_from_host(struct work *k, const char *dir) {
        char path[PATH_MAX];
        int r;

        if ((size_t) snprintf(path, sizeof(path), "%s/" NAME, outbox_work(k->box)) >= sizeof(path))
                return why_errno(k->w, -ENAMETOOLONG, NAME);
        k->f = fopen(path, "wxe");
        r = k->f ? extract_read(dir, member_str(k->bag->predicate, "hold"), add_record, k, &k->bad) : -errno;
        if (k->f && fclose(k->f) != 0)
                r = -EIO;
        return r < 0 ? why_errno(k->w, r, "ledger") : outbox_move(k->box, DATA_NAME, NAME, k->w);
}

/* What somebody made whom nobody has to believe: the copy is as it is, and only what is a record is an event. */
static int read_events(struct work *k, int fd) {
        _cleanup_free_ char *line = NULL;
        struct stat st;
        FILE *f = fstat(fd, &st) < 0 || st.st_size > EVENTS_FILE_MAX ? NULL : fdopen(fd, "r");
        size_t size = 0;
        int r = 0;

        if (!f) {
                (void) close(fd);
                k->bad++;
                return 0;
        }
        for (ssize_t n; r == 0 && (n = getline(&line, &size, f)) > 0;) {
                _cleanup_json_ json_t *o = json_loadb(line, (size_t) n, JSON_REJECT_DUPLICATES, NULL);

                if (json_is_object(o))
                        r = caseevents_record(k->events, o);
                k->records += json_is_object(o);
                k->bad += !json_is_object(o);
        }
        (void) fclose(f);
        return r;
}

static int open_beside(const struct work *k, const char *name) {
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d/../%s", k->bag->dir, name);
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int copy_beside(struct work *k, const char *name, const char *inside) {
        _cleanup_close_ int fd = open_beside(k, name);

        if (fd == -ENOENT)
                return 0;
        return fd < 0 ? why_errno(k->w, fd, "%s", name) : outbox_copy(k->box, inside, fd, NULL, k->w);
}

static int take_from_bag(struct work *k) {
        int x = copy_beside(k, NAME, DATA_NAME);

        if (x == 0)
                x = copy_beside(k, "custody.dsse.json", "data/custody-before.dsse.json");
        if (x != 0)
                return x;
        int fd = open_beside(k, NAME), r = fd < 0 ? 0 : read_events(k, fd);

        return r < 0 ? why_errno(k->w, r, NAME) : 0;
}

int caseledger_take(const struct bag *b, struct outbox *box, struct caseevents *events, uint64_t *ret_records,
                    uint64_t *ret_bad, struct why *w) {
        struct work k = { .bag = b, .box = box, .events = events, .w = w };
        char dir[PATH_MAX];
        int x = find_ledger(&k, dir) ? take_from_host(&k, dir) : take_from_bag(&k);

        if (x != 0)
                return x;
        *ret_records = k.records;
        *ret_bad = k.bad;
        return 0;
}

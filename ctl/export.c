/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "ctl/caseevents.h"
#include "ctl/caseledger.h"
#include "ctl/export.h"
#include "ctl/export_readme.h"
#include "ctl/member.h"
#include "ctl/outbox.h"
#include "ctl/render_bag.h"
#include "ctl/text.h"

#define OPENED      "opened"
#define REBUILD     "/lib/systemd/systemd-journal-remote"
#define IN_EVIDENCE "data/evidence/"

struct core_pid {
        char name[SUMS_NAME_MAX + 1];
        int64_t pid;
};

struct work {
        const struct bag *bag;
        const struct anchor *anchor;
        const struct identities *with;
        struct outbox *box;
        struct caseevents *events;
        FILE *ledger;           /* what is taken out of it */
        struct core_pid *cores; /* owned; whose memory is in which object */
        size_t n_cores;
        struct exported *done;
        struct why *w;
};

static int copy_one(struct work *k, const char *name, const uint8_t *sha256) {
        _cleanup_close_ int fd = bag_open_file(k->bag, name);
        char inside[OUTBOX_NAME_MAX + 1];

        if (fd < 0)
                return why_errno(k->w, fd, "%s", CLEAN(name));
        (void) snprintf(inside, sizeof(inside), IN_EVIDENCE "%s", name);
        return outbox_copy(k->box, inside, fd, sha256, k->w);
}

/* What may be there and lists itself in no manifest: each is signed by the host for itself. */
static int copy_if_there(struct work *k, const char *name) {
        _cleanup_close_ int fd = bag_open_file(k->bag, name);
        char inside[OUTBOX_NAME_MAX + 1];

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return why_errno(k->w, fd, "%s", CLEAN(name));
        (void) snprintf(inside, sizeof(inside), IN_EVIDENCE "%s", name);
        return outbox_copy(k->box, inside, fd, NULL, k->w);
}

/* What carries the proof; of the four that no manifest lists, the first two were verified and the last two are its
 * twin for openssl. */
static int copy_evidence(struct work *k, bool sealed) {
        static const char *const proof[] = { "evidence.dsse.json", "tagmanifest-sha256.txt",
                                             "tagmanifest-sha256.txt.sig", "host_key.pem" };
        static const char *const more[] = { "keeping.dsse.json", "tombstone.dsse.json", "deletion.dsse.json" };
        int x = 0;

        for (size_t i = 0; x == 0 && i < ELEMENTSOF(proof); i++)
                x = copy_one(k, proof[i], NULL);
        for (size_t i = 0; x == 0 && i < ELEMENTSOF(more); i++)
                x = copy_if_there(k, more[i]);
        if (x == 0 && k->anchor->proof)
                x = outbox_put(k->box, IN_EVIDENCE ANCHOR_PROOF, k->anchor->proof, k->anchor->n_proof, k->w);
        for (size_t i = 0; x == 0 && i < k->bag->tags.n; i++)
                x = copy_one(k, k->bag->tags.v[i].name, k->bag->tags.v[i].sha256);
        /* of what was deleted there is a tombstone, and this is empty */
        for (size_t i = 0; x == 0 && sealed && !k->bag->tombstone && i < k->bag->data.n; i++)
                x = copy_one(k, k->bag->data.v[i].name, k->bag->data.v[i].sha256);
        return x;
}

static FILE *open_work(const struct work *k, const char *name) {
        char path[PATH_MAX];

        if ((size_t) snprintf(path, sizeof(path), "%s/%s", outbox_work(k->box), name) >= sizeof(path))
                return NULL;
        return fopen(path, "re");
}

/* The export format's own tool, from its own place, with nothing of ours in its environment. */
static bool rebuild(const struct work *k, const char *from, const char *to) {
        char out[PATH_MAX + 16], in[PATH_MAX];
        char *argv[] = { (char *) REBUILD, (char *) "-o", out, in, NULL };
        char *env[] = { (char *) "SYSTEMD_LOG_LEVEL=crit", NULL };
        posix_spawn_file_actions_t quiet;
        int status = -1;
        pid_t pid;

        (void) snprintf(out, sizeof(out), "%s/%s", outbox_work(k->box), to);
        (void) snprintf(in, sizeof(in), "%s/%s", outbox_work(k->box), from);
        if (access(REBUILD, X_OK) < 0 || posix_spawn_file_actions_init(&quiet) != 0)
                return false;
        if (posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
            posix_spawn_file_actions_adddup2(&quiet, STDOUT_FILENO, STDERR_FILENO) == 0 &&
            posix_spawn(&pid, REBUILD, &quiet, NULL, argv, env) == 0)
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        continue;
        (void) posix_spawn_file_actions_destroy(&quiet);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 && access(out, R_OK) == 0;
}

/* name: NNNNNN-KIND. Read before it moves. */
static int take_journal(struct work *k, const char *name) {
        char from[128], inside[128], made[128];
        FILE *f;
        int r, x;

        (void) snprintf(from, sizeof(from), OPENED "/objects/%.63s", name);
        (void) snprintf(inside, sizeof(inside), "data/journal/%.63s.export", name);
        (void) snprintf(made, sizeof(made), "%.63s.journal", name);
        f = open_work(k, from);
        r = f ? caseevents_journal(k->events, f, inside + strlen("data/")) : -EIO;
        if (f)
                (void) fclose(f);
        if (r < 0)
                return why_errno(k->w, r, "%s", name);
        const bool rebuilt = rebuild(k, from, made);

        x = outbox_move(k->box, inside, from, k->w);
        k->done->journals++;
        if (x != 0 || !rebuilt)
                return x;
        (void) snprintf(inside, sizeof(inside), "data/journal/%.100s", made);
        k->done->rebuilt++;
        return outbox_move(k->box, inside, made, k->w);
}

static int take_core(struct work *k, const char *name) {
        char from[128], inside[128];
        int64_t pid = 0;

        for (size_t i = 0; i < k->n_cores; i++)
                if (strcmp(k->cores[i].name, name) == 0)
                        pid = k->cores[i].pid;
        (void) snprintf(from, sizeof(from), OPENED "/objects/%.63s", name);
        (void) snprintf(inside, sizeof(inside), "data/cores/%.6s-%" PRIi64 ".core", name, pid);
        k->done->cores++;
        return outbox_move(k->box, inside, from, k->w);
}

static int take_object(struct work *k, const char *name) {
        char from[128], inside[128];

        (void) snprintf(from, sizeof(from), OPENED "/objects/%.63s", name);
        (void) snprintf(inside, sizeof(inside), "data/objects/%.63s", name);
        return outbox_move(k->box, inside, from, k->w);
}

/* By what comes after the number. Names were given by the host and taken by opened.c. */
static int take_one(struct work *k, const char *name) {
        /* the kinds that agent/collect/journal.h exports */
        static const char *const journals[] = { "journal", "journal-kernel", "journal-host" };
        const char *kind = strchr(name, '-');

        if (kind && strcmp(kind, "-core") == 0 && kind == name + 6)
                return take_core(k, name);
        for (size_t i = 0; kind && i < ELEMENTSOF(journals); i++)
                if (strcmp(kind + 1, journals[i]) == 0)
                        return take_journal(k, name);
        return take_object(k, name);
}

static int is_object(const struct dirent *e) {
        return e->d_name[0] != '.';
}

static int take_objects(struct work *k) {
        char path[PATH_MAX];
        struct dirent **v = NULL;
        int n, x = 0;

        (void) snprintf(path, sizeof(path), "%s/" OPENED "/objects", outbox_work(k->box));
        n = scandir(path, &v, is_object, alphasort);
        if (n < 0)
                return why_errno(k->w, -errno, "evidence");
        for (int i = 0; i < n; i++) {
                if (x == 0)
                        x = take_one(k, v[i]->d_name);
                free(v[i]);
        }
        free(v);
        return x;
}

static int note_core(struct work *k, const struct indexline *l) {
        struct core_pid *more;

        if (l->what != INDEXLINE_OBJECT || strcmp(l->kind, "core") != 0)
                return 0;
        more = reallocarray(k->cores, k->n_cores + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        k->cores = more;
        more[k->n_cores].pid = l->pid;
        (void) snprintf(more[k->n_cores++].name, sizeof(more->name), "%s", l->name);
        return 0;
}

static int read_index(struct work *k) {
        _cleanup_free_ char *line = NULL;
        FILE *f = open_work(k, OPENED "/index.jsonl");
        size_t size = 0;
        int r = f ? 0 : -EIO;

        for (ssize_t n; r == 0 && (n = getline(&line, &size, f)) > 0;) {
                _cleanup_(indexline_done) struct indexline l = { .pid = 0 };

                r = indexline_parse(line, (size_t) n, &l);
                r = r == 0 ? note_core(k, &l) : r == -EBADMSG ? 0 : r;
        }
        if (f)
                rewind(f);
        if (r == 0)
                r = caseevents_index(k->events, f);
        if (f)
                (void) fclose(f);
        return r < 0 ? why_errno(k->w, r, "index.jsonl") : 0;
}

static int open_everything(struct work *k) {
        char path[PATH_MAX];
        int x;

        if ((size_t) snprintf(path, sizeof(path), "%s/" OPENED, outbox_work(k->box)) >= sizeof(path))
                return why_set(k->w, CTL_USAGE, "--out is too long");
        x = opened_make(k->bag, k->with, path, &k->done->opened, k->w);
        if (x == 0)
                x = read_index(k);
        if (x == 0)
                x = take_objects(k);
        return x == 0 ? outbox_move(k->box, "data/index.jsonl", OPENED "/index.jsonl", k->w) : x;
}

static int put_lists(struct work *k) {
        static const char *const lists[] = { CASEEVENTS_SKETCH, CASEEVENTS_IRIS, CASEEVENTS_BODY };
        int r = caseevents_finish(k->events, &k->done->events, &k->done->bad), x = 0;

        if (r < 0)
                return why_errno(k->w, r, "timeline");
        for (size_t i = 0; x == 0 && i < ELEMENTSOF(lists); i++) {
                char inside[64];

                (void) snprintf(inside, sizeof(inside), "data/%s", lists[i]);
                x = outbox_move(k->box, inside, lists[i], k->w);
        }
        return x;
}

static int finish(struct work *k) {
        const time_t now = time(NULL);
        _cleanup_free_ char *readme = export_readme(k->bag, k->with);
        char date[16] = "", info[512];
        struct tm tm;
        int x;

        if (!readme)
                return why_errno(k->w, -ENOMEM, "README.txt");
        if (gmtime_r(&now, &tm))
                (void) strftime(date, sizeof(date), "%Y-%m-%d", &tm);
        (void) snprintf(info, sizeof(info),
                        "Bagging-Date: %s\nBag-Software-Agent: freezectl\nExternal-Identifier: %s\nFreezed-Host: %s\n"
                        "Freezed-Incident: %s\n",
                        date, CLEAN(member_str(k->bag->predicate, "hold")), k->bag->host,
                        CLEAN(member_str(k->bag->predicate, "incident")));
        x = outbox_put(k->box, "README.txt", readme, strlen(readme), k->w);
        return x == 0 ? outbox_finish(k->box, info, k->w) : x;
}

static int make(struct work *k, const struct custody_told *told) {
        int r = caseevents_new(outbox_work(k->box), k->bag, &k->events), x = 0;

        if (r == 0)
                r = caseevents_bag(k->events);
        if (r == 0)
                x = copy_evidence(k, !k->with);
        if (r == 0 && x == 0 && k->with)
                x = open_everything(k);
        if (r == 0 && x == 0)
                x = caseledger_take(k->bag, k->box, k->events, &k->done->records, &k->done->bad_records, k->w);
        if (r == 0 && x == 0 && told->envelope)
                x = outbox_put(k->box, "data/custody.dsse.json", told->envelope, told->n_envelope, k->w);
        if (r == 0 && x == 0)
                r = caseevents_export(k->events, told, k->with);
        if (r < 0)
                return why_errno(k->w, r, "evidence");
        if (x == 0)
                x = put_lists(k);
        return x == 0 ? finish(k) : x;
}

int export_make(const struct bag *b, const struct anchor *anchor, const struct identities *with,
                const struct custody_told *told, const char *out, struct exported *ret, struct why *w) {
        struct work k = { .bag = b, .anchor = anchor, .with = with, .done = ret, .w = w };
        int x;

        *ret = (struct exported) { .is_open = with };
        x = outbox_new(out, &k.box, w);
        if (x == 0)
                x = make(&k, told);
        if (x == 0)
                outbox_count(k.box, &ret->files, &ret->bytes);
        caseevents_free(k.events);
        outbox_free(k.box);
        free(k.cores);
        return x;
}

void export_render(const struct page *p, const char *out, const struct exported *e, int code) {
        render_verdict(p, render_tone(code), "EXPORTED", "%" PRIu64 " files, %" PRIu64 " bytes, %s", e->files, e->bytes,
                       e->is_open ? "opened: as secret as what was collected" : "sealed as they were");
        render_row(p, "in", "%s", CLEAN(out));
        render_row(p, "timeline", "%" PRIu64 " lines", e->events);
        if (e->bad > 0)
                render_row(p, NULL, "%" PRIu64 " places could not be read for it", e->bad);
        render_row(p, "ledger", "%" PRIu64 " records about it", e->records);
        if (e->bad_records > 0)
                render_row(p, NULL, "and %" PRIu64 " places that are not as they should be", e->bad_records);
        if (!e->is_open)
                return;
        render_row(p, "opened", "%" PRIu64 " objects as the index says", e->opened.objects);
        render_opened_findings(p, &e->opened);
        render_row(p, "cores", "%" PRIu64, e->cores);
        render_row(p, "journals", "%" PRIu64 ", %" PRIu64 " of them rebuilt%s", e->journals, e->rebuilt,
                   e->rebuilt < e->journals ? "; that takes systemd-journal-remote" : "");
}

json_t *export_to_json(const struct exported *e) {
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o*}", "files", (json_int_t) e->files, "bytes",
                         (json_int_t) e->bytes, "events", (json_int_t) e->events, "unread", (json_int_t) e->bad,
                         "cores", (json_int_t) e->cores, "journals", (json_int_t) e->journals, "rebuilt",
                         (json_int_t) e->rebuilt, "records", (json_int_t) e->records, "bad_records",
                         (json_int_t) e->bad_records, "opened", e->is_open ? opened_to_json(&e->opened) : NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/journal.h"

#include <string.h>

#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "agent/collect/export.h"
#include "agent/collect/guard.h"
#include "agent/collect/journal_match.h"
#include "agent/collect/sequence.h"

/* A unit's name and a cursor. */
#define WHERE_MAX  640U
#define SOURCE_MAX 320U
/* How often reading starts again after the last good entry. */
#define RESTARTS_MAX 4U
/* Gaps that are listed each by itself. */
#define GAPS_MAX 64U

struct query {
        const char *kind, *source; /* %s: the unit */
        int (*match)(sd_journal *j, const char *unit);
};

struct reader {
        struct store *store;
        const struct query *query;
        const char *unit; /* NULL: none */
        const struct journal_window *window;
        struct sequences *sequences; /* counted instead of the entries; NULL: the entries themselves */
        struct index_item item;
        char where[WHERE_MAX]; /* the entry being read */
        sd_journal *journal;   /* leaked after a SIGBUS: it cannot be trusted to free itself */
        struct export entry;
        char *cursor; /* of the last entry that was written; owned */
        bool skip_cursor;
        bool end;
};

/* Something of the entry at hand is missing. */
static void miss(struct reader *x, int err, int64_t expected) {
        store_hole(x->store, &(struct index_item) { .kind = x->item.kind, .source = x->where }, err, expected);
}

static int start(void *userdata) {
        struct reader *x = userdata;
        int r = sd_journal_open_namespace(&x->journal, NULL, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_ALL_NAMESPACES);

        if (r < 0)
                return r;
        if (sd_journal_has_persistent_files(x->journal) <= 0 && sd_journal_has_runtime_files(x->journal) <= 0)
                return -ENOENT;
        /* The default cuts fields at 64 KiB without saying so. */
        r = sd_journal_set_data_threshold(x->journal, EXPORT_FIELD_MAX);
        if (r >= 0)
                r = x->query->match(x->journal, x->unit);
        /* some slices of a slice are left out */
        if (r == -E2BIG) {
                miss(x, r, -1);
                r = 0;
        }
        if (r >= 0 && x->cursor)
                r = sd_journal_seek_cursor(x->journal, x->cursor);
        else if (r >= 0)
                r = sd_journal_seek_realtime_usec(x->journal, (uint64_t) x->window->since_ms * 1000);
        x->skip_cursor = x->cursor != NULL;
        return r < 0 ? r : 0;
}

static int put_header(struct reader *x, const char *cursor, uint64_t realtime) {
        uint64_t monotonic = 0;
        sd_id128_t boot;
        int r = sd_journal_get_monotonic_usec(x->journal, &monotonic, &boot);

        if (r < 0)
                return r;
        return export_text(
                &x->entry,
                "__CURSOR=%s\n__REALTIME_TIMESTAMP=%llu\n__MONOTONIC_TIMESTAMP=%llu\n_BOOT_ID=" SD_ID128_FORMAT_STR
                "\n",
                cursor, (unsigned long long) realtime, (unsigned long long) monotonic, SD_ID128_FORMAT_VAL(boot));
}

/* The header has it already, from where the entry itself keeps it. */
static bool is_boot_id(const void *field, size_t n) {
        static const char name[] = "_BOOT_ID=";
        return n >= sizeof(name) - 1 && memcmp(field, name, sizeof(name) - 1) == 0;
}

static int put_field(struct reader *x, const void *field, size_t n) {
        int r;

        if (is_boot_id(field, n))
                return 0;
        r = export_field(&x->entry, field, MIN(n, EXPORT_FIELD_MAX));
        /* A compressed field that reaches the threshold was cut by sd-journal, which does not tell how long it was. */
        if (r == 0 && n >= EXPORT_FIELD_MAX)
                miss(x, -E2BIG, n > EXPORT_FIELD_MAX ? (int64_t) n : -1);
        else if (r == -EBADMSG || r == -E2BIG)
                miss(x, r, (int64_t) n);
        else
                return r;
        return 0;
}

/* -ENOBUFS, -E2BIG, -EPROTONOSUPPORT: this field cannot be given, the next one can; only the second call steps over
 * it. */
static int next_field(struct reader *x, const void **ret, size_t *ret_n) {
        int r = sd_journal_enumerate_data(x->journal, ret, ret_n);

        if (r != -ENOBUFS && r != -E2BIG && r != -EPROTONOSUPPORT)
                return r;
        miss(x, r, -1);
        return sd_journal_enumerate_available_data(x->journal, ret, ret_n);
}

/* sd-journal has to unpack a compressed field whole, some hundred megabytes if its author wants, and cannot step over
 * one for which there is no memory. So that nobody can hide what he logged behind such a field, its entry is kept with
 * what can be asked for by name. */
static int put_known_fields(struct reader *x, const char *cursor, uint64_t realtime) {
        static const char *const known[] = {
                "MESSAGE",
                "PRIORITY",
                "SYSLOG_IDENTIFIER",
                "SYSLOG_PID",
                "MESSAGE_ID",
                "UNIT",
                "OBJECT_PID",
                "OBJECT_SYSTEMD_UNIT",
                "COREDUMP_UNIT",
                "_TRANSPORT",
                "_PID",
                "_UID",
                "_GID",
                "_COMM",
                "_EXE",
                "_CMDLINE",
                "_CAP_EFFECTIVE",
                "_AUDIT_SESSION",
                "_AUDIT_LOGINUID",
                "_SYSTEMD_CGROUP",
                "_SYSTEMD_UNIT",
                "_SYSTEMD_SLICE",
                "_SYSTEMD_INVOCATION_ID",
                "_STREAM_ID",
                "_MACHINE_ID",
                "_HOSTNAME",
                "_SOURCE_REALTIME_TIMESTAMP",
        };
        const void *field;
        size_t n;
        int r;

        miss(x, -E2BIG, -1);
        export_reset(&x->entry);
        r = put_header(x, cursor, realtime);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(known); i++)
                if (sd_journal_get_data(x->journal, known[i], &field, &n) == 0)
                        r = put_field(x, field, n);
        return r;
}

static int put_entry(struct reader *x, const char *cursor, uint64_t realtime) {
        const void *field;
        size_t n;
        int r = put_header(x, cursor, realtime);

        sd_journal_restart_data(x->journal);
        while (r >= 0 && (r = next_field(x, &field, &n)) > 0)
                r = put_field(x, field, n);
        if (r == -ENOMEM)
                r = put_known_fields(x, cursor, realtime);
        return r < 0 ? r : export_text(&x->entry, "\n");
}

/* Errors of the journal, as opposed to those of the disk, the budget or memory. */
static bool is_journal_error(int r) {
        return r == -EFAULT || r == -EBADMSG || r == -EIO || r == -ENODATA || r == -ENXIO || r == -EINVAL;
}

/* Builds the next entry that is wanted in x->entry; an empty one when there is nothing in it for us, x->end at the
 * end. */
static int read_entry(void *userdata) {
        struct reader *x = userdata;
        _cleanup_free_ char *cursor = NULL;
        uint64_t realtime = 0;
        int r = sd_journal_next(x->journal);

        if (r <= 0) {
                x->end = r == 0;
                return r;
        }
        r = sd_journal_get_realtime_usec(x->journal, &realtime);
        if (r >= 0)
                r = sd_journal_get_cursor(x->journal, &cursor);
        if (r < 0)
                return r;
        if (x->skip_cursor) {
                x->skip_cursor = false;
                if (sd_journal_test_cursor(x->journal, x->cursor) > 0)
                        return 0;
        }
        /* Later entries can carry earlier times: the clock may have been set back. So this one is passed over, not
         * taken as the end. */
        if (realtime < (uint64_t) x->window->since_ms * 1000 || realtime > (uint64_t) x->window->until_ms * 1000 + 999)
                return 0;
        (void) snprintf(x->where, sizeof(x->where), "%s, entry %s", x->item.source, cursor);
        r = x->sequences ? sequence_add(x->sequences, cursor, realtime) : put_entry(x, cursor, realtime);
        if (r < 0 && !is_journal_error(r))
                return r;
        if (r < 0) {
                export_reset(&x->entry);
                miss(x, r, -1);
        }
        free(x->cursor);
        x->cursor = TAKE_PTR(cursor);
        return 0;
}

/* Reads until the end or the first error; the entries before it are written. */
static int read_entries(struct reader *x) {
        int r = 0;

        while (r == 0 && !x->end) {
                export_reset(&x->entry);
                r = guard_run(read_entry, x);
                if (r == 0 && store_over(x->store))
                        r = -ETIME;
                if (r == 0 && !x->sequences)
                        r = store_write(x->store, x->entry.bytes, x->entry.n);
        }
        return r;
}

/* All of the window, with new starts after what can be got over. Returns why it ended. */
static int read_journal(struct reader *x) {
        int r = 0;

        for (unsigned tries = 0; r == 0 && !x->end; tries++) {
                r = guard_run(start, x);
                if (r == 0)
                        r = read_entries(x);
                if (r != -EFAULT)
                        sd_journal_close(x->journal);
                x->journal = NULL;
                if (!is_journal_error(r) || tries == RESTARTS_MAX)
                        continue;
                store_hole(x->store, &x->item, r, -1);
                r = 0;
        }
        return r;
}

static void collect(struct store *s, const struct query *query, const char *unit, const struct journal_window *window) {
        struct reader x = { .store = s, .query = query, .unit = unit, .window = window };
        char source[SOURCE_MAX];
        int r;

        (void) snprintf(source, sizeof(source), query->source, unit);
        x.item = (struct index_item) { .kind = query->kind, .source = source };
        (void) snprintf(x.where, sizeof(x.where), "%s", source);
        r = store_begin(s, &x.item);
        if (r == 0)
                r = read_journal(&x);
        store_end(s, r, -1, false);
        export_done(&x.entry);
        free(x.cursor);
}

void journal_collect(struct store *s, const char *unit, const struct journal_window *window) {
        static const struct query query = { "journal", "journal of %s", journal_match_unit };
        collect(s, &query, unit, window);
}

void journal_collect_kernel(struct store *s, const struct journal_window *window) {
        static const struct query query = { "journal-kernel", "journal of the kernel", journal_match_kernel };
        collect(s, &query, NULL, window);
}

void journal_collect_host(struct store *s, const struct journal_window *window) {
        static const struct query query = { "journal-host", "journal of the host", journal_match_all };
        collect(s, &query, NULL, window);
}

static void list_gaps(struct store *s, const struct sequence *q) {
        char source[160];
        const struct index_item item = { .kind = "journal-sequence", .source = source };

        for (size_t i = 1; i < q->n && i <= GAPS_MAX; i++) {
                (void) snprintf(source, sizeof(source), "entries %llu to %llu of %s",
                                (unsigned long long) q->ranges[i - 1].last + 1,
                                (unsigned long long) q->ranges[i].first - 1, q->id);
                store_hole(s, &item, -ENODATA, -1);
        }
        (void) snprintf(source, sizeof(source), "more entries of %s", q->id);
        if (q->n > GAPS_MAX + 1)
                store_hole(s, &item, -ENODATA, -1);
}

void journal_collect_sequence(struct store *s, const struct journal_window *window) {
        static const struct query query = { "journal-sequence", "numbers of the journal's entries", journal_match_all };
        _cleanup_free_ struct sequences *all = calloc(1, sizeof(*all));
        struct reader x = { .store = s, .query = &query, .window = window, .sequences = all };
        int r;

        x.item = (struct index_item) { .kind = query.kind, .source = query.source };
        r = all ? read_journal(&x) : -ENOMEM;
        if (all)
                sequence_sort(all);
        int k = store_begin(s, &x.item);

        for (size_t i = 0; all && k == 0 && i < all->n; i++) {
                _cleanup_free_ char *line = NULL;

                k = sequence_line(&all->v[i], &line);
                if (k == 0)
                        k = store_write(s, line, strlen(line));
        }
        store_end(s, r < 0 ? r : k, -1, false);
        for (size_t i = 0; all && i < all->n; i++)
                list_gaps(s, &all->v[i]);
        if (all)
                sequences_done(all);
        free(x.cursor);
}

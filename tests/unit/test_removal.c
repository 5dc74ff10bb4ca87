/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/removal.c agent/core/tombstone.c agent/core/folder.c agent/core/plain.c agent/core/room.c agent/core/keeping.c */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/paths.c */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */

/* A deletion that dies, or fails, anywhere: nothing is missing that is not signed for, nothing has begun that is not
 * recorded, and what has begun is finished by whoever comes next. Real folders, a real ledger, real processes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

#include "lib/expect.h"
#include "lib/decide_world.h"
#include "lib/scratch.h"
#include "lib/order_box.h"

#include "agent/core/fold.h"
#include "agent/core/keeping.h"
#include "agent/core/removal.h"
#include "agent/core/tombstone.h"
#include "agent/util/io.h"

#define SEGMENT_SIZE (1024U * 1024)
#define FILES        40U
#define EVIDENCE     200U

/* Idle work is the core's; here there is none. */
void agent_idle_work(struct agent *a) {
        (void) a;
}

static struct scratch dir;
static char folder[600];

/* The agent as a start makes it, from what is on the disk. */
static int open_agent(void) {
        bool torn;
        int r;

        shelf_done(&w.shelf);
        agent_begin();
        agent.config.state = dir.path;
        r = hostkey_open(dir.path, &agent.key);
        if (r == 0)
                r = ledger_open(scratch_path(&dir, "ledger"), SEGMENT_SIZE, fold_replay, &agent, &torn, &agent.ledger);
        return r;
}

static void close_agent(void) {
        hostkey_free(TAKE_PTR(agent.key));
        agent_end();
}

static void write_text(const char *name, const char *text) {
        char path[800];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

/* Evidence as a snapshot leaves it, and the ledger that tells of it. */
static void prepare(const char *name) {
        const struct command_id id = id_of(EVIDENCE);
        char hex[33];

        command_id_to_str(&id, hex);
        (void) snprintf(folder, sizeof(folder), "%s/evidence/SA-20261121-001/%s%s", dir.path, hex, name);
        assert_true(strlen(folder) + 64 < sizeof(folder));
        char data[800];

        (void) snprintf(data, sizeof(data), "%s/data", folder);
        assert_int_equal(io_mkdirs(data, 0700), 0);
        for (unsigned i = 0; i < FILES; i++) {
                char file[64];

                (void) snprintf(file, sizeof(file), "data/%06u-memory.zst.age", i + 1);
                write_text(file, "sealed");
        }
        write_text("manifest-sha256.txt", "0  data/000001-memory.zst.age\n");
        write_text("public.jsonl", "{}\n");
        write_text("tagmanifest-sha256.txt", "1  manifest-sha256.txt\n");
        write_text("evidence.dsse.json", "{}");
}

static int begin(void **state) {
        const struct command_id id = id_of(EVIDENCE);

        scratch_make(&dir);
        assert_int_equal(set_up(state), 0);
        prepare("");
        assert_int_equal(open_agent(), 0);
        assert_int_equal(record_evidence(&agent, &id, &(struct preserved) { .folder = folder, .sealed = 240 }, 0), 0);
        close_agent();
        return 0;
}

static int end(void **state) {
        scratch_remove(&dir);
        return tear_down(state);
}

static size_t count_data(void) {
        char path[800];
        size_t n = 0;
        DIR *d;

        (void) snprintf(path, sizeof(path), "%s/data", folder);
        d = opendir(path);
        for (const struct dirent *e; d && (e = readdir(d));)
                n += e->d_name[0] != '.';
        if (d)
                (void) closedir(d);
        return n;
}

static bool has(const char *name) {
        char path[800];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        return access(path, F_OK) == 0;
}

/* What the ledger tells, counted by kind. */
struct told {
        unsigned orders, expiries, deleted;
};

static int tally(const json_t *body, uint64_t n, void *userdata) {
        const char *kind = json_string_value(json_object_get(body, "kind"));
        struct told *t = userdata;

        (void) n;
        t->orders += strcmp(kind, "order") == 0;
        t->expiries += strcmp(kind, "expiry") == 0;
        t->deleted += strcmp(kind, "deleted") == 0;
        return 0;
}

static struct told read_ledger(void) {
        struct ledger *l = NULL;
        struct told t = { 0 };
        bool torn;

        assert_int_equal(ledger_open(scratch_path(&dir, "ledger"), SEGMENT_SIZE, tally, &t, &torn, &l), 0);
        ledger_free(l);
        return t;
}

static void on_progress(void *userdata) {
        *(bool *) userdata = true;
}

/* Until it is gone, or could not be deleted. */
static void run(void) {
        const struct command_id id = id_of(EVIDENCE);
        struct removal *r = NULL;
        sd_event *event = NULL;
        bool over = false;

        EXPECT(sd_event_new(&event) >= 0);
        agent.event = event;
        EXPECT(removal_new(&agent, on_progress, &over, &r) >= 0);
        (void) removal_start(r);
        while (shelf_find(&agent.shelf, &id) && !over)
                EXPECT(sd_event_run(event, 5000000) > 0);
        removal_free(r);
        (void) sd_event_unref(event);
        agent.event = NULL;
}

/* As the pipeline does it; what is refused or not recorded is not done. */
static bool give_order(void) {
        _cleanup_(verified_freep) struct verified *v = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_(recorded_freep) struct recorded *rec = NULL;
        _cleanup_free_ char *json = NULL;
        struct sites none = { 0 };
        struct phases phases;
        enum reason reason;

        order(VERB_EVIDENCE_DELETE);
        EXPECT(command_to_json(&w.c, &json) == 0);
        d = world_sign(json);
        EXPECT(verify_command(&w.trust, &d, &v, &reason) == 0 && v);
        EXPECT(decide(v, &w.trust, &w.local, &w.facts, &w.d, &w.authorised, NULL) == 0);
        if (w.d.kind != DECISION_GO)
                return false;
        phases_begin(&phases);
        return record_order(&agent, TAKE_PTR(w.authorised), &d, &none, &phases, &rec) == 0;
}

/* One life of an agent: what was begun goes on, and if nothing was, it is ordered. */
static void live(void) {
        const struct command_id id = id_of(EVIDENCE);
        const struct shelf_item *item;

        /* one whose ledger takes nothing lives on, and does nothing */
        if (open_agent() < 0 && !agent.ledger)
                _exit(3);
        item = shelf_find(&agent.shelf, &id);
        if (item && !item->condemned)
                (void) give_order();
        item = shelf_find(&agent.shelf, &id);
        if (item && item->condemned)
                run();
        close_agent();
}

static int live_with(const char *setting) {
        pid_t pid = fork();

        if (pid == 0) {
                EXPECT(setting ? setenv("FREEZED_FAULT", setting, 1) == 0 : unsetenv("FREEZED_FAULT") == 0);
                live();
                _exit(0);
        }
        return scratch_wait(pid);
}

static unsigned count_effects(void) {
        unsigned n = 0;

        assert_int_equal(setenv("FREEZED_FAULT_FILE", scratch_path(&dir, "count"), 1), 0);
        assert_int_equal(live_with("count"), 0);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&dir, "count"));

        assert_int_equal(sscanf((char *) b.data, "%u", &n), 1);
        return n;
}

static bool host_signed_tombstone(void) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_(hostkey_freep) struct hostkey *key = NULL;
        _cleanup_free_ char *text = NULL;
        char path[800];
        enum reason reason;
        uint64_t who = 0;
        size_t n;

        (void) snprintf(path, sizeof(path), "%s/" FOLDER_TOMBSTONE, folder);
        assert_int_equal(hostkey_open(dir.path, &key), 0);
        return io_read_file(AT_FDCWD, path, DSSE_HOST_ENVELOPE_MAX, &text, &n) == 0 &&
               dsse_parse(text, n, &d, &reason) == 0 && reason == REASON_NONE &&
               dsse_verify(&d, hostkey_public(key), 1, &who, &reason) == 0 && who == 1;
}

/* Whenever somebody looks. */
static void check_now(void) {
        const struct told t = read_ledger();
        const size_t left = count_data();

        if (left < FILES || !has("data"))
                assert_true(host_signed_tombstone());
        if (has(FOLDER_TOMBSTONE) || has(FOLDER_DELETION))
                assert_int_equal(t.orders, 1);
        if (t.deleted > 0)
                assert_false(has("data"));
        assert_true(t.deleted <= 1);
        assert_true(has("manifest-sha256.txt") && has("public.jsonl") && has("evidence.dsse.json"));
}

static void check_gone(void) {
        const struct told t = read_ledger();

        assert_false(has("data"));
        assert_true(host_signed_tombstone());
        assert_true(has(FOLDER_DELETION));
        assert_int_equal(t.orders, 1);
        assert_int_equal(t.deleted, 1);
}

/* A new world for each: the ledger is not to remember the one before. */
static void sweep(const char *how, int died) {
        void *state = NULL;
        const unsigned effects = count_effects();

        assert_true(effects > 8);
        for (unsigned k = 1; k <= effects; k++) {
                char setting[32];

                assert_int_equal(end(&state), 0);
                assert_int_equal(begin(&state), 0);
                (void) snprintf(setting, sizeof(setting), "%s:%u", how, k);
                assert_int_equal(live_with(setting), died);
                check_now();
                assert_int_equal(live_with(NULL), 0);
                check_now();
                check_gone();
        }
}

static void a_deletion_that_is_killed_anywhere_is_finished_or_has_not_begun(void **state) {
        (void) state;
        sweep("kill", -SIGKILL);
}

static void a_deletion_that_fails_anywhere_is_finished_or_has_not_begun(void **state) {
        (void) state;
        sweep("fail", 0);
}

static void a_deletion_that_is_killed_twice_is_finished(void **state) {
        const unsigned effects = count_effects();

        for (unsigned k = 3; k <= effects; k++) {
                char setting[32];

                assert_int_equal(end(state), 0);
                assert_int_equal(begin(state), 0);
                assert_int_equal(live_with("kill:5"), -SIGKILL);
                (void) snprintf(setting, sizeof(setting), "kill:%u", k);
                (void) live_with(setting);
                check_now();
                assert_int_equal(live_with(NULL), 0);
                check_gone();
        }
}

static void every_folder_of_the_evidence_goes(void **state) {
        (void) state;
        prepare(".2");
        prepare(".16");
        assert_int_equal(live_with(NULL), 0);
        check_gone();
        prepare(".2");
        /* the one that is there now is another one's */
        assert_int_equal(count_data(), FILES);
}

/* Whoever took the collector over, or is root, may have put anything there. */
static void what_does_not_belong_there_neither_leads_elsewhere_nor_stays(void **state) {
        char elsewhere[800], link[800];

        (void) state;
        (void) snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir.path);
        assert_int_equal(mkdir(elsewhere, 0700), 0);
        (void) snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere/precious", dir.path);
        assert_int_equal(symlink("precious", elsewhere), 0);
        (void) snprintf(link, sizeof(link), "%s/data/000099-link", folder);
        assert_int_equal(symlink("../../../../elsewhere", link), 0);
        (void) snprintf(link, sizeof(link), "%s/data/empty", folder);
        assert_int_equal(mkdir(link, 0700), 0);
        (void) snprintf(link, sizeof(link), "%s/" FOLDER_TOMBSTONE, folder);
        write_text(FOLDER_TOMBSTONE,
                   "{\"payload\":\"\",\"payloadType\":\"application/vnd.in-toto+json\",\"signatures\":[]}");
        assert_int_equal(live_with(NULL), 0);
        check_gone();
        assert_int_equal(faccessat(AT_FDCWD, elsewhere, F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

static void a_folder_that_is_a_link_is_no_evidence(void **state) {
        char real[600];

        (void) state;
        (void) snprintf(real, sizeof(real), "%s/moved", dir.path);
        assert_int_equal(rename(folder, real), 0);
        assert_int_equal(symlink(real, folder), 0);
        assert_int_equal(live_with(NULL), 0);
        memcpy(folder, real, sizeof(folder));
        assert_int_equal(count_data(), FILES);
        assert_false(has(FOLDER_TOMBSTONE));
}

static void what_cannot_be_deleted_stays_condemned(void **state) {
        char sub[800];

        (void) state;
        (void) snprintf(sub, sizeof(sub), "%s/data/full", folder);
        assert_int_equal(mkdir(sub, 0700), 0);
        write_text("data/full/file", "x");
        assert_int_equal(live_with(NULL), 0);
        assert_true(has("data/full/file"));
        assert_int_equal(read_ledger().deleted, 0);
        check_now();
        (void) snprintf(sub, sizeof(sub), "%s/data/full/file", folder);
        assert_int_equal(unlink(sub), 0);
        assert_int_equal(live_with(NULL), 0);
        check_gone();
}

static void the_end_of_its_time_needs_no_order(void **state) {
        const struct command_id id = id_of(EVIDENCE);
        struct told t;

        (void) state;
        assert_int_equal(open_agent(), 0);
        assert_int_equal(record_expiry(&agent, &id), 0);
        close_agent();
        assert_int_equal(live_with(NULL), 0);
        t = read_ledger();
        assert_false(has("data"));
        assert_false(has(FOLDER_DELETION));
        assert_true(host_signed_tombstone());
        assert_int_equal(t.orders, 0);
        assert_int_equal(t.expiries, 1);
        assert_int_equal(t.deleted, 1);
}

/* It was told once, by a ledger that is lost in part: the order's record is what a deletion is carried out from. */
static void an_order_that_the_ledger_cannot_show_deletes_nothing(void **state) {
        const struct command_id id = id_of(EVIDENCE), by = id_of(77);

        (void) state;
        assert_int_equal(open_agent(), 0);
        assert_int_equal(shelf_condemn(&agent.shelf, &id, &by), 0);
        run();
        assert_true(shelf_find(&agent.shelf, &id)->condemned);
        close_agent();
        assert_int_equal(count_data(), FILES);
        assert_false(has(FOLDER_TOMBSTONE));
}

static void a_folder_tells_of_its_legal_holds(void **state) {
        const struct command_id hold = id_of(50), item = id_of(EVIDENCE);
        char path[800];

        (void) state;
        assert_int_equal(open_agent(), 0);
        assert_int_equal(shelf_hold(&agent.shelf, &hold, &item, (uint8_t[32]) { 1 }), 0);
        assert_int_equal(keeping_tell(&agent, &item), 0);
        close_agent();
        (void) snprintf(path, sizeof(path), "%s/keeping.dsse.json", folder);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(path);
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;

        assert_int_equal(dsse_parse((char *) b.data, b.n, &d, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        _cleanup_json_ json_t *o = json_loadb((char *) d.payload, d.n_payload, 0, NULL);
        const json_t *holds = json_object_get(json_object_get(o, "predicate"), "legal_holds");
        char hex[33];

        command_id_to_str(&hold, hex);
        assert_int_equal(json_array_size(holds), 1);
        assert_string_equal(json_string_value(json_object_get(json_array_get(holds, 0), "id")), hex);
}

int main(void) {
#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
        const struct CMUnitTest cases[] = {
                CASE(a_deletion_that_is_killed_anywhere_is_finished_or_has_not_begun),
                CASE(a_deletion_that_fails_anywhere_is_finished_or_has_not_begun),
                CASE(a_deletion_that_is_killed_twice_is_finished),
                CASE(every_folder_of_the_evidence_goes),
                CASE(what_does_not_belong_there_neither_leads_elsewhere_nor_stays),
                CASE(a_folder_that_is_a_link_is_no_evidence),
                CASE(what_cannot_be_deleted_stays_condemned),
                CASE(the_end_of_its_time_needs_no_order),
                CASE(an_order_that_the_ledger_cannot_show_deletes_nothing),
                CASE(a_folder_tells_of_its_legal_holds),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bag.c ctl/kept.c ctl/sums.c ctl/member.c ctl/text.c ctl/why.c */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include <sodium.h>

#include "ctl/bag.h"

/* The real program, however it ends: killed at any moment, on a disk of any size, before a process of any size. */

#define MIB     (1024U * 1024)
#define MOMENTS 24
/* What the collector may take of the host's memory. */
#define MEMORY_MAX_KB (64L * 1024)

/* Every object that the index names is there and is what the index says, but those of a pack that it calls lost. */
#define CHECK_INDEX                                                                                          \
        "test ! -e index.jsonl || { jq -rs '[.[] | select(.hole and .kind == \"pack\") | .file] as $lost | " \
        ".[] | select(.sha256 and (.file as $f | $lost | index($f) | not)) | .sha256 + \"  data/\" + "       \
        "(.member // (.file | ltrimstr(\"data/\") | rtrimstr(\".zst.age\")))' index.jsonl >sums && "         \
        "{ test ! -s sums || sha256sum -c --strict --quiet sums; }; }"

/* What a reader without the key says of it. */
static enum bag_severity verdict(const struct rig *r, const struct rig_done *d) {
        struct host host = { .name = "web-1", .key = *hostkey_public(r->key) };
        const struct hosts known = { .v = &host, .n = 1 };
        struct why w = { .text = "" };
        struct bag bag = BAG_NULL;
        enum bag_severity worst;

        assert_int_equal(bag_verify(d->folder, &known, &bag, &w), 0);
        worst = bag.worst;
        for (size_t i = 0; worst == BAG_SEVERITY_BAD && i < bag.n_named; i++)
                print_message("# %s: %s\n", bag_finding_id(bag.named[i].what), bag.named[i].file);
        bag_done(&bag);
        return worst;
}

static size_t files_of(const struct rig_done *d) {
        char path[600];
        size_t lines = 0;

        (void) snprintf(path, sizeof(path), "%s/public.jsonl", d->folder);
        if (access(path, F_OK) < 0)
                return 0;
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(path);

        for (size_t i = 0; i < b.n; i++)
                lines += b.data[i] == '\n';
        return lines;
}

static void fill_memory(void *userdata) {
        const size_t n = *(size_t *) userdata;
        uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        assert_true(p != MAP_FAILED);
        randombytes_buf(p, n);
}

static void killed_at_any_moment_it_leaves_what_can_be_opened_and_is_called_short(void **state) {
        static size_t some = 8 * MIB;
        struct rig *r = *state;
        unsigned killed = 0, with_files = 0;
        int64_t whole_us;

        for (int i = 0; i < 10; i++)
                rig_exec(r, "/bin/sleep");
        rig_spawn(r, fill_memory, &some);
        /* the core makes durable what each leaves, and on a disk that is shared all that others write */
        rig_own_disk(r, "size=300m");
        r->job.max_bytes = 1 << 30;
        r->job.order = NULL;
        whole_us = rig_preserve(r).took_us;
        for (int i = 0; i < MOMENTS; i++) {
                struct rig_done d;

                assert_true(rig_shell(r->dir.path, "rm -rf evidence"));
                rig_start(r);
                const pid_t pid = rig_collector(r);

                (void) usleep((useconds_t) (whole_us * i / MOMENTS));
                assert_int_equal(kill(pid, SIGKILL), 0);
                d = rig_wait(r);
                /* the first may have had to wait for the machine more than the rest */
                if (d.counted)
                        whole_us = MIN(whole_us, d.took_us);
                killed += !d.counted;
                with_files += !d.counted && files_of(&d) > 0;
                assert_in_range(verdict(r, &d), BAG_SEVERITY_NONE, BAG_SEVERITY_SHORT);
                assert_int_equal(verdict(r, &d) == BAG_SEVERITY_NONE, d.state == PRESERVE_COMPLETE);
                if (files_of(&d) > 0) {
                        assert_int_not_equal(d.state, PRESERVE_FAILED);
                        rig_open(r, &d);
                        assert_true(rig_shell(d.opened, CHECK_INDEX));
                }
        }
        assert_true(killed > MOMENTS / 3);
        assert_true(with_files > 0);
}

static void on_a_disk_of_any_size_what_was_listed_is_there(void **state) {
        static size_t some = 3 * MIB;
        static const unsigned sizes_kb[] = { 300, 700, 1200, 1400, 1700, 2000, 2500, 3000, 4000, 6000, 9000, 200000 };
        struct rig *r = *state;
        unsigned cut = 0, complete = 0, ended = 0;

        for (int i = 0; i < 30; i++)
                rig_exec(r, "/bin/sleep");
        rig_spawn(r, fill_memory, &some);
        rig_own_disk(r, "size=300m");
        r->job.max_bytes = 1 << 30;
        r->job.order = NULL;
        for (size_t i = 0; i < ELEMENTSOF(sizes_kb); i++) {
                struct rig_done d;
                char size[32];

                assert_true(rig_shell(r->dir.path, "rm -rf evidence"));
                (void) snprintf(size, sizeof(size), "size=%uk", sizes_kb[i]);
                assert_int_equal(mount(NULL, r->dir.path, NULL, MS_REMOUNT, size), 0);
                d = rig_preserve(r);
                if (d.err != 0) {
                        /* it could not be sealed: said by the state, never by silence */
                        assert_int_equal(d.err, -ENOSPC);
                        assert_int_equal(d.state, PRESERVE_FAILED);
                        continue;
                }
                assert_in_range(verdict(r, &d), BAG_SEVERITY_NONE, BAG_SEVERITY_SHORT);
                cut += d.state == PRESERVE_CUT_SHORT;
                ended += d.counted && d.state == PRESERVE_CUT_SHORT;
                complete += d.state == PRESERVE_COMPLETE;
                if (d.state == PRESERVE_FAILED)
                        continue;
                rig_open(r, &d);
                assert_true(rig_shell(d.opened, CHECK_INDEX));
                /* one that had not even room to end says nothing: its end is told by the host */
                if (!d.counted)
                        continue;
                assert_true(rig_shell(d.opened, "tail -n 1 index.jsonl | grep -q '\"note\":\"end\"'"));
                if (d.state == PRESERVE_CUT_SHORT)
                        assert_true(d.flags & COLLECT_CUT);
        }
        assert_true(cut > 2);
        assert_true(ended > 2);
        assert_true(complete > 0);
}

/* The high water mark of a program's memory, while it runs. */
static long memory_kb(pid_t pid) {
        char path[64], line[256];
        long kb = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        _cleanup_fclose_ FILE *f = fopen(path, "re");

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "VmHWM: %ld", &kb) == 1)
                        break;
        return kb;
}

static struct rig_done preserve_and_measure(struct rig *r, long *ret_kb) {
        rig_start(r);
        const pid_t pid = rig_collector(r);
        char exe[64], is[512];

        (void) snprintf(exe, sizeof(exe), "/proc/%d/exe", (int) pid);
        *ret_kb = 0;
        while (!r->is_done) {
                const ssize_t n = readlink(exe, is, sizeof(is) - 1);

                /* before it is executed it is a copy of this program */
                if (n > 0 && strstr((is[n] = '\0', is), "freezed-collect"))
                        *ret_kb = MAX(*ret_kb, memory_kb(pid));
                assert_true(sd_event_run(r->event, 10000) >= 0);
        }
        return r->done;
}

#define MAPPINGS 60000U

/* Neighbours differ in what may be done to them, so that they stay as many as they are. */
static void scatter_mappings(void *userdata) {
        uint8_t *p = mmap(NULL, (size_t) MAPPINGS * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void) userdata;
        assert_true(p != MAP_FAILED);
        (void) madvise(p, (size_t) MAPPINGS * 4096, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < MAPPINGS; i++)
                p[i * 4096] = 1;
        for (size_t i = 0; i < MAPPINGS; i += 2)
                assert_int_equal(mprotect(p + i * 4096, 4096, PROT_READ), 0);
}

static void its_memory_stays_within_bounds_whatever_the_processes_are(void **state) {
        static size_t much = 300U * MIB;
        struct rig *r = *state;
        struct rig_done d;
        long kb;

        rig_spawn(r, fill_memory, &much);
        rig_spawn(r, scatter_mappings, NULL);
        rig_freeze(r, true);
        r->job.max_bytes = 4ULL << 30;
        r->job.deadline_ms = 60000;
        d = preserve_and_measure(r, &kb);
        print_message("# %ld kB at most\n", kb);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        assert_true(d.bytes > much);
        assert_in_range(kb, 1024, MEMORY_MAX_KB);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(killed_at_any_moment_it_leaves_what_can_be_opened_and_is_called_short),
                CASE(on_a_disk_of_any_size_what_was_listed_is_there),
                CASE(its_memory_stays_within_bounds_whatever_the_processes_are),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/outbox.c ctl/file.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "ctl/outbox.h"
#include "lib/scratch.h"

struct place {
        struct scratch dir;
        char out[sizeof(((struct scratch *) 0)->path) + 32];
        struct why w;
};

static bool shell(const struct place *p, const char *command) {
        _cleanup_free_ char *line = NULL;

        assert_true(asprintf(&line, "cd '%s' && { %s; } >/dev/null 2>&1", p->dir.path, command) > 0);
        return system(line) == 0;
}

static int set_up(void **state) {
        static struct place p;

        p = (struct place) { .w = { .text = "" } };
        scratch_make(&p.dir);
        (void) snprintf(p.out, sizeof(p.out), "%s/case", p.dir.path);
        *state = &p;
        return 0;
}

static int tear_down(void **state) {
        struct place *p = *state;

        scratch_remove(&p->dir);
        return 0;
}

static int file_of(const struct place *p, const char *name, const char *bytes) {
        char path[512];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", p->dir.path, name);
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(fd >= 0 && write(fd, bytes, strlen(bytes)) == (ssize_t) strlen(bytes) &&
                    lseek(fd, 0, SEEK_SET) == 0);
        return fd;
}

static int fill(struct place *p, struct outbox *o) {
        _cleanup_close_ int fd = file_of(p, "source", "copied");
        char work[512];
        FILE *f;

        (void) snprintf(work, sizeof(work), "%s/staged", outbox_work(o));
        f = fopen(work, "we");
        assert_true(f && fputs("moved", f) > 0 && fclose(f) == 0);
        int x = outbox_put(o, "data/b", "put", 3, &p->w);
        if (x == 0)
                x = outbox_copy(o, "data/a/deep/copy", fd, NULL, &p->w);
        if (x == 0)
                x = outbox_move(o, "data/c", "staged", &p->w);
        return x == 0 ? outbox_put(o, "README.txt", "read me", 7, &p->w) : x;
}

static void outbox_makes_a_bag_that_sha256sum_verifies(void **state) {
        static const char *const kinds[] = { "", ".tar" };
        struct place *p = *state;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                _cleanup_(outbox_freep) struct outbox *o = NULL;
                uint64_t files, bytes;
                char path[512];

                (void) snprintf(path, sizeof(path), "%s%s", p->out, kinds[i]);
                assert_int_equal(outbox_new(path, &o, &p->w), 0);
                assert_int_equal(fill(p, o), 0);
                assert_int_equal(outbox_finish(o, "External-Identifier: x\n", &p->w), 0);
                outbox_count(o, &files, &bytes);
                assert_int_equal(files, 3);
                assert_int_equal(bytes, 3 + 6 + 5);
                outbox_free(TAKE_PTR(o));
                if (i > 0)
                        assert_true(shell(p, "mv case old && tar -xf case.tar"));
                assert_true(shell(p, "cd case && sha256sum --strict -c manifest-sha256.txt tagmanifest-sha256.txt"));
                assert_true(shell(p, "[ \"$(wc -l <case/manifest-sha256.txt)\" = 3 ]"));
                assert_true(shell(p, "[ \"$(wc -l <case/tagmanifest-sha256.txt)\" = 4 ]"));
                assert_true(shell(p, "grep -qx 'Payload-Oxum: 14.3' case/bag-info.txt"));
                assert_true(shell(p, "grep -qx copied case/data/a/deep/copy && grep -qx moved case/data/c"));
                assert_true(shell(p, "[ -z \"$(find case -type f -perm /077)\" ]"));
                assert_true(shell(p, "[ -z \"$(ls -d case.*.* case.?????? 2>/dev/null)\" ]"));
        }
}

static void outbox_leaves_nothing_when_it_is_not_finished(void **state) {
        struct place *p = *state;
        _cleanup_(outbox_freep) struct outbox *o = NULL;

        assert_int_equal(outbox_new(p->out, &o, &p->w), 0);
        assert_int_equal(fill(p, o), 0);
        assert_true(shell(p, "[ ! -e case ] && [ -d case.?????? ]"));
        outbox_free(TAKE_PTR(o));
        assert_true(shell(p, "[ \"$(ls)\" = source ]"));
}

static void outbox_leaves_nothing_when_the_program_is_told_to_end(void **state) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        struct place *p = *state;

        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                pid_t pid = fork();
                int status = 0;

                assert_true(pid >= 0);
                if (pid == 0) {
                        struct outbox *o = NULL;

                        if (outbox_new(p->out, &o, &p->w) == 0 && fill(p, o) == 0)
                                (void) raise(signals[i]);
                        _exit(0);
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
                assert_true(shell(p, "[ \"$(ls)\" = source ]"));
        }
}

static void outbox_that_is_finished_stays_when_the_program_is_told_to_end(void **state) {
        struct place *p = *state;
        pid_t pid = fork();
        int status = 0;

        assert_true(pid >= 0);
        if (pid == 0) {
                struct outbox *o = NULL;

                if (outbox_new(p->out, &o, &p->w) == 0 && fill(p, o) == 0 && outbox_finish(o, "", &p->w) == 0)
                        (void) raise(SIGTERM);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_true(shell(p, "cd case && sha256sum --strict -c manifest-sha256.txt"));
}

static void outbox_overwrites_nothing_also_not_what_comes_while_it_works(void **state) {
        struct place *p = *state;
        struct outbox *none = NULL;
        _cleanup_(outbox_freep) struct outbox *o = NULL;

        assert_true(shell(p, "ln -s nowhere case"));
        assert_int_equal(outbox_new(p->out, &none, &p->w), CTL_MACHINE);
        assert_null(none);
        assert_true(shell(p, "rm case"));
        assert_int_equal(outbox_new(p->out, &o, &p->w), 0);
        assert_int_equal(fill(p, o), 0);
        assert_true(shell(p, "mkdir case"));
        assert_int_equal(outbox_finish(o, "", &p->w), CTL_MACHINE);
        assert_true(shell(p, "rmdir case"));
}

static void outbox_makes_no_archive_whose_names_lead_elsewhere(void **state) {
        static const char *const bad[] = { ".tar", "...tar", ".", ".." };
        struct place *p = *state;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct outbox *o = NULL;
                char path[256];

                (void) snprintf(path, sizeof(path), "%s/%s", p->dir.path, bad[i]);
                assert_int_not_equal(outbox_new(path, &o, &p->w), 0);
                assert_null(o);
        }
        assert_true(shell(p, "[ -z \"$(ls -A)\" ]"));
}

static void outbox_refuses_what_is_not_what_was_signed(void **state) {
        struct place *p = *state;
        _cleanup_close_ int fd = file_of(p, "source", "copied"), again = file_of(p, "again", "copied");
        _cleanup_(outbox_freep) struct outbox *o = NULL;
        uint8_t sha256[32];

        assert_int_equal(outbox_new(p->out, &o, &p->w), 0);
        (void) crypto_hash_sha256(sha256, (const uint8_t *) "copied", 6);
        assert_int_equal(outbox_copy(o, "data/a", fd, sha256, &p->w), 0);
        sha256[31] ^= 1;
        assert_int_equal(outbox_copy(o, "data/b", again, sha256, &p->w), CTL_REFUSED);
}

static void outbox_copies_nothing_but_files(void **state) {
        struct place *p = *state;
        _cleanup_close_ int dir = open(p->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int null = open("/dev/zero", O_RDONLY | O_CLOEXEC);
        _cleanup_(outbox_freep) struct outbox *o = NULL;

        assert_int_equal(outbox_new(p->out, &o, &p->w), 0);
        assert_int_equal(outbox_copy(o, "data/a", dir, NULL, &p->w), CTL_MACHINE);
        assert_int_equal(outbox_copy(o, "data/b", null, NULL, &p->w), CTL_MACHINE);
}

static void outbox_takes_no_name_that_leads_out_of_it(void **state) {
        static const char *const bad[] = { "/etc/x", "data/../../x", "..", "data/a b", "data/\n", "", "data/a\\b" };
        struct place *p = *state;
        _cleanup_(outbox_freep) struct outbox *o = NULL;

        assert_int_equal(outbox_new(p->out, &o, &p->w), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(outbox_put(o, bad[i], "x", 1, &p->w), CTL_MACHINE);
        assert_int_equal(outbox_put(o, "data/a", "x", 1, &p->w), 0);
        assert_int_equal(outbox_put(o, "data/a", "y", 1, &p->w), CTL_MACHINE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(outbox_makes_a_bag_that_sha256sum_verifies, set_up, tear_down),
                cmocka_unit_test_setup_teardown(outbox_leaves_nothing_when_it_is_not_finished, set_up, tear_down),
                cmocka_unit_test_setup_teardown(outbox_leaves_nothing_when_the_program_is_told_to_end, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(outbox_that_is_finished_stays_when_the_program_is_told_to_end, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(outbox_overwrites_nothing_also_not_what_comes_while_it_works, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(outbox_makes_no_archive_whose_names_lead_elsewhere, set_up, tear_down),
                cmocka_unit_test_setup_teardown(outbox_refuses_what_is_not_what_was_signed, set_up, tear_down),
                cmocka_unit_test_setup_teardown(outbox_copies_nothing_but_files, set_up, tear_down),
                cmocka_unit_test_setup_teardown(outbox_takes_no_name_that_leads_out_of_it, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/binaries.c agent/collect/roots.c agent/collect/maps.c agent/collect/mounts.c */
/* LINK: agent/collect/target.c agent/collect/numdir.c agent/collect/pidlist.c agent/collect/source.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include "lib/target_box.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "agent/collect/binaries.h"

#define PAGE 4096U

/* Two programs, and a place where either can be. */
struct place {
        struct scratch dir;
        const char *over; /* what is mounted over the program before it is mapped; NULL: nothing */
        pid_t beside;     /* in whose mount namespace; 0: in one of its own */
};

static void make_place(struct place *p) {
        static const char *const names[] = { "program", "trojan" };

        *p = (struct place) { .over = NULL };
        scratch_make(&p->dir);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_close_ int fd = open(scratch_path(&p->dir, names[i]), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

                assert_true(fd >= 0);
                assert_int_equal(ftruncate(fd, PAGE), 0);
                assert_int_equal(pwrite(fd, names[i], strlen(names[i]), 0), strlen(names[i]));
        }
}

static void map_program(void *userdata) {
        const struct place *p = userdata;
        char path[128], over[128];

        if (p->beside > 0) {
                (void) snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int) p->beside);
                assert_int_equal(setns(open(path, O_RDONLY | O_CLOEXEC), CLONE_NEWNS), 0);
        } else {
                assert_int_equal(unshare(CLONE_NEWNS), 0);
                assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        }
        (void) snprintf(path, sizeof(path), "%s/program", p->dir.path);
        (void) snprintf(over, sizeof(over), "%s/%s", p->dir.path, p->over ? p->over : "program");
        if (p->over)
                assert_int_equal(mount(over, path, NULL, MS_BIND, NULL), 0);
        assert_true(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, open(path, O_RDONLY | O_CLOEXEC), 0) !=
                    MAP_FAILED);
}

static size_t count(const struct binaries *found, const char *path, const struct binary *ret[static 2]) {
        size_t n = 0;

        for (size_t i = 0; i < found->n; i++)
                if (strcmp(found->v[i].path, path) == 0 && n++ < 2)
                        ret[n - 1] = &found->v[i];
        return n;
}

static void assert_is(const struct binary *b, const struct place *p, const char *name) {
        char path[128];
        uint8_t digest[32];

        (void) snprintf(path, sizeof(path), "%s/%s", p->dir.path, name);
        _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = scratch_read(path);

        (void) crypto_hash_sha256(digest, (const uint8_t *) bytes.data, bytes.n);
        assert_int_equal(b->err, 0);
        assert_memory_equal(b->sha256, digest, sizeof(digest));
}

/* A place where a known program is, and over it, for a later process, another. */
static void what_is_mounted_over_a_known_program_is_found_as_well(void **state) {
        struct target_box *b = *state;
        const struct binary *found[2] = { NULL };
        struct binaries all;
        struct roots roots;
        struct place p;

        make_place(&p);
        p.beside = target_box_spawn(b, map_program, &p);
        p.over = "trojan";
        target_box_spawn(b, map_program, &p);
        target_box_freeze(b, true);
        target_box_open(b);
        roots_open(b->set, b->box.store, &roots);
        binaries_find(b->set, &roots, b->box.store, &all);
        assert_int_equal(count(&all, scratch_path(&p.dir, "program"), found), 2);
        assert_ptr_equal(found[0]->root, found[1]->root);
        assert_is(found[0], &p, "program");
        assert_is(found[1], &p, "trojan");
        binaries_done(&all);
        roots_done(&roots);
        scratch_remove(&p.dir);
}

/* As when there are more mount namespaces than are opened: one place is another in each of them. */
static void none_is_hidden_by_a_namespace_that_is_one_too_many(void **state) {
        struct target_box *b = *state;
        const struct binary *found[2] = { NULL };
        struct roots roots, first;
        struct binaries all;
        struct place p;

        make_place(&p);
        target_box_spawn(b, map_program, &p);
        p.over = "trojan";
        target_box_spawn(b, map_program, &p);
        target_box_freeze(b, true);
        target_box_open(b);
        roots_open(b->set, b->box.store, &roots);
        first = roots;
        first.n = 1;
        binaries_find(b->set, &first, b->box.store, &all);
        assert_int_equal(count(&all, scratch_path(&p.dir, "program"), found), 2);
        assert_null(found[0]->root);
        assert_is(found[0], &p, "program");
        assert_is(found[1], &p, "trojan");
        binaries_done(&all);
        roots_done(&roots);
        scratch_remove(&p.dir);
}

static size_t count_holes(const struct box *b, const char *path) {
        size_t n = 0;

        for (size_t i = 0; box_hole(b, "binary", i); i++)
                n += strcmp(box_text(box_hole(b, "binary", i), "source"), path) == 0;
        return n;
}

static void one_that_cannot_be_read_is_one_hole_however_often_it_is_mapped_and_hides_no_other(void **state) {
        struct target_box *b = *state;
        struct binaries all;
        struct roots roots;
        struct place p;

        make_place(&p);
        p.beside = target_box_spawn(b, map_program, &p);
        target_box_spawn(b, map_program, &p);
        p.over = "trojan";
        target_box_spawn(b, map_program, &p);
        target_box_freeze(b, true);
        target_box_open(b);
        roots_open(b->set, b->box.store, &roots);
        /* as if each mount of theirs were one that is not read */
        for (size_t i = 0; i < roots.n; i++)
                roots.v[i].mounts.n = 0;
        binaries_find(b->set, &roots, b->box.store, &all);
        box_finish(&b->box);
        assert_int_equal(count_holes(&b->box, scratch_path(&p.dir, "program")), 2);
        binaries_done(&all);
        roots_done(&roots);
        scratch_remove(&p.dir);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TARGET_BOX_CASE(what_is_mounted_over_a_known_program_is_found_as_well),
                TARGET_BOX_CASE(none_is_hidden_by_a_namespace_that_is_one_too_many),
                TARGET_BOX_CASE(one_that_cannot_be_read_is_one_hole_however_often_it_is_mapped_and_hides_no_other),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/unit.c agent/collect/source.c agent/collect/index.c */
/* LINK: agent/collect/units.c agent/collect/target.c agent/collect/numdir.c agent/collect/pidlist.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c */
/* LINK: agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include "agent/collect/units.h"

#define MIB (1024U * 1024)

/* A root directory made by a shell script, and one unit of it preserved. */
static void collect(struct box *b, const char *script, const char *unit) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_close_ int root = -EBADF;
        char command[2048];

        scratch_make(&s);
        box_open(b, MIB);
        (void) snprintf(command, sizeof(command),
                        "cd %s && mkdir -p etc/systemd/system run/systemd usr/lib/systemd/system && { %s; }", s.path,
                        script);
        assert_int_equal(system(command), 0); /* NOLINT: fixed commands */
        root = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(root >= 0);
        unit_collect(b->store, root, unit);
        box_finish(b);
}

/* True when there is an object of that kind from that source with that content. */
static bool has(const struct box *b, const char *kind, const char *source, const char *content) {
        for (size_t i = 0; i < 64; i++) {
                const json_t *o = box_object(b, kind, i);

                if (!o)
                        return false;
                _cleanup_(scratch_bytes_done) struct scratch_bytes bytes = box_bytes(b, o);

                if (strcmp(box_text(o, "source"), source) == 0)
                        return strcmp((const char *) bytes.data, content) == 0;
        }
        return false;
}

static void unit_file_and_its_dropins_come_from_every_directory(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b,
                "echo vendor >usr/lib/systemd/system/a-b.service && echo admin >etc/systemd/system/a-b.service && "
                "mkdir -p etc/systemd/system/a-b.service.d run/systemd/transient usr/lib/systemd/system/a-.service.d "
                "run/systemd/system/service.d run/systemd/generator.late && "
                "echo one >etc/systemd/system/a-b.service.d/1.conf && echo two "
                ">etc/systemd/system/a-b.service.d/2.conf && "
                "echo no >etc/systemd/system/a-b.service.d/readme && echo no "
                ">etc/systemd/system/a-b.service.d/.hidden.conf && "
                "echo dash >usr/lib/systemd/system/a-.service.d/d.conf && echo all "
                ">run/systemd/system/service.d/10.conf && "
                "echo late >run/systemd/generator.late/a-b.service && echo transient "
                ">run/systemd/transient/a-b.service && "
                "echo other >etc/systemd/system/a-bc.service",
                "a-b.service");
        assert_int_equal(b.result.objects, 8);
        assert_int_equal(b.result.holes, 0);
        assert_true(has(&b, "unit-file", "/usr/lib/systemd/system/a-b.service", "vendor\n"));
        assert_true(has(&b, "unit-file", "/etc/systemd/system/a-b.service", "admin\n"));
        assert_true(has(&b, "unit-file", "/run/systemd/transient/a-b.service", "transient\n"));
        assert_true(has(&b, "unit-file", "/run/systemd/generator.late/a-b.service", "late\n"));
        assert_true(has(&b, "unit-dropin", "/etc/systemd/system/a-b.service.d/1.conf", "one\n"));
        assert_true(has(&b, "unit-dropin", "/etc/systemd/system/a-b.service.d/2.conf", "two\n"));
        assert_true(has(&b, "unit-dropin", "/usr/lib/systemd/system/a-.service.d/d.conf", "dash\n"));
        assert_true(has(&b, "unit-dropin", "/run/systemd/system/service.d/10.conf", "all\n"));
}

static void unit_instance_takes_its_template(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b,
                "mkdir -p etc/systemd/system/a@.service.d etc/systemd/system/a@x.service.d && echo t "
                ">etc/systemd/system/a@.service && "
                "echo 1 >etc/systemd/system/a@.service.d/1.conf && echo 2 >etc/systemd/system/a@x.service.d/2.conf && "
                "echo no >etc/systemd/system/a@y.service",
                "a@x.service");
        assert_int_equal(b.result.objects, 3);
        assert_int_equal(b.result.holes, 0);
        assert_true(has(&b, "unit-file", "/etc/systemd/system/a@.service", "t\n"));
}

static void unit_directory_reached_twice_is_read_once(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b, "ln -s usr/lib lib && echo x >usr/lib/systemd/system/a.service", "a.service");
        assert_int_equal(b.result.objects, 1);
}

static void unit_link_is_kept_as_link_and_as_what_it_leads_to(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b, "echo real >there && ln -s ../../../there etc/systemd/system/a.service", "a.service");
        assert_true(has(&b, "unit-link", "/etc/systemd/system/a.service", "../../../there"));
        assert_true(has(&b, "unit-file", "/etc/systemd/system/a.service", "real\n"));
        assert_int_equal(b.result.holes, 0);
}

static void unit_that_is_masked_has_its_link_and_no_hole(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b, "ln -s /dev/null etc/systemd/system/a.service", "a.service");
        assert_true(has(&b, "unit-link", "/etc/systemd/system/a.service", "/dev/null"));
        assert_int_equal(b.result.objects, 1);
        assert_int_equal(b.result.holes, 0);
}

/* A hostile owner of a unit directory cannot make the collector wait or act. */
static void unit_traps_are_holes(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        collect(&b,
                "mkfifo etc/systemd/system/a.service && mkdir etc/systemd/system/a.service.d && cd "
                "etc/systemd/system/a.service.d && "
                "mkfifo fifo.conf && ln -s loop.conf loop.conf && ln -s fifo.conf to-fifo.conf && mkdir dir.conf && ln "
                "-s nothing gone.conf && "
                "printf x >\"$(printf 'line\\nfeed\\033[2J\\377.conf')\"",
                "a.service");
        assert_string_equal(box_text(box_hole(&b, "unit-file", 0), "hole"), "EOPNOTSUPP");
        assert_non_null(box_hole(&b, "unit-dropin", 3));
        assert_int_equal(json_integer_value(json_object_get(box_object(&b, "unit-dropin", 0), "bytes")), 1);
        assert_non_null(json_object_get(box_object(&b, "unit-dropin", 0), "source_b64"));
        assert_null(box_object(&b, "unit-dropin", 1));
}

static void unit_without_a_file_is_a_hole_but_for_slices_and_scopes(void **state) {
        static const struct {
                const char *unit;
                uint64_t holes;
        } cases[] = { { "a.service", 1 }, { "a.socket", 1 }, { "a.slice", 0 }, { "session-1.scope", 0 } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_box_ struct box b;

                collect(&b, "true", cases[i].unit);
                assert_int_equal(b.result.holes, cases[i].holes);
        }
}

static void unit_name_that_is_a_path_is_refused(void **state) {
        static const char *const names[] = {
                "", "a", "a.", "../a.service", "a/b.service", "/etc/passwd", ".service", "..", "x/../a.service"
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_box_ struct box b;

                collect(&b, "echo x >etc/systemd/a.service", names[i]);
                assert_int_equal(b.result.objects, 0);
                assert_string_equal(box_text(box_hole(&b, "unit-file", 0), "hole"), "EINVAL");
        }
}

static void add_name(const char *name, void *userdata) {
        char *list = userdata;
        size_t n = strlen(list);

        (void) snprintf(list + n, 512 - n, "%s ", name);
}

static void unit_dropin_names_are_all_that_the_manual_lists(void **state) {
        static const struct {
                const char *unit, *names;
        } cases[] = {
                { "a.service", "a.service service " },
                { "a-b-c.service", "a-b-c.service a-b-.service a-.service service " },
                { "a-.slice", "a-.slice slice " },
                { "a@x.service", "a@x.service a@.service service " },
                { "a@.service", "a@.service service " },
                { "a-b@c-d.service", "a-b@c-d.service a-b@.service a-.service a-@c-d.service a-@.service service " },
                { "-.slice", "-.slice slice " },
                { "x.y.mount", "x.y.mount mount " },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char list[512] = "";

                unit_dropin_names(cases[i].unit, add_name, list);
                assert_string_equal(list, cases[i].names);
        }
}

/* What a target lies in is what knows of it; one that is a unit has its own name. */
static void a_target_that_is_no_unit_is_of_the_one_that_it_lies_in(void **state) {
        static const struct {
                const char *path, *unit, *want; /* NULL: none */
        } rows[] = {
                { "/sys/fs/cgroup/system.slice/web.service", "-", "web.service" },
                { "/sys/fs/cgroup/system.slice/web.service/freezed-0123456789abcdef0123456789abcdef", "-",
                  "web.service" },
                { "/sys/fs/cgroup/a.slice/a-b.slice/web.service/a/b.c/other.scope", "-", "web.service" },
                { "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "-",
                  "user@1000.service" },
                { "/sys/fs/cgroup/a.slice/a-b.slice", "-", "a-b.slice" },
                { "/sys/fs/cgroup/a.slice/freezed-0123456789abcdef0123456789abcdef", "-", NULL },
                { "/sys/fs/cgroup/docker/0123", "-", NULL },
                { "/sys/fs/cgroup/lxc.payload.web/system.slice/ssh.service", "-", NULL },
                { "/sys/fs/cgroup/machine.slice/machine-a.scope/system.slice/ssh.service", "-", "machine-a.scope" },
                { "/sys/fs/cgroup/unified/system.slice/web.service", "-", "web.service" },
                { "/sys/fs/cgroup/", "-", NULL },
                { "/sys/fs/cgroup/-.service.d/x", "-", NULL },
                { "/sys/fs/cgroup/system.slice/web.service", "alias.service", "alias.service" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(target_set_freep) struct target_set *t = target_set_new(&rows[i].path, &rows[i].unit, 1);
                _cleanup_free_ struct units *u = NULL;
                _cleanup_box_ struct box b;

                assert_non_null(t);
                box_open(&b, MIB);
                u = units_find(t, b.store);
                assert_non_null(u);
                assert_int_equal(u->n, rows[i].want ? 1 : 0);
                if (rows[i].want) {
                        assert_string_equal(u->v[0].name, rows[i].want);
                        assert_true(u->v[0].given);
                }
                box_finish(&b);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(unit_file_and_its_dropins_come_from_every_directory),
                cmocka_unit_test(unit_instance_takes_its_template),
                cmocka_unit_test(unit_directory_reached_twice_is_read_once),
                cmocka_unit_test(unit_link_is_kept_as_link_and_as_what_it_leads_to),
                cmocka_unit_test(unit_that_is_masked_has_its_link_and_no_hole),
                cmocka_unit_test(unit_traps_are_holes),
                cmocka_unit_test(unit_without_a_file_is_a_hole_but_for_slices_and_scopes),
                cmocka_unit_test(unit_name_that_is_a_path_is_refused),
                cmocka_unit_test(unit_dropin_names_are_all_that_the_manual_lists),
                cmocka_unit_test(a_target_that_is_no_unit_is_of_the_one_that_it_lies_in),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

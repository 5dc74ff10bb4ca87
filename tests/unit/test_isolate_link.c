/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/isolate.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: tests/lib/cage.c */

/* Links and pins: what is read back is what the kernel has, whatever someone did to the pins; what is dropped is gone.
 */

#include "lib/cage.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <bpf/libbpf.h>

#include "agent/util/clock.h"
#include "agent/core/isolate_set.h"
#include "lib/isolate_box.h"
#include "lib/scratch.h"

static const enum bpf_attach_type types[_ISOLATE_HOOK_MAX] = {
#define X(name, id, type, phase) [ISOLATE_##name] = type,
        ISOLATE_HOOK_TABLE(X)
#undef X
};

/* How many programs the kernel runs at the hook of one cgroup, its own and its ancestors'. */
static unsigned attached(const struct cage *c, enum isolate_hook h, bool effective) {
        uint32_t ids[16], n = ELEMENTSOF(ids);

        assert_int_equal(bpf_prog_query(c->fd, types[h], effective ? BPF_F_QUERY_EFFECTIVE : 0, NULL, ids, &n), 0);
        return n;
}

static unsigned attached_at_all(const struct cage *c) {
        unsigned n = 0;

        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                n += attached(c, h, true);
        return n;
}

/* How many hooks the module sees in force. */
static unsigned seen(const struct command_id *id, uint64_t cgroup_id) {
        struct isolate_link links[_ISOLATE_HOOK_MAX];
        unsigned n = 0;

        isolate_read(isolate, id, cgroup_id, links);
        for (size_t h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                assert_int_equal(links[h].cgroup_id, links[h].link_id ? cgroup_id : 0);
                n += links[h].link_id != 0;
        }
        return n;
}

static bool sees(const struct command_id *id, enum isolate_hook h) {
        struct isolate_link links[_ISOLATE_HOOK_MAX];

        isolate_read(isolate, id, cage.id, links);
        return links[h].link_id != 0;
}

static void each_phase_attaches_its_own_hooks(void **state) {
        (void) state;
        hold(&hold_a, NULL, 0, true, false);
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                assert_int_equal(attached(&cage, h, false), h != ISOLATE_EGRESS);
                assert_int_equal(sees(&hold_a, h), h != ISOLATE_EGRESS);
        }
        hold(&hold_a, NULL, 0, false, true);
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                assert_int_equal(attached(&cage, h, false), 1);
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX);
        assert_int_equal(seen(&hold_b, cage.id), 0);
        assert_int_equal(seen(&hold_a, cage_top()->id), 0);
        assert_int_equal(attached_at_all(cage_top()), 0);
}

static void attaching_again_changes_nothing(void **state) {
        struct isolate_link before[_ISOLATE_HOOK_MAX], after[_ISOLATE_HOOK_MAX];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        isolate_read(isolate, &hold_a, cage.id, before);
        hold(&hold_a, NULL, 0, true, true);
        isolate_read(isolate, &hold_a, cage.id, after);
        assert_memory_equal(before, after, sizeof(before));
        assert_int_equal(attached(&cage, ISOLATE_EGRESS, false), 1);
}

static void attaching_needs_a_set(void **state) {
        (void) state;
        assert_int_equal(isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_CALLS), -ENODATA);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(isolate_attach(isolate, &hold_b, cage.fd, cage.id, ISOLATE_CALLS), -ENODATA);
        assert_int_equal(seen(&hold_b, cage.id), 0);
}

static void dropping_leaves_nothing(void **state) {
        struct cage below = cage_make("held/below");
        const size_t fds = wire_open_fds();
        char id[33], dir[256];

        (void) state;
        command_id_to_str(&hold_a, id);
        (void) snprintf(dir, sizeof(dir), "%s/%s", cage_pins(), id);
        for (int round = 0; round < 3; round++) {
                hold(&hold_a, NULL, 0, true, true);
                assert_int_equal(attached_at_all(&below), _ISOLATE_HOOK_MAX);
                assert_int_equal(access(dir, F_OK), 0);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                assert_int_equal(attached_at_all(&cage), 0);
                assert_int_equal(attached_at_all(&below), 0);
                assert_int_equal(seen(&hold_a, cage.id), 0);
                assert_int_equal(access(dir, F_OK), -1);
        }
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(isolate_drop(isolate, &hold_b), 0);
        assert_int_equal(isolate_prepare(isolate), 0);
        assert_int_equal(wire_open_fds(), fds);
}

static void dropping_one_of_two_leaves_the_other(void **state) {
        struct isolate_link before[_ISOLATE_HOOK_MAX], after[_ISOLATE_HOOK_MAX];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        hold(&hold_b, NULL, 0, true, true);
        assert_int_equal(attached(&cage, ISOLATE_EGRESS, false), 2);
        isolate_read(isolate, &hold_b, cage.id, before);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        isolate_read(isolate, &hold_b, cage.id, after);
        assert_memory_equal(before, after, sizeof(before));
        assert_int_equal(seen(&hold_b, cage.id), _ISOLATE_HOOK_MAX);
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++)
                assert_int_equal(attached(&cage, h, false), 1);
}

static void a_hold_of_many_cgroups_is_dropped_whole(void **state) {
        enum { MANY = 80 }; /* more pins than one reading of a directory gives */
        struct cage c[MANY];

        (void) state;
        assert_int_equal(isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0), 0);
        for (size_t k = 0; k < MANY; k++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "many%zu", k);
                c[k] = cage_make(name);
                assert_int_equal(isolate_attach(isolate, &hold_a, c[k].fd, c[k].id, ISOLATE_CALLS), 0);
                assert_int_equal(isolate_attach(isolate, &hold_a, c[k].fd, c[k].id, ISOLATE_PACKETS), 0);
        }
        isolate_end(isolate);
        for (size_t k = 0; k < MANY; k++)
                assert_int_equal(seen(&hold_a, c[k].id), _ISOLATE_HOOK_MAX);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        for (size_t k = 0; k < MANY; k++)
                assert_int_equal(attached_at_all(&c[k]), 0);
}

static void a_link_detached_by_force_is_seen_and_put_back(void **state) {
        (void) state;
        for (enum isolate_hook h = 0; h < _ISOLATE_HOOK_MAX; h++) {
                char path[256];

                hold_without(h);
                pin_of(&hold_a, cage.id, h, path);
                assert_int_equal(access(path, F_OK), 0); /* the pin says nothing of it */
                for (enum isolate_hook k = 0; k < _ISOLATE_HOOK_MAX; k++)
                        assert_int_equal(sees(&hold_a, k), k != h);
                hold(&hold_a, NULL, 0, true, true);
                assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX);
                assert_int_equal(attached(&cage, h, false), 1);
                detach(&hold_a, h);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                assert_int_equal(attached_at_all(&cage), 0);
        }
}

static void a_removed_pin_is_seen(void **state) {
        char path[256];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        pin_of(&hold_a, cage.id, ISOLATE_EGRESS, path);
        assert_int_equal(unlink(path), 0);
        assert_false(sees(&hold_a, ISOLATE_EGRESS));
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX - 1);
}

static void exchanged_pins_are_seen(void **state) {
        struct cage other = cage_make("other");
        char a[256], b[256];

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        /* each hook's link under the other's name */
        pin_of(&hold_a, cage.id, ISOLATE_EGRESS, a);
        pin_of(&hold_a, cage.id, ISOLATE_BIND4, b);
        assert_int_equal(unlink(b), 0);
        assert_int_equal(rename(a, b), 0);
        assert_false(sees(&hold_a, ISOLATE_EGRESS));
        assert_false(sees(&hold_a, ISOLATE_BIND4));
        /* the right hook at another cgroup */
        assert_int_equal(isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0), 0);
        assert_int_equal(isolate_attach(isolate, &hold_b, other.fd, other.id, ISOLATE_PACKETS), 0);
        isolate_end(isolate);
        pin_of(&hold_b, other.id, ISOLATE_EGRESS, b);
        assert_int_equal(rename(b, a), 0);
        assert_false(sees(&hold_a, ISOLATE_EGRESS));
}

static void a_cgroup_made_anew_is_not_the_held_one(void **state) {
        const int64_t end = clock_mono_us() + 60LL * 1000 * 1000;
        const uint64_t old = cage.id;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        (void) close(cage.fd);
        cage_remove(&cage);
        cage = cage_make("held");
        assert_int_not_equal(cage.id, old);
        assert_int_equal(seen(&hold_a, cage.id), 0);
        /* the kernel lets go of the old one when it gets to it */
        while (seen(&hold_a, old) > 0)
                assert_true(clock_mono_us() < end);
        assert_int_equal(attached_at_all(&cage), 0);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
}

static int hold_and_die(void *userdata) {
        isolate_free(TAKE_PTR(isolate));
        (void) userdata;
        if (isolate_new(cage_pins(), &isolate) < 0 || isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0) < 0 ||
            isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_CALLS) < 0 ||
            isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_PACKETS) < 0)
                return 1;
        (void) kill(getpid(), SIGKILL);
        return 2;
}

static void what_is_pinned_survives_its_maker(void **state) {
        _cleanup_close_ int fd = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        const union wire_addr to = wire_addr("10.0.0.1", 9);

        (void) state;
        assert_int_equal(cage_call(cage_top(), hold_and_die, NULL), -SIGKILL);
        assert_int_equal(wire_connect(fd, &to), -EPERM);
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(wire_connect(fd, &to), 0);
}

static uint32_t map_of(const struct command_id *id, uint32_t type) {
        struct isolate_link links[_ISOLATE_HOOK_MAX];
        struct bpf_prog_info info = { 0 };
        uint32_t ids[8], size = sizeof(info);

        isolate_read(isolate, id, cage.id, links);
        _cleanup_close_ int prog = bpf_prog_get_fd_by_id(links[ISOLATE_EGRESS].prog_id);

        info.nr_map_ids = ELEMENTSOF(ids);
        info.map_ids = (uintptr_t) ids;
        assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &size), 0);
        for (uint32_t k = 0; k < info.nr_map_ids; k++) {
                _cleanup_close_ int map = bpf_map_get_fd_by_id(ids[k]);
                struct bpf_map_info map_info = { 0 };
                uint32_t map_size = sizeof(map_info);

                assert_int_equal(bpf_obj_get_info_by_fd(map, &map_info, &map_size), 0);
                if (map_info.type == type)
                        return ids[k];
        }
        fail_msg("no such map");
        return 0;
}

static void permits_are_fixed_for_good(void **state) {
        static struct isolate_policy all = { .n = 1 }; /* one entry that matches everything */
        const uint32_t zero = 0;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        _cleanup_close_ int map = bpf_map_get_fd_by_id(map_of(&hold_a, BPF_MAP_TYPE_ARRAY));

        assert_true(map >= 0);
        assert_int_equal(bpf_map_update_elem(map, &zero, &all, BPF_ANY), -EPERM);
        all.n = 7;
        assert_int_equal(bpf_map_lookup_elem(map, &zero, &all), 0);
        assert_int_equal(all.n, 0);
}

static int load_pass(enum bpf_prog_type type, enum bpf_attach_type attach_type) {
        static const struct bpf_insn pass[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type);
        int fd = bpf_prog_load(type, "pass", "GPL", pass, ELEMENTSOF(pass), &opts);

        assert_true(fd >= 0);
        return fd;
}

static bool is_ours(const struct permit *p, size_t n) {
        return isolate_is_ours(isolate, &hold_a, cage.id, p, n, NULL, 0);
}

static void exchange(enum isolate_hook h, int prog) {
        char path[256];

        pin_of(&hold_a, cage.id, h, path);
        _cleanup_close_ int link = bpf_obj_get(path);

        assert_true(link >= 0);
        assert_int_equal(bpf_link_update(link, prog, NULL), 0);
}

static void whatever_else_runs_in_a_pinned_link_is_seen_and_replaced(void **state) {
        _cleanup_close_ int pass = load_pass(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
        _cleanup_close_ int fd = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        _cleanup_close_ int again = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        const struct permit everyone = permit_of("0.0.0.0/0", 0, 0);
        const union wire_addr to = wire_addr("10.0.0.1", 9);
        struct isolate_set open;

        (void) state;
        assert_true(is_ours(NULL, 0));
        hold(&hold_a, NULL, 0, true, true);
        assert_true(is_ours(NULL, 0));
        /* other permits than those that it is to have */
        assert_false(is_ours(&everyone, 1));
        /* other code */
        exchange(ISOLATE_CONNECT4, pass);
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX);
        assert_int_equal(wire_connect(fd, &to), 0);
        assert_false(is_ours(NULL, 0));
        hold(&hold_a, NULL, 0, true, true);
        assert_true(is_ours(NULL, 0));
        assert_int_equal(wire_connect(again, &to), -EPERM);
        /* our code, and permits that can be changed later */
        assert_int_equal(isolate_set_load(isolate_ring(isolate), &open), 0);
        assert_int_equal(bpf_map_update_elem(open.policy, &(uint32_t) { 0 },
                                             &(struct isolate_policy) { .hold = { 0xa } }, BPF_ANY),
                         0);
        exchange(ISOLATE_CONNECT4, open.prog[ISOLATE_CONNECT4]);
        assert_false(is_ours(NULL, 0));
        assert_int_equal(bpf_map_freeze(open.policy), 0);
        assert_true(is_ours(NULL, 0));
        isolate_set_close(&open);
        assert_int_equal(attached(&cage, ISOLATE_CONNECT4, false), 1);
}

static void an_exclusive_program_of_someone_else_is_named(void **state) {
        _cleanup_close_ int prog = load_pass(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS);
        struct cage below = cage_make("held/below");

        (void) state;
        assert_int_equal(bpf_prog_attach(prog, cage.fd, BPF_CGROUP_INET_EGRESS, 0), 0);
        assert_int_equal(isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0), 0);
        assert_int_equal(isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_CALLS), 0);
        assert_int_equal(isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_PACKETS), -EBUSY);
        /* the rest is in force all the same */
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX - 1);
        assert_false(sees(&hold_a, ISOLATE_EGRESS));
        /* and it keeps us off all that is below */
        assert_int_equal(isolate_attach(isolate, &hold_b, below.fd, below.id, ISOLATE_PACKETS), -EBUSY);
        isolate_end(isolate);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(isolate_drop(isolate, &hold_b), 0);
        assert_int_equal(attached(&cage, ISOLATE_EGRESS, false), 1);
        assert_int_equal(bpf_prog_detach2(prog, cage.fd, BPF_CGROUP_INET_EGRESS), 0);
}

static void a_program_of_someone_else_that_shares_changes_nothing(void **state) {
        _cleanup_close_ int prog = load_pass(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
        _cleanup_close_ int fd = cage_socket(&cage, AF_INET, SOCK_STREAM, 0);
        struct cage below = cage_make("held/below");
        _cleanup_close_ int deeper = cage_socket(&below, AF_INET, SOCK_STREAM, 0);
        const union wire_addr to = wire_addr("10.0.0.1", 9);

        (void) state;
        assert_int_equal(bpf_prog_attach(prog, cage.fd, BPF_CGROUP_INET4_CONNECT, BPF_F_ALLOW_MULTI), 0);
        hold(&hold_a, NULL, 0, true, true);
        /* nor does one that comes later, further down, and wants to be alone */
        assert_int_equal(bpf_prog_attach(prog, below.fd, BPF_CGROUP_INET4_CONNECT, 0), 0);
        assert_int_equal(wire_connect(fd, &to), -EPERM);
        assert_int_equal(wire_connect(deeper, &to), -EPERM);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(attached(&cage, ISOLATE_CONNECT4, false), 1);
        assert_int_equal(bpf_prog_detach2(prog, cage.fd, BPF_CGROUP_INET4_CONNECT), 0);
}

static void a_failing_step_leaves_no_link_unpinned(void **state) {
        (void) state;
        for (unsigned k = 1; k <= 2 * _ISOLATE_HOOK_MAX; k++) {
                char setting[16];
                int r;

                assert_int_equal(isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0), 0);
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                assert_int_equal(setenv("FREEZED_FAULT", setting, 1), 0);
                r = isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_CALLS);
                if (r == 0)
                        r = isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_PACKETS);
                else
                        assert_int_equal(isolate_attach(isolate, &hold_a, cage.fd, cage.id, ISOLATE_PACKETS), 0);
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
                isolate_end(isolate);
                assert_int_equal(r, -EIO);
                assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX - 1);
                assert_int_equal(attached_at_all(&cage), _ISOLATE_HOOK_MAX - 1);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        }
}

static void a_drop_that_fails_half_way_says_so_and_is_finished_later(void **state) {
        (void) state;
        for (unsigned k = 1; k <= _ISOLATE_HOOK_MAX; k++) {
                char setting[16];

                hold(&hold_a, NULL, 0, true, true);
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                assert_int_equal(setenv("FREEZED_FAULT", setting, 1), 0);
                assert_int_equal(isolate_drop(isolate, &hold_a), -EIO);
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
                assert_int_equal(seen(&hold_a, cage.id), 1);
                assert_int_equal(attached_at_all(&cage), 1);
                assert_int_equal(isolate_drop(isolate, &hold_a), 0);
                assert_int_equal(attached_at_all(&cage), 0);
        }
}

static void a_pin_that_cannot_be_opened_is_not_taken_for_dropped(void **state) {
        struct rlimit limit, before;
        int next, r;

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        next = dup(0);
        assert_int_equal(close(next), 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        /* room for the directory and nothing else */
        limit = (struct rlimit) { .rlim_cur = (rlim_t) next + 1, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        r = isolate_drop(isolate, &hold_a);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EMFILE);
        assert_int_equal(seen(&hold_a, cage.id), _ISOLATE_HOOK_MAX);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(attached_at_all(&cage), 0);
}

struct names {
        struct command_id v[4];
        size_t n;
};

static int collect(const struct command_id *id, void *userdata) {
        struct names *names = userdata;

        assert_true(names->n < ELEMENTSOF(names->v));
        names->v[names->n++] = *id;
        return 0;
}

static int refuse(const struct command_id *id, void *userdata) {
        (void) id, (void) userdata;
        return -ECANCELED;
}

static void every_hold_that_has_pins_is_listed(void **state) {
        struct names names = { 0 };
        char path[256];

        (void) state;
        assert_int_equal(isolate_each(isolate, collect, &names), 0);
        assert_int_equal(names.n, 0);
        hold(&hold_a, NULL, 0, true, true);
        hold(&hold_b, NULL, 0, true, false);
        (void) snprintf(path, sizeof(path), "%s/not_a_hold", cage_pins());
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(isolate_each(isolate, collect, &names), 0);
        assert_int_equal(names.n, 2);
        assert_true(command_id_equal(&names.v[0], &hold_a) || command_id_equal(&names.v[1], &hold_a));
        assert_int_equal(isolate_each(isolate, refuse, NULL), -ECANCELED);
}

static void a_mark_is_listed_like_a_pin_and_dropped_with_them(void **state) {
        struct cage other = cage_make("other");
        struct names names = { 0 };
        uint64_t ids[4];

        (void) state;
        assert_int_equal(isolate_cgroups(isolate, &hold_a, ids, ELEMENTSOF(ids)), 0);
        assert_int_equal(isolate_mark(isolate, &hold_a, other.id), 0);
        assert_int_equal(isolate_mark(isolate, &hold_a, other.id), 0);
        assert_int_equal(isolate_cgroups(isolate, &hold_a, ids, ELEMENTSOF(ids)), 1);
        assert_int_equal(ids[0], other.id);
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(isolate_cgroups(isolate, &hold_a, ids, ELEMENTSOF(ids)), 2);
        assert_int_equal(ids[0] ^ ids[1], other.id ^ cage.id);
        assert_int_equal(isolate_cgroups(isolate, &hold_a, ids, 1), 1);
        assert_int_equal(isolate_each(isolate, collect, &names), 0);
        assert_int_equal(names.n, 1);
        assert_int_equal(seen(&hold_a, other.id), 0);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
        assert_int_equal(isolate_cgroups(isolate, &hold_a, ids, ELEMENTSOF(ids)), 0);
        assert_int_equal(attached_at_all(&cage), 0);
}

static int without_privileges(void *userdata) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[2] = { 0 };
        struct isolate *i;

        (void) userdata;
        if (syscall(SYS_capset, &header, none) < 0 || isolate_new(cage_pins(), &i) < 0)
                return 1;
        /* it says why, and what needs a set says it too */
        if (isolate_prepare(i) != -EPERM || isolate_begin(i, &hold_a, NULL, 0, NULL, 0) != -EPERM ||
            isolate_attach(i, &hold_a, cage.fd, cage.id, ISOLATE_CALLS) != -ENODATA)
                return 2;
        isolate_free(i);
        return 0;
}

static void where_the_kernel_takes_no_programs_that_is_said(void **state) {
        (void) state;
        assert_int_equal(cage_call(cage_top(), without_privileges, NULL), 0);
}

static void pins_that_are_not_on_a_bpffs_hold_nothing(void **state) {
        _cleanup_scratch_ struct scratch dir = { "" };
        struct isolate *i;

        (void) state;
        scratch_make(&dir);
        assert_int_equal(isolate_new(dir.path, &i), 0);
        assert_int_equal(isolate_begin(i, &hold_a, NULL, 0, NULL, 0), 0);
        assert_true(isolate_attach(i, &hold_a, cage.fd, cage.id, ISOLATE_CALLS) < 0);
        isolate_free(i);
        assert_int_equal(attached_at_all(&cage), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(each_phase_attaches_its_own_hooks),
                CASE(attaching_again_changes_nothing),
                CASE(attaching_needs_a_set),
                CASE(dropping_leaves_nothing),
                CASE(dropping_one_of_two_leaves_the_other),
                CASE(a_hold_of_many_cgroups_is_dropped_whole),
                CASE(a_link_detached_by_force_is_seen_and_put_back),
                CASE(a_removed_pin_is_seen),
                CASE(exchanged_pins_are_seen),
                CASE(a_cgroup_made_anew_is_not_the_held_one),
                CASE(what_is_pinned_survives_its_maker),
                CASE(permits_are_fixed_for_good),
                CASE(whatever_else_runs_in_a_pinned_link_is_seen_and_replaced),
                CASE(an_exclusive_program_of_someone_else_is_named),
                CASE(a_program_of_someone_else_that_shares_changes_nothing),
                CASE(a_failing_step_leaves_no_link_unpinned),
                CASE(a_drop_that_fails_half_way_says_so_and_is_finished_later),
                CASE(a_pin_that_cannot_be_opened_is_not_taken_for_dropped),
                CASE(every_hold_that_has_pins_is_listed),
                CASE(a_mark_is_listed_like_a_pin_and_dropped_with_them),
                CASE(where_the_kernel_takes_no_programs_that_is_said),
                CASE(pins_that_are_not_on_a_bpffs_hold_nothing),
        };

        return CAGE_MAIN(cases);
}

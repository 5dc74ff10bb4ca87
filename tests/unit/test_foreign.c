/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/foreign.c agent/core/isolate.c agent/core/isolate_set.c agent/core/cgroup.c agent/core/paths.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* Programs of others on the way of ours: whatever foreign_find says, the kernel does when ours are attached. */

#include "lib/cage.h"

#include <linux/bpf.h>

#include "agent/core/foreign.h"
#include "lib/isolate_box.h"

#define FOREIGN_NAME "somebody"

/* r0 = 1: allows everything */
static const struct bpf_insn allow[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
        { .code = BPF_JMP | BPF_EXIT },
};

/* bpf_set_retval(0), then allows */
static const struct bpf_insn take_back[] = {
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = 0 },
        { .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_set_retval },
        { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
        { .code = BPF_JMP | BPF_EXIT },
};

static int load(const struct bpf_insn *insns, size_t n) {
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET4_CONNECT);
        int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, FOREIGN_NAME, "GPL", insns, n, &opts);

        assert_true(fd >= 0);
        return fd;
}

static void attach(const struct cage *c, const struct bpf_insn *insns, size_t n, unsigned flags) {
        _cleanup_close_ int prog = load(insns, n);

        assert_int_equal(bpf_prog_attach(prog, c->fd, BPF_CGROUP_INET4_CONNECT, flags), 0);
}

static struct foreign_list found;

static void find(const struct cage *c) {
        foreign_list_done(&found);
        foreign_find(cage_hierarchy(), c->path, &found);
}

/* What is found is what ours are refused for, and the other way round. */
static void agrees(const struct cage *c, bool in_the_way) {
        find(c);
        assert_int_equal(found.n, in_the_way);
        assert_int_equal(isolate_begin(isolate, &hold_a, NULL, 0, NULL, 0), 0);
        assert_int_equal(isolate_attach(isolate, &hold_a, c->fd, c->id, ISOLATE_CALLS), in_the_way ? -EBUSY : 0);
        isolate_end(isolate);
        assert_int_equal(isolate_drop(isolate, &hold_a), 0);
}

static void nobody_is_in_the_way_of_ours(void **state) {
        (void) state;
        agrees(&cage, false);
}

static void one_that_was_attached_alone_is_named(void **state) {
        (void) state;
        attach(&cage, allow, ELEMENTSOF(allow), 0);
        agrees(&cage, true);
        assert_int_equal(found.v[0].hook, ISOLATE_CONNECT4);
        assert_string_equal(found.v[0].name, FOREIGN_NAME);
        assert_string_equal(found.v[0].path, cage.path);
        assert_true(found.v[0].prog_id > 0);
        assert_false(found.v[0].overridable);
        foreign_list_done(&found);
}

static void one_that_may_be_overridden_below_is_in_the_way_on_the_same_cgroup(void **state) {
        (void) state;
        attach(&cage, allow, ELEMENTSOF(allow), BPF_F_ALLOW_OVERRIDE);
        agrees(&cage, true);
        assert_true(found.v[0].overridable);
        foreign_list_done(&found);
}

static void one_of_several_is_not(void **state) {
        (void) state;
        attach(&cage, allow, ELEMENTSOF(allow), BPF_F_ALLOW_MULTI);
        agrees(&cage, false);
}

static void one_further_up_forbids_the_whole_subtree(void **state) {
        struct cage below = cage_make("held/below"), deeper = cage_make("held/below/deeper");

        (void) state;
        attach(&cage, allow, ELEMENTSOF(allow), 0);
        agrees(&deeper, true);
        assert_string_equal(found.v[0].path, cage.path);
        agrees(&below, true);
        foreign_list_done(&found);
}

static void one_further_up_that_may_be_overridden_does_not(void **state) {
        struct cage below = cage_make("held/below");

        (void) state;
        attach(&cage, allow, ELEMENTSOF(allow), BPF_F_ALLOW_OVERRIDE);
        agrees(&below, false);
}

static void several_in_between_hide_what_is_above_them(void **state) {
        struct cage below = cage_make("held/below"), deeper = cage_make("held/below/deeper");

        (void) state;
        attach(&below, allow, ELEMENTSOF(allow), BPF_F_ALLOW_MULTI);
        attach(&cage, allow, ELEMENTSOF(allow), 0);
        agrees(&deeper, false);
        agrees(&below, true);
        foreign_list_done(&found);
}

static int connects(void *userdata) {
        const union wire_addr to = wire_addr("10.0.0.1", 9);
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        (void) userdata;
        return connect(fd, &to.sa, sizeof(to.v4)) == 0 ? 0 : errno;
}

static void whatever_is_attached_below_runs_beside_ours_and_not_instead(void **state) {
        static const unsigned ways[] = { 0, BPF_F_ALLOW_OVERRIDE, BPF_F_ALLOW_MULTI };

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        for (size_t k = 0; k < ELEMENTSOF(ways); k++) {
                struct cage below = cage_make("held/below");

                attach(&below, allow, ELEMENTSOF(allow), ways[k]);
                assert_int_equal(cage_call(&below, connects, NULL), EPERM);
                cage_remove(&below);
        }
}

/* The one way in which somebody's program undoes a refusal of ours: the packet is dropped all the same. */
static void a_refusal_can_be_taken_back_by_one_that_runs_later_and_a_drop_can_not(void **state) {
        _cleanup_close_ int in = cage_socket(&cage, AF_INET, SOCK_DGRAM, 0);
        union wire_addr to;
        _cleanup_close_ int out = wire_listen("10.0.0.1", SOCK_DGRAM, &to);

        (void) state;
        hold(&hold_a, NULL, 0, true, true);
        assert_int_equal(wire_connect(in, &to), -EPERM);
        attach(cage_top(), take_back, ELEMENTSOF(take_back), BPF_F_ALLOW_MULTI);
        find(&cage);
        assert_int_equal(found.n, 0);
        assert_int_equal(wire_connect(in, &to), 0);
        assert_int_equal(wire_send(in, "x", 1), -EPERM);
        assert_int_equal(wire_arrived(out), 0);
}

static void one_on_a_cgroup_whose_name_is_no_text_is_told_all_the_same(void **state) {
        struct cage named = cage_make("\xff");
        _cleanup_json_ json_t *told = NULL;
        const char *path;

        (void) state;
        attach(&named, allow, ELEMENTSOF(allow), 0);
        find(&named);
        told = foreign_to_json(&found);
        assert_int_equal(json_array_size(told), 1);
        path = json_string_value(json_object_get(json_array_get(told, 0), "cgroup"));
        assert_non_null(path);
        assert_non_null(strstr(path, "\\xff"));
        foreign_list_done(&found);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(nobody_is_in_the_way_of_ours),
                CASE(one_that_was_attached_alone_is_named),
                CASE(one_that_may_be_overridden_below_is_in_the_way_on_the_same_cgroup),
                CASE(one_of_several_is_not),
                CASE(one_further_up_forbids_the_whole_subtree),
                CASE(one_further_up_that_may_be_overridden_does_not),
                CASE(several_in_between_hide_what_is_above_them),
                CASE(whatever_is_attached_below_runs_beside_ours_and_not_instead),
                CASE(a_refusal_can_be_taken_back_by_one_that_runs_later_and_a_drop_can_not),
                CASE(one_on_a_cgroup_whose_name_is_no_text_is_told_all_the_same),
        };

        return CAGE_MAIN(cases);
}

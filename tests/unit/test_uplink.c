/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/uplink.c agent/core/uplink_list.c agent/core/uplink_prog.c agent/core/direct.c agent/core/netns.c agent/core/cgroup.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* What a hold on the host has on the interfaces of one network namespace, which is the test's own. */

#include "lib/cage.h"

#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "agent/core/uplink.h"
#include "agent/util/io.h"

#define XDP_FAMILY 44

static const struct command_id hold = { { 0xa } };

static struct uplinks_of of;
static struct uplinks links;
static int drop_all;

static void shell(const char *command) {
        assert_int_equal(system(command), 0);
}

static int load(enum bpf_prog_type type, int verdict) {
        const struct bpf_insn insns[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
                { .code = BPF_JMP | BPF_EXIT },
        };
        const int fd = bpf_prog_load(type, "test", "GPL", insns, ELEMENTSOF(insns), NULL);

        assert_true(fd >= 0);
        return fd;
}

static uint32_t id_of(int prog) {
        struct bpf_prog_info info = { 0 };
        uint32_t size = sizeof(info);

        assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &size), 0);
        return info.id;
}

static int begin(void **state) {
        const int r = cage_begin(state);

        if (r != 0)
                return r;
        shell("ip link add up0 type veth peer name up1 && ip link set up0 up && ip link set up1 up");
        of = (struct uplinks_of) { .pins = cage_pins(), .hold = &hold, .mark = 1 };
        drop_all = load(BPF_PROG_TYPE_SCHED_CLS, 2);
        of.prog_id = id_of(drop_all);
        return 0;
}

static int end(void **state) {
        uplinks_done(&links);
        (void) close(drop_all);
        shell("nft flush ruleset; ip link delete up0");
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void cover(int prog) {
        uplinks_done(&links);
        uplinks_cover_home(&of, prog, &links);
        assert_false(links.unread);
}

static const struct uplink *named(const char *name) {
        for (size_t i = 0; i < links.n; i++)
                if (strcmp(links.v[i].name, name) == 0)
                        return &links.v[i];
        return NULL;
}

static bool is_whole(const char *name) {
        const struct uplink *u = named(name);

        return u && u->prog_id != 0 && u->direct;
}

static void pin_of(const char *name, char ret[static 256]) {
        char id[33];

        command_id_to_str(&hold, id);
        (void) snprintf(ret, 256, "%s/%s/uplink_%llx_%u", of.pins, id, (unsigned long long) named(name)->netns,
                        named(name)->ifindex);
}

static void every_interface_but_the_loopback_is_covered(void **state) {
        (void) state;
        cover(drop_all);
        assert_int_equal(links.n, 2);
        assert_null(named("lo"));
        assert_true(is_whole("up0") && is_whole("up1"));
        assert_true(named("up0")->mended && named("up1")->mended);
        cover(drop_all);
        assert_true(is_whole("up0") && is_whole("up1"));
        assert_false(named("up0")->mended || named("up1")->mended);
        shell("ip link add late0 type veth peer name late1");
        cover(drop_all);
        assert_int_equal(links.n, 4);
        assert_true(is_whole("late0") && named("late0")->mended);
        assert_false(named("up0")->mended);
        shell("ip link delete late0");
}

static void what_is_taken_off_is_put_back(void **state) {
        char pin[256];

        (void) state;
        cover(drop_all);
        if (named("up0")->link_id == 0) {
                (void) puts("skip: without TCX there is no link");
                skip();
        }
        pin_of("up0", pin);
        _cleanup_close_ int link = bpf_obj_get(pin);

        assert_true(link >= 0);
        assert_int_equal(bpf_link_detach(link), 0);
        cover(drop_all);
        assert_true(is_whole("up0") && named("up0")->mended && !named("up1")->mended);
        assert_int_equal(unlink(pin), 0);
        closep(&link);
        cover(drop_all);
        assert_true(is_whole("up0") && named("up0")->mended);
        shell("nft flush ruleset");
        cover(drop_all);
        assert_true(is_whole("up0") && named("up0")->mended && named("up1")->mended);
}

static bool has_tcx(void) {
        if (named("up0")->link_id == 0)
                (void) puts("skip: without TCX there is no link");
        return named("up0")->link_id != 0;
}

/* Looks, and sees up0 open; covers it, and sees that it had to. */
static void open_until_covered(void) {
        cover(-EBADF);
        assert_false(is_whole("up0"));
        assert_int_equal(named("up0")->link_id, 0);
        assert_true(is_whole("up1"));
        cover(drop_all);
        assert_true(is_whole("up0") && named("up0")->mended && !named("up1")->mended);
        assert_int_equal(named("up0")->prog_id, of.prog_id);
        cover(-EBADF);
        assert_true(is_whole("up0"));
}

static void a_link_with_another_program_is_open(void **state) {
        _cleanup_close_ int pass_all = load(BPF_PROG_TYPE_SCHED_CLS, 0), link = -EBADF;
        char pin[256];

        (void) state;
        cover(drop_all);
        if (!has_tcx())
                skip();
        pin_of("up0", pin);
        link = bpf_obj_get(pin);
        assert_int_equal(bpf_link_update(link, pass_all, NULL), 0);
        open_until_covered();
}

static void who_is_asked_before_the_program_opens_it(void **state) {
        _cleanup_close_ int pass_all = load(BPF_PROG_TYPE_SCHED_CLS, 0), link = -EBADF;
        const uint32_t holds[] = { of.prog_id, id_of(pass_all) };
        LIBBPF_OPTS(bpf_link_create_opts, before, .flags = 1U << 3);

        (void) state;
        cover(drop_all);
        if (!has_tcx())
                skip();
        link = bpf_link_create(pass_all, (int) named("up0")->ifindex, (enum bpf_attach_type) 47, &before);
        assert_true(link >= 0);
        /* but not another hold */
        of.progs = holds;
        of.n_progs = ELEMENTSOF(holds);
        cover(-EBADF);
        assert_true(is_whole("up0"));
        of.n_progs = 0;
        open_until_covered();
        /* whose it was is still there */
        closep(&link);
        cover(-EBADF);
        assert_true(is_whole("up0"));
}

/* Where there is room for no more, the filter that stands instead is not asked for what they let pass. */
static void an_interface_full_of_those_who_let_pass_is_open(void **state) {
        int links_of_others[64], n = 0;

        (void) state;
        cover(-EBADF);
        for (; n < 64; n++) {
                _cleanup_close_ int pass_all = load(BPF_PROG_TYPE_SCHED_CLS, 0);

                links_of_others[n] =
                        bpf_link_create(pass_all, (int) named("up0")->ifindex, (enum bpf_attach_type) 47, NULL);
                if (links_of_others[n] < 0)
                        break;
        }
        if (n == 0)
                skip();
        cover(drop_all);
        assert_false(is_whole("up0"));
        assert_true(is_whole("up1"));
        while (n > 0)
                (void) close(links_of_others[--n]);
        cover(drop_all);
        assert_true(is_whole("up0"));
}

static void a_new_set_takes_the_place_of_the_last_one(void **state) {
        _cleanup_close_ int next = load(BPF_PROG_TYPE_SCHED_CLS, 2);

        (void) state;
        cover(drop_all);
        of.prog_id = id_of(next);
        uplinks_done(&links);
        uplinks_cover_home(&of, next, &links);
        assert_true(is_whole("up0") && named("up0")->prog_id == of.prog_id);
}

/* What cannot be pinned is not a link's, so that this kernel is made to do as those without TCX do. */
static void a_filter_is_the_holds_and_asked_first(void **state) {
        char dir[] = "/tmp/freezed-uplink.XXXXXX";
        _cleanup_close_ int pass_all = load(BPF_PROG_TYPE_SCHED_CLS, 0);

        (void) state;
        assert_non_null(mkdtemp(dir));
        of.pins = dir;
        cover(drop_all);
        assert_true(is_whole("up0") && named("up0")->link_id == 0 && named("up0")->mended);
        cover(drop_all);
        assert_false(named("up0")->mended);
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int) named("up0")->ifindex, .attach_point = BPF_TC_EGRESS);
        LIBBPF_OPTS(bpf_tc_opts, other, .handle = 0x0f0a0000, .priority = 1, .prog_fd = pass_all,
                    .flags = BPF_TC_F_REPLACE);
        assert_int_equal(bpf_tc_attach(&hook, &other), 0);
        open_until_covered();
        shell("tc filter add dev up0 egress protocol all prio 1 handle 7 bpf bytecode '1,6 0 0 4294967295' flowid 1:1");
        open_until_covered();
        shell("test \"$(tc filter show dev up0 egress | grep -c handle)\" = 2");
        shell("rm -r /tmp/freezed-uplink.*");
}

/* Whoever makes interfaces in a namespace of his own can make as many as he likes. */
static void however_many_there_are_each_is_looked_at(void **state) {
        (void) state;
        shell("for i in $(seq 300); do echo \"link add many$i type veth peer name more$i\"; done | ip -batch -");
        cover(-EBADF);
        assert_int_equal(links.n, 602);
        assert_non_null(named("more300"));
        shell("for i in $(seq 300); do echo \"link delete many$i\"; done | ip -batch -");
}

static void an_af_xdp_socket_is_counted(void **state) {
        int fd;

        (void) state;
        cover(drop_all);
        assert_int_equal(links.n_xsk, 0);
        fd = socket(XDP_FAMILY, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (fd < 0) {
                (void) puts("skip: this kernel has no AF_XDP");
                skip();
        }
        cover(drop_all);
        assert_int_equal(links.n_xsk, 1);
        (void) close(fd);
}

static void an_xdp_program_is_seen(void **state) {
        _cleanup_close_ int prog = load(BPF_PROG_TYPE_XDP, 2);
        int ifindex;

        (void) state;
        cover(drop_all);
        ifindex = (int) named("up1")->ifindex;
        assert_int_equal(named("up1")->xdp_prog, 0);
        assert_int_equal(bpf_xdp_attach(ifindex, prog, XDP_FLAGS_SKB_MODE, NULL), 0);
        cover(drop_all);
        assert_int_not_equal(named("up1")->xdp_prog, 0);
        assert_int_equal(named("up0")->xdp_prog, 0);
        assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL), 0);
        cover(drop_all);
        assert_int_equal(named("up1")->xdp_prog, 0);
}

static void trying_leaves_nothing(void **state) {
        (void) state;
        assert_int_equal(uplinks_try_clsact(), 0);
        shell("test -z \"$(tc qdisc show dev lo | grep clsact)\"");
        shell("tc qdisc add dev lo clsact");
        assert_int_equal(uplinks_try_clsact(), 0);
        shell("tc qdisc show dev lo | grep -q clsact && test -z \"$(tc filter show dev lo egress)\"");
        shell("tc qdisc del dev lo clsact");
        if (uplinks_try_tcx() < 0)
                return; /* a kernel before 6.6 */
        shell("test -z \"$(bpftool net show dev lo | grep freezed_try)\"");
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(every_interface_but_the_loopback_is_covered),
                CASE(what_is_taken_off_is_put_back),
                CASE(a_link_with_another_program_is_open),
                CASE(who_is_asked_before_the_program_opens_it),
                CASE(an_interface_full_of_those_who_let_pass_is_open),
                CASE(a_new_set_takes_the_place_of_the_last_one),
                CASE(a_filter_is_the_holds_and_asked_first),
                CASE(however_many_there_are_each_is_looked_at),
                CASE(an_af_xdp_socket_is_counted),
                CASE(an_xdp_program_is_seen),
                CASE(trying_leaves_nothing),
        };

        return CAGE_MAIN(cases);
}

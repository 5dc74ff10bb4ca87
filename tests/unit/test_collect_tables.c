/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "lib/age_keys.h"

#define ANY(filter, files) "jq -es 'any(.[]; " filter ")' " files

static void must(const char *dir, const char *command) {
        if (!rig_shell(dir, command))
                fail_msg("%s", command);
}

/* In the child there is nobody to tell: its exit is seen by who waits for it to be ready. */
static void need(bool is) {
        if (!is)
                _exit(1);
}

static int listen_at(uint16_t port) {
        const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
        int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        need(bind(s, (const struct sockaddr *) &a, sizeof(a)) == 0 && listen(s, 1) == 0);
        return s;
}

/* A namespace in which nobody runs, and of which only a socket is left. */
static void socket_left_behind(void *userdata) {
        int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

        (void) userdata;
        need(unshare(CLONE_NEWNET) == 0);
        (void) listen_at(0x1003);
        need(setns(home, CLONE_NEWNET) == 0 && close(home) == 0);
}

static void a_connection_in_a_namespace_without_processes_is_found(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, socket_left_behind, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, "! grep ':1003 00000000:0000 0A' data/*-net-tcp");
        must(d.opened, "test $(ls data/*-sock-tcp | wc -l) = 2");
        must(d.opened, ANY(".sport == 4099 and .state == 10", "data/*-sock-tcp"));
        must(d.opened, "i=$(jq -r 'select(.sport == 4099).inode' data/*-sock-tcp); grep \"socket:.$i.\" data/*-fds");
}

/* Likewise, but what is left is the namespace itself. */
static void namespace_kept_open(void *userdata) {
        int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

        (void) userdata;
        need(unshare(CLONE_NEWNET) == 0 && open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) >= 0);
        need(system("ip link add kept0 type veth") == 0); /* NOLINT: a fixed command */
        need(setns(home, CLONE_NEWNET) == 0 && close(home) == 0);
}

static void a_namespace_that_is_only_held_open_is_found(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, namespace_kept_open, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".name == \"kept0\"", "data/*-table-interfaces"));
}

/* With a table of descriptors of its own. */
static __attribute__((noreturn)) int hidden_thread(void *userdata) {
        const unsigned ready = *(unsigned *) userdata;

        need(unshare(CLONE_FILES) == 0 && close_range(3, ready - 1, 0) == 0 && close_range(ready + 1, ~0U, 0) == 0);
        socket_left_behind(NULL);
        need(write((int) ready, "x", 1) == 1);
        for (;;)
                (void) pause();
}

static void thread_with_own_files(void *userdata) {
        static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
        static int ends[2];
        char c;

        (void) userdata;
        need(pipe2(ends, O_CLOEXEC) == 0);
        need(clone(hidden_thread, stack + sizeof(stack),
                   CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FS | CLONE_FILES, &ends[1]) > 0);
        need(read(ends[0], &c, 1) == 1);
}

static void what_one_thread_alone_has_open_is_found_or_a_hole(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, thread_with_own_files, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        if (!rig_shell(d.opened, ANY(".sport == 4099", "data/*-sock-tcp")))
                must(d.opened, ANY(".hole and .kind == \"netns\" and (.source | endswith(\"/fd\"))", "index.jsonl"));
        must(d.opened, "grep -h 'socket:' data/*-fds");
}

static void sockets_of_all_kinds(void *userdata) {
        struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0\x1b[2J\ninjected\":1" };
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) userdata;
        need(unshare(CLONE_NEWNET) == 0);
        (void) listen_at(0x1004);
        need(bind(s, (const struct sockaddr *) &a, sizeof(a)) == 0);
        s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        a.sun_path[1] = 'o';
        need(bind(s, (const struct sockaddr *) &a, sizeof(a)) == 0);
        need(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)) >= 0);
        need(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
        need(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6) >= 0);
}

static void sockets_are_told_of_with_their_owner(void **state) {
        struct rig *r = *state;
        struct rig_done d;
        char command[256];

        rig_spawn(r, sockets_of_all_kinds, NULL);
        struct stat st;

        assert_int_equal(stat(r->cgroup, &st), 0);
        d = rig_preserve(r);
        rig_open(r, &d);
        /* the cgroup that made it is the one that is held */
        (void) snprintf(command, sizeof(command), ANY(".sport == 4100 and .cgroup == %lu and .tcp.state == 10", "%s"),
                        (unsigned long) st.st_ino, "data/*-sock-tcp");
        must(d.opened, command);
        must(d.opened, "i=$(jq -r 'select(.info).inode' data/*-sock-packet); grep \"socket:.$i.\" data/*-fds");
        must(d.opened, ANY(".protocol == 3", "data/*-sock-packet"));
        must(d.opened, "jq -es 'any(.[]; .protocol == 0 and .portid == 0 and .inode > 0)' data/*-sock-netlink");
        must(d.opened, "LC_ALL=C; ! grep -nP '[^\\x20-\\x7e]' data/*-sock-* data/*-table-*");
        /* which one a snapshot is of is said in the index */
        must(d.opened, ANY(".kind == \"sock-tcp\" and (.source | startswith(\"net:[\"))", "index.jsonl"));
}

static void network_of_its_own(void *userdata) {
        (void) userdata;
        need(unshare(CLONE_NEWNET) == 0);
        need(system("exec 2>/dev/null; set -e; ip link set lo up; ip link add d0 type veth peer name d1; ip link set "
                    "d0 up "
                    "alias " /* NOLINT */
                    "\"$(printf '\\033[2J')\"; ip addr add 10.9.8.7/24 dev d0;"
                    "ip neigh add 10.9.8.8 lladdr 02:00:00:00:00:99 dev d0;"
                    "ip route add 10.7.0.0/16 via 10.9.8.9 table 77; ip rule add fwmark 7 table 77;"
                    "nft 'table inet hidden { set bad { type ipv4_addr; elements = { 203.0.113.9 } ; } ; "
                    "chain out { type filter hook output priority 0; ip daddr @bad counter accept; "
                    "ct state established accept; } ; }'") == 0);
}

static void how_a_namespace_sends_is_kept(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, network_of_its_own, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".dst == \"10.9.8.8\" and .lladdr == \"02:00:00:00:00:99\"", "data/*-table-neighbours"));
        must(d.opened,
             ANY(".dst == \"10.7.0.0\" and .gateway == \"10.9.8.9\" and .table == 77", "data/*-table-routes"));
        must(d.opened, ANY(".mark == 7 and .table == 77", "data/*-table-rules"));
        must(d.opened, ANY(".address == \"10.9.8.7\" and .prefixlen == 24", "data/*-table-addresses"));
        must(d.opened, ANY(".name == \"d0\" and .info.kind == \"veth\"", "data/*-table-interfaces"));
        must(d.opened, "jq -e '[.. | .elem? // empty] | flatten | any(. == \"203.0.113.9\")' data/*-table-nft");
        /* so it is without the library's help, the address in the order of bytes of the network */
        must(d.opened, ANY(".set == \"bad\" and .elements[0].key.value == \"cb007109\"", "data/*-nft-elements"));
        must(d.opened, ANY(".chain == \"out\" and any(.expressions[]; .name == \"lookup\")", "data/*-nft-rules"));
        must(d.opened, ANY(".name == \"out\" and .type == \"filter\" and .hook.hook == 3", "data/*-nft-chains"));
        /* and nft itself takes it back */
        must(d.opened, "unshare -n nft -j -f $(ls data/*-table-nft)");
        must(d.opened, "! jq -es 'any(.[]; .hole and (.kind | test(\"table|sock|bpf|netns|nft\")))' index.jsonl");
}

/* More elements than the library has memory for in a reader. With a size the kernel's table of them does not grow while
 * it is read, which would have it tell of some twice and of others not at all. */
static void set_without_end(void *userdata) {
        (void) userdata;
        need(unshare(CLONE_NEWNET) == 0);
        need(system("exec 2>/dev/null; (echo 'table inet t { set s { type ipv4_addr; size 200000; elements = {'; " /* NOLINT
                                                                                                                    */
                    "seq 0 199999 | awk '{ printf \"10.%d.%d.%d,\\n\", $1 / 65536, $1 / 256 % 256, $1 % 256 }'; "
                    "echo '} ; } ; chain hidden { type filter hook output priority 0; drop; } ; }') | nft -f -") == 0);
}

static void rules_that_the_library_cannot_list_are_kept_all_the_same(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, set_without_end, NULL);
        r->job.deadline_ms = 60000;
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".name == \"hidden\"", "data/*-nft-chains"));
        must(d.opened, "test $(jq '.elements[].key.value' data/*-nft-elements | sort -u | wc -l) = 200000");
        must(d.opened, ANY(".hole and .kind == \"table-nft\"", "index.jsonl"));
}

static void connections(void *userdata) {
        const struct sockaddr_in a = { .sin_family = AF_INET,
                                       .sin_port = htons(0x1005),
                                       .sin_addr = { htonl(INADDR_LOOPBACK) } };
        int s;

        network_of_its_own(userdata);
        (void) listen_at(0x1005);
        s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        need(connect(s, (const struct sockaddr *) &a, sizeof(a)) == 0 && write(s, "hello", 5) == 5);
}

static void connections_that_the_kernel_follows_are_kept_with_what_they_carried(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        if (access("/proc/sys/net/netfilter/nf_conntrack_count", F_OK) < 0) {
                print_message("skip: this kernel does not follow connections\n");
                skip();
        }
        rig_spawn(r, connections, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".orig.proto.dport == 4101 and .orig.ip.dst == \"127.0.0.1\" and .info.tcp.state == 3",
                           "data/*-table-connections"));
        must(d.opened, ANY(".dport == 4101 and .tcp.bytes_sent == 5", "data/*-sock-tcp"));
}

static int load(const char *name) {
        const struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
                                          { .code = BPF_JMP | BPF_EXIT } };

        return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, name, "GPL", insns, ELEMENTSOF(insns), NULL);
}

static void loaded_bpf_is_kept_with_its_instructions_and_where_it_acts(void **state) {
        _cleanup_close_ int prog = load("fz_test_prog"), link = -EBADF, map = -EBADF;
        struct rig *r = *state;
        struct bpf_prog_info info = { 0 };
        uint32_t n = sizeof(info);
        char command[512];
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        if (prog < 0) {
                print_message("skip: BPF is refused here: %s\n", strerror(errno));
                skip();
        }
        _cleanup_close_ int cgroup = open(r->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        link = bpf_link_create(prog, cgroup, BPF_CGROUP_INET_EGRESS, NULL);
        map = bpf_map_create(BPF_MAP_TYPE_HASH, "fz_test_map", 4, 8, 16, NULL);
        assert_true(link >= 0 && map >= 0);
        assert_int_equal(bpf_obj_get_info_by_fd(prog, &info, &n), 0);
        d = rig_preserve(r);
        rig_open(r, &d);
        (void) snprintf(command, sizeof(command),
                        ANY(".name == \"fz_test_prog\" and .id == %u and .type == \"cgroup_skb\"", "%s"), info.id,
                        "data/*-bpf-programs");
        must(d.opened, command);
        must(d.opened, ANY(".name == \"fz_test_map\" and .value_size == 8 and .type == \"hash\"", "data/*-bpf-maps"));
        (void) snprintf(command, sizeof(command),
                        ANY(".programs == [%u] and .attach_type == \"cgroup_inet_egress\"", "%s"), info.id,
                        "data/*-bpf-cgroups");
        must(d.opened, command);
        struct stat st;

        assert_int_equal(stat(r->cgroup, &st), 0);
        (void) snprintf(command, sizeof(command), ANY(".prog == %u and .type == \"cgroup\" and .cgroup == %lu", "%s"),
                        info.id, (unsigned long) st.st_ino, "data/*-bpf-attachments");
        must(d.opened, command);
        (void) snprintf(command, sizeof(command),
                        "m=$(jq -r 'select(.source == \"program %u\" and .sha256).member' index.jsonl); "
                        "bpftool prog dump xlated id %u file want && cmp want data/$m",
                        info.id, info.id);
        must(d.opened, command);
}

static void no_reader_is_left_behind(void **state) {
        struct rig *r = *state;
        char command[600];

        rig_spawn(r, sockets_of_all_kinds, NULL);
        (void) rig_preserve(r);
        (void) snprintf(command, sizeof(command), "! pgrep -s 0 -f '^%s'", r->collector);
        must("/", command);
}

static void readers_die_with_a_collector_that_is_killed(void **state) {
        struct rig *r = *state;
        char command[600];
        struct rig_done d;

        rig_spawn(r, sockets_of_all_kinds, NULL);
        for (int i = 0; i < 20; i++)
                rig_spawn(r, NULL, NULL);
        rig_start(r);
        assert_int_equal(kill(rig_stop_collector(r, 0), SIGKILL), 0);
        d = rig_wait(r);
        assert_int_not_equal(d.state, PRESERVE_COMPLETE);
        (void) snprintf(command, sizeof(command),
                        "for i in $(seq 200); do pgrep -s 0 -f '^%s' || exit 0; sleep 0.1; done; exit 1", r->collector);
        must("/", command);
}

/* As on a host that is a container itself. The last case: the capabilities do not come back. */
static void what_nobody_may_look_at_is_a_hole_each_and_the_rest_is_kept(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, NULL, NULL);
        assert_int_equal(prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0), 0);
        assert_int_equal(prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0), 0);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".hole == \"EPERM\" and .kind == \"nft-rules\"", "index.jsonl"));
        must(d.opened, ANY(".hole == \"EPERM\" and .kind == \"bpf-programs\"", "index.jsonl"));
        must(d.opened, ANY(".hole == \"EPERM\" and .kind == \"bpf-cgroups\"", "index.jsonl"));
        must(d.opened, ANY(".name == \"lo\"", "data/*-table-interfaces"));
        must(d.opened, "ls data/*-sock-tcp data/*-table-routes data/*-attributes");
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
                CASE(a_connection_in_a_namespace_without_processes_is_found),
                CASE(a_namespace_that_is_only_held_open_is_found),
                CASE(what_one_thread_alone_has_open_is_found_or_a_hole),
                CASE(sockets_are_told_of_with_their_owner),
                CASE(how_a_namespace_sends_is_kept),
                CASE(rules_that_the_library_cannot_list_are_kept_all_the_same),
                CASE(connections_that_the_kernel_follows_are_kept_with_what_they_carried),
                CASE(loaded_bpf_is_kept_with_its_instructions_and_where_it_acts),
                CASE(no_reader_is_left_behind),
                CASE(readers_die_with_a_collector_that_is_killed),
                CASE(what_nobody_may_look_at_is_a_hole_each_and_the_rest_is_kept),
        };
        /* other suites have collectors, too: those of this session are its own */
        (void) setsid();
        return cmocka_run_group_tests(tests, NULL, NULL);
}

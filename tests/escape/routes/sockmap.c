/* SPDX-License-Identifier: Apache-2.0 */

/* sockmap: puts a connection of a server that is not held into a map of sockets, from where the kernel answers for it;
 * then it has nothing more to do, and does not even have the connection any more. */

#include "tests/escape/routes/others.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/tcp.h>

static int connection_of(pid_t pid) {
        int fd = -1;

        for (int n = 3; n < 8; n++) {
                struct tcp_info info = { 0 };
                socklen_t size = sizeof(info);

                fd = socket_of(pid, n);
                if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_ESTABLISHED)
                        return fd;
                close(fd);
        }
        return -1;
}

static struct bpf_object *load(const char *path) {
        struct bpf_object *o = bpf_object__open_file(path, NULL);

        if (!o || bpf_map__set_initial_value(bpf_object__find_map_by_name(o, ".rodata"), mark(), 12) < 0 ||
            bpf_object__load(o) < 0)
                impossible("loading a BPF program");
        return o;
}

int main(int argc, char *argv[]) {
        struct bpf_object *o = load(argc > 1 ? argv[1] : "");
        const int map = bpf_object__find_map_fd_by_name(o, "sockets"), zero = 0;
        const pid_t server = main_pid("-with");
        uint64_t value;
        int fd = -1;

        if (bpf_prog_attach(bpf_program__fd(bpf_object__find_program_by_name(o, "send_back")), map,
                            BPF_SK_SKB_STREAM_VERDICT, 0) < 0)
                impossible("a verdict on a map of sockets");
        while (fd < 0) {
                nap_ms(20);
                fd = connection_of(server);
        }
        value = (uint64_t) fd;
        if (bpf_map_update_elem(map, &zero, &value, BPF_ANY) < 0)
                impossible("a connection in a map of sockets");
        close(fd);
        for (;;)
                pause();
}

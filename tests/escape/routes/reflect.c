/* SPDX-License-Identifier: Apache-2.0 */

/* reflect xdp|tc: loads a program that answers from the kernel, and has nothing more to do: frozen or not, it answers.
 */

#include "tests/escape/escape.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

int main(int argc, char *argv[]) {
        const bool xdp = argc > 1 && strcmp(argv[1], "xdp") == 0;
        struct {
                uint16_t port;
                char mark[12];
        } answer = { .port = (uint16_t) (ESCAPE_PORT + escape_number()) };
        char path[256];
        const int ifindex = (int) if_nametoindex("host0");
        LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
        LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 7);
        struct bpf_object *object;

        snprintf(path, sizeof(path), "%s.bpf.o", argv[0]);
        memcpy(answer.mark, mark(), sizeof(answer.mark));
        object = bpf_object__open_file(path, NULL);
        if (!object ||
            bpf_map__set_initial_value(bpf_object__find_map_by_name(object, ".rodata"), &answer, sizeof(answer)) < 0 ||
            bpf_object__load(object) < 0)
                impossible("loading a BPF program");
        opts.prog_fd = bpf_program__fd(bpf_object__find_program_by_name(object, xdp ? "reflect_xdp" : "reflect_tc"));
        if (xdp && bpf_xdp_attach(ifindex, opts.prog_fd, XDP_FLAGS_SKB_MODE, NULL) < 0)
                impossible("XDP on host0");
        if (!xdp) {
                (void) bpf_tc_hook_create(&hook);
                if (bpf_tc_attach(&hook, &opts) < 0)
                        impossible("clsact on host0");
        }
        for (;; nap_ms(100))
                ;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* pass_all HOLD: puts a program that passes everything in the place of each program of a hold, by updating its links.
 */

#include "tests/escape/escape.h"

#include <bpf/bpf.h>
#include <glob.h>
#include <linux/bpf.h>

static int pass_all(enum bpf_prog_type type, enum bpf_attach_type attach) {
        const struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 },
                                          { .code = BPF_JMP | BPF_EXIT } };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);

        return bpf_prog_load(type, "pass_all", "GPL", insns, 2, &opts);
}

/* True when the link's program is now ours. */
static bool replace(int link) {
        struct bpf_link_info info = { 0 };
        struct bpf_prog_info prog = { 0 };
        __u32 size = sizeof(info), prog_size = sizeof(prog);
        int fd, r;

        if (bpf_obj_get_info_by_fd(link, &info, &size) < 0)
                return false;
        fd = bpf_prog_get_fd_by_id(info.prog_id);
        r = fd < 0 ? -1 : bpf_obj_get_info_by_fd(fd, &prog, &prog_size);
        close(fd);
        fd = r < 0 ? -1 : pass_all(prog.type, info.cgroup.attach_type);
        r = fd < 0 ? -1 : bpf_link_update(link, fd, NULL);
        close(fd);
        return r == 0;
}

int main(int argc, char *argv[]) {
        char pattern[256];
        glob_t found;
        int done = 0;

        snprintf(pattern, sizeof(pattern), "/sys/fs/bpf/freezed/%s/*", argc > 1 ? argv[1] : "");
        if (glob(pattern, 0, NULL, &found) != 0)
                return 1;
        for (size_t i = 0; i < found.gl_pathc; i++) {
                int link = bpf_obj_get(found.gl_pathv[i]);

                done += link >= 0 && replace(link);
                close(link);
        }
        printf("%d of %zu links updated\n", done, found.gl_pathc);
        return !done;
}

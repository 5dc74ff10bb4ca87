/* SPDX-License-Identifier: Apache-2.0 */

/* repairs agent|floor CGROUP ELSEWHERE ROUNDS: undoes what holds a frozen and isolated cgroup, each way once a round,
 * and waits until the kernel says that it is held again. agent: somebody else puts it back. floor: nobody does but this
 * program itself, at once and as directly as can be. Prints `way microseconds` for each. CGROUP and ELSEWHERE are
 * directories; of `made` CGROUP with ".made" behind its name is removed and made anew. */

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/isolate_abi.h"

/* what nobody put back by then is not going to be */
#define PATIENCE_NS (10 * INT64_C(1000000000))
/* rounds are apart by a random time up to this, so that they meet a clock in all its phases */
#define APART_US 50000

struct bench {
        bool floor;
        const char *cgroup, *elsewhere;
        char made[512];
        int prog;                    /* floor: one that lets everything through */
        int link;                    /* floor: its own on the cgroup */
        int anew[_ISOLATE_HOOK_MAX]; /* and on the one that is made */
        uint64_t cgroup_id;
        char pid[16];
};

static int64_t now_ns(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static bool put(const char *dir, const char *file, const char *text) {
        char path[600];
        int fd;
        bool ok;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
        (void) close(fd);
        return ok;
}

static bool has(const char *dir, const char *file, const char *text) {
        char path[600], got[4096];
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, file);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd >= 0 ? read(fd, got, sizeof(got) - 1) : -1;
        (void) close(fd);
        got[n > 0 ? n : 0] = 0;
        return strstr(got, text);
}

static unsigned attached(const char *dir) {
        const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        uint32_t n = 0;

        if (fd >= 0 && bpf_prog_query(fd, BPF_CGROUP_INET_EGRESS, 0, NULL, NULL, &n) < 0 && errno != ENOSPC)
                n = 0;
        (void) close(fd);
        return n;
}

static int link_one(const struct bench *b, const char *dir) {
        const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int link = fd < 0 ? -1 : bpf_link_create(b->prog, fd, BPF_CGROUP_INET_EGRESS, NULL);

        (void) close(fd);
        return link;
}

/* The egress link of the cgroup. */
static int open_link(const struct bench *b) {
        for (uint32_t id = 0; bpf_link_get_next_id(id, &id) == 0;) {
                struct bpf_link_info info = { 0 };
                uint32_t size = sizeof(info);
                const int fd = bpf_link_get_fd_by_id(id);

                if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.type == BPF_LINK_TYPE_CGROUP &&
                    info.cgroup.cgroup_id == b->cgroup_id && info.cgroup.attach_type == BPF_CGROUP_INET_EGRESS)
                        return fd;
                (void) close(fd);
        }
        return -1;
}

static bool thaw(struct bench *b) {
        return put(b->cgroup, "cgroup.freeze", "0") && (!b->floor || put(b->cgroup, "cgroup.freeze", "1"));
}

static bool is_frozen(const struct bench *b) {
        return has(b->cgroup, "cgroup.freeze", "1") && has(b->cgroup, "cgroup.events", "frozen 1");
}

static bool detach(struct bench *b) {
        const int fd = b->floor ? b->link : open_link(b);
        const bool ok = fd >= 0 && bpf_link_detach(fd) == 0;

        (void) close(fd);
        if (ok && b->floor)
                b->link = link_one(b, b->cgroup);
        return ok;
}

static bool is_linked(const struct bench *b) {
        return attached(b->cgroup) > 0;
}

static bool move(struct bench *b) {
        return put(b->elsewhere, "cgroup.procs", b->pid) && (!b->floor || put(b->cgroup, "cgroup.procs", b->pid));
}

static bool is_back(const struct bench *b) {
        return has(b->cgroup, "cgroup.procs", b->pid);
}

static bool make(struct bench *b) {
        bool ok = put(b->made, "cgroup.kill", "1");

        for (int i = 0; ok && rmdir(b->made) < 0 && i < 1000; i++)
                (void) usleep(1000);
        ok = ok && mkdir(b->made, 0755) == 0;
        if (!ok || !b->floor)
                return ok;
        /* as many as the agent has to attach; those of before went with their cgroup */
        for (int k = 0; k < _ISOLATE_HOOK_MAX; k++) {
                (void) close(b->anew[k]);
                b->anew[k] = link_one(b, b->made);
        }
        return b->anew[0] >= 0 && put(b->made, "cgroup.freeze", "1");
}

static bool is_made(const struct bench *b) {
        return attached(b->made) > 0 && has(b->made, "cgroup.freeze", "1");
}

static const struct {
        const char *name;
        bool (*undo)(struct bench *b);
        bool (*is_held)(const struct bench *b);
} ways[] = {
        { "thaw", thaw, is_frozen },
        { "detach", detach, is_linked },
        { "move", move, is_back },
        { "made", make, is_made },
};

static bool round_of(struct bench *b) {
        for (size_t k = 0; k < sizeof(ways) / sizeof(*ways); k++) {
                int64_t from, to;

                (void) usleep((useconds_t) (random() % APART_US));
                from = now_ns();
                if (!ways[k].undo(b))
                        return perror(ways[k].name), false;
                do
                        to = now_ns();
                while (!ways[k].is_held(b) && to - from < PATIENCE_NS);
                if (to - from >= PATIENCE_NS)
                        return fprintf(stderr, "%s: nobody put it back\n", ways[k].name), false;
                printf("%s %lld\n", ways[k].name, (long long) (to - from) / 1000);
        }
        return true;
}

static bool begin(struct bench *b) {
        const struct bpf_insn pass[] = {
                { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                { .code = BPF_JMP | BPF_EXIT },
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_CGROUP_INET_EGRESS);
        char path[600];
        struct stat st;
        FILE *f;
        bool ok;

        (void) snprintf(b->made, sizeof(b->made), "%s.made", b->cgroup);
        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", b->cgroup);
        f = fopen(path, "re");
        ok = f && fscanf(f, "%15s", b->pid) == 1 && stat(b->cgroup, &st) == 0;
        if (f)
                (void) fclose(f);
        b->cgroup_id = ok ? st.st_ino : 0;
        if (!ok || !b->floor)
                return ok;
        b->prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "floor", "GPL", pass, 2, &opts);
        b->link = b->prog < 0 ? -1 : link_one(b, b->cgroup);
        return b->link >= 0 && put(b->cgroup, "cgroup.freeze", "1");
}

int main(int argc, char **argv) {
        struct bench b = { .floor = argc > 1 && strcmp(argv[1], "floor") == 0, .link = -1 };
        const long n = argc == 5 ? atol(argv[4]) : 0;
        bool ok;

        if (n < 1)
                return 2;
        for (int k = 0; k < _ISOLATE_HOOK_MAX; k++)
                b.anew[k] = -1;
        b.cgroup = argv[2];
        b.elsewhere = argv[3];
        ok = begin(&b);
        for (long i = 0; ok && i < n; i++)
                ok = round_of(&b);
        return ok ? 0 : 1;
}

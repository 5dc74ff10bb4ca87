/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/floor.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/isolate_abi.h"

#include "bpf/isolate.skel.h"

#define FILE_SIZE (8 << 20)
#define PROGS_MAX 16

struct held {
        int cgroup, events, freeze;
        int links[PROGS_MAX];
        size_t n_links;
};

struct floor {
        const struct orders_signers *signers;
        struct dsse order;
        uint8_t *pae;
        size_t n_pae;
        char *record;
        size_t n_record;
        off_t at;
        int file;
        struct held *held;
        size_t n_held;
        struct isolate_bpf *skel;
};

/* Filled with zeros like the ledger's, so that no write has to allocate. */
static int make_file(const char *dir) {
        int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        static const char zeros[1 << 16];

        for (off_t at = 0; fd >= 0 && at < FILE_SIZE; at += sizeof(zeros))
                if (pwrite(fd, zeros, sizeof(zeros), at) != sizeof(zeros))
                        fail("%s: %s", dir, strerror(errno));
        if (fd < 0 || fsync(fd) < 0)
                fail("%s: %s", dir, strerror(errno));
        return fd;
}

static int open_in(int dir, const char *name, int flags) {
        const int fd = openat(dir, name, flags | O_CLOEXEC);

        if (fd < 0)
                fail("%s: %s", name, strerror(errno));
        return fd;
}

struct floor *floor_new(const struct orders_signers *s, const char *envelope, const char *dir,
                        const char *const *cgroups, size_t n_cgroups, size_t n_record) {
        struct floor *f = calloc(1, sizeof(*f));
        enum reason reason;

        if (!f)
                fail("out of memory");
        f->signers = s;
        f->order = DSSE_NULL;
        if (dsse_parse(envelope, strlen(envelope), &f->order, &reason) < 0 || reason != REASON_NONE ||
            dsse_pae(f->order.type, f->order.payload, f->order.n_payload, &f->pae, &f->n_pae) < 0)
                fail("the order is none");
        f->n_record = n_record;
        f->record = malloc(n_record);
        memset(f->record, 'x', n_record);
        f->file = make_file(dir);
        f->held = calloc(n_cgroups, sizeof(*f->held));
        for (; f->held && f->n_held < n_cgroups; f->n_held++) {
                struct held *h = &f->held[f->n_held];

                h->cgroup = open_in(AT_FDCWD, cgroups[f->n_held], O_RDONLY | O_DIRECTORY);
                h->events = open_in(h->cgroup, "cgroup.events", O_RDONLY);
                h->freeze = open_in(h->cgroup, "cgroup.freeze", O_WRONLY);
        }
        f->skel = isolate_bpf__open_and_load();
        if (!f->skel)
                fail("the programs could not be loaded: %s", strerror(errno));
        return f;
}

void floor_free(struct floor *f) {
        isolate_bpf__destroy(f->skel);
        for (size_t i = 0; i < f->n_held; i++) {
                (void) close(f->held[i].freeze);
                (void) close(f->held[i].events);
                (void) close(f->held[i].cgroup);
        }
        free(f->held);
        (void) close(f->file);
        free(f->record);
        free(f->pae);
        dsse_done(&f->order);
        free(f);
}

static void append(struct floor *f) {
        if (pwrite(f->file, f->record, f->n_record, f->at) != (ssize_t) f->n_record || fdatasync(f->file) < 0)
                fail("the record could not be written: %s", strerror(errno));
        f->at += (off_t) f->n_record;
        if (f->at + (off_t) f->n_record > FILE_SIZE)
                f->at = 0;
}

static void link_all(struct floor *f, struct held *h) {
        struct bpf_program *prog;

        h->n_links = 0;
        bpf_object__for_each_program(prog, f->skel->obj) {
                const int link = bpf_link_create(bpf_program__fd(prog), h->cgroup,
                                                 bpf_program__expected_attach_type(prog), NULL);

                if (link < 0 || h->n_links == ELEMENTSOF(h->links))
                        fail("a program could not be attached: %s", strerror(errno));
                h->links[h->n_links++] = link;
        }
}

static void ask(struct floor *f, bool frozen) {
        for (size_t i = 0; i < f->n_held; i++)
                if (pwrite(f->held[i].freeze, frozen ? "1" : "0", 1, 0) != 1)
                        fail("cgroup.freeze: %s", strerror(errno));
}

static void wait_until(struct floor *f, const char *says) {
        for (size_t i = 0; i < f->n_held; i++) {
                char text[256];
                ssize_t n;

                do {
                        n = pread(f->held[i].events, text, sizeof(text) - 1, 0);
                        text[MAX(n, (ssize_t) 0)] = 0;
                } while (n > 0 && !strstr(text, says));
        }
}

void floor_round(struct floor *f, struct floor_times *ret) {
        int64_t t[5];

        t[0] = now_us();
        for (int i = 0; i < 2; i++)
                if (!orders_verify(f->signers, f->pae, f->n_pae, f->order.sigs[0].sig))
                        fail("the signature is false");
        t[1] = now_us();
        append(f);
        t[2] = now_us();
        for (size_t i = 0; i < f->n_held; i++)
                link_all(f, &f->held[i]);
        t[3] = now_us();
        ask(f, true);
        wait_until(f, "frozen 1");
        t[4] = now_us();
        *ret = (struct floor_times) { .verify = t[1] - t[0],
                                      .record = t[2] - t[1],
                                      .links = t[3] - t[2],
                                      .freeze = t[4] - t[3],
                                      .total = t[4] - t[0] };
        ask(f, false);
        wait_until(f, "frozen 0");
        for (size_t i = 0; i < f->n_held; i++)
                for (size_t k = 0; k < f->held[i].n_links; k++)
                        (void) close(f->held[i].links[k]);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bagdir.c ctl/chain.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* The verifier of ledgers, given arbitrary bytes in the place of a ledger's file, its checkpoint, and a proof. Whatever
 * they are, it says what it makes of them, and takes none of it for signed by a host that signed nothing.
 *
 * First byte: bit 0 puts the right hash behind every record; bit 1 makes the bytes a proof. The second is how many of
 * the rest, in units of 4, are the checkpoint. */

#include <fcntl.h>
#include <string.h>

#include <sodium.h>

#include "ctl/chain.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* RFC 8032, section 7.1, TEST 1: nobody signed the corpus with it. */
static const uint8_t nobody[32] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                    0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                    0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a };

static char dir[64];

static void clean_up(void) {
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/00000001.log", dir);
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/checkpoint", dir);
        (void) unlink(path);
        (void) rmdir(dir);
}

static void put(const char *name, const void *bytes, size_t n) {
        char path[128];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t) n);
        (void) close(fd);
}

static void fix_hashes(uint8_t *p, size_t size) {
        for (size_t at = 0; size - at > 36;) {
                const size_t n = (size_t) p[at] << 24 | (size_t) p[at + 1] << 16 | (size_t) p[at + 2] << 8 | p[at + 3];

                if (n == 0 || n > size - at - 36)
                        return;
                merkle_leaf(p + at + 4, n, p + at + 4 + n);
                at += 36 + n;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct chain_want want = { .folder = "folder" };
        const struct note_key witness = { .name = "witness.example", .type = NOTE_COSIGNATURE, .pub = { 1 } };
        _cleanup_free_ uint8_t *copy = NULL;
        _cleanup_(chain_done) struct chain c = { .n = 0 };
        struct why w = { "" };
        struct sshkey host;
        size_t head;

        if (size < 2)
                return 0;
        sshkey_from_raw(nobody, &host);
        copy = memdup_array(data + 2, size - 2, 1);
        CHECK(copy);
        if (data[0] & 2) {
                CHECK(chain_read_proof((char *) copy, size - 2, &host, &witness, 1, &want, &c, &w) == 0);
                CHECK(c.findings & (1U << CHAIN_CHECKPOINT));
                return 0;
        }
        if (*dir == '\0') {
                (void) snprintf(dir, sizeof(dir), "%s/freezed-fuzz-XXXXXX",
                                access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
                CHECK(mkdtemp(dir));
                (void) atexit(clean_up);
        }
        head = MIN((size_t) data[1] * 4, size - 2);
        put("checkpoint", copy, head);
        if (data[0] & 1)
                fix_hashes(copy + head, size - 2 - head);
        put("00000001.log", copy + head, size - 2 - head);
        CHECK(chain_read(dir, dir, &host, &witness, 1, &want, &c, &w) == 0);
        CHECK(!c.has_head && c.epochs == 0 && !chain_witness_of(&c));
        CHECK(c.findings != 0 && c.tree.n == c.n);
        return 0;
}

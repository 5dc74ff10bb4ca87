/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/kept.c ctl/bag.c ctl/sums.c ctl/member.c ctl/text.c ctl/why.c ctl/render_kept.c ctl/render.c */

/* What tells of deletion and of legal holds in a folder that anybody may have made. What its host did not sign is not
 * believed. What it did may say anything, and is shown: then none of it moves a cursor.
 *
 * First byte: bit 0 leaves it unsigned; bit 1 makes the bytes payloads, for which the envelope is made here.
 * The second is how many of the rest, in units of 4, are the tombstone; what follows them tells of legal holds. */

#include <fcntl.h>
#include <string.h>

#include <sodium.h>

#include "ctl/kept.h"
#include "ctl/render_bag.h"
#include "policy/dsse.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

#define HOLD "00112233445566778899aabbccddeeff"

static const char *const names[] = { "tombstone.dsse.json", "keeping.dsse.json", "public.jsonl" };

/* RFC 8032, section 7.1, TEST 1 */
static const uint8_t seed[32] = { 0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                  0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                  0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60 };
static const uint8_t pub[32] = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a };

static char dir[64];
static int dir_fd = -1;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean_up(void) {
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) unlinkat(dir_fd, names[i], 0);
        (void) rmdir(dir);
}

static void put(const char *name, const void *bytes, size_t n) {
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t) n);
        (void) close(fd);
}

static void make_dir(void) {
        if (*dir)
                return;
        (void) snprintf(dir, sizeof(dir), "%s/freezed-fuzz-XXXXXX",
                        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        CHECK(mkdtemp(dir));
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(dir_fd >= 0 && atexit(clean_up) == 0);
        put("public.jsonl", "{}\n", 3); /* what a statement may be about */
}

static void sign(struct dsse *d) {
        uint8_t both[32], secret[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
        _cleanup_free_ uint8_t *pae = NULL;
        struct sshkey key;
        size_t n;

        CHECK(crypto_sign_seed_keypair(both, secret, seed) == 0 && memcmp(both, pub, sizeof(pub)) == 0);
        CHECK(dsse_pae(d->type, d->payload, d->n_payload, &pae, &n) == 0);
        CHECK(crypto_sign_detached(sig, NULL, pae, n, secret) == 0);
        sshkey_from_raw(pub, &key);
        CHECK(dsse_add(d, key.id, sig) == 0);
}

static void put_envelope(const char *name, const uint8_t *p, size_t n, uint8_t how) {
        _cleanup_free_ char *json = NULL;
        struct dsse d = { .type = DSSE_EVIDENCE, .payload = (uint8_t *) p, .n_payload = n };

        if ((how & 2) && n > 0 && n <= DSSE_HOST_PAYLOAD_MAX) {
                if (!(how & 1))
                        sign(&d);
                CHECK(dsse_to_json(&d, &json) == 0);
                put(name, json, strlen(json));
        } else
                put(name, p, n);
}

static void show(const struct bag *b) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        struct page p = { .f = open_memstream(&text, &n) };

        CHECK(p.f);
        render_kept(&p, b);
        CHECK(fclose(p.f) == 0);
        for (size_t i = 0; i < n; i++)
                CHECK((uint8_t) text[i] >= ' ' ? text[i] != 0x7f : text[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const struct hosts known = { .n = 0 };
        struct bag b = BAG_NULL;

        if (size < 2)
                return 0;
        make_dir();
        const size_t n = MIN((size_t) data[1] * 4, size - 2);
        put_envelope(names[0], data + 2, n, data[0]);
        put_envelope(names[1], data + 2 + n, size - 2 - n, data[0]);
        b.dir = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        b.predicate = json_pack("{ss}", "hold", HOLD);
        CHECK(b.dir >= 0 && b.predicate);
        memcpy(b.pub, pub, sizeof(pub));
        kept_check(&b, &known);
        /* a deletion is told of, and so is what is not believed */
        CHECK(b.n_found == 1U + !b.keeping);
        if (data[0] & 1)
                CHECK(!b.tombstone && !b.keeping);
        show(&b);
        bag_done(&b);
        return 0;
}

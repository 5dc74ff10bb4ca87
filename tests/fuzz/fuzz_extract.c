/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/extract.c ctl/caseevents.c ctl/seenset.c ctl/journalfile.c ctl/indexline.c ctl/timeline.c ctl/file.c ctl/member.c */
/* LINK: ctl/sums.c ctl/text.c ctl/bag.c ctl/kept.c ctl/why.c ctl/hosts.c */
#include <stdint.h>
#include <string.h>

#include <ftw.h>
#include <openssl/evp.h>

#include "ctl/caseevents.h"
#include "ctl/extract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLD "000102030405060708090a0b0c0d0e0f"

static int take(const char *body, size_t n, const json_t *o, void *userdata) {
        if (n == 0 || memchr(body, '\n', n) || !json_is_object(o))
                __builtin_trap();
        return caseevents_record(userdata, o);
}

/* The input as the bodies of records, one a line: each with its right hash, so that all of them are read. */
static size_t wrap(const uint8_t *data, size_t size, uint8_t *ret) {
        uint8_t *p = ret;

        while (size > 0) {
                const uint8_t *end = memchr(data, '\n', size);
                const size_t n = end ? (size_t) (end - data) : size;
                uint8_t leaf[1 + 4096] = { 0 };

                if (n > 0 && n <= 4096) {
                        memcpy(leaf + 1, data, n);
                        memcpy(p, (uint8_t[]) { 0, 0, (uint8_t) (n >> 8), (uint8_t) n }, 4);
                        memcpy(p + 4, data, n);
                        if (EVP_Digest(leaf, n + 1, p + 4 + n, NULL, EVP_sha256(), NULL) != 1)
                                __builtin_trap();
                        p += 4 + n + 32;
                }
                data += MIN(size, n + 1);
                size -= MIN(size, n + 1);
        }
        return (size_t) (p - ret);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        return remove(path);
}

/* As it is, and as what it says if the host said it; no record does anything to the lists but add a line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const struct bag bag = { .dir = -EBADF, .host = "SHA256:x" };
        char dir[] = "/dev/shm/fuzz-extract-XXXXXX";
        struct caseevents *e = NULL;
        uint64_t n = 0, unread;
        bool bad;

        if (size > 8192 || !mkdtemp(dir) || caseevents_new(dir, &bag, &e) < 0)
                return 0;
        _cleanup_free_ uint8_t *records = malloc(size * 40 + 1);

        if (extract_records(data, size, HOLD, take, e, &bad) < 0)
                __builtin_trap();
        if (extract_records(records, wrap(data, size, records), HOLD, take, e, &bad) < 0)
                __builtin_trap();
        if (caseevents_finish(e, &n, &unread) < 0)
                __builtin_trap();
        caseevents_free(e);

        char path[sizeof(dir) + sizeof(CASEEVENTS_SKETCH) + 1];
        (void) snprintf(path, sizeof(path), "%s/" CASEEVENTS_SKETCH, dir);
        FILE *f = fopen(path, "re");
        uint64_t lines = 0;

        for (int c; f && (c = getc(f)) != EOF;) {
                if (c != '\n' && (c < ' ' || c > '~'))
                        __builtin_trap();
                lines += c == '\n';
        }
        if (!f || lines != n)
                __builtin_trap();
        (void) fclose(f);
        (void) nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        return 0;
}

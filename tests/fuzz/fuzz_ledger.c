/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */

/* Arbitrary bytes in the place of a ledger's files. Whatever they are, the ledger opens as good or as failed, and stays
 * what it was: a good one takes a record and has it afterwards, a failed one is failed again.
 *
 * First byte: bit 0 puts the right hash behind every record, so that what is in them matters; bit 1 makes the upper
 * half of the bytes a second segment; bit 2 makes the first file a byte too long. */

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/ledger.h"
#include "agent/core/segment.h"

#define SEGMENT 4096U
#define CHECK(condition)                                                               \
        do {                                                                           \
                if (!(condition)) {                                                    \
                        (void) fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
                        __builtin_trap();                                              \
                }                                                                      \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st, (void) type, (void) ftw;
        return remove(path);
}

static void empty_dir(void) {
        (void) nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void fix_hashes(uint8_t *segment) {
        uint32_t at = 0;

        while (SEGMENT - at > SEGMENT_OVERHEAD) {
                uint8_t *p = segment + at;
                uint32_t n = (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];

                if (n == 0 || n > SEGMENT - at - SEGMENT_OVERHEAD)
                        return;
                segment_leaf_hash(p + 4, n, p + 4 + n);
                at += SEGMENT_OVERHEAD + n;
        }
}

static void make_segment(const char *name, const uint8_t *data, size_t size, uint8_t flags) {
        static uint8_t segment[SEGMENT + 1];
        char path[128];
        int fd;

        memset(segment, 0, sizeof(segment));
        memcpy(segment, data, MIN(size, SEGMENT));
        if (flags & 1)
                fix_hashes(segment);
        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, segment, SEGMENT + (flags >> 2 & 1)) > 0);
        (void) close(fd);
}

static int count(const json_t *body, uint64_t n, void *userdata) {
        uint64_t *seen = userdata;

        CHECK(json_is_object(body) && n == *seen + 1);
        *seen = n;
        return 0;
}

static struct ledger *reopen(int want_r, bool want_untorn, uint64_t want_n) {
        struct ledger *l = NULL;
        uint64_t seen = 0;
        bool torn = false;

        CHECK(ledger_open(dir, SEGMENT, count, &seen, &torn, &l) == want_r && l);
        CHECK(!want_untorn || !torn);
        CHECK(seen == want_n && ledger_head(l).n == want_n);
        return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t flags = size > 0 ? data[0] : 0;
        size_t n_first = size > 0 ? (flags & 2 ? (size - 1) / 2 : size - 1) : 0;
        struct ledger *l = NULL;
        uint64_t seen = 0;
        bool torn = false;
        int r;

        if (*dir == '\0') {
                (void) snprintf(dir, sizeof(dir), "%s/freezed-fuzz-XXXXXX",
                                access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
                CHECK(mkdtemp(dir));
                (void) atexit(empty_dir);
        }
        make_segment("00000001.log", data + (size > 0), n_first, flags);
        if (flags & 2)
                make_segment("00000002.log", data + 1 + n_first, size - 1 - n_first, flags & 1);
        r = ledger_open(dir, SEGMENT, count, &seen, &torn, &l);
        CHECK((r == 0 || r == -EBADMSG) && l && ledger_ok(l) == (r == 0) && ledger_head(l).n == seen);
        for (uint64_t n = 1; n <= seen; n++) {
                json_t *body = NULL;

                CHECK(ledger_read(l, n, &body) == 0);
                json_decref(body);
        }
        ledger_free(l);
        l = reopen(r, true, seen);
        CHECK(ledger_append(l, json_pack("{s:s}", "ev", "fuzz"), NULL) == (r == 0 ? 0 : -EBADMSG));
        ledger_free(l);
        ledger_free(reopen(r, true, r == 0 ? seen + 1 : seen));
        empty_dir();
        CHECK(mkdir(dir, 0700) == 0);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/pack.h"

#include <string.h>

#define BLOCK    512U
#define END_SIZE (2U * BLOCK)

/* IEEE Std 1003.1, pax, "ustar Interchange Format". Numbers are octal digits with a NUL behind them. */
struct header {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char typeflag;
        char linkname[100];
        char magic[6];
        char version[2];
        char uname[32];
        char gname[32];
        char devmajor[8];
        char devminor[8];
        char prefix[155];
        char padding[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is one block");

int pack_init(struct pack *p) {
        *p = (struct pack) { .bytes = malloc(PACK_SIZE) };
        return p->bytes ? 0 : -ENOMEM;
}

void pack_done(struct pack *p) {
        free(p->bytes);
        p->bytes = NULL;
}

static size_t blocks(size_t n) {
        return (n + BLOCK - 1) / BLOCK * BLOCK;
}

size_t pack_cost(size_t n) {
        return BLOCK + blocks(n);
}

bool pack_has_room(const struct pack *p, size_t n) {
        return PACK_SIZE - p->n >= pack_cost(n) + END_SIZE;
}

/* The checksum's own field counts as blanks. */
static unsigned checksum(const struct header *h) {
        const uint8_t *p = (const uint8_t *) h;
        unsigned sum = 0;

        for (size_t i = 0; i < sizeof(*h); i++)
                sum += p[i];
        return sum;
}

void pack_add(struct pack *p, const char *name, const void *bytes, size_t n, time_t mtime) {
        struct header h = {
                .mode = "0000400",
                .uid = "0000000",
                .gid = "0000000",
                .checksum = { ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ' },
                .typeflag = '0',
                .magic = "ustar",
                .version = { '0', '0' },
                .devmajor = "0000000",
                .devminor = "0000000",
        };

        (void) snprintf(h.name, sizeof(h.name), "%s", name);
        (void) snprintf(h.size, sizeof(h.size), "%011zo", n);
        (void) snprintf(h.mtime, sizeof(h.mtime), "%011llo",
                        (unsigned long long) MAX(mtime, (time_t) 0) & 077777777777);
        (void) snprintf(h.checksum, sizeof(h.checksum), "%06o", checksum(&h));
        h.checksum[7] = ' ';
        memcpy(p->bytes + p->n, &h, BLOCK);
        memcpy(p->bytes + p->n + BLOCK, bytes, n);
        memset(p->bytes + p->n + BLOCK + n, 0, blocks(n) - n);
        p->n += pack_cost(n);
        p->members++;
}

void pack_end(struct pack *p) {
        memset(p->bytes + p->n, 0, END_SIZE);
        p->n += END_SIZE;
}

void pack_reset(struct pack *p) {
        p->n = 0;
        p->members = 0;
}

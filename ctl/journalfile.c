/* SPDX-License-Identifier: Apache-2.0 */

#include <stdbool.h>
#include <string.h>

#include "ctl/journalfile.h"

#define FIELD_NAME_MAX 64U

static const char *const fields[_JOURNALFILE_FIELD_MAX] = {
#define X(name, text) [JOURNALFILE_##name] = text,
        JOURNALFILE_FIELD_TABLE(X)
#undef X
};

void journalfile_entry_done(struct journalfile_entry *e) {
        for (size_t i = 0; i < _JOURNALFILE_FIELD_MAX; i++)
                free(e->v[i].bytes);
        *e = JOURNALFILE_ENTRY_NULL;
}

/* Where the value of this field goes; NULL: nowhere. */
static struct journalfile_value *wanted(struct journalfile_entry *e, const char *name) {
        for (size_t i = 0; i < _JOURNALFILE_FIELD_MAX; i++)
                if (strcmp(fields[i], name) == 0)
                        return e->v[i].bytes ? NULL : &e->v[i];
        return NULL;
}

static int keep(struct journalfile_value *v, int c) {
        if (!v || v->n == JOURNALFILE_VALUE_MAX)
                return 0;
        if (!v->bytes) {
                v->bytes = malloc(JOURNALFILE_VALUE_MAX);
                if (!v->bytes)
                        return -ENOMEM;
        }
        v->bytes[v->n++] = (uint8_t) c;
        return 0;
}

static int ended(FILE *f) {
        return ferror(f) ? -EIO : -EBADMSG;
}

static int read_text(FILE *f, struct journalfile_value *v) {
        for (int c; (c = getc_unlocked(f)) != '\n';) {
                int r = c == EOF ? ended(f) : keep(v, c);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_binary(FILE *f, struct journalfile_value *v) {
        uint64_t n = 0;

        for (size_t i = 0; i < 8; i++) {
                int c = getc_unlocked(f);

                if (c == EOF)
                        return ended(f);
                n |= (uint64_t) (uint8_t) c << (8 * i);
        }
        for (; n > 0; n--) {
                int c = getc_unlocked(f), r = c == EOF ? ended(f) : keep(v, c);

                if (r < 0)
                        return r;
        }
        return getc_unlocked(f) == '\n' ? 0 : ended(f);
}

/* One field, whose name begins with c. */
static int read_field(FILE *f, int c, struct journalfile_entry *e) {
        char name[FIELD_NAME_MAX + 1];
        size_t n = 0;

        for (; c != '=' && c != '\n'; c = getc_unlocked(f)) {
                if (c == EOF)
                        return ended(f);
                if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_') || n == FIELD_NAME_MAX)
                        return -EBADMSG;
                name[n++] = (char) c;
        }
        name[n] = '\0';
        return c == '=' ? read_text(f, wanted(e, name)) : read_binary(f, wanted(e, name));
}

int journalfile_next(FILE *f, struct journalfile_entry *ret) {
        for (bool any = false;; any = true) {
                int c = getc_unlocked(f), r;

                /* blank lines may stand before an entry; one ends it */
                while (c == '\n' && !any)
                        c = getc_unlocked(f);
                if (c == EOF)
                        return any || ferror(f) ? ended(f) : 0;
                if (c == '\n')
                        return 1;
                r = read_field(f, c, ret);
                if (r < 0)
                        return r;
        }
}

int64_t journalfile_number(const struct journalfile_entry *e, enum journalfile_field which) {
        const struct journalfile_value *v = &e->v[which];
        int64_t n = 0;

        if (v->n == 0 || v->n > 18)
                return -1;
        for (size_t i = 0; i < v->n; i++) {
                if (v->bytes[i] < '0' || v->bytes[i] > '9')
                        return -1;
                n = n * 10 + (v->bytes[i] - '0');
        }
        return n;
}

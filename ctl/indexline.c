/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/indexline.h"
#include "ctl/member.h"

#define SUFFIX ".zst.age"

void indexline_done(struct indexline *l) {
        free(l->source);
        *l = (struct indexline) { .pid = 0 };
}

/* Text that this program made up a set of characters for; "" is allowed where it is absent. */
static bool take_word(const json_t *o, const char *member, const char *set, char *ret, size_t size) {
        const char *s = member_str(o, member);
        const size_t n = strspn(s, set);

        if (s[n] != '\0' || n >= size)
                return false;
        memcpy(ret, s, n + 1);
        return true;
}

/* What the object is called once it is opened: the member's name in a pack, else the file's without what seals it. */
static bool take_name(const json_t *o, char ret[static SUMS_NAME_MAX + 1]) {
        const char *file = member_str(o, "file"), *member = member_str(o, "member");
        size_t n;

        ret[0] = '\0';
        if (*file == '\0')
                return *member == '\0';
        if (strncmp(file, "data/", 5) != 0 || !sums_name_ok(file))
                return false;
        if (*member == '\0') {
                member = file + 5;
                n = strlen(member);
                if (n > strlen(SUFFIX) && strcmp(member + n - strlen(SUFFIX), SUFFIX) == 0)
                        n -= strlen(SUFFIX);
        } else
                n = strlen(member);
        if (n > SUMS_NAME_MAX || memchr(member, '/', n))
                return false;
        (void) snprintf(ret, SUMS_NAME_MAX + 1, "%.*s", (int) n, member);
        return sums_name_ok(ret);
}

static int take_source(const json_t *o, struct indexline *l) {
        const json_t *text = json_object_get(o, "source");
        const char *b64 = member_str(o, "source_b64");

        if (json_is_string(text)) {
                l->n_source = json_string_length(text);
                l->source = malloc(l->n_source + 1);
                if (!l->source)
                        return -ENOMEM;
                memcpy(l->source, json_string_value(text), l->n_source + 1);
                return 0;
        }
        l->source = malloc(strlen(b64) + 1);
        if (!l->source)
                return -ENOMEM;
        return sodium_base642bin(l->source, strlen(b64), b64, strlen(b64), NULL, &l->n_source, NULL,
                                 sodium_base64_VARIANT_ORIGINAL) == 0
                       ? 0
                       : -EBADMSG;
}

static void take_stat(const json_t *o, struct indexline *l) {
        const json_t *s = json_object_get(o, "stat");

        l->has_stat = json_is_object(s);
        l->stat = (struct indexline_stat) {
                .inode = member_int(s, "inode", -1),
                .mode = member_int(s, "mode", -1),
                .uid = member_int(s, "uid", -1),
                .gid = member_int(s, "gid", -1),
                .size = member_int(s, "size", -1),
                .atime_us = member_int(s, "atime_us", INT64_MIN),
                .mtime_us = member_int(s, "mtime_us", INT64_MIN),
                .ctime_us = member_int(s, "ctime_us", INT64_MIN),
                .btime_us = member_int(s, "btime_us", INT64_MIN),
        };
}

static int take(const json_t *o, struct indexline *l) {
        static const char kinds[] = "abcdefghijklmnopqrstuvwxyz0123456789-",
                          errnos[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                     "abcdefghijklmnopqrstuvwxyz";

        l->what = json_object_get(o, "hole")   ? INDEXLINE_HOLE
                  : json_object_get(o, "note") ? INDEXLINE_NOTE
                                               : INDEXLINE_OBJECT;
        l->pid = member_int(o, "pid", 0);
        l->not_frozen = member_is_true(o, "not_frozen");
        l->changed = member_is_true(o, "changed");
        l->bytes = member_int(o, "bytes", 0);
        l->started_ms = member_int(o, "started_ms", 0);
        l->ended_ms = member_int(o, "ended_ms", 0);
        l->expected = member_int(o, "expected", -1);
        l->got = member_int(o, "got", 0);
        take_stat(o, l);
        if (!take_word(o, "kind", kinds, l->kind, sizeof(l->kind)) ||
            !take_word(o, "hole", errnos, l->hole, sizeof(l->hole)) || !take_name(o, l->name) || l->pid < 0 ||
            l->bytes < 0 || l->got < 0)
                return -EBADMSG;
        if (l->what == INDEXLINE_OBJECT && (l->name[0] == '\0' || l->kind[0] == '\0'))
                return -EBADMSG;
        return take_source(o, l);
}

int indexline_parse(const char *line, size_t n, struct indexline *ret) {
        _cleanup_json_ json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        _cleanup_(indexline_done) struct indexline l = { .pid = 0 };
        int r;

        if (!json_is_object(o))
                return -EBADMSG;
        r = take(o, &l);
        if (r < 0)
                return r;
        *ret = l;
        l.source = NULL;
        return 0;
}

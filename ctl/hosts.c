/* SPDX-License-Identifier: Apache-2.0 */

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/file.h"
#include "ctl/hosts.h"
#include "ctl/text.h"

const struct host *hosts_by_id(const struct hosts *h, const uint8_t id[static 32]) {
        for (size_t i = 0; i < h->n; i++)
                if (memcmp(h->v[i].key.id, id, 32) == 0)
                        return &h->v[i];
        return NULL;
}

const struct host *hosts_by_name(const struct hosts *h, const char *name) {
        for (size_t i = 0; i < h->n; i++)
                if (strcmp(h->v[i].name, name) == 0)
                        return &h->v[i];
        return NULL;
}

void hosts_done(struct hosts *h) {
        free(h->v);
        *h = HOSTS_NULL;
}

static bool name_is_valid(const char *name, size_t n) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

        return n > 0 && n <= HOSTS_NAME_MAX && strspn(name, letters) >= n;
}

/* Appends, unless the same pairing is there. -EEXIST: the name has another key, or the key another name. */
static int append(struct hosts *h, const char *name, size_t n_name, const struct sshkey *key) {
        struct host new = { .key = *key };

        memcpy(new.name, name, n_name);
        const struct host *by_name = hosts_by_name(h, new.name), *by_id = hosts_by_id(h, key->id);
        if (by_name || by_id)
                return by_name == by_id ? 0 : -EEXIST;
        if (h->n == HOSTS_MAX)
                return -ENOSPC;
        /* doubles at every power of two */
        if ((h->n & (h->n - 1)) == 0) {
                struct host *v = reallocarray(h->v, h->n ? 2 * h->n : 1, sizeof(*v));
                if (!v)
                        return -ENOMEM;
                h->v = v;
        }
        h->v[h->n++] = new;
        return 0;
}

int hosts_parse(const char *file, const char *text, struct hosts *ret, struct why *w) {
        size_t line_no = 0;

        for (const char *p = text, *end; *p; p = *end ? end + 1 : end) {
                char line[HOSTS_NAME_MAX + 1 + SSHKEY_LINE_SIZE + 256];
                end = strchrnul(p, '\n');
                line_no++;
                p += strspn(p, " \t");
                if (p >= end || *p == '#')
                        continue;
                size_t n = strcspn(p, " \t\n"), blanks = strspn(p + n, " \t");
                int k = snprintf(line, sizeof(line), "%.*s", (int) (end - p - (ptrdiff_t) (n + blanks)),
                                 p + n + blanks);
                struct sshkey key;
                if (!name_is_valid(p, n) || k < 0 || (size_t) k >= sizeof(line) || sshkey_from_line(line, &key) < 0)
                        return why_set(w, CTL_MACHINE, "%s:%zu: not a line of the form: NAME ssh-ed25519 AAAA...",
                                       CLEAN(file), line_no);
                int r = append(ret, p, n, &key);
                if (r == -EEXIST)
                        return why_set(w, CTL_MACHINE,
                                       "%s:%zu: this name or this key is there already with another partner",
                                       CLEAN(file), line_no);
                if (r < 0)
                        return why_errno(w, r, "%s:%zu", CLEAN(file), line_no);
        }
        return 0;
}

static int load_file(const char *file, struct hosts *ret, struct why *w) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        mode_t mode;

        int r = file_read(file, HOSTS_FILE_MAX, &text, &n, &mode);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        /* FAIL-CLOSED: who writes this file decides whose receipts are believed */
        if (mode & S_IWOTH)
                return why_set(w, CTL_MACHINE,
                               "%s: everybody may write this file: chmod o-w it and check what is in it", CLEAN(file));
        if (strlen(text) != n)
                return why_set(w, CTL_MACHINE, "%s: has a NUL byte in it", CLEAN(file));
        return hosts_parse(file, text, ret, w);
}

int hosts_load(const struct options *o, struct hosts *ret, struct why *w) {
        char path[PATH_MAX];

        if (o->hosts_file)
                return load_file(o->hosts_file, ret, w);

        int x = file_in_own_config(HOSTS_FILE_NAME, path) ? load_file(path, ret, w) : 0;
        return x != 0 ? x : load_file(FILE_CONFIG_DIR "/" HOSTS_FILE_NAME, ret, w);
}

int hosts_resolve(const struct hosts *h, const char *to, const struct host **ret, struct why *w) {
        static const char prefix[] = "host=";
        uint8_t id[32];

        if (h->n == 0)
                return why_set(w, CTL_MACHINE,
                               "no host is known, so no answer could be believed: run `freezectl enroll` on the host, "
                               "or add its line to ~/.config/freezed/" HOSTS_FILE_NAME);
        if (!to || strcmp(to, "local") == 0) {
                *ret = h->n == 1 ? &h->v[0] : NULL;
                return 0;
        }
        if (strncmp(to, prefix, strlen(prefix)) != 0)
                return why_set(w, CTL_USAGE, "--to wants local or host=ID, not \"%s\": a group or all takes --nats",
                               CLEAN(to));
        to += strlen(prefix);
        const struct host *found = sshkey_id_from_str(to, id) >= 0 ? hosts_by_id(h, id) : hosts_by_name(h, to);
        if (!found)
                return why_set(w, CTL_USAGE, "no known host is \"%s\": add it to ~/.config/freezed/" HOSTS_FILE_NAME,
                               CLEAN(to));
        *ret = found;
        return 0;
}

int hosts_add(const char *file, const char *name, const struct sshkey *key, struct why *w) {
        struct hosts h = HOSTS_NULL;
        _cleanup_free_ char *text = NULL, *new = NULL;
        char line[SSHKEY_LINE_SIZE];
        size_t n = 0;

        if (!name_is_valid(name, strlen(name)))
                return why_set(w, CTL_USAGE, "\"%s\" is no host name: letters, digits, dot, dash and underscore",
                               CLEAN(name));
        int x = load_file(file, &h, w);
        size_t before = h.n;
        int r = x == 0 ? append(&h, name, strlen(name), key) : 0;
        bool known = h.n == before;
        hosts_done(&h);
        if (x != 0)
                return x;
        if (r == -EEXIST)
                return why_set(w, CTL_REFUSED,
                               "%s knows %s with another key, or this key by another name. If the host really was "
                               "installed anew, take that line out first",
                               CLEAN(file), CLEAN(name));
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        if (known)
                return 0;

        r = file_read(file, HOSTS_FILE_MAX, &text, &n, NULL);
        if (r == -ENOENT)
                r = file_make_parents(file);
        sshkey_to_line(key, line);
        bool open_line = n > 0 && text[n - 1] != '\n';
        int k = r < 0 ? -1 : asprintf(&new, "%s%s%s %s\n", text ? text : "", open_line ? "\n" : "", name, line);
        if (r >= 0 && k < 0) {
                new = NULL;
                r = -ENOMEM;
        }
        if (r >= 0)
                r = file_replace(file, new, (size_t) k, 0644);
        return r < 0 ? why_errno(w, r, "%s", CLEAN(file)) : 0;
}

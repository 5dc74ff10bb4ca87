/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/mounts.h"

#include <fcntl.h>
#include <string.h>

#include "agent/util/io.h"

#define TEXT_MAX (16U * 1024 * 1024)

/* An overlay can hide one of these as its lower layer; whoever can make such a mount costs us the time until the
 * deadline, and what comes before the log files is kept by then. "fuse" stands for all of its kinds. */
static const char *const others[] = {
        "9p",
        "afs",
        "autofs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "virtiofs",
        /* made up */
        "binder",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "efivarfs",
        "functionfs",
        "mqueue",
        "nfsd",
        "nsfs",
        "proc",
        "pstore",
        "resctrl",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "smackfs",
        "sysfs",
        "tracefs",
};

static bool is_other(const char *type, size_t n) {
        if (n >= 4 && memcmp(type, "fuse", 4) == 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strlen(others[i]) == n && memcmp(others[i], type, n) == 0)
                        return true;
        return false;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": spaces within a field are escaped, and any number
 * of fields stands before the dash. */
static bool parse_line(const char *line, size_t n, uint64_t *ret_id, bool *ret_other) {
        const char *dash = memmem(line, n, " - ", 3), *type = dash ? dash + 3 : NULL;
        uint64_t id = 0;
        size_t i = 0, k;

        for (; i < n && i < 19 && line[i] >= '0' && line[i] <= '9'; i++)
                id = id * 10 + (uint64_t) (line[i] - '0');
        if (i == 0 || i == n || line[i] != ' ' || !type)
                return false;
        for (k = 0; type + k < line + n && type[k] != ' '; k++)
                ;
        *ret_id = id;
        *ret_other = is_other(type, k);
        return k > 0;
}

static int compare(const void *a, const void *b) {
        const uint64_t *x = a, *y = b;
        return *x < *y ? -1 : *x > *y;
}

int mounts_parse(const char *text, size_t n, struct mounts *ret) {
        _cleanup_(mounts_done) struct mounts m = { .ids = NULL };
        size_t lines = 0;

        for (size_t i = 0; i < n; i++)
                lines += text[i] == '\n';
        m.ids = calloc(lines + 1, sizeof(*m.ids));
        if (!m.ids)
                return -ENOMEM;
        for (const char *line = text, *end; line < text + n; line = end + 1) {
                bool other;

                end = memchr(line, '\n', (size_t) (text + n - line));
                if (!end || !parse_line(line, (size_t) (end - line), &m.ids[m.n], &other))
                        return -EBADMSG;
                m.n += !other;
        }
        qsort(m.ids, m.n, sizeof(*m.ids), compare);
        *ret = m;
        m = (struct mounts) { .ids = NULL };
        return 0;
}

int mounts_read(int dir, struct mounts *ret) {
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int r = io_read_file(dir, "mountinfo", TEXT_MAX, &text, &n);

        return r < 0 ? r : mounts_parse(text, n, ret);
}

void mounts_done(struct mounts *m) {
        free(m->ids);
        *m = (struct mounts) { .ids = NULL };
}

/* FAIL-CLOSED: a kernel that does not tell which mount it is. */
bool mounts_has(const struct mounts *m, const struct statx *st) {
        return m->n > 0 && (st->stx_mask & STATX_MNT_ID) &&
               bsearch(&st->stx_mnt_id, m->ids, m->n, sizeof(*m->ids), compare);
}

int mounts_look(const struct mounts *m, int fd, struct statx *ret) {
        struct statx st;

        /* DONT_SYNC: with what the kernel has, or FUSE and NFS are asked */
        if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID, &st) < 0)
                return -errno;
        if (!mounts_has(m, &st))
                return -EREMOTE;
        *ret = st;
        return 0;
}

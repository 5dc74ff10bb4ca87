/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <archive.h>
#include <archive_entry.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "ctl/file.h"
#include "ctl/outbox.h"
#include "ctl/text.h"

#define CHUNK_SIZE (256U * 1024)
#define TAR        ".tar"
#define BAG        "bag"
#define PAYLOAD    "data/"

struct entry {
        char name[OUTBOX_NAME_MAX + 1];
        uint8_t sha256[32];
};

struct outbox {
        char *path, *work; /* owned */
        const char *base;  /* last part of path, n_base bytes: the directory in the archive */
        int n_base;
        int dir, tar_fd;     /* work; the archive */
        struct archive *tar; /* NULL: a directory */
        bool made;           /* work is there */
        struct entry *v;     /* owned */
        size_t n, size;
        uint64_t files, bytes; /* of the payload */
        uint8_t chunk[CHUNK_SIZE];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st;
        (void) type;
        (void) ftw;
        (void) remove(path);
        return 0;
}

/* What may not stay when this program is told to end: it may be evidence in the clear. One at a time. */
static const int endings[] = { SIGINT, SIGTERM, SIGHUP };
static char *volatile doomed;

/* Only what may be called from a signal: removing a tree by itself is not of that. */
static void on_ending(int sig) {
        char *argv[] = { (char *) "rm", (char *) "-rf", (char *) "--", doomed, NULL };
        char *env[] = { NULL };
        pid_t pid = doomed ? _Fork() : -1;

        if (pid == 0) {
                (void) execve("/bin/rm", argv, env);
                _exit(127);
        }
        while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                continue;
        (void) signal(sig, SIG_DFL);
        (void) raise(sig);
}

/* path: NULL for nothing any more. Who has us ignore one of them goes on having that. */
static void doom(char *path) {
        const struct sigaction to = { .sa_handler = path ? on_ending : SIG_DFL };

        doomed = path;
        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                struct sigaction is;

                if (sigaction(endings[i], NULL, &is) == 0 && is.sa_handler != SIG_IGN)
                        (void) sigaction(endings[i], &to, NULL);
        }
}

void outbox_free(struct outbox *o) {
        if (!o)
                return;
        if (o->tar)
                (void) archive_write_free(o->tar);
        closep(&o->tar_fd);
        closep(&o->dir);
        if (o->made)
                (void) nftw(o->work, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        if (o->made)
                doom(NULL);
        free(o->path);
        free(o->work);
        free(o->v);
        free(o);
}

void outbox_freep(struct outbox **o) {
        outbox_free(*o);
}

const char *outbox_work(const struct outbox *o) {
        return o->work;
}

void outbox_count(const struct outbox *o, uint64_t *ret_files, uint64_t *ret_bytes) {
        *ret_files = o->files;
        *ret_bytes = o->bytes;
}

static int failed(const struct outbox *o, int r, struct why *w) {
        return why_errno(w, r, "%s", CLEAN(o->path));
}

static bool ends_with_tar(const char *path) {
        const size_t n = strlen(path);
        return n > strlen(TAR) && strcmp(path + n - strlen(TAR), TAR) == 0;
}

static int open_tar(struct outbox *o) {
        o->tar_fd = openat(o->dir, BAG, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (o->tar_fd < 0)
                return -errno;
        o->tar = archive_write_new();
        return o->tar && archive_write_set_format_pax_restricted(o->tar) == ARCHIVE_OK &&
                               archive_write_open_fd(o->tar, o->tar_fd) == ARCHIVE_OK
                       ? 0
                       : -ENOMEM;
}

/* A slash at the end of a path is a directory's. */
static int set_path(struct outbox *o, const char *path) {
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        o->path = strndup(path, n);
        if (!o->path || asprintf(&o->work, "%s.XXXXXX", o->path) < 0) {
                o->work = NULL;
                return -ENOMEM;
        }
        o->base = strrchr(o->path, '/') ? strrchr(o->path, '/') + 1 : o->path;
        o->n_base = (int) strlen(o->base) - (ends_with_tar(o->path) ? (int) strlen(TAR) : 0);
        /* names in the archive must lead nowhere else when it is opened */
        return (int) strspn(o->base, ".") >= o->n_base ? -EINVAL : 0;
}

static int prepare(struct outbox *o, const char *path) {
        struct stat st;
        int r = set_path(o, path);

        if (r < 0)
                return r;
        /* said before the work, and again by the kernel at the end */
        if (lstat(o->path, &st) == 0)
                return -EEXIST;
        if (!mkdtemp(o->work))
                return -errno;
        o->made = true;
        doom(o->work);
        o->dir = open(o->work, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (o->dir < 0)
                return -errno;
        if (ends_with_tar(o->path))
                return open_tar(o);
        return mkdirat(o->dir, BAG, 0700) < 0 ? -errno : 0;
}

int outbox_new(const char *path, struct outbox **ret, struct why *w) {
        _cleanup_(outbox_freep) struct outbox *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return why_errno(w, -ENOMEM, "evidence");
        o->dir = o->tar_fd = -EBADF;
        r = prepare(o, path);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        *ret = TAKE_PTR(o);
        return 0;
}

static int add_entry(struct outbox *o, const char *name, const uint8_t sha256[static 32], uint64_t bytes) {
        if (o->n == o->size) {
                size_t size = MAX(2 * o->size, (size_t) 64);
                struct entry *more = reallocarray(o->v, size, sizeof(*more));

                if (!more)
                        return -ENOMEM;
                o->v = more;
                o->size = size;
        }
        (void) snprintf(o->v[o->n].name, sizeof(o->v[o->n].name), "%s", name);
        memcpy(o->v[o->n++].sha256, sha256, 32);
        if (strncmp(name, PAYLOAD, strlen(PAYLOAD)) == 0) {
                o->files++;
                o->bytes += bytes;
        }
        return 0;
}

/* They are ours; what is wrong with one is wrong with this program. */
static bool is_name(const char *name) {
        static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
        const size_t n = strspn(name, set);
        return n > 0 && n <= OUTBOX_NAME_MAX && name[n] == '\0' && name[0] != '/' && !strstr(name, "..");
}

static int make_parents(const struct outbox *o, const char *path) {
        char dir[OUTBOX_NAME_MAX + sizeof(BAG "/")];

        for (const char *slash = strchr(path + strlen(BAG "/"), '/'); slash; slash = strchr(slash + 1, '/')) {
                (void) snprintf(dir, sizeof(dir), "%.*s", (int) (slash - path), path);
                if (mkdirat(o->dir, dir, 0700) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

/* Where the bytes of the next file go: a descriptor, or the archive. */
static int begin(struct outbox *o, const char *name, uint64_t size, int *ret) {
        char path[OUTBOX_NAME_MAX + sizeof(BAG "/")];
        _cleanup_free_ char *inside = NULL;
        struct archive_entry *e;
        int r;

        if (!is_name(name))
                return -EINVAL;
        if (!o->tar) {
                (void) snprintf(path, sizeof(path), BAG "/%s", name);
                r = make_parents(o, path);
                if (r < 0)
                        return r;
                *ret = openat(o->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                return *ret < 0 ? -errno : 0;
        }
        e = archive_entry_new();
        if (!e || asprintf(&inside, "%.*s/%s", o->n_base, o->base, name) < 0) {
                archive_entry_free(e);
                return -ENOMEM;
        }
        archive_entry_set_pathname(e, inside);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0600);
        archive_entry_set_size(e, (int64_t) size);
        archive_entry_set_mtime(e, time(NULL), 0);
        r = archive_write_header(o->tar, e) == ARCHIVE_OK ? 0 : -EIO;
        archive_entry_free(e);
        return r;
}

static int write_some(struct outbox *o, int fd, const uint8_t *bytes, size_t n) {
        if (o->tar)
                return archive_write_data(o->tar, bytes, n) == (la_ssize_t) n ? 0 : -(archive_errno(o->tar) ?: EIO);
        return file_write_all(fd, bytes, n);
}

static int put_bytes(struct outbox *o, const char *name, const void *bytes, size_t n) {
        _cleanup_close_ int fd = -EBADF;
        uint8_t sha256[32];
        int r = begin(o, name, n, &fd);

        if (r == 0)
                r = write_some(o, fd, bytes, n);
        if (r == 0 && EVP_Digest(bytes, n, sha256, NULL, EVP_sha256(), NULL) != 1)
                r = -EIO;
        return r < 0 ? r : add_entry(o, name, sha256, n);
}

int outbox_put(struct outbox *o, const char *name, const void *bytes, size_t n, struct why *w) {
        int r = put_bytes(o, name, bytes, n);
        return r < 0 ? failed(o, r, w) : 0;
}

/* Exactly n bytes from one to the other, or to nowhere, and their digest. */
static int pump(struct outbox *o, int from, int to, bool write_them, uint64_t n, uint8_t ret[static 32]) {
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        int r = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

        while (r == 0 && n > 0) {
                ssize_t got = read(from, o->chunk, (size_t) MIN(n, (uint64_t) CHUNK_SIZE));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        r = got < 0 ? -errno : -ENODATA;
                else if (EVP_DigestUpdate(hash, o->chunk, (size_t) got) != 1)
                        r = -EIO;
                else if (write_them)
                        r = write_some(o, to, o->chunk, (size_t) got);
                n -= got > 0 ? (uint64_t) got : 0;
        }
        if (r == 0 && EVP_DigestFinal_ex(hash, ret, NULL) != 1)
                r = -EIO;
        EVP_MD_CTX_free(hash);
        return r;
}

int outbox_copy(struct outbox *o, const char *name, int from, const uint8_t *sha256, struct why *w) {
        _cleanup_close_ int fd = -EBADF;
        uint8_t is[32];
        struct stat st;
        int r = fstat(from, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EBADMSG;

        if (r == 0)
                r = begin(o, name, (uint64_t) st.st_size, &fd);
        if (r == 0)
                r = pump(o, from, fd, true, (uint64_t) st.st_size, is);
        if (r == 0 && sha256 && memcmp(is, sha256, sizeof(is)) != 0)
                return why_set(w, CTL_REFUSED, "%s was changed while it was read", name);
        if (r == 0)
                r = add_entry(o, name, is, (uint64_t) st.st_size);
        return r < 0 ? failed(o, r, w) : 0;
}

/* In a directory it is not written a second time. */
static int rename_in(struct outbox *o, const char *name, const char *work_name, int from) {
        char path[OUTBOX_NAME_MAX + sizeof(BAG "/")];
        uint8_t is[32];
        struct stat st;
        int r;

        if (!is_name(name))
                return -EINVAL;
        (void) snprintf(path, sizeof(path), BAG "/%s", name);
        r = fstat(from, &st) < 0 ? -errno : make_parents(o, path);
        if (r == 0)
                r = pump(o, from, -EBADF, false, (uint64_t) st.st_size, is);
        /* whoever made it: it is for its owner only, where the file system knows owners */
        (void) fchmod(from, 0600);
        if (r == 0 && renameat(o->dir, work_name, o->dir, path) < 0)
                r = -errno;
        return r < 0 ? r : add_entry(o, name, is, (uint64_t) st.st_size);
}

int outbox_move(struct outbox *o, const char *name, const char *work_name, struct why *w) {
        _cleanup_close_ int from = openat(o->dir, work_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        int r = from < 0 ? -errno : 0, x = 0;

        if (r == 0 && !o->tar)
                r = rename_in(o, name, work_name, from);
        else if (r == 0) {
                x = outbox_copy(o, name, from, NULL, w);
                if (x == 0 && unlinkat(o->dir, work_name, 0) < 0)
                        r = -errno;
        }
        return x != 0 ? x : r < 0 ? failed(o, r, w) : 0;
}

static int compare_entries(const void *a, const void *b) {
        return strcmp(((const struct entry *) a)->name, ((const struct entry *) b)->name);
}

/* A line for each file that is payload, or that is not. */
static int put_manifest(struct outbox *o, const char *name, bool payload) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        char hex[65];

        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < o->n; i++)
                if ((strncmp(o->v[i].name, PAYLOAD, strlen(PAYLOAD)) == 0) == payload)
                        (void) fprintf(f, "%s  %s\n", sodium_bin2hex(hex, sizeof(hex), o->v[i].sha256, 32),
                                       o->v[i].name);
        return fclose(f) == 0 ? put_bytes(o, name, text, size) : -ENOMEM;
}

static int put_tags(struct outbox *o, const char *info) {
        static const char declared[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";
        _cleanup_free_ char *text = NULL;
        int r, n = asprintf(&text, "Payload-Oxum: %llu.%llu\n%s", (unsigned long long) o->bytes,
                            (unsigned long long) o->files, info);

        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        qsort(o->v, o->n, sizeof(*o->v), compare_entries);
        r = put_manifest(o, "manifest-sha256.txt", true);
        if (r == 0)
                r = put_bytes(o, "bagit.txt", declared, strlen(declared));
        if (r == 0)
                r = put_bytes(o, "bag-info.txt", text, (size_t) n);
        qsort(o->v, o->n, sizeof(*o->v), compare_entries);
        return r < 0 ? r : put_manifest(o, "tagmanifest-sha256.txt", false);
}

/* Over nothing. Some file systems cannot promise that (NFS, FUSE): there it is looked for, and somebody who makes it in
 * between loses an empty directory or a file. */
static int appear(const struct outbox *o) {
        struct stat st;

        if (renameat2(o->dir, BAG, AT_FDCWD, o->path, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL)
                return -errno;
        if (lstat(o->path, &st) == 0)
                return -EEXIST;
        return renameat(o->dir, BAG, AT_FDCWD, o->path) < 0 ? -errno : 0;
}

int outbox_finish(struct outbox *o, const char *info, struct why *w) {
        int r = put_tags(o, info);

        if (r == 0 && o->tar && archive_write_close(o->tar) != ARCHIVE_OK)
                r = -(archive_errno(o->tar) ?: EIO);
        if (r == 0 && syncfs(o->dir) < 0)
                r = -errno;
        if (r == 0)
                r = appear(o);
        return r < 0 ? failed(o, r, w) : 0;
}

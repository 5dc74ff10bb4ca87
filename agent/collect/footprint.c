/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/footprint.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "agent/collect/source.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "agent/util/version.h"

#define CHUNK_SIZE  (64U * 1024)
#define DEPTH_MAX   4U
#define FILES_MAX   1024U
#define KERNEL_MAX  1024U
#define RELEASE     "/proc/version"
#define CONFIG_KIND "agent-config"

static const struct index_item item = { .kind = "footprint", .source = "freezed" };

static const char *const folders[] = { "/sys/fs/bpf/freezed", "/run/freezed", "/etc/freezed" };
static const char *const configs[] = { "/etc/freezed/trust.json", "/etc/freezed/policy.json" };

static int digest_fd(int fd, EVP_MD_CTX *md, uint8_t ret[static 32]) {
        uint8_t chunk[CHUNK_SIZE];

        if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        for (;;) {
                ssize_t got = read(fd, chunk, sizeof(chunk));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return EVP_DigestFinal_ex(md, ret, NULL) == 1 ? 0 : -EIO;
                if (EVP_DigestUpdate(md, chunk, (size_t) got) != 1)
                        return -EIO;
        }
}

static int digest(const char *path, char hex[static 65]) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        uint8_t sha256[32];
        int r = fd < 0 ? -errno : digest_fd(fd, md, sha256);

        EVP_MD_CTX_free(md);
        if (r == 0)
                (void) sodium_bin2hex(hex, 65, sha256, sizeof(sha256));
        return r;
}

static void add_program(struct store *s, json_t *programs, const char *what, pid_t pid) {
        json_t *o = json_pack("{s:s, s:i}", "what", what, "pid", (int) pid);
        char link[64], path[PATH_MAX], hex[65];
        ssize_t n;
        int r;

        (void) snprintf(link, sizeof(link), "/proc/%d/exe", (int) pid);
        n = source_link(AT_FDCWD, link, path, sizeof(path));
        r = n < 0 ? (int) n : index_set_bytes(o, "path", path, (size_t) n);
        if (r == 0)
                r = digest(link, hex);
        if (r == 0)
                (void) json_object_set_new(o, "sha256", json_string(hex));
        else
                store_hole(s, &(struct index_item) { .kind = item.kind, .source = link, .pid = pid }, r, -1);
        (void) json_array_append_new(programs, o);
}

static void list(json_t *files, const char *path, unsigned depth) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d)
                return;
        for (const struct dirent *e; json_array_size(files) < FILES_MAX && (e = readdir(d));) {
                _cleanup_json_ json_t *o = json_object();
                char below[PATH_MAX];

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                    snprintf(below, sizeof(below), "%s/%s", path, e->d_name) >= (int) sizeof(below))
                        continue;
                /* as an object: a name that is no text has another member */
                if (o && index_set_bytes(o, "path", below, strlen(below)) == 0)
                        (void) json_array_append(files, o);
                if (e->d_type == DT_DIR && depth < DEPTH_MAX)
                        list(files, below, depth + 1);
        }
        (void) closedir(d);
}

static json_t *describe(struct store *s, const struct footprint *f) {
        _cleanup_json_ json_t *programs = json_array(), *files = json_array();
        _cleanup_free_ char *kernel = NULL;
        uint8_t boot_id[16];
        char hex[33];
        size_t n = 0;
        json_t *o;

        add_program(s, programs, "collector", getpid());
        add_program(s, programs, "core", f->core);
        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                list(files, folders[i], 0);
        clock_boot_id(boot_id);
        (void) sodium_bin2hex(hex, sizeof(hex), boot_id, sizeof(boot_id));
        o = json_pack("{s:s, s:O, s:s, s:I, s:I, s:b, s:O}", "version", AGENT_VERSION, "programs", programs, "boot_id",
                      hex, "wall_ms", (json_int_t) clock_wall_ms(), "boot_ms", (json_int_t) clock_boot_ms(), "synced",
                      f->synced, "files", files);
        if (o && io_read_file(AT_FDCWD, RELEASE, KERNEL_MAX, &kernel, &n) == 0 && n > 0 &&
            index_set_bytes(o, "kernel", kernel, n - 1) < 0)
                json_object_clear(o);
        return o;
}

void footprint_collect(struct store *s, const struct footprint *f) {
        _cleanup_json_ json_t *o = describe(s, f);
        _cleanup_free_ char *line = NULL;

        if (!o || index_json_line(o, &line) < 0)
                store_hole(s, &item, -ENOMEM, -1);
        else
                source_put(s, &item, line, strlen(line));
        for (size_t i = 0; i < ELEMENTSOF(configs); i++)
                source_copy(s, &(struct index_item) { .kind = CONFIG_KIND, .source = configs[i] }, AT_FDCWD, configs[i],
                            SOURCE_OPTIONAL);
}

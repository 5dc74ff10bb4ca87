/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hostkey.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "agent/util/fault.h"
#include "agent/util/io.h"

#define SEED_NAME       "host_key"
#define SEED_SIZE       crypto_sign_SEEDBYTES
#define PUBLIC_FILE_MAX 256U

/* What precedes the 32 bytes of an Ed25519 key in a DER SubjectPublicKeyInfo (RFC 8410): it is the same for every
 * key. */
static const uint8_t spki_prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };

struct hostkey {
        struct sshkey public;
        uint8_t *secret; /* locked, not in core dumps, between guard pages, read-only */
};

static void secretp(uint8_t **p) {
        sodium_free(*p);
}

static int read_seed(int dir, uint8_t seed[static SEED_SIZE]) {
        _cleanup_close_ int fd = openat(dir, SEED_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        ssize_t got;

        if (fd < 0)
                return errno == ELOOP ? -EBADMSG : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* FAIL-CLOSED: a key that others could have read, or written, proves nothing about this host. */
        if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != geteuid() || st.st_size != SEED_SIZE)
                return -EBADMSG;
        got = read(fd, seed, SEED_SIZE);
        if (got < 0)
                return -errno;
        return got == SEED_SIZE ? 0 : -EBADMSG;
}

/* The file gets its name once it is whole, and never takes the place of a key that is there. */
static int make_seed(int dir, uint8_t seed[static SEED_SIZE]) {
        _cleanup_close_ int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        char self[32];
        int r;

        if (fd < 0)
                return -errno;
        randombytes_buf(seed, SEED_SIZE);
        r = io_write_all(fd, seed, SEED_SIZE);
        if (r < 0)
                return r;
        if (fchmod(fd, 0600) < 0 || fsync(fd) < 0)
                return -errno;
        r = fault_effect("hostkey-seed");
        if (r < 0)
                return r;
        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        if (linkat(AT_FDCWD, self, dir, SEED_NAME, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        return fsync(dir) < 0 ? -errno : 0;
}

/* The two public files follow from the seed, so they are put right whenever they are not what they have to be. */
static int keep_public(int dir, const char *name, const char *text) {
        _cleanup_free_ char *old = NULL;
        int r = io_read_file(dir, name, PUBLIC_FILE_MAX, &old, NULL);

        if (r == 0 && strcmp(old, text) == 0)
                return 0;
        r = fault_effect("hostkey-public");
        return r < 0 ? r : io_replace_file(dir, name, text, strlen(text), 0644);
}

static int keep_publics(int dir, const struct sshkey *k) {
        char line[SSHKEY_LINE_SIZE], base64[64], text[PUBLIC_FILE_MAX];
        uint8_t spki[sizeof(spki_prefix) + sizeof(k->pub)];
        int r;

        sshkey_to_line(k, line);
        (void) snprintf(text, sizeof(text), "%s freezed\n", line);
        r = keep_public(dir, SEED_NAME ".pub", text);
        if (r < 0)
                return r;
        memcpy(spki, spki_prefix, sizeof(spki_prefix));
        memcpy(spki + sizeof(spki_prefix), k->pub, sizeof(k->pub));
        (void) sodium_bin2base64(base64, sizeof(base64), spki, sizeof(spki), sodium_base64_VARIANT_ORIGINAL);
        (void) snprintf(text, sizeof(text), "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", base64);
        return keep_public(dir, SEED_NAME ".pem", text);
}

static int derive(const uint8_t seed[static SEED_SIZE], struct hostkey *k) {
        uint8_t public[crypto_sign_PUBLICKEYBYTES];

        k->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
        if (!k->secret)
                return -ENOMEM;
        (void) crypto_sign_seed_keypair(public, k->secret, seed);
        (void) sodium_mprotect_readonly(k->secret);
        sshkey_from_raw(public, &k->public);
        return 0;
}

int hostkey_open(const char *dir, struct hostkey **ret) {
        _cleanup_(hostkey_freep) struct hostkey *k = calloc(1, sizeof(*k));
        _cleanup_(secretp) uint8_t *seed = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (sodium_init() < 0)
                return -EIO;
        seed = sodium_malloc(SEED_SIZE);
        if (!k || !seed)
                return -ENOMEM;
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_seed(fd, seed);
        if (r == -ENOENT)
                r = make_seed(fd, seed);
        if (r == 0)
                r = derive(seed, k);
        if (r == 0)
                r = keep_publics(fd, &k->public);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(k);
        return 0;
}

void hostkey_free(struct hostkey *k) {
        if (!k)
                return;
        sodium_free(k->secret);
        free(k);
}

void hostkey_freep(struct hostkey **k) {
        hostkey_free(*k);
}

const struct sshkey *hostkey_public(const struct hostkey *k) {
        return &k->public;
}

void hostkey_sign(const struct hostkey *k, const uint8_t *bytes, size_t n, uint8_t ret[static 64]) {
        (void) crypto_sign_detached(ret, NULL, bytes, n, k->secret);
}

int hostkey_envelope(const struct hostkey *k, enum dsse_type type, const char *payload, char **ret) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ uint8_t *pae = NULL;
        uint8_t sig[crypto_sign_BYTES];
        size_t n_pae;
        int r;

        d.type = type;
        d.n_payload = strlen(payload);
        d.payload = (uint8_t *) strdup(payload);
        if (!d.payload)
                return -ENOMEM;
        r = dsse_pae(type, d.payload, d.n_payload, &pae, &n_pae);
        if (r < 0)
                return r;
        hostkey_sign(k, pae, n_pae, sig);
        r = dsse_add(&d, k->public.id, sig);
        return r < 0 ? r : dsse_to_json(&d, ret);
}

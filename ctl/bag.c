/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/openat2.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "ctl/bag.h"
#include "ctl/kept.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/dsse.h"
#include "policy/schema.h"

#define STATEMENT      "evidence.dsse.json"
#define TAGS           "tagmanifest-sha256.txt"
#define MANIFEST       "manifest-sha256.txt"
#define PUBLIC         "public.jsonl"
#define ORDER          "order.dsse.json"
#define SIGNATURE      TAGS ".sig"
#define PEM            "host_key.pem"
#define DATA           "data"
#define TOMBSTONE      "tombstone.dsse.json"
#define DELETION       "deletion.dsse.json"
#define KEEPING        "keeping.dsse.json"
#define PROOF          "evidence.tlog-proof"
#define UNFINISHED     ".new"
#define PREDICATE_TYPE "urn:freezed:evidence:v1"
#define HOLD_DIGITS    32U
#define TEXT_MAX       (16U * 1024 * 1024)
#define READ_SIZE      (1024U * 1024)

static const struct {
        const char *id, *text;
        enum bag_severity severity;
} findings[_BAG_FINDING_MAX] = {
#define X(name, id_, severity_, text_) \
        [BAG_##name] = { .id = id_, .text = text_, .severity = BAG_SEVERITY_##severity_ },
        BAG_FINDING_TABLE(X)
#undef X
};

const char *bag_finding_id(enum bag_finding f) {
        return findings[f].id;
}

const char *bag_finding_text(enum bag_finding f) {
        return findings[f].text;
}

int bag_exit(const struct bag *b) {
        static const int codes[] = { CTL_OK, CTL_SILENT, CTL_PARTIAL, CTL_REFUSED };
        return codes[b->worst];
}

void bag_done(struct bag *b) {
        closep(&b->dir);
        json_decref(b->predicate);
        json_decref(b->tombstone);
        json_decref(b->keeping);
        sums_done(&b->tags);
        sums_done(&b->data);
        *b = BAG_NULL;
}

void bag_found(struct bag *b, enum bag_finding what, const char *file) {
        b->worst = MAX(b->worst, findings[what].severity);
        b->n_found++;
        if (b->n_named == BAG_NAMED_MAX)
                return;
        b->named[b->n_named].what = what;
        (void) text_clean(file, b->named[b->n_named++].file, sizeof(b->named[0].file));
}

/* Neither waits nor follows: the folder may come from anybody. */
static int open_plain(const struct bag *b, const char *name, struct stat *ret_st) {
        struct open_how how = {
                .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        _cleanup_close_ int fd = (int) syscall(SYS_openat2, b->dir, name, &how, sizeof(how));

        if (fd < 0 || fstat(fd, ret_st) < 0)
                return -errno;
        return S_ISREG(ret_st->st_mode) ? TAKE_FD(fd) : -EBADMSG;
}

/* A whole small file, with its digest. */
struct text {
        char *bytes; /* owned, with a NUL */
        size_t n;
        uint8_t sha256[32];
};

static void text_done(struct text *t) {
        free(t->bytes);
}

int bag_read_file(const struct bag *b, const char *name, char **ret, size_t *ret_n) {
        struct stat st;
        _cleanup_close_ int fd = open_plain(b, name, &st);
        _cleanup_free_ char *bytes = NULL;
        size_t n = 0;

        if (fd < 0)
                return fd;
        if ((uint64_t) st.st_size > TEXT_MAX)
                return -EFBIG;
        bytes = malloc((size_t) st.st_size + 1);
        if (!bytes)
                return -ENOMEM;
        while (n < (size_t) st.st_size) {
                ssize_t got = read(fd, bytes + n, (size_t) st.st_size - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -ENODATA;
                n += (size_t) got;
        }
        bytes[n] = '\0';
        *ret = TAKE_PTR(bytes);
        *ret_n = n;
        return 0;
}

static int read_text(const struct bag *b, const char *name, struct text *ret) {
        int r = bag_read_file(b, name, &ret->bytes, &ret->n);

        if (r == 0)
                (void) crypto_hash_sha256(ret->sha256, (const uint8_t *) ret->bytes, ret->n);
        return r;
}

/* One that is not as long as it was is not read: a file can be made longer than anybody would wait for. */
static int hash_file(const struct bag *b, const struct sum *s, uint8_t ret[static 32], uint64_t *ret_n) {
        _cleanup_free_ uint8_t *chunk = malloc(READ_SIZE);
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        struct stat st;
        _cleanup_close_ int fd = open_plain(b, s->name, &st);
        int r = !chunk || !hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1 ? -ENOMEM : MIN(fd, 0);

        *ret_n = 0;
        if (r == 0 && s->bytes >= 0 && st.st_size != s->bytes)
                r = -EBADMSG;
        while (r == 0) {
                ssize_t got = read(fd, chunk, READ_SIZE);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0) {
                        r = got < 0 ? -errno : 0;
                        break;
                }
                *ret_n += (uint64_t) got;
                r = EVP_DigestUpdate(hash, chunk, (size_t) got) == 1 ? 0 : -EIO;
        }
        if (r == 0 && EVP_DigestFinal_ex(hash, ret, NULL) != 1)
                r = -EIO;
        EVP_MD_CTX_free(hash);
        return r;
}

/* What it says of a signed file that it cannot be read: another kind of file, or one too large to be it, is not it. */
static enum bag_finding of_errno(int r) {
        return r == -ENOENT                                                 ? BAG_MISSING
               : r == -ELOOP || r == -EBADMSG || r == -EFBIG || r == -ENXIO ? BAG_CHANGED
                                                                            : BAG_UNREADABLE;
}

#define PEM_BEGIN  "-----BEGIN PUBLIC KEY-----\n"
#define PEM_END    "\n-----END PUBLIC KEY-----\n"
#define PEM_DIGITS 60U
#define DER_SIZE   44U
#define DER_KEY    12U

/* RFC 8410: all that comes before an Ed25519 key is the same for each. */
static bool is_pem_of(const struct text *pem, const uint8_t pub[static 32]) {
        uint8_t der[DER_SIZE] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
        char base64[PEM_DIGITS + 1], text[128];

        memcpy(der + DER_KEY, pub, 32);
        (void) sodium_bin2base64(base64, sizeof(base64), der, sizeof(der), sodium_base64_VARIANT_ORIGINAL);
        (void) snprintf(text, sizeof(text), PEM_BEGIN "%s" PEM_END, base64);
        return pem->n == strlen(text) && memcmp(pem->bytes, text, pem->n) == 0;
}

static bool key_of_pem(const struct text *pem, struct sshkey *ret) {
        const size_t at = strlen(PEM_BEGIN);
        uint8_t der[DER_SIZE];
        size_t n = 0;

        if (pem->n < at + PEM_DIGITS ||
            sodium_base642bin(der, sizeof(der), pem->bytes + at, PEM_DIGITS, NULL, &n, NULL,
                              sodium_base64_VARIANT_ORIGINAL) != 0 ||
            n != sizeof(der) || !is_pem_of(pem, der + DER_KEY))
                return false;
        sshkey_from_raw(der + DER_KEY, ret);
        return true;
}

/* Notes whose key it is, when that signed it. */
static bool try_signer(struct bag *b, const struct dsse *d, const struct sshkey *key, enum reason *ret_reason) {
        uint64_t who;

        if (dsse_verify(d, key, 1, &who, ret_reason) < 0)
                *ret_reason = REASON_INTERNAL;
        if (*ret_reason != REASON_NONE)
                return false;
        sshkey_id_to_str(key->id, b->host);
        memcpy(b->pub, key->pub, sizeof(b->pub));
        return true;
}

/* By the key that lies in the folder, whose host nobody knows here. */
static bool is_by_stranger(struct bag *b, const struct dsse *d) {
        _cleanup_(text_done) struct text pem = { .bytes = NULL };
        struct sshkey key;
        enum reason reason;
        int r = read_text(b, PEM, &pem);

        if (r < 0 || !key_of_pem(&pem, &key))
                bag_found(b, r < 0 ? of_errno(r) : BAG_CHANGED, PEM);
        else if (!try_signer(b, d, &key, &reason))
                bag_found(b, BAG_STATEMENT, STATEMENT);
        else {
                bag_found(b, BAG_STRANGER, STATEMENT);
                return true;
        }
        return false;
}

/* Which key signed it: that of a known host, or else the folder's own. False, and it is said why: none did. */
static bool find_signer(struct bag *b, const struct dsse *d, const struct hosts *known) {
        enum reason reason;

        for (size_t i = 0; i < known->n; i++)
                if (try_signer(b, d, &known->v[i].key, &reason)) {
                        (void) snprintf(b->name, sizeof(b->name), "%s", known->v[i].name);
                        return true;
                } else if (reason != REASON_UNTRUSTED) {
                        bag_found(b, BAG_STATEMENT, STATEMENT);
                        return false;
                }
        return is_by_stranger(b, d);
}

static bool is_digest(const char *hex, const uint8_t sha256[static 32]) {
        char is[65];

        return hex && strcmp(hex, sodium_bin2hex(is, sizeof(is), sha256, 32)) == 0;
}

/* From the envelope to the predicate; the digest that it is about is *ret. */
static bool read_statement(struct bag *b, const struct dsse *d, char ret[static 65]) {
        _cleanup_json_ json_t *o = json_loadb((const char *) d->payload, d->n_payload, JSON_REJECT_DUPLICATES, NULL);
        const json_t *subject = json_array_get(json_object_get(o, "subject"), 0);
        const char *digest = member_str(json_object_get(subject, "digest"), "sha256");

        if (strcmp(member_str(o, "predicateType"), PREDICATE_TYPE) != 0 ||
            strcmp(member_str(subject, "name"), TAGS) != 0 || strlen(digest) != 64 ||
            !json_is_object(json_object_get(o, "predicate")))
                return false;
        memcpy(ret, digest, 65);
        memcpy(b->subject, digest, 65);
        b->predicate = json_incref(json_object_get(o, "predicate"));
        return true;
}

/* What is around the signed bytes is nobody's word, so there is one form of it only: the host's. */
static bool is_as_written(const struct dsse *d, const struct text *t) {
        _cleanup_free_ char *json = NULL;

        return dsse_to_json(d, &json) == 0 && strlen(json) == t->n && memcmp(json, t->bytes, t->n) == 0;
}

/* False when nothing in the folder is traced to anybody. */
static bool check_statement(struct bag *b, const struct hosts *known, char digest[static 65]) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_(text_done) struct text t = { .bytes = NULL };
        enum reason reason;
        int r = read_text(b, STATEMENT, &t);

        if (r < 0) {
                bag_found(b, r == -ENOENT ? BAG_NO_STATEMENT : BAG_STATEMENT, STATEMENT);
                return false;
        }
        memcpy(b->statement_sha256, t.sha256, sizeof(b->statement_sha256));
        if (dsse_parse(t.bytes, t.n, &d, &reason) < 0 || reason != REASON_NONE || d.type != DSSE_EVIDENCE ||
            !is_as_written(&d, &t)) {
                bag_found(b, BAG_STATEMENT, STATEMENT);
                return false;
        }
        if (!find_signer(b, &d, known))
                return false;
        if (!read_statement(b, &d, digest)) {
                bag_found(b, BAG_STATEMENT, STATEMENT);
                return false;
        }
        return true;
}

static void check_state(struct bag *b) {
        const char *state = member_str(b->predicate, "state");

        if (strcmp(state, "cut-short") == 0)
                bag_found(b, BAG_CUT_SHORT, "");
        else if (strcmp(state, "complete") != 0)
                bag_found(b, BAG_FAILED, "");
}

/* A tag file as the tag manifest has it. False: it is not listed, or not that. */
static bool read_tag(struct bag *b, const char *name, struct text *ret) {
        const struct sum *s = sums_find(&b->tags, name);
        int r = s ? read_text(b, name, ret) : -ENOENT;

        if (!s)
                return false;
        if (r < 0)
                bag_found(b, of_errno(r), name);
        else if (memcmp(s->sha256, ret->sha256, sizeof(s->sha256)) != 0)
                bag_found(b, BAG_CHANGED, name);
        else
                return true;
        return false;
}

/* What is in the folder for other tools says the same: who trusts those must not be told otherwise. */
static void check_stock(struct bag *b, const struct text *tags) {
        _cleanup_(text_done) struct text sig = { .bytes = NULL }, pem = { .bytes = NULL };
        int r = read_text(b, SIGNATURE, &sig);

        if (r < 0 || sig.n != crypto_sign_BYTES ||
            crypto_sign_verify_detached((const uint8_t *) sig.bytes, (const uint8_t *) tags->bytes, tags->n, b->pub) !=
                    0)
                bag_found(b, r == -ENOENT ? BAG_MISSING : BAG_CHANGED, SIGNATURE);
        r = read_text(b, PEM, &pem);
        if (r < 0 || !is_pem_of(&pem, b->pub))
                bag_found(b, r == -ENOENT ? BAG_MISSING : BAG_CHANGED, PEM);
}

static bool check_tags(struct bag *b, const char *digest) {
        _cleanup_(text_done) struct text t = { .bytes = NULL };
        int r = read_text(b, TAGS, &t);

        if (r < 0 || !is_digest(digest, t.sha256)) {
                bag_found(b, BAG_TAGS, TAGS);
                return false;
        }
        if (sums_parse(t.bytes, t.n, &b->tags) < 0) {
                bag_found(b, BAG_MANIFEST, TAGS);
                return false;
        }
        check_stock(b, &t);
        return true;
}

/* Those that nobody reads here are signed as well. */
static void check_other_tags(struct bag *b) {
        for (size_t i = 0; i < b->tags.n; i++) {
                const char *name = b->tags.v[i].name;
                _cleanup_(text_done) struct text t = { .bytes = NULL };

                if (strcmp(name, ORDER) != 0 && strcmp(name, MANIFEST) != 0 && strcmp(name, PUBLIC) != 0)
                        (void) read_tag(b, name, &t);
        }
}

/* The id of an order is that of the hold. */
static bool is_of_hold(const struct bag *b, const struct dsse *order) {
        _cleanup_json_ json_t *o = json_loadb((char *) order->payload, order->n_payload, JSON_REJECT_DUPLICATES, NULL);

        return strcmp(member_str(o, "id"), member_str(b->predicate, "hold")) == 0;
}

/* The statement names the order by the digest of what was signed in it. */
static void check_order(struct bag *b) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_(text_done) struct text t = { .bytes = NULL };
        const char *digest = member_str(json_object_get(b->predicate, "command"), "sha256");
        uint8_t is[32];
        enum reason reason;

        if (!sums_find(&b->tags, ORDER) || !read_tag(b, ORDER, &t))
                return;
        if (dsse_parse(t.bytes, t.n, &d, &reason) < 0 || reason != REASON_NONE) {
                bag_found(b, BAG_ORDER, ORDER);
                return;
        }
        (void) crypto_hash_sha256(is, d.payload, d.n_payload);
        if (!is_digest(digest, is) || !is_of_hold(b, &d))
                bag_found(b, BAG_ORDER, ORDER);
}

static void learn_sizes(struct bag *b, const struct text *public) {
        _cleanup_(sums_done) struct sums listed = { .v = NULL };

        if (sums_from_public(public->bytes, public->n, &listed) < 0)
                return;
        for (size_t i = 0; i < b->data.n; i++) {
                const struct sum *s = sums_find(&listed, b->data.v[i].name);

                b->data.v[i].bytes = s ? s->bytes : -1;
        }
}

/* Neither list is signed: all that a snapshot can have then that failed is in none. */
static bool have_no_sums(struct bag *b) {
        if (strcmp(member_str(b->predicate, "state"), "failed") != 0)
                bag_found(b, BAG_MANIFEST, TAGS);
        return true;
}

/* Where there is no manifest, public.jsonl stands for it; where that is not signed, nobody says how long a file is. */
static bool read_data_sums(struct bag *b) {
        _cleanup_(text_done) struct text manifest = { .bytes = NULL }, public = { .bytes = NULL };
        const bool has_manifest = sums_find(&b->tags, MANIFEST), has_public = sums_find(&b->tags, PUBLIC);
        int r;

        if (!has_manifest && !has_public)
                return have_no_sums(b);
        if ((has_public && !read_tag(b, PUBLIC, &public)) || (has_manifest && !read_tag(b, MANIFEST, &manifest)))
                return false;
        r = has_manifest ? sums_parse(manifest.bytes, manifest.n, &b->data)
                         : sums_from_public(public.bytes, public.n, &b->data);
        if (r < 0)
                bag_found(b, BAG_MANIFEST, has_manifest ? MANIFEST : PUBLIC);
        else if (has_public)
                learn_sizes(b, &public);
        return r == 0;
}

static void check_file(struct bag *b, const struct sum *s) {
        uint8_t is[32];
        uint64_t n;
        int r = hash_file(b, s, is, &n);

        if (r == -ENOENT && b->tombstone)
                return;
        if (r < 0)
                bag_found(b, of_errno(r), s->name);
        else if (memcmp(is, s->sha256, sizeof(is)) != 0)
                bag_found(b, BAG_CHANGED, s->name);
        else {
                b->files++;
                b->bytes += n;
        }
}

/* What lies beside data/ and lists itself in no manifest: the signature, or signed for itself. The last three come
 * later, and the proof with an export. */
static const char *const beside[] = {
        STATEMENT, TAGS, SIGNATURE, PEM, DATA, TOMBSTONE, DELETION, KEEPING, PROOF,
};

static bool is_beside(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(beside); i++)
                if (strcmp(name, beside[i]) == 0)
                        return true;
        return false;
}

/* As a host calls what it is still writing: a power cut leaves it. */
static bool is_unfinished(const struct bag *b, const char *name) {
        const size_t n = strlen(name), end = strlen(UNFINISHED);
        char of[SUMS_NAME_MAX + 1];

        if (name[0] != '.' || n <= 1 + end || n - 1 - end >= sizeof(of) || strcmp(name + n - end, UNFINISHED) != 0)
                return false;
        (void) snprintf(of, sizeof(of), "%.*s", (int) (n - 1 - end), name + 1);
        return is_beside(of) || sums_find(&b->tags, of);
}

static void check_extra(struct bag *b, const char *name) {
        const bool in_data = strncmp(name, DATA "/", strlen(DATA "/")) == 0;

        if (sums_find(in_data ? &b->data : &b->tags, name) || (!in_data && is_beside(name)))
                return;
        if (in_data)
                bag_found(b, sums_find(&b->tags, MANIFEST) ? BAG_EXTRA : BAG_UNLISTED, name);
        else
                /* a list that the collector did not live to vouch for is not signed */
                bag_found(b,
                          strcmp(name, PUBLIC) == 0 || strcmp(name, MANIFEST) == 0 || is_unfinished(b, name)
                                  ? BAG_UNLISTED
                                  : BAG_EXTRA,
                          name);
}

/* dir: "." with nothing before each name, or one with its slash. */
static void find_extras(struct bag *b, const char *dir, const char *before) {
        int fd = openat(b->dir, dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        for (const struct dirent *e; d && (e = readdir(d));) {
                char name[sizeof(DATA "/") + sizeof(e->d_name)];

                (void) snprintf(name, sizeof(name), "%s%s", before, e->d_name);
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        check_extra(b, name);
        }
        if (d)
                (void) closedir(d);
        else if (fd >= 0)
                (void) close(fd);
}

/* A host names a folder by the hold, and one that was put in the place of another is as well signed as that one. */
static void check_hold(struct bag *b, const char *path) {
        const char *hold = member_str(b->predicate, "hold"), *end = path + strlen(path), *name;

        while (end > path && end[-1] == '/')
                end--;
        for (name = end; name > path && name[-1] != '/';)
                name--;
        if (strspn(name, "0123456789abcdef") == HOLD_DIGITS &&
            (strlen(hold) != HOLD_DIGITS || memcmp(name, hold, HOLD_DIGITS) != 0))
                bag_found(b, BAG_OTHER_HOLD, "");
}

/* False when there is nothing that the files could be compared with. */
static bool look(struct bag *b, const char *path, const struct hosts *known) {
        char digest[65];

        const bool traced = check_statement(b, known, digest);

        kept_check(b, known);
        if (!traced)
                return false;
        check_state(b);
        check_hold(b, path);
        if (!check_tags(b, digest))
                return false;
        check_order(b);
        check_other_tags(b);
        return read_data_sums(b);
}

static void verify(struct bag *b, const char *path, const struct hosts *known) {
        if (!look(b, path, known))
                return;
        for (size_t i = 0; i < b->data.n; i++)
                check_file(b, &b->data.v[i]);
        find_extras(b, DATA, DATA "/");
        find_extras(b, ".", "");
}

int bag_open_file(const struct bag *b, const char *name) {
        struct stat st;
        return open_plain(b, name, &st);
}

int bag_read_tag(const struct bag *b, const char *name, char **ret, size_t *ret_n) {
        const struct sum *s = sums_find(&b->tags, name);
        struct text t = { .bytes = NULL };
        int r = s ? read_text(b, name, &t) : -ENOENT;

        if (r == 0 && memcmp(s->sha256, t.sha256, sizeof(s->sha256)) != 0) {
                text_done(&t);
                r = -EBADMSG;
        }
        if (r < 0)
                return r;
        *ret = t.bytes;
        *ret_n = t.n;
        return 0;
}

static int open_folder(const char *path, struct bag *ret, struct why *w) {
        *ret = BAG_NULL;
        ret->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return ret->dir < 0 ? why_errno(w, -errno, "%s", CLEAN(path)) : 0;
}

int bag_look(const char *path, const struct hosts *known, struct bag *ret, struct why *w) {
        int x = open_folder(path, ret, w);

        if (x == 0)
                (void) look(ret, path, known);
        return x;
}

int bag_verify(const char *path, const struct hosts *known, struct bag *ret, struct why *w) {
        int x = open_folder(path, ret, w);

        if (x == 0)
                verify(ret, path, known);
        return x;
}

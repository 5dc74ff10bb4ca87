/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A folder of evidence, verified by one who cannot open it: nothing of the code that wrote it is used, and nothing in
 * the folder is believed before it is traced to a key: that of a host that is known, or else the one in the folder,
 * which anybody can have made.
 *
 *   evidence.dsse.json --signature--> statement --digest--> tagmanifest-sha256.txt --digests--> public.jsonl,
 *   order.dsse.json, manifest-sha256.txt --digests--> data/...
 *
 * Where the collector died there is no manifest, and public.jsonl stands for it. */

#include <stdbool.h>

#include "ctl/hosts.h"
#include "ctl/sums.h"
#include "ctl/why.h"

/* What can be wrong; X(NAME, "id", severity, "sentence"). BAD: something is not what it was. SHORT: something that
 * should be there is not, and the rest is what it was. DOUBT: nobody known says so. */
#define BAG_FINDING_TABLE(X)                                                                                      \
        X(NO_STATEMENT, "no-statement", SHORT,                                                                    \
          "nobody has signed what is here: the host died before it could, or it is none of a host's")             \
        X(STATEMENT, "bad-statement", BAD, "the signed statement is not one of ours, or was changed")             \
        X(STRANGER, "unknown-host", DOUBT, "the key that signed it is that of no host that is known here")        \
        X(TAGS, "tags-changed", BAD, "the signature is about another folder: tagmanifest-sha256.txt is not that") \
        X(MANIFEST, "bad-manifest", BAD, "a manifest is not one that a host writes")                              \
        X(CHANGED, "changed", BAD, "the file is not the one that was signed")                                     \
        X(MISSING, "missing", BAD, "the file was signed and is not there")                                        \
        X(EXTRA, "extra", BAD, "the file is there and was not signed")                                            \
        X(UNLISTED, "unlisted", SHORT, "the file got its name, and whoever wrote it died before it was signed")   \
        X(UNREADABLE, "unreadable", SHORT, "the file could not be read to its end")                               \
        X(CUT_SHORT, "cut-short", SHORT, "the snapshot ended before it had all that it should hold")              \
        X(FAILED, "failed", SHORT, "the host says that the snapshot failed")                                      \
        X(ORDER, "other-order", BAD, "the order is not the one that the statement names")                         \
        X(OTHER_HOLD, "other-hold", BAD, "the folder is named by one hold, and was signed for another")           \
        X(DELETED, "deleted", SHORT, "what it held was deleted, as the host's tombstone says")                    \
        X(TOMBSTONE, "bad-tombstone", BAD, "the tombstone is not the host's word about this folder")              \
        X(KEEPING, "bad-keeping", DOUBT, "what tells of its legal holds is not the host's word about this folder")

enum bag_finding {
#define X(name, ...) BAG_##name,
        BAG_FINDING_TABLE(X)
#undef X
                _BAG_FINDING_MAX,
};

enum bag_severity {
        BAG_SEVERITY_NONE,
        BAG_SEVERITY_DOUBT,
        BAG_SEVERITY_SHORT,
        BAG_SEVERITY_BAD,
};

#define BAG_NAMED_MAX 32U

struct bag_named {
        enum bag_finding what;
        char file[SUMS_NAME_MAX + 1]; /* "" where it is about the whole; cleaned */
};

/* What is known of a folder. Only what is traced to the host's key: empty until then. */
struct bag {
        int dir;
        json_t *predicate;           /* owned */
        json_t *tombstone, *keeping; /* owned predicates of kept.h; NULL: none */
        struct sums tags, data;
        char host[SSHKEY_ID_SIZE];     /* of the key that signed */
        char name[HOSTS_NAME_MAX + 1]; /* what that host is called here; "" when it is not known */
        char subject[65];              /* hex: the tag manifest that was signed; "" until then */
        uint8_t statement_sha256[32];  /* of evidence.dsse.json; zeros until it is there */
        uint8_t tombstone_sha256[32];  /* of the file, where that is one */
        uint8_t pub[32];               /* that key; of a host that is not known, as it lies in the folder */
        uint64_t files, bytes;         /* in data/, that are what they were */
        struct bag_named named[BAG_NAMED_MAX];
        size_t n_named, n_found; /* listed, and all */
        enum bag_severity worst;
        bool contradicted; /* nothing in it is wrong, and the ledger says that it is (anchor.h) */
};

#define BAG_NULL ((struct bag) { .dir = -EBADF })

/* Opens the folder and verifies it. Returns 0, also with findings, or an exit code when it cannot be looked at. Reads
 * every file to its end. */
int bag_verify(const char *path, const struct hosts *known, struct bag *ret, struct why *w) _warn_unused_;
/* The same without reading a file of data/: what the host says of the folder, and not whether it still holds that. */
int bag_look(const char *path, const struct hosts *known, struct bag *ret, struct why *w) _warn_unused_;
void bag_done(struct bag *b);

/* A file of the folder, open for reading: a regular one that lies in it. -errno; -EBADMSG for anything else. */
int bag_open_file(const struct bag *b, const char *name) _warn_unused_;
/* The whole of a small one; *ret is malloc'ed, NUL-terminated. -ENOENT, -EFBIG, -ENODATA for one that became shorter,
 * or as above. */
int bag_read_file(const struct bag *b, const char *name, char **ret, size_t *ret_n) _warn_unused_;
/* A file that the tag manifest lists and that is what it lists; *ret is malloc'ed, NUL-terminated. -ENOENT, -EBADMSG,
 * or -errno of reading. */
int bag_read_tag(const struct bag *b, const char *name, char **ret, size_t *ret_n) _warn_unused_;

/* Notes what was found; file: "" where it is about the whole. */
void bag_found(struct bag *b, enum bag_finding what, const char *file);
const char *bag_finding_id(enum bag_finding f);
const char *bag_finding_text(enum bag_finding f);
/* 0 whole and by a known host; CTL_SILENT in doubt; CTL_PARTIAL something is missing; CTL_REFUSED something was
 * changed. */
int bag_exit(const struct bag *b);

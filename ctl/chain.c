/* SPDX-License-Identifier: Apache-2.0 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <sodium.h>

#include "ctl/bagdir.h"
#include "ctl/chain.h"
#include "ctl/file.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/dsse.h"

#define SEGMENT_MAX (64U * 1024 * 1024)
#define BODY_MAX    (256U * 1024)
#define OVERHEAD    36U
#define LEAVES      1024U

static const struct {
        const char *id, *text;
} findings[_CHAIN_FINDING_MAX] = {
#define X(name, id_, severity_, text_) [CHAIN_##name] = { .id = id_, .text = text_ },
        CHAIN_FINDING_TABLE(X)
#undef X
};

const char *chain_finding_id(enum chain_finding f) {
        return findings[f].id;
}

const char *chain_finding_text(enum chain_finding f) {
        return findings[f].text;
}

static void found(struct chain *c, enum chain_finding f) {
        c->findings |= 1U << f;
}

void chain_done(struct chain *c) {
        for (size_t i = 0; i < CHAIN_WITNESSES_MAX; i++)
                free(c->witnesses[i].note);
        free(c->leaves);
        free(c->note);
        free(c->body);
        free(c->folders);
        json_decref(c->tombstones);
        json_decref(c->condemned);
        *c = (struct chain) { .n = 0 };
}

/* What goes from one record to the next. */
struct reader {
        struct chain *c;
        const struct sshkey *host;
        const struct chain_want *want;
        char origin[NOTE_ORIGIN_SIZE];
        char prev[65], boot[33]; /* of the last record; of the last epoch */
        struct epoch last;
};

static bool is_hex(const char *hex, const uint8_t bytes[static 32]) {
        char is[65];

        return strcmp(hex, sodium_bin2hex(is, sizeof(is), bytes, 32)) == 0;
}

/* An order, or what became of one that the ledger could not take. What was refused, or read, has an id as well. */
static void look_for_order(struct chain *c, const json_t *body, const struct chain_want *want) {
        const char *kind = member_str(body, "kind");

        if (want && want->hold && (strcmp(kind, "order") == 0 || strcmp(kind, "outcome") == 0) &&
            strcmp(member_str(body, "id"), want->hold) == 0)
                c->ordered = true;
}

/* What a record tells of a folder: it is of that, or it has the receipt of what came of an order. With a full disk
 * there is only the latter, which is written when there is room again. NULL: nothing. */
static const json_t *account_of(const json_t *body, json_t **ret_receipt) {
        const char *envelope = member_str(body, "receipt"), *kind = member_str(body, "kind");
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;

        if (strcmp(kind, "evidence") == 0)
                return body;
        if (strcmp(kind, "outcome") != 0 || strcmp(member_str(body, "of"), "evidence") != 0 ||
            dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return NULL;
        *ret_receipt = json_loadb((char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        return json_object_get(*ret_receipt, "evidence");
}

/* Hex; "": nothing was signed. */
static const char *statement_in(const json_t *account) {
        return member_str(account, json_object_get(account, "statement") ? "statement" : "statement_sha256");
}

/* Which statement was written, and where. */
static void look_for(struct chain *c, const json_t *body, const char *text, size_t n_text, uint64_t n,
                     const struct chain_want *want) {
        _cleanup_json_ json_t *receipt = NULL;
        const json_t *account = want ? account_of(body, &receipt) : NULL;
        const char *slash = strrchr(member_str(account, "folder"), '/');

        if (!account)
                return;
        if (is_hex(statement_in(account), want->statement_sha256)) {
                free(c->body);
                c->body = memdup_array(text, n_text, 1);
                c->n_body = n_text;
                c->found = c->body ? n : 0;
        } else if (want->folder && slash && strcmp(slash + 1, want->folder) == 0 && (receipt || *statement_in(account)))
                c->other = true;
}

static struct chain_folder *folder_of(const struct chain *c, const char *path) {
        for (size_t i = c->n_folders; i > 0; i--)
                if (strcmp(c->folders[i - 1].path, path) == 0)
                        return &c->folders[i - 1];
        return NULL;
}

const struct chain_folder *chain_find_folder(const struct chain *c, const char *path) {
        return folder_of(c, path);
}

/* One that could not be made has no name. False when there is no memory for it. */
static bool take_folder(struct chain *c, const json_t *body) {
        _cleanup_json_ json_t *receipt = NULL;
        const json_t *account = account_of(body, &receipt);
        const char *path = bagdir_folder(member_str(account, "folder")), *statement = statement_in(account);
        struct chain_folder *f = folder_of(c, path);

        if (!*path || strlen(path) > CHAIN_FOLDER_MAX)
                return true;
        /* a receipt tells what its record told, and may have lost some of that */
        if (f && receipt && (!*statement || strcmp(f->statement, statement) == 0))
                return true;
        if (!f) {
                struct chain_folder *more = reallocarray(c->folders, c->n_folders + 1, sizeof(*more));

                if (!more)
                        return false;
                c->folders = more;
                f = &c->folders[c->n_folders++];
        }
        *f = (struct chain_folder) {
                .sealed_ms = member_int(body, "t_wall", 0),
                .objects = (uint64_t) MAX(member_int(account, "objects", 0), (int64_t) 0),
                .holes = (uint64_t) MAX(member_int(account, "holes", 0), (int64_t) 0),
                .sealed = (uint64_t) MAX(member_int(account, "sealed", 0), (int64_t) 0),
        };
        (void) snprintf(f->path, sizeof(f->path), "%s", path);
        (void) snprintf(f->statement, sizeof(f->statement), "%s", statement);
        return true;
}

static bool take_deletion(struct chain *c, const json_t *body) {
        const char *path;
        json_t *digest;

        json_object_foreach(json_object_get(body, "tombstones"), path, digest) {
                struct chain_folder *f = folder_of(c, path);

                if (f)
                        f->deleted = true;
                if (json_object_set(c->tombstones, path, digest) < 0)
                        return false;
        }
        return true;
}

/* By an order, or because its time is over. */
static bool take_sentence(struct chain *c, const json_t *body) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *order = NULL;
        const char *envelope = member_str(body, "envelope");
        enum reason reason;
        size_t i;
        json_t *target;

        if (strcmp(member_str(body, "kind"), "expiry") == 0)
                return json_object_set_new(c->condemned, member_str(body, "id"), json_true()) == 0;
        if (strcmp(member_str(body, "kind"), "order") != 0 ||
            strcmp(member_str(body, "verb"), "evidence-delete") != 0 ||
            dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return true;
        order = json_loadb((char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        json_array_foreach(json_object_get(order, "targets"), i, target) {
                const char *name = json_string_value(target);

                if (name && strncmp(name, "hold:", strlen("hold:")) == 0 &&
                    json_object_set_new(c->condemned, name + strlen("hold:"), json_true()) < 0)
                        return false;
        }
        return true;
}

uint32_t chain_look_at_tombstone(const struct chain *c, const char *path, const uint8_t sha256[static 32]) {
        const char *digest = json_string_value(json_object_get(c->tombstones, path)), *slash = strrchr(path, '/');
        char hold[33];

        if (digest)
                return is_hex(digest, sha256) ? 0 : 1U << CHAIN_NOT_DELETED;
        (void) snprintf(hold, sizeof(hold), "%s", slash ? slash + 1 : path);
        return 1U << (json_object_get(c->condemned, hold) ? CHAIN_DELETING : CHAIN_NOT_DELETED);
}

/* Whether who signs may: an epoch vouches for the next of the same boot, and only a boot or a loss is without one. */
static bool epoch_follows(const struct reader *r, const struct epoch *e, const char *boot) {
        const bool same_boot = strcmp(boot, r->boot) == 0;

        if (e->number != r->last.number + 1)
                return false;
        if ((e->why == EPOCH_FIRST) != (e->number == 1) || (e->why == EPOCH_BOOT && same_boot) ||
            (e->why == EPOCH_LOST && !same_boot))
                return false;
        if (epoch_is_by_host(e->why))
                return epoch_is_signed(e, r->origin, r->host->pub);
        return same_boot && epoch_is_signed(e, r->origin, r->last.pub);
}

static void take_epoch(struct reader *r, const json_t *body, uint64_t n) {
        struct chain *c = r->c;
        uint8_t root[MERKLE_HASH_SIZE];
        struct epoch e;

        merkle_root(&c->tree, root);
        if (epoch_from_json(body, &e) < 0 || e.size != n - 1 || memcmp(e.root, root, sizeof(root)) != 0 ||
            !epoch_follows(r, &e, member_str(body, "boot"))) {
                found(c, CHAIN_EPOCH);
                return;
        }
        r->last = e;
        (void) snprintf(r->boot, sizeof(r->boot), "%s", member_str(body, "boot"));
        c->epochs++;
        c->by_host += epoch_is_by_host(e.why);
        c->lost += e.why == EPOCH_LOST;
        c->heartbeat_ms = member_int(body, "t_wall", 0);
        if (c->has_head && n <= c->head.n)
                c->epoch = e;
}

static bool add_leaf(struct chain *c, const uint8_t leaf[static MERKLE_HASH_SIZE]) {
        if (c->n == c->n_room) {
                const size_t room = c->n_room ? 2 * c->n_room : LEAVES;
                void *more = reallocarray(c->leaves, room, MERKLE_HASH_SIZE);

                if (!more)
                        return false;
                c->leaves = more;
                c->n_room = room;
        }
        memcpy(c->leaves[c->n++], leaf, MERKLE_HASH_SIZE);
        merkle_append(&c->tree, leaf);
        return true;
}

/* False when it is not the next record, or there is no memory for it. */
static bool take_record(struct reader *r, const char *text, size_t n_text, const uint8_t leaf[static 32]) {
        _cleanup_json_ json_t *body = json_loadb(text, n_text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        const char *kind = member_str(body, "kind");
        const uint64_t n = r->c->n + 1;

        if (!json_is_object(body) || member_int(body, "n", 0) != (int64_t) n ||
            strcmp(member_str(body, "prev"), r->prev) != 0)
                return false;
        if (strcmp(kind, "epoch") == 0)
                take_epoch(r, body, n);
        if (!take_folder(r->c, body))
                return false;
        if ((strcmp(kind, "deleted") == 0 && !take_deletion(r->c, body)) || !take_sentence(r->c, body))
                return false;
        look_for(r->c, body, text, n_text, n, r->want);
        look_for_order(r->c, body, r->want);
        (void) sodium_bin2hex(r->prev, sizeof(r->prev), leaf, 32);
        return add_leaf(r->c, leaf);
}

static bool is_zero(const char *p, size_t n) {
        return n == 0 || (*p == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Where the whole records of a file end; what stands behind them is *ret_rest. */
static size_t read_records(struct reader *r, const char *p, size_t size, bool *ret_rest) {
        size_t at = 0;

        while (size - at > OVERHEAD) {
                const uint8_t *q = (const uint8_t *) p + at;
                const size_t n = (size_t) q[0] << 24 | (size_t) q[1] << 16 | (size_t) q[2] << 8 | q[3];
                uint8_t leaf[32];

                if (n == 0 || n > BODY_MAX || n > size - at - OVERHEAD)
                        break;
                merkle_leaf(q + 4, n, leaf);
                if (memcmp(leaf, q + 4 + n, sizeof(leaf)) != 0)
                        break;
                if (!take_record(r, p + at + 4, n, leaf)) {
                        found(r->c, CHAIN_RECORD);
                        break;
                }
                at += OVERHEAD + n;
        }
        *ret_rest = !is_zero(p + at, size - at);
        return at;
}

/* How many files there are by their names, and the highest number; the same, unless one is missing. */
static int count_files(const char *dir, uint64_t *ret_n, uint64_t *ret_last) {
        DIR *d = opendir(dir);
        uint64_t n = 0, last = 0;

        if (!d)
                return -errno;
        for (const struct dirent *e; (e = readdir(d));) {
                const uint64_t number = strtoull(e->d_name, NULL, 10);
                char name[32];

                (void) snprintf(name, sizeof(name), "%08" PRIu64 ".log", number);
                if (number == 0 || strcmp(name, e->d_name) != 0)
                        continue;
                n++;
                last = MAX(last, number);
        }
        (void) closedir(d);
        *ret_n = n;
        *ret_last = last;
        return 0;
}

/* Only the last record of all may be cut off, and nothing may follow a file that is not used up but one of zeros. */
static int read_files(struct reader *r, const char *dir, struct why *w) {
        bool ended = false;
        uint64_t n = 0, last = 0;
        int e = count_files(dir, &n, &last);

        if (e < 0)
                return why_errno(w, e, "%s", CLEAN(dir));
        if (n != last)
                found(r->c, CHAIN_RECORD);
        for (uint64_t i = 1; i <= last && !(r->c->findings & (1U << CHAIN_RECORD)); i++) {
                _cleanup_free_ char *bytes = NULL, *path = NULL;
                size_t size = 0, at;
                bool rest;

                if (asprintf(&path, "%s/%08" PRIu64 ".log", dir, i) < 0)
                        return why_errno(w, -ENOMEM, "ledger");
                e = file_read_plain(path, SEGMENT_MAX, &bytes, &size);
                if (e < 0)
                        return why_errno(w, e, "%s", CLEAN(path));
                at = read_records(r, bytes, size, &rest);
                if ((ended && (at > 0 || rest)) || (rest && i + 1 < last))
                        found(r->c, CHAIN_RECORD);
                else if (rest)
                        found(r->c, CHAIN_CUT_OFF);
                ended = ended || at == 0 || rest;
        }
        return 0;
}

static struct note_key host_signer(const struct sshkey *host) {
        struct note_key k = { .type = NOTE_ED25519 };

        note_origin(host->id, k.name);
        memcpy(k.pub, host->pub, sizeof(k.pub));
        return k;
}

/* A head that the host signed. */
static bool read_head(const char *text, size_t n, const struct sshkey *host, struct note *ret,
                      struct checkpoint *ret_head) {
        const struct note_key k = host_signer(host);

        return note_parse(text, n, ret) == 0 && note_check(ret, &k, NULL) == NOTE_SIGNED &&
               checkpoint_parse(ret->text, ret->n_text, ret_head) == 0 && strcmp(ret_head->origin, k.name) == 0;
}

/* A file of the ledger's directory; *ret NULL when there is none. */
static int read_note(const char *dir, const char *name, char **ret, size_t *ret_n, struct why *w) {
        _cleanup_free_ char *path = NULL;
        int r;

        *ret = NULL;
        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return why_errno(w, -ENOMEM, "ledger");
        r = file_read_plain(path, NOTE_MAX, ret, ret_n);
        return r < 0 && r != -ENOENT ? why_errno(w, r, "%s", CLEAN(path)) : 0;
}

static bool is_tree(const struct chain *c, const struct checkpoint *head) {
        uint8_t root[MERKLE_HASH_SIZE];

        if (head->n > c->n)
                return false;
        merkle_root_of(c->leaves, head->n, root);
        return memcmp(root, head->root, sizeof(root)) == 0;
}

static void check_head(struct chain *c, const struct sshkey *host) {
        struct note_key k = host_signer(host);
        struct note note;

        if (!c->note)
                found(c, CHAIN_NO_CHECKPOINT);
        else if (!c->has_head)
                found(c, CHAIN_CHECKPOINT);
        else if (!is_tree(c, &c->head))
                found(c, CHAIN_ROLLED_BACK);
        else if (note_parse(c->note, c->n_note, &note) == 0) {
                strcat(k.name, "/epoch");
                memcpy(k.pub, c->epoch.pub, sizeof(k.pub));
                if (c->epoch.number == 0 || note_check(&note, &k, NULL) != NOTE_SIGNED)
                        found(c, CHAIN_NO_EPOCH);
        }
}

/* What this witness signed, as the file or the proof has it. Takes the text over. */
static void take_witness(struct chain *c, size_t i, const struct note_key *k, const struct sshkey *host, char *text,
                         size_t n) {
        struct chain_witness *is = &c->witnesses[i];
        struct checkpoint head;
        struct note note;

        is->note = text;
        is->n_note = n;
        if (!text || !read_head(text, n, host, &note, &head) || note_check(&note, k, &is->time) != NOTE_SIGNED) {
                found(c, CHAIN_BAD_WITNESS);
                return;
        }
        memcpy(is->name, k->name, sizeof(is->name));
        is->n = head.n;
}

static int read_witnesses(struct chain *c, const char *dir, const struct sshkey *host, const struct note_key *keys,
                          size_t n_keys, struct why *w) {
        for (size_t i = 0; i < MIN(n_keys, CHAIN_WITNESSES_MAX); i++) {
                char name[32], *text;
                size_t n;

                (void) snprintf(name, sizeof(name), "cosigned.%08" PRIx32, note_key_id(&keys[i]));
                int x = read_note(dir, name, &text, &n, w);
                if (x != 0)
                        return x;
                if (text)
                        take_witness(c, i, &keys[i], host, text, n);
        }
        return 0;
}

static void check_witnesses(struct chain *c, const struct sshkey *host) {
        for (size_t i = 0; i < CHAIN_WITNESSES_MAX; i++) {
                struct checkpoint head;
                struct note note;

                if (*c->witnesses[i].name &&
                    (!read_head(c->witnesses[i].note, c->witnesses[i].n_note, host, &note, &head) ||
                     !is_tree(c, &head)))
                        found(c, CHAIN_WITNESS_OTHER);
        }
}

const struct chain_witness *chain_witness_of(const struct chain *c) {
        const struct chain_witness *first = NULL;

        for (size_t i = 0; i < CHAIN_WITNESSES_MAX; i++)
                if (*c->witnesses[i].name && c->witnesses[i].n >= c->found &&
                    (!first || c->witnesses[i].time < first->time))
                        first = &c->witnesses[i];
        return first;
}

/* Of what is in no record. Nothing follows from that where there were more records than these. */
static void judge_absent(struct chain *c, const struct chain_want *want) {
        const bool whole = !(c->findings & (1U << CHAIN_RECORD | 1U << CHAIN_ROLLED_BACK | 1U << CHAIN_WITNESS_OTHER));

        if (c->other)
                found(c, want->no_statement ? CHAIN_STATEMENT_GONE : CHAIN_REPLACED);
        else if (want->hold && !c->ordered && whole)
                found(c, CHAIN_NOT_ORDERED);
        else
                found(c, CHAIN_NOT_RECORDED);
}

static void judge(struct chain *c, size_t n_witnesses, const struct chain_want *want) {
        if (!want)
                return;
        /* what is being written behind it is none of its business */
        if (c->found > 0 && c->found <= c->head.n)
                c->findings &= ~(1U << CHAIN_CUT_OFF);
        if (c->found > 0 && n_witnesses > 0 && !chain_witness_of(c))
                found(c, CHAIN_UNWITNESSED);
}

int chain_read(const char *dir, const char *heads, const struct sshkey *host, const struct note_key *witnesses,
               size_t n_witnesses, const struct chain_want *want, struct chain *ret, struct why *w) {
        struct chain c = { .tombstones = json_object(), .condemned = json_object() };
        struct reader r = { .c = &c, .host = host, .want = want };
        struct note note;

        note_origin(host->id, r.origin);
        memset(r.prev, '0', 64);
        /* The heads before the records: the ledger may grow while it is read, and must not look as if it had shrunk. */
        int x = read_note(dir, "checkpoint", &c.note, &c.n_note, w);
        if (x == 0)
                x = read_witnesses(&c, heads, host, witnesses, n_witnesses, w);
        if (x == 0) {
                c.has_head = c.note && read_head(c.note, c.n_note, host, &note, &c.head);
                x = read_files(&r, dir, w);
        }
        if (x != 0) {
                chain_done(&c);
                return x;
        }
        check_head(&c, host);
        check_witnesses(&c, host);
        if (want && c.found > 0 && c.has_head && c.found > c.head.n)
                found(&c, CHAIN_UNSEALED);
        if (want && c.found == 0)
                judge_absent(&c, want);
        judge(&c, n_witnesses, want);
        *ret = c;
        return 0;
}

/* A proof has one head, and what it proves is that its record is in that. */
static bool check_proof(struct chain *c, const struct tlog_proof *p, const struct chain_want *want) {
        _cleanup_json_ json_t *body = json_loadb((char *) p->extra, p->n_extra, JSON_REJECT_DUPLICATES, NULL);
        uint8_t leaf[MERKLE_HASH_SIZE];

        merkle_leaf(p->extra, p->n_extra, leaf);
        if (!merkle_is_included(leaf, p->index, c->head.n, c->head.root, &p->proof) ||
            member_int(body, "n", 0) != (int64_t) p->index + 1)
                return false;
        look_for(c, body, (char *) p->extra, p->n_extra, p->index + 1, want);
        return true;
}

int chain_read_proof(const char *text, size_t n, const struct sshkey *host, const struct note_key *witnesses,
                     size_t n_witnesses, const struct chain_want *want, struct chain *ret, struct why *w) {
        _cleanup_(tlog_proof_done) struct tlog_proof p = { .extra = NULL };
        struct chain c = { .n = 0 };
        struct note note;
        int r = tlog_proof_parse(text, n, &p);

        if (r == -ENOMEM)
                return why_errno(w, r, "proof");
        c.has_head = r == 0 && read_head(p.note, p.n_note, host, &note, &c.head);
        if (!c.has_head || !check_proof(&c, &p, want))
                found(&c, CHAIN_CHECKPOINT);
        else {
                for (size_t i = 0; i < MIN(n_witnesses, CHAIN_WITNESSES_MAX); i++)
                        if (note_check(&note, &witnesses[i], NULL) != NOTE_UNSIGNED)
                                take_witness(&c, i, &witnesses[i], host, memdup_array(p.note, p.n_note, 1), p.n_note);
                if (want && c.found == 0)
                        found(&c, c.other ? CHAIN_REPLACED : CHAIN_OTHER_PROOF);
                judge(&c, n_witnesses, want);
        }
        *ret = c;
        return 0;
}

int chain_proof(const struct chain *c, char **ret, size_t *ret_n) {
        const struct chain_witness *seen = chain_witness_of(c);
        struct tlog_proof p = { .extra = (uint8_t *) c->body,
                                .n_extra = c->n_body,
                                .index = c->found - 1,
                                .note = c->note,
                                .n_note = c->n_note };
        uint64_t n = c->head.n;

        if (seen) {
                p.note = seen->note;
                p.n_note = seen->n_note;
                n = seen->n;
        }
        if (c->found == 0 || n < c->found || n > c->n)
                return -ENOENT;
        return merkle_prove_inclusion(c->leaves, n, p.index, &p.proof) < 0 ? -ENOENT
                                                                           : tlog_proof_to_str(&p, ret, ret_n);
}

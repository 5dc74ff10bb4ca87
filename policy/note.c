/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/note.h"

#include <inttypes.h>

#include <sodium.h>

#include "policy/base64.h"

#define DASH     "\xe2\x80\x94 "
#define N_DASH   (sizeof(DASH) - 1)
#define VARIANT  sodium_base64_VARIANT_ORIGINAL
#define KEY_SIZE (1U + 32U)
#define ID_SIZE  4U
#define SIG_SIZE crypto_sign_BYTES

void note_origin(const uint8_t host_id[static 32], char ret[static NOTE_ORIGIN_SIZE]) {
        char hex[65];

        (void) snprintf(ret, NOTE_ORIGIN_SIZE, "freezed/%s", sodium_bin2hex(hex, sizeof(hex), host_id, 32));
}

bool note_name_ok(const char *name) {
        const size_t n = strlen(name);

        for (size_t i = 0; i < n; i++)
                if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
                        return false;
        return n > 0 && n <= NOTE_NAME_MAX;
}

uint32_t note_key_id(const struct note_key *k) {
        const uint8_t between[] = { '\n', (uint8_t) k->type };
        crypto_hash_sha256_state s;
        uint8_t h[crypto_hash_sha256_BYTES];

        (void) crypto_hash_sha256_init(&s);
        (void) crypto_hash_sha256_update(&s, (const uint8_t *) k->name, strlen(k->name));
        (void) crypto_hash_sha256_update(&s, between, sizeof(between));
        (void) crypto_hash_sha256_update(&s, k->pub, sizeof(k->pub));
        (void) crypto_hash_sha256_final(&s, h);
        return (uint32_t) h[0] << 24 | (uint32_t) h[1] << 16 | (uint32_t) h[2] << 8 | h[3];
}

void note_key_to_str(const struct note_key *k, char ret[static NOTE_KEY_SIZE]) {
        uint8_t bytes[KEY_SIZE] = { (uint8_t) k->type };
        char base64[45];

        memcpy(bytes + 1, k->pub, sizeof(k->pub));
        (void) sodium_bin2base64(base64, sizeof(base64), bytes, sizeof(bytes), VARIANT);
        (void) snprintf(ret, NOTE_KEY_SIZE, "%s+%08" PRIx32 "+%s", k->name, note_key_id(k), base64);
}

int note_key_from_str(const char *s, struct note_key *ret) {
        const char *end = strchr(s, '+'), *last;
        char back[NOTE_KEY_SIZE];
        struct note_key k = { .name = "" };
        uint8_t bytes[KEY_SIZE];
        size_t n = 0;

        if (!end || (size_t) (end - s) > NOTE_NAME_MAX || strlen(s) >= NOTE_KEY_SIZE)
                return -EINVAL;
        memcpy(k.name, s, (size_t) (end - s));
        if (!note_name_ok(k.name) || strlen(end) < 1 + 8 + 1)
                return -EINVAL;
        /* a plus is a digit of base64 too, so the third part is found by where it has to begin */
        last = end + 1 + 8;
        if (*last != '+' || base64_decode(last + 1, strlen(last + 1), VARIANT, bytes, sizeof(bytes), &n) < 0 ||
            n != sizeof(bytes))
                return -EINVAL;
        if (bytes[0] != NOTE_ED25519 && bytes[0] != NOTE_COSIGNATURE)
                return -EINVAL;
        k.type = bytes[0];
        memcpy(k.pub, bytes + 1, sizeof(k.pub));
        /* the id is what follows from the rest, and there is one way to write it */
        note_key_to_str(&k, back);
        if (strcmp(back, s) != 0)
                return -EINVAL;
        *ret = k;
        return 0;
}

/* What notes may be made of: nothing that a terminal acts on, but newlines. */
static bool is_plain(const char *bytes, size_t n) {
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) bytes[i] < ' ' && bytes[i] != '\n')
                        return false;
        return true;
}

/* One line without its newline. */
static int parse_sig(const char *line, size_t n, struct note_sig *ret) {
        const char *name = line + N_DASH, *space;

        if (n <= N_DASH || memcmp(line, DASH, N_DASH) != 0)
                return -EBADMSG;
        space = memchr(name, ' ', n - N_DASH);
        if (!space || space == name || space + 1 == line + n || memchr(space + 1, ' ', (size_t) (line + n - space - 1)))
                return -EBADMSG;
        *ret = (struct note_sig) { .name = name,
                                   .n_name = (size_t) (space - name),
                                   .base64 = space + 1,
                                   .n_base64 = (size_t) (line + n - space - 1) };
        return 0;
}

/* Where the text ends: the last empty line is what separates it from the signatures. */
static const char *find_end(const char *bytes, size_t n) {
        for (size_t i = n; i >= 2; i--)
                if (bytes[i - 1] == '\n' && bytes[i - 2] == '\n')
                        return bytes + i;
        return NULL;
}

int note_parse(const char *bytes, size_t n, struct note *ret) {
        const char *at, *const end = bytes + n;
        struct note note = { .text = bytes };

        if (n > NOTE_MAX || n < 3 || end[-1] != '\n' || !is_plain(bytes, n))
                return -EBADMSG;
        at = find_end(bytes, n);
        if (!at || at - bytes < 3 || at == end)
                return -EBADMSG;
        note.n_text = (size_t) (at - bytes) - 1;
        while (at < end) {
                const char *newline = memchr(at, '\n', (size_t) (end - at));

                if (note.n_sigs == NOTE_SIGS_MAX || parse_sig(at, (size_t) (newline - at), &note.sigs[note.n_sigs]) < 0)
                        return -EBADMSG;
                note.n_sigs++;
                at = newline + 1;
        }
        *ret = note;
        return 0;
}

static size_t n_stamp(const struct note_key *k) {
        return k->type == NOTE_COSIGNATURE ? 8 : 0;
}

static uint64_t get_u64(const uint8_t *p) {
        uint64_t v = 0;

        for (size_t i = 0; i < 8; i++)
                v = v << 8 | p[i];
        return v;
}

static size_t make_message(const struct note_key *k, uint64_t time, const char *text, size_t n, char *ret) {
        int head = 0;

        if (k->type == NOTE_COSIGNATURE)
                head = sprintf(ret, "cosignature/v1\ntime %" PRIu64 "\n", time);
        memcpy(ret + head, text, n);
        return (size_t) head + n;
}

size_t note_message(const struct note_key *k, uint64_t time, const char *text, char ret[static NOTE_MESSAGE_SIZE]) {
        return make_message(k, time, text, strnlen(text, NOTE_TEXT_SIZE), ret);
}

#define SIG_MAX (ID_SIZE + 8 + SIG_SIZE)

/* Whether the line names this key: by name and id, which are no more than that. */
static bool is_by(const struct note_sig *s, const struct note_key *k, uint8_t bytes[static SIG_MAX], size_t *ret_n) {
        const uint32_t id = note_key_id(k);

        if (s->n_name != strlen(k->name) || memcmp(s->name, k->name, s->n_name) != 0)
                return false;
        return base64_decode(s->base64, s->n_base64, VARIANT, bytes, SIG_MAX, ret_n) == 0 && *ret_n >= ID_SIZE &&
               ((uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3]) == id;
}

enum note_found note_check(const struct note *n, const struct note_key *k, uint64_t *ret_time) {
        _cleanup_free_ char *message = malloc(n->n_text + NOTE_MESSAGE_SIZE);
        enum note_found found = NOTE_UNSIGNED;
        uint64_t latest = 0;

        if (!message)
                return NOTE_FALSE;
        for (size_t i = 0; i < n->n_sigs; i++) {
                uint8_t bytes[SIG_MAX] = { 0 };
                size_t n_message, n_bytes = 0;
                uint64_t time;

                if (!is_by(&n->sigs[i], k, bytes, &n_bytes))
                        continue;
                if (n_bytes != ID_SIZE + n_stamp(k) + SIG_SIZE)
                        return NOTE_FALSE;
                time = k->type == NOTE_COSIGNATURE ? get_u64(bytes + ID_SIZE) : 0;
                n_message = make_message(k, time, n->text, n->n_text, message);
                if (time > INT64_MAX || crypto_sign_verify_detached(bytes + ID_SIZE + n_stamp(k), (uint8_t *) message,
                                                                    n_message, k->pub) != 0)
                        return NOTE_FALSE;
                found = NOTE_SIGNED;
                latest = MAX(latest, time);
        }
        if (found == NOTE_SIGNED && ret_time)
                *ret_time = latest;
        return found;
}

void note_line(const struct note_key *k, uint64_t time, const uint8_t sig[static 64], char ret[static NOTE_LINE_SIZE]) {
        const uint32_t id = note_key_id(k);
        uint8_t bytes[SIG_MAX];
        char base64[4 * ((sizeof(bytes) + 2) / 3) + 1];

        for (size_t i = 0; i < ID_SIZE; i++)
                bytes[i] = (uint8_t) (id >> (24 - 8 * i));
        for (size_t i = 0; i < n_stamp(k); i++)
                bytes[ID_SIZE + i] = (uint8_t) (time >> (56 - 8 * i));
        memcpy(bytes + ID_SIZE + n_stamp(k), sig, SIG_SIZE);
        (void) sodium_bin2base64(base64, sizeof(base64), bytes, ID_SIZE + n_stamp(k) + SIG_SIZE, VARIANT);
        (void) snprintf(ret, NOTE_LINE_SIZE, DASH "%s %s\n", k->name, base64);
}

void checkpoint_to_text(const struct checkpoint *c, char ret[static NOTE_TEXT_SIZE]) {
        char root[48];

        (void) sodium_bin2base64(root, sizeof(root), c->root, sizeof(c->root), VARIANT);
        (void) snprintf(ret, NOTE_TEXT_SIZE, "%s\n%" PRIu64 "\n%s\n", c->origin, c->n, root);
}

int checkpoint_parse(const char *text, size_t n, struct checkpoint *ret) {
        const char *first = memchr(text, '\n', n), *second, *third;
        char back[NOTE_TEXT_SIZE];
        struct checkpoint c = { .origin = "" };
        size_t n_root = 0;

        if (n >= NOTE_TEXT_SIZE || !first || (size_t) (first - text) > NOTE_NAME_MAX)
                return -EBADMSG;
        second = memchr(first + 1, '\n', n - (size_t) (first + 1 - text));
        third = second ? memchr(second + 1, '\n', n - (size_t) (second + 1 - text)) : NULL;
        if (!third || third + 1 != text + n || first[1] < '0' || first[1] > '9')
                return -EBADMSG;
        memcpy(c.origin, text, (size_t) (first - text));
        c.n = strtoull(first + 1, NULL, 10);
        if (!note_name_ok(c.origin) ||
            base64_decode(second + 1, (size_t) (third - second - 1), VARIANT, c.root, sizeof(c.root), &n_root) < 0 ||
            n_root != sizeof(c.root))
                return -EBADMSG;
        /* What is taken has one spelling: no sign, blank or zero before the size, and none that does not fit. */
        checkpoint_to_text(&c, back);
        if (strlen(back) != n || memcmp(back, text, n) != 0)
                return -EBADMSG;
        *ret = c;
        return 0;
}

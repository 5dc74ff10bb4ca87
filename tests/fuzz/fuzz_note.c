/* SPDX-License-Identifier: Apache-2.0 */

/* Notes, checkpoints and keys as text. What is taken has one spelling, what was parsed stays inside the bytes, and no
 * note is signed by a key that signed nothing. The first byte chooses which. */

#include <string.h>

#include "policy/note.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* RFC 8032, section 7.1, TEST 1: nobody signed the corpus with it. */
static const struct note_key nobody = {
        .name = "witness.example",
        .type = NOTE_COSIGNATURE,
        .pub = { 0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
                 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a },
};

static void try_checkpoint(const char *bytes, size_t n) {
        char text[NOTE_TEXT_SIZE];
        struct checkpoint c;

        if (checkpoint_parse(bytes, n, &c) < 0)
                return;
        checkpoint_to_text(&c, text);
        CHECK(strlen(text) == n && memcmp(text, bytes, n) == 0 && note_name_ok(c.origin));
}

static void try_note(const char *bytes, size_t n) {
        struct note_key log = nobody;
        struct note note;

        if (note_parse(bytes, n, &note) < 0)
                return;
        CHECK(note.text == bytes && note.n_text < n && note.text[note.n_text - 1] == '\n' && note.n_sigs > 0);
        for (size_t i = 0; i < note.n_sigs; i++)
                CHECK(note.sigs[i].name > bytes && note.sigs[i].base64 + note.sigs[i].n_base64 < bytes + n);
        log.type = NOTE_ED25519;
        CHECK(note_check(&note, &nobody, NULL) != NOTE_SIGNED && note_check(&note, &log, NULL) != NOTE_SIGNED);
        try_checkpoint(note.text, note.n_text);
}

static void try_key(const char *bytes, size_t n) {
        _cleanup_free_ char *s = calloc(1, n + 1);
        char back[NOTE_KEY_SIZE];
        struct note_key k;

        CHECK(s);
        memcpy(s, bytes, n);
        if (note_key_from_str(s, &k) < 0)
                return;
        note_key_to_str(&k, back);
        CHECK(strcmp(back, s) == 0 && note_name_ok(k.name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const tries[])(const char *, size_t) = { try_note, try_checkpoint, try_key };

        if (size > 0)
                tries[data[0] % ELEMENTSOF(tries)]((const char *) data + 1, size - 1);
        return 0;
}

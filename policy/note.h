/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signed notes, the keys that sign them, and the one kind of text that is signed so here: the checkpoint of a log.
 * Formats of C2SP: signed-note, tlog-checkpoint, tlog-cosignature (Ed25519). Pure.
 *
 *   freezed/5d41...92                                        origin: which log
 *   412                                                      tree size: how many records
 *   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=             root of their Merkle tree
 *
 *   - freezed/5d41...92 Az3grlgtzPICa5OS...                  one line for each signature; the dash is U+2014
 *
 * A signature counts only for a key that one already has. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/merkle.h"

#define NOTE_MAX      (64U * 1024)
#define NOTE_SIGS_MAX 32U
#define NOTE_NAME_MAX 127U
/* the name, '+', 8 digits, '+', 33 bytes in base64, NUL */
#define NOTE_KEY_SIZE (NOTE_NAME_MAX + 1 + 8 + 1 + 44 + 1)
/* the dash, the name, 4 + 8 + 64 bytes in base64, newline, NUL */
#define NOTE_LINE_SIZE (4 + NOTE_NAME_MAX + 1 + 104 + 1 + 1)
/* origin, 20 digits, 32 bytes in base64, newlines, NUL */
#define NOTE_TEXT_SIZE (NOTE_NAME_MAX + 1 + 20 + 1 + 44 + 1 + 1)
/* what stands before the text in what a witness signs, and the text */
#define NOTE_MESSAGE_SIZE (15 + 5 + 20 + 1 + NOTE_TEXT_SIZE)

enum note_type {
        NOTE_ED25519 = 0x01,     /* of the text as it is: a log's */
        NOTE_COSIGNATURE = 0x04, /* of the text at a time: a witness's */
};

struct note_key {
        char name[NOTE_NAME_MAX + 1];
        enum note_type type;
        uint8_t pub[32];
};

/* A host's ledger: "freezed/" and the fingerprint of its key in hex. Not the fleet too: a ledger begins before its host
 * is in one, and a log that changes its name is two logs to a witness. */
#define NOTE_ORIGIN_SIZE (8 + 64 + 1)
void note_origin(const uint8_t host_id[static 32], char ret[static NOTE_ORIGIN_SIZE]);

/* True for what may name a key or a log here: 1 to NOTE_NAME_MAX printable ASCII characters, no space and no plus. */
bool note_name_ok(const char *name);
/* "NAME+ID+BASE64", as others configure a key too. -EINVAL for anything else, or a type that is not above; *ret
 * untouched. */
int note_key_from_str(const char *s, struct note_key *ret) _warn_unused_;
void note_key_to_str(const struct note_key *k, char ret[static NOTE_KEY_SIZE]);
/* What a signature line carries of it. */
uint32_t note_key_id(const struct note_key *k);

struct note_sig {
        const char *name, *base64;
        size_t n_name, n_base64;
};

/* Borrows the bytes it was made from. */
struct note {
        const char *text; /* what is signed, with its last newline */
        size_t n_text;
        struct note_sig sigs[NOTE_SIGS_MAX];
        size_t n_sigs;
};

/* -EBADMSG unless it is a note of at most NOTE_MAX bytes and NOTE_SIGS_MAX signatures; *ret untouched. What signatures
 * say is not looked at. */
int note_parse(const char *bytes, size_t n, struct note *ret) _warn_unused_;

enum note_found {
        NOTE_UNSIGNED, /* no line is by that key */
        NOTE_SIGNED,
        NOTE_FALSE, /* a line claims to be by it and is not: the whole note is to be refused */
};

/* *ret_time, when not NULL: seconds since 1970 of a NOTE_COSIGNATURE, 0 of others; only with NOTE_SIGNED. The latest
 * where there are several. */
enum note_found note_check(const struct note *n, const struct note_key *k, uint64_t *ret_time);

/* For who signs: the exact bytes, and the line that says so. The text is that of a checkpoint; time is 0 for
 * NOTE_ED25519. */
size_t note_message(const struct note_key *k, uint64_t time, const char *text, char ret[static NOTE_MESSAGE_SIZE]);
void note_line(const struct note_key *k, uint64_t time, const uint8_t sig[static 64], char ret[static NOTE_LINE_SIZE]);

struct checkpoint {
        char origin[NOTE_NAME_MAX + 1];
        uint64_t n;
        uint8_t root[MERKLE_HASH_SIZE];
};

/* From a note's text. -EBADMSG for anything but the three lines: no extension is known, and one that is not understood
 * is not vouched for. */
int checkpoint_parse(const char *text, size_t n, struct checkpoint *ret) _warn_unused_;
/* The origin is a note_name_ok(). */
void checkpoint_to_text(const struct checkpoint *c, char ret[static NOTE_TEXT_SIZE]);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lines of the sealed index: what was preserved, and what was not (the hole ledger). Sources and process names are
 * written by the attacker, so a line is plain ASCII whatever they hold: text is escaped, and bytes that are not UTF-8
 * go base64 into a member of the same name with "_b64" after it. Pure: no I/O, no clock. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* Where something comes from. kind is ours (it becomes part of a file name), source is not. */
struct index_item {
        const char *kind;
        const char *source;
        pid_t pid;       /* 0: belongs to no process */
        bool not_frozen; /* the process was free to change it */
        bool own_timer;  /* the process has a timer that would end it */
};

struct index_object {
        const char *file;   /* "data/000001-pack.tar.zst.age" */
        const char *member; /* of the archive in it; NULL: the object is all that is in the file */
        uint64_t bytes;
        uint8_t sha256[32];
        int64_t started_ms, ended_ms; /* wall clock */
        const struct statx *stat; /* of the file that it is a copy of; NULL: none, or one that the kernel makes up */
};

struct index_hole {
        const char *file, *member; /* of the object that was cut short; NULL when nothing was kept */
        int err;                   /* errno, positive; 0: read whole, but it changed meanwhile */
        int64_t expected;          /* bytes; negative: not known */
        uint64_t got;
        bool changed; /* size, times or inode differed before and after */
};

/* The set of kinds' characters: 1 to INDEX_KIND_MAX of a-z, 0-9 and dash. */
#define INDEX_KIND_MAX 24U
bool index_kind_ok(const char *kind);

/* Of the source in the line of a hole: nothing of such an object is kept, so that nothing else bounds how many there
 * are. A longer one is cut, and the line has "source_cut". */
#define INDEX_HOLE_SOURCE_MAX 1024U

/* Each gives one line with its newline, malloc'ed and NUL-terminated, or -ENOMEM. */
int index_object_line(const struct index_item *i, const struct index_object *o, char **ret) _warn_unused_;
int index_hole_line(const struct index_item *i, const struct index_hole *h, char **ret) _warn_unused_;
/* Any object as one such line; the reference stays the caller's. */
int index_json_line(const json_t *object, char **ret) _warn_unused_;

/* Sets key to the bytes as text, or key_b64 where they are not UTF-8 or hold a NUL. -ENOMEM. */
int index_set_bytes(json_t *object, const char *key, const void *bytes, size_t n) _warn_unused_;

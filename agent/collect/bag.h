/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The files of the folder while it is being filled; with what the core adds to them it is a BagIt bag (RFC 8493):
 *
 *   data/NNNNNN-KIND.zst.age   sealed (sealer.h); the name holds nothing that an attacker wrote
 *   public.jsonl               a line for each of them once it has its name: what can be known without the key
 *   manifest-sha256.txt        for `sha256sum -c`; it exists only when everything else is complete and durable
 *
 *   {"file":"data/000004-core.zst.age","kind":"core","bytes":81234,"sha256":"...","started_ms":...,"ended_ms":...}
 *   and "cut":true where the object in it is not whole. bytes and sha256 are of the file as it is stored. */

#include <stdbool.h>
#include <stdint.h>

#include "agent/collect/sealer.h"

struct bag;

#define BAG_NAME_MAX 60U
#define BAG_SUFFIX   ".zst.age"

struct bag_file {
        unsigned number; /* from bag_number */
        const char *kind;
        const char *inner; /* what it is once it is open, as a suffix: "", ".tar", ".jsonl" */
        int64_t started_ms;
        bool cut;      /* what was read is not all that there was */
        uint64_t need; /* with fewer plain bytes it is of no use */
};

/* folder is borrowed. It has to be empty: -EEXIST otherwise. -errno. */
int bag_open(int folder, const struct age_recipient *to, size_t n_to, struct bag **ret) _warn_unused_;
void bag_free(struct bag *b);
void bag_freep(struct bag **b);

/* Borrowed: for beginning a file and writing to it. */
struct sealer *bag_sealer(struct bag *b);
/* The next number. One whose file came to nothing stays unused. */
unsigned bag_number(struct bag *b);
void bag_name(const struct bag_file *f, char ret[static BAG_NAME_MAX]);
/* Ends the sealer's file, gives it its name and lists it. -errno: it is not there; -ENODATA when it has not what it
 * needs and the disk gave no reason. One that is there is in the manifest, whatever became of its line. */
int bag_add(struct bag *b, const struct bag_file *f, struct sealed *ret) _warn_unused_;
/* -errno once a line could not be written: then there is no other file. */
int bag_broken(const struct bag *b);
/* Frees disk space that was taken at first: for what must be written though the disk is full. Once. */
void bag_use_reserve(struct bag *b);
/* Makes everything durable, the manifest last, whose digest *ret is. *ret_unsynced: the disk reported an error. -errno:
 * there is no manifest. */
int bag_finish(struct bag *b, bool *ret_unsynced, uint8_t ret[static 32]) _warn_unused_;

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The hosts whose answers are believed: lines "NAME ssh-ed25519 BASE64 [comment]", blank lines and # comments, in the
 * operator's file and the machine's. An answer signed by any other key is no answer. */

#include <stddef.h>

#include "ctl/option.h"
#include "ctl/why.h"
#include "policy/sshkey.h"

#define HOSTS_FILE_MAX (2U * 1024 * 1024)
#define HOSTS_MAX      4096U
#define HOSTS_NAME_MAX 63U

struct host {
        char name[HOSTS_NAME_MAX + 1]; /* letters, digits, dot, dash, underscore */
        struct sshkey key;
};

struct hosts {
        struct host *v; /* owned; no key twice */
        size_t n;
};

#define HOSTS_NULL ((struct hosts) { 0 })

/* Reads --hosts-file, or the operator's and then the machine's file; a file that is not there has no hosts in it. A bad
 * line, a name with two keys or a file that everybody may write is an error with its place: guessing here would be
 * trusting. Returns 0 or an exit code. */
int hosts_load(const struct options *o, struct hosts *ret, struct why *w) _warn_unused_;
/* The parser of one file's text; file is for messages. Appends to *ret. Returns 0 or an exit code. */
int hosts_parse(const char *file, const char *text, struct hosts *ret, struct why *w) _warn_unused_;
void hosts_done(struct hosts *h);

/* Borrowed; NULL when not known. */
const struct host *hosts_by_id(const struct hosts *h, const uint8_t id[static 32]);
const struct host *hosts_by_name(const struct hosts *h, const char *name);

/* --to, resolved. For `local` with several known hosts *ret is NULL: which one this is has to be asked. Returns 0 or an
 * exit code. */
int hosts_resolve(const struct hosts *h, const char *to, const struct host **ret, struct why *w) _warn_unused_;

/* Adds a line to the file, made with its directories when missing. A name or key that is there already in exactly this
 * pairing is left alone; the name with another key, or the key under another name, is refused. */
int hosts_add(const char *file, const char *name, const struct sshkey *key, struct why *w) _warn_unused_;
/* The machine's file below the configuration directory. */
#define HOSTS_FILE_NAME "hosts"

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A process that reads what the kernel tells root only, for the collector that is in its sandbox by then. It is forked
 * before the sandbox is entered, goes into the network namespace that it is for, keeps the capability that takes, and
 * writes what it reads into a pipe. The collector takes it as untrusted bytes: a reader that lies, dies or hangs makes
 * holes and nothing else.
 *
 * Who can make a table that breaks a reader of a network namespace had to be administrator of that namespace, and that
 * is all that the reader is: no file to write, no other address family, no other namespace, no new process. */

#include <stdbool.h>

#include "agent/collect/store.h"

/* What one reader may send, and one of its objects. */
#define READER_BYTES_MAX  (128ULL * 1024 * 1024)
#define READER_OBJECT_MAX (64ULL * 1024 * 1024)
/* It is given up when it says nothing for so long. They all began at once: when one hangs the others have had the same
 * time, and what makes them hang is most often the same lock. */
#define READER_SILENCE_MS 5000
#define READER_LATE_MS    200
#define READER_SOURCE_MAX 160U

/* The reader's end. All return 0 or -errno; after an error nothing more gets through. */
struct reader_out {
        int fd;
        bool begun;
        uint64_t n; /* bytes of the object */
};

/* One object at a time. kind as index_kind_ok() wants it, source up to READER_SOURCE_MAX. */
int reader_begin(struct reader_out *o, const char *kind, const char *source) _warn_unused_;
/* -EFBIG: the object is as long as it may be; end it with that. */
int reader_write(struct reader_out *o, const void *bytes, size_t n) _warn_unused_;
/* A JSON object as one line; the reference stays the caller's. */
int reader_line(struct reader_out *o, const json_t *object) _warn_unused_;
/* As store_end() has it. */
int reader_end(struct reader_out *o, int err, int64_t expected, bool changed) _warn_unused_;

typedef void (*reader_fn)(struct reader_out *o, const void *userdata);

struct reader_job {
        const unsigned *capabilities; /* that it keeps */
        size_t n_capabilities;
        int netns;    /* it runs in; negative: the collector's own */
        reader_fn fn; /* runs in the reader */
        const void *userdata;
        const int *keep; /* further descriptors that fn uses */
        size_t n_keep;
};

struct reader {
        pid_t pid;
        int fd; /* what it sends */
};

#define READER_NULL \
        { .fd = -EBADF }

/* Forks: not with threads. -errno. */
int reader_start(const struct reader_job *job, struct reader *ret) _warn_unused_;
/* Keeps what it sends until it is done, or says nothing for so long. item names the whole of it, for the case that the
 * reader does not end well. How it ended: 0 or -errno, of which the store knows. */
int reader_collect(struct reader *r, struct store *s, const struct index_item *item, int silence_ms);
/* One that still runs gets no answer any more, and dies with the collector at the latest. */
void reader_done(struct reader *r);

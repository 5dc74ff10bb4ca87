/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Evidence of one hold: makes its folder, runs the collector on it, and seals what the collector leaves.
 *
 *   STATE/evidence/INCIDENT/HOLD/              INCIDENT is the hold's id where the command names none; 0700
 *     data/..., public.jsonl, manifest-sha256.txt   the collector's (agent/collect/bag.h)
 *     bagit.txt, bag-info.txt                  with the above a BagIt bag (RFC 8493)
 *     order.dsse.json                          the order for it, as it was signed
 *     tagmanifest-sha256.txt                   digests of the four others in this directory
 *     tagmanifest-sha256.txt.sig               64 bytes: the host's Ed25519 signature over that
 *     host_key.pem                             the key for it:
 *         openssl pkeyutl -verify -pubin -inkey host_key.pem -rawin
 *                 -in tagmanifest-sha256.txt -sigfile tagmanifest-sha256.txt.sig
 *     evidence.dsse.json                       in-toto Statement v1 about the tag manifest: for which order, when, how
 *                                              complete
 *
 * The collector is not believed. The core takes one fixed struct from it, hashes the manifest itself, and signs only
 * when both agree. A collector that dies or is killed leaves whole files, each listed in public.jsonl, and no manifest;
 * the state says that it is cut short then. A folder without evidence.dsse.json is one that the core
 * did not live to seal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "agent/core/hostkey.h"
#include "agent/core/preserved.h"
#include "policy/age.h"
#include "policy/command.h"

struct preserve_target {
        const char *cgroup; /* absolute path in cgroupfs */
        const char *unit;   /* NULL: a plain cgroup */
};

/* All strings are borrowed for the call of preserve_start only; the key for as long as the snapshot runs. */
struct preserve_job {
        const char *collector; /* path of freezed-collect */
        const char *state;     /* directory with host_key.pem; evidence/ is made in it */
        const struct hostkey *key;
        struct command_id hold;
        uint8_t digest[32]; /* of the signed command */
        const char *order;  /* its envelope; NULL: not known any more */
        const struct age_recipient *recipients;
        size_t n_recipients;  /* 1 to AGE_RECIPIENTS_MAX */
        const char *incident; /* NULL or empty: none */
        const struct preserve_target *targets;
        size_t n_targets; /* 1 to COLLECT_TARGETS_MAX */
        enum profile profile;
        const char *const *logs;    /* paths as the host's policy lists them */
        size_t n_logs;              /* at most COLLECT_LOGS_MAX */
        int64_t since_ms, until_ms; /* of the journal, wall clock */
        int64_t deadline_ms;        /* from now; SIGKILL then */
        uint64_t max_bytes;
        /* Called with the userdata before the folder is signed, which takes some of the disk; NULL: nobody is. */
        void (*before_seal)(void *userdata);
        struct seal_position position;
};

/* Called once, from the event loop. It may free the snapshot. */
typedef void (*preserve_fn)(const struct preserved *p, void *userdata);

struct preserve;

/* SIGCHLD has to be blocked, as sd_event_add_child(3) asks. Blocks for the making of at most three directories. -errno,
 * and the callback is not called; -EEXIST when the folder has been there too often, -EINVAL for a job out of its
 * ranges. */
int preserve_start(sd_event *event, const struct preserve_job *job, preserve_fn done, void *userdata,
                   struct preserve **ret) _warn_unused_;
/* Kills the collector if it still runs; what is there stays, unsealed. Accepts NULL. */
void preserve_free(struct preserve *p);
void preserve_freep(struct preserve **p);

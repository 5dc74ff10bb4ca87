/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A cgroup with real processes, a host key and an event loop, to run snapshots of it with the collector that was built
 * beside the test (FREEZED_B, the build directory, names another). Needs root and a unified hierarchy; without them
 * each case is skipped. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/preserve.h"
#include "agent/util/collect_abi.h"
#include "agent/util/fault.h"
#include "lib/scratch.h"

#define RIG_PROCESSES_MAX 128U

/* struct preserved that outlives the callback. */
struct rig_done {
        enum preserve_state state;
        char folder[512];
        char opened[96]; /* after rig_open */
        bool counted, has_manifest;
        uint64_t objects, holes, bytes;
        uint32_t flags;
        uint8_t manifest_sha256[32];
        int64_t took_us;
        int err;
};

struct rig {
        struct scratch dir, opened;
        unsigned n_opened;
        bool own_disk;
        char cgroup[256];
        char collector[512];
        pid_t pids[RIG_PROCESSES_MAX];
        size_t n_pids;
        sd_event *event;
        struct hostkey *key;
        struct preserve_target target;
        struct age_recipient to;
        struct preserve_job job; /* may be changed before rig_start */
        struct preserve *preserve;
        struct rig_done done;
        bool is_done;
};

int rig_set_up(void **state);
int rig_tear_down(void **state);

/* A process in the cgroup that runs body, when there is one, and then sleeps; returns when it does. */
pid_t rig_spawn(struct rig *r, void (*body)(void *userdata), void *userdata);
/* A process in the cgroup that executes a program with the argument 1000. */
pid_t rig_exec(struct rig *r, const char *program);
void rig_freeze(struct rig *r, bool freeze);
/* The state directory becomes a tmpfs with these options, in a mount namespace of the test's. */
void rig_own_disk(struct rig *r, const char *options);
/* A shell script stands in for the collector. */
void rig_script(struct rig *r, const char *body);

void rig_start(struct rig *r);
struct rig_done rig_wait(struct rig *r);
/* Both. */
struct rig_done rig_preserve(struct rig *r);
/* Opens what is sealed in the folder with stock tools: the objects in data/, each part of the index in index.jsonl. */
void rig_open(struct rig *r, struct rig_done *d);
/* The collector's pid while it runs. */
pid_t rig_collector(const struct rig *r);
/* Stops it as soon as it has listed files in so many bytes, and fails the test when it was done by then. Returns its
 * pid. */
pid_t rig_stop_collector(const struct rig *r, off_t public_bytes);
void rig_on_done(const struct preserved *p, void *userdata);

/* True when the command, run in dir, says so. */
bool rig_shell(const char *dir, const char *command);
/* The statement of a folder, after its signature was verified with the host's key. */
json_t *rig_statement(const struct rig *r, const struct rig_done *d);
/* object.a or object.a.b as text; it must be there. */
const char *rig_text(const json_t *object, const char *a, const char *b);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Everything the core owns, in one place: no other state is carried from one command to the next. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "agent/core/floor.h"
#include "agent/core/guard.h"
#include "agent/core/heard.h"
#include "agent/core/hostkey.h"
#include "agent/core/isolate.h"
#include "agent/core/ledger.h"
#include "agent/core/probe.h"
#include "agent/core/resolve.h"
#include "agent/core/site.h"
#include "agent/core/systemd.h"
#include "agent/core/tried.h"
#include "agent/core/turn.h"
#include "policy/hold.h"
#include "policy/local.h"
#include "policy/shelf.h"
#include "policy/trust.h"

struct attempts;
struct fence;
struct retain;
struct snapshot;
struct hosthold;
struct cgroup_events;
struct epochkey;
struct watch;

struct config {
        const char *trust, *policy; /* files */
        const char *state;          /* directory: host_key, ledger/, evidence/ */
        const char *pins;           /* directory on a bpffs */
        const char *socket;         /* where the gate connects, when it is not passed by the service manager */
        const char *collector;      /* program */
};

struct counters {
        uint64_t commands, refusals, for_others, duplicates, holds, releases, lapses, reinforced, malformed;
};

/* What was refused lately, so that the ledger does not fill with repetitions. */
#define REFUSALS_REMEMBERED 64U

struct refusals {
        struct {
                uint8_t digest[32];
                enum reason reason;
        } last[REFUSALS_REMEMBERED];
        size_t next;
        int64_t minute, day;
        unsigned used; /* in that minute */
        /* In that day, by who signed; the last: what is no command, or nobody's. */
        unsigned of[TRUST_PEOPLE_MAX + 1];
};

/* Numbers of records, ascending. */
struct record_list {
        uint64_t *n;
        size_t count;
};

struct agent {
        struct config config;
        struct turn turn;
        bool aside; /* a core that cannot end has the ledger: this one touches nothing that may be on its disk */
        sd_event *event;
        struct hostkey *key;
        struct ledger *ledger; /* NULL when it could not even be opened */
        struct epochkey *epoch;
        uint64_t checkpoint_n; /* records when a checkpoint was last written, or tried to */
        struct hold_set *holds;
        struct held_list held;
        struct shelf shelf;
        struct tried_list tried;
        struct trust *trust;           /* NULL: none that could be accepted */
        uint8_t trust_digest[32];      /* of its file */
        uint8_t trust_payload[32];     /* of its payload */
        bool trust_taken;              /* it came as an order */
        struct attributes *attributes; /* NULL: none in force */
        uint8_t attributes_digest[32]; /* of their payload, or of those that were in force last */
        uint64_t attributes_record;    /* number of the last one of them; 0: there is none */
        int64_t attributes_due_ms;     /* CLOCK_BOOTTIME by which as many as were taken are due (certified.c) */
        bool doubted;                  /* the disk took the record of one order and would not give it back */
        uint8_t doubted_digest[32];    /* of its payload */
        json_t *late;                  /* records of what was done while the ledger had no room (record.h) */
        struct record_list trusted;    /* of trust roots that came as orders */
        struct heard heard;
        struct local local;
        const char *policy_state; /* "file", "default"; "broken": what was in force before still is */
        char *cgroup_root;        /* NULL: no unified hierarchy */
        struct isolate *isolate;
        struct attempts *attempts; /* NULL: the kernel tells of none */
        struct guard *guard;
        struct hosthold *hosthold;
        struct probe *probe;
        struct systemd *systemd;
        struct fence *fence;
        struct snapshot *snapshots; /* being taken */
        struct retain *retain;
        struct watch *watch;
        struct cgroup_events *events; /* NULL: the kernel does not tell of any */
        sd_event_source *lapse_timer, *idle, *rest, *latecomers, *heartbeat, *late_timer, *back;
        int64_t manager_us; /* CLOCK_MONOTONIC before which a look for latecomers does not wait for PID 1 again, which
                               was silent in one */
        int64_t undo_retry_ms;  /* CLOCK_BOOTTIME at which what a release could not undo is tried again; 0: there is
                                   nothing */
        int64_t lapse_retry_ms; /* CLOCK_BOOTTIME before which a lapse that could not be recorded is not tried again; 0:
                                   none was */
        struct floor floor;
        uint8_t boot_id[16];
        bool same_boot;     /* the last record that was replayed is of this boot */
        int64_t started_ms; /* CLOCK_BOOTTIME */
        struct counters counters;
        struct refusals refused;
};

/* Opens everything. What a host can be without (ledger, trust root, policy, BPF, systemd) is reported and lived with;
 * -errno only when no order could be carried out or answered at all. */
int agent_new(const struct config *config, sd_event *event, struct agent **ret) _warn_unused_;
void agent_free(struct agent *a);
void agent_freep(struct agent **a);
/* Reads trust root and policy again; the gate has to be told of the keys then. What cannot be accepted leaves the old
 * one in force and is logged. */
void agent_reload(struct agent *a);

static inline bool agent_ledger_ok(const struct agent *a) {
        return a->ledger && ledger_ok(a->ledger);
}

/* hold: see struct resolver. */
struct resolver agent_resolver(const struct agent *a, const struct command_id *hold);
/* Has the next set of programs loaded and the ledger's next segment made as soon as nothing else is to be done. */
void agent_idle_work(struct agent *a);
/* Lets time pass for leases and held times. */
void agent_tick(struct agent *a);

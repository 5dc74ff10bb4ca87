/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What can be ordered, about what, and how urgently: three tables that the command parser, the trust rules, the
 * enforcer, freezectl's help and the tests all read. */

#include <stdbool.h>
#include <stdint.h>

/* The class decides the fail direction. */
enum verb_class {
        VERB_CLASS_STOP,    /* makes a hold: acts even when the host is not in order */
        VERB_CLASS_OBSERVE, /* changes nothing that runs */
        VERB_CLASS_EXTEND,  /* lengthens a lease; never shortens one */
        VERB_CLASS_RELEASE, /* ends holds: refused whenever anything is in doubt */
        VERB_CLASS_KEEP,    /* keeps evidence from being deleted */
        VERB_CLASS_DROP,    /* lets evidence go: refused as a release is, and for custodians alone */
};

/* X(NAME, "id", class, isolates, freezes, takes a snapshot, "what it does") */
#define VERB_TABLE(X)                                                                                        \
        X(CONTAIN, "contain", STOP, true, true, true, "cut off from the network, freeze, preserve evidence") \
        X(ISOLATE, "isolate", STOP, true, false, false, "cut off from the network, leave running")           \
        X(FREEZE, "freeze", STOP, false, true, false, "freeze, leave the network as it is")                  \
        X(SNAPSHOT, "snapshot", OBSERVE, false, false, true, "preserve evidence, change nothing")            \
        X(EXTEND, "extend", EXTEND, false, false, false, "make a hold's lease longer")                       \
        X(RELEASE, "release", RELEASE, false, false, false, "end holds")                                     \
        X(EVIDENCE_HOLD, "evidence-hold", KEEP, false, false, false, "put evidence under legal hold")        \
        X(EVIDENCE_UNHOLD, "evidence-unhold", DROP, false, false, false, "lift legal holds")                 \
        X(EVIDENCE_DELETE, "evidence-delete", DROP, false, false, false, "delete evidence, leaving a tombstone")

enum verb {
#define X(name, ...) VERB_##name,
        VERB_TABLE(X)
#undef X
                _VERB_MAX,
};

struct verb_info {
        const char *id;
        const char *text;
        enum verb_class cls;
        bool isolates, freezes, snapshots;
};

/* X(NAME, "id", "an example") : a target is written "id:name", and `host`, which has no name, "host"; a bare
 * "x.service", "x.scope" or "x.socket" is a unit and "x.slice" a slice */
#define TARGET_TABLE(X)                                   \
        X(UNIT, "unit", "unit:nginx.service")             \
        X(SLICE, "slice", "slice:app.slice")              \
        X(CGROUP, "cgroup", "cgroup:/path")               \
        X(CONTAINER, "container", "container:9f2b1c40d7") \
        X(USER, "user", "user:alice")                     \
        X(PID, "pid", "pid:4711")                         \
        X(HOST, "host", "host")                           \
        X(HOLD, "hold", "hold:00112233445566778899aabbccddeeff")

enum target_class {
#define X(name, ...) TARGET_##name,
        TARGET_TABLE(X)
#undef X
                _TARGET_MAX,
};

/* X(NAME, "id", "the other vocabulary's word for it") */
#define SEVERITY_TABLE(X)       \
        X(P0, "P0", "Critical") \
        X(P1, "P1", "High")     \
        X(P2, "P2", "Medium")   \
        X(P3, "P3", "Low")

enum severity {
#define X(name, ...) SEVERITY_##name,
        SEVERITY_TABLE(X)
#undef X
                _SEVERITY_MAX,
};

/* Its targets are ids, of holds or of evidence, and nothing else. */
bool verb_class_is_of_holds(enum verb_class c);
/* It gives up something that is held or kept: FAIL-CLOSED, nothing is let go while anything is in doubt. */
bool verb_class_lets_go(enum verb_class c);
/* The row of a verb; v must be of the table. */
const struct verb_info *verb_info(enum verb v);
/* True and *ret set when the id is in the table. */
bool verb_from_id(const char *id, enum verb *ret);
const char *target_class_id(enum target_class c);
/* A target of that class, for help and messages. */
const char *target_class_example(enum target_class c);
bool target_class_from_id(const char *id, enum target_class *ret);
/* Always "P0".."P3". */
const char *severity_id(enum severity s);
/* Takes either vocabulary; the words in any letter case. */
bool severity_from_id(const char *id, enum severity *ret);

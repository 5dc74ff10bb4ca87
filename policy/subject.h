/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The subjects of a fleet, under which a broker carries envelopes. They say where to bytes go and prove nothing: what
 * an envelope is and whom it is for is inside its signature. The spelling is one: what is parsed builds the same text.
 *
 * - frz.v1.FLEET.cmd.all.ID, frz.v1.FLEET.cmd.group.GROUP.ID, frz.v1.FLEET.cmd.host.HOST.ID: commands and attributes
 * - frz.v1.FLEET.head, frz.v1.FLEET.trust.N: heads, trust roots
 * - frz.v1.FLEET.ask.all, frz.v1.FLEET.ask.host.HOST: queries
 * - frz.v1.FLEET.rsp.HOST.ID: answers, by what they are to
 * - frz.v1.FLEET.sign.ID: envelopes that lack signatures
 *
 * HOST is a fingerprint without its "SHA256:", with '-' for '+' and '_' for '/'. FLEET and GROUP are names (schema.h)
 * with '~' for '.'. ID is 32 hex digits: of a command, or the nonce of a query; under cmd.host and rsp it may be
 * "attributes". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* any subject, any pattern of one and any stream's name, with its NUL */
#define SUBJECT_SIZE 256U
/* 43 characters of base64, NUL */
#define SUBJECT_HOST_SIZE 44U

/* X(NAME, "between the fleet and the rest", has a group, has a host, has an id, may be "attributes") */
#define SUBJECT_TABLE(X)                                    \
        X(CMD_ALL, "cmd.all", false, false, true, false)    \
        X(CMD_GROUP, "cmd.group", true, false, true, false) \
        X(CMD_HOST, "cmd.host", false, true, true, true)    \
        X(HEAD, "head", false, false, false, false)         \
        X(TRUST, "trust", false, false, false, false)       \
        X(ASK_ALL, "ask.all", false, false, false, false)   \
        X(ASK_HOST, "ask.host", false, true, false, false)  \
        X(RSP, "rsp", false, true, true, true)              \
        X(SIGN, "sign", false, false, true, false)

enum subject_kind {
#define X(name, ...) SUBJECT_##name,
        SUBJECT_TABLE(X)
#undef X
                _SUBJECT_KIND_MAX,
};

struct subject {
        enum subject_kind kind;
        char fleet[COMMAND_FLEET_MAX + 1];
        char group[COMMAND_FLEET_MAX + 1]; /* "" where the kind has none */
        uint8_t host[32];                  /* zero where it has none */
        struct command_id id;              /* zero where it has none, and of attributes */
        bool attributes;                   /* instead of an id */
        int64_t version;                   /* of TRUST, from 1; else 0 */
};

/* Writes it. -EINVAL when a name is none, or a member is set that the kind does not have. */
int subject_build(const struct subject *s, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* The same with `*` for what comes last, the id or the version: the pattern of all that a host subscribes to there.
 * -EINVAL also for a kind that has neither. s has no id and no version. */
int subject_pattern(const struct subject *s, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* The reverse of subject_build. -EINVAL for any other bytes, *ret untouched. */
int subject_parse(const char *text, size_t n, struct subject *ret) _warn_unused_;

/* HOST of a fingerprint. */
void subject_host(const uint8_t id[static 32], char ret[static SUBJECT_HOST_SIZE]);
/* Where an order is published: under its one host's name, its group's, or all hosts'. -EINVAL when it names several
 * hosts, or what it names is no name. */
int subject_command(const struct command *c, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* The streams: FRZ_CMD_FLEET, FRZ_RSP_FLEET. what is "CMD" or "RSP". -EINVAL when the fleet's name is none. */
int subject_stream(const char *what, const char *fleet, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* Where all answers to one command come, to one question by its nonce, or with NULL to attributes: as SUBJECT_RSP, with
 * `*` for the host. -EINVAL when the fleet's name is none or the id is zero. */
int subject_answers(const char *fleet, const struct command_id *id, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* Where the attributes of all hosts are, as a pattern. -EINVAL when the fleet's name is none. */
int subject_attributes(const char *fleet, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* Where answers to requests of a host come, as a pattern: nobody else may listen there. */
void subject_inbox(const uint8_t id[static 32], char ret[static SUBJECT_SIZE]);

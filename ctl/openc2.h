/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* OpenC2 (oasis-open, language 1.0) as a vocabulary for orders, and nothing of it as trust: a command says what to
 * sign, and the host judges the signature as ever. Pure but for the allocation.
 *
 *   contain               contain: cut off, freeze, preserve      contain device with er.device_containment
 *   deny                  isolate: cut off, leave running         network_isolation: isolate host
 *   stop                  freeze: nothing is ended
 *   investigate           snapshot
 *   cancel + command      release of that hold
 *   query + features      what this adapter knows
 *
 * Targets: x-frz:unit, x-frz:slice, x-frz:cgroup, x-frz:container, x-frz:user (each a name), er:service {"name"},
 * process {"pid"}, device {"device_id" or "hostname"} for all of a host. Arguments: duration, stop_time,
 * response_requested, er.{device_containment, permitted_addresses.{ipv4_net,ipv6_net}},
 * x-frz.{severity, incident, reason, snapshot}. Whatever else there is, is answered with 501, and what is of the wrong
 * kind with 400. */

#include <stdbool.h>
#include <stdint.h>

#include "ctl/receipt.h"
#include "policy/command.h"

#define OPENC2_ID_MAX   36U
#define OPENC2_NSID     "x-frz"
#define OPENC2_HOST_MAX 127U

enum openc2_status {
        OPENC2_PROCESSING = 102,
        OPENC2_OK = 200,
        OPENC2_BAD_REQUEST = 400,
        OPENC2_UNAUTHORIZED = 401,
        OPENC2_FORBIDDEN = 403,
        OPENC2_NOT_FOUND = 404,
        OPENC2_INTERNAL = 500,
        OPENC2_NOT_IMPLEMENTED = 501,
        OPENC2_UNAVAILABLE = 503,
};

struct openc2_command {
        bool query;             /* of features, which are the strings of `features`; nothing is ordered */
        const json_t *features; /* borrowed */
        enum verb verb;
        struct target target;
        char host[OPENC2_HOST_MAX + 1]; /* name or fingerprint of a device; "": this one */
        struct permit permits[COMMAND_PERMITS_MAX];
        size_t n_permits;
        int64_t lease_ms; /* 0: it does not say */
        enum severity severity;
        enum profile profile;
        char incident[COMMAND_INCIDENT_MAX + 1], reason[COMMAND_REASON_MAX + 1];
        char id[OPENC2_ID_MAX + 1]; /* command_id, or ""; also of a command that is answered with a status */
        bool silent, acknowledge;   /* response_requested none; ack */
};

/* 0 and *ret, or the status to answer with and *ret_why, static. */
unsigned openc2_read(const json_t *o, int64_t now_ms, struct openc2_command *ret, const char **ret_why);
/* The results of a query of features. Owned by the caller. */
json_t *openc2_features(const struct openc2_command *q);
/* A response; takes over results, which may be NULL and go below the name space of this project. */
json_t *openc2_response(unsigned status, const char *text, json_t *results);
/* What an answer of an agent is as a status; text for people into ret. */
unsigned openc2_status(const struct receipt *r, char *ret, size_t n);
/* An order as the command that would order the same, or NULL and *ret_why, static: a group, several targets and what
 * OpenC2 has no word for are no such. Owned by the caller. */
json_t *openc2_from_command(const struct command *c, const char **ret_why);

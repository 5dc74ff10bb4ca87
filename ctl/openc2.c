/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/escalate_template.h"
#include "ctl/member.h"
#include "ctl/openc2.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define LANGUAGE "1.0"

static const struct {
        const char *action;
        enum verb verb;
} actions[] = {
        { "contain", VERB_CONTAIN },      { "deny", VERB_ISOLATE },   { "stop", VERB_FREEZE },
        { "investigate", VERB_SNAPSHOT }, { "cancel", VERB_RELEASE },
};

static const struct {
        const char *name; /* of the target; its value is a string, or what `member` of it says */
        const char *member;
        enum target_class cls;
} targets[] = {
        { OPENC2_NSID ":unit", NULL, TARGET_UNIT },
        { OPENC2_NSID ":slice", NULL, TARGET_SLICE },
        { OPENC2_NSID ":cgroup", NULL, TARGET_CGROUP },
        { OPENC2_NSID ":container", NULL, TARGET_CONTAINER },
        { OPENC2_NSID ":user", NULL, TARGET_USER },
        { "er:service", "name", TARGET_UNIT },
        { "process", "pid", TARGET_PID },
        { "command", NULL, TARGET_HOLD },
};

/* What is wrong with a command, and how that is answered. */
struct trouble {
        unsigned status;
        const char *why;
};

static bool bad(struct trouble *t, const char *why) {
        *t = (struct trouble) { OPENC2_BAD_REQUEST, why };
        return false;
}

static bool unknown(struct trouble *t, const char *why) {
        *t = (struct trouble) { OPENC2_NOT_IMPLEMENTED, why };
        return false;
}

/* True when every member is of the list. */
static bool has_only(const json_t *o, const char *const *names, size_t n) {
        const char *name;
        json_t *unused;

        json_object_foreach((json_t *) o, name, unused) {
                size_t i = 0;

                while (i < n && strcmp(names[i], name) != 0)
                        i++;
                if (i == n)
                        return false;
        }
        return true;
}
#define HAS_ONLY(o, ...) \
        has_only((o), (const char *const[]) { __VA_ARGS__ }, ELEMENTSOF(((const char *const[]) { __VA_ARGS__ })))

static bool read_device(const json_t *v, struct openc2_command *c, struct trouble *t) {
        const char *id = member_str(v, "device_id"), *name = member_str(v, "hostname");

        if (!json_is_object(v) || !HAS_ONLY(v, "device_id", "hostname") || (*id && *name))
                return bad(t, "a device is an object with a device_id or a hostname");
        if (strlen(id) > OPENC2_HOST_MAX || strlen(name) > OPENC2_HOST_MAX)
                return bad(t, "the name of the device is too long");
        strcpy(c->host, *id ? id : name);
        c->target = (struct target) { .cls = TARGET_HOST };
        return true;
}

static bool read_named(size_t which, const json_t *v, struct openc2_command *c, struct trouble *t) {
        const char *member = targets[which].member;
        char name[TARGET_NAME_MAX + 1], text[TARGET_STR_SIZE];
        const json_t *value = member ? json_object_get(v, member) : v;

        if (member && (!json_is_object(v) || json_object_size(v) != 1))
                return unknown(t, "a process is known by its pid alone, and a service by its name");
        if (json_is_integer(value) && targets[which].cls == TARGET_PID)
                (void) snprintf(name, sizeof(name), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_string(value) && targets[which].cls != TARGET_PID &&
                 json_string_length(value) <= TARGET_NAME_MAX)
                (void) snprintf(name, sizeof(name), "%s", json_string_value(value));
        else
                return bad(t, "the target's value is missing or of the wrong kind");
        (void) snprintf(text, sizeof(text), "%s:%s", target_class_id(targets[which].cls), name);
        if (target_from_str(text, &c->target) < 0 || c->target.cls != targets[which].cls)
                return bad(t, "the target's value is no name of its kind");
        return true;
}

static bool read_target(const json_t *target, struct openc2_command *c, struct trouble *t) {
        void *only = json_object_iter((json_t *) target);

        if (json_object_size(target) != 1)
                return bad(t, "a command has one target");
        const char *name = json_object_iter_key(only);
        if (strcmp(name, "device") == 0)
                return read_device(json_object_iter_value(only), c, t);
        for (size_t i = 0; i < ELEMENTSOF(targets); i++)
                if (strcmp(targets[i].name, name) == 0)
                        return read_named(i, json_object_iter_value(only), c, t);
        return unknown(t, "this kind of target is none of an order");
}

static bool read_nets(const json_t *list, struct openc2_command *c, struct trouble *t) {
        json_t *one;
        size_t i;

        if (list && !json_is_array(list))
                return bad(t, "permitted addresses are lists of networks");
        json_array_foreach(list, i, one) {
                struct permit p = { 0 };

                if (c->n_permits == COMMAND_PERMITS_MAX || !json_is_string(one) ||
                    permit_net_from_str(json_string_value(one), &p) < 0)
                        return bad(t, "a permitted address is no network, or there are more than 64");
                c->permits[c->n_permits++] = p;
        }
        return true;
}

static bool read_er(const json_t *er, struct openc2_command *c, struct trouble *t) {
        const json_t *permitted = json_object_get(er, "permitted_addresses");

        if (!er)
                return true;
        if (!json_is_object(er) || !HAS_ONLY(er, "device_containment", "permitted_addresses") ||
            (permitted && !HAS_ONLY(permitted, "ipv4_net", "ipv6_net")))
                return unknown(t, "of er there are device_containment and permitted_addresses by network");
        if (json_object_get(er, "device_containment")) {
                if (strcmp(member_str(er, "device_containment"), "network_isolation") != 0 || c->verb != VERB_CONTAIN ||
                    c->target.cls != TARGET_HOST)
                        return unknown(t, "device_containment is network_isolation of a device, with contain");
                c->verb = VERB_ISOLATE;
        }
        if (permitted && !verb_info(c->verb)->isolates)
                return bad(t, "permitted addresses are for what isolates");
        return read_nets(json_object_get(permitted, "ipv4_net"), c, t) &&
               read_nets(json_object_get(permitted, "ipv6_net"), c, t);
}

static bool read_own(const json_t *o, struct openc2_command *c, struct trouble *t) {
        const char *severity = member_str(o, "severity"), *incident = member_str(o, "incident"),
                   *reason = member_str(o, "reason"), *profile = member_str(o, "snapshot");

        if (!o)
                return true;
        if (!json_is_object(o) || !HAS_ONLY(o, "severity", "incident", "reason", "snapshot"))
                return unknown(t, "of " OPENC2_NSID " there are severity, incident, reason and snapshot");
        if ((*severity && !severity_from_id(severity, &c->severity)) ||
            (*profile && !profile_from_id(profile, &c->profile)) ||
            (*incident && !escalate_template_is_incident(incident)) || !schema_is_text(reason, sizeof(c->reason)))
                return bad(t, "a severity, incident, reason or profile is none");
        (void) snprintf(c->incident, sizeof(c->incident), "%s", incident);
        (void) snprintf(c->reason, sizeof(c->reason), "%s", reason);
        return true;
}

static bool read_lease(const json_t *args, int64_t now_ms, struct openc2_command *c, struct trouble *t) {
        const json_t *duration = json_object_get(args, "duration"), *stop = json_object_get(args, "stop_time");

        if (json_object_get(args, "start_time"))
                return unknown(t, "what is ordered begins now: start_time is not known");
        if (!duration && !stop)
                return true;
        if ((duration && stop) || !json_is_integer(duration ? duration : stop))
                return bad(t, "a duration or a stop_time is a number of milliseconds, and not both are given");
        const int64_t from = duration ? 0 : now_ms, to = json_integer_value(duration ? duration : stop);
        c->lease_ms = to > from ? to - from : 0;
        if (c->lease_ms < 1 || c->lease_ms > SCHEMA_INT_MAX)
                return bad(t, "it would have ended already");
        return verb_info(c->verb)->cls == VERB_CLASS_STOP || bad(t, "only what stops something has a duration");
}

static bool read_args(const json_t *args, int64_t now_ms, struct openc2_command *c, struct trouble *t) {
        const json_t *wanted = json_object_get(args, "response_requested");
        const char *response = wanted ? member_str(args, "response_requested") : "complete";

        if (!args)
                return true;
        if (!json_is_object(args))
                return bad(t, "args is an object");
        if (!HAS_ONLY(args, "start_time", "stop_time", "duration", "response_requested", "er", OPENC2_NSID))
                return unknown(t, "there is an argument that is not known");
        c->silent = strcmp(response, "none") == 0;
        c->acknowledge = strcmp(response, "ack") == 0;
        if (!c->silent && !c->acknowledge && strcmp(response, "status") != 0 && strcmp(response, "complete") != 0)
                return bad(t, "response_requested is none, ack, status or complete");
        return c->query || (read_er(json_object_get(args, "er"), c, t) &&
                            read_own(json_object_get(args, OPENC2_NSID), c, t) && read_lease(args, now_ms, c, t));
}

static bool read_query(const json_t *target, struct openc2_command *c, struct trouble *t) {
        json_t *one;
        size_t i;

        c->features = json_object_get(target, "features");
        if (json_object_size(target) != 1 || !c->features)
                return unknown(t, "only features can be queried");
        if (!json_is_array(c->features) || json_array_size(c->features) > 10)
                return bad(t, "features is a list of at most 10");
        json_array_foreach(c->features, i,
                           one) if (!json_is_string(one) ||
                                    (strcmp(json_string_value(one), "versions") != 0 &&
                                     strcmp(json_string_value(one), "profiles") != 0 &&
                                     strcmp(json_string_value(one), "pairs") != 0 &&
                                     strcmp(json_string_value(one), "rate_limit") !=
                                             0)) return bad(t, "a feature is versions, profiles, pairs or rate_limit");
        c->query = true;
        return true;
}

static bool read_action(const json_t *o, struct openc2_command *c, struct trouble *t) {
        const json_t *target = json_object_get(o, "target");
        const char *action = member_str(o, "action");

        if (!*action || !json_is_object(target))
                return bad(t, "a command has an action and a target");
        if (strcmp(action, "query") == 0)
                return read_query(target, c, t);
        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                if (strcmp(actions[i].action, action) != 0)
                        continue;
                c->verb = actions[i].verb;
                if (!read_target(target, c, t))
                        return false;
                if ((c->verb == VERB_RELEASE) != (c->target.cls == TARGET_HOLD))
                        return unknown(t, "a command, and only that, can be cancelled");
                return true;
        }
        return unknown(t, "this action is none of an order");
}

static bool read_all(const json_t *o, int64_t now_ms, struct openc2_command *c, struct trouble *t) {
        const char *id = member_str(o, "command_id");
        const json_t *actuator = json_object_get(o, "actuator");

        if (!json_is_object(o) || !HAS_ONLY(o, "action", "target", "args", "actuator", "command_id"))
                return bad(t, "this is no OpenC2 command");
        if (strlen(id) > OPENC2_ID_MAX || strpbrk(id, " \t\r\n") || !schema_is_text(id, sizeof(c->id)))
                return bad(t, "a command_id has at most 36 characters and no blanks");
        strcpy(c->id, id);
        if (actuator && (!json_is_object(actuator) || !HAS_ONLY(actuator, OPENC2_NSID, "er")))
                return unknown(t, "this is for another actuator");
        return read_action(o, c, t) && read_args(json_object_get(o, "args"), now_ms, c, t);
}

unsigned openc2_read(const json_t *o, int64_t now_ms, struct openc2_command *ret, const char **ret_why) {
        struct trouble t = { 0, NULL };

        *ret = (struct openc2_command) { .severity = SEVERITY_P1 };
        if (read_all(o, now_ms, ret, &t))
                return 0;
        *ret_why = t.why;
        return t.status;
}

json_t *openc2_response(unsigned status, const char *text, json_t *results) {
        json_t *o = json_pack("{s:i}", "status", (int) status);

        if (text && *text)
                (void) json_object_set_new(o, "status_text", json_string(text));
        if (results)
                (void) json_object_set_new(o, "results", results);
        return o;
}

static json_t *pairs(void) {
        json_t *o = json_object();

        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                const bool cancel = actions[i].verb == VERB_RELEASE;
                json_t *list = json_array();

                for (size_t k = 0; k < ELEMENTSOF(targets); k++)
                        if ((targets[k].cls == TARGET_HOLD) == cancel)
                                (void) json_array_append_new(list, json_string(targets[k].name));
                if (!cancel)
                        (void) json_array_append_new(list, json_string("device"));
                (void) json_object_set_new(o, actions[i].action, list);
        }
        (void) json_object_set_new(o, "query", json_pack("[s]", "features"));
        return o;
}

json_t *openc2_features(const struct openc2_command *q) {
        json_t *results = json_object(), *one;
        size_t i;

        json_array_foreach(q->features, i, one) {
                const char *name = json_string_value(one);

                if (strcmp(name, "versions") == 0)
                        (void) json_object_set_new(results, name, json_pack("[s]", LANGUAGE));
                else if (strcmp(name, "profiles") == 0)
                        (void) json_object_set_new(results, name, json_pack("[s]", OPENC2_NSID));
                else if (strcmp(name, "pairs") == 0)
                        (void) json_object_set_new(results, name, pairs());
                /* nothing for rate_limit: how many are taken is for each host to say, and it says when it is too many
                 */
        }
        return results;
}

/* Refusals, by what OpenC2 has a number for; every other one is 403. */
static const struct {
        enum reason reason;
        unsigned status;
} statuses[] = {
        { REASON_OVERSIZE, OPENC2_BAD_REQUEST },   { REASON_MALFORMED, OPENC2_BAD_REQUEST },
        { REASON_ENCODING, OPENC2_BAD_REQUEST },   { REASON_SCHEMA, OPENC2_BAD_REQUEST },
        { REASON_TYPE, OPENC2_NOT_IMPLEMENTED },   { REASON_VERSION, OPENC2_NOT_IMPLEMENTED },
        { REASON_FIELD, OPENC2_NOT_IMPLEMENTED },  { REASON_NO_CGROUP2, OPENC2_NOT_IMPLEMENTED },
        { REASON_UNTRUSTED, OPENC2_UNAUTHORIZED }, { REASON_SIGNATURE, OPENC2_UNAUTHORIZED },
        { REASON_NO_TRUST, OPENC2_UNAUTHORIZED },  { REASON_ROOT_STALE, OPENC2_UNAUTHORIZED },
        { REASON_NO_HOLD, OPENC2_NOT_FOUND },      { REASON_NO_TARGET, OPENC2_NOT_FOUND },
        { REASON_NOT_RUNNING, OPENC2_NOT_FOUND },  { REASON_BUSY, OPENC2_UNAVAILABLE },
        { REASON_LEDGER, OPENC2_INTERNAL },        { REASON_INTERNAL, OPENC2_INTERNAL },
};

static unsigned status_of(enum reason r) {
        for (size_t i = 0; i < ELEMENTSOF(statuses); i++)
                if (statuses[i].reason == r)
                        return statuses[i].status;
        return OPENC2_FORBIDDEN;
}

unsigned openc2_status(const struct receipt *r, char *ret, size_t n) {
        const json_t *told = receipt_told(r->payload);
        const enum receipt_state state = receipt_state(told);
        enum reason reason = r->reason;

        if (r->kind == RECEIPT_UNVERIFIED) {
                (void) snprintf(ret, n, "the answer cannot be believed: %s", r->text);
                return OPENC2_INTERNAL;
        }
        if (r->kind == RECEIPT_SIGNED) {
                (void) snprintf(ret, n, "%s", receipt_verdict(state));
                if (!receipt_is_final(r))
                        return OPENC2_PROCESSING;
                if (state != RECEIPT_STATE_REFUSED)
                        return receipt_exit(r) == CTL_OK ? OPENC2_OK : OPENC2_INTERNAL;
                if (!reason_from_id(json_string_value(json_array_get(json_object_get(told, "reasons"), 0)) ?: "",
                                    &reason))
                        return OPENC2_FORBIDDEN;
        }
        (void) snprintf(ret, n, "%s: %s", reason_id(reason), reason_text(reason));
        return status_of(reason);
}

static json_t *target_json(const struct target *t, const struct command *c) {
        char id[SSHKEY_ID_SIZE];

        if (t->cls == TARGET_HOST) {
                sshkey_id_to_str(c->hosts[0], id);
                return json_pack("{s:{s:s}}", "device", "device_id", id);
        }
        if (t->cls == TARGET_PID)
                return json_pack("{s:{s:I}}", "process", "pid", (json_int_t) strtoll(t->name, NULL, 10));
        for (size_t i = 0; i < ELEMENTSOF(targets); i++)
                if (targets[i].cls == t->cls && !targets[i].member)
                        return json_pack("{s:s}", targets[i].name, t->name);
        return NULL;
}

/* Of permitted addresses OpenC2 knows networks, without ports. */
static json_t *er_json(const struct command *c, bool device) {
        json_t *er = json_object(), *v4 = json_array(), *v6 = json_array();
        char text[PERMIT_STR_SIZE];

        if (device)
                (void) json_object_set_new(er, "device_containment", json_string("network_isolation"));
        for (size_t i = 0; i < c->n_permits; i++) {
                permit_net_to_str(&c->permits[i], text, sizeof(text));
                (void) json_array_append_new(strchr(text, ':') ? v6 : v4, json_string(text));
        }
        if (c->n_permits > 0)
                (void) json_object_set_new(er, "permitted_addresses",
                                           json_pack("{s:O, s:O}", "ipv4_net", v4, "ipv6_net", v6));
        json_decref(v4);
        json_decref(v6);
        return er;
}

static bool is_plain(const struct command *c, const char **why) {
        *why = c->to != COMMAND_TO_HOSTS || c->n_hosts != 1
                       ? "an OpenC2 command is for one actuator: this is for several hosts"
               : c->n_targets != 1              ? "an OpenC2 command has one target: this order has several"
               : c->step || c->plan || c->drill ? "OpenC2 has no word for a step, a plan or a drill"
                                                : NULL;
        for (size_t i = 0; !*why && i < c->n_permits; i++)
                if (c->permits[i].port || c->permits[i].proto)
                        *why = "OpenC2 permits addresses, and this order permits ports of some";
        return !*why;
}

json_t *openc2_from_command(const struct command *c, const char **ret_why) {
        const bool device = c->verb == VERB_ISOLATE && c->targets[0].cls == TARGET_HOST;
        const char *action = device ? "contain" : NULL;
        json_t *args, *er;
        char id[33];

        if (!is_plain(c, ret_why))
                return NULL;
        for (size_t i = 0; !action && i < ELEMENTSOF(actions); i++)
                if (actions[i].verb == c->verb)
                        action = actions[i].action;
        *ret_why = "OpenC2 has no word for this";
        json_t *target = action ? target_json(&c->targets[0], c) : NULL;
        if (!target)
                return NULL;
        args = json_pack("{s:s, s:{s:s, s:s, s:s}}", "response_requested", "complete", OPENC2_NSID, "severity",
                         severity_id(c->severity), "reason", c->reason, "incident", c->incident);
        if (!*c->incident)
                (void) json_object_del(json_object_get(args, OPENC2_NSID), "incident");
        if (c->lease_ms > 0)
                (void) json_object_set_new(args, "duration", json_integer(c->lease_ms));
        if (verb_info(c->verb)->snapshots && c->profile != PROFILE_DEFAULT)
                (void) json_object_set_new(json_object_get(args, OPENC2_NSID), "snapshot",
                                           json_string(profile_info(c->profile)->id));
        er = er_json(c, device);
        if (json_object_size(er) > 0)
                (void) json_object_set(args, "er", er);
        json_decref(er);
        command_id_to_str(&c->id, id);
        return json_pack("{s:s, s:o, s:o, s:{s:{}}, s:s}", "action", action, "target", target, "args", args, "actuator",
                         OPENC2_NSID, "command_id", id);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/custody.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/core/record.h"
#include "agent/core/status.h"
#include "agent/util/io.h"
#include "agent/util/log.h"
#include "policy/custody.h"

#define NO_LOGIN UINT32_MAX

/* NO_LOGIN: nobody logged in to start that process, or the kernel does not say. */
static uint32_t login_of(pid_t pid) {
        _cleanup_free_ char *text = NULL;
        char path[64];
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "/proc/%d/loginuid", (int) pid);
        return io_read_file(AT_FDCWD, path, 32, &text, &n) == 0 && n > 0 ? (uint32_t) strtoul(text, NULL, 10)
                                                                         : NO_LOGIN;
}

static json_t *to_json(const struct custody *c, const struct ucred *who) {
        const uint32_t login = login_of(who->pid);
        char hold[33], digest[65];
        json_t *o;

        (void) sodium_bin2hex(hold, sizeof(hold), c->hold, sizeof(c->hold));
        (void) sodium_bin2hex(digest, sizeof(digest), c->sha256, sizeof(c->sha256));
        o = json_pack("{ss sI sI}", "act", custody_act_id(c->act), "uid", (json_int_t) who->uid, "pid",
                      (json_int_t) who->pid);
        if (o && login != NO_LOGIN && json_object_set_new(o, "login_uid", json_integer(login)) < 0)
                json_object_clear(o);
        if (o && !sodium_is_zero(c->hold, sizeof(c->hold)) && json_object_set_new(o, "id", json_string(hold)) < 0)
                json_object_clear(o);
        if (o && !sodium_is_zero(c->sha256, sizeof(c->sha256)) &&
            json_object_set_new(o, "sha256", json_string(digest)) < 0)
                json_object_clear(o);
        return o;
}

/* The record, and the report that says so. */
int custody_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        _cleanup_json_ json_t *o = NULL;
        struct custody c;
        struct ucred who;
        json_t *report;
        uint64_t n = 0;
        int r = link_peer(to, &who);

        if (r < 0)
                return r;
        /* FAIL-CLOSED: a gate that was taken over cannot fill the ledger with readers, nor the journal with complaints
         */
        if (who.uid != 0 || custody_unpack(f->payload, f->n_payload, &c) < 0) {
                a->counters.malformed++;
                link_refuse(to, REASON_INTERNAL);
                return 0;
        }
        o = to_json(&c, &who);
        if (!o || json_object_size(o) == 0)
                return -ENOMEM;
        r = record_custody(a, json_deep_copy(o), &n);
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record"), "Who reads evidence could not be recorded: %s",
                          strerror(-r));
                link_refuse(to, r == -ENOTRECOVERABLE ? REASON_INTERNAL : REASON_LEDGER);
                return 0;
        }
        report = status_report_new(a, "custody", f);
        if (!report || json_object_update(report, o) < 0 ||
            json_object_set_new(report, "n", json_integer((json_int_t) n)) < 0) {
                json_decref(report);
                return -ENOMEM;
        }
        return status_report_send(a, report, to);
}

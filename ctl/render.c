/* SPDX-License-Identifier: Apache-2.0 */

#include <stdarg.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define LABEL_WIDTH 12

static const char *const colours[] = {
        [TONE_GOOD] = "\033[1;32m",
        [TONE_DOUBT] = "\033[1;33m",
        [TONE_BAD] = "\033[1;31m",
        [TONE_PLAIN] = "\033[1m",
};

/* What the person in front of it can do. The sentence that says what is wrong is the reason table's. */
static const char *const advice[_REASON_MAX] = {
        [REASON_BUSY] = "send the same signed file again in a moment: it acts once, however often it is sent",
        [REASON_UNTRUSTED] = "compare `ssh-keygen -lf KEY.pub` with the host's `freezectl trust show`",
        [REASON_SIGNATURE] =
                "the bytes were changed after signing: get the file anew from whoever made it, and find out why",
        [REASON_VERSION] = "the host's agent is older than this freezectl: update it",
        [REASON_FIELD] = "the host's agent is older than this freezectl: update it",
        [REASON_FLEET] = "this order was made with another fleet's trust root: check --trust and --fleet",
        [REASON_HOST] = "`freezectl health` shows which host this is; --to host=ID addresses it",
        [REASON_ROLE] = "`freezectl trust show` lists who may order it",
        [REASON_SEVERITY] = "`freezectl trust show` lists who may order it, at which severity",
        [REASON_TARGET_CLASS] = "`freezectl trust show` lists who may order it, for what",
        [REASON_THRESHOLD] =
                "another person signs the same file with `freezectl approve FILE`, then `freezectl send FILE`",
        [REASON_LEASE_REQUIRED] = "say how long: --lease 15m",
        [REASON_LEASE_LONG] = "ask for less; `freezectl extend` makes it longer later",
        [REASON_BUDGET] = "a responder has to order it now",
        [REASON_NOT_OWNER] = "a responder has to extend it",
        [REASON_NO_TRUST] = "as root on the host: freezectl enroll TRUST-FILE",
        [REASON_ROOT_STALE] = "as root on the host: freezectl enroll the newer trust root",
        [REASON_EXPIRED] = "order it again: the old file is of no more use",
        [REASON_NOT_YET] = "check the clock of the machine that signed it",
        [REASON_SUPERSEDED] = "order it again if the service has to be held after all",
        [REASON_NO_HOLD] = "`freezectl status` lists what is held",
        [REASON_ID_REUSED] = "order it again: a new order gets an id of its own",
        [REASON_PROTECTED] = "hold the services inside it one by one; `freezectl plan` tells without changing anything",
        [REASON_NO_TARGET] = "check the name: systemctl list-units --all, systemd-cgls",
        [REASON_NOT_SEPARABLE] = "hold the unit or the cgroup that it is in",
        [REASON_AMBIGUOUS] = "give the full id, or the cgroup as cgroup:/path (systemd-cgls)",
        [REASON_NOT_RUNNING] = "there is nothing to hold; if it may come back: systemctl mask --runtime it",
        [REASON_LIMIT] = "release what is no longer needed; for a stop order that two people signed there is more room",
        [REASON_CLOCK] = "set the host's clock (timedatectl, chronyc makestep), then send the same file again",
        [REASON_ROOT_EXPIRED] = "`freezectl trust rotate` the trust root and enroll the new one",
        [REASON_LEDGER] = "look at the host: journalctl -u freezed -p err; df /var/lib/freezed",
        [REASON_INTERNAL] = "look at the host: journalctl -u freezed -p err",
        [REASON_NOT_FROZEN] =
                "processes in uninterruptible sleep freeze late (ps -eo pid,stat,wchan); look again: freezectl status",
        [REASON_NO_BPF] =
                "`freezectl health` shows what this kernel lacks; cut the host's network from outside if in doubt",
        [REASON_FOREIGN_BPF] =
                "see whose it is: bpftool cgroup tree; it has to be detached before ours can be attached",
        [REASON_LINK_LOST] = "somebody with root detached it: treat the host as taken over",
        [REASON_SOCKETS_LEFT] = "their packets are dropped all the same; which they are: ss -tunap",
        [REASON_FOREIGN_SOCKET] = "contain the service that owns the socket too; which it is: ss -tunap --cgroup",
        [REASON_NETNS] =
                "the container's own network may still have connections; its packets are dropped at the cgroup",
        [REASON_PACKET_SOCKETS] = "contain it: what is frozen opens nothing",
        [REASON_LOADED_BPF] = "look at what it has attached, and detach it: bpftool prog; bpftool net; bpftool link",
        [REASON_SELFTEST_LEAK] = "treat it as not isolated: cut the host's network from outside",
        [REASON_SELFTEST_CUT] = "check --permit and the host's routes; what is permitted may be down",
        [REASON_SELFTEST_NOT_RUN] = "look again: freezectl status; isolation is in force but was not tried from inside",
        [REASON_CGROUP_REPLACED] = "the service was started anew: order it again",
        [REASON_RESTARTABLE] = "keep others from starting it: systemctl mask --runtime it",
        [REASON_MOVED_OUT] = "look where it went (/proc/PID/cgroup) and contain that as well",
        [REASON_ELSEWHERE] = "contain the other units, or the host",
        [REASON_UPLINK] = "take the interface down (ip link set NAME down), then order it again",
        [REASON_MANAGEMENT] = "add the management addresses to permitted in policy.json, then order it again",
        [REASON_PERSISTS] = "look at the host: freezectl status; bpftool cgroup tree; cat cgroup.events",
        [REASON_NO_EVIDENCE] = "order it again as `freezectl snapshot`; why it failed: journalctl -u freezed",
        [REASON_NO_RECIPIENT] = "give the fleet one: freezectl trust rotate --recipient age1...",
        [REASON_NOT_PRESERVED] = "it is frozen with all it knows; to preserve it: freezectl trust rotate --recipient "
                                 "age1..., enroll, snapshot",
        [REASON_NO_SUCH_EVIDENCE] = "what there is: freezectl evidence list",
        [REASON_LEGAL_HOLD] = "which it is: freezectl evidence show HOLD; then freezectl evidence unhold LEGALHOLD",
        [REASON_STILL_HELD] = "release it first, and wait until its evidence is sealed",
        [REASON_NOT_DELETED] = "look at journalctl -u freezed; nothing else has to be done",
        [REASON_NO_ROOM] = "make room: freezectl evidence export, then evidence delete; or raise evidence.quota_bytes",
        [REASON_LITTLE_ROOM] = "the same as with no room, before there is none",
        [REASON_EVIDENCE_HOLES] = "the manifest lists what is missing and why",
        [REASON_CLOCK_SKEW] = "compare the clocks: date -u here and there",
        [REASON_TOO_BROAD] =
                "order it for fewer: --max-hosts, --to, or waves; or have people order it whose rule is wider",
        [REASON_FOREIGN_ID] =
                "order it anew if the key that began it has gone from the trust root; else a key that signed "
                "it is in the hands of who wants another order kept out: trust rotate",
        [REASON_ATTRIBUTES_STALE] = "`freezectl health` shows the serial in force; certify it again with a higher one",
        [REASON_HEAD_STALE] =
                "look at the relay and the herald: systemctl status freezed-relay; order it here if in doubt",
        [REASON_WITHHELD] = "`freezectl health` lists the ids; carry the signed files here: freezectl send FILE",
        [REASON_SILENT] = "it is not known whether it acted: look with `freezectl status`, or send the same signed "
                          "file again, which acts once",
};

static const struct {
        enum reason_kind kind;
        const char *heading;
        enum tone tone;
} headings[] = {
        { REASON_KIND_REFUSE, "Why", TONE_BAD },       { REASON_KIND_WAIT, "Why, for now", TONE_BAD },
        { REASON_KIND_GAP, "Not in force", TONE_BAD }, { REASON_KIND_FLAG, "The host is not in order", TONE_DOUBT },
        { REASON_KIND_NOTE, "Mind", TONE_PLAIN },
};

const char *render_advice(enum reason r) {
        return r < _REASON_MAX ? advice[r] : NULL;
}

enum tone render_tone(int code) {
        return code == CTL_OK ? TONE_GOOD : code == CTL_PARTIAL ? TONE_DOUBT : TONE_BAD;
}

void render_verdict(const struct page *p, enum tone tone, const char *capitals, const char *fmt, ...) {
        va_list ap;

        fprintf(p->f, "%s%s%s ", p->colour ? colours[tone] : "", capitals, p->colour ? "\033[0m" : "");
        va_start(ap, fmt);
        vfprintf(p->f, fmt, ap);
        va_end(ap);
        fputc('\n', p->f);
}

void render_row(const struct page *p, const char *label, const char *fmt, ...) {
        va_list ap;

        fprintf(p->f, "  %-*s ", LABEL_WIDTH, label ? label : "");
        va_start(ap, fmt);
        vfprintf(p->f, fmt, ap);
        va_end(ap);
        fputc('\n', p->f);
}

void render_reason(const struct page *p, enum reason r) {
        fprintf(p->f, "  %s: %s\n", reason_id(r), reason_text(r));
        if (render_advice(r))
                fprintf(p->f, "    -> %s\n", render_advice(r));
}

static void heading(const struct page *p, const char *text, enum tone tone) {
        fprintf(p->f, "%s%s%s\n", p->colour ? colours[tone] : "", text, p->colour ? "\033[0m" : "");
}

void render_reasons(const struct page *p, const json_t *payload, const char *array) {
        size_t unknown, i;
        reason_set set = member_reasons(payload, array, &unknown);
        json_t *v;
        enum reason r;

        for (i = 0; i < ELEMENTSOF(headings); i++) {
                if (!reason_set_has_kind(set, headings[i].kind))
                        continue;
                heading(p, headings[i].heading, headings[i].tone);
                for (r = 0; r < _REASON_MAX; r++)
                        if (set & reason_bit(r) && reason_kind(r) == headings[i].kind)
                                render_reason(p, r);
        }
        if (unknown > 0)
                heading(p, "Not understood", TONE_DOUBT);
        json_array_foreach(json_object_get(payload, array), i,
                           v) if (!json_is_string(v) || !reason_from_id(json_string_value(v), &r))
                fprintf(p->f, "  %s: this freezectl is older than the host and does not know it\n",
                        CLEAN(json_string_value(v)));
}

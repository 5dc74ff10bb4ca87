/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every answer other than a plain yes, in one table: receipts, the log, freezectl, its exit code and the tests all read
 * it here.
 *
 * The kind is the fail direction:
 *   REFUSE  nothing was done, for any verb.
 *   WAIT    the same, by a state that the host is in and that may pass: the same bytes can be sent again.
 *   FLAG    the host is not in order. A stop verb acts all the same and carries the flag; release is refused with it.
 *   GAP     something the command asked for is not in force. The state is `partial`, never `contained`.
 *   NOTE    a fact worth telling; the state does not depend on it. */

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, "id", KIND, exit code of freezectl, "sentence") */
#define REASON_TABLE(X)                                                                                                \
        X(NONE, "none", NOTE, 0, "Nothing stands in the way")                                                          \
        /* bytes */                                                                                                    \
        X(OVERSIZE, "oversize", REFUSE, 3, "The message is larger than the protocol allows")                           \
        X(MALFORMED, "malformed", REFUSE, 3, "The message is not well-formed")                                         \
        X(ENCODING, "bad-encoding", REFUSE, 3, "The message holds bytes that are not valid base64 or UTF-8")           \
        X(TYPE, "wrong-type", REFUSE, 3, "The signed payload is of a type that this channel does not take")            \
        X(VERSION, "unknown-version", REFUSE, 3, "The payload is of a version that this host does not know")           \
        X(FIELD, "unknown-field", REFUSE, 3, "The payload has a field that this host does not know")                   \
        X(SCHEMA, "bad-field", REFUSE, 3, "A field of the payload is missing, of the wrong type or out of range")      \
        X(BUSY, "busy", WAIT, 3, "The gate is limiting this client; the same signed file can be sent again")           \
        /* signatures and authority */                                                                                 \
        X(UNTRUSTED, "untrusted-signer", REFUSE, 3, "No signature is by a key that the trust root names")              \
        X(SIGNATURE, "bad-signature", REFUSE, 3, "A signature by a trusted key does not match the bytes")              \
        X(FLEET, "wrong-fleet", REFUSE, 3, "The command was signed for another fleet")                                 \
        X(HOST, "wrong-host", REFUSE, 3, "The command is not addressed to this host")                                  \
        X(ROLE, "wrong-role", REFUSE, 3, "No role of the signers may order this verb")                                 \
        X(THRESHOLD, "threshold", REFUSE, 3, "More people have to sign the same bytes")                                \
        X(SEVERITY, "severity", REFUSE, 3, "The signers' role may not order this verb at this severity")               \
        X(TARGET_CLASS, "target-class", REFUSE, 3,                                                                     \
          "The signers' role may not order this verb for this kind of target")                                         \
        X(LEASE_REQUIRED, "lease-required", REFUSE, 3, "The signers' role may hold only with a lease")                 \
        X(LEASE_LONG, "lease-too-long", REFUSE, 3, "The lease is longer than the signers' role may ask for")           \
        X(BUDGET, "budget", WAIT, 3,                                                                                   \
          "Automation has used up what it may hold on this host for this incident, or in a day")                       \
        X(NOT_OWNER, "not-owner", REFUSE, 3, "Automation may extend only holds of automation")                         \
        X(NO_TRUST, "no-trust-root", WAIT, 3, "This host has no trust root yet")                                       \
        X(TRUST_CHAIN, "trust-chain", REFUSE, 3, "The trust root is not signed by the thresholds it needs")            \
        X(ROOT_STALE, "root-stale", WAIT, 3, "The signer knows a newer trust root than this host")                     \
        /* time and replay */                                                                                          \
        X(EXPIRED, "expired", REFUSE, 3, "The command has expired")                                                    \
        X(NOT_YET, "not-yet-valid", WAIT, 3, "The command was signed in this host's future")                           \
        X(SUPERSEDED, "superseded", REFUSE, 3, "The hold was released before its order arrived")                       \
        X(NO_HOLD, "no-such-hold", REFUSE, 3, "The command names a hold that is not active here")                      \
        X(ID_REUSED, "id-reused", REFUSE, 3, "The command's id was used before with other bytes")                      \
        /* targets */                                                                                                  \
        X(PROTECTED, "protected", REFUSE, 3,                                                                           \
          "The target is, contains or is contained by something that must keep running")                               \
        X(NO_TARGET, "no-such-target", REFUSE, 3, "The target does not exist on this host")                            \
        X(AMBIGUOUS, "ambiguous-target", REFUSE, 3, "More than one thing on this host goes by that name")              \
        X(NOT_RUNNING, "not-running", REFUSE, 3, "The target exists but has no running process to hold")               \
        X(NO_CGROUP2, "no-cgroup2", REFUSE, 3, "This host has no unified cgroup hierarchy")                            \
        X(LIMIT, "limit", WAIT, 3, "The host holds as many targets, holds or addresses as it can account for")         \
        X(NO_RECIPIENT, "no-recipient", REFUSE, 3, "The trust root names nobody to whom evidence could be sealed")     \
        X(NO_SUCH_EVIDENCE, "no-such-evidence", REFUSE, 3, "This host has no such evidence, or is deleting it")        \
        X(LEGAL_HOLD, "legal-hold", REFUSE, 3, "The evidence is under a legal hold, which has to be lifted first")     \
        X(STILL_HELD, "still-held", WAIT, 3, "What the evidence is of is still held, or still being preserved")        \
        /* the host is not in order */                                                                                 \
        X(CLOCK, "clock-untrusted", FLAG, 3, "The host's clock is provably wrong")                                     \
        X(ROOT_EXPIRED, "root-expired", FLAG, 3, "The trust root has expired")                                         \
        X(LEDGER, "ledger-failed", FLAG, 1, "The ledger cannot take a record")                                         \
        X(INTERNAL, "machine-failed", WAIT, 1, "The agent could not carry out a step; its log has the errno")          \
        /* what is not in force */                                                                                     \
        X(NOT_FROZEN, "not-frozen", GAP, 4, "The kernel does not report the target's processes as frozen")             \
        X(NO_BPF, "no-bpf", GAP, 4, "The kernel refused an isolation program")                                         \
        X(FOREIGN_BPF, "foreign-bpf", GAP, 4, "A program attached by someone else keeps ours off the cgroup")          \
        X(LINK_LOST, "link-lost", GAP, 4, "An isolation program is no longer attached to the held cgroup")             \
        X(SOCKETS_LEFT, "sockets-left", GAP, 4, "Connections of the target could not be destroyed")                    \
        X(FOREIGN_SOCKET, "foreign-socket", GAP, 4,                                                                    \
          "A process of the target owns a socket that belongs to another cgroup")                                      \
        X(NETNS, "netns-unreachable", GAP, 4, "A network namespace of the target could not be entered")                \
        X(PACKET_SOCKETS, "packet-sockets", GAP, 4,                                                                    \
          "A running process of the target has or may open packet or other sockets, or devices, that bypass "          \
          "isolation")                                                                                                 \
        X(LOADED_BPF, "loaded-bpf", GAP, 4,                                                                            \
          "A process of the target has BPF programs in the kernel, which run on whatever is done to it")               \
        X(SELFTEST_LEAK, "selftest-leak", GAP, 4, "The self-test got a byte out of the held cgroup")                   \
        X(SELFTEST_CUT, "selftest-cut", GAP, 4, "The self-test could not reach a permitted address")                   \
        X(SELFTEST_NOT_RUN, "selftest-not-run", GAP, 4, "The self-test could not be run inside the target")            \
        X(CGROUP_REPLACED, "cgroup-replaced", GAP, 4, "The held cgroup is gone or is not the one that was held")       \
        X(RESTARTABLE, "restartable", GAP, 4, "The service manager could not be kept from starting the target anew")   \
        X(MOVED_OUT, "moved-out", GAP, 4, "A process that was held is in another cgroup")                              \
        X(ELSEWHERE, "elsewhere", GAP, 4, "Processes of the target run outside of what is held")                       \
        X(NOT_DELETED, "not-deleted", GAP, 4, "Some of the evidence could not be deleted yet; it is tried again")      \
        X(UPLINK, "uplink-open", GAP, 4, "A network interface of the host carries no isolation program")               \
        X(MANAGEMENT, "management-cut", GAP, 4,                                                                        \
          "The management path did not answer, so the isolation of the host was taken back")                           \
        X(HELD_BY_OTHER, "held-by-other", NOTE, 0, "Another active hold still keeps the target contained")             \
        X(PERSISTS, "persists", GAP, 4, "What the release was to undo is still in force")                              \
        /* facts worth telling */                                                                                      \
        X(CLOCK_UNSYNC, "clock-unsynchronised", NOTE, 0, "The host's clock is not synchronised")                       \
        X(CLOCK_SKEW, "clock-skew", NOTE, 0, "The signer's clock and this host's differ by more than ten minutes")     \
        X(RECOVERED, "recovered", NOTE, 0, "The agent died while carrying this out and finished it when it came back") \
        X(REINFORCED, "re-enforced", NOTE, 0, "Something had undone part of the hold; it was put back")                \
        X(NO_SYSTEMD, "no-systemd", NOTE, 0, "PID 1 is not systemd; cgroups were used directly")                       \
        X(SYSTEMD_UNAWARE, "systemd-unaware", NOTE, 0,                                                                 \
          "The service manager could not be told that the unit is frozen")                                             \
        X(WATCHDOG, "unit-watchdog", NOTE, 0,                                                                          \
          "The unit has a watchdog; this service manager kills it when it expires")                                    \
        X(UNGUARDED, "unguarded", NOTE, 0,                                                                             \
          "This kernel runs no BPF LSM programs, or what is held is 24 levels deep or more, or a whole host's "        \
          "network: root can signal, trace, move or thaw it, or move to who is let through, and is only seen")         \
        X(PROXIES, "proxies", NOTE, 0,                                                                                 \
          "Others on this host, the kernel among them, may carry out or pass on what the target gives or gave them")   \
        X(KERNEL_PACKETS, "kernel-packets", NOTE, 0,                                                                   \
          "For some seconds the kernel may still send in its own name what the target had it begin")                   \
        X(UNWATCHED, "unwatched", NOTE, 0,                                                                             \
          "Who gets out may go unseen: this kernel tells of no cgroup events, or keeps no more processes")             \
        X(PENDING_SIGNALS, "pending-signals", NOTE, 0,                                                                 \
          "A fatal signal waits for a frozen process and ends it when it is thawed")                                   \
        X(STILL_ISOLATED, "still-isolated", NOTE, 0, "The target runs again and is still cut off from the network")    \
        X(SESSIONS, "sessions-left", NOTE, 0, "Login sessions were left running so that people can still get in")      \
        X(NO_EVIDENCE, "evidence-failed", NOTE, 0, "The snapshot could not be taken")                                  \
        X(NOT_PRESERVED, "not-preserved", NOTE, 0,                                                                     \
          "No evidence is taken: the trust root names nobody to whom it could be sealed")                              \
        X(NO_ROOM, "no-room", NOTE, 0,                                                                                 \
          "There is no room for more evidence, and none that is sealed is given up for it")                            \
        X(LITTLE_ROOM, "little-room", NOTE, 0, "There was less room for the evidence than the policy allows it")       \
        X(EVIDENCE_HOLES, "evidence-holes", NOTE, 0, "Some of what the snapshot should hold could not be read")        \
        X(UNKNOWN_HOLD, "unknown-hold", NOTE, 0,                                                                       \
          "The ledger does not know this hold; an order for it will be refused if it comes")                           \
        X(NOT_SEPARABLE, "not-separable", REFUSE, 3, "The process cannot be given a cgroup of its own")                \
        X(SILENT, "silent", REFUSE, 5, "No answer came in time")                                                       \
        /* the fleet */                                                                                                \
        X(TOO_BROAD, "too-broad", REFUSE, 3, "The order may reach more hosts than the signers' role may")              \
        X(ATTRIBUTES_STALE, "attributes-stale", REFUSE, 3, "Newer attributes of this host are in force")               \
        X(HEAD_STALE, "head-stale", NOTE, 0, "This host hears no fresh head of its fleet: orders may be kept from it") \
        X(WITHHELD, "withheld", NOTE, 0, "The fleet's head names an order for this host that has not come")            \
        X(FOREIGN_ID, "foreign-id", REFUSE, 3, "Its id does not end as the fingerprint of a key begins that signed it")

enum reason_kind {
        REASON_KIND_REFUSE,
        REASON_KIND_WAIT,
        REASON_KIND_FLAG,
        REASON_KIND_GAP,
        REASON_KIND_NOTE,
};

enum reason {
#define X(name, id, kind, exit_code, text) REASON_##name,
        REASON_TABLE(X)
#undef X
                _REASON_MAX,
};

_Static_assert(_REASON_MAX <= 128, "a set of reasons is one word of gcc's and clang's widest kind");

/* A set of reasons. Receipts list its members in table order. */
typedef unsigned __int128 reason_set;

static inline reason_set reason_bit(enum reason r) {
        return r == REASON_NONE ? 0 : (reason_set) 1 << r;
}

/* Outside the table (a corrupt byte, a newer peer) the text is that of INTERNAL, the kind REFUSE and the exit code
 * 1; the id is NULL. */

/* The kebab-case id, which is the contract. Never NULL for a reason of the table. */
const char *reason_id(enum reason r);
/* One sentence for people. */
const char *reason_text(enum reason r);
enum reason_kind reason_kind(enum reason r);
/* Was it refused for what may pass? A release is by a FLAG, too; and what has no name here may be anything. */
bool reason_may_pass(enum reason r);
/* What freezectl exits with when this is the answer. */
int reason_exit(enum reason r);
/* True and *ret set when id is in the table; false and *ret untouched otherwise. */
bool reason_from_id(const char *id, enum reason *ret);
/* True when the set holds a reason of that kind. */
bool reason_set_has_kind(reason_set set, enum reason_kind kind);

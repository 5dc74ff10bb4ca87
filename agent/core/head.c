/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/head.h"

#include <fcntl.h>
#include <string.h>

#include "agent/core/epochkey.h"
#include "agent/core/record.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/log.h"

#define NAME         "checkpoint"
#define NAME_NEXT    "checkpoint.next"
#define HEARTBEAT_US (UINT64_C(3600) * 1000 * 1000)
/* a heartbeat may wait for others that wake the machine at about the same time */
#define SLACK_US (UINT64_C(60) * 1000 * 1000)

static struct note_key host_signer(const struct agent *a) {
        struct note_key k = { .type = NOTE_ED25519 };

        note_origin(hostkey_public(a->key)->id, k.name);
        memcpy(k.pub, hostkey_public(a->key)->pub, sizeof(k.pub));
        return k;
}

static struct note_key epoch_signer(const struct agent *a) {
        struct note_key k = host_signer(a);

        strcat(k.name, "/epoch");
        memcpy(k.pub, epochkey_epoch(a->epoch)->pub, sizeof(k.pub));
        return k;
}

/* What this host has signed cannot be taken back: fewer records, or others, are not its ledger. */
static int compare(struct agent *a, const struct checkpoint *c) {
        const unsigned long long is_signed = c->n, is_there = ledger_head(a->ledger).n;
        const struct log_fields *fields = LOG_FIELDS(.stage = "start", .reason = reason_id(REASON_LEDGER));
        uint8_t root[MERKLE_HASH_SIZE];
        int r = ledger_root_at(a->ledger, c->n, root);

        if (r == 0 && memcmp(root, c->root, sizeof(root)) != 0)
                r = -EBADMSG;
        if (r == 0)
                a->checkpoint_n = c->n;
        else if (r == -ENOENT)
                log_event(LOG_ERR, NULL, fields, "The ledger was rolled back: %llu records were signed, %llu are there",
                          is_signed, is_there);
        else if (r == -EBADMSG)
                log_event(LOG_ERR, NULL, fields,
                          "The ledger was changed: the %llu records that were signed are not the first of the %llu "
                          "that are there",
                          is_signed, is_there);
        else
                log_event(LOG_ERR, NULL, fields,
                          "The ledger cannot be held against its checkpoint: the %llu records that were signed cannot "
                          "be read again: %s",
                          is_signed, strerror(-r));
        /* FAIL-CLOSED: what was cut off may have been the order that a release undoes */
        if (r < 0)
                ledger_distrust(a->ledger);
        return r == -ENOENT ? -EBADMSG : r;
}

/* False unless this host signed it. */
static bool parse(const char *text, size_t n, const struct note_key *k, struct checkpoint *ret) {
        struct note note;

        return note_parse(text, n, &note) == 0 && note_check(&note, k, NULL) == NOTE_SIGNED &&
               checkpoint_parse(note.text, note.n_text, ret) == 0 && strcmp(ret->origin, k->name) == 0;
}

int head_check(struct agent *a, const char *dir) {
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        const struct note_key k = host_signer(a);
        struct checkpoint c;
        size_t n;
        int r = fd < 0 ? -errno : io_read_file(fd, NAME, NOTE_MAX, &text, &n);

        if (r == -ENOENT || r == -ENOMEM)
                return r == -ENOENT ? 0 : r;
        if (r == 0 && parse(text, n, &k, &c))
                return compare(a, &c);
        log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"),
                  "%s/" NAME " says nothing: %s. That the ledger was not rolled back is not known", dir,
                  r < 0    ? strerror(-r)
                  : n == 0 ? "it is empty, as after a power cut"
                           : "it is none that this host signed");
        return 0;
}

struct seal_position head_position(const struct agent *a) {
        struct seal_position p = { 0 };

        if (!a->ledger)
                return p;
        p.n = ledger_head(a->ledger).n;
        p.epoch = epochkey_epoch(a->epoch)->number;
        ledger_root(a->ledger, p.root);
        return p;
}

bool head_is_due(const struct agent *a) {
        return agent_ledger_ok(a) && ledger_head(a->ledger).n != a->checkpoint_n;
}

/* Whole or as it was, and not synced: what a power cut takes of it is made again from the records, which are on the
 * disk, and the next order does not wait for it. */
static int replace(int dir, const char *text, size_t n) {
        _cleanup_close_ int fd = openat(dir, NAME_NEXT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        int r = fd < 0 ? -errno : io_write_all(fd, text, n);

        if (r == 0 && renameat(dir, NAME_NEXT, dir, NAME) < 0)
                r = -errno;
        return r;
}

static int write_head(struct agent *a) {
        const struct note_key host = host_signer(a), epoch = epoch_signer(a);
        struct checkpoint c = { .n = ledger_head(a->ledger).n };
        char text[NOTE_TEXT_SIZE], by_host[NOTE_LINE_SIZE], by_epoch[NOTE_LINE_SIZE] = "";
        _cleanup_free_ char *dir = NULL, *note = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint8_t sig[64];
        int n, r = fault_effect("checkpoint");

        strcpy(c.origin, host.name);
        ledger_root(a->ledger, c.root);
        checkpoint_to_text(&c, text);
        hostkey_sign(a->key, (uint8_t *) text, strlen(text), sig);
        note_line(&host, 0, sig, by_host);
        if (epochkey_is_there(a->epoch)) {
                epochkey_sign(a->epoch, (uint8_t *) text, strlen(text), sig);
                note_line(&epoch, 0, sig, by_epoch);
        }
        n = asprintf(&note, "%s\n%s%s", text, by_host, by_epoch);
        if (n < 0 || asprintf(&dir, "%s/ledger", a->config.state) < 0)
                return -ENOMEM;
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return r < 0 ? r : replace(fd, note, (size_t) n);
}

void head_write(struct agent *a) {
        int r;

        if (!head_is_due(a))
                return;
        /* Also when it fails: the next record is the next occasion, and until then the disk is left alone. */
        a->checkpoint_n = ledger_head(a->ledger).n;
        r = write_head(a);
        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "record"), "No checkpoint of the ledger: %s",
                          strerror(-r));
}

void head_turn(struct agent *a, enum epoch_why why) {
        struct epoch e = { .number = 0 };
        int r;

        if (!agent_ledger_ok(a))
                return;
        if (!epochkey_is_there(a->epoch))
                why = epochkey_why(a->epoch, a->boot_id);
        e.size = ledger_head(a->ledger).n;
        ledger_root(a->ledger, e.root);
        r = epochkey_next(a->epoch, a->key, why, &e);
        if (r == 0)
                r = record_epoch(a, epoch_to_json(&e));
        if (r == 0)
                epochkey_commit(a->epoch, a->boot_id);
        else {
                epochkey_drop(a->epoch);
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "record"), "No new epoch of the ledger: %s",
                          strerror(-r));
        }
}

static int on_heartbeat(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;

        (void) usec;
        head_turn(a, EPOCH_HOUR);
        (void) sd_event_source_set_time_relative(s, HEARTBEAT_US);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

void head_begin(struct agent *a) {
        int r;

        /* not where the ledger could not be read: the key that is there may be another core's */
        if (agent_ledger_ok(a) && !epochkey_resume(a->epoch))
                head_turn(a, EPOCH_HOUR);
        r = sd_event_add_time_relative(a->event, &a->heartbeat, CLOCK_BOOTTIME, HEARTBEAT_US, SLACK_US, on_heartbeat,
                                       a);
        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "start"), "No heartbeat: %s", strerror(-r));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <sodium.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "agent/core/epochkey.h"
#include "lib/scratch.h"

static const uint8_t boot[16] = { 1 }, next_boot[16] = { 2 };

struct rig {
        struct scratch s;
        struct hostkey *host;
        struct epochkey *k;
        char origin[NOTE_ORIGIN_SIZE];
        char socket[96];
};

static void rig_make(struct rig *r) {
        *r = (struct rig) { 0 };
        scratch_make(&r->s);
        assert_int_equal(hostkey_open(r->s.path, &r->host), 0);
        note_origin(hostkey_public(r->host)->id, r->origin);
        (void) snprintf(r->socket, sizeof(r->socket), "%s/core.sock", r->s.path);
        assert_int_equal(epochkey_new(r->socket, &r->k), 0);
}

static void rig_done(struct rig *r) {
        epochkey_free(r->k);
        hostkey_free(r->host);
        scratch_remove(&r->s);
}

#define _cleanup_rig_ _cleanup_(rig_done)

static struct epoch next(struct rig *r, enum epoch_why why) {
        struct epoch e = { .size = 5 };

        assert_int_equal(epochkey_next(r->k, r->host, why, &e), 0);
        return e;
}

static struct epoch turn(struct rig *r, enum epoch_why why) {
        struct epoch e = next(r, why);

        epochkey_commit(r->k, boot);
        return e;
}

/* What a core finds that is started after the last one ended, with these epochs in the ledger. */
static void restart(struct rig *r, const struct epoch *last) {
        _cleanup_json_ json_t *body = epoch_to_json(last);

        epochkey_free(TAKE_PTR(r->k));
        assert_int_equal(epochkey_new(r->socket, &r->k), 0);
        assert_int_equal(epochkey_replay(r->k, body, boot), 0);
}

static bool signs_as(const struct rig *r, const struct epoch *e) {
        uint8_t sig[64];

        epochkey_sign(r->k, (const uint8_t *) "text", 4, sig);
        return crypto_sign_verify_detached(sig, (const uint8_t *) "text", 4, e->pub) == 0;
}

static bool is_there(const struct rig *r, const char *name) {
        return access(scratch_path(&r->s, name), F_OK) == 0;
}

static void each_epoch_is_certified_by_the_one_before(void **state) {
        _cleanup_rig_ struct rig r;
        struct epoch first, second, third;

        (void) state;
        rig_make(&r);
        assert_false(epochkey_is_there(r.k));
        assert_int_equal(epochkey_why(r.k, boot), EPOCH_FIRST);
        first = turn(&r, EPOCH_FIRST);
        second = turn(&r, EPOCH_HOUR);
        third = turn(&r, EPOCH_EVIDENCE);
        assert_true(epoch_is_signed(&first, r.origin, hostkey_public(r.host)->pub));
        assert_true(epoch_is_signed(&second, r.origin, first.pub));
        assert_true(epoch_is_signed(&third, r.origin, second.pub));
        assert_false(epoch_is_signed(&third, r.origin, first.pub));
        assert_false(epoch_is_signed(&third, r.origin, hostkey_public(r.host)->pub));
        assert_int_equal(third.number, 3);
        assert_true(signs_as(&r, &third));
        assert_int_equal(epochkey_epoch(r.k)->number, 3);
}

/* The bytes of the file that there was are looked at through a descriptor that was opened while it was the key's. */
static void the_key_before_is_overwritten_and_not_only_unlinked(void **state) {
        _cleanup_rig_ struct rig r;
        uint8_t was[32], is[32];

        (void) state;
        rig_make(&r);
        (void) turn(&r, EPOCH_FIRST);
        _cleanup_close_ int fd = open(scratch_path(&r.s, "epoch_key"), O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, was, 32, 0), 32);
        assert_false(sodium_is_zero(was, 32));
        (void) turn(&r, EPOCH_HOUR);
        assert_int_equal(pread(fd, is, 32, 0), 32);
        assert_true(sodium_is_zero(is, 32));
        _cleanup_(scratch_bytes_done) struct scratch_bytes now = scratch_read(scratch_path(&r.s, "epoch_key"));
        assert_int_equal(now.n, 32);
        assert_memory_not_equal(now.data, was, 32);
        assert_false(is_there(&r, "epoch_key.next"));
}

static void a_restart_goes_on_with_the_key(void **state) {
        _cleanup_rig_ struct rig r;
        struct epoch e;

        (void) state;
        rig_make(&r);
        (void) turn(&r, EPOCH_FIRST);
        e = turn(&r, EPOCH_HOUR);
        restart(&r, &e);
        assert_true(epochkey_resume(r.k));
        assert_true(signs_as(&r, &e));
}

/* Dead before the record: the old key is in force. Dead after it: the new one is. */
static void a_core_that_died_at_a_turn_goes_on_with_what_the_ledger_says(void **state) {
        for (int recorded = 0; recorded < 2; recorded++) {
                _cleanup_rig_ struct rig r;
                struct epoch old, new;
                int killed;

                (void) state;
                rig_make(&r);
                old = turn(&r, EPOCH_FIRST);
                new = next(&r, EPOCH_HOUR);
                /* as a kill leaves it: nothing of epochkey_free is about files */
                killed = is_there(&r, "epoch_key") && is_there(&r, "epoch_key.next");
                assert_true(killed);
                restart(&r, recorded ? &new : &old);
                assert_true(epochkey_resume(r.k));
                assert_true(signs_as(&r, recorded ? &new : &old));
                assert_false(is_there(&r, "epoch_key.next"));
                restart(&r, recorded ? &new : &old);
                assert_true(epochkey_resume(r.k));
        }
}

static void a_turn_that_is_not_recorded_changes_nothing(void **state) {
        _cleanup_rig_ struct rig r;
        struct epoch e;

        (void) state;
        rig_make(&r);
        e = turn(&r, EPOCH_FIRST);
        (void) next(&r, EPOCH_HOUR);
        epochkey_drop(r.k);
        assert_true(signs_as(&r, &e));
        assert_false(is_there(&r, "epoch_key.next"));
        assert_int_equal(turn(&r, EPOCH_HOUR).number, 2);
}

static void a_lost_key_is_said_to_be_lost(void **state) {
        _cleanup_rig_ struct rig r;
        struct epoch e = { .size = 1 };

        (void) state;
        rig_make(&r);
        e = turn(&r, EPOCH_FIRST);
        assert_int_equal(unlink(scratch_path(&r.s, "epoch_key")), 0);
        restart(&r, &e);
        assert_false(epochkey_resume(r.k));
        assert_int_equal(epochkey_why(r.k, boot), EPOCH_LOST);
        assert_int_equal(epochkey_why(r.k, next_boot), EPOCH_BOOT);
        assert_int_equal(epochkey_next(r.k, r.host, EPOCH_HOUR, &e), -ESRCH);
        e = turn(&r, EPOCH_LOST);
        assert_int_equal(e.number, 2);
        assert_true(epoch_is_signed(&e, r.origin, hostkey_public(r.host)->pub));
}

static void what_lies_in_the_place_of_a_key_is_not_taken_and_not_followed(void **state) {
        static const char *const commands[] = { "ln -s victim epoch_key", "mkfifo epoch_key", "mkdir epoch_key",
                                                "head -c 32 /dev/urandom >epoch_key", ": >epoch_key" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                _cleanup_rig_ struct rig r;
                char line[512];
                struct epoch e;

                rig_make(&r);
                e = turn(&r, EPOCH_FIRST);
                (void) snprintf(line, sizeof(line), "cd %s && rm epoch_key && echo precious >victim && %s", r.s.path,
                                commands[i]);
                assert_int_equal(system(line), 0); /* NOLINT: fixed commands */
                restart(&r, &e);
                assert_false(epochkey_resume(r.k));
                (void) turn(&r, EPOCH_LOST);
                _cleanup_(scratch_bytes_done) struct scratch_bytes victim = scratch_read(scratch_path(&r.s, "victim"));
                assert_int_equal(victim.n, strlen("precious\n"));
                assert_memory_equal(victim.data, "precious\n", victim.n);
        }
}

/* A disk would still have the key after it was erased. */
static void a_key_is_never_written_to_a_disk(void **state) {
        char path[] = "/var/tmp/freezed-epochkey-XXXXXX", socket[64], line[96];
        struct epochkey *k = NULL;
        struct epoch e = { .size = 0 };
        _cleanup_rig_ struct rig r;
        struct statfs st;

        (void) state;
        rig_make(&r);
        assert_non_null(mkdtemp(path));
        assert_int_equal(statfs(path, &st), 0);
        (void) snprintf(socket, sizeof(socket), "%s/core.sock", path);
        assert_int_equal(epochkey_new(socket, &k), 0);
        assert_int_equal(epochkey_next(k, r.host, EPOCH_FIRST, &e), 0);
        epochkey_commit(k, boot);
        assert_true(epochkey_is_there(k));
        epochkey_free(k);
        (void) snprintf(line, sizeof(line), "%s/epoch_key", path);
        if (st.f_type == TMPFS_MAGIC)
                print_message("/var/tmp is a tmpfs here: nothing was tried\n");
        else
                assert_int_equal(access(line, F_OK), -1);
        (void) unlink(line);
        assert_int_equal(rmdir(path), 0);
}

/* In a mount namespace of its own. */
static bool mount_memory(const struct rig *r) {
        return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mkdir(scratch_path(&r->s, "epoch"), 0700) == 0 &&
               mount("ramfs", scratch_path(&r->s, "epoch"), "ramfs", 0, "mode=0700") == 0;
}

static void a_key_is_where_nothing_is_swapped_if_there_is_such_a_place(void **state) {
        const int here = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
        _cleanup_rig_ struct rig r;
        uint8_t was[32] = { 1 };
        struct epoch e;

        (void) state;
        rig_make(&r);
        (void) turn(&r, EPOCH_FIRST);
        _cleanup_close_ int before = open(scratch_path(&r.s, "epoch_key"), O_RDONLY | O_CLOEXEC);
        if (geteuid() != 0 || !mount_memory(&r)) {
                (void) close(here);
                print_message("skip: nobody but root mounts\n");
                skip();
        }
        epochkey_free(TAKE_PTR(r.k));
        assert_int_equal(epochkey_new(r.socket, &r.k), 0);
        assert_false(is_there(&r, "epoch_key"));
        assert_int_equal(pread(before, was, 32, 0), 32);
        assert_true(sodium_is_zero(was, 32));
        e = turn(&r, EPOCH_FIRST);
        assert_true(is_there(&r, "epoch/epoch_key"));
        assert_false(is_there(&r, "epoch_key"));
        restart(&r, &e);
        assert_true(epochkey_resume(r.k));
        assert_true(signs_as(&r, &e));
        epochkey_free(TAKE_PTR(r.k));
        assert_int_equal(umount2(scratch_path(&r.s, "epoch"), MNT_DETACH), 0);
        /* a directory of that name is not enough: it would be as good as the disk that it is on */
        assert_int_equal(epochkey_new(r.socket, &r.k), 0);
        (void) turn(&r, EPOCH_FIRST);
        assert_false(is_there(&r, "epoch/epoch_key"));
        assert_int_equal(setns(here, CLONE_NEWNS), 0);
        (void) close(here);
}

static void a_record_that_is_none_is_not_replayed(void **state) {
        _cleanup_json_ json_t *body = json_pack("{s:i}", "epoch", 1);
        _cleanup_rig_ struct rig r;

        (void) state;
        rig_make(&r);
        assert_int_equal(epochkey_replay(r.k, body, boot), -EBADMSG);
        assert_int_equal(epochkey_epoch(r.k)->number, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_epoch_is_certified_by_the_one_before),
                cmocka_unit_test(the_key_before_is_overwritten_and_not_only_unlinked),
                cmocka_unit_test(a_restart_goes_on_with_the_key),
                cmocka_unit_test(a_core_that_died_at_a_turn_goes_on_with_what_the_ledger_says),
                cmocka_unit_test(a_turn_that_is_not_recorded_changes_nothing),
                cmocka_unit_test(a_lost_key_is_said_to_be_lost),
                cmocka_unit_test(what_lies_in_the_place_of_a_key_is_not_taken_and_not_followed),
                cmocka_unit_test(a_key_is_never_written_to_a_disk),
                cmocka_unit_test(a_key_is_where_nothing_is_swapped_if_there_is_such_a_place),
                cmocka_unit_test(a_record_that_is_none_is_not_replayed),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include <openssl/sha.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/core/segment.h"
#include "agent/util/alive.h"
#include "lib/ledger_box.h"

static void ledger_gives_back_what_was_appended(void **state) {
        static const uint8_t zeros[32];
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        struct ledger_head head;

        (void) state;
        scratch_make(&s);
        l = box_open(scratch_path(&s, "state/ledger"));
        assert_int_equal(ledger_head(l).n, 0);
        assert_memory_equal(ledger_head(l).hash, zeros, 32);
        box_append(l, 7);
        head = ledger_head(l);
        assert_int_equal(head.n, 7);
        assert_int_equal(ledger_read(l, 0, &body), -ENOENT);
        assert_int_equal(ledger_read(l, 8, &body), -ENOENT);
        assert_null(body);
        ledger_free(TAKE_PTR(l));
        l = box_open(scratch_path(&s, "state/ledger"));
        assert_memory_equal(ledger_head(l).hash, head.hash, 32);
        assert_int_equal(ledger_head(l).n, 7);
        assert_int_equal(ledger_read(l, 7, &body), 0);
        assert_string_equal(json_string_value(json_object_get(body, "text")), "a line\nand \"more\" of it");
}

/* By another implementation of the hash and of the format, from the header's text. */
static void ledger_writes_the_format_of_its_header(void **state) {
        char prev[65] = "0000000000000000000000000000000000000000000000000000000000000000";
        _cleanup_scratch_ struct scratch s;
        uint32_t at = 0;
        struct stat st;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, "00000001.log"));
        assert_int_equal(b.n, BOX_SEGMENT);
        for (int i = 1; i <= 5; i++) {
                uint32_t n = (uint32_t) b.data[at] << 24 | (uint32_t) b.data[at + 1] << 16 |
                             (uint32_t) b.data[at + 2] << 8 | b.data[at + 3];
                uint8_t leaf[4096] = { 0x00 }, hash[32];
                _cleanup_json_ json_t *body = NULL;

                memcpy(leaf + 1, b.data + at + 4, n);
                assert_null(memchr(leaf + 1, '\n', n));
                SHA256(leaf, n + 1, hash);
                assert_memory_equal(hash, b.data + at + 4 + n, 32);
                body = json_loadb((char *) leaf + 1, n, JSON_REJECT_DUPLICATES, NULL);
                assert_int_equal(json_integer_value(json_object_get(body, "n")), i);
                assert_string_equal(json_string_value(json_object_get(body, "prev")), prev);
                for (size_t j = 0; j < 32; j++)
                        (void) snprintf(prev + 2 * j, 3, "%02x", hash[j]);
                at += 4 + n + 32;
        }
        for (; at < b.n; at++)
                assert_int_equal(b.data[at], 0);
        assert_int_equal(stat(scratch_path(&s, "00000001.log"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

static void ledger_takes_any_object_and_nothing_else(void **state) {
        static const char *const texts[] = { "{}", "{\"n\":99,\"prev\":5}",
                                             "{\"a\":[1,{\"b\":null}],\"\\u00e9\":\"\\u2028\"}" };
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &(bool) { false }, &l), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(ledger_append(l, json_loads(texts[i], 0, NULL), NULL), 0);
        assert_int_equal(ledger_append(l, json_pack("{s:s#}", "nul", "a\0b", 3), NULL), 0);
        assert_int_equal(ledger_append(l, json_array(), NULL), -EINVAL);
        assert_int_equal(ledger_append(l, NULL, NULL), -EINVAL);
        assert_int_equal(ledger_append(l, json_pack("{s:o}", "s", json_string_nocheck("\xff")), NULL), -EINVAL);
        assert_true(ledger_ok(l));
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, 4);
        assert_int_equal(ledger_read(l, 4, &body), 0);
        assert_int_equal(json_string_length(json_object_get(body, "nul")), 3);
}

/* jansson writes what it does not read: such a record must not make its own ledger unreadable. */
static void ledger_append_refuses_what_could_not_be_read_again(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t n = 0;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        for (unsigned depth = 2040; depth < 2056; depth++) {
                json_t *j = json_object();

                for (unsigned i = 1; i < depth; i++)
                        j = json_pack("{s:o}", "d", j);
                if (ledger_append(l, j, NULL) == 0)
                        n++;
        }
        assert_true(n > 0 && n < 16);
        json_t *nul_in_key = json_object();

        assert_int_equal(json_object_setn_new_nocheck(nul_in_key, "a\0b", 3, json_null()), 0);
        assert_int_equal(ledger_append(l, nul_in_key, NULL), -EINVAL);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, n);
}

static json_t *record_of_size(size_t n_text) {
        char *text = malloc(n_text + 1);
        json_t *j;

        memset(text, 'x', n_text);
        text[n_text] = '\0';
        j = json_pack("{s:s}", "t", text);
        free(text);
        return j;
}

static void ledger_append_refuses_what_is_too_large(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        size_t frame = strlen("{\"t\":\"\",\"n\":1,\"prev\":\"\"}") + 64;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(scratch_path(&s, "a"), LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_append(l, record_of_size(LEDGER_RECORD_MAX - frame + 1), NULL), -E2BIG);
        assert_int_equal(ledger_append(l, record_of_size(LEDGER_RECORD_MAX - frame), NULL), 0);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(scratch_path(&s, "a"), LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, 1);
        ledger_free(TAKE_PTR(l));
        l = box_open(scratch_path(&s, "b"));
        assert_int_equal(ledger_append(l, record_of_size(BOX_SEGMENT - SEGMENT_OVERHEAD - frame + 1), NULL), -E2BIG);
        assert_int_equal(ledger_append(l, record_of_size(BOX_SEGMENT - SEGMENT_OVERHEAD - frame), NULL), 0);
        assert_int_equal(ledger_room(l), 0);
        assert_int_equal(access(scratch_path(&s, "b/00000002.log"), F_OK), -1);
        assert_true(ledger_ok(l));
        assert_int_equal(ledger_open(scratch_path(&s, "c"), SEGMENT_OVERHEAD, NULL, NULL, &(bool) { false }, &l),
                         -EINVAL);
}

/* What is left of a segment is used to the last byte, and not a byte beyond. */
static void ledger_append_goes_on_to_the_next_segment_when_it_has_to(void **state) {
        size_t frame = strlen("{\"t\":\"\",\"n\":1,\"prev\":\"\"}") + 64 + SEGMENT_OVERHEAD;

        (void) state;
        for (unsigned over = 0; over <= 1; over++) {
                _cleanup_(ledger_freep) struct ledger *l = NULL;
                _cleanup_scratch_ struct scratch s;
                struct stat st;

                scratch_make(&s);
                l = box_open(s.path);
                assert_int_equal(ledger_append(l, record_of_size(100), NULL), 0);
                assert_int_equal(ledger_append(l, record_of_size(ledger_room(l) - frame + over), NULL), 0);
                assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK) == 0, over == 1);
                assert_int_equal(stat(scratch_path(&s, "00000001.log"), &st), 0);
                assert_int_equal(st.st_size, BOX_SEGMENT);
        }
}

static void ledger_goes_through_many_segments(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        box_append(l, 3000);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(access(scratch_path(&s, "00000100.log"), F_OK), 0);
        struct box_opened o = box_check(s.path);

        assert_int_equal(o.r, 0);
        assert_int_equal(o.n, 3000);
}

static void ledger_prepare_makes_one_reserve_in_steps(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t room;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_room(l), LEDGER_SEGMENT_SIZE);
        for (int i = 0; i < 17; i++) {
                assert_int_equal(ledger_prepare(l), 1);
                assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), -1);
                assert_int_equal(ledger_room(l), LEDGER_SEGMENT_SIZE);
        }
        assert_int_equal(ledger_prepare(l), 0);
        assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), 0);
        assert_int_equal(ledger_room(l), 2 * LEDGER_SEGMENT_SIZE);
        assert_int_equal(ledger_prepare(l), 0);
        assert_int_equal(access(scratch_path(&s, "00000003.log"), F_OK), -1);
        assert_int_equal(ledger_append(l, box_record(1), NULL), 0);
        room = ledger_room(l);
        assert_true(room < 2 * LEDGER_SEGMENT_SIZE && room > 2 * LEDGER_SEGMENT_SIZE - 400);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_room(l), room);
}

static int stop_at_three(const json_t *body, uint64_t n, void *userdata) {
        (void) body;
        return n == 3 ? *(const int *) userdata : 1;
}

static void ledger_open_hands_on_what_the_replay_says(void **state) {
        static const int errors[] = { -EPERM, -ENOSPC };
        struct ledger *l = (struct ledger *) &errors, *untouched = l;
        _cleanup_scratch_ struct scratch s;
        bool torn = true;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                int e = errors[i];

                assert_int_equal(ledger_open(s.path, BOX_SEGMENT, stop_at_three, &e, &torn, &l), e);
                assert_ptr_equal(l, untouched);
                assert_true(torn);
        }
        assert_int_equal(box_check(s.path).n, 5);
}

static int know_all_but_the_third(const json_t *body, uint64_t n, void *userdata) {
        *(uint64_t *) userdata = n;
        (void) body;
        return n == 3 ? -EBADMSG : 0;
}

/* What a newer version recorded does not cost what comes after it. */
static void ledger_open_goes_on_after_what_is_not_understood(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t last = 0;
        bool torn;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, know_all_but_the_third, &last, &torn, &l), -EBADMSG);
        assert_int_equal(last, 5);
        assert_int_equal(ledger_head(l).n, 5);
        assert_false(ledger_ok(l));
        assert_int_equal(ledger_append(l, box_record(6), NULL), -EBADMSG);
        assert_int_equal(ledger_read(l, 5, &body), 0);
        ledger_free(TAKE_PTR(l));
        /* whoever knows it takes it as it was */
        assert_int_equal(box_check(s.path).r, 0);
}

static void ledger_open_refuses_a_second_opener(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL, *second = NULL;
        _cleanup_scratch_ struct scratch s;
        bool torn;
        pid_t pid;
        int lock;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second), -EBUSY);
        assert_null(second);
        pid = fork();
        if (pid == 0)
                _exit(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second) == -EBUSY ? 0 : 1);
        assert_int_equal(scratch_wait(pid), 0);
        assert_int_equal(ledger_lock(s.path, &lock), -EBUSY);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_lock(s.path, &lock), 0);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second), -EBUSY);
        assert_int_equal(ledger_open_locked(lock, BOX_SEGMENT, NULL, NULL, &torn, &second), 0);
        assert_int_equal(ledger_lock(s.path, &lock), -EBUSY);
        ledger_free(TAKE_PTR(second));
        assert_int_equal(ledger_lock(s.path, &lock), 0);
        /* it is given back by whatever it fails on */
        assert_int_equal(ledger_open_locked(lock, SEGMENT_OVERHEAD, NULL, NULL, &torn, &second), -EINVAL);
        l = box_open(s.path);
}

static void ledger_read_sees_what_was_changed_since(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        int fd;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        while (access(scratch_path(&s, "00000002.log"), F_OK) < 0)
                box_append(l, 1);
        fd = open(scratch_path(&s, "00000001.log"), O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "!", 1, 30), 1);
        (void) close(fd);
        assert_int_equal(ledger_read(l, 1, &body), -EBADMSG);
        assert_int_equal(ledger_read(l, 2, &body), 0);
        assert_int_equal(truncate(scratch_path(&s, "00000001.log"), 0), 0);
        assert_int_equal(ledger_read(l, 2, &body), -EBADMSG);
        assert_int_equal(unlink(scratch_path(&s, "00000001.log")), 0);
        assert_int_equal(ledger_read(l, 3, &body), -EBADMSG);
        fd = open(scratch_path(&s, "00000002.log"), O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\0\0\0", 4, 0), 4);
        (void) close(fd);
        json_decref(TAKE_PTR(body));
        assert_int_equal(ledger_read(l, ledger_head(l).n, &body), -EBADMSG);
        assert_null(body);
}

/* A start that reads for longer than the service manager waits is no hang. */
static void ledger_says_that_it_goes_on_while_it_reads(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        _cleanup_scratch_ struct scratch s;
        char heard[256] = "";
        uint8_t root[32];

        (void) state;
        scratch_make(&s);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", scratch_path(&s, "notify"));
        assert_int_equal(bind(manager, (struct sockaddr *) &address, sizeof(address)), 0);
        box_make(scratch_path(&s, "ledger"), 5);
        assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
        (void) usleep(ALIVE_EVERY_US);
        l = box_open(scratch_path(&s, "ledger"));
        assert_true(recv(manager, heard, sizeof(heard) - 1, 0) > 0);
        assert_non_null(strstr(heard, "EXTEND_TIMEOUT_USEC="));
        (void) usleep(ALIVE_EVERY_US);
        assert_int_equal(ledger_root_at(l, 4, root), 0);
        assert_true(recv(manager, heard, sizeof(heard) - 1, 0) > 0);
        assert_int_equal(recv(manager, heard, sizeof(heard) - 1, 0), -1);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ledger_gives_back_what_was_appended),
                cmocka_unit_test(ledger_writes_the_format_of_its_header),
                cmocka_unit_test(ledger_takes_any_object_and_nothing_else),
                cmocka_unit_test(ledger_append_refuses_what_could_not_be_read_again),
                cmocka_unit_test(ledger_append_refuses_what_is_too_large),
                cmocka_unit_test(ledger_append_goes_on_to_the_next_segment_when_it_has_to),
                cmocka_unit_test(ledger_goes_through_many_segments),
                cmocka_unit_test(ledger_prepare_makes_one_reserve_in_steps),
                cmocka_unit_test(ledger_open_hands_on_what_the_replay_says),
                cmocka_unit_test(ledger_open_goes_on_after_what_is_not_understood),
                cmocka_unit_test(ledger_open_refuses_a_second_opener),
                cmocka_unit_test(ledger_read_sees_what_was_changed_since),
                cmocka_unit_test(ledger_says_that_it_goes_on_while_it_reads),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

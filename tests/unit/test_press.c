/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/press.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <zstd.h>

#include "agent/collect/press.h"

#define FRAMES 40U

/* Frame k holds the number k, and is of a size of its own; some take long to compress and some no time at all. */
static void fill(struct press_frame *f, unsigned k) {
        f->n_in = k % 3 == 0 ? PRESS_FRAME_SIZE : 4 + k;
        if (k % 2 == 0)
                randombytes_buf_deterministic(f->in, f->n_in, (const unsigned char[randombytes_SEEDBYTES]) { 1 });
        else
                memset(f->in, 'x', f->n_in);
        memcpy(f->in, &k, sizeof(k));
}

static void check(const struct press_frame *f, unsigned k) {
        _cleanup_free_ uint8_t *plain = malloc(PRESS_FRAME_SIZE);

        assert_true(f->done);
        assert_true(f->n_out > 0);
        assert_int_equal(ZSTD_getFrameContentSize(f->out, f->n_out), f->n_in);
        /* a frame of its own: nothing of the one before it is needed, and there is no other behind it */
        assert_int_equal(ZSTD_findFrameCompressedSize(f->out, f->n_out), f->n_out);
        assert_int_equal(ZSTD_decompress(plain, PRESS_FRAME_SIZE, f->out, f->n_out), f->n_in);
        assert_memory_equal(plain, f->in, f->n_in);
        assert_memory_equal(plain, &k, sizeof(k));
}

static void run_frames(struct press *p, unsigned frames) {
        unsigned put = 0, out = 0;

        while (out < frames) {
                struct press_frame *f = put < frames ? press_next(p) : NULL;

                if (f) {
                        assert_int_equal(f->n_in, 0);
                        fill(f, put++);
                        press_put(p);
                        assert_ptr_not_equal(press_next(p), f);
                        continue;
                }
                assert_true(put - out == PRESS_FRAMES || put == frames);
                const struct press_frame *oldest = press_oldest(p);

                assert_non_null(oldest);
                check(oldest, out++);
                press_drop(p);
        }
        assert_null(press_oldest(p));
}

static void frames_come_out_whole_and_in_order_whoever_does_the_work(void **state) {
        struct press *p = NULL;

        (void) state;
        assert_int_equal(press_new(&p), 0);
        run_frames(p, FRAMES);
        press_start(p);
        run_frames(p, FRAMES);
        press_stop(p);
        run_frames(p, FRAMES);
        press_start(p);
        run_frames(p, FRAMES);
        press_free(p);
}

static void threads_that_cannot_be_made_leave_the_work_to_the_caller(void **state) {
        struct rlimit before;
        struct press *p = NULL;
        int status;
        pid_t pid;

        (void) state;
        if (getuid() != 0) {
                print_message("skip: becomes a user with no thread left, which takes root\n");
                skip();
        }
        pid = fork();
        if (pid == 0) {
                assert_int_equal(press_new(&p), 0);
                (void) getrlimit(RLIMIT_NPROC, &before);
                before.rlim_cur = 0;
                /* root has no limit */
                if (setrlimit(RLIMIT_NPROC, &before) < 0 || setuid(61234) < 0)
                        _exit(2);
                press_start(p);
                run_frames(p, FRAMES);
                press_stop(p);
                press_free(p);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static void a_damaged_frame_is_told_and_costs_no_other(void **state) {
        struct press *p = NULL;
        struct press_frame *f;
        uint8_t plain[4096];

        (void) state;
        assert_int_equal(press_new(&p), 0);
        f = press_next(p);
        f->n_in = sizeof(plain);
        randombytes_buf(f->in, f->n_in);
        press_put(p);
        f = press_oldest(p);
        assert_int_equal(ZSTD_decompress(plain, sizeof(plain), f->out, f->n_out), sizeof(plain));
        f->out[f->n_out / 2] ^= 1;
        assert_true(ZSTD_isError(ZSTD_decompress(plain, sizeof(plain), f->out, f->n_out)));
        press_drop(p);
        run_frames(p, 3);
        press_free(p);
}

static void what_nobody_took_out_is_freed_with_the_press(void **state) {
        struct press *p = NULL;

        (void) state;
        assert_int_equal(press_new(&p), 0);
        press_start(p);
        for (unsigned k = 0; k < PRESS_FRAMES; k++) {
                fill(press_next(p), k);
                press_put(p);
        }
        assert_null(press_next(p));
        press_free(p);
        press_free(NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frames_come_out_whole_and_in_order_whoever_does_the_work),
                cmocka_unit_test(threads_that_cannot_be_made_leave_the_work_to_the_caller),
                cmocka_unit_test(a_damaged_frame_is_told_and_costs_no_other),
                cmocka_unit_test(what_nobody_took_out_is_freed_with_the_press),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}

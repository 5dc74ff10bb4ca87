/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: tests/lib/gate_rig.c */

/* The real freezed-gate: what it lets through, what it refuses, who gets which answer. The flood has its own file. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "agent/gate/limit.h"
#include "agent/gate/request.h"
#include "lib/gate_rig.h"
#include "lib/people.h"

#define N_KEYS   KEY_STRANGER
#define QUIET_MS 100
#define NONCE    "\"nonce\":\"00112233445566778899aabbccddeeff\""
#define STATUS   "{\"query\":\"status\"," NONCE "}"
#define HEALTH   "{\"query\":\"health\"," NONCE "}"

static struct rig rig;

/* An answer proves that the start is over, the sandbox included. */
static int start(void **state) {
        char text[64];
        int client;

        (void) state;
        rig_start(&rig);
        rig_keys(&rig, N_KEYS);
        client = rig_connect(&rig, geteuid());
        rig_send_string(client, HEALTH);
        rig_reply(&rig, rig_take(&rig).number, "{}", 2, false);
        assert_true(rig_recv(client, text, sizeof(text)));
        assert_int_equal(close(client), 0);
        return 0;
}

static int start_without_keys(void **state) {
        (void) state;
        rig_start(&rig);
        return 0;
}

static int stop(void **state) {
        (void) state;
        rig_stop(&rig);
        return 0;
}

/* What the core would answer to a frame; the number tells which. */
static void answer(uint32_t number, const char *text, bool more) {
        rig_reply(&rig, number, text, strlen(text), more);
}

static void expect_text(int client, const char *text) {
        char got[1024];

        assert_true(rig_recv(client, got, sizeof(got)));
        assert_string_equal(got, text);
}

static void send_and_free(int client, char *text) {
        rig_send_string(client, text);
        free(text);
}

static void expect_refusal(int client, char *text, const char *id) {
        assert_string_equal(rig_refused(client, text, strlen(text)), id);
        free(text);
}

static void gate_passes_a_signed_command_and_its_answers(void **state) {
        int client = rig_connect(&rig, geteuid());
        struct frame f;

        (void) state;
        send_and_free(client, rig_envelope("{\"n\":1}", BY(ALICE) | BY(STRANGER) | BY(BOB)));
        f = rig_take(&rig);
        assert_int_equal(f.kind, FRAME_COMMAND);
        assert_int_equal(f.type, DSSE_COMMAND);
        assert_int_equal(f.n_payload, 7);
        assert_memory_equal(f.payload, "{\"n\":1}", 7);
        assert_int_equal(f.n_sigs, 2);

        answer(f.number, "{\"first\":1}", true);
        expect_text(client, "{\"first\":1}");
        answer(f.number, "{\"last\":1}", false);
        expect_text(client, "{\"last\":1}");
        assert_int_equal(close(client), 0);
}

/* Byte for byte what was asked: a nonce that changed on the way would make every report an old one. */
static void gate_passes_a_question_with_its_nonce(void **state) {
        int client = rig_connect(&rig, geteuid());
        struct frame f;

        (void) state;
        rig_send_string(client, "{\"query\":\"status\"," NONCE ",\"hold\":\"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff\"}");
        f = rig_take(&rig);
        assert_int_equal(f.kind, FRAME_STATUS);
        assert_int_equal(f.n_payload, 32);
        assert_memory_equal(f.payload, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
        assert_memory_equal(f.payload + 16, "\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff", 16);
        assert_int_equal(close(client), 0);
}

static void gate_names_a_nameless_signature(void **state) {
        _cleanup_free_ char *named = rig_envelope("{}", BY(BOB)), *nameless = NULL;
        _cleanup_json_ json_t *root = json_loads(named, 0, NULL);
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        int client = rig_connect(&rig, geteuid());
        struct sshkey bob;
        struct frame f;

        (void) state;
        assert_int_equal(json_object_del(json_array_get(json_object_get(root, "signatures"), 0), "keyid"), 0);
        nameless = json_dumps(root, 0);
        rig_send_string(client, nameless);
        f = rig_take(&rig);
        people_key(KEY_BOB, secret, &bob);
        assert_int_equal(f.n_sigs, 1);
        assert_memory_equal(f.sigs[0].keyid, bob.id, sizeof(bob.id));
        assert_int_equal(close(client), 0);
}

/* Also the largest, which is longer by what is around it; and what the core says of it unsigned. */
static void gate_tells_the_core_what_is_carried(void **state) {
        _cleanup_free_ char *payload = calloc(DSSE_PAYLOAD_MAX + 1, 1), *own = NULL, *padded = NULL, *carried = NULL,
                            *forged = rig_forged("{}", BY(ALICE)), *carried_forged = NULL;
        int client = rig_connect(&rig, geteuid());
        char text[REQUEST_REFUSAL_SIZE];
        struct frame f;
        size_t n;

        (void) state;
        memset(payload, 'x', DSSE_PAYLOAD_MAX);
        own = rig_envelope(payload, BY(ALICE));
        assert_true(asprintf(&padded, "%s%*s", own, (int) (DSSE_ENVELOPE_MAX - strlen(own)), "") > 0);
        rig_send_string(client, padded);
        f = rig_take(&rig);
        assert_false(f.carried);
        answer(f.number, "{}", false);
        expect_text(client, "{}");

        assert_int_equal(carried_wrap(padded, DSSE_ENVELOPE_MAX, &carried, &n), 0);
        rig_send(client, carried, n);
        f = rig_take(&rig);
        assert_true(f.carried);
        assert_int_equal(f.n_payload, DSSE_PAYLOAD_MAX);
        rig_refuse(&rig, f.number, REASON_HOST);
        assert_true(rig_recv(client, text, sizeof(text)));
        assert_string_equal(rig_refusal_id(text), "wrong-host");

        /* nobody is spared a look at the signatures */
        assert_int_equal(carried_wrap(forged, strlen(forged), &carried_forged, &n), 0);
        assert_string_equal(rig_refused(client, carried_forged, n), "bad-signature");
        assert_int_equal(close(client), 0);
}

static void gate_refuses_each_for_its_own_reason(void **state) {
        _cleanup_free_ char *large = malloc(200 * 1024);
        int client = rig_connect(&rig, geteuid());
        struct dsse receipt = people_sign(DSSE_RECEIPT, DSSE_RECEIPT, "{}", 2, BY(ALICE));
        char *json;

        (void) state;
        memset(large, ' ', 200 * 1024);
        assert_string_equal(rig_refused(client, large, 64 * 1024), "malformed");
        assert_string_equal(rig_refused(client, large, 64 * 1024 + 1), "oversize");
        assert_string_equal(rig_refused(client, large, 200 * 1024), "oversize");
        assert_string_equal(rig_refused(client, "{", 1), "malformed");
        assert_string_equal(rig_refused(client, "\0", 1), "malformed");
        assert_string_equal(rig_refused(client, "{\"query\":\"x\"}", 13), "malformed");
        assert_string_equal(rig_refused(client, "{\"query\":\"health\"}", 18), "malformed");
        assert_string_equal(rig_refused(client, "{\"payload\":\"\xff\"}", 15), "bad-encoding");
        assert_int_equal(dsse_to_json(&receipt, &json), 0);
        expect_refusal(client, json, "wrong-type");
        dsse_done(&receipt);
        expect_refusal(client, rig_envelope("{}", 0), "untrusted-signer");
        expect_refusal(client, rig_envelope("{}", BY(STRANGER)), "untrusted-signer");
        expect_refusal(client, rig_forged("{}", BY(ALICE)), "bad-signature");
        expect_refusal(client, rig_forged("{}", BY(ALICE) | BY(STRANGER)), "bad-signature");
        assert_true(rig_quiet(&rig, QUIET_MS));

        /* none of which keeps the same connection from being heard */
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);
        assert_int_equal(close(client), 0);
}

static void gate_answers_nobody_before_it_has_keys(void **state) {
        int client = rig_connect(&rig, geteuid());

        (void) state;
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        assert_true(rig_quiet(&rig, QUIET_MS));
        rig_keys(&rig, N_KEYS);
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);
        assert_int_equal(close(client), 0);
}

static void gate_says_when_there_is_no_trust_root(void **state) {
        int client = rig_connect(&rig, geteuid());

        (void) state;
        rig_keys(&rig, 0);
        expect_refusal(client, rig_envelope("{}", BY(ALICE)), "no-trust-root");
        /* health has to be answered just then */
        rig_send_string(client, HEALTH);
        assert_int_equal(rig_take(&rig).kind, FRAME_HEALTH);
        assert_int_equal(close(client), 0);
}

static void gate_follows_a_change_of_trust(void **state) {
        int client = rig_connect(&rig, geteuid());

        (void) state;
        send_and_free(client, rig_envelope("{}", BY(BOB)));
        answer(rig_take(&rig).number, "{}", false);
        expect_text(client, "{}");
        rig_keys(&rig, KEY_BOB);
        /* The core's frames are read before the client's; the answer to this one proves that the keys are in. */
        rig_send_string(client, HEALTH);
        answer(rig_take(&rig).number, "{}", false);
        expect_text(client, "{}");
        expect_refusal(client, rig_envelope("{}", BY(BOB)), "untrusted-signer");
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);
        assert_int_equal(close(client), 0);
}

static void gate_gives_each_client_its_own_answers(void **state) {
        uint32_t numbers[LIMIT_CONNECTIONS_PER_UID];
        int clients[LIMIT_CONNECTIONS_PER_UID];
        char text[64];

        (void) state;
        for (size_t i = 0; i < LIMIT_CONNECTIONS_PER_UID; i++) {
                clients[i] = rig_connect(&rig, geteuid());
                (void) snprintf(text, sizeof(text), "{\"n\":%zu}", i);
                send_and_free(clients[i], rig_envelope(text, BY(ALICE)));
                numbers[i] = rig_take(&rig).number;
        }
        for (size_t i = LIMIT_CONNECTIONS_PER_UID; i-- > 0;) {
                (void) snprintf(text, sizeof(text), "{\"answer\":%zu}", i);
                answer(numbers[i] + LIMIT_CONNECTIONS_PER_UID, "{\"nobody\":1}", false);
                answer(numbers[i], text, false);
                answer(numbers[i], "{\"late\":1}", false);
        }
        for (size_t i = 0; i < LIMIT_CONNECTIONS_PER_UID; i++) {
                (void) snprintf(text, sizeof(text), "{\"answer\":%zu}", i);
                expect_text(clients[i], text);
                assert_int_equal(recv(clients[i], text, sizeof(text), MSG_DONTWAIT), -1);
                assert_int_equal(close(clients[i]), 0);
        }
}

static void gate_tells_what_the_core_refuses(void **state) {
        int client = rig_connect(&rig, geteuid());
        char text[1024];

        (void) state;
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        rig_refuse(&rig, rig_take(&rig).number, REASON_LEDGER);
        assert_true(rig_recv(client, text, sizeof(text)));
        assert_string_equal(rig_refusal_id(text), "ledger-failed");
        assert_int_equal(close(client), 0);
}

static void gate_has_one_message_of_a_client_with_the_core(void **state) {
        int client = rig_connect(&rig, geteuid());
        struct frame f;

        (void) state;
        for (int i = 0; i < 3; i++)
                send_and_free(client, rig_envelope("{}", BY(ALICE)));
        f = rig_take(&rig);
        assert_true(rig_quiet(&rig, QUIET_MS));
        answer(f.number, "{}", true);
        assert_true(rig_quiet(&rig, QUIET_MS));
        answer(f.number, "{}", false);
        assert_int_not_equal(rig_take(&rig).number, f.number);
        assert_int_equal(close(client), 0);
}

static void gate_puts_orders_before_questions(void **state) {
        int asking[3], ordering;
        struct frame f;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(asking); i++) {
                asking[i] = rig_connect(&rig, geteuid());
                rig_send_string(asking[i], i == 0 ? HEALTH : STATUS);
        }
        f = rig_take(&rig);
        assert_true(f.kind == FRAME_HEALTH || f.kind == FRAME_STATUS);
        assert_true(rig_quiet(&rig, QUIET_MS));
        ordering = rig_connect(&rig, geteuid());
        send_and_free(ordering, rig_envelope("{}", BY(ALICE)));
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);

        /* every question is asked in the end, one by one */
        for (size_t i = 0; i < ELEMENTSOF(asking); i++) {
                assert_true(rig_quiet(&rig, QUIET_MS));
                answer(f.number, "{\"asked\":1}", false);
                if (i + 1 < ELEMENTSOF(asking))
                        f = rig_take(&rig);
        }
        for (size_t i = 0; i < ELEMENTSOF(asking); i++) {
                expect_text(asking[i], "{\"asked\":1}");
                assert_int_equal(close(asking[i]), 0);
        }
        assert_int_equal(close(ordering), 0);
}

static void gate_forgets_the_question_of_who_left(void **state) {
        int first = rig_connect(&rig, geteuid()), second = rig_connect(&rig, geteuid()), third;
        struct frame f;

        (void) state;
        rig_send_string(first, HEALTH);
        f = rig_take(&rig);
        rig_send_string(second, STATUS);
        assert_true(rig_quiet(&rig, QUIET_MS));
        assert_int_equal(close(first), 0);
        assert_int_equal(close(second), 0);
        assert_true(rig_quiet(&rig, QUIET_MS));
        answer(f.number, "{}", false);
        assert_true(rig_quiet(&rig, QUIET_MS));
        third = rig_connect(&rig, geteuid());
        rig_send_string(third, STATUS);
        assert_int_equal(rig_take(&rig).kind, FRAME_STATUS);
        assert_int_equal(close(third), 0);
}

static void gate_carries_out_what_was_sent_before_the_sender_left(void **state) {
        int client = rig_connect(&rig, geteuid());

        (void) state;
        send_and_free(client, rig_envelope("{\"n\":1}", BY(ALICE)));
        send_and_free(client, rig_envelope("{\"n\":2}", BY(ALICE)));
        assert_int_equal(close(client), 0);
        answer(rig_take(&rig).number, "{}", false);
        assert_memory_equal(rig_take(&rig).payload, "{\"n\":2}", 7);
}

static void gate_drops_who_does_not_read(void **state) {
        _cleanup_free_ char *large = malloc(FRAME_REPLY_MAX);
        int deaf = rig_connect(&rig, geteuid()), client;
        size_t n = 0;

        (void) state;
        memset(large, ' ', FRAME_REPLY_MAX);
        rig_send_string(deaf, HEALTH);
        for (uint32_t number = rig_take(&rig).number; n < 1000; n++) {
                rig_reply(&rig, number, large, FRAME_REPLY_MAX, true);
                /* the gate is not held up meanwhile */
                client = rig_connect(&rig, geteuid());
                assert_string_equal(rig_refused(client, "x", 1), "malformed");
                assert_int_equal(close(client), 0);
                if (send(deaf, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                        break;
        }
        assert_true(n < 10);
        assert_int_equal(close(deaf), 0);
}

static void gate_reads_nobody_while_the_core_is_full(void **state) {
        _cleanup_free_ char *body = malloc(DSSE_PAYLOAD_MAX + 1);
        _cleanup_free_ char *json = NULL;
        int clients[LIMIT_CONNECTIONS_PER_UID];

        (void) state;
        memset(body, 'x', DSSE_PAYLOAD_MAX);
        body[DSSE_PAYLOAD_MAX] = '\0';
        json = rig_envelope(body, BY(ALICE));
        for (size_t i = 0; i < LIMIT_CONNECTIONS_PER_UID; i++) {
                clients[i] = rig_connect(&rig, geteuid());
                rig_send_string(clients[i], json);
        }
        (void) usleep(QUIET_MS * 1000);
        for (size_t i = 0; i < LIMIT_CONNECTIONS_PER_UID; i++)
                assert_int_equal(rig_take(&rig).n_payload, DSSE_PAYLOAD_MAX);
        for (size_t i = 0; i < LIMIT_CONNECTIONS_PER_UID; i++)
                assert_int_equal(close(clients[i]), 0);
}

static int start_managed(void **state) {
        (void) state;
        rig_start_managed(&rig, 200 * 1000);
        rig_keys(&rig, N_KEYS);
        return 0;
}

static void expect_notice(const char *text) {
        struct pollfd p = { .fd = rig.manager, .events = POLLIN };
        char got[64] = "";

        assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
        assert_true(recv(rig.manager, got, sizeof(got) - 1, 0) > 0);
        assert_string_equal(got, text);
}

static void gate_runs_as_systemd_starts_it(void **state) {
        int client;

        (void) state;
        expect_notice("READY=1");
        /* said when the sandbox is closed, and it can still say this from inside */
        assert_int_equal(rig_proc(&rig, "status", "Seccomp:"), 2);
        expect_notice("WATCHDOG=1");
        expect_notice("WATCHDOG=1");
        client = rig_connect(&rig, geteuid());
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        assert_int_equal(rig_take(&rig).kind, FRAME_COMMAND);
        assert_int_equal(close(client), 0);
}

static void gate_ends_with_the_core(void **state) {
        int client = rig_connect(&rig, geteuid());
        char text[64];

        (void) state;
        send_and_free(client, rig_envelope("{}", BY(ALICE)));
        (void) rig_take(&rig);
        closep(&rig.core);
        rig.core = -EBADF;
        assert_int_equal(rig_wait(&rig), 0);
        assert_false(rig_recv(client, text, sizeof(text)));
        assert_int_equal(close(client), 0);
}

static void gate_ends_in_failure_when_the_core_makes_no_sense(void **state) {
        (void) state;
        assert_int_equal(send(rig.core, "FRZ1", 4, 0), 4);
        assert_int_equal(rig_wait(&rig), EXIT_FAILURE);
}

static void gate_takes_no_frame_that_only_a_gate_sends(void **state) {
        static const uint8_t nonce[FRAME_NONCE_SIZE];
        const struct frame f = { .kind = FRAME_HEALTH, .number = 1, .payload = nonce, .n_payload = sizeof(nonce) };
        size_t n;

        (void) state;
        assert_int_equal(frame_pack(&f, rig.buf, sizeof(rig.buf), &n), 0);
        assert_int_equal(send(rig.core, rig.buf, n, 0), n);
        assert_int_equal(rig_wait(&rig), EXIT_FAILURE);
}

static void gate_is_confined(void **state) {
        (void) state;
        assert_int_equal(rig_proc(&rig, "status", "Seccomp:"), 2);
        assert_int_equal(rig_proc(&rig, "status", "NoNewPrivs:"), 1);
        assert_int_equal(rig_proc(&rig, "limits", "Max processes"), 0);
        assert_int_equal(rig_proc(&rig, "limits", "Max core file size"), 0);
        assert_in_range(rig_proc(&rig, "limits", "Max open files"), 1, 100);
}

#ifdef __x86_64__
/* Makes the running gate execute one system call, with whatever it has in its registers, and returns what the kernel
 * answers. */
static long inject(pid_t pid, long nr) {
        struct user_regs_struct saved, regs;
        int status;

        assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, 0, 0), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &saved), 0);
        regs = saved;
        /* it waits in a system call: the instruction before is the one that makes one */
        regs.rip -= 2;
        regs.rax = (unsigned long) nr;
        regs.orig_rax = (unsigned long) -1;
        regs.rdi = regs.rsi = regs.rdx = regs.r10 = regs.r8 = regs.r9 = 0;
        assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &regs), 0);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(ptrace(PTRACE_GETREGS, pid, 0, &regs), 0);
        assert_int_equal(ptrace(PTRACE_SETREGS, pid, 0, &saved), 0);
        assert_int_equal(ptrace(PTRACE_CONT, pid, 0, 0), 0);
        return (long) regs.rax;
}

static void gate_cannot_open_or_start_anything(void **state) {
        static const long forbidden[] = {
                SYS_open,     SYS_openat,     SYS_openat2, SYS_creat,          SYS_memfd_create,
                SYS_socket,   SYS_socketpair, SYS_connect, SYS_bind,           SYS_execve,
                SYS_execveat, SYS_fork,       SYS_vfork,   SYS_clone,          SYS_clone3,
                SYS_ptrace,   SYS_kill,       SYS_bpf,     SYS_io_uring_setup, SYS_process_vm_writev,
                SYS_setuid,   SYS_unshare,    SYS_mount,   SYS_prctl,          SYS_dup,
                SYS_mprotect, SYS_sendmsg,
        };

        (void) state;
        if (ptrace(PTRACE_SEIZE, rig.gate, 0, 0) < 0) {
                print_message("skip: not allowed to trace the gate\n");
                skip();
        }
        /* that the way of asking works */
        assert_int_equal(inject(rig.gate, SYS_getpid), rig.gate);
        for (size_t i = 0; i < ELEMENTSOF(forbidden); i++)
                if (inject(rig.gate, forbidden[i]) != -EPERM)
                        fail_msg("system call %ld", forbidden[i]);
}
#endif

int main(void) {
#define RIGGED(name) cmocka_unit_test_setup_teardown(name, start, stop)
        const struct CMUnitTest tests[] = {
                RIGGED(gate_passes_a_signed_command_and_its_answers),
                RIGGED(gate_passes_a_question_with_its_nonce),
                RIGGED(gate_names_a_nameless_signature),
                RIGGED(gate_tells_the_core_what_is_carried),
                RIGGED(gate_refuses_each_for_its_own_reason),
                cmocka_unit_test_setup_teardown(gate_answers_nobody_before_it_has_keys, start_without_keys, stop),
                RIGGED(gate_says_when_there_is_no_trust_root),
                RIGGED(gate_follows_a_change_of_trust),
                RIGGED(gate_gives_each_client_its_own_answers),
                RIGGED(gate_tells_what_the_core_refuses),
                RIGGED(gate_has_one_message_of_a_client_with_the_core),
                RIGGED(gate_puts_orders_before_questions),
                RIGGED(gate_forgets_the_question_of_who_left),
                RIGGED(gate_carries_out_what_was_sent_before_the_sender_left),
                RIGGED(gate_drops_who_does_not_read),
                RIGGED(gate_reads_nobody_while_the_core_is_full),
                cmocka_unit_test_setup_teardown(gate_runs_as_systemd_starts_it, start_managed, stop),
                RIGGED(gate_ends_with_the_core),
                RIGGED(gate_ends_in_failure_when_the_core_makes_no_sense),
                RIGGED(gate_takes_no_frame_that_only_a_gate_sends),
                RIGGED(gate_is_confined),
#ifdef __x86_64__
                RIGGED(gate_cannot_open_or_start_anything),
#endif
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/carrier.c ctl/carrier_child.c ctl/carrier_frame.c ctl/file.c ctl/text.c ctl/why.c ctl/times.c */

/* The process that talks to brokers, with a real nats-server, and with what is none. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/times.h"
#include "lib/nats_fixture.h"
#include "policy/dsse.h"
#include "policy/nkey.h"

#define WAIT_MS   60000
#define SMALL_MIB 24U
#define SMALL     (SMALL_MIB * 1024 * 1024)
/* what the library has beside it, as in carrier_child.c */
#define OTHER_MIB 96U

/* The next one of that kind, which has to come. */
static struct carrier_event *next(struct carrier *c, enum carrier_kind kind) {
        for (;;) {
                struct carrier_event *e = NULL;
                assert_int_equal(carrier_next(c, WAIT_MS, &e), 0);
                if (!e)
                        fail_msg("nothing came");
                if (e->kind == kind)
                        return e;
                free(e);
        }
}

/* How many processes this one has started and not waited for. */
static unsigned children(void) {
        char path[64];
        unsigned n = 0;
        int pid;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        assert_non_null(f);
        while (fscanf(f, "%d", &pid) == 1)
                n++;
        return n;
}

static void what_is_said_is_heard_as_it_was(void **state) {
        _cleanup_(carrier_freep) struct carrier *a = nats_carrier_at(server.port), *b = nats_carrier_at(server.port);
        static char large[DSSE_HOST_ENVELOPE_MAX];

        (void) state;
        memset(large, 'x', sizeof(large));
        large[7] = '\0';
        assert_int_equal(carrier_hear(a, "frz.v1.prod.rsp.*.*"), 0);
        assert_int_equal(carrier_settle(a), 0);
        assert_int_equal(carrier_say(b, "frz.v1.prod.rsp.H.1", NULL, "a\0b", 3), 0);
        assert_int_equal(carrier_say(b, "frz.v1.prod.cmd.all.1", NULL, "not for a", 9), 0);
        assert_int_equal(carrier_say(b, "frz.v1.prod.rsp.H.2", NULL, large, sizeof(large)), 0);
        assert_int_equal(carrier_say(b, "frz.v1.prod.rsp.H.3", NULL, "", 0), 0);
        assert_int_equal(carrier_settle(b), 0);

        _cleanup_free_ struct carrier_event *e = next(a, CARRIER_MESSAGE), *f = next(a, CARRIER_MESSAGE),
                                            *g = next(a, CARRIER_MESSAGE);
        assert_string_equal(e->subject, "frz.v1.prod.rsp.H.1");
        assert_int_equal(e->n, 3);
        assert_memory_equal(e->text, "a\0b", 4);
        assert_int_equal(f->n, sizeof(large));
        assert_memory_equal(f->text, large, sizeof(large));
        assert_string_equal(g->subject, "frz.v1.prod.rsp.H.3");
        assert_int_equal(g->n, 0);
        assert_int_equal(e->status, 0);
        assert_int_equal(e->sequence, 0);
}

static void many_messages_lose_none_and_block_nobody(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);
        char text[4096] = { 0 };

        (void) state;
        assert_int_equal(carrier_hear(c, "many"), 0);
        for (unsigned i = 0; i < 2000; i++) {
                (void) snprintf(text, sizeof(text), "%u", i);
                assert_int_equal(carrier_say(c, "many", NULL, text, sizeof(text)), 0);
        }
        assert_int_equal(carrier_settle(c), 0);
        for (unsigned i = 0; i < 2000; i++) {
                _cleanup_free_ struct carrier_event *e = next(c, CARRIER_MESSAGE);
                (void) snprintf(text, sizeof(text), "%u", i);
                assert_string_equal(e->text, text);
        }
}

/* Nothing is taken while 80 MB come: more than the library would keep by itself. */
static void what_a_fleet_says_at_once_waits_until_it_is_taken(void **state) {
        _cleanup_(carrier_freep) struct carrier *a = nats_carrier_at(server.port), *b = nats_carrier_at(server.port);
        static char large[DSSE_HOST_ENVELOPE_MAX];

        (void) state;
        assert_int_equal(carrier_hear(a, "fleet"), 0);
        assert_int_equal(carrier_settle(a), 0);
        for (unsigned i = 0; i < 500; i++) {
                memcpy(large, &i, sizeof(i));
                assert_int_equal(carrier_say(b, "fleet", NULL, large, sizeof(large)), 0);
        }
        assert_int_equal(carrier_settle(b), 0);
        for (unsigned i = 0; i < 500; i++) {
                struct carrier_event *e = NULL;
                assert_int_equal(carrier_next(a, WAIT_MS, &e), 0);
                assert_non_null(e);
                assert_int_equal(e->kind, CARRIER_MESSAGE);
                assert_memory_equal(e->text, &i, sizeof(i));
                free(e);
        }
}

/* MiB of its own that the child of a carrier has in memory; 0: there is none any more. */
static unsigned long child_mib(void) {
        _cleanup_fclose_ FILE *children = fopen("/proc/thread-self/children", "re");
        unsigned long kib = 0;

        for (int pid; children && fscanf(children, "%d", &pid) == 1;) {
                char path[64], line[128];
                bool is_carrier = false;

                (void) snprintf(path, sizeof(path), "/proc/%d/status", pid);
                _cleanup_fclose_ FILE *status = fopen(path, "re");
                while (status && fgets(line, sizeof(line), status)) {
                        is_carrier = is_carrier || strcmp(line, "Name:\tfreezectl-nats\n") == 0;
                        if (is_carrier)
                                (void) sscanf(line, "RssAnon: %lu kB", &kib);
                }
        }
        return kib / 1024;
}

/* A broker that says for each subscription what nobody said: together that is more than the child may have. */
static void who_says_too_much_to_who_has_little_memory_is_left(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = NULL;
        struct nats_server rogue;
        char subject[16];
        struct why w;

        (void) state;
        nats_rogue_start(&rogue, "shout", "freezectl");
        const struct broker b = nats_broker_at(rogue.port);
        if (carrier_open_small(&b, SMALL, &c, &w) != 0)
                fail_msg("%s", w.text);
        for (unsigned i = 0; i < 16; i++) {
                (void) snprintf(subject, sizeof(subject), "shout.%u", i);
                assert_int_equal(carrier_hear(c, subject), 0);
        }
        const unsigned long before = child_mib();
        unsigned long most = before;
        bool closed = false;
        for (unsigned i = 0; !closed; i++) {
                struct carrier_event *e = NULL;

                assert_true(i < WAIT_MS / 5);
                assert_int_equal(carrier_next(c, WAIT_MS, &e), 0);
                assert_non_null(e);
                closed = e->kind == CARRIER_CLOSED;
                free(e);
                most = MAX(most, child_mib());
                /* slower than it comes */
                (void) usleep(5000);
        }
        /* and not the sixteen rooms that it was sent */
        assert_true(before > 0 && most - before <= 2 * SMALL_MIB + OTHER_MIB);
        nats_server_done(&rogue);
}

static void a_stored_message_is_acknowledged_and_asked_for_again(void **state) {
        static const char stream[] =
                "{\"name\":\"FRZ_CMD_prod\",\"subjects\":[\"frz.v1.prod.cmd.>\"],\"allow_direct\":true}",
                          get[] = "$JS.API.DIRECT.GET.FRZ_CMD_prod.frz.v1.prod.cmd.all.";
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);
        char subject[CARRIER_SUBJECT_SIZE];

        (void) state;
        assert_int_equal(carrier_hear(c, "_INBOX.mine.>"), 0);
        assert_int_equal(
                carrier_say(c, "$JS.API.STREAM.CREATE.FRZ_CMD_prod", "_INBOX.mine.made", stream, strlen(stream)), 0);
        _cleanup_free_ struct carrier_event *made = next(c, CARRIER_MESSAGE);
        assert_null(strstr(made->text, "\"error\""));
        assert_int_equal(carrier_say(c, "frz.v1.prod.cmd.all.7", "_INBOX.mine.ack", "order", 5), 0);
        _cleanup_free_ struct carrier_event *ack = next(c, CARRIER_MESSAGE);
        assert_string_equal(ack->subject, "_INBOX.mine.ack");
        assert_non_null(strstr(ack->text, "\"seq\":1"));

        (void) snprintf(subject, sizeof(subject), "%s7", get);
        assert_int_equal(carrier_say(c, subject, "_INBOX.mine.get", "", 0), 0);
        _cleanup_free_ struct carrier_event *got = next(c, CARRIER_MESSAGE);
        assert_string_equal(got->text, "order");
        assert_int_equal(got->sequence, 1);
        (void) snprintf(subject, sizeof(subject), "%s8", get);
        assert_int_equal(carrier_say(c, subject, "_INBOX.mine.get", "", 0), 0);
        _cleanup_free_ struct carrier_event *none = next(c, CARRIER_MESSAGE);
        assert_int_equal(none->status, 404);
}

static void a_question_has_its_own_answer_and_the_rest_waits(void **state) {
        static const char stream[] = "{\"name\":\"ASKED\",\"subjects\":[\"asked\"]}";
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);
        struct carrier_event *made = NULL, *again = NULL, *nobody = NULL;
        struct why w;

        (void) state;
        assert_int_equal(carrier_hear(c, "beside"), 0);
        assert_int_equal(carrier_say(c, "beside", NULL, "1", 1), 0);
        assert_int_equal(carrier_ask(c, "$JS.API.STREAM.CREATE.ASKED", stream, strlen(stream), &made, &w), 0);
        assert_non_null(strstr(made->text, "\"did_create\":true"));
        assert_int_equal(carrier_ask(c, "$JS.API.STREAM.INFO.ASKED", "", 0, &again, &w), 0);
        assert_non_null(strstr(again->text, "\"ASKED\""));
        assert_int_equal(carrier_ask(c, "nobody.is.there", "", 0, &nobody, &w), 0);
        assert_int_equal(nobody->status, 503);
        _cleanup_free_ struct carrier_event *beside = next(c, CARRIER_MESSAGE);
        assert_string_equal(beside->subject, "beside");
        free(made);
        free(again);
        free(nobody);
}

static void a_subject_that_is_too_long_is_not_said(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(server.port);
        static char text[DSSE_HOST_ENVELOPE_MAX + 1];
        char subject[CARRIER_SUBJECT_SIZE + 1];

        (void) state;
        memset(subject, 'x', sizeof(subject));
        subject[sizeof(subject) - 1] = '\0';
        assert_int_equal(carrier_say(c, subject, NULL, "", 0), -EMSGSIZE);
        assert_int_equal(carrier_say(c, "x", subject, "", 0), -EMSGSIZE);
        assert_int_equal(carrier_hear(c, subject), -EMSGSIZE);
        assert_int_equal(carrier_say(c, "x", NULL, text, sizeof(text)), -EMSGSIZE);
        assert_int_equal(carrier_settle(c), 0);
}

static void a_broker_that_dies_is_told_once_and_for_all(void **state) {
        struct nats_server other;
        struct carrier_event *e;
        struct why w;

        (void) state;
        nats_server_start(&other, "");
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(other.port);
        nats_server_kill(&other);
        assert_int_equal(carrier_ask(c, "x", "", 0, &e, &w), CTL_MACHINE);
        assert_true(w.text[0]);
        _cleanup_free_ struct carrier_event *closed = next(c, CARRIER_CLOSED);
        assert_true(closed->text[0]);
        assert_int_equal(carrier_next(c, 0, &e), -EPIPE);
        assert_int_equal(carrier_say(c, "x", NULL, "", 0), -EPIPE);
        assert_int_equal(carrier_settle(c), -EPIPE);
        assert_int_equal(children(), 1);
        nats_server_done(&other);
}

/* It is there, and does nothing any more. */
static void a_broker_that_stands_still_is_not_waited_for(void **state) {
        struct nats_server other;
        int status;

        (void) state;
        nats_server_start(&other, "");
        _cleanup_(carrier_freep) struct carrier *c = nats_carrier_at(other.port);
        assert_int_equal(kill(other.pid, SIGSTOP), 0);
        /* the last of its threads, too */
        assert_int_equal(waitpid(other.pid, &status, WUNTRACED), other.pid);
        assert_true(WIFSTOPPED(status));
        assert_true(carrier_settle(c) < 0);
        _cleanup_free_ struct carrier_event *closed = next(c, CARRIER_CLOSED);
        assert_int_equal(children(), 2);
        nats_server_done(&other);
}

static void greet(int listener) {
        static const char info[] = "INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"max_payload\":1048576}\r\n";

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        (void) !write(fd, info, sizeof(info) - 1);
        for (;;)
                (void) pause();
}

/* libnats 3.4.1 spins for ever on it. */
static void a_broker_that_only_greets_is_left_for_the_next(void **state) {
        struct broker b = { .n_servers = 0 };
        struct carrier *c = NULL;
        uint16_t port;
        struct why w;
        int listener = port_bind(&port);

        (void) state;
        assert_int_equal(listen(listener, 8), 0);
        pid_t pid = fork();
        if (pid == 0)
                greet(listener);
        nats_server_add(&b, port);
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        assert_null(c);
        assert_non_null(strstr(w.text, "does not answer"));
        assert_int_equal(children(), 2);
        (void) kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(close(listener), 0);

        /* now nobody is there; whichever is tried first, the other one does */
        nats_server_add(&b, server.port);
        for (int i = 0; i < 8; i++) {
                assert_int_equal(carrier_open(&b, &c, &w), 0);
                assert_int_equal(carrier_settle(c), 0);
                carrier_free(c);
        }
        assert_int_equal(children(), 1);
}

static void write_seed(const char *path, struct nkey *ret) {
        char seed[NKEY_SEED_LENGTH + 1];
        uint8_t random[32];
        FILE *f = fopen(path, "we");

        randombytes_buf(random, sizeof(random));
        nkey_seed(random, seed);
        assert_non_null(f);
        assert_true(fprintf(f, "%s\n", seed) > 0);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(nkey_from_seed(seed, strlen(seed), ret), 0);
}

/* A subscription that the broker denies succeeds: only settling tells. */
static void who_may_not_hear_learns_it_when_it_is_settled(void **state) {
        struct broker b = { .n_servers = 0 };
        struct nats_server other;
        struct scratch dir;
        struct nkey mine, others;
        struct carrier *c = NULL;
        char more[512];
        struct why w;

        (void) state;
        scratch_make(&dir);
        (void) snprintf(b.nkey, sizeof(b.nkey), "%s", scratch_path(&dir, "seed"));
        write_seed(b.nkey, &mine);
        (void) snprintf(
                more, sizeof(more),
                "authorization { users = [ { nkey: %s, permissions: { publish: \"ok.>\", subscribe: \"ok.>\" } } ] }",
                mine.pub);
        nats_server_start(&other, more);
        nats_server_add(&b, other.port);
        assert_int_equal(carrier_open(&b, &c, &w), 0);
        assert_int_equal(carrier_hear(c, "ok.1"), 0);
        assert_int_equal(carrier_hear(c, "secret.1"), 0);
        assert_int_equal(carrier_settle(c), 0);
        struct carrier_event *denied = next(c, CARRIER_DENIED);
        assert_non_null(strstr(denied->text, "secret.1"));
        free(denied);
        assert_int_equal(carrier_say(c, "ok.1", NULL, "x", 1), 0);
        free(next(c, CARRIER_MESSAGE));
        assert_int_equal(carrier_ask(c, "ok.2", "", 0, &denied, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "does not permit"));
        carrier_free(c);

        write_seed(b.nkey, &others);
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        write_seed(scratch_path(&dir, "other"), &others);
        b.nkey[0] = '\0';
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        (void) snprintf(b.nkey, sizeof(b.nkey), "%s", scratch_path(&dir, "nothing"));
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        assert_int_equal(children(), 2);
        nats_server_done(&other);
        scratch_remove(&dir);
}

/* On a connection that may say and hear nothing below "secret", the same twice and another one in turns. */
static void what_is_denied_is_told_before_it_is_settled(void **state) {
        struct nats_server strict;
        struct carrier *c;
        char subject[32];

        (void) state;
        nats_server_start(&strict, "authorization { users: [ { user: u, password: p, permissions: { publish: { deny: "
                                   "\"secret.>\" } } } ] }\nno_auth_user: u");
        c = nats_carrier_at(strict.port);
        for (unsigned i = 0; i < 600; i++) {
                struct carrier_event *e;

                (void) snprintf(subject, sizeof(subject), "%s.%u", i % 3 == 2 ? "open" : "secret", i / 6);
                assert_int_equal(carrier_say(c, subject, NULL, "x", 1), 0);
                assert_int_equal(carrier_settle(c), 0);
                assert_int_equal(carrier_next(c, 0, &e), 0);
                if (i % 3 == 2 ? e != NULL : !e || e->kind != CARRIER_DENIED || !strstr(e->text, subject))
                        fail_msg("%u: %s", i, e ? e->text : "nothing");
                free(e);
        }
        carrier_free(c);
        nats_server_done(&strict);
}

/* The broker lets it hear what it denied before. */
static void what_is_no_longer_denied_is_waited_for_once(void **state) {
        _cleanup_(carrier_freep) struct carrier *c = NULL;
        struct nats_server rogue;

        (void) state;
        nats_rogue_start(&rogue, "deny", "freezectl");
        c = nats_carrier_at(rogue.port);
        assert_int_equal(carrier_hear(c, "x"), 0);
        assert_int_equal(carrier_settle(c), 0);
        assert_true(carrier_is_denied(c));
        scratch_write(scratch_path(&rogue.dir, "mode"), "honest", strlen("honest"));
        assert_int_equal(carrier_hear(c, "x"), 0);
        assert_int_equal(carrier_settle(c), 0);
        for (int i = 0; i < 4; i++) {
                const int64_t start = mono_ms();
                assert_int_equal(carrier_hear(c, "x"), 0);
                assert_int_equal(carrier_settle(c), 0);
                assert_in_range(mono_ms() - start, 0, 2900);
        }
        /* and told when it is denied again */
        free(next(c, CARRIER_DENIED));
        scratch_write(scratch_path(&rogue.dir, "mode"), "deny", strlen("deny"));
        assert_int_equal(carrier_hear(c, "y"), 0);
        assert_int_equal(carrier_settle(c), 0);
        assert_true(carrier_is_denied(c));
        nats_server_done(&rogue);
}

/* Two authorities, and a certificate for 127.0.0.1 by the first. */
static void make_certificates(const struct scratch *dir) {
        static const char script[] =
                "cd %s && for ca in ours theirs; do openssl req -x509 -newkey ed25519 -nodes -keyout $ca.key -out "
                "$ca.pem "
                "-days 2 -subj /CN=$ca || exit; done; printf 'subjectAltName=IP:127.0.0.1' >ext; openssl req -newkey "
                "ed25519 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1 && openssl x509 -req -in "
                "server.csr "
                "-CA ours.pem -CAkey ours.key -CAcreateserial -days 2 -extfile ext -out server.pem";
        char command[1024];

        (void) snprintf(command, sizeof(command), "exec 2>/dev/null; ");
        (void) snprintf(command + strlen(command), sizeof(command) - strlen(command), script, dir->path);
        assert_int_equal(system(command), 0);
}

static void a_broker_has_to_be_the_one_that_its_certificate_is_for(void **state) {
        struct broker b = { .n_servers = 1, .tls = true };
        struct nats_server other;
        struct scratch dir;
        struct carrier *c = NULL;
        char more[512];
        struct why w;

        (void) state;
        scratch_make(&dir);
        make_certificates(&dir);
        (void) snprintf(more, sizeof(more), "tls { cert_file: \"%s/server.pem\", key_file: \"%s/server.key\" }",
                        dir.path, dir.path);
        nats_server_start(&other, more);
        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "tls://127.0.0.1:%u", other.port);
        (void) snprintf(b.ca, sizeof(b.ca), "%s", scratch_path(&dir, "ours.pem"));
        if (carrier_open(&b, &c, &w) != 0)
                fail_msg("%s", w.text);
        assert_int_equal(carrier_hear(c, "x"), 0);
        assert_int_equal(carrier_say(c, "x", NULL, "y", 1), 0);
        free(next(c, CARRIER_MESSAGE));
        carrier_free(c);

        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "tls://localhost:%u", other.port);
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "tls://127.0.0.1:%u", other.port);
        (void) snprintf(b.ca, sizeof(b.ca), "%s", scratch_path(&dir, "theirs.pem"));
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        /* nor is a broker without TLS one */
        nats_server_kill(&other);
        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "tls://127.0.0.1:%u", server.port);
        assert_int_equal(carrier_open(&b, &c, &w), CTL_MACHINE);
        assert_int_equal(children(), 1);
        nats_server_done(&other);
        scratch_remove(&dir);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_said_is_heard_as_it_was),
                cmocka_unit_test(many_messages_lose_none_and_block_nobody),
                cmocka_unit_test(what_a_fleet_says_at_once_waits_until_it_is_taken),
                cmocka_unit_test(who_says_too_much_to_who_has_little_memory_is_left),
                cmocka_unit_test(a_stored_message_is_acknowledged_and_asked_for_again),
                cmocka_unit_test(a_question_has_its_own_answer_and_the_rest_waits),
                cmocka_unit_test(a_subject_that_is_too_long_is_not_said),
                cmocka_unit_test(a_broker_that_dies_is_told_once_and_for_all),
                cmocka_unit_test(a_broker_that_stands_still_is_not_waited_for),
                cmocka_unit_test(a_broker_that_only_greets_is_left_for_the_next),
                cmocka_unit_test(who_may_not_hear_learns_it_when_it_is_settled),
                cmocka_unit_test(what_is_denied_is_told_before_it_is_settled),
                cmocka_unit_test(what_is_no_longer_denied_is_waited_for_once),
                cmocka_unit_test(a_broker_has_to_be_the_one_that_its_certificate_is_for),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, nats_begin, nats_end);
}

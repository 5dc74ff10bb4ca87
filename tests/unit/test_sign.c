/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/sign.c ctl/sshagent.c ctl/sshprivkey.c ctl/wire.c ctl/file.c ctl/text.c ctl/why.c */

/* Signing with the real ssh-keygen and ssh-agent of this machine. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/sign.h"
#include "ctl/sshprivkey.h"
#include "tests/lib/scratch.h"

/* Kept for all cases: making keys takes longer than the tests. */
static struct scratch dir;
static pid_t agent_pid;

static const char *path(const char *name) {
        return scratch_path(&dir, name);
}

static void run(const char *fmt, ...) _printf_(1, 2);
static void run(const char *fmt, ...) {
        char cmd[1024];
        va_list ap;

        va_start(ap, fmt);
        (void) vsnprintf(cmd, sizeof(cmd), fmt, ap);
        va_end(ap);
        assert_int_equal(system(cmd), 0);
}

static struct sshkey public_of(const char *name) {
        char pub[64];
        struct sshkey k;

        (void) snprintf(pub, sizeof(pub), "%s.pub", name);
        struct scratch_bytes b = scratch_read(path(pub));
        assert_int_equal(sshkey_from_line((const char *) b.data, &k), 0);
        scratch_bytes_done(&b);
        return k;
}

static int set_up(void **state) {
        (void) state;
        scratch_make(&dir);
        assert_int_equal(setenv("D", dir.path, 1), 0);
        run("cd $D && for k in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C \"$k@laptop\" -f $k || exit 1; "
            "done");
        run("cd $D && ssh-keygen -q -t ed25519 -N 'a passphrase' -f locked && ssh-keygen -q -t rsa -b 2048 -N '' -f "
            "rsa && "
            "ssh-keygen -q -t ecdsa -N '' -f ecdsa && ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f pem");
        assert_int_equal(setenv("SSH_AUTH_SOCK", path("agent"), 1), 0);
        agent_pid = fork();
        assert_true(agent_pid >= 0);
        if (agent_pid == 0) {
                (void) freopen("/dev/null", "w", stdout);
                (void) execlp("ssh-agent", "ssh-agent", "-D", "-a", path("agent"), NULL);
                _exit(127);
        }
        run("for i in $(seq 50); do [ -S $D/agent ] && exit 0; sleep 0.1; done; exit 1");
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        (void) kill(agent_pid, SIGTERM);
        (void) waitpid(agent_pid, NULL, 0);
        scratch_remove(&dir);
        return 0;
}

static int empty_agent(void **state) {
        (void) state;
        run("ssh-add -q -D 2>/dev/null");
        return 0;
}

static struct dsse envelope(void) {
        static const char payload[] = "{\"v\":1}";
        struct dsse d = DSSE_NULL;

        d.type = DSSE_COMMAND;
        d.payload = (uint8_t *) strdup(payload);
        assert_non_null(d.payload);
        d.n_payload = strlen(payload);
        return d;
}

/* Which of the keys signed, by policy's own verification. */
static uint64_t signed_by(const struct dsse *d, const struct sshkey *keys, size_t n) {
        enum reason reason;
        uint64_t bits;

        assert_int_equal(dsse_verify(d, keys, n, &bits, &reason), 0);
        return reason == REASON_NONE ? bits : 0;
}

static int sign_with(const char *const *files, size_t n, const struct sshkey *candidates, size_t n_candidates,
                     enum sign_pick pick, struct dsse *d, struct why *w) {
        _cleanup_(sign_done) struct signers s = SIGNERS_NULL;

        w->text[0] = '\0';
        int x = sign_open(files, n, candidates, n_candidates, pick, &s, w);
        return x != 0 ? x : sign_envelope(&s, d, w);
}

static void a_key_file_signs_what_policy_verifies(void **state) {
        struct sshkey keys[] = { public_of("alice"), public_of("bob"), public_of("carol") };
        const char *files[] = { path("alice"), path("bob") };
        _cleanup_(dsse_done) struct dsse d = envelope();
        struct why w;

        (void) state;
        assert_int_equal(sign_with(files, 2, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(d.n_sigs, 2);
        assert_int_equal(signed_by(&d, keys, 3), 3);
        /* the same payload as another type is another statement */
        d.type = DSSE_TRUST;
        assert_int_equal(signed_by(&d, keys, 3), 0);
}

static void the_agent_signs_what_policy_verifies(void **state) {
        struct sshkey keys[] = { public_of("alice"), public_of("bob") };
        _cleanup_(dsse_done) struct dsse d = envelope();
        struct why w;

        (void) state;
        run("ssh-add -q $D/bob $D/rsa $D/ecdsa 2>/dev/null");
        assert_int_equal(sign_with(NULL, 0, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(signed_by(&d, keys, 2), 2);
        d.payload[2] ^= 1;
        assert_int_equal(signed_by(&d, keys, 2), 0);
}

static void a_pub_file_chooses_a_key_of_the_agent(void **state) {
        struct sshkey keys[] = { public_of("alice"), public_of("bob") };
        _cleanup_(dsse_done) struct dsse d = envelope();
        const char *file = path("alice.pub");
        struct why w;

        (void) state;
        run("ssh-add -q $D/alice $D/bob");
        assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(signed_by(&d, keys, 2), 1);
        run("ssh-add -q -d $D/alice");
        assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "ssh-add"));
}

static void several_keys_in_the_agent_are_not_guessed_between(void **state) {
        struct sshkey keys[] = { public_of("alice"), public_of("bob") };
        _cleanup_(dsse_done) struct dsse d = envelope();
        char id[SSHKEY_ID_SIZE];
        struct why w;

        (void) state;
        run("ssh-add -q $D/alice $D/bob");
        assert_int_equal(sign_with(NULL, 0, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_USAGE);
        sshkey_id_to_str(keys[1].id, id);
        assert_non_null(strstr(w.text, id));
        assert_non_null(strstr(w.text, "bob@laptop"));
        assert_int_equal(d.n_sigs, 0);
        /* the trust root knows which of them is meant */
        assert_int_equal(sign_with(NULL, 0, &keys[1], 1, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(signed_by(&d, keys, 2), 2);
        assert_int_equal(sign_with(NULL, 0, keys, 2, SIGN_PICK_ALL, &d, &w), 0);
        assert_int_equal(signed_by(&d, keys, 2), 3);
}

static void an_agent_without_a_fitting_key_is_said_to_be_one(void **state) {
        struct sshkey carol = public_of("carol");
        _cleanup_(dsse_done) struct dsse d = envelope();
        struct why w;

        (void) state;
        assert_int_equal(sign_with(NULL, 0, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        run("ssh-add -q $D/rsa 2>/dev/null");
        assert_int_equal(sign_with(NULL, 0, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        run("ssh-add -q $D/alice");
        assert_int_equal(sign_with(NULL, 0, &carol, 1, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "trust root"));
        assert_int_equal(sign_with(NULL, 0, &carol, 1, SIGN_PICK_ALL, &d, &w), 0);
        assert_int_equal(d.n_sigs, 0);
}

static void a_locked_agent_and_none_at_all_are_told_apart(void **state) {
        _cleanup_(dsse_done) struct dsse d = envelope();
        const char *file = path("alice.pub");
        struct why w;

        (void) state;
        run("ssh-add -q $D/alice");
        assert_int_equal(setenv("SSH_AUTH_SOCK", path("nothing"), 1), 0);
        assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
        assert_int_equal(sign_with(NULL, 0, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
        assert_non_null(strstr(w.text, "--key"));
        assert_int_equal(setenv("SSH_AUTH_SOCK", path("agent"), 1), 0);
        assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
}

static void the_same_key_twice_signs_once(void **state) {
        const char *files[] = { path("alice"), path("alice"), path("alice.pub") };
        _cleanup_(dsse_done) struct dsse d = envelope();
        struct why w;

        (void) state;
        run("ssh-add -q $D/alice");
        assert_int_equal(sign_with(files, 3, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(d.n_sigs, 1);
}

static void keys_that_cannot_be_used_say_why(void **state) {
        static const struct {
                const char *file, *says;
        } cases[] = {
                { "locked", "passphrase" }, { "rsa", "Ed25519" },          { "ecdsa", "Ed25519" }, { "pem", "OpenSSH" },
                { "rsa.pub", "OpenSSH" },   { "missing", "No such file" }, { "", "directory" },
        };
        _cleanup_(dsse_done) struct dsse d = envelope();
        struct why w;

        (void) state;
        run("chmod 600 $D/*.pub");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *file = path(cases[i].file);
                assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
                assert_non_null(strcasestr(w.text, cases[i].says));
        }
        assert_int_equal(d.n_sigs, 0);
}

static void a_private_key_that_others_can_read_is_refused(void **state) {
        static const mode_t bad[] = { 0640, 0604, 0620, 0610, 0601, 0644 };
        _cleanup_(dsse_done) struct dsse d = envelope();
        const char *file = path("alice");
        struct why w;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(chmod(file, bad[i]), 0);
                assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), CTL_MACHINE);
                assert_non_null(strstr(w.text, "chmod 600"));
        }
        assert_int_equal(chmod(file, 0400), 0);
        assert_int_equal(sign_with(&file, 1, NULL, 0, SIGN_PICK_ONE, &d, &w), 0);
        assert_int_equal(chmod(file, 0600), 0);
}

static enum sshprivkey_problem parse_key(const void *text, size_t n) {
        uint8_t secret[SSHPRIVKEY_SECRET_SIZE];
        enum sshprivkey_problem problem;
        struct sshkey k;
        /* exactly that many bytes on the heap: ASan sees a byte too far */
        char *copy = malloc(n ? n : 1);

        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(sshprivkey_parse(copy, n, secret, &k, &problem), 0);
        free(copy);
        return problem;
}

static void a_key_file_cut_anywhere_is_refused(void **state) {
        struct scratch_bytes b = scratch_read(path("alice"));

        (void) state;
        assert_int_equal(parse_key(b.data, b.n), SSHPRIVKEY_NONE);
        for (size_t n = 0; n < b.n; n++)
                assert_int_not_equal(parse_key(b.data, n), SSHPRIVKEY_NONE);
        scratch_bytes_done(&b);
}

static void a_key_file_with_anything_behind_it_is_refused(void **state) {
        struct scratch_bytes b = scratch_read(path("alice"));
        static const char *const tails[] = { "x", "\n", " ", "-----END OPENSSH PRIVATE KEY-----\n" };
        char text[2048];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(tails); i++) {
                int n = snprintf(text, sizeof(text), "%s%s", (const char *) b.data, tails[i]);
                assert_int_not_equal(parse_key(text, (size_t) n), SSHPRIVKEY_NONE);
        }
        int n = snprintf(text, sizeof(text), "\n%s", (const char *) b.data);
        assert_int_equal(parse_key(text, (size_t) n), SSHPRIVKEY_FORMAT);
        scratch_bytes_done(&b);
}

/* Every byte of the blob matters: magic, names, check words, both copies of the public key, seed, padding. Only the
 * comment and the value that both check words have are free. */
static void a_key_file_with_one_byte_changed_is_refused(void **state) {
        static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
                          tail[] = "\n-----END OPENSSH PRIVATE KEY-----\n";
        struct scratch_bytes b = scratch_read(path("alice"));
        uint8_t blob[1024];
        char text[2048];
        size_t n, taken = 0;

        (void) state;
        assert_int_equal(sodium_base642bin(blob, sizeof(blob), (char *) b.data + strlen(head),
                                           b.n - strlen(head) - strlen(tail) + 1, "\n", &n, NULL,
                                           sodium_base64_VARIANT_ORIGINAL),
                         0);
        for (size_t i = 0; i < n; i++) {
                char b64[1400];
                blob[i] ^= 0x20;
                (void) sodium_bin2base64(b64, sizeof(b64), blob, n, sodium_base64_VARIANT_ORIGINAL);
                int k = snprintf(text, sizeof(text), "%s%s%s", head, b64, tail);
                taken += parse_key(text, (size_t) k) == SSHPRIVKEY_NONE;
                blob[i] ^= 0x20;
        }
        assert_int_equal(taken, strlen("alice@laptop"));
        scratch_bytes_done(&b);
}

/* An agent that is none: says what it is told, once. */
static void fake_agent(const void *answer, size_t n, pid_t *ret_pid) {
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path("liar"));
        (void) unlink(sa.sun_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(fd, 1), 0);
        *ret_pid = fork();
        if (*ret_pid == 0) {
                uint8_t head[4], buf[4096];
                int c = accept(fd, NULL, NULL);
                /* the whole question, or the answer would cross it */
                bool heard = recv(c, head, 4, MSG_WAITALL) == 4 &&
                             recv(c, buf, (size_t) head[2] << 8 | head[3], MSG_WAITALL) > 0;
                _exit(heard && write(c, answer, n) == (ssize_t) n ? 0 : 1);
        }
        (void) close(fd);
        assert_int_equal(setenv("SSH_AUTH_SOCK", sa.sun_path, 1), 0);
}

static void an_agent_that_lies_is_not_believed(void **state) {
        /* a signature response of 64 zero bytes, whole and well-formed */
        uint8_t forged[4 + 1 + 4 + 4 + 11 + 4 + 64] = { 0, 0, 0, 88, 14, 0, 0, 0, 83, 0, 0, 0, 11 };
        static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 12 };
        static const uint8_t empty[] = { 0, 0, 0, 0 };
        const struct {
                const void *bytes;
                size_t n;
                int r;
        } cases[] = {
                { forged, sizeof(forged), -EBADMSG },
                { huge, sizeof(huge), -EPROTO },
                { empty, sizeof(empty), -EPROTO },
                { forged, 20, -ECONNRESET },
                { "", 0, -ECONNRESET },
        };
        struct sshkey alice = public_of("alice");

        (void) state;
        memcpy(forged + 13, "ssh-ed25519", 11);
        forged[27] = 64;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint8_t sig[64] = { 7 };
                pid_t pid;
                int fd;
                fake_agent(cases[i].bytes, cases[i].n, &pid);
                assert_int_equal(sshagent_connect(&fd), 0);
                assert_int_equal(sshagent_sign(fd, &alice, (const uint8_t *) "x", 1, sig), cases[i].r);
                assert_int_equal(sig[0], 7);
                (void) close(fd);
                assert_int_equal(scratch_wait(pid), 0);
        }
        assert_int_equal(setenv("SSH_AUTH_SOCK", path("agent"), 1), 0);
}

static void agent_answers_are_taken_apart_with_care(void **state) {
        struct sshagent_key keys[SSHAGENT_KEYS_MAX];
        uint8_t msg[512] = { 12, 0, 0, 0, 2 }, sig[64];
        struct sshkey alice = public_of("alice");
        size_t n = 5, found = 99;

        (void) state;
        /* an unknown kind, then alice with a comment that would colour the screen */
        memcpy(msg + n, "\0\0\0\3abc\0\0\0\1x", 12);
        n += 12;
        memcpy(msg + n, (const uint8_t[]) { 0, 0, 0, SSHKEY_BLOB_SIZE }, 4);
        sshkey_to_blob(&alice, msg + n + 4);
        n += 4 + SSHKEY_BLOB_SIZE;
        memcpy(msg + n, "\0\0\0\6\033[31m\n", 10);
        n += 10;
        assert_int_equal(sshagent_parse_keys(msg, n, keys, &found), 0);
        assert_int_equal(found, 1);
        assert_memory_equal(keys[0].key.id, alice.id, 32);
        assert_string_equal(keys[0].comment, "?[31m?");
        for (size_t cut = 0; cut < n; cut++)
                assert_int_equal(sshagent_parse_keys(msg, cut, keys, &found), -EPROTO);
        assert_int_equal(sshagent_parse_keys(msg, n + 1, keys, &found), -EPROTO);
        msg[4] = 3;
        assert_int_equal(sshagent_parse_keys(msg, n, keys, &found), -EPROTO);
        memset(msg + 1, 0xff, 4);
        assert_int_equal(sshagent_parse_keys(msg, n, keys, &found), -EPROTO);
        assert_int_equal(sshagent_parse_keys((const uint8_t[]) { 5 }, 1, keys, &found), -EACCES);
        assert_int_equal(sshagent_parse_signature((const uint8_t[]) { 5 }, 1, sig), -EACCES);
        assert_int_equal(found, 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_key_file_signs_what_policy_verifies),
                cmocka_unit_test_setup(the_agent_signs_what_policy_verifies, empty_agent),
                cmocka_unit_test_setup(a_pub_file_chooses_a_key_of_the_agent, empty_agent),
                cmocka_unit_test_setup(several_keys_in_the_agent_are_not_guessed_between, empty_agent),
                cmocka_unit_test_setup(an_agent_without_a_fitting_key_is_said_to_be_one, empty_agent),
                cmocka_unit_test_setup(a_locked_agent_and_none_at_all_are_told_apart, empty_agent),
                cmocka_unit_test_setup(the_same_key_twice_signs_once, empty_agent),
                cmocka_unit_test(keys_that_cannot_be_used_say_why),
                cmocka_unit_test(a_private_key_that_others_can_read_is_refused),
                cmocka_unit_test(a_key_file_cut_anywhere_is_refused),
                cmocka_unit_test(a_key_file_with_anything_behind_it_is_refused),
                cmocka_unit_test(a_key_file_with_one_byte_changed_is_refused),
                cmocka_unit_test(an_agent_that_lies_is_not_believed),
                cmocka_unit_test(agent_answers_are_taken_apart_with_care),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, set_up, tear_down);
}

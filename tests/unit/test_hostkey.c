/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hostkey.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>

#include <sodium.h>

#include "agent/core/hostkey.h"
#include "lib/scratch.h"

#define SEED_SIZE 32

static bool run(const struct scratch *s, const char *command) {
        char line[512];

        (void) snprintf(line, sizeof(line), "cd %s && { %s; } >out 2>&1", s->path, command);
        return system(line) == 0; /* NOLINT: fixed commands */
}

static struct hostkey *open_key(const struct scratch *s) {
        struct hostkey *k = NULL;

        assert_int_equal(hostkey_open(s->path, &k), 0);
        assert_non_null(k);
        return k;
}

static mode_t mode_of(const char *path) {
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return st.st_mode & 07777;
}

static void hostkey_is_made_once_and_then_kept(void **state) {
        _cleanup_(hostkey_freep) struct hostkey *first = NULL, *again = NULL, *other = NULL;
        _cleanup_scratch_ struct scratch s, t;
        mode_t before = umask(0);

        (void) state;
        scratch_make(&s);
        scratch_make(&t);
        first = open_key(&s);
        again = open_key(&s);
        other = open_key(&t);
        (void) umask(before);
        assert_memory_equal(hostkey_public(first), hostkey_public(again), sizeof(struct sshkey));
        assert_memory_not_equal(hostkey_public(first)->pub, hostkey_public(other)->pub, 32);
        assert_int_equal(mode_of(scratch_path(&s, "host_key")), 0600);
        assert_int_equal(mode_of(scratch_path(&s, "host_key.pub")), 0644);
        assert_int_equal(mode_of(scratch_path(&s, "host_key.pem")), 0644);
        _cleanup_(scratch_bytes_done) struct scratch_bytes seed = scratch_read(scratch_path(&s, "host_key"));

        assert_int_equal(seed.n, SEED_SIZE);
        assert_int_equal(hostkey_open(scratch_path(&s, "absent"), &again), -ENOENT);
}

static void hostkey_refuses_a_file_that_is_not_a_private_seed(void **state) {
        static const mode_t modes[] = { 0601, 0604, 0610, 0620, 0640, 0644, 0660, 0666 };
        static const size_t sizes[] = { 0, 1, 31, 33, 64 };
        uint8_t bytes[64] = { 7 };
        _cleanup_scratch_ struct scratch s;
        struct hostkey *k = NULL;

        (void) state;
        scratch_make(&s);
        hostkey_free(open_key(&s));
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                assert_int_equal(chmod(scratch_path(&s, "host_key"), modes[i]), 0);
                assert_int_equal(hostkey_open(s.path, &k), -EBADMSG);
                assert_null(k);
        }
        assert_int_equal(chmod(scratch_path(&s, "host_key"), 0400), 0);
        hostkey_free(open_key(&s));
        assert_int_equal(chmod(scratch_path(&s, "host_key"), 0600), 0);
        if (geteuid() == 0) {
                assert_int_equal(chown(scratch_path(&s, "host_key"), 1, 0), 0);
                assert_int_equal(hostkey_open(s.path, &k), -EBADMSG);
                assert_int_equal(chown(scratch_path(&s, "host_key"), 0, 0), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                scratch_write(scratch_path(&s, "host_key"), bytes, sizes[i]);
                assert_int_equal(hostkey_open(s.path, &k), -EBADMSG);
        }
        scratch_write(scratch_path(&s, "seed"), bytes, SEED_SIZE);
        assert_int_equal(chmod(scratch_path(&s, "seed"), 0600), 0);
        assert_int_equal(unlink(scratch_path(&s, "host_key")), 0);
        assert_int_equal(symlink("seed", scratch_path(&s, "host_key")), 0);
        assert_int_equal(hostkey_open(s.path, &k), -EBADMSG);
        assert_int_equal(unlink(scratch_path(&s, "host_key")), 0);
        assert_int_equal(mkfifo(scratch_path(&s, "host_key"), 0600), 0);
        assert_int_equal(hostkey_open(s.path, &k), -EBADMSG);
        assert_null(k);
}

static void hostkey_puts_its_public_files_right(void **state) {
        static const char *const names[] = { "host_key.pub", "host_key.pem" };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        hostkey_free(open_key(&s));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(scratch_bytes_done) struct scratch_bytes want = scratch_read(scratch_path(&s, names[i]));

                for (int missing = 0; missing < 2; missing++) {
                        if (missing)
                                assert_int_equal(unlink(scratch_path(&s, names[i])), 0);
                        else
                                scratch_write(scratch_path(&s, names[i]), "another key", 11);
                        hostkey_free(open_key(&s));
                        _cleanup_(scratch_bytes_done) struct scratch_bytes got =
                                scratch_read(scratch_path(&s, names[i]));

                        assert_string_equal(got.data, want.data);
                }
        }
}

static void hostkey_has_the_id_that_ssh_keygen_prints(void **state) {
        _cleanup_(hostkey_freep) struct hostkey *k = NULL;
        char id[SSHKEY_ID_SIZE], want[128];
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        k = open_key(&s);
        assert_true(run(&s, "ssh-keygen -lf host_key.pub"));
        _cleanup_(scratch_bytes_done) struct scratch_bytes out = scratch_read(scratch_path(&s, "out"));

        sshkey_id_to_str(hostkey_public(k)->id, id);
        (void) snprintf(want, sizeof(want), "256 %s freezed (ED25519)\n", id);
        assert_string_equal(out.data, want);
}

static void hostkey_signatures_verify_with_openssl_and_forged_ones_do_not(void **state) {
        static const char verify[] = "openssl pkeyutl -verify -pubin -inkey host_key.pem -rawin -in text -sigfile sig";
        _cleanup_(hostkey_freep) struct hostkey *k = NULL, *other = NULL;
        uint8_t text[300], sig[64];
        _cleanup_scratch_ struct scratch s, t;

        (void) state;
        scratch_make(&s);
        scratch_make(&t);
        k = open_key(&s);
        other = open_key(&t);
        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (uint8_t) i;
        hostkey_sign(k, text, sizeof(text), sig);
        scratch_write(scratch_path(&s, "text"), text, sizeof(text));
        scratch_write(scratch_path(&s, "sig"), sig, sizeof(sig));
        assert_true(run(&s, verify));
        text[299] ^= 1;
        scratch_write(scratch_path(&s, "text"), text, sizeof(text));
        assert_false(run(&s, verify));
        text[299] ^= 1;
        scratch_write(scratch_path(&s, "text"), text, sizeof(text));
        hostkey_sign(other, text, sizeof(text), sig);
        scratch_write(scratch_path(&s, "sig"), sig, sizeof(sig));
        assert_false(run(&s, verify));
}

static void hostkey_envelope_is_signed_by_the_host_over_the_payload(void **state) {
        static const char payload[] = "{\"state\":\"contained\"}";
        _cleanup_(hostkey_freep) struct hostkey *k = NULL, *other = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        _cleanup_scratch_ struct scratch s, t;
        enum reason reason;
        uint64_t signers;

        (void) state;
        scratch_make(&s);
        scratch_make(&t);
        k = open_key(&s);
        other = open_key(&t);
        assert_int_equal(hostkey_envelope(k, DSSE_RECEIPT, payload, &json), 0);
        assert_int_equal(dsse_parse(json, strlen(json), &d, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(d.type, DSSE_RECEIPT);
        assert_string_equal(d.payload, payload);
        assert_int_equal(d.n_sigs, 1);
        assert_memory_equal(d.sigs[0].keyid, hostkey_public(k)->id, 32);
        assert_int_equal(dsse_verify(&d, hostkey_public(k), 1, &signers, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(signers, 1);
        assert_int_equal(dsse_verify(&d, hostkey_public(other), 1, &signers, &reason), 0);
        assert_int_equal(reason, REASON_UNTRUSTED);
        d.payload[2] ^= 1;
        assert_int_equal(dsse_verify(&d, hostkey_public(k), 1, &signers, &reason), 0);
        assert_int_equal(reason, REASON_SIGNATURE);
        d.payload[2] ^= 1;
        d.type = DSSE_REPORT;
        assert_int_equal(dsse_verify(&d, hostkey_public(k), 1, &signers, &reason), 0);
        assert_int_equal(reason, REASON_SIGNATURE);
}

/* Pages that may be read but not written and that no core dump shows, and how many of them are locked. */
static unsigned secret_pages(unsigned *ret_locked) {
        FILE *f = fopen("/proc/self/smaps", "re");
        unsigned n = 0;
        char line[256];

        assert_non_null(f);
        *ret_locked = 0;
        while (fgets(line, sizeof(line), f))
                if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " rd ") && !strstr(line, " wr ") &&
                    strstr(line, " dd ")) {
                        n++;
                        *ret_locked += strstr(line, " lo ") != NULL;
                }
        (void) fclose(f);
        return n;
}

static void hostkey_keeps_the_secret_locked_read_only_and_out_of_dumps(void **state) {
        unsigned locked_before, locked, before = secret_pages(&locked_before);
        _cleanup_scratch_ struct scratch s;
        struct hostkey *k;

        (void) state;
        scratch_make(&s);
        k = open_key(&s);
        assert_int_equal(secret_pages(&locked), before + 1);
#ifdef __SANITIZE_ADDRESS__
        print_message("AddressSanitizer makes mlock do nothing: whether the page is locked was not tested\n");
#else
        assert_int_equal(locked, locked_before + 1);
#endif
        hostkey_free(k);
        assert_int_equal(secret_pages(&locked), before);
}

/* Killed at each of its effects, it comes back with one whole key, and with the one that it may already have shown. */
static void hostkey_survives_a_kill_at_any_effect(void **state) {
        int died = 1;

        (void) state;
        for (unsigned k = 1; died; k++) {
                _cleanup_(hostkey_freep) struct hostkey *after = NULL;
                _cleanup_scratch_ struct scratch s;
                struct sshkey shown;
                bool was_shown;
                char setting[16];
                pid_t pid;
                int r;

                scratch_make(&s);
                pid = fork();
                if (pid == 0) {
                        struct hostkey *key = NULL;

                        (void) snprintf(setting, sizeof(setting), "kill:%u", k);
                        (void) setenv("FREEZED_FAULT", setting, 1);
                        _exit(hostkey_open(s.path, &key) == 0 ? 0 : 1);
                }
                r = scratch_wait(pid);
                assert_true(r == 0 || r == -SIGKILL);
                died = r == -SIGKILL;
                assert_true(died || k == 4);
                was_shown = access(scratch_path(&s, "host_key.pub"), F_OK) == 0;
                if (was_shown) {
                        _cleanup_(scratch_bytes_done) struct scratch_bytes b =
                                scratch_read(scratch_path(&s, "host_key.pub"));

                        b.data[strcspn((char *) b.data, "\n")] = '\0';
                        assert_int_equal(sshkey_from_line((char *) b.data, &shown), 0);
                }
                after = open_key(&s);
                if (was_shown)
                        assert_memory_equal(hostkey_public(after), &shown, sizeof(shown));
                assert_true(run(&s, "openssl pkey -pubin -in host_key.pem -noout"));
        }
}

static void hostkey_open_fails_when_an_effect_does(void **state) {
        (void) state;
        for (unsigned k = 1; k <= 3; k++) {
                _cleanup_scratch_ struct scratch s;
                struct hostkey *key = NULL;
                char setting[16];

                scratch_make(&s);
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                assert_int_equal(setenv("FREEZED_FAULT", setting, 1), 0);
                assert_int_equal(hostkey_open(s.path, &key), -EIO);
                assert_null(key);
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
                hostkey_free(open_key(&s));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hostkey_is_made_once_and_then_kept),
                cmocka_unit_test(hostkey_refuses_a_file_that_is_not_a_private_seed),
                cmocka_unit_test(hostkey_puts_its_public_files_right),
                cmocka_unit_test(hostkey_has_the_id_that_ssh_keygen_prints),
                cmocka_unit_test(hostkey_signatures_verify_with_openssl_and_forged_ones_do_not),
                cmocka_unit_test(hostkey_envelope_is_signed_by_the_host_over_the_payload),
                cmocka_unit_test(hostkey_keeps_the_secret_locked_read_only_and_out_of_dumps),
                cmocka_unit_test(hostkey_survives_a_kill_at_any_effect),
                cmocka_unit_test(hostkey_open_fails_when_an_effect_does),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

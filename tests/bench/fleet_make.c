/* SPDX-License-Identifier: Apache-2.0 */

/* fleet_make TRUST REGISTRAR DIR FROM COUNT GROUP: makes DIR/N for each host, N from FROM: its key, and its attributes,
 * certified by the owner of that key file, as its agent keeps them. The inventory of all of them goes to the output. */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <sodium.h>

#include "agent/core/hostkey.h"
#include "agent/util/io.h"
#include "ctl/sshprivkey.h"
#include "policy/attributes.h"
#include "policy/trust.h"

static struct {
        char fleet[ATTRIBUTES_NAME_MAX + 1];
        struct sshkey key;
        uint8_t secret[SSHPRIVKEY_SECRET_SIZE];
} registrar;

static void fail(const char *what, int r) {
        fprintf(stderr, "fleet_make: %s: %s\n", what, strerror(-r));
        exit(1);
}

static void read_registrar(const char *trust, const char *key) {
        _cleanup_free_ char *root = NULL, *text = NULL;
        enum sshprivkey_problem problem;
        enum reason reason;
        struct trust *t;
        size_t n;
        int r = io_read_file(AT_FDCWD, trust, DSSE_ENVELOPE_MAX, &root, &n);

        if (r == 0)
                r = trust_accept(root, n, NULL, &t, &reason);
        if (r < 0 || reason != REASON_NONE)
                fail(trust, r < 0 ? r : -EBADMSG);
        (void) snprintf(registrar.fleet, sizeof(registrar.fleet), "%s", t->fleet);
        r = io_read_file(AT_FDCWD, key, SSHPRIVKEY_FILE_MAX, &text, &n);
        if (r == 0)
                r = sshprivkey_parse(text, n, registrar.secret, &registrar.key, &problem);
        if (r < 0 || problem != SSHPRIVKEY_NONE)
                fail(key, r < 0 ? r : -EBADMSG);
}

static char *certify(const struct attributes *a) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ uint8_t *pae = NULL;
        char *json, *envelope = NULL;
        uint8_t sig[64];
        size_t n;
        int r = attributes_to_json(a, &json);

        if (r < 0)
                fail(a->name, r);
        d.type = DSSE_ATTRIBUTES;
        d.payload = (uint8_t *) json;
        d.n_payload = strlen(json);
        r = dsse_pae(d.type, d.payload, d.n_payload, &pae, &n);
        if (r == 0) {
                (void) crypto_sign_detached(sig, NULL, pae, n, registrar.secret);
                r = dsse_add(&d, registrar.key.id, sig);
        }
        if (r == 0)
                r = dsse_to_json(&d, &envelope);
        if (r < 0)
                fail(a->name, r);
        return envelope;
}

static void make(const char *dir, size_t number, const char *group) {
        struct attributes a = { .n_groups = 2, .n = 1, .iat_ms = time(NULL) * 1000 };
        _cleanup_(hostkey_freep) struct hostkey *key = NULL;
        _cleanup_free_ char *envelope = NULL, *path = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r = asprintf(&path, "%s/%zu", dir, number) < 0 ? -ENOMEM : 0;

        if (r == 0)
                r = mkdir(path, 0700) < 0 ? -errno : hostkey_open(path, &key);
        if (r < 0)
                fail(path, r);
        a.key = *hostkey_public(key);
        (void) snprintf(a.fleet, sizeof(a.fleet), "%s", registrar.fleet);
        (void) snprintf(a.name, sizeof(a.name), "%s-%zu", group, number);
        (void) snprintf(a.groups[0], sizeof(a.groups[0]), "%s", number % 2 == 0 ? "eu" : "us");
        (void) snprintf(a.groups[1], sizeof(a.groups[1]), "%s", group);
        envelope = certify(&a);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = fd < 0 ? -errno : io_replace_file(fd, "attributes.json", envelope, strlen(envelope), 0600);
        if (r < 0)
                fail(path, r);
        printf("%s\n", envelope);
}

int main(int argc, char **argv) {
        if (argc != 7) {
                fprintf(stderr, "fleet_make TRUST REGISTRAR DIR FROM COUNT GROUP\n");
                return 2;
        }
        if (sodium_init() < 0)
                fail("libsodium", -EIO);
        read_registrar(argv[1], argv[2]);
        const size_t from = strtoul(argv[4], NULL, 10), count = strtoul(argv[5], NULL, 10);
        for (size_t i = from; i < from + count; i++)
                make(argv[3], i, argv[6]);
        return fflush(stdout) != 0;
}

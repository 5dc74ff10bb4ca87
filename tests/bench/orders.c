/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/orders.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <sodium.h>

#include "ctl/sshprivkey.h"

/* longer than any evidence takes here */
#define ANSWER_S 120
#define LIFE_MS  (50LL * 60 * 1000)

void fail(const char *format, ...) {
        va_list args;

        va_start(args, format);
        (void) vfprintf(stderr, format, args);
        va_end(args);
        (void) fputc('\n', stderr);
        exit(1);
}

int64_t now_us(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void orders_load(const char *fleet, const char *const files[static 2], struct orders_signers *ret) {
        (void) snprintf(ret->fleet, sizeof(ret->fleet), "%s", fleet);
        for (size_t i = 0; i < 2; i++) {
                char text[4096];
                _cleanup_fclose_ FILE *f = fopen(files[i], "re");
                enum sshprivkey_problem problem;

                if (!f ||
                    sshprivkey_parse(text, fread(text, 1, sizeof(text), f), ret->person[i].secret, &ret->person[i].key,
                                     &problem) < 0 ||
                    problem != SSHPRIVKEY_NONE)
                        fail("%s: no key", files[i]);
        }
}

static char *sign(const struct orders_signers *s, const struct command *c, size_t n_signers) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ uint8_t *pae = NULL;
        char *text, *envelope;
        size_t n;

        if (command_to_json(c, &text) < 0)
                fail("the command is none");
        d.type = DSSE_COMMAND;
        d.payload = (uint8_t *) text;
        d.n_payload = strlen(text);
        if (dsse_pae(d.type, d.payload, d.n_payload, &pae, &n) < 0)
                fail("out of memory");
        for (size_t i = 0; i < n_signers; i++) {
                uint8_t sig[64];

                (void) crypto_sign_detached(sig, NULL, pae, n, s->person[i].secret);
                (void) !dsse_add(&d, s->person[i].key.id, sig);
        }
        if (dsse_to_json(&d, &envelope) < 0)
                fail("out of memory");
        return envelope;
}

static struct command command_of(const struct orders_signers *s, enum verb verb, struct target *targets, size_t n) {
        struct command c = { .verb = verb,
                             .to = COMMAND_TO_ALL,
                             .max_hosts = 1,
                             .targets = targets,
                             .n_targets = n,
                             .severity = SEVERITY_P0 };
        struct timespec t;

        (void) clock_gettime(CLOCK_REALTIME, &t);
        c.iat_ms = (int64_t) t.tv_sec * 1000;
        c.exp_ms = c.iat_ms + LIFE_MS;
        (void) snprintf(c.fleet, sizeof(c.fleet), "%s", s->fleet);
        (void) snprintf(c.reason, sizeof(c.reason), "measuring");
        randombytes_buf(c.id.b, sizeof(c.id.b));
        command_id_be_of_key(&c.id, s->person[0].key.id);
        return c;
}

struct orders_pair orders_sign(const struct orders_signers *s, const char *const *units, size_t n) {
        _cleanup_free_ struct target *targets = calloc(n, sizeof(*targets));
        struct target hold = { .cls = TARGET_HOLD };
        struct command contain, release;

        if (!targets)
                fail("out of memory");
        for (size_t i = 0; i < n; i++) {
                targets[i].cls = TARGET_UNIT;
                (void) snprintf(targets[i].name, sizeof(targets[i].name), "%s", units[i]);
        }
        contain = command_of(s, VERB_CONTAIN, targets, n);
        command_id_to_str(&contain.id, hold.name);
        release = command_of(s, VERB_RELEASE, &hold, 1);
        return (struct orders_pair) { .contain = sign(s, &contain, 1), .release = sign(s, &release, 2) };
}

void orders_pair_done(struct orders_pair *p) {
        free(p->contain);
        free(p->release);
        *p = (struct orders_pair) { 0 };
}

int orders_connect(const char *path) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        const struct timeval timeout = { .tv_sec = ANSWER_S };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
        if (fd < 0 || connect(fd, (struct sockaddr *) &to, sizeof(to)) < 0)
                fail("%s: %s", path, strerror(errno));
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        return fd;
}

static json_t *payload_of(const char *answer, size_t n) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;
        json_t *payload;

        if (dsse_parse(answer, n, &d, &reason) < 0 || reason != REASON_NONE)
                fail("the gate says %.*s", (int) n, answer);
        payload = json_loadb((const char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        if (!payload)
                fail("the receipt is no JSON");
        return payload;
}

static char buffer[DSSE_HOST_ENVELOPE_MAX];

static size_t receive(int fd) {
        const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

        if (n <= 0)
                fail("no answer: %s", n < 0 ? strerror(errno) : "the gate hung up");
        return (size_t) n;
}

json_t *orders_ask(int fd, const char *message, int64_t *ret_us) {
        const size_t n_message = strlen(message);
        const int64_t start = now_us();
        size_t n;

        if (send(fd, message, n_message, MSG_NOSIGNAL) != (ssize_t) n_message)
                fail("the gate takes nothing: %s", strerror(errno));
        n = receive(fd);
        *ret_us = now_us() - start;
        return payload_of(buffer, n);
}

json_t *orders_next(int fd) {
        return payload_of(buffer, receive(fd));
}

bool orders_verify(const struct orders_signers *s, const uint8_t *pae, size_t n_pae, const uint8_t sig[static 64]) {
        return crypto_sign_verify_detached(sig, pae, n_pae, s->person[0].key.pub) == 0;
}

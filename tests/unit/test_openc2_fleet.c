/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/openc2_fleet.c ctl/brokerfile.c ctl/inventory.c ctl/parallel.c ctl/receipt.c ctl/hosts.c ctl/file.c */
/* LINK: ctl/member.c ctl/times.c */
/* LINK: ctl/text.c ctl/why.c */

/* How long an answer from elsewhere is waited for, by a clock and a courier of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/courier.h"
#include "ctl/openc2_fleet.h"
#include "tests/lib/answers.h"

#define ID         "0123456789abcdef0123456789abcdef"
#define DIGEST     "0101010101010101010101010101010101010101010101010101010101010101"
#define EVERY_MS   60000
#define ANSWERS    100U
#define TIMEOUT_MS 30000

static struct {
        int64_t now_ms;
        int fd;                   /* readable for ever */
        unsigned taken, final_at; /* how many answers were; which of them is final */
} broker;

int clock_gettime(clockid_t id, struct timespec *ts) {
        (void) id;
        *ts = (struct timespec) { .tv_sec = broker.now_ms / 1000 };
        return 0;
}

int courier_start(const struct broker *b, const char *fleet, struct courier **ret) {
        (void) b;
        (void) fleet;
        (void) ret;
        return -ENOSYS;
}

void courier_freep(struct courier **c) {
        (void) c;
}

int courier_fd(const struct courier *c) {
        (void) c;
        return broker.fd;
}

int courier_give(struct courier *c, const char *subject, const char *text, size_t n) {
        (void) c;
        (void) subject;
        (void) text;
        (void) n;
        return 0;
}

static char *answer(bool final) {
        char payload[512];

        (void) snprintf(payload, sizeof(payload),
                        "{\"v\":1,\"type\":\"receipt\",\"host\":\"%s\",\"id\":\"" ID "\",\"digest\":\"" DIGEST
                        "\",\"verb\":\"contain\",\"state\":\"contained\",\"reasons\":[],\"targets\":[],\"final\":%s}",
                        answers_id(0), final ? "true" : "false");
        return answers_sign(DSSE_RECEIPT, payload, 0, 0);
}

/* The same first receipt again and again, which is the broker's to do. */
int courier_take(struct courier *c, struct courier_event **ret) {
        _cleanup_free_ char *text = answer(++broker.taken == broker.final_at);
        struct courier_event *e = calloc(1, sizeof(*e) + strlen(text) + 1);

        (void) c;
        assert_non_null(e);
        e->kind = COURIER_ANSWER;
        assert_int_equal(command_id_from_str(ID, &e->subject.id), 0);
        e->n = strlen(text);
        strcpy(e->text, text);
        broker.now_ms += broker.taken > 1 ? EVERY_MS : 0;
        *ret = broker.taken < ANSWERS ? e : NULL;
        if (!*ret)
                free(e);
        return 0;
}

static int ask(struct receipt *ret) {
        static uint8_t digest[32];
        uint8_t secret[crypto_sign_SECRETKEYBYTES], to[1][32];
        struct inventory_host host = { .host = { .name = "web0" } };
        struct openc2_fleet f = { .inventory = { .v = &host, .n = 1 }, .up = true };
        struct command cmd = { .fleet = "prod", .to = COMMAND_TO_HOSTS, .hosts = to, .n_hosts = 1 };
        _cleanup_free_ char *envelope = NULL;
        bool given;

        memset(digest, 1, sizeof(digest));
        answers_key(0, secret, &host.host.key);
        memcpy(to[0], host.host.key.id, sizeof(to[0]));
        assert_int_equal(command_id_from_str(ID, &cmd.id), 0);
        const struct receipt_want want = {
                .type = DSSE_RECEIPT, .id = ID, .digest = digest, .hosts = (const uint8_t(*)[32]) to, .n_hosts = 1
        };
        broker.now_ms = 1000;
        broker.taken = 0;
        broker.fd = eventfd(1, EFD_CLOEXEC);
        assert_true(broker.fd >= 0);
        int r = openc2_fleet_ask(&f, &cmd, "{}", &want, TIMEOUT_MS, ret, &envelope, &given);
        closep(&broker.fd);
        return r;
}

static void the_last_answer_is_waited_for(void **state) {
        struct receipt r = RECEIPT_NULL;

        (void) state;
        broker.final_at = 2;
        assert_int_equal(ask(&r), 0);
        assert_true(receipt_is_final(&r));
        receipt_done(&r);
}

static void an_answer_that_is_played_again_makes_nobody_wait_for_ever(void **state) {
        struct receipt r = RECEIPT_NULL;

        (void) state;
        broker.final_at = 0;
        assert_int_equal(ask(&r), 0);
        assert_false(receipt_is_final(&r));
        assert_in_range(broker.taken, 2, 4);
        receipt_done(&r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_last_answer_is_waited_for),
                cmocka_unit_test(an_answer_that_is_played_again_makes_nobody_wait_for_ever),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}

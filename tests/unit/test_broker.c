/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/broker.h"

static enum reason parse(const char *text, struct broker *ret) {
        enum reason reason = _REASON_MAX;

        assert_int_equal(broker_parse((const uint8_t *) text, strlen(text), ret, &reason), 0);
        return reason;
}

static void a_broker_is_read_whole(void **state) {
        static const char text[] =
                "{\"v\":1,\"servers\":[\"tls://nats-1.example:4222\",\"tls://[fd77::1]:4223\"],\"ca\":\"/etc/ca.pem\","
                "\"cert\":\"/etc/c.pem\",\"key\":\"/etc/k.pem\",\"nkey\":\"/etc/seed\",\"spread_s\":0}";
        char host[BROKER_HOST_SIZE];
        struct broker b;

        (void) state;
        assert_int_equal(parse(text, &b), REASON_NONE);
        assert_int_equal(b.n_servers, 2);
        assert_true(b.tls);
        assert_string_equal(b.servers[1], "tls://[fd77::1]:4223");
        broker_host(b.servers[0], host);
        assert_string_equal(host, "nats-1.example");
        broker_host(b.servers[1], host);
        assert_string_equal(host, "fd77::1");
        assert_string_equal(b.ca, "/etc/ca.pem");
        assert_string_equal(b.nkey, "/etc/seed");
        assert_int_equal(b.spread_s, 0);

        assert_int_equal(parse("{\"v\":1,\"servers\":[\"nats://10.77.0.1:4222\"]}", &b), REASON_NONE);
        assert_false(b.tls);
        assert_string_equal(b.ca, "");
        assert_int_equal(b.spread_s, 30);
}

static void what_would_connect_elsewhere_or_unseen_is_refused(void **state) {
        static const struct {
                const char *text;
                enum reason reason;
        } rows[] = {
                { "{\"v\":1}", REASON_SCHEMA },
                { "{\"v\":2,\"servers\":[\"nats://a:1\"]}", REASON_VERSION },
                { "{\"v\":1,\"servers\":[]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\"],\"password\":\"x\"}", REASON_FIELD },
                { "{\"v\":1,\"servers\":[\"nats://a\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:0\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:65536\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1/x\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1,nats://b:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://bob:secret@a:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://[::1:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"http://a:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\",\"nats://a:1\"]}", REASON_SCHEMA },
                /* a server that is not who it has to be */
                { "{\"v\":1,\"servers\":[\"tls://a:1\"]}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\"],\"ca\":\"/ca\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"tls://a:1\",\"nats://a:1\"],\"ca\":\"/ca\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"tls://a:1\"],\"ca\":\"/ca\",\"cert\":\"/c\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\"],\"cert\":\"/c\",\"key\":\"/k\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"tls://a:1\"],\"ca\":\"ca.pem\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\"],\"nkey\":\"\"}", REASON_SCHEMA },
                { "{\"v\":1,\"servers\":[\"nats://a:1\"],\"spread_s\":3601}", REASON_SCHEMA },
        };
        struct broker b, before;

        (void) state;
        memset(&b, 0x5a, sizeof(b));
        before = b;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (parse(rows[i].text, &b) != rows[i].reason)
                        fail_msg("%s", rows[i].text);
        assert_memory_equal(&b, &before, sizeof(b));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_broker_is_read_whole),
                cmocka_unit_test(what_would_connect_elsewhere_or_unseen_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

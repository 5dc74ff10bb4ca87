/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/render.c ctl/render_receipt.c ctl/render_fleet.c ctl/render_target.c ctl/render_report.c ctl/render_order.c ctl/render_trust.c */
/* LINK: ctl/render_tried.c ctl/render_repaired.c ctl/render_thawed.c */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/trustfile.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/render.h"
#include "tests/lib/answers.h"
#include "tests/lib/people.h"

#define ID "0123456789abcdefb42576a84bcfcccb" /* alice's */

static struct host host = { .name = "web1" };

/* The text that a renderer writes; owned by the caller. */
struct sheet {
        struct page page;
        char *text;
        size_t n;
};

static void sheet_open(struct sheet *s, bool colour) {
        *s = (struct sheet) { .page = { NULL, colour } };
        s->page.f = open_memstream(&s->text, &s->n);
        assert_non_null(s->page.f);
}

static char *sheet_close(struct sheet *s) {
        assert_int_equal(fclose(s->page.f), 0);
        return s->text;
}

static struct receipt receipt_of(const char *json) {
        struct receipt r = { .kind = RECEIPT_SIGNED, .host = &host, .payload = json_loads(json, 0, NULL) };

        assert_non_null(r.payload);
        return r;
}

static char *render(const char *json) {
        struct receipt r = receipt_of(json);
        struct sheet s;

        sheet_open(&s, false);
        render_receipt(&s.page, &r);
        receipt_done(&r);
        return sheet_close(&s);
}

static void assert_has(const char *text, const char *part) {
        if (!strstr(text, part))
                fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_lacks(const char *text, const char *part) {
        if (strstr(text, part))
                fail_msg("\"%s\" is in:\n%s", part, text);
}

static void assert_first_line(const char *json, const char *line) {
        char *text = render(json);

        text[strcspn(text, "\n")] = '\0';
        assert_string_equal(text, line);
        free(text);
}

static void the_first_line_is_the_verdict(void **state) {
        static const struct {
                const char *json, *line;
        } cases[] = {
                { "{\"state\":\"contained\",\"verb\":\"contain\",\"targets\":[{\"target\":\"unit:beacon.service\","
                  "\"frozen\":true}],\"phases_us\":{\"total\":14250}}",
                  "CONTAINED beacon.service on web1 (14.2 ms)" },
                { "{\"state\":\"contained\",\"verb\":\"isolate\",\"targets\":[{\"target\":\"unit:a.service\"},{"
                  "\"target\":\"slice:b.slice\"}]}",
                  "ISOLATED a.service, slice:b.slice on web1" },
                { "{\"state\":\"contained\",\"verb\":\"freeze\",\"targets\":[{\"target\":\"unit:a.service\"}]}",
                  "FROZEN a.service on web1" },
                { "{\"state\":\"partial\",\"verb\":\"contain\",\"targets\":[{\"target\":\"unit:a.service\"}]}",
                  "PARTIAL a.service on web1" },
                { "{\"state\":\"failed\",\"verb\":\"contain\",\"targets\":[]}", "FAILED on web1" },
                { "{\"state\":\"refused\",\"reasons\":[\"threshold\"],\"have\":1,\"need\":2}",
                  "REFUSED threshold: have 1 of 2" },
                { "{\"state\":\"refused\",\"reasons\":[\"expired\"]}", "REFUSED expired: The command has expired" },
                { "{\"state\":\"refused\",\"reasons\":[\"wrong-role\"],\"have\":0,\"need\":0}",
                  "REFUSED wrong-role: No role of the signers may order this verb" },
                { "{\"state\":\"refused\"}", "REFUSED without a reason" },
                { "{\"state\":\"released\",\"holds\":[{\"id\":\"" ID
                  "\",\"held_ms\":12345,\"targets\":[\"unit:beacon.service\"]}]}",
                  "RELEASED after 12.3 s: beacon.service on web1" },
                { "{\"state\":\"lapsed\",\"held_ms\":10000}", "LAPSED after 10.0 s on web1" },
                { "{\"state\":\"thawed\",\"holds\":[{\"targets\":[\"unit:beacon.service\"]}]}",
                  "THAWED beacon.service on web1, and still cut off from the network" },
                { "{\"state\":\"contained\",\"verb\":\"contain\",\"targets\":[{\"target\":\"unit:a.service\","
                  "\"frozen\":false}]}",
                  "CONTRADICTORY a.service on web1" },
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"contained\",\"verb\":\"contain\"}}",
                  "DUPLICATE on web1; nothing was done. What happened the first time:" },
                { "{\"state\":\"planned\",\"verb\":\"contain\",\"targets\":[{\"target\":\"unit:a.service\"}]}",
                  "PLAN contain a.service on web1; nothing was changed" },
                { "{\"state\":\"from-the-future\"}", "NOT UNDERSTOOD on web1" },
                { "{}", "NOT UNDERSTOOD on web1" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_first_line(cases[i].json, cases[i].line);
}

static void a_containment_says_what_was_proven_and_what_comes_next(void **state) {
        char *text = render(
                "{\"id\":\"" ID "\",\"state\":\"partial\",\"verb\":\"contain\",\"reasons\":[\"no-bpf\"],\"flags\":["
                "\"clock-untrusted\",\"no-systemd\"],"
                "\"targets\":[{\"target\":\"unit:beacon.service\",\"cgroup\":\"/system.slice/"
                "beacon.service\",\"cgroup_id\":77,"
                "\"pids\":[812,813],\"frozen\":true,\"links\":[{\"hook\":\"connect4\",\"link_id\":5}],\"sockets\":{"
                "\"destroyed\":1,\"left\":0,\"foreign\":2},"
                "\"selftest\":{\"baseline\":true,\"new\":\"blocked\",\"open\":\"blocked\",\"inbound\":\"blocked\","
                "\"permitted\":[{\"net\":\"10.0.0.5/32\",\"port\":443,"
                "\"result\":\"reached\"}]},\"gaps\":[\"no-bpf\"]}],"
                "\"phases_us\":{\"freeze\":30,\"resolve\":20,\"total\":99,\"verify\":10,\"later\":1},"
                "\"evidence\":{\"state\":\"complete\",\"folder\":\"/var/lib/freezed/evidence/"
                "SA-1\",\"manifest_sha256\":\"ab\",\"objects\":4,\"holes\":1,\"bytes\":9},"
                "\"incident\":\"SA-20261120-001\",\"severity\":\"P0\",\"lease_ms\":10000,\"ledger\":{\"n\":12}}");

        (void) state;
        assert_has(text, "/system.slice/beacon.service (id 77)");
        assert_has(text, "2: 812 813");
        assert_has(text, "yes, as the kernel says");
        assert_has(text, "connect4#5");
        assert_has(text, "1 destroyed, 0 left, 2 of other cgroups");
        assert_has(text, "a new connection from inside: blocked");
        assert_has(text, "permitted 10.0.0.5/32 port 443: reached");
        assert_has(text, "verify 10  resolve 20  freeze 30  later 1  total 99");
        assert_has(text, "complete: 4 objects, 9 bytes, 1 holes");
        assert_has(text, "/var/lib/freezed/evidence/SA-1");
        assert_has(text, "no-bpf: The kernel refused an isolation program");
        assert_has(text, "-> ");
        assert_has(text, "The host is not in order");
        assert_has(text, "clock-untrusted: ");
        assert_has(text, "no-systemd: ");
        assert_has(text, "freezectl release " ID "\n");
        assert_has(text, "freezectl extend " ID " --lease 15m\n");
        free(text);
}

static void a_step_says_what_became_of_them_and_how_to_go_on(void **state) {
        char *text = render(
                "{\"id\":\"aa\",\"state\":\"thawed\",\"verb\":\"release\",\"reasons\":[],\"holds\":[{\"id\":\"" ID
                "\",\"state\":\"contained\",\"was\":\"contained\",\"targets\":[\"unit:a.service\"],\"thawed\":[{"
                "\"target\":\"unit:a.service\",\"processes\":3,\"survived\":2,\"stopped\":5,\"signalled\":["
                "{\"pid\":77,\"signals\":[6,34]}],\"watchdog_expired\":true}]},{\"id\":\"ff\",\"state\":"
                "\"released\"}]}");

        (void) state;
        assert_has(text, "unit:a.service: 2 of 3 processes live");
        assert_has(text, "kept from sending 5 times");
        assert_has(text, "SIGABRT, signal 34, which ends process 77");
        assert_has(text, "its watchdog ran out");
        assert_has(text, "freezectl release " ID "\n");
        assert_lacks(text, "freezectl release ff");
        free(text);
}

static void what_holds_nothing_offers_no_release(void **state) {
        static const char *const states[] = { "refused", "released", "snapshot", "extended", "planned", "lapsed" };
        char json[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                (void) snprintf(json, sizeof(json),
                                "{\"id\":\"" ID "\",\"state\":\"%s\",\"verb\":\"contain\",\"reasons\":[]}", states[i]);
                char *text = render(json);
                assert_lacks(text, "freezectl release " ID);
                free(text);
        }
}

static void a_reason_from_a_newer_host_is_shown_as_not_understood(void **state) {
        char *text = render("{\"state\":\"partial\",\"reasons\":[\"from-the-future\"],\"flags\":[\"another\"]}");

        (void) state;
        assert_has(text, "Not understood");
        assert_has(text, "from-the-future");
        assert_has(text, "another");
        free(text);
}

static void an_unverified_answer_shows_no_verdict_of_its_own(void **state) {
        struct receipt r = { .kind = RECEIPT_UNVERIFIED, .text = "it is signed by nobody" };
        struct sheet s;

        (void) state;
        sheet_open(&s, false);
        render_receipt(&s.page, &r);
        char *text = sheet_close(&s);
        assert_int_equal(strncmp(text, "UNVERIFIED ", 11), 0);
        assert_has(text, "it is signed by nobody");
        assert_lacks(text, "CONTAINED");
        free(text);
}

static void the_gates_no_is_marked_as_unsigned(void **state) {
        struct receipt r = { .kind = RECEIPT_GATE, .reason = REASON_SIGNATURE, .text = "A signature does not match" };
        struct sheet s;

        (void) state;
        sheet_open(&s, false);
        render_receipt(&s.page, &r);
        char *text = sheet_close(&s);
        assert_has(text, "REFUSED bad-signature");
        assert_has(text, "unsigned");
        free(text);
}

static void colour_is_for_terminals_only(void **state) {
        struct receipt r = receipt_of("{\"state\":\"contained\",\"verb\":\"contain\",\"targets\":[]}");
        struct sheet plain, coloured;

        (void) state;
        sheet_open(&plain, false);
        sheet_open(&coloured, true);
        render_receipt(&plain.page, &r);
        render_receipt(&coloured.page, &r);
        char *a = sheet_close(&plain), *b = sheet_close(&coloured);
        assert_null(strchr(a, '\033'));
        assert_int_equal(strncmp(b, "\033[1;32mCONTAINED\033[0m ", 20), 0);
        free(a);
        free(b);
        receipt_done(&r);
}

/* Poisons every text in the value, member names too. */
static json_t *poison(const json_t *v) {
        static const char venom[] = "\033[2J\r\n\007\302\233\342\200\256";
        const char *name;
        json_t *child, *out;
        size_t i;

        if (json_is_string(v)) {
                char text[512];
                (void) snprintf(text, sizeof(text), "%s%s", json_string_value(v), venom);
                return json_string(text);
        }
        if (json_is_array(v)) {
                out = json_array();
                json_array_foreach(v, i, child)(void) json_array_append_new(out, poison(child));
                return out;
        }
        if (json_is_object(v)) {
                out = json_object();
                json_object_foreach((json_t *) v, name, child)(void) json_object_set_new(out, name, poison(child));
                return out;
        }
        return json_incref((json_t *) v);
}

static void assert_harmless(const char *text) {
        for (const char *p = text; *p; p++)
                if ((unsigned char) *p < 0x20 && *p != '\n')
                        fail_msg("byte 0x%02x got through:\n%s", (unsigned char) *p, text);
        assert_lacks(text, "\302\233");
        assert_lacks(text, "\342\200\256");
}

/* What a receipt, a status and a health report can hold; every text of it hostile, with the state kept and without. */
static void nothing_from_elsewhere_moves_the_cursor(void **state) {
        static const char everything[] =
                "{\"id\":\"x\",\"verb\":\"contain\",\"reasons\":[\"a\"],\"flags\":[\"b\"],\"incident\":\"c\","
                "\"severity\":\"d\",\"lease_ms\":5,\"ledger\":{\"n\":1},"
                "\"wall_ms\":1,\"holds\":[{\"id\":\"e\",\"state\":\"f\",\"was\":\"g\",\"held_ms\":1,\"verb\":\"h\","
                "\"recorded\":\"i\",\"incident\":\"j\",\"severity\":\"k\","
                "\"targets\":[{\"target\":\"l\"}],\"reasons\":[\"m\"]}],"
                "\"targets\":[{\"target\":\"n\",\"cgroup\":\"o\",\"links\":[{\"hook\":\"p\",\"link_id\":1}],"
                "\"selftest\":{\"new\":\"q\",\"open\":\"r\",\"inbound\":\"s\","
                "\"datagram\":\"t\",\"permitted\":[{\"net\":\"u\",\"result\":\"v\"}]},\"gaps\":[\"w\"],\"warnings\":["
                "\"x\"],\"missing\":\"y\","
                "\"processes\":[{\"pid\":1,\"comm\":\"z\"}]}],\"phases_us\":{\"p\\u001b[31m\":1},\"evidence\":{"
                "\"state\":\"1\",\"folder\":\"2\",\"manifest_sha256\":\"3\"},"
                "\"agent\":{\"version\":\"4\"},\"layers\":[{\"id\":\"5\",\"state\":\"6\",\"why\":\"7\"}],\"trust\":{"
                "\"state\":\"8\",\"fleet\":\"9\",\"expires_ms\":1},"
                "\"attributes\":{\"n\":1,\"name\":\"10\",\"groups\":[\"11\",\"12\",7]},"
                "\"head\":{\"state\":\"stale\",\"n\":3,\"age_ms\":9007199254740991,\"withheld\":[\"13\",7]},"
                "\"counters\":{\"n\\u001b[31m\":1}}";
        static const char *const states[] = { "contained", "partial",  "failed",  "refused",   "released",
                                              "thawed",    "snapshot", "planned", "duplicate", "unknown" };
        json_t *clean = json_loads(everything, 0, NULL);

        (void) state;
        for (size_t i = 0; i <= ELEMENTSOF(states); i++) {
                struct receipt r = { .kind = RECEIPT_SIGNED, .host = &host, .payload = poison(clean) };
                struct sheet s;
                if (i < ELEMENTSOF(states))
                        (void) json_object_set_new(r.payload, "state", json_string(states[i]));
                (void) json_object_set_new(r.payload, "ended", poison(clean));
                sheet_open(&s, false);
                render_headline(&s.page, &r);
                render_receipt(&s.page, &r);
                render_status(&s.page, &r, NULL);
                render_status(&s.page, &r, "unit:\033[2J");
                render_health(&s.page, &r, CTL_OK);
                char *text = sheet_close(&s);
                assert_harmless(text);
                free(text);
                receipt_done(&r);
        }
        json_decref(clean);
}

/* What had no room in an answer may be what was asked for. */
static void a_shortened_status_is_never_nothing_held(void **state) {
        struct receipt r = receipt_of("{\"shortened\":true,\"omitted\":3,\"holds\":[{\"id\":\"" ID
                                      "\",\"verb\":\"contain\",\"state\":\"contained\",\"targets_total\":9}]}");
        struct sheet s;

        (void) state;
        assert_int_equal(render_matching(r.payload, "unit:a.service"), 1);
        sheet_open(&s, false);
        render_status(&s.page, &r, "unit:a.service");
        char *text = sheet_close(&s);
        assert_has(text, "NOT WHOLE 3 more holds");
        assert_lacks(text, "NOTHING HELD");
        free(text);
        json_array_clear(json_object_get(r.payload, "holds"));
        sheet_open(&s, false);
        render_status(&s.page, &r, "unit:a.service");
        text = sheet_close(&s);
        assert_lacks(text, "NOTHING HELD");
        free(text);
        receipt_done(&r);
}

static void a_host_that_may_be_kept_in_the_dark_says_so_beside_what_it_holds(void **state) {
        static const struct {
                const char *head, *has;
        } rows[] = {
                { "{\"state\":\"fresh\",\"n\":7,\"age_ms\":1}", NULL },
                { "{\"state\":\"none\"}", NULL },
                { "{\"state\":\"unknown\"}", NULL },
                { "{\"state\":\"stale\"}", "STALE: none of the fleet is believed" },
                { "{\"state\":\"fresh\",\"n\":7,\"age_ms\":1,\"withheld\":[\"" ID "\"]}",
                  "order " ID " is for this host" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char report[256];
                struct sheet s;

                (void) snprintf(report, sizeof(report), "{\"holds\":[],\"head\":%s}", rows[i].head);
                struct receipt r = receipt_of(report);
                sheet_open(&s, false);
                render_status(&s.page, &r, NULL);
                char *text = sheet_close(&s);
                assert_has(text, rows[i].has ? rows[i].has : "NOTHING HELD");
                if (!rows[i].has)
                        assert_lacks(text, "head");
                free(text);
                receipt_done(&r);
        }
}

static void a_crowd_is_counted_and_not_listed(void **state) {
        struct receipt r = receipt_of("{\"holds\":[{\"id\":\"" ID
                                      "\",\"verb\":\"freeze\",\"state\":\"contained\",\"targets\":[{\"target\":"
                                      "\"unit:a.service\",\"frozen\":true,\"pids\":[7,8],\"pids_total\":17001}]}]}");
        struct sheet s;

        (void) state;
        sheet_open(&s, false);
        render_status(&s.page, &r, NULL);
        char *text = sheet_close(&s);
        assert_has(text, "17001: 7 8 ...");
        free(text);
        receipt_done(&r);
}

static void status_shows_what_the_kernel_says_beside_what_was_recorded(void **state) {
        struct receipt r = receipt_of(
                "{\"holds\":[{\"id\":\"" ID
                "\",\"verb\":\"contain\",\"state\":\"partial\",\"recorded\":\"contained\",\"reasons\":[\"link-lost\"],"
                "\"repaired\":{\"repairs\":{\"thaw\":3,\"link\":0},\"failed\":0,\"latency_us\":{\"last\":84,\"worst\":"
                "912}},"
                "\"targets\":[{\"target\":\"unit:a.service\",\"frozen\":true}],\"severity\":\"P0\",\"incident\":\"SA-"
                "20261120-001\",\"held_ms\":65000,"
                "\"lease_left_ms\":60000},{\"id\":\"ff\",\"state\":\"contained\",\"verb\":\"freeze\",\"targets\":[{"
                "\"target\":\"unit:b.service\"}]}]}");
        struct sheet s;

        (void) state;
        sheet_open(&s, false);
        render_status(&s.page, &r, NULL);
        char *text = sheet_close(&s);
        assert_int_equal(strncmp(text, "HELD 2 on web1", 14), 0);
        assert_has(text, "PARTIAL a.service (contain) for 1 min 5 s");
        assert_has(text, "contained, which the kernel does not bear out now");
        assert_has(text, "ends by itself in 1 min");
        assert_has(text, "3 x thawed");
        assert_lacks(text, "x a program detached");
        assert_has(text, "the last after 84 us, the slowest after 912 us");
        assert_has(text, "link-lost: ");
        assert_has(text, "b.service");
        free(text);
        sheet_open(&s, false);
        render_status(&s.page, &r, "unit:a.service");
        text = sheet_close(&s);
        assert_has(text, "HELD 1 ");
        assert_lacks(text, "b.service");
        free(text);
        sheet_open(&s, false);
        render_status(&s.page, &r, "unit:c.service");
        text = sheet_close(&s);
        assert_has(text, "NOTHING HELD on web1 that is unit:c.service");
        free(text);
        assert_int_equal(render_matching(r.payload, ID), 1);
        receipt_done(&r);
}

static void a_hold_that_is_over_shows_its_last_receipt(void **state) {
        struct receipt r =
                receipt_of("{\"holds\":[],\"ended\":{\"state\":\"lapsed\",\"held_ms\":10000,\"id\":\"" ID "\"}}");
        struct sheet s;

        (void) state;
        sheet_open(&s, false);
        render_status(&s.page, &r, ID);
        char *text = sheet_close(&s);
        assert_has(text, "NOTHING HELD");
        assert_has(text, "LAPSED after 10.0 s on web1");
        free(text);
        receipt_done(&r);
}

static struct signed_file order_of(unsigned by, const char *reason) {
        struct signed_file f = SIGNED_FILE_NULL;
        char json[512];

        int n = snprintf(
                json, sizeof(json),
                "{\"v\":1,\"fleet\":\"prod\",\"id\":\"" ID "\",\"verb\":\"release\",\"to\":{\"hosts\":[\"%s\"]},"
                "\"targets\":[\"hold:" ID "\"],\"iat\":0,\"exp\":600000,\"severity\":\"P0\",\"reason\":\"%s\"}",
                answers_id(0), reason);
        f.env = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, (size_t) n, by);
        assert_int_equal(command_parse(f.env.payload, f.env.n_payload, &f.command, &f.reason), 0);
        assert_int_equal(f.reason, REASON_NONE);
        return f;
}

static char *render_file(const struct signed_file *f, const struct trust *t, int64_t now_ms) {
        struct hosts known = answers_known(1);
        struct sheet s;

        sheet_open(&s, false);
        render_order(&s.page, f, t, &known, now_ms);
        hosts_done(&known);
        return sheet_close(&s);
}

static void an_order_is_shown_in_plain_words_before_it_is_signed(void **state) {
        struct signed_file f = order_of(BY(ALICE), "patched");
        struct trust t;

        (void) state;
        people_trust(0, &t);
        char *text = render_file(&f, &t, 60000);
        assert_has(text, "ORDER release: end holds");
        assert_has(text, "hold:" ID);
        assert_has(text, "web0 (SHA256:");
        assert_has(text, "P0 (Critical)");
        assert_has(text, "(9 min left)");
        assert_has(text, "signed by    alice\n");
        assert_has(text, "1 of 2 people of the role responder\n");
        free(text);
        text = render_file(&f, &t, 660000);
        assert_has(text, "EXPIRED 1 min ago");
        free(text);
        text = render_file(&f, NULL, 0);
        assert_has(text, "not checked: no trust root here");
        assert_lacks(text, "alice");
        free(text);
        signed_file_done(&f);
}

static void people_are_counted_not_keys(void **state) {
        static const struct {
                unsigned by;
                const char *says;
                bool foreign;
        } cases[] = {
                { 0, "nobody", false },
                { BY(ALICE) | BY(ALICE_2), "1 of 2 people", false },
                { BY(ALICE) | BY(BOB), "2 of 2 people of the role responder: enough", false },
                { BY(ALICE) | BY(BOB) | BY(CAROL), "2 of 2 people of the role responder: enough", false },
                { BY(BOB) | BY(CAROL), "its id is of no key that signed it, so hosts refuse it", true },
                { BY(BOT), "no rule of the trust root lets these people order this", true },
                { BY(STRANGER), "whom the trust root does not name", false },
        };
        struct trust t;

        (void) state;
        people_trust(0, &t);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct signed_file f = order_of(cases[i].by, "patched");
                char *text = render_file(&f, &t, 0);
                assert_has(text, cases[i].says);
                assert_int_equal(strstr(text, "foreign-id") != NULL, cases[i].foreign);
                free(text);
                signed_file_done(&f);
        }
}

/* Who co-signs what is no surprise later. */
static void a_trust_root_names_everybody_in_each_role(void **state) {
        struct trust t;
        struct sheet s;

        (void) state;
        people_trust(0, &t);
        t.n_people = TRUST_PEOPLE_MAX;
        for (size_t i = 0; i < t.n_people; i++)
                (void) snprintf(t.people[i], sizeof(t.people[i]), "a-name-of-%0*zu", (int) (TRUST_NAME_MAX - 10), i);
        t.n_keys = 0;
        t.roles[ROLE_RESPONDER].people = UINT64_MAX;
        sheet_open(&s, false);
        render_trust(&s.page, &t, 0);
        char *text = sheet_close(&s);
        for (size_t i = 0; i < t.n_people; i++)
                assert_has(text, t.people[i]);
        free(text);
        for (size_t i = 0; i < t.n_people; i++)
                (void) snprintf(t.people[i], sizeof(t.people[i]), "p%02zu", i);
        t.roles[ROLE_RESPONDER].people = 0x3ffffe;
        sheet_open(&s, false);
        render_trust(&s.page, &t, 0);
        text = sheet_close(&s);
        assert_has(text, " p01, p02, p03, p04, p05, p06, p07, p08, p09, p10, p11, p12, p13,\n");
        assert_has(text, " p14, p15, p16, p17, p18, p19, p20, p21\n");
        free(text);
}

static void a_changed_order_names_nobody(void **state) {
        struct signed_file f = order_of(BY(ALICE) | BY(BOB), "patched");
        struct trust t;

        (void) state;
        people_trust(0, &t);
        *strstr((char *) f.env.payload, "patched") = 'P';
        char *text = render_file(&f, &t, 0);
        assert_has(text, "A SIGNATURE DOES NOT MATCH");
        assert_lacks(text, "alice");
        free(text);
        signed_file_done(&f);
}

static void every_refusal_and_gap_says_what_to_do_next(void **state) {
        (void) state;
        for (enum reason r = 1; r < _REASON_MAX; r++) {
                bool needs = reason_kind(r) != REASON_KIND_NOTE;
                static const enum reason plain[] = { REASON_OVERSIZE, REASON_MALFORMED,   REASON_ENCODING,  REASON_TYPE,
                                                     REASON_SCHEMA,   REASON_TRUST_CHAIN, REASON_NO_CGROUP2 };
                for (size_t i = 0; i < ELEMENTSOF(plain); i++)
                        needs = needs && plain[i] != r;
                if (needs && !render_advice(r))
                        fail_msg("%s leaves a tired person alone", reason_id(r));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_first_line_is_the_verdict),
                cmocka_unit_test(a_containment_says_what_was_proven_and_what_comes_next),
                cmocka_unit_test(a_step_says_what_became_of_them_and_how_to_go_on),
                cmocka_unit_test(what_holds_nothing_offers_no_release),
                cmocka_unit_test(a_reason_from_a_newer_host_is_shown_as_not_understood),
                cmocka_unit_test(an_unverified_answer_shows_no_verdict_of_its_own),
                cmocka_unit_test(the_gates_no_is_marked_as_unsigned),
                cmocka_unit_test(colour_is_for_terminals_only),
                cmocka_unit_test(nothing_from_elsewhere_moves_the_cursor),
                cmocka_unit_test(a_shortened_status_is_never_nothing_held),
                cmocka_unit_test(a_host_that_may_be_kept_in_the_dark_says_so_beside_what_it_holds),
                cmocka_unit_test(a_crowd_is_counted_and_not_listed),
                cmocka_unit_test(status_shows_what_the_kernel_says_beside_what_was_recorded),
                cmocka_unit_test(a_hold_that_is_over_shows_its_last_receipt),
                cmocka_unit_test(an_order_is_shown_in_plain_words_before_it_is_signed),
                cmocka_unit_test(people_are_counted_not_keys),
                cmocka_unit_test(a_trust_root_names_everybody_in_each_role),
                cmocka_unit_test(a_changed_order_names_nobody),
                cmocka_unit_test(every_refusal_and_gap_says_what_to_do_next),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}

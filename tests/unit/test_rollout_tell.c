/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_tell.c ctl/rollout_plan.c ctl/rollout_progress.c ctl/rollcall.c ctl/parallel.c ctl/rollout_kept.c ctl/bundle.c */
/* LINK: ctl/render.c ctl/render_receipt.c ctl/render_fleet.c ctl/render_target.c ctl/render_report.c ctl/render_order.c ctl/render_trust.c */
/* LINK: ctl/render_tried.c ctl/render_repaired.c ctl/render_thawed.c */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/trustfile.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* What is said of a rollout: what it would do, before; how it goes; and what came of it, by name. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/rollout_look.h"
#include "ctl/text.h"
#include "ctl/times.h"

#define ID    "0123456789abcdef0123456789abcdef"
#define HOSTS 30U

static struct inventory_host fleet[HOSTS];
static struct command command;
static struct target target;
static struct ctl ctl;
static struct rollout *r;
static char *out;
static size_t n_out;
static int64_t now_ms;

struct page exchange_page(const struct ctl *c) {
        return (struct page) { c->out, false };
}

void exchange_json_line(struct ctl *c, const json_t *o) {
        (void) json_dumpf(o, c->out, JSON_COMPACT);
        fputc('\n', c->out);
}

int64_t order_now_ms(void) {
        return now_ms;
}

int64_t mono_ms(void) {
        return now_ms;
}

static unsigned stays;

void rollout_tell_stays(const struct rollout *x) {
        (void) x;
        stays++;
}

const char *rollout_look_str(enum rollout_look l) {
        (void) l;
        return "held";
}

/* As if every one of n hosts was silent. */
static void begin(size_t n) {
        const struct inventory_host *hosts[HOSTS];

        for (size_t i = 0; i < n; i++) {
                memset(&fleet[i], 0, sizeof(fleet[i]));
                (void) snprintf(fleet[i].host.name, sizeof(fleet[i].host.name), "web-%02zu", i);
                fleet[i].host.key.id[0] = (uint8_t) i;
                hosts[i] = &fleet[i];
        }
        now_ms = 1000000;
        command = (struct command) { .verb = VERB_CONTAIN,
                                     .severity = SEVERITY_P1,
                                     .lease_ms = 900000,
                                     .n_targets = 1,
                                     .iat_ms = now_ms,
                                     .exp_ms = now_ms + 600000 };
        (void) snprintf(command.incident, sizeof(command.incident), "SA-7");
        (void) snprintf(command.reason, sizeof(command.reason), "beacon in the access log");
        (void) snprintf(command.fleet, sizeof(command.fleet), "test");
        target = (struct target) { .cls = TARGET_UNIT };
        command.targets = &target;
        (void) snprintf(target.name, sizeof(target.name), "nginx.service");
        ctl = (struct ctl) { .opt = OPTIONS_NULL, .out = open_memstream(&out, &n_out) };
        assert_non_null(ctl.out);
        r = calloc(1, sizeof(*r));
        assert_non_null(r);
        r->c = &ctl;
        r->cmd = &command;
        r->n_waves = 1;
        r->to.n = n;
        r->waves[0].sent = true;
        assert_int_equal(rollcall_init(&r->waves[0].calls, hosts, n, ID, (uint8_t[32]) { 0 }), 0);
        (void) snprintf(r->to_text, sizeof(r->to_text), "group=web");
}

static void end(void) {
        rollcall_done(&r->waves[0].calls);
        free(r->waves[0].told);
        free(r);
        if (ctl.out)
                assert_int_equal(fclose(ctl.out), 0);
        free(out);
        out = NULL;
}

static void answer(size_t i, enum rollcall_class class, enum receipt_state state, int64_t at_ms, const char *payload) {
        struct rollcall_entry *e = &r->waves[0].calls.v[i];

        r->waves[0].calls.counts[e->class]--;
        r->waves[0].calls.counts[class]++;
        e->class = class;
        e->state = state;
        e->at_ms = at_ms;
        e->reason = class == ROLLCALL_REFUSED ? REASON_ROLE : REASON_NONE;
        free(e->payload);
        e->payload = strdup(payload);
}

static const char *told(void) {
        rollout_tell(r, 4);
        assert_int_equal(fflush(ctl.out), 0);
        return out;
}

static void assert_says(const char *text, const char *want) {
        if (!strstr(text, want))
                fail_msg("no \"%s\" in:\n%s", want, text);
}

static void assert_says_not(const char *text, const char * not ) {
        if (strstr(text, not ))
                fail_msg("\"%s\" in:\n%s", not, text);
}

static void each_class_is_told_by_name_with_why_and_how_long(void **state) {
        (void) state;
        begin(5);
        answer(0, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{}");
        answer(1, ROLLCALL_ACCEPTED, RECEIPT_STATE_PARTIAL, 30, "{}");
        answer(2, ROLLCALL_VERIFIED, RECEIPT_STATE_CONTAINED, 40, "{}");
        stays = 0;
        const char *page = told();
        /* whatever ended it */
        assert_int_equal(stays, 1);
        assert_says(page, "NOT VERIFIED");
        assert_says(page, "1 of 5 hosts verified, 1 accepted, 1 refused, 2 silent, 0 not asked");
        assert_says(page, "  refused      web-00: wrong-role, after 20 ms");
        assert_says(page, "  accepted     web-01: PARTIAL, after 30 ms");
        assert_says(page, "  silent       web-03\n");
        assert_says(page, " web-04\n");
        assert_says(page, "  slowest      web-02: CONTAINED, after 40 ms");
        end();
}

static void of_many_hosts_twenty_are_named_and_the_rest_counted(void **state) {
        (void) state;
        begin(HOSTS);
        for (size_t i = 0; i < HOSTS - 7; i++)
                answer(i, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{}");
        const char *page = told();
        assert_says(page, " web-19: ");
        assert_says_not(page, " web-20: ");
        assert_says(page, " and 3 more\n");
        assert_says(page, " web-29\n");
        end();
}

static void the_three_slowest_are_named_the_slowest_first(void **state) {
        (void) state;
        begin(5);
        for (size_t i = 0; i < 5; i++)
                answer(i, ROLLCALL_VERIFIED, RECEIPT_STATE_CONTAINED, 100 * (int64_t) ((i + 3) % 5 + 1), "{}");
        const char *page = told();
        assert_says(page, "VERIFIED 5 of 5 hosts verified");
        assert_says_not(page, "NOT VERIFIED");
        const char *first = strstr(page, "  slowest      web-01: CONTAINED, after 500 ms"),
                   *next = strstr(page, " web-00: "), *last = strstr(page, " web-04: ");
        assert_true(first && next && last && first < next && next < last);
        assert_says_not(page, "web-02");
        assert_says_not(page, "web-03");
        end();
}

#define PLANNED(target, more)                                                                             \
        "{\"state\":\"planned\",\"role\":\"responder\",\"targets\":[{\"target\":\"unit:" target "\"" more \
        "}],\"reasons\":[]}"

static void alike_answers_to_a_plan_are_one_row_and_who_differs_is_named(void **state) {
        (void) state;
        begin(9);
        command.plan = true;
        for (size_t i = 0; i < 6; i++)
                answer(i, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
                       i == 3 ? PLANNED("nginx.service", ",\"processes_total\":5,\"sockets\":{\"connections\":7}")
                              : PLANNED("nginx.service", ",\"processes_total\":3,\"sockets\":{\"connections\":7}"));
        answer(6, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
               PLANNED("nginx.service", ",\"missing\":\"no-such-target\""));
        answer(7, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
               PLANNED("nginx.service", ",\"processes_total\":3,\"warnings\":[\"foreign-bpf\"]"));
        answer(8, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{\"state\":\"refused\"}");
        const char *page = told();
        assert_says(page,
                    "  computed     6 hosts: PLAN as responder: unit:nginx.service, 3 to 5 processes, 7 connections\n");
        assert_says(page, " 1 host: PLAN as responder: unit:nginx.service MISSING (no-such-target)\n");
        assert_says(page, "   web-06\n");
        assert_says(page, " 1 host: PLAN as responder: unit:nginx.service warning foreign-bpf, 3 processes\n");
        assert_says(page, "   web-07\n");
        assert_says_not(page, "   web-05\n");
        assert_says_not(page, "   web-08\n");
        end();
        begin(2);
        answer(0, ROLLCALL_VERIFIED, RECEIPT_STATE_CONTAINED, 20, PLANNED("nginx.service", ""));
        assert_says_not(told(), "computed");
        end();
}

#define LAYERED(lacks, more)                                                                             \
        "{\"state\":\"planned\",\"role\":\"responder\",\"targets\":[{\"target\":\"unit:a.service\"" more \
        "}],\"layers\":["                                                                                \
        "{\"id\":\"tcx\",\"state\":\"yes\"},{\"id\":\"vsock\",\"state\":\"no\"}" lacks "],"              \
        "\"flags\":[\"clock-unsynchronised\"]}"

static void who_lacks_a_layer_that_others_have_is_not_alike(void **state) {
        (void) state;
        begin(6);
        command.plan = true;
        for (size_t i = 0; i < 5; i++)
                answer(i, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
                       i == 4 ? LAYERED(",{\"id\":\"freezer\",\"state\":\"no\"},{\"id\":\"freezer\",\"state\":\"no\"}",
                                        "")
                              : LAYERED("", ""));
        answer(5, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
               "{\"state\":\"planned\",\"role\":\"responder\",\"flags\":[\"clock-untrusted\"],\"targets\":[{\"target\":"
               "\"unit:a.service\"}],\"layers\":[{\"id\":\"vsock\",\"state\":\"no\"}]}");
        const char *page = told();
        assert_says(page, "  computed     4 hosts: PLAN as responder: unit:a.service\n");
        assert_says(page, " 1 host: PLAN as responder: unit:a.service; without freezer\n");
        assert_says(page, "   web-04\n");
        assert_says(page, " 1 host: PLAN as responder clock-untrusted: unit:a.service\n");
        assert_says(page, "   web-05\n");
        assert_says(page, "  all without  vsock\n");
        end();
}

static void rare_answers_are_named_too(void **state) {
        char text[256], name[16];

        (void) state;
        begin(HOSTS);
        command.plan = true;
        for (size_t i = 0; i < HOSTS; i++) {
                (void) snprintf(text, sizeof(text),
                                "{\"state\":\"planned\",\"targets\":[{\"target\":\"unit:%zu.service\"}]}", i);
                answer(i, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20, text);
        }
        const char *page = told();
        for (size_t i = 0; i < HOSTS; i++) {
                (void) snprintf(name, sizeof(name), "   web-%02zu\n", i);
                assert_says(page, name);
        }
        assert_says(page, " 18 other answers:\n");
        end();
}

static void no_number_of_a_hostile_host_is_too_large(void **state) {
        (void) state;
        begin(1);
        command.plan = true;
        answer(0, ROLLCALL_VERIFIED, RECEIPT_STATE_PLANNED, 20,
               "{\"state\":\"planned\",\"targets\":[{\"target\":\"unit:a\",\"processes_total\":9223372036854775807},{"
               "\"target\":\"unit:b\",\"processes_total\":9223372036854775807,\"sockets\":{\"connections\":-"
               "9223372036854775807}},"
               "{\"target\":\"unit:c\",\"sockets\":{\"connections\":-9223372036854775807}}]}");
        assert_says(told(), "unit:c, 9007199254740991 processes\n");
        end();
}

static void what_was_lost_is_told(void **state) {
        (void) state;
        begin(2);
        assert_says_not(told(), "  lost ");
        r->lost = 3;
        assert_says(told(), "  lost         answers came faster than they were taken: send the same again\n");
        ctl.opt.json = true;
        assert_says(told(), "\"lost\":true");
        end();
}

static void what_may_pass_is_brought_again_for_as_long_as_it_is_good(void **state) {
        (void) state;
        begin(2);
        answer(0, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{}");
        r->waves[0].calls.v[0].reason = REASON_BUSY;
        assert_says(told(), "It is brought to them again, and carried out when that has passed, until ");
        assert_says(out, TIME(command.exp_ms));
        end();
        begin(2);
        answer(0, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{}");
        r->waves[0].calls.v[0].reason = REASON_BUSY;
        now_ms = command.exp_ms;
        assert_says(told(), "mend that, and give a new one\n");
        assert_says_not(out, "again");
        end();
}

/* What goes to stderr, which is path meanwhile. */
static int stderr_to(int fd) {
        int saved = dup(STDERR_FILENO);

        assert_true(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
        return saved;
}

static void stderr_back(int saved) {
        assert_true(dup2(saved, STDERR_FILENO) >= 0);
        assert_int_equal(close(saved), 0);
}

static void what_it_orders_is_shown_before_anything_is_sent(void **state) {
        _cleanup_fclose_ FILE *f = tmpfile();
        char text[4096];

        (void) state;
        assert_non_null(f);
        begin(2);
        r->to.v = calloc(2, sizeof(*r->to.v));
        assert_non_null(r->to.v);
        for (size_t i = 0; i < 2; i++)
                r->to.v[i] = &fleet[i];
        int saved = stderr_to(fileno(f));
        rollout_announce(r);
        stderr_back(saved);
        rewind(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        assert_says(text, "ORDER");
        assert_says(text, "contain: cut off from the network");
        assert_says(text, "  targets      unit:nginx.service");
        assert_says(text, "SA-7");
        assert_says(text, "  reason       beacon in the access log");
        assert_says(text, "  lease        15 min");
        assert_says(text, "contain, to group=web: 2 hosts expected");
        assert_says(text, "  hosts        web-00");
        free(r->to.v);
        r->to.v = NULL;
        end();
}

static void who_may_do_what_is_shown_before_a_trust_root_is_sent(void **state) {
        _cleanup_(signed_file_done) struct signed_file root = SIGNED_FILE_NULL;
        _cleanup_fclose_ FILE *f = tmpfile();
        char text[4096];

        (void) state;
        assert_non_null(f);
        begin(0);
        r->cmd = NULL;
        root.trust = calloc(1, sizeof(*root.trust));
        assert_non_null(root.trust);
        strcpy(root.trust->fleet, "test");
        strcpy(root.trust->people[0], "mallory");
        root.trust->n_people = root.trust->n_keys = 1;
        r->root = &root;
        r->trust = root.trust;
        ctl.opt.yes = true;
        for (int json = 1; json >= 0; json--) {
                ctl.opt.json = json;
                int saved = stderr_to(fileno(f));
                rollout_announce(r);
                stderr_back(saved);
                rewind(f);
                text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
                if (json)
                        assert_string_equal(text, "");
        }
        assert_says(text, "TRUST ROOT");
        assert_says(text, "mallory");
        assert_says(text, "Who may order what\n");
        assert_says(text, "trust root, to group=web: 0 hosts expected");
        end();
}

static void a_terminal_has_a_bar_of_the_classes(void **state) {
        int ptm = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        char text[1024];

        (void) state;
        assert_true(ptm >= 0);
        assert_int_equal(grantpt(ptm) | unlockpt(ptm), 0);
        int pts = open(ptsname(ptm), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(pts >= 0);
        begin(4);
        answer(0, ROLLCALL_VERIFIED, RECEIPT_STATE_CONTAINED, 20, "{}");
        answer(1, ROLLCALL_REFUSED, RECEIPT_STATE_REFUSED, 20, "{}");
        int saved = stderr_to(pts);
        rollout_progress(r, &r->waves[0], false);
        /* no sooner than that is there another */
        answer(2, ROLLCALL_ACCEPTED, RECEIPT_STATE_PARTIAL, 20, "{}");
        now_ms += 50;
        rollout_progress(r, &r->waves[0], false);
        rollout_progress(r, &r->waves[0], true);
        stderr_back(saved);
        /* a terminal hands it on in pieces */
        size_t n = 0;
        do {
                ssize_t k = read(ptm, text + n, sizeof(text) - 1 - n);
                assert_true(k > 0);
                n += (size_t) k;
        } while (text[n - 1] != '\n');
        text[n] = '\0';
        assert_says(text, "\r  [#####               ] wave 1 of 1: 1 verified, 0 accepted, 1 refused, 2 silent ");
        assert_says(text, "\r  [#####               ] wave 1 of 1: 1 verified, 1 accepted, 1 refused, 1 silent ");
        size_t drawn = 0;
        for (const char *at = text; (at = strstr(at, "wave")); at++)
                drawn++;
        assert_int_equal(drawn, 2);
        assert_int_equal(close(ptm) | close(pts), 0);
        end();
}

static void with_json_a_host_is_a_line_when_its_class_changes(void **state) {
        (void) state;
        begin(3);
        ctl.opt.json = true;
        rollout_progress(r, &r->waves[0], false);
        assert_int_equal(n_out, 0);
        answer(1, ROLLCALL_ACCEPTED, RECEIPT_STATE_PENDING, 20, "{}");
        now_ms += 100;
        rollout_progress(r, &r->waves[0], false);
        assert_says(out, "\"name\":\"web-01\",\"wave\":1,\"class\":\"accepted\",\"after_ms\":20}}\n");
        assert_says_not(out, "web-00");
        answer(1, ROLLCALL_VERIFIED, RECEIPT_STATE_CONTAINED, 90, "{}");
        rollout_progress(r, &r->waves[0], false);
        assert_says_not(out, "verified");
        rollout_progress(r, &r->waves[0], true);
        rollout_progress(r, &r->waves[0], true);
        size_t lines = 0;
        for (const char *at = out; (at = strstr(at, "{\"progress\":")); at++)
                lines++;
        assert_int_equal(lines, 2);
        assert_says(out, "\"class\":\"verified\",\"after_ms\":90}}\n");
        assert_says(told(), "\n{\"host\":\"SHA256:");
        assert_says(out, "{\"summary\":{\"hosts\":3,\"verified\":1,");
        end();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_class_is_told_by_name_with_why_and_how_long),
                cmocka_unit_test(of_many_hosts_twenty_are_named_and_the_rest_counted),
                cmocka_unit_test(the_three_slowest_are_named_the_slowest_first),
                cmocka_unit_test(alike_answers_to_a_plan_are_one_row_and_who_differs_is_named),
                cmocka_unit_test(who_lacks_a_layer_that_others_have_is_not_alike),
                cmocka_unit_test(rare_answers_are_named_too),
                cmocka_unit_test(no_number_of_a_hostile_host_is_too_large),
                cmocka_unit_test(what_was_lost_is_told),
                cmocka_unit_test(what_may_pass_is_brought_again_for_as_long_as_it_is_good),
                cmocka_unit_test(what_it_orders_is_shown_before_anything_is_sent),
                cmocka_unit_test(who_may_do_what_is_shown_before_a_trust_root_is_sent),
                cmocka_unit_test(a_terminal_has_a_bar_of_the_classes),
                cmocka_unit_test(with_json_a_host_is_a_line_when_its_class_changes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

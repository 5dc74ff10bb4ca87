/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/receipt.c ctl/render.c ctl/render_receipt.c ctl/render_fleet.c ctl/render_target.c ctl/render_report.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */
/* LINK: ctl/render_tried.c ctl/render_repaired.c ctl/render_thawed.c */

/* What comes back. The first byte chooses: the message as it is, which is never success because the fuzzer has no key;
 * or the payload of a signed receipt or report, which a host that was taken over may fill with anything. Whatever it
 * says is shown without moving the cursor, and success is only what has a state for it. */

#include <string.h>

#include <sodium.h>

#include "ctl/render.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static struct host host = { .name = "web1" };

static void check_text(const char *text) {
        for (const char *p = text; *p; p++)
                CHECK((unsigned char) *p >= 0x20 || *p == '\n');
        CHECK(!strstr(text, "\302\233"));
}

static void show(const struct receipt *r, char which) {
        struct page p = { NULL, false };
        char *text;
        size_t n;

        p.f = open_memstream(&text, &n);
        CHECK(p.f);
        if (which == 'S')
                render_status(&p, r, NULL);
        else if (which == 'H')
                render_health(&p, r, CTL_OK);
        else
                render_receipt(&p, r);
        CHECK(fclose(p.f) == 0);
        CHECK(n > 0 && strlen(text) == n);
        check_text(text);
        free(text);
}

static void check_message(const char *msg, size_t n) {
        static const uint8_t digest[32];
        const struct hosts known = { &host, 1 };
        const struct receipt_want want = { .type = DSSE_RECEIPT, .digest = digest };
        struct receipt r = RECEIPT_NULL;

        CHECK(receipt_read(msg, n, &known, &want, &r) == 0);
        CHECK(r.kind != RECEIPT_SIGNED && receipt_exit(&r) != CTL_OK && receipt_is_final(&r));
        check_text(r.text);
        show(&r, 'R');
        receipt_done(&r);
}

static void check_payload(const char *json, size_t n, char which) {
        struct receipt r = { .kind = RECEIPT_SIGNED, .host = &host };

        r.payload = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
        if (json_is_object(r.payload)) {
                int code = receipt_exit(&r);
                CHECK(code >= CTL_OK && code <= CTL_SILENT);
                CHECK(code != CTL_OK || receipt_state(receipt_told(r.payload)) < _RECEIPT_STATE_MAX);
                show(&r, which);
        }
        receipt_done(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const uint8_t pub[32] = { 1 };

        CHECK(sodium_init() >= 0);
        sshkey_from_raw(pub, &host.key);
        if (size < 1)
                return 0;
        if (strchr("RSH", data[0]) && data[0])
                check_payload((const char *) data + 1, size - 1, (char) data[0]);
        else
                check_message((const char *) data + 1, size - 1);
        return 0;
}

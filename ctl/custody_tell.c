/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include <sodium.h>

#include "ctl/client.h"
#include "ctl/custody_tell.h"
#include "ctl/member.h"
#include "ctl/receipt.h"
#include "ctl/text.h"
#include "policy/frame.h"

#define CORE_NAME  "core.sock"
#define TIMEOUT_MS 5000
/* any but 0, which the keys have that the core sends unasked */
#define NUMBER 1U
/* The core hears few at once, and hangs up on the others. */
#define TRIES    40U
#define AGAIN_MS 100

/* The core listens beside the gate. */
static bool core_path(const char *gate, char ret[static PATH_MAX]) {
        const char *slash = strrchr(gate, '/');
        const int dir = slash ? (int) (slash + 1 - gate) : 0;
        return (size_t) snprintf(ret, PATH_MAX, "%.*s" CORE_NAME, dir, gate) < PATH_MAX;
}

static void set_hex(uint8_t *ret, size_t n, const char *hex) {
        size_t got;

        if (sodium_hex2bin(ret, n, hex, strlen(hex), NULL, &got, NULL) != 0 || got != n)
                memset(ret, 0, n);
}

/* By what the folder's statement says of itself. A folder that has none is told without. */
static void name_folder(const char *path, const struct hosts *known, struct custody *ret) {
        struct bag b = BAG_NULL;
        struct why unused;

        if (bag_look(path, known, &b, &unused) != 0)
                return;
        set_hex(ret->hold, sizeof(ret->hold), member_str(b.predicate, "hold"));
        set_hex(ret->sha256, sizeof(ret->sha256), b.subject);
        bag_done(&b);
}

static int send_question(struct client *client, const struct custody *c) {
        uint8_t payload[CUSTODY_SIZE], out[FRAME_HEADER_SIZE + CUSTODY_SIZE];
        const struct frame f = {
                .kind = FRAME_CUSTODY, .number = NUMBER, .payload = payload, .n_payload = sizeof(payload)
        };
        size_t n;

        custody_pack(c, payload);
        return frame_pack(&f, out, sizeof(out), &n) < 0 ? -EMSGSIZE : client_send(client, (const char *) out, n);
}

static int take_answer(const struct frame *f, struct custody_told *ret) {
        if (f->kind == FRAME_REFUSAL) {
                (void) snprintf(ret->why, sizeof(ret->why), "%s", reason_text(f->payload[0]));
                return 0;
        }
        ret->envelope = strndup((const char *) f->payload, f->n_payload);
        ret->n_envelope = f->n_payload;
        return ret->envelope ? 0 : -ENOMEM;
}

static int ask(const char *path, const struct custody *c, struct custody_told *ret) {
        _cleanup_(client_done) struct client client = CLIENT_NULL;
        int r = client_connect(path, TIMEOUT_MS, &client);

        if (r >= 0)
                r = send_question(&client, c);
        while (r >= 0) {
                _cleanup_free_ char *msg = NULL;
                struct frame f;
                size_t n = 0;

                r = client_recv(&client, &msg, &n);
                if (r >= 0)
                        r = frame_unpack((const uint8_t *) msg, n, &f);
                if (r >= 0 && f.number == NUMBER && (f.kind == FRAME_REPLY || f.kind == FRAME_REFUSAL))
                        return take_answer(&f, ret);
        }
        return r;
}

/* What a stranger signed is kept, and is not believed. */
static void judge(const struct custody *c, const struct hosts *known, struct custody_told *ret) {
        char nonce[2 * sizeof(c->nonce) + 1];
        const struct receipt_want want = { .type = DSSE_REPORT, .report = "custody", .nonce = nonce };
        struct receipt r = RECEIPT_NULL;

        (void) sodium_bin2hex(nonce, sizeof(nonce), c->nonce, sizeof(c->nonce));
        if (receipt_read(ret->envelope, ret->n_envelope, known, &want, &r) < 0)
                return;
        ret->recorded = r.kind == RECEIPT_SIGNED;
        ret->n = ret->recorded ? (uint64_t) member_int(r.payload, "n", 0) : 0;
        if (!ret->recorded)
                (void) snprintf(ret->why, sizeof(ret->why), "%s", r.text);
        receipt_done(&r);
}

static void excuse(int r, struct custody_told *ret) {
        static const struct {
                int r;
                const char *text;
        } excuses[] = {
                { -ENOENT, "there is no agent on this machine" },
                { -ECONNREFUSED, "no agent runs on this machine" },
                { -EACCES, "only root can tell the agent" },
                { -ETIMEDOUT, "the agent did not answer in time; if it comes back it makes a record" },
        };

        for (size_t i = 0; i < ELEMENTSOF(excuses); i++)
                if (excuses[i].r == r) {
                        (void) snprintf(ret->why, sizeof(ret->why), "%s", excuses[i].text);
                        return;
                }
        (void) snprintf(ret->why, sizeof(ret->why), "%s", strerror(-r));
}

void custody_tell(const struct ctl *c, const struct hosts *known, enum custody_act act, const char *path,
                  struct custody_told *ret) {
        struct custody q = { .act = act };
        char core[PATH_MAX];
        int r = -ENAMETOOLONG;

        *ret = CUSTODY_TOLD_NULL;
        randombytes_buf(q.nonce, sizeof(q.nonce));
        if (path)
                name_folder(path, known, &q);
        for (unsigned i = 0; i == 0 || (r == -ECONNRESET && i < TRIES); i++) {
                if (i > 0)
                        (void) usleep(AGAIN_MS * 1000);
                if (core_path(c->opt.socket ? c->opt.socket : CLIENT_SOCKET, core))
                        r = ask(core, &q, ret);
        }
        if (r < 0)
                excuse(r, ret);
        else if (ret->envelope)
                judge(&q, known, ret);
}

void custody_told_done(struct custody_told *t) {
        free(t->envelope);
        *t = CUSTODY_TOLD_NULL;
}

void custody_told_render(const struct page *p, const struct custody_told *t) {
        if (t->recorded)
                render_row(p, "custody", "record %" PRIu64 " of this host's ledger", t->n);
        else
                render_row(p, "custody", "not recorded: %s", t->why);
}

json_t *custody_told_to_json(const struct custody_told *t) {
        return t->recorded ? json_pack("{s:b, s:I}", "recorded", 1, "record", (json_int_t) t->n)
                           : json_pack("{s:b, s:s}", "recorded", 0, "why", t->why);
}

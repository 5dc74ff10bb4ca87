/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include <sodium.h>

#include "ctl/brokerfile.h"
#include "ctl/exchange.h"
#include "ctl/fleet_head.h"
#include "ctl/order.h"
#include "ctl/text.h"
#include "ctl/times.h"
#include "ctl/trustfile.h"

/* after a broker that is away */
#define AGAIN_MS 5000
/* it asks for one order after the other */
#define ROOM (16U * 1024 * 1024)

/* What a line is printed for when it is another one. */
struct told {
        size_t active, strays, crowded;
        bool unsynced;
        char trouble[WHY_TEXT_MAX], trust_trouble[WHY_TEXT_MAX];
};

static void done(struct fleet_head *h) {
        active_done(&h->active);
        sign_done(&h->signers);
        carrier_free(h->carrier);
        trust_freep(&h->trust);
        closep(&h->lock);
}

static bool is_synced(void) {
        struct timex tx = { 0 };

        return adjtimex(&tx) >= 0 && !(tx.status & STA_UNSYNC);
}

/* Another trust root may know others who order: all that was heard is heard again. Where it cannot be read any more the
 * one that was read before is gone on with, and that is told: an order by somebody whom only the new one knows would be
 * missing in what this herald says. */
static int load_trust(struct fleet_head *h) {
        _cleanup_trust_ struct trust *t = NULL;
        _cleanup_free_ char *text = NULL;
        const char *path = h->c->opt.trust ? h->c->opt.trust : TRUSTFILE_PATH;
        uint8_t digest[32];
        int x = trustfile_read(path, NULL, &t, &text, &h->c->why);

        h->trust_trouble[0] = '\0';
        if (x != 0 && h->trust)
                (void) snprintf(h->trust_trouble, sizeof(h->trust_trouble), "%s", h->c->why.text);
        if (x != 0)
                return h->trust ? 0 : x;
        (void) crypto_hash_sha256(digest, (const uint8_t *) text, strlen(text));
        if (h->trust && memcmp(digest, h->trust_digest, sizeof(digest)) == 0)
                return 0;
        if (trust_role_people(t, TRUST_HERALD_ROLE) == 0)
                return why_set(&h->c->why, CTL_REFUSED,
                               "the trust root names nobody as %s, so hosts believe no head: trust rotate --herald "
                               "NAME=FILE.pub",
                               TRUST_HERALD_ROLE);
        memcpy(h->trust_digest, digest, sizeof(digest));
        trust_freep(&h->trust);
        h->trust = TAKE_PTR(t);
        fleet_head_forget(h);
        return 0;
}

static int open_keys(struct fleet_head *h) {
        const uint64_t heralds = trust_role_people(h->trust, TRUST_HERALD_ROLE);
        const struct options *o = &h->c->opt;
        struct sshkey keys[TRUST_KEYS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < h->trust->n_keys; i++)
                if (heralds & UINT64_C(1) << h->trust->keys[i].person)
                        keys[n++] = h->trust->keys[i].key;
        return sign_open(o->keys.v, o->keys.n, keys, n, SIGN_PICK_ONE, &h->signers, &h->c->why);
}

static void disconnect(struct fleet_head *h) {
        carrier_free(TAKE_PTR(h->carrier));
        sign_done(&h->signers);
        h->signers = SIGNERS_NULL;
}

/* The key is read after the process that talks to brokers was made, which is a copy of this one. */
static int connect_to(struct fleet_head *h) {
        if (h->carrier)
                return 0;
        fleet_head_again(h);
        int x = carrier_open_small(&h->broker, ROOM, &h->carrier, &h->c->why);
        if (x == 0)
                x = open_keys(h);
        if (x != 0)
                disconnect(h);
        return x;
}

static int sign(struct fleet_head *h, struct herald_head *head, char **ret) {
        _cleanup_herald_ struct herald_head *signed_one = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        char *json = NULL;
        enum reason reason;
        int r = herald_to_json(head, &json);

        if (r < 0)
                return why_errno(&h->c->why, r, "head");
        d.type = DSSE_HEAD;
        d.payload = (uint8_t *) json;
        d.n_payload = strlen(json);
        int x = sign_envelope(&h->signers, &d, &h->c->why);
        if (x != 0)
                return x;
        r = herald_verify(h->trust, &d, &signed_one, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = dsse_to_json(&d, ret);
        if (r < 0)
                return why_errno(&h->c->why, r, "head");
        return reason == REASON_NONE ? 0
                                     : why_set(&h->c->why, reason_exit(reason),
                                               "hosts would not believe that (%s): it takes the key of a %s",
                                               reason_id(reason), TRUST_HERALD_ROLE);
}

static int publish(struct fleet_head *h, const char *text) {
        struct subject s = { .kind = SUBJECT_HEAD };
        char subject[SUBJECT_SIZE];

        memcpy(s.fleet, h->trust->fleet, sizeof(s.fleet));
        int r = subject_build(&s, subject);
        if (r == 0)
                r = carrier_say(h->carrier, subject, NULL, text, strlen(text));
        return r < 0 ? carrier_failed(h->carrier, r, &h->c->why) : carrier_permitted(h->carrier, &h->c->why);
}

/* One head. *ret_head, when it was said, is the caller's. */
static int say(struct fleet_head *h, struct herald_head **ret_head) {
        _cleanup_herald_ struct herald_head *head = calloc(1, sizeof(*head));
        _cleanup_free_ char *text = NULL;
        const int64_t now = order_now_ms();
        int x = load_trust(h);

        if (x == 0)
                x = connect_to(h);
        if (x == 0)
                x = fleet_head_hear(h, now);
        if (x != 0)
                return x;
        if (!head || active_list(&h->active, now, head) < 0)
                return why_errno(&h->c->why, -ENOMEM, "head");
        memcpy(head->fleet, h->trust->fleet, sizeof(head->fleet));
        head->n = fleet_head_next(now, h->said, h->seen);
        /* hearing may have taken its time */
        head->iat_ms = order_now_ms();
        head->exp_ms = head->iat_ms + FLEET_HEAD_LIFE_MS;
        head->trust_version = h->trust->version;
        x = sign(h, head, &text);
        if (x != 0)
                return x;
        /* FAIL-OPEN: on a full disk the time counts on */
        int r = fleet_head_save_state(h, head->n);
        if (r < 0)
                fprintf(stderr, "freezectl: %s: %s\n", CLEAN(h->state_path), strerror(-r));
        x = publish(h, text);
        if (x != 0)
                return x;
        h->said = head->n;
        *ret_head = TAKE_PTR(head);
        return 0;
}

static void tell_json(struct fleet_head *h, const struct herald_head *head, int x) {
        const struct fleet_head_unlisted u = fleet_head_unlisted(h);
        _cleanup_json_ json_t *o =
                json_pack("{s:s,s:I,s:I,s:I,s:b}", "fleet", h->trust ? h->trust->fleet : "", "active",
                          (json_int_t) active_count(&h->active, order_now_ms()), "strays", (json_int_t) u.strays,
                          "crowded", (json_int_t) u.crowded, "synced", is_synced());
        json_t *ids = json_array();

        for (size_t i = 0; head && i < head->n_orders; i++) {
                char id[33];
                command_id_to_str(&head->orders[i].id, id);
                (void) json_array_append_new(ids, json_string(id));
        }
        (void) json_object_set_new(o, "orders", ids);
        if (head) {
                (void) json_object_set_new(o, "n", json_integer(head->n));
                (void) json_object_set_new(o, "exp", json_integer(head->exp_ms));
                (void) json_object_set_new(o, "trust_version", json_integer(head->trust_version));
        }
        if (h->trust_trouble[0] != '\0')
                (void) json_object_set_new(o, "trust_error", json_string(h->trust_trouble));
        if (x != 0)
                (void) json_object_set_new(o, "error", json_string(h->c->why.text));
        _cleanup_json_ json_t *line = json_pack("{s:O}", "head", o);
        exchange_json_line(h->c, line);
        (void) fflush(h->c->out);
}

/* For a log: one line when something is another than it was. */
static void tell_line(struct fleet_head *h, const struct herald_head *head, int x, struct told *t) {
        const struct fleet_head_unlisted u = fleet_head_unlisted(h);
        struct told now = { .active = active_count(&h->active, order_now_ms()),
                            .strays = u.strays,
                            .crowded = u.crowded,
                            .unsynced = !is_synced() };
        FILE *f = h->c->out;

        if (x != 0)
                (void) snprintf(now.trouble, sizeof(now.trouble), "%s", h->c->why.text);
        (void) snprintf(now.trust_trouble, sizeof(now.trust_trouble), "%s", h->trust_trouble);
        if (now.active == t->active && now.strays == t->strays && now.crowded == t->crowded &&
            now.unsynced == t->unsynced && strcmp(now.trouble, t->trouble) == 0 &&
            strcmp(now.trust_trouble, t->trust_trouble) == 0)
                return;
        if (x != 0)
                fprintf(f, "NO HEAD: %s\n", now.trouble);
        else
                fprintf(f, "head %" PRId64 ": %zu of %zu active orders listed%s\n", head->n, head->n_orders, now.active,
                        now.unsynced ? "; the clock here is not synchronised: hosts may not believe it" : "");
        if (now.trust_trouble[0] != '\0')
                fprintf(f, "  GOES ON WITH version %" PRId64 " of the trust root: %s\n", h->trust->version,
                        now.trust_trouble);
        if (now.strays > t->strays)
                fprintf(f, "  %zu messages under orders' subjects by nobody who may order that\n", now.strays);
        if (now.crowded > t->crowded)
                fprintf(f, "  NOT LISTED: %zu orders, more than there is room for; who signs so many?\n", now.crowded);
        (void) fflush(f);
        *t = now;
}

static void tell_once(struct fleet_head *h, const struct herald_head *head) {
        const struct fleet_head_unlisted u = fleet_head_unlisted(h);
        const struct page p = exchange_page(h->c);
        const size_t active = active_count(&h->active, order_now_ms());

        render_verdict(&p, TONE_GOOD, "SAID", "head of the fleet %s", h->trust->fleet);
        render_head(&p, head);
        if (active > head->n_orders)
                render_row(&p, "beside", "%zu more are active and come in the next heads", active - head->n_orders);
        if (u.strays > 0)
                render_row(&p, "not listed", "%zu messages by nobody who may order that", u.strays);
        if (u.crowded > 0)
                render_row(&p, "no room", "for %zu orders more; who signs so many?", u.crowded);
        if (!is_synced())
                render_row(&p, "clock", "not synchronised here: hosts may not believe it");
}

/* Until it is time, or the broker is gone. */
static void wait_ms(struct fleet_head *h, int64_t ms) {
        const int64_t until = boot_ms() + ms;

        for (int64_t left = ms; left > 0; left = until - boot_ms()) {
                struct carrier_event *e = NULL;
                if (!h->carrier)
                        (void) poll(NULL, 0, (int) left);
                else if (carrier_next(h->carrier, (int) left, &e) < 0 || (e && e->kind == CARRIER_CLOSED))
                        disconnect(h);
                free(e);
        }
}

static int once(struct fleet_head *h) {
        _cleanup_herald_ struct herald_head *head = NULL;
        int x = say(h, &head);

        if (x == 0 && !h->c->opt.json)
                tell_once(h, head);
        if (h->c->opt.json) {
                tell_json(h, head, x);
                _cleanup_json_ json_t *o = json_pack("{s:{s:i}}", "summary", "exit", x);
                if (x != 0)
                        (void) json_object_set_new(json_object_get(o, "summary"), "error", json_string(h->c->why.text));
                exchange_json_line(h->c, o);
                h->c->summarised = true;
        }
        return x;
}

/* What is wrong with the command line or the keys at the first try is wrong for ever. */
static int run(struct fleet_head *h) {
        struct told told = { .active = SIZE_MAX };

        for (bool first = true;; first = false) {
                _cleanup_herald_ struct herald_head *head = NULL;
                const int64_t start = boot_ms();
                int x = say(h, &head);
                if (first && (x == CTL_USAGE || x == CTL_REFUSED))
                        return x;
                if (h->c->opt.json)
                        tell_json(h, head, x);
                else
                        tell_line(h, head, x, &told);
                if (ferror(h->c->out))
                        return CTL_MACHINE;
                if (x != 0)
                        disconnect(h);
                h->c->why.text[0] = '\0';
                wait_ms(h, x != 0 ? AGAIN_MS : FLEET_HEAD_EVERY_MS - (boot_ms() - start));
        }
}

int verb_fleet_head(struct ctl *c, char **words, size_t n) {
        _cleanup_(done) struct fleet_head h = { .c = c, .signers = SIGNERS_NULL, .lock = -EBADF };

        (void) words;
        (void) n;
        int x = brokerfile_load(c->opt.nats, &h.broker, &c->why);
        if (x == 0)
                x = load_trust(&h);
        if (x == 0)
                x = fleet_head_open_state(&h);
        if (x != 0)
                return x;
        return c->opt.once ? once(&h) : run(&h);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/gate.h"

#include <string.h>

#include "agent/gate/client.h"
#include "agent/gate/link.h"
#include "agent/gate/request.h"
#include "agent/gate/screen.h"
#include "agent/util/log.h"

_Static_assert(REQUEST_QUERY_MAX <= CLIENT_LATER_MAX, "any query can be put off");

struct gate {
        struct clients *clients;
        struct link *link;
        struct sshkey keys[DSSE_KEYS_MAX];
        size_t n_keys;
        uint32_t query; /* number of the query that is with the core; 0: none is */
};

/* Called first when the core has said whom to trust, be it nobody: until then no client is heard. */
static void follow_room(struct gate *g) {
        clients_open(g->clients, link_has_room(g->link));
}

/* Asks the core. A frame that it refuses to be is a fault of ours. */
static enum reason forward(struct gate *g, const struct request *r, uint32_t number) {
        struct frame f;

        request_to_frame(r, number, &f);
        if (link_send(g->link, &f) < 0)
                return REASON_INTERNAL;
        if (r->kind != FRAME_COMMAND)
                g->query = number;
        follow_room(g);
        return REASON_NONE;
}

/* Anybody may ask, and every answer costs the core probes and a signature: it gets one question at a time, so that an
 * order never stands behind more than one. */
static bool has_to_wait(const struct gate *g, const struct request *r) {
        return r->kind != FRAME_COMMAND && (g->query != 0 || !link_has_room(g->link));
}

static struct verdict judge(void *userdata, const char *text, size_t n, bool is_whole, uint32_t number) {
        _cleanup_(request_done) struct request r = REQUEST_NULL;
        struct verdict v = { .reason = REASON_OVERSIZE };
        struct gate *g = userdata;

        if (!is_whole)
                return v;
        if (request_parse(text, n, &r, &v.reason) < 0)
                v.reason = REASON_INTERNAL;
        if (v.reason == REASON_NONE && r.kind == FRAME_COMMAND &&
            screen_envelope(&r.envelope, g->keys, g->n_keys, &v.n_verified, &v.reason) < 0)
                v.reason = REASON_INTERNAL;
        v.later = v.reason == REASON_NONE && has_to_wait(g, &r);
        if (v.reason == REASON_NONE && !v.later)
                v.reason = forward(g, &r, number);
        return v;
}

static void take_keys(struct gate *g, const struct frame *f) {
        g->n_keys = f->n_payload / FRAME_KEY_SIZE;
        for (size_t i = 0; i < g->n_keys; i++) {
                const uint8_t *key = f->payload + i * FRAME_KEY_SIZE;

                memcpy(g->keys[i].id, key, sizeof(g->keys[i].id));
                memcpy(g->keys[i].pub, key + sizeof(g->keys[i].id), sizeof(g->keys[i].pub));
        }
        follow_room(g);
        log_event(LOG_INFO, NULL, LOG_FIELDS(.stage = "arrive"), "The trust root has %zu keys", g->n_keys);
}

static void on_frame(void *userdata, const struct frame *f) {
        struct gate *g = userdata;

        if (f->kind == FRAME_KEYS)
                take_keys(g, f);
        else if (f->kind == FRAME_REPLY)
                clients_answer(g->clients, f->number, f->payload, f->n_payload, f->more);
        else if (f->kind == FRAME_REFUSAL)
                clients_refuse(g->clients, f->number, f->payload[0]);

        if (f->kind != FRAME_KEYS && !f->more && f->number == g->query) {
                g->query = 0;
                clients_resume(g->clients);
        }
}

static void on_room(void *userdata) {
        struct gate *g = userdata;

        follow_room(g);
        clients_resume(g->clients);
}

int gate_new(sd_event *event, int listen_fd, int core_fd, struct gate **ret) {
        static const struct link_handler handler = { .frame = on_frame, .room = on_room };
        _cleanup_close_ int listener = listen_fd, core = core_fd;
        _cleanup_(gate_freep) struct gate *g = NULL;
        int r;

        g = calloc(1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        r = clients_new(event, TAKE_FD(listener), judge, g, &g->clients);
        if (r < 0)
                return r;
        r = link_new(event, TAKE_FD(core), &handler, g, &g->link);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(g);
        return 0;
}

void gate_free(struct gate *g) {
        if (!g)
                return;
        link_free(g->link);
        clients_free(g->clients);
        free(g);
}

void gate_freep(struct gate **g) {
        gate_free(*g);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/epoch.h"

#include <inttypes.h>

#include <sodium.h>

static const struct {
        const char *id;
        bool by_host;
} whys[_EPOCH_WHY_MAX] = {
#define X(name, id_, host) [EPOCH_##name] = { .id = id_, .by_host = host },
        EPOCH_WHY_TABLE(X)
#undef X
};

const char *epoch_why_id(enum epoch_why w) {
        return whys[w].id;
}

bool epoch_is_by_host(enum epoch_why w) {
        return whys[w].by_host;
}

size_t epoch_message(const struct epoch *e, const char *origin, char ret[static EPOCH_MESSAGE_SIZE]) {
        char pub[65], root[65];

        (void) sodium_bin2hex(pub, sizeof(pub), e->pub, sizeof(e->pub));
        (void) sodium_bin2hex(root, sizeof(root), e->root, sizeof(e->root));
        return (size_t) snprintf(ret, EPOCH_MESSAGE_SIZE,
                                 "freezed epoch v1\n%.*s\n%" PRIu64 " %s\n%s\n%" PRIu64 " %s\n", (int) NOTE_NAME_MAX,
                                 origin, e->number, whys[e->why].id, pub, e->size, root);
}

bool epoch_is_signed(const struct epoch *e, const char *origin, const uint8_t pub[static 32]) {
        char message[EPOCH_MESSAGE_SIZE];
        const size_t n = epoch_message(e, origin, message);

        return crypto_sign_verify_detached(e->sig, (uint8_t *) message, n, pub) == 0;
}

static json_t *hex(const uint8_t *bytes, size_t n) {
        char text[2 * 64 + 1];

        return json_string(sodium_bin2hex(text, sizeof(text), bytes, n));
}

json_t *epoch_to_json(const struct epoch *e) {
        return json_pack("{sI ss so sI so so}", "epoch", (json_int_t) e->number, "why", whys[e->why].id, "public",
                         hex(e->pub, sizeof(e->pub)), "size", (json_int_t) e->size, "root",
                         hex(e->root, sizeof(e->root)), "sig", hex(e->sig, sizeof(e->sig)));
}

/* Lower case, and exactly so many bytes. */
static bool from_hex(const char *s, uint8_t *ret, size_t n) {
        char back[2 * 64 + 1];
        size_t got = 0;

        return strlen(s) == 2 * n && sodium_hex2bin(ret, n, s, 2 * n, NULL, &got, NULL) == 0 && got == n &&
               strcmp(sodium_bin2hex(back, sizeof(back), ret, n), s) == 0;
}

int epoch_from_json(const json_t *body, struct epoch *ret) {
        const char *why, *pub, *root, *sig;
        json_int_t number, size;
        struct epoch e = { .why = _EPOCH_WHY_MAX };

        if (json_unpack((json_t *) body, "{sI ss ss sI ss ss}", "epoch", &number, "why", &why, "public", &pub, "size",
                        &size, "root", &root, "sig", &sig) < 0 ||
            number < 1 || size < 0 || !from_hex(pub, e.pub, sizeof(e.pub)) || !from_hex(root, e.root, sizeof(e.root)) ||
            !from_hex(sig, e.sig, sizeof(e.sig)))
                return -EBADMSG;
        for (enum epoch_why w = 0; w < _EPOCH_WHY_MAX; w++)
                if (strcmp(why, whys[w].id) == 0)
                        e.why = w;
        if (e.why == _EPOCH_WHY_MAX)
                return -EBADMSG;
        e.number = (uint64_t) number;
        e.size = (uint64_t) size;
        *ret = e;
        return 0;
}

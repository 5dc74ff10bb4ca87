/* SPDX-License-Identifier: Apache-2.0 */

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sodium.h>

#include "ctl/sshagent.h"
#include "ctl/text.h"
#include "ctl/wire.h"

enum {
        MSG_FAILURE = 5,
        MSG_LIST = 11,
        MSG_KEYS = 12,
        MSG_SIGN = 13,
        MSG_SIGNATURE = 14,
};

/* Takes the type byte off and compares it. */
static int expect_type(struct wire *w, uint8_t want) {
        uint8_t type;

        if (wire_u8(w, &type) < 0)
                return -EPROTO;
        if (type == MSG_FAILURE)
                return -EACCES;
        return type == want ? 0 : -EPROTO;
}

int sshagent_parse_keys(const uint8_t *msg, size_t n, struct sshagent_key *ret, size_t *ret_n) {
        struct wire w = { msg, n };
        uint32_t count;
        size_t found = 0;

        int r = expect_type(&w, MSG_KEYS);
        if (r < 0)
                return r;
        if (wire_u32(&w, &count) < 0)
                return -EPROTO;
        _cleanup_free_ struct sshagent_key *keys = calloc(SSHAGENT_KEYS_MAX, sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        /* each round takes at least eight bytes, so that a huge count ends with the message */
        for (uint32_t i = 0; i < count; i++) {
                struct wire blob, comment;

                if (wire_string(&w, &blob) < 0 || wire_string(&w, &comment) < 0)
                        return -EPROTO;
                if (found == SSHAGENT_KEYS_MAX || sshkey_from_blob(blob.p, blob.n, &keys[found].key) < 0)
                        continue;
                char raw[SSHAGENT_COMMENT_SIZE];
                (void) snprintf(raw, sizeof(raw), "%.*s", (int) MIN(comment.n, sizeof(raw)), (const char *) comment.p);
                (void) text_clean(raw, keys[found].comment, sizeof(keys[found].comment));
                found++;
        }
        if (w.n > 0)
                return -EPROTO;
        memcpy(ret, keys, found * sizeof(*keys));
        *ret_n = found;
        return 0;
}

int sshagent_parse_signature(const uint8_t *msg, size_t n, uint8_t ret[static 64]) {
        struct wire w = { msg, n }, blob, sig;

        int r = expect_type(&w, MSG_SIGNATURE);
        if (r < 0)
                return r;
        if (wire_string(&w, &blob) < 0 || w.n > 0 || wire_expect(&blob, SSHKEY_TYPE, strlen(SSHKEY_TYPE)) < 0 ||
            wire_string(&blob, &sig) < 0 || blob.n > 0 || sig.n != 64)
                return -EPROTO;
        memcpy(ret, sig.p, 64);
        return 0;
}

int sshagent_connect(int *ret_fd) {
        const char *path = getenv("SSH_AUTH_SOCK");
        struct sockaddr_un sa = { .sun_family = AF_UNIX };

        if (!path || !*path)
                return -ENOENT;
        if (strlen(path) >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        memcpy(sa.sun_path, path, strlen(path) + 1);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int read_exactly(int fd, uint8_t *buf, size_t n) {
        while (n > 0) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                int ready = poll(&p, 1, SSHAGENT_WAIT_MS);
                if (ready < 0 && errno == EINTR)
                        continue;
                if (ready < 0)
                        return -errno;
                if (ready == 0)
                        return -ETIMEDOUT;
                ssize_t k = recv(fd, buf, n, 0);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        return -ECONNRESET;
                buf += k;
                n -= (size_t) k;
        }
        return 0;
}

static int send_exactly(int fd, const uint8_t *buf, size_t n) {
        while (n > 0) {
                ssize_t k = send(fd, buf, n, MSG_NOSIGNAL);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0 && errno == EPIPE)
                        return -ECONNRESET;
                if (k < 0)
                        return -errno;
                buf += k;
                n -= (size_t) k;
        }
        return 0;
}

/* One question, one answer; *ret is malloc'ed and does not have the length before it. */
static int ask(int fd, const uint8_t *question, size_t n, uint8_t **ret, size_t *ret_n) {
        uint8_t head[4];
        uint32_t len;

        wire_put_u32(head, (uint32_t) n);
        int r = send_exactly(fd, head, sizeof(head));
        if (r >= 0)
                r = send_exactly(fd, question, n);
        if (r >= 0)
                r = read_exactly(fd, head, sizeof(head));
        if (r < 0)
                return r;
        if (wire_u32(&(struct wire) { head, sizeof(head) }, &len) < 0 || len == 0 || len > SSHAGENT_MESSAGE_MAX)
                return -EPROTO;
        _cleanup_free_ uint8_t *buf = malloc(len);
        if (!buf)
                return -ENOMEM;
        r = read_exactly(fd, buf, len);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(buf);
        *ret_n = len;
        return 0;
}

int sshagent_list(int fd, struct sshagent_key *ret, size_t *ret_n) {
        _cleanup_free_ uint8_t *msg = NULL;
        size_t n;

        int r = ask(fd, (const uint8_t[]) { MSG_LIST }, 1, &msg, &n);
        return r < 0 ? r : sshagent_parse_keys(msg, n, ret, ret_n);
}

int sshagent_sign(int fd, const struct sshkey *key, const uint8_t *bytes, size_t n, uint8_t ret[static 64]) {
        const size_t size = 1 + 4 + SSHKEY_BLOB_SIZE + 4 + n + 4;

        if (n > SSHAGENT_MESSAGE_MAX - (size - n))
                return -EMSGSIZE;
        _cleanup_free_ uint8_t *q = calloc(1, size), *msg = NULL;
        if (!q)
                return -ENOMEM;
        q[0] = MSG_SIGN;
        wire_put_u32(q + 1, SSHKEY_BLOB_SIZE);
        sshkey_to_blob(key, q + 5);
        wire_put_u32(q + 5 + SSHKEY_BLOB_SIZE, (uint32_t) n);
        memcpy(q + 9 + SSHKEY_BLOB_SIZE, bytes, n);
        /* the four bytes left are the flags: none */

        size_t n_msg;
        uint8_t sig[64];
        int r = ask(fd, q, size, &msg, &n_msg);
        if (r >= 0)
                r = sshagent_parse_signature(msg, n_msg, sig);
        if (r < 0)
                return r;
        if (crypto_sign_verify_detached(sig, bytes, n, key->pub) != 0)
                return -EBADMSG;
        memcpy(ret, sig, sizeof(sig));
        return 0;
}

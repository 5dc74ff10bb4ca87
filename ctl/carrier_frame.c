/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ctl/carrier_frame.h"

int carrier_frame_send(int fd, const struct carrier_frame *f, const char *subject, const char *reply, const char *text,
                       size_t n) {
        struct carrier_frame head = *f;
        struct iovec v[] = {
                { &head, sizeof(head) },
                { (void *) subject, strlen(subject) },
                { (void *) reply, strlen(reply) },
                { (void *) text, n },
        };
        const struct msghdr m = { .msg_iov = v, .msg_iovlen = ELEMENTSOF(v) };

        if (v[1].iov_len >= CARRIER_SUBJECT_SIZE || v[2].iov_len >= CARRIER_SUBJECT_SIZE || n > CARRIER_TEXT_MAX)
                return -EMSGSIZE;
        head.n_subject = (uint32_t) v[1].iov_len;
        head.n_reply = (uint32_t) v[2].iov_len;
        for (;;) {
                if (sendmsg(fd, &m, MSG_NOSIGNAL) >= 0)
                        return 0;
                if (errno != EINTR)
                        return -errno;
        }
}

int carrier_frame_read(const char *bytes, size_t n, struct carrier_parts *ret) {
        struct carrier_parts p;

        if (n < sizeof(p.head))
                return -EBADMSG;
        memcpy(&p.head, bytes, sizeof(p.head));
        n -= sizeof(p.head);
        if (p.head.n_subject >= CARRIER_SUBJECT_SIZE || p.head.n_reply >= CARRIER_SUBJECT_SIZE ||
            p.head.n_subject + p.head.n_reply > n)
                return -EBADMSG;
        p.subject = bytes + sizeof(p.head);
        p.reply = p.subject + p.head.n_subject;
        p.text = p.reply + p.head.n_reply;
        p.n = n - p.head.n_subject - p.head.n_reply;
        *ret = p;
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* relay tcp|udp|unix|abstract|file|fifo [tell]: the service (tell) says its mark to a process in another cgroup, which
 * passes it on to the witness: a proxy, a log forwarder, a shared file. */

#include "tests/escape/routes/kinds.h"

#include <sys/stat.h>

static struct {
        struct sockaddr_storage a;
        socklen_t n;
        int af;
        char path[64];
} meet;

static void find_meeting(const char *via) {
        struct sockaddr_in *v4 = (struct sockaddr_in *) &meet.a;

        snprintf(meet.path, sizeof(meet.path), ESCAPE_DIR "/%d.%s", escape_number(), via);
        if (strcmp(via, "tcp") == 0 || strcmp(via, "udp") == 0) {
                *v4 = (struct sockaddr_in) { .sin_family = meet.af = AF_INET,
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                             .sin_port = htons((uint16_t) (22000 + escape_number())) };
                meet.n = sizeof(*v4);
        } else {
                meet.af = AF_UNIX;
                meet.n = meeting(strcmp(via, "abstract") == 0, (struct sockaddr_un *) &meet.a);
        }
}

static void tell_by_socket(int type) {
        int fd = -1;

        for (;; nap_ms(50)) {
                if (send(fd, mark(), strlen(mark()), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
                        continue;
                close(fd);
                fd = socket(meet.af, type | SOCK_CLOEXEC, 0);
                (void) connect(fd, (struct sockaddr *) &meet.a, meet.n);
        }
}

static void tell_by_file(void) {
        for (;; nap_ms(50)) {
                int fd = open(meet.path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);

                (void) !write(fd, mark(), strlen(mark()));
                close(fd);
        }
}

static void pass_on(int fd) {
        char buf[64];
        ssize_t n = read(fd, buf, sizeof(buf));
        const struct kind *k = kind_named("udp");
        int out = n > 0 ? kind_open(k, AF_INET) : -1;

        if (out >= 0)
                (void) kind_send(k, out, AF_INET);
        close(out);
        if (n == 0)
                nap_ms(10);
}

static void relay_sockets(int type) {
        int listener = socket(meet.af, type | SOCK_CLOEXEC, 0), fd = -1;

        if (meet.af == AF_UNIX && ((struct sockaddr_un *) &meet.a)->sun_path[0])
                unlink(((struct sockaddr_un *) &meet.a)->sun_path);
        if (bind(listener, (struct sockaddr *) &meet.a, meet.n) < 0 || (type == SOCK_STREAM && listen(listener, 8) < 0))
                impossible("bind of the relay");
        for (;;) {
                char peek;

                if (type == SOCK_DGRAM) {
                        pass_on(listener);
                        continue;
                }
                if (fd < 0 || recv(fd, &peek, 1, MSG_PEEK) <= 0) {
                        close(fd);
                        fd = accept(listener, NULL, NULL);
                }
                pass_on(fd);
        }
}

static void relay_file(bool fifo) {
        int fd;

        if (fifo && mkfifo(meet.path, 0666) < 0 && errno != EEXIST)
                impossible("mkfifo");
        for (;; nap_ms(20)) {
                fd = open(meet.path, O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        continue;
                pass_on(fd);
                if (!fifo)
                        (void) !ftruncate(fd, 0);
                close(fd);
        }
}

int main(int argc, char *argv[]) {
        const char *via = argv[1];
        const bool file = strcmp(via, "file") == 0 || strcmp(via, "fifo") == 0;
        const int type = strcmp(via, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;

        find_meeting(via);
        if (argc > 2 && file)
                tell_by_file();
        if (argc > 2)
                tell_by_socket(type);
        if (file)
                relay_file(strcmp(via, "fifo") == 0);
        relay_sockets(type);
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A port of the loopback for a server that a test starts. Include after cmocka.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* Below those that the kernel gives to whoever asks for none: once this is closed nobody gets it by chance before the
 * server does, and to connect to it while there is no server yet is never to connect to oneself. */
#define PORT_FIRST 10000
#define PORT_COUNT 22000

/* Bound, not listening: the port is nobody else's until it is closed. */
static inline int port_bind(uint16_t *ret_port) {
        static unsigned n;

        for (;;) {
                const uint16_t port = (uint16_t) (PORT_FIRST + ((unsigned) getpid() * 7919U + n++ * 31U) % PORT_COUNT);
                const struct sockaddr_in a = { .sin_family = AF_INET,
                                               .sin_port = htons(port),
                                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
                const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

                assert_true(fd >= 0);
                if (bind(fd, (const struct sockaddr *) &a, sizeof(a)) == 0) {
                        *ret_port = port;
                        return fd;
                }
                assert_int_equal(errno, EADDRINUSE);
                (void) close(fd);
        }
}

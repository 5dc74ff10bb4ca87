/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A real nats-server on a port of the loopback that is its own, with JetStream, for unit tests; and a broker that
 * greets and then says nothing. Include after cmocka.h. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "lib/port.h"
#include "lib/scratch.h"
#include "policy/broker.h"
#include "policy/cleanup.h"

#define NATS_SERVER_WAIT_MS 60000

struct nats_server {
        pid_t pid;
        uint16_t port;
        struct scratch dir;
};

static inline bool nats_server_is_up(const struct nats_server *s) {
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(s->port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0;
}

/* more: lines of its configuration. */
static inline void nats_server_start(struct nats_server *s, const char *more) {
        const char *conf;
        FILE *f;

        scratch_make(&s->dir);
        assert_int_equal(close(port_bind(&s->port)), 0);
        conf = scratch_path(&s->dir, "conf");
        f = fopen(conf, "we");
        assert_non_null(f);
        (void) fprintf(
                f,
                "listen: \"127.0.0.1:%u\"\njetstream { store_dir: \"%s/store\", max_mem: 16MB, max_file: 16MB }\n%s\n",
                s->port, s->dir.path, more);
        assert_int_equal(fclose(f), 0);
        s->pid = fork();
        if (s->pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) dup2(null, STDERR_FILENO);
                (void) execlp("nats-server", "nats-server", "-c", conf, NULL);
                _exit(127);
        }
        for (int i = 0; i < NATS_SERVER_WAIT_MS / 20 && !nats_server_is_up(s); i++)
                (void) usleep(20 * 1000);
        assert_true(nats_server_is_up(s));
}

/* rogue_nats.py instead, which is a broker that lies to who calls itself victim. */
static inline void nats_rogue_start(struct nats_server *s, const char *mode, const char *victim) {
        char port[8];

        scratch_make(&s->dir);
        assert_int_equal(close(port_bind(&s->port)), 0);
        (void) snprintf(port, sizeof(port), "%u", s->port);
        scratch_write(scratch_path(&s->dir, "mode"), mode, strlen(mode));
        s->pid = fork();
        if (s->pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) dup2(null, STDOUT_FILENO);
                (void) dup2(null, STDERR_FILENO);
                (void) execlp("python3", "python3", "-B", "tests/lib/rogue_nats.py", "127.0.0.1", port,
                              scratch_path(&s->dir, "mode"), "", victim, NULL);
                _exit(127);
        }
        for (int i = 0; i < NATS_SERVER_WAIT_MS / 20 && !nats_server_is_up(s); i++)
                (void) usleep(20 * 1000);
        assert_true(nats_server_is_up(s));
}

/* At once, as a power cut would. */
static inline void nats_server_kill(struct nats_server *s) {
        if (s->pid <= 0)
                return;
        (void) kill(s->pid, SIGKILL);
        assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
        s->pid = 0;
}

static inline void nats_server_done(struct nats_server *s) {
        nats_server_kill(s);
        scratch_remove(&s->dir);
}

static inline void nats_server_add(struct broker *b, uint16_t port) {
        (void) snprintf(b->servers[b->n_servers++], sizeof(b->servers[0]), "nats://127.0.0.1:%u", port);
}

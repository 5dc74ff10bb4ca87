/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Real cgroups below the root of the unified hierarchy, real processes and sockets in them. The test's process has a
 * network namespace and a bpffs of its own, stays on one processor, so that the loopback delivers in order and silence
 * can be told from delay, and all of 10.0.0.0/8 and fd00::/8 is on its loopback. Needs root and a unified hierarchy;
 * without them each case is skipped and says why.
 *
 * Whatever a case leaves in its cgroups is killed and removed when it ends; when the test's process dies, a janitor
 * does it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include "policy/cleanup.h"

struct cage {
        char path[512]; /* in the hierarchy */
        char dir[640];  /* in the file system */
        int fd;         /* closed with the case */
        uint64_t id;
};

int cage_begin(void **state);
int cage_end(void **state);
#define CAGE_CASE(name)  cmocka_unit_test_setup_teardown(name, cage_begin, cage_end)
#define CAGE_MAIN(cases) cage_run(cases, ELEMENTSOF(cases))
/* Runs them all, each of which begins and ends as CAGE_CASE does. */
int cage_run(const struct CMUnitTest *cases, size_t n);

/* Where the hierarchy is mounted; a directory on the bpffs; the cgroup in which all of the case's are. */
const char *cage_hierarchy(void);
const char *cage_pins(void);
const struct cage *cage_top(void);

/* A new cgroup below top; "a/b" after "a". */
struct cage cage_make(const char *name);
/* Ends what is in it and removes it. */
void cage_remove(struct cage *c);

/* A process in the cgroup that runs body, if there is one, and then sleeps. Returns when body has. */
pid_t cage_spawn(const struct cage *c, void (*body)(void *userdata), void *userdata);
/* The same; it holds a copy of fd, as CAGE_HELD. */
#define CAGE_HELD 3
pid_t cage_spawn_with(const struct cage *c, int fd, void (*body)(void *userdata), void *userdata);
/* A process in the cgroup that runs fn and ends with what it returns, 0 to 255. */
int cage_call(const struct cage *c, int (*fn)(void *userdata), void *userdata);
/* A socket of the cgroup in the test's own process; not blocking. */
int cage_socket(const struct cage *c, int family, int type, int protocol);
void cage_freeze(const struct cage *c, bool freeze);
void cage_kill(pid_t pid);
/* Writes to one of the cgroup's files; 0 or -errno. */
int cage_write(const struct cage *c, const char *file, const char *text);
bool cage_says(const struct cage *c, const char *file, const char *text);

union wire_addr {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

/* "10.0.0.1", "fd00::1", "::ffff:10.0.0.1" */
union wire_addr wire_addr(const char *ip, uint16_t port);
socklen_t wire_size(const union wire_addr *a);
/* A socket of the test itself, not blocking. */
int wire_socket(int family, int type, int protocol);
/* The same, bound to a port of the kernel's choice, and listening if it is TCP. *ret is where. */
int wire_listen(const char *ip, int type, union wire_addr *ret);
/* 0 (also while it goes on) or -errno. */
int wire_connect(int fd, const union wire_addr *to);
int wire_send(int fd, const void *data, size_t n);
int wire_sendto(int fd, const union wire_addr *to, const void *data, size_t n);
union wire_addr wire_name(int fd);
/* Everything sent before has arrived, or never will. */
void wire_settle(void);
/* The number of bytes that wait at the socket, after settling; or -errno. They are taken out. */
ssize_t wire_arrived(int fd);
/* Connects a TCP or UDP socket to a new listener at ip; *ret_peer is the other end. */
void wire_join(int fd, const char *ip, int type, int *ret_peer);
/* How many file descriptors this process has open. */
size_t wire_open_fds(void);

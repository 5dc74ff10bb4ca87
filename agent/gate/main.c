/* SPDX-License-Identifier: Apache-2.0 */

/* freezed-gate: stands between every client and the core, so that the core parses nothing that a stranger wrote. Opens
 * its two sockets, gives up the right to open anything else, and runs. */

#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <jansson.h>
#include <sodium.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "agent/gate/gate.h"
#include "agent/gate/limit.h"
#include "agent/gate/notify.h"
#include "agent/gate/sandbox.h"
#include "agent/util/log.h"
#include "policy/cleanup.h"

#define CORE_SOCKET "/run/freezed/core.sock"
#define EXIT_USAGE  2
/* every connection, one more to tell a client that it is one too many, and what is open before the first */
#define FDS_MAX (LIMIT_CONNECTIONS_MAX + 16U)

static int unix_socket(const char *path, struct sockaddr_un *ret) {
        int fd;

        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        if (strlen(path) >= sizeof(ret->sun_path))
                return -ENAMETOOLONG;
        strcpy(ret->sun_path, path);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        return fd < 0 ? -errno : fd;
}

static int connect_core(const char *path, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;

        fd = unix_socket(path, &address);
        if (fd < 0)
                return fd;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

static int listen_at(const char *path, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct sockaddr_un address;

        fd = unix_socket(path, &address);
        if (fd < 0)
                return fd;
        if (bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, LIMIT_CONNECTIONS_MAX) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* The socket that systemd made. */
static int listen_inherited(int *ret) {
        int n = sd_listen_fds(true), r;

        if (n != 1)
                return n < 0 ? n : -ENOTCONN;
        r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_SEQPACKET, 1, NULL, 0);
        if (r <= 0)
                return r < 0 ? r : -EPROTOTYPE;
        r = fcntl(SD_LISTEN_FDS_START, F_SETFL, O_NONBLOCK);
        if (r < 0)
                return -errno;
        *ret = SD_LISTEN_FDS_START;
        return 0;
}

static int failed(int error, const char *what) {
        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "arrive"), "%s: %s", what, strerror(-error));
        return EXIT_FAILURE;
}

/* Later there is no file to read a seed from, and an unseeded jansson hashes an attacker's member names predictably. */
static int seed(void) {
        if (sodium_init() < 0)
                return -EIO;
        json_object_seed(randombytes_random() | 1);
        return 0;
}

static int run(const char *listen_path, const char *core_path) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(gate_freep) struct gate *gate = NULL;
        _cleanup_(notify_freep) struct notify *notify = NULL;
        _cleanup_close_ int listener = -EBADF, core = -EBADF;
        int r;

        log_open();
        r = seed();
        if (r < 0)
                return failed(r, "Cannot seed");
        r = listen_path ? listen_at(listen_path, &listener) : listen_inherited(&listener);
        if (r < 0)
                return failed(r, "No socket to listen on");
        r = connect_core(core_path, &core);
        if (r < 0)
                return failed(r, "Cannot reach the core");
        r = sd_event_new(&event);
        if (r < 0)
                return failed(r, "Cannot make an event loop");
        r = gate_new(event, TAKE_FD(listener), TAKE_FD(core), &gate);
        if (r < 0)
                return failed(r, "Cannot start");
        r = notify_new(event, &notify);
        if (r < 0)
                return failed(r, "Cannot reach the service manager");
        r = sandbox_enter(FDS_MAX);
        if (r < 0)
                return failed(r, "Cannot confine itself");
        notify_ready(notify);
        r = sd_event_loop(event);
        return r < 0 ? failed(r, "The event loop failed") : r;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "listen", required_argument, NULL, 'l' },
                { "core", required_argument, NULL, 'c' },
                {},
        };
        const char *listen_path = NULL, *core_path = CORE_SOCKET;
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                if (option == 'l')
                        listen_path = optarg;
                else if (option == 'c')
                        core_path = optarg;
                else
                        return EXIT_USAGE;
        if (optind != argc) {
                (void) fprintf(stderr, "Usage: %s [--listen PATH] [--core PATH]\n", program_invocation_short_name);
                return EXIT_USAGE;
        }
        return run(listen_path, core_path);
}

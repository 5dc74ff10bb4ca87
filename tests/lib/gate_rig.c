/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/gate_rig.h"
#include "lib/people.h"

static struct sockaddr_un address_of(const struct rig *r, const char *name) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        assert_true(snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", r->dir, name) < (int) sizeof(a.sun_path));
        return a;
}

static bool is_ready(int fd, short events, int ms) {
        struct pollfd p = { .fd = fd, .events = events };

        return poll(&p, 1, ms) == 1;
}

const char *rig_program(void) {
        static char path[4096];
        const char *b = getenv("FREEZED_B");
        ssize_t n;

        if (b)
                n = snprintf(path, sizeof(path), "%s", b);
        else {
                /* B/san/unit/test_x */
                n = readlink("/proc/self/exe", path, sizeof(path) - 1);
                assert_true(n > 0);
                path[n] = '\0';
                for (int i = 0; i < 3; i++)
                        *strrchr(path, '/') = '\0';
        }
        strncat(path, "/freezed-gate", sizeof(path) - strlen(path) - 1);
        return path;
}

static int bound(const struct rig *r, const char *name, int type) {
        struct sockaddr_un a = address_of(r, name);
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        if (type == SOCK_SEQPACKET)
                assert_int_equal(listen(fd, SOMAXCONN), 0);
        return fd;
}

static void put_env(const char *name, long value) {
        char text[32];

        (void) snprintf(text, sizeof(text), "%ld", value);
        (void) setenv(name, text, 1);
}

/* In the child. */
static void exec_gate(const struct rig *r, int inherited, unsigned int watchdog_us) {
        struct sockaddr_un at = address_of(r, "command.sock"), core = address_of(r, "core.sock"),
                           log = address_of(r, "log"), manager = address_of(r, "manager");
        int fd = open(log.sun_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        (void) umask(0);
        (void) dup2(fd, STDERR_FILENO);
        if (inherited < 0)
                (void) execl(rig_program(), "freezed-gate", "--listen", at.sun_path, "--core", core.sun_path, NULL);
        if (inherited == 3)
                (void) fcntl(3, F_SETFD, 0);
        else
                (void) dup2(inherited, 3);
        put_env("LISTEN_FDS", 1);
        put_env("LISTEN_PID", getpid());
        put_env("WATCHDOG_USEC", watchdog_us);
        put_env("WATCHDOG_PID", getpid());
        (void) setenv("NOTIFY_SOCKET", manager.sun_path, 1);
        (void) execl(rig_program(), "freezed-gate", "--core", core.sun_path, NULL);
        _exit(127);
}

static void start(struct rig *r, int inherited, unsigned int watchdog_us) {
        r->gate = fork();
        if (r->gate == 0)
                exec_gate(r, inherited, watchdog_us);
        assert_true(r->gate > 0);
        assert_true(is_ready(r->listener, POLLIN, RIG_WAIT_MS));
        r->core = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(r->core >= 0);
}

static void prepare(struct rig *r) {
        (void) snprintf(r->dir, sizeof(r->dir), "/tmp/gate-XXXXXX");
        assert_non_null(mkdtemp(r->dir));
        assert_int_equal(chmod(r->dir, 0755), 0);
        r->listener = bound(r, "core.sock", SOCK_SEQPACKET);
        r->manager = -EBADF;
}

void rig_start(struct rig *r) {
        prepare(r);
        start(r, -EBADF, 0);
}

static void start_managed(struct rig *r, unsigned int watchdog_us, int *ret_clients, size_t n) {
        _cleanup_close_ int inherited = -EBADF;

        prepare(r);
        r->manager = bound(r, "manager", SOCK_DGRAM);
        inherited = bound(r, "command.sock", SOCK_SEQPACKET);
        for (size_t i = 0; i < n; i++) {
                ret_clients[i] = rig_try_connect(r);
                assert_true(ret_clients[i] >= 0);
        }
        start(r, inherited, watchdog_us);
}

void rig_start_managed(struct rig *r, unsigned int watchdog_us) {
        start_managed(r, watchdog_us, NULL, 0);
}

void rig_start_late(struct rig *r, int *ret_clients, size_t n) {
        start_managed(r, RIG_WAIT_MS * 1000U, ret_clients, n);
}

int rig_wait(struct rig *r) {
        int status;

        for (int i = 0; i < RIG_WAIT_MS / 10; i++) {
                if (waitpid(r->gate, &status, WNOHANG) == r->gate) {
                        r->gate = 0;
                        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
                }
                (void) usleep(10 * 1000);
        }
        fail_msg("the gate does not end");
        return -1;
}

void rig_stop(struct rig *r) {
        static const char *const names[] = { "command.sock", "core.sock", "manager", "log" };

        if (r->gate > 0) {
                (void) kill(r->gate, SIGKILL);
                (void) waitpid(r->gate, NULL, 0);
        }
        closep(&r->core);
        closep(&r->listener);
        closep(&r->manager);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                struct sockaddr_un a = address_of(r, names[i]);

                (void) unlink(a.sun_path);
        }
        (void) rmdir(r->dir);
}

static void core_send(struct rig *r, const struct frame *f) {
        size_t n;

        assert_int_equal(frame_pack(f, r->buf, sizeof(r->buf), &n), 0);
        assert_int_equal(send(r->core, r->buf, n, MSG_NOSIGNAL), n);
}

void rig_keys(struct rig *r, size_t n) {
        uint8_t keys[_KEY_MAX * FRAME_KEY_SIZE];
        struct frame f = { .kind = FRAME_KEYS, .payload = keys, .n_payload = n * FRAME_KEY_SIZE };

        assert_true(n <= _KEY_MAX);
        for (size_t i = 0; i < n; i++) {
                uint8_t secret[crypto_sign_SECRETKEYBYTES];
                struct sshkey key;

                people_key(i, secret, &key);
                memcpy(keys + i * FRAME_KEY_SIZE, key.id, sizeof(key.id));
                memcpy(keys + i * FRAME_KEY_SIZE + sizeof(key.id), key.pub, sizeof(key.pub));
        }
        core_send(r, &f);
}

struct frame rig_take(struct rig *r) {
        struct frame f;
        ssize_t n;

        assert_true(is_ready(r->core, POLLIN, RIG_WAIT_MS));
        n = recv(r->core, r->buf, sizeof(r->buf), 0);
        assert_true(n > 0);
        assert_int_equal(frame_unpack(r->buf, (size_t) n, &f), 0);
        assert_true(frame_is_from_gate(f.kind));
        return f;
}

bool rig_quiet(struct rig *r, int ms) {
        return !is_ready(r->core, POLLIN, ms);
}

void rig_reply(struct rig *r, uint32_t number, const void *text, size_t n, bool more) {
        const struct frame f = { .kind = FRAME_REPLY, .number = number, .payload = text, .n_payload = n, .more = more };

        core_send(r, &f);
}

void rig_refuse(struct rig *r, uint32_t number, enum reason reason) {
        const uint8_t byte = (uint8_t) reason;
        const struct frame f = { .kind = FRAME_REFUSAL, .number = number, .payload = &byte, .n_payload = 1 };

        core_send(r, &f);
}

int rig_try_connect(const struct rig *r) {
        struct sockaddr_un a = address_of(r, "command.sock");
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        return fd >= 0 && connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0 ? TAKE_FD(fd) : -errno;
}

int rig_connect(struct rig *r, uid_t uid) {
        uid_t own = geteuid();
        int fd;

        /* what the kernel tells of the peer is its effective uid at this moment */
        assert_true(uid == own || seteuid(uid) == 0);
        fd = rig_try_connect(r);
        assert_true(uid == own || seteuid(own) == 0);
        assert_true(fd >= 0);
        return fd;
}

pid_t rig_fork(uid_t uid) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        if (geteuid() == 0 && (setgid(uid) < 0 || setuid(uid) < 0))
                _exit(EXIT_FAILURE);
        /* after the change of user, which would undo it */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        return 0;
}

void rig_send(int client, const void *text, size_t n) {
        assert_int_equal(send(client, text, n, MSG_NOSIGNAL), n);
}

void rig_send_string(int client, const char *text) {
        rig_send(client, text, strlen(text));
}

bool rig_recv(int client, char *ret, size_t size) {
        ssize_t n = -1;

        /* A connection that the other end closed with something unread says so once, before it gives what it holds. */
        for (int i = 0; i < 2 && n < 0; i++) {
                assert_true(is_ready(client, POLLIN, RIG_WAIT_MS));
                n = recv(client, ret, size - 1, 0);
                assert_true(n >= 0 || errno == ECONNRESET);
        }
        ret[MAX(n, 0)] = '\0';
        return n > 0;
}

const char *rig_refusal_id(const char *text) {
        static char id[64];
        _cleanup_json_ json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(root);
        assert_int_equal(json_object_size(root), 2);
        assert_non_null(json_string_value(json_object_get(root, "text")));
        (void) snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(root, "refused")));
        return id;
}

const char *rig_refused(int client, const void *text, size_t n) {
        char answer[1024];

        rig_send(client, text, n);
        return rig_recv(client, answer, sizeof(answer)) ? rig_refusal_id(answer) : "";
}

static char *envelope(enum dsse_type signed_type, const char *payload, unsigned int by) {
        struct dsse d = people_sign(DSSE_COMMAND, signed_type, payload, strlen(payload), by);
        char *json;

        assert_int_equal(dsse_to_json(&d, &json), 0);
        dsse_done(&d);
        return json;
}

char *rig_envelope(const char *payload, unsigned int by) {
        return envelope(DSSE_COMMAND, payload, by);
}

char *rig_forged(const char *payload, unsigned int by) {
        return envelope(DSSE_RECEIPT, payload, by);
}

long rig_proc(const struct rig *r, const char *file, const char *key) {
        char path[64], line[256];
        _cleanup_fclose_ FILE *f = NULL;
        long value = -1;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", r->gate, file);
        f = fopen(path, "re");
        assert_non_null(f);
        while (fgets(line, sizeof(line), f))
                if (strncmp(line, key, strlen(key)) == 0)
                        value = strtol(line + strlen(key), NULL, 10);
        return value;
}

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The real freezed-relay between a real nats-server and a gate that the test plays. Include it after cmocka.h; LINK:
 * agent/relay/line.c agent/relay/inbox.c agent/relay/leash.c */

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "agent/relay/leash.h"
#include "agent/relay/line.h"
#include "lib/port.h"
#include "lib/scratch.h"
#include "policy/carried.h"
#include "policy/dsse.h"

#define WAIT_MS  60000
#define QUIET_MS 400
#define ID       "00112233445566778899aabbccddeeff"
#define OTHER    "0f0e0d0c0b0a09080706050403020100"
#define HOST     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define MINE     "frz.v1.prod.cmd.host." HOST "."

static struct {
        struct scratch dir;
        char config[96], gate_path[96], conf[96];
        uint16_t port;
        pid_t server, relay;
        int gate;
        struct inbox *inbox;
        struct line *line;
        const char *attributes; /* that it was told of last, when it asked who it is */
        bool old;               /* so is the agent: it knows nothing of what is carried */
        const char *fleet;      /* NULL: prod */
        unsigned root;          /* the trust root that it has */
        const char *patience;   /* of the relay when it starts, in ms; NULL: its own */
        unsigned spread_s;      /* within which it asks the stream */
} box;

static inline int gate_listen(void) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", box.gate_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(fd, 64), 0);
        return fd;
}

/* The next message that comes; below 0 when there is none for so long. */
static inline int gate_next(char *ret, size_t size, int ms) {
        struct pollfd p = { .fd = box.gate, .events = POLLIN };
        ssize_t n;
        int fd;

        if (poll(&p, 1, ms) != 1)
                return -1;
        fd = accept4(box.gate, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        p.fd = fd;
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        n = recv(fd, ret, size - 1, 0);
        assert_true(n > 0);
        ret[n] = '\0';
        return fd;
}

static inline char *envelope(enum dsse_type type, const char *payload) {
        const uint8_t sig[64] = { 1 }, keyid[32] = { 1 };
        struct dsse d = { .type = type, .payload = (uint8_t *) payload, .n_payload = strlen(payload) };
        char *json;

        assert_int_equal(dsse_add(&d, keyid, sig), 0);
        assert_int_equal(dsse_to_json(&d, &json), 0);
        return json;
}

static inline void gate_say(int fd, enum dsse_type type, const char *payload) {
        _cleanup_free_ char *json = envelope(type, payload);

        assert_true(send(fd, json, strlen(json), MSG_NOSIGNAL) > 0);
}

static inline void gate_say_who(int fd, const char *attributes) {
        char health[512];

        (void) snprintf(health, sizeof(health),
                        "{\"type\":\"health\",\"nonce\":\"" ID "\",\"host\":\"SHA256:" HOST
                        "\",\"trust\":{\"fleet\":\"%s\",\"version\":%u},\"agent\":{%s},\"attributes\":%s}",
                        box.fleet ? box.fleet : "prod", box.root, box.old ? "" : "\"carried\":true", attributes);
        gate_say(fd, DSSE_REPORT, health);
        assert_int_equal(close(fd), 0);
}

/* Who it is: the relay asks that first. */
static inline void gate_introduce(const char *attributes) {
        char text[256];
        int fd = gate_next(text, sizeof(text), WAIT_MS);

        assert_true(fd >= 0);
        assert_non_null(strstr(text, "\"query\":\"health\""));
        gate_say_who(fd, attributes);
        box.attributes = attributes;
}

/* The next one that the relay hands on: it asks who it is again, later. */
static inline int gate_take(char *ret, size_t size, int ms) {
        int fd;

        while ((fd = gate_next(ret, size, ms)) >= 0 && strstr(ret, "\"query\":\"health\""))
                gate_say_who(fd, box.attributes);
        return fd;
}

static inline void run(pid_t *ret, const char *program, const char *const *args) {
        *ret = fork();
        if (*ret == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) dup2(null, STDERR_FILENO);
                (void) execvp(program, (char *const *) args);
                _exit(127);
        }
}

static inline void end_of(pid_t *pid) {
        if (*pid > 0) {
                (void) kill(*pid, SIGKILL);
                (void) waitpid(*pid, NULL, 0);
        }
        *pid = 0;
}

static inline void write_file(const char *path, const char *fmt, unsigned port) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        (void) fprintf(f, fmt, port);
        assert_int_equal(fclose(f), 0);
}

static inline bool is_up(void) {
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(box.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0;
}

static inline const char *program(void) {
        static char path[4096];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

        /* B/san/unit/test_x */
        assert_true(n > 0);
        path[n] = '\0';
        for (int i = 0; i < 3; i++)
                *strrchr(path, '/') = '\0';
        return strcat(path, "/freezed-relay");
}

/* Waits until the relay has subscribed: its state file says so. */
static inline void wait_ready(void) {
        char path[96];

        (void) snprintf(path, sizeof(path), "%s/state.json", box.dir.path);
        for (int i = 0; i < WAIT_MS / 20; i++) {
                _cleanup_json_ json_t *o = json_load_file(path, 0, NULL);
                const char *state = json_string_value(json_object_get(o, "state"));

                if (state && strcmp(state, "ready") == 0)
                        return;
                (void) usleep(20 * 1000);
        }
        fail_msg("the relay is not ready");
}

static inline void start_relay(void) {
        const char *const args[] = { "freezed-relay", "--config", box.config,   "--gate",
                                     box.gate_path,   "--state",  box.dir.path, box.patience ? "--patience" : NULL,
                                     box.patience,    NULL };
        char config[96];

        (void) snprintf(config, sizeof(config), "{\"v\":1,\"servers\":[\"nats://127.0.0.1:%%u\"],\"spread_s\":%u}",
                        box.spread_s);
        write_file(box.config, config, box.port);
        run(&box.relay, program(), args);
}

static inline void start_server(void) {
        const char *const args[] = { "nats-server", "-c", box.conf, NULL };
        char conf[160];

        assert_int_equal(close(port_bind(&box.port)), 0);
        (void) snprintf(conf, sizeof(conf), "listen: \"127.0.0.1:%%u\"\njetstream { store_dir: \"%s/store\" }\n",
                        box.dir.path);
        write_file(box.conf, conf, box.port);
        run(&box.server, "nats-server", args);
        for (int i = 0; i < WAIT_MS / 20 && !is_up(); i++)
                (void) usleep(20 * 1000);
        assert_true(is_up());
}

static inline int begin(void **state) {
        static struct broker b = { .n_servers = 1 };
        const char *why;

        (void) state;
        memset(&box, 0, sizeof(box));
        scratch_make(&box.dir);
        (void) snprintf(box.config, sizeof(box.config), "%s/relay.json", box.dir.path);
        (void) snprintf(box.conf, sizeof(box.conf), "%s/conf", box.dir.path);
        (void) snprintf(box.gate_path, sizeof(box.gate_path), "%s/gate", box.dir.path);
        start_server();
        box.gate = gate_listen();
        start_relay();
        gate_introduce("{\"groups\":[\"web\"]}");
        wait_ready();
        (void) snprintf(b.servers[0], sizeof(b.servers[0]), "nats://127.0.0.1:%u", box.port);
        assert_int_equal(inbox_new(&box.inbox), 0);
        assert_int_equal(line_new(&b, NULL, box.inbox, &box.line), 0);
        assert_int_equal(line_connect(box.line, b.servers[0], &why), 0);
        assert_int_equal(line_hear(box.line, "frz.v1.prod.rsp.>"), 0);
        assert_int_equal(line_hear(box.line, "elsewhere.>"), 0);
        assert_int_equal(line_hear(box.line, "$JS.API.DIRECT.GET.>"), 0);
        assert_int_equal(line_settle(box.line), 0);
        return 0;
}

/* The test's own connection is left to the library: see line.h. */
static inline int end(void **state) {
        (void) state;
        end_of(&box.relay);
        end_of(&box.server);
        (void) close(box.gate);
        scratch_remove(&box.dir);
        return 0;
}

static inline void publish(const char *subject, const char *text) {
        assert_int_equal(line_say(box.line, subject, "elsewhere.x", text, strlen(text)), 0);
}

/* What the relay published next under anything but the stream's questions; NULL when there is nothing for so long. */
static inline struct inbox_item *published(int ms, bool questions) {
        for (int i = 0; i <= ms / 10; i++) {
                struct inbox_item *item = inbox_take(box.inbox);

                if (item && (strncmp(item->subject, "$JS.", 4) == 0) == questions)
                        return item;
                free(item);
                if (!item)
                        (void) usleep(10 * 1000);
        }
        return NULL;
}

static inline void assert_published(const char *subject) {
        struct inbox_item *item = published(WAIT_MS, false);

        assert_non_null(item);
        assert_string_equal(item->subject, subject);
        free(item);
}

static inline void assert_quiet(void) {
        struct inbox_item *item = published(QUIET_MS, false);

        if (item)
                fail_msg("published under %s", item->subject);
}

/* The gate is told that it is carried. */
static inline void assert_carried(const char *got, const char *envelope) {
        size_t n = strlen(got);

        assert_true(carried_unwrap(&got, &n));
        assert_int_equal(n, strlen(envelope));
        assert_memory_equal(got, envelope, n);
}

/* --- what was missed, of a stream that is there */

#define FLEET "frz.v1.prod."

/* Publishes what the server answers to. */
static inline void settle(const char *subject, const char *text) {
        struct inbox_item *item;

        publish(subject, text);
        /* what the relay said before it went away may be there yet */
        while ((item = published(WAIT_MS, false)) && strcmp(item->subject, "elsewhere.x") != 0)
                free(item);
        assert_non_null(item);
        if (strstr(item->text, "\"error\""))
                fail_msg("%s: %s", subject, item->text);
        free(item);
}

static inline void relay_is_away(void) {
        end_of(&box.relay);
        /* wait_ready is for the next one */
        (void) unlink(scratch_path(&box.dir, "state.json"));
        settle("$JS.API.STREAM.CREATE.FRZ_CMD_prod",
               "{\"name\":\"FRZ_CMD_prod\",\"subjects\":[\"frz.v1.prod.cmd.>\",\"frz.v1.prod.trust.>\"],\"storage\":"
               "\"memory\",\"max_msgs_per_subject\":1,\"allow_direct\":true}");
        settle("$JS.API.STREAM.PURGE.FRZ_CMD_prod", "{}");
}

static inline void relay_comes_back(void) {
        start_relay();
        gate_introduce(box.attributes);
}

static inline void assert_takes(const char *want, const char *answer) {
        char text[4096];
        int fd = gate_take(text, sizeof(text), WAIT_MS);

        assert_true(fd >= 0);
        assert_carried(text, want);
        gate_say(fd, DSSE_RECEIPT, answer);
        assert_int_equal(close(fd), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */

/* witness ADDRESS PORT STATE SEED LOG...: a witness as c2sp.org/tlog-witness describes it, small and for tests. STATE
 * is a directory in which the last head of each log is kept; SEED is 64 hex digits; LOG is a log's key, NAME+ID+KEY.
 * With PORT 0 it prints its own key and ends. Says each answer on a line of its own: STATUS SIZE.
 *
 * STATE/liar: what it signs is not what it was asked for. STATE/time: the time that it signs, instead of now. */

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <microhttpd.h>
#include <sodium.h>

#include "policy/tlog.h"

#define LOGS_MAX 8

struct log {
        struct note_key key;
        uint64_t n; /* of the last head that was signed */
        uint8_t root[MERKLE_HASH_SIZE];
};

struct witness {
        const char *state;
        struct note_key key;
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct log logs[LOGS_MAX];
        size_t n_logs;
};

struct request {
        char body[TLOG_REQUEST_MAX];
        size_t n;
        bool too_long;
};

static FILE *open_state(const struct witness *w, const char *name, const char *mode) {
        char path[4096];

        (void) snprintf(path, sizeof(path), "%s/%s", w->state, name);
        return fopen(path, mode);
}

static void log_name(const struct log *l, char ret[static 16]) {
        (void) snprintf(ret, 16, "%08" PRIx32, note_key_id(&l->key));
}

static void load(const struct witness *w, struct log *l) {
        char name[16], hex[65] = "";
        log_name(l, name);
        FILE *f = open_state(w, name, "re");

        if (f && fscanf(f, "%" SCNu64 " %64s", &l->n, hex) == 2)
                (void) sodium_hex2bin(l->root, sizeof(l->root), hex, strlen(hex), NULL, NULL, NULL);
        if (f)
                (void) fclose(f);
}

/* Before it is answered: what was signed has to be known after a crash. */
static bool save(const struct witness *w, const struct log *l) {
        char name[16], hex[65];
        log_name(l, name);
        FILE *f = open_state(w, name, "we");
        bool ok;

        if (!f)
                return false;
        ok = fprintf(f, "%" PRIu64 " %s\n", l->n, sodium_bin2hex(hex, sizeof(hex), l->root, sizeof(l->root))) > 0 &&
             fflush(f) == 0 && fsync(fileno(f)) == 0;
        return fclose(f) == 0 && ok;
}

static uint64_t now(const struct witness *w) {
        uint64_t t = (uint64_t) time(NULL);
        FILE *f = open_state(w, "time", "re");

        if (f && fscanf(f, "%" SCNu64, &t) != 1)
                t = 0;
        if (f)
                (void) fclose(f);
        return t;
}

static bool is_liar(const struct witness *w) {
        FILE *f = open_state(w, "liar", "re");

        if (f)
                (void) fclose(f);
        return f;
}

static void cosign(const struct witness *w, const struct checkpoint *c, char ret[static NOTE_LINE_SIZE]) {
        char text[NOTE_TEXT_SIZE], message[NOTE_MESSAGE_SIZE];
        struct checkpoint is = *c;
        const uint64_t at = now(w);
        uint8_t sig[64];

        is.n += is_liar(w);
        checkpoint_to_text(&is, text);
        (void) crypto_sign_detached(sig, NULL, (uint8_t *) message, note_message(&w->key, at, text, message),
                                    w->secret);
        note_line(&w->key, at, sig, ret);
}

static unsigned conflict(const struct log *l, char *ret) {
        (void) sprintf(ret, "%" PRIu64 "\n", l->n);
        return 409;
}

/* The steps and statuses of the specification, in its order. */
static unsigned judge(struct witness *w, const struct request *q, char *ret) {
        struct tlog_request t;
        struct checkpoint c;
        struct note note;
        struct log *l = NULL;

        *ret = '\0';
        if (q->too_long || tlog_request_parse(q->body, q->n, &t) < 0 || note_parse(t.note, t.n_note, &note) < 0 ||
            checkpoint_parse(note.text, note.n_text, &c) < 0)
                return 400;
        for (size_t i = 0; i < w->n_logs; i++)
                if (strcmp(w->logs[i].key.name, c.origin) == 0)
                        l = &w->logs[i];
        if (!l)
                return 404;
        if (note_check(&note, &l->key, NULL) != NOTE_SIGNED)
                return 403;
        if (t.old > c.n)
                return 400;
        if (t.old != l->n)
                return conflict(l, ret);
        if (t.old == c.n && t.old > 0 && memcmp(l->root, c.root, sizeof(c.root)) != 0)
                return conflict(l, ret);
        /* of a tree of none nothing is to be proven, and its root is not kept */
        if (t.old == 0 ? t.proof.n > 0 : !merkle_is_consistent(t.old, l->root, c.n, c.root, &t.proof))
                return 422;
        l->n = c.n;
        memcpy(l->root, c.root, sizeof(l->root));
        if (!save(w, l))
                return 500;
        cosign(w, &c, ret);
        return 200;
}

static enum MHD_Result answer(void *userdata, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *n_data, void **state) {
        struct request *q = *state;
        char text[NOTE_LINE_SIZE + 32] = "";
        unsigned status = 404;

        (void) version;
        if (!q) {
                *state = calloc(1, sizeof(*q));
                return *state ? MHD_YES : MHD_NO;
        }
        if (*n_data > 0) {
                if (*n_data > sizeof(q->body) - q->n)
                        q->too_long = true;
                else {
                        memcpy(q->body + q->n, data, *n_data);
                        q->n += *n_data;
                }
                *n_data = 0;
                return MHD_YES;
        }
        if (strcmp(method, "POST") == 0 && strcmp(url, "/add-checkpoint") == 0)
                status = judge(userdata, q, text);
        (void) printf("%u %s", status, status == 409 ? text : "-\n");
        (void) fflush(stdout);
        struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
        if (status == 409)
                (void) MHD_add_response_header(r, "Content-Type", "text/x.tlog.size");
        enum MHD_Result result = MHD_queue_response(c, status, r);
        MHD_destroy_response(r);
        return result;
}

static void completed(void *userdata, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why) {
        (void) userdata, (void) c, (void) why;
        free(*state);
        *state = NULL;
}

static int serve(struct witness *w, const char *address, uint16_t port) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
        struct MHD_Daemon *d;
        sigset_t mask;
        int sig;

        if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
                return 2;
        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        /* one thread: one request after the other, so that a size that was checked is the size that is replaced */
        d = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, answer, w, MHD_OPTION_SOCK_ADDR, &at,
                             MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
        if (!d)
                return 1;
        (void) sigwait(&mask, &sig);
        MHD_stop_daemon(d);
        return 0;
}

int main(int argc, char **argv) {
        static struct witness w = { .key = { .name = "witness.example/w1", .type = NOTE_COSIGNATURE } };
        uint8_t seed[crypto_sign_SEEDBYTES];
        char key[NOTE_KEY_SIZE];
        size_t n = 0;

        if (argc < 5 || argc - 5 > LOGS_MAX || sodium_init() < 0 ||
            sodium_hex2bin(seed, sizeof(seed), argv[4], strlen(argv[4]), NULL, &n, NULL) != 0 || n != sizeof(seed)) {
                (void) fprintf(stderr, "usage: witness ADDRESS PORT STATE SEED LOG...\n");
                return 2;
        }
        w.state = argv[3];
        (void) crypto_sign_seed_keypair(w.key.pub, w.secret, seed);
        for (int i = 5; i < argc; i++) {
                if (note_key_from_str(argv[i], &w.logs[w.n_logs].key) < 0)
                        return 2;
                load(&w, &w.logs[w.n_logs++]);
        }
        note_key_to_str(&w.key, key);
        if (strcmp(argv[2], "0") == 0)
                return puts(key) < 0;
        return serve(&w, argv[1], (uint16_t) strtoul(argv[2], NULL, 10));
}

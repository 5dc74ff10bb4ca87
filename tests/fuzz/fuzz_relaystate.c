/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/relaystate.c ctl/exchange.c ctl/client.c ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c */
/* LINK: ctl/why.c ctl/times.c */
/* LINK: ctl/render.c ctl/render_receipt.c ctl/render_target.c ctl/render_tried.c ctl/render_repaired.c */
/* LINK: ctl/render_thawed.c ctl/render_fleet.c ctl/render_report.c */

/* The relay's state file, as whoever has taken over the relay writes it and root reads it: what it says is shown as
 * unsigned, on lines of its own, and moves no cursor; in JSON it stays below its own member. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "ctl/relaystate.h"
#include "policy/schema.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* two of its own, ten that it lists, and how many more there are */
#define LINES_MAX 13U
#define UNSIGNED  " (unsigned: what the relay says)"

static char file[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean_up(void) {
        (void) unlink(file);
}

static void put(const uint8_t *data, size_t size) {
        if (!*file) {
                (void) snprintf(file, sizeof(file), "%s/freezed-fuzz-XXXXXX",
                                access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
                int made = mkstemp(file);
                CHECK(made >= 0 && close(made) == 0 && atexit(clean_up) == 0);
        }
        int fd = open(file, O_WRONLY | O_TRUNC | O_CLOEXEC);
        CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size && close(fd) == 0);
}

static char *show(bool json, size_t *ret_n) {
        char *text = NULL;
        struct ctl c = { .opt = { .json = json }, .out = open_memstream(&text, ret_n) };

        CHECK(c.out);
        const struct page p = exchange_page(&c);
        relaystate_show(&c, &p, file);
        CHECK(fclose(c.out) == 0 && strlen(text) == *ret_n);
        return text;
}

static void check_page(char *text, size_t n) {
        size_t lines = 0;

        if (n == 0)
                return;
        CHECK(strncmp(text, "  relay ", 8) == 0);
        for (char *line = text, *end; *line; line = end + 1, lines++) {
                end = strchr(line, '\n');
                CHECK(end);
                *end = '\0';
                CHECK(schema_is_text(line, (size_t) (end - line) + 1));
                CHECK(lines > 0 || strcmp(end - strlen(UNSIGNED), UNSIGNED) == 0);
        }
        CHECK(lines >= 2 && lines <= LINES_MAX);
}

static void check_json(const char *text, size_t n, const json_t *said) {
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;

        CHECK(n > 1 && strchr(text, '\n') == text + n - 1);
        for (size_t i = 0; i + 1 < n; i++)
                CHECK(text[i] >= ' ' && text[i] <= '~');
        CHECK(schema_json(text, n, &o, &reason) == 0 && reason == REASON_NONE);
        CHECK(json_object_size(o) == 2 && json_is_false(json_object_get(o, "signed")));
        CHECK(json_equal(json_object_get(o, "relay"), said));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *page = NULL, *json = NULL;
        _cleanup_json_ json_t *said = NULL;
        enum reason reason;
        size_t n_page, n_json;

        put(data, size);
        page = show(false, &n_page);
        json = show(true, &n_json);
        check_page(page, n_page);
        CHECK(schema_json((const char *) data, size, &said, &reason) == 0);
        CHECK((n_page > 0) == json_is_object(said) && (n_json > 0) == json_is_object(said));
        if (n_json > 0)
                check_json(json, n_json, said);
        return 0;
}

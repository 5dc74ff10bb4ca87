/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/ruleset.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <nftables/libnftables.h>

#include "agent/util/io.h"

#define NAMES_MAX 4096U

static ssize_t on_write(void *cookie, const char *bytes, size_t n) {
        return reader_write(cookie, bytes, n) < 0 ? 0 : (ssize_t) n;
}

static bool is_there(void) {
        const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

        if (fd >= 0)
                (void) close(fd);
        return fd >= 0;
}

static int list(struct reader_out *o) {
        const cookie_io_functions_t to = { .write = on_write };
        _cleanup_fclose_ FILE *out = fopencookie(o, "w", to);
        struct nft_ctx *nft = out ? nft_ctx_new(NFT_CTX_DEFAULT) : NULL;
        int r = nft ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        nft_ctx_output_set_flags(nft, NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_ALL | NFT_CTX_OUTPUT_HANDLE);
        (void) nft_ctx_set_output(nft, out);
        (void) nft_ctx_buffer_error(nft);
        if (nft_run_cmd_from_buffer(nft, "list ruleset") != 0)
                r = errno != 0 ? -errno : -EIO;
        nft_ctx_free(nft);
        if (fflush(out) != 0 && r == 0)
                r = -EFBIG;
        return r;
}

/* xtables: what iptables-legacy made. */
static bool copy_old_names(struct reader_out *o, const char *path) {
        _cleanup_free_ char *names = NULL;
        char source[READER_SOURCE_MAX];
        size_t n = 0;

        if (io_read_file(AT_FDCWD, path, NAMES_MAX, &names, &n) < 0 || n == 0)
                return true;
        (void) snprintf(source, sizeof(source), "%s", path);
        if (reader_begin(o, "table-xtables", source) < 0)
                return false;
        int r = reader_write(o, names, n);

        return reader_end(o, r < 0 ? r : -EOPNOTSUPP, -1, false) == 0;
}

bool ruleset_copy(struct reader_out *o, const char *source) {
        static const char *const old[] = { "/proc/self/net/ip_tables_names", "/proc/self/net/ip6_tables_names",
                                           "/proc/self/net/arp_tables_names" };

        for (size_t i = 0; i < ELEMENTSOF(old); i++)
                if (!copy_old_names(o, old[i]))
                        return false;
        if (!is_there())
                return true;
        errno = 0;
        if (reader_begin(o, "table-nft", source) < 0)
                return false;
        return reader_end(o, list(o), -1, false) == 0;
}

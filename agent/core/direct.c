/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/direct.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <nftables/libnftables.h>

#include "agent/util/alive.h"
#include "agent/util/fault.h"

#define TABLE_SIZE 64
#define CHAIN_SIZE 1024
/* numbers instead of names that depend on the host's files; no counts, which are never the same twice */
#define AS_WRITTEN (NFT_CTX_OUTPUT_STATELESS | NFT_CTX_OUTPUT_NUMERIC_ALL)

/* In the very form in which libnftables lists it, so that comparing is reading back. Bytes of the frame and not names
 * of fields, for which the library asks an outgoing packet from where it came in. An Ethernet header and an ARP packet
 * are 42 bytes, padded to 60; a DHCP client without an address asks from 0.0.0.0:68 everyone on the link at port 67.
 * Whatever has a class of a route, be it none, has a route. */
#define CHAIN                                                                               \
        "\tchain up%u {\n"                                                                  \
        "\t\ttype filter hook egress device \"%s\" priority 0; policy accept;\n"            \
        "\t\tmeta mark 0x%08x accept\n"                                                     \
        "\t\tmeta rtclassid >= 0 accept\n"                                                  \
        "\t\t@ll,96,16 0x806 meta length <= 64 accept\n"                                    \
        "\t\t@ll,96,16 0x888e accept\n"                                                     \
        "\t\t@ll,96,16 0x800 @nh,72,8 0x11 @nh,96,64 0xffffffff @th,0,32 0x440043 accept\n" \
        "\t\tmeta skuid >= 0 counter drop\n"                                                \
        "\t}\n"

static void table_name(const struct command_id *hold, char ret[static TABLE_SIZE]) {
        char id[33];

        command_id_to_str(hold, id);
        (void) snprintf(ret, TABLE_SIZE, "netdev freezed_%s", id);
}

/* The library ends the process where it cannot open its socket: ask first. */
static bool is_there(void) {
        const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

        if (fd >= 0)
                (void) close(fd);
        return fd >= 0;
}

/* What it lists, for the caller to free; NULL when the kernel or the library refuses. */
static char *run(const char *commands, bool dry) {
        struct nft_ctx *nft = is_there() ? nft_ctx_new(NFT_CTX_DEFAULT) : NULL;
        char *text = NULL;

        if (!nft)
                return NULL;
        nft_ctx_output_set_flags(nft, AS_WRITTEN);
        nft_ctx_set_dry_run(nft, dry);
        if (nft_ctx_buffer_output(nft) == 0 && nft_ctx_buffer_error(nft) == 0 &&
            nft_run_cmd_from_buffer(nft, commands) == 0)
                text = strdup(nft_ctx_get_output_buffer(nft));
        nft_ctx_free(nft);
        return text;
}

static char *list(const struct command_id *hold) {
        char table[TABLE_SIZE], command[TABLE_SIZE + 16];

        table_name(hold, table);
        (void) snprintf(command, sizeof(command), "list table %s", table);
        return run(command, false);
}

/* An interface is called what whoever made it likes, and this becomes part of a command. */
static bool is_plain(const char *name) {
        for (const char *c = name; *c; c++)
                if (!isalnum((unsigned char) *c) && !strchr("-_.@+", *c))
                        return false;
        return *name;
}

static void chain_of(const struct uplink *u, uint32_t mark, char ret[static CHAIN_SIZE]) {
        (void) snprintf(ret, CHAIN_SIZE, CHAIN, u->ifindex, u->name, mark);
}

static void compare(const char *listed, uint32_t mark, struct uplink *v, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char chain[CHAIN_SIZE];

                chain_of(&v[i], mark, chain);
                /* FAIL-CLOSED: one whose name cannot be said is not covered */
                v[i].direct = listed && is_plain(v[i].name) && strstr(listed, chain);
                alive();
        }
}

/* One transaction: there is no moment without the chain. It is named before it is deleted, since it may not be there.
 */
static bool make(const struct command_id *hold, uint32_t mark, const struct uplink *u, bool dry) {
        char table[TABLE_SIZE], chain[CHAIN_SIZE], commands[CHAIN_SIZE + 8 * TABLE_SIZE];
        _cleanup_free_ char *done = NULL;

        table_name(hold, table);
        chain_of(u, mark, chain);
        (void) snprintf(commands, sizeof(commands),
                        "add table %s\nadd chain %s up%u\ndelete chain %s up%u\ntable %s {\n%s}\n", table, table,
                        u->ifindex, table, u->ifindex, table, chain);
        done = run(commands, dry);
        return done;
}

void direct_read(const struct command_id *hold, uint32_t mark, struct uplink *v, size_t n) {
        _cleanup_free_ char *listed = list(hold);

        compare(listed, mark, v, n);
}

void direct_cover(const struct command_id *hold, uint32_t mark, struct uplink *v, size_t n) {
        bool changed = false;

        direct_read(hold, mark, v, n);
        for (size_t i = 0; i < n; i++) {
                if (!v[i].direct && is_plain(v[i].name) && fault_effect("direct") >= 0 &&
                    make(hold, mark, &v[i], false))
                        changed = v[i].mended = true;
                alive();
        }
        if (changed)
                direct_read(hold, mark, v, n);
}

int direct_drop(const struct command_id *hold) {
        _cleanup_free_ char *there = list(hold), *done = NULL;
        char table[TABLE_SIZE], command[TABLE_SIZE + 16];

        if (!there)
                return 0;
        table_name(hold, table);
        (void) snprintf(command, sizeof(command), "delete table %s", table);
        done = run(command, false);
        return done ? 0 : -EBUSY;
}

int direct_try(void) {
        const struct uplink loopback = { .name = "lo", .ifindex = 1 };
        const struct command_id nobody = { { 0 } };

        if (!is_there())
                return -EPROTONOSUPPORT;
        return make(&nobody, 0, &loopback, true) ? 0 : -EOPNOTSUPP;
}

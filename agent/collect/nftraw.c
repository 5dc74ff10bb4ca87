/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/nftraw.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "agent/collect/netlink.h"

#define SETS_MAX     1024U
#define NAME_MAX_NFT (NFT_NAME_MAXLEN + 1)

static const struct attrs hook[] = { ATTR(NFTA_HOOK_HOOKNUM, "hook", BE32),
                                     ATTR(NFTA_HOOK_PRIORITY, "priority", BE32),
                                     ATTR(NFTA_HOOK_DEV, "device", TEXT),
                                     ATTR(NFTA_HOOK_DEVS, "devices", HEX),
                                     { 0 } };
static const struct attrs counters[] = { ATTR(NFTA_COUNTER_BYTES, "bytes", BE64),
                                         ATTR(NFTA_COUNTER_PACKETS, "packets", BE64),
                                         { 0 } };
static const struct attrs expression[] = { ATTR(NFTA_EXPR_NAME, "name", TEXT),
                                           ATTR(NFTA_EXPR_DATA, "data", HEX),
                                           { 0 } };
static const struct attrs value[] = { ATTR(NFTA_DATA_VALUE, "value", HEX),
                                      ATTR(NFTA_DATA_VERDICT, "verdict", HEX),
                                      { 0 } };

static const struct attrs table_attrs[] = {
        ATTR(NFTA_TABLE_NAME, "name", TEXT),   ATTR(NFTA_TABLE_FLAGS, "flags", BE32),
        ATTR(NFTA_TABLE_USE, "use", BE32),     ATTR(NFTA_TABLE_HANDLE, "handle", BE64),
        ATTR(NFTA_TABLE_OWNER, "owner", BE32), { 0 }
};
static const struct attrs chain_attrs[] = { ATTR(NFTA_CHAIN_TABLE, "table", TEXT),
                                            ATTR(NFTA_CHAIN_NAME, "name", TEXT),
                                            ATTR(NFTA_CHAIN_HANDLE, "handle", BE64),
                                            NEST(NFTA_CHAIN_HOOK, "hook", hook),
                                            ATTR(NFTA_CHAIN_POLICY, "policy", BE32),
                                            ATTR(NFTA_CHAIN_TYPE, "type", TEXT),
                                            NEST(NFTA_CHAIN_COUNTERS, "counters", counters),
                                            ATTR(NFTA_CHAIN_FLAGS, "flags", BE32),
                                            ATTR(NFTA_CHAIN_USE, "use", BE32),
                                            { 0 } };
static const struct attrs rule_attrs[] = {
        ATTR(NFTA_RULE_TABLE, "table", TEXT),       ATTR(NFTA_RULE_CHAIN, "chain", TEXT),
        ATTR(NFTA_RULE_HANDLE, "handle", BE64),     LIST(NFTA_RULE_EXPRESSIONS, "expressions", expression),
        ATTR(NFTA_RULE_POSITION, "position", BE64), { 0 }
};
static const struct attrs set_attrs[] = {
        ATTR(NFTA_SET_TABLE, "table", TEXT),       ATTR(NFTA_SET_NAME, "name", TEXT),
        ATTR(NFTA_SET_FLAGS, "flags", BE32),       ATTR(NFTA_SET_KEY_TYPE, "key_type", BE32),
        ATTR(NFTA_SET_KEY_LEN, "key_len", BE32),   ATTR(NFTA_SET_DATA_TYPE, "data_type", BE32),
        ATTR(NFTA_SET_DATA_LEN, "data_len", BE32), ATTR(NFTA_SET_TIMEOUT, "timeout", BE64),
        ATTR(NFTA_SET_HANDLE, "handle", BE64),     { 0 }
};
static const struct attrs element[] = { NEST(NFTA_SET_ELEM_KEY, "key", value),
                                        NEST(NFTA_SET_ELEM_KEY_END, "key_end", value),
                                        NEST(NFTA_SET_ELEM_DATA, "data", value),
                                        ATTR(NFTA_SET_ELEM_FLAGS, "flags", BE32),
                                        ATTR(NFTA_SET_ELEM_TIMEOUT, "timeout", BE64),
                                        ATTR(NFTA_SET_ELEM_EXPIRATION, "expires", BE64),
                                        NEST(NFTA_SET_ELEM_EXPR, "expression", expression),
                                        ATTR(NFTA_SET_ELEM_OBJREF, "object", TEXT),
                                        { 0 } };
static const struct attrs element_attrs[] = { ATTR(NFTA_SET_ELEM_LIST_TABLE, "table", TEXT),
                                              ATTR(NFTA_SET_ELEM_LIST_SET, "set", TEXT),
                                              LIST(NFTA_SET_ELEM_LIST_ELEMENTS, "elements", element),
                                              { 0 } };
static const struct attrs object_attrs[] = { ATTR(NFTA_OBJ_TABLE, "table", TEXT),   ATTR(NFTA_OBJ_NAME, "name", TEXT),
                                             ATTR(NFTA_OBJ_TYPE, "type", BE32),     ATTR(NFTA_OBJ_DATA, "data", HEX),
                                             ATTR(NFTA_OBJ_HANDLE, "handle", BE64), { 0 } };
static const struct attrs flow_attrs[] = { ATTR(NFTA_FLOWTABLE_TABLE, "table", TEXT),
                                           ATTR(NFTA_FLOWTABLE_NAME, "name", TEXT),
                                           NEST(NFTA_FLOWTABLE_HOOK, "hook", hook),
                                           ATTR(NFTA_FLOWTABLE_FLAGS, "flags", BE32),
                                           { 0 } };
static const struct attrs_field header[] = {
        FIELD(nfgenmsg, nfgen_family, "family", U8),
        FIELD(nfgenmsg, res_id, "generation", BE16),
        { 0 },
};

/* The sets, whose elements have to be asked for by name. */
struct sets {
        struct {
                uint8_t family;
                char table[NAME_MAX_NFT], name[NAME_MAX_NFT];
        } v[SETS_MAX];
        size_t n;
};

static void take_name(char ret[static NAME_MAX_NFT], const struct nlattr *a) {
        (void) snprintf(ret, NAME_MAX_NFT, "%.*s", (int) mnl_attr_get_payload_len(a),
                        (const char *) mnl_attr_get_payload(a));
}

static void note_set(const struct nlmsghdr *h, void *userdata) {
        const struct nfgenmsg *m = mnl_nlmsg_get_payload(h);
        const struct nlattr *a;
        struct sets *s = userdata;

        if (s->n++ >= SETS_MAX)
                return;
        s->v[s->n - 1].family = m->nfgen_family;
        mnl_attr_for_each(a, h, sizeof(*m)) {
                if (mnl_attr_get_type(a) == NFTA_SET_TABLE)
                        take_name(s->v[s->n - 1].table, a);
                else if (mnl_attr_get_type(a) == NFTA_SET_NAME)
                        take_name(s->v[s->n - 1].name, a);
        }
}

/* Payload of a request; the message's own header is not part of it. */
static size_t put_text(uint8_t *to, unsigned type, const char *text) {
        const struct nlattr a = { .nla_type = (uint16_t) type, .nla_len = (uint16_t) (NLA_HDRLEN + strlen(text) + 1) };

        memset(to, 0, NLA_ALIGN(a.nla_len));
        memcpy(to, &a, sizeof(a));
        memcpy(to + NLA_HDRLEN, text, strlen(text));
        return NLA_ALIGN(a.nla_len);
}

static size_t ask_for_elements(size_t i, uint8_t ret[static NETLINK_REQUEST_MAX], const void *userdata) {
        const struct sets *s = userdata;
        const struct nfgenmsg m = { .nfgen_family = s->v[i].family, .version = NFNETLINK_V0 };
        size_t n = sizeof(m);

        memcpy(ret, &m, sizeof(m));
        n += put_text(ret + n, NFTA_SET_ELEM_LIST_TABLE, s->v[i].table);
        return n + put_text(ret + n, NFTA_SET_ELEM_LIST_SET, s->v[i].name);
}

_Static_assert(sizeof(struct nfgenmsg) + 2 * (NLA_HDRLEN + NLA_ALIGN(NAME_MAX_NFT)) <= NETLINK_REQUEST_MAX,
               "a request has room for two names");

static const struct nfgenmsg all = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };

#define ON(kind, message, attrs, seen)                                                                          \
        {                                                                                                       \
                kind, NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | (message), &all, sizeof(all), sizeof(all), \
                        header, attrs, true, seen                                                               \
        }

static const struct netlink_table tables[] = {
        ON("nft-tables", NFT_MSG_GETTABLE, table_attrs, NULL),
        ON("nft-chains", NFT_MSG_GETCHAIN, chain_attrs, NULL),
        ON("nft-rules", NFT_MSG_GETRULE, rule_attrs, NULL),
        ON("nft-objects", NFT_MSG_GETOBJ, object_attrs, NULL),
        ON("nft-flowtables", NFT_MSG_GETFLOWTABLE, flow_attrs, NULL),
};
static const struct netlink_table set_table = ON("nft-sets", NFT_MSG_GETSET, set_attrs, note_set);
static const struct netlink_table element_table = ON("nft-elements", NFT_MSG_GETSETELEM, element_attrs, NULL);

static bool copy_sets(struct reader_out *o, const char *source) {
        _cleanup_free_ struct sets *s = calloc(1, sizeof(*s));

        if (!s)
                return reader_begin(o, "nft-sets", source) == 0 && reader_end(o, -ENOMEM, -1, false) == 0;
        return netlink_copy(o, &set_table, source, s) &&
               netlink_copy_parts(o, &element_table, source,
                                  &(struct netlink_parts) { s->n, SETS_MAX, 1, ask_for_elements }, s);
}

bool nftraw_copy(struct reader_out *o, const char *source) {
        return netlink_copy_all(o, tables, ELEMENTSOF(tables), source) && copy_sets(o, source);
}

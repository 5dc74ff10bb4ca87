/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/netconf.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>

#include "agent/collect/netlink.h"
#include "agent/collect/nftraw.h"
#include "agent/collect/ruleset.h"

/* of a namespace, the links whose filters are asked for; more are a hole */
#define LINKS_MAX 1024U

static const struct attrs_field cache[] = { FIELD(nda_cacheinfo, ndm_confirmed, "confirmed", U32),
                                            FIELD(nda_cacheinfo, ndm_used, "used", U32),
                                            FIELD(nda_cacheinfo, ndm_updated, "updated", U32),
                                            { 0 } };
static const struct attrs neighbour_attrs[] = { ATTR(NDA_DST, "dst", ADDRESS),
                                                ATTR(NDA_LLADDR, "lladdr", ADDRESS),
                                                ATTR(NDA_PROBES, "probes", U32),
                                                ATTR(NDA_VLAN, "vlan", U16),
                                                ATTR(NDA_MASTER, "master", U32),
                                                ATTR(NDA_PROTOCOL, "protocol", U8),
                                                { NDA_CACHEINFO, ATTRS_STRUCT, "age", NULL, cache },
                                                { 0 } };
static const struct attrs_field neighbour_fields[] = {
        FIELD(ndmsg, ndm_family, "family", U8), FIELD(ndmsg, ndm_ifindex, "ifindex", U32),
        FIELD(ndmsg, ndm_state, "state", U16),  FIELD(ndmsg, ndm_flags, "flags", U8),
        FIELD(ndmsg, ndm_type, "type", U8),     { 0 }
};

static const struct attrs metrics[] = {
        ATTR(RTAX_MTU, "mtu", U32), ATTR(RTAX_ADVMSS, "advmss", U32), ATTR(RTAX_HOPLIMIT, "hoplimit", U32), { 0 }
};
static const struct attrs route_attrs[] = { ATTR(RTA_DST, "dst", ADDRESS),
                                            ATTR(RTA_SRC, "src", ADDRESS),
                                            ATTR(RTA_IIF, "iif", U32),
                                            ATTR(RTA_OIF, "oif", U32),
                                            ATTR(RTA_GATEWAY, "gateway", ADDRESS),
                                            ATTR(RTA_PRIORITY, "priority", U32),
                                            ATTR(RTA_PREFSRC, "prefsrc", ADDRESS),
                                            NEST(RTA_METRICS, "metrics", metrics),
                                            ATTR(RTA_MULTIPATH, "multipath", HEX),
                                            ATTR(RTA_TABLE, "table", U32),
                                            ATTR(RTA_MARK, "mark", U32),
                                            ATTR(RTA_VIA, "via", HEX),
                                            ATTR(RTA_PREF, "pref", U8),
                                            ATTR(RTA_ENCAP_TYPE, "encap_type", U16),
                                            ATTR(RTA_ENCAP, "encap", HEX),
                                            ATTR(RTA_UID, "uid", U32),
                                            ATTR(RTA_NH_ID, "nexthop", U32),
                                            { 0 } };
static const struct attrs_field route_fields[] = { FIELD(rtmsg, rtm_family, "family", U8),
                                                   FIELD(rtmsg, rtm_dst_len, "dst_len", U8),
                                                   FIELD(rtmsg, rtm_src_len, "src_len", U8),
                                                   FIELD(rtmsg, rtm_tos, "tos", U8),
                                                   FIELD(rtmsg, rtm_protocol, "protocol", U8),
                                                   FIELD(rtmsg, rtm_scope, "scope", U8),
                                                   FIELD(rtmsg, rtm_type, "type", U8),
                                                   FIELD(rtmsg, rtm_flags, "flags", U32),
                                                   { 0 } };

static const struct attrs_field fib_rule_fields[] = { /* struct fib_rule_hdr is laid out as struct rtmsg is */
                                                      FIELD(rtmsg, rtm_family, "family", U8),
                                                      FIELD(rtmsg, rtm_dst_len, "dst_len", U8),
                                                      FIELD(rtmsg, rtm_src_len, "src_len", U8),
                                                      FIELD(rtmsg, rtm_tos, "tos", U8),
                                                      FIELD(rtmsg, rtm_type, "action", U8),
                                                      FIELD(rtmsg, rtm_flags, "flags", U32),
                                                      { 0 }
};
/* FRA_..., whose header and this one's do not go together */
static const struct attrs fib_rule_attrs[] = { ATTR(1, "dst", ADDRESS),
                                               ATTR(2, "src", ADDRESS),
                                               ATTR(3, "iif", TEXT),
                                               ATTR(4, "goto", U32),
                                               ATTR(6, "priority", U32),
                                               ATTR(10, "mark", U32),
                                               ATTR(13, "suppress_ifgroup", U32),
                                               ATTR(14, "suppress_prefixlen", U32),
                                               ATTR(15, "table", U32),
                                               ATTR(16, "mark_mask", U32),
                                               ATTR(17, "oif", TEXT),
                                               ATTR(19, "l3mdev", U8),
                                               ATTR(20, "uid_range", HEX),
                                               ATTR(21, "protocol", U8),
                                               ATTR(22, "ip_proto", U8),
                                               ATTR(23, "sport_range", HEX),
                                               ATTR(24, "dport_range", HEX),
                                               { 0 } };

static const struct attrs nexthop_attrs[] = { ATTR(NHA_ID, "id", U32),
                                              ATTR(NHA_GROUP, "group", HEX),
                                              ATTR(NHA_OIF, "oif", U32),
                                              ATTR(NHA_GATEWAY, "gateway", ADDRESS),
                                              ATTR(NHA_ENCAP_TYPE, "encap_type", U16),
                                              ATTR(NHA_ENCAP, "encap", HEX),
                                              { 0 } };
static const struct attrs_field nexthop_fields[] = { FIELD(nhmsg, nh_family, "family", U8),
                                                     FIELD(nhmsg, nh_scope, "scope", U8),
                                                     FIELD(nhmsg, nh_protocol, "protocol", U8),
                                                     FIELD(nhmsg, nh_flags, "flags", U32),
                                                     { 0 } };

static const struct attrs link_kind[] = { ATTR(IFLA_INFO_KIND, "kind", TEXT),
                                          ATTR(IFLA_INFO_DATA, "data", HEX),
                                          ATTR(IFLA_INFO_SLAVE_KIND, "slave_kind", TEXT),
                                          ATTR(IFLA_INFO_SLAVE_DATA, "slave_data", HEX),
                                          { 0 } };
static const struct attrs link_xdp[] = { ATTR(IFLA_XDP_ATTACHED, "attached", U8),
                                         ATTR(IFLA_XDP_FLAGS, "flags", U32),
                                         ATTR(IFLA_XDP_PROG_ID, "prog", U32),
                                         ATTR(IFLA_XDP_DRV_PROG_ID, "drv_prog", U32),
                                         ATTR(IFLA_XDP_SKB_PROG_ID, "skb_prog", U32),
                                         ATTR(IFLA_XDP_HW_PROG_ID, "hw_prog", U32),
                                         { 0 } };
static const struct attrs link_names[] = { ATTR(IFLA_ALT_IFNAME, "name", TEXT), { 0 } };
static const struct attrs_field link_stats[] = { FIELD(rtnl_link_stats64, rx_packets, "rx_packets", U64),
                                                 FIELD(rtnl_link_stats64, tx_packets, "tx_packets", U64),
                                                 FIELD(rtnl_link_stats64, rx_bytes, "rx_bytes", U64),
                                                 FIELD(rtnl_link_stats64, tx_bytes, "tx_bytes", U64),
                                                 FIELD(rtnl_link_stats64, rx_dropped, "rx_dropped", U64),
                                                 FIELD(rtnl_link_stats64, tx_dropped, "tx_dropped", U64),
                                                 { 0 } };
static const struct attrs link_attrs[] = { ATTR(IFLA_ADDRESS, "address", ADDRESS),
                                           ATTR(IFLA_BROADCAST, "broadcast", ADDRESS),
                                           ATTR(IFLA_IFNAME, "name", TEXT),
                                           ATTR(IFLA_MTU, "mtu", U32),
                                           ATTR(IFLA_LINK, "link", U32),
                                           ATTR(IFLA_QDISC, "qdisc", TEXT),
                                           ATTR(IFLA_MASTER, "master", U32),
                                           ATTR(IFLA_OPERSTATE, "operstate", U8),
                                           ATTR(IFLA_IFALIAS, "alias", TEXT),
                                           ATTR(IFLA_GROUP, "group", U32),
                                           ATTR(IFLA_PROMISCUITY, "promiscuity", U32),
                                           ATTR(IFLA_CARRIER, "carrier", U8),
                                           ATTR(IFLA_LINK_NETNSID, "link_netnsid", U32),
                                           ATTR(IFLA_CARRIER_CHANGES, "carrier_changes", U32),
                                           ATTR(IFLA_PERM_ADDRESS, "perm_address", ADDRESS),
                                           NEST(IFLA_LINKINFO, "info", link_kind),
                                           NEST(IFLA_XDP, "xdp", link_xdp),
                                           NEST(IFLA_PROP_LIST, "altnames", link_names),
                                           { IFLA_STATS64, ATTRS_STRUCT, "stats", NULL, link_stats },
                                           { 0 } };
static const struct attrs_field link_fields[] = { FIELD(ifinfomsg, ifi_type, "type", U16),
                                                  FIELD(ifinfomsg, ifi_index, "ifindex", U32),
                                                  FIELD(ifinfomsg, ifi_flags, "flags", U32),
                                                  { 0 } };

static const struct attrs address_attrs[] = { ATTR(IFA_ADDRESS, "address", ADDRESS),
                                              ATTR(IFA_LOCAL, "local", ADDRESS),
                                              ATTR(IFA_LABEL, "label", TEXT),
                                              ATTR(IFA_BROADCAST, "broadcast", ADDRESS),
                                              ATTR(IFA_FLAGS, "flags", U32),
                                              ATTR(IFA_CACHEINFO, "cache", HEX),
                                              { 0 } };
static const struct attrs_field address_fields[] = { FIELD(ifaddrmsg, ifa_family, "family", U8),
                                                     FIELD(ifaddrmsg, ifa_prefixlen, "prefixlen", U8),
                                                     FIELD(ifaddrmsg, ifa_scope, "scope", U8),
                                                     FIELD(ifaddrmsg, ifa_index, "ifindex", U32),
                                                     { 0 } };

static const struct attrs bpf_options[] = { ATTR(TCA_BPF_CLASSID, "classid", U32), ATTR(TCA_BPF_FD, "fd", U32),
                                            ATTR(TCA_BPF_NAME, "name", TEXT),      ATTR(TCA_BPF_FLAGS, "flags", U32),
                                            ATTR(TCA_BPF_TAG, "tag", HEX),         ATTR(TCA_BPF_ID, "prog", U32),
                                            ATTR(TCA_BPF_OPS, "ops", HEX),         { 0 } };
/* What the options of other kinds of filter are called is not known here: their numbers are. */
static const struct attrs filter_attrs[] = {
        ATTR(TCA_KIND, "kind", TEXT), NEST(TCA_OPTIONS, "options", bpf_options), ATTR(TCA_CHAIN, "chain", U32), { 0 }
};
static const struct attrs qdisc_attrs[] = { ATTR(TCA_KIND, "kind", TEXT), { 0 } };
static const struct attrs_field traffic_fields[] = { FIELD(tcmsg, tcm_ifindex, "ifindex", U32),
                                                     FIELD(tcmsg, tcm_handle, "handle", U32),
                                                     FIELD(tcmsg, tcm_parent, "parent", U32),
                                                     FIELD(tcmsg, tcm_info, "info", U32),
                                                     { 0 } };

static const struct attrs ct_ip[] = { ATTR(CTA_IP_V4_SRC, "src", ADDRESS),
                                      ATTR(CTA_IP_V4_DST, "dst", ADDRESS),
                                      ATTR(CTA_IP_V6_SRC, "src", ADDRESS),
                                      ATTR(CTA_IP_V6_DST, "dst", ADDRESS),
                                      { 0 } };
static const struct attrs ct_proto[] = {
        ATTR(CTA_PROTO_NUM, "protocol", U8),          ATTR(CTA_PROTO_SRC_PORT, "sport", BE16),
        ATTR(CTA_PROTO_DST_PORT, "dport", BE16),      ATTR(CTA_PROTO_ICMP_ID, "icmp_id", BE16),
        ATTR(CTA_PROTO_ICMP_TYPE, "icmp_type", U8),   ATTR(CTA_PROTO_ICMP_CODE, "icmp_code", U8),
        ATTR(CTA_PROTO_ICMPV6_ID, "icmp_id", BE16),   ATTR(CTA_PROTO_ICMPV6_TYPE, "icmp_type", U8),
        ATTR(CTA_PROTO_ICMPV6_CODE, "icmp_code", U8), { 0 }
};
static const struct attrs ct_tuple[] = { NEST(CTA_TUPLE_IP, "ip", ct_ip),
                                         NEST(CTA_TUPLE_PROTO, "proto", ct_proto),
                                         ATTR(CTA_TUPLE_ZONE, "zone", BE16),
                                         { 0 } };
static const struct attrs ct_counters[] = { ATTR(CTA_COUNTERS_PACKETS, "packets", BE64),
                                            ATTR(CTA_COUNTERS_BYTES, "bytes", BE64),
                                            { 0 } };
static const struct attrs ct_tcp[] = { ATTR(CTA_PROTOINFO_TCP_STATE, "state", U8), { 0 } };
static const struct attrs ct_info[] = { NEST(CTA_PROTOINFO_TCP, "tcp", ct_tcp), { 0 } };
static const struct attrs ct_help[] = { ATTR(CTA_HELP_NAME, "name", TEXT), { 0 } };
static const struct attrs ct_time[] = { ATTR(CTA_TIMESTAMP_START, "start_ns", BE64),
                                        ATTR(CTA_TIMESTAMP_STOP, "stop_ns", BE64),
                                        { 0 } };
static const struct attrs connection_attrs[] = { NEST(CTA_TUPLE_ORIG, "orig", ct_tuple),
                                                 NEST(CTA_TUPLE_REPLY, "reply", ct_tuple),
                                                 ATTR(CTA_STATUS, "status", BE32),
                                                 NEST(CTA_PROTOINFO, "info", ct_info),
                                                 NEST(CTA_HELP, "helper", ct_help),
                                                 ATTR(CTA_TIMEOUT, "timeout", BE32),
                                                 ATTR(CTA_MARK, "mark", BE32),
                                                 NEST(CTA_COUNTERS_ORIG, "orig_counters", ct_counters),
                                                 NEST(CTA_COUNTERS_REPLY, "reply_counters", ct_counters),
                                                 ATTR(CTA_USE, "use", BE32),
                                                 ATTR(CTA_ID, "id", BE32),
                                                 NEST(CTA_TUPLE_MASTER, "master", ct_tuple),
                                                 ATTR(CTA_ZONE, "zone", BE16),
                                                 NEST(CTA_TIMESTAMP, "time", ct_time),
                                                 { 0 } };
static const struct attrs expect_attrs[] = {
        NEST(CTA_EXPECT_MASTER, "master", ct_tuple), NEST(CTA_EXPECT_TUPLE, "tuple", ct_tuple),
        NEST(CTA_EXPECT_MASK, "mask", ct_tuple),     ATTR(CTA_EXPECT_TIMEOUT, "timeout", BE32),
        ATTR(CTA_EXPECT_HELP_NAME, "helper", TEXT),  { 0 }
};
static const struct attrs_field nf_fields[] = { FIELD(nfgenmsg, nfgen_family, "family", U8), { 0 } };

/* The links that there are, for what is asked of each. */
struct links {
        uint32_t ifindex[LINKS_MAX];
        size_t n;
};

static void note_link(const struct nlmsghdr *h, void *userdata) {
        const struct ifinfomsg *m = NLMSG_DATA(h);
        struct links *l = userdata;

        if (h->nlmsg_len >= NLMSG_LENGTH(sizeof(*m)) && l->n < LINKS_MAX)
                l->ifindex[l->n] = (uint32_t) m->ifi_index;
        l->n++;
}

static const struct ndmsg any_neighbour = { .ndm_family = AF_UNSPEC }, bridged = { .ndm_family = AF_BRIDGE };
static const struct rtmsg any_route = { .rtm_family = AF_UNSPEC };
static const struct nhmsg any_nexthop = { .nh_family = AF_UNSPEC };
static const struct ifaddrmsg any_address = { .ifa_family = AF_UNSPEC };
static const struct ifinfomsg any_link = { .ifi_family = AF_UNSPEC };
static const struct tcmsg any_qdisc = { .tcm_family = AF_UNSPEC };
static const struct nfgenmsg any_connection = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0 };

#define ON(kind, bus, type, req, fields, attr, optional) \
        { kind, bus, type, &(req), sizeof(req), NLMSG_ALIGN(sizeof(req)), fields, attr, optional, NULL }
#define CT(subsystem, message) ((uint16_t) ((subsystem) << 8 | (message)))

static const struct netlink_table volatile_tables[] = {
        ON("table-neighbours", NETLINK_ROUTE, RTM_GETNEIGH, any_neighbour, neighbour_fields, neighbour_attrs, false),
        ON("table-bridged", NETLINK_ROUTE, RTM_GETNEIGH, bridged, neighbour_fields, neighbour_attrs, true),
};

static const struct netlink_table connection_tables[] = {
        ON("table-connections", NETLINK_NETFILTER, CT(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET), any_connection,
           nf_fields, connection_attrs, false),
        ON("table-expectations", NETLINK_NETFILTER, CT(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET), any_connection,
           nf_fields, expect_attrs, false),
};

static const struct netlink_table tables[] = {
        ON("table-routes", NETLINK_ROUTE, RTM_GETROUTE, any_route, route_fields, route_attrs, false),
        ON("table-rules", NETLINK_ROUTE, RTM_GETRULE, any_route, fib_rule_fields, fib_rule_attrs, true),
        ON("table-nexthops", NETLINK_ROUTE, RTM_GETNEXTHOP, any_nexthop, nexthop_fields, nexthop_attrs, true),
        ON("table-addresses", NETLINK_ROUTE, RTM_GETADDR, any_address, address_fields, address_attrs, false),
        ON("table-qdiscs", NETLINK_ROUTE, RTM_GETQDISC, any_qdisc, traffic_fields, qdisc_attrs, true),
};

/* In a kernel that does not follow connections, asking would have it load the module that does. */
static bool follows_connections(void) {
        _cleanup_close_ int fd = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);

        return fd >= 0;
}

/* Where programs that see every packet sit: asked for link by link, and each way. */
static const uint32_t ways[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
                                 TC_H_ROOT };

static size_t ask_for_filters(size_t i, uint8_t ret[static NETLINK_REQUEST_MAX], const void *userdata) {
        const struct links *l = userdata;
        const struct tcmsg of = { .tcm_ifindex = (int) l->ifindex[i / ELEMENTSOF(ways)],
                                  .tcm_parent = ways[i % ELEMENTSOF(ways)] };

        memcpy(ret, &of, sizeof(of));
        return sizeof(of);
}

static bool copy_filters(struct reader_out *o, const struct links *l, const char *source) {
        static const struct netlink_table t =
                ON("table-filters", NETLINK_ROUTE, RTM_GETTFILTER, any_qdisc, traffic_fields, filter_attrs, true);

        return netlink_copy_parts(o, &t, source,
                                  &(struct netlink_parts) { l->n, LINKS_MAX, ELEMENTSOF(ways), ask_for_filters }, l);
}

static bool copy_links(struct reader_out *o, const char *source) {
        struct netlink_table t =
                ON("table-interfaces", NETLINK_ROUTE, RTM_GETLINK, any_link, link_fields, link_attrs, false);
        struct links links = { .n = 0 };

        t.seen = note_link;
        return netlink_copy(o, &t, source, &links) && copy_filters(o, &links, source);
}

bool netconf_copy(struct reader_out *o, const char *source) {
        return netlink_copy_all(o, volatile_tables, ELEMENTSOF(volatile_tables), source) &&
               (!follows_connections() ||
                netlink_copy_all(o, connection_tables, ELEMENTSOF(connection_tables), source)) &&
               netlink_copy_all(o, tables, ELEMENTSOF(tables), source) && copy_links(o, source) &&
               nftraw_copy(o, source) && ruleset_copy(o, source);
}

/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/sockdiag.h"

#include <stddef.h>
#include <sys/socket.h>

#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/unix_diag.h>
#include <linux/vm_sockets_diag.h>
#include <linux/xdp_diag.h>
#include <netinet/in.h>

#include "agent/collect/netlink.h"

#define ALL 0xffffffffU

#define U8(type, member, name) \
        { name, offsetof(struct type, member), ATTRS_U8, 0 }
#define U16(type, member, name) \
        { name, offsetof(struct type, member), ATTRS_U16, 0 }
#define U32(type, member, name) \
        { name, offsetof(struct type, member), ATTRS_U32, 0 }
#define U64(type, member, name) \
        { name, offsetof(struct type, member), ATTRS_U64, 0 }

static const struct attrs_field memory[] = {
        /* SK_MEMINFO_... */
        { "rmem", 0, ATTRS_U32, 0 },    { "rcvbuf", 4, ATTRS_U32, 0 },
        { "wmem", 8, ATTRS_U32, 0 },    { "sndbuf", 12, ATTRS_U32, 0 },
        { "fwd", 16, ATTRS_U32, 0 },    { "queued", 20, ATTRS_U32, 0 },
        { "optmem", 24, ATTRS_U32, 0 }, { "backlog", 28, ATTRS_U32, 0 },
        { "drops", 32, ATTRS_U32, 0 },  { 0 },
};

/* How much went each way, and when last. */
static const struct attrs_field tcp[] = {
        U8(tcp_info, tcpi_state, "state"),
        U8(tcp_info, tcpi_retransmits, "retransmits"),
        U32(tcp_info, tcpi_last_data_sent, "last_sent_ms"),
        U32(tcp_info, tcpi_last_data_recv, "last_received_ms"),
        U32(tcp_info, tcpi_last_ack_recv, "last_ack_ms"),
        U32(tcp_info, tcpi_rtt, "rtt_us"),
        U32(tcp_info, tcpi_total_retrans, "retransmitted"),
        U64(tcp_info, tcpi_bytes_acked, "bytes_acked"),
        U64(tcp_info, tcpi_bytes_received, "bytes_received"),
        U32(tcp_info, tcpi_segs_out, "segments_out"),
        U32(tcp_info, tcpi_segs_in, "segments_in"),
        U32(tcp_info, tcpi_notsent_bytes, "bytes_not_sent"),
        U64(tcp_info, tcpi_bytes_sent, "bytes_sent"),
        { 0 },
};

static const struct attrs inet_attrs[] = {
        { INET_DIAG_INFO, ATTRS_STRUCT, "tcp", NULL, tcp },
        { INET_DIAG_CONG, ATTRS_TEXT, "congestion", NULL, NULL },
        { INET_DIAG_TOS, ATTRS_U8, "tos", NULL, NULL },
        { INET_DIAG_TCLASS, ATTRS_U8, "tclass", NULL, NULL },
        { INET_DIAG_SKMEMINFO, ATTRS_STRUCT, "memory", NULL, memory },
        { INET_DIAG_SHUTDOWN, ATTRS_U8, "shutdown", NULL, NULL },
        { INET_DIAG_PROTOCOL, ATTRS_U8, "protocol", NULL, NULL },
        { INET_DIAG_SKV6ONLY, ATTRS_U8, "v6only", NULL, NULL },
        { INET_DIAG_MARK, ATTRS_U32, "mark", NULL, NULL },
        { INET_DIAG_CLASS_ID, ATTRS_U32, "class", NULL, NULL },
        { INET_DIAG_CGROUP_ID, ATTRS_U64, "cgroup", NULL, NULL },
        { 0 },
};

#define INET_FIELDS(length)                                                                                          \
        {                                                                                                            \
                U8(inet_diag_msg, idiag_family, "family"), U8(inet_diag_msg, idiag_state, "state"),                  \
                        U8(inet_diag_msg, idiag_timer, "timer"), U8(inet_diag_msg, idiag_retrans, "retrans"),        \
                        { "sport", offsetof(struct inet_diag_msg, id.idiag_sport), ATTRS_BE16, 0 },                  \
                        { "dport", offsetof(struct inet_diag_msg, id.idiag_dport), ATTRS_BE16, 0 },                  \
                        { "src", offsetof(struct inet_diag_msg, id.idiag_src), ATTRS_ADDRESS, length },              \
                        { "dst", offsetof(struct inet_diag_msg, id.idiag_dst), ATTRS_ADDRESS, length },              \
                        U32(inet_diag_msg, id.idiag_if, "ifindex"), U64(inet_diag_msg, id.idiag_cookie, "cookie"),   \
                        U32(inet_diag_msg, idiag_expires, "expires_ms"), U32(inet_diag_msg, idiag_rqueue, "rqueue"), \
                        U32(inet_diag_msg, idiag_wqueue, "wqueue"), U32(inet_diag_msg, idiag_uid, "uid"),            \
                        U32(inet_diag_msg, idiag_inode, "inode"), { 0 },                                             \
        }

static const struct attrs_field inet4[] = INET_FIELDS(4), inet6[] = INET_FIELDS(16);

static const struct attrs_field vfs[] = { U32(unix_diag_vfs, udiag_vfs_ino, "inode"),
                                          U32(unix_diag_vfs, udiag_vfs_dev, "dev"),
                                          { 0 } };
static const struct attrs_field queues[] = { U32(unix_diag_rqlen, udiag_rqueue, "rqueue"),
                                             U32(unix_diag_rqlen, udiag_wqueue, "wqueue"),
                                             { 0 } };
static const struct attrs unix_attrs[] = {
        { UNIX_DIAG_NAME, ATTRS_UNIX, "path", NULL, NULL },
        { UNIX_DIAG_VFS, ATTRS_STRUCT, "file", NULL, vfs },
        { UNIX_DIAG_PEER, ATTRS_U32, "peer", NULL, NULL },
        { UNIX_DIAG_ICONS, ATTRS_HEX, "pending", NULL, NULL },
        { UNIX_DIAG_RQLEN, ATTRS_STRUCT, "queues", NULL, queues },
        { UNIX_DIAG_MEMINFO, ATTRS_STRUCT, "memory", NULL, memory },
        { UNIX_DIAG_SHUTDOWN, ATTRS_U8, "shutdown", NULL, NULL },
        { UNIX_DIAG_UID, ATTRS_U32, "uid", NULL, NULL },
        { 0 },
};
static const struct attrs_field unix_fields[] = {
        U8(unix_diag_msg, udiag_type, "type"),
        U8(unix_diag_msg, udiag_state, "state"),
        U32(unix_diag_msg, udiag_ino, "inode"),
        U64(unix_diag_msg, udiag_cookie, "cookie"),
        { 0 },
};

static const struct attrs_field packet_info[] = {
        U32(packet_diag_info, pdi_index, "ifindex"),
        U32(packet_diag_info, pdi_version, "version"),
        U32(packet_diag_info, pdi_flags, "flags"),
        { 0 },
};
static const struct attrs packet_attrs[] = {
        { PACKET_DIAG_INFO, ATTRS_STRUCT, "info", NULL, packet_info },
        { PACKET_DIAG_MCLIST, ATTRS_HEX, "multicast", NULL, NULL },
        { PACKET_DIAG_RX_RING, ATTRS_HEX, "rx_ring", NULL, NULL },
        { PACKET_DIAG_TX_RING, ATTRS_HEX, "tx_ring", NULL, NULL },
        { PACKET_DIAG_FANOUT, ATTRS_U32, "fanout", NULL, NULL },
        { PACKET_DIAG_UID, ATTRS_U32, "uid", NULL, NULL },
        { PACKET_DIAG_MEMINFO, ATTRS_STRUCT, "memory", NULL, memory },
        { PACKET_DIAG_FILTER, ATTRS_HEX, "filter", NULL, NULL }, /* struct sock_filter, classic BPF */
        { 0 },
};
static const struct attrs_field packet_fields[] = {
        U8(packet_diag_msg, pdiag_type, "type"),
        U16(packet_diag_msg, pdiag_num, "protocol"),
        U32(packet_diag_msg, pdiag_ino, "inode"),
        U64(packet_diag_msg, pdiag_cookie, "cookie"),
        { 0 },
};

static const struct attrs netlink_attrs[] = {
        { NETLINK_DIAG_MEMINFO, ATTRS_STRUCT, "memory", NULL, memory },
        { NETLINK_DIAG_GROUPS, ATTRS_HEX, "groups", NULL, NULL },
        { NETLINK_DIAG_FLAGS, ATTRS_U32, "flags", NULL, NULL },
        { 0 },
};
static const struct attrs_field netlink_fields[] = {
        U8(netlink_diag_msg, ndiag_type, "type"),
        U8(netlink_diag_msg, ndiag_protocol, "protocol"),
        U8(netlink_diag_msg, ndiag_state, "state"),
        U32(netlink_diag_msg, ndiag_portid, "portid"),
        U32(netlink_diag_msg, ndiag_dst_portid, "dst_portid"),
        U32(netlink_diag_msg, ndiag_dst_group, "dst_group"),
        U32(netlink_diag_msg, ndiag_ino, "inode"),
        U64(netlink_diag_msg, ndiag_cookie, "cookie"),
        { 0 },
};

static const struct attrs_field vsock_fields[] = {
        U8(vsock_diag_msg, vdiag_type, "type"),          U8(vsock_diag_msg, vdiag_state, "state"),
        U8(vsock_diag_msg, vdiag_shutdown, "shutdown"),  U32(vsock_diag_msg, vdiag_src_cid, "src_cid"),
        U32(vsock_diag_msg, vdiag_src_port, "src_port"), U32(vsock_diag_msg, vdiag_dst_cid, "dst_cid"),
        U32(vsock_diag_msg, vdiag_dst_port, "dst_port"), U32(vsock_diag_msg, vdiag_ino, "inode"),
        U64(vsock_diag_msg, vdiag_cookie, "cookie"),     { 0 },
};

static const struct attrs_field xdp_info[] = { U32(xdp_diag_info, ifindex, "ifindex"),
                                               U32(xdp_diag_info, queue_id, "queue"),
                                               { 0 } };
static const struct attrs xdp_attrs[] = {
        { XDP_DIAG_INFO, ATTRS_STRUCT, "info", NULL, xdp_info },
        { XDP_DIAG_UID, ATTRS_U32, "uid", NULL, NULL },
        { XDP_DIAG_UMEM, ATTRS_HEX, "umem", NULL, NULL },
        { XDP_DIAG_MEMINFO, ATTRS_STRUCT, "memory", NULL, memory },
        { XDP_DIAG_STATS, ATTRS_HEX, "stats", NULL, NULL },
        { 0 },
};
static const struct attrs_field xdp_fields[] = {
        U8(xdp_diag_msg, xdiag_type, "type"),
        U32(xdp_diag_msg, xdiag_ino, "inode"),
        U64(xdp_diag_msg, xdiag_cookie, "cookie"),
        { 0 },
};

#define INET(f, p)                          \
        (&(const struct inet_diag_req_v2) { \
                .sdiag_family = (f), .sdiag_protocol = (p), .idiag_ext = 0xff, .idiag_states = ALL })

#define ON_INET(kind, f, p, fields, attr, optional)                                                        \
        {                                                                                                  \
                kind, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, INET(f, p), sizeof(struct inet_diag_req_v2), \
                        NLMSG_ALIGN(sizeof(struct inet_diag_msg)), fields, attr, optional, NULL            \
        }
#define ON(kind, req, answer, fields, attr)                                                                            \
        {                                                                                                              \
                kind, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, &(req), sizeof(req), NLMSG_ALIGN(sizeof(struct answer)), \
                        fields, attr, true, NULL                                                                       \
        }

/* Of these families the kernel may have no table, or no module for it: /proc/net tells of them too. */
static const struct unix_diag_req of_unix = {
        .sdiag_family = AF_UNIX,
        .udiag_states = ALL,
        .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN |
                      UDIAG_SHOW_MEMINFO | UDIAG_SHOW_UID,
};
static const struct packet_diag_req of_packet = {
        .sdiag_family = AF_PACKET,
        .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST | PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT |
                      PACKET_SHOW_MEMINFO | PACKET_SHOW_FILTER,
};
static const struct netlink_diag_req of_netlink = {
        .sdiag_family = AF_NETLINK,
        .sdiag_protocol = NDIAG_PROTO_ALL,
        .ndiag_show = NDIAG_SHOW_MEMINFO | NDIAG_SHOW_GROUPS | NDIAG_SHOW_FLAGS,
};
static const struct vsock_diag_req of_vsock = { .sdiag_family = AF_VSOCK, .vdiag_states = ALL };
static const struct xdp_diag_req of_xdp = {
        .sdiag_family = AF_XDP,
        .xdiag_show = XDP_SHOW_INFO | XDP_SHOW_UMEM | XDP_SHOW_MEMINFO | XDP_SHOW_STATS,
};

static const struct netlink_table tables[] = {
        ON_INET("sock-tcp", AF_INET, IPPROTO_TCP, inet4, inet_attrs, false),
        ON_INET("sock-tcp6", AF_INET6, IPPROTO_TCP, inet6, inet_attrs, true),
        ON_INET("sock-udp", AF_INET, IPPROTO_UDP, inet4, inet_attrs, false),
        ON_INET("sock-udp6", AF_INET6, IPPROTO_UDP, inet6, inet_attrs, true),
        ON_INET("sock-raw", AF_INET, IPPROTO_RAW, inet4, inet_attrs, true),
        ON_INET("sock-raw6", AF_INET6, IPPROTO_RAW, inet6, inet_attrs, true),
        ON_INET("sock-udplite", AF_INET, IPPROTO_UDPLITE, inet4, inet_attrs, true),
        ON_INET("sock-udplite6", AF_INET6, IPPROTO_UDPLITE, inet6, inet_attrs, true),
        ON_INET("sock-dccp", AF_INET, IPPROTO_DCCP, inet4, inet_attrs, true),
        ON_INET("sock-dccp6", AF_INET6, IPPROTO_DCCP, inet6, inet_attrs, true),
        ON_INET("sock-sctp", AF_INET, IPPROTO_SCTP, inet4, inet_attrs, true),
        ON_INET("sock-sctp6", AF_INET6, IPPROTO_SCTP, inet6, inet_attrs, true),
        ON("sock-unix", of_unix, unix_diag_msg, unix_fields, unix_attrs),
        ON("sock-packet", of_packet, packet_diag_msg, packet_fields, packet_attrs),
        ON("sock-netlink", of_netlink, netlink_diag_msg, netlink_fields, netlink_attrs),
        ON("sock-vsock", of_vsock, vsock_diag_msg, vsock_fields, NULL),
        ON("sock-xdp", of_xdp, xdp_diag_msg, xdp_fields, xdp_attrs),
};

bool sockdiag_copy(struct reader_out *o, const char *source) {
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                if (!netlink_copy(o, &tables[i], source, NULL))
                        return false;
        return true;
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# devices.sh WHAT: builds a way of its own to the wire, again and again: another network namespace, another device.
bin=$(dirname "$0")
ns=esc-$ESCAPE_N dev=esc$ESCAPE_N
net=10.77.0
impossible() {
        echo "$*" >"/run/escape/why/$ESCAPE_N"
        exit 77
}
addressed() { ip -n "$ns" address add "$net.$ESCAPE_N/24" dev "$dev" && ip -n "$ns" link set "$dev" up; }

macvlan() {
        ip netns add "$ns"
        ip link add link host0 name "$dev" type macvlan mode bridge && ip link set "$dev" netns "$ns" && addressed
        ip netns exec "$ns" "$bin/say" udp
        ip netns exec "$ns" "$bin/say" icmp
        ip netns del "$ns"
}
# a pair of devices, one of them in a namespace of its own, and the host forwards
pair() {
        ip netns add "$ns"
        ip link add "$dev" type "$kind" peer name peer0 netns "$ns"
        ip address add "10.79.$ESCAPE_N.1/24" dev "$dev"
        ip link set "$dev" up
        ip -n "$ns" address add "10.79.$ESCAPE_N.2/24" dev peer0
        ip -n "$ns" link set peer0 up
        ip -n "$ns" route add default via "10.79.$ESCAPE_N.1"
        mount -o remount,rw,bind /proc/sys 2>/dev/null
        sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
        sleep 0.02
        ip netns exec "$ns" "$bin/say" udp
        ip netns exec "$ns" "$bin/say" hdrincl
        ip netns del "$ns"
        ip link del "$dev" 2>/dev/null
}
# the namespace of someone else
setns() {
        ip netns exec outside "$bin/say" udp
}
newnet() {
        unshare --net sh -c "ip link set lo up; nsenter --target 1 --net $bin/say udp"
}
bridge() {
        ip link add "$dev" type bridge && ip link set "$dev" up
        ip link set host0 master "$dev" && ip address add "$net.$ESCAPE_N/24" dev "$dev"
        "$bin/say" udp
        ip link set host0 nomaster
        ip link del "$dev"
}
tunnel() {
        ip link add "$dev" type "$kind" local 10.77.0.2 remote 10.77.0.1 $more && ip address add "10.80.$ESCAPE_N.1/24" dev "$dev" &&
                ip link set "$dev" up
        # one that has no addresses to ask for takes this as nothing
        ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:01 dev "$dev"
        ip route replace 10.77.0.1/32 dev "$dev" table "$ESCAPE_N"
        ip rule add uidrange 0-0 ipproto 253 table "$ESCAPE_N"
        "$bin/say" raw
        ip rule del uidrange 0-0 ipproto 253 table "$ESCAPE_N"
        ip link del "$dev"
}
# what its own sockets send goes out wrapped by the kernel
xfrm() {
        spi=$((1000 + ESCAPE_N))
        ip xfrm state add src 10.77.0.2 dst 10.77.0.1 proto esp spi "$spi" mode tunnel enc 'ecb(cipher_null)' '' auth 'digest_null' '' sel src 10.77.0.2 dst 10.77.0.1 proto 253
        ip xfrm policy add src 10.77.0.2 dst 10.77.0.1 proto 253 dir out tmpl src 10.77.0.2 dst 10.77.0.1 proto esp spi "$spi" mode tunnel
        "$bin/say" raw
        ip xfrm policy del src 10.77.0.2 dst 10.77.0.1 proto 253 dir out
        ip xfrm state del src 10.77.0.2 dst 10.77.0.1 proto esp spi "$spi"
}
neighbour() {
        ip neigh del "$net.$ESCAPE_N" dev host0 2>/dev/null
        ip neigh add "$net.$ESCAPE_N" dev host0 nud none use
}

what=$1
case $what in
veth | netkit) kind=$what what=pair ;;
ipip | gre) kind=$what more='' what=tunnel ;;
vxlan) kind=$what more='id 7 dstport 4789' what=tunnel ;;
esac
case $what in
macvlan | pair) ip netns add "$ns" && ip netns del "$ns" || impossible "no namespaces here" ;;
tunnel) ip link add "$dev" type "$kind" local 10.77.0.2 remote 10.77.0.1 $more && ip link del "$dev" || impossible "no $kind here" ;;
esac
case $what in
pair) ip link add "$dev" type "$kind" peer name "${dev}p" && ip link del "$dev" || impossible "no $kind here" ;;
xfrm) ip xfrm state add src 10.77.0.2 dst 10.77.0.9 proto esp spi 999 mode tunnel enc 'ecb(cipher_null)' '' auth digest_null '' &&
        ip xfrm state del src 10.77.0.2 dst 10.77.0.9 proto esp spi 999 || impossible "no ESP here" ;;
esac
while :; do
        "$what"
        sleep 0.1
done 2>/dev/null

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""pcap.py FILE: prints each packet of an Ethernet capture as one line

    1.250000 tcp 10.77.0.2:40404 > 10.77.0.1:7000 S 0
    seconds since the first packet, protocol, source, destination, TCP flags (SFRPA) or type of an ICMP message (-: none), bytes of payload
"""
import ipaddress
import struct
import sys

ETHERTYPE = {0x0800: "ip", 0x86DD: "ip6", 0x0806: "arp"}
PROTOCOL = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
HOP_BY_HOP = 0 # in IPv6; MLD comes behind it
FLAGS = "FSRPA"


def records(data):
    order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    at = 24
    while at + 16 <= len(data):
        seconds, micros, length = struct.unpack_from(order + "III", data, at)
        yield seconds + micros / 1e6, data[at + 16:at + 16 + length]
        at += 16 + length


def transport(protocol, source, destination, data):
    name = PROTOCOL.get(protocol, str(protocol))
    if protocol in (1, 58) and data:
        return f"{name} {source} > {destination} {data[0]} {len(data)}"
    if protocol not in (6, 17) or len(data) < 8:
        return f"{name} {source} > {destination} - {len(data)}"
    ports = struct.unpack_from(">HH", data)
    flags, header = "-", 8
    if protocol == 6 and len(data) >= 20:
        flags = "".join(f for bit, f in enumerate(FLAGS) if data[13] & 1 << bit) or "-"
        header = (data[12] >> 4) * 4
    return f"{name} {source}:{ports[0]} > {destination}:{ports[1]} {flags} {len(data) - header}"


def describe(frame):
    kind = ETHERTYPE.get(int.from_bytes(frame[12:14], "big"), frame[12:14].hex())
    data = frame[14:]
    if kind == "ip":
        header, total = (data[0] & 15) * 4, int.from_bytes(data[2:4], "big")
        return transport(data[9], ipaddress.ip_address(data[12:16]), ipaddress.ip_address(data[16:20]), data[header:total])
    if kind == "ip6":
        source, destination = (f"[{ipaddress.ip_address(data[i:i + 16])}]" for i in (8, 24))
        protocol, data = data[6], data[40:40 + int.from_bytes(data[4:6], "big")]
        if protocol == HOP_BY_HOP and len(data) >= 8:
            protocol, data = data[0], data[8 * (data[1] + 1):]
        return transport(protocol, source, destination, data)
    mac = [frame[i:i + 6].hex(":") for i in (6, 0)]
    return f"{kind} {mac[0]} > {mac[1]} - {len(data)}"


def main(path):
    start = None
    with open(path, "rb") as f:
        data = f.read()
    for when, frame in records(data):
        start = when if start is None else start
        print(f"{when - start:.6f} {describe(frame)}")


main(sys.argv[1])

# SPDX-License-Identifier: Apache-2.0
"""post.py URL FILE [NAME: VALUE]... [--cert DIR] [--ca FILE]: posts the file and prints the status, or the kind of error.

FILE `-drip` opens 64 connections, opens each again that is closed, and sends a header of a byte every half second on all of them until
it is ended. FILE `-hang` sends half a request and holds the connection until it is ended; `-large` says that it is large, and sends nothing."""

import socket
import ssl
import sys
import time
import http.client
import urllib.parse

args = sys.argv[1:]
cert = ca = None
if "--cert" in args:
    i = args.index("--cert")
    cert, args = args[i + 1], args[:i] + args[i + 2:]
if "--ca" in args:
    i = args.index("--ca")
    ca, args = args[i + 1], args[:i] + args[i + 2:]
url, name, headers = urllib.parse.urlsplit(args[0]), args[1], dict(h.split(": ", 1) for h in args[2:])
if url.scheme == "https":
    context = ssl.create_default_context(cafile=ca)
    context.check_hostname = False
    if cert:
        context.load_cert_chain(f"{cert}/client.pem", f"{cert}/client.key")
    c = http.client.HTTPSConnection(url.hostname, url.port, timeout=300, context=context)
else:
    c = http.client.HTTPConnection(url.hostname, url.port, timeout=300)
if name == "-drip":
    start, open_now = f"POST {url.path} HTTP/1.1\r\nX: ".encode(), {}
    for turn in range(1200):
        for i in range(64):
            try:
                if i not in open_now:
                    open_now[i] = socket.create_connection((url.hostname, url.port), 5)
                    open_now[i].setblocking(False)
                    open_now[i].send(start)
                open_now[i].send(b"x")
                if not open_now[i].recv(100):
                    del open_now[i]
            except BlockingIOError:
                pass
            except OSError:
                open_now.pop(i, None)
        if turn == 1:
            print("drips", flush=True)
        time.sleep(0.5)
    sys.exit()
if name in ("-hang", "-large"):
    c.putrequest("POST", url.path)
    for k, v in headers.items():
        c.putheader(k, v)
    c.putheader("Content-Length", "9000000" if name == "-large" else "1000")
    c.endheaders(b"{" if name == "-hang" else None)
if name == "-hang":
    print("hangs", flush=True)
    time.sleep(600)
elif name == "-large":
    print(c.getresponse().status)
    sys.exit()
try:
    c.request("POST", url.path, open(name, "rb").read(), headers)
    print(c.getresponse().status)
except (OSError, http.client.HTTPException) as e:
    print(type(e).__name__)

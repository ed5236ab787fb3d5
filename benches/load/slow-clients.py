#!/usr/bin/env python3
"""What slow clients do to the others: wrk's p50 and p99 with and without them, in turns.

  cargo build --release && python3 benches/load/slow-clients.py [ROUNDS] [SECONDS]

The slow ones are 1,000 connections that drip a head or a body byte by byte, and 200 that ask for the whole
sample and never read it. Whoever is cut off comes back at once, so that they are as many throughout. The
others are `wrk -t1 -c32` on one movie.
"""

import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time

MARQUEE = os.path.join(os.path.dirname(__file__), "..", "..", "target", "release", "marquee")
DRIPPING, UNREAD, EVERY_S = 1000, 200, 1.0
HEAD = b"GET /v1/movies HTTP/1.1\r\nX-Slow: "
BODY = (b"POST /v1/movies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000\r\n\r\n[")
WHOLE = b"GET /v1/movies HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(port, first, receive=None):
    client = socket.socket()
    if receive:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    client.send(first)
    return client


def be_slow(port):
    """Drips for ever, a byte a second each, spread over the second."""
    selector = selectors.DefaultSelector()
    dripping, unread = [], []
    for n in range(DRIPPING):
        first = HEAD if n % 2 else BODY
        client = connect(port, first)
        selector.register(client, selectors.EVENT_READ, n)
        dripping.append((client, first))
    for _ in range(UNREAD):
        unread.append((connect(port, WHOLE, 4096), time.monotonic()))
    print("ready", flush=True)
    at = 0
    while True:
        began = time.monotonic()
        for _ in range(DRIPPING // 50):
            client, first = dripping[at]
            try:
                client.send(b" ")
            except OSError:
                pass
            at = (at + 1) % DRIPPING
        for key, _ in selector.select(0):
            n, first = key.data, dripping[key.data][1]
            try:
                closed = not key.fileobj.recv(4096)
            except OSError:
                closed = True
            if closed:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                dripping[n] = (connect(port, first), first)
                selector.register(dripping[n][0], selectors.EVENT_READ, n)
        # They are cut off after 10 s, and do not notice, since they do not read.
        for n in range(UNREAD):
            client, since = unread[n]
            if began - since > 12:
                client.close()
                unread[n] = (connect(port, WHOLE, 4096), began)
        time.sleep(max(0.0, EVERY_S / 50 - (time.monotonic() - began)))


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def measure(port, seconds):
    """wrk's p50 and p99 in milliseconds, its rate, and how many answers were no 200."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{port}/v1/movies/12"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    p50, p99 = (milliseconds(re.search(rf"\n +{p}% +(\S+)", said).group(1)) for p in (50, 99))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return p50, p99, rate, int(wrong.group(1)) if wrong else 0


def memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def main():
    rounds, seconds = (int(n) for n in (sys.argv[1:] + ["5", "10"][len(sys.argv) - 1:])[:2])
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DATABASE_URL": f"sqlite://{folder}/marquee.db", "MARQUEE_BIND": "127.0.0.1:0"}
        marquee = subprocess.Popen([MARQUEE], env=environment, stderr=subprocess.PIPE, text=True)
        try:
            port = next(int(found.group(1)) for line in marquee.stderr
                        if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
            while b" 200 " not in ready(port):
                time.sleep(0.1)
            measure(port, 2)
            figures = {"without": [], "with": []}
            for _ in range(rounds):
                figures["without"].append((*measure(port, seconds), memory(marquee.pid)))
                slow = subprocess.Popen([sys.executable, __file__, "--slow", str(port)],
                                        stdout=subprocess.PIPE, text=True)
                try:
                    slow.stdout.readline()
                    figures["with"].append((*measure(port, seconds), memory(marquee.pid)))
                finally:
                    slow.kill()
                    slow.wait()
                time.sleep(1)
            print(f"medians of {rounds} rounds of {seconds} s")
            print("slow clients    p50 ms    p99 ms   answers/s   no 200   memory MiB")
            for name, rows in figures.items():
                p50, p99, rate, wrong, rss = (statistics.median(column) for column in zip(*rows))
                print(f"{name:12} {p50:9.2f} {p99:9.2f} {rate:11.0f} {wrong:8.0f} {rss:12.0f}")
        finally:
            marquee.kill()
            marquee.wait()


def ready(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return client.recv(64)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--slow"]:
        be_slow(int(sys.argv[2]))
    else:
        main()

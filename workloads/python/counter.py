"""Counts by itself, with a nonce kept only in memory; the line protocol of the counter workload, in plain Python."""

import os
import signal
import socket
import sys
import threading
import time

PORT = int(sys.argv[1])
INTERVAL_MS = float(sys.argv[2])
BIND = sys.argv[3] if len(sys.argv) > 3 else "0.0.0.0"

NONCE = os.urandom(16).hex()
PID = os.getpid()
STARTED = time.time_ns()
HOSTNAME = socket.gethostname()
lock = threading.Lock()
journal = []


def count():
    """A pace that was missed is not made up for: after a freeze the counter goes on where it was."""
    due = time.monotonic()
    while True:
        due += INTERVAL_MS / 1e3
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        else:
            due = time.monotonic()
        with lock:
            journal.append(len(journal) + 1)


def answer(line):
    with lock:
        value = len(journal)
        if line == "GET":
            return str(value)
        if line == "JOURNAL":
            return " ".join(map(str, journal))
        if line == "STATE":
            return (
                f'{{"nonce":"{NONCE}","pid":{PID},"started_realtime_ns":"{STARTED}","hostname":"{HOSTNAME}",'
                f'"counter":{value},"interval_ms":{INTERVAL_MS}}}'
            )
    if line == "ECHO" or line.startswith("ECHO "):
        return line[5:]
    return f"error: unknown request `{line}`"


def converse(peer):
    try:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pending = b""
        while data := peer.recv(65536):
            *lines, pending = (pending + data).split(b"\n")
            if lines:
                peer.sendall("".join(answer(line.decode().rstrip("\r")) + "\n" for line in lines).encode())
    except OSError:
        pass
    finally:
        peer.close()


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
listener = socket.create_server((BIND, PORT), backlog=128)
print(f"listening on {BIND}:{listener.getsockname()[1]}", flush=True)
threading.Thread(target=count, daemon=True).start()
while True:
    threading.Thread(target=converse, args=(listener.accept()[0],), daemon=True).start()

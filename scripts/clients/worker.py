"""Sections under a lock of another client: worker.py CLIENT KEY JOURNAL SECONDS PORT…

CLIENT is a package of PyPI: redlock-py, redlock-ng or pottery. `section` does one section without a
lock, for redlock: worker.py section KEY JOURNAL.
"""

import os
import random
import sys
import time

TTL_MS = 10_000


def section(journal):
    """Writes when it began and ended, one line for each."""
    begun = time.monotonic_ns()
    time.sleep(random.uniform(0.001, 0.015))
    line = f"{begun} {time.monotonic_ns()} {client}\n"
    os.write(journal, line.encode())


def redlock_py(key, ports):
    from redlock import Redlock

    servers = [{"host": "127.0.0.1", "port": port, "db": 0} for port in ports]
    lock = Redlock(servers, retry_count=1)

    def once(journal):
        held = lock.lock(key, TTL_MS)
        if held:
            section(journal)
            lock.unlock(held)
        return held

    return once


def redlock_ng(key, ports):
    from redlock import Redlock

    lock = Redlock([f"redis://127.0.0.1:{port}/0" for port in ports], retry_count=0)

    def once(journal):
        held = lock.acquire(key, TTL_MS)
        if held:
            section(journal)
            lock.release(held)
        return held

    return once


def pottery(key, ports):
    from pottery import Redlock
    from redis import Redis

    # It puts this word in front of the key.
    name = key.removeprefix("redlock:")
    masters = {Redis(host="127.0.0.1", port=port) for port in ports}
    lock = Redlock(key=name, masters=masters, auto_release_time=TTL_MS / 1000)

    def once(journal):
        held = lock.acquire(blocking=False)
        if held:
            section(journal)
            lock.release()
        return held

    return once


client, key, path, *rest = sys.argv[1:]
journal = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
if client == "section":
    client = "redlock"
    section(journal)
    sys.exit()
seconds, *ports = map(int, rest)
once = {"redlock-py": redlock_py, "redlock-ng": redlock_ng, "pottery": pottery}[client](key, ports)
end = time.monotonic() + seconds
while time.monotonic() < end:
    # An interval between sections lets the others in.
    time.sleep(random.uniform(0.02, 0.15) if once(journal) else random.uniform(0.01, 0.05))

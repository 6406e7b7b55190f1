"""redlock and another client on one key: run.py REDLOCK PACKAGES SECONDS [CLIENT…]

Starts three servers. For each client two of its workers and two loops of redlock work on one key, and
their sections are compared: no two may overlap, and both sides must have had some.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLIENTS = ["redlock-py", "redlock-ng", "pottery", "node-redlock-4", "node-redlock-5", "redlock-universal"]
HERE = pathlib.Path(__file__).resolve().parent
redlock, packages, seconds, *wanted = sys.argv[1:]
packages = pathlib.Path(packages).resolve()
redlock = str(pathlib.Path(redlock).resolve())
KEY = "redlock:clients"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def server(port, folder):
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    return subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)


def until_ready(port):
    for _ in range(500):
        try:
            with socket.create_connection(("127.0.0.1", port)) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(7) == b"+PONG\r\n":
                    return
        except OSError:
            pass
        time.sleep(0.01)
    sys.exit(f"the server at {port} does not answer")


def workers(client, journal, ports):
    """Two workers of the other client, and two loops of redlock."""
    words = [client, KEY, journal, seconds, *map(str, ports)]
    if client.startswith(("node", "redlock-universal")):
        other = ["node", str(HERE / "worker.js"), *words]
        folder = packages / client
    else:
        other = [str(packages / client / "bin" / "python"), str(HERE / "worker.py"), *words]
        folder = packages
    run = [redlock, "run", "--key", KEY, "--ttl", "10s", "-w", "20s", "-q", "clients", "--"]
    section = [sys.executable, str(HERE / "worker.py"), "section", KEY, journal]
    loop = 'end=$(($(date +%s) + $0)); while [ "$(date +%s)" -lt "$end" ]; do "$@" || echo $? >&2; done'
    environment = dict(os.environ, REDLOCK_RESTART_GUARD="off")
    environment["REDLOCK_URLS"] = ",".join(f"redis://127.0.0.1:{port}" for port in ports)
    ours = ["sh", "-c", loop, seconds, *run, *section]
    both = [(other, folder), (other, folder), (ours, HERE), (ours, HERE)]
    return [subprocess.Popen(words, cwd=cwd, env=environment) for words, cwd in both]


def compare(journal):
    lines = pathlib.Path(journal).read_text().split("\n")[:-1]
    sections = sorted((int(begun), int(end), who) for begun, end, who in map(str.split, lines))
    overlaps = [
        (one, two) for one, two in zip(sections, sections[1:]) if two[0] < one[1]
    ]
    ours = sum(who == "redlock" for _, _, who in sections)
    # How often the lock went from one side to the other.
    turns = sum((one[2] == "redlock") != (two[2] == "redlock") for one, two in zip(sections, sections[1:]))
    return ours, len(sections) - ours, turns, overlaps


def main():
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        ports = [free_port() for _ in range(3)]
        servers = [server(port, folder) for port in ports]
        try:
            for port in ports:
                until_ready(port)
            print(f"{'client':20} {'its sections':>12} {'ours':>6} {'turns':>6} {'overlaps':>9}")
            for client in wanted or CLIENTS:
                journal = os.path.join(folder, client)
                codes = [worker.wait() for worker in workers(client, journal, ports)]
                ours, theirs, turns, overlaps = compare(journal)
                print(f"{client:20} {theirs:12} {ours:6} {turns:6} {len(overlaps):9}", flush=True)
                is_wrong = overlaps or not ours or not theirs or not turns or any(codes)
                failed |= bool(is_wrong)
                if is_wrong:
                    print(f"  wrong: exit codes {codes}, first overlaps {overlaps[:3]}")
        finally:
            for process in servers:
                process.send_signal(signal.SIGKILL)
                process.wait()
    sys.exit(1 if failed else 0)


main()

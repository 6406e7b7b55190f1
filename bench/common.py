"""Common parts of the benchmarks: servers of their own, the small C programs beside this file, and rows of a table.

Needs redis-server, gcc and Python 3.8; nothing that has to be installed for Python. Everything that is started here ends
here, and nothing outside of a temporary directory and the build directory is written.
"""

import collections
import contextlib
import functools
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
BUILT = TARGET / "bench"

Certificates = collections.namedtuple("Certificates", "ca certificate key")


def fail(sentence):
    """Ends the benchmark: something is missing, or not as it should be."""
    sys.exit(f"bench: {sentence}")


def skip(sentence):
    """Ends the benchmark, which is not possible here, with success."""
    print(f"bench: skipped: {sentence}", file=sys.stderr)
    sys.exit(0)


def redlock():
    """The release binary."""
    return _installed("redlock", _existing("redlock", TARGET / "release" / "redlock", "make build"))


def builds():
    """What to call each build of redlock in a row, and where it is: the usual one, and the static one that was built last, if
    there is any."""
    static = sorted(map(str, TARGET.glob("static/*/release/redlock")), key=os.path.getmtime)
    return [("", redlock()), *((", static", _installed("redlock-static", binary)) for binary in static[-1:])]


def _existing(name, path, how):
    path = pathlib.Path(os.environ.get("REDLOCK_TEST_BENCH_" + name.upper(), path))
    if not path.exists():
        fail(f"{path} is not there; run '{how}'")
    return str(path)


@functools.lru_cache(maxsize=None)
def _installed(name, binary):
    """A copy of it, as users run it: what a linker wrote lies in the page cache in smaller pieces, which costs a start 150 us."""
    BUILT.mkdir(parents=True, exist_ok=True)
    fresh = BUILT / f"{name}.{os.getpid()}"
    shutil.copy(binary, fresh)
    return str(fresh.replace(BUILT / name))


def helper(name, *flags):
    """Compiles NAME.c, with the flags in its name too, unless that was done, and answers where it is."""
    source, binary = HERE / f"{name}.c", BUILT / "".join([name, *flags])
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-Wall", "-Wextra", "-O2", *flags, "-o", binary, source], check=True)
    return str(binary)


def row(what, redlock_does, beside=""):
    """One line of the table."""
    print(f"| {what} | {redlock_does} | {beside} |", flush=True)


def progress(text):
    """Prints the progress to stderr."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def pair(rounds, *commands, env=None):
    """Compares commands (see pair.c); for each a dictionary of numbers by the names of the columns."""
    line = [helper("pair"), str(rounds)]
    for command in commands:
        line += ["/", *command]
    out = subprocess.run(line, env=env, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    names = out[0].split("\t")
    return [dict(zip(names, map(float, values.split("\t")))) for values in out[1:]]


def median(values):
    """The middle value."""
    return statistics.median(values)


def us(value):
    """Microseconds for people."""
    return f"{value:,.0f} µs".replace(",", " ")


def ms(value):
    """Milliseconds for people."""
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def callgrind(directory):
    """What to put before a command, whose processes then each write to the new directory what they have executed."""
    os.mkdir(directory)
    return ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={directory}/%p"]


def children(pid):
    """The processes that this one has started."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def family(pid):
    """redlock and its guardian, without the command."""
    return [pid, *(child for child in children(pid) if name(child) == "lock-guardian")]


def name(pid):
    """The name of the process."""
    with open(f"/proc/{pid}/comm", encoding="ascii") as file:
        return file.read().strip()


def field(path, key):
    """The number behind `key:` in a file of /proc."""
    with open(path, encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def memory(pid):
    """The resident memory of a process and what of it is its own, in KiB."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return field(rollup, "Rss"), field(rollup, "Private_Clean") + field(rollup, "Private_Dirty")


@functools.lru_cache
def certificates(directory):
    """An authority and a certificate of 127.0.0.1, made by openssl in the directory."""
    files = Certificates(*(os.path.join(directory, name) for name in ("ca.crt", "server.crt", "server.key")))
    ca_key, request, names = (os.path.join(directory, name) for name in ("ca.key", "server.csr", "names"))
    pathlib.Path(names).write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="ascii")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for line in (
        ["req", "-x509", *key, "-keyout", ca_key, "-out", files.ca, "-days", "2", "-subj", "/CN=bench"],
        ["req", *key, "-keyout", files.key, "-out", request, "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", request, "-CA", files.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2",
         "-extfile", names, "-out", files.certificate],
    ):
        subprocess.run(["openssl", *line], check=True, stderr=subprocess.DEVNULL)
    return files


class Server:
    """One Redis server on a loopback port."""

    def __init__(self, directory, flags=(), tls=False):
        self.port = free_port()
        port = ["--port", str(self.port)]
        if tls:
            files = certificates(directory)
            port = ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", files.certificate, "--tls-key-file",
                    files.key, "--tls-ca-cert-file", files.ca, "--tls-auth-clients", "no"]
        binary = shutil.which("redis-server") or shutil.which("valkey-server") or fail("redis-server is not installed")
        self.unix = os.path.join(directory, f"{self.port}.sock")
        self.process = subprocess.Popen(
            [binary, *port, "--bind", "127.0.0.1", "--unixsocket", self.unix, "--save", "", "--appendonly", "no",
             "--dir", directory, *flags],
            stdout=subprocess.DEVNULL,
        )

    def wait(self):
        """Returns when it answers."""
        while True:
            if self.process.poll() is not None:
                fail("a redis-server ended at once")
            with contextlib.suppress(OSError):
                self.ask("PING")
                return
            time.sleep(0.005)

    def ask(self, *words, password=None):
        """The reply to one command on a connection of its own, as text."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.unix)
            words = [word.encode() for word in words]
            request = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def commands(self):
        """How many commands it has executed, without INFO, which is what the asking costs and redlock's greeting."""
        lines = self.ask("INFO", "commandstats").splitlines()
        counts = [line.split("=")[1].split(",")[0] for line in lines if line.startswith("cmdstat_")]
        names = [line.split(":")[0] for line in lines if line.startswith("cmdstat_")]
        return sum(int(count) for name, count in zip(names, counts) if name in REQUESTS)

    def clients(self):
        """How many clients are connected beside the one that asks."""
        lines = self.ask("INFO", "clients").splitlines()
        return next(int(line.split(":")[1]) for line in lines if line.startswith("connected_clients:")) - 1

    def stop(self):
        """Ends it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


# Commands that a client sends. What a script calls is counted by the server too, and is not asked for over the network.
REQUESTS = {f"cmdstat_{name}" for name in ("set", "eval", "eval_ro", "evalsha", "fcall", "subscribe", "ssubscribe",
                                           "psubscribe", "unsubscribe", "blpop", "brpop", "ping", "client|reply")}


def free_port():
    """A port without a listener; also one whose listener does not answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def black_hole():
    """An address that never answers a handshake: the queue of a listener that accepts no connection is full (listen(2))."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        with socket.create_connection(listener.getsockname()):
            yield f"127.0.0.1:{listener.getsockname()[1]}"


class Bench:
    """A temporary directory, servers in it, and an environment in which redlock finds them and no one's configuration."""

    def __init__(self, servers, flags=(), tls=False):
        self.directory = tempfile.mkdtemp(prefix="redlock-bench-")
        self.servers = [Server(self.directory, flags, tls) for _ in range(servers)]

    def __enter__(self):
        for server in self.servers:
            server.wait()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        """A file in the directory."""
        return os.path.join(self.directory, name)

    def url(self, number):
        """Where a server is."""
        return f"127.0.0.1:{self.servers[number].port}"

    def env(self, urls=None, **variables):
        """The environment; by default with all servers."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("REDLOCK_")}
        config = self.path("config.toml")
        pathlib.Path(config).touch()
        urls = [self.url(number) for number in range(len(self.servers))] if urls is None else urls
        # The servers were just started and will not be restarted.
        env.update(REDLOCK_URLS=",".join(urls), REDLOCK_RESTART_GUARD="off", REDLOCK_CONFIG=config, **variables)
        # Without it the user's name is looked up, in whatever database the system has.
        env.setdefault("USER", "bench")
        return env

    def commands(self):
        """How many requests all servers have executed."""
        return sum(server.commands() for server in self.servers)


def has_option(option):
    """Whether `redlock run` knows the option."""
    text = subprocess.run([redlock(), "run", "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
    return option in text

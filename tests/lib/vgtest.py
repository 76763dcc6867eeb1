"""What the end-to-end tests, the demonstration and the benchmarks share. Runs inside `tests/sandbox --up`."""
import collections
import json
import os
import pathlib
import re
import select
import shlex
import struct
import subprocess
import time
import zlib

LIB = pathlib.Path(__file__).resolve().parent
TREE = LIB.parents[1]
OUT = TREE / "tests" / "out"
AUTH_LOG = pathlib.Path("/var/log/auth.log")
HOST = "127.0.0.1"

Result = collections.namedtuple("Result", "rc stdout stderr")


def run(*command, stdin=b"", timeout=60):
    done = subprocess.run([str(word) for word in command], input=stdin, capture_output=True, timeout=timeout)
    return Result(done.returncode, done.stdout, done.stderr)


def wait_until(predicate, deadline=10, what="what was waited for"):
    """The first true answer of predicate(), asked again and again; fails after deadline seconds."""
    end = time.monotonic() + deadline
    while True:
        if answer := predicate():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {deadline} s")
        time.sleep(0.02)


# --- ssh --------------------------------------------------------------------------------------------------------

def ssh_command(user, *words, tty=False, options=()):
    """words are joined as ssh does: one command line, as typed."""
    return ["ssh", "-o", "BatchMode=yes", *(["-tt"] if tty else []), *options, f"{user}@{HOST}", *words]


def ssh(user, *words, stdin=b"", tty=False, options=(), timeout=60):
    return run(*ssh_command(user, *words, tty=tty, options=options), stdin=stdin, timeout=timeout)


def ssh_open(user, *words, tty=False, options=()):
    """A running ssh, for what goes on while it lives: `with ssh_open('alice', 'display', 'cards2') as p: ... p.talk ...`"""
    return Opened(ssh_command(user, *words, tty=tty, options=options))


class Opened(subprocess.Popen):
    """A program whose input and output are a stream; ends with the block."""

    def __init__(self, command):
        super().__init__(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.talk = Stream(self.stdout.fileno(), self.stdin.fileno())

    def hang_up(self):
        """Closes its input; what it ends with."""
        self.stdin.close()
        return self.wait(timeout=20)

    def __exit__(self, *_):
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Stream:
    """Reading and writing a pair of file descriptors (or one socket's, given twice), never waiting for ever."""

    def __init__(self, reader, writer, deadline=20):
        self.reader, self.writer, self.deadline = reader, writer, deadline
        self.seen = b""

    def _more(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.reader], [], [], left)[0]:
            raise TimeoutError(f"nothing more came within {self.deadline} s; unread: {self.seen[-500:]!r}")
        data = os.read(self.reader, 65536)
        if not data:
            raise EOFError(f"the stream ended; unread: {self.seen[-500:]!r}")
        self.seen += data

    def read(self, count):
        end = time.monotonic() + self.deadline
        parts = bytearray()
        while len(parts) + len(self.seen) < count:
            parts += self.seen
            self.seen = b""
            self._more(end)
        data = bytes(parts) + self.seen
        self.seen = data[count:]
        return data[:count]

    def read_until(self, pattern):
        """Everything up to and with what matches the bytes pattern."""
        end = time.monotonic() + self.deadline
        while not (match := re.search(pattern, self.seen)):
            self._more(end)
        data, self.seen = self.seen[:match.end()], self.seen[match.end():]
        return data

    def read_rest(self):
        """Everything up to the end of the stream."""
        try:
            while True:
                self._more(time.monotonic() + self.deadline)
        except EOFError:
            data, self.seen = self.seen, b""
            return data

    def write(self, data):
        end = time.monotonic() + self.deadline
        while data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([], [self.writer], [], left)[1]:
                raise TimeoutError(f"{len(data)} bytes were not taken within {self.deadline} s")
            # Never more than a pipe takes at once: a blocking write of more could wait for ever.
            data = data[os.write(self.writer, data[:select.PIPE_BUF]):]


def greeting(vm):
    """What the guest says when it starts and for each '?' on its serial console (boot.asm)."""
    return f"virtgate guest {vm} ready\r\n".encode()


def ask_greeting(stream, vm, tries=20):
    """Types '?' until the guest greets: what is typed before the console is connected may be lost."""
    deadline, stream.deadline = stream.deadline, 0.5
    try:
        for _ in range(tries):
            stream.write(b"?")
            try:
                return stream.read_until(re.escape(greeting(vm)))
            except TimeoutError:
                pass
    finally:
        stream.deadline = deadline
    raise AssertionError(f"{vm} did not greet; seen: {stream.seen!r}")


# --- VNC --------------------------------------------------------------------------------------------------------

class RfbRefused(Exception):
    """The server wants a password, or said why it does not serve."""


class Rfb:
    """A small VNC viewer: protocol 3.8, no authentication, Raw encoding."""

    NONE, VNC_AUTH = 1, 2

    def __init__(self, stream):
        self.stream = stream
        self.banner = stream.read(12)
        if self.banner != b"RFB 003.008\n":
            raise RfbRefused(f"not an RFB 3.8 server: {self.banner!r}")
        stream.write(self.banner)
        self.security = list(stream.read(stream.read(1)[0]))
        if not self.security:
            raise RfbRefused(self._text())
        if self.NONE not in self.security:
            raise RfbRefused("the server wants a password" if self.VNC_AUTH in self.security
                             else f"security types {self.security}")
        stream.write(bytes([self.NONE]))
        if self._u32() != 0:
            raise RfbRefused(self._text())
        stream.write(b"\1")                     # shared
        self.width, self.height = struct.unpack(">HH", stream.read(4))
        stream.read(16)
        self.name = self._text()
        # 32 bits, little endian, bytes B G R 0; Raw only
        stream.write(struct.pack(">B3xBBBBHHHBBB3x", 0, 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        stream.write(struct.pack(">BxHi", 2, 1, 0))

    def _u32(self):
        return struct.unpack(">I", self.stream.read(4))[0]

    def _text(self):
        return self.stream.read(self._u32()).decode(errors="replace")

    def picture(self):
        """The whole screen as rows of R G B bytes."""
        self.stream.write(struct.pack(">BBHHHH", 3, 0, 0, 0, self.width, self.height))
        rows = [bytearray(self.width * 3) for _ in range(self.height)]
        missing = self.width * self.height
        while missing > 0:
            kind = self.stream.read(1)[0]
            if kind == 0:
                for _ in range(struct.unpack(">xH", self.stream.read(3))[0]):
                    missing -= self._rectangle(rows)
            elif kind == 1:
                self.stream.read(6 * struct.unpack(">xHH", self.stream.read(5))[1])
            elif kind == 3:
                self.stream.read(3)
                self._text()
            elif kind != 2:
                raise RfbRefused(f"unknown message {kind}")
        return [bytes(row) for row in rows]

    def _rectangle(self, rows):
        x, y, width, height, encoding = struct.unpack(">HHHHi", self.stream.read(12))
        if encoding != 0:
            raise RfbRefused(f"unknown encoding {encoding}")
        pixels = self.stream.read(width * height * 4)
        for n in range(height):
            line = pixels[n * width * 4:(n + 1) * width * 4]
            row = rows[y + n]
            for colour in range(3):
                row[x * 3 + colour:(x + width) * 3:3] = line[2 - colour::4]
        return width * height

    def key(self, symbol, down):
        self.stream.write(struct.pack(">BBxxI", 4, down, symbol))

    def type(self, text):
        for letter in text:
            self.key(ord(letter), 1)
            self.key(ord(letter), 0)


def png(path, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", len(rows[0]) // 3, len(rows), 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data)
                                   + chunk(b"IEND", b""))


def is_blank(rows):
    return all(row == rows[0] for row in rows) and len(set(zip(*[iter(rows[0])] * 3))) == 1


# --- SPICE ------------------------------------------------------------------------------------------------------

def spice_link(stream, channel=1):
    """Opens a SPICE channel (1: main) up to the server's link reply: (major version, minor version, error)."""
    capabilities = 1 << 0 | 1 << 1 | 1 << 3     # authentication selectable, SPICE authentication, small headers
    message = struct.pack("<IBBIII", 0, channel, 0, 1, 0, 18) + struct.pack("<I", capabilities)
    stream.write(b"REDQ" + struct.pack("<III", 2, 2, len(message)) + message)
    magic, major, minor, size = struct.unpack("<4sIII", stream.read(16))
    if magic != b"REDQ":
        raise AssertionError(f"not a SPICE server: {magic!r}")
    error = struct.unpack("<I", stream.read(size)[:4])[0]
    return major, minor, error


# --- libvirt and the log ----------------------------------------------------------------------------------------

def virsh(*words, check=True):
    """As root, past the gate: what the test knows to be true."""
    result = run("virsh", "-q", *words)
    if check and result.rc != 0:
        raise AssertionError(f"virsh {shlex.join(words)}: {result.stderr.decode()}")
    return result.stdout.decode().strip()


def cast(function, *words):
    """A function of cast.sh: cast('vm_define', 'lab-1', "<graphics type='vnc'>...")"""
    result = run("bash", "-c", '. "$0" && "$@"', LIB / "cast.sh", function, *words)
    if result.rc != 0:
        raise AssertionError(f"{function} {shlex.join(words)}: {result.stderr.decode()}")
    return result.stdout.decode().strip()


def log_mark():
    """Where the log ends now, for log_since."""
    return AUTH_LOG.stat().st_size


def log_since(mark, pattern=""):
    """The log's lines after mark that match."""
    with AUTH_LOG.open("rb") as file:
        file.seek(mark)
        text = file.read().decode(errors="replace")
    return [line for line in text.splitlines() if re.search(pattern, line)]


def wait_for_log(mark, pattern, deadline=10):
    """Syslog comes over a socket, hence a moment later than what it tells of."""
    return wait_until(lambda: log_since(mark, pattern), deadline, f"a log line like {pattern!r}")


def journal_start():
    """From now on systemd-journald runs; programs that prefer it log there (see journal.sh)."""
    run_journal("journal_start")


def journal_stop():
    run_journal("journal_stop")


def run_journal(function):
    # Not with pipes: the daemon would keep them open.
    subprocess.run(["bash", LIB / "journal.sh", function], stdin=subprocess.DEVNULL, check=True, timeout=30)


def journal(*matches):
    """The journal's records as dictionaries; matches such as 'SYSLOG_IDENTIFIER=virtgated'."""
    result = run("journalctl", "--quiet", "--no-pager", "--output=json", *matches)
    return [json.loads(line) for line in result.stdout.splitlines()]

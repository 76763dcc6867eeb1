"""What the end-to-end tests, the demonstration and the benchmarks share. Runs inside `tests/sandbox --up`."""
import collections
import contextlib
import fcntl
import functools
import json
import os
import pathlib
import pty
import pwd
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import time
import xml.etree.ElementTree as ET
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
    return ["ssh", "-o", "BatchMode=yes", "-tt" if tty else "-T", *options, "--", f"{user}@{HOST}", *words]


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
        self.talk.complaint = self._complaint

    def _complaint(self):
        ready = select.select([self.stderr], [], [], 1)[0]
        return f"; it says {os.read(self.stderr.fileno(), 1000)!r}" if ready else ""

    def hang_up(self):
        """Closes its input; what it ends with."""
        self.stdin.close()
        return self.wait(timeout=20)

    def result(self):
        """How it ended, by itself: what was not read of its output yet, and what it said."""
        rest = self.talk.read_rest()
        return Result(self.wait(timeout=20), rest, self.stderr.read())

    def __exit__(self, *_):
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Login:
    """One login of user's that serves one command after another, each in 0.03 s instead of 0.25 s: not two at a time, and
    not with a terminal (ssh would make one without any settings)."""

    AGE = 40    # the shipped sshd_config ends an unused one after a minute

    def __init__(self, user):
        self.user = user
        self.folder = tempfile.TemporaryDirectory(prefix="login-")
        self.path = pathlib.Path(self.folder.name, "control")
        self.master = None
        self.used = 0

    def _options(self):
        if self.master and (time.monotonic() - self.used > self.AGE or self.master.poll() is not None):
            self.close()
        if not self.master:
            self.master = Opened(ssh_command(self.user, options=["-N", "-M", "-o", f"ControlPath={self.path}"]))
            wait_until(self.path.exists, what="a login")
        self.used = time.monotonic()
        return ["-o", f"ControlPath={self.path}"]

    def run(self, *words, stdin=b"", timeout=60):
        return ssh(self.user, *words, stdin=stdin, options=[*self._options(), "-o", "ProxyCommand=false"], timeout=timeout)

    def open(self, *words):
        """To be ended by hang_up() or result()."""
        return ssh_open(self.user, *words, options=self._options())

    def close(self):
        if self.master:
            self.master.terminate()
            self.master.wait()
            self.master.__exit__()
        self.master = None
        self.path.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.folder.cleanup()


def shell(user, command=None, **options):
    """virtgate-shell as sshd starts it, without sshd."""
    account = pwd.getpwnam(user)
    return subprocess.Popen(["/usr/bin/virtgate-shell"], user=account.pw_uid, group=account.pw_gid, cwd="/",
                            extra_groups=os.getgrouplist(user, account.pw_gid), start_new_session=True,
                            env={"SSH_ORIGINAL_COMMAND": command} if command else {}, **options)


class OnTerminal:
    """A program on a terminal whose settings a test can look at; start(stdin=, ..., preexec_fn=) starts it."""

    def __init__(self, start, rows=24, columns=80):
        self.master, self.slave = pty.openpty()     # kept open: a terminal that nobody has open forgets its settings
        self.resize(rows, columns)
        self.before = self.settings()
        self.talk = Stream(self.master, self.master)
        self.process = start(stdin=self.slave, stdout=self.slave, stderr=self.slave,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def settings(self):
        return termios.tcgetattr(self.slave)

    def is_raw(self):
        return not self.settings()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def children(self):
        return pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def resize(self, rows, columns):
        """As sshd does it: whoever has the terminal gets SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self):
        return self.process.wait(timeout=20)

    def unread(self):
        """What came and was not read yet."""
        while select.select([self.master], [], [], 0)[0]:
            self.talk.seen += os.read(self.master, 65536)
        data, self.talk.seen = self.talk.seen, b""
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class Terminal(OnTerminal):
    """virtgate-shell as sshd starts it for user."""

    def __init__(self, user, command=None, rows=24, columns=80):
        super().__init__(functools.partial(shell, user, command), rows, columns)


class Stream:
    """Reading and writing a pair of file descriptors (or one socket's, given twice), never waiting for ever."""

    def __init__(self, reader, writer, deadline=20):
        self.reader, self.writer, self.deadline = reader, writer, deadline
        self.seen = b""
        self.complaint = str    # what else is known when the stream ends too early

    def _more(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.reader], [], [], left)[0]:
            raise TimeoutError(f"nothing more came within {self.deadline} s; unread: {self.seen[-500:]!r}")
        data = os.read(self.reader, 65536)
        if not data:
            raise EOFError
        self.seen += data

    def _some(self, end):
        try:
            self._more(end)
        except EOFError:
            raise EOFError(f"the stream ended; unread: {self.seen[-500:]!r}{self.complaint()}") from None

    def read(self, count):
        end = time.monotonic() + self.deadline
        parts = bytearray()
        while len(parts) + len(self.seen) < count:
            parts += self.seen
            self.seen = b""
            self._some(end)
        data = bytes(parts) + self.seen
        self.seen = data[count:]
        return data[:count]

    def read_until(self, pattern):
        """Everything up to and with what matches the bytes pattern."""
        end = time.monotonic() + self.deadline
        while not (match := re.search(pattern, self.seen)):
            self._some(end)
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
    """Types '?' until the guest greets: what is typed before the console is connected may be lost, or answered later."""
    deadline, stream.deadline = stream.deadline, 0.5
    try:
        for _ in range(tries):
            stream.write(b"?")
            try:
                said = stream.read_until(re.escape(greeting(vm)))
            except TimeoutError:
                continue
            stream.deadline = deadline
            stream.write(b"=done=")             # nothing of other greetings comes after this
            stream.read_until(b"=done=")
            return said
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


def read_png(path):
    """Rows of R G B bytes of a PNG as QEMU makes it: 8 bits, RGB, not interlaced."""
    data = pathlib.Path(path).read_bytes()
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        at += 12 + size
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            if (depth, colours, interlaced) != (8, 2, 0):
                raise ValueError(f"a PNG of another kind: depth {depth}, colours {colours}, interlaced {interlaced}")
        elif kind == b"IDAT":
            packed += body
    plain = zlib.decompress(packed)
    rows = []
    above = bytes(width * 3)
    for n in range(height):
        start = n * (width * 3 + 1)
        above = _unfilter(plain[start], plain[start + 1:start + 1 + width * 3], above)
        rows.append(above)
    return rows


def _unfilter(kind, line, above):
    """PNG specification, 9: Filtering."""
    if kind == 0:
        return line
    out = bytearray(line)
    for i, byte in enumerate(line):
        left, up, corner = (out[i - 3], above[i], above[i - 3]) if i >= 3 else (0, above[i], 0)
        if kind == 4:
            guess = left + up - corner
            best = min((abs(guess - value), order, value)
                       for order, value in enumerate((left, up, corner)))[2]
        else:
            best = {1: left, 2: up, 3: (left + up) // 2}[kind]
        out[i] = byte + best & 0xff
    return bytes(out)


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


# --- libvirt ------------------------------------------------------------------------------------------------------

LIBVIRTD = os.environ["VIRTGATE_LIBVIRTD"]      # virtqemud or libvirtd, see tests/sandbox
LIBVIRT_SOCKET = f"/run/libvirt/{'virtqemud-sock' if LIBVIRTD == 'virtqemud' else 'libvirt-sock'}"
LIBVIRT_CONFIG = pathlib.Path(f"/etc/libvirt/{LIBVIRTD}.conf")
LIBVIRT_LOG = pathlib.Path(f"/var/log/libvirt/{LIBVIRTD}.log")


def virt_admin(*words):
    return run("virt-admin", "-c", f"{LIBVIRTD}:///system", *words)


def virsh(*words, check=True):
    """As root, past the gate: what the test knows to be true."""
    words = [str(word) for word in words]
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


def domain_xml(vm):
    return ET.fromstring(virsh("dumpxml", vm))


def screenshot(vm):
    """The VM's screen as QEMU tells libvirt, past the gate: rows of R G B bytes."""
    with tempfile.TemporaryDirectory() as folder:
        virsh("screenshot", vm, f"{folder}/screen")
        return read_png(f"{folder}/screen")


@contextlib.contextmanager
def extra_vm(name, graphics, uuid=None, start=True):
    """A VM beside the cast, for the length of the block; its uuid."""
    uuid = uuid or cast("vm_uuid", name)
    cast("vm_define", name, graphics, uuid)
    try:
        if start:
            cast("vm_start", name)
            cast("vm_wait", name)
        yield uuid
    finally:
        remove_domain(uuid)
        pathlib.Path(f"/var/lib/libvirt/images/{name}.img").unlink(missing_ok=True)


def remove_domain(which):
    """Whatever its name and state; nothing when it is not there."""
    run("virsh", "-q", "destroy", which)
    run("virsh", "-q", "undefine", which)


def processes(name):
    """The processes that run the program of that name."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.path.basename(os.readlink(entry / "exe")) == name:
                found.append(int(entry.name))
    return found


def process(name):
    """The only one; a child that has not become another program yet looks like a second one for a moment."""
    return wait_until(lambda: len(found := processes(name)) == 1 and found[0], 5, f"exactly one process {name}")


def end_process(name, number=signal.SIGTERM):
    pid = process(name)
    os.kill(pid, number)
    wait_until(lambda: pid not in processes(name), what=f"the end of {name}")


@contextlib.contextmanager
def without_libvirtd(number=signal.SIGTERM):
    """Its VMs run on."""
    end_process(LIBVIRTD, number)
    try:
        yield
    finally:
        start_libvirtd()


@contextlib.contextmanager
def reconfigured_libvirtd(**settings):
    """With these lines in libvirtd.conf instead of the tests' own; None takes a line away."""
    config = pathlib.Path(f"/etc/libvirt/{LIBVIRTD}.conf")
    before = config.read_text()
    lines = [line for line in before.splitlines() if line.split(" ")[0] not in settings]
    lines += [f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}" for key, value in settings.items() if value is not None]
    try:
        config.write_text("\n".join(lines) + "\n")
        end_process(LIBVIRTD)
        start_libvirtd()
        yield
    finally:
        config.write_text(before)
        end_process(LIBVIRTD)
        start_libvirtd()


def start_libvirtd():
    done = run(LIBVIRTD, "-d")
    if done.rc != 0:
        raise AssertionError(f"{LIBVIRTD}: {done.stderr!r}")
    wait_until(lambda: run("virsh", "-q", "-r", "-c", "qemu:///system", "uri").rc == 0, 20, "libvirtd's answer")


SPARES = 4      # session processes that wait for a job, each with its connection (WORKERS_AHEAD in broker.c)


def libvirtd_clients():
    """How many clients libvirtd has been given so far, the one that asks included, once all spare session processes are
    connected. No session may be live."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(LIBVIRT_SOCKET)

        def numbers():
            # Numbered in the order in which they come.
            found = re.findall(rb"(?m)^ (\d+) ", virt_admin("client-list", LIBVIRTD).stdout)
            return [int(number) for number in found] if len(found) == SPARES + 1 else None
        return max(wait_until(numbers, 10, "the spare session processes"))


# --- virtgated ----------------------------------------------------------------------------------------------------

def all_sessions_over():
    """The log has their ends, and no process carries a serial stream."""
    return not open_sessions() and len(processes("virtgate-session")) == SPARES


def free():
    """Until nobody has a console any more: one whose session was killed is let go a moment later."""
    wait_until(all_sessions_over, what="the end of all sessions")


ACL = pathlib.Path("/etc/virtgate/virtgate.ini")
GATE_LOG = pathlib.Path("/var/log/virtgated.log")


def start_gate():
    mark = log_mark()
    with GATE_LOG.open("ab") as log:
        gate = subprocess.Popen(["virtgated", "-f"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                start_new_session=True, cwd="/")
    wait_for_log(mark, rf"virtgated\[{gate.pid}\]: ready")
    return gate


def restart_gate():
    """Nothing of what it knew is left, such as how many refusals of an account it has logged lately."""
    end_process("virtgated")
    start_gate()


def room_in_log():
    """For a test that counts refusals in the log: virtgated writes 100 of an account at once and then 20 a second."""
    lines = AUTH_LOG.read_text(errors="replace").splitlines()
    ready = max(n for n, line in enumerate(lines) if re.search(r" virtgated\[\d+\]: ready", line))
    if sum(re.search(r" virtgated\[\d+\]: refused", line) is not None for line in lines[ready:]) > 20:
        restart_gate()


@contextlib.contextmanager
def without_gate(number=signal.SIGTERM):
    end_process("virtgated", number)
    try:
        yield
    finally:
        start_gate()


def reload_gate():
    """SIGHUP; what virtgated says of it."""
    mark = log_mark()
    os.kill(process("virtgated"), signal.SIGHUP)
    return wait_for_log(mark, r"virtgated\[\d+\]: reload: ")[-1]


@contextlib.contextmanager
def acl(text):
    """The whole ACL for the length of the block; it may be set again within by set_acl()."""
    before = ACL.read_text()
    try:
        set_acl(text)
        yield
    finally:
        set_acl(before)


def set_acl(text):
    ACL.write_text(text)
    said = reload_gate()
    if "rules in force" not in said:
        raise AssertionError(said)


# --- the log ------------------------------------------------------------------------------------------------------

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


def settled_log(mark, pattern=""):
    """The log's lines after mark that match, among all that was said before now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.connect("/dev/log")
        word = f"settled-{time.monotonic_ns()}"
        syslog.send(f"<15>tests: {word}".encode())     # comes after what came before it
    wait_for_log(mark, word)
    return [line for line in log_since(mark, pattern) if word not in line]


def records(mark, pattern, count=1):
    """The fields of exactly so many of virtgated's records after mark: a client may have its answer before the log has."""
    pattern = rf" virtgated\[\d+\]: {pattern}"
    wait_until(lambda: len(log_since(mark, pattern)) >= count, what=f"{count} log records like {pattern!r}")
    found = [fields(line) for line in settled_log(mark, pattern)]
    if len(found) != count:
        raise AssertionError(f"{len(found)} log records like {pattern!r}, not {count}: {found}")
    return found


def open_sessions():
    """Those that were started and have not ended since the virtgated that runs was started: their log fields."""
    found = {}
    for line in settled_log(0, rf" virtgated\[{process('virtgated')}\]: (ready|start|end)"):
        if re.search(r"\]: ready", line):
            found = {}
        elif re.search(r"\]: start ", line):
            found[fields(line)["session"]] = fields(line)
        else:
            found.pop(fields(line)["session"], None)
    return list(found.values())


def fields(line):
    """The key=value pairs of one of virtgated's log lines."""
    return {key: quoted or bare
            for key, quoted, bare in re.findall(r' (\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line)}

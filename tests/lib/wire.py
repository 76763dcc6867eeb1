"""A client of the broker's socket written by hand: what an account can do that does not use virtgate-shell.

The layout is that of src/wire/request.c and src/wire/reply.c, written down a second time on purpose: what is sent can be wrong
in every way. Clients run in processes of their own, as any uid; the test keeps a copy of their sockets. A connection belongs to
the process that made it: the broker ends its session when that process ends."""
import collections
import contextlib
import ctypes
import errno
import grp
import os
import pathlib
import pickle
import pwd
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
import uuid as uuid_module

from vgtest import ACL, log_mark, processes, wait_for_log, wait_until

RUN = pathlib.Path("/run/virtgate")
SOCKET = str(RUN / "broker.sock")
SIZE = 2176
REPORT_SIZE = 24
REPLY_SIZE = 296
GATE_GROUP = "virtgate-users"

# request.h, command.h, reply.h, sysexits.h
COMMAND, REFUSED, RELOAD, WHO, KICK = 1, 2, 3, 4, 5
HELP, VERSION, LIST, INFO, DISPLAY, CONSOLE, RPC = range(7)
BY_NOTHING, BY_NAME, BY_UUID, BY_TCP, BY_SOCKET = range(5)
STREAM, LISTING, DONE, NO, END = range(1, 6)
OK, USAGE, UNAVAILABLE, TEMPFAIL, PROTOCOL, NOPERM, CONFIG = 0, 64, 69, 75, 76, 77, 78

FIELDS = (("magic", "I"), ("version", "H"), ("kind", "B"), ("command", "B"), ("target", "B"), ("json", "B"),
          ("readonly", "B"), ("takeover", "B"), ("index", "I"), ("port", "H"), ("zero", "2s"), ("uuid", "16s"),
          ("vm", "256s"), ("host", "256s"), ("path", "512s"), ("uri", "512s"), ("device", "64s"), ("said", "256s"),
          ("why", "240s"), ("room", "44s"))
PACKED = struct.Struct("=" + "".join(code for _, code in FIELDS))
assert PACKED.size == SIZE
OFFSET = {name: struct.calcsize("=" + "".join(code for _, code in FIELDS[:i])) for i, (name, _) in enumerate(FIELDS)}


def request(kind=COMMAND, command=0, target=None, **fields):
    """The bytes of a request. Strings may be longer or dirtier than the gate would send; uuid is text or 16 bytes."""
    values = {"magic": 0x56475251, "version": 1, "kind": kind, "command": command}
    if target is None:
        target = next((by for key, by in (("vm", BY_NAME), ("uuid", BY_UUID), ("host", BY_TCP)) if key in fields),
                      BY_SOCKET if "path" in fields and command != RPC else BY_NOTHING)
    values["target"] = target
    values.update(fields)
    for name, code in FIELDS:
        value = values.setdefault(name, b"" if code.endswith("s") else 0)
        if name == "uuid" and isinstance(value, str):
            value = uuid_module.UUID(value).bytes
        values[name] = value.encode() if isinstance(value, str) else value
    return PACKED.pack(*(values[name] for name, _ in FIELDS))


def display(vm, **fields):
    return request(command=DISPLAY, vm=vm, **fields)


def console(vm, **fields):
    return request(command=CONSOLE, vm=vm, **fields)


def report(to_user=0, from_user=0, magic=0x56475250, zero=0):
    return struct.pack("=IIQQ", magic, zero, to_user, from_user)


class Reply(collections.namedtuple("Reply", "kind status line fds flags")):
    """What came; fds are the receiver's to close (`with reply:` does)."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        close_all(self.fds)

    @property
    def fd(self):
        fd, = self.fds
        return fd


def close_all(fds):
    for fd in fds:
        os.close(fd)


def receive(sock, timeout=20):
    """The next message of the broker; None at the end of the connection."""
    if not select.select([sock], [], [], timeout)[0]:
        raise TimeoutError(f"no message of the broker within {timeout} s")
    control = socket.CMSG_SPACE(253 * 4)
    try:
        data, extra, flags, _ = sock.recvmsg(65536, control, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = [fd for level, kind, body in extra if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
           for fd in struct.unpack(f"={len(body) // 4}i", body)]
    if not data:
        close_all(fds)
        return None
    assert len(data) == REPLY_SIZE, f"a message of {len(data)} bytes"
    magic, kind, status, zero, line = struct.unpack("=IBB2s288s", data)
    assert magic == 0x56475259 and zero == b"\0\0"
    text, _, rest = line.partition(b"\0")
    assert not rest.strip(b"\0"), f"bytes behind the line: {rest!r}"
    return Reply(kind, status, text.decode(), fds, flags)


def new_socket(path=SOCKET, bind=None):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if bind:
        sock.bind(bind)
    sock.connect(path)
    return sock


def ask_on(sock, message, fds=(), timeout=20):
    socket.send_fds(sock, [message], fds) if fds else sock.send(message)
    return receive(sock, timeout)


def hurry(message, count, path=SOCKET):
    """count times one after another, each on a connection of its own: a Counter of (kind, status)."""
    answers = collections.Counter()
    for _ in range(count):
        with new_socket(path) as sock:
            try:
                reply = ask_on(sock, message)
            except (BrokenPipeError, ConnectionResetError):
                reply = receive(sock)
            if reply:
                close_all(reply.fds)
            answers[(reply.kind, reply.status) if reply else None] += 1
    return answers


# --- processes of other accounts ----------------------------------------------------------------------------------

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000


def check_call(name, *args):
    if getattr(libc, name)(*args) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def become(user):
    """For good. user: a name with the groups it has now; or (uid, gid, groups)."""
    if isinstance(user, str):
        entry = pwd.getpwnam(user)
        user = entry.pw_uid, entry.pw_gid, os.getgrouplist(user, entry.pw_gid)
    uid, gid, groups = user
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def nobody_known(uid):
    """A uid with no account that may all the same reach the socket."""
    gid = grp.getgrnam(GATE_GROUP).gr_gid
    return uid, gid, [gid]


class WithFds(collections.namedtuple("WithFds", "value fds")):
    """What a function called in a Puppet returns when descriptors are to come with it."""


class Puppet:
    """A process of another account that does what it is told: puppet.call(function, *args) runs a function of a module there.

    mounts: a process whose mount namespace it joins."""

    def __init__(self, user, mounts=None):
        self.user = user
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                self.sock.close()
                # None of the test's descriptors: a copy of a socket would keep what another process lets go.
                keep = theirs.fileno()
                os.closerange(3, keep)
                os.closerange(keep + 1, 4096)
                if mounts is not None:
                    join_mounts(mounts)
                become(user)
                check_call("prctl", 1, signal.SIGKILL, 0, 0, 0)
                serve(theirs)
                status = 0
            except BaseException:       # nothing of pytest must run in the child
                traceback.print_exc()
            finally:
                os._exit(status)
        theirs.close()

    def call(self, function, *args, timeout=30, fds=()):
        self.start(function, *args, fds=fds)
        return self.finish(timeout)

    def start(self, function, *args, fds=()):
        socket.send_fds(self.sock, [pickle.dumps((function, args))], fds) if fds else \
            self.sock.send(pickle.dumps((function, args)))

    def finish(self, timeout=30):
        if not select.select([self.sock], [], [], timeout)[0]:
            raise TimeoutError(f"the process of {self.user} did not answer within {timeout} s")
        data, fds, _, _ = socket.recv_fds(self.sock, 1 << 20, 253)
        if not data:
            raise EOFError(f"the process of {self.user} has ended")
        failed, value = pickle.loads(data)
        if failed:
            raise value
        return WithFds(value, fds) if fds else value

    def connect(self, *args, **options):
        """A connection of this process, as a copy of its socket. The process keeps none."""
        _, (fd,) = self.call(connect_and_pass, args, options)
        return socket.socket(fileno=fd)

    def end(self, number=signal.SIGKILL):
        """Ends the process and waits until it is gone."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            os.waitpid(self.pid, 0)
            self.pid = None
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


received = []   # in a puppet: descriptors that came with the call


def serve(sock):
    while True:
        data, fds, _, _ = socket.recv_fds(sock, 1 << 20, 253)
        if not data:
            return
        received[:] = fds
        try:
            function, args = pickle.loads(data)
            value = function(*args)
            value, fds = value if isinstance(value, WithFds) else (value, [])
            answer = (False, value)
        except Exception as err:
            answer, fds = (True, err), []
        socket.send_fds(sock, [pickle.dumps(answer)], fds) if fds else sock.send(pickle.dumps(answer))
        close_all(fds)


def connect_and_pass(args, options):
    sock = new_socket(*args, **options)
    return WithFds(None, [sock.detach()])


def join_mounts(pid):
    fd = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    check_call("setns", fd, CLONE_NEWNS)
    os.close(fd)


def as_user(user, function, *args, mounts=None, timeout=30):
    """function(*args) in a process of that account; its result."""
    with Puppet(user, mounts) as puppet:
        return puppet.call(function, *args, timeout=timeout)


@contextlib.contextmanager
def client(user, mounts=None, **options):
    """A connection of a process of that account: (socket, puppet)."""
    with Puppet(user, mounts) as puppet, puppet.connect(**options) as sock:
        yield sock, puppet


@contextlib.contextmanager
def asked(user, message, mounts=None, fds=()):
    """One request of a process of that account, and the reply while it lives: (reply, socket, puppet)."""
    with client(user, mounts) as (sock, puppet):
        with ask_on(sock, message, fds) as reply:
            yield reply, sock, puppet


def answer(user, message, mounts=None):
    """Kind, status and line of the reply to one request; None when the connection was closed without one."""
    with client(user, mounts) as (sock, _):
        reply = ask_on(sock, message)
        if reply:
            close_all(reply.fds)
            return reply.kind, reply.status, reply.line
        return None


# --- the broker's processes ----------------------------------------------------------------------------------------

def parent_of(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def gates():
    """The virtgated processes, without a child of one that is about to become a session process."""
    found = processes("virtgated")
    with contextlib.suppress(OSError):
        return [pid for pid in found if parent_of(pid) not in found]
    return gates()


def gate():
    pid, = gates()
    return pid


def reload():
    """SIGHUP, and the log's line about it."""
    mark, pid = log_mark(), gate()
    os.kill(pid, signal.SIGHUP)
    return wait_for_log(mark, rf"virtgated\[{pid}\]: reload: ")[-1]


@contextlib.contextmanager
def grants(text):
    """Another ACL, as long as the block lasts."""
    before = ACL.read_bytes()
    try:
        ACL.write_text(text)
        said = reload()
        assert "rules in force" in said, said
        yield
    finally:
        ACL.write_bytes(before)
        reload()


def sessions_of(broker):
    found = []
    for pid in processes("virtgate-session"):
        with contextlib.suppress(OSError):
            if parent_of(pid) == broker:
                found.append(pid)
    return found


def fds_of(pid):
    """{number: (what it is, flags of fdinfo)}"""
    found = {}
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{path.name}").read_text()
            flags = next(int(line.split()[1], 8) for line in info.splitlines() if line.startswith("flags:"))
            found[int(path.name)] = (os.readlink(path), flags)
    return found


def status_of(pid):
    """/proc/PID/status"""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def has_ended(sock_or_fd, timeout=1.0):
    """True when the stream ends within that time; what is read until then is thrown away."""
    fd = sock_or_fd if isinstance(sock_or_fd, int) else sock_or_fd.fileno()
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        if select.select([fd], [], [], left)[0]:
            try:
                if not os.read(fd, 65536):
                    return True
            except OSError as err:
                return err.errno in (errno.ECONNRESET, errno.EPIPE)
    return False


# --- a broker of one's own -----------------------------------------------------------------------------------------

BROKER = "/usr/sbin/virtgated"


class PrivateBroker:
    """A broker beside the one that runs, with a /run/virtgate of its own that nobody else sees: mounts=broker.pid lets a
    Puppet see it. prepare: shell commands before it starts; tracer: words before its command line."""

    def __init__(self, folder, prepare=":", env=None, tracer=(), arguments=("-f",)):
        self.errors = pathlib.Path(folder) / f"virtgated-{time.monotonic_ns()}.err"
        script = f"mount -t tmpfs -o mode=0755 run {RUN} && cd {RUN} && {{ {prepare}; }} && cd / && exec \"$@\""
        with self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *tracer, BROKER, *arguments],
                stdin=subprocess.DEVNULL, stdout=err, stderr=err, env=env)

    def said(self):
        return self.errors.read_text(errors="replace")

    @property
    def pid(self):
        """Of virtgated itself, below a tracer if there is one."""
        for pid in processes("virtgated"):
            if self.process.pid in (pid, parent_of(pid)):
                return pid
        return None

    def wait_ready(self):
        def ready():
            assert self.process.poll() is None, f"virtgated ended with {self.process.returncode}: {self.said()}"
            return "virtgated: ready" in self.said()
        wait_until(ready, what="virtgated's start")
        return self

    def wait_refused(self, timeout=10):
        """Its exit status, when it is not to start."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.__exit__()
            raise AssertionError(f"virtgated started: {self.said()}") from None

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, *_):
        pid = self.pid
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

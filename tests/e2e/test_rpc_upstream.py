"""What stands behind the filter: libvirtd with other settings, at other sockets, of another driver, and one that misbehaves."""
import array
import contextlib
import grp
import os
import pathlib
import socket
import struct
import subprocess
import threading
import time

import pytest

import vgtest
from rpc import (CALL, CARDS2, DENIED, EVENT, KEEPALIVE, MINE, NOBODY, REMOTE, REPLY, SECRET, STREAM, Raw, client_info, complaint, console,
                 domain, listener, live, memory_of, names, said, serving, shell_open, text, uri)
from vgtest import records, ssh, wait_until

RUN = pathlib.Path("/run/libvirt")
NOT_LET_IN = "virtgate: libvirtd on this host does not let the gate in; tell its administrator"
NO_ANSWER = "virtgate: libvirtd on this host does not answer; try again later"
BROKEN = b"virtgate: something went wrong on this host; its log says more\n"


@pytest.fixture(autouse=True)
def all_over():
    yield
    wait_until(lambda: not live() and not vgtest.open_sessions(), what="the end of all connections")


# --- authentication --------------------------------------------------------------------------------------------------

def test_polkit():
    """Debian's default: polkit decides, and lets the gate's account in. The client hears of none of it."""
    with vgtest.reconfigured_libvirtd(auth_unix_rw=None, auth_unix_ro=None, unix_sock_group=None, unix_sock_ro_perms=None,
                                      unix_sock_rw_perms=None):
        assert names(said("alice", "list", "--all", "--name")) == MINE
        with Raw("alice", opened=False) as raw:
            assert raw.call(66) == (0, b"\0\0\0\1\0\0\0\0")
            assert raw.call(1, b"\0\0\0\1" + text("qemu:///system") + b"\0\0\0\0") == (0, b"")
            assert raw.call(16, domain("cards2", CARDS2))[0] == 0
            assert "virtgate" in client_info(serving())["unix_user_name"]
        with console("alice", "nolisten") as p:
            vgtest.ask_greeting(p.talk, "nolisten")
        # It is polkit that was asked: somebody else is not let in.
        result = vgtest.run("setpriv", "--reuid=carol", "--regid=carol", "--init-groups", "virsh", "-c", "qemu:///system", "list")
        assert result.rc == 1 and b"authentication unavailable" in result.stderr


def test_polkit_says_no():
    """An administrator's rule that comes before Debian's."""
    rule = pathlib.Path("/etc/polkit-1/rules.d/10-nobody.rules")
    rule.parent.mkdir(parents=True, exist_ok=True)
    rule.write_text('polkit.addRule(function(action, subject) { if (action.id == "org.libvirt.unix.manage") return polkit.Result.NO; });\n')
    for pid in vgtest.processes("polkitd"):
        os.kill(pid, 15)    # the next one that asks starts it again, with the rule
    try:
        with vgtest.reconfigured_libvirtd(auth_unix_rw="polkit"):
            mark = vgtest.log_mark()
            assert complaint("alice", "list").endswith(f"{NOT_LET_IN}: Input/output error")
            refusal, = records(mark, "refused ")
            assert refusal["status"] == "69" and refusal["reason"].startswith("polkit did not let the gate in")
            assert "read only" in complaint("alice", "destroy", "cards2", readonly=True)    # there polkit is not asked
    finally:
        rule.unlink()
        for pid in vgtest.processes("polkitd"):
            os.kill(pid, 15)


def test_sasl_alone():
    with vgtest.reconfigured_libvirtd(auth_unix_rw="sasl"):
        mark = vgtest.log_mark()
        result = ssh("alice", "virt-ssh-helper qemu:///system")
        assert (result.rc, result.stdout, result.stderr.decode()) == (69, b"", NOT_LET_IN + "\n")
        assert complaint("alice", "list").endswith(f"{NOT_LET_IN}: Input/output error")
        for refusal in records(mark, "refused ", 2):
            assert refusal["reason"] == "libvirtd wants an authentication that the gate does not have"
        assert names(said("alice", "list", "--all", "--name", readonly=True)) == MINE
    assert names(said("alice", "list", "--all", "--name")) == MINE


# --- keepalive -------------------------------------------------------------------------------------------------------

def test_keepalive():
    """Pings and answers go through. Who has said that it answers and does not is ended by libvirtd, half a message or not."""
    with vgtest.reconfigured_libvirtd(keepalive_interval=1, keepalive_count=1):
        mark = vgtest.log_mark()
        with listener("bob") as answers, Raw("alice") as silent:
            assert answers.talk.read_until(rb"ready .*\n")
            assert silent.call(60, struct.pack(">i", 10)) == (0, struct.pack(">i", 1))  # PROGRAM_KEEPALIVE
            silent.talk.write(struct.pack(">7I", 4 << 20, REMOTE, 1, 16, CALL, 99, 0))
            result = silent.process.result()
            assert (result.rc, result.stderr) == (69, b"virtgate: libvirtd on this host ended the connection; try again\n")
            assert struct.pack(">I", KEEPALIVE) in result.stdout
            assert answers.poll() is None
        end, = [end for end in records(mark, "end ", 2) if end["user"] == "alice"]
        assert end["reason"] == "libvirtd ended the connection" and int(end["duration_ms"]) > 1500


# --- modular daemons -------------------------------------------------------------------------------------------------

# libvirtd takes its sockets from whoever starts it, by systemd's protocol: here at the places of virtqemud, of which Debian 12
# has no package. What the filter has to find is the place.
ACTIVATE = """
import fcntl, os, sys
for n in range(3):
    os.dup2(50 + n, 3 + n)
os.closerange(6, 100)
os.environ.update(LISTEN_FDS="3", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="libvirtd.socket:libvirtd-ro.socket:libvirtd-admin.socket")
os.execv("/usr/sbin/libvirtd", ["libvirtd"])
"""


def listen_at(path, mode=0o777):
    listening = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)
    listening.bind(str(path))
    os.chown(path, 0, grp.getgrnam("libvirt").gr_gid)
    path.chmod(mode)
    listening.listen(30)
    return listening


@contextlib.contextmanager
def at_sockets_of_virtqemud():
    paths = [RUN / name for name in ("virtqemud-sock", "virtqemud-sock-ro", "virtqemud-admin-sock")]
    listening = [listen_at(path, mode) for path, mode in zip(paths, (0o770, 0o777, 0o700))]

    def place():
        for n, one in enumerate(listening):
            os.dup2(one.fileno(), 50 + n)

    with vgtest.without_libvirtd():
        assert not (RUN / "libvirt-sock").exists()
        daemon = subprocess.Popen(["/usr/bin/python3", "-IS", "-c", ACTIVATE], preexec_fn=place, close_fds=False,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for one in listening:
                one.close()
            wait_until(lambda: vgtest.run("virsh", "-q", "-c", "qemu:///system", "uri").rc == 0, 20, "its answer")
            yield
        finally:
            daemon.terminate()
            daemon.wait(20)
            for path in paths:
                path.unlink(missing_ok=True)


def test_virtqemud():
    with at_sockets_of_virtqemud():
        for query in ("", "?socket=/run/libvirt/virtqemud-sock"):
            assert names(said("alice", "list", "--all", "--name", connect=uri("alice", query=query))) == MINE
        assert said("alice", "domstate", "cards2", readonly=True) == "running"
        assert "read only" in complaint("alice", "destroy", "cards2", readonly=True)
        found = said("alice", "domdisplay", "nolisten")
        with vgtest.ssh_open("alice", f"nc -U {found.removeprefix('vnc+unix://')}") as p:
            assert vgtest.Rfb(p.talk).name == "QEMU (nolisten)"
        with console("alice", "cards2") as p:
            vgtest.ask_greeting(p.talk, "cards2")
        with listener("bob") as p:
            assert p.talk.read_until(rb"ready .*\n") == b"ready ['cards2'] 1 [] 1\n"
            said("alice", "suspend", "nolisten")
            said("alice", "resume", "nolisten")
            said("alice", "suspend", "cards2")
            said("alice", "resume", "cards2")
            assert p.talk.read_until(rb"cards2 4\r?\n") == b"cards2 3\ncards2 4\n"
    assert names(said("alice", "list", "--all", "--name")) == MINE


def test_socket_left_behind():
    """virtqemud was there once: nobody listens at its socket any more."""
    path = RUN / "virtqemud-sock"
    listen_at(path).close()
    try:
        assert names(said("alice", "list", "--all", "--name")) == MINE
    finally:
        path.unlink()


# --- another driver --------------------------------------------------------------------------------------------------

TEST = "6695eb01-f6a4-8304-79aa-97f2502e193f"


def test_test_driver():
    """A gate of libvirt's test driver: the same locks around another hypervisor."""
    offers = "this gate offers test:///default and no other"
    with vgtest.acl("[gate]\nuri = test:///default\n[vm test]\ndisplay = alice\npower = alice\n[vm none]\ndisplay = bob\n"):
        for query in ("?proxy=netcat", "?proxy=native"):
            connect = uri("alice", "test", "default", query=query)
            assert said("alice", "list", "--all", "--name", connect=connect) == "test"
        assert said("alice", "domuuid", "test", connect=connect) == TEST
        assert said("bob", "list", "--all", "--name", connect=uri("bob", "test", "default")) == ""
        other, none = (complaint("bob", "domstate", which, connect=uri("bob", "test", "default")) for which in (TEST, NOBODY))
        assert other.replace(TEST, "X") == none.replace(NOBODY, "X")
        # This driver's machines last as long as somebody is connected.
        with Raw("alice", "virt-ssh-helper test:///default", opened=False) as raw:
            assert raw.call(1, b"\0\0\0\1" + text("test:///default") + b"\0\0\0\0") == (0, b"")
            said("alice", "suspend", "test", connect=connect)
            assert said("alice", "domstate", "test", connect=connect) == "paused"
        for driver, path in [("qemu", "system"), ("qemu", "session"), ("test", "other"), ("lxc", "")]:
            assert offers in complaint("alice", "list", connect=uri("alice", driver, path))
        for command in ("nc -U /run/libvirt/virtqemud-sock", "virt-ssh-helper xen:///", "virt-ssh-helper vbox:///session"):
            with shell_open("alice", command) as process:
                result = process.result()
            assert (result.rc, result.stderr.decode()) == (77, f"virtgate: {offers}\n")
        with Raw("alice", "nc -U /run/libvirt/libvirt-sock", opened=False) as raw:
            for name in ("qemu:///system", "test:///", "test:///default?x"):
                code, error = raw.call(1, b"\0\0\0\1" + text(name) + b"\0\0\0\0")
                assert code == DENIED and offers.encode() in error
            assert raw.call(16, domain("cards2", CARDS2))[0] != 0
            assert raw.call(1, b"\0\0\0\0\0\0\0\0") == (0, b"")       # no name: the one that is offered
            assert raw.call(16, domain("test", TEST))[0] == 0
    assert names(said("alice", "list", "--all", "--name")) == MINE


# --- a libvirtd that misbehaves --------------------------------------------------------------------------------------

NONE, POLKIT, SASL = struct.pack(">II", 1, 0), struct.pack(">II", 1, 2), struct.pack(">II", 1, 1)
ERROR = struct.pack(">iii", 38, 7, 0) + struct.pack(">iiiiiiii", 2, 0, 0, 0, 0, 0, 0, 0) + struct.pack(">i", 0)
# As libvirt encodes it: code, domain, no message, level, no domain, three texts, two numbers, no network.


def message(procedure, payload=b"", kind=REPLY, serial=0, status=0, program=REMOTE, version=1):
    return struct.pack(">7I", 28 + len(payload), program, version, procedure, kind, serial, status) + payload


class Upstream:
    """The connection of one filter, at libvirtd's end."""

    def __init__(self, sock):
        self.socket = sock
        self.socket.settimeout(20)

    def _read(self, count):
        data = b""
        while len(data) < count:
            if not (more := self.socket.recv(count - len(data))):
                raise EOFError
            data += more
        return data

    def take(self):
        """(procedure, serial, payload) of the next call."""
        size, program, _, procedure, kind, serial, _ = struct.unpack(">7I", self._read(28))
        assert (program, kind) == (REMOTE, CALL)
        return procedure, serial, self._read(size - 28)

    def hear(self):
        """Waits until something was said, and does not take it: who closes then has not closed before the other's words."""
        assert self.socket.recv(1, socket.MSG_PEEK)

    def say(self, data):
        self.socket.sendall(data)

    def answer(self, expected, payload=b"", **more):
        procedure, serial, _ = self.take()
        assert procedure == expected, procedure
        self.say(message(procedure, payload, serial=serial, **more))

    def open(self):
        """Up to where a client has its connection; the filter's callback has number 7."""
        self.answer(66, NONE)
        self.answer(1)
        self.answer(316, struct.pack(">i", 7))

    def close(self):
        self.socket.close()


class Faulty:
    """Takes the place of libvirtd for filters: where virtqemud's socket is, they look there first. Others than filters must not
    ask for libvirt meanwhile."""

    def __init__(self):
        self.path = RUN / "virtqemud-sock"

    def __enter__(self):
        self.listening = listen_at(self.path)
        self.listening.settimeout(20)
        self.taken = []
        return self

    def accept(self):
        """The next filter. A spare session process may come by as well; it tries again when it is needed."""
        while True:
            upstream = Upstream(self.listening.accept()[0])
            self.taken.append(upstream)
            pid = struct.unpack("3i", upstream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            if pid in vgtest.processes("virtgate-rpc"):
                return upstream
            upstream.close()

    def in_background(self, act):
        """act(upstream) for the next connection; the thread's join() is the caller's."""
        thread = threading.Thread(target=lambda: act(self.accept()))
        thread.start()
        return thread

    def __exit__(self, *_):
        for upstream in self.taken:
            upstream.close()
        self.listening.close()
        self.path.unlink()


@contextlib.contextmanager
def on_faulty(user="alice"):
    """A client and, at the other end, who answers it. The log's mark is from before."""
    mark = vgtest.log_mark()
    with Faulty() as faulty:
        with Raw(user, opened=False, sshd=False) as raw:
            raw.send(1, b"\0\0\0\1" + text("qemu:///system") + b"\0\0\0\0")
            upstream = faulty.accept()
            upstream.open()
            assert raw.receive()[1:4] == (REPLY, raw.serial, 0)
            yield raw, upstream, mark


def end_of(mark):
    """Exactly one start and one end."""
    records(mark, "start ")
    end, = records(mark, "end ")
    return end["reason"]


HELLO = [
    (lambda u: (u.hear(), u.close()), NO_ANSWER, "libvirtd did not say how to authenticate: Connection reset by peer"),
    (lambda u: (u.take(), u.close()), NO_ANSWER, "libvirtd did not say how to authenticate: Connection reset by peer"),
    (lambda u: u.answer(66, ERROR, status=1), NOT_LET_IN, "libvirtd did not say how to authenticate: Permission denied"),
    (lambda u: u.answer(66, SASL), NOT_LET_IN, "libvirtd wants an authentication that the gate does not have"),
    (lambda u: u.answer(66, struct.pack(">I", 0)), NOT_LET_IN, "libvirtd wants an authentication that the gate does not have"),
    (lambda u: u.answer(66, struct.pack(">III", 2, 9, 1)), NOT_LET_IN, "libvirtd wants an authentication that the gate does not have"),
    (lambda u: (u.answer(66, POLKIT), u.answer(70, ERROR, status=1)), NOT_LET_IN, "polkit did not let the gate in: Permission denied"),
    (lambda u: u.answer(66, NONE, kind=EVENT), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: u.answer(66, NONE, program=0x20008087), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: u.answer(66, NONE, version=2), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: (u.take(), u.say(message(66, NONE, serial=1))), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: (u.take(), u.say(message(67, NONE))), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: (u.take(), u.say(b"\xff" * 28)), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: u.answer(66, NONE + b"\0\0\0\0"), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: u.answer(66, struct.pack(">I", 1 << 30)), NO_ANSWER, "libvirtd did not say how to authenticate: Protocol error"),
    (lambda u: (u.take(), u.say(message(66, NONE) + message(66, NONE))), NO_ANSWER,
     "libvirtd did not say how to authenticate: Protocol error"),
]


def test_faults_before_it_is_open():
    """Each is refused in one line, and nothing was started."""
    with Faulty() as faulty:
        for act, line, reason in HELLO:
            mark = vgtest.log_mark()
            thread = faulty.in_background(act)
            with shell_open("alice", "virt-ssh-helper qemu:///system") as process:
                result = process.result()
            thread.join()
            assert (result.rc, result.stdout, result.stderr.decode()) == (69, b"", line + "\n"), reason
            refusal, = records(mark, "refused ")
            assert (refusal["status"], refusal["reason"]) == ("69", reason) and not vgtest.log_since(mark, " start ")


def test_silence_before_it_is_open():
    """One that does not answer, one that stops in the middle, one that does not even take the connection; and two of polkit's."""
    def begin():
        return vgtest.shell("alice", "virt-ssh-helper qemu:///system", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)

    mark = vgtest.log_mark()
    began = time.monotonic()
    with Faulty() as faulty:
        waiting = []
        for act in (lambda u: None, lambda u: u.say(message(66, NONE)[:20]), lambda u: u.answer(66, POLKIT)):
            waiting.append(begin())
            act(faulty.accept())
        with contextlib.ExitStack() as full:
            for _ in range(31):
                full.enter_context(socket.socket(socket.AF_UNIX)).connect(str(faulty.path))
            waiting.append(begin())
            # Others do not wait for that: this connection is another user's, behind the same gate.
            assert ssh("bob", "help").rc == 0
            for process in waiting:
                out, line = process.communicate(timeout=30)
                assert (process.returncode, out, line.decode()) == (69, b"", NO_ANSWER + "\n")
    assert 6 < time.monotonic() - began < 20
    assert sorted(refusal["reason"] for refusal in records(mark, "refused ", 4)) == [
        "libvirtd cannot be reached: Connection timed out", *["libvirtd did not say how to authenticate: Connection timed out"] * 2,
        "polkit did not let the gate in: Connection timed out"]
    assert names(said("alice", "list", "--all", "--name")) == MINE


DOM = domain("cards2", CARDS2, 1)
ENDS_IT = [
    struct.pack(">I", (32 << 20) + 5) + message(16)[4:],                    # more than libvirt's largest
    struct.pack(">I", 27) + message(16)[4:],                                # less than a header
    b"\xff" * 28,
    lambda serial: message(17, b"\0" * 8, serial=serial),                   # another procedure than was asked for
    lambda serial: message(16, serial=serial, status=2),
    lambda serial: message(16, serial=serial, status=1),                    # an error that says nothing
    lambda serial: message(16, serial=serial, version=2),
    lambda serial: message(16, serial=serial, program=0x20008087),
    lambda serial: message(16, serial=serial, kind=5),                      # with descriptors
    lambda serial: message(16, serial=serial, kind=CALL),                   # libvirtd calls nobody
    message(1, b"x", kind=EVENT, program=KEEPALIVE),
    message(9, kind=EVENT, program=KEEPALIVE),
    message(318, b"\0\0\0\7" + DOM[:20], kind=EVENT),                      # half a domain
]


@pytest.mark.parametrize("data", ENDS_IT)
def test_what_ends_the_connection(data):
    with on_faulty() as (raw, upstream, mark):
        raw.send(24, bytes.fromhex(CARDS2.replace("-", "")))
        upstream.answer(24, DOM)
        assert raw.receive()[1:4] == (REPLY, raw.serial, 0)
        raw.send(16, DOM)
        procedure, serial, _ = upstream.take()
        assert procedure == 16
        upstream.say(data(serial) if callable(data) else data)
        result = raw.process.result()
        assert (result.rc, result.stdout, result.stderr) == (70, b"", BROKEN)
        assert end_of(mark) == "protocol broken by libvirtd"


def test_what_is_dropped():
    """Unasked replies, events and streams reach nobody; the connection goes on."""
    secret = domain("secret", SECRET, 2)
    unasked = [message(16, b"\0" * 24, serial=4711), message(318, b"\0\0\0\7" + DOM + b"\0" * 8, kind=EVENT),
               message(318, b"\0\0\0\1" + secret + b"\0" * 8, kind=EVENT), message(107, DOM + b"\0" * 8, kind=EVENT),
               message(201, b"x" * 1000, kind=STREAM, serial=4711, status=2), message(201, b"", kind=STREAM, serial=4711),
               message(4242, b"x", kind=EVENT), message(201, ERROR, serial=4711, status=1)]
    with on_faulty() as (raw, upstream, mark):
        pid = serving()
        for _ in range(200):
            upstream.say(b"".join(unasked))
        upstream.say(message(1, kind=EVENT, program=KEEPALIVE))
        raw.send(4)
        procedure, serial, _ = upstream.take()
        upstream.say(message(procedure, b"\0" * 8, serial=serial))
        assert raw.receive()[:2] == (1, EVENT)                              # the ping alone, then what was asked for
        assert raw.receive() == (4, REPLY, raw.serial, 0, b"\0" * 8)
        assert memory_of(pid) < 12000
    assert end_of(mark) == "client ended"


def test_descriptors_are_not_taken():
    """One comes along: it stays outside, and what came with it is an answer as ever."""
    with on_faulty() as (raw, upstream, _), open("/dev/zero") as file:
        before = set(os.listdir(f"/proc/{serving()}/fd"))
        raw.send(4)
        procedure, serial, _ = upstream.take()
        upstream.socket.sendmsg([message(procedure, b"\0" * 8, serial=serial)],
                                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
        assert raw.receive() == (4, REPLY, raw.serial, 0, b"\0" * 8)
        assert set(os.listdir(f"/proc/{serving()}/fd")) == before


def test_half_an_answer():
    """The announced is not there yet: nothing is set aside for it. The client can go; idle ends who stays."""
    with on_faulty() as (raw, upstream, mark):
        pid = serving()
        raw.send(4)
        procedure, serial, _ = upstream.take()
        upstream.say(struct.pack(">I", 32 << 20) + message(procedure, serial=serial)[4:])
        time.sleep(0.3)
        assert memory_of(pid) < 12000
        raw.process.hang_up()
    assert end_of(mark) == "client ended"
    with vgtest.acl("[gate]\nidle = 2s\n" + vgtest.ACL.read_text()), on_faulty() as (raw, upstream, mark):
        raw.send(4)
        upstream.take()
        upstream.say(struct.pack(">I", 32 << 20))
        result = raw.process.result()
        assert (result.rc, result.stderr) == (77, b"virtgate: the session was idle for too long\n")
        assert end_of(mark) == "idle"


def test_it_takes_nothing():
    """libvirtd is connected and reads no more: the client is not read any more, either, and holds no memory."""
    with on_faulty() as (raw, upstream, mark):
        pid = serving()
        raw.talk.deadline = 2
        flood = b"".join(message(23, text("x" * 8000), kind=CALL, serial=n) for n in range(100, 4100))
        with pytest.raises(TimeoutError):
            raw.talk.write(flood)
        assert memory_of(pid) < 12000
        raw.process.stdout.close()      # as sshd does when its client is gone; the end of the input alone waits behind the rest
        raw.process.hang_up()
    assert end_of(mark) == "client ended"


def test_largest_answers():
    """As much as libvirt's protocol can say: it is carried, or the connection ends; memory is what it takes, and is given back."""
    with on_faulty() as (raw, upstream, mark):
        pid = serving()
        raw.talk.deadline = 30
        raw.send(273, struct.pack(">ii", 1, 0))
        procedure, serial, _ = upstream.take()
        one = domain("secret", SECRET)
        mine = domain("cards2", CARDS2)
        upstream.say(message(procedure, struct.pack(">I", 16384) + one * 16383 + mine + struct.pack(">I", 16384), serial=serial))
        assert raw.receive() == (273, REPLY, raw.serial, 0, struct.pack(">I", 1) + mine + struct.pack(">I", 1))
        for size in (1 << 20, 31 << 20):
            raw.send(7)
            procedure, serial, _ = upstream.take()
            payload = struct.pack(">I", size - 4) + b"x" * (size - 4)
            sender = threading.Thread(target=upstream.say, args=[message(procedure, payload, serial=serial)])
            sender.start()
            got = raw.receive()
            sender.join()
            assert got[:4] == (7, REPLY, raw.serial, 0) and got[4] == payload
        assert memory_of(pid) < 16000
    assert end_of(mark) == "client ended"
    with on_faulty() as (raw, upstream, mark):
        raw.send(273, struct.pack(">ii", 1, 0))
        procedure, serial, _ = upstream.take()
        upstream.say(message(procedure, struct.pack(">I", 16385) + one * 16385 + struct.pack(">I", 16385), serial=serial))
        assert raw.process.result().stderr == BROKEN
        assert end_of(mark) == "protocol broken by libvirtd"

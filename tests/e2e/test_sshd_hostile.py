# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shipped drop-in against a client that sends what ssh(1) will not, and against every way to log in. The sshd is a second
one whose main file permits everything to everybody, trusts a CA, and takes passwords both ways. alice, who is under the gate,
gets nothing but the gate; carol, who is not, gets what she asks for, or the attempt shows nothing."""
import base64
import contextlib
import os
import pathlib
import pwd
import re
import socket
import tempfile
import termios
import threading

import pytest

import pam_sshd
import sshd_config as conf
import vgtest
from hostile_ssh import (GLOBAL_REQUEST, Channel, Client, Dropped, NotLetIn, Refused, direct_streamlocal, direct_tcpip, number,
                         text, tunnel)
from test_sshd_doors import BANNER, SFTP_INIT, Target, file_of, sshd
from vgtest import HOST, log_mark, records, wait_until

WHY = pam_sshd.missing() or conf.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))

GATE = "/usr/bin/virtgate-shell"
SECRET = "virtgate: no console for you on 'secret'\n".encode()
NO_SHELL = b"virtgate: there is no shell here; expected a command such as list, display VM or console VM\n"
RFB = b"RFB 003.008\n"
PROHIBITED, UNKNOWN_TYPE = 1, 3
SESSIONS = 10   # of the drop-in
COOKIE = "0123456789abcdef0123456789abcdef"
SUMS, SUM = "echo $((6*7))x", b"42x"


class Lab:
    """The second sshd, and keys for it."""

    def __init__(self, folder, port, log, xauth):
        self.folder, self.port, self.log, self.xauth = folder, port, log, xauth

    def client(self, user, method="key", **how):
        return Client(self.port, user, method, **how)

    def certified(self, *options):
        name = f"certified-{len(list(self.folder.iterdir()))}"
        return pam_sshd.certify(self.folder, name, *options)

    def has_logged(self, pattern):
        return wait_until(lambda: re.search(pattern, self.log.read_text(errors="replace")), what=f"sshd's line {pattern!r}")


def permissive(folder, more="", **how):
    """What the main file may say for everybody. Some lines must come before Debian's own, hence before the drop-in."""
    early = "KbdInteractiveAuthentication yes\nPasswordAuthentication yes\nLogLevel VERBOSE\n" + more
    return conf.copy(folder, append=conf.PERMISSIVE_LOGIN, extra={"04-tests.conf": early}, **how)


@pytest.fixture(scope="module")
def lab():
    pam_sshd.set_passwords("alice", "carol")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        _, trust = pam_sshd.certificates(folder)
        # Says what it was asked to do, in a file.
        said = folder / "said" / "xauth"
        said.parent.mkdir()
        said.parent.chmod(0o1777)
        xauth = folder / "xauth"
        xauth.write_text(f"#!/bin/sh\ncat >> {said}\n")
        xauth.chmod(0o755)
        main = permissive(folder, f"{trust}XAuthLocation {xauth}\n")
        with sshd(main) as port:
            yield Lab(folder, port, main.with_suffix(".log"), said)


@pytest.fixture(scope="module")
def bare():
    """The port of a third sshd, without the drop-in: what the login shell alone does."""
    with tempfile.TemporaryDirectory() as folder, sshd(permissive(folder, without=conf.OURS)) as port:
        yield port


@pytest.fixture
def target(place):
    target = Target(place)
    yield target
    target.close()


def still_served(client, vm="cards2"):
    """The connection has not suffered: what is granted works on it."""
    done = client.run(f"info {vm}")
    assert done.status == 0 and done.stdout.startswith(f"name     {vm}\n".encode()), done
    return True


def running(client, command="display cards2", says=RFB):
    """A session in the middle of its work, with the answer of the granted machine."""
    session = client.session()
    assert session.execute(command)
    assert session.read_until(says) == says
    return session


def goes_on(session):
    """The display that was left after its first line."""
    session.send(RFB)
    session.read_until(b"\1\1")                # one security type, none


def prompt(client, term="xterm", columns=80, rows=24):
    session = client.session()
    assert session.terminal(term, columns, rows) and session.request("shell")
    return session, session.read_until(b"virtgate> ")


def answers_at_the_prompt(session):
    session.send(b"list\r")
    said = session.read_until(b"virtgate> ")
    assert b"cards2 " in said, said
    return said


def gates(user="alice"):
    """Its processes that run the gate."""
    uid = pwd.getpwnam(user).pw_uid
    return [pid for pid in vgtest.processes("virtgate-shell") if _owner(pid) == uid]


def _owner(pid):
    with contextlib.suppress(OSError):
        return os.stat(f"/proc/{pid}").st_uid


def the_gate():
    """The only one; its environment."""
    pid, = wait_until(lambda: len(found := gates()) == 1 and found, what="one gate")
    return pid, wait_until(pathlib.Path(f"/proc/{pid}/environ").read_bytes, what="its environment")


# --- all that a connection can carry --------------------------------------------------------------------------------

def matrix(client, target, place, gated):
    """{what was asked for: (whether there was something behind it, all that was answered)}"""
    found = {}
    path = place / f"made-{os.urandom(4).hex()}"

    def channel(name, opened, says=None):
        if isinstance(opened, Channel):
            found[name] = (opened.read_until(says) == says, None)
            opened.close()
        else:
            found[name] = (False, opened)

    channel("direct-tcpip", client.open(*direct_tcpip(HOST, target.port)), BANNER)
    channel("direct-streamlocal", client.open(*direct_streamlocal(target.path)), BANNER)
    # An ordinary account cannot have a device anyway; what counts is who said no.
    answer = client.open(*tunnel("point-to-point", 0x7fffffff))
    assert isinstance(answer, Refused) and "tunnel device" in client.said, (answer, client.said)
    found["tun"] = ("Server has rejected" not in client.said, answer)
    granted, rest = client.ask("tcpip-forward", text(HOST) + number(0))
    found["tcpip-forward"] = (granted, b"" if granted else rest)
    found["streamlocal-forward"] = client.ask("streamlocal-forward@openssh.com", text(str(path)))
    assert path.exists() == found["streamlocal-forward"][0]

    session = client.session()
    for name, rest in (("x11-req", b"\0" + text("MIT-MAGIC-COOKIE-1") + text(COOKIE) + number(0)),
                       ("auth-agent-req@openssh.com", b""), ("agent-req", b""), ("env", text("LC_DOORS") + text("open"))):
        found[name] = (session.request(name, rest), None)
    assert session.execute(SUMS)
    done = session.end()
    found["exec"] = (SUM in done.stdout, done)

    session = client.session()
    assert session.request("shell")
    done = session.end(SUMS.encode() + b"\nexit\n")
    found["shell"] = (SUM in done.stdout, done)

    session = client.session()
    assert session.request("subsystem", text("sftp"))
    session.send(SFTP_INIT)
    client.pump(lambda: session.closed or len(session.stdout) >= 5, "an answer of sftp")
    found["subsystem"] = (session.stdout[4:5] == b"\2", session.stdout if gated else None)
    session.close()

    first = running(client) if gated else running(client, f"printf '{RFB.decode().strip()}\\n'; exec cat")
    more = [client.open("session") for _ in range(SESSIONS)]
    found["eleventh session"] = (isinstance(more[-1], Channel), more[-1] if gated else None)
    found["signal"] = (first.request("signal", text("TERM")), None)
    if gated:
        goes_on(first)
        first.close()
    else:
        assert first.wait().signal == "TERM"
    for one in more:
        if isinstance(one, Channel):
            one.close()
    return found


def opened(found):
    return {name for name, (is_open, _) in found.items() if is_open}


ACCEPTED = {"key": "publickey", "certificate": "publickey", "password": "password",
            "keyboard-interactive": "keyboard-interactive/pam"}


def asked_by(lab, user, target, place, method="key", **how):
    visits = target.visits
    with lab.client(user, method, **how) as client:
        lab.has_logged(rf"Accepted {ACCEPTED[method]} for {user} from {HOST} port {client.source} ssh2"
                       + (": ED25519-CERT " if method == "certificate" else ""))
        found = matrix(client, target, place, user == "alice")
        if user == "alice":
            still_served(client)
            assert target.visits == visits and client.offered == []
    return found


def everything(found):
    """sshd knows agent-req since 10.3."""
    return set(found) - {"agent-req"}


@pytest.mark.parametrize("method", ACCEPTED)
def test_A35_1_A6_1_no_method_opens_more(lab, target, place, method):
    """The same answers to the same questions, however one has logged in."""
    def key(user):
        return {"key": lab.certified("-n", user)} if method == "certificate" else {}
    found = asked_by(lab, "alice", target, place, method, **key("alice"))
    assert opened(found) == set(), found
    assert found["exec"][1].status == found["shell"][1].status == 64 and found["exec"][1].stderr.startswith(b"virtgate: ")
    assert found == asked_by(lab, "alice", target, place)
    assert opened(control := asked_by(lab, "carol", target, place, method, **key("carol"))) >= everything(control), control


@pytest.mark.parametrize("method", ["key", "password"])
def test_A35_1_as_debian_has_it(target, place, method):
    """The host's sshd, with no more than the drop-in."""
    pam_sshd.set_passwords("alice")
    with Client(22, "alice", method) as client:
        assert opened(matrix(client, target, place, True)) == set()
        still_served(client)
    assert target.visits == 0


# --- sessions on one login ------------------------------------------------------------------------------------------------

def test_A17_1_sessions_on_one_login(lab):
    """The main file would allow forty."""
    for user, command in (("alice", "display cards2"), ("carol", f"printf '{RFB.decode().strip()}\\n'; exec cat")):
        with lab.client(user) as client:
            sessions = [running(client, command) for _ in range(SESSIONS)]
            more = client.open("session")
            assert isinstance(more, Channel) == (user == "carol"), more
            if user == "alice":
                goes_on(sessions[0])
                sessions[0].close()
                # sshd counts a session until it has reaped the command.
                wait_until(lambda: isinstance(client.open("session"), Channel), what="room for another")


def test_A17_1_counted_by_account(lab):
    """Not by login: what the first has open counts for the second."""
    three = "[gate]\nmax-sessions = 3\n" + vgtest.ACL.read_text()
    with vgtest.acl(three), lab.client("alice") as one, lab.client("alice") as two:
        first, *_ = running(one), running(one), running(two)
        for client in (one, two):
            mark = log_mark()
            done = client.run("display nolisten")
            assert (done.status, done.stdout) == (75, b"") and done.stderr.startswith(b"virtgate: you have 3 sessions open"), done
            refused, = records(mark, "refused ")
            assert refused["reason"] == "max-sessions"
        first.close()
        wait_until(lambda: len(vgtest.open_sessions()) == 2, what="the end of the display")
        running(two)


def test_A17_1_one_of_two_ends(lab):
    """A grant that is taken back ends the sessions that had it, on a login whose others go on."""
    with lab.client("alice") as client, vgtest.acl("[user alice]\ndisplay = cards2, nolisten\n"):
        lost, kept = running(client), running(client, "display nolisten")
        with vgtest.acl("[user alice]\ndisplay = nolisten\n"):
            done = lost.wait()
            assert (done.status, done.stderr) == (77, b"virtgate: your access to this console has ended\n"), done
            goes_on(kept)
            assert client.run("display cards2").status == 77


# --- channels and requests for which the server does not ask a client ------------------------------------------------

def test_A1_2_wherever_it_is_to_go(lab, target):
    """Each is refused by what sshd is told, before it looks whether there is something."""
    places = [(HOST, 22), ("::1", 22), ("localhost", 22), ("localhost", 16509), (HOST, target.port), ("localhost", target.port),
              ("", target.port), ("0.0.0.0", target.port), ("virtgate.invalid", 80), (HOST, 0), (HOST, 70000), (HOST, 0xffffffff)]
    with lab.client("alice") as alice, lab.client("carol") as carol:
        for host, port in places:
            answer = alice.open(*direct_tcpip(host, port))
            assert isinstance(answer, Refused) and answer.code == PROHIBITED, (host, port, answer)
        lab.has_logged("refused local port forward")
        assert target.visits == 0 and still_served(alice)
        assert carol.open(*direct_tcpip(HOST, 22)).read_until(b"SSH-2.0-")
        for host in (HOST, "localhost"):
            assert carol.open(*direct_tcpip(host, target.port)).read_until(BANNER)


class Abstract:
    """A listener whose name begins with NUL: it counts who comes."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(b"\0" + name)
        self.socket.listen()
        self.socket.setblocking(False)

    def visits(self):
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
                count += 1
        return count


def test_A2_5_path_with_nul(lab, target):
    """A listener that has no file is not met, by nobody: sshd takes no text with a NUL but at the end. There it is none: carol
    meets the socket whose path stands before it, so that the rest of the message is right."""
    name = b"virtgate-doors-" + os.urandom(4).hex().encode()
    listener = Abstract(name)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(b"\0" + name)
    assert listener.visits() == 1
    path = target.path.encode()
    with lab.client("carol") as carol:
        assert carol.open(*direct_streamlocal(path + b"\0")).read_until(BANNER)
    assert target.visits == 1
    for hostile in (b"\0" + name, b"\0" + name + b"\0", b"\0" + name + bytes(107 - len(name)), path + b"\0" + name,
                    path + b"\0", b"\0", b"@" + name):
        for user in ("alice", "carol"):
            if user == "carol" and hostile == path + b"\0":
                continue
            with lab.client(user) as client:
                answer = None
                with contextlib.suppress(Dropped):
                    answer = client.open(*direct_streamlocal(hostile))
                    if user == "alice":
                        still_served(client)
                assert answer is None or isinstance(answer, Refused), (user, hostile, answer)
    assert listener.visits() == 0 and target.visits == 1


SOCKETS = [*[f"/run/libvirt/{name}" for name in ("libvirt-sock", "libvirt-sock-ro", "virtqemud-sock", "virtqemud-sock-ro")],
           "/run/virtgate/broker.sock", "/run/dbus/system_bus_socket", "/dev/log"]


def test_A2_1_A2_2_A2_3_A2_4_sockets_of_the_host(lab):
    """sshd says the same of a socket that it will not and of one that it cannot reach; its log tells which it was."""
    display = vgtest.domain_xml("sockvm").find(".//graphics").get("socket")
    mark = log_mark()
    with lab.client("alice") as alice, lab.client("carol") as carol:
        for path in (*SOCKETS, display, "/nowhere"):
            answer = alice.open(*direct_streamlocal(path))
            assert isinstance(answer, Refused), (path, answer)
            lab.has_logged(rf"refused streamlocal port forward: .* target {re.escape(path)}\n")
        still_served(alice)
        # It is only what alice was served that the broker knows of.
        assert vgtest.settled_log(mark, "not a request of virtgate-shell|protocol broken") == []
        for path in (f"{vgtest.LIBVIRT_SOCKET}-ro", "/run/dbus/system_bus_socket"):
            assert isinstance(carol.open(*direct_streamlocal(path)), Channel)


@pytest.mark.parametrize("mode, device", pam_sshd.TUNNELS.items())
def test_A8_1_tunnel_by_a_device_of_ones_own(lab, mode, device):
    """For an ordinary account sshd cannot open any other, which would hide what its policy is."""
    if not os.path.exists(pam_sshd.TUN):
        pytest.skip(f"needs {pam_sshd.TUN}")
    for user in ("alice", "carol"):
        with pam_sshd.own_device(user, device), lab.client(user) as client:
            assert isinstance(client.open(*tunnel(mode, 7)), Channel) == (user == "carol"), client.said
            assert ("Server has rejected" in client.said) == (user == "alice")
            if user == "alice":
                still_served(client)


def test_A3_2_A4_2_listeners_anywhere(lab, place):
    broker = pathlib.Path("/run/virtgate/broker.sock")
    before = broker.stat().st_ino
    made = place / "made.sock"
    paths = [str(broker), f"{broker.parent}/../virtgate/{broker.name}", f"{place}/{'x' * 200}", str(made),
             f"{place}/./x/../made.sock", "/home/alice/made.sock", "", "relative.sock"]
    with lab.client("alice") as alice, lab.client("carol") as carol:
        for host in (HOST, "0.0.0.0", "", "localhost", "::", "::1", "*", "192.0.2.1"):
            for port in (0, 80, 5900, 5999, 70000):
                assert alice.ask("tcpip-forward", text(host) + number(port)) == (False, b""), (host, port)
        for path in paths:
            assert alice.ask("streamlocal-forward@openssh.com", text(path)) == (False, b""), path
        still_served(alice)
        assert broker.stat().st_ino == before and list(place.iterdir()) == []
        assert not pathlib.Path("/home/alice/made.sock").exists()
        granted, port = carol.ask("tcpip-forward", text(HOST) + number(0))
        assert granted and len(port) == 4
        assert carol.ask("streamlocal-forward@openssh.com", text(str(made)))[0] and made.is_socket()


KINDS = ["x11", "auth-agent@openssh.com", "auth-agent", "agent-connect", "forwarded-tcpip", "forwarded-streamlocal@openssh.com",
         "mux-control", "sftp", "bogus", "", "x" * 65536, "session ", "Session", "\xff\xfe"]


def test_A22_1_channels_of_other_kinds(lab):
    """Those that a server opens to its client, and what nobody knows. It is so for everybody: carol's show that the connection
    is one on which other channels open."""
    rest = text(HOST) + number(22) + text(HOST) + number(40000)
    with lab.client("alice") as alice, lab.client("carol") as carol:
        for client in (alice, carol):
            for kind in KINDS:
                answer = client.open(kind.encode("latin-1"), rest)
                assert isinstance(answer, Refused), (kind, answer)
            assert client.offered == []
        still_served(alice)
        assert carol.open("direct-tcpip", rest).read_until(b"SSH-2.0-")
    with lab.client("alice") as alice, pytest.raises(Dropped):
        alice.open(b"session\0x", rest)


GLOBALS = ["bogus", "", "x" * 65536, "tcpip-forward ", "TCPIP-FORWARD", "streamlocal-forward", "hostkeys-00@openssh.com",
           "keepalive@openssh.com", "exec", "shell", "session", "elevation", "elevate@openssh.com", "\xff"]


def test_A22_2_global_requests_of_other_kinds(lab):
    """Where a reply is wanted it is a failure, else there is none: the one that comes next belongs to the last question."""
    rest = text(HOST) + number(0)
    with lab.client("alice") as alice, lab.client("carol") as carol:
        for client in (alice, carol):
            for name in GLOBALS:
                assert client.ask(name.encode("latin-1"), rest, want_reply=False) is None
            assert client.ask("bogus", rest) == (False, b"")
            for name in GLOBALS:
                assert client.ask(name.encode("latin-1"), rest) == (False, b""), name
            assert client.answers == [] and client.offered == []
        still_served(alice)
        assert carol.ask("tcpip-forward", rest)[0]


def test_A21_1_proofs_of_host_keys_by_the_thousand(lab):
    """No keyword of sshd's is against them. Others are served meanwhile, and so is their client, or it is cut off."""
    blob = base64.b64decode(pathlib.Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[1])
    served, sent, proofs = threading.Event(), 0, 0
    others = []

    def log_in():
        try:
            for user, command in (("alice", "info cards2"), ("carol", "echo served")):
                with lab.client(user) as client:
                    others.append(client.run(command))
        finally:
            served.set()

    with lab.client("alice") as client:
        other = threading.Thread(target=log_in)
        try:
            while sent < 1000 or not served.is_set():
                for _ in range(50):
                    client.send(GLOBAL_REQUEST, text("hostkeys-prove-00@openssh.com"), b"\1", text(blob))
                sent += 50
                client.pump(lambda: len(client.answers) >= 50, "fifty proofs")
                proofs += sum(granted and b"ssh-ed25519" in rest for granted, rest in client.answers)
                client.answers.clear()
                if other.ident is None:
                    other.start()
            # 10.5 has a limit, earlier ones have none.
            assert 0 < proofs <= sent
            still_served(client)
        except Dropped:
            assert proofs > 0
        finally:
            if other.ident is None:
                other.start()
            other.join()
    assert [done.status for done in others] == [0, 0], others
    assert others[0].stdout.startswith(b"name     cards2\n") and others[1].stdout == b"served\n"


# --- requests on a session --------------------------------------------------------------------------------------------

X11 = {"plain": ("MIT-MAGIC-COOKIE-1", COOKIE), "protocol": ("x\nsource /etc/passwd", COOKIE),
       "cookie": ("MIT-MAGIC-COOKIE-1", "00\nsource /etc/passwd"), "quit": ("x\nquit\n", "")}


def test_A7_2_nothing_for_xauth(lab):
    """Lines for xauth in what it would be given. For carol sshd starts it, but not with these."""
    for user in ("alice", "carol"):
        for name, (protocol, cookie) in X11.items():
            lab.xauth.unlink(missing_ok=True)
            with lab.client(user) as client:
                session = client.session()
                granted = session.request("x11-req", b"\0" + text(protocol) + text(cookie) + number(0))
                assert granted == (user == "carol" and name == "plain"), (user, name)
                assert session.execute("echo display=$DISPLAY" if user == "carol" else "info cards2")
                done = session.end()
                assert done.status == 0 and (re.search(rb"display=\S", done.stdout) is not None) == granted, done
            assert lab.xauth.exists() == granted, (user, name)
            if granted:
                said = lab.xauth.read_text()
                assert f"MIT-MAGIC-COOKIE-1 {COOKIE}" in said and "source" not in said


NAMES = ["LANG", "LC_ALL", "LC_X", "LC_A=B", "LC_\nX", "", "LC_" + "N" * 65536, "LC_ALL\nLD_PRELOAD=/x", "=", "=X", "LC_*",
         "*", "LC_A ", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PATH", "BASH_ENV", "ENV", "IFS", "PS4", "PYTHONPATH",
         "PERL5OPT", "PERL5LIB", "GCONV_PATH", "LOCPATH", "NLSPATH", "GLIBC_TUNABLES", "TERMINFO", "TZ", "HOME", "TMPDIR",
         "SSH_ORIGINAL_COMMAND", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "SSH_USER_AUTH", "USER", "LOGNAME", "SHELL",
         "XDG_SEAT", "VIRTGATE_DEBUG", "VIRTGATE_ACCEPTS_NO_VARIABLE\n", "VIRTGATE_ACCEPTS_NO_VARIABLE ",
         "virtgate_accepts_no_variable"]
PLANTED = "planted-by-the-client"
SHELLSHOCK = "() { :;}; touch /tmp/hostile-shellshock"


def test_A10_1_A10_2_A10_3_A10_4_A10_5_A34_1_variables(lab):
    """Each is refused, and none is in the gate's environment. carol's are taken, and what can stand there does."""
    with lab.client("alice") as client:
        session = client.session()
        for name in NAMES:
            for value in (PLANTED, SHELLSHOCK, ""):
                assert not session.env(name, value), name
        assert session.terminal() and session.request("shell")
        session.read_until(b"virtgate> ")
        _, environ = the_gate()
        assert PLANTED.encode() not in environ and b"shellshock" not in environ and b"LC_" not in environ, environ
        answers_at_the_prompt(session)
    with lab.client("carol") as client:
        session = client.session()
        for name in ("LC_X", "LC_A=B", "LC_\nX", "", "LC_" + "N" * 65536, "PYTHONPATH", "LC_Y"):
            assert session.env(name, PLANTED), name
        assert session.execute("cat /proc/self/environ")
        found = session.end().stdout.split(b"\0")
        assert {f"{name}={PLANTED}".encode() for name in ("LC_X", "LC_\nX", "PYTHONPATH", "LC_Y")} <= set(found)
    assert not os.path.exists("/tmp/hostile-shellshock")


def test_A10_6_many_variables_and_a_long_one(lab):
    for user in ("alice", "carol"):
        with lab.client(user) as client:
            session = client.session()
            taken = sum(session.env(f"LC_V{n}", "x" * 100) for n in range(200))
            # sshd itself takes some more than a hundred.
            assert (taken == 0) if user == "alice" else 100 < taken < 200
            assert session.execute("info cards2" if user == "alice" else "echo in")
            assert session.end().status == 0
            session = client.session()
            assert session.env("LC_LONG", "x" * 200 * 1024) == (user == "carol")
            assert session.execute("info cards2" if user == "alice" else "echo in")
            # What is too long for execve(2) is no login.
            assert (session.end().status == 0) == (user == "alice")


def test_A11_1_a_request_that_is_forged(lab):
    mark = log_mark()
    with lab.client("alice") as client:
        session = client.session()
        assert not session.env("SSH_ORIGINAL_COMMAND", "console web2")
        assert session.request("shell")
        done = session.end()
        assert (done.status, done.stdout, done.stderr) == (64, b"", NO_SHELL)
    refused, = records(mark, "refused ")
    assert "web2" not in str(refused) and refused["user"] == "alice"
    with lab.client("carol") as client:
        session = client.session()
        assert session.env("SSH_ORIGINAL_COMMAND", "console web2") and session.request("shell")
        assert b"<console web2>" in session.end(b"echo \"<$SSH_ORIGINAL_COMMAND>\"\n").stdout


@pytest.mark.parametrize("name", ["", "netconf", "../x", "internal-sftp", "sftp ", "SFTP", "/usr/lib/openssh/sftp-server",
                                  "sftp\nid", "x" * 10240], ids=lambda name: ascii(name[:30]))
def test_A14_2_other_subsystems(lab, name):
    """sshd refuses what it does not know by itself, to anybody; carol gets the one that it knows (see the matrix)."""
    mark = log_mark()
    with lab.client("alice") as client:
        session = client.session()
        assert not session.request("subsystem", text(name))
        # It is still a session on which nothing has been started.
        assert session.execute("console secret")
        done = session.end()
        assert (done.status, done.stdout, done.stderr) == (77, b"", SECRET)
    assert len(records(mark, "refused ")) == 1


def test_A14_1_what_is_logged_of_sftp(lab):
    mark = log_mark()
    with lab.client("alice") as client:
        session = client.session()
        assert session.request("subsystem", text("sftp"))
        session.send(SFTP_INIT)
        done = session.wait()
        assert done.status == 64 and done.stdout == b""
    refused, = records(mark, "refused ")
    assert "sftp" in refused["command"] and refused["user"] == "alice"


NUL = {"start": b"\0console secret", "middle": b"console\0secret", "end": b"console secret\0", "two": b"console secret\0\0",
       "alone": b"\0\0", "a second command": b"info cards2\0console secret"}


@pytest.mark.parametrize("where", NUL)
def test_A16_1_nul_in_a_command(lab, place, where):
    """sshd ends the connection, and nobody runs anything. One that ends the text is as if it were not there, so that no two
    readers can see two commands in it."""
    mark, marker = log_mark(), place / "marker"
    with lab.client("alice") as client:
        session = client.session()
        if where == "end":
            assert session.execute(NUL[where])
            done = session.end()
            assert (done.status, done.stdout, done.stderr) == (77, b"", SECRET)
        else:
            with pytest.raises(Dropped):
                session.execute(NUL[where])
    with lab.client("alice") as client:
        assert client.run("console other").status == 77
    found = [record["asked"] for record in records(mark, "refused ", 2 if where == "end" else 1)]
    assert found == (["console secret"] if where == "end" else []) + ["console other"]
    with lab.client("carol") as client:
        session = client.session()
        with contextlib.suppress(Dropped):
            session.execute(re.sub(b"console|info", b"touch", NUL[where]).replace(b"secret", bytes(marker)))
            session.end()
    assert marker.exists() == (where == "end")


@pytest.mark.parametrize("size", [4095, 4096, 65535, 65536, 65537, 100000, 131059, 131072, 200000, 255000])
def test_A16_2_commands_of_any_length(lab, size):
    """What execve(2) does not take ends before the gate; the rest is refused by it, in few words."""
    mark = log_mark()
    command = "console ".ljust(size, "x")
    with lab.client("alice") as client:
        session = client.session()
        assert session.execute(command)
        done = session.end()
        assert done.status in ((64,) if size < 131000 else (1, 64)) and done.stdout == b"" and len(done.stderr) < 300, done
        still_served(client)
    assert max(len(line) for line in vgtest.settled_log(mark)) < 2500
    if done.status == 64:
        refused, = records(mark, "refused ")
        assert refused["status"] == "64"


@pytest.mark.parametrize("command", ["", " ", "\t", "\n", "  \t "], ids=ascii)
def test_A15_1_commands_of_nothing(lab, command):
    """Without a terminal no request at all; with one, the gate's own prompt or the same refusal. Never a shell."""
    typed = b"id\rexit\r"
    with lab.client("alice") as alice, lab.client("carol") as carol:
        done = alice.run(command, typed)
        assert (done.status, done.stdout) == (64, b"") and done.stderr.startswith(b"virtgate: "), done
        assert command or done.stderr == NO_SHELL
        session = alice.session()
        assert session.terminal() and session.execute(command)
        session.send(typed)
        done = session.wait()
        assert done.status == 64 and b"virtgate: " in done.stdout and b"uid=" not in done.stdout, done
        session = carol.session()
        assert session.terminal() and session.request("shell")
        session.send(typed)
        assert b"uid=" in session.wait().stdout


SECOND = {"exec": text("console secret"), "shell": b"", "subsystem": text("sftp"), "env": text("LC_X") + text("x"),
          "pty-req": text("xterm") + number(80) + number(24) + number(0) * 2 + text(b"\0"),
          "x11-req": b"\0" + text("MIT-MAGIC-COOKIE-1") + text(COOKIE) + number(0), "auth-agent-req@openssh.com": b""}


def test_A19_1_second_request_on_a_channel(lab):
    """Once something runs there, nothing else is started on it, nor changed; each is granted on a session that has nothing."""
    mark = log_mark()
    with lab.client("alice") as client:
        session = running(client)
        for name, rest in SECOND.items():
            assert not session.request(name, rest), name
            assert session.request(name, rest, want_reply=False) is None
        goes_on(session)
        session.close()
        still_served(client)
        for name in ("pty-req", "exec", "shell", "subsystem"):
            session = client.session()
            assert session.request(name, SECOND[name]), name
            session.close()
    # Of the second round only, hence one record; the shell and sftp have theirs.
    assert [record["asked"] for record in records(mark, "refused .*asked=.console secret")] == ["console secret"]
    with lab.client("carol") as client:
        for name, rest in SECOND.items():
            session = client.session()
            assert session.request(name, rest), name
            session.close()


def test_A19_1_second_request_beside_a_terminal(lab):
    with lab.client("alice") as client:
        session, _ = prompt(client)
        for name, rest in SECOND.items():
            assert not session.request(name, rest), name
        answers_at_the_prompt(session)


SIGNALS = ["ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2", "INFO@openssh.com",
           "STOP", "TSTP", "CONT", "SIGKILL", "9", "", "KILL\n"]


def test_A20_1_signals_from_the_client(lab):
    """Before a command and while it runs, with a terminal and without."""
    with lab.client("alice") as client:
        session = client.session()
        for name in SIGNALS:
            assert not session.request("signal", text(name)), name
        assert session.execute("display cards2") and session.read_until(RFB)
        pid, _ = the_gate()
        for name in SIGNALS:
            assert not session.request("signal", text(name)), name
            assert session.request("signal", text(name), want_reply=False) is None
        goes_on(session)
        assert gates() == [pid]
        session.close()
        session, _ = prompt(client)
        for name in SIGNALS:
            assert not session.request("signal", text(name)), name
        answers_at_the_prompt(session)
    with lab.client("carol") as client:
        for name in ("KILL", "TERM", "INT", "HUP", "USR1"):
            session = running(client, "echo in; exec cat", b"in\n")
            assert session.request("signal", text(name)), name
            assert session.wait().signal == name


def terminal_of(pid):
    slave = os.open(os.readlink(f"/proc/{pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)
    try:
        return termios.tcgetattr(slave)
    finally:
        os.close(slave)


def test_A20_2_break(lab):
    """Without a terminal there is nothing to break; with one, the gate sees nothing of it."""
    with lab.client("alice") as client:
        session = running(client)
        for length in (0, 500, 0xffffffff):
            assert not session.request("break", number(length))
        goes_on(session)
        session.close()
        session, _ = prompt(client)
        pid, _ = the_gate()
        before = terminal_of(pid)
        for length in (0, 500, 0xffffffff):
            assert session.request("break", number(length))
        answers_at_the_prompt(session)
        assert gates() == [pid] and terminal_of(pid) == before
        session.send(b"console cards2\r")
        session.read_until(b"connected; leave")
        assert session.request("break", number(500))
        session.send(b"\x1d")
        session.read_until(b"virtgate> ")
        assert gates() == [pid] and terminal_of(pid) == before
        session.send(b"exit\r")
        assert session.wait().status == 0


@pytest.mark.parametrize("term", ["../../../../tmp/x", "\x1b[31m", "", "x" * 10000, "%s%n", "a\nb"],
                         ids=lambda term: ascii(term[:30]))
def test_A9_1_names_of_terminals(lab, term):
    """They reach the gate, and the gate says nothing of them. That it opens no file by the name is in test_shell_process.py."""
    with lab.client("alice") as client:
        session, said = prompt(client, term)
        _, environ = the_gate()
        assert f"TERM={term}\0".encode() in environ if term else b"TERM=" not in environ
        said += answers_at_the_prompt(session)
        assert not term or term.encode() not in said
        session.send(b"exit\r")
        assert session.wait().status == 0
        assert term == "" or term.encode() not in session.stdout


SIZES = [0, 1, 2, 65535, 65536, 0x7fffffff, 0x80000000, 0xffffffff]


def test_A9_2_sizes_of_terminals(lab):
    with lab.client("alice") as client:
        for size in SIZES:
            session, _ = prompt(client, "xterm", size, size)
            pid, _ = the_gate()
            for columns, rows in ((size, 24), (80, size), (size, size)):
                assert session.request("window-change", number(columns) + number(rows) + number(size) * 2)
                answers_at_the_prompt(session)
            assert gates() == [pid]
            session.send(b"exit\r")
            assert session.wait().status == 0
            wait_until(lambda: gates() == [], what="the gate's end")


# --- what an account can put beside it --------------------------------------------------------------------------------

@contextlib.contextmanager
def own_line(user, folder, options):
    """A key that is let in by a line with these options in the user's authorized_keys."""
    account = pwd.getpwnam(user)
    before = pathlib.Path(account.pw_dir, ".ssh/authorized_keys").read_text()
    key = pam_sshd.new_key(folder / f"of-{user}")
    public = pathlib.Path(f"{key}.pub").read_text()
    with file_of(account, ".ssh/authorized_keys", f"{before}{options} {public}".rstrip() + "\n"):
        yield key


def test_A12_2_variables_of_a_key(lab, bare, place):
    """restrict does not stop these. The drop-in's PermitUserEnvironment is for everybody, hence carol's without the drop-in."""
    options = f'restrict,pty,environment="LD_BIND_NOT={PLANTED}",environment="LD_PRELOAD=/{PLANTED}"'
    with own_line("alice", place, options) as key, lab.client("alice", key=key) as client:
        session, _ = prompt(client)
        assert PLANTED.encode() not in the_gate()[1]
        answers_at_the_prompt(session)
    with own_line("carol", place, options) as key, Client(bare, "carol", key=key) as client:
        assert f"LD_BIND_NOT={PLANTED}".encode() in client.run("cat /proc/self/environ").stdout.split(b"\0")


def test_A13_2_rc_and_the_command_of_a_key(bare, place):
    """Without a forced command of sshd's own, rc is a command for the login shell: that is the gate, which has no such."""
    mark = log_mark()
    for user in ("alice", "carol"):
        marker = place / f"rc-of-{user}"
        with own_line(user, place, 'command="/bin/sh"') as key, file_of(pwd.getpwnam(user), ".ssh/rc", f"touch {marker}\n"):
            with Client(bare, user, key=key) as client:
                done = client.run("info cards2", SUMS.encode() + b"\n")
        assert marker.exists() == (user == "carol") == (SUM in done.stdout), done
        if user == "alice":
            assert (done.status, done.stdout) == (64, b"")
    rc, command = (record["command"] for record in records(mark, "refused .*user=alice", 2))
    assert rc.endswith("/.ssh/rc") and command == "/bin/sh"


def test_A32_1_keys_that_only_root_writes(place):
    """Where the file of keys is root's, a line of the user's own opens nothing."""
    folder = pathlib.Path("/etc/ssh/keys-of-users")     # sshd follows no path that others can write to
    folder.mkdir()
    for user in ("alice", "carol"):
        (folder / user).write_text(pathlib.Path("/root/.ssh/id_ed25519.pub").read_text())
    try:
        with sshd(permissive(place, f"AuthorizedKeysFile {folder}/%u\n")) as port:
            for user in ("alice", "carol"):
                with own_line(user, place, "") as key:
                    with pytest.raises(NotLetIn):
                        Client(port, user, key=key)
                    with Client(22, user, key=key) as client:       # elsewhere it does
                        assert client.session()
            with Client(port, "alice") as client:
                still_served(client)
    finally:
        for user in ("alice", "carol"):
            (folder / user).unlink()
        folder.rmdir()


def test_A33_1_another_root(place, target):
    """Set by an earlier block: no gate is found there, and nothing else either."""
    block = "Match User alice,carol\n\tChrootDirectory /srv\nMatch all\n"
    with sshd(permissive(place)) as open_port:
        with Client(open_port, "alice") as client:
            still_served(client)
    with sshd(permissive(place, block)) as port, Client(port, "alice") as client:
        done = client.run("info cards2")
        assert done.status not in (0, None) and done.stdout == b"", done
        assert isinstance(client.open(*direct_tcpip(HOST, target.port)), Refused) and target.visits == 0


@pytest.mark.parametrize("words", [["su", "-", "{user}", "-c", "id"], ["su", "{user}", "-c", "id"], ["su", "-", "{user}"],
                                   ["runuser", "-l", "{user}", "-c", "id"]], ids=" ".join)
def test_A37_1_doors_that_are_not_sshds(words):
    """Each runs the login shell, even for root."""
    for user in ("alice", "carol"):
        done = vgtest.run(*[word.format(user=user) for word in words], stdin=b"id\n")
        assert (b"uid=" in done.stdout) == (user == "carol"), done
        assert done.rc == (64 if user == "alice" else 0)


# --- certificates -------------------------------------------------------------------------------------------------------

FORCED = ["-O", "force-command=/bin/sh"]
NOTHING = ["-O", "clear"]
ALL = [*NOTHING, *[word for right in ("agent-forwarding", "port-forwarding", "pty", "user-rc", "X11-forwarding")
                   for word in ("-O", f"permit-{right}")]]
CERTIFICATES = {"force-command": FORCED, "all": ALL, "none": NOTHING, "all and force-command": [*ALL, *FORCED]}


@pytest.mark.parametrize("which", CERTIFICATES)
def test_A30_2_certificates(lab, target, place, which):
    options = CERTIFICATES[which]
    found = asked_by(lab, "alice", target, place, "certificate", key=lab.certified("-n", "alice", *options))
    # A certificate without a right to a terminal takes only that.
    assert opened(found) == set() and found["exec"][1].status == found["shell"][1].status == 64, found
    assert {name: answer for name, answer in asked_by(lab, "alice", target, place).items()} == found
    key = lab.certified("-n", "carol", *options)
    with lab.client("carol", "certificate", key=key) as client:
        session = client.session()
        assert session.terminal() == (which != "none")
        session.close()
        # What the certificate forces is run instead of what is asked for, and reads our lines.
        done = client.run("true", SUMS.encode() + b"\n")
        assert (done.stdout == SUM + b"\n") == ("force-command" in which), done
        assert isinstance(client.open(*direct_tcpip(HOST, target.port)), Refused if which == "none" else Channel)
    if which == "all":
        assert opened(control := asked_by(lab, "carol", target, place, "certificate", key=key)) >= everything(control), control


def test_A30_2_certificate_with_a_command_for_a_key_with_another(lab, target):
    """Both in the user's own authorized_keys: the gate, or no login."""
    key = lab.certified("-n", "alice", *FORCED)
    ca = (lab.folder / "ca.pub").read_text()
    account = pwd.getpwnam("alice")
    for options in ("cert-authority", 'cert-authority,command="/bin/sh"', 'cert-authority,command="/bin/bash"'):
        with file_of(account, ".ssh/authorized_keys", f"{options} {ca}"):
            for client in let_in(lab, "alice", key):
                done = client.run("true", SUMS.encode() + b"\n")
                assert done.status == 64 and done.stdout == b"" and done.stderr.startswith(b"virtgate: "), done


def let_in(lab, user, key):
    """A client where sshd takes the certificate, else none."""
    with contextlib.suppress(NotLetIn), lab.client(user, "certificate", key=key) as client:
        yield client


OTHERS = {"empty principals": [], "another user": ["-n", "bob"], "another spelling": ["-n", "ALICE"], "a pattern": ["-n", "*"],
          "a longer name": ["-n", "alice2,xalice,alice "], "root": ["-n", "root"], "no longer": ["-n", "alice", "-V", "-2h:-1h"],
          "not yet": ["-n", "alice", "-V", "+1h:+2h"], "an address": ["-n", "alice", "-O", "source-address=192.0.2.0/24"],
          "an option": ["-n", "alice", "-O", "critical:unknown@example.org=1"], "a host's": ["-n", "alice", "-h"]}


@pytest.mark.parametrize("which", OTHERS)
def test_A30_3_certificates_that_are_not_hers(lab, which):
    key = lab.certified(*OTHERS[which])
    with pytest.raises(NotLetIn):
        lab.client("alice", "certificate", key=key)
    if which == "another user":
        with lab.client("bob", "certificate", key=key) as client:
            assert b"cards2" in client.run("list").stdout
    # The same made rightly opens her login.
    with lab.client("alice", "certificate", key=lab.certified("-n", "bob,alice")) as client:
        still_served(client)


def test_A30_3_empty_principals_for_a_ca_of_her_own(lab, target, place):
    """Up to 10.2 sshd took these for anybody who names the CA in authorized_keys: it is the gate that they open."""
    key = lab.certified()
    with file_of(pwd.getpwnam("alice"), ".ssh/authorized_keys", f"cert-authority {(lab.folder / 'ca.pub').read_text()}"):
        for client in let_in(lab, "alice", key):
            assert opened(matrix(client, target, place, True)) == set()
            still_served(client)
        with lab.client("alice", "certificate", key=lab.certified("-n", "alice")) as client:
            still_served(client)

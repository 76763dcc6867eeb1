# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a gate user's login can do when pam_virtgate.so is all that stands in the way: a second sshd permits everything, and the
login shell is bash or a program that tries things (attempts.c). carol, who is not under the gate, does the same at the same
sshd, where it must work, or the attempt shows nothing. Layer pam of tests/attacks/attacks.tsv."""
import contextlib
import ctypes
import errno
import os
import pathlib
import platform
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time

import pytest

import pam_sshd
import vgtest
from pam_sshd import LOGINS, TUN, Way, no_records, pam, record, stack
from test_sshd_doors import BANNER, Target, fetch, free_port, listeners, stays_open, until
from vgtest import LIBVIRT_SOCKET, log_mark, wait_for_log, wait_until

WHY = pam_sshd.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))

REQUIRED = "[gate]\nconfined = required\n"
OPTIONAL = "[gate]\nconfined = optional\n"
GRANT = "[user alice]\ndisplay = cards2\nserial = cards2\n"
SHELL = "/usr/local/bin/attempts"
BASH = "/bin/bash"
SIGSYS = 200 + 31
CLONE_NEWNET = 0x40000000
HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def way():
    with pam_sshd.server() as port:
        yield Way(port)


@pytest.fixture(scope="module")
def shells():
    pam_sshd.compile_c(HERE / "attempts.c", SHELL)
    for user in ("alice", "carol"):
        pathlib.Path("/run/user", str(pwd.getpwnam(user).pw_uid)).mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def set_up(way):
    with vgtest.acl(REQUIRED + GRANT), pam(stack()):
        yield
        wait_until(no_records, what="the end of all logins")


@pytest.fixture
def target():
    with tempfile.TemporaryDirectory(prefix="pam-", dir="/tmp") as folder:
        os.chmod(folder, 0o1777)
        target = Target(folder)
        yield target
        target.close()


@pytest.fixture
def bash():
    with pam_sshd.login_shell("alice", BASH):
        yield


# --- what a program can do -----------------------------------------------------------------------------------------

class Attempts:
    """attempt -> errno, as alice and as carol."""

    def __init__(self, way):
        self.way = way

    def __call__(self, user, *attempts):
        with pam_sshd.login_shell(user, SHELL):
            result = self.way.run(user, " ".join(attempts))
        assert result.rc == 0, result
        found = dict(line.rsplit(" ", 1) for line in result.stdout.decode().splitlines())
        assert list(found) == [a if "=" in a else a + "=" for a in attempts], result
        return {attempt.rstrip("="): int(said) for attempt, said in found.items()}


@pytest.fixture
def tried(way, shells):
    return Attempts(way)


def expect(tried, rows):
    """Rows are attempt, what alice meets, what carol meets (None: anything else)."""
    attempts = [row[0] for row in rows]
    alice, carol = tried("alice", *attempts), tried("carol", *(a.replace("/home/alice", "/home/carol") for a in attempts))
    wrong = []
    for attempt, refused, open_ in rows:
        met, control = alice[attempt], carol[attempt.replace("/home/alice", "/home/carol")]
        if met != refused or (control == refused if open_ is None else control != open_):
            wrong.append(f"{attempt}: alice {met}, not {refused}; carol {control}, not {open_}")
    assert not wrong, "\n".join(wrong)


NO_FAMILY, DENIED, NOT_PERMITTED, GONE = errno.EAFNOSUPPORT, errno.EACCES, errno.EPERM, errno.ENOENT


def test_E9_2_no_network(tried, target):
    port = target.port
    expect(tried, [(f"tcp={port}", NO_FAMILY, 0), (f"tcp6={port}", NO_FAMILY, None), (f"mptcp={port}", NO_FAMILY, None),
                   (f"fastopen={port}", NO_FAMILY, 0), (f"mptcp_fastopen={port}", NO_FAMILY, None), (f"udp={port}", NO_FAMILY, 0),
                   (f"udp6={port}", NO_FAMILY, None), ("listens=0", NO_FAMILY, 0), ("vsock", NO_FAMILY, None),
                   ("netlink", NO_FAMILY, 0), ("tcp_odd", NO_FAMILY, 0), ("stream_odd", DENIED, 0), (f"pair={socket.AF_UNIX}", 0, 0),
                   (f"pair={socket.AF_INET}", NO_FAMILY, errno.EOPNOTSUPP)])
    assert target.visits > 0


def test_E9_2_no_display_port(tried):
    """That of a machine which listens on the loopback."""
    port = vgtest.domain_xml("cards2").find("devices/graphics").get("port")
    expect(tried, [(f"tcp={port}", NO_FAMILY, 0), (f"mptcp={port}", NO_FAMILY, None), (f"fastopen={port}", NO_FAMILY, 0)])


@contextlib.contextmanager
def abstract(kind, name):
    with socket.socket(socket.AF_UNIX, kind) as listener:
        listener.bind("\0" + name)
        listener.listen()
        yield


def test_E9_1_no_socket_but_the_gates(tried, target):
    uid = pwd.getpwnam("alice").pw_uid
    qemu = next(pathlib.Path("/var/lib/libvirt/qemu").glob("domain-*/monitor.sock"))
    with abstract(socket.SOCK_SEQPACKET, "vg-abstract"), abstract(socket.SOCK_STREAM, "vg-stream"):
        expect(tried, [(f"stream={LIBVIRT_SOCKET}-ro", DENIED, 0), (f"looks={LIBVIRT_SOCKET}-ro", GONE, 0),
                       (f"looks={LIBVIRT_SOCKET}", GONE, 0), ("stream=/run/dbus/system_bus_socket", DENIED, 0),
                       ("looks=/run/dbus", GONE, 0), ("looks=/run/systemd", GONE, 0), (f"looks=/run/user/{uid}", GONE, 0),
                       ("looks=/var/run/libvirt", GONE, 0), (f"stream={target.path}", DENIED, 0),
                       ("stream=/dev/log", DENIED, None), (f"looks={qemu}", GONE, DENIED),
                       ("abstract_seqpacket=vg-abstract", errno.ECONNREFUSED, 0), ("abstract_stream=vg-stream", DENIED, 0),
                       ("makes_socket=/home/alice/made.sock", DENIED, 0), ("makes_socket=/tmp/made.sock", DENIED, None),
                       ("looks=/run/virtgate/broker.sock", 0, 0), ("seqpacket=/run/virtgate/broker.sock", 0, DENIED),
                       ("datagram=/dev/log", 0, 0)])
    for made in ("/home/carol/made.sock", "/tmp/made.sock"):
        os.unlink(made)


def test_the_log_is_left_where_journald_has_it(tried):
    """Below /run, which is taken away: sshd's process for the user logs what it refuses."""
    log, aside, journald = pathlib.Path("/dev/log"), pathlib.Path("/dev/log.aside"), pathlib.Path("/run/systemd/journal/dev-log")
    # It reads: after ten records that nobody reads whoever logs one more waits, usermod too.
    reader = subprocess.Popen(["/usr/bin/python3", "-IS", vgtest.LIB / "syslog.py", "/var/log/journald.log", journald])
    try:
        wait_until(lambda: journald.exists() and journald.stat().st_mode & 0o666 == 0o666, what="a journald")
        log.rename(aside)
        log.symlink_to(journald)
        try:
            expect(tried, [("datagram=/dev/log", 0, 0), (f"datagram={journald}", 0, 0), ("looks=/run/systemd/journal/syslog", GONE, 0),
                           ("seqpacket=/run/virtgate/broker.sock", 0, DENIED), ("looks=/run/libvirt", GONE, 0)])
        finally:
            log.unlink()
            aside.rename(log)
    finally:
        reader.kill()
        reader.wait()
        journald.unlink(missing_ok=True)


def test_E9_3_no_file(tried):
    for user in ("alice", "carol"):
        theirs = pathlib.Path(f"/home/{user}/theirs")
        theirs.write_text("twelve bytes")
        os.chown(theirs, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    expect(tried, [("reads=/home/alice/.bashrc", DENIED, 0), ("writes=/home/alice/.bashrc", DENIED, 0),
                   ("lists=/home/alice", DENIED, 0), ("creates=/home/alice/made", DENIED, 0), ("folder=/home/alice/made.d", DENIED, 0),
                   ("chmods=/home/alice/theirs", NOT_PERMITTED, 0), ("chmods_at=/home/alice/theirs", NOT_PERMITTED, 0),
                   ("chowns=/home/alice/theirs", NOT_PERMITTED, 0), ("touches=/home/alice/theirs", NOT_PERMITTED, 0),
                   ("marks=/home/alice/theirs", NOT_PERMITTED, None), ("cuts=/home/alice/theirs", NOT_PERMITTED, 0),
                   ("chmods_new=/home/alice/theirs", NOT_PERMITTED, None), ("links=/home/alice/made.link", DENIED, 0), ("lists=/tmp", DENIED, 0), ("creates=/tmp/made", DENIED, None),
                   ("reads=/usr/bin/ls", DENIED, 0), ("lists=/", DENIED, 0), ("lists=/run", DENIED, 0), ("lists=/var/log", DENIED, 0),
                   ("reads=/etc/shadow", DENIED, DENIED), ("reads=/proc/1/environ", GONE, DENIED), ("enters=/root", DENIED, DENIED),
                   ("unmounts=/run", NOT_PERMITTED, NOT_PERMITTED),
                   # What Landlock does not cover tells no content.
                   ("looks=/etc/shadow", 0, 0), ("reads=/etc/passwd", 0, 0), ("writes=/dev/null", 0, 0), ("writes=/dev/tty", errno.ENXIO, errno.ENXIO)])
    assert pathlib.Path("/home/alice/theirs").read_text() == "twelve bytes"
    for user in ("alice", "carol"):
        pathlib.Path(f"/home/{user}/theirs").unlink()
    for made in [*pathlib.Path("/home/carol").glob("made*"), *pathlib.Path("/tmp").glob("made")]:
        made.rmdir() if made.is_dir() and not made.is_symlink() else made.unlink()


def test_E9_5_no_device_but_terminals(tried):
    """Other devices and memory in /dev, to which every account may write on an ordinary host."""
    memory, program = pathlib.Path("/dev/shm/vg-memory"), pathlib.Path("/dev/shm/vg-program")
    memory.touch()
    memory.chmod(0o666)
    shutil.copy("/bin/ls", program)
    rows = [(f"reads={memory}", DENIED, 0), (f"writes={memory}", DENIED, 0), (f"runs={program}", DENIED, 0),
            (f"by_loader={program}", 127, 0), ("lists=/dev", DENIED, 0), ("lists=/dev/shm", DENIED, 0), ("creates=/dev/shm/made", DENIED, 0),
            ("reads=/dev/urandom", 0, 0), ("reads=/dev/zero", 0, 0), ("writes=/dev/full", 0, 0)]
    if os.path.exists(TUN):
        rows.append((f"writes={TUN}", DENIED, 0))
    try:
        expect(tried, rows)
    finally:
        for path in (memory, program, pathlib.Path("/dev/shm/made")):
            path.unlink(missing_ok=True)


def test_F13_1_no_word_of_others_machines(tried):
    """A process's command line, a log and the names of sockets are open to everybody on an ordinary host; where a folder cannot
    be listed, a name that is guessed tells enough."""
    qemu = vgtest.processes("qemu-system-x86_64")[0]
    log = next(pathlib.Path("/var/log/libvirt/qemu").glob("*.log"))
    expect(tried, [(f"reads=/proc/{qemu}/cmdline", GONE, 0), (f"looks=/proc/{qemu}", GONE, 0), ("looks=/proc/1", GONE, 0),
                   (f"reads={log}", GONE, DENIED), (f"looks={log}", GONE, 0), (f"lists={log.parent}", GONE, 0),
                   ("names_libvirt=/proc/net/unix", GONE, 0), ("names_libvirt=/proc/self/net/unix", GONE, 0),
                   ("looks=/var/lib/libvirt/images", GONE, 0), ("looks=/etc/libvirt/libvirtd.conf", GONE, 0),
                   ("looks=/sys/class/net", GONE, 0), ("reads=/proc/self/cmdline", 0, 0)])


PROGRAMS = ["/bin/ls", "/bin/sh", "/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd", "/usr/bin/systemd-run", "/usr/bin/busctl",
            "/usr/bin/at", "/usr/bin/crontab", "/usr/bin/dbus-send", "/usr/bin/virsh", "/usr/bin/python3", "/usr/bin/ssh",
            "/usr/lib/openssh/sftp-server"]


def test_E6_1_E26_1_no_program(tried):
    """None by its name, none by the loader, none from memory."""
    there = [path for path in PROGRAMS if os.path.exists(path)]
    expect(tried, [(f"runs={path}", DENIED, None) for path in there]
           + [("by_loader=/bin/ls", 127, 0), ("by_loader=/usr/bin/python3", 127, 0), ("from_memory=/bin/ls", NOT_PERMITTED, 0)])


def test_E9_3_no_way_past_the_filter(tried):
    """Another process of the account's, which is not confined, is out of reach."""
    rows = [("io_uring", NOT_PERMITTED, 0), ("user_namespace", NOT_PERMITTED, 0), ("clone_namespace", NOT_PERMITTED, 0),
            ("clone3_namespace", errno.ENOSYS, 0), ("keys", NOT_PERMITTED, None)]
    if platform.machine() == "x86_64":
        rows += [("i386", SIGSYS, 0), ("x32", SIGSYS, None)]
    expect(tried, rows)
    for user, open_ in (("alice", False), ("carol", True)):
        account = pwd.getpwnam(user)
        other = subprocess.Popen(["sleep", "60"], user=account.pw_uid, group=account.pw_gid)
        found = tried(user, f"traces={other.pid}", f"peeks={other.pid}", f"signals={other.pid}")
        other.kill()
        other.wait()
        assert set(found.values()) == ({0} if open_ else {NOT_PERMITTED}), (user, found)


# --- what sshd can do for it ---------------------------------------------------------------------------------------

def test_stdio_forward(way, bash, target):
    assert way.run("carol", options=["-W", f"127.0.0.1:{target.port}"]).stdout == BANNER
    result = way.run("alice", options=["-W", f"127.0.0.1:{target.port}"])
    assert result.rc != 0 and result.stdout == b"" and target.visits == 1


@pytest.mark.parametrize("to", ["{port}", "{path}"])
def test_local_forward(way, bash, target, to):
    for user, wanted in (("carol", BANNER), ("alice", b"")):
        port = free_port()
        to_here = to.format(port=f"127.0.0.1:{target.port}", path=target.path)
        with way.running(user, options=["-N", "-L", f"127.0.0.1:{port}:{to_here}"]):
            assert until(lambda: f"127.0.0.1:{port}" in listeners())
            assert fetch(port) == wanted
    assert target.visits == 1


@pytest.mark.parametrize("path", [f"{LIBVIRT_SOCKET}-ro", "/run/dbus/system_bus_socket", "/run/virtgate/broker.sock"])
def test_local_forward_to_sockets_of_the_host(way, bash, path):
    for user, wanted in (("carol", "virtgate" not in path), ("alice", False)):
        port = free_port()
        with way.running(user, options=["-N", "-L", f"127.0.0.1:{port}:{path}"]):
            assert until(lambda: f"127.0.0.1:{port}" in listeners())
            assert stays_open(port) == wanted


def test_dynamic_forward(way, bash, target):
    for user, wanted in (("carol", BANNER), ("alice", b"")):
        port = free_port()
        with way.running(user, options=["-N", "-D", f"127.0.0.1:{port}"]):
            assert until(lambda: f"127.0.0.1:{port}" in listeners())
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                answer = b""
                with contextlib.suppress(OSError):
                    s.settimeout(5)
                    s.sendall(b"\5\1\0")
                    assert s.recv(2) == b"\5\0"
                    s.sendall(b"\5\1\0\1" + socket.inet_aton("127.0.0.1") + target.port.to_bytes(2, "big"))
                    while len(answer) < 10 + len(BANNER) and (piece := s.recv(1024)):
                        answer += piece
        assert answer[10:] == wanted


def test_remote_forward(way, bash, target):
    for user, wanted in (("carol", True), ("alice", False)):
        port = free_port()
        with way.running(user, options=["-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:{target.port}"]) as ssh:
            if wanted:
                assert until(lambda: any(entry.endswith(f":{port}") for entry in listeners()))
            else:
                assert ssh.wait(20) != 0
                assert not any(entry.endswith(f":{port}") for entry in listeners())


def test_remote_forward_of_a_socket(way, bash, target):
    made = f"{os.path.dirname(target.path)}/made.sock"
    for user, wanted in (("carol", True), ("alice", False)):
        with way.running(user, options=["-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{made}:127.0.0.1:{target.port}"]) as ssh:
            if wanted:
                assert until(lambda: os.path.exists(made))
            else:
                assert ssh.wait(20) != 0 and not os.path.exists(made)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)


@pytest.mark.parametrize("mode, device", pam_sshd.TUNNELS.items())
def test_E9_4_tunnel(way, bash, mode, device):
    """By a device of the account's own only the lock is left. Its carrier is there while somebody has it open."""
    if not os.path.exists(TUN):
        pytest.skip(f"needs {TUN}")

    def has_carrier():
        return "LOWER_UP" in vgtest.run("ip", "-o", "link", "show", device).stdout.decode()

    for user, wanted in (("carol", True), ("alice", False)):
        with pam_sshd.own_device(user, device):
            with way.running(user, options=["-N", "-o", f"Tunnel={mode}", "-w", "any:7", "-o", "ExitOnForwardFailure=yes"]) as ssh:
                if wanted:
                    wait_until(has_carrier, what=f"{user}'s tunnel")
                else:
                    assert ssh.wait(20) != 0 and b"unnel" in ssh.stderr.read() and not has_carrier()


@pytest.mark.parametrize("option", ["-X", "-Y"])
def test_x11(way, bash, option):
    if not shutil.which("xauth"):
        pytest.skip("needs xauth")
    before = listeners()
    for user, wanted in (("carol", True), ("alice", False)):
        screen = Way(way.port)
        screen.env["DISPLAY"] = ":99"
        with screen.running(user, 'echo "display:$DISPLAY"; read line', options=["-T", option]) as ssh:
            said = vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno()).read_until(b"display:.*\n")
            assert (b":10.0" in said) == wanted and bool(listeners() - before) == wanted, said


def test_one_connection_for_many(tried, target, place):
    """Commands and forwardings that come later on a connection are of the same process: it was confined before the first."""
    control = place / "control"
    attempts = [f"tcp={target.port}", f"stream={LIBVIRT_SOCKET}-ro", "runs=/bin/ls", "descriptors"]
    for user, wanted in (("carol", ["0", "0", "0", "0"]), ("alice", [str(NO_FAMILY), str(DENIED), str(DENIED), "0"])):
        master = ["-o", f"ControlPath={control}"]
        with pam_sshd.login_shell(user, SHELL), tried.way.running(user, options=["-M", "-N", *master]) as ssh:
            wait_until(control.exists, what="a connection")
            for _ in range(3):
                result = tried.way.run(user, " ".join(attempts), options=["-T", *master])
                assert [line.rsplit(" ", 1)[1] for line in result.stdout.decode().splitlines()] == wanted, result
            visits, port = target.visits, free_port()
            forward = ["-O", "forward", "-L", f"127.0.0.1:{port}:127.0.0.1:{target.port}", *master]
            assert tried.way.run(user, options=forward).rc == 0
            assert fetch(port) == (BANNER if user == "carol" else b"") and target.visits == visits + (user == "carol")
            ssh.terminate()
            ssh.wait(20)


def test_agent(way, bash):
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", "/run/vg-agent"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists("/run/vg-agent"))
        for user, wanted in (("carol", True), ("alice", False)):
            agents = Way(way.port)
            agents.env["SSH_AUTH_SOCK"] = "/run/vg-agent"
            said = agents.run(user, 'echo "agent:$SSH_AUTH_SOCK"', options=["-T", "-A"]).stdout
            assert (b"agent:/" in said) == wanted, said
    finally:
        agent.kill()
        agent.wait()
        os.unlink("/run/vg-agent")


# --- what lies in the home folder ------------------------------------------------------------------------------------

PRELOAD = """
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void)
{
    const char *where = getenv("VG_MARK");
    if (where && access("/proc/self/exe", X_OK) == 0)
        close(open(where, O_CREAT | O_WRONLY, 0666));
}
"""


@contextlib.contextmanager
def hostile_home(user, marks):
    """Every file by which a home folder gets something run at a login; what ran leaves a file in marks."""
    account = pwd.getpwnam(user)
    home = pathlib.Path(account.pw_dir)
    (marks / "preload.c").write_text(PRELOAD)
    library = home / "preload.so"
    pam_sshd.compile_c(marks / "preload.c", library, "-shared", "-fPIC")
    files = {".bashrc": f": > {marks}/bashrc\n", ".bash_profile": f": > {marks}/profile\n", ".bash_env": f": > {marks}/bash_env\n",
             ".ssh/rc": f": > {marks}/rc\n",
             ".ssh/environment": f"LD_PRELOAD={library}\nVG_MARK={marks}/environment\nBASH_ENV={home}/.bash_env\n",
             ".pam_environment": f"LD_PRELOAD={library}\nVG_MARK={marks}/pam_environment\nXDG_SEAT=seat0\nXDG_VTNR=1\n"}
    before = {name: (home / name).read_bytes() if (home / name).exists() else None for name in files}
    for name, text in files.items():
        (home / name).write_text(text)
        os.chown(home / name, account.pw_uid, account.pw_gid)
    try:
        yield
    finally:
        library.unlink()
        for name, data in before.items():
            (home / name).write_bytes(data) if data is not None else (home / name).unlink()


@pytest.mark.parametrize("shell", [BASH, "/bin/sh", "/usr/bin/virtgate-shell"])
def test_B7_1_B7_2_nothing_of_a_hostile_home_runs(way, place, shell):
    with hostile_home("carol", place):
        assert way.run("carol", "true").rc == 0
        assert way.run("carol", "exit", options=["-tt"]).rc == 0
    ran = {path.name for path in place.iterdir()} - {"preload.c"}
    assert {"bashrc", "rc", "pam_environment"} <= ran, ran
    for name in ran:
        (place / name).unlink()
    with hostile_home("alice", place), pam_sshd.login_shell("alice", shell):
        for words, options in ((["info", "cards2"] if shell.startswith("/usr") else ["virtgate-shell -c 'info cards2'"], ["-T"]),
                               (["exit"], ["-tt"]), ([], ["-tt"])):
            result = way.run("alice", *words, options=options, stdin=b"exit\n")
            if options == ["-T"]:
                assert b"name     cards2" in result.stdout, result
        assert not {path.name for path in place.iterdir()} - {"preload.c"}
        # With a seat named, polkit would take her for somebody who sits at the machine; she does not reach it.
        assert b"refused" in way.run("alice", "echo > /dev/tcp/127.0.0.1/22 || echo refused").stdout if shell == BASH else True


@pytest.mark.parametrize("user", ["carol", "alice"])
def test_nothing_that_the_client_says_is_loaded(way, place, user):
    """sshd takes every variable here, and the key's options have more."""
    keys = pathlib.Path(f"/home/{user}/.ssh/authorized_keys")
    before = keys.read_text()
    library, mark = f"/home/{user}/preload.so", place / "said"
    command = "virtgate-shell -c version; true"
    with hostile_home(user, place), pam_sshd.login_shell(user, BASH):
        for name in (".ssh/rc", ".ssh/environment", ".pam_environment", ".bashrc"):
            pathlib.Path(f"/home/{user}", name).write_text("")
        said = way.run(user, command, options=["-T", "-o", f"SetEnv=LD_PRELOAD={library} VG_MARK={mark}1"])
        try:
            keys.write_text(f'environment="LD_PRELOAD={library}",environment="VG_MARK={mark}2" {before}')
            of_the_key = way.run(user, command)
        finally:
            keys.write_text(before)
    assert said.rc == of_the_key.rc == 0
    ran = {path.name for path in place.iterdir()} - {"preload.c"}
    assert ran == ({"said1", "said2"} if user == "carol" else set()), (said, of_the_key)


def test_bash_has_nothing_but_itself(way, bash):
    result = way.run("alice", "ls; cat /etc/passwd; exec 3<>/dev/tcp/127.0.0.1/22; exec 4<>/dev/udp/127.0.0.1/53; echo x > ~/made; "
                     "source ~/.bashrc; enable -f ~/x.so x; echo still here; virtgate-shell -c 'info cards2'")
    assert result.stdout.startswith(b"still here\nname     cards2"), result
    assert result.stderr.count(b"Permission denied") >= 4 and b"x:0:0" not in result.stdout
    assert not pathlib.Path("/home/alice/made").exists()


# --- what still works -------------------------------------------------------------------------------------------------

def test_the_gate_works(way):
    with way.running("alice", "display", "cards2") as ssh:
        vgtest.Rfb(vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno()))
    with way.running("alice", "console", "cards2", options=["-tt"]) as ssh:
        talk = vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno())
        assert vgtest.ask_greeting(talk, "cards2")
    with way.running("alice", options=["-tt"]) as ssh:
        talk = vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno())
        talk.write(b"list\r")
        talk.read_until(b"cards2 ")
    folder = pathlib.Path("/run/vg-virsh")
    folder.write_text("#!/bin/sh\nexec ssh -T " + " ".join(pam_sshd.BASE) + f' -o BatchMode=yes -p {way.port} "$@"\n')
    folder.chmod(0o755)
    result = vgtest.run("virsh", "-q", "-c", f"qemu+ssh://alice@127.0.0.1/system?command={folder}&proxy=native", "list", "--name")
    assert result.stdout.split() == [b"cards2"], result
    folder.unlink()


def test_long_streams_change_their_keys(way):
    """sshd's process for the user does that by itself, with its monitor: nothing that it needs is gone."""
    with way.running("alice", "display", "cards2", options=["-T", "-o", "RekeyLimit=64K"]) as ssh:
        viewer = vgtest.Rfb(vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno()))
        for _ in range(3):
            assert not vgtest.is_blank(viewer.picture())    # a megabyte each


def test_sftp_within_sshd(place):
    """internal-sftp runs no program: it is confined as sshd's process is."""
    with pam_sshd.server("Match User alice,carol\nForceCommand internal-sftp\nMatch all\n") as port:
        for user, wanted in (("carol", True), ("alice", False)):
            batch = f"get .bashrc {place}/got-{user}\nput {place}/mine made\n".encode()
            (place / "mine").write_text("x")
            way = Way(port)
            for line in batch.splitlines():
                vgtest.run("sftp", "-b", "-", *way.options, *pam_sshd.BASE, "-P", port, f"{user}@127.0.0.1", stdin=line + b"\n")
            assert (place / f"got-{user}").exists() == wanted
            made = pathlib.Path(pwd.getpwnam(user).pw_dir, "made")
            assert made.exists() == wanted
            made.unlink(missing_ok=True)


def test_the_shipped_whole():
    """The lines as pam_virtgate(8) has them, for sshd by its own name, beside the drop-in."""
    before = pam_sshd.STOCK.read_text()
    pam_sshd.STOCK.write_text(stack().replace(f" services={pam_sshd.SERVICE}", ""))
    try:
        assert vgtest.ssh("alice", "info", "cards2").stdout.startswith(b"name     cards2")
        assert vgtest.ssh("mallory", "list").rc == 255
        assert vgtest.ssh("carol", "ls /run/libvirt").stdout != b""
    finally:
        pam_sshd.STOCK.write_text(before)
    assert vgtest.ssh("alice", "info", "cards2").rc == 77


# --- sshd's monitor ---------------------------------------------------------------------------------------------------

def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def picture(pid):
    """All of a process that a module could have changed and left."""
    fds = sorted(re.sub(r"\d+", "N", os.readlink(entry)) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    said = status(pid)
    keys = ["Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
            "NoNewPrivs", "Seccomp", "Seccomp_filters"]
    return {**{key: said.get(key) for key in keys}, "fds": fds, "cwd": os.readlink(f"/proc/{pid}/cwd"),
            "root": os.readlink(f"/proc/{pid}/root"),
            "namespaces": {name: os.readlink(f"/proc/{pid}/ns/{name}") for name in os.listdir(f"/proc/{pid}/ns")},
            "limits": pathlib.Path(f"/proc/{pid}/limits").read_text()}


def monitor_of(way):
    """The process of the listening sshd that serves the only login there is."""
    listener = next(pid for pid in vgtest.processes("sshd") if children(pid) and f"Port={way.port}" in
                    pathlib.Path(f"/proc/{pid}/cmdline").read_text())
    found, = children(listener)
    return found


@contextlib.contextmanager
def long_login(way, user="alice"):
    """A login whose shell waits; sshd's monitor, and its process for the user."""
    with way.running(user, "echo in; read line", options=["-tt"]) as ssh:
        vgtest.Stream(ssh.stdout.fileno(), ssh.stdin.fileno()).read_until(b"in\r\n")
        monitor = monitor_of(way)
        user_process, = children(monitor)
        yield monitor, user_process
        ssh.stdin.write(b"\n")
        ssh.wait(20)


def test_E5_1_E24_1_the_monitor_stays_as_it_was(way, bash):
    with pam(stack(auth=None, account=None, session=None)), long_login(way) as (monitor, _):
        wanted = picture(monitor)
    with long_login(way) as (monitor, user_process):
        found, user = picture(monitor), picture(user_process)
        shell, = children(user_process)
        for pid in (user_process, shell):
            assert (status(pid)["NoNewPrivs"], status(pid)["Seccomp"]) == ("1", "2")
            assert status(pid)["CapEff"] == "0000000000000000"
        assert re.search(r"Max core file size +0 +0", picture(shell)["limits"])
    assert found == wanted
    assert {name for name in found["namespaces"] if found["namespaces"][name] != user["namespaces"][name]} == {"mnt", "net"}
    assert found["namespaces"]["mnt"] == os.readlink("/proc/self/ns/mnt")


def test_nothing_is_left_in_the_users_process(way, bash):
    """Descriptors, handlers of signals, umask, folder: as without the module, but for what confines it."""
    with pam(stack(auth=None, account=None, session=None)), long_login(way) as (_, user_process):
        wanted = picture(user_process)
        shell_wanted = picture(children(user_process)[0])
    with long_login(way) as (_, user_process):
        found = picture(user_process)
        shell_found = picture(children(user_process)[0])
    for before, after in ((wanted, found), (shell_wanted, shell_found)):
        for text in (before, after):
            text["limits"] = re.sub(r"(?m)^Max core file size.*", "", text["limits"])
            for name in ("namespaces", "NoNewPrivs", "Seccomp", "Seccomp_filters"):
                del text[name]
        assert after == before


def test_E3_1_the_account_stage_changes_nothing(way, place):
    """Seen by a line below ours in that stage."""
    script = place / "look"
    script.write_text(f"#!/bin/sh\ncp /proc/$PPID/status {place}/status\nreadlink /proc/$PPID/ns/mnt > {place}/mnt\n")
    script.chmod(0o755)
    with pam(stack(account=f"account required {{}}\naccount required pam_exec.so {script}")):
        assert way.run("alice", "version").rc == 0
    said = (place / "status").read_text()
    assert "NoNewPrivs:\t0" in said and "Seccomp:\t0" in said
    assert (place / "mnt").read_text().strip() == os.readlink("/proc/self/ns/mnt")


def test_E8_1_mounts_do_not_come_out(way, bash):
    here = pathlib.Path("/proc/self/mountinfo").read_text()
    later = pathlib.Path("/run/mount-later")
    outside = pathlib.Path("/srv/mount-later")
    with long_login(way) as (_, user_process):
        inside = pathlib.Path(f"/proc/{user_process}/mountinfo").read_text()
        assert " /run " in inside and "virtgate" in inside
        assert pathlib.Path("/proc/1/mountinfo").read_text() == pathlib.Path("/proc/self/mountinfo").read_text() == here
        # The host's later mounts go in, or a session would keep a disk busy; never over what was taken away.
        subprocess.run(["mount", "--make-rshared", "/"], check=True)
        namespace = os.readlink(f"/proc/{user_process}/ns/mnt")
    with long_login(way) as (_, user_process):
        for path in (later, outside):
            path.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "later", path], check=True)
        inside = pathlib.Path(f"/proc/{user_process}/mountinfo").read_text()
        root = pathlib.Path(f"/proc/{user_process}/root")
        assert str(outside) in inside and not (root / "run/mount-later").exists() and not (root / "run/libvirt").exists()
        for path in (later, outside):
            subprocess.run(["umount", path], check=True)
            path.rmdir()
        assert str(outside) not in pathlib.Path(f"/proc/{user_process}/mountinfo").read_text()
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    wait_until(lambda: namespace not in namespaces(), what="the namespace's end")


def namespaces():
    found = set()
    for entry in pathlib.Path("/proc").glob("[0-9]*/ns/mnt"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry))
    return found


def test_E4_1_what_the_monitor_does_at_the_end(way, bash, place):
    """wtmp, lastlog, the terminal, and the close_session of other modules above and below."""
    wtmp, lastlog = pathlib.Path("/var/log/wtmp"), pathlib.Path("/var/log/lastlog")
    for path in (wtmp, lastlog, pathlib.Path("/run/utmp")):
        path.touch()
    uid = pwd.getpwnam("alice").pw_uid
    size = wtmp.stat().st_size
    wtmpdb = None
    if b"libwtmpdb" in vgtest.run("ldd", "/usr/lib/openssh/sshd-session").stdout:
        wtmpdb = pathlib.Path("/var/lib/wtmpdb/wtmp.db")
        wtmpdb.parent.mkdir(exist_ok=True)
    other = f"session required pam_exec.so type=close_session /usr/bin/touch {place}/"
    with pam(stack(session=f"{other}above\nsession required {{}}\n{other}below")):
        with long_login(way) as (_, user_process):
            terminal = next(os.readlink(entry) for entry in pathlib.Path(f"/proc/{children(user_process)[0]}/fd").iterdir())
            assert terminal.startswith("/dev/pts/") and os.stat(terminal).st_uid == uid
    wait_until(lambda: not os.path.exists(terminal), what="the terminal's release")
    wait_until(lambda: (place / "above").exists() and (place / "below").exists(), what="close_session of other modules")
    grown = wtmp.read_bytes()[size:]
    assert len(grown) == 2 * 384 and b"alice" in grown and terminal.removeprefix("/dev/").encode() in grown
    with lastlog.open("rb") as file:
        file.seek(uid * 292)
        assert b"127.0.0.1" in file.read(292)
    if wtmpdb:
        with contextlib.closing(sqlite3.connect(wtmpdb)) as database:
            wait_until(lambda: database.execute("SELECT Logout FROM wtmp WHERE User = 'alice' AND TTY = ? AND Logout >= Login",
                                                [terminal.removeprefix("/dev/")]).fetchall(), what="the logout in wtmpdb")


# --- kernels that lack something -----------------------------------------------------------------------------------------

LACKS = {
    "landlock": ({pam_sshd.LANDLOCK_CREATE_RULESET: errno.ENOSYS}, "Landlock rules"),
    "landlock switched off": ({pam_sshd.LANDLOCK_CREATE_RULESET: errno.EOPNOTSUPP}, "Landlock rules"),
    "mount namespaces": ({("unshare", None): errno.EPERM}, "mount namespace"),
    "network namespaces": ({("unshare", CLONE_NEWNET): errno.EINVAL}, "network namespace"),
    "seccomp": ({("seccomp", None): errno.ENOSYS, ("prctl", 22): errno.EINVAL}, "system call filter"),
}


@pytest.mark.parametrize("what", LACKS)
def test_E10_1_a_kernel_without(what):
    """Each stage reports itself; required ends the login before anything of the user's runs, optional goes on."""
    calls, said = LACKS[what]
    refused = {}
    for call, error in calls.items():
        number, argument = call if isinstance(call, tuple) else (call, None)
        number = pam_sshd.number_of(number) if isinstance(number, str) else number
        refused[number if argument is None else (number, argument)] = error
    with pam_sshd.server(refused=refused) as port:
        way = Way(port)
        mark = log_mark()
        result = way.run("alice", "info", "cards2")
        assert result.rc == 255 and result.stdout == b"", result
        assert way.run("alice", options=["-W", "127.0.0.1:22"]).stdout == b""
        assert wait_for_log(mark, rf"the login of alice is without its {said}: ")
        assert wait_for_log(mark, "the login of alice is ended: it is not confined as it must be")
        assert way.run("carol", "true").rc == 0
        with vgtest.acl(OPTIONAL + GRANT):
            mark = log_mark()
            assert way.run("alice", "info", "cards2").rc == 0
            assert wait_for_log(mark, rf"the login of alice is without its {said}: ")
            assert not vgtest.settled_log(mark, "is ended")


# --- other things that can be in a login -----------------------------------------------------------------------------------

@pytest.mark.parametrize("shell", [BASH, "/usr/bin/virtgate-shell"])
@pytest.mark.parametrize("tty", ["-T", "-tt"])
def test_A36_1_an_expired_password_is_no_shell(way, shell, tty):
    """sshd runs passwd in the place of everything else: it cannot."""
    with pam_sshd.login_shell("alice", shell):
        subprocess.run(["chage", "-d", "0", "alice"], check=True)
        try:
            result = way.run("alice", "echo in; virtgate-shell -c 'info cards2'", options=[tty])
            assert result.rc != 0 and b"\nin" not in result.stdout and b"cards2" not in result.stdout, result
            assert b"urrent password" not in result.stdout
        finally:
            subprocess.run(["chage", "-d", "-1", "alice"], check=True)


def test_E7_1_a_module_that_mounts_after_ours(way, bash):
    """Ours acts later, in another process: pam_namespace does its work in the monitor before."""
    conf = pathlib.Path("/etc/security/namespace.conf")
    before = conf.read_text()
    for folder in ("/srv/poly", "/srv/poly-inst"):
        os.makedirs(folder, mode=0o755, exist_ok=True)
    os.chmod("/srv/poly-inst", 0)
    conf.write_text("/srv/poly /srv/poly-inst/ user root\n")
    try:
        with pam(stack() + "session required pam_namespace.so\n"), long_login(way) as (_, user_process):
            inside = pathlib.Path(f"/proc/{user_process}/mountinfo").read_text()
            assert " /srv/poly " in inside and "virtgate" in inside
            assert status(user_process)["Seccomp"] == "2"
    finally:
        conf.write_text(before)


# --- hide ------------------------------------------------------------------------------------------------------------------

READS = "virsh -r -c qemu:///system list --all > /dev/null 2>&1 && echo open || echo closed"


def test_hide(way):
    """Of carol's sessions only, and of nobody's in a group that is excepted; the rest of her login is as ever."""
    assert way.run("carol", READS).stdout == b"open\n"
    with pam(stack("hide")):
        assert way.run("carol", READS).stdout == b"closed\n"
        assert way.run("carol", "ls /run/libvirt").rc != 0
        result = way.run("carol", "ls / /run/dbus > /dev/null && grep -h -E 'NoNewPrivs|Seccomp:' /proc/self/status")
        assert result.stdout.split() == [b"NoNewPrivs:", b"0", b"Seccomp:", b"0"], result
        # As root of a namespace of her own she cannot take the cover off, or look below it.
        out = way.run("carol", "unshare -Urm sh -c 'id -u; umount /run/libvirt; umount -l /run/libvirt; mount --bind /run /mnt; ls /mnt/libvirt; "
                      "stat /run/libvirt/* /proc/1/root/run'")
        assert out.stdout == b"0\n", out
        subprocess.run(["usermod", "-aG", "libvirt", "carol"], check=True)
        assert way.run("carol", READS).stdout == b"open\n"
        subprocess.run(["gpasswd", "-d", "carol", "libvirt"], check=True, stdout=subprocess.DEVNULL)
        assert way.run("carol", READS).stdout == b"closed\n"
    with pam(stack("hide hide-except=adm,carol")):
        assert way.run("carol", READS).stdout == b"open\n"
    assert os.listdir("/run/libvirt")


def test_hide_that_cannot_be_keeps_nobody_out():
    with pam_sshd.server(refused={pam_sshd.number_of("unshare"): errno.EPERM}) as port, pam(stack("hide")):
        mark = log_mark()
        assert Way(port).run("carol", READS).stdout == b"open\n"
        assert wait_for_log(mark, "/run/libvirt cannot be hidden")

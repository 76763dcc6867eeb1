# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker's socket, by clients that are not virtgate-shell: as other accounts, with broken messages, too many, too slow, dead
at every moment. Each test is named by its row of tests/attacks/attacks.tsv. After each the broker must be as it was: the same
process, as many descriptors, as many session processes."""
import contextlib
import errno
import fcntl
import grp
import itertools
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import termios
import time

import pytest

import vgtest
import wire
from vgtest import SPARES, Rfb, Stream, log_mark, log_since, virsh, wait_for_log, wait_until
from wire import (BY_NAME, BY_NOTHING, BY_SOCKET, BY_TCP, BY_UUID, CONSOLE, DISPLAY, END, INFO, LIST, LISTING, NO, NOPERM,
                  PROTOCOL, RPC, STREAM, Puppet, answer, ask_on, asked, client, console, display, has_ended, receive, request)

SHELL = "/usr/bin/virtgate-shell"
CARDS2, SECRET = (f"c0ffee00-0000-4000-8000-00000000000{n}" for n in (1, 2))
CAP = 16 + 8                    # connections of one account (max-sessions and BROKER_CONNECTIONS_BESIDE)
NOT_UNDERSTOOD = (NO, PROTOCOL, "the gate did not understand this client")
SCM_RIGHTS_REFUSED = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) >= (6, 16)


def refused(vm):
    return NO, NOPERM, f"no console for you on '{vm}'"


def state_of(pid):
    return len(wire.fds_of(pid)), len(wire.sessions_of(pid))


@pytest.fixture(scope="module")
def broker():
    pid = wire.gate()
    # What is made once only: a timer for live sessions.
    for message in (display("cards2"), request(command=LIST)):
        assert answer("alice", message)[0] in (STREAM, LISTING)
    wait_until(lambda: len(wire.sessions_of(pid)) == SPARES, what="session processes in waiting")
    time.sleep(0.1)
    return pid


@pytest.fixture(autouse=True)
def as_found(broker):
    wait_until(lambda: len(wire.sessions_of(broker)) == SPARES, what="session processes in waiting")
    before, acl = state_of(broker), vgtest.ACL.read_bytes()
    yield
    assert wire.gates() == [broker], "another virtgated than before"
    wait_until(lambda: state_of(broker) == before, 10,
               f"descriptors and session processes as before, {before} instead of {state_of(broker)},")
    assert vgtest.ACL.read_bytes() == acl
    assert (stat.S_IMODE(vgtest.ACL.stat().st_mode), vgtest.ACL.owner(), vgtest.ACL.group()) == (0o640, "root", "virtgate")


# The log writes only so many refusals of one account, by its uid modulo 256: whoever is refused often, or whose refusal is looked
# for in the log, has an uid of its own.
new_uids = itertools.count(256 * 12 + 1)


def stranger():
    """An uid with no account."""
    return wire.nobody_known(next(new_uids))


@pytest.fixture
def account():
    """Accounts of the gate's group with no grant."""
    made = []

    def make(groups=(wire.GATE_GROUP,), uid=None):
        name = f"tmp{os.urandom(3).hex()}"
        which = ["--uid", str(next(new_uids))] if uid is None else ["--non-unique", "--uid", str(uid)]
        subprocess.run(["useradd", "--no-create-home", "--shell", SHELL, "--groups", ",".join(groups), *which, name], check=True)
        made.append(name)
        return name

    yield make
    for name in made:
        subprocess.run(["userdel", "--force", name], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: wire.status_of(pid)["State"].split()[0] in "Tt", what="the process' stop")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fields(line):
    """Of a record's line: {key: value}"""
    found = {}
    for key, quoted, plain in re.findall(r' (\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line):
        found[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else plain
    return found


def record(mark, event, **wanted):
    """The one record of that kind since mark, as fields."""
    def found():
        lines = [fields(line) for line in log_since(mark, rf" virtgated\[\d+\]: {event} ")]
        return [line for line in lines if all(line.get(key) == value for key, value in wanted.items())]
    lines = wait_until(found, what=f"a record '{event}' with {wanted}")
    assert len(lines) == 1, lines
    return lines[0]


def shell_as(user, command, mounts=None):
    """The gate itself: (exit status, stdout, stderr)."""
    return wire.as_user(user, run_shell, command, mounts=mounts)


def run_shell(command):
    done = subprocess.run([SHELL, "-c", command], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def screen_of(fd):
    """The VM whose screen the stream is."""
    return re.fullmatch(r"QEMU \((.*)\)", Rfb(Stream(fd, fd)).name)[1]


# --- B14: the gate is not what protects ---------------------------------------------------------------------------

ASKED = [
    (display("cards2"), "display cards2"), (display("nolisten"), "display nolisten"),
    (display("secret"), "display secret"), (display("nosuch"), "display nosuch"), (display("cards"), "display cards"),
    (display("cards22"), "display cards22"), (display("CARDS2"), "display CARDS2"),
    (request(command=DISPLAY, uuid=CARDS2), f"display uuid:{CARDS2}"),
    (request(command=DISPLAY, uuid=SECRET), f"display uuid:{SECRET}"),
    (display("cards2", index=1), "display cards2 1"), (display("cards2", index=255), "display cards2 255"),
    (request(command=DISPLAY, host="127.0.0.1", port=5903), "socat - TCP:127.0.0.1:5903"),
    (request(command=DISPLAY, host="127.0.0.1", port=5904), "socat - TCP:127.0.0.1:5904"),
    (request(command=DISPLAY, host="127.0.0.1", port=22), "socat - TCP:127.0.0.1:22"),
    (request(command=DISPLAY, path="/run/libvirt/nosuch"), "socat - UNIX-CONNECT:/run/libvirt/nosuch"),
    (console("cards2"), "console cards2"), (console("secret"), "console secret"),
    (console("cards2", device="channel0"), "console cards2 channel0"),
    (console("cards2", takeover=1), "console --takeover cards2"),
    (request(command=INFO, vm="cards2"), "info cards2"), (request(command=INFO, vm="secret"), "info secret"),
    (request(command=INFO, uuid=SECRET), f"info uuid:{SECRET}"),
    (request(command=LIST), "list"),
    (request(command=RPC, uri="qemu:///system"), "virt-ssh-helper qemu:///system"),
]


@pytest.mark.parametrize("message, command", ASKED, ids=[command for _, command in ASKED])
@pytest.mark.parametrize("user", ["alice", "bob", "mallory"])
def test_B14_1_client_without_the_gate_gets_what_the_gate_gets(user, message, command):
    kind, status, line = answer(user, message)
    rc, out, err = shell_as(user, command)
    if kind == NO:
        assert (rc, out, err.decode()) == (status, b"", f"virtgate: {line}\n")
    else:
        assert (kind, status, line) == (LISTING if command.split()[0] in ("list", "info") else STREAM, 0, "")
        # A guest that was told nothing is silent, and so is libvirtd.
        assert rc == 0 and (out or command.startswith(("console", "virt-ssh-helper")))
    granted = {"alice": {"display cards2", "display nolisten", f"display uuid:{CARDS2}", "socat - TCP:127.0.0.1:5903",
                         "console cards2", "info cards2", "list", "virt-ssh-helper qemu:///system"},
               "bob": {"console cards2", "info cards2", "list", "virt-ssh-helper qemu:///system"}, "mallory": {"list"}}[user]
    assert (kind != NO) == (command in granted)


def test_B14_1_streams_are_those_of_the_gate():
    with asked("alice", display("cards2")) as (reply, _, _):
        assert screen_of(reply.fd) == "cards2"
    with asked("bob", console("cards2")) as (reply, _, _):
        vgtest.ask_greeting(Stream(reply.fd, reply.fd), "cards2")


def test_D22_1_lists_hold_what_is_granted():
    for user, expected in (("alice", ["cards2", "nolisten", "sockvm", "spicevm"]), ("bob", ["cards2"]), ("mallory", [])):
        with asked(user, request(command=LIST)) as (reply, _, _):
            words = os.pread(reply.fd, 1 << 20, 0).split(b"\0")
            assert sorted(words[i + 1].decode() for i, word in enumerate(words) if word == b"name") == expected, user
            assert b"secret" not in b"".join(words)


# --- D1 - D5: who is it? -----------------------------------------------------------------------------------------

held = []       # in a puppet: what must live as long as the process


def test_D1_1_identity_is_that_of_the_connect(account):
    mark, name = log_mark(), account()
    with Puppet((0, 0, [0])) as root:           # may become anybody
        reply, fds = root.call(connect_and_become, "alice", name, display("cards2"))
        assert reply.kind == STREAM
        wire.close_all(fds)
        assert record(mark, "start", vm="cards2")["user"] == "alice"
    assert record(mark, "end", vm="cards2")["uid"] == str(pwd.getpwnam("alice").pw_uid)
    with Puppet((0, 0, [0])) as root:
        assert tuple(root.call(connect_and_become, name, "alice", display("cards2"))[:3]) == refused("cards2")
    assert record(mark, "refused")["user"] == name


def connect_and_become(first, later, message):
    os.setgroups([wire.grp.getgrnam(wire.GATE_GROUP).gr_gid])
    os.seteuid(pwd.getpwnam(first).pw_uid)
    sock = wire.new_socket()
    os.seteuid(0)
    wire.become(later)
    return keep(sock, ask_on(sock, message))


def keep(sock, reply):
    """In a puppet: holds the connection, and returns the reply with its descriptors."""
    held.append(sock)
    return wire.WithFds(reply._replace(fds=[]), reply.fds) if reply.fds else reply


def test_D2_1_connection_handed_to_another_account(broker, account):
    mark, name = log_mark(), account()
    with wire.grants(f"[user {name}]\ndisplay = cards2\n"), Puppet(account()) as mallory, Puppet(name) as alice:
        with alice.connect() as sock:
            reply = mallory.call(ask_received, display("secret"), fds=[sock.fileno()])
        assert tuple(reply[:3]) == refused("secret")
        assert record(mark, "refused")["user"] == name
        with alice.connect() as sock:
            reply, (fd,) = mallory.call(ask_received, display("cards2"), fds=[sock.fileno()])
        # She may give away what is hers, a picture of it if need be; it is hers in the log, and ends with her process.
        assert reply.kind == STREAM and screen_of(fd) == "cards2"
        assert record(mark, "start")["user"] == name
        alice.end()
        assert has_ended(fd)
        assert record(mark, "end")["reason"] == "client ended"
        os.close(fd)


def ask_received(message):
    sock = socket.socket(fileno=os.dup(wire.received[0]))
    return keep(sock, ask_on(sock, message))


def test_D3_1_number_of_a_dead_process_is_nobody(broker):
    """The process that connected is dead before the broker looks, and its number belongs to another process by then."""
    mark = log_mark()
    with stopped(broker):
        with Puppet("alice") as alice:
            sock = alice.connect()
            sock.send(display("cards2"))
            pid = alice.pid
        pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
        other = Puppet("mallory")
        assert other.pid == pid
    with other, sock:
        with contextlib.suppress(ConnectionResetError):
            assert receive(sock) is None
    assert log_since(mark, " virtgated.*: start ") == []


def test_D4_1_root_is_an_account_like_others():
    """It can always connect; it is not in the gate's group."""
    mark = log_mark()
    outsider = (NO, NOPERM, "this account is not in group virtgate-users, whose members may ask the gate")
    for message in (display("cards2"), console("secret"), request(command=LIST)):
        assert answer("root", message) == outsider
    wait_until(lambda: [fields(line)["uid"] for line in log_since(mark, "refused .*user=root")] == ["0"] * 3)


def test_D4_1_root_writes_to_somebody_elses_connection(account):
    name = account()
    for message, expected in ((display("cards2"), refused("cards2")),
                              (request(kind=wire.RELOAD), (NO, NOPERM, "only root may reload the ACL")),
                              (request(kind=wire.WHO), (NO, NOPERM, "only root may see all sessions")),
                              (request(kind=wire.KICK), (NO, NOPERM, "only root may end sessions"))):
        mark = log_mark()
        with client(name) as (sock, _):
            assert tuple(ask_on(sock, message)[:3]) == expected     # this process is root's
        assert record(mark, "refused")["user"] == name
        assert not log_since(mark, "reload: ")


@pytest.mark.parametrize("path", ["/tmp/a;uid=0;", "/tmp/a uid=0 user=alice", "\0;uid=0;", "\0uid=1001"],
                         ids=["path", "words", "abstract", "abstract uid"])
def test_D5_1_clients_own_address_says_nothing(account, path):
    name = account()
    mark = log_mark()
    try:
        with client(name, bind=path) as (sock, _):
            assert tuple(ask_on(sock, display("cards2"))[:3]) == refused("cards2")
            assert sock.getsockname() == (path.encode() if path[0] == "\0" else path)
    finally:
        if path[0] == "/":
            os.unlink(path)
    found = record(mark, "refused", user=name)
    assert found["uid"] == str(pwd.getpwnam(name).pw_uid)
    assert not log_since(mark, r"uid=0\b")


# --- D6 - D8: the place ------------------------------------------------------------------------------------------

def test_D6_1_socket_is_for_the_group():
    folder, sock = wire.RUN.stat(), pathlib.Path(wire.SOCKET).lstat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid) == (0o755, 0, 0)
    assert stat.S_ISSOCK(sock.st_mode)
    assert (stat.S_IMODE(sock.st_mode), sock.st_uid) == (0o660, 0)
    assert pathlib.Path(wire.SOCKET).group() == wire.GATE_GROUP
    with pytest.raises(PermissionError):
        wire.as_user("carol", wire.hurry, display("cards2"), 1)
    assert answer("mallory", display("cards2")) == refused("cards2")
    rc, out, err = shell_as("carol", "display cards2")
    assert (rc, out) == (NOPERM, b"") and b"not in group virtgate-users" in err and err.count(b"\n") == 1


def test_D6_1_folder_that_the_broker_makes(tmp_path):
    """Where no systemd-tmpfiles made it."""
    with wire.PrivateBroker(tmp_path, prepare=f"mount -t tmpfs -o mode=0755 run /run; ! test -e {wire.RUN}") as broker:
        folder = os.stat(f"/proc/{broker.pid}/root{wire.RUN}")
        assert (stat.S_IMODE(folder.st_mode), folder.st_uid, folder.st_gid) == (0o755, 0, 0)
        assert stat.S_IMODE(os.stat(f"/proc/{broker.pid}/root{wire.SOCKET}").st_mode) == 0o660
        assert wire.as_user("mallory", wire.hurry, display("cards2"), 1, mounts=broker.pid) == {(NO, NOPERM): 1}


# The folder is the working directory of these commands.
TAKEN = {
    "link to a file": "ln -s /etc/virtgate-target broker.sock",
    "link to nothing": "ln -s /run/virtgate/elsewhere broker.sock",
    "file": "echo kept > broker.sock",
    "folder": "mkdir broker.sock",
    "fifo": "mkfifo broker.sock",
    "socket of another account": "python3 -c 'import socket as s; s.socket(1, 5).bind(\"broker.sock\")'; chown mallory broker.sock",
    "socket that root listens on": "python3 -c 'import socket as s, time; x = s.socket(1, 5); x.bind(\"broker.sock\"); "
                                   "x.listen(); time.sleep(20)' & echo $! > PID; until ss -xl | grep -q ' broker.sock '; do :; done",
    "folder of another account": "chown mallory .",
    "folder that others may write": "chmod 0777 .",
    "folder is a link": "cd /; umount /run/virtgate; mount -t tmpfs run /run; mkdir /run/real; ln -s real /run/virtgate",
}


@pytest.mark.parametrize("what", TAKEN)
def test_D7_1_place_is_taken(tmp_path, what):
    target = pathlib.Path("/etc/virtgate-target")
    target.write_text("kept\n")
    # What the place looked like is told before and after, from inside.
    look = "{ stat -L -c '%F %U %a' . ; stat -c '%F %U %a %N' broker.sock; ! test -f broker.sock || cat broker.sock; } > TO 2>&1; true"
    before, after, listener = tmp_path / "before", tmp_path / "after", tmp_path / "pid"
    broker = wire.PrivateBroker(tmp_path, prepare=TAKEN[what].replace("PID", str(listener)) + f"; cd {wire.RUN}; " + look.replace('TO', str(before)),
                                tracer=["sh", "-c", f'"$@"; rc=$?; cd {wire.RUN}; ' + look.replace('TO', str(after)) + "; exit $rc", "sh"])
    try:
        status = broker.wait_refused()
    finally:
        broker.__exit__()
        if listener.exists():
            os.kill(int(listener.read_text()), signal.SIGKILL)
    assert status in (71, 77), (status, broker.said())
    assert "no socket: " in broker.said() and broker.said().count("\n") == 1
    assert after.read_text() == before.read_text()
    assert target.read_text() == "kept\n"
    target.unlink()


def test_D7_1_socket_that_a_dead_broker_left(tmp_path):
    leave = "python3 -c 'import socket as s; s.socket(1, 5).bind(\"broker.sock\")'"
    with wire.PrivateBroker(tmp_path, prepare=leave) as broker:
        assert wire.as_user("mallory", wire.hurry, display("cards2"), 1, mounts=broker.pid) == {(NO, NOPERM): 1}


FAKE = f"""
import os, socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
sock.bind("{wire.SOCKET}")
os.chmod("{wire.SOCKET}", 0o666)
os.setresuid(int(sys.argv[1]), int(sys.argv[1]), int(sys.argv[1]))
sock.listen(64)
print("ready", flush=True)
while True:
    got = sock.accept()[0].recv(4096)
    print(f"{{len(got)}} bytes", flush=True)
"""


@pytest.mark.parametrize("command", ["display cards2", "console cards2", "list", "id; my password"])
def test_D7_2_gate_speaks_to_root_alone(command):
    mallory = pwd.getpwnam("mallory").pw_uid
    script = f"mount -t tmpfs -o mode=0755 run {wire.RUN} && exec \"$@\""

    def fake(uid):
        process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh",
                                    "/usr/bin/python3", "-c", FAKE, str(uid)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    trap = fake(mallory)
    try:
        rc, out, err = shell_as("alice", command, mounts=trap.pid)
        said = trap.stdout.readline()
    finally:
        trap.kill()
        trap.wait()
        trap.stdout.close()
    assert said == "0 bytes\n"
    assert out == b""
    if command.startswith("id"):
        assert rc == 64
    else:
        assert (rc, err.decode()) == (
            PROTOCOL, f"virtgate: what answers on this host is not the gate (uid {mallory}); tell its administrator\n")
    # The same listener is spoken to when it is root's: the refusal is for the uid.
    trap = fake(0)
    try:
        shell_as("alice", command, mounts=trap.pid)
        assert trap.stdout.readline() == f"{wire.SIZE} bytes\n"
    finally:
        trap.kill()
        trap.wait()
        trap.stdout.close()


def test_D8_1_no_abstract_socket(broker):
    inodes = {what[8:-1] for pid in [broker, *wire.sessions_of(broker)] for what, _ in wire.fds_of(pid).values()
              if what.startswith("socket:[")}
    rows = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]]
    mine = [row for row in rows if row[6] in inodes]
    assert mine and [row[7] for row in mine if len(row) > 7 and row[7] != wire.SOCKET] == []
    assert [row for row in mine if row[-1] == wire.SOCKET]


# --- D9, D10: accounts -------------------------------------------------------------------------------------------

def test_D9_1_second_name_of_a_uid(broker, account):
    uid = pwd.getpwnam("alice").pw_uid
    second = account(uid=uid)
    with wire.grants(f"[user alice]\ndisplay = cards2\n[user {second}]\ndisplay = secret\n"):
        # A uid is one account: the first that NSS knows it by.
        for user in (second, "alice"):
            mark = log_mark()
            assert answer(user, display("secret")) == refused("secret")
            assert answer(user, display("cards2"))[0] == STREAM
            assert record(mark, "start")["user"] == "alice"


def test_D9_1_two_names_that_disagree(broker, account):
    """The name of a uid is another uid's as well: whose are the grants?"""
    name, passwd = account(), pathlib.Path("/etc/passwd")
    before = passwd.read_bytes()
    uid = pwd.getpwnam(name).pw_uid
    with wire.grants(f"[user {name}]\ndisplay = cards2\n"):
        assert answer(name, display("cards2"))[0] == STREAM
        other = wire.nobody_known(4242)
        try:
            passwd.write_bytes(before + f"{name}:x:4242:{other[1]}::/:/bin/false\n".encode())
            assert answer(other, display("cards2"))[:2] == (NO, NOPERM)
        finally:
            passwd.write_bytes(before)
    assert uid != 4242


@pytest.mark.parametrize("uid", [4294967294, 65534, 2147483648, 54321])
def test_D9_1_uid_without_an_account_or_a_grant(uid):
    mark = log_mark()
    assert answer(wire.nobody_known(uid), display("cards2"))[:2] == (NO, NOPERM)
    assert record(mark, "refused")["uid"] == str(uid)


def in_user_namespace(message, uid_map):
    uid = os.geteuid()
    wire.check_call("prctl", 4, 1, 0, 0, 0)     # dumpable: or its /proc is root's
    wire.check_call("unshare", wire.CLONE_NEWUSER)
    if uid_map:
        pathlib.Path("/proc/self/uid_map").write_text(f"{uid_map} {uid} 1\n")
        assert os.geteuid() == int(uid_map)
    else:
        assert os.geteuid() == 65534
    sock = wire.new_socket()
    reply = ask_on(sock, message)
    held.append(sock)
    wire.close_all(reply.fds)
    return tuple(reply[:3])


@pytest.mark.parametrize("uid_map", ["0", "1001", ""], ids=["as root", "as alice", "unmapped"])
def test_D9_1_user_namespace(account, uid_map):
    name = account()
    mark = log_mark()
    assert wire.as_user(name, in_user_namespace, display("cards2"), uid_map) == refused("cards2")
    assert record(mark, "refused")["user"] == name
    assert wire.as_user("alice", in_user_namespace, display("cards2"), uid_map)[0] == STREAM


@pytest.mark.parametrize("database", ["passwd", "group"])
def test_D9_1_nss_fails(database):
    path = pathlib.Path(f"/etc/{database}")
    mode = stat.S_IMODE(path.stat().st_mode)
    mark = log_mark()
    with Puppet("alice") as alice:      # looked up before
        path.chmod(0)
        try:
            with alice.connect() as sock:
                reply = ask_on(sock, display("cards2"))
        finally:
            path.chmod(mode)
        if database == "passwd":
            assert (reply.kind, reply.fds) == (NO, []) and reply.status in (NOPERM, wire.TEMPFAIL)
            assert record(mark, "refused")["uid"] == str(pwd.getpwnam("alice").pw_uid)
        else:
            wire.close_all(reply.fds)
        with alice.connect() as sock, ask_on(sock, display("cards2")) as reply:
            assert reply.kind == STREAM


def test_D9_1_left_the_gates_group():
    """Groups of the process let it connect; those of the account, now, let it ask."""
    files = {path: path.read_bytes() for path in (pathlib.Path("/etc/group"), pathlib.Path("/etc/gshadow"))}
    vgtest.run("gpasswd", "-d", "alice", "virtgate-users")
    try:
        done = vgtest.run("setpriv", "--reuid=alice", "--regid=alice", "--groups",
                          str(grp.getgrnam("virtgate-users").gr_gid), "virtgate-shell", "-c", "display cards2")
        assert done.rc == NOPERM
        assert done.stderr == b"virtgate: this account is not in group virtgate-users, whose members may ask the gate\n"
    finally:
        for path, text in files.items():    # the order of the members too
            path.write_bytes(text)
    assert vgtest.ssh("alice", "list").rc == 0


def test_D10_1_membership_ends(broker, account):
    subprocess.run(["groupadd", "vgconsoles"], check=True)
    try:
        name = account((wire.GATE_GROUP, "vgconsoles"))
        with wire.grants("[group vgconsoles]\ndisplay = cards2\n"), Puppet(name) as puppet:
            with puppet.connect() as sock, ask_on(sock, display("cards2")) as reply:
                assert reply.kind == STREAM
            subprocess.run(["gpasswd", "--delete", name, "vgconsoles"], check=True, stdout=subprocess.DEVNULL)
            # The same process, which the kernel still counts among the group.
            with puppet.connect() as sock:
                assert tuple(ask_on(sock, display("cards2"))[:3]) == refused("cards2")
    finally:
        subprocess.run(["groupdel", "vgconsoles"], check=True)


# --- D13: the ACL changes ----------------------------------------------------------------------------------------

def open_until(stop, message):
    """Opens again and again until the file is there: how often, and every answer that came."""
    counted = wire.collections.Counter()
    while not os.path.exists(stop):
        counted.update(wire.hurry(message, 1))
    return counted


def test_D13_1_acl_rewritten_during_opens(broker, account, place):
    stop = place / "stop"
    good = [f"[user alice]\ndisplay = cards2\n; {n}\n" + "[user bob]\nserial = cards2\n" * n for n in (0, 1)]
    broken = ["[user alice]\ndisplay = cards2\n[user bob]\nseri", "[user alice]\ndispl", "garbage", "[user *]\ndisplay =\n"]
    before = vgtest.ACL.read_bytes()
    mark = log_mark()
    with Puppet("alice") as alice, Puppet(account()) as stranger:
        alice.start(open_until, str(stop), display("cards2"))
        stranger.start(open_until, str(stop), display("cards2"))
        try:
            for n in range(300):
                new = vgtest.ACL.with_name("new")
                new.write_text(broken[n // 2 % 4] if n % 2 else good[n // 2 % 2])
                new.chmod(0o640)
                shutil.chown(new, "root", "virtgate")
                new.rename(vgtest.ACL)
                os.kill(broker, signal.SIGHUP)
                time.sleep(0.002)
            wait_until(lambda: log_since(mark, "reload: the ACL has errors"))
        finally:
            vgtest.ACL.write_bytes(before)
            shutil.chown(vgtest.ACL, "root", "virtgate")
            wire.reload()
            stop.touch()
        opened, strange = alice.finish(), stranger.finish()
    assert set(opened) == {(STREAM, 0)} and opened[(STREAM, 0)] > 10, opened
    assert set(strange) == {(NO, NOPERM)} and strange[(NO, NOPERM)] > 10, strange
    # Many signals may be one; but both kinds came, many times.
    assert len(log_since(mark, "reload: the ACL has errors")) > 10
    assert len(log_since(mark, r"reload: \d+ rules in force")) > 10


UNFIT = {
    "truncated": lambda path: path.write_text("[user alice]\ndispl"),
    "group-writable": lambda path: path.chmod(0o660),
    "world-writable": lambda path: path.chmod(0o642),
    "link": lambda path: (path.rename("/etc/virtgate-real"), path.symlink_to("/etc/virtgate-real")),
    "not root's": lambda path: shutil.chown(path, "mallory"),
    "not readable": lambda path: (path.chmod(0o600), shutil.chown(path, "root", "root")),
    "missing": lambda path: path.unlink(),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "fifo": lambda path: (path.unlink(), os.mkfifo(path, 0o640), shutil.chown(path, "root", "virtgate")),
    "endless": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "device": lambda path: (path.unlink(), os.mknod(path, 0o640 | stat.S_IFCHR, os.makedev(1, 5)),
                            shutil.chown(path, "root", "virtgate")),
    "NUL": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "drop-in of another's": lambda path: ((path.parent / "virtgate.d/x.ini").write_text("[user mallory]\ndisplay = secret\n"),
                                          shutil.chown(path.parent / "virtgate.d/x.ini", "mallory")),
    "folder that others may write": lambda path: path.parent.chmod(0o777),
}


@pytest.mark.parametrize("how", UNFIT)
def test_D13_1_unfit_acl_leaves_the_old_one(broker, how):
    folder = vgtest.ACL.parent
    before, mode = vgtest.ACL.read_bytes(), stat.S_IMODE(folder.stat().st_mode)
    mark = log_mark()
    try:
        UNFIT[how](vgtest.ACL)
        os.kill(broker, signal.SIGHUP)
        wait_for_log(mark, "virtgated.*: reload: the ACL has errors; the one that was loaded before stays in force")
        errors = log_since(mark, r"authpriv.err virtgated.*: /etc/virtgate\S*:\d+: ")
        assert errors, log_since(mark)
        assert answer("alice", display("cards2"))[0] == STREAM
        assert answer("alice", display("secret")) == refused("secret")
        # virtgated does not start with it either.
        start = subprocess.run(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs -o mode=0755 run {wire.RUN}; exec {wire.BROKER} -f"],
                               capture_output=True, timeout=10)
        assert start.returncode == wire.CONFIG and b"nobody is served" in start.stderr
    finally:
        folder.chmod(mode)
        if vgtest.ACL.is_dir() and not vgtest.ACL.is_symlink():
            vgtest.ACL.rmdir()
        vgtest.ACL.unlink(missing_ok=True)
        pathlib.Path("/etc/virtgate-real").unlink(missing_ok=True)
        (folder / "virtgate.d/x.ini").unlink(missing_ok=True)
        vgtest.ACL.write_bytes(before)
        vgtest.ACL.chmod(0o640)
        shutil.chown(vgtest.ACL, "root", "virtgate")
        wire.reload()


def test_D14_1_revoked_while_open(broker):
    mark = log_mark()
    with asked("alice", display("cards2")) as (screen, sock, _), asked("alice", console("nolisten")) as (serial, sock2, _), \
            asked("alice", display("spicevm")) as (kept, sock3, _):
        with wire.grants("[user alice]\ndisplay = spicevm\n"):
            start = time.monotonic()
            assert has_ended(screen.fd) and has_ended(serial.fd)
            assert time.monotonic() - start < 1
            for end in (receive(sock), receive(sock2)):
                assert (end.kind, end.status, end.line) == (END, NOPERM, "your access to this console has ended")
            assert record(mark, "end", vm="cards2")["reason"] == "revoked"
            assert record(mark, "end", vm="nolisten")["reason"] == "revoked"
            assert answer("alice", display("cards2")) == refused("cards2")
            assert not has_ended(kept.fd, 0.2) and vgtest.spice_link(Stream(kept.fd, kept.fd))[2] == 0


# --- D15, D16, D26: descriptors ----------------------------------------------------------------------------------

def test_D15_1_descriptors_are_close_on_exec(broker):
    with asked("alice", display("cards2")), asked("alice", console("cards2")):
        for pid in [broker, *wire.sessions_of(broker)]:
            assert {0, 1, 2, 3} <= set(wire.fds_of(pid))
            # A session process that has just been started has not come to it yet.
            wait_until(lambda: all(flags & os.O_CLOEXEC for number, (_, flags) in wire.fds_of(pid).items() if number > 2),
                       what=f"close-on-exec of all of {wire.fds_of(pid)}")


def test_D15_1_what_the_starter_left_open_is_closed(tmp_path):
    (tmp_path / "secret").write_text("x")
    with wire.PrivateBroker(tmp_path, tracer=["sh", "-c", f'exec 7<{tmp_path}/secret; exec "$@"', "sh"]) as broker:
        wait_until(lambda: len(wire.sessions_of(broker.pid)) == SPARES)
        for pid in [broker.pid, *wire.sessions_of(broker.pid)]:
            assert [what for what, _ in wire.fds_of(pid).values() if what.startswith(str(tmp_path / "secret"))] == []


@pytest.mark.parametrize("message", [display("cards2"), display("spicevm"), console("cards2"), request(command=LIST),
                                     request(command=INFO, vm="cards2")], ids=["vnc", "spice", "serial", "list", "info"])
def test_D15_1_D26_1_reply_carries_one_plain_descriptor(message):
    with asked("alice", message) as (reply, sock, _):
        assert len(reply.fds) == 1 and not reply.flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC)
        fd, path = reply.fd, f"/proc/self/fd/{reply.fd}"
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        assert not flags & os.O_PATH
        for number in (termios.TIOCGWINSZ, termios.TIOCSTI):
            with pytest.raises(OSError) as raised:
                fcntl.ioctl(fd, number, b"x" * 8)
            assert raised.value.errno in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP)
        if reply.kind == STREAM:
            stream = socket.socket(fileno=os.dup(fd))
            assert stat.S_ISSOCK(os.fstat(fd).st_mode)
            assert (stream.family, stream.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
            assert not stream.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            # Not libvirtd's own socket, nor a QEMU's monitor: a pair without names.
            assert (stream.getsockname(), stream.getpeername()) == ("", "")
            with pytest.raises(OSError):
                os.open(path, os.O_RDWR)
            stream.close()
        else:
            assert stat.S_ISREG(os.fstat(fd).st_mode)
            for number in (fd, os.open(path, os.O_RDWR)):       # sealed: whoever reads it later reads this
                with pytest.raises(OSError):
                    os.pwrite(number, b"x", 0)
                with pytest.raises(OSError):
                    os.ftruncate(number, 0)
            os.close(number)
        # No second message: nothing, or the end of a listing's connection.
        assert not wire.select.select([sock], [], [], 0.1)[0] if reply.kind == STREAM else receive(sock) is None


def test_D26_1_descriptors_sent_into_a_stream_reach_nobody():
    """A serial stream ends in a session process, a display's in QEMU: neither may keep what it is sent."""
    reader, writer = os.pipe()
    with asked("alice", console("cards2")) as (serial, _, _):
        stream = socket.socket(fileno=os.dup(serial.fd))
        socket.send_fds(stream, [b"?"], [writer])
        vgtest.ask_greeting(Stream(serial.fd, serial.fd), "cards2")
        os.close(writer)
        assert has_ended(reader), "somebody keeps the pipe open"
        stream.close()
    os.close(reader)


def stuff(folder):
    """One descriptor of each kind that a client may have."""
    os.mkfifo(f"{folder}/fifo")
    return [os.open(f"{folder}/fifo", os.O_RDWR), os.open(folder, os.O_RDONLY), os.open("/dev/full", os.O_RDWR),
            os.open("/etc/passwd", os.O_PATH), os.memfd_create("x"), wire.new_socket().detach(),
            socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach(), os.pidfd_open(os.getpid())]


def send_descriptors(path, folder, rounds):
    """Every message with descriptors: how often the kernel refused to take it, and what the broker said otherwise."""
    kinds = stuff(folder)
    counted = wire.collections.Counter()
    for n in range(rounds):
        count = (1, 2, 3, 16, 253)[n % 5]
        with wire.new_socket(path) as sock:
            fds = [kinds[(n + i) % len(kinds)] for i in range(count - 1)] + [sock.fileno()]
            message = (display("cards2"), request(command=LIST), b"", b"x")[n % 4]
            try:
                reply = ask_on(sock, message, fds)
                counted[tuple(reply[:3]) if reply else None] += 1
            except PermissionError:
                counted["refused by the kernel"] += 1
                assert ask_on(sock, b"x")[:3] == NOT_UNDERSTOOD
    return counted


# A kernel that does not know SO_PASSRIGHTS.
OLDER = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=setsockopt", "-e", "inject=setsockopt:error=ENOPROTOOPT"]


@pytest.mark.parametrize("rounds, tracer", [(2000, []), (400, OLDER)], ids=["", "older kernel"])
def test_D16_1_descriptors_in_requests(place, account, rounds, tracer):
    with wire.PrivateBroker(place, tracer=tracer) as broker:
        pid = broker.pid
        assert wire.as_user(stranger(), wire.hurry, b"x", 1, mounts=pid) == {(NO, PROTOCOL): 1}
        wait_until(lambda: len(wire.sessions_of(pid)) == SPARES)
        before = state_of(pid)
        counted = wire.as_user(account(), send_descriptors, wire.SOCKET, str(place), rounds, mounts=pid)
        if tracer or not SCM_RIGHTS_REFUSED:
            assert set(counted) == {NOT_UNDERSTOOD}, counted
        else:
            assert set(counted) == {"refused by the kernel"}, counted
        assert sum(counted.values()) == rounds
        assert broker.pid == pid
        wait_until(lambda: state_of(pid) == before, 10, f"{before} descriptors and session processes again")


def lingering(path, seconds):
    """Sends a socket whose last close takes that long."""
    listener = socket.create_server(("127.0.0.1", 0))
    sock = socket.create_connection(listener.getsockname())
    held.append((listener, listener.accept()))
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    connection = wire.new_socket(path)
    held.append(connection)
    try:
        socket.send_fds(connection, [display("cards2")], [sock.fileno()])
        sock.close()
        return True
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


@pytest.mark.skipif(not SCM_RIGHTS_REFUSED, reason="needs Linux 6.16 (SO_PASSRIGHTS)")
def test_D16_1_descriptor_that_takes_long_to_close(account):
    with Puppet(account()) as mallory, Puppet("alice") as alice:
        assert not mallory.call(lingering, wire.SOCKET, 5)
        start = time.monotonic()
        assert alice.call(wire.hurry, display("cards2"), 1) == {(STREAM, 0): 1}
        assert time.monotonic() - start < 1


# --- D17 - D19, D21: clients that are slow, broken, many, or gone ----------------------------------------------------

def test_D17_1_idle_connections(account):
    with Puppet(account()) as mallory, Puppet("alice") as alice:
        start = time.monotonic()
        idle = [mallory.connect() for _ in range(200)]
        last = time.monotonic()
        waited = []
        while time.monotonic() < start + 2:
            begin = time.monotonic()
            assert alice.call(wire.hurry, display("cards2"), 1) == {(STREAM, 0): 1}
            waited.append(time.monotonic() - begin)
        assert max(waited) < 1, waited
        told = wire.select.select(idle, [], [], 0)[0]
        assert len(idle) - len(told) == CAP
        for sock in told:
            reply = receive(sock)
            assert (reply.kind, reply.status, reply.line) == (
                NO, wire.TEMPFAIL, "you have too many connections open; try again")
            assert receive(sock) is None
        rest = [sock for sock in idle if sock not in told]
        for sock in rest:
            reply = receive(sock, 6)
            assert (reply.kind, reply.line) == (NO, "no request came in time")
            assert receive(sock) is None
        assert 4.5 < time.monotonic() - start and time.monotonic() - last < 6
        for sock in idle:
            sock.close()


def test_D17_1_refusal_is_heard_by_the_gate(account):
    """Refused before its request was read: the user must be told why."""
    name = account()
    with Puppet(name) as mallory:
        idle = [mallory.connect() for _ in range(CAP)]
        for _ in range(30):
            assert shell_as(name, "list") == (wire.TEMPFAIL, b"", b"virtgate: you have too many connections open; try again\n")
        for sock in idle:
            sock.close()


def connect_for(path, seconds):
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.connect(path)
            n += 1
        sock.close()
    return n


def test_D17_1_connections_without_end(account):
    with contextlib.ExitStack() as stack:
        mallory = [stack.enter_context(Puppet(account())) for _ in range(3)]
        alice = stack.enter_context(Puppet("alice"))
        for puppet in mallory:
            puppet.start(connect_for, wire.SOCKET, 3)
        waited, end = [], time.monotonic() + 2.5
        while time.monotonic() < end:
            begin = time.monotonic()
            with contextlib.suppress(BlockingIOError):
                assert alice.call(wire.hurry, display("cards2"), 1) == {(STREAM, 0): 1}
            waited.append(time.monotonic() - begin)
        assert sum(puppet.finish() for puppet in mallory) > 1000
        assert max(waited) < 2, waited


def test_D17_2_a_byte_at_a_time():
    message = display("cards2")
    with client("alice") as (sock, _):
        assert tuple(ask_on(sock, message[:1])[:3]) == NOT_UNDERSTOOD

        def takes_no_more():
            try:
                sock.send(message[1:2])
            except BrokenPipeError:
                return True
        wait_until(takes_no_more, 1, "the end of the connection")


SIZES = [0, 1, 2, 24, wire.SIZE - 1, wire.SIZE + 1, 2 * wire.SIZE, 65536, 150000]


@pytest.mark.parametrize("size", SIZES)
def test_D18_1_sizes(size):
    message = (display("cards2") * 70)[:size]
    with client("alice") as (sock, _):
        reply = ask_on(sock, message)
        # A message of no bytes is how SEQPACKET says the end.
        assert (tuple(reply[:3]) if reply else None) == (NOT_UNDERSTOOD if size else None)
        if size:
            assert receive(sock) is None


def test_D18_1_second_request_on_a_connection():
    """While the first is looked up or opened: the connection is over. While it runs: the session is."""
    for _ in range(20):
        with client("alice") as (sock, _):
            sock.send(display("cards2"))
            with contextlib.suppress(BrokenPipeError):
                sock.send(display("secret"))
            while reply := receive(sock):
                with reply:
                    assert (reply.kind, reply.line) in ((STREAM, ""), (END, NOT_UNDERSTOOD[2]))
                    assert reply.kind == END or has_ended(reply.fd)
    with asked("alice", display("cards2")) as (reply, sock, _):
        end = ask_on(sock, display("nolisten"))
        assert tuple(end[:3]) == (END, PROTOCOL, NOT_UNDERSTOOD[2])
        assert has_ended(reply.fd)


@pytest.mark.parametrize("message", [b"", b"x", wire.report(magic=1), wire.report(zero=1), wire.report() + b"\0",
                                     wire.report()[:-1]], ids=["empty", "byte", "magic", "zero", "long", "short"])
def test_D18_1_broken_report_ends_the_session(message):
    mark = log_mark()
    with asked("alice", display("cards2")) as (reply, sock, _):
        sock.send(wire.report(2 ** 64 - 1, 2 ** 63))
        sock.send(message)
        assert has_ended(reply.fd)
        assert record(mark, "end")["bytes_to_user"] == str(2 ** 64 - 1)
    assert record(mark, "end")["reason"] == ("protocol broken by the client" if message else "client ended")


# One field is wrong, and nothing else. (The text of a refusal that the gate reports may be anything.)
ONE_WRONG = {
    "magic": display("cards2", magic=0x56475250), "version 0": display("cards2", version=0),
    "version 2": display("cards2", version=2), "kind 0": request(kind=0), "kind 4": request(kind=4, vm="cards2"),
    "kind 255": display("cards2", kind=255), "help": request(command=wire.HELP), "version": request(command=wire.VERSION),
    "command 7": request(command=7, vm="cards2"), "command 255": request(command=255, vm="cards2"),
    "target 5": display("cards2", target=5), "target 255": display("cards2", target=255), "json 2": display("cards2", json=2),
    "json of a display": display("cards2", json=1), "readonly": display("cards2", readonly=1),
    "takeover 2": console("cards2", takeover=2), "takeover of a display": display("cards2", takeover=1),
    "index 256": display("cards2", index=256), "index -1": display("cards2", index=0xffffffff),
    "index 2^31": display("cards2", index=1 << 31), "index of a console": console("cards2", index=1),
    "index by port": request(command=DISPLAY, host="127.0.0.1", port=5903, index=1),
    "port by name": display("cards2", port=5903), "no port": request(command=DISPLAY, host="127.0.0.1"),
    "no host": request(command=DISPLAY, target=BY_TCP, port=5903), "zero": display("cards2", zero=b"\0\1"),
    "room": display("cards2", room=b"\0" * 43 + b"\1"), "uuid by name": display("cards2", target=BY_NAME, uuid=CARDS2),
    "name by uuid": display("cards2", target=BY_UUID, uuid=CARDS2), "no name": request(command=DISPLAY, target=BY_NAME),
    "no path": request(command=DISPLAY, target=BY_SOCKET), "display of nothing": request(command=DISPLAY),
    "console by port": request(command=CONSOLE, host="127.0.0.1", port=5903),
    "console by path": request(command=CONSOLE, path="/run/x"), "info of nothing": request(command=INFO),
    "list of a name": request(command=LIST, vm="cards2"), "rpc of nothing": request(command=RPC),
    "uri of a display": display("cards2", uri="qemu+ssh://evil/system?command=id"),
    "uri of a list": request(command=LIST, uri="qemu:///session"), "device of a display": display("cards2", device="serial0"),
    "path by name": display("cards2", target=BY_NAME, path="/etc/passwd"), "why": display("cards2", why="x"),
    "command of a refusal": request(kind=wire.REFUSED, vm="cards2", target=BY_NAME),
    "command of a reload": request(kind=wire.RELOAD, command=LIST), "command of who": request(kind=wire.WHO, command=LIST),
    "command of kick": request(kind=wire.KICK, command=LIST),
    "name unterminated": display("x" * 256), "name with a tail": display(b"cards2\0x"), "name with a blank": display("a b"),
    "name with a newline": display("cards2\n"), "name with ESC": display("\x1bc"), "name ..": display(".."),
    "name .": display("."), "name --help": display("--help"), "name uuid:": display("uuid:x"), "name ../x": display("../x"),
    "name $(id)": display("$(id)"), "name *": display("*"), "name @x%v": display("cards%v"), "name UTF-8": display("é"),
    "name not UTF-8": display(b"\xff\xfe"), "name U+202E": display("\u202ecards2"),
    "host unterminated": request(command=DISPLAY, host="h" * 256, port=1), "host with a blank": request(
        command=DISPLAY, host="127.0.0.1 x", port=5903), "device unterminated": console("cards2", device="d" * 64),
    "path unterminated": request(command=DISPLAY, path="/" * 512), "said unterminated": display("cards2", said="s" * 256),
    "said with a tail": display("cards2", said=b"s\0s"),
    "why unterminated": request(kind=wire.REFUSED, why="w" * 240),
}


@pytest.mark.parametrize("what", ONE_WRONG)
def test_D18_1_D24_1_one_field_wrong(what):
    assert answer(stranger(), ONE_WRONG[what]) == NOT_UNDERSTOOD


FREE = {        # well formed, and nothing that alice may have
    "rpc of another host": request(command=RPC, uri="qemu+ssh://evil/system?command=id"),
    "rpc by another's path": request(command=RPC, path="/run/libvirt/virtlogd-sock"),
    "file as a display": request(command=DISPLAY, path="/etc/passwd"),
    "libvirt's socket as a display": request(command=DISPLAY, path="/run/libvirt/libvirt-sock"),
    "the broker's socket as a display": request(command=DISPLAY, path=wire.SOCKET),
    "monitor": request(command=DISPLAY, path="/var/lib/libvirt/qemu/domain-1-spicevm/monitor.sock"),
    "agent's channel": console("cards2", device="channel0"), "path as a device": console("cards2", device="../../x"),
    "serial1": console("cards2", device="serial1"), "takeover": console("cards2", takeover=1),
    "other host": request(command=DISPLAY, host="192.0.2.1", port=5903),
    "uuid of zeros": request(command=DISPLAY, target=BY_UUID),
}


@pytest.mark.parametrize("what", FREE)
def test_D24_1_F6_1_F10_1_claims_that_lead_nowhere(what):
    kind, status, line = answer("alice", FREE[what])
    assert kind == NO and status in (NOPERM, wire.UNAVAILABLE) and line


def test_D24_1_reload_is_roots(account):
    mark = log_mark()
    assert answer(account(), request(kind=wire.RELOAD)) == (NO, NOPERM, "only root may reload the ACL")
    assert record(mark, "refused")["reason"] == "reload asked for by another than root"
    assert log_since(mark, "reload: ") == []
    assert answer("root", request(kind=wire.RELOAD)) == (wire.DONE, 0, "")
    wait_for_log(mark, r"reload: \d+ rules in force")


def who(*options):
    return vgtest.run("virtgatectl", "who", *options)


def test_who():
    """Each session that runs, and none that does not; for root alone."""
    assert json.loads(who("--json").stdout) == {"sessions": []} and who().stdout == b""
    mark = log_mark()
    with vgtest.ssh_open("bob", "console", "cards2", tty=True) as ssh, vgtest.ssh_open("alice", "display", "nolisten") as screen:
        vgtest.ask_greeting(ssh.talk, "cards2")
        Rfb(screen.talk)
        found = {session.pop("user"): session for session in json.loads(who("--json").stdout)["sessions"]}
        text = who().stdout.decode().splitlines()
        for user, vm, right, rule in (("bob", "cards2", "serial", "virtgate.ini:7"), ("alice", "nolisten", "display", "virtgate.ini:2")):
            start, = (line for line in log_since(mark, " start ") if f"user={user} " in line)
            session = found.pop(user)
            assert f"session={session['session']} " in start and f"uuid={session['uuid']} " in start
            assert (session["uid"], session["vm"], session["right"], session["rule"]) == (pwd.getpwnam(user).pw_uid, vm, right, rule)
            assert (session["from"], session["key"]) == (None, None) and 0 <= session["seconds"] < 600
            line, = (line for line in text if f"user={user} " in line)
            assert f"session={session['session']} " in line and f" vm={vm} " in line and "from=" not in line
        assert found == {} and len(text) == 2
    wait_until(lambda: who().stdout == b"", what="no session")
    refused_one = vgtest.run("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "virtgatectl", "who")
    assert (refused_one.rc, refused_one.stdout) == (NOPERM, b"") and b"only root may see all sessions" in refused_one.stderr
    assert who("now").rc == wire.USAGE


def kick(*ids, user="root"):
    return vgtest.run("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "virtgatectl", "kick", *ids)


def running():
    """Ids of sessions, by the machine; None: a connection to libvirt."""
    return {session["vm"]: session["session"] for session in json.loads(who("--json").stdout)["sessions"]}


def test_kick():
    """Any kind of session, and that one alone; for root alone."""
    mark = log_mark()
    with contextlib.ExitStack() as stack:
        opened = {vm: stack.enter_context(vgtest.ssh_open(*words)) for vm, words in {
            "cards2": ("bob", "console", "cards2"), "nolisten": ("alice", "display", "nolisten"),
            "sockvm": ("alice", "display", "sockvm"), None: ("alice", "virt-ssh-helper", "qemu:///system")}.items()}
        ids = wait_until(lambda: len(found := running()) == 4 and found, what="4 sessions")
        refused_one = kick(ids["nolisten"], user="alice")
        assert refused_one.rc == NOPERM and b"only root may end sessions" in refused_one.stderr and running() == ids
        for vm in ("nolisten", None, "cards2"):
            assert kick(ids.pop(vm)) == (0, b"", b"")
            result = opened[vm].result()
            assert (result.rc, result.stderr) == (NOPERM, b"virtgate: an administrator has ended this session\n"), (vm, result)
            wait_until(lambda: running() == ids, what=f"the end of {vm}")
        # One that is not there saves no other.
        assert kick("0" * 16, ids["sockvm"]) == (wire.UNAVAILABLE, b"", b"virtgate: no session of this id runs\n")
        assert opened["sockvm"].result().rc == NOPERM
    ends = [line for line in vgtest.settled_log(mark, " end ") if "reason=kicked" in line]
    assert len(ends) == 4, ends
    for words in ((), ("alice",), ("0" * 15,), ("0" * 17,), ("g" * 16,)):
        assert kick(*words).rc == wire.USAGE
    with vgtest.ssh_open("alice", "display", "nolisten") as screen:
        Rfb(screen.talk)            # who may connect again, the ACL says


def fuzz(path, seed, count):
    """Requests with some bytes changed: everything that came back."""
    rng = random.Random(seed)
    seeds = [message for message, _ in ASKED] + [request(kind=wire.REFUSED, said="x", why="y")]
    counted = wire.collections.Counter()
    for _ in range(count):
        message = bytearray(rng.choice(seeds))
        for _ in range(rng.choice((1, 1, 2, 5, 60))):
            place = rng.choice((rng.randrange(48), rng.choice(list(wire.OFFSET.values())), rng.randrange(len(message))))
            message[place] = rng.choice((0, 1, 2, 3, 4, 5, 6, 0x7f, 0x80, 0xff, rng.randrange(256)))
        if rng.random() < 0.1:
            del message[rng.randrange(len(message)):]
        if rng.random() < 0.05:
            message += bytes(rng.randrange(1, 3000))
        with wire.new_socket(path) as sock:
            try:
                reply = ask_on(sock, bytes(message))
            except (BrokenPipeError, ConnectionResetError):
                reply = None
            counted[(reply.kind, reply.status) if reply else None] += 1
            if reply:
                wire.close_all(reply.fds)
    return counted


def test_D18_1_random_requests(broker, account):
    before = state_of(broker)
    with Puppet(account()) as mallory, Puppet("bob") as bob:
        mallory.start(fuzz, wire.SOCKET, 1, 3000)
        bob.start(fuzz, wire.SOCKET, 2, 1000)
        strange, known = mallory.finish(120), bob.finish(120)
    # An empty list is all that one without a grant can be given.
    strange.pop(None), known.pop(None)      # a message cut to nothing
    assert set(kind for kind, _ in strange) == {NO, LISTING} and strange[(NO, PROTOCOL)] > 1000, strange
    assert set(kind for kind, _ in known) <= {NO, LISTING, STREAM} and known[(NO, PROTOCOL)] > 300, known
    assert wire.gates() == [broker]
    wait_until(lambda: state_of(broker) == before, what=f"{before} descriptors and session processes again")


def die_after(path, message, delay):
    sock = wire.new_socket(path)
    if message:
        sock.send(message)
    if delay is not None:
        end = time.monotonic() + delay
        while time.monotonic() < end:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    reply = receive(sock)
    held.append((sock, reply))
    return reply.kind


@pytest.mark.parametrize("message", [None, display("cards2"), console("cards2"), request(command=LIST)],
                         ids=["connected", "display", "console", "list"])
def test_D19_1_client_dies_at_every_step(broker, message):
    # Between the request and long after the answer, in steps much shorter than what happens in between.
    for delay in [0, *(0.0002 * 1.35 ** n for n in range(18))]:
        with Puppet("alice") as alice:
            alice.start(die_after, wire.SOCKET, message, delay)
            os.waitpid(alice.pid, 0)
            alice.pid = None
            alice.sock.close()
    if message:
        with Puppet("alice") as alice:
            assert alice.call(die_after, wire.SOCKET, message, None) in (STREAM, LISTING)
    # The serial console is free, and works.
    with asked("bob", console("cards2")) as (reply, _, _):
        assert reply.kind == STREAM
        vgtest.ask_greeting(Stream(reply.fd, reply.fd), "cards2")


def test_D21_1_grant_after_many_denials(account):
    with Puppet(account()) as mallory:
        assert mallory.call(wire.hurry, display("cards2"), 2000) == {(NO, NOPERM): 2000}
        assert mallory.call(wire.hurry, b"x", 200) == {(NO, PROTOCOL): 200}
    start = time.monotonic()
    with asked("alice", display("cards2")) as (reply, _, _):
        assert time.monotonic() - start < 1
        assert screen_of(reply.fd) == "cards2"


# --- D23: what a refusal costs -------------------------------------------------------------------------------------

def test_D23_1_refused_without_libvirt(account):
    name = account()
    first = vgtest.libvirtd_clients()
    for message in (display("cards2"), console("cards2"), request(command=INFO, vm="cards2"),
                    request(command=DISPLAY, uuid=CARDS2), request(command=DISPLAY, host="127.0.0.1", port=5903),
                    request(command=DISPLAY, path="/run/x"), request(command=RPC, uri="qemu:///system"), b"junk"):
        assert answer(name, message)[0] == NO
    for vm in ("secret", "nosuch"):
        assert answer("alice", display(vm)) == refused(vm)
    # One more: the one that asked first. Each session process connects once, and goes.
    assert vgtest.libvirtd_clients() == first + 1
    assert answer("alice", display("cards2"))[0] == STREAM
    assert vgtest.libvirtd_clients() == first + 3, "the count does not see session processes"


# --- D25, D28, D31: the end ------------------------------------------------------------------------------------------

def run_gate(words):
    process = subprocess.Popen([SHELL, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    held.append(process)
    return wire.WithFds(process.pid, [os.dup(process.stdin.fileno()), os.dup(process.stdout.fileno())])


@pytest.mark.parametrize("message", [display("cards2"), console("cards2")], ids=["display", "console"])
@pytest.mark.parametrize("how", ["exit", "close"])
def test_D25_1_stream_handed_on_ends_with_the_session(message, how):
    mark = log_mark()
    with Puppet("mallory") as mallory, Puppet("alice") as alice:
        sock = alice.connect()
        reply = ask_on(sock, message)
        mallory.call(keep_received, fds=[reply.fd])
        if how == "exit":
            alice.end()
        else:
            sock.close()
        assert mallory.call(received_has_ended, 1.0)
        assert record(mark, "end")["reason"] == "client ended"
        sock.close()
        wire.close_all(reply.fds)


def keep_received():
    held.append(os.dup(wire.received[0]))


def received_has_ended(timeout):
    return has_ended(held[-1], timeout)


@contextlib.contextmanager
def broker_that_does_not_know(broker, sock, message):
    """A session process has the request and, from the end of the block on, answers it; the broker sleeps since before."""
    with stopped(vgtest.process(vgtest.LIBVIRTD)):
        sock.send(message)
        # A session process has the job once it waits for libvirtd.
        wait_until(lambda: len(wire.sessions_of(broker)) == SPARES + 1, what="a session process with the job")
        os.kill(broker, signal.SIGSTOP)
        yield


@pytest.mark.parametrize("message", [display("cards2"), console("cards2")], ids=["display", "console"])
@pytest.mark.parametrize("how", ["exit", "second message", "close"])
def test_D25_1_client_ends_while_it_is_served(broker, message, how):
    """The end is seen before the broker has read of the stream that the client has by then."""
    mark = log_mark()
    with client("alice") as (sock, alice):
        with broker_that_does_not_know(broker, sock, message):
            if how == "exit":
                alice.end()
            elif how == "second message":
                sock.send(b"x")
        try:
            reply = receive(sock)
            if how == "close":
                sock.close()
        finally:
            os.kill(broker, signal.SIGCONT)
        assert reply.kind == STREAM
        assert has_ended(reply.fd), "a stream that nobody can cut"
        wire.close_all(reply.fds)
    start, end = record(mark, "start"), record(mark, "end")
    assert (start["session"], start["vm"], start["user"]) == (end["session"], "cards2", "alice")


@pytest.mark.parametrize("message", [display("cards2"), console("cards2")], ids=["display", "console"])
def test_report_before_the_broker_knows(broker, message):
    """A session so short that its client's report is there before the broker has read of its beginning."""
    mark = log_mark()
    with client("alice") as (sock, _):
        with broker_that_does_not_know(broker, sock, message):
            pass
        try:
            reply = receive(sock)
            sock.send(wire.report(5, 7))
        finally:
            os.kill(broker, signal.SIGCONT)
        assert reply.kind == STREAM
        record(mark, "start")
        assert not has_ended(reply.fd, 0.5)
        wire.close_all(reply.fds)
    if message == display("cards2"):    # of a console the session process tells the numbers
        end = record(mark, "end")
        assert (end["bytes_to_user"], end["bytes_from_user"]) == ("5", "7")


def test_D28_1_gate_is_killed():
    mark = log_mark()
    for words in (["-c", "display cards2"], ["-c", "console cards2"]):
        with Puppet("alice") as alice:
            pid, fds = alice.call(run_gate, words)
            started = wait_until(lambda: log_since(mark, "virtgated.*: start "))
            os.kill(pid, signal.SIGKILL)
            end = wait_until(lambda: [fields(line) for line in log_since(mark, "virtgated.*: end ")])
            # Of a serial console the session process may tell first.
            assert end[0]["reason"] in ("client ended", *["stream ended"] * ("console cards2" in words))
            assert end[0]["session"] == fields(started[0])["session"]
            wire.close_all(fds)
        mark = log_mark()
    with asked("bob", console("cards2")) as (reply, _, _):
        assert reply.kind == STREAM


def test_D28_1_gate_is_stopped(broker):
    """It cannot hold its session against a revocation, nor the console against the next user."""
    mark = log_mark()
    with Puppet("alice") as alice:
        pid, fds = alice.call(run_gate, ["-c", "console cards2"])
        wait_until(lambda: log_since(mark, "virtgated.*: start "))
        with stopped(pid):
            kind, status, line = answer("bob", console("cards2"))
            assert (kind, status) == (NO, wire.TEMPFAIL) and "in use" in line and "alice" not in line
            with wire.grants("[user bob]\nserial = cards2\n"):
                assert record(mark, "end")["reason"] == "revoked"
                with asked("bob", console("cards2")) as (reply, _, _):
                    assert reply.kind == STREAM
                    vgtest.ask_greeting(Stream(reply.fd, reply.fd), "cards2")
        wire.close_all(fds)


def test_D29_1_refusals_by_the_thousand(account):
    burst, rate = (int(re.search(rf"#define LIMIT_{what} +(\d+)", (vgtest.TREE / "src/broker/limit.h").read_text())[1])
                   for what in ("BURST", "PER_SECOND"))
    flooder, other = account(), account()
    mark, start = log_mark(), time.monotonic()
    with Puppet(flooder) as mallory:
        assert mallory.call(wire.hurry, display("cards2"), 2000) == {(NO, NOPERM): 2000}
        assert answer(other, display("cards2")) == refused("cards2")
        record(mark, "refused", user=other)
        seconds = time.monotonic() - start
        lines = [fields(line) for line in log_since(mark, "refused ") if f"user={flooder} " in line]
        assert burst <= len(lines) <= burst + rate * seconds + 1
        # The next that is written counts those that were not.
        def counted():
            mallory.call(wire.hurry, display("cards2"), 1)
            return sum(1 + int(fields(line).get("suppressed", 0)) for line in log_since(mark, f"user={flooder} ")) >= 2000
        wait_until(counted)
        mallory.call(wire.hurry, display("cards2"), 1)


# --- D32, D33: the broker's own powers ---------------------------------------------------------------------------------

def test_D32_1_powers(broker):
    with asked("alice", console("cards2")):
        uid, gid = (f"\t{n}" * 4 for n in (pwd.getpwnam("virtgate").pw_uid, pwd.getpwnam("virtgate").pw_gid))
        groups = {wire.grp.getgrnam("libvirt").gr_gid, pwd.getpwnam("virtgate").pw_gid}
        wait_until(lambda: len(wire.sessions_of(broker)) == SPARES + 1)
        pids = wire.sessions_of(broker)
        for pid in [broker, *pids]:
            # Not dumpable: its files belong to root, and nobody of that account looks into it. So soon as it can.
            wait_until(lambda: os.stat(f"/proc/{pid}/mem").st_uid == 0, what=f"{pid} being not dumpable")
            status = wire.status_of(pid)
            assert (status["Uid"], status["Gid"], status["NoNewPrivs"]) == (uid, gid, "\t1")
            assert set(map(int, status["Groups"].split())) == groups
            assert [int(status[f"Cap{which}"], 16) for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")] == [0] * 5
            assert re.search(r"Max core file size +0 +0 ", pathlib.Path(f"/proc/{pid}/limits").read_text())
        inodes = {what[8:-1] for pid in [broker, *pids] for what, _ in wire.fds_of(pid).values() if "socket" in what}
        for table in ("tcp", "tcp6", "udp", "udp6", "raw", "packet"):
            assert not inodes & set(re.findall(r"\b\d+\b", pathlib.Path(f"/proc/net/{table}").read_text())) - {"0", "1"}


FORGED = {"LIBVIRT_DEFAULT_URI": "test:///default", "VIRSH_DEFAULT_CONNECT_URI": "test:///default", "LIBVIRT_DEBUG": "1",
          "LIBVIRT_LOG_OUTPUTS": "1:file:/tmp/forged.log", "XDG_RUNTIME_DIR": "/tmp", "XDG_CONFIG_HOME": "/tmp",
          "HOME": "/tmp", "VIRTGATE_CONFIG": "/tmp/x.ini", "LANG": "tr_TR.UTF-8", "TZ": "../../tmp/x",
          "LD_LIBRARY_PATH": "/tmp", "PATH": "/tmp", "LISTEN_FDS": "1", "LISTEN_PID": "1"}


def environment_of(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes()


def test_D33_1_environment_of_the_start(tmp_path):
    with wire.PrivateBroker(tmp_path, env={**os.environ, **FORGED, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}) as broker:
        wait_until(lambda: len(wire.sessions_of(broker.pid)) == SPARES)
        with client("alice", mounts=broker.pid) as (sock, _):
            with ask_on(sock, display("cards2")) as reply:
                assert screen_of(reply.fd) == "cards2"
            # The one that opened it goes, another comes.
            wait_until(lambda: [environment_of(pid) for pid in wire.sessions_of(broker.pid)] == [b"LANG=C\0"] * SPARES)
        assert not os.path.exists("/tmp/forged.log")


def test_D31_1_sessions_end_with_the_broker(tmp_path):
    broker = wire.PrivateBroker(tmp_path).wait_ready()
    try:
        wait_until(lambda: len(wire.sessions_of(broker.pid)) == SPARES)
        with client("alice", mounts=broker.pid) as (idle, _), client("alice", mounts=broker.pid) as (serial, _), \
                client("alice", mounts=broker.pid) as (waiting, _):
            with ask_on(serial, console("cards2")) as reply:
                with stopped(vgtest.process(vgtest.LIBVIRTD)):
                    waiting.send(display("cards2"))
                    wait_until(lambda: len(wire.sessions_of(broker.pid)) == SPARES + 2)
                    pids = wire.sessions_of(broker.pid)
                    os.kill(broker.pid, signal.SIGKILL)
                    broker.process.wait()
                    wait_until(lambda: not [pid for pid in pids if os.path.exists(f"/proc/{pid}")], 2,
                               "the end of all session processes")
                assert has_ended(reply.fd)
            for sock in (idle, serial, waiting):
                assert receive(sock) is None
    finally:
        broker.__exit__()


# --- what is installed -----------------------------------------------------------------------------------------------

PROGRAMS = [SHELL, wire.BROKER, "/usr/libexec/virtgate/virtgate-session", "/usr/bin/virtgatectl", "/usr/sbin/virtgatectl"]


def test_D6_2_unit_of_the_socket():
    """What systemd makes must not be wider than what the broker itself makes: without SocketMode it is 0666."""
    text = pathlib.Path("/usr/lib/systemd/system/virtgated.socket").read_text()
    unit = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert unit["ListenSequentialPacket"] == wire.SOCKET
    assert (unit["SocketMode"], unit["SocketUser"], unit["SocketGroup"]) == ("0660", "root", wire.GATE_GROUP)
    assert (unit["DirectoryMode"], unit["Accept"]) == ("0755", "no")


# Each is what a session is for, or reads what every client of libvirtd's read-only socket can read.
OF_LIBVIRT = set("""
virInitialize virEventRegisterDefaultImpl virEventRunDefaultImpl virEventAddHandle virEventUpdateHandle virEventRemoveHandle
virSetErrorFunc virGetLastError virGetLastErrorCode
virConnectOpen virConnectClose virConnectIsAlive virConnectRegisterCloseCallback virConnectUnregisterCloseCallback
virConnectListAllDomains virDomainLookupByName virDomainLookupByUUID virDomainRef virDomainFree virDomainGetName
virDomainGetUUID virDomainGetID virDomainGetState virDomainGetXMLDesc
virDomainOpenGraphicsFD virDomainOpenConsole
virStreamNew virStreamFree virStreamAbort virStreamSend virStreamRecv virStreamEventAddCallback virStreamEventUpdateCallback
virStreamEventRemoveCallback
""".split())


def test_no_function_stands_in_for_a_librarys():
    """What a program exports by a library's name is what that library's own calls reach."""
    for path in filter(os.path.exists, [*PROGRAMS, "/usr/libexec/virtgate/virtgate-rpc", "/usr/bin/virtgate"]):
        symbols = subprocess.run(["nm", "-D", "--defined-only", path], capture_output=True, text=True, check=True).stdout
        assert [line for line in symbols.splitlines() if " T " in line] == [], path


def test_F11_1_what_is_called_of_libvirt():
    for path in filter(os.path.exists, PROGRAMS):
        symbols = subprocess.run(["nm", "-D", "--undefined-only", path], capture_output=True, text=True, check=True).stdout
        called = set(re.findall(r"\b(vir[A-Z]\w*)", symbols))
        linked = "libvirt" in subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        if path.endswith("virtgate-session"):
            assert "virDomainOpenGraphicsFD" in called and called <= OF_LIBVIRT, called - OF_LIBVIRT
        else:
            assert (called, linked) == (set(), False), path


def test_F24_1_nothing_is_setuid():
    found = [path for path in PROGRAMS if os.path.exists(path)]
    assert len(found) >= 4
    for path in found:
        info = os.stat(path)
        assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o755), path
        assert os.listxattr(path) == []         # nor has it a file capability

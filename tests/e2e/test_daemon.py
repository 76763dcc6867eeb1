"""virtgated as a process: how it starts, what it gives up, what it refuses to start with, how it reloads and stops."""
import os
import pathlib
import signal
import socket
import stat
import subprocess
import time

import pytest

import vgtest

SOCKET = "/run/virtgate/broker.sock"
CONFIG, USAGE, NOPERM, OSERR = 78, 64, 77, 71


@pytest.fixture
def no_gate():
    with vgtest.without_gate():
        yield


def start(*command, **options):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            cwd="/", **options)


def ended(process, deadline=10):
    out, _ = process.communicate(timeout=deadline)
    return process.returncode, out.decode()


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def test_powers_are_given_up():
    import grp
    import pwd
    pid = vgtest.process("virtgated")
    account = pwd.getpwnam("virtgate")
    status = status_of(pid)
    assert status["Uid"].split() == [str(account.pw_uid)] * 4
    assert status["Gid"].split() == [str(account.pw_gid)] * 4
    assert set(status["Groups"].split()) == {str(account.pw_gid), str(grp.getgrnam("libvirt").gr_gid)}
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert pathlib.Path(f"/proc/{pid}/environ").stat().st_uid == 0     # not dumpable: root's


def test_the_socket_is_roots_and_the_groups():
    import grp
    st = os.stat(SOCKET)
    assert stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o660
    assert (st.st_uid, st.st_gid) == (0, grp.getgrnam("virtgate-users").gr_gid)
    folder = os.stat(os.path.dirname(SOCKET))
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode)) == (0, 0o755)


def test_a_second_one_does_not_start():
    code, out = ended(start("virtgated", "-f"))
    assert code == OSERR and "seems to run already" in out
    assert vgtest.ssh("alice", "list").rc == 0


def test_to_the_background(no_gate):
    """Without -f and without systemd it detaches; nobody is left to wait for."""
    mark = vgtest.log_mark()
    code, out = ended(start("virtgated"))
    assert (code, out) == (0, "")
    vgtest.wait_for_log(mark, r"virtgated\[\d+\]: ready")
    assert vgtest.ssh("alice", "list").rc == 0
    vgtest.end_process("virtgated")


@pytest.mark.parametrize("as_root", [True, False])
def test_by_socket_activation(no_gate, as_root):
    """As systemd does it: the socket is root's; the daemon may be started as its own account and needs no root."""
    if os.path.lexists(SOCKET):
        os.unlink(SOCKET)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(SOCKET)
    vgtest.run("chgrp", "virtgate-users", SOCKET)
    os.chmod(SOCKET, 0o660)
    listener.listen(16)
    drop = [] if as_root else ["setpriv", "--reuid=virtgate", "--regid=virtgate", "--init-groups"]
    script = 'exec 3<&"$0" ; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    mark = vgtest.log_mark()
    gate = start("bash", "-c", script, str(listener.fileno()), *drop, "virtgated", "-f", pass_fds=[listener.fileno()])
    try:
        vgtest.wait_for_log(mark, r"virtgated\[\d+\]: ready")
        assert vgtest.ssh("alice", "list").rc == 0
        assert status_of(gate.pid)["Uid"].split()[0] != "0"
    finally:
        gate.send_signal(signal.SIGTERM)
        assert ended(gate)[0] == 0
        listener.close()


def test_another_kind_of_socket_is_refused(no_gate):
    """A unit with ListenStream= instead of ListenSequentialPacket= must not half work."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("\0vg-test-stream")
        listener.listen(1)
        script = 'exec 3<&"$0" ; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        code, out = ended(start("bash", "-c", script, str(listener.fileno()), "virtgated", "-f",
                                pass_fds=[listener.fileno()]))
    assert code == OSERR and "ListenSequentialPacket" in out


def test_without_root_and_without_a_socket(no_gate):
    code, out = ended(start("setpriv", "--reuid=virtgate", "--regid=virtgate", "--init-groups", "virtgated", "-f"))
    assert code == NOPERM and "started as root" in out


@pytest.mark.parametrize("words", [["-x"], ["-f", "more"]])
def test_usage(words):
    code, out = ended(start("virtgated", *words))
    assert code == USAGE and "usage: virtgated" in out


def test_another_path(no_gate, tmp_path):
    acl = tmp_path / "gate.ini"
    acl.write_text("[user bob]\ndisplay = cards2\n")
    for folder in (tmp_path, *tmp_path.parents):
        if folder != pathlib.Path("/tmp") and str(folder).startswith("/tmp"):
            folder.chmod(0o755)
    vgtest.run("chgrp", "virtgate", str(acl))
    acl.chmod(0o640)
    mark = vgtest.log_mark()
    gate = start("virtgated", "-f", "-c", str(acl))
    try:
        vgtest.wait_for_log(mark, r"virtgated\[\d+\]: ready: 1 rules")
        assert b"cards2" in vgtest.ssh("bob", "list").stdout
        assert vgtest.ssh("alice", "list").stdout.splitlines()[1:] == []
    finally:
        gate.send_signal(signal.SIGTERM)
        assert ended(gate)[0] == 0


def test_a_bad_acl_at_start(no_gate):
    """Nobody is served by a guess."""
    before = vgtest.ACL.read_text()
    try:
        vgtest.ACL.write_text(before + "[moon]\n")
        code, out = ended(start("virtgated", "-f"))
        assert code == CONFIG
        assert f"{vgtest.ACL}:{len(before.splitlines()) + 1}: " in out and "nobody is served" in out
        assert vgtest.ssh("alice", "list").rc == 69
    finally:
        vgtest.ACL.write_text(before)


def test_reload_by_virtgatectl():
    """Waits for the answer; the old one stays when the new one has an error."""
    before = vgtest.ACL.read_text()
    try:
        done = vgtest.run("virtgatectl", "reload")
        assert done.rc == 0 and b"in force" in done.stdout
        vgtest.ACL.write_text(before + "[moon]\n")
        done = vgtest.run("virtgatectl", "reload")
        line = len(before.splitlines()) + 1
        assert done.rc == CONFIG and f"virtgate.ini:{line}: ".encode() in done.stderr
        done = vgtest.run("virtgatectl", "--json", "reload")
        assert done.rc == CONFIG and done.stdout == b'{"ok": false}\n'
        assert b"cards2" in vgtest.ssh("alice", "list").stdout
    finally:
        vgtest.ACL.write_text(before)
    assert vgtest.run("virtgatectl", "--json", "reload").stdout == b'{"ok": true}\n'


def test_reload_is_for_root():
    mark = vgtest.log_mark()
    done = vgtest.run("setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "virtgatectl", "reload")
    assert done.rc == NOPERM and done.stderr == b"virtgate: only root may reload the ACL\n"
    vgtest.wait_for_log(mark, "virtgated.*: refused .*user=alice.*reload")


def test_reload_without_a_gate(no_gate):
    assert vgtest.run("virtgatectl", "reload").rc == 69


def test_stop_tells_who_is_connected():
    """SIGTERM: a live session ends with a line, and with its record."""
    with vgtest.ssh_open("alice", "display", "cards2") as live:
        vgtest.Rfb(live.talk)
        mark = vgtest.log_mark()
        with vgtest.without_gate():
            assert live.wait(timeout=10) == 69
            assert live.stderr.read().endswith(b"virtgate: the gate on this host is being stopped\n")
            end = vgtest.wait_for_log(mark, "virtgated.*: end .*user=alice")[0]
            assert vgtest.fields(end)["reason"] == "virtgated stops"


def test_no_session_process_is_left(no_gate):
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and vgtest.run("pgrep", "-f", "virtgate-session").rc == 0:
        time.sleep(0.05)
    assert vgtest.run("pgrep", "-f", "virtgate-session").rc == 1

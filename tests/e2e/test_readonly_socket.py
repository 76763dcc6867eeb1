# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's read-only socket under the host lock: closed to ordinary accounts, open for root and the gate.

The sockets here are the daemon's own making, by the lines for its configuration that config/virtgate-readonly.conf gives; its
drop-in says the same to systemd. With the firewall on as well, this is the whole host lock, and nothing else stands."""
import contextlib
import pathlib
import re
import socket
import stat
import subprocess

import pytest

import test_firewall as fw
import vgtest

CONF = vgtest.LIBVIRT_CONFIG
SOCKET = f"{vgtest.LIBVIRT_SOCKET}-ro"
DROPINS = pathlib.Path("/usr/share/virtgate/systemd")
ADVICE = re.findall(r"(?m)^#   (unix_sock_\w+ = \".*\")$", (vgtest.TREE / "config/virtgate-readonly.conf").read_text())

CONNECT = f"import socket; socket.socket(socket.AF_UNIX).connect('{SOCKET}'); print('in')"
LIST = "virsh -q -r -c qemu:///system list --name"


@contextlib.contextmanager
def closed():
    """libvirtd or virtqemud with the lines that are advised."""
    old = CONF.read_text()
    kept = [line for line in old.splitlines() if not line.startswith(("unix_sock_group", "unix_sock_ro_perms"))]
    try:
        with vgtest.without_libvirtd():
            CONF.write_text("\n".join(kept + ADVICE) + "\n")
        yield
    finally:
        with vgtest.without_libvirtd():
            CONF.write_text(old)


@pytest.fixture(scope="module")
def lock():
    with closed():
        fw.firewall("on")
        yield
        fw.firewall("off")


def test_without_the_lock_it_is_everybodys():
    """The original problem's first half."""
    assert fw.as_user("carol", CONNECT).stdout == b"in\n"
    assert b"secret\n" in fw.CAROL.run(command=LIST).stdout


def test_advice_is_there():
    assert ADVICE == ['unix_sock_group = "libvirt"', 'unix_sock_ro_perms = "0770"']


@pytest.mark.parametrize("user", fw.ORDINARY)
def test_ordinary_accounts_do_not_connect(lock, user):
    assert stat.S_IMODE(pathlib.Path(SOCKET).stat().st_mode) == 0o770
    assert b"PermissionError" in fw.as_user(user, CONNECT).stderr


@pytest.mark.parametrize("user", ["root", "virtgate"])
def test_root_and_virtgate_do(lock, user):
    assert fw.as_user(user, CONNECT).stdout == b"in\n"


@pytest.mark.parametrize("command", [LIST, LIST.replace(" -r", ""), f"nc -U {SOCKET} < /dev/null"])
def test_commands_over_ssh(lock, command):
    out = fw.CAROL.run(command=command)
    assert out.returncode != 0 and out.stdout == b"", out


def test_remote_clients(lock):
    """virsh -r with ssh, as the original problem had it."""
    out = vgtest.run("virsh", "-q", "-r", "-c", "qemu+ssh://carol@127.0.0.1/system", "list", "--name")
    assert out.rc != 0 and out.stdout.strip() == b""


def test_ssh_forwarding_of_the_socket(lock, place):
    """A2: sshd connects as the user, whom the socket's mode keeps out."""
    with fw.CAROL.running("-N", "-L", f"{place}/s:{SOCKET}"):
        vgtest.wait_until((place / "s").exists)
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(place / "s"))
            assert s.recv(1) == b""     # sshd was refused and hangs up


def test_virt_viewer(lock):
    """It does not even learn that there is a machine."""
    with fw.screen() as display, fw.virt_viewer(display) as viewer:
        with contextlib.suppress(subprocess.TimeoutExpired):
            viewer.wait(6)
        assert not fw.watched()


@pytest.mark.parametrize("readonly", [[], ["-r"]])
def test_gate_goes_on(lock, readonly):
    """Clients of the gate's users, read-only ones too, and a display."""
    out = vgtest.run("virsh", "-q", *readonly, "-c", "qemu+ssh://alice@127.0.0.1/system", "list", "--name")
    assert out.rc == 0 and b"cards2\n" in out.stdout and b"secret" not in out.stdout, out
    with vgtest.ssh_open("alice", "display", "cards2") as viewer:
        assert vgtest.Rfb(viewer.talk).width > 0


def test_root_goes_on(lock):
    assert "secret" in vgtest.virsh("-q", "-r", "list", "--name")
    assert "secret" in vgtest.virsh("-q", "list", "--name")


@pytest.mark.parametrize("name", ["libvirtd", "virtqemud", "virtlxcd", "virtxend", "virtvboxd", "virtchd", "virtproxyd",
                                  "virtstoraged", "virtnetworkd", "virtnodedevd", "virtinterfaced", "virtnwfilterd",
                                  "virtsecretd"])
def test_drop_in_of_the_socket(name):
    """As systemd reads it: the mode and group of the unit's file give way to ours."""
    lines = (DROPINS / f"{name}-ro.socket.d/virtgate.conf").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["[Socket]", "SocketMode=0660",
        "SocketGroup=libvirt"]


def test_drop_in_is_valid(place):
    """By systemd's own reading, beside the unit that it is for."""
    unit = pathlib.Path("/lib/systemd/system/libvirtd-ro.socket")
    if not unit.exists():
        pytest.skip(f"needs {unit}")
    (place / "vgtest-ro.socket.d").mkdir()
    (place / "vgtest-ro.socket.d/virtgate.conf").write_text((DROPINS / "libvirtd-ro.socket.d/virtgate.conf").read_text())
    (place / "vgtest-ro.socket").write_text(unit.read_text().replace("BindsTo=libvirtd.socket\n", ""))
    out = vgtest.run("systemd-analyze", "verify", "--man=no", place / "vgtest-ro.socket")
    assert out.rc == 0 and b"vgtest-ro" not in out.stderr, out

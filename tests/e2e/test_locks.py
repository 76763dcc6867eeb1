# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each lock alone against the original problem: stock virt-viewer, as somebody who may not, asks for the screen of `secret`. Of
the other two locks nothing is there. Without the one the picture is shown, or its absence proves nothing."""
import contextlib
import pathlib

import pytest

import gui
import pam_sshd
import sshd_config as conf
import test_firewall as fw
import vgtest
from pam_sshd import login_shell, pam, stack
from test_gui import screen_of
from test_readonly_socket import closed
from test_sshd_doors import sshd

WHY = pam_sshd.missing() or conf.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))

GRANT = "[user alice]\ndisplay = cards2\n"
REQUIRED = "[gate]\nconfined = required\n"
BASH, GATE = "/bin/bash", "/usr/bin/virtgate-shell"


@pytest.fixture(scope="module")
def desktop():
    with gui.Desktop() as made:
        yield made


@contextlib.contextmanager
def known(port):
    """A second sshd has the first one's host key, and ssh asks for it by the port."""
    hosts = pathlib.Path("/root/.ssh/known_hosts")
    before = hosts.read_text()
    hosts.write_text(before + f"[{vgtest.HOST}]:{port} {before.split(maxsplit=1)[1]}")
    try:
        yield port
    finally:
        hosts.write_text(before)


def viewer(desktop, user, vm, port=22):
    return desktop.start("virt-viewer", "-c", f"qemu+ssh://{user}@{vgtest.HOST}:{port}/system", vm)


def shows(desktop, user, vm="secret", port=22):
    with viewer(desktop, user, vm, port) as client:
        client.shows(screen_of(vm), vm)


def refused(desktop, user, port=22):
    """All that virt-viewer says in the place of the screen; nobody has a connection to that then."""
    vgtest.wait_until(lambda: not fw.watched(), what="the end of earlier viewers")
    with viewer(desktop, user, "secret", port) as client:
        said = client.window("^(Error|Choose a virtual machine)$").texts()
        assert not fw.watched()
        return said


NO_LIBVIRT, NO_DISPLAY = "Unable to connect to libvirt with URI", "Unable to connect to the graphic server"


@pytest.fixture
def acl():
    with vgtest.acl(REQUIRED + GRANT):
        yield


def test_none(desktop, tmp_path):
    """The original problem, of an ordinary account and of one that is under a gate without locks."""
    shows(desktop, "carol")
    with sshd(conf.copy(tmp_path, without=conf.OURS)) as port, known(port), login_shell("alice", BASH):
        shows(desktop, "alice", port=port)


def test_sshd_alone(desktop):
    """The shipped drop-in, as at port 22; her login shell is an ordinary one."""
    with login_shell("alice", BASH):
        said = refused(desktop, "alice")
        assert "cards2" in said and "secret" not in said, said
        shows(desktop, "alice", "cards2")
    shows(desktop, "carol")


@pytest.mark.parametrize("shell", [BASH, GATE])
def test_pam_alone(desktop, acl, shell):
    with pam_sshd.server() as port, known(port), login_shell("alice", shell):
        with pam(stack()):
            said = refused(desktop, "alice", port)
            if shell == BASH:
                assert any(NO_LIBVIRT in text for text in said), said
            else:
                assert "cards2" in said and "secret" not in said, said
                shows(desktop, "alice", "cards2", port)
            shows(desktop, "carol", port=port)
        if shell == BASH:
            with pam(stack(auth=None, account=None, session=None)):
                shows(desktop, "alice", port=port)


def goes_on(desktop):
    """root's own viewer, the gate's, and libvirt itself."""
    with desktop.start("virt-viewer", "-c", "qemu:///system", "secret") as client:
        client.shows(screen_of("secret"), "secret")
    shows(desktop, "alice", "cards2")
    assert vgtest.screenshot("secret")


@pytest.mark.parametrize("what", ["ports", "sockets", "both"])
def test_host_alone(desktop, what):
    """An ordinary account; sshd's drop-in does not concern it and there is no line of PAM's. Without ports it learns of the
    machine, and no more."""
    with contextlib.ExitStack() as lock:
        if what != "ports":
            lock.enter_context(closed())
        if what != "sockets":
            fw.firewall("on")
            lock.callback(fw.firewall, "off")
        said = refused(desktop, "carol")
        assert any((NO_DISPLAY if what == "ports" else NO_LIBVIRT) in text for text in said), said
        goes_on(desktop)
    shows(desktop, "carol")

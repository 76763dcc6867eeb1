# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate view: real viewers on its private socket, one login or one for each channel, screenshots, and who may connect."""
import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

import client
import gui
import pam_sshd
import vgtest
from client import ALICE
from vgtest import wait_until

NEEDS = client.missing("remote-viewer", "Xvfb", "xdotool", "import")
pytestmark = pytest.mark.skipif(bool(NEEDS), reason=str(NEEDS))


WINDOW = r"\(1\)"     # remote-viewer's, whose title has more in it by version and protocol


@pytest.fixture(scope="module")
def desktop():
    with gui.Desktop() as made:
        yield made


def logins(mark):
    return len(vgtest.settled_log(mark, "Accepted publickey for alice"))


def sessions(mark, vm):
    return vgtest.settled_log(mark, f"virtgated.* start .*user=alice .*vm={vm} .*right=display ")


def folders():
    return {path for pattern in ("virtgate-*", "desktop-*/virtgate-*") for path in pathlib.Path("/tmp").glob(pattern)}


class Viewed(gui.Program):
    """virtgate on the desktop: the windows are its viewer's, which is its child."""

    def __init__(self, desktop, *words):
        super().__init__(desktop, ["virtgate", "view", *words])

    def viewer(self):
        def child():
            text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return int(text[0]) if text else None
        return self._until(child, 20, "a viewer")

    def _number(self, title):
        found = self.desktop.x("xdotool", "search", "--onlyvisible", "--name", title)
        return int(found.split()[0]) if found and found.split() else None

    def end_viewer(self):
        os.kill(self.viewer(), signal.SIGTERM)
        return self.wait(timeout=20)


def listening(stack, *words):
    """virtgate view --listen until the stack ends; its port."""
    process = subprocess.Popen(["virtgate", "view", *map(str, words), "--listen", "127.0.0.1:0"],
                               stderr=subprocess.PIPE, bufsize=0)
    stack.callback(process.stderr.close)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return int(re.search(rb":(\d+) ", vgtest.Stream(process.stderr.fileno(), None).read_until(rb":\d+ is for your viewer"))[1])


# --- viewers ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vm", ["cards2", "nolisten", "sockvm", "spicevm"])
@pytest.mark.parametrize("way", [[], ["--ssh", "ssh"]], ids=["libssh", "ssh"])
def test_view(desktop, vm, way):
    before = folders()
    mark = vgtest.log_mark()
    with Viewed(desktop, ALICE, vm, *way) as view:
        view.shows(WINDOW, vm)
        channels = 4 if vm == "spicevm" else 1
        wait_until(lambda: len(sessions(mark, vm)) >= channels, what=f"{channels} connections")
        view.end_viewer()
    assert folders() == before
    vgtest.free()


def test_channels_share_a_login(desktop):
    mark = vgtest.log_mark()
    with Viewed(desktop, ALICE, "spicevm") as view:
        view.shows(WINDOW, "spicevm")
        wait_until(lambda: len(sessions(mark, "spicevm")) >= 4, what="4 connections")
        assert logins(mark) == 1
        view.end_viewer()


@pytest.mark.skipif(bool(pam_sshd.missing()), reason=str(pam_sshd.missing()))
def test_channels_share_a_login_that_is_confined(tmp_path):
    """More sessions over one login are no way around the PAM lock: each is confined, and has the login's address and key."""
    home = client.Home(tmp_path)
    with pam_sshd.pam(pam_sshd.stack()), pam_sshd.server() as port, \
            vgtest.acl(vgtest.ACL.read_text() + "\n[gate]\nconfined = required\n"), contextlib.ExitStack() as stack:
        home.knows(port)
        mark = vgtest.log_mark()
        place = listening(stack, f"{ALICE}:{port}", "spicevm", "-F", home.config)
        for _ in range(4):
            peer = stack.enter_context(socket.create_connection((vgtest.HOST, place)))
            assert vgtest.spice_link(vgtest.Stream(peer.fileno(), peer.fileno()))[2] == 0
        assert len(list(pam_sshd.LOGINS.iterdir())) == 1
        for line in sessions(mark, "spicevm"):
            assert vgtest.fields(line)["from"] == vgtest.HOST and vgtest.fields(line)["key"].startswith("SHA256:")
        assert len(sessions(mark, "spicevm")) == 4
    vgtest.free()


def test_channels_that_may_not_share_a_login(desktop):
    with client.settings_for_gate("MaxSessions 1"):
        mark = vgtest.log_mark()
        with Viewed(desktop, ALICE, "spicevm") as view:
            view.shows(WINDOW, "spicevm")
            wait_until(lambda: len(sessions(mark, "spicevm")) >= 4, what="4 connections")
            assert logins(mark) >= 4
            view.end_viewer()


@pytest.mark.parametrize("vm, kind", [("cards2", "vnc"), ("spicevm", "spice")])
def test_file_for_remote_viewer(desktop, tmp_path, vm, kind):
    """The recipe of virtgate(1)."""
    file = tmp_path / "screen.vv"
    with contextlib.ExitStack() as stack:
        port = listening(stack, ALICE, vm)
        recipe = client.recipe("[virt-viewer]").replace("cards2", vm)
        file.write_text(recipe.replace("type=spice", f"type={kind}").replace("port=5999", f"port={port}"))
        with desktop.start("remote-viewer", file) as viewer:
            viewer.shows(rf"^{vm} \(1\)", vm)
    vgtest.free()


def test_private_socket(desktop):
    before = folders()
    with Viewed(desktop, ALICE, "spicevm") as view:
        view.viewer()
        folder, = wait_until(lambda: folders() - before, what="the folder")
        assert folder.stat().st_mode & 0o7777 == 0o700
        assert (folder / "display").stat().st_mode & 0o7777 == 0o600
        view.shows(WINDOW, "spicevm")
        # SIGTERM ends it all, the viewer too.
        viewer = view.viewer()
        view.terminate()
        assert view.wait(timeout=20) == 0
        assert not pathlib.Path(f"/proc/{viewer}").exists()
    assert folders() == before


def test_private_socket_is_for_one_user():
    """Also root, whom no folder keeps out, is turned away from another user's."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = client.Home(folder)
        home.knows(22)
        key = home.key("key")
        script(home.folder / "remote-viewer", "exec sleep 1000")     # one that takes a path
        for path in (home.folder, *home.folder.iterdir()):
            shutil.chown(path, "carol")
        stack.enter_context(client.authorized("alice", key))
        before = folders()
        carol = pwd.getpwnam("carol")
        process = subprocess.Popen(["virtgate", "view", ALICE, "spicevm", "-F", home.config, "-i", key, "--viewer",
                                    home.folder / "remote-viewer"], user=carol.pw_uid, group=carol.pw_gid, extra_groups=[],
                                   env={"PATH": os.environ["PATH"]}, stderr=subprocess.PIPE, bufsize=0)
        stack.callback(process.stderr.close)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        private, = wait_until(lambda: [path for path in folders() - before if (path / "display").exists()],
                              what="the socket")
        code = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.recv(1)\n"

        def connect(**user):
            viewer = subprocess.Popen(["/usr/bin/python3", "-IS", "-c", code, private / "display"], **user)
            stack.callback(viewer.wait)
            stack.callback(viewer.kill)
        mark = vgtest.log_mark()
        connect()
        vgtest.Stream(process.stderr.fileno(), None).read_until(b"somebody else on this computer tried to see the display")
        assert not sessions(mark, "spicevm")
        connect(user=carol.pw_uid, group=carol.pw_gid, extra_groups=[])
        vgtest.wait_for_log(mark, "virtgated.* start .*user=alice .*vm=spicevm .*right=display ")
    vgtest.free()


def test_viewer_of_ones_own(tmp_path):
    """It gets the address behind its words, or in the place of %u and %p; it ends, and so does all."""
    for form in ("{}", "{} --full-screen", "{} %u --later", "{} %p"):
        out = tmp_path / "words"
        viewer = tmp_path / "viewer"
        viewer.write_text(f"#!/bin/sh\necho \"$*\" > {out}\nexit 7\n")
        viewer.chmod(0o755)
        result = client.run("view", ALICE, "cards2", "--viewer", form.format(viewer))
        assert result.rc == 7 and result.stderr == b"", result
        expected = {"{}": r"vnc://127\.0\.0\.1:\d+", "{} --full-screen": r"--full-screen vnc://127\.0\.0\.1:\d+",
                    "{} %u --later": r"vnc://127\.0\.0\.1:\d+ --later", "{} %p": r"\d+"}[form]
        assert re.fullmatch(expected + "\n", out.read_text())


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_viewer_that_is_killed(tmp_path):
    """It says so, and leaves nothing behind."""
    before = folders()
    result = client.run("view", ALICE, "spicevm", "--viewer", script(tmp_path / "viewer", "kill -9 $$"))
    assert (result.rc, result.stdout) == (70, b"")
    assert re.fullmatch(rb"virtgate: the viewer was ended by signal 9 \(Killed\)\n", result.stderr)
    assert folders() == before


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]], ids=["once", "twice"])
def test_viewer_that_does_not_end(tmp_path, signals):
    """It is asked to, and then not asked any more: after a while, or when whoever waits asks again."""
    ready = f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid"
    viewer = script(tmp_path / "viewer", f"trap '' TERM\n{ready}\nexec sleep 1000")
    process = subprocess.Popen(["virtgate", "view", ALICE, "cards2", "--viewer", viewer])
    try:
        wait_until((tmp_path / "pid").exists, what="the viewer")
        for number in signals:
            process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert not pathlib.Path("/proc", (tmp_path / "pid").read_text().strip()).exists()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("program", ["vncviewer", "gvncviewer"])
def test_viewer_that_is_there(desktop, tmp_path, monkeypatch, program):
    """The only one that is installed."""
    if why := client.missing(program):
        pytest.skip(why)
    for name in (program, "virtgate"):
        (tmp_path / name).symlink_to(shutil.which(name))
    # What it shows is compared pixel by pixel.
    settings = desktop.home / ".vnc" / "default.tigervnc"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text("TigerVNC Configuration file Version 1.0\n\nAutoSelect=0\nNoJPEG=1\nRemoteResize=0\n")
    with monkeypatch.context() as only:
        only.setitem(desktop.env, "PATH", str(tmp_path))
        view = Viewed(desktop, ALICE, "nolisten")
    with view:
        view.shows("nolisten", "nolisten")
        assert os.path.basename(os.readlink(f"/proc/{view.viewer()}/exe")).endswith(program)
        view.end_viewer()
    vgtest.free()


def test_progress_for_a_person(tmp_path):
    """Each step once, on standard error, where that is a terminal and nobody said --quiet."""
    for options, said in (([], ["connecting", "authenticating", "waiting for 'cards2'", "showing it with true"]), (["-q"], [])):
        with client.terminal("view", ALICE, "cards2", "--viewer", "true", *options) as t:
            assert t.wait() == 0
            assert t.unread().decode().splitlines() == [f"virtgate: {ALICE}: {line}" for line in said]


def test_no_viewer(tmp_path):
    result = client.run("view", ALICE, "cards2", env={"PATH": "/nonexistent"}, program="/usr/bin/virtgate")
    assert result.rc == 69 and b"there is no viewer for vnc here; install" in result.stderr
    result = client.run("view", ALICE, "cards2", "--viewer", "/nonexistent/viewer")
    assert result.rc == 69 and b"could not be started" in result.stderr


@pytest.mark.parametrize("words, rc, said", [
    (["secret"], 77, b"virtgate: no console for you on 'secret'\n"),
    (["nosuch"], 77, b"virtgate: no console for you on 'nosuch'\n"),
    (["cards2", "1"], 69, b"'cards2' has no display 1 that you may see"),
    (["-x"], 64, b"unknown option"),
    (["cards2 0"], 64, b"expected a virtual machine's name"),
    (["cards2", "--listen", "0.0.0.0:5999"], 64, b"--listen takes 127.0.0.1:PORT"),
    (["cards2", "--listen", "[::1]:5999"], 64, b"--listen takes 127.0.0.1:PORT"),
    (["cards2", "--listen", "127.0.0.1:22"], 69, b"nothing can listen on port 22"),
    (["cards2", "--json"], 64, b"view takes no --json"),
    (["spicevm", "--screenshot", "/tmp/x.png"], 69, b"this is one of SPICE"),
])
def test_refused(words, rc, said):
    result = client.run("view", ALICE, *words)
    assert result.rc == rc and said in result.stderr and result.stdout == b""


# --- who may connect --------------------------------------------------------------------------------------------------------

def connect_as(user, address):
    """The first bytes that a process of user's gets there; "" when it is turned away."""
    account = pwd.getpwnam(user)
    code = ("import socket, sys\n"
            "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n"
            "s.settimeout(20)\n"
            "try:\n    print(s.recv(12).decode().strip())\nexcept ConnectionResetError:\n    print()\n")
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code, str(address)], user=account.pw_uid,
                          group=account.pw_gid, extra_groups=[],
                          capture_output=True, timeout=30, check=True)
    return done.stdout.decode().strip()


def test_listen():
    process = subprocess.Popen(["virtgate", "view", ALICE, "cards2", "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE,
                               bufsize=0)
    try:
        stream = vgtest.Stream(process.stderr.fileno(), None)
        port = int(re.search(rb":(\d+) ", stream.read_until(rb"vnc://127\.0\.0\.1:\d+ is for your viewer"))[1])
        assert connect_as("root", port) == "RFB 003.008"
        assert connect_as("carol", port) == ""
        stream.read_until(b"somebody else on this computer tried to see the display, and was turned away\n")
        assert connect_as("root", port) == "RFB 003.008"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    vgtest.free()


# --- screenshots ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("vm", ["cards2", "nolisten", "sockvm"])
def test_screenshot(tmp_path, vm):
    path = tmp_path / "screen.png"
    result = client.run("view", ALICE, vm, "--screenshot", path)
    assert result == (0, b"", b"")
    assert vgtest.read_png(path) == vgtest.screenshot(vm)
    assert not vgtest.is_blank(vgtest.read_png(path))
    assert list(tmp_path.iterdir()) == [path]
    vgtest.free()


def test_screenshot_to_output():
    result = client.run("view", ALICE, "cards2", "--screenshot", "-")
    assert result.rc == 0 and result.stdout.startswith(b"\x89PNG\r\n\x1a\n")


def test_screenshot_that_cannot_be_written(tmp_path):
    result = client.run("view", ALICE, "cards2", "--screenshot", tmp_path / "no" / "screen.png")
    assert result.rc == 73 and b"cannot be written: No such file or directory" in result.stderr

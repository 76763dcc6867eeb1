# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgatectl setup: puts the locks into the host's files, tries logins before and after, and takes all of it out again."""
import contextlib
import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import sshd_config as conf
import test_doctor as doc
import test_firewall as fw
import vgtest
from test_sshd_doors import Door

CTL = shutil.which("virtgatectl")
pytestmark = pytest.mark.skipif(not CTL or conf.missing() is not None, reason=f"needs virtgatectl; {conf.missing()}")

OURS = conf.DROPINS / conf.OURS
KEPT = pathlib.Path("/var/lib/virtgate/setup")
SECURITY = next(pathlib.Path("/lib").glob("*/security/pam_permit.so")).parent
FILES = [doc.PAM, OURS]


def run_setup(*words, code=0, user=None):
    done = subprocess.run([CTL, "setup", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, user=user)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def state():
    return {path: (path.read_bytes(), path.stat().st_mode) if path.exists() else None for path in FILES}


def sshds():
    return [line for line in subprocess.run(["pgrep", "-af", r"^sshd: .*\[listener\]"], capture_output=True,
                                            text=True).stdout.splitlines()]


@contextlib.contextmanager
def module(like):
    """The module's file is another module's, one that lets in or keeps out."""
    path = SECURITY / "pam_virtgate.so"
    before = path.read_bytes() if path.exists() else None
    shutil.copy(SECURITY / like, path)
    try:
        yield
    finally:
        path.write_bytes(before) if before is not None else path.unlink()


@pytest.fixture
def fresh():
    """A host where nothing has been set up: no drop-in, the PAM file as Debian has it."""
    before = state()
    stock = re.sub(r"(?m)^.*pam_virtgate.*\n", "", doc.PAM.read_text())
    doc.PAM.write_text(stock)
    OURS.unlink()
    running = len(sshds())
    with module("pam_permit.so"):
        yield stock
    vgtest.wait_until(lambda: len(sshds()) == running, what="as many sshds as before")
    assert not glob.glob("/run/virtgate-setup.*")
    for path, was in before.items():
        path.write_bytes(was[0])
    shutil.rmtree(KEPT, ignore_errors=True)
    fw.firewall("off")
    os.kill(int(pathlib.Path("/run/sshd.pid").read_text()), signal.SIGHUP)
    vgtest.wait_until(lambda: Door("carol", 22).run(command="true").returncode == 0)


def test_dry_run(fresh):
    before = state()
    text = run_setup("--dry-run")
    assert "+auth       optional     pam_virtgate.so" in text and "+\tForceCommand /usr/bin/virtgate-shell" in text
    assert "+++ /etc/pam.d/sshd" in text and "05-virtgate.conf (is not there)" in text
    assert state() == before and not KEPT.exists()
    fw.firewall("show", code=69)


def test_there_and_back(fresh):
    before = state()
    run_setup()
    assert OURS.read_bytes() == pathlib.Path("/usr/share/virtgate/05-virtgate.conf").read_bytes()
    lines = doc.PAM.read_text().splitlines()
    ours = [number for number, line in enumerate(lines) if "pam_virtgate.so" in line]
    assert len(ours) == 3 and "pam_loginuid" in lines[ours[2] - 1] and len(lines) == len(fresh.splitlines()) + 3
    doors = doc.doctor()
    assert {id for id in doors if id.startswith(("sshd.", "pam.")) and doors[id]["state"] != "closed"} == set(), doors
    assert not fw.reaches("carol", fw.SECRET)
    # The running sshd has it.
    vgtest.wait_until(lambda: Door("alice", 22).run("-W", "127.0.0.1:22").stdout == b"", what="the gate in force")
    made = state()
    assert "no file has to be changed" in run_setup() and state() == made
    assert "would be as it was before" in run_setup("--undo", "--dry-run") and state() == made
    assert run_setup("--undo").count("is as it was before") == 2
    assert state() == before
    assert fw.reaches("carol", fw.SECRET)
    assert "is as it was" not in run_setup("--undo") and state() == before


def test_module_that_keeps_everybody_out(fresh):
    """Seen by a login before sshd is told of anything; every file is put back."""
    before = state()
    with module("pam_deny.so"):
        text = run_setup(code=78)
    assert "a login of root fails" in text and "every file is as it was before" in text
    assert state() == before and not list(KEPT.glob("*"))
    fw.firewall("show", code=69)
    assert Door("carol", 22).run(command="true").returncode == 0


def test_gate_that_does_not_hold(fresh):
    """An earlier block lets alice past: setup says so, and leaves nothing half."""
    before = state()
    subprocess.run(["usermod", "-s", "/bin/bash", "alice"], check=True)
    try:
        with doc.early("Match Group virtgate-users\n\tForceCommand none\nMatch all\n"):
            assert "alice runs a program, and not the gate" in run_setup(code=78)
    finally:
        subprocess.run(["usermod", "-s", conf.GATE, "alice"], check=True)
    assert state() == before


def test_sshd_that_is_broken_already(fresh):
    """A39."""
    before = state()
    with doc.early("ForceComand x\n"):
        assert "nothing was changed" in run_setup(code=78)
    assert state() == before
    assert Door("carol", 22).run(command="true").returncode == 0


def test_changed_since(fresh):
    """Somebody's later change is not undone with ours."""
    run_setup()
    doc.PAM.write_text(doc.PAM.read_text() + "# mine\n")
    assert "/etc/pam.d/sshd was changed since" in run_setup("--undo", code=78)
    assert doc.PAM.read_text().endswith("# mine\n") and not OURS.exists()
    assert (KEPT / "+etc+pam.d+sshd.old").read_text() == fresh


def test_module_is_not_there(fresh):
    (SECURITY / "pam_virtgate.so").unlink()
    try:
        assert "pam_virtgate.so is not installed; left as it is" in run_setup()
        assert doc.PAM.read_text() == fresh and OURS.exists()
    finally:
        shutil.copy(SECURITY / "pam_permit.so", SECURITY / "pam_virtgate.so")


def test_no_place_for_the_line(fresh):
    doc.PAM.write_text(fresh.replace("pam_loginuid.so", "pam_permit.so"))
    before = state()
    assert "pam_loginuid.so" in run_setup(code=78) and state() == before


def test_with_systemd(fresh):
    """What systemd would be told, by a systemctl that only writes it down."""
    systemctl, said = pathlib.Path("/usr/bin/systemctl"), pathlib.Path("/run/systemctl.said")
    dropins = pathlib.Path("/etc/systemd/system")
    with contextlib.ExitStack() as stack:
        real = systemctl.read_bytes()
        stack.callback(systemctl.write_bytes, real)
        systemctl.write_text(f'#!/bin/sh\necho "$*" >> {said}\n')
        pathlib.Path("/run/systemd/system").mkdir(parents=True)
        stack.callback(pathlib.Path("/run/systemd/system").rmdir)
        run_setup()
        ro = dropins / "libvirtd-ro.socket.d/virtgate.conf"
        assert "SocketMode=0660" in ro.read_text() and not (dropins / "virtqemud-ro.socket.d/virtgate.conf").exists()
        assert said.read_text().splitlines() == ["daemon-reload", "try-restart libvirtd-ro.socket virt*d-ro.socket",
                                                 "enable --now virtgate-firewall"]
        run_setup("--undo")
        assert not ro.exists() and said.read_text().splitlines()[-1] == "disable --now virtgate-firewall"


def test_usage():
    run_setup("now", code=64)
    run_setup("--json", code=64)
    assert "only root" in run_setup(user="carol", code=77)

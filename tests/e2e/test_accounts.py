# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgatectl adduser and deluser: an account comes under the gate and leaves it as it was."""
import contextlib
import grp
import pathlib
import pwd
import shutil
import subprocess

import pytest

import sshd_config as conf
from test_sshd_doors import Door

CTL = shutil.which("virtgatectl")
pytestmark = pytest.mark.skipif(not CTL or conf.missing() is not None, reason=f"needs virtgatectl; {conf.missing()}")

FILES = [pathlib.Path(name) for name in ("/etc/passwd", "/etc/group", "/etc/shells")]
KEPT = pathlib.Path("/var/lib/virtgate/accounts")


def ctl(*words, code=0, user=None):
    done = subprocess.run([CTL, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, user=user)
    assert done.returncode == code, done
    return done.stdout + done.stderr


@pytest.fixture(autouse=True)
def accounts():
    """As they were, whatever the test leaves."""
    shadow = [pathlib.Path("/etc/shadow"), pathlib.Path("/etc/gshadow")]
    before = {path: path.read_bytes() for path in FILES + shadow}
    yield
    for path, text in before.items():
        path.write_bytes(text)
    shutil.rmtree(KEPT, ignore_errors=True)


def under_the_gate(user):
    return user in grp.getgrnam(conf.GROUP).gr_mem, pwd.getpwnam(user).pw_shell == conf.GATE


def test_in_and_out():
    """carol loses her shell and gets it back; the files are what they were, byte for byte."""
    carol, before = Door("carol", 22), {path: path.read_bytes() for path in FILES}
    assert carol.run(command="echo shell").stdout == b"shell\n"
    for _ in range(2):      # twice is as once
        assert "carol is under the gate" in ctl("adduser", "carol")
        assert under_the_gate("carol") == (True, True)
        assert (KEPT / "carol").read_text() == "/bin/bash" and (KEPT.stat().st_mode & 0o777) == 0o700
    out = carol.run(command="echo shell")
    assert out.returncode == 64 and out.stdout == b"", out
    assert b"127.0.0.1" not in carol.run("-W", "127.0.0.1:22").stdout
    assert "carol is not under the gate any more" in ctl("deluser", "carol")
    assert under_the_gate("carol") == (False, False) and not (KEPT / "carol").exists()
    assert {path: path.read_bytes() for path in FILES} == before
    assert carol.run(command="echo shell").stdout == b"shell\n"


def test_shell_is_listed():
    shells = pathlib.Path("/etc/shells")
    shells.write_text("/bin/sh\n/usr/bin/virtgate-shell-not\n/bin/bash")
    ctl("adduser", "carol")
    assert shells.read_text() == "/bin/sh\n/usr/bin/virtgate-shell-not\n/bin/bash\n/usr/bin/virtgate-shell\n"
    ctl("adduser", "carol")
    assert shells.read_text().count("\n/usr/bin/virtgate-shell\n") == 1


def test_half_of_it_is_made_whole():
    """In the group with a shell of its own, or with the shell and outside."""
    subprocess.run(["usermod", "-aG", conf.GROUP, "carol"], check=True)
    ctl("adduser", "carol")
    assert under_the_gate("carol") == (True, True)
    subprocess.run(["gpasswd", "-d", "carol", conf.GROUP], check=True, capture_output=True)
    ctl("adduser", "carol")
    assert under_the_gate("carol") == (True, True)


def test_shell_that_is_not_known():
    """alice was put under the gate by hand."""
    assert "usermod -s gives it one" in ctl("deluser", "alice")
    assert under_the_gate("alice") == (False, True)


def test_shell_that_was_changed_since():
    ctl("adduser", "carol")
    subprocess.run(["usermod", "-s", "/bin/sh", "carol"], check=True)
    ctl("deluser", "carol")
    assert pwd.getpwnam("carol").pw_shell == "/bin/sh" and not (KEPT / "carol").exists()


@pytest.mark.parametrize("name, code, said", [
    ("root", 77, "root is above the gate"), ("virtgate", 77, "virtgate is above the gate"),
    ("vg-nobody-here", 67, "there is no account"), ("-G", 64, ""), ("../carol", 67, "there is no account"), ("", 64, "expected NAME"),
])
def test_who_cannot(name, code, said):
    before = [path.read_bytes() for path in FILES]
    assert said in ctl("adduser", name, code=code)
    assert [path.read_bytes() for path in FILES] == before


@pytest.mark.parametrize("group", ["libvirt", "kvm", "disk", "sudo"])
def test_mighty_accounts_are_not_taken(group):
    """F3: the gate would not hold them."""
    subprocess.run(["gpasswd", "-a", "carol", group], check=True, capture_output=True)
    assert f"gpasswd -d carol {group} takes it out" in ctl("adduser", "carol", code=77)
    assert under_the_gate("carol") == (False, False)


def test_who_is_not_there():
    assert "carol is not under the gate" in ctl("deluser", "carol", code=67)
    ctl("adduser", code=64)
    ctl("deluser", "a", "b", code=64)
    ctl("adduser", "carol", code=77, user="carol")
    ctl("deluser", "alice", code=77, user="alice")
    subprocess.run(["usermod", "-g", conf.GROUP, "carol"], check=True)
    assert "own group of carol" in ctl("deluser", "carol", code=77)

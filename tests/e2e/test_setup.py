# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgatectl setup: puts the locks into the host's files, tries logins before and after, and takes all of it out again."""
import contextlib
import fcntl
import glob
import grp
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

import pytest

import sshd_config as conf
import test_doctor as doc
import test_firewall as fw
import test_readonly_socket as ro
import vgtest
from test_sshd_doors import Door

CTL = doc.CTL
pytestmark = doc.pytestmark

OURS = conf.DROPINS / conf.OURS
KEPT = pathlib.Path("/var/lib/virtgate/setup")
CONFINED = pathlib.Path("/etc/virtgate/virtgate.d/00-setup.ini")
SSHD_PID = pathlib.Path("/run/sshd.pid")
# shadow-utils and systemd-sysusers write these as they please.
THEIRS = {f"/etc/{name}" for name in ("passwd-", "shadow-", "group-", "gshadow-", ".pwd.lock", ".updated")}


def run_setup(*words, code=0, user=None):
    done = subprocess.run([CTL, "setup", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, user=user)
    assert done.returncode == code, done
    return done.stdout + done.stderr


def etc(without=frozenset()):
    """Everything in /etc, with owners and modes, and what setup changes elsewhere."""
    found = {}
    for folder, folders, files in os.walk("/etc"):
        for name in folders + files:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            if path not in without:
                found[path] = (stat.filemode(st.st_mode), st.st_uid, st.st_gid, os.readlink(path) if stat.S_ISLNK(st.st_mode)
                               else pathlib.Path(path).read_bytes() if stat.S_ISREG(st.st_mode) else None)
    for socket in pathlib.Path("/run/libvirt").glob("*-sock*"):
        found[str(socket)] = (stat.filemode(socket.stat().st_mode), socket.stat().st_gid)
    return found


def same(before, without=frozenset()):
    now = etc(without)
    return {path for path in before.keys() | now.keys() if path not in without and before.get(path) != now.get(path)} == set()


def sshds():
    return [line for line in subprocess.run(["pgrep", "-af", r"^sshd: .*\[listener\]"], capture_output=True,
                                            text=True).stdout.splitlines()]


def comes_in():
    return Door("carol", 22).run(command="true").returncode == 0


def pid_file():
    """(when it was written, the pid); None while sshd, which may have been told to restart, has none."""
    try:
        return SSHD_PID.stat().st_mtime_ns, int(SSHD_PID.read_text())
    except (FileNotFoundError, ValueError):
        return None


def reload_sshd():
    """And waits until it heeds the next one."""
    before = vgtest.wait_until(pid_file, 20, "sshd's pid file")
    os.kill(before[1], signal.SIGHUP)
    vgtest.wait_until(lambda: pid_file() not in (None, before), 20, "sshd's new beginning")
    vgtest.wait_until(comes_in, 20, "sshd")


@pytest.fixture(scope="module", autouse=True)
def mended():
    """What is not setup's to mend, so that doctor can be green."""
    with contextlib.ExitStack() as stack:
        doc.SYNCHRONIZED.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(doc.text_of(doc.SYNCHRONIZED, ""))
        for image in doc.IMAGES.glob("*.img"):
            stack.enter_context(doc.mode_of(image, 0o600))
        stack.enter_context(doc.no_crontabs())
        yield


@pytest.fixture
def fresh():
    """A host where nothing has been set up: no drop-in, the PAM file as Debian has it."""
    saved = {path: (path.read_bytes() if path.exists() else None) for path in (doc.PAM, OURS, ro.CONF, vgtest.ACL, CONFINED)}
    doc.PAM.write_text(re.sub(r"(?m)^.*pam_virtgate.*\n", "", doc.PAM.read_text()))
    OURS.unlink()
    running = len(sshds())
    yield doc.PAM.read_text()
    vgtest.wait_until(lambda: len(sshds()) == running, what="as many sshds as before")
    assert not glob.glob("/run/virtgate-setup.*")
    for path, was in saved.items():
        if was is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_bytes() != was:
            path.write_bytes(was)
    shutil.rmtree(KEPT, ignore_errors=True)
    os.chmod(ro.SOCKET, 0o777)
    fw.firewall("off")
    vgtest.reload_gate()
    reload_sshd()


# --- there and back --------------------------------------------------------------------------------------------------

def test_dry_run(fresh):
    before = etc()
    text = run_setup("--dry-run")
    assert "+auth       optional     pam_virtgate.so # by virtgatectl setup\n" in text
    assert "+++ /etc/pam.d/sshd" in text and "05-virtgate.conf (is not there)" in text
    assert "+confined = required\n" in text and '-unix_sock_ro_perms = "0777"\n+unix_sock_ro_perms = "0770"' in text
    assert same(before) and not KEPT.exists()
    fw.firewall("show", code=69)


def test_there_and_back(fresh):
    """doctor is green after it, and the host is what it was after --undo."""
    before = etc()
    assert {"sshd.command", "pam.module", "libvirt.readonly", "host.firewall"} < set(doc.red())
    run_setup()
    assert OURS.read_bytes() == pathlib.Path("/usr/share/virtgate/05-virtgate.conf").read_bytes()
    lines = doc.PAM.read_text().splitlines()
    ours = [number for number, line in enumerate(lines) if "pam_virtgate.so" in line]
    assert len(ours) == 3 and "pam_loginuid" in lines[ours[2] - 1] and len(lines) == len(fresh.splitlines()) + 3
    doors = vgtest.wait_until(lambda: (found := doc.doctor()) and found["sshd.loaded"]["state"] == "closed" and found, 20,
                              "the running sshd's new files")
    assert [door for door in doors.values() if door["state"] != "closed"] == []
    assert subprocess.run([CTL, "doctor"], capture_output=True).returncode == 0
    assert not fw.reaches("carol", fw.SECRET)
    vgtest.wait_until(comes_in)
    # The running sshd has it, and the gate serves a confined login.
    assert Door("alice", 22).run("-W", "127.0.0.1:22").stdout == b""
    assert b"cards2" in vgtest.ssh("alice", "list").stdout
    assert vgtest.shell("alice", "list", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).wait(20) == 77
    made = etc()
    assert "no file has to be changed" in run_setup() and same(made)
    # libvirtd.conf, and virtqemud.conf where there is one.
    changed = [path for path, (mode, *_) in made.items() if mode.startswith("-") and made[path] != before.get(path)]
    assert len(changed) == 3 + len([path for path in ("libvirtd", "virtqemud") if os.path.exists(f"/etc/libvirt/{path}.conf")])
    assert run_setup("--undo", "--dry-run").count("would be as it was before") == len(changed) and same(made)
    assert run_setup("--undo").count("is as it was before") == len(changed)
    assert same(before) and not list(KEPT.iterdir())
    assert fw.reaches("carol", fw.SECRET)
    vgtest.wait_until(comes_in)
    assert b"cards2" in vgtest.ssh("alice", "list").stdout
    assert "is as it was" not in run_setup("--undo") and same(before)


def test_lines_for_libvirtd_hold(fresh):
    """At its next start libvirtd makes its socket by the lines; undo leaves that to the start after it."""
    run_setup()
    with vgtest.without_libvirtd():
        pass
    assert stat.S_IMODE(os.stat(ro.SOCKET).st_mode) == 0o770 and pathlib.Path(ro.SOCKET).group() == "libvirt"
    assert doc.doctor()["libvirt.readonly"]["state"] == "closed"
    run_setup("--undo")
    with vgtest.without_libvirtd():
        pass
    assert stat.S_IMODE(os.stat(ro.SOCKET).st_mode) == 0o777


# --- what fails ------------------------------------------------------------------------------------------------------

def test_module_that_keeps_everybody_out(fresh):
    """Seen by a login before sshd is told of anything; every file is put back."""
    before, module = etc(), doc.MODULE.read_bytes()
    doc.MODULE.write_bytes(b"no module at all")
    try:
        text = run_setup(code=78)
    finally:
        doc.MODULE.write_bytes(module)
    assert "a login of root fails" in text and "every file is as it was before" in text
    assert same(before) and not list(KEPT.glob("*"))
    fw.firewall("show", code=69)
    assert comes_in()


@pytest.mark.parametrize("user", ["alice", "mallory"])
def test_gate_that_does_not_hold(fresh, user):
    """An earlier block lets one past, the first or the last of the group, and PAM's lines are another service's: setup says so,
    and leaves nothing half."""
    subprocess.run(["usermod", "-s", "/bin/bash", user], check=True)
    doc.PAM.write_text("".join(f"{kind} {how} pam_virtgate.so services=other\n" for kind, how in (
        ("auth", "optional"), ("account", "required"), ("session", "required"))) + fresh)
    before = etc()
    try:
        with doc.early("Match Group virtgate-users\n\tForceCommand none\nMatch all\n"):
            assert f"{user} runs a program, and not the gate" in run_setup(code=78)
        assert same(before)
    finally:
        subprocess.run(["usermod", "-s", conf.GATE, user], check=True)


def test_sshd_that_is_broken_already(fresh):
    """A39."""
    before = etc()
    with doc.early("ForceComand x\n"):
        text = run_setup(code=78)
    assert "Bad configuration option" in text and "nothing was" in text
    assert same(before) and comes_in()


def test_acl_that_is_broken(fresh):
    vgtest.ACL.write_text(vgtest.ACL.read_text() + "[user]\n")
    before = etc()
    assert "the ACL has errors" in run_setup(code=78) and same(before)


def test_module_is_not_there(fresh):
    """The other locks are put in place, and nobody is asked for what nobody can have."""
    doc.MODULE.rename(doc.MODULE.with_suffix(".off"))
    try:
        assert "pam_virtgate.so is not installed; left as it is" in run_setup()
        assert doc.PAM.read_text() == fresh and OURS.exists() and not CONFINED.exists()
    finally:
        doc.MODULE.with_suffix(".off").rename(doc.MODULE)


def test_file_that_is_no_text(fresh):
    doc.PAM.write_bytes(fresh.encode() + b"# \0\n")
    before = etc()
    assert "/etc/pam.d/sshd: not a text file" in run_setup(code=71) and same(before)


# --- what is found ---------------------------------------------------------------------------------------------------

LAYOUTS = {
    "hand-edited": lambda text: "auth required pam_env.so\n" + text.replace("# Set the loginuid", "auth optional "
                                "pam_virtgate.so\n# Set") + "# the end",
    "with-includes-only": lambda text: "@include common-auth\n@include common-account\n@include common-session\n",
    "without-loginuid": lambda text: re.sub(r"(?m)^.*pam_loginuid.*\n", "", text),
    "without-a-last-end-of-line": lambda text: text.replace("# Standard Un*x password", "# \\\n#").rstrip("\n"),
    "with-a-line-that-goes-on": lambda text: text.replace("required     pam_loginuid.so", "required \\\n\tpam_loginuid.so"),
    "with-dos-comments": lambda text: re.sub(r"(?m)^(#.*)$", "\\1\r", text),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_pams_file(fresh, layout):
    """Logins work, the lock is whole, and every byte comes back."""
    doc.PAM.write_text(LAYOUTS[layout](fresh), newline="")
    os.chmod(doc.PAM, 0o640)
    os.chown(doc.PAM, 0, grp.getgrnam("adm").gr_gid)
    try:
        before = etc()
        run_setup()
        made = os.stat(doc.PAM)
        assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o640, grp.getgrnam("adm").gr_gid)
        doors = doc.doctor()
        assert [doors[id] for id in doors if id.startswith("pam.") and doors[id]["state"] != "closed"] == []
        run_setup("--undo")
        assert same(before)
    finally:
        os.chmod(doc.PAM, 0o644)
        os.chown(doc.PAM, 0, 0)


def test_link_stays_a_link(fresh):
    """As authselect and its like have it; a file that lies in the way of the new one is not followed."""
    real, trap = pathlib.Path("/etc/pam.d/vg-real"), pathlib.Path("/etc/pam.d/vg-real.virtgate-new")
    doc.PAM.rename(real)
    doc.PAM.symlink_to("vg-real")
    before = etc()
    trap.symlink_to("/etc/vg-victim")
    try:
        run_setup()
        assert doc.PAM.is_symlink() and real.read_text().count("pam_virtgate.so") == 3
        run_setup("--undo")
        assert same(before)
    finally:
        trap.unlink(missing_ok=True)
        doc.PAM.unlink()
        real.rename(doc.PAM)


def test_changed_since(fresh):
    """Nothing is undone then; a second setup takes the change for the administrator's, and undo leaves it."""
    before = etc()
    run_setup()
    doc.PAM.write_text(doc.PAM.read_text() + "# mine\n")
    made = etc()
    for words in (["--dry-run"], []):
        assert "/etc/pam.d/sshd was changed since" in run_setup("--undo", *words, code=78)
        assert same(made)
    assert "nothing was undone" in run_setup("--undo", code=78)
    assert (KEPT / "+etc+pam.d+sshd.old").read_text() == fresh
    run_setup()
    run_setup("--undo")
    assert doc.PAM.read_text().splitlines()[-1] == "# mine" and "pam_virtgate" not in doc.PAM.read_text()
    assert same(before, {"/etc/pam.d/sshd"})


def test_put_back_by_hand(fresh):
    """Undo has nothing to do there, and says nothing."""
    before = etc()
    run_setup()
    doc.PAM.write_text(fresh)
    assert "/etc/pam.d/sshd" not in run_setup("--undo") and same(before) and not list(KEPT.iterdir())


@pytest.mark.parametrize("word", ["required", "optional"])
def test_administrators_word_on_confined(fresh, word):
    vgtest.ACL.write_text(f"[gate]\nconfined = {word}\n" + vgtest.ACL.read_text())
    before = vgtest.ACL.read_text()
    text = run_setup()
    assert not CONFINED.exists() and vgtest.ACL.read_text() == before
    assert ("confined = optional, and that is left as it is" in text) == (word == "optional")
    assert doc.doctor()["pam.confined"]["state"] == ("closed" if word == "required" else "open")


def test_settings_beside_the_drop_in(fresh):
    """The administrator writes [gate] later, as the README has it."""
    run_setup()
    vgtest.set_acl("[gate]\nidle = 30m\n" + vgtest.ACL.read_text())
    assert doc.doctor()["pam.confined"]["state"] == "closed"


def test_firewall_that_is_on_already(fresh):
    """With what somebody has added, and after --undo as well."""
    fw.firewall("on", "--allow", "carol")
    run_setup()
    assert fw.reaches("carol", fw.SECRET) and not fw.reaches("nobody", fw.SECRET)
    run_setup("--undo")
    assert not fw.reaches("nobody", fw.SECRET)


# --- the group -------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def without_group():
    files = [pathlib.Path(path) for path in ("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow")]
    before = {path: path.read_bytes() for path in files}
    subprocess.run(["groupdel", conf.GROUP], check=True)
    try:
        yield
    finally:
        for path, text in before.items():
            path.write_bytes(text)


@pytest.mark.parametrize("sysusers", [True, False], ids=["sysusers", "groupadd"])
def test_group_that_is_missing(fresh, sysusers):
    """It is made, and goes with --undo."""
    with contextlib.ExitStack() as stack:
        shipped = pathlib.Path("/usr/lib/sysusers.d/virtgate.conf")
        if not sysusers:
            shipped.rename(shipped.with_suffix(".off"))
            stack.callback(shipped.with_suffix(".off").rename, shipped)
        stack.enter_context(without_group())
        before = etc(THEIRS)
        assert "+ group virtgate-users" in run_setup("--dry-run") and same(before, THEIRS)
        assert "+ group virtgate-users" in run_setup()
        assert grp.getgrnam(conf.GROUP).gr_mem == []
        run_setup("--undo")
        assert same(before, THEIRS) and not list(KEPT.iterdir())


def test_group_that_is_used_stays(fresh):
    """Until its last member is out."""
    with without_group():
        before = etc(THEIRS)
        run_setup()
        subprocess.run(["gpasswd", "-a", "mallory", conf.GROUP], check=True, capture_output=True)
        assert "has members and stays" in run_setup("--undo", code=78)
        subprocess.run(["gpasswd", "-d", "mallory", conf.GROUP], check=True, capture_output=True)
        run_setup("--undo")
        assert same(before, THEIRS)


def test_group_of_a_setup_that_fails(fresh):
    with without_group():
        before, module = etc(THEIRS), doc.MODULE.read_bytes()
        doc.MODULE.write_bytes(b"no module at all")
        try:
            run_setup(code=78)
        finally:
            doc.MODULE.write_bytes(module)
        assert same(before, THEIRS)


# --- killed, and twice at once ---------------------------------------------------------------------------------------

def killed_at(number, *words):
    """Ends setup by SIGKILL in the place of its so manyth change of a file's name, by which files and records come to be. False
    when there are not so many."""
    done = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "trace=rename", "-e",
                           f"inject=rename:signal=KILL:when={number}", CTL, "setup", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 137, -9), done
    return done.returncode != 0


def test_killed_in_the_middle(fresh):
    """Wherever it is: --undo brings everything back, or a second setup goes on."""
    before, number = etc(), 0
    while killed_at(number := number + 1):
        if number % 2:
            run_setup()
            doors = doc.doctor()
            assert [doors[id] for id in doors if id.startswith("pam.") and doors[id]["state"] != "closed"] == []
        run_setup("--undo")
        assert same(before), number
        assert not list(KEPT.iterdir()), number
    assert number > 8


def test_undo_killed_in_the_middle(fresh):
    before, number = etc(), 0
    while True:
        run_setup()
        if not killed_at(number := number + 1, "--undo"):
            break
        run_setup("--undo")
        assert same(before) and not list(KEPT.iterdir()), number
    assert same(before) and number > 2


def test_one_at_a_time(fresh):
    before = etc()
    KEPT.mkdir(parents=True)
    lock = os.open(KEPT, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        for words in ([], ["--undo"]):
            assert "another one is running" in run_setup(*words, code=75) and same(before)
    finally:
        os.close(lock)


def test_two_at_once(fresh):
    before = etc()
    both = [subprocess.Popen([CTL, "setup"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted(process.returncode for process in both) in ([0, 75], [0, 0]), said
    assert doc.PAM.read_text().count("pam_virtgate.so") == 3
    run_setup("--undo")
    assert same(before)


# --- with systemd ----------------------------------------------------------------------------------------------------

SYSTEMCTL = """#!/bin/sh
# Writes down what it is told, and does what shows in /etc.
case $1 in is-enabled) test -e /etc/systemd/system/vg.wants/$3; exit ;; esac
echo "$*" >> /run/systemctl.said
case $1 in
enable) mkdir -p /etc/systemd/system/vg.wants && : > /etc/systemd/system/vg.wants/$3 ;;
disable) rm /etc/systemd/system/vg.wants/$3; rmdir --ignore-fail-on-non-empty /etc/systemd/system/vg.wants ;;
esac
"""


@pytest.fixture
def systemd():
    systemctl, said = pathlib.Path("/usr/bin/systemctl"), pathlib.Path("/run/systemctl.said")
    with contextlib.ExitStack() as stack:
        stack.callback(systemctl.write_bytes, systemctl.read_bytes())
        systemctl.write_text(SYSTEMCTL)
        pathlib.Path("/run/systemd/system").mkdir(parents=True)
        stack.callback(pathlib.Path("/run/systemd/system").rmdir)
        stack.callback(lambda: said.unlink(missing_ok=True))
        yield said


def test_with_systemd(fresh, systemd):
    """Units are turned on, and off again if they were off before."""
    dropins = pathlib.Path("/etc/systemd/system")
    (dropins / "vg.wants").mkdir()
    (dropins / "vg.wants/virtgated.service").write_text("")
    try:
        before = etc()
        libvirtd = ro.CONF.read_text()
        run_setup()
        made = dropins / "libvirtd-ro.socket.d/virtgate.conf"
        assert "SocketMode=0660" in made.read_text() and not (dropins / "virtqemud-ro.socket.d/virtgate.conf").exists()
        assert ro.CONF.read_text() == libvirtd      # systemd makes the sockets
        assert systemd.read_text().splitlines() == [
            "daemon-reload", "enable --now virtgated.socket", "enable --now virtgated.service",
            "enable --now virtgate-firewall.service"]
        # systemd restarts no socket whose service runs: that there is, is closed at once.
        assert stat.S_IMODE(os.stat(ro.SOCKET).st_mode) == 0o770
        systemd.unlink()
        run_setup("--undo")
        assert same(before) and not made.parent.exists()
        assert sorted(systemd.read_text().splitlines()) == [
            "daemon-reload", "disable --now virtgate-firewall.service", "disable --now virtgated.socket"]
    finally:
        shutil.rmtree(dropins / "vg.wants", ignore_errors=True)


def test_usage():
    run_setup("now", code=64)
    run_setup("--json", code=64)
    assert "only root" in run_setup(user="carol", code=77)

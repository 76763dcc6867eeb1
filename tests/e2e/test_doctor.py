# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgatectl doctor: all doors closed on a host that is in order; each planted mistake opens its door and no other, and the
line says what it is."""
import contextlib
import ctypes
import errno
import grp
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess

import pytest

import sshd_config as conf
import pam_sshd
import test_firewall as fw
import test_readonly_socket as ro
import vgtest
from test_sshd_doors import sshd

CTL = shutil.which("virtgatectl")
WHY = conf.missing() or pam_sshd.missing()
pytestmark = pytest.mark.skipif(not CTL or WHY is not None, reason=f"needs virtgatectl; {WHY}")

PAM = pathlib.Path("/etc/pam.d/sshd")
SYNCHRONIZED = pathlib.Path("/run/systemd/timesync/synchronized")
IMAGES = pathlib.Path("/var/lib/libvirt/images")
MODULE = next(pathlib.Path("/usr").glob("lib*/*/security/pam_virtgate.so"), pathlib.Path("/no/pam_virtgate.so"))
CONFINED = "[gate]\nconfined = required\n"
OPEN, UNKNOWN, USAGE, NO_ROOT = 78, 69, 64, 77
SSHD_LOST = {"sshd.command", "sshd.forwarding", "sshd.environment"}     # ten sessions are sshd's default


def doctor():
    """{door: its object}, with the exit code that belongs to it."""
    done = subprocess.run([CTL, "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)
    answer = json.loads(done.stdout)
    doors = {door["id"]: door for door in answer["doors"]}
    assert len(doors) == len(answer["doors"])
    states = {door["state"] for door in doors.values()}
    assert done.returncode == (OPEN if "open" in states else UNKNOWN if "unknown" in states else 0), done
    assert answer["ok"] == (done.returncode == 0)
    return doors


def red(state="open"):
    return {id: door for id, door in doctor().items() if door["state"] == state}


# --- a host in order -----------------------------------------------------------------------------------------------

@contextlib.contextmanager
def text_of(path, text, age=True):
    """Another text in a file, or a new file; as old as if sshd had read it."""
    path = pathlib.Path(path)
    before, times = (path.read_bytes(), path.stat()) if path.exists() else (None, None)
    path.write_text(text)
    if age:
        os.utime(path, (1, 1))
    try:
        yield path
    finally:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def mode_of(path, mode):
    before = os.stat(path).st_mode & 0o7777
    os.chmod(path, mode)
    try:
        yield
    finally:
        os.chmod(path, before)


@contextlib.contextmanager
def program(path):
    """It is installed, by its looks."""
    with contextlib.ExitStack() as stack:
        if not os.path.exists(path):
            stack.enter_context(text_of(path, "#!/bin/sh\n"))
            os.chmod(path, 0o755)
        yield


def no_crontabs(*more):
    """Where there is a cron, it is everybody's who is not in this file."""
    return text_of("/etc/cron.deny", "".join(f"{user}\n" for user in (*grp.getgrnam(conf.GROUP).gr_mem, *more)))


def pam_in_order():
    """The stack as Debian has it, the module's lines where they belong, and no ~/.pam_environment."""
    text = re.sub(r"(?m)^.*pam_virtgate.*\n", "", PAM.read_text()).replace(" user_readenv=1", "")
    text = text.replace("@include common-auth", "auth optional pam_virtgate.so\n@include common-auth", 1)
    text = re.sub(r"(?m)^account ", "account required pam_virtgate.so\naccount ", text, count=1)
    return re.sub(r"(?m)^(session .*pam_loginuid.so.*\n)", r"\1session required pam_virtgate.so\n", text, count=1)


@pytest.fixture(scope="module", autouse=True)
def in_order():
    with contextlib.ExitStack() as stack:
        stack.enter_context(text_of(PAM, pam_in_order()))
        stack.enter_context(vgtest.acl(CONFINED + vgtest.ACL.read_text()))
        stack.enter_context(ro.closed())
        fw.firewall("on")
        stack.callback(fw.firewall, "off")
        SYNCHRONIZED.parent.mkdir(parents=True, exist_ok=True)
        stack.enter_context(text_of(SYNCHRONIZED, ""))
        for image in IMAGES.glob("*.img"):
            stack.enter_context(mode_of(image, 0o600))
        stack.enter_context(no_crontabs())
        yield


def test_green():
    doors = doctor()
    assert {door["state"] for door in doors.values()} == {"closed"}, [d for d in doors.values() if d["state"] != "closed"]
    assert len(doors) >= 30 and all(door["why"] and not door["mend"] for door in doors.values())


def test_text():
    """One line for each door, and nothing else."""
    out = subprocess.run([CTL, "doctor"], capture_output=True, text=True, timeout=300)
    assert out.returncode == 0 and out.stderr == ""
    assert [line.split()[:2] for line in out.stdout.splitlines()] == [["closed", id] for id in doctor()]
    with text_of("/etc/ssh/sshrc", ""):
        out = subprocess.run([CTL, "doctor"], capture_output=True, text=True, timeout=300)
    assert out.returncode == OPEN
    assert [line for line in out.stdout.splitlines() if not line.startswith("closed ")] == [
        "OPEN     sshd.rc             /etc/ssh/sshrc runs as the user before the gate does; mend: rm "
        "/etc/ssh/sshrc, or have "
        "it end at once for group virtgate-users"]


def test_usage():
    assert subprocess.run([CTL, "doctor", "now"], capture_output=True).returncode == USAGE
    assert subprocess.run([CTL, "doctor"], capture_output=True, user="carol").returncode == NO_ROOT


def test_it_leaves_nothing_behind():
    listeners = lambda: subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout
    before = (listeners(), fw.tables(), PAM.read_bytes())
    doctor()
    assert (listeners(), fw.tables(), PAM.read_bytes()) == before
    assert fw.watched() == []


# --- mistakes ------------------------------------------------------------------------------------------------------

SETUP_KEEPS = pathlib.Path("/var/lib/virtgate/setup")


def green(doors):
    states = doctor()
    return all(states[door]["state"] == "closed" for door in doors)


def follow_mend(doors, found, command):
    """What the line says, word by word, with the mistake still there."""
    mend = re.search(command, found[min(doors)]["mend"])[0]
    try:
        done = subprocess.run(["bash", "-c", mend], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (mend, done)
        # sshd takes its time to read its files.
        vgtest.wait_until(lambda: green(doors), 30, f"closed doors after {mend!r}; now {red()}")
    finally:
        shutil.rmtree(SETUP_KEEPS, ignore_errors=True)


def planted(doors, *said, state="open", mend=None):
    """A mistake is a context manager. doors: what it opens, all of it; said: patterns of the lines' texts, in any; mend: what
    of the mend is a command that closes the door."""
    def decorate(mistake):
        def test(place):
            # Accounts and groups are named in the mistakes; a folder is there for who wants one.
            plant = contextlib.contextmanager(mistake)
            with plant(place) if mistake.__code__.co_argcount else plant():
                found = red(state)
                assert set(found) == set(doors), found
                text = "\n".join(f"{door['why']} | {door['mend']}" for door in found.values())
                for pattern in said:
                    assert re.search(pattern, text), text
                assert all(door["mend"] for door in found.values()), found
                if mend:
                    follow_mend(doors, found, mend)
            assert green(doors)     # and it closes again
        test.__name__, test.__doc__ = mistake.__name__, mistake.__doc__
        return test
    return decorate


def early(text):
    """A drop-in that sorts before ours."""
    return text_of(conf.DROPINS / "00-local.conf", text)


@planted(SSHD_LOST, mend="^virtgatectl setup$")
def test_drop_in_lost():
    ours = conf.DROPINS / conf.OURS
    ours.rename(ours.with_suffix(".off"))
    try:
        yield
    finally:
        ours.with_suffix(".off").rename(ours)


@planted(SSHD_LOST, "sshd_config include")
def test_main_file_without_include():
    with text_of(conf.MAIN, re.sub(r"(?m)^Include.*$", "", conf.MAIN.read_text())):
        yield


@planted({"sshd.command", "sshd.forwarding"}, r"00-local.conf:3 comes first",
         "allowtcpforwarding yes for alice, expected no")
def test_earlier_match_block():
    with early("Match Group *\n\tForceCommand none\n\tAllowTcpForwarding yes\nMatch all\n"):
        yield


@planted({"sshd.forwarding"}, r"allowstreamlocalforwarding all|yes for alice from 10.0.0.0", r"00-local.conf:2")
def test_earlier_match_block_for_a_network():
    with early("Match Address 10.0.0.0/8,!10.1.0.0/16\n\tAllowStreamLocalForwarding yes\nMatch all\n"):
        yield


@planted({"sshd.forwarding"}, "x11forwarding yes")
def test_earlier_match_block_for_a_port():
    with early("match localport=2222 user a*\n\tX11Forwarding=yes\nMatch all\n"):
        yield


@planted({"sshd.command"}, "forcecommand none for alice")
def test_earlier_match_block_for_a_host_of_one_user():
    with early('Match User "alice" Host *.example.org\n\tForceCommand none\nMatch all\n'):
        yield


@planted({"sshd.command"}, "/usr/bin/virtgate-shell # the gate for")
def test_comment_behind_the_command():
    with early("Match Group virtgate-users\n\tForceCommand /usr/bin/virtgate-shell # the gate\nMatch all\n"):
        yield


@planted({"sshd.command"}, "chrootdirectory /srv for alice, expected none")
def test_chroot():
    with early("Match Group virtgate-users\n\tChrootDirectory /srv\nMatch all\n"):
        yield


@planted({"sshd.forwarding"}, "permittunnel yes")
def test_tunnel():
    with early("Match Group virtgate-users\n\tPermitTunnel yes\nMatch all\n"):
        yield


@planted({"sshd.forwarding"}, "allowagentforwarding yes", mend="^virtgatectl setup$")
def test_keyword_taken_out_of_the_drop_in():
    """DisableForwarding alone stands, and has missed features in every release."""
    ours = conf.DROPINS / conf.OURS
    with text_of(ours, re.sub(r"(?m)^\s*AllowAgentForwarding.*\n", "", ours.read_text())):
        yield


@planted({"sshd.environment"}, "permituserenvironment yes for alice, expected no")
def test_user_environment():
    with early("PermitUserEnvironment yes\n"):
        yield


@planted({"sshd.environment"}, "acceptenv LC_")
def test_accepted_variables():
    with early("Match Group virtgate-users\n\tAcceptEnv LC_*\nMatch all\n"):
        yield


@planted({"sshd.environment"}, "setenv unset for alice, expected SSH_ORIGINAL_COMMAND=")
def test_variables_are_not_emptied():
    with early("Match Group virtgate-users\n\tSetEnv TZ=UTC\nMatch all\n"):
        yield


@planted({"sshd.sessions"}, "maxsessions 11 for alice, expected 10")
def test_sessions():
    with early("Match Group virtgate-users\n\tMaxSessions 11\nMatch all\n"):
        yield


@planted({"sshd.pam"}, "usepam no")
def test_no_pam():
    with early("UsePAM no\n"):
        yield


@planted({"sshd.config"}, "Bad configuration option")
def test_broken_drop_in():
    with early("ForceComand /bin/false\n"):
        yield


@planted(SSHD_LOST, "for ALICE, expected")
def test_other_spelling():
    """An account that the system knows by two names, the second outside the group."""
    subprocess.run(["useradd", "--badname", "-o", "-u", str(pwd.getpwnam("alice").pw_uid), "-g", "nogroup", "-M",
                    "ALICE"], check=True)
    try:
        yield
    finally:
        subprocess.run(["userdel", "-f", "ALICE"], check=True, capture_output=True)


@planted(SSHD_LOST, r"\(sshd -f /tmp/.*sshd_config\)")
def test_second_sshd(place):
    with sshd(conf.copy(place, without=conf.OURS)):
        yield


@planted({"sshd.loaded"}, "00-local.conf was changed after sshd had read it", state="unknown", mend="^sshd -t && kill -HUP [0-9]+$")
def test_not_reloaded():
    with text_of(conf.DROPINS / "00-local.conf", "# nothing\n", age=False):
        yield


@planted({"sshd.rc"}, mend="^rm /etc/ssh/sshrc")
def test_sshrc():
    with text_of("/etc/ssh/sshrc", "touch /tmp/x\n"):
        yield


def test_program_that_only_looks_like_sshd(place):
    """carol's own program of that name and title is not run, least of all by root."""
    mark, program = place / "mark", place / "sshd"
    code = f"""if True:
        import os, sys, time
        open({str(mark)!r} + str(os.getuid()), "w").close()
        time.sleep(60)
    """
    # A copy of python under that name, with the title that a listener has.
    shutil.copy(os.path.realpath("/usr/bin/python3"), program)
    program.chmod(0o755)
    carol = pwd.getpwnam("carol")
    os.chown(program, carol.pw_uid, carol.pw_gid)
    fake = subprocess.Popen([f"sshd: {program} [listener] 0 of 10-100 startups", "-c", code], executable=program, user=carol.pw_uid,
                            group=carol.pw_gid, extra_groups=[])
    try:
        vgtest.wait_until(lambda: (place / f"mark{carol.pw_uid}").exists())
        assert {door["state"] for door in doctor().values()} == {"closed"}
        assert not (place / "mark0").exists()
        # Neither when the process is root's, by a setuid program perhaps, and the file is hers.
        fake_of_root = subprocess.Popen([f"sshd: {program} [listener] 0 of 10-100 startups", "-c", "import time; time.sleep(60)"],
                                        executable=program)
        try:
            assert {door["state"] for door in doctor().values()} == {"closed"}
        finally:
            fake_of_root.kill()
            fake_of_root.wait()
    finally:
        fake.kill()
        fake.wait()


def posing_as(place, name, title, code):
    """carol's own program of that name and title, which runs this Python code."""
    program = place / name
    shutil.copy(os.path.realpath("/usr/bin/python3"), program)
    carol = pwd.getpwnam("carol")
    return subprocess.Popen([title, "-IS", "-c", code], executable=program, user=carol.pw_uid, group=carol.pw_gid,
                            extra_groups=[], stdout=subprocess.PIPE)


LISTEN = """if True:
    import socket, time
    ports = [socket.create_server((host, 0), backlog=0) for host in ("0.0.0.0", "127.0.0.1") for _ in range(20)]
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ["qemu-system-x86_64", "libvirtd", "dropbear"])
def test_program_that_only_looks_like_a_daemon(place, name):
    """What carol's own program listens on is her own business; doctor neither waits for it nor says a word of hers."""
    fake = posing_as(place, name, name, LISTEN)
    try:
        assert fake.stdout.readline() == b"ready\n"
        assert red() == {} and red("unknown") == {}
    finally:
        fake.kill()
        fake.communicate()


@contextlib.contextmanager
def accounts_named(*names):
    """Under the gate, with bash; as a directory may have them."""
    gid = grp.getgrnam(conf.GROUP).gr_gid
    lines = "".join(f"{name}:x:{51000 + n}:{gid}::/nonexistent:/bin/bash\n" for n, name in enumerate(names))
    with text_of("/etc/passwd", pathlib.Path("/etc/passwd").read_text() + lines), no_crontabs(*names):
        yield


def test_names_that_a_shell_would_take_for_more(place):
    """A mend is there to be pasted, and a line is one line."""
    with accounts_named(f"vg;touch {place}/mark;", "vg$(id)\x1b[2J"):
        out = subprocess.run([CTL, "doctor"], capture_output=True, text=True, timeout=300)
        door = doctor()["accounts.shell"]
    assert (door["mend"], door["more"]) == (f"virtgatectl adduser 'vg;touch {place}/mark;'", 1)
    assert subprocess.run(["sh", "-c", door["mend"]], capture_output=True).returncode == 67 and not (place / "mark").exists()
    assert "\x1b" not in out.stdout and len(out.stdout.splitlines()) == len(doctor())


@planted({"sshd.config"}, "cannot be asked about an account named vg,addr=10.0.0.1", state="unknown")
def test_name_that_sshd_would_take_for_more():
    with accounts_named("vg,addr=10.0.0.1"):
        yield


def test_json_says_the_same():
    with contextlib.ExitStack() as stack:
        stack.enter_context(text_of("/etc/ssh/sshrc", ""))
        stack.enter_context(mode_of("/run/virtgate", 0o777))
        stack.enter_context(accounts_named("vg1", "vg2"))
        out = subprocess.run([CTL, "doctor"], capture_output=True, text=True, timeout=300)
        doors = doctor().values()
    assert out.stdout.splitlines() == [
        f"{door['state'].upper() if door['state'] == 'open' else door['state']:7}  {door['id']:18}  {door['why']}"
        + (f" (and {door['more']} more)" if door["more"] else "") + (f"; mend: {door['mend']}" if door["mend"] else "")
        for door in doors]
    assert {door["id"] for door in doors if door["state"] == "open"} == {"sshd.rc", "files.broker", "accounts.shell"}


# --- PAM

def pam(text):
    return text_of(PAM, text)


@planted({"pam.module"}, r"not in the PAM stack of sshd \(account\)", mend="^virtgatectl setup$")
def test_account_line_lost():
    with pam(pam_in_order().replace("account required pam_virtgate.so\n", "")):
        yield


@planted({"pam.module"}, r"not in the PAM stack of sshd \(auth\)", mend="^virtgatectl setup$")
def test_auth_line_lost():
    with pam(pam_in_order().replace("auth optional pam_virtgate.so\n", "# auth optional pam_virtgate.so\n")):
        yield


@planted({"pam.module"}, r"sshd:1 \(sufficient pam_permit.so\) can end the account stack")
def test_sufficient_above():
    with pam("account sufficient pam_permit.so\n" + pam_in_order()):
        yield


@planted({"pam.module"}, r"vg-local:2 \(sufficient pam_localuser.so\) can end the account stack")
def test_sufficient_in_an_included_file():
    """As Fedora's password-auth has it."""
    with text_of("/etc/pam.d/vg-local", "account required pam_unix.so\naccount sufficient pam_localuser.so\n"):
        with pam("account include vg-local\n" + pam_in_order()):
            yield


@planted({"pam.module"}, r"can jump past pam_virtgate.so in the session stack")
def test_jump():
    with pam(pam_in_order().replace("session required pam_virtgate.so",
                                    "session [success=1 default=ignore] pam_succeed_if.so quiet "
                                    "user = root\nsession required pam_virtgate.so")):
        yield


@planted({"pam.module"}, 'as "optional" .*can be overruled')
def test_optional():
    with pam(pam_in_order().replace("account required pam_virtgate", "account optional pam_virtgate")):
        yield


@planted({"pam.module"}, r"sshd:\d+ \(\[default=reset\]\) has the account stack forget what pam_virtgate.so answered")
def test_reset_behind_it():
    with pam(pam_in_order() + "account [default=reset] pam_permit.so\n"):
        yield


@planted({"pam.module"}, r"by its options \(services=login\) pam_virtgate.so is for something else \(auth\)")
def test_module_for_another_service():
    with pam(pam_in_order().replace("auth optional pam_virtgate.so", "auth optional pam_virtgate.so services=login")):
        yield


@planted({"pam.module"}, f"sshd:\\d+ names {MODULE}, and there is no such file", "make install")
def test_module_file_is_gone():
    MODULE.rename(MODULE.with_suffix(".off"))
    try:
        yield
    finally:
        MODULE.with_suffix(".off").rename(MODULE)


@planted({"pam.module"}, f"{MODULE} can be written by others than root")
def test_module_file_can_be_written():
    with mode_of(MODULE, 0o757):
        yield


@planted({"pam.confined"}, "confined = required is not set", mend="^virtgatectl setup$")
def test_not_only_confined_logins():
    with vgtest.acl(vgtest.ACL.read_text().replace(CONFINED, "")):
        yield
        pathlib.Path("/etc/virtgate/virtgate.d/00-setup.ini").unlink()


@planted({"pam.confined"}, "write confined = required where the ACL has confined = optional; virtgatectl reload")
def test_confined_logins_by_choice():
    with vgtest.acl(vgtest.ACL.read_text().replace(CONFINED, "[gate]\nconfined = optional\n")):
        yield


@planted({"pam.confined"}, "virtgated serves alice without it", mend="^virtgatectl reload$")
def test_confined_is_not_in_force_yet():
    """The file says so, and virtgated has not read it."""
    text = vgtest.ACL.read_text()
    with vgtest.acl(text.replace(CONFINED, "")):
        vgtest.ACL.write_text(text)
        yield


@planted({"pam.environment"}, mend="^sed -i .* /etc/pam.d/sshd$")
def test_user_readenv():
    with pam(pam_in_order() + "session required pam_env.so user_readenv=1\n"):
        yield


# --- accounts

@planted({"accounts.shell"}, "login shell of bob is /bin/bash", mend="^virtgatectl adduser bob$")
def test_login_shell():
    subprocess.run(["usermod", "-s", "/bin/bash", "bob"], check=True)
    try:
        yield
    finally:
        subprocess.run(["usermod", "-s", conf.GATE, "bob"], check=True)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/csh", "/bin/ksh", "/bin/tcsh", "/usr/bin/fish", "/usr/bin/zsh",
                                   "/usr/local/bin/own"])
def test_other_login_shells(shell):
    """Whatever it is that reads a file of the user's before it comes to the forced command."""
    with pam_sshd.login_shell("bob", shell):
        found = red()
    assert set(found) == {"accounts.shell"}
    assert found["accounts.shell"]["why"].startswith(f"the login shell of bob is {shell}, ")


@contextlib.contextmanager
def membership(user, group):
    try:
        grp.getgrnam(group)
    except KeyError:
        subprocess.run(["groupadd", "--system", group], check=True)
    subprocess.run(["gpasswd", "-a", user, group], check=True, capture_output=True)
    try:
        yield
    finally:
        if user in grp.getgrnam(group).gr_mem:      # the mend may have taken it out
            subprocess.run(["gpasswd", "-d", user, group], check=True, capture_output=True)


@pytest.mark.parametrize("group", ["docker", "disk", "kvm", "sudo", "wheel", "qemu", "libvirt-qemu"])
def test_group(group):
    with membership("mallory", group):
        found = red()
    assert set(found) == {"accounts.groups"}
    assert f"mallory is in group {group}" == found["accounts.groups"]["why"]
    assert f"gpasswd -d mallory {group}" == found["accounts.groups"]["mend"]


@planted({"accounts.groups"}, "mallory is in group adm", mend="^gpasswd -d mallory adm$")
def test_group_and_out_of_it():
    with membership("mallory", "adm"):
        yield


@planted({"accounts.groups", "libvirt.readonly", "libvirt.readwrite"}, "mallory is in group libvirt",
         rf"{vgtest.LIBVIRT_SOCKET} is open to mallory", mend="^gpasswd -d mallory libvirt$")
def test_group_libvirt():
    """Seen twice: by the group, and by trying as the account."""
    with membership("mallory", "libvirt"):
        yield


@planted({"accounts.cron"}, "alice has a crontab", mend="^rm /var/spool/cron/crontabs/alice$")
def test_crontab():
    spool = pathlib.Path("/var/spool/cron/crontabs")
    spool.mkdir(parents=True, exist_ok=True)
    with text_of(spool / "alice", "* * * * * id\n"):
        yield


@planted({"accounts.cron"}, "bob may have a crontab", mend="^echo bob >> /etc/cron.deny$")
def test_crontab_allowed():
    with contextlib.ExitStack() as stack:
        stack.enter_context(program("/usr/bin/crontab"))
        stack.enter_context(text_of("/etc/cron.deny", "alice\nmallory\n"))
        yield


@planted({"accounts.cron"}, r"alice has a job of at\(1\) \(/var/spool/cron/atjobs/a00001\)", mend="^rm /var/spool/cron/atjobs/a00001$")
def test_at_job():
    spool = pathlib.Path("/var/spool/cron/atjobs")
    spool.mkdir(parents=True, exist_ok=True)
    with text_of(spool / "a00001", "id\n") as job, text_of(spool / "a00002", "id\n"):
        os.chown(job, pwd.getpwnam("alice").pw_uid, -1)     # the other one is root's
        yield


@planted({"accounts.cron"}, r"bob may use at\(1\)", "take the line bob out of /etc/at.allow")
def test_at_allowed():
    with contextlib.ExitStack() as stack:
        stack.enter_context(program("/usr/bin/at"))
        stack.enter_context(text_of("/etc/at.allow", "root\nbob\n"))
        stack.enter_context(text_of("/etc/at.deny", "bob\n"))      # is not read then
        yield


@planted({"accounts.systemd"}, mend="^rm /var/lib/systemd/linger/alice$")
def test_linger():
    folder = pathlib.Path("/var/lib/systemd/linger")
    folder.mkdir(parents=True, exist_ok=True)
    with text_of(folder / "alice", ""):
        yield


@planted({"accounts.systemd"}, "alice has units for systemd --user in /home/alice/.config/systemd/user", mend="^setpriv .*")
def test_user_unit():
    folder = pathlib.Path("/home/alice/.config/systemd/user")
    folder.mkdir(parents=True)
    try:
        (folder / "x.service").write_text("[Service]\nExecStart=/bin/sh\n")
        subprocess.run(["chown", "-R", "alice:", "/home/alice/.config"], check=True)
        yield
    finally:
        shutil.rmtree("/home/alice/.config")


@planted({"accounts.systemd"}, "/home/alice/.config/systemd/user cannot be looked at as alice", state="unknown")
def test_user_units_behind_a_link():
    """root's folder is not looked into on alice's behalf."""
    folder = pathlib.Path("/home/alice/.config/systemd")
    folder.mkdir(parents=True)
    try:
        (folder / "user").symlink_to("/root/.ssh")
        yield
    finally:
        shutil.rmtree("/home/alice/.config")


@planted({"accounts.group", "host.broker"}, "nobody is in group", state="unknown")
def test_nobody():
    with text_of("/etc/group", re.sub(r"(?m)^(virtgate-users:.*:).*$", r"\1", pathlib.Path("/etc/group").read_text())):
        with text_of("/etc/gshadow", re.sub(r"(?m)^(virtgate-users:.*:).*$", r"\1",
                                            pathlib.Path("/etc/gshadow").read_text())):
            yield


# --- libvirt

@planted({"libvirt.readonly"}, f"{ro.SOCKET} is open to every account", mend="^virtgatectl setup$")
def test_readonly_socket():
    with mode_of(ro.SOCKET, 0o777):
        yield


@planted({"libvirt.readwrite"}, f"{vgtest.LIBVIRT_SOCKET} is open to every account",
         f"unix_sock_rw_perms .*{ro.CONF.name}", mend=f"^chmod 0770 {vgtest.LIBVIRT_SOCKET}")
def test_readwrite_socket():
    with mode_of(vgtest.LIBVIRT_SOCKET, 0o777):
        yield


@planted({"libvirt.readwrite"}, "vgtest-sock takes connections of every account of this host and then says nothing", state="unknown")
def test_silent_socket():
    """Somebody who does not answer now may answer later."""
    path = "/run/libvirt/vgtest-sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        try:
            os.chmod(path, 0o777)
            server.listen()
            yield
        finally:
            os.unlink(path)


@planted({"libvirt.tcp"}, "libvirtd serves everybody at .* port 16509, without a password")
def test_libvirt_on_tcp():
    """By libvirtd, whichever daemon serves otherwise: virtqemud has no such port."""
    text = ro.CONF.read_text() + '\nlisten_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nlisten_addr = "127.0.0.1"\n'
    try:
        with text_of("/etc/libvirt/libvirtd.conf", text):
            vgtest.end_process(vgtest.LIBVIRTD)
            assert vgtest.run("libvirtd", "-d", "--listen").rc == 0
            vgtest.wait_until(lambda: vgtest.run("virsh", "-q", "uri").rc == 0, 20)
            yield
    finally:
        vgtest.end_process("libvirtd")
        vgtest.start_libvirtd()


# --- displays

@planted({"displays.loopback", "host.firewall"}, r"port 590[34] of (cards2|secret) takes connections",
         mend="^virtgatectl firewall on$")
def test_firewall_off():
    fw.firewall("off")
    try:
        yield
    finally:
        fw.firewall("on")


@planted({"displays.loopback", "host.firewall"})
def test_ruleset_flushed():
    """By somebody else's script."""
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    try:
        yield
    finally:
        fw.firewall("on")


@planted({"host.firewall"}, "qemu.conf: line 1: expected a port number")
def test_qemu_conf():
    with text_of(fw.QEMU_CONF, "remote_display_port_min = \"5900\"\n"):
        yield


@contextlib.contextmanager
def machine(graphics, arguments=()):
    """A machine of libvirt's, or with arguments of QEMU's own a QEMU that was started by hand, as some are."""
    if not arguments:
        with vgtest.extra_vm("mistake", graphics):
            (IMAGES / "mistake.img").chmod(0o600)
            yield
        return
    qemu = subprocess.Popen(["qemu-system-x86_64", "-name", "guest=mistake,debug-threads=on", "-M", "pc", "-m", "16",
                             "-S", "-nodefaults",
                             "-display", "none", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        listens = re.search(r":(\d+)(?:,|$)|path=(\w+)", arguments[1])
        vgtest.wait_until(lambda: subprocess.run(["ss", "-lntxH"], capture_output=True, text=True).stdout.find(
            f":{listens[1]} " if listens[1] else f"@{listens[2]} ") >= 0)
        yield
    finally:
        qemu.kill()
        qemu.wait()


@planted({"displays.public"}, "mistake listens on 0.0.0.0 port 5950", "listen type='none'")
def test_display_for_the_network():
    with machine("<graphics type='vnc' port='5950' autoport='no' listen='0.0.0.0'/>"):
        yield


@planted({"displays.loopback"}, "port 7777 of mistake takes connections", mend="^virtgatectl firewall on --ports 7777$")
def test_display_outside_the_range():
    with machine("<graphics type='vnc' port='7777' autoport='no' listen='127.0.0.1'/>"):
        yield
    fw.firewall("on")


@planted({"displays.loopback"}, "port 7778 of mistake")
def test_spice_display_on_ipv6():
    with machine("<graphics type='spice' port='7778' autoport='no' listen='::1'/>"):
        yield


@planted({"displays.monitor"}, r"mistake has a monitor on TCP \(-qmp tcp:127.0.0.1:5960,server=on,wait=off\)")
def test_monitor():
    with machine("", ["-qmp", "tcp:127.0.0.1:5960,server=on,wait=off"]):
        yield


@planted({"displays.monitor"}, "debugger's port of mistake is 5961")
def test_debugger():
    with machine("", ["-gdb", "tcp:127.0.0.1:5961"]):
        yield


@planted({"displays.sockets"}, r"connect to /var/lib/libvirt/qemu/domain-\d+-sockvm/vnc.sock",
         mend=r"^chmod o-x /var/lib/libvirt/qemu/domain-\d+-sockvm$")
def test_display_socket():
    path = next(pathlib.Path("/var/lib/libvirt/qemu").glob("domain-*-sockvm")) / "vnc.sock"
    with mode_of(path.parents[1], 0o755), mode_of(path.parent, 0o755), mode_of(path, 0o777):
        yield


@planted({"displays.sockets"}, "every account of this host can connect to @vgmistake of mistake", "a socket with a path")
def test_socket_without_a_path():
    with machine("", ["-chardev", "socket,id=c,path=vgmistake,abstract=on,server=on,wait=off", "-serial", "chardev:c"]):
        yield


# --- files

@planted({"files.machines"}, "can read /var/lib/libvirt/images/secret.img", mend="^chmod o-r /var/lib/libvirt/images/secret.img$")
def test_readable_disk():
    with mode_of(IMAGES, 0o711), mode_of(IMAGES / "secret.img", 0o644):
        yield


@planted({"files.machines"}, "can read /var/lib/libvirt/qemu/dump/secret.core")
def test_readable_dump():
    dump = pathlib.Path("/var/lib/libvirt/qemu/dump/secret.core")
    with mode_of(dump.parents[1], 0o755), text_of(dump, "x"):
        yield


@planted({"files.acl"}, r"virtgate.ini:0 has mode 0666")
def test_writable_acl():
    with mode_of("/etc/virtgate/virtgate.ini", 0o666):
        with contextlib.ExitStack() as stack:
            # It can be read by all as well; the folder keeps them out.
            stack.enter_context(mode_of("/etc/virtgate", 0o700))
            yield


@planted({"files.acl"}, r"virtgate.ini:\d+ ", "virtgatectl check")
def test_acl_with_an_error():
    path = pathlib.Path("/etc/virtgate/virtgate.ini")
    with text_of(path, path.read_text() + "\n[user bob]\ndisplay = x\n"):
        yield


@planted({"files.broker"}, "every account of this host can connect to /run/virtgate/broker.sock", mend="^chmod 0660 .*")
def test_broker_socket():
    with mode_of("/run/virtgate/broker.sock", 0o666):
        yield


@planted({"files.broker"}, "is not root's alone", mend="^chown root:root .*")
def test_broker_folder():
    with mode_of("/run/virtgate", 0o777):
        yield


@planted({"files.programs"}, "virtgate-shell can be written by others than root", mend="^chown [^,]*")
def test_program():
    with mode_of(conf.GATE, 0o777):
        yield


@planted({"files.programs"}, "setuid", mend="^chown [^,]*")
def test_setuid():
    with mode_of(conf.GATE, 0o4755):
        yield


@contextlib.contextmanager
def dead_file_system(path):
    """As a file server that does not answer: whoever looks waits, for ever."""
    libc = ctypes.CDLL(None, use_errno=True)
    pathlib.Path(path).mkdir(parents=True)
    device = pathlib.Path("/dev/fuse")
    if not device.exists():
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(10, 229))
    server = os.open(device, os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"vgdead", os.fsencode(path), b"fuse", 0, options) < 0:
        os.close(server)
        pytest.skip(f"needs FUSE: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(path), 2)      # lazily: it is in use, perhaps
        os.close(server)
        shutil.rmtree(path)


@planted({"accounts.systemd", "files.machines"}, "/home/alice/.config/systemd/user cannot be looked at as alice",
         "the files of libvirt could not be tried within", state="unknown")
def test_file_systems_that_do_not_answer():
    """All the other doors are looked at."""
    with dead_file_system("/home/alice/.config"), dead_file_system(IMAGES / "dead"):
        yield


# --- the broker, the clock

@planted({"host.broker"}, "the gate answers: virtgate: ", "systemctl enable --now virtgated", state="unknown")
def test_no_broker():
    with vgtest.without_gate():
        yield


@planted({"host.kernel"}, "this kernel has no Landlock", "lsm=")
def test_kernel_without_landlock():
    """As doctor sees it; pam.module and the others look at files."""
    real = subprocess.run
    refuse = lambda: pam_sshd.refuse_calls({pam_sshd.LANDLOCK_CREATE_RULESET: errno.EOPNOTSUPP})
    subprocess.run = lambda *words, **options: real(*words, preexec_fn=refuse, **options)
    try:
        yield
    finally:
        subprocess.run = real


def test_clock():
    with text_of(SYNCHRONIZED, ""):
        assert doctor()["host.clock"]["state"] == "closed"
    SYNCHRONIZED.unlink()
    try:
        found = doctor()["host.clock"]
    finally:
        SYNCHRONIZED.write_text("")
    synchronized = "synchronized: yes" in subprocess.run(["timedatectl"], capture_output=True, text=True).stdout
    assert found["state"] in (("closed", "unknown") if synchronized else ("unknown", "closed"))
    assert found["state"] == "closed" or "not synchronised" in found["why"]


# --- many ----------------------------------------------------------------------------------------------------------

def test_many_members():
    """sshd is asked for each of them."""
    names = [f"vgmany{n}" for n in range(60)]
    text = {path: pathlib.Path(path).read_text() for path in ("/etc/passwd", "/etc/group")}
    gid = grp.getgrnam(conf.GROUP).gr_gid
    lines = "".join(f"{name}:x:{50000 + n}:{gid}::/nonexistent:{conf.GATE}\n" for n, name in enumerate(names))
    with text_of("/etc/passwd", text["/etc/passwd"] + lines), no_crontabs(*names):
        doors = doctor()
    assert "63 accounts" in doors["accounts.group"]["why"] and {d["state"] for d in doors.values()} == {"closed"}

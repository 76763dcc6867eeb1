# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate-shell as a process: however it is started, whatever it inherits, it does the same or ends. Each test is named by its
row of tests/attacks/attacks.tsv."""
import contextlib
import ctypes
import itertools
import os
import pathlib
import pty
import pwd
import re
import resource
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

import vgtest
import wire
from vgtest import HOST, Stream, log_mark, log_since, wait_for_log, wait_until
from wire import Puppet, as_user

SHELL = "/usr/bin/virtgate-shell"
USAGE, UNAVAILABLE, IOERR, OSERR, NOPERM = 64, 69, 74, 71, 77
NO_SHELL = b"virtgate: there is no shell here; expected a command such as list, display VM or console VM\n"


new_uids = itertools.count(256 * 16 + 80)


@pytest.fixture
def account():
    """An account of the gate's group: account(shell) -> name. Root's key opens it, its grants are alice's."""
    made = []

    def make(shell=SHELL):
        name = f"tmp{os.urandom(3).hex()}"
        subprocess.run(["useradd", "--create-home", "--shell", shell, "--groups", wire.GATE_GROUP,
                        "--uid", str(next(new_uids)), name], check=True)
        made.append(name)
        home = pathlib.Path(f"/home/{name}")
        (home / ".ssh").mkdir(mode=0o700)
        shutil.copy("/root/.ssh/id_ed25519.pub", home / ".ssh/authorized_keys")
        for path in (home / ".ssh", home / ".ssh/authorized_keys"):
            shutil.chown(path, name, name)
        return name

    yield make
    for name in made:
        subprocess.run(["userdel", "--force", "--remove", name], check=False, stderr=subprocess.DEVNULL)


# posix_spawn(3), which Python takes since 3.13 where it can, refuses an empty argv[0]; sshd's execve(2) does not.
subprocess._USE_POSIX_SPAWN = False


def run(words, env=None, stdin=subprocess.DEVNULL, argv0="virtgate-shell", timeout=20, **options):
    """In a puppet: (status, stdout, stderr). The environment is empty but for env."""
    done = subprocess.run([argv0, *words], executable=SHELL, env=env or {}, stdin=stdin, capture_output=True, timeout=timeout,
                          **options)
    return done.returncode, done.stdout, done.stderr


def rows(out):
    """A list, in any order."""
    return sorted(out.splitlines())


@pytest.fixture(scope="module")
def alices():
    """What alice is told by default."""
    rc, out, err = as_user("alice", run, ["-c", "list"])
    assert (rc, err) == (0, b"") and len(rows(out)) == 5
    return rows(out)


# --- B1: arguments -----------------------------------------------------------------------------------------------

REFUSED = [["-c", "x"], ["-c", ""], ["-c", " "], ["-c", "x", "-c", "y"], ["-c", "list", "-c", "list"], ["-c", "list", "x"],
           ["-c"], ["-l"], ["-i"], ["-s"], ["-l", "-c", "list"], ["-lc", "list"], ["-ic", "list"], ["-"], ["--"], ["--help"],
           ["list"], ["/bin/sh"], ["-e", "/bin/sh"], ["-c", "/bin/sh /home/alice/.ssh/rc"],
           ["-c", "/usr/lib/openssh/sftp-server"], ["-c", f"{SHELL} -c list"], ["-c", "list; id"], ["-c", "list\nid"],
           ["-c", "a " * 10000], ["-c", "x" * 100000], ["-U"], ["-U", "x", "y"], ["host"], ["a", "b", "c"], ["", ""]]


@pytest.mark.parametrize("words", REFUSED, ids=[" ".join(words)[:30] for words in REFUSED])
def test_B1_1_C22_1_arguments_that_are_no_command(account, words):
    name, mark = account(), log_mark()
    start = time.monotonic()
    rc, out, err = as_user(name, run, words)
    assert time.monotonic() - start < 2
    assert (rc, out) == (USAGE, b"")
    assert re.fullmatch(rb"virtgate: [ -~]+\n", err) and len(err) <= 300, err
    lines = wait_for_log(mark, rf"virtgated.*: refused .* user={name} ")
    assert len(lines) == 1 and f"status={USAGE}" in lines[0] and len(lines[0]) < 2500


@pytest.mark.parametrize("argv0", ["virtgate-shell", "-virtgate-shell", "-gate", "", "/bin/sh", "-c", "bash"])
def test_B1_1_A15_1_no_argument_is_no_command(argv0):
    assert as_user("alice", run, [], None, subprocess.DEVNULL, argv0) == (USAGE, b"", NO_SHELL)


def run_without_argv0():
    """execve with argc 0, which Linux makes one empty word."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(write, 1)
        os.dup2(write, 2)
        wire.libc.execve(SHELL.encode(), (ctypes.c_char_p * 1)(None), (ctypes.c_char_p * 1)(None))
        os._exit(99)
    os.close(write)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status), os.read(read, 4096)


def test_B1_1_argc_0():
    assert as_user("alice", run_without_argv0) == (USAGE, NO_SHELL)


@pytest.mark.parametrize("words", [[], ["-c", SHELL]], ids=["plain", "forced"])
@pytest.mark.parametrize("original", [None, ""])
def test_A11_1_A15_1_empty_original_command_is_none(words, original):
    env = {} if original is None else {"SSH_ORIGINAL_COMMAND": original}
    assert as_user("alice", run, words, env) == (USAGE, b"", NO_SHELL)


@pytest.mark.parametrize("words, env", [
    (["-c", "list"], {}), ([], {"SSH_ORIGINAL_COMMAND": "list"}), (["-c", SHELL], {"SSH_ORIGINAL_COMMAND": "list"}),
    # The words of the login shell count, not what a user put into the environment.
    (["-c", "list"], {"SSH_ORIGINAL_COMMAND": "display secret"}),
], ids=["login shell", "forced through another shell", "forced and login shell", "login shell with a forged variable"])
def test_B1_1_ways_to_be_started(alices, words, env):
    rc, out, err = as_user("alice", run, words, env)
    assert (rc, rows(out), err) == (0, alices, b"")


# --- through sshd --------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def plain_sshd():
    """A second sshd that knows nothing of the gate. Its port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "sshd_config"
        config.write_text(f"Port {port}\nListenAddress {HOST}\nHostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM yes\n"
                          f"PidFile {folder}/pid\nMaxStartups 200\n")
        server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", config, "-E", f"{folder}/log"], stdin=subprocess.DEVNULL)
        known = pathlib.Path("/root/.ssh/known_hosts")
        before = known.read_text()
        key = before.split(None, 1)[1]
        known.write_text(f"{before}[{HOST}]:{port} {key}")
        try:
            wait_until(lambda: vgtest.run("ssh", "-p", str(port), "-o", "BatchMode=yes", f"carol@{HOST}", "true").rc == 0,
                       what="the second sshd")
            yield port
        finally:
            server.terminate()
            server.wait()
            known.write_text(before)


@pytest.fixture
def granted(account):
    """account(shell), with alice's grants."""
    def make(shell):
        name = account(shell)
        stack.enter_context(wire.grants(vgtest.ACL.read_text() + f"\n[user {name}]\ndisplay = cards2, sockvm\nserial = cards2\n"))
        return name
    with contextlib.ExitStack() as stack:
        yield make


WAYS = ["forced command", "login shell", "both"]


@pytest.mark.parametrize("way", WAYS)
def test_B1_1_B12_2_the_same_through_sshd(granted, plain_sshd, way):
    user = granted("/bin/bash" if way == "forced command" else SHELL)
    options = ["-p", str(plain_sshd)] if way == "login shell" else []
    listed = vgtest.ssh(user, "list", options=options)
    assert listed.rc == 0 and [row.split()[0] for row in rows(listed.stdout)] == [b"NAME", b"cards2", b"sockvm"]
    for line, said in (("display secret", b"virtgate: no console for you on 'secret'\n"), ("id", None), ("sh -i", None),
                       ("", NO_SHELL)):
        result = vgtest.ssh(user, *[line] * bool(line), options=["-T", *options])
        if line or way != "login shell":    # without a forced command sshd has its message of the day for a login
            assert result.stdout == b""
        assert result.rc == (NOPERM if "secret" in line else USAGE)
        assert result.stderr.count(b"\n") == 1 and (said is None or result.stderr == said)
    with vgtest.ssh_open(user, "display", "cards2", options=options) as ssh:
        assert vgtest.Rfb(ssh.talk).name == "QEMU (cards2)"
    # Nothing of a shell: no file of it was made, no prompt of it answers.
    result = vgtest.ssh(user, stdin=b"id\nexit\n", tty=True, options=options)
    assert b"virtgate> " in result.stdout and b"uid=" not in result.stdout


def test_B12_1_login_shell_cannot_be_changed(granted):
    user = granted(SHELL)
    for words in (["chsh", "-s", "/bin/sh"], ["chfn", "-f", "x"]):
        done = as_user(user, as_bare_process, words)
        assert done != 0
    assert pwd.getpwnam(user).pw_shell == SHELL


def as_bare_process(words):
    return subprocess.run(words, input=b"\n\n\n", capture_output=True, timeout=10).returncode


# --- nc stand-in ---------------------------------------------------------------------------------------------------

def test_netcat_stand_in_for_libvirt(granted, plain_sshd):
    """?netcat=virtgate-shell on a host whose sshd does not force the gate: the script is libvirt's own."""
    user, mark = granted("/bin/bash"), log_mark()
    for more in ("", "&proxy=netcat", "&mode=legacy"):
        result = vgtest.run("virsh", "-c", f"qemu+ssh://{user}@{HOST}:{plain_sshd}/system?netcat=virtgate-shell{more}",
                            "list", "--all", "--name", timeout=30)
        assert (result.rc, sorted(result.stdout.split())) == (0, [b"cards2", b"sockvm"]), result.stderr
    assert len(wait_for_log(mark, rf'start .*user={user} .*asked=rpc .*-U \S*/libvirt-sock"')) == 3


def test_netcat_stand_in_says_nothing_that_libvirt_takes_for_an_option(granted, plain_sshd):
    """libvirt asks "nc -q" and reads "requires an argument" as: -q 0 is understood."""
    user = granted("/bin/bash")
    result = vgtest.ssh(user, "virtgate-shell -q", options=["-p", str(plain_sshd)])
    assert (result.rc, result.stdout) == (USAGE, b"") and b"requires an argument" not in result.stderr
    # Should another nc have been asked, the option changes nothing.
    probe = ('if virtgate-shell -q 2>&1 | grep "requires an argument" >/dev/null 2>&1; then echo yes; else echo no; fi')
    assert vgtest.ssh(user, probe, options=["-p", str(plain_sshd)]).stdout == b"no\n"


@pytest.mark.parametrize("words", ["127.0.0.1 5903", "localhost 5903", "-q0 127.0.0.1 5903", "-q 0 127.0.0.1 5903",
                                   "-4 127.0.0.1 5903", "-U SOCKET", "-q0 -U SOCKET",
                                   "-U /run/virtgate/display/c0ffee00-0000-4000-8000-000000000001/0"])
def test_netcat_stand_in_for_displays(granted, plain_sshd, words):
    user = granted("/bin/bash")
    words = words.replace("SOCKET", vgtest.domain_xml("sockvm").find(".//graphics").get("socket"))
    with vgtest.ssh_open(user, "virtgate-shell", words, options=["-p", str(plain_sshd)]) as ssh:
        assert vgtest.Rfb(ssh.talk).name == ("QEMU (sockvm)" if "domain-" in words else "QEMU (cards2)")


@pytest.mark.parametrize("words", [
    "127.0.0.1 5904", "127.0.0.1 22", "192.0.2.1 5903", "-U /run/libvirt/libvirt-sock", "-U /run/libvirt/libvirt-sock-ro",
    "-U /run/dbus/system_bus_socket", "-U /run/virtgate/broker.sock", "-l 127.0.0.1 5903", "-e /bin/sh 127.0.0.1 5903",
    "-c id 127.0.0.1 5903", "-X connect -x 127.0.0.1:1 127.0.0.1 5903", "127.0.0.1 5903 id", "-U ../x", "-u 127.0.0.1 5903",
    "127.0.0.1 0", "127.0.0.1 65536", "127.0.0.1 -1", "-q id -U /run/x",
    "-U /run/virtgate/display/c0ffee00-0000-4000-8000-000000000002/0"])
def test_netcat_stand_in_opens_nothing_else(account, words):
    rc, out, err = as_user(account(), run, words.split())
    assert rc in (USAGE, UNAVAILABLE, NOPERM) and out == b""
    assert re.fullmatch(rb"virtgate: [ -~]+\n", err)


# --- B8 - B11, C18: the environment ----------------------------------------------------------------------------------

HUGE = "x" * 100 * 1024
ENVIRONMENTS = {
    "identity": {"USER": "root", "LOGNAME": "root", "HOME": "/root", "SUDO_USER": "bob", "SUDO_UID": "0", "UID": "0",
                 "SHELL": "/bin/sh", "MAIL": "x", "SSH_USER_AUTH": "/etc/shadow", "SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22",
                 "SSH_CLIENT": "192.0.2.1 1 22", "SSH_TTY": "/dev/pts/0"},
    "ours": {"VIRTGATE_CONFIG": "/tmp/x.ini", "VIRTGATE_DEBUG": "1", "VIRTGATE_SOCKET": "/tmp/x.sock", "VIRTGATE_RUNDIR": "/tmp",
             "VIRTGATE_USER": "root", "CONFIG": "/tmp/x", "DEBUG": "1", "LSHELL_ARGS": "--config=/tmp/x"},
    "libraries": {"LIBVIRT_DEFAULT_URI": "test:///default", "LIBVIRT_DEBUG": "1", "XDG_RUNTIME_DIR": "/tmp",
                  "XDG_CONFIG_HOME": "/tmp", "TMPDIR": "/tmp", "MALLOC_CHECK_": "3", "RES_OPTIONS": "debug",
                  "HOSTALIASES": "/etc/passwd", "NIS_PATH": "x", "TZ": "../../etc/passwd", "TZDIR": "/tmp"},
    "terminal": {"TERM": "../../x", "TERMINFO": "/tmp", "TERMCAP": "/tmp/x", "TERMINFO_DIRS": "/tmp", "LINES": "0",
                 "COLUMNS": "99999999999", "INPUTRC": "/tmp/x", "HISTFILE": "/tmp/x", "PAGER": "id", "EDITOR": "id",
                 "LESSOPEN": "|id"},
    "shells": {"BASH_ENV": "/tmp/x", "ENV": "/tmp/x", "IFS": "s", "PS4": "$(id)", "SHELLOPTS": "xtrace", "CDPATH": "/",
               "BASH_FUNC_list%%": "() { id; }", "PROMPT_COMMAND": "id", "ZDOTDIR": "/tmp"},
    "Turkish": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "LANGUAGE": "tr"},
    "German": {"LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE"}, "C": {"LC_ALL": "C"},
    "odd locale": {"LC_ALL": "\udcff\udcfe/../../%s%n", "LANG": "../../../tmp/x", "LANGUAGE": "%n"},
    "long locale": {"LC_ALL": HUGE, "LANG": HUGE},
    "shellshock": {"LC_ALL": "() { :;}; touch /tmp/marker", "LC_X": "() { :;}; touch /tmp/marker"},
    "charsets": {"GCONV_PATH": "/tmp", "LOCPATH": "/tmp", "NLSPATH": "/tmp/%N", "OUTPUT_CHARSET": "../x",
                 "GLIBC_TUNABLES": "glibc.malloc.check=3:" + "x" * 4000},
    "many": {f"V{n}": "x" * 100 for n in range(2000)},
}


def without_loader(err):
    """glibc's loader complains of its own variable before a program runs, since 2.40."""
    return re.sub(rb"\AWARNING: ld\.so: invalid GLIBC_TUNABLES `glibc\.malloc\.check=3:x+': ignored\.\n", b"", err)


@pytest.mark.parametrize("which", ENVIRONMENTS)
def test_B8_1_B10_1_B11_1_C18_1_environment_changes_nothing(alices, which):
    env, mark = ENVIRONMENTS[which], log_mark()
    rc, out, err = as_user("alice", run, ["-c", "list"], env)
    assert (rc, rows(out), without_loader(err)) == (0, alices, b"")
    rc, out, err = as_user("alice", run, ["-c", "display secret"], env)
    assert (rc, out, without_loader(err)) == (NOPERM, b"", b"virtgate: no console for you on 'secret'\n")
    # Case and numbers of another language make no other request.
    for line in ("LIST", "l\u0131st", "DISPLAY cards2", "display CARDS2", "display cards2 0,0", "display cards2 0x0"):
        rc, out, err = as_user("alice", run, ["-c", line], env)
        assert rc == (NOPERM if line == "display CARDS2" else USAGE) and out == b""
    lines = wait_for_log(mark, 'refused .* asked="display secret" command="display secret"')
    assert f" user=alice uid={pwd.getpwnam('alice').pw_uid} from=unknown " in lines[0]
    assert not pathlib.Path("/tmp/marker").exists()


# --- what it touches: B9, B11, B16, C13, C14 ---------------------------------------------------------------------------

# Without an environment of ours, as the account, and everything it does written down.
CALLS = "open,openat,openat2,creat,execve,execveat,fork,vfork,clone,clone3,connect,socket,stat,lstat,newfstatat,statx,access," \
    "faccessat,faccessat2,readlink,readlinkat,unlink,rename,mkdir,symlink,link,chmod,chown,truncate,inotify_add_watch,bind"
ALLOWED = [r'execve\("/usr/bin/virtgate-shell", ', r'(openat\(AT_FDCWD|access\()"?,? ?"?/etc/ld\.so\.(cache|preload)"',
           r'openat\(AT_FDCWD, "/lib/x86_64-linux-gnu/libc\.so\.6", O_RDONLY\|O_CLOEXEC\)',
           r'openat\(AT_FDCWD, "/dev/null", O_RDWR\|O_NOCTTY\)', r'newfstatat\(\d+, "", \{', r"socket\(AF_UNIX, SOCK_SEQPACKET",
           r'connect\(3, \{sa_family=AF_UNIX, sun_path="/run/virtgate/broker\.sock"\}']


def traced(folder, words, env=None, stdin=subprocess.DEVNULL, user="alice"):
    """(result, what it did that is not on the list, all calls)"""
    log = folder / "strace"
    variables = [word for key, value in (env or {}).items() for word in ("-E", f"{key}={value}")]
    done = subprocess.run(["strace", "-f", "-qq", "-u", user, "-o", log, "-e", f"trace={CALLS}", *variables, SHELL, *words],
                          stdin=stdin, capture_output=True, timeout=30, cwd=f"/home/{user}")
    lines = log.read_text(errors="replace").splitlines()
    calls = [re.sub(r"^\d+ +", "", line) for line in lines if "(" in line]
    return done, [call for call in calls if not any(re.match(allowed, call) for allowed in ALLOWED)], calls


@pytest.fixture
def bait(place):
    """Programs and files that wait to be used; whether one was is seen by the folder's marker."""
    evil = place / "evil"
    evil.mkdir()
    for name in ("id", "virsh", "logger", "less", "sh", "bash", "stty", "tput", "nc", "socat", "ssh", "locale", "virtgate-shell"):
        (evil / name).write_text(f"#!/bin/sh\ntouch {place}/marker\n")
        (evil / name).chmod(0o755)
    home = pathlib.Path("/home/alice")
    files = [home / name for name in (".virtgaterc", ".virtgate", ".inputrc", ".terminfo", ".profile", ".bashrc", ".netrc",
                                      ".config", ".hushlogin", ".virtgate_history")]
    made = [path for path in files if not path.exists()]
    for path in made:
        path.write_text("x\n")
    yield evil
    for path in made:
        path.unlink()


@pytest.mark.parametrize("line", ["list", "list --json", "info cards2", "display cards2", "console cards2", "help", "version",
                                  "display secret", "id", "sh -c 'nc -U /run/libvirt/libvirt-sock'", ""])
def test_B9_1_B16_1_C13_1_C14_1_what_it_touches(bait, place, line):
    env = {"PATH": str(bait), "HOME": "/home/alice", "TERM": "../../x", "TERMINFO": "/home/alice/.terminfo", "LC_ALL": "tr_TR.UTF-8",
           "VIRTGATE_SOCKET": "/tmp/x.sock"}
    done, other, calls = traced(place, ["-c", line], env)
    assert other == []
    assert [call.split("(")[0] for call in calls].count("execve") == 1
    assert not (place / "marker").exists()
    assert done.returncode == {"display secret": NOPERM, "id": USAGE, "": USAGE}.get(line, 0)
    connects = [call for call in calls if call.startswith("connect")]
    assert len(connects) == (0 if line in ("help", "version") else 1)


def test_B16_1_the_list_of_what_it_may_touch_can_fail(place):
    """What a program of the ordinary kind does is not on it."""
    log = place / "strace"
    subprocess.run(["strace", "-f", "-qq", "-u", "alice", "-o", log, "-e", f"trace={CALLS}", "/bin/bash", "-c", "cat ~/.profile; id"],
                   capture_output=True, timeout=30)
    calls = [re.sub(r"^\d+ +", "", line) for line in log.read_text(errors="replace").splitlines() if "(" in line]
    other = [call for call in calls if not any(re.match(allowed, call) for allowed in ALLOWED)]
    assert any("execve" in call for call in other) and any(".profile" in call for call in other)
    assert any(call.startswith(("clone", "vfork", "fork")) for call in other)


@contextlib.contextmanager
def at_terminal(words, env=None):
    """The gate at a terminal, traced: (stream, process)"""
    master, slave = pty.openpty()
    process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    os.close(slave)
    try:
        yield Stream(master, master), process
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_B11_1_C14_1_prompt_touches_nothing(bait, place):
    log = place / "strace"
    words = ["strace", "-f", "-qq", "-u", "alice", "-o", log, "-e", f"trace={CALLS}", "-E", "TERM=../../x", "-E",
             "TERMINFO=/home/alice/.terminfo", "-E", "INPUTRC=/home/alice/.inputrc", "-E", f"PATH={bait}", SHELL]
    with at_terminal(words) as (terminal, process):
        terminal.read_until(b"virtgate> ")
        for line, answer in ((b"list", rb"cards2"), (b"display secret", rb"virtgate: "), (b"id", rb"virtgate: "),
                             (b"!!", rb"virtgate: "), (b"console cards2", b"connected; leave")):
            terminal.write(line + b"\n")
            terminal.read_until(answer)
            if line.startswith(b"console"):
                vgtest.ask_greeting(terminal, "cards2")
                terminal.write(b"\x1d")
            terminal.read_until(b"virtgate> ")
        terminal.write(b"exit\n")
        assert process.wait(timeout=10) == NOPERM or process.returncode in (0, USAGE)
    calls = [re.sub(r"^\d+ +", "", line) for line in log.read_text(errors="replace").splitlines() if "(" in line]
    assert [call for call in calls if not any(re.match(allowed, call) for allowed in ALLOWED)] == []
    assert sum(call.startswith("connect") for call in calls) == 5
    assert sum(call.startswith("execve") for call in calls) == 1 and not (place / "marker").exists()


# --- B15: inherited state ----------------------------------------------------------------------------------------------

def run_with_closed(words, closed):
    """In a puppet: descriptors that are closed from the start; the others are pipes. (status, stdout, stderr)"""
    ends = {1: os.pipe(), 2: os.pipe()}
    null = os.open("/dev/null", os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        os.dup2(null, 0)
        for fd, (_, write) in ends.items():
            os.dup2(write, fd)
        os.closerange(3, 256)
        for fd in closed:
            os.close(fd)
        os.execve(SHELL, ["virtgate-shell", *words], {})
    os.close(null)
    for _, write in ends.values():
        os.close(write)
    out = {}
    for fd, (read, _) in ends.items():
        out[fd] = b""
        while piece := os.read(read, 65536):
            out[fd] += piece
        os.close(read)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out[1], out[2]


CLOSED = [subset for n in (1, 2, 3) for subset in itertools.combinations((0, 1, 2), n)]


@pytest.mark.parametrize("closed", CLOSED, ids=["".join(map(str, subset)) for subset in CLOSED])
def test_B15_1_standard_descriptors_closed(alices, closed):
    mark = log_mark()
    rc, out, err = as_user("alice", run_with_closed, ["-c", "list"], closed)
    assert (rc, rows(out), err) == (0, [] if 1 in closed else alices, b"")
    rc, out, err = as_user("alice", run_with_closed, ["-c", "display secret"], closed)
    assert (rc, out, err) == (NOPERM, b"", b"" if 2 in closed else b"virtgate: no console for you on 'secret'\n")
    rc, out, err = as_user("alice", run_with_closed, ["-c", "display cards2"], closed)
    assert (rc, err) == (0, b"") and (out in (b"", b"RFB 003.008\n")) and (not out or 1 not in closed)
    # No text for the user went to the broker instead, as a broken message would show.
    wait_for_log(mark, r"virtgated\[\d+\]: refused .*secret")
    assert vgtest.settled_log(mark, "not a request of virtgate-shell|protocol broken") == []


def run_with_open(folder, words):
    """In a puppet: starts it with descriptors 3 to 50 open."""
    target = os.open(f"{folder}/target", os.O_RDWR | os.O_CREAT, 0o666)
    read, write = os.pipe()
    out_read, out_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(read, 0)
        os.dup2(out_write, 1)
        os.dup2(out_write, 2)
        os.dup2(target, 100)
        os.closerange(3, 100)
        for fd in range(3, 51):
            os.dup2(100, fd)
        os.execve(SHELL, ["virtgate-shell", *words], {})
    for fd in (read, out_write, target):
        os.close(fd)
    return wire.WithFds(pid, [out_read, write])


def test_B15_1_descriptors_left_open(place):
    with Puppet("alice") as alice:
        pid, (reader, writer) = alice.call(run_with_open, str(place), ["-c", "console cards2"])
        vgtest.ask_greeting(Stream(reader, writer), "cards2")
        assert [what for what, _ in wire.fds_of(pid).values() if str(place) in what] == []
        # Its three, the broker, the stream, and what it moves bytes with.
        assert len(wire.fds_of(pid)) <= 12
        wire.close_all([reader, writer])
    assert (place / "target").read_bytes() == b""


def run_deaf(words):
    """In a puppet: starts it with every signal blocked and ignored."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
        os.dup2(read, 0)
        os.execve(SHELL, ["virtgate-shell", *words], {})
    wire.received[:] = [pid]
    return wire.WithFds(pid, [write])


def reap():
    return os.waitstatus_to_exitcode(os.waitpid(wire.received[0], 0)[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM])
def test_B15_1_signals_blocked_and_ignored(number):
    mark = log_mark()
    with Puppet("alice") as alice:
        pid, (writer,) = alice.call(run_deaf, ["-c", "console cards2"])
        wait_for_log(mark, r"virtgated\[\d+\]: start ")
        status = wire.status_of(pid)
        assert int(status["SigBlk"], 16) == 0 and int(status["SigIgn"], 16) in (0, 1 << signal.SIGPIPE - 1)
        os.kill(pid, number)
        wait_for_log(mark, r"virtgated\[\d+\]: end ")
        os.close(writer)


LIMITS = {
    **{f"RLIMIT_NOFILE {n}": (resource.RLIMIT_NOFILE, n) for n in (0, 1, 2, 3, 4, 5, 6, 8, 10)},
    **{f"RLIMIT_AS {n}": (resource.RLIMIT_AS, n << 10) for n in (64, 1024, 2200, 2400, 2600, 2800, 3200, 4096)},
    "RLIMIT_FSIZE 0": (resource.RLIMIT_FSIZE, 0), "RLIMIT_STACK 16k": (resource.RLIMIT_STACK, 16384),
    "RLIMIT_STACK 64k": (resource.RLIMIT_STACK, 65536), "RLIMIT_DATA 0": (resource.RLIMIT_DATA, 0),
    "RLIMIT_NPROC 0": (resource.RLIMIT_NPROC, 0), "RLIMIT_MEMLOCK 0": (resource.RLIMIT_MEMLOCK, 0),
}


def run_limited(words, which, value, folder):
    """In a puppet, in a folder where a core would be seen. (status, stdout, stderr)"""
    os.chdir(folder)
    out = os.open("out", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    err = os.open("err", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDONLY)
        for fd, to in ((null, 0), (out, 1), (err, 2)):
            os.dup2(fd, to)
        os.closerange(3, 256)
        resource.setrlimit(which, (value, value))
        try:
            os.execve(SHELL, ["virtgate-shell", *words], {})
        except OSError:
            os._exit(126)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = status, os.pread(out, 1 << 16, 0), os.pread(err, 1 << 16, 0)
    assert sorted(os.listdir(folder)) == ["err", "out"], os.listdir(folder)
    return found


@pytest.mark.parametrize("which", LIMITS)
def test_B15_2_limits(alices, place, which):
    mark = log_mark()
    rc, out, err = as_user("alice", run_limited, ["-c", "list"], *LIMITS[which], str(place))
    # All or nothing: a list that is cut short would be believed.
    assert rows(out) in ([], alices) and (rc == 0) == (out != b"")
    assert out or rc in (OSERR, IOERR, UNAVAILABLE, 75, 126, 127, -signal.SIGXFSZ, -signal.SIGSEGV, -signal.SIGKILL), (rc, err)
    rc, out, err = as_user("alice", run_limited, ["-c", "display secret"], *LIMITS[which], str(place))
    assert rc != 0 and out == b""
    rc, out, err = as_user("alice", run_limited, ["-c", "display cards2"], *LIMITS[which], str(place))
    assert out in (b"", b"RFB 003.008\n")
    assert vgtest.settled_log(mark, "not a request of virtgate-shell|protocol broken") == []


def run_without_folder(words, mask):
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)
    os.umask(mask)
    return run(words, preexec_fn=lambda: None)


def test_B15_2_no_folder_and_no_permissions(alices):
    rc, out, err = as_user("alice", run_without_folder, ["-c", "list"], 0o777)
    assert (rc, rows(out), err) == (0, alices, b"")
    assert as_user("alice", run_without_folder, ["-c", "display secret"], 0o777)[0] == NOPERM


# --- B14-2: others of the same account ----------------------------------------------------------------------------------

def start_display():
    read, write = os.pipe()
    process = subprocess.Popen([SHELL, "-c", "display cards2"], stdin=read, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={})
    wire.received[:] = [process]
    return wire.WithFds(process.pid, [write, os.dup(process.stdout.fileno())])


def take_descriptors(pid, message):
    """What another process of the account can do: take the gate's connection, and ask on it for more."""
    handle, taken = os.pidfd_open(pid), []
    for fd in range(3, 20):
        got = wire.libc.syscall(438, handle, fd, 0)       # pidfd_getfd
        if got >= 0:
            taken.append(got)
    answers = []
    for fd in taken:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            continue
        sock = socket.socket(fileno=os.dup(fd))
        if sock.type == socket.SOCK_SEQPACKET:
            reply = None
            with contextlib.suppress(BlockingIOError):      # the gate itself may be quicker to read it
                reply = wire.ask_on(sock, message)
            answers.append((reply.kind, len(reply.fds)) if reply else (wire.END, 0))
    return answers


def test_B14_2_gate_taken_over_by_its_own_account():
    mark = log_mark()
    with Puppet("alice") as alice, Puppet("alice") as other:
        pid, fds = alice.call(start_display)
        wait_for_log(mark, r"virtgated\[\d+\]: start ")
        try:
            answers = other.call(take_descriptors, pid, wire.display("secret"))
        except PermissionError:
            answers = []            # Yama: no tracing among equals
        assert all(kind == wire.END and count == 0 for kind, count in answers)
        if answers:
            assert 'reason="protocol broken by the client"' in wait_for_log(mark, r"virtgated\[\d+\]: end ")[0]
        assert vgtest.settled_log(mark, "start .*secret") == []
        wire.close_all(fds)

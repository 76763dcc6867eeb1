# SPDX-License-Identifier: LGPL-2.1-or-later
"""What else an SSH connection can carry, tried on a running sshd with the shipped drop-in: nothing of it opens for alice.

Every probe runs three times. As alice against the sshd at port 22: it must fail, and what it was after must not have
happened. As alice against a second sshd whose main file permits everything to everybody: the same. As carol, who is not
under the gate, against that second sshd (and, where Debian's defaults permit it, against the first): there it must work,
or the probe proves nothing. Attacks A1-A8, A10-A14, A18, A30, A32, B2, B7."""
import contextlib
import dataclasses
import glob
import os
import pathlib
import pwd
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import pam_sshd
import sshd_config as conf
from vgtest import LIBVIRT_SOCKET

HOST = "127.0.0.1"
BANNER = b"PROBE REACHED THE TARGET\n"
WAIT = 10


def missing():
    if conf.missing():
        return conf.missing()
    try:
        socket.create_connection((HOST, 22), 2).close()
    except OSError:
        return "needs an sshd at 127.0.0.1:22 (run inside tests/sandbox --up)"
    # The first question is whether root's key opens the ordinary account: without that nothing here means anything.
    if subprocess.run(["ssh", *BASE, f"carol@{HOST}", "true"], stdin=subprocess.DEVNULL, capture_output=True).returncode:
        return "needs root's key in carol's authorized_keys (run inside tests/sandbox --up)"
    return None


# No file of the caller's takes part, but the default keys do.
BASE = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "ControlPath=none", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10"]
WHY = missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=str(WHY))


# --- who asks whom -----------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Door:
    """One account at one sshd, and whether it is under the gate."""
    user: str
    port: int

    @property
    def gated(self):
        return self.user == "alice"

    def ssh(self, *options):
        """The command line up to and with the destination."""
        return ["ssh", *options, *BASE, "-p", str(self.port), f"{self.user}@{HOST}"]

    def run(self, *options, command=None, stdin=b"", timeout=30, env=None):
        words = self.ssh(*options) + ([command] if command is not None else [])
        return subprocess.run(words, input=stdin, capture_output=True, timeout=timeout, env=env)

    @contextlib.contextmanager
    def running(self, *options, command=None, env=None):
        """ssh in the background, with an open standard input."""
        words = self.ssh(*options) + ([command] if command is not None else [])
        ssh = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        try:
            yield ssh
        finally:
            ssh.kill()
            ssh.communicate()

    @property
    def account(self):
        return pwd.getpwnam(self.user)


@contextlib.contextmanager
def sshd(main):
    """A second sshd on a port of its own."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    log = main.with_suffix(".log")
    server = subprocess.Popen([conf.SSHD, "-D", "-f", str(main), "-E", str(log), "-o", f"Port={port}",
                               "-o", f"ListenAddress={HOST}", "-o", f"PidFile={main}.pid"], stdin=subprocess.DEVNULL)
    try:
        assert until(lambda: reachable(port)), log.read_text()
        yield port
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def permissive():
    with tempfile.TemporaryDirectory() as folder:
        with sshd(conf.copy(folder, append=conf.PERMISSIVE_LOGIN)) as port:
            yield port


def who(*, stock):
    """Parameters: alice at both, carol at the permissive sshd; with stock, carol at Debian's defaults as well."""
    return pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive", "carol-permissive"]
                                   + (["carol-shipped"] if stock else []), indirect=True)


@pytest.fixture
def door(request, permissive):
    user, server = request.param.split("-")
    return Door(user, 22 if server == "shipped" else permissive)


# --- what can be seen of an effect ---------------------------------------------------------------------------------

def until(condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def reachable(port):
    try:
        socket.create_connection((HOST, port), 1).close()
        return True
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def listeners():
    out = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
    return {line.split()[3] for line in out.splitlines()}


class Target:
    """Says BANNER to whoever connects, and counts: a TCP port of the loopback and a socket in the file system."""

    def __init__(self, folder):
        self.path = f"{folder}/target.sock"
        self.tcp = socket.create_server((HOST, 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(self.path)
        os.chmod(self.path, 0o777)
        self.unix.listen()
        self.port = self.tcp.getsockname()[1]
        self.visits = 0
        for listener in (self.tcp, self.unix):
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            self.visits += 1
            with peer, contextlib.suppress(OSError):
                peer.sendall(BANNER)

    def close(self):
        for listener in (self.tcp, self.unix):
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture
def folder():
    """Anybody may make files here."""
    with tempfile.TemporaryDirectory(prefix="doors-", dir="/tmp") as name:
        os.chmod(name, 0o1777)
        yield pathlib.Path(name)


@pytest.fixture
def target(folder):
    target = Target(folder)
    yield target
    target.close()


def processes_of(uid):
    """{pid: environment} of the account's processes, without sshd's own."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid != uid or os.readlink(f"/proc/{name}/exe") == conf.SSHD:
                continue
            raw = pathlib.Path(f"/proc/{name}/environ").read_bytes()
            found[int(name)] = dict(entry.split(b"=", 1) for entry in raw.split(b"\0") if b"=" in entry)
    return found


def environment(door, *options, env=None):
    """What the first program of a login finds in its environment; also {pid: ...} of nobody means it never started."""
    before = set(processes_of(door.account.pw_uid))
    seen = {}
    with door.running("-tt", *options, env=env) as ssh:
        end = time.monotonic() + WAIT
        while not seen and time.monotonic() < end:
            # Tight on purpose: a gate that says its line and goes lives for a few milliseconds.
            seen = {pid: found for pid, found in processes_of(door.account.pw_uid).items() if pid not in before and found}
            if ssh.poll() is not None and not seen:
                break
    assert seen, "no process of the login was seen"
    return seen[min(seen)]


def fetch(port):
    """What comes back from a local port: b"" when it closes without a word."""
    try:
        with socket.create_connection((HOST, port), 5) as s:
            s.settimeout(5)
            data = b""
            while len(data) < len(BANNER):
                piece = s.recv(1024)
                if not piece:
                    break
                data += piece
            return data
    except OSError:
        return b""


# --- forwarding from the client ------------------------------------------------------------------------------------

@who(stock=True)
def test_stdio_forward(door, target):
    out = door.run("-W", f"{HOST}:{target.port}")
    if not door.gated:
        assert out.stdout == BANNER and target.visits == 1
        return
    assert out.returncode != 0 and out.stdout == b"" and target.visits == 0
    assert b"administratively prohibited" in out.stderr or b"stdio forwarding failed" in out.stderr


@who(stock=True)
@pytest.mark.parametrize("host", [HOST, "localhost"])
def test_local_forward(door, target, host):
    port = free_port()
    with door.running("-N", "-L", f"{HOST}:{port}:{host}:{target.port}"):
        assert until(lambda: f"{HOST}:{port}" in listeners()), "the client itself did not listen"
        got = fetch(port)
    if not door.gated:
        assert got == BANNER and target.visits == 1
        return
    assert got == b"" and target.visits == 0


@who(stock=True)
def test_local_forward_beside_a_session(door, target):
    """The same while the gate is running on the connection."""
    port = free_port()
    with door.running("-tt", "-L", f"{HOST}:{port}:{HOST}:{target.port}"):
        assert until(lambda: f"{HOST}:{port}" in listeners()), "the client itself did not listen"
        got = fetch(port)
    assert (got, target.visits) == ((b"", 0) if door.gated else (BANNER, 1))


@who(stock=True)
def test_dynamic_forward(door, target):
    port = free_port()
    with door.running("-N", "-D", f"{HOST}:{port}"):
        assert until(lambda: f"{HOST}:{port}" in listeners()), "the client itself did not listen"
        with socket.create_connection((HOST, port), 5) as s:
            s.settimeout(5)
            answer = b""
            with contextlib.suppress(OSError):
                s.sendall(b"\5\1\0")
                assert s.recv(2) == b"\5\0"
                s.sendall(b"\5\1\0\1" + socket.inet_aton(HOST) + target.port.to_bytes(2, "big"))
                while len(answer) < 10 + len(BANNER):
                    piece = s.recv(1024)
                    if not piece:
                        break
                    answer += piece
    assert answer[10:] == (b"" if door.gated else BANNER)
    assert target.visits == (0 if door.gated else 1)


@who(stock=True)
def test_local_forward_to_a_socket(door, target):
    port = free_port()
    with door.running("-N", "-L", f"{HOST}:{port}:{target.path}"):
        assert until(lambda: f"{HOST}:{port}" in listeners()), "the client itself did not listen"
        got = fetch(port)
    assert (got, target.visits) == ((b"", 0) if door.gated else (BANNER, 1))


def stays_open(port):
    """True when nothing comes and nobody hangs up: somebody listens at the other end. sshd refuses a socket in the same
    words ("connect failed") as a socket that is not there, so what the client says proves nothing."""
    with socket.create_connection((HOST, port), 5) as s:
        s.settimeout(2)
        try:
            return s.recv(1) != b""
        except socket.timeout:
            return True
        except OSError:
            return False


@pytest.mark.parametrize("path", [f"{LIBVIRT_SOCKET}-ro", LIBVIRT_SOCKET, "/run/virtgate/broker.sock",
                                  "/run/dbus/system_bus_socket"])
@pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive", "carol-shipped"], indirect=True)
def test_local_forward_to_the_sockets_of_the_host(door, path):
    """A2. carol shows with libvirt's read-only socket, which is everybody's, that the probe can tell."""
    if not os.path.exists(path):
        pytest.skip(f"needs {path}")
    port = free_port()
    with door.running("-N", "-L", f"{HOST}:{port}:{path}"):
        assert until(lambda: f"{HOST}:{port}" in listeners()), "the client itself did not listen"
        opened = stays_open(port)
    # The system bus admits everybody, like the read-only socket.
    assert opened == (not door.gated and (path.endswith("-ro") or "dbus" in path))


# --- forwarding from the host --------------------------------------------------------------------------------------

@who(stock=True)
@pytest.mark.parametrize("bind", [f"{HOST}:", "localhost:", "0.0.0.0:", ":", "[::1]:", ""])
def test_remote_forward(door, target, bind):
    port = free_port()
    with door.running("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{bind}{port}:{HOST}:{target.port}") as ssh:
        if door.gated:
            assert ssh.wait(WAIT) != 0
            assert not {entry for entry in listeners() if entry.endswith(f":{port}")}
        elif bind != "[::1]:" or os.path.exists("/proc/net/if_inet6"):
            assert until(lambda: any(entry.endswith(f":{port}") for entry in listeners())), ssh.poll()


@who(stock=True)
def test_remote_forward_of_any_port(door, target):
    before = listeners()
    with door.running("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"0:{HOST}:{target.port}") as ssh:
        if door.gated:
            assert ssh.wait(WAIT) != 0 and not listeners() - before
        else:
            assert until(lambda: listeners() - before)


@who(stock=True)
@pytest.mark.parametrize("where", ["{tmp}/made.sock", "{tmp}/x/../made.sock", "{home}/made.sock"])
def test_remote_forward_of_a_socket(door, target, folder, where):
    (folder / "x").mkdir()
    path = where.format(tmp=folder, home=door.account.pw_dir)
    with door.running("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{path}:{HOST}:{target.port}") as ssh:
        if door.gated:
            assert ssh.wait(WAIT) != 0 and not os.path.lexists(path)
        else:
            assert until(lambda: os.path.lexists(path)), ssh.poll()
    if os.path.lexists(path):
        os.unlink(path)


@pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive"], indirect=True)
def test_remote_forward_over_the_brokers_socket(door, target):
    """A4-2: not even with StreamLocalBindUnlink on for everybody else."""
    path = "/run/virtgate/broker.sock"
    before = os.stat(path).st_ino if os.path.exists(path) else None
    with door.running("-N", "-o", "ExitOnForwardFailure=yes", "-R", f"{path}:{HOST}:{target.port}") as ssh:
        assert ssh.wait(WAIT) != 0
    assert (os.stat(path).st_ino if os.path.exists(path) else None) == before


# --- agent, X11, tunnel --------------------------------------------------------------------------------------------

@pytest.fixture
def agent(folder):
    if not shutil.which("ssh-agent"):
        pytest.skip("needs ssh-agent")
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    assert until(path.exists)
    yield dict(os.environ, SSH_AUTH_SOCK=str(path))
    process.terminate()
    process.wait()


def agent_sockets(account):
    """The shell's own globbing: a folder that a session ending takes away meanwhile is no error to it."""
    found = set()
    for pattern in ("/tmp/ssh-*/agent.*", f"{account.pw_dir}/.ssh/agent/*"):
        for path in glob.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_uid == account.pw_uid:
                    found.add(path)
    return found


@who(stock=True)
def test_agent(door, agent):
    before = agent_sockets(door.account)
    found = environment(door, "-A", env=agent)
    assert (b"SSH_AUTH_SOCK" in found) == (not door.gated)
    if door.gated:
        with door.running("-A", "-tt", env=agent):
            assert not until(lambda: agent_sockets(door.account) - before, 0.7)
    else:
        with door.running("-A", "-tt", env=agent):
            assert until(lambda: agent_sockets(door.account) - before)


@who(stock=True)
@pytest.mark.parametrize("option", ["-X", "-Y"])
def test_x11(door, option):
    """Debian's sshd permits X11 to everybody."""
    if not shutil.which("xauth"):
        pytest.skip("needs xauth")
    authority = pathlib.Path(door.account.pw_dir, ".Xauthority")
    authority.unlink(missing_ok=True)
    env = dict(os.environ, DISPLAY=":99")
    before = listeners()
    if not door.gated:
        # A command that holds: the display's listener goes with its session.
        with door.running(option, env=env, command="echo $DISPLAY; cat") as ssh:
            assert re.match(rb"\S*:\d+", ssh.stdout.readline()) and listeners() - before
        assert authority.exists()
        return
    assert b"DISPLAY" not in environment(door, option, env=env)
    with door.running(option, "-tt", env=env):
        assert not until(lambda: listeners() - before, 0.7)
    assert not authority.exists()


@who(stock=False)
@pytest.mark.parametrize("mode", ["point-to-point", "ethernet"])
def test_tunnel(door, mode):
    """A8: "rejected" is sshd's policy; "failed to open" would mean that the policy let it through and only the kernel
    did not. carol gets as far as that, which is enough for the probe: an ordinary account has no CAP_NET_ADMIN."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/net/tun")
    out = None
    with door.running("-v", "-N", "-o", f"Tunnel={mode}", "-o", "ExitOnForwardFailure=yes", "-w", "any:any") as ssh:
        with contextlib.suppress(subprocess.TimeoutExpired):
            out = ssh.wait(WAIT)
        ssh.terminate()
        said = ssh.stderr.read()
    if b"Tunnel device open failed" in said or b"Could not request tunnel forwarding" in said:
        pytest.skip("needs a client that can open a tun device itself")
    if door.gated:
        assert out != 0
        assert b"Server has rejected tunnel device forwarding" in said
        assert b"Failed to open the tunnel device" not in said
    else:
        assert b"Server has rejected" not in said


# --- files ---------------------------------------------------------------------------------------------------------

SFTP_INIT = b"\0\0\0\5\1\0\0\0\3"     # SSH_FXP_INIT, version 3; the answer is SSH_FXP_VERSION, type 2


@who(stock=True)
def test_sftp_subsystem(door):
    if door.gated:                           # sshd drops what a forced command says to stderr here; the code arrives
        assert door.run("-s", command="sftp", stdin=SFTP_INIT).returncode in (64, 77)
    # With standard input kept open: sftp-server drops its answer at the end of the file.
    with door.running("-s", command="sftp") as ssh:
        ssh.stdin.write(SFTP_INIT)
        ssh.stdin.flush()
        ready, _, _ = select.select([ssh.stdout], [], [], WAIT)
        answer = os.read(ssh.stdout.fileno(), 1024) if ready else b""
    assert answer[4:5] == (b"" if door.gated else b"\2")


@pytest.mark.parametrize("name", ["netconf", "internal-sftp", "../x", "x" * 10240])
@pytest.mark.parametrize("door", ["alice-shipped", "carol-shipped"], indirect=True)
def test_other_subsystems(door, name):
    """sshd refuses an unknown subsystem by itself, to anybody."""
    out = door.run("-s", command=name, stdin=SFTP_INIT)
    assert out.returncode != 0 and out.stdout == b""


@who(stock=True)
@pytest.mark.parametrize("protocol", ["sftp", "scp"])
@pytest.mark.parametrize("direction", ["to", "from"])
def test_scp(door, folder, protocol, direction):
    there = pathlib.Path(door.account.pw_dir, "doors-there")
    here = folder / "here"
    options = BASE + ["-P", str(door.port)] + (["-O"] if protocol == "scp" else [])
    remote = f"{door.user}@{HOST}:doors-there"
    source = here if direction == "to" else there
    result = there if direction == "to" else here
    source.write_text("contents")
    if source is there:
        os.chmod(there, 0o644)
    try:
        words = [str(here), remote] if direction == "to" else [remote, str(here)]
        out = subprocess.run(["scp", "-q", *options, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        assert result.exists() == (not door.gated)
        assert (out.returncode == 0) == (not door.gated)
    finally:
        there.unlink(missing_ok=True)


# --- commands and shells -------------------------------------------------------------------------------------------

def refused(out):
    """One line of the gate's, nothing else, and an exit code that says "usage" or "not for you"."""
    assert out.stdout == b""
    assert out.returncode == (77 if b"no console" in out.stderr else 64), (out.returncode, out.stderr)
    text = out.stderr.decode("utf-8")
    assert text.startswith("virtgate: ") and text.endswith("\n") and len(out.stderr) <= 300
    line = text.rstrip("\r\n")
    assert line.isprintable(), line


HOSTILE = [
    "id", "/bin/sh", "/bin/sh -i", "sh -c 'touch {mark}'", "bash -c 'touch {mark}'", "touch {mark}", "$(touch {mark})",
    "`touch {mark}`", "list; touch {mark}", "list && touch {mark}", "list & touch {mark}", "list | tee {mark}",
    "list > {mark}", "list\ntouch {mark}", "list\rtouch {mark}", "A=b touch {mark}", "exec touch {mark}",
    "eval touch {mark}", "if true; then touch {mark}; fi", "sh -c 'list' $(touch {mark})", "display $(touch {mark})",
    "display ../../etc/passwd", "display -oProxyCommand=id", "console --help", "info @/etc/passwd",
    "cat {secret}", "nc -U {socket}", "nc {host} {port}", "socat - TCP:{host}:{port}", "socat STDIO EXEC:/bin/sh",
    "nc -e /bin/sh {host} {port}", "nc -l -p 0", "sh -c 'nc -U {socket}'", "internal-sftp",
    "/usr/lib/openssh/sftp-server", "scp -t .", "scp -f {secret}", "rsync --server --sender . {secret}",
    "git-upload-pack {secret}", "virsh -c qemu:///system list --all", "env LD_PRELOAD={secret} list",
    "virt-ssh-helper", "nc -U /run/libvirt/virtlogd-sock", "() {{ :; }}; touch {mark}", "\x1b[2Jlist",
    "display a\u202eb", "x" * 70000,
]


@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "tty"])
@pytest.mark.parametrize("command", HOSTILE, ids=[repr(c[:40]) for c in HOSTILE])
@pytest.mark.parametrize("door", ["alice-shipped"], indirect=True)
def test_hostile_command(door, target, folder, command, tty):
    secret = folder / "secret"
    secret.write_text("CONTENTS OF A FILE")
    mark = folder / "mark"
    command = command.format(mark=mark, secret=secret, socket=target.path, host=HOST, port=target.port)
    out = door.run(*(["-tt"] if tty else ["-T"]), command=command)
    assert not mark.exists() and target.visits == 0
    if tty:                                  # one stream for both, and the terminal's own line ends
        out.stdout, out.stderr = b"", out.stdout.replace(b"\r\n", b"\n")
    refused(out)


@pytest.mark.parametrize("door", ["carol-shipped"], indirect=True)
@pytest.mark.parametrize("command", ["touch {mark}", "list; touch {mark}", "$(touch {mark})", "list\ntouch {mark}",
                                     "list > {mark}"])
def test_hostile_commands_would_work(door, folder, command):
    mark = folder / "mark"
    door.run(command=command.format(mark=mark))
    assert mark.exists()


@who(stock=True)
@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "tty"])
def test_shell(door, folder, tty):
    mark = folder / "mark"
    typed = f"touch {mark}\necho $((6*7))x\nexit\n"
    out = door.run(*(["-tt"] if tty else ["-T"]), stdin=typed.encode())
    assert mark.exists() == (not door.gated)
    assert (b"42x" in out.stdout) == (not door.gated)


@pytest.mark.parametrize("door", ["alice-shipped"], indirect=True)
@pytest.mark.parametrize("byte", [b"\x03", b"\x04", b"\x1a", b"\x1c", b"\x13", b"\x12", b"\x18\x05", b"\t\t", b"\x1b[A"],
                         ids=["C-c", "C-d", "C-z", "C-backslash", "C-s", "C-r", "C-x C-e", "tab", "up"])
def test_keys_of_a_terminal(door, folder, byte):
    """C15-C17: none of them leaves anything behind that runs what is typed next."""
    mark = folder / "mark"
    with door.running("-tt") as ssh:
        for piece in (byte, f"touch {mark}\n".encode(), byte, b"\n", b"!sh\n", f"touch {mark}\n".encode()):
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                ssh.stdin.write(piece)
                ssh.stdin.flush()
        time.sleep(0.2)
    assert not mark.exists()


# --- environment ---------------------------------------------------------------------------------------------------

VARIABLES = {"LANG": "xx_XX", "LC_ALL": "() { :;}; touch /tmp/doors-shellshock", "LD_PRELOAD": "/nonexistent/evil.so",
             "LD_LIBRARY_PATH": "/nonexistent", "LD_AUDIT": "/nonexistent/evil.so", "BASH_ENV": "/nonexistent",
             "GCONV_PATH": "/nonexistent", "SSH_ORIGINAL_COMMAND": "display secret", "VIRTGATE_DEBUG": "1"}


@who(stock=False)
def test_variables_of_the_client(door):
    # One option: ssh(1) takes the first SetEnv only.
    options = ["-o", "SetEnv=" + " ".join(f'{key}="{value}"' for key, value in VARIABLES.items())]
    found = environment(door, *options)
    arrived = {key for key, value in VARIABLES.items() if found.get(key.encode()) == value.encode()}
    assert arrived == (set() if door.gated else set(VARIABLES)), found
    assert not os.path.exists("/tmp/doors-shellshock")


@pytest.mark.parametrize("door", ["alice-shipped", "carol-shipped"], indirect=True)
def test_locale_of_the_client(door):
    """What Debian's sshd lets everybody pass."""
    found = environment(door, "-o", "SetEnv=LC_ALL=xx_XX")
    assert (b"LC_ALL" in found) == (not door.gated)


@contextlib.contextmanager
def file_of(account, name, text):
    """A file in the account's home, put back as it was afterwards."""
    path = pathlib.Path(account.pw_dir, name)
    old = path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.chown(path, account.pw_uid, account.pw_gid)
    os.chmod(path, 0o600)
    try:
        yield path
    finally:
        if old is None:
            path.unlink()
        else:
            path.write_bytes(old)


PLANTED = {"LD_PRELOAD": "/nonexistent/evil.so", "LD_AUDIT": "/nonexistent/evil.so", "LD_LIBRARY_PATH": "/nonexistent",
           "BASH_ENV": "/nonexistent", "ENV": "/nonexistent", "SSH_ORIGINAL_COMMAND": "list"}


@pytest.fixture
def homes_are_read():
    before = pam_sshd.STOCK.read_text()
    pam_sshd.STOCK.write_text(pam_sshd.reading_homes(before))
    yield
    pam_sshd.STOCK.write_text(before)


@pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive", "carol-shipped"], indirect=True)
def test_pam_environment(door, homes_are_read):
    """B7: PAM reads ~/.pam_environment, and sshd applies it after everything but SetEnv."""
    with file_of(door.account, ".pam_environment", "".join(f"{key}={value}\n" for key, value in PLANTED.items())):
        found = environment(door)
    arrived = {key for key, value in PLANTED.items() if found.get(key.encode()) == value.encode()}
    assert arrived == (set() if door.gated else set(PLANTED))


@pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive"], indirect=True)
def test_pam_environment_forges_no_request(door, homes_are_read):
    """A11: a login without a command stays one."""
    honest = door.run("-T")
    with file_of(door.account, ".pam_environment", "SSH_ORIGINAL_COMMAND=list\n"):
        forged = door.run("-T")
    assert (forged.returncode, forged.stdout, forged.stderr) == (honest.returncode, honest.stdout, honest.stderr)


@who(stock=False)
def test_ssh_environment_file(door):
    """A12: PermitUserEnvironment is one for all, and the drop-in's "no" comes first: even carol's file is not read."""
    with file_of(door.account, ".ssh/environment", "LD_PRELOAD=/nonexistent/evil.so\nDOORS=planted\n"):
        found = environment(door)
    assert b"DOORS" not in found and found.get(b"LD_PRELOAD", b"") == b""


def test_ssh_environment_file_would_be_read(tmp_path):
    main = conf.copy(tmp_path, without=conf.OURS, append=conf.PERMISSIVE_LOGIN)
    with sshd(main) as port:
        door = Door("carol", port)
        with file_of(door.account, ".ssh/environment", "DOORS=planted\n"):
            assert environment(door).get(b"DOORS") == b"planted"


@who(stock=True)
def test_user_rc(door, folder):
    """A13."""
    mark = folder / "mark"
    with file_of(door.account, ".ssh/rc", f"touch {mark}\n"):
        door.run(command="version")
        door.run("-T")
    assert mark.exists() == (not door.gated)


@who(stock=True)
def test_shell_startup_files(door, folder):
    """B2: whatever the account's home holds."""
    mark = folder / "mark"
    with contextlib.ExitStack() as files:
        for name in (".bashrc", ".bash_profile", ".profile", ".zshenv", ".zshrc", ".kshrc", ".cshrc"):
            files.enter_context(file_of(door.account, name, f"touch {mark}\n"))
        door.run(command="version")
        door.run("-tt", stdin=b"exit\n")
    assert mark.exists() == (not door.gated)


# --- keys ----------------------------------------------------------------------------------------------------------

@pytest.fixture
def key(folder):
    path = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@who(stock=True)
@pytest.mark.parametrize("options", ['command="touch {mark}"', 'port-forwarding,pty,user-rc,command="/bin/sh"', ""])
def test_key_of_the_users_own(door, folder, key, target, options):
    """A30, A32: a line that the user adds to authorized_keys leads into the gate as well."""
    mark = folder / "mark"
    old = pathlib.Path(door.account.pw_dir, ".ssh/authorized_keys").read_text()
    line = (options.format(mark=mark) + " " + key.with_suffix(".pub").read_text()).strip()
    with file_of(door.account, ".ssh/authorized_keys", f"{old.rstrip()}\n{line}\n"):
        only = ("-i", str(key), "-o", "IdentitiesOnly=yes")
        out = door.run(*only, command=f"touch {mark}", stdin=f"touch {mark}\n".encode())
        forward = door.run(*only, "-W", f"{HOST}:{target.port}")
    assert mark.exists() == (not door.gated)
    if door.gated:
        refused(out)
        assert forward.stdout == b"" and target.visits == 0
    else:
        assert forward.stdout == BANNER


# --- connections ---------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def master(door, folder, *options):
    path = folder / "control"
    with door.running("-M", "-o", f"ControlPath={path}", *options) as ssh:
        assert until(path.exists), ssh.stderr.read()
        yield ["-o", f"ControlPath={path}", "-o", "ProxyCommand=false"]     # no other connection is tried instead


@pytest.mark.parametrize("door", ["alice-shipped", "alice-permissive", "carol-shipped"], indirect=True)
def test_one_session_after_another(door, folder):
    """A master connection without a session of its own serves any number of commands."""
    with master(door, folder, "-N") as over:
        for _ in range(20):
            out = door.run(*over, command="version" if door.gated else "echo virtgate")
            assert out.returncode == 0 and b"virtgate" in out.stdout


def test_connection_without_a_session_ends(tmp_path):
    """A18, with the shipped time cut to two seconds; carol's stays."""
    ours = (conf.DROPINS / conf.OURS).read_text()
    short, found = re.subn(r"UnusedConnectionTimeout \d+", "UnusedConnectionTimeout 2", ours)
    assert found == 1
    main = conf.copy(tmp_path, drop_in=short)
    with sshd(main) as port:
        with Door("alice", port).running("-N") as alice, Door("carol", port).running("-N") as carol:
            assert alice.wait(15) != 0
            assert carol.poll() is None
    assert re.search(f"Accepted publickey for alice from {HOST} ", main.with_suffix(".log").read_text())

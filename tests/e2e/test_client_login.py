# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate logs in: keys, agent, certificate, questions; who the host is; the user's ssh configuration; what it says if not."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import client
import pam_sshd
import vgtest
from client import ALICE, Home
from vgtest import HOST

pytestmark = pytest.mark.skipif(bool(client.missing("ssh-agent")), reason=str(client.missing("ssh-agent")))

EX_USAGE, EX_NOHOST, EX_UNAVAILABLE, EX_PROTOCOL, EX_NOPERM, EX_CONFIG = 64, 68, 69, 76, 77, 78


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    made.knows(22)
    return made


@pytest.fixture(scope="module")
def port():
    """An sshd that takes passwords and certificates, with the host's key."""
    pam_sshd.set_passwords("alice")
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), pam_sshd.server() as number:
        yield number


def is_list(result):
    return result.rc == 0 and b"cards2" in result.stdout and result.stderr == b""


def one_line(result, rc, pattern):
    assert result.rc == rc, result
    assert result.stdout == b""
    assert re.fullmatch(rb"virtgate: .*" + pattern + rb".*\n", result.stderr), result.stderr


# --- keys -----------------------------------------------------------------------------------------------------------------

def test_usual_key():
    assert is_list(client.run("list", ALICE))


def test_key_of_configuration(home):
    key = home.key("mine")
    home.settings(f"Host gate\n  HostName {HOST}\n  User alice\n  IdentityFile {key}\n  IdentitiesOnly yes\n")
    one_line(client.run("list", "gate", "-F", home.config), EX_NOPERM, b"permission denied")
    with client.authorized("alice", key):
        assert is_list(client.run("list", "gate", "-F", home.config))


def test_key_of_command_line(home):
    key = home.key("mine")
    home.settings("IdentityFile none\nIdentityFile /nonexistent\n")
    one_line(client.run("list", ALICE, "-F", home.config, "-i", key), EX_NOPERM, b"permission denied")
    with client.authorized("alice", key):
        assert is_list(client.run("list", ALICE, "-F", home.config, "-i", key))


def test_agent(home):
    key = home.key("mine")
    home.settings("IdentityFile /nonexistent\n")
    with client.authorized("alice", key), client.agent(home.folder, key) as env:
        key.unlink()
        assert is_list(client.run("list", ALICE, "-F", home.config, env=env))
        home.settings("IdentityFile /nonexistent\nIdentitiesOnly yes\n")
        one_line(client.run("list", ALICE, "-F", home.config, env=env), EX_NOPERM, b"permission denied")


@pytest.mark.parametrize("half", ["beside", "inside", "alone"])
def test_part_of_an_agent(home, half):
    """IdentitiesOnly: of many keys the agent signs with the one of the configuration, whose file nobody can open here, and the
    host does not see so many others that it ends the login. The public half of it is where users have it."""
    key = home.key("mine")
    others = [home.key(f"other-{number}") for number in range(8)]
    with client.authorized("alice", key), client.agent(home.folder, *others, key) as env:
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", key], check=True)
        if half == "inside":
            pathlib.Path(f"{key}.pub").unlink()
        elif half == "alone":
            key.unlink()
            key = f"{key}.pub"
        home.settings(f"IdentityFile {key}\n")
        result = client.run("list", ALICE, "-F", home.config, env=env)
        one_line(result, EX_NOPERM, b"the host closed the connection during the login")      # too many keys
        home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\n")
        assert is_list(client.run("list", ALICE, "-F", home.config, env=env))
        # The same agent by the configuration, and none.
        home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\nIdentityAgent {env['SSH_AUTH_SOCK']}\n")
        assert is_list(client.run("list", ALICE, "-F", home.config))
        home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\nIdentityAgent none\n")
        one_line(client.run("list", ALICE, "-F", home.config, env=env), EX_NOPERM, b"permission denied")


def test_agent_that_does_not_answer(home):
    """Somebody's socket that is no agent is no reason not to try the key in the file."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.folder / "agent"))
        assert is_list(client.run("list", ALICE, "-F", home.config, env={"SSH_AUTH_SOCK": str(home.folder / "agent")}))


def test_passphrase(home):
    key = home.key("mine", "open sesame")
    home.settings(f"IdentityFile {key}\n")
    with client.authorized("alice", key):
        with client.terminal("list", ALICE, "-F", home.config) as t:
            t.talk.read_until(rb"Passphrase of the key .*mine: ")
            t.talk.write(b"wrong\n")
            t.talk.read_until(rb"Passphrase of the key .*mine: ")
            t.talk.write(b"open sesame\n")
            said = t.talk.read_until(rb"cards2 ")
            assert b"sesame" not in said
            assert t.wait() == 0
            assert t.settings() == t.before
        # Nobody to ask, and told to ask nobody.
        one_line(client.run("list", ALICE, "-F", home.config), EX_NOPERM, b"permission denied")
        home.settings(f"BatchMode yes\nIdentityFile {key}\n")
        with client.terminal("list", ALICE, "-F", home.config) as t:
            t.talk.read_until(rb"permission denied")
            assert t.wait() == EX_NOPERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("hosts", [1, 2])
def test_question_ended_by_a_signal(home, number, hosts):
    """The terminal shows again what is typed, whichever thread has asked; and the program ends by the signal."""
    key = home.key("mine", "open sesame")
    home.settings(f"IdentityFile {key}\n")
    with client.authorized("alice", key), client.terminal("list", *[ALICE] * hosts, "-F", home.config) as t:
        t.talk.read_until(rb"Passphrase of the key .*mine: ")
        assert t.settings() != t.before
        t.process.send_signal(number)
        assert t.wait() == -number
        assert t.settings() == t.before


def test_passphrase_does_not_stay(home):
    """Once the key is open it is nowhere in the program's memory."""
    key = home.key("mine", "open sesame")
    home.settings(f"IdentityFile {key}\n")
    with client.authorized("alice", key), client.terminal("list", "--watch", ALICE, "-F", home.config) as t:
        t.talk.read_until(rb"Passphrase of the key .*mine: ")
        t.talk.write(b"open sesame\n")
        t.talk.read_until(rb"cards2 ")
        assert not in_memory(t.process.pid, b"open sesame")
        assert in_memory(t.process.pid, b"cards2")       # it is looked for in the right place


def in_memory(pid, text):
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            first, last = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                memory.seek(first)
                if text in memory.read(last - first):
                    return True
    return False


def test_passphrase_is_not_asked_for_a_key_that_does_not_count(home):
    home.settings(f"IdentityFile {home.key('mine', 'open sesame')}\nIdentityFile /root/.ssh/id_ed25519\n")
    assert is_list(client.run("list", ALICE, "-F", home.config))


def test_certificate(tmp_path, home):
    keys, trust = pam_sshd.certificates(tmp_path, "alice")
    key = keys["alice"]
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), pam_sshd.server(trust) as port:
        home.knows(port)
        host = f"{ALICE}:{port}"
        home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\n")
        assert is_list(client.run("list", host, "-F", home.config))
        # By another name, which the configuration has to tell.
        moved = pathlib.Path(f"{key}-cert.pub").rename(tmp_path / "elsewhere.pub")
        one_line(client.run("list", host, "-F", home.config), EX_NOPERM, b"permission denied")
        home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\nCertificateFile {moved}\n")
        assert is_list(client.run("list", host, "-F", home.config))


# --- questions -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("append, question", [
    ("PubkeyAuthentication no\nKbdInteractiveAuthentication no\n", rb"password: "),
    ("PubkeyAuthentication no\nPasswordAuthentication no\n", rb"Password: "),
], ids=["password", "keyboard-interactive"])
def test_password(home, append, question):
    pam_sshd.set_passwords("alice")
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), pam_sshd.server(append) as port:
        home.knows(port)
        host = f"{ALICE}:{port}"
        with client.terminal("list", host, "-F", home.config) as t:
            t.talk.deadline = 40    # PAM lets a wrong password wait
            t.talk.read_until(question)
            t.talk.write(b"wrong\n")
            t.talk.read_until(question)
            t.talk.write(pam_sshd.PASSWORD.encode() + b"\n")
            said = t.talk.read_until(rb"cards2 ")
            assert pam_sshd.PASSWORD.encode() not in said
            assert t.wait() == 0
            assert t.settings() == t.before
        with client.terminal("list", host, "-F", home.config) as t:
            t.talk.read_until(question)
            t.talk.write(b"\x03")
            t.talk.read_until(rb"permission denied")
            assert t.wait() == EX_NOPERM
            assert t.settings() == t.before
        one_line(client.run("list", host, "-F", home.config), EX_NOPERM, b"no terminal to ask")


def test_host_that_thinks_about_it(home, tmp_path):
    """How long it takes to confirm a login elsewhere, by a telephone, is no matter of how long the way may take."""
    pam_sshd.set_passwords("alice")
    slow = "auth required pam_exec.so quiet /bin/sleep 12"
    with pam_sshd.pam(pam_sshd.stack(auth=slow, account=None, session=None)), \
            pam_sshd.server("PubkeyAuthentication no\nPasswordAuthentication no\n") as port:
        home.knows(port)
        home.settings("ConnectTimeout 10\n")
        with client.terminal("list", f"{ALICE}:{port}", "-F", home.config) as t:
            t.talk.deadline = 60
            t.talk.read_until(rb"Password: ")
            t.talk.write(pam_sshd.PASSWORD.encode() + b"\n")
            t.talk.read_until(rb"cards2 ")
            assert t.wait() == 0


def test_question_of_several_lines(home, tmp_path):
    """Each line of it is shown, and what would act on the terminal is not passed to it."""
    pam_sshd.set_passwords("alice")
    text = tmp_path / "text"
    text.write_text("Choose:\n 1 \x1b]0;x\x07 telephone\n")
    with pam_sshd.pam(pam_sshd.stack(auth=f"auth optional pam_echo.so file={text}", account=None, session=None)), \
            pam_sshd.server("PubkeyAuthentication no\nPasswordAuthentication no\n") as port:
        home.knows(port)
        with client.terminal("list", f"{ALICE}:{port}", "-F", home.config) as t:
            said = t.talk.read_until(rb"Password: ")
            assert b"Choose:\r\n 1 " in said and b"telephone\r\n" in said
            assert b"\x1b" not in said and b"\x07" not in said
            t.talk.write(pam_sshd.PASSWORD.encode() + b"\n")
            t.talk.read_until(rb"cards2 ")
            assert t.wait() == 0


@pytest.mark.parametrize("settings, asks", [
    ("", False), ("PubkeyAuthentication no\n", True), ("PreferredAuthentications password,publickey\n", True),
    ("PreferredAuthentications publickey,password\n", False),
])
def test_methods_of_configuration(home, port, settings, asks):
    home.knows(port)
    home.settings(settings)
    with client.terminal("list", f"{ALICE}:{port}", "-F", home.config) as t:
        if asks:
            t.talk.read_until(rb"assword: ")
            t.talk.write(pam_sshd.PASSWORD.encode() + b"\n")
        assert b"assword" not in t.talk.read_until(rb"cards2 ")
        assert t.wait() == 0
    home.settings("PubkeyAuthentication no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n")
    one_line(client.run("list", f"{ALICE}:{port}", "-F", home.config), EX_NOPERM, b"turns off all that the host takes")


# --- the host's key --------------------------------------------------------------------------------------------------------

def other_key(home):
    return pathlib.Path(f"{home.key('other')}.pub").read_text()


def test_unknown_host(home, port):
    host = f"{ALICE}:{port}"
    one_line(client.run("list", host, "-F", home.config), EX_PROTOCOL, b"not known here .*nobody to ask")
    before = home.known_hosts.read_text()
    with client.terminal("list", host, "-F", home.config) as t:
        t.talk.read_until(rb"yes, no, or the fingerprint\) ")
        t.talk.write(b"no\n")
        t.talk.read_until(b"nobody confirmed")
        assert t.wait() == EX_PROTOCOL
    assert home.known_hosts.read_text() == before
    with client.terminal("list", host, "-F", home.config) as t:
        seen = t.talk.read_until(rb"yes, no, or the fingerprint\) ")
        t.talk.write(re.search(rb"SHA256:\S+", seen)[0].rstrip(b".") + b"\n")
        t.talk.read_until(rb"cards2 ")
        assert t.wait() == 0
    assert f"[{HOST}]:{port} ssh-ed25519" in home.known_hosts.read_text()
    assert is_list(client.run("list", host, "-F", home.config))


@pytest.mark.parametrize("setting, rc, remembers", [("yes", EX_PROTOCOL, False), ("accept-new", 0, True), ("no", 0, False)])
def test_unknown_host_by_configuration(home, port, setting, rc, remembers):
    home.settings(f"StrictHostKeyChecking {setting}\n")
    assert client.run("list", f"{ALICE}:{port}", "-F", home.config).rc == rc
    assert (f":{port} " in home.known_hosts.read_text()) == remembers


@pytest.mark.parametrize("setting", ["ask", "yes", "accept-new", "no"])
def test_changed_host(home, port, setting):
    """Nothing is asked and nothing is sent: no password meets a host that is not the one."""
    home.knows(port, other_key(home))
    home.settings(f"StrictHostKeyChecking {setting}\n")
    before = home.known_hosts.read_text()
    mark = vgtest.log_mark()
    with client.terminal("list", f"{ALICE}:{port}", "-F", home.config) as t:
        t.talk.read_until(rb"THE HOST'S KEY IS NOT THE ONE IT HAD")
        assert t.wait() == EX_PROTOCOL
    assert home.known_hosts.read_text() == before
    assert not vgtest.settled_log(mark, "alice")


@pytest.mark.parametrize("by_name", [False, True])
def test_changed_host_that_is_confirmed(home, port, by_name):
    """The command that is said takes the old key away: the host is a new one then."""
    home.knows(port, other_key(home))
    home.settings(f"Host gate\n  HostName {HOST}\n  Port {port}\n  User alice\n" if by_name else "")
    host = "gate" if by_name else f"{ALICE}:{port}"
    said = client.run("list", host, "-F", home.config).stderr.decode()
    subprocess.run(re.search(r"ssh-keygen -R .*", said)[0], shell=True, check=True, capture_output=True)
    one_line(client.run("list", host, "-F", home.config), EX_PROTOCOL, b"not known here .*nobody to ask")


# --- the way there ---------------------------------------------------------------------------------------------------------

def test_host_of_configuration(home, port):
    home.knows(port)
    home.settings(f"Host gate-*\n  HostName {HOST}\n  Port {port}\nHost gate-1\n  User alice\n")
    assert is_list(client.run("list", "gate-1", "-F", home.config))
    assert is_list(client.run("list", "alice@gate-2", "-F", home.config))
    # What is typed counts more.
    assert client.run("list", f"alice@gate-2:{port + 1 if port < 65535 else 1}", "-F", home.config).rc == EX_UNAVAILABLE


@pytest.mark.parametrize("way", ["ProxyJump carol@127.0.0.1", "ProxyCommand ssh -W '[%h]:%p' carol@127.0.0.1"])
def test_by_another_host(home, port, way):
    home.knows(port)
    home.settings(f"Host gate\n  HostName {HOST}\n  Port {port}\n  User alice\n  {way}\n")
    mark = vgtest.log_mark()
    assert is_list(client.run("list", "gate", "-F", home.config))
    assert vgtest.settled_log(mark, "Accepted publickey for carol")


def test_second_address(home):
    """A name whose first address nobody answers at: sshd listens for IPv4 alone."""
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), pam_sshd.server() as port:
        with home.known_hosts.open("a") as out:
            out.write(home.known_hosts.read_text().splitlines()[0].replace(HOST, f"[localhost]:{port}") + "\n")
        assert is_list(client.run("list", f"alice@localhost:{port}", "-F", home.config))


@pytest.mark.parametrize("host, rc, pattern", [
    ("alice@127.0.0.1:1", EX_UNAVAILABLE, b"port 1 refuses connections"),
    ("alice@", EX_USAGE, rb"expected \[user@\]host"),
    ("-oProxyCommand=id", EX_USAGE, b"unknown option"),
    ("x;id", EX_USAGE, rb"expected \[user@\]host"),
])
def test_no_way(host, rc, pattern):
    one_line(client.run("list", host), rc, pattern)


def test_silent_host(home):
    with socket.create_server((HOST, 0)) as listener:
        home.settings("ConnectTimeout 1\n")
        one_line(client.run("list", f"{ALICE}:{listener.getsockname()[1]}", "-F", home.config), EX_UNAVAILABLE,
                 b"no connection: Timeout")


def test_words_that_are_not_known(home):
    home.settings("Host gate\n  HostName 127.0.0.1\n  User alice\n  HostKeyAlias other\n")
    result = client.run("list", "gate", "-F", home.config)
    assert b"has HostKeyAlias, which this program does not know; with --ssh ssh it counts" in result.stderr
    home.settings("RevokedHostKeys /etc/ssh/revoked\n")
    one_line(client.run("list", ALICE, "-F", home.config), EX_CONFIG, b"RevokedHostKeys .*use --ssh ssh")


def test_configuration_that_is_not_there(home):
    one_line(client.run("list", ALICE, "-F", "/nonexistent/config"), EX_CONFIG, b"/nonexistent/config: No such file or directory")
    one_line(client.run("list", ALICE, "-F", home.folder), EX_CONFIG, b"Is a directory")


def test_configuration_that_others_can_write():
    """It may have commands in it: ssh does not read it either, and says so."""
    path = pathlib.Path("/root/.ssh/config")
    before = path.read_text() if path.exists() else None
    try:
        path.write_text("")
        path.chmod(0o646)
        one_line(client.run("list", ALICE), EX_CONFIG, b"/root/.ssh/config: others can write to it .*chmod go-w")
        assert b"Bad owner or permissions" in client.run("list", ALICE, "--ssh", "ssh").stderr
    finally:
        path.chmod(0o600)
        path.write_text(before) if before is not None else path.unlink()


def test_configuration_that_cannot_be_read():
    """It does not count, as with ssh; but that is said."""
    path = pathlib.Path("/home/carol/.ssh/config")
    path.write_text("Port 1\n")
    path.chmod(0)
    shutil.chown(path, "carol")
    try:
        result = client.run("-u", "carol", "--", "virtgate", "list", ALICE, program="runuser")
        assert result.stderr.startswith(f"virtgate: {ALICE}: {path} cannot be read and does not count".encode()), result
        assert result.rc != EX_UNAVAILABLE      # port 1 refuses
    finally:
        path.unlink()


# --- the system's ssh ------------------------------------------------------------------------------------------------------

def test_through_ssh(home):
    assert is_list(client.run("list", ALICE, "--ssh", "ssh"))
    home.settings(f"Host gate\n  HostName {HOST}\n  User alice\n  HostKeyAlias known\n")
    home.known_hosts.write_text(home.known_hosts.read_text().replace(HOST, "known"))
    assert is_list(client.run("list", "gate", "--ssh", f"ssh -F {home.config}"))
    result = client.run("info", ALICE, "secret", "--ssh", "ssh")
    assert result.rc == EX_NOPERM and result.stderr == b"virtgate: no console for you on 'secret'\n"


def test_through_ssh_that_fails(home):
    result = client.run("list", f"{ALICE}:1", "--ssh", "ssh")
    assert result.rc == EX_UNAVAILABLE and b"refused" in result.stderr
    one_line(client.run("list", ALICE, "--ssh", "/nonexistent/ssh"), EX_UNAVAILABLE, b"could not be started")


def test_through_ssh_nothing_is_asked(home):
    """With --batch; and while a console has the terminal, where a password would be typed into the machine."""
    key = home.key("mine", "open sesame")
    home.settings(f"IdentityFile {key}\nIdentitiesOnly yes\n")
    with client.authorized("alice", key):
        with client.terminal("list", ALICE, "--batch", "--ssh", f"ssh -F {home.config}") as t:
            assert b"passphrase" not in t.talk.read_until(b"Permission denied")
            assert t.wait() == EX_UNAVAILABLE
        with client.terminal("console", ALICE, "cards2", "--ssh", f"ssh -F {home.config}") as t:
            assert b"passphrase" not in t.talk.read_until(b"a console's ssh cannot ask for a password; ssh-agent answers")
            assert t.wait() == EX_UNAVAILABLE
            assert t.settings() == t.before
        with client.terminal("list", ALICE, "--ssh", f"ssh -F {home.config}") as t:
            t.talk.read_until(b"passphrase for key .*: ")
            t.talk.write(b"open sesame\n")
            t.talk.read_until(rb"cards2 ")
            assert t.wait() == 0

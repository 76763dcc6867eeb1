# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate list, info, console, proxy, and its place as ssh for libvirt."""
import contextlib
import json
import os
import pathlib
import re
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
from vgtest import HOST, ask_greeting, free, wait_until

NEEDS = client.missing("virsh")
pytestmark = pytest.mark.skipif(bool(NEEDS), reason=str(NEEDS))

BOB, MALLORY = f"bob@{HOST}", f"mallory@{HOST}"
CAST = {"cards2", "nolisten", "sockvm", "spicevm"}
LEAVE = b"\x1d"


@pytest.fixture(autouse=True)
def free_afterwards():
    yield
    free()


# --- list -------------------------------------------------------------------------------------------------------------------

def test_list():
    result = client.run("list", ALICE)
    head, *rows = result.stdout.decode().splitlines()
    assert (result.rc, result.stderr) == (0, b"")
    assert head.split() == ["NAME", "STATE", "RIGHTS"]
    assert {row.split()[0] for row in rows} == CAST
    # What the gate itself shows.
    assert sorted(vgtest.ssh("alice", "list").stdout.splitlines()) == sorted(result.stdout.splitlines())


def test_list_of_hosts():
    """A host that fails does not keep the others from being shown."""
    result = client.run("list", ALICE, f"{ALICE}:1", BOB, MALLORY)
    head, *rows = result.stdout.decode().splitlines()
    assert result.rc == 69
    assert result.stderr.startswith(f"virtgate: {ALICE}:1: port 1 refuses".encode()) and result.stderr.count(b"\n") == 1
    assert head.split() == ["HOST", "NAME", "STATE", "RIGHTS"]
    assert [row.split()[:2] for row in rows if row.startswith("bob")] == [[BOB, "cards2"]]
    assert {row.split()[1] for row in rows if row.startswith("alice")} == CAST
    assert not [row for row in rows if row.startswith("mallory")]


def test_list_asks_hosts_at_once():
    """One that says nothing keeps no other waiting: each is called before any has answered."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(20)]
        process = stack.enter_context(subprocess.Popen(
            ["virtgate", "list", *(f"alice@{HOST}:{listener.getsockname()[1]}" for listener in listeners)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        stack.callback(process.kill)
        called = []
        for listener in listeners:
            listener.settimeout(10)     # none of them is given up so soon
            called.append(stack.enter_context(listener.accept()[0]))
        for connection in called:
            connection.close()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 69 and said.count(b"no connection") == 20


def test_list_json():
    result = client.run("list", "--json", ALICE, f"{ALICE}:1", MALLORY)
    alice, gone, mallory = json.loads(result.stdout)
    assert result.rc == 69
    assert alice["host"] == ALICE and alice["machines"] == json.loads(vgtest.ssh("alice", "list", "--json").stdout)
    assert gone.keys() == {"host", "error"} and "refuses" in gone["error"]
    assert mallory == {"host": MALLORY, "machines": []}


def test_list_watch():
    """One table, and another when something has changed; on one connection, where the host does not want the end of a command
    before the next."""
    with client.settings_for_gate("MaxSessions 5"):
        watch()


def watch():
    mark = vgtest.log_mark()
    process = subprocess.Popen(["virtgate", "list", "--watch", BOB], stdout=subprocess.PIPE, bufsize=0)
    try:
        stream = vgtest.Stream(process.stdout.fileno(), None)
        stream.read_until(rb"NAME .*\ncards2 +running +serial\n")
        with vgtest.acl(vgtest.ACL.read_text() + "\n[vm cards2]\ndisplay = bob\n"):
            stream.read_until(rb"NAME .*\ncards2 +running +display, serial\n")
        stream.read_until(rb"NAME .*\ncards2 +running +serial\n")
        assert stream.seen == b""
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    assert len(vgtest.settled_log(mark, "Accepted publickey for bob")) == 1


def test_list_watch_on_a_terminal():
    """The table stays in its place, and what a host complains of is under it, where it is not wiped away."""
    with client.terminal("list", "--watch", ALICE, f"{ALICE}:1") as t:
        seen = t.talk.read_until(rb"port 1 refuses connections.*\n")
        table, = re.findall(rb"\x1b\[H\x1b\[J([^\x1b]*)$", seen)
        assert table.index(b"cards2 ") < table.index(b"port 1 refuses")


def test_list_watch_of_a_host_that_does_not_let_in():
    """It is asked once: who knocks every two seconds is locked out in the end."""
    mark = vgtest.log_mark()
    result = client.run("list", "--watch", f"nobody@{HOST}")
    assert result.rc == 77 and result.stderr.count(b"permission denied") == 1 and result.stdout == b""
    assert len(vgtest.settled_log(mark, f"Connection from {HOST} ")) == 1


# What acts on a terminal, in an answer as one that the gate escapes and as it is.
NASTY = "\\u001b]0;x\\u0007\\u009b31m"
RAW = "\x1b]0;x\x07\x9b31m".encode("latin-1")


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["info", "x"], ["view", "x"], ["power", "off", "x"],
                                   ["console", "x"]], ids=" ".join)
def test_host_that_writes_to_the_terminal(tmp_path, words):
    """Not in the name, state and rights of a machine, nor in lines, nor on standard error."""
    verb, *rest = words
    answer = tmp_path / "answer"
    answer.write_bytes(f'[{{"name": "{NASTY}", "state": "{NASTY}", "rights": ["{NASTY}"]}}]\n'.encode() if verb == "list" else
                       RAW + b"\n")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != pathlib.Path("/tmp") and folder != pathlib.Path("/"):
            folder.chmod(0o755)
    key = client.Home(tmp_path).key("mine")
    out = f"cat {answer}" if verb in ("list", "info") else "exit 70"      # what a console says is the machine's
    keys = pathlib.Path("/home/carol/.ssh/authorized_keys")
    forced = f'command="cat {answer} >&2; {out}" ' + pathlib.Path(f"{key}.pub").read_text()
    place = [rest[0], f"carol@{HOST}", *rest[1:]] if verb == "power" else [f"carol@{HOST}", *rest]
    with client.appended(keys, forced), client.terminal(verb, *place, "-F", "none", "-i", key) as t:
        seen = t.talk.read_until(rb"u001b|x1b")
        t.wait()
        seen += t.unread()
    assert not re.search(rb"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]|(?<![\xc2-\xf4])\x9b", seen), seen


def test_list_of_no_gate():
    """carol has a shell, which knows no such command."""
    result = client.run("list", f"carol@{HOST}")
    assert (result.rc, result.stdout) == (127, b"") and b"list: command not found" in result.stderr, result


@contextlib.contextmanager
def answering(tmp_path, answer):
    """carol's login answers that, whatever is asked; its key."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(answer)
        file.flush()
        os.chmod(file.name, 0o644)
        key = client.Home(tmp_path).key("mine")
        forced = f'command="cat {file.name}" ' + pathlib.Path(f"{key}.pub").read_text()
        with client.appended("/home/carol/.ssh/authorized_keys", forced):
            yield key


NOT_JSON = [b"", b"NAME STATE", b"[", b"[1,]", b"[1 2]", b'[{"name": "a", "name": "b"}]', b'[{"name": "\xff"}]',
            b'[{"name": "\\u0000"}]', b"[]x", b"[" * 5000 + b"]" * 5000]


@pytest.mark.parametrize("answer", NOT_JSON, ids=ascii)
def test_answer_that_is_no_json(tmp_path, answer):
    """Whole, or not at all."""
    with answering(tmp_path, answer) as key:
        for words, said in ((["list", f"carol@{HOST}"], b"is not a gate's list; is there a virtgate on this host"),
                            (["view", f"carol@{HOST}", "x"], b"the answer is not a gate's\n")):
            result = client.run(*words, "-F", "none", "-i", key)
            assert (result.rc, result.stdout) == (76, b"") and said in result.stderr, result


@pytest.mark.parametrize("answer", [b"{}", b"[1]", b'[{}, "a"]'])
def test_answer_that_is_no_list(tmp_path, answer):
    with answering(tmp_path, answer) as key:
        result = client.run("list", f"carol@{HOST}", "-F", "none", "-i", key)
        assert (result.rc, result.stdout) == (76, b"") and result.stderr.endswith(b"the answer is not a gate's list\n"), result


def test_answer_with_more_than_a_gates(tmp_path):
    """What is not understood is passed on to a program, and no table shows it."""
    machine = {"name": "a\u00e4", "state": "running", "rights": ["display", 7], "n": -3, "more": {"deep": [None, True, []]}}
    with answering(tmp_path, json.dumps([machine, {}]).encode()) as key:
        place = [f"carol@{HOST}", "-F", "none", "-i", key]
        told, = json.loads(client.run("list", "--json", *place).stdout)
        assert told["machines"] == [machine, {}]
        result = client.run("list", *place)
        assert result.rc == 0 and result.stdout.decode().split() == ["NAME", "STATE", "RIGHTS", "a\u00e4", "running", "display",
                                                                      "?", "?"], result


# --- info -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [["cards2"], ["uuid:c0ffee00-0000-4000-8000-000000000001"], ["cards2", "--json"]])
def test_info(words):
    options, words = [word for word in words if word.startswith("--")], [word for word in words if not word.startswith("--")]
    result = client.run("info", ALICE, *words, *options)
    assert (result.rc, result.stderr) == (0, b"")
    assert result.stdout == vgtest.ssh("alice", "info", *options, *words).stdout


@pytest.mark.parametrize("words, rc, said", [
    (["info", ALICE, "secret"], 77, b"virtgate: no console for you on 'secret'\n"),
    (["info", ALICE], 64, b"virtgate: expected virtgate info HOST VM"),
    (["info", ALICE, ".x"], 64, b"virtgate: expected a virtual machine's name or uuid:UUID, not '.x'\n"),
    (["list"], 64, b"virtgate: expected virtgate list HOST"),
    (["list", ALICE, "--viewer", "x"], 64, b"virtgate: list takes no --viewer"),
    (["list", ALICE, "--jso"], 64, b"virtgate: unknown option '--jso'"),
    (["frobnicate", ALICE], 64, b"virtgate: unknown command 'frobnicate'"),
    ([], 64, b"virtgate: expected a command"),
    (["console", ALICE, "cards2", "--reconnect"], 64, b"virtgate: --reconnect is for a person at a terminal\n"),
    (["console", ALICE, "nosuch"], 77, b"virtgate: no console for you on 'nosuch'\n"),
])
def test_refused(words, rc, said):
    result = client.run(*words)
    assert result.rc == rc and result.stdout == b"" and result.stderr.startswith(said) and result.stderr.count(b"\n") == 1


def test_nothing_can_be_written():
    with open("/dev/full", "wb") as full:
        for words in (["list", ALICE], ["info", ALICE, "cards2"], ["--help"]):
            assert subprocess.run(["virtgate", *words], stdout=full, stderr=subprocess.DEVNULL).returncode == 74


# --- console ----------------------------------------------------------------------------------------------------------------

def started(terminal):
    terminal.talk.read_until(rb"leave with Ctrl-\] or, at the beginning of a line, ~\.\r\n")
    wait_until(terminal.is_raw, what="a raw terminal")


@pytest.mark.parametrize("way", [[], ["--ssh", "ssh"]], ids=["libssh", "ssh"])
@pytest.mark.parametrize("keys", [[LEAVE], [b"\r~."], [b"\r~", b"."]], ids=repr)
def test_console(keys, way):
    with client.terminal("console", ALICE, "cards2", *way) as t:
        started(t)
        ask_greeting(t.talk, "cards2")
        # None of them acts on the terminal here, nor on one there; "~~" is "~".
        t.talk.write(b"\x03\x04\x11\x13\x1a\x1c\x7f\x16\x12")
        assert t.talk.read_until(b"\x12") == b"\x03\x04\x11\x13\x1a\x1c\x7f\x16\x12"
        t.talk.write(b"\r~~!")
        assert t.talk.read_until(b"!") == b"\r\n~!"
        # A terminal of another size: a serial line knows of none, and goes on.
        t.resize(50, 132)
        t.talk.write(b"abc")
        assert t.talk.read_until(b"abc") == b"abc"
        for piece in keys:
            t.talk.write(piece)
        assert t.wait() == 0
        assert t.settings() == t.before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_console_ended_by_a_signal(number):
    with client.terminal("console", ALICE, "cards2") as t:
        started(t)
        ask_greeting(t.talk, "cards2")
        t.process.send_signal(number)
        t.wait()
        assert t.settings() == t.before


def test_console_of_a_host_that_is_gone():
    with client.terminal("console", ALICE, "cards2") as t:
        started(t)
        ask_greeting(t.talk, "cards2")
        assert client.cut_off("alice")
        t.talk.read_until(rb"virtgate: alice@127\.0\.0\.1: the connection is lost \(.*\); try again")
        assert t.wait() == 69
        assert t.settings() == t.before


def test_console_reconnects_to_a_host_that_is_gone():
    """A new login, for which the terminal is as usual; and Ctrl-C leaves while the machine does not have it."""
    with client.terminal("console", ALICE, "cards2", "--reconnect") as t:
        started(t)
        ask_greeting(t.talk, "cards2")
        for _ in range(2):
            assert client.cut_off("alice")
            t.talk.read_until(b"the console is gone; it is tried again")
            ask_greeting(t.talk, "cards2", tries=100)
        t.talk.write(b"\x03")
        assert t.talk.read_until(b"\x03") == b"\x03"        # the machine's
        t.talk.write(LEAVE)
        assert t.wait() == 0
        assert t.settings() == t.before


@pytest.mark.skipif(bool(pam_sshd.missing()), reason=str(pam_sshd.missing()))
def test_console_that_reconnects_asks(tmp_path):
    """The password is another one by now: it is asked for, not shown, and not typed into the machine."""
    home = client.Home(tmp_path)
    pam_sshd.set_passwords("alice")
    with pam_sshd.pam(pam_sshd.stack(auth=None, account=None, session=None)), \
            pam_sshd.server("PubkeyAuthentication no\nKbdInteractiveAuthentication no\n") as port:
        home.knows(port)
        with client.terminal("console", f"{ALICE}:{port}", "cards2", "--reconnect", "-F", home.config) as t:
            t.talk.deadline = 40    # PAM lets a wrong password wait
            t.talk.read_until(rb"password: ")
            t.talk.write(pam_sshd.PASSWORD.encode() + b"\n")
            started(t)
            ask_greeting(t.talk, "cards2")
            subprocess.run(["chpasswd", "-c", "SHA512"], input=b"alice:another one\n", check=True)
            assert client.cut_off("alice")
            t.talk.read_until(rb"the console is gone[\s\S]*password: ")
            assert not t.is_raw()
            t.talk.write(b"another one\n")
            wait_until(t.is_raw, what="a raw terminal")
            ask_greeting(t.talk, "cards2", tries=100)
            assert b"another" not in t.unread()
            t.talk.write(LEAVE)
            assert t.wait() == 0
            assert t.settings() == t.before


def test_proxy_of_a_host_that_is_gone():
    with vgtest.Opened(["virtgate", "proxy", ALICE, "cards2"]) as p:
        vgtest.Rfb(p.talk)
        assert client.cut_off("alice")
        result = p.result()
        assert result.rc == 69 and b"the connection is lost" in result.stderr


def test_console_without_a_terminal():
    with vgtest.Opened(["virtgate", "console", ALICE, "cards2"]) as p:
        ask_greeting(p.talk, "cards2")
        p.talk.write(b"\x1d~.\r~.\r!")
        assert p.talk.read_until(b"!") == b"\x1d~.\r\n~.\r\n!"
        assert p.hang_up() == 0


def test_console_in_use():
    with client.terminal("console", ALICE, "cards2") as t:
        started(t)
        ask_greeting(t.talk, "cards2")
        result = client.run("console", BOB, "cards2")
        assert result.rc == 75 and b"the serial console of 'cards2' is in use" in result.stderr
        t.talk.write(LEAVE)
        assert t.wait() == 0


@pytest.mark.parametrize("leave", [LEAVE, b"\x03"], ids=repr)
@pytest.mark.parametrize("way", [[], ["--ssh", "ssh"]], ids=["libssh", "ssh"])
def test_console_reconnects(way, leave):
    """The machine goes and comes back: the same terminal has its console again."""
    with vgtest.extra_vm("mill", "<graphics type='vnc'><listen type='none'/></graphics>"), \
            vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill]\nserial = alice\n"):
        with client.terminal("console", ALICE, "mill", "--reconnect", *way) as t:
            started(t)
            ask_greeting(t.talk, "mill")
            vgtest.virsh("destroy", "mill")
            t.talk.read_until(b"the console is gone; it is tried again")
            vgtest.cast("vm_start", "mill")     # vm_wait would read from the same console
            ask_greeting(t.talk, "mill", tries=100)
            vgtest.virsh("destroy", "mill")
            t.talk.read_until(b"the console is gone; it is tried again")
            # It is left while there is none, too.
            t.talk.write(leave)
            assert t.wait() == 0
            assert t.settings() == t.before
        free()


# --- proxy, and ssh's place -------------------------------------------------------------------------------------------------

def test_proxy():
    with vgtest.Opened(["virtgate", "proxy", ALICE, "cards2"]) as p:
        assert vgtest.Rfb(p.talk).picture() == vgtest.screenshot("cards2")
        assert p.hang_up() == 0
    with vgtest.Opened(["virtgate", "proxy", ALICE, "spicevm"]) as p:
        assert vgtest.spice_link(p.talk)[2] == 0


def test_proxy_to_a_terminal():
    with client.terminal("proxy", ALICE, "cards2") as t:
        t.talk.read_until(b"a display is for a viewer, not for a terminal")
        assert t.wait() == 64


@pytest.mark.skipif(bool(client.missing("zsh")), reason="needs zsh")
@pytest.mark.parametrize("words, expected", [
    ("vi", "view"), ("power shutd", "power shutdown"), ("list --w", "list --watch"), ("probe --other-ru", "probe --other-runs"),
    ("console h vm --t", "console h vm --takeover"),
])
def test_zsh_completion(tmp_path, words, expected):
    """As zsh finds it by itself: what was completed is run, by a function of that name."""
    with client.terminal("-f", "-i", program="zsh", env={"HOME": str(tmp_path), "TERM": "dumb"}) as t:
        t.talk.write(b"virtgate() { print -r -- 'run''s:' $* }; autoload -U compinit; compinit -u -D; print rea''dy\n")
        t.talk.read_until(rb"ready\r*\n")
        t.talk.write(f"virtgate {words}\t\n".encode())
        assert t.talk.read_until(rb"runs: .*\r*\n").strip().endswith(f"runs: {expected}".encode())


def virsh(*words, uri=f"qemu+ssh://alice@{HOST}/system?command=/usr/bin/virtgate-ssh"):
    return vgtest.run("virsh", "-q", "-c", uri, *words)


def test_libvirt():
    result = virsh("list", "--name")
    assert result.rc == 0 and set(result.stdout.decode().split()) == CAST
    assert virsh("dominfo", "secret").rc != 0
    # A port and a key file are arguments of ssh's.
    query = "command=/usr/bin/virtgate-ssh&keyfile=/root/.ssh/id_ed25519&no_tty=1"
    result = virsh("list", "--name", uri=f"qemu+ssh://alice@{HOST}:22/system?{query}")
    assert set(result.stdout.decode().split()) == CAST


def test_libvirt_sees_why_not():
    result = virsh("list", uri=f"qemu+ssh://mallory@{HOST}/system?command=/usr/bin/virtgate-ssh")
    assert result.rc != 0 and b"there is no virtual machine for you on this host" in result.stderr


def test_libvirt_by_an_external_program(tmp_path):
    """qemu+ext, whose program gets no arguments: the script of virtgate(1)."""
    script = tmp_path / "connect"
    script.write_text(client.recipe("#!/bin/sh").replace("alice@host.example.com", ALICE))
    script.chmod(0o755)
    result = virsh("list", "--name", uri=f"qemu+ext:///system?command={script}")
    assert result.rc == 0 and set(result.stdout.decode().split()) == CAST


@pytest.mark.skipif(bool(client.missing("virt-viewer", "Xvfb", "import")), reason="needs virt-viewer, Xvfb and import")
def test_viewer_by_this_ssh(tmp_path):
    """virt-viewer starts whatever is called ssh."""
    (tmp_path / "ssh").symlink_to("/usr/bin/virtgate-ssh")
    with gui.Desktop() as desktop:
        desktop.env["PATH"] = f"{tmp_path}:{desktop.env['PATH']}"
        for vm in ("nolisten", "spicevm"):
            with desktop.start("virt-viewer", "-c", f"qemu+ssh://alice@{HOST}/system", vm) as viewer:
                viewer.shows(rf"^{vm} \(1\)", vm)


@pytest.mark.parametrize("words, rc, said", [
    (["-L", "5900:127.0.0.1:5900", ALICE, "list"], 64, b"unknown option '-L'"),
    (["-D", "1080", ALICE, "list"], 64, b"unknown option '-D'"),
    (["-W", "127.0.0.1:5900", ALICE], 64, b"unknown option '-W'"),
    (["-o", "ProxyCommand=id", ALICE, "list"], 64, b"unknown setting 'ProxyCommand=id'"),
    ([ALICE], 64, b"expected a command behind the host"),
    ([], 64, b"expected virtgate ssh"),
    ([ALICE, "ls"], 64, b"unknown command 'ls'; try help"),
])
def test_ssh_refused(words, rc, said):
    result = client.run("ssh", *words)
    assert result.rc == rc and said in result.stderr and result.stdout == b""


@pytest.mark.parametrize("words", [
    ["-l", "alice", HOST], ["-lalice", "-p22", "--", HOST], ["-T", "-e", "none", "-o", "BatchMode=yes", ALICE],
    ["-TqaxC", "-o", "StrictHostKeyChecking=no", ALICE, "--"], ["-i", "/root/.ssh/id_ed25519", ALICE],
], ids=repr)
def test_ssh_forms(words):
    assert client.run("ssh", *words, "list").stdout == vgtest.ssh("alice", "list").stdout


# --- completion -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, expected", [
    (["vi"], "view"), (["power", "s"], "shutdown start suspend"), (["list", "--w"], "--watch"), (["list", "--l"], ""),
    (["view", "h", "vm", "--s"], "--screenshot --ssh"), (["-F", "x", "in"], "info"),
    (["view", "h", "--listen", ""], "127.0.0.1:"), (["p"], "power probe proxy"),
    (["probe", "h", "--other", "v", "--only", "x", "--other-p"], "--other-path --other-port"),
], ids=repr)
def test_bash_completion(words, expected):
    """Nobody is asked for it, neither host nor person."""
    script = ('. /usr/share/bash-completion/completions/virtgate; COMP_WORDS=(virtgate "$@"); COMP_CWORD=$#; _virtgate; '
              'echo "${COMPREPLY[*]}"')
    mark = vgtest.log_mark()
    result = vgtest.run("bash", "-c", script, "bash", *words)
    assert " ".join(sorted(result.stdout.decode().split())) == expected and result.stderr == b""
    assert not vgtest.settled_log(mark, "sshd")

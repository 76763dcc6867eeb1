"""What is refused, and how: one line, an exit code, nothing on standard output, one record in the log."""
import re
import subprocess
import time

import pytest

import vgtest
from vgtest import Terminal, ssh

SECRET = "c0ffee00-0000-4000-8000-000000000002"
NOBODY = "00000000-0000-4000-8000-000000000000"
MANY = 250      # processes at once: started faster than the log takes records


def only_line(result, status):
    """The line, after what must be true of every refusal."""
    assert (result.rc, result.stdout) == (status, b""), result
    assert len(result.stderr) <= 300
    line = result.stderr.decode()       # valid UTF-8
    assert line.startswith("virtgate: ") and line.endswith("\n") and line[:-1].isprintable(), line
    return line[len("virtgate: "):-1]


def unescaped(text):
    """What a log field stands for (base/text.h), as bytes."""
    return re.sub(rb"\\x([0-9a-f]{2})|\\(.)", lambda m: bytes([int(m[1], 16)]) if m[1] else m[2],
                  text.encode())


def only_record(mark, user, status, command):
    """The one record of it; its command is what was sent, or the beginning of that."""
    record, = vgtest.records(mark, "refused ")
    line, = vgtest.log_since(mark, r" virtgated\[\d+\]: ")
    assert line.isprintable()
    assert record["user"] == user and record["status"] == str(status) and record["reason"], record
    assert record["uid"] == str(vgtest.pwd.getpwnam(user).pw_uid)
    said, cut = record["command"], record["command"].endswith("...")
    said, sent = unescaped(said.removesuffix("...") if cut else said), command.encode("utf-8", "surrogateescape")
    assert sent.startswith(said) if cut or len(said) >= 255 else said == sent, (said, sent)
    return record


def check(login, command, status):
    vgtest.room_in_log()
    mark = vgtest.log_mark()
    line = only_line(login.run(command), status)
    return line, only_record(mark, login.user, status, command)


REASONS = {("mallory", "nc"): "no rule grants it on any VM"}     # no name to look a rule up by


# --- who and which VM ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("user,command,asked", [
    ("alice", "display secret", "secret"),
    ("alice", "console secret", "secret"),
    ("alice", "console --takeover secret", "secret"),
    ("alice", "info secret", "secret"),
    ("alice", "info --json secret", "secret"),
    ("alice", f"display uuid:{SECRET}", f"uuid:{SECRET}"),
    ("alice", f"console uuid:{SECRET}", f"uuid:{SECRET}"),
    ("alice", f"display uuid:{SECRET.upper()}", f"uuid:{SECRET}"),
    ("alice", "display secret 255", "secret"),
    ("alice", "console secret serial7", "secret"),
    ("bob", "display cards2", "cards2"),        # the console is his, the screen is not
    ("bob", "console nolisten", "nolisten"),
    ("mallory", "display cards2", "cards2"),
    ("mallory", "console cards2", "cards2"),
    ("mallory", "info cards2", "cards2"),
    ("mallory", "nc 127.0.0.1 5903", "127.0.0.1 port 5903"),
    # Not nearly, either.
    ("alice", "display cards", "cards"),
    ("alice", "display cards22", "cards22"),
    ("alice", "display CARDS2", "CARDS2"),
    ("alice", "display Cards2", "Cards2"),
    ("alice", "display cards2.", "cards2."),
    ("alice", "display cards2-", "cards2-"),
    ("alice", "display 1", "1"),                # libvirt's running number
    ("alice", "console 5", "5"),
])
def test_not_granted(logins, user, command, asked):
    line, record = check(logins(user), command, 77)
    assert line == f"no console for you on '{asked}'"
    assert record["reason"] == REASONS.get((user, command.split()[0]), "no rule grants it")


@pytest.mark.parametrize("user", ["alice", "bob", "mallory"])
@pytest.mark.parametrize("command,uuid", [
    ("display {vm}", False), ("display {vm} 3", False), ("console {vm}", False), ("console {vm} serial0", False),
    ("console --takeover {vm}", False), ("info {vm}", False), ("info --json {vm}", False), ("display uuid:{vm}", True),
    ("console uuid:{vm}", True), ("info uuid:{vm}", True), ("nc -U /run/virtgate/display/{vm}/0", True),
])
def test_same_as_nothing(logins, user, command, uuid):
    """A VM that is somebody else's, running or not, and one that never was: the same but for the name."""
    other, nothing = (SECRET, NOBODY) if uuid else ("secret", "secreu")
    one, two = (logins(user).run(command.format(vm=vm)) for vm in (other, nothing))
    assert one.rc == two.rc == 77 and one.stdout == two.stdout == b""
    assert one.stderr.replace(other.encode(), b"@") == two.stderr.replace(nothing.encode(), b"@")


def test_same_as_nothing_by_port_and_path(logins):
    path = "/var/lib/libvirt/qemu/domain-{}-secret/vnc.sock"
    for one, two in [("nc 127.0.0.1 5904", "nc 127.0.0.1 5984"), (f"nc -U {path.format(2)}", f"nc -U {path.format(9)}")]:
        lines = {only_line(logins("alice").run(command), 77).replace(command.split()[-1], "@") for command in (one, two)}
        assert len(lines) == 1


@pytest.mark.parametrize("pattern,near", [("web1", ["web", "web10", "WEB1", "web1.", "xweb1", "w", "web1-web1"]),
                                          ("web?", ["web", "web10", "WEB1"]), ("web[12]", ["web3", "web12", "web"])])
def test_names_near_a_grant(logins, pattern, near):
    """The VMs are there and run; only the grant's own opens."""
    with vgtest.extra_vm("web1", "<graphics type='vnc'><listen type='none'/></graphics>", start=False), \
            vgtest.acl(f"[user mallory]\ndisplay = {pattern}\n"):
        assert only_line(logins("mallory").run("display web1"), 69) == "'web1' is not running (shut off)"
        for name in near:
            vgtest.virsh("domrename", "web1", name)
            try:
                for command in (f"display {name}", f"display uuid:{vgtest.cast('vm_uuid', 'web1')}"):
                    assert only_line(logins("mallory").run(command), 77).startswith("no console for you on ")
            finally:
                vgtest.virsh("domrename", name, "web1")


# --- what is no command -------------------------------------------------------------------------------------------

NAMES = ["--help", "-h", "--", "-", "-c", "-oProxyCommand=id", "--config=/etc/passwd", "@/etc/passwd", "a b", " ", "", "cards2 ",
         " cards2", "cards2  0", "$(id)", "`id`", ";id", "cards2;id", "cards2 ;id", "cards2&&id", "cards2 && id", "cards2|id",
         "cards2>/tmp/x", "cards2</etc/passwd", "cards2&", "${IFS}", "$HOME", "~", "~root", "{a,b}", "*", "?", "card[s]2",
         "$'\\x41'", "<(id)", "cards\u202e2", "cards2\u200b", "\u200bcards2", "\ufeffcards2", "\uff43ards2", "c\u0430rds2",
         "cards2\nid", "\ncards2", "cards2\n", "cards2\t", "cards2\tid", "\tcards2", "cards2\r", "cards2\x0b", "cards2\x0c",
         "\x1b[2Jcards2", "cards2\x7f", "cards2\x85", "cards2\u2028id", "cards\udcff2", "\udcc0\udcaf", "..", ".", "../cards2",
         "a/../cards2", "/etc/passwd", "%2e%2e", "....//", "/dev/fd/0", "/proc/self/fd/3", "'cards2'", '"cards2"', "cards\\2",
         "cards2\\", "card's2", "cards2#", "#cards2", "!1", "A=b", "uuid:", "uuid:x", f"uuid:{SECRET}x", f"uuid:{SECRET[:-1]}",
         "uuid:{" + SECRET + "}", SECRET + ":uuid:", "x" * 256, "\u00e9" * 200]


@pytest.mark.parametrize("verb", ["display", "console", "info"])
def test_names(logins, verb):
    for name in NAMES:
        command = f"{verb} {name}"
        result = logins("alice").run(command)
        # Where it reads as a name of a VM and a device or an index, it is somebody else's or none.
        allowed = {77} if (verb, name) in (("console", "a b"),) or name == SECRET + ":uuid:" else {64}
        assert result.rc in allowed, (command, result)
        only_line(result, result.rc)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("a b", SECRET + ":uuid:")],
                         ids=[ascii(name[:30]) for name in NAMES if name not in ("a b", SECRET + ":uuid:")])
def test_record_of_a_name(logins, name):
    check(logins("alice"), f"display {name}", 64)


COMMANDS = [
    "id", "sh", "bash -i", "/bin/sh", "ls -la", "virsh list", "list;id", "list && id", "list | sh", "list >/tmp/x", "list\nid",
    "list --all", "list cards2", "list --json --json", "list  --json", "LIST", "lists", "List", "'list'", '"list"', "l''ist",
    "li\\st", "list ", " list", "help me", "version 1", "display", "console", "info", "info --json", "display --json cards2",
    "console --force cards2", "console cards2 --takeover", "console --takeover", "display cards2 0 0", "display 0 cards2",
    "list # comment", "# list", ":", "true", "exit", "quit", "exec list", "eval list", "command list", "env list", "A=b list",
    "(list)", "{ list; }", "if true; then list; fi", "$(echo list)", "`echo list`", "sh -c list", "sh -c 'list'", "sh -c 'id'",
    "sh -c 'nc 127.0.0.1 5903; id'", "nc -e /bin/sh 127.0.0.1 5903", "nc -l 5903", "nc 127.0.0.1 5903 -e /bin/sh",
    "nc 127.0.0.1 70000", "nc 127.0.0.1 0", "nc -U /etc/passwd/../x", "nc -U relative", "socat - EXEC:/bin/sh",
    "socat - TCP:127.0.0.1:5903,fork", "socat TCP-LISTEN:1 -", "if (command -v socat) >/dev/null 2>&1; then socat - "
    "TCP:127.0.0.1:5903; else nc 127.0.0.1 5904; fi", "nc -U /run/virtgate/broker.sock", "nc -U /run/virtgate/display/x/0",
    "nc -U /var/run/libvirt/libvirt-admin-sock", "nc -U /run/libvirt/virtlogd-sock",
    "scp -t /tmp", "scp -f /etc/passwd", "scp -r -p -t --", "sftp-server", "/usr/lib/openssh/sftp-server", "internal-sftp",
    "rsync --server --sender -vlogDtpr . /etc", "rsync --server . .", "git-upload-pack 'x'", "svnserve -t", "borg serve",
    "-c id", "--", "-", "$", "\\", "'", '"', "(", ")", "\u202elist", "list\u200b",
]


@pytest.mark.parametrize("command", COMMANDS, ids=[ascii(command[:40]) for command in COMMANDS])
def test_commands(logins, command):
    check(logins("alice"), command, 64)


def test_path_that_is_nobodys(logins):
    """A path that is no socket of libvirt's is looked for among displays, not opened."""
    for path in ("/etc/passwd", "/run/virtgate.sock", "/dev/log", "/run/systemd/private"):
        line, _ = check(logins("alice"), f"nc -U {path}", 77)
        assert line == f"no console for you on '{path}'"


@pytest.mark.parametrize("size,line", [
    (1000, "no console for you on '"),      # a path may be long
    (8192, None), (65536, None), (65537, "the command is longer than 65536 bytes"),
    (100000, "the command is longer than 65536 bytes"),
], ids=str)
@pytest.mark.parametrize("byte", ["x", " ", "'", "\x1b"], ids=ascii)
def test_long(logins, size, line, byte):
    command = "display " + byte * (size - len("display "))
    said, record = check(logins("alice"), command, 64)
    assert len(record["command"]) < 1100
    if line and size > 65536:
        assert said == line


def test_long_word_lists(logins):
    for command in ("display " + "x " * 10000, "sh -c '" + "A=b;" * 2000 + "'", "if " * 1000, "(" * 1000, "'" * 999,
                    "nc " + "-q 0 " * 1000 + "127.0.0.1 5903"):
        assert only_line(logins("alice").run(command.strip()), 64)


def test_file_transfer(tmp_path):
    """The clients themselves: each fails, none waits."""
    path = tmp_path / "file"
    path.write_text("contents")
    option = ["-o", "BatchMode=yes"]
    for command in (["sftp", *option, "-b", "/dev/stdin", f"alice@{vgtest.HOST}"],
                    ["scp", *option, str(path), f"alice@{vgtest.HOST}:x"],
                    ["scp", *option, "-O", str(path), f"alice@{vgtest.HOST}:x"],
                    ["scp", *option, "-O", f"alice@{vgtest.HOST}:/etc/passwd", str(tmp_path / "stolen")]):
        assert subprocess.run(command, input=b"ls\n", capture_output=True, timeout=20).returncode != 0
    assert not (tmp_path / "stolen").exists()
    assert not vgtest.pathlib.Path("/home/alice/x").exists()


def test_no_command():
    mark = vgtest.log_mark()
    assert only_line(ssh("alice", stdin=b"list\nid\n"), 64) \
        == "there is no shell here; expected a command such as list, display VM or console VM"
    record, = vgtest.records(mark, "refused ")
    assert record["user"] == "alice" and record["status"] == "64"


def test_the_log_is_not_flooded(logins):
    """A hundred records at once, then few, and one that says how many are missing; another user's are all written."""
    vgtest.restart_gate()
    mark = vgtest.log_mark()
    begin = time.monotonic()
    running = [vgtest.shell("mallory", "display secret", stderr=subprocess.DEVNULL) for _ in range(MANY)]
    assert {one.wait(timeout=20) for one in running} == {77}
    later = 20 * (time.monotonic() - begin)     # those that there was room for by then
    assert logins("bob").run("display secret").rc == 77
    vgtest.records(mark, "refused .*user=bob")
    written = len(vgtest.settled_log(mark, r"\]: refused .*user=mallory"))
    assert 100 <= written <= 100 + later + 1 and written < MANY
    asked = MANY

    def again():
        nonlocal asked
        asked += 1
        assert logins("mallory").run("display secret").rc == 77
        lines = vgtest.settled_log(mark, r"\]: refused .*user=mallory")
        return lines if len(lines) > written else None

    found = [vgtest.fields(line) for line in vgtest.wait_until(again, what="the next record")]
    assert len(found) + sum(int(record.get("suppressed", 0)) for record in found) == asked
    vgtest.restart_gate()


# --- the prompt ---------------------------------------------------------------------------------------------------

PROMPT = rb"virtgate> $"


def test_prompt():
    with Terminal("alice") as terminal:
        def say(line):
            terminal.talk.write(line + b"\n")
            return terminal.talk.read_until(PROMPT).decode().split("\r\n")[1:-1]

        assert b"type help" in terminal.talk.read_until(PROMPT)
        assert any("console" in line for line in say(b"help"))
        assert {line.split()[0] for line in say(b"list")} == {"NAME", "cards2", "nolisten", "spicevm", "sockvm"}
        assert say(b"") == []
        for line in (b"id", b"!id", b"sh", b"list;id", b"$(id)", b"display \xe2\x80\xae", b"x" * 3000):
            answer, = say(line)
            assert answer.startswith("virtgate: ")
        answer, = say(b"display cards2")
        assert answer.startswith("virtgate: a display is for a viewer")
        answer, = say(b"console secret")
        assert answer == "virtgate: no console for you on 'secret'"
        assert any(line.split() == ["name", "cards2"] for line in say(b"info cards2"))
        terminal.talk.write(b"console cards2\n")
        vgtest.ask_greeting(terminal.talk, "cards2")
        terminal.talk.write(b"\x1d")
        terminal.talk.read_until(PROMPT)
        terminal.talk.write(b"exit\n")
        assert terminal.wait() == 0
        assert terminal.settings() == terminal.before


def test_status_of_the_prompt():
    """That of the last command."""
    for last, status in [(b"list", 0), (b"display secret", 64), (b"console secret", 77), (b"id", 64)]:
        with Terminal("alice") as terminal:
            terminal.talk.read_until(PROMPT)
            terminal.talk.write(last + b"\n")
            terminal.talk.read_until(PROMPT)
            terminal.talk.write(b"quit\n")
            assert terminal.wait() == status


@pytest.mark.parametrize("keys,status", [(b"\x03", -2), (b"\x1c", -3), (b"\x04", 0), (b"x\x03", -2), (b"x\x1c", -3),
                                         (b"x\x04\x04", 64)],
                         ids=["C-c", "C-backslash", "C-d", "x C-c", "x C-backslash", "x C-d C-d"])
def test_keys_that_end_the_prompt(keys, status):
    with Terminal("alice") as terminal:
        terminal.talk.read_until(PROMPT)
        terminal.talk.write(keys)
        assert terminal.wait() == status
        assert terminal.settings() == terminal.before


@pytest.mark.parametrize("keys", [b"\x1a", b"\x12", b"\x13\x11", b"\t\t", b"\x1b[A", b"\x18\x05", b"\x16\x03\x15"],
                         ids=["C-z", "C-r", "C-s C-q", "tab", "up", "C-x C-e", "C-v C-c"])
def test_keys_that_do_nothing(keys):
    """No editor, no history, no completion, no job control: the line is the terminal's, and then it is refused or empty."""
    with Terminal("alice") as terminal:
        terminal.talk.read_until(PROMPT)
        terminal.talk.write(keys)
        terminal.talk.write(b"\x15version\n")       # what is left of the line is erased
        assert b"virtgate " in terminal.talk.read_until(rb"virtgate \d.*\r\n")
        terminal.talk.read_until(PROMPT)
        assert terminal.children() == []


@pytest.mark.parametrize("keys", [b"\x03", b"\x1a", b"\x1c", b"\x04"], ids=["C-c", "C-z", "C-backslash", "C-d"])
def test_keys_over_ssh(keys):
    """The same with sshd's terminal: the login ends, or goes on with the prompt; what is typed next runs nowhere."""
    mark = "/tmp/refusals-mark"
    with vgtest.ssh_open("alice", tty=True) as p:
        p.talk.read_until(PROMPT)
        p.talk.write(keys)
        with vgtest.contextlib.suppress(BrokenPipeError):
            p.talk.write(f"touch {mark}\n".encode())
            p.talk.write(b"exit\n")
        p.result()
    assert not vgtest.pathlib.Path(mark).exists()

# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the log tells: each field of a start, an end and a refusal, one record for each event, in one line, whatever a client
sent; the same in the journal. Attack C23 of tests/attacks/attacks.tsv, and the log that design names."""
import contextlib
import os
import pathlib
import pwd
import re
import subprocess
import itertools
import time

import pytest

import vgtest
import wire
from vgtest import Stream, log_mark, settled_log, wait_for_log, wait_until
from wire import CONSOLE, DISPLAY, INFO, LIST, NO, NOPERM, PROTOCOL, RPC, STREAM, answer, asked, console, display, request

CARDS2, SECRET = (f"c0ffee00-0000-4000-8000-00000000000{n}" for n in (1, 2))
LINE = re.compile(r"^(?P<stamp>\S+) (?P<facility>\w+)\.(?P<priority>\w+) virtgated\[(?P<pid>\d+)\]: (?P<event>\w+) (?P<rest>.*)$")
FIELD = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*))(?: |$)')

new_uids = itertools.count(256 * 20 + 160)


@pytest.fixture
def account():
    """Accounts of the gate's group: account() -> name. Each has its own allowance of refusals in the log."""
    made = []

    def make():
        name = f"tmp{os.urandom(3).hex()}"
        subprocess.run(["useradd", "--no-create-home", "--groups", wire.GATE_GROUP, "--uid", str(next(new_uids)), name], check=True)
        made.append(name)
        return name

    yield make
    for name in made:
        subprocess.run(["userdel", "--force", name], check=False, stderr=subprocess.DEVNULL)


def unescape(text):
    """The bytes that were escaped: \\\\ and \\xHH."""
    return re.sub(rb"\\(\\|x[0-9a-f]{2})", lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1][1:], 16)]), text.encode())


def parse(line):
    """A record's line as (priority, event, {key: value}), values as they stand in the journal. Every byte must belong to it."""
    match = LINE.match(line)
    assert match and match["facility"] == "authpriv", line
    found, at = {}, 0
    while at < len(match["rest"]):
        field = FIELD.match(match["rest"], at)
        assert field, f"not a field at {match['rest'][at:]!r} of {line!r}"
        assert field[1] not in found, f"{field[1]} twice: {line!r}"
        found[field[1]] = field[2].replace('\\"', '"') if field[2] is not None else field[3]
        at = field.end()
    return match["priority"], match["event"], found


def records(mark, event, user):
    """Once the log has settled."""
    lines = settled_log(mark, rf" virtgated\[\d+\]: {event} .*\buser={user} ")
    return [parse(line) for line in lines]


def record(mark, event, user):
    wait_for_log(mark, rf" virtgated\[\d+\]: {event} .*\buser={user} ")
    one, = records(mark, event, user)
    return one


def who(user):
    return {"user": user, "uid": str(pwd.getpwnam(user).pw_uid), "from": "unknown", "key": "unknown"}


# --- every field ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, right, user, rule", [("display", "display", "alice", 2), ("console", "serial", "bob", 7)])
def test_start_and_end(kind, right, user, rule):
    mark, begin = log_mark(), time.monotonic()
    assert vgtest.ACL.read_text().splitlines()[rule - 1].split()[0] == right
    with vgtest.ssh_open(user, kind, "cards2") as ssh:
        priority, _, start = record(mark, "start", user)
        assert priority == "info"
        session = start.pop("session")
        assert re.fullmatch("[0-9a-f]{16}", session)
        what = {"vm": "cards2", "uuid": CARDS2, "right": right, "rule": f"virtgate.ini:{rule}"}
        assert start == {**who(user), **what, "asked": f"{kind} cards2", "command": f"{kind} cards2", "result": "opened"}
        if kind == "console":
            up, down = 0, b""
            ssh.talk.deadline = 1
            while vgtest.greeting("cards2") not in down:
                up += 1             # what is typed before QEMU sees the console connected is lost
                ssh.talk.write(b"?")
                with contextlib.suppress(TimeoutError):
                    down += ssh.talk.read_until(b"ready\r\n")
        else:
            ssh.talk.read(12)
            ssh.talk.write(b"RFB 003.008\n")
            ssh.talk.read(2)
            up, down = 12, bytes(14)
        assert ssh.hang_up() == 0
        down = len(down + ssh.talk.read_rest())
    priority, _, end = record(mark, "end", user)
    assert priority == "info" and end.pop("session") == session
    milliseconds = int(end.pop("duration_ms"))
    assert 0 < milliseconds < (time.monotonic() - begin) * 1000
    assert end.pop("reason") in ("client ended", "stream ended")
    assert (int(end.pop("bytes_to_user")), int(end.pop("bytes_from_user"))) == (down, up)
    assert end == {**who(user), **what}
    assert len(records(mark, r"\w+", user)) == 2


REFUSALS = [     # request, further fields, reason
    (display("secret", said="display secret"), {"right": "display", "asked": "display secret", "command": "display secret",
                                                "status": "77"}, "no rule grants it"),
    (console("cards2", said="console cards2"), {"right": "serial", "asked": "console cards2", "command": "console cards2",
                                                "status": "77"}, "no rule grants it"),
    (request(command=INFO, uuid=SECRET, said="x"), {"asked": f"info uuid:{SECRET}", "command": "x", "status": "77"}, None),
    (request(command=DISPLAY, host="localhost", port=5904), {"right": "display", "asked": "display localhost port 5904",
                                                             "status": "77"}, None),
    (request(command=DISPLAY, path="/run/x"), {"right": "display", "asked": "display /run/x", "status": "77"}, None),
    (request(command=RPC, uri="qemu:///system"), {"asked": "rpc", "status": "77"}, "no rule grants anything"),
    (request(kind=wire.REFUSED, said="id", why="not a command"), {"command": "id", "status": "64"}, "not a command"),
    (request(kind=wire.RELOAD), {"status": "77"}, "reload asked for by another than root"),
    (request(kind=wire.WHO), {"status": "77"}, "who asked for by another than root"),
    (request(kind=wire.KICK), {"status": "77"}, "kick asked for by another than root"),
]


@pytest.mark.parametrize("message, fields, reason", REFUSALS, ids=[str(fields) for _, fields, _ in REFUSALS])
def test_refusal(account, message, fields, reason):
    user, mark = account(), log_mark()
    kind, status, _ = answer(user, message)
    assert kind == NO
    priority, _, found = record(mark, "refused", user)
    assert priority == "notice" and re.fullmatch("[0-9a-f]{16}", found.pop("session"))
    said = found.pop("reason")
    assert said == reason or (reason is None and said)
    right = found.pop("right", None)
    assert right == fields.get("right", right)
    assert found == {**who(user), **{key: value for key, value in fields.items() if key != "right"}}
    assert found["status"] == str(status)
    assert len(records(mark, r"\w+", user)) == 1


def test_refusal_by_a_rule(account):
    """Of a denial the rule is named; where a VM was found by uuid, so is the VM."""
    user = account()
    with wire.grants(f"[user {user}]\ndisplay = *\ndeny = secret\n"):
        for message in (display("secret"), request(command=DISPLAY, uuid=SECRET)):
            mark = log_mark()
            assert answer(user, message)[:2] == (NO, NOPERM)
            _, _, found = record(mark, "refused", user)
            assert found["rule"] == "virtgate.ini:3" and found["right"] == "display"
        assert (found["vm"], found["uuid"]) == ("secret", SECRET)


def test_refusal_of_an_account_without_a_name():
    mark = log_mark()
    uid = next(new_uids)
    answer(wire.nobody_known(uid), display("cards2"))
    line, = wait_for_log(mark, rf" virtgated\[\d+\]: refused .*uid={uid} ")
    _, _, found = parse(line)
    assert "user" not in found and found["reason"] == "the account cannot be looked up"


def test_broken_message_is_one_record(account):
    user, mark = account(), log_mark()
    uid = pwd.getpwnam(user).pw_uid
    assert answer(user, b"x" * 100)[:2] == (NO, PROTOCOL)
    line, = wait_for_log(mark, rf" virtgated\[\d+\]: refused .*uid={uid} ")
    _, _, found = parse(line)
    assert found["reason"] == "not a request of virtgate-shell" and found["status"] == str(PROTOCOL)


def test_lists_are_no_sessions():
    mark = log_mark()
    assert answer("alice", request(command=LIST))[0] == wire.LISTING
    assert settled_log(mark, "virtgated") == []


def test_line_of_a_liar(account):
    """What was asked is in the log, whatever the client says that it asked."""
    user, mark = account(), log_mark()
    assert answer(user, display("secret", said="list"))[0] == NO
    _, _, found = record(mark, "refused", user)
    assert (found["asked"], found["command"]) == ("display secret", "list")


@pytest.mark.parametrize("why", ["revoked", "max-time", "idle"])
def test_reason_of_the_end(account, why):
    user = account()
    setting = {"revoked": "", "max-time": "[gate]\nmax-time = 1s\n", "idle": "[gate]\nidle = 1s\n"}[why]
    granted = f"[user {user}]\ndisplay = cards2\n"
    mark = log_mark()
    with wire.grants(granted), asked(user, display("cards2")) as (reply, sock, _):
        assert reply.kind == STREAM
        with wire.grants(setting + (granted if setting else "[user bob]\nserial = cards2\n")):
            wait_for_log(mark, rf"end .*user={user} ", 8)
            _, _, end = record(mark, "end", user)
            assert end["reason"] == why
            assert wire.receive(sock).kind == wire.END


# --- C23: what a client sent ---------------------------------------------------------------------------------------

HOSTILE = [b"a\nb", b"a\r\nb", b"\nrefused session=0 user=root uid=0", b"a\x1b[31mb", b"\x1b]0;x\x07", b"a\x08\x08b", b"a\tb",
           b"%s%n%500000d", b'a"b', b'"', b"\\", b"\\n", b'\\"', b"\\x41", b"a\\", b'" user=root x="', b"' or ''='",
           bytes(range(0x80, 0xa0)), b"\xc2\x85", b"\xc2\x9b31m", "\u202etxt".encode(), "\u2028x\u2029".encode(),
           "\u200bx\u2066".encode(), "\ufeff".encode(), b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", "é e\u0301".encode(),
           b"  two  blanks  ", b"=", b"a=b", b"x" * 255, b"\x01" * 255, b"\\" * 255, b'"' * 255, "\U0001f600".encode(),
           b"#012", b"\x7f", bytes(range(1, 256))]
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")


@pytest.fixture(scope="module")
def journal():
    vgtest.journal_start()
    # virtgated changes over with the next record.
    yield lambda event, user: [found for found in vgtest.journal("SYSLOG_IDENTIFIER=virtgated", f"VIRTGATE_EVENT={event}")
                               if found.get("VIRTGATE_USER") == user]
    vgtest.journal_stop()


def check(text, value, what):
    """value stands for the bytes text: printable, one line, reversible unless it was cut."""
    assert not UNSEEN.search(value), f"{what}: {value!r}"
    if value.endswith("...") and len(text) > 100:
        value = value[:-3]
        assert len(value) > 450 and text.startswith(unescape(value)), what
    else:
        assert unescape(value) == text, what


@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text)[2:22] for text in HOSTILE])
def test_C23_1_hostile_text(account, text):
    """In the place of a command line and of a reason; a client that is not the gate can put anything there."""
    user, mark = account(), log_mark()
    text = text.replace(b"\0", b"")
    why = text[:239]
    assert answer(user, request(kind=wire.REFUSED, said=text, why=why))[:2] == (NO, 64)
    priority, _, found = record(mark, "refused", user)
    assert set(found) == {"session", "user", "uid", "from", "key", "command", "status", "reason"} and found["user"] == user
    check(text, found["command"], "command")
    check(why, found["reason"], "reason")
    # Nothing of it became a line of its own.
    assert len(settled_log(mark, "virtgated|refused|session=")) == 1


@pytest.mark.parametrize("text", [text for text in HOSTILE if b"\0" not in text], ids=[repr(text)[2:22] for text in HOSTILE])
def test_C23_1_hostile_text_in_the_journal(journal, account, text):
    user = account()
    assert answer(user, request(kind=wire.REFUSED, said=text, why=text[:239]))[:2] == (NO, 64)
    found, = wait_until(lambda: journal("refused", user), what="the journal's record")
    check(text, found["VIRTGATE_COMMAND"], "command")
    assert "\n" not in found["MESSAGE"] and not UNSEEN.search(found["MESSAGE"])
    assert {key for key in found if key.startswith("VIRTGATE_")} == {f"VIRTGATE_{key}" for key in (
        "EVENT", "SESSION", "USER", "UID", "FROM", "KEY", "COMMAND", "STATUS", "REASON")}


def test_C23_1_through_the_gate(account):
    """What the gate itself hands on of a line that it refuses."""
    user, mark = account(), log_mark()
    text = 'console "secret"\nrefused user=root\x1b[2J%n'
    wire.as_user(user, run_gate, text)
    _, _, found = record(mark, "refused", user)
    check(text.encode(), found["command"], "command")


def run_gate(text):
    subprocess.run(["/usr/bin/virtgate-shell", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)


# --- the journal -----------------------------------------------------------------------------------------------------

def test_journal_has_the_fields(journal):
    with asked("alice", display("cards2", said="display cards2")) as (reply, _, _):
        assert reply.kind == STREAM
    start, = wait_until(lambda: journal("start", "alice"))
    end, = wait_until(lambda: journal("end", "alice"))
    for found in (start, end):
        assert (found["SYSLOG_FACILITY"], found["SYSLOG_IDENTIFIER"], found["PRIORITY"]) == ("10", "virtgated", "6")
        assert found["_UID"] == str(pwd.getpwnam("virtgate").pw_uid)
        # The line is the same as in syslog, and holds what the fields hold.
        _, event, inline = parse(f"- authpriv.info virtgated[{found['_PID']}]: {found['MESSAGE']}")
        assert {f"VIRTGATE_{key.upper()}": value for key, value in inline.items()} == {
            key: value for key, value in found.items() if key.startswith("VIRTGATE_") and key != "VIRTGATE_EVENT"}
        assert event == found["VIRTGATE_EVENT"]
    assert start["VIRTGATE_SESSION"] == end["VIRTGATE_SESSION"]
    assert (start["VIRTGATE_VM"], start["VIRTGATE_UUID"], start["VIRTGATE_RULE"]) == ("cards2", CARDS2, "virtgate.ini:2")
    assert {"VIRTGATE_DURATION_MS", "VIRTGATE_BYTES_TO_USER", "VIRTGATE_BYTES_FROM_USER", "VIRTGATE_REASON"} <= set(end)


def test_journal_has_refusals(journal, account):
    user = account()
    assert answer(user, display("secret"))[0] == NO
    found, = wait_until(lambda: journal("refused", user))
    assert (found["PRIORITY"], found["SYSLOG_FACILITY"], found["VIRTGATE_ASKED"]) == ("5", "10", "display secret")


def test_journal_and_syslog_do_not_both_have_it(journal, account):
    """While the journal listens a record goes there alone, which hands it on to syslog: one line."""
    user, mark = account(), log_mark()
    assert answer(user, display("secret"))[0] == NO
    wait_until(lambda: journal("refused", user))
    assert len(records(mark, "refused", user)) == 1

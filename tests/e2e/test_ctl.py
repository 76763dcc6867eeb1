# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgatectl as an administrator calls it: exit codes, JSON keys, and every way to be wrong. Needs no root.

VIRTGATECTL names the program; else it is looked for in PATH.
"""
import grp
import json
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

CTL = os.environ.get("VIRTGATECTL") or shutil.which("virtgatectl")
pytestmark = pytest.mark.skipif(not CTL, reason="needs virtgatectl (VIRTGATECTL or PATH)")

OK, USAGE, IO_ERROR, REFUSED, CONFIG = 0, 64, 74, 77, 78
UUID = "6b0d7b4e-52c6-4a2f-9d8e-0123456789ab"
RIGHTS = ["display", "serial", "power", "takeover"]
EXPLAIN_KEYS = ["user", "vm", "right", "allowed", "rule", "reason"]
NOBODY = "vg-no-such-account"

POLICY = f"""\
[role operator]
grant = display, serial, power

[user {NOBODY}]
display = cards2, lab-*
serial  = cards2
deny    = lab-exam
from    = 192.0.2.0/24, 2001:db8::/32

[group vg-students]
operator = lab-1

[user vg-day]
display = cards2
hours   = Mon-Fri 08:00-18:00

[vm uuid:{UUID}]
serial = {NOBODY}
"""


def ctl(*args, **options):
    return subprocess.run([CTL, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **options)


def answer(*args, code=OK):
    """JSON on standard output, with the exit code that belongs to it."""
    done = ctl(*args, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def write(path, text, mode=0o644):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture
def policy(tmp_path):
    return write(tmp_path / "virtgate.ini", POLICY)


def explain(policy, *args, code=OK):
    return answer("explain", *args, "--config", policy, code=code)


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [
    [], ["frobnicate"], ["--frobnicate"], ["check", "/etc/virtgate"], ["check", "--config"], ["check", "--from", "::1"],
    ["check", "--json=yes"], ["check", "--command", "list"],
    ["explain"], ["explain", "alice"], ["explain", "alice", ""], ["explain", "", "web1"],
    ["explain", "alice", "web1", "display", "more"], ["explain", "alice", "web1", "root"],
    ["explain", "alice", "web1", "DISPLAY"],
    ["explain", "alice", "web1", "--from", "here"], ["explain", "alice", "web1", "--from", "192.0.2.0/24"],
    ["explain", "alice", "web1", "--at", "noon"], ["explain", "alice", "web1", "--at", "2026-02-30 10:00"],
    ["explain", "alice", "web1", "--uuid", "web1"], ["explain", "alice", "web1", "--groups", "a,,b"],
    ["explain", "alice", "web1", "--groups", "a,"], ["explain", "alice", "web1", "--groups", ","],
    ["explain", "alice", "--command", "list"], ["explain", "--command"],
    ["explain", "--command", "list", "--from", "::1"],
    ["explain", "--command", "list", "--groups", ""],
])
def test_a_wrong_line_is_a_usage_error(args):
    done = ctl(*args)
    assert done.returncode == USAGE
    assert done.stdout == ""
    assert "virtgatectl" in done.stderr or CTL in done.stderr


def test_watch_is_refused_by_name(policy):
    done = ctl("explain", "alice", "web1", "watch", "--config", policy)
    assert done.returncode == USAGE
    assert "watch is not yet available" in done.stderr


@pytest.mark.parametrize("args", [["--help"], ["check", "--help"], ["explain", "a", "--help"]])
def test_help(args):
    done = ctl(*args)
    assert done.returncode == OK
    assert done.stdout.startswith("usage: virtgatectl check ")
    assert "explain --command STRING" in done.stdout


def test_version():
    done = ctl("check", "--version")
    assert done.returncode == OK
    assert done.stdout.split()[0] == "virtgatectl" and done.stdout.split()[1][0].isdigit()


def test_options_stand_anywhere(policy):
    for args in (["--json", "--config", policy, "check"], ["check", "--config=" + policy, "--json"],
                 ["--config", policy, "check", "--json"]):
        done = ctl(*args)
        assert (done.returncode, json.loads(done.stdout)["ok"]) == (OK, True)


def test_a_machine_may_begin_with_a_dash(policy):
    done = ctl("explain", "--json", "--config", policy, "--", NOBODY, "-rf", "display")
    assert done.returncode == REFUSED
    assert json.loads(done.stdout)["vm"] == "-rf"


def test_lost_output_is_an_error(policy):
    with open("/dev/full", "w") as full:
        done = subprocess.run([CTL, "check", "--config", policy], stdout=full, stderr=subprocess.PIPE, timeout=20)
    assert done.returncode == IO_ERROR


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_good(policy):
    assert ctl("check", "--config", policy).stdout == f"{policy}: 7 rules, ok\n"
    assert answer("check", "--config", policy) == {"ok": True, "rules": 7, "errors": []}


def test_check_folder(tmp_path, policy):
    (tmp_path / "virtgate.d").mkdir(mode=0o755)
    write(tmp_path / "virtgate.d" / "10-more.ini", "[user carol]\ndisplay = web1\n")
    assert answer("check", "--config", str(tmp_path))["rules"] == 8
    assert answer("explain", "carol", "web1", "display", "--config", str(tmp_path))["rule"] == "10-more.ini:2"


def test_check_bad(tmp_path):
    path = write(tmp_path / "bad.ini", "[user alice]\ndisplay = web1\nfly = web1\n\n[moon]\n")
    done = ctl("check", "--config", path)
    assert (done.returncode, done.stderr) == (CONFIG, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{path}:3: ") and lines[1].startswith(f"{path}:5: ")
    told = answer("check", "--config", path, code=CONFIG)
    assert list(told) == ["ok", "rules", "errors"]
    assert (told["ok"], told["rules"]) == (False, 0)
    assert [list(error) for error in told["errors"]] == [["file", "line", "message"]] * len(lines)
    assert [f"{e['file']}:{e['line']}: {e['message']}" for e in told["errors"]] == lines


def test_check_nothing_there(tmp_path):
    path = str(tmp_path / "none.ini")
    done = ctl("check", "--config", path)
    assert (done.returncode, done.stderr) == (CONFIG, "")
    assert done.stdout.startswith(path + ":0: ")
    told = answer("check", "--config", path, code=CONFIG)
    assert told["errors"][0]["line"] == 0


def test_check_folder_without_the_file(tmp_path):
    assert ctl("check", "--config", str(tmp_path)).returncode == CONFIG


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_check_writable_by_others(tmp_path, mode):
    path = write(tmp_path / "virtgate.ini", POLICY, mode)
    done = ctl("check", "--config", path)
    assert done.returncode == CONFIG
    assert done.stdout.startswith(path + ":0: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_check_of_another_owner(tmp_path):
    path = write(tmp_path / "virtgate.ini", POLICY)
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    assert ctl("check", "--config", path).returncode == CONFIG


# --- explain ---------------------------------------------------------------------------------------------------------


def test_explain_one_right(policy):
    told = explain(policy, NOBODY, "cards2", "display", "--from", "192.0.2.7")
    assert list(told) == EXPLAIN_KEYS
    assert told == {"user": NOBODY, "vm": "cards2", "right": "display", "allowed": True, "rule": "virtgate.ini:5",
                    "reason": "granted"}


def test_explain_all_rights(policy):
    told = explain(policy, NOBODY, "cards2", "--from", "2001:db8::1")
    assert [list(one) for one in told] == [EXPLAIN_KEYS] * 4
    assert [one["right"] for one in told] == RIGHTS
    assert [one["allowed"] for one in told] == [True, True, False, False]
    assert told[2]["rule"] is None


def test_explain_text(policy):
    done = ctl("explain", NOBODY, "cards2", "--config", policy, "--from", "192.0.2.7")
    assert done.returncode == OK
    lines = done.stdout.splitlines()
    assert lines[0] == "display: allowed by virtgate.ini:5 (granted)"
    assert lines[1] == "serial: allowed by virtgate.ini:6 (granted)"
    assert lines[2].startswith("power: refused (") and lines[3].startswith("takeover: refused (")
    assert len(lines) == 4


@pytest.mark.parametrize("args, rule", [
    (["cards2", "display"], "virtgate.ini:5"),                          # from, and no address
    (["cards2", "display", "--from", "198.51.100.1"], "virtgate.ini:5"),
    (["lab-exam", "display", "--from", "192.0.2.7"], "virtgate.ini:7"), # deny
    (["CARDS2", "display", "--from", "192.0.2.7"], None),
    (["web1", "display", "--from", "192.0.2.7"], None),
    (["cards2", "power", "--from", "192.0.2.7"], None),
    (["lab-1", "power", "--groups", "vg-teachers"], None),
    (["lab-1", "power", "--groups", ""], None),
])
def test_explain_refusals(policy, args, rule):
    told = explain(policy, NOBODY, *args, code=REFUSED)
    assert (told["allowed"], told["rule"]) == (False, rule)
    assert told["reason"]


def test_explain_takes_the_groups_it_is_given(policy):
    assert explain(policy, NOBODY, "lab-1", "power", "--groups", "vg-teachers,vg-students")["rule"] == "virtgate.ini:11"


def test_explain_takes_the_time_it_is_given(policy):
    assert explain(policy, "vg-day", "cards2", "display", "--at", "2026-11-23 08:00")["allowed"]
    assert explain(policy, "vg-day", "cards2", "display", "--at", "2026-11-23T17:59")["allowed"]
    assert "hours" in explain(policy, "vg-day", "cards2", "display", "--at", "2026-11-22 10:00", code=REFUSED)["reason"]


def test_explain_takes_the_uuid_it_is_given(policy):
    assert explain(policy, NOBODY, "any", "serial", "--uuid", UUID)["allowed"]
    assert not explain(policy, NOBODY, "any", "serial", code=REFUSED)["allowed"]
    assert not explain(policy, NOBODY, "any", "serial", "--uuid", UUID[:-1] + "0", code=REFUSED)["allowed"]


def test_explain_knows_the_groups_of_accounts(tmp_path):
    user = pwd.getpwuid(0).pw_name  # an account that every system has
    group = grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    path = write(tmp_path / "virtgate.ini", f'[group {group}]\ndisplay = web1\n')
    done = ctl("explain", user, "web1", "display", "--config", path)
    assert (done.returncode, done.stderr) == (OK, "")
    assert ctl("explain", user, "web1", "display", "--config", path, "--groups", "").returncode == REFUSED


def test_explain_notes_an_unknown_account(policy):
    note = f"there is no account '{NOBODY}'"
    assert note in ctl("explain", NOBODY, "cards2", "--config", policy).stderr
    assert note not in ctl("explain", NOBODY, "cards2", "--config", policy, "--groups", "a").stderr


def test_explain_with_a_bad_policy(tmp_path):
    path = write(tmp_path / "bad.ini", "[moon]\n")
    done = ctl("explain", NOBODY, "web1", "--config", path, "--groups", "")
    assert (done.returncode, done.stdout) == (CONFIG, "")
    assert done.stderr.startswith(f"{path}:1: ")
    assert answer("explain", NOBODY, "web1", "--config", path, code=CONFIG)["ok"] is False
    assert ctl("explain", NOBODY, "web1", "--config", path + "x").returncode == CONFIG


# --- explain --command -----------------------------------------------------------------------------------------------

SCRIPT = ("sh -c 'which virt-ssh-helper 1>/dev/null 2>&1; if test $? = 0; then     virt-ssh-helper -r 'qemu:///system';"
          " else    if 'nc' -q 2>&1 | grep \"requires an argument\" >/dev/null 2>&1; then ARG=-q0;else ARG=;fi;"
          "'nc' $ARG -U /var/run/libvirt/libvirt-sock-ro; fi'")


@pytest.mark.parametrize("line, want", [
    ("list", {"kind": "list"}),
    ("help", {"kind": "help"}),
    ("version", {"kind": "version"}),
    ("info web1", {"kind": "info", "vm": "web1"}),
    ("display web1 2", {"kind": "display", "vm": "web1", "index": 2}),
    ("display uuid:" + UUID.upper(), {"kind": "display", "uuid": UUID, "index": 0}),
    (f"nc -U /run/virtgate/display/{UUID}/1", {"kind": "display", "uuid": UUID, "index": 1}),
    ("nc ::1 5904", {"kind": "display", "host": "::1", "port": 5904}),
    ("nc -U /tmp/vnc.sock", {"kind": "display", "path": "/tmp/vnc.sock"}),
    ("console web1", {"kind": "console", "vm": "web1", "takeover": False}),
    ("console --takeover web1 serial1", {"kind": "console", "vm": "web1", "device": "serial1", "takeover": True}),
    ("nc -U /run/libvirt/libvirt-sock", {"kind": "rpc", "readonly": False, "path": "/run/libvirt/libvirt-sock"}),
    (SCRIPT, {"kind": "rpc", "readonly": True, "path": "/var/run/libvirt/libvirt-sock-ro", "uri": "qemu:///system"}),
])
def test_command_is_explained(line, want):
    assert answer("explain", "--command", line) == want
    text = ctl("explain", "--command", line)
    assert text.returncode == OK
    lines = [f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in want.items()]
    assert sorted(text.stdout.splitlines()) == sorted(lines)


@pytest.mark.parametrize("line, reason", [
    ("", "try help"), ("id", "unknown command"), ("list ; id", "expected list"),
    ("console web1\nid", "0x0a at offset 12"),
    ("nc 127.0.0.1 5904; id", "nothing after"), ("console ../web1", "name"), ("caf\u00e9", "0xc3"),
    ("-x", "unknown command"),
])
def test_command_is_refused(line, reason):
    told = answer("explain", "--command", line, code=REFUSED)
    assert list(told) == ["kind", "reason"]
    assert told["kind"] == "refused" and reason in told["reason"]
    assert ctl("explain", "--command", line).stdout == f"kind: refused\nreason: {told['reason']}\n"


def known_lines():
    path = pathlib.Path(__file__).resolve().parent.parent / "data" / "client-commands.tsv"
    return [line.split("\t")[2:] for line in path.read_text().splitlines()[1:]]


def test_every_known_client_is_explained():
    lines = known_lines()
    assert len(lines) == 65
    for kind, line in lines:
        told = answer("explain", "--command", line)
        assert told["kind"] == ("rpc" if kind.startswith("rpc") else "display")
        if kind.startswith("rpc"):
            assert told["readonly"] == (kind == "rpc-ro")
        else:
            assert ("port" in told) == (kind == "tcp") and ("path" in told) == (kind == "unix")

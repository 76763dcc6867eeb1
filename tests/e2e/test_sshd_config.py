# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in for sshd, by what sshd itself makes of it. Attacks A5, A23-A27, A29."""
import os
import re
import stat
import subprocess

import pytest

import sshd_config as conf

pytestmark = pytest.mark.skipif(conf.missing() is not None, reason=str(conf.missing()))


@pytest.fixture
def ours():
    return (conf.DROPINS / conf.OURS).read_text()


def test_sshd_accepts_it_without_a_word():
    out = subprocess.run([conf.SSHD, "-t"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (out.returncode, out.stdout, out.stderr) == (0, "", "")


def test_file_is_roots():
    info = os.stat(conf.DROPINS / conf.OURS)
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o644)


def test_member_of_the_group():
    assert conf.differences(conf.effective("alice")) == {}


def test_member_when_everything_else_is_permissive(tmp_path):
    assert conf.differences(conf.effective("alice", conf.copy(tmp_path, append=conf.PERMISSIVE))) == {}


@pytest.mark.parametrize("user", ["carol", "root"])
def test_others_are_as_they_were(tmp_path, user):
    with_ours = conf.effective(user)
    without = conf.effective(user, conf.copy(tmp_path, without=conf.OURS))
    assert with_ours == without
    assert conf.differences(with_ours), "the check passes for somebody who is not under the gate"


def test_others_keep_a_permissive_configuration(tmp_path):
    with_ours = conf.effective("carol", conf.copy(tmp_path / "with", append=conf.PERMISSIVE))
    without = conf.effective("carol", conf.copy(tmp_path / "without", without=conf.OURS, append=conf.PERMISSIVE))
    assert without.pop("permituserenvironment") == ["yes"]
    assert with_ours.pop("permituserenvironment") == ["no"]      # the one global line
    assert with_ours == without


@pytest.mark.parametrize("keyword", sorted(conf.WANTED))
def test_each_keyword_counts(tmp_path, ours, keyword):
    """A5-1: every line that is taken out is noticed, although DisableForwarding and the others stay."""
    less, found = re.subn(rf"(?mi)^[ \t]*{keyword}\b.*\n", "", ours)
    assert found == 1, f"{keyword} stands {found} times in the drop-in"
    main = conf.copy(tmp_path, drop_in=less, append=conf.PERMISSIVE)
    assert list(conf.differences(conf.effective("alice", main))) == [keyword]


def test_every_keyword_of_the_file_is_checked(ours):
    keywords = {line.split()[0].lower() for line in ours.splitlines() if line.strip() and not line.startswith("#")}
    assert keywords - {"match"} == set(conf.WANTED)


def test_appended_line_stays_global(tmp_path):
    """A25: the block ends with the file, so what follows is for everybody."""
    main = conf.copy(tmp_path, append="PermitRootLogin no\nLogLevel VERBOSE")
    for user in ("alice", "carol", "root"):
        assert conf.effective(user, main)["permitrootlogin"] == ["no"]
        assert conf.effective(user, main)["loglevel"] == ["VERBOSE"]


def test_line_after_the_block_in_one_file_stays_global(tmp_path, ours):
    """The same when somebody concatenates files: Match all ends the block."""
    main = conf.copy(tmp_path, drop_in=ours + "\nPermitRootLogin no\n")
    assert conf.effective("carol", main)["permitrootlogin"] == ["no"]
    swallowed = conf.copy(tmp_path, drop_in=re.sub(r"(?mi)^Match all\n", "", ours) + "\nPermitRootLogin no\n")
    assert conf.effective("carol", swallowed)["permitrootlogin"] != ["no"]


def test_forced_command_is_one_plain_path(ours):
    lines = [line for line in ours.splitlines() if re.match(r"\s*forcecommand\b", line, re.I)]
    assert [line.split(None, 1)[1] for line in lines] == [conf.GATE]
    info = os.stat(conf.GATE)
    assert info.st_uid == 0 and not info.st_mode & 0o022 and info.st_mode & 0o001
    assert not info.st_mode & (stat.S_ISUID | stat.S_ISGID)


@pytest.mark.parametrize("command", [f"{conf.GATE} # note", f"{conf.GATE} -x", f"{conf.GATE};id", f"{conf.GATE} %u",
                                     "none", "virtgate-shell", f"/usr/local{conf.GATE}"])
def test_any_other_forced_command_is_noticed(tmp_path, ours, command):
    """A26: sshd takes the rest of the line as it stands."""
    main = conf.copy(tmp_path, drop_in=ours.replace(conf.GATE, command))
    assert list(conf.differences(conf.effective("alice", main))) == ["forcecommand"]


def test_earlier_block_is_noticed(tmp_path):
    """A24: the first match wins; a file that sorts before ours can open everything, one that sorts after it nothing."""
    evil = "Match Group *\n\tForceCommand none\n\tAllowTcpForwarding yes\nMatch all\n"
    late = conf.copy(tmp_path / "late", extra={"10-evil.conf": evil})
    assert conf.differences(conf.effective("alice", late)) == {}
    early = conf.copy(tmp_path / "early", extra={"00-evil.conf": evil})
    assert set(conf.differences(conf.effective("alice", early))) == {"forcecommand", "allowtcpforwarding"}


def test_added_environment_is_noticed(tmp_path):
    """AcceptEnv of several blocks adds up, wherever they stand."""
    main = conf.copy(tmp_path, extra={"10-env.conf": "Match Group *\n\tAcceptEnv LC_*\nMatch all\n"})
    assert list(conf.differences(conf.effective("alice", main))) == ["acceptenv"]


def test_spelling_of_sshd_does_not_matter():
    """A29: sshd -T of newer releases prints keywords in mixed case."""
    lower = "".join(f"{key} {value}\n" for key, values in conf.WANTED.items() for value in values)
    mixed = "".join(f"{key.title()} {value}\n" for key, values in conf.WANTED.items() for value in values)
    assert conf.differences(conf.parse(lower)) == conf.differences(conf.parse(mixed)) == {}
    assert "banner" in conf.differences(conf.parse(mixed.replace("Banner none", "Banner /etc/issue")))

# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtgate power: each verb does what it says, for whoever has the right, and is in the log."""
import contextlib

import pytest

import client
import vgtest
from client import ALICE
from vgtest import HOST, wait_until

NEEDS = client.missing()
pytestmark = pytest.mark.skipif(bool(NEEDS), reason=str(NEEDS))


@pytest.fixture(scope="module")
def mill():
    with vgtest.extra_vm("mill", "<graphics type='vnc'><listen type='none'/></graphics>") as uuid, \
            vgtest.acl(vgtest.ACL.read_text() + "\n[vm mill]\npower = alice\nserial = bob\n"):
        yield uuid


def state():
    return vgtest.virsh("domstate", "mill")


def test_verbs(mill):
    mark = vgtest.log_mark()
    for verb, after in (("suspend", "paused"), ("resume", "running"), ("reset", "running"), ("off", "shut off"),
                        ("start", "running"),
                        ("reboot", "running"), ("shutdown", "running")):      # the guest heeds no ACPI
        assert client.run("power", verb, ALICE, "mill") == (0, b"", b"")
        assert state() == after
    names = [vgtest.fields(line)["call"] for line in vgtest.settled_log(mark, "virtgated.* call .*vm=mill .*right=power")]
    assert names == ["DOMAIN_SUSPEND", "DOMAIN_RESUME", "DOMAIN_RESET", "DOMAIN_DESTROY", "DOMAIN_CREATE",
                     "DOMAIN_REBOOT", "DOMAIN_SHUTDOWN"]


def test_by_uuid_and_by_ssh(mill):
    assert client.run("power", "suspend", ALICE, f"uuid:{mill}").rc == 0 and state() == "paused"
    assert client.run("power", "resume", ALICE, "mill", "--ssh", "ssh").rc == 0 and state() == "running"


@pytest.mark.parametrize("words, rc, said", [
    (["start", ALICE, "mill"], 69, b"already running"),
    (["off", ALICE, "secret"], 77, b"no domain with matching name 'secret'"),
    (["off", ALICE, "nosuch"], 77, b"no domain with matching name 'nosuch'"),
    (["off", f"bob@{HOST}", "mill"], 77, b"needs the right power"),
    (["off", f"mallory@{HOST}", "mill"], 77, b"there is no virtual machine for you on this host"),
    (["destroy", ALICE, "mill"], 64, b"expected start, shutdown"),
    (["off", ALICE, "-x"], 64, b"unknown option"),
    (["off", ALICE, "uuid:x"], 64, b"expected a virtual machine's name or uuid:UUID"),
])
def test_refused(mill, words, rc, said):
    result = client.run("power", *words)
    assert result.rc == rc and said in result.stderr and result.stdout == b""
    assert state() == "running"

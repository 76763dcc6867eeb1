"""What `list` and `info` show: the VMs that a user may use and no other, and names that could act on a terminal."""
import contextlib
import json
import re
import uuid as uuids
from xml.sax.saxutils import escape

import pytest

import vgtest
from vgtest import ssh

ALICE = ["display", "serial", "power"]
TAKEN = "uuid:c0ffee00-0000-4000-8000-000000000001"     # a name that is cards2's uuid
# Every name that libvirtd takes and somebody could make a mischief of; "." and ".." are kept out: libvirtd itself
# would write outside its folders.
HOSTILE = ["a b", " lead", "trail ", "$(id)", "`id`", "a;id", "a&&b", "a|b", "%s%n", "-rf", "--help", "--json", "[x]", "*",
           "#x", "a=b", "a,b", "'q'", '"q"', "a\\b", "a\tb", "x\u202ey", "a\u200bb", "\ufeffx", "a\x85b", "\u00e9\u00e8", "e\u0301",
           "\uff57\uff45\uff42", "uuid:x", TAKEN, "..x", ".hidden", "x" * 200]
UNTYPABLE = re.compile(r"[^A-Za-z0-9._+@:-]|^[-.]|^uuid:")


def uuid_of(name):
    return str(uuids.uuid5(uuids.NAMESPACE_OID, name))


def shown(name):
    """As base/text.h says: one line, reversible."""
    unseen = re.compile("[\0-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
    return unseen.sub(lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), name.replace("\\", "\\\\"))


def table(text):
    rows = [re.split(r"  +", line, maxsplit=2) for line in text.decode().splitlines()]
    assert rows[0] == ["NAME", "STATE", "RIGHTS"]
    return rows[1:]


def listed(user):
    result = ssh(user, "list", "--json")
    assert (result.rc, result.stderr) == (0, b"")
    return {vm["name"]: vm for vm in json.loads(result.stdout)}


# --- who sees what ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("user,expected", [
    ("alice", {vm: ALICE for vm in ("cards2", "nolisten", "sockvm", "spicevm")}),
    ("bob", {"cards2": ["serial"]}),
    ("mallory", {}),
])
def test_list(logins, user, expected):
    as_json = listed(user)
    assert {name: vm["rights"] for name, vm in as_json.items()} == expected
    for name, vm in as_json.items():
        assert vm == {"name": name, "uuid": vgtest.cast("vm_uuid", name), "state": "running", "rights": expected[name]}
    result = logins(user).run("list")
    assert (result.rc, result.stderr) == (0, b"")
    assert sorted(table(result.stdout)) == sorted([name, "running", ", ".join(rights)] for name, rights in expected.items())


def test_list_of_another_account():
    """carol is not under the gate: sshd gives her a shell, and the broker's socket no connection."""
    result = ssh("carol", "/usr/bin/virtgate-shell -c list")
    assert result == (77, b"", b"virtgate: this account is not in group virtgate-users, whose members may ask the gate\n")


@pytest.mark.parametrize("user,vm,displays,consoles", [
    ("alice", "cards2", [{"index": 0, "type": "vnc"}], ["serial0"]),
    ("alice", "spicevm", [{"index": 0, "type": "spice"}], ["serial0"]),
    ("bob", "cards2", [], ["serial0"]),     # what is not his is not told
])
def test_info(logins, user, vm, displays, consoles):
    uuid = vgtest.cast("vm_uuid", vm)
    rights = ALICE if user == "alice" else ["serial"]
    for name in (vm, f"uuid:{uuid}"):
        result = logins(user).run("info", "--json", name)
        assert (result.rc, result.stderr) == (0, b"")
        assert json.loads(result.stdout) == {"name": vm, "uuid": uuid, "state": "running", "rights": rights,
                                             "displays": displays, "consoles": consoles}
        result = logins(user).run("info", name)
        assert (result.rc, result.stderr) == (0, b"")
        assert [tuple(line.split(None, 1)) for line in result.stdout.decode().splitlines()] == [
            ("name", vm), ("uuid", uuid), ("state", "running"), ("rights", ", ".join(rights)),
            *(("display", f"{one['index']} {one['type']}") for one in displays),
            *(("console", one) for one in consoles)]


@pytest.mark.parametrize("user,vm", [("alice", "secret"), ("alice", "never"), ("bob", "nolisten"), ("mallory", "cards2"),
                                     ("alice", f"uuid:{uuids.UUID(int=7)}"),
                                     ("alice", "uuid:c0ffee00-0000-4000-8000-000000000002")])
@pytest.mark.parametrize("option", [[], ["--json"]], ids=["text", "json"])
def test_info_of_another(logins, user, vm, option):
    assert logins(user).run("info", *option, vm) == (77, b"", f"virtgate: no console for you on '{vm}'\n".encode())


def test_states(logins):
    with vgtest.extra_vm("resting", ""), vgtest.acl(vgtest.ACL.read_text() + "\n[vm resting]\npower = alice\n"):
        def states():
            name, state, rights = next(row for row in table(logins("alice").run("list").stdout) if row[0] == "resting")
            assert state == listed("alice")[name]["state"] and rights == "power"
            return state

        assert states() == "running"
        vgtest.virsh("suspend", "resting")
        assert states() == "paused"
        vgtest.virsh("resume", "resting")
        assert states() == "running"
        vgtest.virsh("destroy", "resting")
        assert states() == "shut off"
        # A right of another kind shows it, and opens neither.
        for verb in ("display", "console"):
            result = logins("alice").run(verb, "resting")
            assert result == (77, b"", b"virtgate: no console for you on 'resting'\n")


def test_deny_hides():
    with vgtest.acl("[user alice]\ndisplay = *\ndeny = secret\n"):
        assert sorted(listed("alice")) == ["cards2", "nolisten", "sockvm", "spicevm"]


# --- names --------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def hostile():
    """VMs of such names, all of them mallory's."""
    place = "@NAME@"
    xml = vgtest.cast("vm_xml", "cards2", "<graphics type='vnc'><listen type='none'/></graphics>", place)
    xml = xml.replace("<name>cards2</name>", "<name>NAME</name>")
    with contextlib.ExitStack() as stack:
        for name in HOSTILE:
            path = f"/tmp/hostile-{uuid_of(name)}.xml"
            with open(path, "w") as file:
                file.write(xml.replace("NAME", escape(name)).replace(f"@{escape(name)}@", uuid_of(name)))
            vgtest.virsh("define", path)
            stack.callback(vgtest.remove_domain, uuid_of(name))
        stack.enter_context(vgtest.acl("[user mallory]\ndisplay = *\nserial = *\ndeny = secret\n"))
        yield


@pytest.mark.parametrize("tty", [False, True], ids=["pipe", "tty"])
def test_hostile_names_in_the_table(hostile, tty):
    result = ssh("mallory", "list", tty=tty)
    assert result.rc == 0
    text = result.stdout.replace(b"\r\n", b"\n")
    assert text.count(b"\n") == 1 + 4 + len(HOSTILE)
    for letter in text.decode():
        assert letter == "\n" or (letter.isprintable() and letter not in "\u202e\u200b\ufeff\x85"), repr(letter)
    lines = text.decode().splitlines()
    for name in HOSTILE:
        assert len([line for line in lines if line.startswith(shown(name) + "  ")]) == 1, name
    # Whatever the name, the columns are where they are.
    column = lines[0].index("STATE")
    wide = [line for line in lines[1:] if "\u0301" not in line and "\uff57" not in line]
    assert all(line[column:].startswith(("running  ", "shut off  ")) for line in wide)


def test_hostile_names_in_json(hostile):
    found = listed("mallory")
    assert set(HOSTILE) | {"cards2", "nolisten", "sockvm", "spicevm"} == set(found)
    for name in HOSTILE:
        assert found[name]["uuid"] == uuid_of(name) and found[name]["state"] == "shut off"
    # Nothing in it acts on a terminal that it is shown on.
    text = ssh("mallory", "list", "--json").stdout.decode()
    assert text.endswith("\n") and text[:-1].isprintable(), [c for c in text[:-1] if not c.isprintable()]


@pytest.mark.parametrize("name", HOSTILE, ids=[ascii(name[:20]) for name in HOSTILE])
def test_hostile_name_is_no_request(hostile, logins, name):
    """Not typed as it is, but reached by its uuid (it does not run: the answer tells that it was found)."""
    mallory = logins("mallory")
    for verb in ("display", "console", "info"):
        if UNTYPABLE.search(name) and name != TAKEN:
            result = mallory.run(f"{verb} {name}")
            # 77: "console a b" is the device b of a VM a.
            assert result.rc in (64, 77) and result.stdout == b"", result
            assert result.stderr.count(b"\n") == 1 and result.stderr.decode()[:-1].isprintable()
    result = mallory.run("display", f"uuid:{uuid_of(name)}")
    assert (result.rc, result.stdout) == (69, b"")
    said = shown(name) if len(shown(name)) < 200 else shown(name)[:196] + "..."
    assert result.stderr.decode() == f"virtgate: '{said}' is not running (shut off)\n"
    result = mallory.run("info", "--json", f"uuid:{uuid_of(name)}")
    assert json.loads(result.stdout)["name"] == name
    result = mallory.run("info", f"uuid:{uuid_of(name)}")
    assert result.stdout.decode().splitlines()[0] == f"{'name':<8} {shown(name)}"


def test_name_that_is_a_uuid(hostile, logins):
    """uuid:... always is the VM of that uuid, not the one that calls itself so."""
    assert json.loads(logins("mallory").run("info", "--json", TAKEN).stdout)["name"] == "cards2"
    with vgtest.acl(f'[user mallory]\ndisplay = "{TAKEN}"\n'):
        assert list(listed("mallory")) == ["cards2"]

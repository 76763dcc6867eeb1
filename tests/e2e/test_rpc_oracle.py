"""What the gate makes of libvirt's protocol, read by somebody else's decoder: Wireshark's, which libvirt has made from its own
description (libvirt-wireshark)."""
import json
import re
import struct
import uuid

import pytest

import vgtest
from rpc import CARDS2, NOBODY, REPLY, SECRET, Raw, domain, text

PORT = 16509    # libvirt's, by which Wireshark knows it


def needs_tshark():
    if vgtest.run("sh", "-c", "tshark -G plugins | grep -q libvirt").rc != 0:
        pytest.skip("needs tshark and libvirt-wireshark")


def pcap(path, messages):
    """messages: (from client?, bytes), as TCP over IP, in a file."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 101))
        seq = {True: 1, False: 1}
        for n, (client, data) in enumerate(messages):
            ports = (40000, PORT) if client else (PORT, 40000)
            tcp = struct.pack(">HHIIBBHHH", *ports, seq[client], seq[not client], 5 << 4, 0x18, 65535, 0, 0)
            ip = struct.pack(">BBHHHBBHII", 0x45, 0, 40 + len(data), n, 0, 64, 6, 0, 0x7F000001, 0x7F000001)
            packet = ip + tcp + data
            file.write(struct.pack("<IIII", n, 0, len(packet), len(packet)) + packet)
            seq[client] += len(data)


class Recording(Raw):
    def __init__(self, user):
        self.messages = []
        super().__init__(user)

    def send(self, procedure, payload=b"", kind=0, program=0x20008086, serial=None, status=0):
        super().send(procedure, payload, kind, program, serial, status)
        self.messages.append((True, struct.pack(">7I", 28 + len(payload), program, 1, procedure, kind, self.serial, status) + payload))

    def receive(self):
        procedure, kind, serial, status, payload = super().receive()
        self.messages.append((False, struct.pack(">7I", 28 + len(payload), 0x20008086, 1, procedure, kind, serial, status) + payload))
        return procedure, kind, serial, status, payload


def values(tree, key, found):
    """All values of that name, however deep."""
    for name, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        if name == key:
            found += value if isinstance(value, list) else [value]
        if isinstance(value, (dict, list)):
            values(value, key, found)
    return found


def test_replies_are_read_by_wireshark(tmp_path):
    needs_tshark()
    with Recording("alice") as raw:
        raw.call(66)
        raw.call(273, struct.pack(">ii", 1, 3))
        raw.call(23, text("cards2"))
        raw.call(23, text("secret"))
        raw.call(16, domain("cards2", CARDS2))
        raw.call(16, domain("x", SECRET))
        raw.call(14, domain("cards2", CARDS2) + b"\0\0\0\0")
        raw.call(344, struct.pack(">iII", 0, 1, 0))
        raw.call(283, struct.pack(">ii", 1, 0))
        raw.call(11, text("<domain/>"))
    pcap(tmp_path / "x.pcap", raw.messages)
    result = vgtest.run("tshark", "-r", tmp_path / "x.pcap", "-d", f"tcp.port=={PORT},libvirt", "-T", "json", "-Y", "libvirt", "--no-duplicate-keys")
    packets = [packet["_source"]["layers"] for packet in json.loads(result.stdout)]
    assert len(packets) == len(raw.messages)
    assert not any("_ws.malformed" in json.dumps(packet) for packet in packets)
    replies = {}
    for packet in packets:
        if values(packet, "libvirt.type", []) == [str(REPLY)]:
            replies.setdefault(int(values(packet, "libvirt.procedure", [])[0]), []).append(packet)
    assert sorted(values(replies[273], "libvirt.remote_nonnull_domain.name", [])) == ["cards2", "nolisten", "sockvm", "spicevm"]
    assert values(replies[273], "libvirt.remote_connect_list_all_domains_ret.ret", []) == ["4"]
    assert values(replies[23][0], "libvirt.remote_nonnull_domain.name", []) == ["cards2"]
    assert sorted(values(replies[344], "libvirt.remote_nonnull_domain.name", [])) == ["cards2", "nolisten", "sockvm", "spicevm"]
    for refused in (replies[23][1], replies[16][1], replies[11][0]):
        assert values(refused, "libvirt.status", []) == ["1"]
    assert "/run/virtgate/display/" in values(replies[14], "libvirt.remote_domain_get_xml_desc_ret.xml", [])[0]
    assert NOBODY not in result.stdout.decode()


# --- the table, held against Wireshark's knowledge of the same protocol ------------------------------------------------

def table():
    """(number, name, shape) of each row that the filter lets through."""
    rows = re.findall(r'^    \{ (\d+), "(\w+)", (ARGS_\w+),', (vgtest.TREE / "src/rpc/rpc_allow.c").read_text(), re.MULTILINE)
    assert len(rows) > 100
    return [(int(number), name, shape) for number, name, shape in rows]


def word(value):
    return struct.pack(">I", value)


def maybe(data):
    return word(1) + data


DOMAIN = domain("the-domain", CARDS2)
HEX = uuid.UUID(CARDS2).hex
SAMPLES = {     # of each shape, arguments with values that are seen nowhere else, and those values
    "ARGS_NONE": (b"", []),
    "ARGS_OPEN": (maybe(text("the-uri")) + word(70001), ["the-uri", 70001]),
    "ARGS_NUMBER": (word(70002), [70002]),
    "ARGS_LIST": (word(70003) + word(70004), [70003, 70004]),
    "ARGS_NAME": (text("the-name"), ["the-name"]),
    "ARGS_UUID": (uuid.UUID(CARDS2).bytes, [HEX]),
    "ARGS_CAP": (maybe(text("the-cap")) + word(70005), ["the-cap", 70005]),
    "ARGS_CAP_LIST": (maybe(text("the-cap")) + word(70006) + word(70007), ["the-cap", 70006, 70007]),
    "ARGS_CAPABILITIES": (b"".join(maybe(text(x)) for x in ("one", "two", "three", "four")) + word(70008),
                          ["one", "two", "three", "four", 70008]),
    "ARGS_OTHER_EVENTS": (word(70009) + word(0), [70009]),
    "ARGS_DOMAIN": (DOMAIN, []),
    "ARGS_DOMAIN_FLAGS": (DOMAIN + word(70010), [70010]),
    "ARGS_DOMAIN_NUMBER_FLAGS": (DOMAIN + word(70011) + word(70012), [70011, 70012]),
    "ARGS_DOMAIN_NUMBERS": (DOMAIN + word(70013) + word(70014), [70013, 70014]),
    "ARGS_DOMAIN_NAME": (DOMAIN + text("the-path"), ["the-path"]),
    "ARGS_DOMAIN_NAME_FLAGS": (DOMAIN + text("the-path") + word(70015), ["the-path", 70015]),
    "ARGS_DOMAIN_NAME_NUMBER_FLAGS": (DOMAIN + text("the-path") + word(70016) + word(70017), ["the-path", 70016, 70017]),
    "ARGS_METADATA": (DOMAIN + word(70018) + maybe(text("the-uri")) + word(70019), [70018, "the-uri", 70019]),
    "ARGS_CPU_STATS": (DOMAIN + b"".join(map(word, range(70020, 70024))), list(range(70020, 70024))),
    "ARGS_KEYS": (DOMAIN + word(70024) + word(70025) + word(2) + word(70026) + word(70027) + word(70028),
                  list(range(70024, 70029))),
    "ARGS_CONSOLE": (DOMAIN + maybe(text("the-device")) + word(70029), ["the-device", 70029]),
    "ARGS_EVENTS": (word(70030) + maybe(DOMAIN), [70030]),
    "ARGS_STATS": (word(1) + DOMAIN + word(70031) + word(70032), [70031, 70032]),
}
BEGINS_WITH_DOMAIN = {shape for shape in SAMPLES if shape > "ARGS_D"} - {
    "ARGS_LIST", "ARGS_NAME", "ARGS_NONE", "ARGS_NUMBER", "ARGS_OPEN", "ARGS_OTHER_EVENTS", "ARGS_UUID"}


def message(procedure, kind, payload):
    return struct.pack(">7I", 28 + len(payload), 0x20008086, 1, procedure, kind, 0 if kind == 2 else 1, 0) + payload


def decoded(path, messages):
    """What Wireshark says of each: its line of summary, and all values that it shows."""
    pcap(path, messages)
    result = vgtest.run("tshark", "-r", path, "-d", f"tcp.port=={PORT},libvirt", "-T", "json", "-Y", "libvirt", "--no-duplicate-keys")
    summary = vgtest.run("tshark", "-r", path, "-d", f"tcp.port=={PORT},libvirt", "-Y", "libvirt")
    packets = [packet["_source"]["layers"] for packet in json.loads(result.stdout)]
    assert len(packets) == len(messages)
    assert not any("_ws.malformed" in json.dumps(packet) for packet in packets)
    return list(zip(summary.stdout.decode().splitlines(), packets))


def leaves(tree):
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from leaves(value) if isinstance(value, (dict, list)) else (value,)


def test_table_is_that_of_wireshark(tmp_path):
    """Number and name of every procedure that is let through, and what its arguments are made of. What Wireshark reads
    differently, the filter would let through unread."""
    needs_tshark()
    rows = table()
    found = decoded(tmp_path / "table.pcap", [(True, message(number, 0, SAMPLES[shape][0])) for number, _, shape in rows])
    for (number, name, shape), (summary, packet) in zip(rows, found):
        assert re.search(rf"Proc={name}\b", summary), (number, name, summary)
        shown = set(leaves(packet["libvirt"]))
        wanted = SAMPLES[shape][1] + (["the-domain", HEX] if shape in BEGINS_WITH_DOMAIN else [])
        # Wireshark writes opaque bytes with colons, and flags in hexadecimal.
        plain = {value.replace(":", "") for value in shown} | {str(int(v, 16)) for v in shown if re.fullmatch("0x[0-9a-f]+", v)}
        assert {str(value) for value in wanted} <= plain, (number, name, wanted, shown)


def test_events_are_those_of_wireshark(tmp_path):
    """Where in an event the domain stands: a filter that looks in another place decides about another domain."""
    needs_tshark()
    rows = re.findall(r'^    \{ (\d+), "(\w+)", (true|false), (\d) \}', (vgtest.TREE / "src/rpc/rpc_allow.c").read_text(),
                      re.MULTILINE)
    assert len(rows) > 20
    # What follows the domain is zeros: numbers, and empty strings and arrays.
    found = decoded(tmp_path / "events.pcap", [
        (False, message(int(number), 2, word(70001) + word(70002) * int(skip) + (DOMAIN + bytes(64)) * (has_domain == "true")))
        for number, _, has_domain, skip in rows])
    for (number, name, has_domain, _), (summary, packet) in zip(rows, found):
        assert re.search(rf"Proc=\w+_{name}\b", summary), (number, name, summary)
        shown = {value.replace(":", "") for value in leaves(packet["libvirt"])}
        assert {"70001"} | ({"the-domain", HEX} if has_domain == "true" else set()) <= shown, (number, name, shown)

"""What the gate makes of libvirt's protocol, read by somebody else's decoder: Wireshark's, which libvirt has made from its own
description (libvirt-wireshark)."""
import json
import struct

import pytest

import vgtest
from test_rpc import CARDS2, NOBODY, REPLY, SECRET, Raw, domain, text

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

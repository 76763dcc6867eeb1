"""The XML that a user of the gate reads is still a domain's, by libvirt's own schema: details pages, and scripts that check,
take it for what they know."""
import pytest

import vgtest
import wire

# Not the running ones, which have the same names, and not the one of a host with TLS.
SAMPLES = sorted(path for path in (vgtest.TREE / "tests/data/domains").glob("*.xml")
                 if not path.stem.endswith(("-running", "-tls")))
ALICE = "qemu+ssh://alice@127.0.0.1/system"
GRANTS = {"every right": "[user alice]\ndisplay = sample-*\nserial = sample-*\npower = sample-*\n",
          "power alone": "[user alice]\npower = sample-*\n"}


def valid(path):
    return vgtest.run("virt-xml-validate", path, "domain").rc == 0


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Defined, and as root reads them: path by name."""
    folder = tmp_path_factory.mktemp("xml")
    found = {}
    for path in SAMPLES:
        name = f"sample-{path.stem}"
        result = vgtest.run("virsh", "-q", "define", path)
        assert result.rc == 0, result.stderr
        found[name] = folder / f"{name}.xml"
        found[name].write_bytes(vgtest.run("virsh", "-q", "dumpxml", name).stdout)
    yield found
    for name in found:
        vgtest.remove_domain(name)


@pytest.mark.parametrize("grants", GRANTS)
def test_rewritten_is_valid(samples, grants, tmp_path):
    checked = 0
    with wire.grants(GRANTS[grants]):
        for name, path in samples.items():
            if not valid(path):     # libvirt's schema lacks some of what libvirt writes
                continue
            result = vgtest.run("virsh", "-q", "-c", ALICE, "dumpxml", name, timeout=30)
            assert result.rc == 0, result.stderr
            rewritten = tmp_path / f"{name}.xml"
            rewritten.write_bytes(result.stdout)
            assert valid(rewritten), (name, vgtest.run("virt-xml-validate", rewritten, "domain").stderr)
            assert b"HUSH" not in result.stdout
            checked += 1
    assert checked >= len(samples) - 1
    # The schema is looked at: what is no domain's is found.
    rewritten.write_bytes(result.stdout.replace(b"<devices>", b"<devices><nonsense/>"))
    assert not valid(rewritten)

"""count.py PATH...: adds up results; PATH is a build folder (automake's *.trs) or a junit file.

Prints "PASSED FAILED SKIPPED" and then one line for each failure and each skip.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

KINDS = {"PASS": 0, "XFAIL": 0, "FAIL": 1, "XPASS": 1, "ERROR": 1, "SKIP": 2}
WORDS = ("passed", "failed", "skipped")


def from_build(folder):
    for path in sorted(pathlib.Path(folder).rglob("*.trs")):
        name = path.relative_to(folder).with_suffix("")
        for kind, text in re.findall(r"^:test-result: (\w+) ?(.*)$", path.read_text(errors="replace"), re.M):
            yield KINDS[kind], f"{name}: {text}"


def from_junit(path):
    for case in ET.parse(path).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            yield 1, f"{name}: {(bad[0].get('message') or '').splitlines()[:1]}"
        elif skip is not None and skip.get("type") != "pytest.xfail":
            yield 2, f"{name}: {skip.get('message')}"
        else:
            yield 0, name


def main(paths):
    counts, notes = [0, 0, 0], []
    for path in paths:
        for kind, text in from_build(path) if pathlib.Path(path).is_dir() else from_junit(path):
            counts[kind] += 1
            if kind:
                notes.append(f"  {WORDS[kind]}: {text}")
    print(*counts)
    for note in notes:
        print(note)


main(sys.argv[1:])

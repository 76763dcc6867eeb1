# SPDX-License-Identifier: LGPL-2.1-or-later
"""tests/attacks/attacks.tsv against the tests in the tree."""
import ast
import pathlib
import re

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
LAYERS = {"sshd", "login-shell", "parser", "broker", "pam", "libvirt"}
HEAD, *ROWS = [line.split("\t") for line in (TREE / "tests/attacks/attacks.tsv").read_text().splitlines()]
IDS = [row[0] for row in ROWS]


def names_in(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)
            and node.name.startswith("test_")}


def test_form():
    assert HEAD == ["id", "layer", "what to try", "expected refusal", "test"]
    for row in ROWS:
        assert len(row) == 5 and all(cell.strip() == cell != "" for cell in row), row
        assert re.fullmatch(r"[A-F]\d+-\d+", row[0]) and row[1] in LAYERS, row
    assert len(set(IDS)) == len(IDS) >= 209


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_row_has_its_tests(row):
    test = row[4]
    if match := re.match(r"(n/a|later): \S.{10,}", test):
        assert match[1] == "n/a" or row[1] == "broker" and "cgroups" in test, "all of the rest can be tried now"
        return
    for word in test.split():
        file, _, name = word.partition("::")
        path = TREE / file
        assert path.is_file(), f"{file} is not in the tree"
        if path.suffix == ".py":
            assert name in names_in(path), f"{file} has no {name}"
        else:
            assert path.suffix == ".c" and not name


def test_test_has_its_row():
    """A test that has ids in its name is named in their rows."""
    named = {row[0]: row[4] for row in ROWS}
    for path in (TREE / "tests/e2e").glob("test_*.py"):
        for name in names_in(path):
            ids = re.match(r"test_((?:[A-F]\d+_\d+_)*)", name)[1]
            for found in re.findall(r"([A-F]\d+)_(\d+)_", ids):
                assert name in named.get("-".join(found), ""), f"{path.name}::{name} is not in row {'-'.join(found)}"

"""End-to-end tests: run inside a sandbox (`tests/sandbox --up`), all but those of the sandbox itself."""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.dont_write_bytecode = True

INSIDE = os.environ.get("VIRTGATE_SANDBOX") == "1"
# The others log in, start VMs and change accounts: never on the machine itself.
collect_ignore = [str(path) for path in HERE.glob("test_*.py") if (path.name == "test_sandbox.py") == INSIDE]

# They put things of their own at virtqemud's sockets, beside libvirtd.
BESIDE_LIBVIRTD = ["test_rpc_upstream.py"]
if os.environ.get("VIRTGATE_LIBVIRTD") == "virtqemud":
    collect_ignore += [str(HERE / name) for name in BESIDE_LIBVIRTD]


@pytest.fixture(scope="module")
def logins():
    """logins('alice'): one login of hers, for commands one after another."""
    import vgtest

    made = {}
    yield lambda user: made.setdefault(user, vgtest.Login(user))
    for login in made.values():
        login.__exit__()


@pytest.fixture
def place():
    """A folder that every account can read and write."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)

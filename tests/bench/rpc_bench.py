# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the figures of the libvirt protocol filter share. They compare alice, who is under the gate, with carol, an ordinary
account that is made a member of group libvirt: to her libvirtd refuses nothing, and she needs no gate. Both come by the same
ssh, so that what is left is the gate."""
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import vgtest  # noqa: E402

CONTROL = "/tmp/bench-%r"


def uri(user, query=""):
    return f"qemu+ssh://{user}@127.0.0.1/system{query}"


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def let_carol_in():
    run("usermod", "-aG", "libvirt", "carol")


def share_logins(*users):
    """From here on all ssh, also those that virsh starts, go over one login of each user. One that finds it gone fails: it
    must not log in by itself and be measured with that."""
    for user in users:
        run("ssh", "-S", CONTROL, "-fNM", f"{user}@127.0.0.1")
    pathlib.Path("/root/.ssh/config").write_text(f"Host 127.0.0.1\nControlPath {CONTROL}\nProxyCommand false\n")


def end_logins(*users):
    pathlib.Path("/root/.ssh/config").unlink()
    for user in users:
        run("ssh", "-S", CONTROL, "-O", "exit", f"{user}@127.0.0.1", stderr=subprocess.DEVNULL)


def define_domains(xml):
    """Much faster than a virsh for each."""
    import libvirt
    with libvirt.open("qemu:///system") as connection:
        for one in xml:
            connection.defineXML(one)


def in_turn(kinds, runs, measure, pause=0.0, unmeasured=2):
    """{name: [milliseconds]}: measure(*arguments) of each kind in turn (A B C A B C ...), so that a drift of the machine
    meets them alike."""
    figures = {name: [] for name, *_ in kinds}
    for turn in range(runs + unmeasured):
        for name, *arguments in kinds:
            took = measure(*arguments)
            time.sleep(pause)
            if turn >= unmeasured:
                figures[name].append(took)
    return figures


def tell(figures, unit="ms"):
    for name, values in figures.items():
        print(f"{name:44s} median {statistics.median(values):8.2f} {unit}  min {min(values):8.2f}  max {max(values):8.2f}")


def ratio(figures, above, below):
    """Of each pair that was measured together, the median."""
    return statistics.median(a / b for a, b in zip(figures[above], figures[below]))


def load():
    return pathlib.Path("/proc/loadavg").read_text().split()[0]


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1000


def smaps(pid, *keys):
    """KiB of each key of smaps_rollup, as a dictionary; empty when the process has gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return {}
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {key: found[key] for key in keys}


def pss(*names):
    """KiB of all processes of these programs."""
    return {name: [kib["Pss"] for pid in vgtest.processes(name) if (kib := smaps(pid, "Pss"))] for name in names}

#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exec request to first RFB byte over a warm ControlMaster: through the gate, and on the same host without a gate.

Run inside `tests/sandbox --up`. The kinds are measured in turn, so that a drift of the machine meets them alike."""
import os
import select
import statistics
import subprocess
import sys
import time

RUNS = int(os.environ.get('RUNS', '30'))
SOCAT = ('if (command -v socat) >/dev/null 2>&1; then socat - TCP:127.0.0.1:5903; '
         'else nc 127.0.0.1 5903; fi')
KINDS = [
    ('gate, display cards2', 'alice', 'display cards2'),
    ("gate, virt-viewer's script", 'alice', SOCAT),
    ("no gate, virt-viewer's socat script", 'carol', SOCAT),
    ('no gate, nc', 'carol', 'nc 127.0.0.1 5903'),
]


def master(user):
    path = f'/tmp/bench-{user}'
    subprocess.run(['ssh', '-S', path, '-fNM', f'{user}@127.0.0.1'], check=True)
    return path


def first_byte(path, user, command):
    start = time.perf_counter()
    with subprocess.Popen(['ssh', '-S', path, f'{user}@127.0.0.1', command], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as ssh:
        head = os.read(ssh.stdout.fileno(), 12)
        took = time.perf_counter() - start
        if not head.startswith(b'RFB'):
            sys.exit(f'{command!r} as {user}: no RFB banner but {head!r}')
        ssh.terminate()  # nc would wait for the other side for ever
    return took * 1000


def main():
    paths = {user: master(user) for user in ('alice', 'carol')}
    figures = {name: [] for name, _, _ in KINDS}
    for run in range(RUNS + 3):
        for name, user, command in KINDS:
            ms = first_byte(paths[user], user, command)
            time.sleep(0.05)  # the spare session process is started again
            if run >= 3:
                figures[name].append(ms)
    for name, values in figures.items():
        print(f'{name:40s} median {statistics.median(values):6.2f} ms  min {min(values):6.2f}  max {max(values):6.2f}')
    for gate in (KINDS[0][0], KINDS[1][0]):
        pairs = [a / b for a, b in zip(figures[gate], figures[KINDS[2][0]])]
        print(f'{gate} / {KINDS[2][0]}: median of pairs {statistics.median(pairs):.2f}')


main()

#!/bin/bash
# 300 display sessions at once over 10 VMs: run as `tests/sandbox --up tests/bench/bench_sessions.sh [SESSIONS]`.
set -eu
. "$VIRTGATE_TREE/tests/lib/cast.sh"
vms=''
for n in 0 1 2 3 4 5 6 7 8 9; do
    vm_define "bench$n" "<graphics type='vnc'><listen type='none'/></graphics>"
    vms="$vms bench$n"
done
# shellcheck disable=SC2086
vm_start $vms
cat >> /etc/virtgate/virtgate.ini <<'END'
[gate]
max-sessions = 2000
[group alice]
display = bench*
END
virtgatectl reload
exec /usr/bin/python3 "$VIRTGATE_TREE/tests/bench/bench_sessions.py" "${1:-300}"

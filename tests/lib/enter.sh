#!/bin/bash
# enter.sh ROOT COMMAND...: first process in new namespaces (ns.py online), still on the machine's own file system. Makes the
# system in the folder ROOT this one, becomes init and runs COMMAND there.
set -Eeu
trap 'echo "tests/run: $root cannot be entered: line $LINENO: $BASH_COMMAND" >&2; exit 125' ERR
# shellcheck source=tests/lib/dev.sh
. "${BASH_SOURCE[0]%/*}/dev.sh"

root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
mkdir -m 1777 "$root/run/lock"
make_dev "$root/dev"
install -m 0755 "${BASH_SOURCE[0]%/*}/ns.py" "$root/run/ns.py"
# Not chroot: from inside one, tests/sandbox could not make a root of its own.
cd "$root"
mkdir -p .outside
pivot_root . .outside
cd /
umount -l /.outside
rmdir /.outside
hostname debian-tests
exec env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive /usr/bin/python3 -IS /run/ns.py init "$@"

#!/bin/bash
# First process of a sandbox, in new namespaces but still on the machine's own file system: builds the sandbox's file system,
# enters it, and becomes init. Arguments: the command.
set -Eeu
trap 'echo "tests/sandbox: the file system could not be made: line $LINENO: $BASH_COMMAND" >&2; exit 125' ERR

# shellcheck source=tests/lib/dev.sh
. "$VIRTGATE_TREE/tests/lib/dev.sh"

# cover DIR AT: copy-on-write view of DIR, mounted at AT
cover() {
    local n=$((++layers))
    mkdir -p "$stage/lower/$n" "$stage/upper/$n" "$stage/work/$n"
    # Through a bind mount, since a path with a comma or colon cannot stand in overlay's options.
    mount --bind "$1" "$stage/lower/$n"
    chown --reference="$1" "$stage/upper/$n"
    chmod --reference="$1" "$stage/upper/$n"
    mount -t overlay sandbox -o "lowerdir=$stage/lower/$n,upperdir=$stage/upper/$n,workdir=$stage/work/$n" "$2"
}

# The overlay of / does not reach into what is mounted below it: /tmp, /home, /usr and the like may be file systems of their own.
cover_mounts() {
    local target type
    findmnt -rno TARGET,FSTYPE | while read -r target type; do
        target=$(printf '%b' "$target")
        case $target in /|/proc*|/sys*|/dev*|/run*|/boot*|"$stage"*) continue ;; esac
        case $type in autofs|proc|sysfs|cgroup*|devpts|devtmpfs|mqueue|nsfs|fuse.portal) continue ;; esac
        if [ -d "$target" ] && [ -d "$root$target" ]; then
            # Some file systems (vfat) cannot be covered; whether it matters shows when the tree is looked for.
            cover "$target" "$root$target" 2>/dev/null || true
        fi
    done
    # The loop ran in a process of its own; its layers are numbered below this.
    layers=1000
}

# A tree that is not seen yet lies where this sandbox has something of its own, such as /run or /dev/shm.
cover_tree() {
    [ ! -e "$root$1/$2" ] || return 0
    mkdir -p "$root$1"
    cover "$1" "$root$1"
}

make_root() {
    mount --make-rprivate /
    mount -t tmpfs -o mode=0755 stage "$stage"
    layers=0
    root=$stage/root
    mkdir "$root"
    cover / "$root"
    cover_mounts
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
    mount -t tmpfs -o mode=0755,nosuid,nodev run "$root/run"
    mkdir -m 1777 "$root/run/lock"
    make_dev "$root/dev"
    cover_tree "$VIRTGATE_TREE" configure.ac
    cover_tree "$VIRTGATE_BUILD" Makefile
    # The one way for results to leave.
    mkdir -p "$root$VIRTGATE_OUT"
    mount --bind "$VIRTGATE_OUT" "$root$VIRTGATE_OUT"
}

enter_root() {
    cd "$root"
    mkdir -p ".$stage"
    pivot_root . ".$stage"
    cd /
    umount -l "$stage"
}

# No name is looked up anywhere, and none of the machine's X servers seems to be here.
make_plain() {
    ip link set lo up
    hostname virtgate-lab
    printf '127.0.0.1 localhost virtgate-lab\n::1 localhost virtgate-lab\n' > /etc/hosts
    rm -f /etc/resolv.conf
    : > /etc/resolv.conf
    chmod 1777 /tmp
    rm -rf /tmp/.X11-unix /tmp/.X*-lock
}

stage=/mnt
case $VIRTGATE_TREE:$VIRTGATE_BUILD in /mnt/*|*:/mnt/*) stage=/media ;; esac
make_root
enter_root
make_plain
cd "$VIRTGATE_CWD" 2>/dev/null || cd "$VIRTGATE_TREE"
exec /usr/bin/python3 -IS "$VIRTGATE_TREE/tests/lib/ns.py" init /bin/bash "$VIRTGATE_TREE/tests/lib/inside.sh" "$@"

# shellcheck shell=bash
# Sourced where a file system is made. make_dev AT: a /dev of its own, with what every system has and nothing of the machine's.

make_dev() {
    local dev=$1
    mount -t tmpfs -o mode=0755,nosuid,size=64m dev "$dev"
    mknod -m 666 "$dev/null" c 1 3
    mknod -m 666 "$dev/zero" c 1 5
    mknod -m 666 "$dev/full" c 1 7
    mknod -m 666 "$dev/random" c 1 8
    mknod -m 666 "$dev/urandom" c 1 9
    mknod -m 666 "$dev/tty" c 5 0
    if [ -e /dev/net/tun ]; then
        # Only by it can a test see that sshd refuses a tunnel; the device's networks are the sandbox's own.
        mkdir "$dev/net"
        mknod -m 666 "$dev/net/tun" c 10 200
    fi
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    ln -s fd/0 "$dev/stdin"
    ln -s fd/1 "$dev/stdout"
    ln -s fd/2 "$dev/stderr"
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev shm "$dev/shm"
}

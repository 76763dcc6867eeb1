# shellcheck shell=bash
# A systemd-journald without systemd, inside a sandbox. Sourced, or run: journal.sh journal_start|journal_stop
#
# Programs that log to the journal while it is there, and to syslog else, change over at once; what the journal receives is
# passed on to /var/log/auth.log as well.

journal_start() {
    local tries
    [ "$(hostname)" = virtgate-lab ] || { echo "journal_start is for the sandbox" >&2; return 1; }
    mkdir -p /run/systemd/journal /run/log/journal
    [ -s /etc/machine-id ] || systemd-machine-id-setup > /dev/null 2>&1
    printf '[Journal]\nStorage=volatile\nForwardToSyslog=yes\nRateLimitIntervalSec=0\n' > /etc/systemd/journald.conf
    # It will not start where no cgroup file system is mounted; the others are better off without one.
    setsid -f unshare --mount --propagation private \
        /bin/sh -c 'echo $$ > /run/journald.pid
            mount -t cgroup2 -o ro cgroup /sys/fs/cgroup && exec /lib/systemd/systemd-journald' \
        > /var/log/journald.log 2>&1 < /dev/null
    for tries in $(seq 250); do
        ! journalctl --quiet --no-pager _COMM=systemd-journal 2> /dev/null | grep -q . || return 0
        sleep 0.02
    done
    echo "systemd-journald did not come up after $tries tries:" >&2
    cat /var/log/journald.log >&2
    return 1
}

journal_stop() {
    local pid
    pid=$(cat /run/journald.pid)
    kill "$pid"
    while kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
    rm -rf /run/systemd/journal/socket /run/systemd/journal/stdout /run/systemd/journal/dev-log /run/log/journal
}

[ "${BASH_SOURCE[0]}" != "$0" ] || { set -eu; "$@"; }

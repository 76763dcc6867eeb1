#!/bin/bash
# Inside a sandbox: brings up what virtgate works with, and virtgate itself.
#
#   accounts   alice, bob, mallory (under the gate), carol (an ordinary shell account); root's key opens each
#   daemons    /dev/log -> /var/log/auth.log, D-Bus, virtlogd, virtqemud or libvirtd, sshd on port 22,
#              virtgated -> /var/log/virtgated.log; with --journal also systemd-journald
#   VMs        tests/lib/cast.sh
#   grants     alice: display, serial and power on all VMs but secret; bob: serial on cards2; the others nothing
set -Eeu
trap 'echo "tests/sandbox: --up failed: line $LINENO: $BASH_COMMAND" >&2' ERR
# On the machine itself this would replace accounts and keys.
[ "$(hostname)" = virtgate-lab ]
lib=$VIRTGATE_TREE/tests/lib
# shellcheck source=tests/lib/cast.sh
. "$lib/cast.sh"
# shellcheck source=tests/lib/journal.sh
. "$lib/journal.sh"

# wait_for WHAT SECONDS COMMAND...: polls until COMMAND succeeds
wait_for() {
    local what=$1 end=$(($(date +%s) + $2))
    shift 2
    until "$@" > /dev/null 2>&1; do
        if [ "$(date +%s)" -ge $end ]; then
            echo "$what did not come up; last answer of '$*':" >&2
            "$@" >&2 || true
            return 1
        fi
        sleep 0.02
    done
}

daemon() {
    local log=$1
    shift
    setsid -f "$@" >> "$log" 2>&1
}

start_syslog() {
    mkdir -p /run/systemd/journal
    # The last one is bound last, so that waiting for it waits for both; journald, where it runs, passes on to the first.
    daemon /var/log/syslog.err /usr/bin/python3 -IS "$lib/syslog.py" /var/log/auth.log /run/systemd/journal/syslog /dev/log
}

# Nothing of the machine's own VMs, networks and pools; no polkit; no cgroups or security drivers, which a container may lack.
start_libvirt() {
    rm -rf /etc/libvirt/qemu /etc/libvirt/storage /etc/libvirt/nwfilter /etc/libvirt/secrets /var/lib/libvirt/qemu/*
    cat > "/etc/libvirt/$VIRTGATE_LIBVIRTD.conf" <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "libvirt"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0770"
log_outputs = "2:file:/var/log/libvirt/$VIRTGATE_LIBVIRTD.log"
END
    # The driver of node devices, if libvirtd is told to end soon after its start, keeps it from that for 30 s (11.3).
    rm -f /usr/lib/*/libvirt/connection-driver/libvirt_driver_nodedev.so
    cat > /etc/libvirt/qemu.conf <<'END'
security_driver = "none"
cgroup_controllers = []
END
    : > /etc/libvirt/virtlogd.conf
    # Without it virsh looks for libvirtd's socket only.
    echo 'uri_default = "qemu:///system"' > /etc/libvirt/libvirt.conf
    mkdir -p /var/log/libvirt
    virtlogd -d
    "$VIRTGATE_LIBVIRTD" -d
}

# As on any host. Nobody in it answers for logind or systemd.
start_dbus() {
    mkdir -p /run/dbus
    dbus-daemon --system --fork --nopidfile
}

make_accounts() {
    local user conf=/usr/lib/sysusers.d/virtgate.conf
    # The machine's own accounts of these names, if any, are not who is meant here.
    for user in alice bob mallory carol virtgate; do
        ! getent passwd $user > /dev/null || userdel --force $user 2> /dev/null || true
        rm -rf "/home/${user:?}"
    done
    if [ -e $conf ] && command -v systemd-sysusers > /dev/null; then
        systemd-sysusers $conf > /run/sysusers.log 2>&1 || { cat /run/sysusers.log >&2; false; }
    fi
    getent group virtgate-users > /dev/null || groupadd --system virtgate-users
    getent passwd virtgate > /dev/null || useradd --system --user-group --groups libvirt --no-create-home \
        --home-dir / --shell /usr/sbin/nologin virtgate
    if [ -x /usr/bin/virtgate-shell ]; then
        grep -qx /usr/bin/virtgate-shell /etc/shells || echo /usr/bin/virtgate-shell >> /etc/shells
        gated_shell=/usr/bin/virtgate-shell
    fi
    for user in alice bob mallory; do
        useradd --create-home --shell "${gated_shell:-/bin/bash}" --groups virtgate-users $user
    done
    useradd --create-home --shell /bin/bash carol
}

make_keys() {
    local user host=/etc/ssh/ssh_host_ed25519_key
    rm -rf /root/.ssh /etc/ssh/ssh_host_*
    mkdir -m 0700 /root/.ssh
    ssh-keygen -q -t ed25519 -N '' -C root@virtgate-lab -f $host
    ssh-keygen -q -t ed25519 -N '' -C root@virtgate-lab -f /root/.ssh/id_ed25519
    echo "127.0.0.1,::1,localhost,virtgate-lab $(cut -d' ' -f1,2 $host.pub)" > /root/.ssh/known_hosts
    for user in alice bob mallory carol; do
        install -d -o $user -g $user -m 0700 /home/$user/.ssh
        install -o $user -g $user -m 0600 /root/.ssh/id_ed25519.pub /home/$user/.ssh/authorized_keys
    done
}

start_sshd() {
    mkdir -p /run/sshd
    # Many tests log in at once; Debian's limit on that would refuse some of them at random.
    echo 'MaxStartups 200' > /etc/ssh/sshd_config.d/90-tests.conf
    echo 'LogLevel VERBOSE' >> /etc/ssh/sshd_config.d/90-tests.conf
    # Since OpenSSH 9.8: some logins that are refused, as tests want it, and all others of this address are refused too.
    ! /usr/sbin/sshd -T | grep '^persourcepenalties ' > /dev/null ||
        echo 'PerSourcePenalties no' >> /etc/ssh/sshd_config.d/90-tests.conf
    /usr/sbin/sshd
}

write_grants() {
    [ -d /etc/virtgate ] || install -d -m 0755 /etc/virtgate
    install -o root -g virtgate -m 0640 /dev/stdin /etc/virtgate/virtgate.ini <<'END'
[user alice]
display = cards2, nolisten, sockvm, spicevm
serial = cards2, nolisten, sockvm, spicevm
power = cards2, nolisten, sockvm, spicevm

[user bob]
serial = cards2
END
}

start_virtgated() {
    local program
    program=$(command -v virtgated) || return 0
    if [ -e /usr/lib/tmpfiles.d/virtgate.conf ] && command -v systemd-tmpfiles > /dev/null; then
        systemd-tmpfiles --create /usr/lib/tmpfiles.d/virtgate.conf || true
    fi
    daemon /var/log/virtgated.log "$program" -f
}

wait_for_virtgated() {
    command -v virtgated > /dev/null || return 0
    wait_for virtgated 10 test -S /run/virtgate/broker.sock || {
        cat /var/log/virtgated.log >&2
        return 1
    }
}

# As systemd-timesyncd leaves it: the sandbox has the machine's clock.
note_time() {
    install -D -m 0644 /dev/null /run/systemd/timesync/synchronized
}

start_syslog
note_time
wait_for 'the syslog receiver' 5 test -S /dev/log
[ -z "$VIRTGATE_JOURNAL" ] || journal_start
start_dbus
make_accounts
start_libvirt
wait_for libvirt 20 virsh -q uri
cast_define &
cast=$!
make_keys
start_sshd
write_grants
wait $cast
# shellcheck disable=SC2086
vm_start $CAST
start_virtgated
wait_for sshd 10 ssh -o BatchMode=yes carol@127.0.0.1 true
wait_for_virtgated
# shellcheck disable=SC2086
vm_wait $CAST

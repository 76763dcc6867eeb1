#!/bin/bash
# First program in a finished sandbox: installs virtgate, brings up the rest if wanted, becomes the command.
set -eu

fail() {
    echo "tests/sandbox: $*" >&2
    exit 125
}

install_virtgate() {
    local log=/run/virtgate-install.log
    # Only what is installed now counts, not what the machine has.
    rm -rf /etc/ssh/sshd_config.d/* /etc/virtgate
    cp /usr/share/openssh/sshd_config /etc/ssh/sshd_config
    make -s -C "$VIRTGATE_BUILD" install > $log 2>&1 || {
        cat $log >&2
        fail "make install from $VIRTGATE_BUILD failed"
    }
}

install_virtgate
if [ -n "$VIRTGATE_UP" ]; then
    # Daemons and their files keep their own idea of the folder and of standard input.
    (cd / && /bin/bash "$VIRTGATE_TREE/tests/lib/up.sh" </dev/null) || fail "not everything came up"
fi
unset VIRTGATE_UP VIRTGATE_JOURNAL VIRTGATE_CWD
exec "$@"

#!/bin/bash
# alone.sh BUILD: of a build with --enable-client-only. What it installs is the client, and neither the headers that it was made
# with (.Po files name them) nor its libraries are the gate's.
set -eu

fail() {
    echo "tests/lib/alone.sh: $*" >&2
    exit 1
}

cd "$1"
rm -rf root
make -s install DESTDIR="$PWD/root"
programs=$(find root -path '*/*bin/*' -printf '%f\n' | sort | xargs)
[ "$programs" = 'virtgate virtgate-ssh' ] || fail "it installs $programs"
! ldd root/usr/bin/virtgate | grep -E 'lib(virt|systemd|pam|xml2|tirpc|nftables|seccomp|inih)' || fail "a library of the gate's"
! grep -rE '/(libvirt|systemd|security|libxml2?|tirpc|nftables)/|/(seccomp|ini)\.h' --include='*.Po' --include='*.Plo' . ||
    fail "a header of the gate's"
rm -rf root

# shellcheck shell=bash
# need_packages: installs what of tests/lib/packages is missing. Sourced.

missing_packages() {
    local wanted have package
    # shellcheck disable=SC1091  # VERSION_ID: 12
    wanted=$(. /etc/os-release; awk -v here="${VERSION_ID-}" '!/^#/ && ($2 == "" || $2 == here) { print $1 }' \
        "${BASH_SOURCE[0]%/*}/packages")
    # shellcheck disable=SC2086,SC2016  # one word per package; ${...} is dpkg-query's
    have=$(dpkg-query -W -f ' ${db:Status-Status}:${Package} ' $wanted 2>/dev/null) || true
    for package in $wanted; do
        case $have in *" installed:$package "*) ;; *) echo "$package" ;; esac
    done
}

need_packages() {
    local missing policy=/usr/sbin/policy-rc.d made=
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    echo "installing: $missing" >&2
    # The tests bring up sshd and libvirtd in a sandbox; installing them must not start them on the machine itself.
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
        made=$policy
    fi
    local rc=0
    # shellcheck disable=SC2086  # one word per package
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing; } \
        >&2 </dev/null || rc=$?
    [ -z "$made" ] || rm -f "$made"
    [ $rc = 0 ] || echo "apt-get could not install: $missing" >&2
    return $rc
}

#!/bin/bash
# debian.sh SUITE ROOT: a Debian of that suite with all packages of tests/lib/packages, in the folder ROOT, which is nobody
# else's. Made once by debootstrap; later only brought up to date, when the list of packages has changed.
set -Eeu
trap 'echo "tests/lib/debian.sh: line $LINENO: $BASH_COMMAND" >&2' ERR
umask 022
lib=${BASH_SOURCE[0]%/*}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
suite=$1
root=$2
# What is not finished bears these names, and is thrown away.
new=$root.new
home=$root.home

# A mirror, proxy, password or certificate by which this machine has its Debian packages is needed for the others too: all of
# that is asked of the machine's own apt.
sources() {
    local found
    found=$(machine_sources)
    # Without lists apt cannot tell which of its sources are Debian's.
    [ -n "$found" ] || { apt-get -qq update >&2 && found=$(machine_sources); }
    printf '%s\n' "${found:-deb [signed-by=$keyring] http://deb.debian.org/debian $suite main}"
}

machine_sources() {
    # shellcheck disable=SC2016  # $(...) is apt's
    apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' 'Identifier: Packages' 'Component: main' |
        sed -nE "s,^Debian\|[a-z]+(|-updates|-security)\|(.*)\$,deb [signed-by=$keyring] \2 $suite\1 main,p" | sort -u
}

# Sets http and https: the proxies, of apt's own configuration or of the environment.
proxies() {
    http=''
    https=''
    eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
    http=${http:-${http_proxy-}}
    https=${https:-${https_proxy:-$http}}
}

# What debootstrap fetches by is wget.
as_apt_fetches() {
    local http https ca=''
    proxies
    eval "$(apt-config shell ca Acquire::https::CaInfo)"
    mkdir -p "$home"
    chmod 0700 "$home"
    cat /etc/apt/auth.conf /etc/apt/auth.conf.d/*.conf 2>/dev/null |
        sed -E 's,machine +([a-z+]+://)?([^/: ]+)[^ ]*,machine \2,' > "$home/.netrc" || true
    [ -z "$ca" ] || echo "ca_certificate = $ca" > "$home/.wgetrc"
    HOME=$home http_proxy=${http#DIRECT} https_proxy=${https#DIRECT} "$@"
}

as_apt_has_it() {
    local file http https
    proxies
    # As source too: virtqemud.sh.
    sources | sed 'p;s/^deb /deb-src /' > "$1/etc/apt/sources.list"
    {
        apt-config dump Acquire APT::Sandbox
        [ -z "$http" ] || printf 'Acquire::http::Proxy "%s";\nAcquire::https::Proxy "%s";\n' "$http" "$https"
    } > "$1/etc/apt/apt.conf.d/90machine"
    for file in /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates \
        /etc/resolv.conf /etc/hosts; do
        [ -e "$file" ] || continue
        mkdir -p "$1${file%/*}"
        rm -rf "$1$file"
        cp -rL --preserve=mode "$file" "$1$file"
    done
}

bootstrap() {
    local mirror script=$suite
    # A debootstrap that is older than the suite: its script is the same as that of all others.
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=sid
    mirror=$(sources | sed -nE "s/^deb \[.*\] ([^ ]+) $suite main\$/\1/p" | head -n 1)
    # In namespaces of its own, so that what it mounts in the folder is gone however it ends.
    as_apt_fetches /usr/bin/python3 -IS "$lib/ns.py" online debootstrap --variant=minbase --include=python3 \
        --keyring=$keyring "$suite" "$new" "$mirror" "/usr/share/debootstrap/scripts/$script"
}

# inside ROOT COMMAND...
inside() {
    /usr/bin/python3 -IS "$lib/ns.py" online /bin/bash "$lib/enter.sh" "$@"
}

packages() {
    as_apt_has_it "$1"
    printf '#!/bin/sh\nexit 101\n' > "$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    mkdir -p "$1/usr/local/lib/virtgate-tests"
    cp "$lib/packages" "$lib/packages.sh" "$lib/virtqemud.sh" "$1/usr/local/lib/virtgate-tests"
    inside "$1" bash -c 'apt-get -q update && apt-get -qy -o Dpkg::Use-Pty=0 dist-upgrade &&
        . /usr/local/lib/virtgate-tests/packages.sh && need_packages &&
        bash /usr/local/lib/virtgate-tests/virtqemud.sh && apt-get clean'
}

wanted() {
    cat "$lib/packages" "$lib/virtqemud.sh" "${BASH_SOURCE[0]}" | sha256sum
}

main() {
    local stamp=etc/virtgate-tests.stamp
    rm -rf "$new" "$home"
    if [ ! -e "$root" ]; then
        mkdir -p "$new"
        bootstrap
        packages "$new"
        wanted > "$new/$stamp"
        rm -rf "$home"
        mv "$new" "$root"
    elif [ "$(cat "$root/$stamp" 2>/dev/null)" != "$(wanted)" ]; then
        packages "$root"
        wanted > "$root/$stamp"
    fi
}

main

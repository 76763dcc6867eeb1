#!/bin/bash
# virtqemud.sh: inside a root of debian.sh. Debian builds libvirt's modular daemons with the rest and packs only libvirtd
# (debian/not-installed), so virtqemud is made of Debian's own source: the daemon alone, some minutes less than all of libvirt.
# Its libraries and its QEMU driver are those of the packages. Nothing to do while it is of their version.
set -eu
version=$(dpkg-query -W -f '${source:Version}' libvirt0)
note=/usr/local/lib/virtgate-tests/virtqemud.version
[ "$(cat $note 2>/dev/null)" != "$version" ] || exit 0

apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends gettext libglib2.0-dev libgnutls28-dev libjson-c-dev libxml2-utils \
    meson ninja-build python3-docutils xsltproc
folder=$(mktemp -d)
cd "$folder"
# Not `apt-get source`, which wants the .dsc too: not every mirror has it. The sums are those of the signed index.
apt-get --print-uris source "libvirt=$version" | tr -d "'" | while read -r uri file _ sum; do
    case $file in *.tar.?z) /usr/lib/apt/apt-helper download-file "$uri" "$file" "$sum" ;; esac
done
mkdir libvirt
tar -C libvirt --strip-components=1 -xf libvirt_*.orig.tar.xz
tar -C libvirt -xf libvirt_*.debian.tar.xz
cd libvirt
sed '/^#/d;/^$/d;s,^,debian/patches/,' debian/patches/series | xargs cat | patch -sp1
meson setup build --prefix=/usr --sysconfdir=/etc --localstatedir=/var -Drunstatedir=/run -Dlibdir="lib/$(gcc -print-multiarch)" \
    -Dauto_features=disabled -Ddriver_remote=enabled -Ddriver_libvirtd=enabled -Ddriver_qemu=enabled -Djson_c=enabled \
    -Dpolkit=enabled -Dqemu_user=libvirt-qemu -Dqemu_group=libvirt-qemu -Dremote_default_mode=legacy -Dinit_script=none \
    -Ddocs=disabled -Dtests=disabled -Dno_git=true
# Not the target src/virtqemud, which would bring libvirt.so and the driver with it.
admin=src/admin/libvirt_admin_driver.a
ninja -C build -t targets all | sed -nE 's,^(src/virtqemud\.p/.*\.o):.*,\1,p' > objects
xargs ninja -C build -j2 $admin < objects
cd build
# shellcheck disable=SC2046  # many words each
gcc -s -pie -o /usr/local/sbin/virtqemud $(cat ../objects) $admin -lvirt -lvirt-lxc -lvirt-qemu \
    $(pkg-config --libs gnutls gio-2.0 libxml-2.0 libtirpc)
virtqemud --version
echo "$version" > $note
cd /
rm -rf "$folder"

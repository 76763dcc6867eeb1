#!/bin/bash
# tests/sandbox --up -- /bin/bash tests/data/domains/make.sh FOLDER
#
# Writes the XML that the libvirt of this machine gives for domains with every kind of display, password and credential:
# NAME.xml as `dumpxml --security-info` of the definition, NAME-running.xml as that of the running domain. Every secret in
# them contains the word HUSH.
set -eu
out=$1
uuid=0

# define NAME DEVICES [BEFORE-DEVICES [ROOT-ATTRIBUTES]]
define() {
    uuid=$((uuid + 1))
    virsh -q define /dev/stdin > /dev/null <<END
<domain type='qemu' ${4:-}>
  <name>sample-$1</name>
  <uuid>$(printf '5a3b1e00-0000-4000-8000-%012d' $uuid)</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  ${3:-<os><type arch='x86_64' machine='pc'>hvm</type></os>}
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${6:-<controller type='usb' model='none'/>}
    <video><model type='vga' vram='16384'/></video>
    <memballoon model='none'/>
    $2
  </devices>
  ${5:-}
</domain>
END
    virsh dumpxml --inactive --security-info "sample-$1" > "$out/$1.xml"
}

run() {
    virsh -q start "sample-$1"
    virsh dumpxml --security-info "sample-$1" > "$out/$1-running.xml"
    virsh -q destroy "sample-$1"
}

secret() {
    virsh -q secret-define /dev/stdin > /dev/null
}

make_tls() {
    local pki=/etc/pki/libvirt-spice
    mkdir -p $pki
    openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=virtgate-lab -keyout $pki/server-key.pem \
        -out $pki/server-cert.pem 2> /dev/null
    cp $pki/server-cert.pem $pki/ca-cert.pem
    chmod -R a+rX $pki
    echo 'spice_tls = 1' >> /etc/libvirt/qemu.conf
    kill "$(cat /run/libvirtd.pid)"
    while virsh -q uri > /dev/null 2>&1; do sleep 0.1; done
    libvirtd -d
    until virsh -q uri > /dev/null 2>&1; do sleep 0.1; done
}

secret <<END
<secret ephemeral='no' private='yes'><uuid>5a3b1e00-0000-4000-9000-000000000001</uuid>
<usage type='iscsi'><target>HUSH-usage</target></usage></secret>
END
make_tls

define vnc-address "<graphics type='vnc' port='5931' autoport='no' passwd='HUSHvnc1' passwdValidTo='2031-01-02T03:04:05'
    connected='keep' keymap='de' sharePolicy='allow-exclusive'><listen type='address' address='127.0.0.1'/></graphics>
    <serial type='pty'><target port='0'/></serial>"
run vnc-address
define vnc-auto "<graphics type='vnc' autoport='yes' websocket='-1' listen='0.0.0.0' passwd='HUSHvnc2'/>"
run vnc-auto
define vnc-none "<graphics type='vnc'><listen type='none'/></graphics>"
run vnc-none
define vnc-socket "<graphics type='vnc'><listen type='socket'/></graphics>"
run vnc-socket
define vnc-path "<graphics type='vnc' socket='/run/HUSH.sock' passwd='HUSHvnc3'/>"
define vnc-network "<graphics type='vnc' autoport='yes' passwd='HUSHvnc4'><listen type='network' network='HUSH-net'/></graphics>"
define spice-tls "<graphics type='spice' port='5932' tlsPort='5933' autoport='no' defaultMode='secure' passwd='HUSHspc1'
    passwdValidTo='2031-01-02T03:04:05' connected='disconnect'><listen type='address' address='0.0.0.0'/>
    <channel name='main' mode='secure'/><channel name='inputs' mode='insecure'/><image compression='auto_glz'/>
    <streaming mode='filter'/><clipboard copypaste='no'/><mouse mode='client'/><filetransfer enable='no'/></graphics>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <redirdev bus='usb' type='tcp'><source mode='connect' host='HUSH-redir' service='4000'/></redirdev>
    " '' '' '' "<controller type='usb' model='qemu-xhci'/>"
define spice-run "<graphics type='spice' autoport='yes' listen='127.0.0.1' passwd='HUSHspc2'><channel name='main' mode='secure'/></graphics>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='tcp'><source mode='bind' host='127.0.0.1' service='4555'/><protocol type='raw'/><target port='0'/></serial>
    <serial type='pty'><log file='/var/log/HUSH.log' append='off'/><target port='1'/></serial>
    <parallel type='file'><source path='/tmp/HUSH-parallel'/><target port='0'/></parallel>"
run spice-run
define spice-none "<graphics type='spice'><listen type='none'/><gl enable='yes' rendernode='/dev/dri/HUSH128'/></graphics>"
define several "<graphics type='sdl' display=':7' xauth='/root/HUSH-xauth'/><graphics type='vnc' autoport='yes' passwd='HUSHtwo1'/>
    <graphics type='spice' autoport='yes' passwd='HUSHtwo2'/>"
define disks "<disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <auth username='HUSH-rbd'><secret type='ceph' uuid='5a3b1e00-0000-4000-9000-000000000002'/></auth>
      <source protocol='rbd' name='pool/image'><host name='HUSH-ceph' port='6789'/><config file='/etc/HUSH.conf'/></source>
      <target dev='vda' bus='virtio'/></disk>
    <disk type='network' device='disk'><driver name='qemu' type='raw'/>
      <source protocol='iscsi' name='iqn.2013-07.com.example:target/1'><host name='HUSH-iscsi' port='3260'/>
        <auth username='HUSH-iscsi-user'><secret type='iscsi' usage='HUSH-usage'/></auth>
        <initiator><iqn name='iqn.2013-07.com.example:HUSH'/></initiator></source><target dev='vdb' bus='virtio'/></disk>
    <disk type='network' device='cdrom'><driver name='qemu' type='raw'/>
      <source protocol='https' name='file.iso' query='token=HUSH-query'><host name='HUSH-web' port='443'/>
        <ssl verify='no'/><cookies><cookie name='HUSH-cookie'>HUSH-value</cookie></cookies><readahead size='65536'/><timeout seconds='6'/></source>
      <target dev='sda' bus='sata'/><readonly/></disk>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
      <source file='/var/lib/libvirt/images/luks.qcow2'><encryption format='luks'>
        <secret type='passphrase' uuid='5a3b1e00-0000-4000-9000-00000000c5be'/></encryption></source>
      <target dev='vdc' bus='virtio'/><serial>WD-1234</serial></disk>
    <disk type='file' device='disk'><source file='/var/lib/libvirt/images/plain.img'/><target dev='vdd' bus='virtio'/></disk>
    <interface type='network'><source network='default'/><mac address='52:54:00:11:22:33'/></interface>
    <interface type='client'><source address='HUSH.example' port='5558'/><mac address='52:54:00:11:22:34'/></interface>
    <hostdev mode='subsystem' type='scsi'><source protocol='iscsi' name='iqn.2013-07.com.example:t/2'><host name='HUSH-h' port='3260'/>
      <auth username='HUSH-hostdev'><secret type='iscsi' usage='HUSH-usage'/></auth></source></hostdev>
    <rng model='virtio'><backend model='egd' type='tcp'><source mode='connect' host='HUSH-egd' service='1234'/></backend></rng>" \
    "<title>A title</title><description>A &lt;description&gt; of it</description>
  <metadata><libosinfo:libosinfo xmlns:libosinfo='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
    <libosinfo:os id='http://debian.org/debian/12'/></libosinfo:libosinfo>
    <nova:instance xmlns:nova='http://openstack.org/xmlns/libvirt/nova/1.1'><nova:owner>HUSH-owner</nova:owner></nova:instance></metadata>
  <sysinfo type='smbios'><system><entry name='serial'>ds=nocloud;s=http://HUSH</entry></system>
    <oemStrings><entry>io.systemd.credential:passwd.plaintext-password.root=HUSH</entry></oemStrings></sysinfo>
  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>/boot/vmlinuz</kernel><initrd>/boot/initrd</initrd>
    <cmdline>console=ttyS0 token=HUSH-cmdline</cmdline><smbios mode='sysinfo'/></os>" \
    "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'" \
    "<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/x,string=HUSH-arg'/><qemu:env name='HUSH' value='HUSH-env'/></qemu:commandline>"

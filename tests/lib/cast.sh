# shellcheck shell=bash
# The virtual machines of the tests. Sourced inside a sandbox; needs libvirt up.
#
#   cards2   c0ffee00-0000-4000-8000-000000000001  VNC on 127.0.0.1:5903
#   secret   c0ffee00-0000-4000-8000-000000000002  VNC on 127.0.0.1:5904
#   nolisten c0ffee00-0000-4000-8000-000000000003  VNC, listens nowhere
#   sockvm   c0ffee00-0000-4000-8000-000000000004  VNC, listens on a socket
#   spicevm  c0ffee00-0000-4000-8000-000000000005  SPICE, listens nowhere
#
# Emulated, 32 MiB, no network, one serial console on a pty, a boot sector that says who it is (boot.asm).

CAST='cards2 secret nolisten sockvm spicevm'
VM_IMAGES=/var/lib/libvirt/images
VM_LIB=${BASH_SOURCE[0]%/*}

vm_uuid() {
    case $1 in
        cards2) echo c0ffee00-0000-4000-8000-000000000001 ;;
        secret) echo c0ffee00-0000-4000-8000-000000000002 ;;
        nolisten) echo c0ffee00-0000-4000-8000-000000000003 ;;
        sockvm) echo c0ffee00-0000-4000-8000-000000000004 ;;
        spicevm) echo c0ffee00-0000-4000-8000-000000000005 ;;
        # Any other name has an uuid of its own, the same each time.
        *) printf '%s' "$1" | md5sum | sed -E 's/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/' ;;
    esac
}

vm_graphics() {
    case $1 in
        cards2) echo "<graphics type='vnc' port='5903' autoport='no' listen='127.0.0.1'/>" ;;
        secret) echo "<graphics type='vnc' port='5904' autoport='no' listen='127.0.0.1'/>" ;;
        nolisten) echo "<graphics type='vnc'><listen type='none'/></graphics>" ;;
        sockvm) echo "<graphics type='vnc'><listen type='socket'/></graphics>" ;;
        spicevm) echo "<graphics type='spice'><listen type='none'/></graphics>" ;;
    esac
}

# vm_image NAME UUID: the VM's own copy of the boot sector, on a disk of 1 MiB
vm_image() {
    mkdir -p "$VM_IMAGES"
    nasm -f bin -DNAME="'$1'" -DUUID="'$2'" -o "$VM_IMAGES/$1.img" "$VM_LIB/boot.asm"
    truncate -s 1M "$VM_IMAGES/$1.img"
}

# vm_xml NAME GRAPHICS-XML UUID
vm_xml() {
    cat <<END
<domain type='qemu'>
  <name>$1</name>
  <uuid>$3</uuid>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$VM_IMAGES/$1.img'/>
      <target dev='hda' bus='ide'/>
    </disk>
    <controller type='usb' model='none'/>
    <serial type='pty'><target port='0'/></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    $2
    <video><model type='vga' vram='16384'/></video>
    <memballoon model='none'/>
  </devices>
</domain>
END
}

# vm_define NAME GRAPHICS-XML [UUID]
vm_define() {
    local uuid=${3:-$(vm_uuid "$1")} file
    vm_image "$1" "$uuid"
    file=$(mktemp)
    vm_xml "$1" "$2" "$uuid" > "$file"
    virsh -q define "$file" > /dev/null || { cat "$file" >&2; return 1; }
    rm -f "$file"
}

# vm_start NAME...: at once; returns when all run
vm_start() {
    local vm pids='' pid
    for vm in "$@"; do
        virsh -q start "$vm" > /dev/null &
        pids="$pids $!"
    done
    for pid in $pids; do wait "$pid" || return; done
}

# vm_wait NAME...: until the guests answer on their serial ports, which nobody else may be using
vm_wait() {
    local vm ptys=''
    for vm in "$@"; do ptys="$ptys $vm=$(virsh -q ttyconsole "$vm")"; done
    # shellcheck disable=SC2086
    /usr/bin/python3 -IS "$VM_LIB/guest_ready.py" $ptys
}

# vm_remove NAME...: stopped, undefined, forgotten
vm_remove() {
    local vm
    for vm in "$@"; do
        virsh -q destroy "$vm" > /dev/null 2>&1 || true
        virsh -q undefine "$vm" > /dev/null || true
        rm -f "$VM_IMAGES/$vm.img"
    done
}

cast_define() {
    local vm
    for vm in $CAST; do vm_define "$vm" "$(vm_graphics "$vm")"; done
}

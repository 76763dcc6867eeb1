/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user of the gate reads of a domain's XML, and what not.
 *
 * libvirt leaves passwords out unless asked with VIR_DOMAIN_XML_SECURE, which the filter never passes on; and it has
 * forgotten to (CVE-2014-7823, CVE-2015-0236, CVE-2020-14301). So nothing here relies on it.
 *
 * Left out, wherever it stands:
 *  - Elements and attributes in a namespace: qemu:commandline and qemu:env are arguments for QEMU, often with keys in
 *    them; the rest is what other programs noted for themselves. (rpc_xml.c keeps libosinfo's id of the system in
 *    <metadata>, from which virt-manager tells what runs in the domain.) Comments, processing instructions.
 *  - Whatever is called a password, a secret, a cookie, a token, a credential, private, or of authentication, and the
 *    name that goes with it: passwd and passwdValidTo, <auth>, <secret>, the secret of a TPM's <encryption>,
 *    <cookies>, and what later versions of libvirt call so. Most are only references to libvirtd's secrets; no page
 *    shows them.
 *  - <log>: the file on the host in which a console's output is, for who cannot see the console.
 *
 * Left out of the document:
 *  - <serial> and <console> without the right to serial consoles. <channel> stays, with its state: a details page shows
 *    whether the guest agent is there, and no call of the filter opens a channel.
 *  - <graphics> without the right to displays, and of types that cannot be opened from afar (sdl, rdp, desktop, dbus,
 *    egl-headless; rpc_xml.c).
 *  - <sysinfo>: host-made strings for the guest's firmware; cloud-init's address and systemd's credentials travel so.
 *  - <metadata> but for libosinfo's id; <title> and <description> stay: they are written to be read with the domain.
 *  - <cmdline>, <initarg>, <initenv>, <bootloader_args>: arguments for the guest's kernel or first process, for the
 *    same reason as qemu:commandline.
 *  - <lease>: the lock manager's keys.
 *  - Any other element under <domain>, <devices> and <os> that the table does not name: it is of a later version of
 *    libvirt, and nobody has read what it holds.
 *
 * Left out of elements that stay:
 *  - <graphics>: where it listens, its port, who is connected; which channels are encrypted (that is said of ports
 *    that the user does not reach); the host's render node; the policies of sharing, which a display on a socket does
 *    not have by libvirt's schema. What a details page shows of the picture, keys, mouse and
 *    sound stays.
 *  - <source>, of disks, interfaces, character devices, hostdevs alike: what names a thing stays, as `virsh
 *    domblklist` and `domiflist` show it: file, block device, folder, volume, network, bridge, image of a storage
 *    server. What leads to it from outside goes: hosts and ports (a serial console on TCP is an open door on the host:
 *    attack F16), paths of sockets, queries of URLs, which hold tokens, initiators, configuration files, ssh
 *    identities. A file that is no path but a specification ("json:...", a URL) goes, since all of the above may be
 *    inside. path stays for a terminal alone (`virsh ttyconsole`): any other is a file or socket with a console's
 *    output.
 *  - <server> of shared memory: the path of its socket.
 *  - <launchSecurity>: but the kind and the policy, that is certificates, and the session blob that holds wrapped keys.
 *
 * Known to stay, since nobody can open a file through the filter and details pages show them: paths of disk images,
 * kernel, firmware and emulator, addresses of host devices, labels of the security driver, names of cgroups. */
#include "rpc/rpc_xml_keep.h"

#include <string.h>

/* Elements of which only what is named stays. NULL: all, apart from what goes wherever it stands. */
static const struct closed {
    const char *element;
    const char *attributes;
    const char *children;
} closed[] = {
    { "domain", "type id",
      "name uuid genid hwuuid title description metadata maxMemory memory currentMemory blkiotune memtune memoryBacking vcpu "
      "vcpus iothreads iothreadids defaultiothread cputune numatune resource os idmap features cpu clock on_poweroff on_reboot "
      "on_crash on_lockfailure pm perf devices seclabel launchSecurity keywrap bootloader throttlegroups" },
    { "os", NULL,
      "type loader nvram varstore boot bootmenu bios smbios firmware acpi kernel initrd shim dtb init initdir inituser "
      "initgroup" },
    { "devices", NULL,
      "emulator disk controller filesystem interface input sound audio video watchdog memballoon rng tpm nvram panic shmem "
      "memory iommu vsock crypto pstore hub hostdev redirdev redirfilter smartcard parallel channel serial console graphics" },
    { "graphics", "type keymap multiUser",
      "gl image jpeg zlib playback streaming clipboard mouse filetransfer audio" },
    { "gl", "enable", "" },
    { "source",
      "file dev dir volume pool mode name protocol startupPolicy index namespace type network portgroup bridge portid wwpn "
      "channel path usage units writeFiltering guestReset",
      "address vendor product adapter pagesize nodemask alignsize block interface char" },
    { "server", "", "" },
    { "launchSecurity", "type kernelHashes", "cbitpos reducedPhysBits policy" },
};

/* Parts of names, small letters, of what goes wherever it stands. */
static const char *const telling[] = {
    "passw", "secret", "cookie", "token", "credential", "auth", "username", "private", ":",
};

/* Whole names of elements that go wherever they stand. */
static const char *const dropped = "log";

static const struct closed *find_closed(const char *element)
{
    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
        if (strcmp(closed[i].element, element) == 0)
            return &closed[i];
    return NULL;
}

/* Is name one of the words? */
static bool among(const char *words, const char *name)
{
    size_t len = strlen(name);

    if (len == 0)
        return false;
    for (const char *at = words; (at = strstr(at, name)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

static bool begins(const char *name, const char *word)
{
    while (*word && (*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name) == *word) {
        name++;
        word++;
    }
    return !*word;
}

/* Of every name in a document all this is asked; strcasestr() takes three times as long. */
static bool is_telling(const char *name)
{
    for (; *name; name++)
        for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++)
            if (begins(name, telling[i]))
                return true;
    return false;
}

bool rpc_xml_keeps_element(const char *parent, const char *name, rights allowed)
{
    const struct closed *rule = find_closed(parent);

    if (is_telling(name) || among(dropped, name))
        return false;
    if (rule && rule->children && !among(rule->children, name))
        return false;
    if (strcmp(name, "graphics") == 0)
        return strcmp(parent, "devices") == 0 && (allowed & RIGHT_DISPLAY);
    if (strcmp(name, "serial") == 0 || strcmp(name, "console") == 0)
        return strcmp(parent, "devices") != 0 || (allowed & RIGHT_SERIAL); /* a disk has a serial, too */
    return true;
}

static bool keeps_source(const char *name, const char *value)
{
    if (strcmp(name, "path") == 0)
        return strncmp(value, "/dev/pts/", strlen("/dev/pts/")) == 0;
    return strncmp(value, "json:", strlen("json:")) != 0 && !strstr(value, "://");
}

bool rpc_xml_keeps_attribute(const char *element, const char *name, const char *value)
{
    const struct closed *rule = find_closed(element);

    if (is_telling(name))
        return false;
    if (rule && rule->attributes && !among(rule->attributes, name))
        return false;
    return strcmp(element, "source") != 0 || keeps_source(name, value);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands: what a user of the gate might send in the place of its own. They only read; where one of them runs, it says
 * something or ends well, and that is not the gate's refusal. None is one that the gate grants. */
#include "probe/probe.h"

static void try_command(struct probe *probe, const struct door *door, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;

    probe_exec(probe, door->text, door->number, NULL, door->more, &answer);
    /* The proof only spares waiting for the end. */
    judge_answer(&answer, door->more && answer_holds(&answer, door->more) ? door->more : NULL, finding);
}

#define C(id_, command_) { .id = "exec." id_, .try = try_command, .text = command_ }
#define C_TTY(id_, command_) { .id = "exec." id_, .try = try_command, .text = command_, .number = 1 }
#define C_UNTIL(id_, command_, proof_) { .id = "exec." id_, .try = try_command, .text = command_, .more = proof_ }

static const struct door doors[] = {
    /* Programs by their names and paths. */
    C("id", "id"), C("path-id", "/usr/bin/id"), C("true", "true"), C("colon", ":"), C("exit", "exit 0"), C("whoami", "whoami"),
    C("uname", "uname -a"), C("hostname", "hostname"), C("env", "env"), C("set", "set"), C("pwd", "pwd"), C("ls", "ls -la /"),
    C("ls-home", "ls -la"), C("ps", "ps aux"), C("who", "who -a"), C("groups", "groups"), C("df", "df"), C("mount", "mount"),
    C("ulimit", "ulimit -a"), C("umask", "umask"), C("type", "type sh"), C("alias", "alias list=id; list"), C("date", "date"),
    C("kill", "kill -l"), C("getent", "getent passwd"), C("ip", "ip addr"), C("ss", "ss -tln"), C("uptime", "uptime"),
    C("dots", "../../../../bin/id"), C("dot-slash", "./id"), C("tilde", "~root/id"), C("proc-self", "/proc/self/exe"),

    /* Files. */
    C("cat-passwd", "cat /etc/passwd"), C("cat-shadow", "cat /etc/shadow"), C("cat-acl", "cat /etc/virtgate/virtgate.ini"),
    C("cat-environ", "cat /proc/self/environ"), C("cat-init", "cat /proc/1/environ"), C("head", "head -n 1 /etc/hostname"),
    C("dd", "dd if=/etc/passwd count=1"), C("od", "od -c /etc/hostname"), C("grep", "grep root /etc/passwd"),
    C("source", ". /etc/profile; id"), C("redirect", "cat < /etc/passwd"), C("find", "find / -maxdepth 0 -exec id \\;"),
    C("tar", "tar cf /dev/null --checkpoint=1 --checkpoint-action=exec=id /etc/hostname"),
    C("qemu-logs", "ls -la /var/log/libvirt/qemu /run/libvirt"), C("cmdlines", "cat /proc/[0-9]*/cmdline"),

    /* Shells and interpreters. */
    C("sh", "/bin/sh"), C("sh-c", "sh -c id"), C("sh-c-quoted", "sh -c 'id'"), C("sh-c-twice", "sh -c \"sh -c 'id'\""),
    C("sh-lc", "sh -lc id"), C("bash-c", "bash -c id"), C("bash-i", "bash -ic id"), C_TTY("bash-tty", "bash -c id"),
    C("exec-sh", "exec sh -c id"), C("env-sh", "env sh -c id"), C("env-i", "env -i id"), C("command", "command id"),
    C("eval", "eval id"), C("busybox", "busybox sh -c id"), C("python", "python3 -c 'print(6*7)'"),
    C("perl", "perl -e 'print 6*7'"), C("awk", "awk 'BEGIN{system(\"id\")}'"), C("xargs", "echo id | xargs -n1 env"),
    C("nice", "nice id"), C("timeout", "timeout 1 id"), C("setsid", "setsid -w id"), C_TTY("script", "script -qc id /dev/null"),
    C("ed", "ed /etc/hostname"), C("su", "su -c id root"), C("sudo", "sudo -n id"), C("crontab", "crontab -l"), C("at", "atq"),
    C("systemctl", "systemctl --no-pager list-units"), C("busctl", "busctl --no-pager list"),
    C("dbus-send", "dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames"),
    C("passwd", "passwd -S"), C("ssh", "ssh -V"), C("gdb", "gdb --version"), C("strace", "strace -V"),

    /* Files moved. */
    C("sftp-server", "/usr/lib/openssh/sftp-server"), C("internal-sftp", "internal-sftp"), C("scp-to", "scp -t /nonexistent/x"),
    C("rsync", "rsync --server --sender -e.LsfxCIvu . /etc/hostname"),
    C("git", "git-upload-pack '/nonexistent'"),

    /* libvirt and QEMU, past the gate's own ways. */
    C("virsh", "virsh list --all"), C("virsh-ro", "virsh -r -c qemu:///system list --all"),
    C("virsh-test", "virsh -c test:///default list"), C("qemu", "qemu-system-x86_64 --version"),
    C("viewer", "virt-viewer --version"), C("helper-session", "virt-ssh-helper --version"),
    C("helper-lxc", "virt-ssh-helper lxc:///system"), C("helper-test", "virt-ssh-helper test:///default"),
    C("helper-injected", "virt-ssh-helper 'qemu:///system'; id"), C("helper-option", "virt-ssh-helper --help qemu:///system"),

    /* Ports and sockets of the host, as stock clients ask for displays. */
    C_UNTIL("nc", "nc 127.0.0.1 22", "SSH-"), C_UNTIL("nc-localhost", "nc localhost 22", "SSH-"), C("nc-v6", "nc -z ::1 1; id"),
    C_UNTIL("nc-any", "nc 0.0.0.0 22", "SSH-"), C_UNTIL("nc-sh", "sh -c 'nc 127.0.0.1 22'", "SSH-"), C("nc-options", "nc -h"),
    C("nc-scan", "nc -zv 127.0.0.1 20-25"), C("nc-listen", "nc -l -U /nonexistent/x"),
    C("nc-no-socket", "nc -U /nonexistent/x"), C("nc-port-0", "nc 127.0.0.1 0"), C("nc-port-65558", "nc 127.0.0.1 65558"),
    C("nc-port-word", "nc 127.0.0.1 ssh\\;id"), C_UNTIL("socat", "socat - TCP:127.0.0.1:22", "SSH-"),
    C("socat-exec", "socat - EXEC:id"), C("socat-system", "socat - SYSTEM:id"),
    C("socat-dbus", "socat -u OPEN:/dev/null UNIX-CONNECT:/run/dbus/system_bus_socket"),
    C_UNTIL("stock-viewer",
            "if (command -v socat) >/dev/null 2>&1; then socat - TCP:127.0.0.1:22; else nc 127.0.0.1 22; fi", "SSH-"),
    C("dev-tcp", "exec 5<>/dev/tcp/127.0.0.1/22; head -n 1 <&5"), C("nc-proxy", "nc -v -X 4 -x 127.0.0.1:1 127.0.0.1 22"),
    C("nc-injected", "nc 127.0.0.1 1; id"), C("nc-substituted", "nc 127.0.0.1 $(id)"), C("nc-backquoted", "nc `id` 22"),

    /* A second command behind, before and within one of the gate's. */
    C("semicolon", "list; id"), C("and", "help && id"), C("or", "list || id"), C("pipe", "list | id"),
    C("background", "list & id"), C("newline", "list\nid"), C("carriage-return", "list\rid"), C("crlf", "list\r\nid"),
    C("vertical-tab", "list\vid"), C("form-feed", "list\fid"), C("substitution", "list $(id)"), C("backquote", "list `id`"),
    C("process", "list <(id)"), C("redirect-in", "list < /etc/passwd"), C("redirect-out", "list 2>&1 > /dev/stdout"),
    C("brace", "{list,id}"), C("group", "(id)"), C("block", "{ id; }"), C("not", "! id"), C("assignment", "A=b id"),
    C("function", "list() { id; }; list"), C("shellshock", "() { :;}; id"), C("here", "cat <<< id"),
    C("ifs", "cat${IFS}/etc/passwd"), C("quoted", "'id'"), C("half-quoted", "i'd'"), C("escaped", "\\id"),
    C("dollar", "$'\\x69'd"), C("variable", "$SHELL -c id"), C("glob", "/?\?\?/b?n/id"), C("comment", "id # list"),
    C("blank-first", "   id"), C("tab", "list\tid\t;id"), C("option", "--help; id"), C("dash-c", "-c id"),
    C("console-escape", "console x; id"), C("display-pipe", "display x | id"), C("info-substitution", "info $(id)"),
    C("list-option", "list --json; id"), C("upper-case", "ID; id"), C("unbalanced", "list 'id"),

    /* Names that are no names, and bytes that are no text. */
    C("traversal", "display ../../../etc/passwd"), C("percent", "display %s%s%n"),
    C("encoded", "display ..%2f..%2fetc%2fpasswd"), C("sql", "display ' OR 1=1 --"), C("device", "console /dev/tty"),
    C("proc-fd", "display /proc/self/fd/0"), C("at-file", "display @/etc/passwd"), C("no-break-space", "list\xc2\xa0id"),
    C("right-to-left", "list\xe2\x80\xaeid"), C("zero-width", "i\xe2\x80\x8b" "d"), C("full-width", "\xef\xbd\x89\xef\xbd\x84"),
    C("overlong", "cat \xc0\xaf" "etc\xc0\xafpasswd"), C("not-utf8", "\xff\xfe\xfd"), C("escape", "\033[2Jid"),
    C("bell", "\a\a\aid"), C("backspace", "list\b\b\b\bid"), C("delete", "id\x7f"), C("bom", "\xef\xbb\xbf" "id"),
};

const struct family family_commands = FAMILY(doors);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "deeds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

int deed_client, deed_upstream, deed_control;
static pid_t somebody;
static void *page;

static int done(long r)
{
    return r < 0 ? errno : 0;
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static int opens_a_file(void)
{
    return done(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int opens_its_memory(void)
{
    return done(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
}

static int makes_a_file(void)
{
    return done(open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
}

static int looks_at_a_file(void)
{
    struct stat st;

    return done(stat("/etc/passwd", &st));
}

static int asks_for_access(void)
{
    return done(access("/etc/passwd", R_OK));
}

static int reads_a_link(void)
{
    char target[64];

    return done(readlink("/proc/self/exe", target, sizeof target));
}

static int changes_the_folder(void)
{
    return done(chdir("/"));
}

static int makes_a_folder(void)
{
    return mkdir("/", 0700) < 0 && errno == EEXIST ? 0 : errno; /* as far as the file system */
}

static int removes_a_file(void)
{
    return unlink("/tmp/virtgate-is-not-there") < 0 && errno == ENOENT ? 0 : errno;
}

static int makes_a_file_of_memory(void)
{
    return done(memfd_create("x", MFD_CLOEXEC));
}

/* As far as the file system, which has no such folder. */
#define NOWHERE "/virtgate-is-not-there/x"

static int goes_nowhere(long r)
{
    return r < 0 && errno == ENOENT ? 0 : errno;
}

static int opens_by_openat2(void)
{
    const struct open_how how = { .flags = O_RDONLY | O_CLOEXEC };

    return done(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how));
}

static int renames_a_file(void)
{
    return goes_nowhere(rename(NOWHERE, NOWHERE "y"));
}

static int links_a_file(void)
{
    return goes_nowhere(symlink("/etc/shadow", NOWHERE));
}

static int makes_a_device(void)
{
    return goes_nowhere(mknod(NOWHERE, S_IFIFO | 0600, 0));
}

static int changes_the_mode(void)
{
    return goes_nowhere(chmod(NOWHERE, 0777));
}

static int changes_the_owner(void)
{
    return goes_nowhere(chown(NOWHERE, getuid(), getgid()));
}

static int changes_the_root(void)
{
    return done(chroot("/") < 0 && errno != EPERM ? -1 : 0);
}

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static int makes_a_socket(void)
{
    return done(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int makes_an_inet_socket(void)
{
    return done(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int makes_a_pair(void)
{
    int pair[2];

    return done(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static int makes_a_pipe(void)
{
    int pair[2];

    return done(pipe2(pair, O_CLOEXEC));
}

static int makes_an_eventfd(void)
{
    return done(eventfd(0, EFD_CLOEXEC));
}

static int makes_an_epoll(void)
{
    return done(epoll_create1(EPOLL_CLOEXEC));
}

static int watches_files(void)
{
    return done(inotify_init1(IN_CLOEXEC));
}

static int copies_a_socket(void)
{
    return done(dup(deed_client));
}

static int copies_by_fcntl(void)
{
    return done(fcntl(deed_client, F_DUPFD_CLOEXEC, 0));
}

static int wants_signals_of_a_socket(void)
{
    return done(fcntl(deed_client, F_SETOWN, getppid()));
}

static int copies_over_a_socket(void)
{
    return done(dup2(deed_upstream, deed_client));
}

static int reads_elsewhere(void)
{
    char byte;

    return done(read(STDIN_FILENO, &byte, 0));
}

static int writes_elsewhere(void)
{
    return done(write(STDERR_FILENO, "", 0));
}

static int controls_a_socket(void)
{
    int n;

    return done(ioctl(deed_client, FIONREAD, &n));
}

static int sets_a_socket_option(void)
{
    static const int on = 1;

    return done(setsockopt(deed_client, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
}

static int sends_a_file(void)
{
    return done(sendfile(deed_client, deed_control, NULL, 1));
}

static int asks_who_is_there(void)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return done(getsockopt(deed_client, SOL_SOCKET, SO_PEERCRED, &peer, &len));
}

static int makes_a_timer(void)
{
    return done(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static int takes_signals_as_bytes(void)
{
    sigset_t none;

    sigemptyset(&none);
    return done(signalfd(-1, &none, SFD_CLOEXEC));
}

static int watches_all_files(void)
{
    return done(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC, O_RDONLY) < 0 && errno != EPERM ? -1 : 0);
}

static int handles_page_faults(void)
{
    return done(syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */) < 0 && errno != EPERM ? -1 : 0);
}

/* --- connections ------------------------------------------------------------------------------------------------- */

static int have_a_socket_instead(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    close(deed_control);
    deed_control = fd;
    return 0;
}

static struct sockaddr_in tcp_address;
static struct sockaddr_un abstract_address = { .sun_family = AF_UNIX };

/* Somebody who listens, in this process: it is about connecting. */
static int have_a_tcp_listener(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof tcp_address;

    tcp_address.sin_family = AF_INET;
    tcp_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&tcp_address, sizeof tcp_address) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&tcp_address, &len) < 0)
        return errno;
    return have_a_socket_instead(AF_INET);
}

static int connects_by_tcp(void)
{
    return done(connect(deed_control, (const struct sockaddr *)&tcp_address, sizeof tcp_address));
}

static int have_an_abstract_listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid = getpid();

    memcpy(abstract_address.sun_path + 1, &pid, sizeof pid);
    if (fd < 0 || bind(fd, (struct sockaddr *)&abstract_address, sizeof abstract_address) < 0 || listen(fd, 1) < 0)
        return errno;
    return have_a_socket_instead(AF_UNIX);
}

static int connects_to_a_socket(void)
{
    return done(connect(deed_control, (const struct sockaddr *)&abstract_address, sizeof abstract_address));
}

static int have_a_listener(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    static const struct sockaddr any = { .sa_family = AF_UNIX };

    if (fd < 0 || bind(fd, &any, sizeof any.sa_family) < 0 || listen(fd, 1) < 0)
        return errno;
    close(deed_control);
    deed_control = fd;
    return 0;
}

static int accepts(void)
{
    return done(accept4(deed_control, NULL, NULL, SOCK_CLOEXEC) < 0 && errno != EAGAIN ? -1 : 0);
}

static int have_an_unbound_socket(void)
{
    return have_a_socket_instead(AF_UNIX);
}

static int listens(void)
{
    static const struct sockaddr any = { .sa_family = AF_UNIX };

    return done(bind(deed_control, &any, sizeof any.sa_family)); /* the kernel picks a name */
}

static int have_a_datagram_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    close(deed_control);
    deed_control = fd;
    tcp_address.sin_family = AF_INET;
    tcp_address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    tcp_address.sin_port = htons(9);
    return 0;
}

static int sends_to_an_address(void)
{
    return done(sendto(deed_control, "", 1, 0, (const struct sockaddr *)&tcp_address, sizeof tcp_address));
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static int execs(void)
{
    char name[] = "true", *argv[] = { name, NULL };

    execv("/bin/true", argv);
    return errno;
}

static int have_a_program_instead(void)
{
    int fd = open("/bin/true", O_RDONLY | O_CLOEXEC);

    close(deed_control);
    deed_control = fd;
    return done(fd);
}

static int execs_a_descriptor(void)
{
    char name[] = "true", *argv[] = { name, NULL }, *envp[] = { NULL };

    syscall(SYS_execveat, deed_control, "", argv, envp, AT_EMPTY_PATH);
    return errno;
}

static int forks(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return done(pid);
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

static int makes_a_thread(void)
{
    static char stack[65536] __attribute__((aligned(16)));

    return done(clone(nothing, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL));
}

static int clones_by_clone3(void)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = { .exit_signal = SIGCHLD };
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        _exit(0);
    return done(pid);
}

/* Ends when the other end of its pipe is closed, which is with us at the latest. (A parent under Landlock sends no
 * PR_SET_PDEATHSIG.) */
static int have_somebody(void)
{
    int held[2];
    char byte;

    if (pipe2(held, O_CLOEXEC) < 0)
        return errno;
    somebody = fork();
    if (somebody == 0) {
        dup2(held[0], STDIN_FILENO);
        close_range(STDOUT_FILENO, ~0U, 0);
        while (read(STDIN_FILENO, &byte, 1) < 0)
            ;
        _exit(0);
    }
    close(held[0]);
    return done(somebody);
}

static int kills_somebody(void)
{
    return done(kill(somebody, SIGKILL));
}

static int kills_its_parent_softly(void)
{
    return done(kill(getppid(), 0));
}

static int traces_somebody(void)
{
    return done(ptrace(PTRACE_SEIZE, somebody, NULL, NULL));
}

static int lets_itself_be_traced(void)
{
    return done(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int reads_somebodys_memory(void)
{
    char byte;
    struct iovec here = { &byte, 1 }, there = { &somebody, 1 };

    return done(process_vm_readv(somebody, &here, 1, &there, 1, 0));
}

static int opens_somebody(void)
{
    return done(syscall(SYS_pidfd_open, somebody, 0));
}

static int have_somebodys_descriptor(void)
{
    int r = have_somebody();

    if (r != 0)
        return r;
    close(deed_control);
    deed_control = (int)syscall(SYS_pidfd_open, somebody, 0);
    return done(deed_control);
}

static int signals_by_descriptor(void)
{
    return done(syscall(SYS_pidfd_send_signal, deed_control, 0, NULL, 0));
}

static int takes_somebodys_descriptor(void)
{
    return done(syscall(SYS_pidfd_getfd, deed_control, STDIN_FILENO, 0));
}

static int writes_somebodys_memory(void)
{
    struct iovec here = { &somebody, sizeof somebody }, there = here;

    return done(process_vm_writev(somebody, &here, 1, &there, 1, 0));
}

static int asks_for_somebodys_limits(void)
{
    struct rlimit limit;

    return done(prlimit(somebody, RLIMIT_NOFILE, NULL, &limit));
}

static int signals_itself(void)
{
    return done(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 0));
}

static int waits_for_children(void)
{
    return done(waitpid(-1, NULL, WNOHANG) < 0 && errno != ECHILD ? -1 : 0);
}

static int changes_its_name(void)
{
    return done(prctl(PR_SET_NAME, "sshd", 0, 0, 0));
}

static int filters_itself(void)
{
    const uint32_t action = SECCOMP_RET_ALLOW;

    return done(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
}

static int sets_its_capabilities(void)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2];

    return done(syscall(SYS_capget, &header, data) < 0 ? -1 : syscall(SYS_capset, &header, data));
}

static int changes_its_personality(void)
{
    return done(personality(PER_LINUX | READ_IMPLIES_EXEC));
}

static int changes_its_priority(void)
{
    return done(setpriority(PRIO_PROCESS, 0, 0));
}

static int raises_a_limit(void)
{
    static const struct rlimit limit = { 1, 1 };

    return done(setrlimit(RLIMIT_NICE, &limit) < 0 && errno != EPERM ? -1 : 0);
}

static int becomes_dumpable(void)
{
    return done(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int sets_its_uid(void)
{
    return done(setresuid(getuid(), getuid(), getuid()));
}

static int sets_its_groups(void)
{
    return done(setresgid(getgid(), getgid(), getgid()));
}

static int handles_signals(void)
{
    return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : 0;
}

static int sets_a_timer(void)
{
    static const struct itimerval never = { 0 };

    return done(setitimer(ITIMER_REAL, &never, NULL));
}

static int moves_to_another_cpu(void)
{
    cpu_set_t set;

    return done(sched_getaffinity(0, sizeof set, &set));
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static int maps_code(void)
{
    return done(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
}

static int have_a_page(void)
{
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return done(page == MAP_FAILED ? -1 : 0);
}

static int makes_memory_code(void)
{
    return done(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int makes_memory_code_by_key(void)
{
    return done(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
}

static int have_a_file_instead(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    close(deed_control);
    deed_control = fd;
    return done(fd);
}

static int maps_a_file(void)
{
    return done(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, deed_control, 0) == MAP_FAILED ? -1 : 0);
}

static int shares_memory(void)
{
    int id = shmget(IPC_PRIVATE, 4096, 0600);

    if (id >= 0)
        shmctl(id, IPC_RMID, NULL);
    return done(id);
}

static int locks_memory(void)
{
    return done(mlock(page, 4096));
}

static int locks_all_memory(void)
{
    return done(mlockall(MCL_CURRENT) < 0 && errno != ENOMEM && errno != EPERM ? -1 : 0);
}

static int sends_messages(void)
{
    int id = msgget(IPC_PRIVATE, 0600);

    if (id >= 0)
        msgctl(id, IPC_RMID, NULL);
    return done(id);
}

/* --- the kernel -------------------------------------------------------------------------------------------------- */

static int unshares(void)
{
    return done(unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER));
}

static int makes_a_ring(void)
{
    struct io_uring_params params = { 0 };

    return done(syscall(SYS_io_uring_setup, 1, &params));
}

/* Of a ring that somebody else made: there is none, which is an answer. */
static int uses_a_ring(void)
{
    return done(syscall(SYS_io_uring_enter, deed_client, 1, 0, 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 0);
}

static int adds_a_key(void)
{
    long r = syscall(SYS_add_key, "no such type", "x", "x", 1, KEY_SPEC_PROCESS_KEYRING);

    return done(r < 0 && errno == ENOSYS ? -1 : 0);
}

static int requests_a_key(void)
{
    return done(syscall(SYS_request_key, "no such type", "x", NULL, 0) < 0 && errno == ENOSYS ? -1 : 0);
}

static int have_a_namespace_instead(void)
{
    int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);

    close(deed_control);
    deed_control = fd;
    return done(fd);
}

static int enters_a_namespace(void)
{
    return done(setns(deed_control, CLONE_NEWUTS) < 0 && errno != EPERM ? -1 : 0);
}

static int uses_keys(void)
{
    return done(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
}

static int watches_events(void)
{
    struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_DUMMY,
                                    .exclude_kernel = 1 };

    return done(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int asks_bpf(void)
{
    return done(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == ENOSYS ? -1 : 0);
}

static int mounts(void)
{
    return done(mount("none", "/tmp", "tmpfs", 0, NULL) < 0 && errno != EPERM ? -1 : 0);
}

static int have_own_mounts(void)
{
    if (geteuid() != 0)
        return 0; /* EPERM is as far as one gets */
    return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0;
}

static int asks_for_the_host(void)
{
    struct utsname name;

    return done(uname(&name));
}

static int joins_a_futex(void)
{
    static int word;

    return done(syscall(SYS_futex, &word, 1 /* FUTEX_WAKE */, 0, NULL, NULL, 0));
}

#ifdef __x86_64__
/* getpid by the 32-bit machine's number, 20; for ours that is writev. */
static int calls_as_i386(void)
{
    long r;

    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return r == getpid() ? 0 : ENOSYS;
}

static int calls_as_x32(void)
{
    errno = 0;
    syscall(0x40000000L | SYS_getpid);
    return 0; /* a kernel without it says ENOSYS, which is an answer as well */
}
#endif

#define DEED(name) { #name, NULL, name }
#define DEED_AFTER(name, prepare) { #name, prepare, name }

const struct deed deeds[] = {
    DEED(opens_a_file), DEED(opens_its_memory), DEED(makes_a_file), DEED(looks_at_a_file), DEED(asks_for_access),
    DEED(reads_a_link), DEED(changes_the_folder), DEED(makes_a_folder), DEED(removes_a_file), DEED(makes_a_file_of_memory),
    DEED(makes_a_socket), DEED(makes_an_inet_socket), DEED(makes_a_pair), DEED(makes_a_pipe), DEED(makes_an_eventfd),
    DEED(makes_an_epoll), DEED(watches_files), DEED(copies_a_socket), DEED(copies_by_fcntl), DEED(wants_signals_of_a_socket),
    DEED(copies_over_a_socket), DEED(reads_elsewhere), DEED(writes_elsewhere), DEED(controls_a_socket),
    DEED(sets_a_socket_option), DEED_AFTER(connects_by_tcp, have_a_tcp_listener),
    DEED_AFTER(connects_to_a_socket, have_an_abstract_listener), DEED_AFTER(listens, have_an_unbound_socket),
    DEED_AFTER(sends_to_an_address, have_a_datagram_socket), DEED(execs), DEED(forks), DEED(makes_a_thread),
    DEED(clones_by_clone3), DEED_AFTER(kills_somebody, have_somebody), DEED(kills_its_parent_softly),
    DEED_AFTER(traces_somebody, have_somebody), DEED(lets_itself_be_traced), DEED_AFTER(reads_somebodys_memory, have_somebody),
    DEED_AFTER(opens_somebody, have_somebody), DEED(raises_a_limit), DEED(becomes_dumpable), DEED(sets_its_uid),
    DEED(sets_its_groups), DEED(handles_signals), DEED(sets_a_timer), DEED(moves_to_another_cpu), DEED(maps_code),
    DEED_AFTER(makes_memory_code, have_a_page), DEED_AFTER(makes_memory_code_by_key, have_a_page),
    DEED_AFTER(maps_a_file, have_a_file_instead), DEED(shares_memory), DEED_AFTER(locks_memory, have_a_page), DEED(unshares),
    DEED(makes_a_ring), DEED(uses_keys), DEED(watches_events), DEED(asks_bpf), DEED_AFTER(mounts, have_own_mounts),
    DEED(asks_for_the_host), DEED(joins_a_futex), DEED(opens_by_openat2), DEED(renames_a_file), DEED(links_a_file),
    DEED(makes_a_device), DEED(changes_the_mode), DEED(changes_the_owner), DEED(changes_the_root),
    DEED_AFTER(sends_a_file, have_a_file_instead), DEED(asks_who_is_there), DEED(makes_a_timer), DEED(takes_signals_as_bytes),
    DEED(watches_all_files), DEED(handles_page_faults), DEED_AFTER(accepts, have_a_listener),
    DEED_AFTER(execs_a_descriptor, have_a_program_instead), DEED_AFTER(signals_by_descriptor, have_somebodys_descriptor),
    DEED_AFTER(takes_somebodys_descriptor, have_somebodys_descriptor), DEED_AFTER(writes_somebodys_memory, have_somebody),
    DEED_AFTER(asks_for_somebodys_limits, have_somebody), DEED(signals_itself), DEED(waits_for_children), DEED(changes_its_name),
    DEED(filters_itself), DEED(sets_its_capabilities), DEED(changes_its_personality), DEED(changes_its_priority),
    DEED(locks_all_memory), DEED(sends_messages), DEED(uses_a_ring), DEED(adds_a_key), DEED(requests_a_key),
    DEED_AFTER(enters_a_namespace, have_a_namespace_instead),
#ifdef __x86_64__
    DEED(calls_as_i386), DEED(calls_as_x32),
#endif
};
const size_t n_deeds = sizeof deeds / sizeof deeds[0];

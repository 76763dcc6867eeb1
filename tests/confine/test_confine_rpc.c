/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything is tried in a child: first as it is, where it must be possible (or else the test would show nothing), then
 * confined, where it must end the child. What the filter's loop does must still work. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "confine/confine.h"
#include "confine/confine_impl.h"
#include "deeds.h"
#include "rpc/rpc_xml.h"

#define NOT_PREPARED 98
#define NOT_CONFINED 99
#define DEADLINE 60 /* seconds, of a child */

/* Our ends of the child's sockets. */
static int client, upstream, control;

static void close_ours(void)
{
    close(client);
    close(upstream);
    close(control);
}

/* In the child: 0, or it is over. A kernel without Landlock is no reason not to test the rest. */
static int confine_here(void)
{
    int r = confine_rpc(deed_client, deed_upstream, deed_control);

    return r == -ENOSYS ? 0 : r;
}

static int start_socket(int type, int *ours, int *theirs)
{
    int pair[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    *ours = pair[0];
    *theirs = pair[1];
    return 0;
}

/* A child with its sockets. In the child 0. */
static pid_t start(void)
{
    pid_t pid;

    assert_int_equal(start_socket(SOCK_STREAM, &client, &deed_client), 0);
    assert_int_equal(start_socket(SOCK_STREAM, &upstream, &deed_upstream), 0);
    assert_int_equal(start_socket(SOCK_SEQPACKET, &control, &deed_control), 0);
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(DEADLINE);
        close_ours();
        return 0;
    }
    close(deed_client);
    close(deed_upstream);
    close(deed_control);
    return pid;
}

static int status_of(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static int end(pid_t pid)
{
    int status = status_of(pid);

    close_ours();
    return status;
}

static int attempt(const struct deed *deed, int (*confine)(void))
{
    pid_t pid = start();

    if (pid == 0) {
        if (deed->prepare && deed->prepare() != 0)
            _exit(NOT_PREPARED);
        if (confine && confine() < 0)
            _exit(NOT_CONFINED);
        _exit(deed->do_it());
    }
    return end(pid);
}

static const struct deed *deed_of(const char *name)
{
    for (size_t i = 0; i < n_deeds; i++)
        if (strcmp(deeds[i].name, name) == 0)
            return &deeds[i];
    fail_msg("no deed is called %s", name);
    return NULL;
}

/* --- what is not possible any more ------------------------------------------------------------------------------- */

static void ends_whoever_tries(void **state)
{
    const struct deed *deed = *state;
    int before = attempt(deed, NULL), after;

    if (!WIFEXITED(before) || WEXITSTATUS(before) != 0) {
        print_message("%s is not possible here in the first place (status 0x%x)\n", deed->name, (unsigned)before);
        skip();
    }
    after = attempt(deed, confine_here);
    if (!WIFSIGNALED(after) || WTERMSIG(after) != SIGSYS)
        fail_msg("%s: status 0x%x", deed->name, (unsigned)after);
}

/* The stages alone: what is left when one of the others has a hole. */
static int landlock_alone(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : confine_landlock();
}

static void fails_with(const char *name, int (*confine)(void), int expected)
{
    const struct deed *deed = deed_of(name);
    int status;

    assert_int_equal(attempt(deed, NULL), 0);
    status = attempt(deed, confine);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        fail_msg("%s: status 0x%x, not error %d", name, (unsigned)status, expected);
}

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static void landlock_denies_files(void **state)
{
    (void)state;
    if (landlock_abi() < 1) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    fails_with("opens_a_file", landlock_alone, EACCES);
    fails_with("opens_its_memory", landlock_alone, EACCES);
    fails_with("makes_a_file", landlock_alone, EACCES);
    fails_with("execs", landlock_alone, EACCES);
    fails_with("traces_somebody", landlock_alone, EPERM);
}

static void landlock_denies_tcp_and_signals(void **state)
{
    (void)state;
    if (landlock_abi() < 6) {
        print_message("this kernel's Landlock has ABI %d; signals and abstract sockets need 6\n", landlock_abi());
        skip();
    }
    fails_with("connects_by_tcp", landlock_alone, EACCES);
    fails_with("kills_somebody", landlock_alone, EPERM);
}

static int limits_alone(void)
{
    const int sockets[] = { deed_client, deed_upstream, deed_control };
    int r = confine_descriptors(sockets, 3);

    return r < 0 ? r : confine_limits();
}

static void limits_leave_no_descriptor(void **state)
{
    (void)state;
    fails_with("opens_a_file", limits_alone, EMFILE);
    fails_with("makes_a_socket", limits_alone, EMFILE);
    fails_with("copies_a_socket", limits_alone, EMFILE);
    fails_with("makes_a_pipe", limits_alone, EMFILE);
}

/* --- what is --------------------------------------------------------------------------------------------------- */

#define MUST(condition) \
    do { \
        if (!(condition)) \
            _exit(__LINE__ % 97 + 1); \
    } while (0)

/* Runs body in a confined child, while meanwhile, if any, deals with it. */
static void works(void (*body)(void), void (*meanwhile)(pid_t pid))
{
    pid_t pid = start();
    int status;

    if (pid == 0) {
        MUST(confine_here() == 0);
        body();
        _exit(0);
    }
    if (meanwhile)
        meanwhile(pid);
    status = end(pid);
    if (status != 0)
        fail_msg("status 0x%x (of an exit: line modulo 97, plus 1)", (unsigned)status);
}

static void echo(int fd)
{
    struct pollfd waits = { .fd = fd, .events = POLLIN };
    char text[16];
    struct iovec part = { text, sizeof text };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t n;

    MUST(poll(&waits, 1, 5000) == 1);
    n = read(fd, text, sizeof text);
    MUST(n == 4 && write(fd, text, 4) == 4);
    MUST(ppoll(&waits, 1, &(struct timespec){ 5, 0 }, NULL) == 1);
    n = recv(fd, text, sizeof text, 0);
    MUST(n == 4 && send(fd, text, 4, MSG_NOSIGNAL) == 4);
    n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    part.iov_len = 4;
    MUST(n == 4 && sendmsg(fd, &message, MSG_NOSIGNAL) == 4);
    part.iov_len = sizeof text;
    n = readv(fd, &part, 1);
    part.iov_len = 4;
    MUST(n == 4 && writev(fd, &part, 1) == 4);
}

static void echo_all(void)
{
    const int fds[] = { deed_client, deed_upstream, deed_control };

    for (size_t i = 0; i < 3; i++) {
        int flags = fcntl(fds[i], F_GETFL);
        MUST(flags >= 0 && fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fds[i], F_SETFL, flags) == 0);
        echo(fds[i]);
    }
    struct pollfd all[] = { { .fd = fds[0] }, { .fd = fds[1] }, { .fd = fds[2] } };
    MUST(poll(all, 3, 10) == 0);
    MUST(shutdown(fds[0], SHUT_WR) == 0 && close(fds[0]) == 0);
}

static void hear_echo(int fd)
{
    char text[16];

    for (int i = 0; i < 4; i++) {
        assert_int_equal(send(fd, "echo", 4, MSG_NOSIGNAL), 4);
        assert_int_equal(recv(fd, text, sizeof text, 0), 4);
        assert_memory_equal(text, "echo", 4);
    }
}

static void hear_echoes(pid_t pid)
{
    char byte;

    (void)pid;
    hear_echo(client);
    hear_echo(upstream);
    hear_echo(control);
    assert_int_equal(recv(client, &byte, 1, 0), 0);
}

static void the_sockets_work(void **state)
{
    (void)state;
    works(echo_all, hear_echoes);
}

static void use_memory(void)
{
    for (size_t size = 1; size <= 64U << 20; size *= 4) {
        char *a = malloc(size), *b;
        MUST(a);
        memset(a, 1, size);
        b = realloc(a, 2 * size);
        MUST(b && b[size - 1] == 1);
        free(b);
    }
    void *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_WRITE) == 0 && munmap(page, 4096) == 0);
    void *volatile much = malloc(CONFINE_MEMORY_MAX); /* volatile: what nobody uses is not asked for */
    MUST(!much);
}

static void memory_works_within_its_bound(void **state)
{
    (void)state;
    works(use_memory, NULL);
}

#define DOCUMENT "<domain><uuid>5a3b1e00-0000-4000-8000-000000000001</uuid><cpu>"

/* Of what was tried, this takes most memory for its length. */
static void rewrite_a_large_document(void)
{
    static const struct uuid uuid = { { 0x5a, 0x3b, 0x1e, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1 } };
    char *xml = malloc(RPC_XML_MAX), *at, *got;
    size_t len;

    MUST(xml);
    at = stpcpy(xml, DOCUMENT);
    while ((size_t)(at - xml) + 32 < RPC_XML_MAX)
        at = stpcpy(at, "<a/>x");
    stpcpy(at, "</cpu></domain>");
    MUST(rpc_xml_rewrite(xml, strlen(xml), &uuid, NULL, RIGHT_ALL, &got, &len) == 0 && len > RPC_XML_MAX / 2);
    stpcpy(at, "</cpu></domaine>");
    MUST(rpc_xml_rewrite(xml, strlen(xml), &uuid, NULL, RIGHT_ALL, &got, &len) == -EINVAL);
    stpcpy(xml, "<?xml version='1.0' encoding='KOI8-R'?>" DOCUMENT "</cpu></domain>"); /* iconv would open files */
    MUST(rpc_xml_rewrite(xml, strlen(xml), &uuid, NULL, 0, &got, &len) == -EINVAL);
    stpcpy(xml, DOCUMENT "<?xml version='1.0' encoding='KOI8-R'?></cpu></domain>");
    MUST(rpc_xml_rewrite(xml, strlen(xml), &uuid, NULL, 0, &got, &len) == -EINVAL);
}

static void domains_are_rewritten(void **state)
{
    (void)state;
    works(rewrite_a_large_document, NULL);
}

static volatile sig_atomic_t handled;

static void handle(int signal_number)
{
    handled = signal_number;
}

/* Handlers are installed before. */
static void wait_for_a_signal(void)
{
    struct pollfd waits = { .fd = deed_client, .events = POLLIN };

    MUST(write(deed_client, "w", 1) == 1);
    MUST(poll(&waits, 1, 20000) == -1 && errno == EINTR && handled == SIGTERM);
}

static void wait_for_a_byte(void)
{
    struct pollfd waits = { .fd = deed_client, .events = POLLIN };

    MUST(write(deed_client, "w", 1) == 1);
    MUST(poll(&waits, 1, 20000) == 1);
}

static void nap(void)
{
    nanosleep(&(struct timespec){ 0, 50 * 1000000 }, NULL);
}

static void await_byte(void)
{
    char byte;

    assert_int_equal(recv(client, &byte, 1, 0), 1);
    nap();
}

static void send_a_signal(pid_t pid)
{
    await_byte();
    assert_int_equal(kill(pid, SIGTERM), 0);
}

static void stop_it_a_while(pid_t pid)
{
    int status;

    await_byte();
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(pid, SIGCONT), 0);
    nap();
    assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), 1);
}

static void signals_are_survived(void **state)
{
    struct sigaction action = { .sa_handler = handle }, before;

    (void)state;
    assert_int_equal(sigaction(SIGTERM, &action, &before), 0);
    works(wait_for_a_signal, send_a_signal);
    assert_int_equal(sigaction(SIGTERM, &before, NULL), 0);
    works(wait_for_a_byte, stop_it_a_while);
}

/* By the numbers, since the vdso hides the calls; and what glibc calls by itself. */
static void ask_for_little(void)
{
    struct timespec now;
    char random[8];

    MUST(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) == 0 && now.tv_sec + now.tv_nsec > 0);
    MUST(syscall(SYS_getrandom, random, sizeof random, 0) == sizeof random);
    MUST(time(NULL) > 0);
    exit(0); /* its handlers, too */
}

static void time_and_the_end(void **state)
{
    (void)state;
    works(ask_for_little, NULL);
}

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static void take_a_descriptor(void)
{
    char byte, space[CMSG_SPACE(4 * sizeof(int))];
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space };

    MUST(recvmsg(deed_client, &message, 0) == 1);
    MUST((message.msg_flags & MSG_CTRUNC) && !CMSG_FIRSTHDR(&message));
}

static void send_a_descriptor(pid_t pid)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ancillary = { .align = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    char byte = 'x';
    struct iovec part = { &byte, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary };

    (void)pid;
    memcpy(CMSG_DATA(&ancillary.align), &client, sizeof client);
    assert_int_equal(sendmsg(client, &message, MSG_NOSIGNAL), 1);
}

static void no_descriptor_comes_in(void **state)
{
    pid_t pid;
    int status;

    (void)state;
    pid = start(); /* as it is: it comes in */
    if (pid == 0) {
        take_a_descriptor();
        _exit(0);
    }
    send_a_descriptor(pid);
    status = end(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 0);
    works(take_a_descriptor, send_a_descriptor);
}

static void wait_for_the_end(void)
{
    char byte;

    MUST(write(deed_client, "w", 1) == 1);
    while (read(deed_client, &byte, 1) > 0)
        ;
}

/* The ends of pipes at numbers below, between and above the sockets. */
static void others_are_closed(void **state)
{
    struct rlimit files;
    int pipes[3][2], high;
    pid_t pid;
    char byte;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    high = files.rlim_cur > 900 ? 900 : 90;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
    pid = start();
    if (pid == 0) {
        MUST(dup2(deed_upstream, 60) == 60 && dup2(deed_control, 80) == 80);
        close(deed_upstream);
        close(deed_control);
        deed_upstream = 60;
        deed_control = 80;
        MUST(dup2(pipes[0][1], 70) == 70 && dup2(pipes[1][1], high) == high && dup2(pipes[2][1], STDIN_FILENO) == STDIN_FILENO);
        MUST(confine_here() == 0);
        wait_for_the_end();
        _exit(0);
    }
    assert_int_equal(recv(client, &byte, 1, 0), 1);
    for (size_t i = 0; i < 3; i++) {
        struct pollfd waits = { .fd = pipes[i][0] };
        close(pipes[i][1]);
        assert_int_equal(poll(&waits, 1, 5000), 1);
        assert_int_equal(waits.revents, POLLHUP);
        close(pipes[i][0]);
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    shutdown(client, SHUT_WR);
    assert_int_equal(end(pid), 0);
}

static void any_numbers_will_do(void **state)
{
    pid_t pid = start();

    (void)state;
    if (pid == 0) { /* libvirtd on 0, the client on 2, no control */
        MUST(dup2(deed_upstream, 0) == 0 && dup2(deed_client, 2) == 2);
        deed_upstream = 0;
        deed_client = 2;
        deed_control = -1;
        MUST(confine_here() == 0);
        wait_for_the_end();
        MUST(write(0, "u", 1) == 1);
        _exit(0);
    }
    char byte;
    assert_int_equal(recv(client, &byte, 1, 0), 1);
    shutdown(client, SHUT_WR);
    assert_int_equal(recv(upstream, &byte, 1, 0), 1);
    assert_int_equal(byte, 'u');
    assert_int_equal(end(pid), 0);
}

static void a_number_that_is_not_open_is_refused(void **state)
{
    pid_t pid = start();

    (void)state;
    if (pid == 0) {
        MUST(confine_rpc(deed_client, -1, -1) == -EBADF);
        MUST(confine_rpc(deed_client, 77, deed_control) == -EBADF);
        close(deed_control);
        MUST(confine_rpc(deed_client, deed_upstream, deed_control) == -EBADF); /* the next number that open() gives */
        _exit(0);
    }
    assert_int_equal(end(pid), 0);
}

/* --- seen from outside ------------------------------------------------------------------------------------------- */

static void status_says(pid_t pid, const char *line)
{
    char path[64], text[8192];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = '\0';
    if (!strstr(text, line))
        fail_msg("%s is not in %s", line, text);
}

static void limit_is(pid_t pid, __rlimit_resource_t resource, rlim_t value)
{
    struct rlimit limit;

    assert_int_equal(prlimit(pid, resource, NULL, &limit), 0);
    assert_int_equal(limit.rlim_cur, value);
    assert_int_equal(limit.rlim_max, value);
}

static void look_at_it(pid_t pid)
{
    await_byte();
    status_says(pid, "\nNoNewPrivs:\t1\n");
    status_says(pid, "\nSeccomp:\t2\n");
    limit_is(pid, RLIMIT_CORE, 0);
    limit_is(pid, RLIMIT_FSIZE, 0);
    limit_is(pid, RLIMIT_NPROC, 0);
    limit_is(pid, RLIMIT_NOFILE, CONFINE_SOCKETS_MAX);
    limit_is(pid, RLIMIT_AS, CONFINE_MEMORY_MAX);
    shutdown(client, SHUT_WR);
}

static void it_shows(void **state)
{
    (void)state;
    works(wait_for_the_end, look_at_it);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(landlock_denies_files),
        cmocka_unit_test(landlock_denies_tcp_and_signals),
        cmocka_unit_test(limits_leave_no_descriptor),
        cmocka_unit_test(the_sockets_work),
        cmocka_unit_test(memory_works_within_its_bound),
        cmocka_unit_test(domains_are_rewritten),
        cmocka_unit_test(signals_are_survived),
        cmocka_unit_test(time_and_the_end),
        cmocka_unit_test(no_descriptor_comes_in),
        cmocka_unit_test(others_are_closed),
        cmocka_unit_test(any_numbers_will_do),
        cmocka_unit_test(a_number_that_is_not_open_is_refused),
        cmocka_unit_test(it_shows),
    };
    struct CMUnitTest tests[128];
    size_t n = 0;

    if (CONFINE_SANITIZED) {
        puts("1..0 # SKIP the sanitizers do not work confined, so a build with them is not");
        return 0;
    }
    rpc_xml_prepare();
    assert_true(n_deeds + sizeof others / sizeof others[0] <= 128);
    for (size_t i = 0; i < n_deeds; i++) {
        union {
            const struct deed *deed;
            void *state;
        } state = { &deeds[i] };
        tests[n++] = (struct CMUnitTest){ deeds[i].name, ends_whoever_tries, NULL, NULL, state.state };
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        tests[n++] = others[i];
    return _cmocka_run_group_tests("confine_rpc", tests, n, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "base/text.h"

#define OUTPUT_MAX (1 << 20)

const struct probe_as probe_nobody = { .uid = 65534, .gid = 65534 };

/* Nothing of root's is left: groups first, for they can only be dropped while one is root. */
static int become(const struct probe_as *as)
{
    if (!as)
        return 0;
    if (setgroups(as->n_groups, as->groups) < 0 || setresgid(as->gid, as->gid, as->gid) < 0 ||
        setresuid(as->uid, as->uid, as->uid) < 0)
        return -errno;
    return 0;
}

/* Its exit status, or 128 + signal; -ETIMEDOUT when it has not ended by then. */
static int wait_for(pid_t pid, int milliseconds)
{
    int64_t end = io_monotonic_ms() + milliseconds;
    FD_AUTO fd = (int)syscall(SYS_pidfd_open, pid, 0);

    for (;;) {
        int status;
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (ended < 0 && errno != EINTR)
            return -errno;
        int64_t left = end - io_monotonic_ms();
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        if (left <= 0)
            return -ETIMEDOUT;
        /* Without pidfds (Linux before 5.3) now and then. */
        poll(&wait, 1, fd >= 0 || left < 5 ? (int)left : 5);
    }
}

/* A process that waits for a file system which does not answer may not even heed SIGKILL; it is left behind then. */
static int wait_or_kill(pid_t pid, int milliseconds)
{
    int status = wait_for(pid, milliseconds);

    if (status != -ETIMEDOUT)
        return status;
    kill(pid, SIGKILL);
    return wait_for(pid, 1000) == -ETIMEDOUT ? -ETIMEDOUT : 128 + SIGKILL;
}

/* --- programs ---------------------------------------------------------------------------------------------------- */

static void run_child(unsigned seconds, const char *const argv[], const char *const env[], const struct probe_as *as, int out)
{
    static const char *const none[] = { NULL };
    FD_AUTO null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    alarm(seconds + 1); /* should doctor itself be gone */
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || chdir("/") < 0 || become(as) < 0)
        _exit(126);
    /* execve(2) takes strings that it does not change by pointers that say otherwise. */
    union { const char *const *in; char *const *out; } words = { .in = argv }, variables = { .in = env ? env : none };
    execve(argv[0], words.out, variables.out);
    _exit(127);
}

/* Reads until the program closes its output or its time is over; text has OUTPUT_MAX + 1 bytes. */
static void collect(unsigned seconds, int fd, char *text)
{
    int64_t end = io_monotonic_ms() + seconds * 1000;
    size_t len = 0;

    for (;;) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int64_t left = end - io_monotonic_ms();
        if (left <= 0 || len == OUTPUT_MAX)
            break;
        if (poll(&wait, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, text + len, OUTPUT_MAX - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
}

int probe_run(const char *const argv[], const char *const env[], const struct probe_as *as, char **ret_out)
{
    return probe_run_within(PROBE_SECONDS, argv, env, as, ret_out);
}

int probe_run_within(unsigned seconds, const char *const argv[], const char *const env[], const struct probe_as *as,
                     char **ret_out)
{
    char *text = malloc(OUTPUT_MAX + 1);
    int ends[2];

    if (!text)
        return -ENOMEM;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        free(text);
        return -errno;
    }
    pid_t pid = fork();
    if (pid == 0)
        run_child(seconds, argv, env, as, ends[1]);
    int error = errno;
    fd_close(&ends[1]);
    if (pid > 0)
        collect(seconds, ends[0], text);
    fd_close(&ends[0]);
    if (pid < 0) {
        free(text);
        return -error;
    }
    /* One that closed its output and lives on is not waited for. */
    int status = wait_or_kill(pid, 5000);
    *ret_out = text;
    return status;
}

/* --- what an account can do -------------------------------------------------------------------------------------- */

int probe_do(const struct probe_as *as, int (*what)(const void *arg), const void *arg)
{
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        alarm(PROBE_SECONDS);
        _exit(become(as) < 0 ? 255 : what(arg));
    }
    int status = wait_or_kill(pid, (PROBE_SECONDS + 1) * 1000);
    return status == 128 + SIGALRM || status == 128 + SIGKILL ? -ETIMEDOUT : status == 255 ? -EPERM : status;
}

struct address {
    int family, type;
    struct sockaddr_storage name;
    socklen_t len;
};

static int try_connect(const void *arg)
{
    const struct address *to = arg;
    FD_AUTO fd = socket(to->family, to->type | SOCK_CLOEXEC, 0);
    struct timeval two = { .tv_sec = 2 };

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &two, sizeof two) < 0)
        return PROBE_UNCLEAR;
    if (connect(fd, (const struct sockaddr *)&to->name, to->len) == 0)
        return PROBE_REACHED;
    /* EPROTOTYPE: of another kind, but it may be connected to. EAGAIN: nobody takes us, the queue is full. */
    if (errno == ECONNREFUSED || errno == EACCES || errno == EPERM || errno == ENOENT || errno == ENETUNREACH)
        return PROBE_REFUSED;
    return errno == EPROTOTYPE ? PROBE_REACHED : PROBE_UNCLEAR;
}

static enum probe_answer answer(int r)
{
    return r == PROBE_REACHED || r == PROBE_REFUSED ? (enum probe_answer)r : PROBE_UNCLEAR;
}

enum probe_answer probe_tcp(const struct probe_as *as, const char *host, uint16_t port)
{
    struct address to = { .type = SOCK_STREAM };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&to.name, &v4, to.len = sizeof v4);
    } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(&to.name, &v6, to.len = sizeof v6);
    } else {
        return PROBE_UNCLEAR;
    }
    to.family = to.len == sizeof v4 ? AF_INET : AF_INET6;
    return answer(probe_do(as, try_connect, &to));
}

enum probe_answer probe_unix(const struct probe_as *as, const char *path, int type)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    struct address to = { .family = AF_UNIX, .type = type, .len = sizeof name };

    if (text_copy(name.sun_path, sizeof name.sun_path, path) < 0)
        return PROBE_UNCLEAR;
    if (path[0] == '@') {
        name.sun_path[0] = '\0';
        to.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    }
    memcpy(&to.name, &name, sizeof name);
    return answer(probe_do(as, try_connect, &to));
}

char *probe_read(const char *path)
{
    FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;
    size_t len;

    if (fd < 0 || io_read_all(fd, OUTPUT_MAX, &text, &len) < 0)
        return NULL;
    return text;
}

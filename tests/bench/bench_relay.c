/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The relay against socat and nc: bytes from a socket to a socket pair, which is what sshd gives a command for standard
 * input and output. Each relay is a process of its own; its processor time is the kernel's account of it.
 * bench_relay [MIB [ROUNDS]] */
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "relay/relay.h"

#define ROUNDS_MAX 20

static size_t total;

struct source {
    int fd;
    int listener; /* -1: fd is connected already */
};

static void *send_all(void *context)
{
    static char block[256 * 1024];
    struct source *source = context;

    if (source->listener >= 0)
        source->fd = accept4(source->listener, NULL, NULL, SOCK_CLOEXEC);
    for (size_t left = total; left > 0;) {
        ssize_t n = write(source->fd, block, left < sizeof block ? left : sizeof block);
        if (n <= 0)
            break;
        left -= (size_t)n;
    }
    fd_close(&source->fd);
    return NULL;
}

static int listen_on_loopback(unsigned *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        exit(71);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        exit(71);
    return fd;
}

enum kind { OURS_TCP, OURS_UNIX, SOCAT, NC, KINDS };
static const char *const kind_name[KINDS] = { "virtgate, from TCP", "virtgate, from AF_UNIX", "socat, from TCP",
                                              "nc, from TCP" };

static void become_relay(enum kind kind, unsigned port, int stream)
{
    struct relay relay = { .in = 0, .out = 1, .stream = stream, .control = -1 };
    struct relay_totals totals;
    char text[32];

    snprintf(text, sizeof text, kind == SOCAT ? "TCP:127.0.0.1:%u" : "%u", port);
    switch (kind) {
    case OURS_TCP:
        relay.stream = connect_to(port);
        __attribute__((fallthrough));
    case OURS_UNIX:
        _exit(relay_run(&relay, &totals) == RELAY_STREAM_ENDED && totals.to_user == total ? 0 : 1);
    case SOCAT:
        execlp("socat", "socat", "-", text, (char *)NULL);
        break;
    case NC:
        execlp("nc.openbsd", "nc", "127.0.0.1", text, (char *)NULL);
        break;
    case KINDS:
        break;
    }
    _exit(127);
}

static double seconds(struct timeval a)
{
    return (double)a.tv_sec + (double)a.tv_usec / 1e6;
}

static void run(enum kind kind, double *ret_wall, double *ret_cpu)
{
    int user[2], stream[2] = { -1, -1 };
    struct source source = { -1, -1 };
    static char block[256 * 1024];
    struct timespec start, end;
    struct rusage usage;
    unsigned port = 0;
    pthread_t thread;
    size_t got = 0;
    int status;

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, user);
    if (kind == OURS_UNIX) {
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream);
        source.fd = stream[0];
    } else {
        source.listener = listen_on_loopback(&port);
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(user[1], 0);
        dup2(user[1], 1);
        fd_close(&user[0]);
        fd_close(&user[1]);
        fd_close(&stream[0]);
        become_relay(kind, port, stream[1]);
    }
    fd_close(&user[1]);
    fd_close(&stream[1]);
    pthread_create(&thread, NULL, send_all, &source);
    for (ssize_t n; got < total && (n = read(user[0], block, sizeof block)) > 0;)
        got += (size_t)n;
    clock_gettime(CLOCK_MONOTONIC, &end);
    pthread_join(thread, NULL);
    fd_close(&user[0]); /* nc waits for the end of its input */
    wait4(pid, &status, 0, &usage);
    fd_close(&source.listener);
    if (got != total || (kind <= OURS_UNIX && status != 0)) {
        fprintf(stderr, "%s: only %zu bytes of %zu, status %d\n", kind_name[kind], got, total, status);
        exit(70);
    }
    *ret_wall = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    *ret_cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char *argv[])
{
    double wall[KINDS][ROUNDS_MAX], cpu[KINDS][ROUNDS_MAX];
    int rounds = argc > 2 ? atoi(argv[2]) : 5;

    total = (size_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    for (int round = 0; round < rounds; round++) /* in turn, so that a drift of the machine meets all alike */
        for (enum kind kind = 0; kind < KINDS; kind++)
            run(kind, &wall[kind][round], &cpu[kind][round]);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        qsort(wall[kind], (size_t)rounds, sizeof(double), by_value);
        qsort(cpu[kind], (size_t)rounds, sizeof(double), by_value);
        printf("%-24s %zu MiB: wall median %.2f s, CPU median %.2f s (%.2f s per GiB)\n", kind_name[kind], total >> 20,
               wall[kind][rounds / 2], cpu[kind][rounds / 2],
               cpu[kind][rounds / 2] * 1024.0 / (double)(total >> 20));
    }
    return 0;
}

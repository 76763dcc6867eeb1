/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the gate itself adds: from connect() to the first byte of a display, without ssh. Run as a user of the gate in
 * `tests/sandbox --up`: bench_broker COMMAND [RUNS [PAUSE_MS]], such as bench_broker 'display cards2'. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "shell/gate.h"

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char *argv[])
{
    int runs = argc > 2 ? atoi(argv[2]) : 30, pause_ms = argc > 3 ? atoi(argv[3]) : 200;
    struct request request = { .kind = REQUEST_COMMAND, .said = "bench" };
    char why[COMMAND_WHY_SIZE];
    double *took = calloc((size_t)runs + 1, sizeof *took);
    struct gate_answer answer;
    char banner[12];

    if (argc < 2 || !took || command_parse(argv[1], strlen(argv[1]), &request.command, why) < 0)
        return 64;
    for (int i = 0; i < runs; i++) {
        double start = now_ms();
        int status = gate_ask(&request, &answer);
        if (status)
            return status;
        struct pollfd wait = { .fd = answer.fd, .events = POLLIN };
        if (poll(&wait, 1, 5000) != 1 || read(answer.fd, banner, sizeof banner) != sizeof banner)
            return 69;
        took[i] = now_ms() - start;
        gate_answer_close(&answer);
        usleep((useconds_t)pause_ms * 1000);
    }
    qsort(took, (size_t)runs, sizeof *took, by_value);
    printf("connect to first byte, %d runs: median %.2f ms, min %.2f, 90%% %.2f\n", runs, took[runs / 2], took[0],
           took[runs * 9 / 10]);
    return 0;
}

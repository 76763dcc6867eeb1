/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every door of a host, tried from outside (src/probe). */
#include "probe/probe.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/io.h"
#include "client/client.h"
#include "probe/probe_print.h"

static int read_number(const char *text, const char *name, uint64_t max, uint64_t *ret)
{
    if (text && io_parse_number(text, strlen(text), 1, max, ret) < 0)
        return say_error(EX_USAGE, "%s is a number from 1 to %llu", name, (unsigned long long)max);
    return 0;
}

static int read_options(const struct options *options, struct probe_options *ret)
{
    uint64_t port, timeout = 5, max_time = 600, rate = 5;

    if (read_number(options->probe.other_port, "--other-port", 65535, &port)
        || read_number(options->probe.timeout, "--timeout", 600, &timeout)
        || read_number(options->probe.max_time, "--max-time", 86400, &max_time)
        || read_number(options->probe.rate, "--rate", 100, &rate))
        return EX_USAGE;
    *ret = (struct probe_options){
        .config = &options->remote.login, .ssh = options->remote.ssh ? options->remote.ssh : "ssh",
        .other = { .name = options->probe.other, .uuid = options->probe.other_uuid, .port = options->probe.other_port,
                   .path = options->probe.other_path, .runs = options->probe.other_runs },
        .expect = options->probe.expect, .only = options->probe.only, .against_open = options->probe.against_open,
        .login_pause_ms = (int)(1000 / rate), .answer_ms = (int)timeout * 1000, .max_ms = (int64_t)max_time * 1000,
    };
    return 0;
}

static volatile sig_atomic_t stopped;

/* The ssh(1) that was started and its folder must not stay behind. A second signal ends it all the same. */
static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void heed_signals(void)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = stop, .sa_flags = (int)SA_RESETHAND };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
}

static void print_line(void *context, const struct result *result)
{
    (void)context;
    probe_print_line(stdout, result->id, result->tried, &result->finding);
    fflush(stdout);
}

static void print_sum(const struct results *results)
{
    const char *comma = "";

    for (enum verdict verdict = VERDICT_CLOSED; verdict <= VERDICT_FAILS; verdict++) {
        size_t n = results_count(results, verdict);

        if (n)
            printf("%s%zu %s", comma, n, verdict_name(verdict));
        if (n)
            comma = ", ";
    }
    putchar('\n');
}

/* All of it, or lines that nobody could read. */
static int report(const struct probe_options *options, const char *host, const struct results *results, bool json)
{
    if (json)
        probe_print_json(stdout, host, results, options->against_open);
    else
        print_sum(results);
    return fflush(stdout) || ferror(stdout) ? EX_IOERR : results_status(results, options->against_open);
}

int client_probe(const struct options *options, size_t n, const char *const *argv)
{
    struct probe_options probe;
    struct results results = { 0 };
    char why[WHY_SIZE];
    int status = read_options(options, &probe);

    (void)n;
    if (status)
        return status;
    status = login_new(argv[0], &options->remote.login, &probe.login, why);
    if (status)
        return say_error(status, "%s: %s", argv[0], why);
    login_say_lacking(probe.login);
    if (!options->probe.json)
        probe.told = print_line;
    probe.stop = &stopped;
    heed_signals();
    say_progress("%s: connecting", argv[0]);
    status = probe_run(&probe, &results, why);
    if (status)
        say_error(status, "%s: %s", argv[0], why);
    else
        status = report(&probe, argv[0], &results, options->probe.json);
    results_free(&results);
    login_free(probe.login);
    return status;
}

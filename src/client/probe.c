/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every door of a host, tried from outside (src/probe). */
#include "probe/probe.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/io.h"
#include "base/uuid.h"
#include "client/client.h"
#include "probe/probe_print.h"

static int read_number(const char *text, const char *name, uint64_t max, uint64_t *ret)
{
    if (text && io_parse_number(text, strlen(text), 1, max, ret) < 0)
        return say_error(EX_USAGE, "%s is a number from 1 to %llu", name, (unsigned long long)max);
    return 0;
}

/* What the gate's parser would refuse for its form proves nothing. */
static int check_name(const char *name)
{
    char command[CLIENT_COMMAND_SIZE];

    return name ? client_command(command, "display", NULL, 1, &name) : 0;
}

static int check_other(const struct options *options)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+:@,-";
    const char *uuid = options->probe.other_uuid, *path = options->probe.other_path;
    struct uuid parsed;

    if (check_name(options->probe.other) || check_name(options->probe.expect))
        return EX_USAGE;
    if (options->probe.other && strncmp(options->probe.other, "uuid:", 5) == 0)
        return say_error(EX_USAGE, "--other is a name; the uuid goes with --other-uuid");
    if (uuid && uuid_parse(uuid, strlen(uuid), &parsed) < 0)
        return say_error(EX_USAGE, "--other-uuid is a uuid, as virsh domuuid prints it");
    if (path && (path[0] != '/' || path[strspn(path, plain)]))
        return say_error(EX_USAGE, "--other-path begins with '/' and has neither blanks nor quotes");
    return 0;
}

static int read_options(const struct options *options, struct probe_options *ret)
{
    uint64_t port, timeout = 5, max_time = 600, rate = 5;

    if (read_number(options->probe.other_port, "--other-port", 65535, &port)
        || read_number(options->probe.timeout, "--timeout", 600, &timeout)
        || read_number(options->probe.max_time, "--max-time", 86400, &max_time)
        || read_number(options->probe.rate, "--rate", 100, &rate) || check_other(options))
        return EX_USAGE;
    if (options->probe.only && !probe_has(options->probe.only))
        return say_error(EX_USAGE, "no door is called '%.60s'; without --only all are tried, and their names shown",
                         options->probe.only);
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

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <getopt.h>
#include <libssh/libssh.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/io.h"
#include "probe/probe.h"
#include "probe/probe_print.h"

static const char usage[] =
    "usage: virtgate-probe [OPTIONS] [USER@]HOST[:PORT]\n"
    "\n"
    "Logs in as a user of the gate and tries every door. One line for each: closed, OPEN, unknown.\n"
    "\n"
    "  -i FILE                  private key (else the agent's and the default ones)\n"
    "      --known-hosts FILE   where the host's key is known (else the user's own)\n"
    "      --other NAME         a machine that is not the user's, --other-uuid UUID its uuid,\n"
    "      --other-port PORT    the port of its display, --other-path PATH its display's socket:\n"
    "                           --other-runs says that it runs (then starting it is tried);\n"
    "                           what is not told is not tried, and unknown\n"
    "      --expect VM          also open this console, which is the user's\n"
    "      --only PATTERN       only doors whose names match\n"
    "      --as-json            for programs\n"
    "      --against-open-sshd  the host is open on purpose: every door must be found so\n"
    "      --timeout SECONDS    for an answer (5); --max-time SECONDS for all of it (600)\n"
    "      --rate N             logins a second at most (5)\n"
    "\n"
    "Exit status: 0 all closed, 78 one is open, 69 some unknown or no login, 64 usage.\n";

enum { KNOWN_HOSTS = 256, OTHER, OTHER_UUID, OTHER_PORT, OTHER_PATH, OTHER_RUNS, EXPECT, ONLY, AS_JSON,
       AGAINST_OPEN, TIMEOUT, MAX_TIME, RATE, HELP };

static const struct option long_options[] = {
    { "known-hosts", required_argument, NULL, KNOWN_HOSTS }, { "other", required_argument, NULL, OTHER },
    { "other-uuid", required_argument, NULL, OTHER_UUID }, { "other-port", required_argument, NULL, OTHER_PORT },
    { "other-path", required_argument, NULL, OTHER_PATH }, { "other-runs", no_argument, NULL, OTHER_RUNS },
    { "expect", required_argument, NULL, EXPECT },
    { "only", required_argument, NULL, ONLY }, { "as-json", no_argument, NULL, AS_JSON },
    { "against-open-sshd", no_argument, NULL, AGAINST_OPEN }, { "timeout", required_argument, NULL, TIMEOUT },
    { "max-time", required_argument, NULL, MAX_TIME }, { "rate", required_argument, NULL, RATE },
    { "help", no_argument, NULL, HELP },
    { NULL, 0, NULL, 0 },
};

static _Noreturn void usage_error(const char *what)
{
    fprintf(stderr, "virtgate-probe: %s\n%s", what, usage);
    exit(EX_USAGE);
}

static uint64_t number(const char *text, uint64_t max, const char *complaint)
{
    uint64_t n;

    if (io_parse_number(text, strlen(text), 1, max, &n) < 0)
        usage_error(complaint);
    return n;
}

/* True for --as-json. */
static bool read_options(int argc, char **argv, struct probe_options *options)
{
    bool json = false;

    for (int c; (c = getopt_long(argc, argv, "i:h", long_options, NULL)) != -1;) {
        switch (c) {
        case 'i': options->host.identity = optarg; break;
        case KNOWN_HOSTS: options->host.known_hosts = optarg; break;
        case OTHER: options->other.name = optarg; break;
        case OTHER_UUID: options->other.uuid = optarg; break;
        case OTHER_PORT: number(optarg, 65535, "--other-port is a number up to 65535"); options->other.port = optarg; break;
        case OTHER_PATH: options->other.path = optarg; break;
        case OTHER_RUNS: options->other.runs = true; break;
        case EXPECT: options->expect = optarg; break;
        case ONLY: options->only = optarg; break;
        case AS_JSON: json = true; break;
        case AGAINST_OPEN: options->against_open = true; break;
        case TIMEOUT: options->answer_ms = (int)(number(optarg, 600, "--timeout is 1 to 600 seconds") * 1000); break;
        case MAX_TIME: options->max_ms = (int64_t)(number(optarg, 86400, "--max-time is 1 to 86400 seconds") * 1000); break;
        case RATE: options->login_pause_ms = (int)(1000 / number(optarg, 100, "--rate is 1 to 100")); break;
        case HELP: case 'h': fputs(usage, stdout); exit(EX_OK);
        default: fputs(usage, stderr); exit(EX_USAGE);
        }
    }
    return json;
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
    signal(SIGPIPE, SIG_IGN);
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

int main(int argc, char **argv)
{
    struct probe_options options = { .answer_ms = 5000, .max_ms = 600000, .login_pause_ms = 200 };
    struct results results = { 0 };
    char why[PROBE_SEEN_SIZE], host[512];
    bool json = read_options(argc, argv, &options);
    int r, status;

    if (optind != argc - 1)
        usage_error("expected one host");
    if (probe_host_parse(argv[optind], host, sizeof host, &options.host) < 0)
        usage_error("not [user@]host[:port]");
    options.host.timeout_ms = options.answer_ms;
    if (!json)
        options.told = print_line;
    options.stop = &stopped;
    heed_signals();
    ssh_init();
    r = probe_run(&options, &results, why, sizeof why);
    if (r < 0) {
        fprintf(stderr, "virtgate-probe: %s\n", r == -EACCES ? why : strerror(-r));
        return EX_UNAVAILABLE;
    }
    status = results_status(&results, options.against_open);
    if (json)
        probe_print_json(stdout, options.host.host, &results, options.against_open);
    else
        print_sum(&results);
    results_free(&results);
    ssh_finalize();
    return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "broker/broker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>

#include <systemd/sd-daemon.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/serve.h"
#include "broker/sessions.h"

#define WORKERS_AHEAD 4
#define FILTERS_AHEAD 2
#define FDS_PER_CONNECTION 5
#define FDS_BESIDE 128

void broker_log_errors(const struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        log_say(LOG_ERR, "%s:%u: %s", errors->list[i].file, errors->list[i].line, errors->list[i].message);
}

int broker_reload(struct broker *broker, char why[static VERDICT_TEXT_SIZE])
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    int r = policy_load(broker->config, 0, &policy, &errors);

    if (r < 0) {
        broker_log_errors(&errors);
        log_say(LOG_ERR, "reload: the ACL has errors; the one that was loaded before stays in force");
        if (errors.n)
            snprintf(why, VERDICT_TEXT_SIZE, "%.80s:%u: %.150s", errors.list[0].file, errors.list[0].line,
                     errors.list[0].message);
        else
            snprintf(why, VERDICT_TEXT_SIZE, "%s", strerror(-r));
        policy_errors_free(&errors);
        return r;
    }
    policy_errors_free(&errors);
    tzset(); /* hours are local time, and the zone may have changed too */
    policy_free(broker->policy);
    broker->policy = policy;
    workers_set_uri(broker->workers, policy_settings(policy)->uri);
    log_say(LOG_INFO, "reload: %zu rules in force", policy_n_rules(policy));
    sessions_look(broker);
    return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
    char why[VERDICT_TEXT_SIZE];

    (void)source;
    (void)info;
    sd_notify(0, "RELOADING=1");
    broker_reload(context, why);
    sd_notify(0, "READY=1");
    return 0;
}

/* As many connections as there can be descriptors for. */
static unsigned raise_limits(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return FDS_BESIDE;
    rlim_t wanted = BROKER_CONNECTIONS_MAX * FDS_PER_CONNECTION + FDS_BESIDE;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 2 * FDS_BESIDE)
        return 16;
    return (unsigned)((files.rlim_cur - FDS_BESIDE) / FDS_PER_CONNECTION);
}

static int load_first(struct broker *broker)
{
    struct policy_errors errors = { 0 };
    int r = policy_load(broker->config, 0, &broker->policy, &errors);

    broker_log_errors(&errors);
    policy_errors_free(&errors);
    return r;
}

static int set_up_events(struct broker *broker, const struct broker_options *options)
{
    int answers, r;
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
        return -errno;
    signal(SIGPIPE, SIG_IGN);
    r = sd_event_new(&broker->event);
    if (r >= 0)
        r = sd_event_add_signal(broker->event, NULL, SIGTERM, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(broker->event, NULL, SIGINT, NULL, NULL);
    if (r >= 0)
        r = sd_event_add_signal(broker->event, NULL, SIGHUP, on_reload, broker);
    if (r >= 0)
        r = identity_prepare(&answers);
    if (r >= 0)
        r = sd_event_add_io(broker->event, NULL, answers, EPOLLIN, serve_identities, broker);
    if (r >= 0)
        r = workers_new(broker->event, options->session_path, policy_settings(broker->policy)->uri, WORKERS_AHEAD,
                        &broker->workers);
    if (r >= 0)
        r = workers_new(broker->event, options->rpc_path, "", FILTERS_AHEAD, &broker->filters);
    if (r >= 0)
        r = sd_event_add_io(broker->event, NULL, broker->listener, EPOLLIN, serve_accept, broker);
    if (r >= 0)
        r = sd_event_set_watchdog(broker->event, true);
    return r;
}

int broker_run(const struct broker_options *options)
{
    struct broker broker = { .config = options->config, .listener = options->listener };
    int r, status = EX_CONFIG;

    broker.connections_max = raise_limits();
    if (load_first(&broker) < 0) {
        log_say(LOG_CRIT, "%s has errors: nobody is served", options->config);
        goto out;
    }
    status = EX_OSERR;
    r = set_up_events(&broker, options);
    if (r < 0) {
        log_say(LOG_CRIT, "cannot start: %s", strerror(-r));
        goto out;
    }
    log_say(LOG_INFO, "ready: %zu rules in force", policy_n_rules(broker.policy));
    sd_notify(0, "READY=1");
    r = sd_event_loop(broker.event);
    status = r < 0 ? EX_OSERR : EX_OK;
    sd_notify(0, "STOPPING=1");
    connections_drop(&broker);
    log_say(LOG_INFO, "stopped");
out:
    workers_free(broker.workers);
    workers_free(broker.filters);
    sd_event_unref(broker.event);
    policy_free(broker.policy);
    fd_close(&broker.listener);
    return status;
}

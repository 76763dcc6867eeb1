/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machines of several hosts, each host in a thread of its own: a slow one keeps nobody waiting longer than itself. */
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "client/client.h"
#include "client/thread.h"

#define LIST_MAX (8U * 1024 * 1024)
#define WATCH_S 2
#define CELL_SIZE 1100

struct host {
    const char *spec;
    const struct options *options;
    struct remote *remote;
    pthread_t thread;
    bool started;
    bool given_up;                 /* it does not let the user in: whoever asks again and again is locked out in the end */
    /* --- its answer --- */
    int status;
    json_t *machines;              /* an array of objects; NULL: none came, and said has why */
    struct remote_said said;
};

/* --- asking ------------------------------------------------------------------------------------------------------------ */

static bool is_listing(const json_t *value)
{
    const json_t *machine;
    size_t i;

    json_array_foreach(value, i, machine)
        if (!json_is_object(machine))
            return false;
    return json_is_array(value);
}

static void no_listing(struct host *host, int status, const char *why)
{
    host->status = status;
    host->said.len = (size_t)snprintf(host->said.text, sizeof host->said.text, "virtgate: %s: %s\n", host->spec, why);
}

static bool is_final(int status)
{
    return status == EX_NOPERM || status == EX_PROTOCOL || status == EX_CONFIG || status == EX_USAGE;
}

static void ask(struct host *host)
{
    char *text = NULL;
    size_t len = 0;

    if (host->given_up)
        return;
    json_decref(host->machines);
    host->machines = NULL;
    host->said.len = 0;
    if (!host->remote)
        host->status = remote_new(host->spec, &host->options->remote, &host->remote, &host->said);
    if (host->remote)
        host->status = remote_connect(host->remote, &host->said);
    host->given_up = is_final(host->status);
    if (host->remote && host->status == 0)
        host->status = remote_read(host->remote, "list --json", LIST_MAX, &text, &len, &host->said);
    if (host->status == 0 && !(host->machines = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL)))
        no_listing(host, EX_PROTOCOL,
                   "the answer is not a gate's list; is there a virtgate on this host, and are you in its group?");
    else if (host->status == 0 && !is_listing(host->machines))
        no_listing(host, EX_PROTOCOL, "the answer is not a gate's list");
    if (host->status) {
        json_decref(host->machines);
        host->machines = NULL;
    }
    free(text);
}

static void *run_host(void *context)
{
    ask(context);
    return NULL;
}

static void ask_all(struct host *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hosts[i].started = n > 1 && thread_start(&hosts[i].thread, run_host, &hosts[i]) == 0;
    for (size_t i = 0; i < n; i++) {
        if (hosts[i].started)
            pthread_join(hosts[i].thread, NULL);
        else
            ask(&hosts[i]);
    }
}

/* --- table -------------------------------------------------------------------------------------------------------------- */

enum { HOST, NAME, STATE, RIGHTS, COLUMNS };

struct row {
    char cell[COLUMNS][CELL_SIZE];
};

static size_t width_of(const char *cell)
{
    size_t width = 0;

    for (; *cell; cell++)
        width += ((unsigned char)*cell & 0xc0U) != 0x80;
    return width;
}

static void set_cell(char out[static CELL_SIZE], const char *text)
{
    text_escape(out, CELL_SIZE, text, strlen(text));
}

static void set_member(char out[static CELL_SIZE], const json_t *machine, const char *key)
{
    const char *text = json_string_value(json_object_get(machine, key));

    set_cell(out, text ? text : "?");
}

static void set_rights(char out[static CELL_SIZE], const json_t *machine)
{
    const json_t *rights = json_object_get(machine, "rights"), *right;
    char text[CELL_SIZE] = "";
    size_t len = 0, i;

    json_array_foreach(rights, i, right)
        if (json_is_string(right) && len < sizeof text)
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? ", " : "", json_string_value(right));
    set_cell(out, text);
}

static void fill_row(struct row *row, const struct host *host, const json_t *machine)
{
    set_cell(row->cell[HOST], host->spec);
    set_member(row->cell[NAME], machine, "name");
    set_member(row->cell[STATE], machine, "state");
    set_rights(row->cell[RIGHTS], machine);
}

static void print_row(FILE *out, const struct row *row, const size_t width[static COLUMNS], size_t first)
{
    for (size_t i = first; i + 1 < COLUMNS; i++)
        fprintf(out, "%s%*s", row->cell[i], (int)(width[i] - width_of(row->cell[i]) + 2), "");
    fprintf(out, "%s\n", row->cell[COLUMNS - 1]);
}

/* Once to see how wide the columns are, once to print. */
static void print_table(FILE *out, const struct host *hosts, size_t n)
{
    static const struct row head = { { "HOST", "NAME", "STATE", "RIGHTS" } };
    size_t width[COLUMNS], first = n > 1 ? HOST : NAME;
    struct row row;

    for (size_t i = 0; i < COLUMNS; i++)
        width[i] = width_of(head.cell[i]);
    for (int printing = 0; printing < 2; printing++) {
        if (printing)
            print_row(out, &head, width, first);
        for (size_t i = 0; i < n; i++) {
            const json_t *machine;
            size_t m;
            json_array_foreach(hosts[i].machines, m, machine) {
                fill_row(&row, &hosts[i], machine);
                for (size_t column = 0; column < COLUMNS; column++)
                    if (width_of(row.cell[column]) > width[column])
                        width[column] = width_of(row.cell[column]);
                if (printing)
                    print_row(out, &row, width, first);
            }
        }
    }
}

/* --- JSON --------------------------------------------------------------------------------------------------------------- */

/* Not by jansson: what a terminal would not show is written as an escape. */
static void put_value(struct json *json, const char *key, json_t *value)
{
    json_t *member;
    const char *name;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_ARRAY:
        json_put_open(json, key, '[');
        json_array_foreach(value, i, member)
            put_value(json, NULL, member);
        json_put_close(json, ']');
        break;
    case JSON_OBJECT:
        json_put_open(json, key, '{');
        json_object_foreach(value, name, member)
            put_value(json, name, member);
        json_put_close(json, '}');
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_put_bool(json, key, json_is_true(value));
        break;
    case JSON_INTEGER:
        json_put_int(json, key, json_integer_value(value));
        break;
    case JSON_REAL: /* the gate has none */
    case JSON_STRING:
    case JSON_NULL:
    default:
        json_put_string(json, key, json_string_value(value));
        break;
    }
}

/* [{"host": "a", "machines": [...]}, {"host": "b", "error": "..."}] */
static void print_json(FILE *out, const struct host *hosts, size_t n)
{
    struct json json = JSON_TO(out);

    json_put_open(&json, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        const struct host *host = &hosts[i];
        json_put_open(&json, NULL, '{');
        json_put_string(&json, "host", host->spec);
        if (host->machines) {
            json_put_open(&json, "machines", '[');
            json_t *machine;
            size_t m;
            json_array_foreach(host->machines, m, machine)
                put_value(&json, NULL, machine);
            json_put_close(&json, ']');
        } else {
            char line[SAY_LINE_SIZE];
            const char *end = memchr(host->said.text, '\n', host->said.len);
            say_harmless(line, host->said.text, end ? (size_t)(end - host->said.text) : host->said.len);
            json_put_string(&json, "error", line);
        }
        json_put_close(&json, '}');
    }
    json_put_close(&json, ']');
    json_put_end(&json);
}

/* --- once, and again and again -------------------------------------------------------------------------------------------- */

static void print_answers(FILE *out, const struct host *hosts, size_t n, bool as_json)
{
    if (as_json)
        print_json(out, hosts, n);
    else
        print_table(out, hosts, n);
}

/* The answers and complaints as one text, so that a watcher sees whether something has changed. */
static char *make_text(const struct host *hosts, size_t n, bool as_json)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    print_answers(out, hosts, n, as_json);
    for (size_t i = 0; i < n; i++)
        fwrite(hosts[i].said.text, 1, hosts[i].said.len, out);
    fclose(out);
    return text;
}

/* What each host complained of; the worst status of them all. */
static int complain(const struct host *hosts, size_t n)
{
    int status = EX_OK;

    for (size_t i = 0; i < n; i++) {
        const struct remote_said *said = &hosts[i].said;
        bool ours = said->len > 10 && memcmp(said->text, "virtgate: ", 10) == 0 &&
            !strncmp(said->text + 10, hosts[i].spec, strlen(hosts[i].spec));
        /* A line of the gate's does not say which host it comes from. */
        if (n > 1 && said->len > 0 && !ours)
            say_error(0, "%s says:", hosts[i].spec);
        client_said(0, said);
        if (status == EX_OK)
            status = hosts[i].status;
    }
    return status;
}

static int show(const struct host *hosts, size_t n, bool as_json, bool redraw)
{
    if (redraw)
        fputs("\x1b[H\x1b[J", stdout);
    print_answers(stdout, hosts, n, as_json);
    return fflush(stdout) || ferror(stdout) ? say_error(EX_IOERR, "the list could not be written") : EX_OK;
}

static int list_once(struct host *hosts, size_t n, const struct options *options)
{
    ask_all(hosts, n);
    int status = complain(hosts, n);

    /* With one host and no answer there is no table to show. */
    if ((options->json || n > 1 || hosts[0].machines) && show(hosts, n, options->json, false))
        return EX_IOERR;
    return status;
}

static bool all_given_up(const struct host *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!hosts[i].given_up)
            return false;
    return true;
}

/* The complaints under the table, which would wipe them away. */
static int show_change(const struct host *hosts, size_t n, bool as_json)
{
    int status = all_given_up(hosts, n) ? EX_OK : show(hosts, n, as_json, isatty(STDOUT_FILENO) && !as_json);

    complain(hosts, n);
    return status;
}

/* Says what changes: on a terminal the table stays in its place, elsewhere each one that differs is printed. */
static int list_watch(struct host *hosts, size_t n, const struct options *options)
{
    char *before = NULL;
    int status = EX_OK;

    while (status == EX_OK) {
        ask_all(hosts, n);
        say_init(false); /* how it comes about has been said */
        char *text = make_text(hosts, n, options->json);
        if (!text)
            status = say_error(EX_OSERR, "this computer is short of memory");
        else if (!before || strcmp(before, text) != 0)
            status = show_change(hosts, n, options->json);
        free(before);
        before = text;
        if (status == EX_OK && all_given_up(hosts, n))
            status = hosts[0].status;
        else if (status == EX_OK)
            nanosleep(&(struct timespec){ .tv_sec = WATCH_S }, NULL);
    }
    free(before);
    return status;
}

int client_list(const struct options *options, size_t n, const char *const *argv)
{
    struct host *hosts = calloc(n, sizeof *hosts);

    if (!hosts)
        return say_error(EX_OSERR, "this computer is short of memory");
    for (size_t i = 0; i < n; i++)
        hosts[i] = (struct host){ .spec = argv[i], .options = options };
    int status = options->watch ? list_watch(hosts, n, options) : list_once(hosts, n, options);
    for (size_t i = 0; i < n; i++) {
        json_decref(hosts[i].machines);
        remote_free(hosts[i].remote);
    }
    free(hosts);
    return status;
}

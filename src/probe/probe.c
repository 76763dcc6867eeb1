/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/io.h"
#include "probe/probe_raw.h"

static const struct family *const families[] = {
    &family_forward, &family_listen, &family_session, &family_channel, &family_commands, &family_size,
    &family_rpc, &family_display,
};

static const char *known_of(const struct other *other, char letter, const char **ret_option)
{
    switch (letter) {
    case 'n': *ret_option = "--other"; return other->name;
    case 'u': *ret_option = "--other-uuid"; return other->uuid;
    case 'p': *ret_option = "--other-port"; return other->port;
    case 's': *ret_option = "--other-path"; return other->path;
    case 'r': *ret_option = "--other-runs, if it runs"; return other->runs ? "" : NULL;
    default: *ret_option = NULL; return "%";
    }
}

char *probe_fill_in(const struct probe *probe, const char *text, struct finding *finding)
{
    char *out = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&out, &len);

    if (!stream)
        return NULL;
    finding->seen[0] = '\0';
    for (; *text; text++) {
        const char *option, *known;

        if (*text != '%' || !text[1]) {
            fputc(*text, stream);
            continue;
        }
        known = known_of(&probe->options->other, *++text, &option);
        if (!known)
            finding_set(finding, VERDICT_UNKNOWN, "not tried: tell of a machine that is not the user's with %s", option);
        fputs(known ? known : "?", stream);
    }
    if (fclose(stream) != 0 || finding->seen[0]) {
        free(out);
        return NULL;
    }
    return out;
}

char *probe_many(char letter, size_t n)
{
    char *text = malloc(n + 1);

    if (!text)
        return NULL;
    memset(text, letter, n);
    text[n] = '\0';
    return text;
}

/* For the eye. A command stands for itself. */
static char *what_is_tried(const struct probe *probe, const struct door *door)
{
    struct finding ignored;
    char *filled = door->tried ? probe_fill_in(probe, door->tried, &ignored) : NULL;

    return filled ? filled : strdup(door->tried ? door->tried : door->text);
}

static bool fits(const char *only, const char *id)
{
    return !only || fnmatch(only, id, FNM_EXTMATCH) == 0;
}

#define EXPECT "expect"

bool probe_has(const char *only)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (size_t j = 0; j < families[i]->n; j++)
            if (fits(only, families[i]->doors[j].id))
                return true;
    return fits(only, EXPECT);
}

static int tell(const struct probe *probe, struct results *results, const char *id, char *tried, struct finding *finding)
{
    int r = results_add(results, id, tried, finding);

    if (r == 0 && probe->options->told)
        probe->options->told(probe->options->context, &results->list[results->n - 1]);
    return r;
}

bool probe_is_over(const struct probe *probe)
{
    return (probe->options->stop && *probe->options->stop) || io_monotonic_ms() > probe->end;
}

/* Why nothing is tried any more; NULL: it goes on. */
static const char *reason_to_end(const struct probe *probe)
{
    if (probe->options->stop && *probe->options->stop)
        return "interrupted";
    if (io_monotonic_ms() > probe->end)
        return "the time is up";
    return probe->gone[0] ? probe->gone : NULL;
}

/* Is there another login, and a session in it? A host that ends everything tells nothing of one door. */
static bool is_host_there(struct probe *probe, struct finding *finding)
{
    struct answer answer = ANSWER_NONE;
    struct finding again;
    ssh_channel channel;

    probe_drop_session(probe);
    if (!probe_session(probe, &again)) {
        finding_set(finding, VERDICT_UNKNOWN, "the connection ended, and there is no new login: %.150s", again.seen);
        return false;
    }
    channel = probe_channel(probe, &answer);
    if (!channel) {
        finding_set(finding, VERDICT_UNKNOWN, "the host ends every connection, whatever is tried");
        return false;
    }
    ssh_channel_free(channel);
    probe_drop_session(probe);
    return true;
}

static bool is_lost(const struct finding *finding)
{
    return finding->verdict == VERDICT_CLOSED && strcmp(finding->seen, SEEN_LOST) == 0;
}

static void try_door(struct probe *probe, const struct door *door, struct finding *finding)
{
    const char *why = reason_to_end(probe);

    if (why) {
        finding_set(finding, VERDICT_UNKNOWN, "not tried: %.200s", why);
        return;
    }
    finding_set(finding, VERDICT_UNKNOWN, "not tried: this computer is short of memory");
    door->try(probe, door, finding);
    /* The network may have ended the connection as well. The host does it again. */
    if (is_lost(finding) && is_host_there(probe, finding))
        door->try(probe, door, finding);
    if (is_lost(finding))
        is_host_there(probe, finding);
    if (probe->options->against_open && finding->verdict == VERDICT_CLOSED && door->never) {
        struct finding closed = *finding;

        finding_set(finding, VERDICT_NOT_APPLICABLE, "%s (%.80s)", door->never, closed.seen);
    }
}

static int try_family(struct probe *probe, const struct family *family, struct results *results)
{
    for (size_t i = 0; i < family->n; i++) {
        const struct door *door = &family->doors[i];
        struct finding finding;
        int r;

        if (!fits(probe->options->only, door->id))
            continue;
        try_door(probe, door, &finding);
        r = tell(probe, results, door->id, what_is_tried(probe, door), &finding);
        if (r < 0)
            return r;
    }
    return 0;
}

static int try_all(struct probe *probe, struct results *results)
{
    struct finding finding;
    int r = 0;

    for (size_t i = 0; i < sizeof families / sizeof *families && r == 0; i++)
        r = try_family(probe, families[i], results);
    if (r < 0 || !probe->options->expect || !fits(probe->options->only, EXPECT))
        return r;
    if (reason_to_end(probe))
        finding_set(&finding, VERDICT_UNKNOWN, "not tried: %.200s", reason_to_end(probe));
    else
        probe_expect(probe, &finding);
    return tell(probe, results, EXPECT, strdup(probe->options->expect), &finding);
}

int probe_run(const struct probe_options *options, struct results *results, char why[static WHY_SIZE])
{
    struct probe probe = { .options = options, .end = io_monotonic_ms() + options->max_ms };
    int status = probe_connect(&probe, why);

    if (status == 0 && try_all(&probe, results) < 0)
        status = why_say(why, EX_OSERR, "this computer is short of memory; try again");
    raw_close(probe.raw);
    probe_drop_session(&probe);
    return status;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_print.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

static void print_escaped(FILE *out, const char *text)
{
    char escaped[4 * PROBE_SEEN_SIZE];

    text_escape(escaped, sizeof escaped, text, strlen(text));
    fputs(escaped, out);
}

void probe_print_line(FILE *out, const char *id, const char *tried, const struct finding *finding)
{
    fprintf(out, "%-7s  %-24s  ", verdict_name(finding->verdict), id);
    print_escaped(out, tried);
    fputs(": ", out);
    print_escaped(out, finding->seen);
    fputc('\n', out);
}

static void print_counts(struct json *json, const struct results *results)
{
    json_put_open(json, "counts", '{');
    for (enum verdict verdict = VERDICT_CLOSED; verdict <= VERDICT_FAILS; verdict++)
        json_put_int(json, verdict_name(verdict), (int64_t)results_count(results, verdict));
    json_put_close(json, '}');
}

void probe_print_json(FILE *out, const char *host, const struct results *results, bool against_open)
{
    struct json json = JSON_TO(out);

    json_put_open(&json, NULL, '{');
    json_put_string(&json, "host", host);
    json_put_bool(&json, "ok", results_status(results, against_open) == PROBE_WELL);
    print_counts(&json, results);
    json_put_open(&json, "doors", '[');
    for (size_t i = 0; i < results->n; i++) {
        const struct result *result = &results->list[i];

        json_put_open(&json, NULL, '{');
        json_put_string(&json, "id", result->id);
        json_put_string(&json, "verdict", verdict_name(result->finding.verdict));
        json_put_string(&json, "tried", result->tried);
        json_put_string(&json, "seen", result->finding.seen);
        json_put_close(&json, '}');
    }
    json_put_close(&json, ']');
    json_put_close(&json, '}');
    json_put_end(&json);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Not by getopt(3): that permutes argv, keeps its state in globals and takes abbreviations, so that an option of a later
 * version would change what an earlier script means. */
#include "client/options.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"

static const struct option_row {
    const char *name, *letter; /* letter: NULL for none */
    bool has_value;
    unsigned bit;
    size_t at;                 /* of a bool, or of a const char * */
} rows[] = {
    { "--against-open-sshd", NULL, false, OPTION_PROBE, offsetof(struct options, probe.against_open) },
    { "--as-json", NULL, false, OPTION_PROBE, offsetof(struct options, probe.json) },
    { "--batch", NULL, false, 0, offsetof(struct options, batch) },
    { "--config", "-F", true, 0, offsetof(struct options, remote.login.config) },
    { "--expect", NULL, true, OPTION_PROBE, offsetof(struct options, probe.expect) },
    { "--help", "-h", false, 0, offsetof(struct options, help) },
    { "--identity", "-i", true, 0, offsetof(struct options, remote.login.identity) },
    { "--json", NULL, false, OPTION_JSON, offsetof(struct options, json) },
    { "--listen", NULL, true, OPTION_LISTEN, offsetof(struct options, listen) },
    { "--max-time", NULL, true, OPTION_PROBE, offsetof(struct options, probe.max_time) },
    { "--only", NULL, true, OPTION_PROBE, offsetof(struct options, probe.only) },
    { "--other", NULL, true, OPTION_PROBE, offsetof(struct options, probe.other) },
    { "--other-path", NULL, true, OPTION_PROBE, offsetof(struct options, probe.other_path) },
    { "--other-port", NULL, true, OPTION_PROBE, offsetof(struct options, probe.other_port) },
    { "--other-runs", NULL, false, OPTION_PROBE, offsetof(struct options, probe.other_runs) },
    { "--other-uuid", NULL, true, OPTION_PROBE, offsetof(struct options, probe.other_uuid) },
    { "--quiet", "-q", false, 0, offsetof(struct options, quiet) },
    { "--rate", NULL, true, OPTION_PROBE, offsetof(struct options, probe.rate) },
    { "--reconnect", NULL, false, OPTION_RECONNECT, offsetof(struct options, reconnect) },
    { "--screenshot", NULL, true, OPTION_SCREENSHOT, offsetof(struct options, screenshot) },
    { "--ssh", NULL, true, 0, offsetof(struct options, remote.ssh) },
    { "--takeover", NULL, false, OPTION_TAKEOVER, offsetof(struct options, takeover) },
    { "--timeout", NULL, true, OPTION_PROBE, offsetof(struct options, probe.timeout) },
    { "--version", "-V", false, 0, offsetof(struct options, version) },
    { "--viewer", NULL, true, OPTION_VIEWER, offsetof(struct options, viewer) },
    { "--watch", NULL, false, OPTION_WATCH, offsetof(struct options, watch) },
};

static const struct option_row *find(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((strlen(rows[i].name) == len && memcmp(word, rows[i].name, len) == 0) ||
            (rows[i].letter && len == 2 && memcmp(word, rows[i].letter, 2) == 0))
            return &rows[i];
    return NULL;
}

static int refuse(char why[static WHY_SIZE], const char *what, const char *word)
{
    char shown[100];

    text_escape(shown, sizeof shown, word, strlen(word));
    return why_say(why, EX_USAGE, "%s '%s'; try virtgate --help", what, shown);
}

/* One option at argv[*at], which moves on when its value is a word of its own: --name value, --name=value. */
static int take(struct options *options, int argc, char *const *argv, int *at, char why[static WHY_SIZE])
{
    const char *word = argv[*at], *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    const struct option_row *row = find(word, equals ? (size_t)(equals - word) : strlen(word));
    char *field;

    if (!row)
        return refuse(why, "unknown option", word);
    field = (char *)options + row->at;
    options->given |= row->bit;
    if (!row->has_value) {
        if (equals)
            return refuse(why, "no value is taken by", word);
        memcpy(field, &(bool){ true }, sizeof(bool));
        return 0;
    }
    const char *value = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (!value || !value[0])
        return refuse(why, "a value is missing after", word);
    memcpy(field, &value, sizeof value);
    return 0;
}

int options_parse(int argc, char *const *argv, struct options *ret, char why[static WHY_SIZE])
{
    struct options options = { .n_words = 0 };
    bool words_only = false;

    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (!words_only && strcmp(word, "--") == 0) {
            words_only = true;
        } else if (!words_only && word[0] == '-' && word[1]) {
            int status = take(&options, argc, argv, &at, why);
            if (status)
                return status;
        } else if (options.n_words == WORDS_MAX_COUNT) {
            return why_say(why, EX_USAGE, "more than %d words", WORDS_MAX_COUNT);
        } else {
            options.word[options.n_words++] = word;
        }
    }
    *ret = options;
    return 0;
}

int options_check(const struct options *options, const char *command, unsigned allowed, char why[static WHY_SIZE])
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (options->given & rows[i].bit & ~allowed)
            return why_say(why, EX_USAGE, "%s takes no %s; try virtgate --help", command, rows[i].name);
    return 0;
}

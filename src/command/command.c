/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The byte screen, and virtgate's own verbs: one blank between words, no quotes, nothing to expand. Every other line is
 * a client's script (shell_walk.h). */
#include "command/command.h"

#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "command/plan.h"
#include "command/shell_lex.h"
#include "command/shell_walk.h"
#include "command/why.h"

#define VERB_WORDS_MAX 4 /* console --takeover VM DEVICE */

bool command_is_vm_name(const char *name, size_t len)
{
    static const char bytes[] = ALNUM "._+-@:", uuid[] = "uuid:";

    if (len == 0 || len >= COMMAND_NAME_SIZE || name[0] == '-' || name[0] == '.' ||
        (len >= strlen(uuid) && memcmp(name, uuid, strlen(uuid)) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!name[i] || !strchr(bytes, name[i]))
            return false;
    return true;
}

const char *command_kind_name(enum command_kind kind)
{
    static const char *const names[] = {
        [COMMAND_HELP] = "help",       [COMMAND_VERSION] = "version", [COMMAND_LIST] = "list", [COMMAND_INFO] = "info",
        [COMMAND_DISPLAY] = "display", [COMMAND_CONSOLE] = "console", [COMMAND_RPC] = "rpc",
    };

    return names[kind];
}

/* --- verbs ------------------------------------------------------------------------------------------------------- */

static int read_vm(const char *word, struct command *command, char why[static COMMAND_WHY_SIZE])
{
    static const char uuid[] = "uuid:";

    if (strncmp(word, uuid, strlen(uuid)) == 0) {
        command->target = BY_UUID;
        if (uuid_parse(word + strlen(uuid), strlen(word + strlen(uuid)), &command->uuid) == 0)
            return 0;
    } else if (command_is_vm_name(word, strlen(word))) {
        command->target = BY_NAME;
        return text_copy(command->vm, sizeof command->vm, word);
    }
    return why_set(why, "expected a virtual machine's name or uuid:UUID, not '%s'", why_quote(word).text);
}

static int read_display(size_t argc, const char *const *argv, struct command *command,
                        char why[static COMMAND_WHY_SIZE])
{
    uint64_t index = 0;

    if (argc == 2 && io_parse_number(argv[1], strlen(argv[1]), 0, COMMAND_INDEX_MAX, &index) < 0)
        return why_set(why, "display: expected an index from 0 to %d, not '%s'", COMMAND_INDEX_MAX,
                       why_quote(argv[1]).text);
    command->index = (uint32_t)index;
    return read_vm(argv[0], command, why);
}

static int read_console(size_t argc, const char *const *argv, struct command *command,
                        char why[static COMMAND_WHY_SIZE])
{
    static const char bytes[] = ALNUM "_-";

    if (argc == 2) {
        const char *device = argv[1];
        if (device[0] == '-' || device[strspn(device, bytes)] ||
            text_copy(command->device, sizeof command->device, device) < 0)
            return why_set(why, "console: expected a device's alias such as serial0, not '%s'", why_quote(device).text);
    }
    return read_vm(argv[0], command, why);
}

static int read_info(size_t argc, const char *const *argv, struct command *command, char why[static COMMAND_WHY_SIZE])
{
    (void)argc;
    return read_vm(argv[0], command, why);
}

static void set_json(struct command *command)
{
    command->json = true;
}

static void set_takeover(struct command *command)
{
    command->takeover = true;
}

/* min and max words after the option, which is the only one a verb has. */
static const struct verb {
    const char *name, *usage, *option;
    void (*set)(struct command *command);
    size_t min, max;
    enum command_kind kind;
    int (*read)(size_t argc, const char *const *argv, struct command *command, char why[static COMMAND_WHY_SIZE]);
} verbs[] = {
    { "console", "console [--takeover] VM [DEVICE]", "--takeover", set_takeover, 1, 2, COMMAND_CONSOLE, read_console },
    { "display", "display VM [INDEX]", NULL, NULL, 1, 2, COMMAND_DISPLAY, read_display },
    { "help", "help", NULL, NULL, 0, 0, COMMAND_HELP, NULL },
    { "info", "info [--json] VM", "--json", set_json, 1, 1, COMMAND_INFO, read_info },
    { "list", "list [--json]", "--json", set_json, 0, 0, COMMAND_LIST, NULL },
    { "version", "version", NULL, NULL, 0, 0, COMMAND_VERSION, NULL },
};

/* The verb that the line begins with, blanks before it skipped. With an operator of a shell right behind it, it is meant as
 * that verb too, and refused as such. */
static const struct verb *find_verb(const char *line)
{
    line += strspn(line, " ");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        size_t n = strlen(verbs[i].name);
        if (strncmp(line, verbs[i].name, n) == 0 && (!line[n] || strchr(" ;&|<>", line[n])))
            return &verbs[i];
    }
    return NULL;
}

/* Cuts line at its blanks. Number of words, 0 when there are two blanks in a row, one at an end, or too many words. */
static size_t cut_words(char *line, const char *argv[static VERB_WORDS_MAX])
{
    size_t n = 0;

    for (char *blank = line; blank; line = blank + 1) {
        if (n == VERB_WORDS_MAX || line[0] == ' ' || !line[0])
            return 0;
        argv[n++] = line;
        blank = strchr(line, ' ');
        if (!blank)
            break;
        *blank = '\0';
    }
    return n;
}

static int read_verb(const struct verb *verb, char *line, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    struct command command = { .kind = verb->kind };
    const char *argv[VERB_WORDS_MAX];
    size_t n = cut_words(line, argv), at = 1;

    if (n > 1 && verb->option && strcmp(argv[1], verb->option) == 0) {
        verb->set(&command);
        at = 2;
    }
    if (n < at + verb->min || n > at + verb->max || strcmp(argv[0], verb->name) != 0)
        return why_set(why, "expected %s, with one blank between words", verb->usage);
    int r = verb->read ? verb->read(n - at, argv + at, &command, why) : 0;
    if (r == 0)
        *ret = command;
    return r;
}

/* --- entry ------------------------------------------------------------------------------------------------------- */

static int screen(const char *text, size_t len, char why[static COMMAND_WHY_SIZE])
{
    bool blank = true;

    if (len > COMMAND_TEXT_MAX)
        return why_set(why, "the command is longer than %d bytes", COMMAND_TEXT_MAX);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            return why_set(why, "byte 0x%02x at offset %zu is not accepted in a command", (unsigned char)text[i], i);
        blank &= text[i] == ' ';
    }
    return blank ? why_set(why, "expected a command; try help") : 0;
}

int command_parse(const char *text, size_t len, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    char line[SHELL_TEXT_MAX + 1];
    int r = screen(text, len, why);

    if (r < 0)
        return r;
    if (len > SHELL_TEXT_MAX)
        return why_set(why, "the command is longer than the %d bytes that a client's may have", SHELL_TEXT_MAX);
    memcpy(line, text, len);
    line[len] = '\0';
    const struct verb *verb = find_verb(line);
    return verb ? read_verb(verb, line, ret, why) : shell_walk(line, ret, why);
}

int command_from_netcat(size_t argc, const char *const *argv, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    struct netcat nc;
    int r = plan_read_netcat(argc, argv, &nc, why);

    if (r == 0 && nc.probe)
        r = why_set(why, "nc: expected -U PATH or HOST PORT after -q N");
    return r < 0 ? r : target_resolve(&nc.end, ret, why);
}

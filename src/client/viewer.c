/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/viewer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"

/* remote-viewer knows sockets for SPICE alone. %u: the address as a URI; %p: the port; %d: the port as the display number that
 * gvncviewer wants. */
static const struct known {
    const char *type, *program, *text;
    bool by_path;
} known[] = {
    { "spice", "remote-viewer", "remote-viewer %u", true },
    { "vnc", "remote-viewer", "remote-viewer %u", false },
    { "vnc", "vncviewer", "vncviewer 127.0.0.1::%p", false },
    { "vnc", "gvncviewer", "gvncviewer 127.0.0.1:%d", false },
};

static bool is_there(const char *program)
{
    const char *path = getenv("PATH");
    char file[4200];

    for (path = path ? path : "/usr/bin:/bin"; *path; path += strspn(path, ":")) {
        size_t n = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/%s", (int)n, path, program);
        if (access(file, X_OK) == 0)
            return true;
        path += n;
    }
    return false;
}

/* One of the known by its name alone has what it is known for; anything else gets the URI behind it, unless it says where. */
static int choose_given(const char *command, const char *type, struct viewer *ret, char why[static WHY_SIZE])
{
    const char *name = strrchr(command, '/') ? strrchr(command, '/') + 1 : command;
    bool says = strchr(command, '%');
    const char *rest = " %u";

    *ret = (struct viewer){ .by_path = false };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].type, type) == 0 && strcmp(known[i].program, name) == 0) {
            ret->by_path = known[i].by_path;
            rest = known[i].text + strlen(known[i].program);
        }
    if ((size_t)snprintf(ret->text, sizeof ret->text, "%s%s", command, says ? "" : rest) < sizeof ret->text)
        return 0;
    return why_say(why, EX_USAGE, "the command of --viewer is too long");
}

int viewer_choose(const char *command, const char *type, struct viewer *ret, char why[static WHY_SIZE])
{
    if (command)
        return choose_given(command, type, ret, why);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].type, type) == 0 && is_there(known[i].program)) {
            ret->by_path = known[i].by_path;
            return text_copy(ret->text, sizeof ret->text, known[i].text);
        }
    return why_say(why, EX_UNAVAILABLE, "there is no viewer for %s here; install %s, or name one with --viewer", type,
                   strcmp(type, "spice") == 0 ? "virt-viewer" : "virt-viewer or a vncviewer");
}

void viewer_uri(const char *type, const struct listening *listening, char out[static 200])
{
    if (listening->port)
        snprintf(out, 200, "%s://127.0.0.1:%u", type, listening->port);
    else
        snprintf(out, 200, "%s+unix://%s", type, listening->path);
}

/* Puts the template's %u, %p, %d and %% in; true when it fits. */
static bool fill(const char *template, const char *type, const struct listening *listening, char out[static VIEWER_TEXT_SIZE])
{
    size_t len = 0;

    for (const char *at = template; *at && len < VIEWER_TEXT_SIZE - 1; at++) {
        char uri[200];
        size_t room = VIEWER_TEXT_SIZE - len;
        if (*at != '%' || !at[1] || !strchr("upd%", at[1])) {
            out[len++] = *at;
            out[len] = '\0';
            continue;
        }
        viewer_uri(type, listening, uri);
        switch (*++at) {
        case 'u':
            len += (size_t)snprintf(out + len, room, "%s", uri);
            break;
        case 'p':
            len += (size_t)snprintf(out + len, room, "%u", listening->port);
            break;
        case 'd':
            len += (size_t)snprintf(out + len, room, "%d", listening->port - 5900);
            break;
        default:
            len += (size_t)snprintf(out + len, room, "%%");
            break;
        }
    }
    return len < VIEWER_TEXT_SIZE - 1;
}

int viewer_words(const struct viewer *viewer, const char *type, const struct listening *listening,
                 char text[static VIEWER_TEXT_SIZE],
                 const char *words[static VIEWER_WORDS_MAX])
{
    size_t n = 0;
    char *rest = NULL;

    if (!fill(viewer->text, type, listening, text))
        return -E2BIG;
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (n == VIEWER_WORDS_MAX - 1)
            return -E2BIG;
        words[n++] = word;
    }
    words[n] = NULL;
    return n > 0 ? 0 : -EINVAL;
}

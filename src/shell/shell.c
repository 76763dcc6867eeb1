/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shell/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/text.h"
#include "command/command.h"
#include "shell/gate.h"
#include "shell/print.h"
#include "shell/prompt.h"
#include "shell/stream.h"

/* The beginning of what was said, for the log. Cut, not refused: it is no input of any decision. */
static void quote(struct request *request, const char *text, size_t len)
{
    if (len >= sizeof request->said)
        len = sizeof request->said - 1;
    for (size_t i = 0; i < len; i++)
        request->said[i] = text[i] ? text[i] : '?';
}

static int refuse(struct request *request, const char *why)
{
    request->kind = REQUEST_REFUSED;
    memset(&request->command, 0, sizeof request->command);
    text_copy(request->why, sizeof request->why, why);
    gate_complain(0, "%s", why);
    gate_tell_refusal(request);
    return EX_USAGE;
}

static int show_listing(const struct command *command, const struct gate_answer *answer)
{
    char *data;
    size_t len;
    int r = gate_take_listing(answer, &data, &len);

    if (r == 0) {
        r = command->kind == COMMAND_LIST ? print_list(data, len, command->json) : print_info(data, len, command->json);
        free(data);
    }
    return r < 0 ? gate_complain(EX_IOERR, "the list could not be shown") : EX_OK;
}

static int ask(const struct request *request)
{
    struct gate_answer answer;
    int status = gate_ask(request, &answer);

    if (status)
        return status;
    if (answer.reply.kind == REPLY_STREAM)
        status = stream_carry(&answer, request->command.kind == COMMAND_CONSOLE);
    else if (answer.reply.kind == REPLY_LISTING)
        status = show_listing(&request->command, &answer);
    gate_answer_close(&answer);
    return status;
}

static int run_request(struct request *request)
{
    switch (request->command.kind) {
    case COMMAND_HELP:
        print_help();
        return EX_OK;
    case COMMAND_VERSION:
        print_version();
        return EX_OK;
    case COMMAND_DISPLAY:
        if (isatty(STDOUT_FILENO))
            return refuse(request, "a display is for a viewer, not for a terminal: ssh -T, or see virtgate-shell(1)");
        break;
    case COMMAND_RPC:
        if (isatty(STDOUT_FILENO))
            return refuse(request, "a connection to libvirt is for a program such as virsh, not for a terminal");
        break;
    case COMMAND_LIST:
    case COMMAND_INFO:
    case COMMAND_CONSOLE:
        break;
    }
    request->kind = REQUEST_COMMAND;
    return ask(request);
}

static int run_line(const char *text, size_t len)
{
    struct request request = { 0 };
    char why[COMMAND_WHY_SIZE];

    quote(&request, text, len);
    if (command_parse(text, len, &request.command, why) < 0)
        return refuse(&request, why);
    return run_request(&request);
}

static int run_nothing(void)
{
    struct request request = { 0 };

    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        return prompt_run(run_line);
    return refuse(&request, "there is no shell here; expected a command such as list, display VM or console VM");
}

static int run_netcat(int argc, const char *const *argv)
{
    struct request request = { 0 };
    char why[COMMAND_WHY_SIZE];
    size_t len = 0;

    for (int i = 0; i < argc && len < sizeof request.said - 1; i++)
        len += (size_t)snprintf(request.said + len, sizeof request.said - len, "%s%s", i ? " " : "nc ", argv[i]);
    if (command_from_netcat((size_t)argc, argv, &request.command, why) < 0)
        return refuse(&request, why);
    return run_request(&request);
}

int shell_run(int argc, const char *const *argv, const char *original)
{
    struct request request = { 0 };

    if (argc <= 1)
        return original && *original ? run_line(original, strlen(original)) : run_nothing();
    if (argc == 3 && strcmp(argv[1], "-c") == 0) {
        if (strcmp(argv[2], VG_SHELL_PATH) != 0)
            return run_line(argv[2], strlen(argv[2]));
        return original && *original ? run_line(original, strlen(original)) : run_nothing();
    }
    if (strcmp(argv[1], "-c") == 0) {
        quote(&request, "-c", 2);
        return refuse(&request, "expected exactly one command after -c");
    }
    return run_netcat(argc - 1, argv + 1);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pam_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool pam_options_next(const char **at, char name[static OPTION_NAME_SIZE])
{
    if (!*at)
        return false;
    size_t len = strcspn(*at, ",");
    snprintf(name, OPTION_NAME_SIZE, "%.*s", (int)len, *at);
    *at = (*at)[len] ? *at + len + 1 : NULL;
    return true;
}

static bool is_list(const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ",");
        if (len == 0 || len >= OPTION_NAME_SIZE)
            return false;
        if (!text[len])
            return true;
        text += len + 1;
    }
}

static bool is_name(const char *text)
{
    return is_list(text) && !strchr(text, ',');
}

static bool is_path(const char *text)
{
    return text[0] == '/';
}

/* Sets *ret from NAME=VALUE. 0 when it is that option and right; -ENOENT when it is another. */
static int take(const char *argument, const char *name, bool (*is_right)(const char *), const char **ret)
{
    size_t len = strlen(name);

    if (strncmp(argument, name, len) != 0)
        return -ENOENT;
    if (*ret || !is_right(argument + len))
        return -EINVAL;
    *ret = argument + len;
    return 0;
}

static int take_any(const char *argument, struct pam_options *options)
{
    int r = take(argument, "group=", is_name, &options->group);

    if (r == -ENOENT)
        r = take(argument, "services=", is_list, &options->services);
    if (r == -ENOENT)
        r = take(argument, "hide-except=", is_list, &options->hide_except);
    if (r == -ENOENT)
        r = take(argument, "config=", is_path, &options->config);
    if (r == -ENOENT && strcmp(argument, "hide") == 0 && !options->hide) {
        options->hide = true;
        r = 0;
    }
    return r < 0 ? -EINVAL : 0;
}

int pam_options_parse(int argc, const char *const argv[], struct pam_options *ret, char why[static OPTIONS_WHY_SIZE])
{
    int r = 0;

    *ret = (struct pam_options){ 0 };
    for (int i = 0; i < argc; i++)
        if (take_any(argv[i], ret) < 0 && r == 0) {
            snprintf(why, OPTIONS_WHY_SIZE, "unknown, repeated or malformed option '%.60s'", argv[i]);
            r = -EINVAL;
        }
    if (r == 0 && ret->hide_except && !ret->hide) {
        snprintf(why, OPTIONS_WHY_SIZE, "hide-except without hide");
        r = -EINVAL;
    }
    if (!ret->config)
        ret->config = VG_SYSCONFDIR;
    if (!ret->group)
        ret->group = VG_GATE_GROUP;
    if (!ret->hide_except)
        ret->hide_except = "libvirt";
    if (r < 0)
        ret->services = NULL;
    else if (!ret->services)
        ret->services = "sshd";
    return r;
}

bool pam_options_serve(const struct pam_options *options, const char *service)
{
    const char *at = options->services;
    char name[OPTION_NAME_SIZE];

    if (!at)
        return true;
    while (pam_options_next(&at, name))
        if (strcmp(name, service) == 0)
            return true;
    return false;
}

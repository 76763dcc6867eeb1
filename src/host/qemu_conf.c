/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar is that of libvirt's virconf.c: a key, "=", and a number, a string ('...', "..." or """...""", without
 * escapes; only the last may go over lines) or a list of these in brackets, which may go over lines. "#" begins a
 * comment. */
#include "host/qemu_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/io.h"

struct reader {
    const char *at, *end;
    unsigned line;
    char *why;
};

/* A value as it stands in the text; lists are read over and have no text. */
struct value {
    enum { VALUE_NUMBER, VALUE_STRING, VALUE_LIST } kind;
    const char *text;
    size_t len;
};

static int refuse(const struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(const struct reader *r, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->why, QEMU_CONF_WHY_SIZE, "line %u: ", r->line);

    va_start(args, format);
    vsnprintf(r->why + n, QEMU_CONF_WHY_SIZE - (size_t)n, format, args);
    va_end(args);
    return -EINVAL;
}

static bool at_end(const struct reader *r)
{
    return r->at == r->end;
}

static char look(const struct reader *r)
{
    return at_end(r) ? '\0' : *r->at;
}

static void skip_blanks(struct reader *r)
{
    while (look(r) == ' ' || look(r) == '\t')
        r->at++;
}

static void skip_comment(struct reader *r)
{
    if (look(r) == '#')
        while (!at_end(r) && *r->at != '\n')
            r->at++;
}

/* Blanks, comments and ends of lines. */
static void skip_space(struct reader *r)
{
    for (;;) {
        skip_blanks(r);
        if (look(r) == '\r' && r->at + 1 < r->end && r->at[1] == '\n')
            r->at++;
        skip_comment(r);
        if (look(r) != '\n')
            return;
        r->line++;
        r->at++;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int read_string(struct reader *r, struct value *ret)
{
    bool triple = r->end - r->at >= 3 && memcmp(r->at, "\"\"\"", 3) == 0;
    char quote = *r->at;
    unsigned first = r->line;

    r->at += triple ? 3 : 1;
    const char *start = r->at;
    while (!at_end(r)) {
        if (triple ? r->end - r->at >= 3 && memcmp(r->at, "\"\"\"", 3) == 0 : *r->at == quote) {
            *ret = (struct value){ VALUE_STRING, start, (size_t)(r->at - start) };
            r->at += triple ? 3 : 1;
            return 0;
        }
        if (*r->at == '\n' && !triple)
            break;
        if (*r->at++ == '\n')
            r->line++;
    }
    r->line = first;
    return refuse(r, "a string does not end");
}

static int read_number(struct reader *r, struct value *ret)
{
    const char *start = r->at;

    if (*r->at == '-')
        r->at++;
    while (is_digit(look(r)))
        r->at++;
    *ret = (struct value){ VALUE_NUMBER, start, (size_t)(r->at - start) };
    return 0;
}

static int read_scalar(struct reader *r, struct value *ret)
{
    if (look(r) == '"' || look(r) == '\'')
        return read_string(r, ret);
    if (is_digit(look(r)) || (look(r) == '-' && r->at + 1 < r->end && is_digit(r->at[1])))
        return read_number(r, ret);
    return refuse(r, "expected a number, a string or a list");
}

static int read_list(struct reader *r, struct value *ret)
{
    *ret = (struct value){ VALUE_LIST, NULL, 0 };
    r->at++;
    for (;;) {
        struct value element;
        skip_space(r);
        if (look(r) == ']') {
            r->at++;
            return 0;
        }
        int result = read_scalar(r, &element);
        if (result < 0)
            return result;
        skip_space(r);
        if (look(r) == ',')
            r->at++;
        else if (look(r) != ']')
            return refuse(r, "expected , or ] in a list");
    }
}

static int read_value(struct reader *r, struct value *ret)
{
    return look(r) == '[' ? read_list(r, ret) : read_scalar(r, ret);
}

/* --- the keys ---------------------------------------------------------------------------------------------------- */

enum key { DISPLAY_MIN, DISPLAY_MAX, WEBSOCKET_MIN, WEBSOCKET_MAX, USER, N_KEYS };

static const char *const key_names[N_KEYS] = {
    [DISPLAY_MIN] = "remote_display_port_min",     [DISPLAY_MAX] = "remote_display_port_max",
    [WEBSOCKET_MIN] = "remote_websocket_port_min", [WEBSOCKET_MAX] = "remote_websocket_port_max",
    [USER] = "user",
};

struct found {
    bool given[N_KEYS];
    uint64_t port[N_KEYS];
    char user[QEMU_CONF_USER_SIZE];
};

static int take(const struct reader *r, enum key key, const struct value *value, struct found *found)
{
    if (found->given[key])
        return refuse(r, "%s is given twice", key_names[key]);
    found->given[key] = true;
    if (key == USER) {
        if (value->kind == VALUE_LIST || value->len == 0 || value->len >= sizeof found->user ||
            memchr(value->text, '\n', value->len))
            return refuse(r, "expected the name of an account after user");
        memcpy(found->user, value->text, value->len);
        return 0;
    }
    if (value->kind != VALUE_NUMBER || io_parse_number(value->text, value->len, 1, 65535, &found->port[key]) < 0)
        return refuse(r, "expected a port number, 1 to 65535, after %s", key_names[key]);
    return 0;
}

static int read_statement(struct reader *r, struct found *found)
{
    const char *name = r->at;
    struct value value;
    size_t key = 0;

    if (!is_letter(look(r)))
        return refuse(r, "expected a key");
    while (is_letter(look(r)) || is_digit(look(r)) || look(r) == '_' || look(r) == '-' || look(r) == '.')
        r->at++;
    size_t len = (size_t)(r->at - name);
    skip_blanks(r);
    if (look(r) != '=')
        return refuse(r, "expected = after a key");
    r->at++;
    skip_blanks(r);
    int result = read_value(r, &value);
    if (result < 0)
        return result;
    while (key < N_KEYS && (strlen(key_names[key]) != len || memcmp(key_names[key], name, len) != 0))
        key++;
    if (key < N_KEYS)
        result = take(r, (enum key)key, &value, found);
    if (result < 0)
        return result;
    skip_blanks(r);
    if (!at_end(r) && look(r) != '\n' && look(r) != '\r' && look(r) != '#')
        return refuse(r, "expected the end of the line after a value");
    return 0;
}

/* --- what they mean ---------------------------------------------------------------------------------------------- */

static int range(const struct reader *r, const struct found *found, enum key min, uint16_t preset,
                 struct port_range *ret)
{
    enum key max = (enum key)(min + 1);
    unsigned first = found->given[min] ? (unsigned)found->port[min] : preset;
    unsigned last = found->given[max] ? (unsigned)found->port[max] : 65535;

    if (first > last)
        return refuse(r, "%s is above %s", key_names[min], key_names[max]);
    if (last == 65535 && last - first >= QEMU_CONF_PORTS)
        last = first + QEMU_CONF_PORTS - 1;
    *ret = (struct port_range){ (uint16_t)first, (uint16_t)last };
    return 0;
}

int qemu_conf_parse(const char *text, size_t len, struct qemu_conf *ret, char why[static QEMU_CONF_WHY_SIZE])
{
    struct reader r = { text, text + len, 1, why };
    struct found found = { 0 };
    struct qemu_conf conf;

    if (memchr(text, '\0', len))
        return refuse(&r, "the file holds a NUL");
    for (skip_space(&r); !at_end(&r); skip_space(&r)) {
        int result = read_statement(&r, &found);
        if (result < 0)
            return result;
    }
    if (range(&r, &found, DISPLAY_MIN, 5900, &conf.display) < 0 ||
        range(&r, &found, WEBSOCKET_MIN, 5700, &conf.websocket) < 0)
        return -EINVAL;
    memcpy(conf.user, found.user, sizeof conf.user);
    *ret = conf;
    return 0;
}

int qemu_conf_read(struct qemu_conf *ret, char why[static QEMU_CONF_WHY_SIZE])
{
    FD_AUTO fd = open(QEMU_CONF, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char *text = NULL;
    size_t len = 0;
    int r = 0;

    if (fd < 0 && errno != ENOENT)
        r = -errno;
    else if (fd >= 0)
        r = io_read_all(fd, 1 << 20, &text, &len);
    if (r < 0)
        snprintf(why, QEMU_CONF_WHY_SIZE, "%s", strerror(-r));
    else
        r = qemu_conf_parse(text ? text : "", len, ret, why);
    free(text);
    return r;
}

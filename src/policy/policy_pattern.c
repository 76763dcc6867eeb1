/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shell globs on names, compiled: * any bytes, ? one byte, [a-z] [!a-z] one byte of ASCII's, \x the character x.
 *
 * fnmatch(3) is not used: what its ? and [..] match is the business of the locale, and the PAM module runs in sshd, which
 * sets one. Here a byte is a byte. What fnmatch takes in silence but nobody means (an open bracket, a range that runs
 * backwards, half of a UTF-8 letter in brackets, a backslash before nothing) is refused. */
#include "policy/policy_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/uuid.h"

struct compiler {
    const char *at, *end;
    const struct pattern_rules *rules;
    uint8_t *out;
    size_t len;
    bool program; /* a step was written */
    char *why;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct compiler *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->why, WHY_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

/* There is room: no character becomes more than two bytes, and PATTERN_SIZE is twice PATTERN_TEXT_MAX (a bracket of n
 * characters takes n + 2 as written and at most 2n + 3 here). */
static void emit(struct compiler *c, uint8_t byte)
{
    c->out[c->len++] = byte;
}

static void emit_step(struct compiler *c, enum pattern_step step)
{
    c->program = true;
    emit(c, (uint8_t)step);
}

static int compile_percent(struct compiler *c)
{
    const char letter = c->rules->letter;
    char next = c->at < c->end ? *c->at : '\0';

    if (next == '%') {
        c->at++;
        emit(c, '%');
        return 0;
    }
    if (letter != '\0' && next == letter) {
        c->at++;
        emit_step(c, STEP_INSERT);
        return 0;
    }
    if (next == 'v' && letter == 'u')
        return refuse(c, "%%v is known only in the lists of users and groups of [vm PATTERN]; here %%u is the user's name");
    if (next == 'u' && letter == 'v')
        return refuse(c, "%%u is known only in the patterns of [user NAME] and [group NAME]; here %%v is the VM's name");
    if (letter == '\0')
        return refuse(c, "'%%' has no meaning here; write %%%% for a percent sign");
    return refuse(c, "expected %%%c or %%%% after '%%'", letter);
}

/* One character of a bracket, with its backslash if it has one. */
static int bracket_char(struct compiler *c, uint8_t *ret)
{
    if (c->end - c->at >= 2 && *c->at == '[' && strchr(":.=", c->at[1]))
        return refuse(c, "classes such as [:alpha:] are not known; write the range, e.g. [a-z]");
    if (c->at < c->end && *c->at == '%')
        return refuse(c, "'%%' cannot stand in brackets");
    if (c->at < c->end && *c->at == '\\')
        c->at++;
    if (c->at == c->end)
        return refuse(c, "'[' without ']'");
    if ((unsigned char)*c->at >= 0x80)
        return refuse(c, "brackets can hold ASCII characters only");
    *ret = (uint8_t)*c->at++;
    return 0;
}

static int bracket_range(struct compiler *c)
{
    uint8_t first, last;
    int r = bracket_char(c, &first);

    last = first;
    if (r == 0 && c->end - c->at >= 2 && c->at[0] == '-' && c->at[1] != ']') {
        c->at++;
        r = bracket_char(c, &last);
    }
    if (r < 0)
        return r;
    if (last < first)
        return refuse(c, "the range %c-%c runs backwards", first, last);
    emit(c, first);
    emit(c, last);
    return 0;
}

static int compile_bracket(struct compiler *c)
{
    bool negated = c->at < c->end && (*c->at == '!' || *c->at == '^');
    size_t count_at;
    unsigned n = 0;

    if (negated)
        c->at++;
    emit_step(c, STEP_SET);
    emit(c, negated);
    count_at = c->len;
    emit(c, 0);
    do { /* a ']' that comes first is an ordinary character */
        int r = bracket_range(c);
        if (r < 0)
            return r;
        n++;
    } while (c->at == c->end || *c->at != ']');
    c->at++;
    c->out[count_at] = (uint8_t)n; /* n < PATTERN_TEXT_MAX */
    return 0;
}

static int compile_glob_char(struct compiler *c, char character)
{
    switch (character) {
    case '*':
        /* ** is *: nothing may look different from [vm *] and act the same. */
        if (c->len == 0 || c->out[c->len - 1] != STEP_ANY)
            emit_step(c, STEP_ANY);
        return 0;
    case '?':
        emit_step(c, STEP_ONE);
        return 0;
    case '[':
        return compile_bracket(c);
    case '\\':
        if (c->at == c->end)
            return refuse(c, "a backslash at the end stands before nothing");
        emit(c, (uint8_t)*c->at++);
        return 0;
    default:
        emit(c, (uint8_t)character);
        return 0;
    }
}

static int compile_char(struct compiler *c)
{
    char character = *c->at++;

    if (character == '%')
        return compile_percent(c);
    if (c->rules->glob)
        return compile_glob_char(c, character);
    if (strchr("*?[]", character))
        return refuse(c, "'%c' cannot stand in the name of a user or group: names are matched as they are", character);
    emit(c, (uint8_t)character);
    return 0;
}

static int compile_uuid(struct compiler *c, struct pattern *ret)
{
    struct uuid uuid;

    if (uuid_parse(c->at, (size_t)(c->end - c->at), &uuid) < 0)
        return refuse(c, "expected uuid: and 32 hexadecimal digits as 8-4-4-4-12");
    memcpy(c->out, uuid.byte, sizeof uuid.byte);
    *ret = (struct pattern){ .bytes = c->out, .len = sizeof uuid.byte, .kind = PATTERN_UUID };
    return 0;
}

int pattern_compile(const char *text, size_t len, const struct pattern_rules *rules, uint8_t bytes[static PATTERN_SIZE],
                    struct pattern *ret, char why[static WHY_SIZE])
{
    struct compiler c = { .at = text, .end = text + len, .rules = rules, .out = bytes, .why = why };

    if (len > PATTERN_TEXT_MAX)
        return refuse(&c, "a name of %zu bytes: at most %d are allowed", len, PATTERN_TEXT_MAX);
    if (rules->glob && len >= strlen("uuid:") && memcmp(text, "uuid:", strlen("uuid:")) == 0) {
        c.at += strlen("uuid:");
        return compile_uuid(&c, ret);
    }
    while (c.at < c.end) {
        int r = compile_char(&c);
        if (r < 0)
            return r;
    }
    *ret = (struct pattern){ .bytes = bytes, .len = (uint16_t)c.len, .kind = c.program ? PATTERN_PROGRAM : PATTERN_LITERAL };
    return 0;
}

/* The length of the step at program[at], which is there as a whole (pattern_valid()). */
static size_t step_len(const uint8_t *program, size_t at)
{
    return program[at] == STEP_SET ? 3 + 2 * (size_t)program[at + 2] : 1;
}

static bool set_holds(const uint8_t *set, uint8_t byte)
{
    const uint8_t *range = set + 3;

    for (size_t i = 0; i < set[2]; i++)
        if (byte >= range[2 * i] && byte <= range[2 * i + 1])
            return set[1] == 0;
    return set[1] != 0;
}

bool pattern_match(const uint8_t *program, size_t program_len, const char *name, size_t name_len, const char *insert,
                   size_t insert_len)
{
    const uint8_t *byte = (const uint8_t *)name;
    size_t p = 0, n = 0;
    size_t any_p = 0, any_n = 0; /* after the last STEP_ANY: where to go on, and from which byte. 0: there was none */

    for (;;) {
        size_t take = 0;
        bool fits = false;
        if (p == program_len) {
            if (n == name_len)
                return true;
        } else if (program[p] == STEP_ANY) {
            any_p = ++p;
            any_n = n;
            continue;
        } else if (program[p] == STEP_INSERT) {
            take = insert_len;
            fits = name_len - n >= take && memcmp(name + n, insert, take) == 0;
        } else if (n < name_len) {
            take = 1;
            fits = program[p] == STEP_ONE || (program[p] == STEP_SET ? set_holds(program + p, byte[n])
                                                                     : program[p] == byte[n]);
        }
        if (fits) {
            p += step_len(program, p);
            n += take;
        } else {
            /* Only the last STEP_ANY is ever tried again: what an earlier one could take, this one can take too. */
            if (any_p == 0 || any_n >= name_len)
                return false;
            p = any_p;
            n = ++any_n;
        }
    }
}

bool pattern_solve(const uint8_t *program, size_t program_len, const char *name, size_t name_len, const char **ret_insert,
                   size_t *ret_len)
{
    const uint8_t *first = memchr(program, STEP_INSERT, program_len);
    size_t inserts = 0, fixed = 0, len;

    for (size_t p = 0; p < program_len; p++)
        program[p] == STEP_INSERT ? inserts++ : fixed++;
    if (inserts == 0 || name_len <= fixed)
        return false;
    len = (name_len - fixed) / inserts;
    const char *insert = name + (first - program);
    if (!pattern_match(program, program_len, name, name_len, insert, len))
        return false;
    *ret_insert = insert;
    *ret_len = len;
    return true;
}

static bool is_literal_byte(uint8_t byte)
{
    return byte >= 0x20 || byte == '\t';
}

bool pattern_valid(const uint8_t *program, size_t len, bool flat)
{
    for (size_t p = 0; p < len; p += step_len(program, p)) {
        if (is_literal_byte(program[p]) || program[p] == STEP_INSERT)
            continue;
        if (flat || program[p] == 0 || program[p] > STEP_INSERT)
            return false;
        if (program[p] == STEP_SET && (len - p < 3 || program[p + 1] > 1 || (len - p - 3) / 2 < program[p + 2]))
            return false;
    }
    return true;
}

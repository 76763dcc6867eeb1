/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pieces of a value: words, lists, durations. A word that is not within double quotes is made of ASCII letters and
 * digits, - _ . + : @ / ~ ^ ! * ? [ ] \ % and letters of other scripts; quotes allow every other character and change
 * nothing else: * still matches anything, @ still names a group. */
#include "policy/policy_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"

const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Signs and spaces that a word processor or another keyboard puts where ASCII's were meant: a list with such a comma
 * would be one name that matches nothing, and so would a deny. */
static bool is_foreign_sign(uint32_t code)
{
    static const struct { uint32_t first, last; } signs[] = {
        { 0xa0, 0xa9 }, { 0xab, 0xb4 }, { 0xb6, 0xb9 }, { 0xbb, 0xbf }, { 0xd7, 0xd7 }, { 0xf7, 0xf7 }, { 0x60c, 0x60c },
        { 0x61b, 0x61b }, { 0x1680, 0x1680 }, { 0x2000, 0x206f }, { 0x3000, 0x3003 }, { 0xfe10, 0xfe19 },
        { 0xfe50, 0xfe6f }, { 0xff01, 0xff20 }, { 0xff3b, 0xff40 }, { 0xff5b, 0xff65 },
    };

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (code >= signs[i].first && code <= signs[i].last)
            return true;
    return false;
}

/* The length of the character at, which may stand in a word without quotes; 0: it may not. */
static size_t bare_char(const char *at)
{
    uint32_t code;
    size_t len = text_utf8_char(at, strlen(at), &code);

    if (len > 1)
        return is_foreign_sign(code) ? 0 : len;
    return len == 1 && (is_ascii_letter(*at) || is_digit(*at) || strchr("-_.+:@/~^!*?[]\\%", *at)) ? 1 : 0;
}

static bool ends_word(char c)
{
    return c == '\0' || c == ' ' || c == '\t' || c == ',';
}

static int quoted_len(const char *at, size_t *ret, char why[static WHY_SIZE])
{
    const char *close = strchr(at + 1, '"');

    if (!close) {
        snprintf(why, WHY_SIZE, "a double quote without its partner");
        return -EINVAL;
    }
    if (!ends_word(close[1])) {
        snprintf(why, WHY_SIZE, "expected a comma or the end after the closing quote, not '%s'", close + 1);
        return -EINVAL;
    }
    *ret = (size_t)(close - at) + 1;
    return 0;
}

static int bare_len(const char *at, size_t *ret, char why[static WHY_SIZE])
{
    size_t len = 0, n;

    while (!ends_word(at[len])) {
        n = bare_char(at + len);
        if (n == 0 && at[len] == '"') {
            snprintf(why, WHY_SIZE, "a double quote can only begin and end a name, in '%s'", at);
            return -EINVAL;
        }
        if (n == 0) {
            uint32_t code;
            int char_len = (int)text_utf8_char(at + len, strlen(at + len), &code);
            snprintf(why, WHY_SIZE, "a name with '%.*s' must stand within double quotes", char_len, at + len);
            return -EINVAL;
        }
        len += n;
    }
    *ret = len;
    return 0;
}

int word_parse(const char **at, struct word *ret, char why[static WHY_SIZE])
{
    bool quoted = **at == '"';
    const char *text = *at + quoted;
    size_t whole;
    int r = quoted ? quoted_len(*at, &whole, why) : bare_len(*at, &whole, why);

    if (r < 0)
        return r;
    size_t len = whole - (quoted ? 2 : 0);
    if (len == 0) {
        snprintf(why, WHY_SIZE, quoted ? "a name between quotes is empty" : "expected a name before the comma");
        return -EINVAL;
    }
    if (len > PATTERN_TEXT_MAX) {
        snprintf(why, WHY_SIZE, "a name of %zu bytes: at most %d are allowed", len, PATTERN_TEXT_MAX);
        return -EINVAL;
    }
    memcpy(ret->text, text, len);
    ret->text[len] = '\0';
    ret->len = len;
    ret->quoted = quoted;
    *at += whole;
    return 0;
}

/* Steps over the comma behind an item; NULL when the list ends here. */
static int next_item(const char *at, const char **ret, char why[static WHY_SIZE])
{
    at = skip_blanks(at);
    if (*at == '\0') {
        *ret = NULL;
        return 0;
    }
    if (*at != ',') {
        snprintf(why, WHY_SIZE, "expected a comma before '%s' (a name with blanks must stand within double quotes, and "
                                "before a comment behind a value two blanks and ';')", at);
        return -EINVAL;
    }
    *ret = at + 1;
    return 0;
}

static int refuse_empty_item(const char *at, char why[static WHY_SIZE])
{
    if (*at != '\0' && *at != ',')
        return 0;
    snprintf(why, WHY_SIZE, "the list has an empty place, or nothing in it: expected items with one comma between them");
    return -EINVAL;
}

int list_next(const char **at, struct word *ret, char why[static WHY_SIZE])
{
    const char *item = skip_blanks(*at);
    int r = refuse_empty_item(item, why);

    if (r < 0)
        return r;
    r = word_parse(&item, ret, why);
    return r < 0 ? r : next_item(item, at, why);
}

int part_next(const char **at, const char **ret, size_t *ret_len, char why[static WHY_SIZE])
{
    const char *part = skip_blanks(*at);
    size_t len = strcspn(part, ",");
    int r = refuse_empty_item(part, why);

    if (r < 0)
        return r;
    r = next_item(part + len, at, why);
    while (part[len - 1] == ' ' || part[len - 1] == '\t')
        len--;
    *ret = part;
    *ret_len = len;
    return r;
}

bool is_role_name(const char *text)
{
    return *text >= 'a' && *text <= 'z' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* "30m"; "none" is 0. */
static int duration_parse(const char *text, int64_t *ret)
{
    static const struct { char letter; int64_t seconds; } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    size_t len = strlen(text);
    uint64_t n;

    if (strcmp(text, "none") == 0) {
        *ret = 0;
        return 0;
    }
    if (len < 2 || io_parse_number(text, len - 1, 1, 1000000, &n) < 0)
        return -EINVAL;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text[len - 1] == units[i].letter) {
            *ret = (int64_t)n * units[i].seconds;
            return 0;
        }
    }
    return -EINVAL;
}

/* A URI with a transport runs a program or opens a network connection of libvirt's choice (qemu+ext, qemu+ssh); one with a
 * host leaves this machine. */
static bool is_local_uri(const char *text)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789");

    if (scheme == 0 || is_digit(text[0]) || strncmp(text + scheme, ":///", 4) != 0)
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return true;
}

static int set_duration(int64_t *ret, const char *value, char why[static WHY_SIZE])
{
    if (duration_parse(value, ret) == 0)
        return 0;
    snprintf(why, WHY_SIZE, "expected a duration such as 90s, 30m, 8h or 2d (the number 1 to 1000000), or none");
    return -EINVAL;
}

static int set_uri(struct settings *settings, const char *value, char why[static WHY_SIZE])
{
    if (is_local_uri(value) && text_copy(settings->uri, sizeof settings->uri, value) == 0)
        return 0;
    snprintf(why, WHY_SIZE, "expected a local driver's URI such as qemu:///system");
    return -EINVAL;
}

static int set_max_sessions(struct settings *settings, const char *value, char why[static WHY_SIZE])
{
    uint64_t n;

    if (io_parse_number(value, strlen(value), 1, POLICY_SESSIONS_MAX, &n) < 0) {
        snprintf(why, WHY_SIZE, "expected a number from 1 to %d", POLICY_SESSIONS_MAX);
        return -EINVAL;
    }
    settings->max_sessions = (unsigned)n;
    return 0;
}

static int set_confined(struct settings *settings, const char *value, char why[static WHY_SIZE])
{
    settings->confined_is_set = true;
    settings->confined = strcmp(value, "required") == 0;
    if (settings->confined || strcmp(value, "optional") == 0)
        return 0;
    snprintf(why, WHY_SIZE, "expected required or optional");
    return -EINVAL;
}

int settings_set(struct settings *settings, const char *key, const char *value, char why[static WHY_SIZE])
{
    if (strcmp(key, "uri") == 0)
        return set_uri(settings, value, why);
    if (strcmp(key, "idle") == 0)
        return set_duration(&settings->idle, value, why);
    if (strcmp(key, "max-time") == 0)
        return set_duration(&settings->max_time, value, why);
    if (strcmp(key, "max-sessions") == 0)
        return set_max_sessions(settings, value, why);
    if (strcmp(key, "confined") == 0)
        return set_confined(settings, value, why);
    snprintf(why, WHY_SIZE, "unknown key '%s': expected uri, idle, max-time, max-sessions or confined", key);
    return -EINVAL;
}

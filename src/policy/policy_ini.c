/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of an ini file through inih, with its traps closed. All of these were seen with inih 55 as Debian builds it:
 *
 *  - a line that is longer than its buffer (200 bytes) reaches the handler cut short; names of sections and keys are cut
 *    at 49 bytes without an error;
 *  - a line that begins with a blank is one more value of the key above; a BOM is passed over; ':' serves as '=';
 *  - what follows the first ']' of a header is ignored, also when that ']' was meant as part of a pattern;
 *  - ';' after any one blank begins a comment, within quotes as well: `deny = a ;b` denies a;
 *  - what it calls a blank depends on the locale: in ISO 8859-1 the last byte of a UTF-8 "à" is one;
 *  - the handler is not told of sections without keys, nor of the line number, and is called on after an error.
 *
 * So the reader below looks at each line first, as a whole. It hands inih lines of one plain form without comments, an
 * empty line in place of a refused one, and afterwards holds what inih made of a line against what it read itself.
 *
 * Comments: a line that begins with '#' or ';'. Behind a value or a header: from a ';' before which there are two blanks
 * or a TAB (behind a header, one blank will do). A ';' after exactly one blank is refused, because it may be meant either
 * way; one without a blank before it belongs to the value. */
#include "policy/policy_impl.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NAME_MAX_INIH 49 /* MAX_SECTION and MAX_NAME of ini.c, less the NUL */

struct source {
    const char *at, *end;
    unsigned line;
    bool crlf_told;
    const struct ini_events *events;
    /* What the line given to inih holds; key NULL: nothing, or told already. */
    const char *key, *value;
    char section[NAME_MAX_INIH + 1];
    char text[LINE_SIZE]; /* the line in hand, with NULs for separators */
};

__attribute__((format(printf, 2, 3))) static int refuse(struct source *source, const char *format, ...)
{
    char why[WHY_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    source->events->error(source->events->user, source->line, why);
    return -EINVAL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* --- a line as bytes --------------------------------------------------------------------------------------------- */

/* Every line of a file from another system ends so; one error will do. */
static int refuse_crlf(struct source *source)
{
    if (!source->crlf_told)
        refuse(source, "the line ends in CR LF, expected LF alone (convert the file: sed -i 's/\\r$//')");
    source->crlf_told = true;
    return -EINVAL;
}

static int refuse_char(struct source *source, const char *at, size_t len)
{
    char shown[24];
    uint32_t code;
    size_t n = text_utf8_char(at, len, &code);

    text_escape(shown, sizeof shown, at, n ? n : 1);
    if (n == 0)
        return refuse(source, "byte %s is not UTF-8", shown);
    if (code == 0)
        return refuse(source, "a NUL byte: expected a text file");
    if (code == 0xfeff)
        return refuse(source, "a byte order mark: expected UTF-8 without one");
    return refuse(source, "%s %s is not allowed", code < 0x20 ? "control character" : "unseen character", shown);
}

static int check_chars(struct source *source, const char *text, size_t len)
{
    uint32_t code;

    for (size_t at = 0, n; at < len; at += n) {
        n = text_utf8_char(text + at, len - at, &code);
        if (code == '\r' && n == 1 && at == len - 1)
            return refuse_crlf(source);
        if (n == 0 || (text_is_unseen(code) && code != '\t'))
            return refuse_char(source, text + at, len - at);
    }
    return 0;
}

/* room: of inih's buffer, with line end and NUL. */
static int check_line(struct source *source, const char *text, size_t len, size_t room)
{
    if (room > sizeof source->text)
        room = sizeof source->text;
    if (len + 2 > room)
        return refuse(source, "a line of %zu bytes: expected at most %zu (use patterns, or [vm PATTERN] sections)", len,
                      room - 2);
    return check_chars(source, text, len);
}

/* --- a line as ini ----------------------------------------------------------------------------------------------- */

/* Ends text where its comment begins, and behind its last character that is not a blank. */
static int cut_comment(struct source *source, char *text)
{
    bool quoted = false;
    size_t len;

    for (len = 0; text[len]; len++) {
        if (text[len] == '"')
            quoted = !quoted;
        if (text[len] != ';' || len == 0 || !is_blank(text[len - 1]))
            continue;
        if (quoted)
            return refuse(source, "';' after a blank within quotes: the ini reader takes it for a comment (in a pattern, "
                                  "write ? for one of them)");
        if (text[len - 1] == ' ' && (len < 2 || !is_blank(text[len - 2])))
            return refuse(source, "one blank before ';' is ambiguous: write a comma between names, or two blanks before "
                                  "a comment");
        break;
    }
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    text[len] = '\0';
    return 0;
}

static int read_header(struct source *source, char *text)
{
    char section[NAME_MAX_INIH + 1];
    char *close = strchr(text, ']');

    if (!close)
        return refuse(source, "expected ']' at the end of the section's header");
    const char *rest = skip_blanks(close + 1);
    if (*rest != '\0' && (*rest != ';' || rest == close + 1))
        return refuse(source, "a section's header ends at its first ']', expected nothing but a comment behind it (in a "
                              "pattern, write ? or * for [..])");
    *close = '\0';
    for (const char *c = text + 1; *c; c++)
        if (*c == ';' && is_blank(c[-1]))
            return refuse(source, "';' after a blank in a section's header: the ini reader takes it for a comment");
    if (text_copy(section, sizeof section, text + 1) < 0)
        return refuse(source, "a section's header of %zu bytes: expected at most %d", strlen(text + 1), NAME_MAX_INIH);
    memcpy(source->section, section, sizeof section);
    source->events->section(source->events->user, source->line, source->section);
    return 0;
}

static int check_key(struct source *source, const char *key)
{
    if (*key == '\0')
        return refuse(source, "expected a key before '='");
    if (strlen(key) > NAME_MAX_INIH)
        return refuse(source, "a key of %zu bytes: expected at most %d", strlen(key), NAME_MAX_INIH);
    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
        return refuse(source, "expected a key of small letters, digits and '-' before '=', not '%s'", key);
    return 0;
}

static int read_key(struct source *source, char *text)
{
    char *equal = strchr(text, '=');
    char *key_end = equal;

    if (!equal)
        return refuse(source, "expected 'key = value', a [section] or a comment");
    if (cut_comment(source, equal + 1) < 0)
        return -EINVAL;
    while (key_end > text && is_blank(key_end[-1]))
        key_end--;
    *key_end = '\0';
    if (check_key(source, text) < 0)
        return -EINVAL;
    source->key = text;
    source->value = skip_blanks(equal + 1);
    return 0;
}

/* Writes what inih is to see of the line. */
static void write_line(struct source *source, char *out, size_t room)
{
    char *text = source->text;

    snprintf(out, room, "\n");
    if (*text == '[') {
        if (read_header(source, text) < 0)
            source->events->section(source->events->user, source->line, NULL);
        else
            snprintf(out, room, "[%s]\n", source->section);
    } else if (is_blank(*text) && *skip_blanks(text) != '\0') {
        refuse(source, "the line begins with a blank, expected it to begin at its first character");
    } else if (*text != '\0' && !is_blank(*text) && *text != '#' && *text != ';') {
        if (read_key(source, text) == 0)
            snprintf(out, room, "%s=%s\n", source->key, source->value);
    }
}

/* --- inih's two callbacks ---------------------------------------------------------------------------------------- */

/* A key that inih passes over could be a deny. */
static void check_taken(struct source *source)
{
    if (source->key)
        refuse(source, "the ini reader did not understand the line");
    source->key = NULL;
}

static char *next_line(char *out, int room, void *stream)
{
    struct source *source = stream;

    check_taken(source);
    if (source->at == source->end)
        return NULL;
    const char *line_end = memchr(source->at, '\n', (size_t)(source->end - source->at));
    const char *text = source->at;
    size_t len = (size_t)((line_end ? line_end : source->end) - text);

    source->at = line_end ? line_end + 1 : source->end;
    source->line++;
    if (check_line(source, text, len, (size_t)room) < 0) {
        /* Keys below a header that was refused say nothing. (\xef: a header behind a byte order mark.) */
        if (len > 0 && (*text == '[' || *text == '\xef'))
            source->events->section(source->events->user, source->line, NULL);
        return strcpy(out, "\n");
    }
    memcpy(source->text, text, len);
    source->text[len] = '\0';
    write_line(source, out, (size_t)room);
    return out;
}

static int take_key(void *user, const char *section, const char *key, const char *value)
{
    struct source *source = user;

    if (!source->key || strcmp(key, source->key) != 0 || strcmp(value, source->value) != 0 ||
        strcmp(section, source->section) != 0)
        refuse(source, "the ini reader understood the line differently");
    else
        source->events->key(source->events->user, source->line, key, value);
    source->key = NULL;
    return 1;
}

int policy_ini_read(const char *data, size_t len, const struct ini_events *events)
{
    struct source source = { .at = data, .end = data + len, .events = events };
    int r = ini_parse_stream(next_line, &source, take_key, &source);

    if (r > 0) {
        source.line = (unsigned)r;
        refuse(&source, "the ini reader did not understand the line");
    }
    return r < 0 ? -ENOMEM : 0;
}

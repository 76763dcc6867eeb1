/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "command/shell_lex.h"

#include <string.h>

#include "command/target.h"
#include "command/why.h"

#define DIGITS "0123456789"
#define NAME_BYTES ALNUM "_"
#define WORD_ENDS " ;|()>" /* and the end */
#define PLAIN_BYTES NAME_BYTES "./:=+-,@%[]" /* unquoted; '[' for the command and for IPv6 addresses */

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static char peek(const struct shell_lex *lex)
{
    return lex->text[lex->at];
}

static int refuse_char(const struct shell_lex *lex)
{
    return why_set(lex->why, "'%s' is accepted in single quotes only", why_quote((char[]){ peek(lex), '\0' }).text);
}

static int refuse_variable(const struct shell_lex *lex)
{
    return why_set(lex->why, "'$' is accepted in $NAME or \"$NAME\" as a whole word, with at most %d names",
                   SHELL_VARS);
}

size_t shell_name_number(struct shell_names *names, const char *name, size_t len)
{
    /* The shell itself acts on these; reading on without them would read something else than the shell. */
    static const char *const special[] = { "IFS", "PATH", "ENV", "BASH_ENV" };

    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (len == strlen(special[i]) && memcmp(name, special[i], len) == 0)
            return SHELL_VARS;
    for (size_t i = 0; i < names->n; i++)
        if (len == strlen(names->name[i]) && memcmp(name, names->name[i], len) == 0)
            return i;
    if (names->n == SHELL_VARS || len == 0 || len >= SHELL_NAME_SIZE || is_one_of(name[0], DIGITS))
        return SHELL_VARS;
    memcpy(names->name[names->n], name, len);
    names->name[names->n][len] = '\0';
    return names->n++;
}

/* --- words ------------------------------------------------------------------------------------------------------- */

static void put(struct shell_lex *lex, char c)
{
    lex->arena[lex->used++] = c;
}

static int read_single_quoted(struct shell_lex *lex)
{
    for (lex->at++; peek(lex); lex->at++) {
        if (peek(lex) == '\'') {
            lex->at++;
            return 0;
        }
        put(lex, peek(lex));
    }
    return why_set(lex->why, "a single quote is not closed");
}

static int read_double_quoted(struct shell_lex *lex)
{
    lex->at++;
    while (peek(lex)) {
        char c = peek(lex);
        if (c == '"') {
            lex->at++;
            return 0;
        }
        if (c == '`' || c == '$')
            return c == '$' ? refuse_variable(lex) : refuse_char(lex);
        if (c == '\\' && is_one_of(lex->text[lex->at + 1], "$`\"\\"))
            c = lex->text[lex->at + 1], lex->at++;
        put(lex, c);
        lex->at++;
    }
    return why_set(lex->why, "a double quote is not closed");
}

static int read_escaped(struct shell_lex *lex)
{
    if (!lex->text[lex->at + 1])
        return why_set(lex->why, "the command ends in a backslash");
    put(lex, lex->text[lex->at + 1]);
    lex->at += 2;
    return 0;
}

static int read_plain(struct shell_lex *lex)
{
    struct shell_word *word = &lex->word;
    char c = peek(lex);
    size_t len = (size_t)(lex->arena + lex->used - word->text);

    if (!is_one_of(c, PLAIN_BYTES))
        return refuse_char(lex);
    if (c == '=' && !word->quoted && !word->value && len > 0 && !is_one_of(word->text[0], DIGITS) &&
        len == strspn(word->text, NAME_BYTES))
        word->value = len + 1;
    put(lex, c);
    lex->at++;
    return 0;
}

static int read_part(struct shell_lex *lex)
{
    char c = peek(lex);

    if (is_one_of(c, "'\"\\"))
        lex->word.quoted = true;
    switch (c) {
    case '\'':
        return read_single_quoted(lex);
    case '"':
        return read_double_quoted(lex);
    case '\\':
        return read_escaped(lex);
    case '$':
        return refuse_variable(lex);
    default:
        return read_plain(lex);
    }
}

/* A word that is a variable: at its $, or at the quote before that. */
static int read_variable(struct shell_lex *lex)
{
    struct shell_word *word = &lex->word;
    bool quoted = peek(lex) == '"';
    size_t len = 0;

    lex->at += quoted ? 2 : 1;
    const char *name = lex->text + lex->at;
    if (name[0] == '?') {
        len = 1;
        word->kind = WORD_STATUS;
    } else {
        while (is_one_of(name[len], NAME_BYTES))
            len++;
        word->kind = quoted ? WORD_KEEP : WORD_SPLIT;
        word->var = shell_name_number(lex->names, name, len);
    }
    lex->at += len;
    if (word->var == SHELL_VARS || (quoted && lex->text[lex->at++] != '"') || !strchr(WORD_ENDS, peek(lex)))
        return refuse_variable(lex);
    put(lex, '\0');
    return 0;
}

static int read_word(struct shell_lex *lex)
{
    struct shell_word *word = &lex->word;

    lex->token = TOKEN_WORD;
    *word = (struct shell_word){ .text = lex->arena + lex->used };
    if (peek(lex) == '$' || strncmp(lex->text + lex->at, "\"$", 2) == 0)
        return read_variable(lex);
    while (!strchr(WORD_ENDS, peek(lex))) {
        lex->arena[lex->used] = '\0';
        int r = read_part(lex);
        if (r < 0)
            return r;
    }
    put(lex, '\0');
    /* A number right before > is a descriptor to the shell: the two that are accepted never come here. */
    if (peek(lex) == '>' && !word->quoted && !word->text[strspn(word->text, DIGITS)])
        return why_set(lex->why, "expected no redirection but 2>&1 and >/dev/null");
    return 0;
}

/* --- operators --------------------------------------------------------------------------------------------------- */

/* text, and then one of the ends or the end. */
static bool follows(const struct shell_lex *lex, const char *text, const char *ends)
{
    size_t n = strlen(text);

    return strncmp(lex->text + lex->at, text, n) == 0 && strchr(ends, lex->text[lex->at + n]);
}

/* In "2>&1>" the 1 belongs to what follows, and the shell finds nothing after the &. */
static bool at_duplicate(const struct shell_lex *lex)
{
    return follows(lex, "2>&1", " ;|)");
}

static int read_redirect(struct shell_lex *lex)
{
    lex->token = TOKEN_REDIRECT;
    if (at_duplicate(lex)) {
        lex->at += strlen("2>&1");
        return 0;
    }
    lex->at += peek(lex) == '1' ? 2 : 1;
    while (peek(lex) == ' ')
        lex->at++;
    if (!follows(lex, "/dev/null", WORD_ENDS))
        return why_set(lex->why, "expected no redirection but 2>&1 and >/dev/null");
    lex->at += strlen("/dev/null");
    return 0;
}

static bool at_redirect(const struct shell_lex *lex)
{
    return peek(lex) == '>' || (peek(lex) == '1' && lex->text[lex->at + 1] == '>') || at_duplicate(lex);
}

int shell_lex_next(struct shell_lex *lex)
{
    static const struct { char c; enum shell_token token; } operators[] = {
        { ';', TOKEN_SEMICOLON }, { '|', TOKEN_PIPE }, { '(', TOKEN_OPEN }, { ')', TOKEN_CLOSE },
    };

    while (peek(lex) == ' ')
        lex->at++;
    if (!peek(lex)) {
        lex->token = TOKEN_END;
        return 0;
    }
    if (at_redirect(lex))
        return read_redirect(lex);
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (peek(lex) == operators[i].c) {
            lex->at++;
            lex->token = operators[i].token;
            return 0;
        }
    return read_word(lex);
}

int shell_lex_start(struct shell_lex *lex, const char *text, struct shell_names *names,
                    char why[static COMMAND_WHY_SIZE])
{
    lex->text = text;
    lex->at = lex->used = 0;
    lex->names = names;
    lex->why = why;
    if (strlen(text) > SHELL_TEXT_MAX) /* no caller has such a text; the arena must not depend on that */
        return why_set(why, "the command is longer than the %d bytes that a client's script may have", SHELL_TEXT_MAX);
    return shell_lex_next(lex);
}

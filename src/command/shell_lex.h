/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens of the few shell constructs that clients use (POSIX.1-2017, XCU chapter 2, cut down to those). Whatever else
 * the shell would act upon is refused, so that no character is ever read here as text and by a shell as an operator. */
#ifndef VG_COMMAND_SHELL_LEX_H
#define VG_COMMAND_SHELL_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "command/command.h"

#define SHELL_TEXT_MAX 4096  /* bytes of one script; the longest known is 320 */
#define SHELL_VARS 8         /* different variable names */
#define SHELL_NAME_SIZE 32

/* The names of the variables that the scripts of one command line use. */
struct shell_names {
    size_t n;
    char name[SHELL_VARS][SHELL_NAME_SIZE];
};

enum shell_token {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_SEMICOLON,
    TOKEN_PIPE,
    TOKEN_OPEN,              /* ( */
    TOKEN_CLOSE,             /* ) */
    TOKEN_REDIRECT,          /* 2>&1, >/dev/null, 1>/dev/null */
};

/* A variable is a word of its own: no target can be put together from pieces that nowhere stand next to each other. */
enum shell_kind {
    WORD_TEXT,
    WORD_SPLIT,              /* $NAME: its value is split at blanks */
    WORD_KEEP,               /* "$NAME" */
    WORD_STATUS,             /* $? */
};

struct shell_word {
    enum shell_kind kind;
    size_t var;              /* of WORD_SPLIT and WORD_KEEP: the variable's number */
    char *text;              /* in the lexer's arena; "" for a variable */
    bool quoted;             /* something in it was: it is no keyword */
    size_t value;            /* of an assignment NAME=value: where the value begins; else 0 */
};

struct shell_lex {
    const char *text;
    size_t at;
    struct shell_names *names;
    char *why;
    enum shell_token token;  /* the current one */
    struct shell_word word;  /* of TOKEN_WORD */
    size_t used;
    char arena[SHELL_TEXT_MAX + 1]; /* a word is never longer than its source, and ends where a separator stood */
};

/* Starts at the text's first token. 0 or -EINVAL with why set (as shell_lex_next()). */
int shell_lex_start(struct shell_lex *lex, const char *text, struct shell_names *names,
                    char why[static COMMAND_WHY_SIZE]);
/* Goes on to the next token. */
int shell_lex_next(struct shell_lex *lex);

/* Number of the variable, added when it is new; SHELL_VARS when there is no room or it is no name for a variable. */
size_t shell_name_number(struct shell_names *names, const char *name, size_t len);

#endif

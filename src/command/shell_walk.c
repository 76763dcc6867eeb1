/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The grammar, cut down from POSIX.1-2017, XCU 2.10:
 *
 *   list     = command { ";" command } [ ";" ]
 *   command  = if | pipeline | subshell | assignment | simple
 *   if       = "if" list "then" list [ "else" list ] "fi"      the first list holds probes and tests only
 *   pipeline = nc -q, "|", grep [-q] "requires an argument"
 *   subshell = "(" command -v socat ")"
 *
 * Redirections stand only on probes: their output means nothing here, that of a connection is the stream.
 *
 * Bounds: SHELL_TEXT_MAX bytes, WORDS_MAX words and RUNS_MAX commands in all; within each other, SH_MAX strings of
 * sh -c, EVAL_MAX of eval, and IFS_MAX ifs. The known scripts need 25 words, 9 commands, one string each and 2 ifs. */
#include "command/shell_walk.h"

#include <string.h>

#include "command/shell_lex.h"
#include "command/why.h"

#define WORDS_MAX 64
#define RUNS_MAX 16
#define SH_MAX 2
#define EVAL_MAX 1
#define IFS_MAX 4
#define VALUES_MAX 4

/* What holds at one place of a script, on every way that leads there. */
struct state {
    bool connected;          /* a connection was made (and has ended): the shell would go on, nothing may follow */
    bool probed;             /* the command before was a probe: $? is its result */
    uint8_t n_values[SHELL_VARS];                  /* 0: not set on some way */
    const char *value[SHELL_VARS][VALUES_MAX];
};

/* What is shared by all texts of one command line. */
struct walk {
    struct plan plan;
    struct shell_names names;
    unsigned words, runs, ifs, shells, evals;
    char *why;
    size_t values_used;
    char values[SHELL_TEXT_MAX];
};

/* One text: the whole line, a string of sh -c, or of eval. */
struct text {
    struct walk *walk;
    struct shell_lex lex;
    char split[SHELL_TEXT_MAX]; /* the values of the command at hand, cut into words */
};

/* A command as it was written. */
struct simple {
    size_t n;
    struct shell_word word[WORDS_MAX];
    bool redirected;
};

enum place { ALONE, BEFORE_PIPE, AFTER_PIPE };

/* A command as it would be run. */
struct run {
    size_t argc;
    const char *argv[WORDS_MAX];
    bool redirected;
    enum place place;
};

static int walk_text(struct walk *walk, struct state *state, const char *script);
static int walk_list(struct text *text, struct state *state, bool condition);

/* --- states ------------------------------------------------------------------------------------------------------ */

static int add_value(struct walk *walk, struct state *state, size_t var, const char *value)
{
    for (size_t i = 0; i < state->n_values[var]; i++)
        if (strcmp(state->value[var][i], value) == 0)
            return 0;
    if (state->n_values[var] == VALUES_MAX)
        return why_set(walk->why, "a variable may have more than %d values", VALUES_MAX);
    state->value[var][state->n_values[var]++] = value;
    return 0;
}

/* What holds where two ways meet. */
static int join(struct walk *walk, struct state *state, const struct state *other)
{
    if (state->connected != other->connected)
        return why_set(walk->why, "one way through the command connects, another does not");
    state->probed = false;
    for (size_t var = 0; var < SHELL_VARS; var++) {
        if (other->n_values[var] == 0)
            state->n_values[var] = 0;
        for (size_t i = 0; state->n_values[var] > 0 && i < other->n_values[var]; i++) {
            int r = add_value(walk, state, var, other->value[var][i]);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int assign(struct walk *walk, struct state *state, const struct shell_word *word)
{
    size_t var = shell_name_number(&walk->names, word->text, word->value - 1), size = strlen(word->text) + 1;
    const char *value = word->text + word->value;

    if (var == SHELL_VARS)
        return why_set(walk->why, "expected an assignment to one of at most %d variables", SHELL_VARS);
    size -= word->value;
    if (size > sizeof walk->values - walk->values_used)
        return why_set(walk->why, "the values of the variables are too long");
    char *kept = memcpy(walk->values + walk->values_used, value, size);
    walk->values_used += size;
    state->n_values[var] = 0;
    state->probed = false;
    return add_value(walk, state, var, kept);
}

/* --- expansion --------------------------------------------------------------------------------------------------- */

static const char status[] = "$?"; /* in an argv, by its address: no word that a client can write is this one */

static int add_word(struct walk *walk, struct run *run, const char *word)
{
    if (run->argc == WORDS_MAX)
        return why_set(walk->why, "the command has more than %d words", WORDS_MAX);
    run->argv[run->argc++] = word;
    return 0;
}

/* Cuts value at its blanks, as the shell does with $NAME; an empty one is no word at all. */
static int add_split(struct text *text, size_t *used, struct run *run, const char *value)
{
    size_t size = strlen(value) + 1;
    char *rest = NULL;
    int r = 0;

    if (value[strcspn(value, "*?[\\")])
        return why_set(text->walk->why, "expected no pattern in a variable");
    if (size > sizeof text->split - *used)
        return why_set(text->walk->why, "the command is longer than %d bytes with its variables", SHELL_TEXT_MAX);
    char *copy = memcpy(text->split + *used, value, size);
    *used += size;
    for (char *word = strtok_r(copy, " ", &rest); word && r == 0; word = strtok_r(NULL, " ", &rest))
        r = add_word(text->walk, run, word);
    return r;
}

static int expand_word(struct text *text, const struct state *state, const uint8_t *choice,
                       const struct shell_word *word, size_t *used, struct run *run)
{
    if (word->kind == WORD_TEXT)
        return add_word(text->walk, run, word->text);
    if (word->kind == WORD_STATUS)
        return add_word(text->walk, run, status);
    if (state->n_values[word->var] == 0)
        return why_set(text->walk->why, "$%s is used before it is set", text->walk->names.name[word->var]);
    const char *value = state->value[word->var][choice[word->var]];
    return word->kind == WORD_KEEP ? add_word(text->walk, run, value) : add_split(text, used, run, value);
}

static int expand(struct text *text, const struct state *state, const uint8_t *choice, const struct simple *simple,
                  struct run *run)
{
    size_t used = 0;
    int r = 0;

    run->argc = 0;
    for (size_t i = 0; i < simple->n && r == 0; i++)
        r = expand_word(text, state, choice, &simple->word[i], &used, run);
    if (r == 0 && run->argc == 0)
        r = why_set(text->walk->why, "expected a command where only empty variables are");
    return r;
}

/* Moves choice to the next combination of values, of the variables that simple uses. False after the last. */
static bool next_choice(const struct state *state, const struct simple *simple, uint8_t *choice)
{
    bool seen[SHELL_VARS] = { false };

    for (size_t i = 0; i < simple->n; i++) {
        const struct shell_word *word = &simple->word[i];
        if ((word->kind != WORD_SPLIT && word->kind != WORD_KEEP) || seen[word->var])
            continue;
        seen[word->var] = true;
        if (++choice[word->var] < state->n_values[word->var])
            return true;
        choice[word->var] = 0;
    }
    return false;
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static int run_probe(struct walk *walk, struct state *state, const struct run *run, bool right)
{
    if (!right)
        return why_set(walk->why, "%s: expected one of the probes that clients send", run->argv[0]);
    if (run->place != ALONE)
        return why_set(walk->why, "%s: expected no '|' here", run->argv[0]);
    state->probed = true;
    return 0;
}

static int run_which(struct walk *walk, struct state *state, const struct run *run)
{
    return run_probe(walk, state, run, run->argc == 2 && (strcmp(run->argv[1], "virt-ssh-helper") == 0 ||
                                                         strcmp(run->argv[1], "virt-nc") == 0));
}

static int run_command(struct walk *walk, struct state *state, const struct run *run)
{
    return run_probe(walk, state, run, run->argc == 3 && strcmp(run->argv[1], "-v") == 0 &&
                                       strcmp(run->argv[2], "socat") == 0);
}

static int run_grep(struct walk *walk, struct state *state, const struct run *run)
{
    size_t at = run->argc == 3 && strcmp(run->argv[1], "-q") == 0 ? 2 : 1;

    if (run->place != AFTER_PIPE || run->argc != at + 1 || strcmp(run->argv[at], "requires an argument") != 0)
        return why_set(walk->why, "grep: expected nc -q | grep \"requires an argument\"");
    state->probed = true;
    return 0;
}

/* test $? = 0, [ $? -eq 0 ] */
static int run_test(struct walk *walk, struct state *state, const struct run *run)
{
    bool bracket = run->argv[0][0] == '[';

    if (run->argc != (bracket ? 5U : 4U) || run->argv[1] != status ||
        (strcmp(run->argv[2], "=") != 0 && strcmp(run->argv[2], "-eq") != 0) || strcmp(run->argv[3], "0") != 0 ||
        (bracket && strcmp(run->argv[4], "]") != 0) || run->redirected || run->place != ALONE)
        return why_set(walk->why, "expected test $? = 0 or [ $? -eq 0 ]");
    if (!state->probed)
        return why_set(walk->why, "expected $? after a probe");
    state->probed = false;
    return 0;
}

static int connects(struct walk *walk, struct state *state, const struct run *run)
{
    if (run->redirected || run->place != ALONE)
        return why_set(walk->why, "expected no redirection and no '|' on a connection");
    state->connected = true;
    state->probed = false;
    return 0;
}

static int run_socat(struct walk *walk, struct state *state, const struct run *run)
{
    int r = plan_add_socat(&walk->plan, run->argc, run->argv, walk->why);

    return r < 0 ? r : connects(walk, state, run);
}

static int run_helper(struct walk *walk, struct state *state, const struct run *run)
{
    int r = plan_add_helper(&walk->plan, run->argc, run->argv, walk->why);

    return r < 0 ? r : connects(walk, state, run);
}

static int run_netcat(struct walk *walk, struct state *state, const struct run *run)
{
    bool probe;
    int r = plan_add_netcat(&walk->plan, run->argc, run->argv, &probe, walk->why);

    if (r < 0)
        return r;
    if (!probe)
        return connects(walk, state, run);
    if (run->place != BEFORE_PIPE)
        return why_set(walk->why, "nc -q: expected | grep after it");
    return 0;
}

static int run_sh(struct walk *walk, struct state *state, const struct run *run)
{
    struct state inside = { 0 }; /* variables are not exported: the new shell starts without */

    if (run->argc != 3 || strcmp(run->argv[1], "-c") != 0)
        return why_set(walk->why, "sh: expected -c and one string");
    if (walk->shells == SH_MAX)
        return why_set(walk->why, "expected at most %d times sh -c within each other", SH_MAX);
    walk->shells++;
    int r = walk_text(walk, &inside, run->argv[2]);
    walk->shells--;
    if (r < 0)
        return r;
    if (!inside.connected)
        return why_set(walk->why, "sh -c: expected a command that connects");
    return connects(walk, state, run);
}

static int run_eval(struct walk *walk, struct state *state, const struct run *run)
{
    if (run->argc != 2 || run->redirected || run->place != ALONE)
        return why_set(walk->why, "eval: expected one string, and no redirection and no '|'");
    if (walk->evals == EVAL_MAX)
        return why_set(walk->why, "expected no eval within eval");
    walk->evals++;
    int r = walk_text(walk, state, run->argv[1]);
    walk->evals--;
    return r;
}

/* Every command there is; any other word is taken for nc by another name, and must have its arguments. */
static const struct {
    const char *name;
    bool decides;            /* may stand between if and then */
    int (*run)(struct walk *walk, struct state *state, const struct run *run);
} commands[] = {
    { "[", true, run_test },
    { "command", true, run_command },
    { "eval", false, run_eval },
    { "grep", true, run_grep },
    { "sh", false, run_sh },
    { "socat", false, run_socat },
    { "test", true, run_test },
    { "virt-ssh-helper", false, run_helper },
    { "which", true, run_which },
};

static int run(struct walk *walk, struct state *state, const struct run *run, bool condition)
{
    size_t i = 0, n = sizeof commands / sizeof commands[0];

    if (++walk->runs > RUNS_MAX)
        return why_set(walk->why, "the command has more than %d commands in it", RUNS_MAX);
    while (i < n && strcmp(commands[i].name, run->argv[0]) != 0)
        i++;
    for (size_t a = 0; a < run->argc; a++)
        if (run->argv[a] == status && (i == n || commands[i].run != run_test))
            return why_set(walk->why, "'$?' is accepted in a test only");
    if (condition && (i < n ? !commands[i].decides : run->place != BEFORE_PIPE))
        return why_set(walk->why, "expected a probe or a test between if and then");
    return (i < n ? commands[i].run : run_netcat)(walk, state, run);
}

/* Runs simple once for every combination of values that its variables may have. */
static int run_all(struct text *text, struct state *state, const struct simple *simple, enum place place,
                   bool condition)
{
    struct run one = { .redirected = simple->redirected, .place = place };
    struct state before = *state, after;
    uint8_t choice[SHELL_VARS] = { 0 };
    bool first = true;

    do {
        after = before;
        int r = expand(text, &before, choice, simple, &one);
        if (r == 0)
            r = run(text->walk, &after, &one, condition);
        if (r == 0 && !first)
            r = join(text->walk, state, &after);
        if (r < 0)
            return r;
        if (first)
            *state = after;
        first = false;
    } while (next_choice(&before, simple, choice));
    return 0;
}

/* --- grammar ----------------------------------------------------------------------------------------------------- */

static bool at_keyword(const struct text *text, const char *keyword)
{
    return text->lex.token == TOKEN_WORD && !text->lex.word.quoted && strcmp(text->lex.word.text, keyword) == 0;
}

static int skip_keyword(struct text *text, const char *keyword)
{
    if (!at_keyword(text, keyword))
        return why_set(text->walk->why, "expected %s", keyword);
    return shell_lex_next(&text->lex);
}

static int read_redirects(struct text *text, bool *ret)
{
    *ret = false;
    while (text->lex.token == TOKEN_REDIRECT) {
        *ret = true;
        int r = shell_lex_next(&text->lex);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_simple(struct text *text, struct simple *simple)
{
    int r = 0;

    simple->n = 0;
    simple->redirected = false;
    while (r == 0 && (text->lex.token == TOKEN_WORD || (text->lex.token == TOKEN_REDIRECT && simple->n > 0))) {
        if (text->lex.token == TOKEN_REDIRECT) {
            simple->redirected = true;
        } else {
            if (++text->walk->words > WORDS_MAX)
                return why_set(text->walk->why, "the command has more than %d words", WORDS_MAX);
            simple->word[simple->n++] = text->lex.word;
        }
        r = shell_lex_next(&text->lex);
    }
    if (r == 0 && simple->n == 0)
        return why_set(text->walk->why, "expected a command where an operator or the end is");
    return r;
}

static int walk_subshell(struct text *text, struct state *state, bool condition)
{
    struct simple simple;
    bool redirected;
    int r = shell_lex_next(&text->lex);

    if (r == 0)
        r = read_simple(text, &simple);
    if (r < 0)
        return r;
    if (simple.n != 3 || strcmp(simple.word[0].text, "command") != 0 || text->lex.token != TOKEN_CLOSE)
        return why_set(text->walk->why, "expected nothing but (command -v socat) in parentheses");
    r = shell_lex_next(&text->lex);
    if (r == 0)
        r = read_redirects(text, &redirected);
    return r < 0 ? r : run_all(text, state, &simple, ALONE, condition);
}

static int walk_pipeline(struct text *text, struct state *state, bool condition)
{
    struct simple simple;
    int r = read_simple(text, &simple);

    if (r < 0)
        return r;
    if (simple.word[0].value) {
        if (simple.n > 1 || simple.redirected || condition || text->lex.token == TOKEN_PIPE)
            return why_set(text->walk->why, "expected an assignment to be a command of its own");
        return assign(text->walk, state, &simple.word[0]);
    }
    if (text->lex.token != TOKEN_PIPE)
        return run_all(text, state, &simple, ALONE, condition);
    r = run_all(text, state, &simple, BEFORE_PIPE, condition);
    if (r == 0)
        r = shell_lex_next(&text->lex);
    if (r == 0)
        r = read_simple(text, &simple);
    return r < 0 ? r : run_all(text, state, &simple, AFTER_PIPE, condition);
}

static int walk_branches(struct text *text, struct state *state)
{
    struct state other = *state;
    int r = walk_list(text, state, false);

    if (r == 0 && at_keyword(text, "else")) {
        r = shell_lex_next(&text->lex);
        if (r == 0)
            r = walk_list(text, &other, false);
    }
    return r < 0 ? r : join(text->walk, state, &other);
}

static int walk_if(struct text *text, struct state *state, bool condition)
{
    int r;

    if (condition || text->walk->ifs == IFS_MAX)
        return why_set(text->walk->why, "expected at most %d ifs within each other, none in a condition", IFS_MAX);
    text->walk->ifs++;
    r = shell_lex_next(&text->lex);
    if (r == 0)
        r = walk_list(text, state, true);
    if (r == 0)
        r = skip_keyword(text, "then");
    if (r == 0)
        r = walk_branches(text, state);
    if (r == 0)
        r = skip_keyword(text, "fi");
    text->walk->ifs--;
    return r;
}

static int walk_command(struct text *text, struct state *state, bool condition)
{
    if (state->connected)
        return why_set(text->walk->why, "expected nothing after the command that connects");
    if (at_keyword(text, "if"))
        return walk_if(text, state, condition);
    if (text->lex.token == TOKEN_OPEN)
        return walk_subshell(text, state, condition);
    return walk_pipeline(text, state, condition);
}

static bool at_list_end(const struct text *text)
{
    return text->lex.token == TOKEN_END || at_keyword(text, "then") || at_keyword(text, "else") ||
           at_keyword(text, "fi");
}

/* Up to the end of the text or a keyword that ends a list; which one it is, the caller looks at. */
static int walk_list(struct text *text, struct state *state, bool condition)
{
    for (;;) {
        int r = walk_command(text, state, condition);
        if (r < 0)
            return r;
        if (text->lex.token != TOKEN_SEMICOLON)
            return text->lex.token == TOKEN_END ? 0 : why_set(text->walk->why, "expected ; or the end after a command");
        r = shell_lex_next(&text->lex);
        if (r < 0 || at_list_end(text))
            return r;
    }
}

static int walk_text(struct walk *walk, struct state *state, const char *script)
{
    struct text text;

    text.walk = walk;
    int r = shell_lex_start(&text.lex, script, &walk->names, walk->why);
    if (r == 0)
        r = walk_list(&text, state, false);
    if (r == 0 && text.lex.token != TOKEN_END)
        r = why_set(walk->why, "'%s' without if", text.lex.word.text);
    return r;
}

int shell_walk(const char *text, struct command *ret, char why[static COMMAND_WHY_SIZE])
{
    struct walk walk = { .why = why };
    struct state state = { 0 };
    int r = walk_text(&walk, &state, text);

    if (r < 0)
        return r;
    if (!state.connected)
        return why_set(why, "expected a command that connects; try help");
    return plan_finish(&walk.plan, ret, why);
}

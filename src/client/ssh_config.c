/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client/ssh_config.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"

#define DEPTH_MAX 16
#define LINE_SIZE 4096
#define LIBSSH_LINE_MAX 1000 /* it would cut a longer one in two */
#define BLANKS " \t\r\n"

struct reading {
    struct ssh_config *config;
    const char *home, *host;
    FILE *flat;
    enum { NOT_OURS, OURS, FOR_LIBSSH } block; /* what is being read: of another host, of this one, or in a Match */
    unsigned depth;
    enum ssh_config_file kind;
    char *why;
};

static int read_file(struct reading *reading, const char *path);

/* The next word of a line; double quotes keep blanks. NULL: no more. */
static char *next_word(char **line, const char *ends)
{
    char *at = *line + strspn(*line, ends), *word;

    if (!*at || *at == '#')
        return NULL;
    if (*at == '"') {
        word = ++at;
        at += strcspn(at, "\"");
    } else {
        word = at;
        at += strcspn(at, ends);
    }
    if (*at)
        *at++ = '\0';
    *line = at;
    return word;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

/* ~ and %d are the home folder, %h the host as typed; a path with anything else is left to libssh. */
static char *expand(const struct reading *reading, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    if (path[0] == '~' && path[1] == '/') {
        fputs(reading->home, out);
        path++;
    }
    for (; *path; path++) {
        if (*path != '%') {
            putc(*path, out);
        } else if (path[1] == 'd' || path[1] == 'h' || path[1] == '%') {
            path++;
            fputs(*path == 'd' ? reading->home : *path == 'h' ? reading->host : "%", out);
        } else {
            reading->config->unsure = true;
            break;
        }
    }
    fclose(out);
    if (*path) {
        free(text);
        return NULL;
    }
    return text;
}

static void add_file(struct reading *reading, char *list[static SSH_CONFIG_FILES_MAX], size_t *n, const char *path)
{
    char *file = strcasecmp(path, "none") == 0 ? NULL : expand(reading, path);

    if (file && *n < SSH_CONFIG_FILES_MAX)
        list[(*n)++] = file;
    else
        free(file);
}

static void set_identity(struct reading *reading, const char *value)
{
    add_file(reading, reading->config->identity, &reading->config->n_identities, value);
}

static void set_certificate(struct reading *reading, const char *value)
{
    add_file(reading, reading->config->certificate, &reading->config->n_certificates, value);
}

static void set_strict(struct reading *reading, const char *value)
{
    static const struct { const char *word; enum ssh_config_strict strict; } words[] = {
        { "yes", STRICT_YES }, { "true", STRICT_YES }, { "accept-new", STRICT_ACCEPT_NEW },
        { "no", STRICT_NO }, { "off", STRICT_NO }, { "false", STRICT_NO },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(value, words[i].word) == 0)
            reading->config->strict = words[i].strict;
}

static bool is_yes(const char *value)
{
    return strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0;
}

static void set_timeout(struct reading *reading, const char *value)
{
    uint64_t seconds;

    if (io_parse_number(value, strlen(value), 1, 3600, &seconds) == 0)
        reading->config->timeout_ms = (int)seconds * 1000;
}

static void set_alive_interval(struct reading *reading, const char *value)
{
    uint64_t seconds;

    if (io_parse_number(value, strlen(value), 1, 3600, &seconds) == 0)
        reading->config->alive_s = (int)seconds;
}

static void set_alive_count(struct reading *reading, const char *value)
{
    uint64_t count;

    if (io_parse_number(value, strlen(value), 1, 1000, &count) == 0)
        reading->config->alive_count = (unsigned)count;
}

static void set_bind(struct reading *reading, const char *value)
{
    (void)value;
    reading->config->binds = true;
}

static void set_identities_only(struct reading *reading, const char *value)
{
    reading->config->identities_only = is_yes(value);
}

static bool is_no(const char *value)
{
    return strcasecmp(value, "no") == 0 || strcasecmp(value, "false") == 0;
}

static void set_publickey(struct reading *reading, const char *value)
{
    reading->config->off |= is_no(value) ? METHOD_PUBLICKEY : 0;
}

static void set_interactive(struct reading *reading, const char *value)
{
    reading->config->off |= is_no(value) ? METHOD_INTERACTIVE : 0;
}

static void set_password(struct reading *reading, const char *value)
{
    reading->config->off |= is_no(value) ? METHOD_PASSWORD : 0;
}

static void set_preferred(struct reading *reading, const char *value)
{
    snprintf(reading->config->preferred, sizeof reading->config->preferred, "%s", value);
}

static void set_agent(struct reading *reading, const char *value)
{
    const char *variable = strcmp(value, "SSH_AUTH_SOCK") == 0 ? value : value[0] == '$' ? value + 1 : NULL;
    const char *path = variable ? getenv(variable) : value;

    reading->config->agent = strcasecmp(value, "none") == 0 || !path ? strdup("none") : expand(reading, path);
}

static void set_batch(struct reading *reading, const char *value)
{
    reading->config->batch = is_yes(value);
}

/* A note of the user's that libssh does not read, and that can change which host or key is trusted, or how to log in. */
static void add_lacking(struct reading *reading, const char *word)
{
    char *text = reading->config->lacking;
    size_t len = strlen(text);

    if (!strcasestr(text, word))
        snprintf(text + len, sizeof reading->config->lacking - len, "%s%s", len ? ", " : "", word);
}

static void set_revoked(struct reading *reading, const char *value)
{
    if (strcasecmp(value, "none") != 0)
        text_copy(reading->config->refused, sizeof reading->config->refused, "RevokedHostKeys");
}

static const struct keyword {
    const char *word;
    bool repeats;           /* each value counts, not the first alone */
    void (*set)(struct reading *reading, const char *value); /* NULL: lacking, unless the value is one of "no" and "none" */
} keywords[] = {
    { "IdentityFile", true, set_identity },
    { "CertificateFile", true, set_certificate },
    { "StrictHostKeyChecking", false, set_strict },
    { "IdentitiesOnly", false, set_identities_only },
    { "IdentityAgent", false, set_agent },
    { "BatchMode", false, set_batch },
    { "BindAddress", false, set_bind },
    { "ConnectTimeout", false, set_timeout },
    { "KbdInteractiveAuthentication", false, set_interactive },
    { "PasswordAuthentication", false, set_password },
    { "PreferredAuthentications", false, set_preferred },
    { "PubkeyAuthentication", false, set_publickey },
    { "RevokedHostKeys", false, set_revoked },
    { "ServerAliveCountMax", false, set_alive_count },
    { "ServerAliveInterval", false, set_alive_interval },
    { "AddressFamily", false, NULL },
    { "CanonicalizeHostname", false, NULL },
    { "HostKeyAlias", false, NULL },
    { "KnownHostsCommand", false, NULL },
    { "PKCS11Provider", false, NULL },
    { "SecurityKeyProvider", false, NULL },
    { "VerifyHostKeyDNS", false, NULL },
};

static void set_value(struct reading *reading, const char *word, const char *value)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        const struct keyword *keyword = &keywords[i];
        if (strcasecmp(word, keyword->word) != 0)
            continue;
        if (!keyword->repeats && reading->config->seen & 1U << i)
            return;
        reading->config->seen |= 1U << i;
        if (keyword->set)
            keyword->set(reading, value);
        else if (strcasecmp(value, "no") != 0 && strcasecmp(value, "none") != 0 && strcasecmp(value, "any") != 0)
            add_lacking(reading, keyword->word);
    }
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

/* One pattern fits, and none of those with '!' does. */
static bool fits(const char *host, char *patterns)
{
    bool fit = false;

    for (char *pattern; (pattern = next_word(&patterns, BLANKS));) {
        bool no = pattern[0] == '!';
        if (fnmatch(pattern + no, host, FNM_NOESCAPE | FNM_CASEFOLD) != 0)
            continue;
        if (no)
            return false;
        fit = true;
    }
    return fit;
}

static void pass_on(const struct reading *reading, const char *line)
{
    if (reading->flat)
        fprintf(reading->flat, "%s\n", line);
}

/* What comes next is not in the Match before it any more. */
static void end_match(struct reading *reading)
{
    if (reading->block == FOR_LIBSSH)
        pass_on(reading, "Match all");
    reading->block = NOT_OURS;
}

/* "all" is for everybody; what else a Match says is libssh's to judge, so what stands in it is not taken here. */
static void begin_match(struct reading *reading, char *rest, const char *whole)
{
    const char *word = next_word(&rest, BLANKS);

    end_match(reading);
    reading->block = word && strcasecmp(word, "all") == 0 ? OURS : FOR_LIBSSH;
    if (reading->block == FOR_LIBSSH) {
        reading->config->unsure = true;
        pass_on(reading, whole);
    }
}

static void begin_host(struct reading *reading, char *rest)
{
    end_match(reading);
    reading->block = fits(reading->host, rest) ? OURS : NOT_OURS;
}

static int include(struct reading *reading, char *rest)
{
    char path[LINE_SIZE];
    int r = 0;

    for (const char *word; r == 0 && reading->block == OURS && (word = next_word(&rest, BLANKS));) {
        glob_t found = { 0 };
        if (word[0] == '~' && word[1] == '/')
            snprintf(path, sizeof path, "%s%s", reading->home, word + 1);
        else
            snprintf(path, sizeof path, "%s%s%s", word[0] == '/' ? "" : reading->home, word[0] == '/' ? "" : "/.ssh/", word);
        if (glob(path, 0, NULL, &found) == 0)
            for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
                r = read_file(reading, found.gl_pathv[i]);
        globfree(&found);
        end_match(reading);
        reading->block = OURS; /* a Host in the file ends with it */
    }
    return r;
}

static void take_line(struct reading *reading, const char *word, char *rest)
{
    const char *value = next_word(&rest, BLANKS);

    if (value)
        set_value(reading, word, value);
    if (value && strcasecmp(word, "UserKnownHostsFile") == 0 && next_word(&rest, BLANKS))
        add_lacking(reading, "a second UserKnownHostsFile");
}

static int complain(const struct reading *reading, int error, const char *path, const char *what)
{
    char shown[SSH_CONFIG_WHY_SIZE / 2];

    text_escape(shown, sizeof shown, path, strlen(path));
    snprintf(reading->why, SSH_CONFIG_WHY_SIZE, "%s: %s", shown, what);
    return error;
}

/* libssh 0.11 would pick the agent's keys once more, and by fewer files (agent.h). */
static bool is_done_here(const char *word)
{
    return strcasecmp(word, "IdentitiesOnly") == 0;
}

static int read_line(struct reading *reading, const char *path, char *line)
{
    char whole[LIBSSH_LINE_MAX + 1];
    size_t len = strcspn(line, "\r\n");

    snprintf(whole, sizeof whole, "%.*s", (int)(len < sizeof whole ? len : 0), line);
    const char *word = next_word(&line, BLANKS "=");
    if (!word)
        return 0;
    bool is_match = strcasecmp(word, "Match") == 0;
    if (len >= sizeof whole && (is_match || reading->block != NOT_OURS) && strcasecmp(word, "Host") != 0)
        return complain(reading, -E2BIG, path, "a line is too long for this program; use --ssh ssh");
    line += strspn(line, BLANKS "="); /* "Port = 22" */
    if (strcasecmp(word, "Host") == 0)
        begin_host(reading, line);
    else if (is_match)
        begin_match(reading, line, whole);
    else if (strcasecmp(word, "Include") == 0 && reading->block == OURS)
        return include(reading, line);
    else if (reading->block == FOR_LIBSSH || (reading->block == OURS && !is_done_here(word)))
        pass_on(reading, whole);
    if (reading->block == OURS)
        take_line(reading, word, line);
    return 0;
}

/* As ssh(1) has it, and as Debian does with the user's own group: who can write to it can have commands run. */
static bool others_can_write(FILE *in)
{
    struct stat st;

    return fstat(fileno(in), &st) < 0 || (st.st_uid != 0 && st.st_uid != getuid()) || st.st_mode & S_IWOTH ||
           (st.st_mode & S_IWGRP && st.st_gid != getgid());
}

static int read_file(struct reading *reading, const char *path)
{
    bool named = reading->kind == FILE_NAMED && reading->depth == 0;
    char *line = NULL;
    size_t size = 0;
    int r = 0;

    if (reading->depth == DEPTH_MAX)
        return complain(reading, -ELOOP, path, "it is included too deep");
    FILE *in = fopen(path, "re");
    if (!in && errno == EACCES && reading->kind == FILE_OWN)
        snprintf(reading->config->unread, sizeof reading->config->unread, "%s", path);
    if (!in)
        return !named && (errno == ENOENT || errno == ENOTDIR || errno == EACCES) ? 0
            : complain(reading, -errno, path, strerror(errno));
    reading->depth++;
    if (reading->kind == FILE_OWN && others_can_write(in))
        r = complain(reading, -EPERM, path, "others can write to it (ssh refuses that too); try chmod go-w");
    while (r == 0 && getline(&line, &size, in) >= 0)
        r = read_line(reading, path, line);
    if (r == 0 && ferror(in))
        r = complain(reading, -EIO, path, strerror(errno));
    reading->depth--;
    free(line);
    fclose(in);
    return r;
}

int ssh_config_read(struct ssh_config *config, const char *path, enum ssh_config_file kind, const char *home, const char *host,
                    FILE *flat, char why[static SSH_CONFIG_WHY_SIZE])
{
    struct reading reading = {
        .config = config, .home = home, .host = host, .flat = flat, .block = OURS, .kind = kind, .why = why,
    };
    int r = read_file(&reading, path);

    end_match(&reading);
    return r;
}

void ssh_config_set(struct ssh_config *config, const char *word, const char *value)
{
    struct reading reading = { .config = config, .home = "", .host = "" };

    set_value(&reading, word, value);
}

void ssh_config_clear(struct ssh_config *config)
{
    for (size_t i = 0; i < config->n_identities; i++)
        free(config->identity[i]);
    for (size_t i = 0; i < config->n_certificates; i++)
        free(config->certificate[i]);
    free(config->agent);
    *config = (struct ssh_config){ 0 };
}

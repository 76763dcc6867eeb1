/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor/sshd_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/io.h"

/* --- what must be so --------------------------------------------------------------------------------------------- */

/* sshd/README.md says what each is for. What a host may have otherwise without opening anything (Banner, ClientAlive...)
 * is not here. A keyword that an old release does not print is not missed: its feature is not there either. */
static const struct {
    const char *keyword, *wanted;
    enum sshd_door door;
} wanted[] = {
    { "forcecommand", VG_SHELL_PATH, SSHD_COMMAND },
    { "chrootdirectory", "none", SSHD_COMMAND },
    { "permituserrc", "no", SSHD_COMMAND },
    { "disableforwarding", "yes", SSHD_FORWARDING },
    { "allowtcpforwarding", "no", SSHD_FORWARDING },
    { "permitopen", "none", SSHD_FORWARDING },
    { "permitlisten", "none", SSHD_FORWARDING },
    { "gatewayports", "no", SSHD_FORWARDING },
    { "allowstreamlocalforwarding", "no", SSHD_FORWARDING },
    { "streamlocalbindunlink", "no", SSHD_FORWARDING },
    { "allowagentforwarding", "no", SSHD_FORWARDING },
    { "x11forwarding", "no", SSHD_FORWARDING },
    { "permittunnel", "no", SSHD_FORWARDING },
    { "permituserenvironment", "no", SSHD_ENVIRONMENT },
    { "acceptenv", "VIRTGATE_ACCEPTS_NO_VARIABLE", SSHD_ENVIRONMENT },
    { "maxsessions", "10", SSHD_SESSIONS },
    { "exposeauthinfo", "no", SSHD_SESSIONS },
    { "usepam", "yes", SSHD_PAM },
    { "pamservicename", "sshd", SSHD_PAM },
};

/* sshd -T prints one line for each. */
static const char *const emptied[] = {
    "SSH_ORIGINAL_COMMAND=", "LD_PRELOAD=", "LD_AUDIT=", "LD_LIBRARY_PATH=", "BASH_ENV=", "ENV=",
};

/* What else 9.2 to 10.5 print that could be taken for something that opens. */
static const char *const harmless[] = {
    "setenv", "permitemptypasswords", "permitrootlogin", "permittty", "authorizedkeyscommand",
    "authorizedkeyscommanduser", "authorizedprincipalscommand", "authorizedprincipalscommanduser",
    "hostbasedacceptedalgorithms", "pubkeyacceptedalgorithms", "streamlocalbindmask", "subsystem", "hostkeyagent",
    "x11displayoffset", "x11uselocalhost", "gssapistrictacceptorcheck",
};

/* Parts of a name that speak of a feature. */
static const char *const telling[] = {
    "forward", "tunnel", "permit", "accept", "environ", "setenv", "command", "subsystem", "agent", "x11", "streamlocal",
    "pam", "userrc", "gateway",
};

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static bool is_in(const char *const list[], size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

/* --- lines of sshd -T -------------------------------------------------------------------------------------------- */

struct setting {
    char keyword[64], value[128];
};

/* The next line at *at. False at the end. */
static bool next_setting(const char **at, struct setting *ret)
{
    while (**at) {
        const char *line = *at, *blank;
        size_t len = strcspn(line, "\n");
        *at = line + len + (line[len] == '\n');
        blank = memchr(line, ' ', len);
        size_t key = blank ? (size_t)(blank - line) : len;
        if (key == 0 || key >= sizeof ret->keyword)
            continue;
        for (size_t i = 0; i < key; i++)
            ret->keyword[i] = (char)tolower((unsigned char)line[i]);
        ret->keyword[key] = '\0';
        snprintf(ret->value, sizeof ret->value, "%.*s", blank ? (int)(len - key - 1) : 0, blank ? blank + 1 : "");
        return true;
    }
    return false;
}

void sshd_value(const char *output, const char *keyword, char *ret, size_t size)
{
    struct setting setting;

    ret[0] = '\0';
    while (next_setting(&output, &setting))
        if (strcmp(setting.keyword, keyword) == 0)
            snprintf(ret, size, "%s", setting.value);
}

/* --- the judgement ----------------------------------------------------------------------------------------------- */

static void fault(struct sshd_fault *faults, size_t *n, enum sshd_door door, const struct setting *setting,
                  const char *want)
{
    if (*n == SSHD_FAULTS_MAX)
        return;
    struct sshd_fault *new = &faults[(*n)++];
    *new = (struct sshd_fault){ .door = door, .unknown = !want, .wanted = want };
    memcpy(new->keyword, setting->keyword, sizeof new->keyword);
    memcpy(new->value, setting->value, sizeof new->value);
}

/* Fewer sessions than the drop-in allows open nothing. */
static bool is_stricter(const struct setting *setting)
{
    return strcmp(setting->keyword, "maxsessions") == 0 && isdigit((unsigned char)setting->value[0]) && !setting->value[1];
}

static void judge_setting(const struct setting *setting, bool seen[], struct sshd_fault *faults, size_t *n)
{
    for (size_t i = 0; i < COUNT(wanted); i++) {
        if (strcmp(wanted[i].keyword, setting->keyword) != 0)
            continue;
        seen[i] = true;
        if (strcmp(wanted[i].wanted, setting->value) != 0 && !is_stricter(setting))
            fault(faults, n, wanted[i].door, setting, wanted[i].wanted);
        return;
    }
    if (is_in(harmless, COUNT(harmless), setting->keyword))
        return;
    /* A feature of a release to come. Switched off, it is no door. */
    for (size_t i = 0; i < COUNT(telling); i++) {
        if (strstr(setting->keyword, telling[i])) {
            if (strcmp(setting->value, "no") != 0 && strcmp(setting->value, "none") != 0)
                fault(faults, n, SSHD_KEYWORDS, setting, NULL);
            return;
        }
    }
}

size_t sshd_judge(const char *output, struct sshd_fault faults[static SSHD_FAULTS_MAX])
{
    bool seen[COUNT(wanted)] = { false }, empty[COUNT(emptied)] = { false };
    struct setting setting;
    size_t n = 0;

    while (next_setting(&output, &setting)) {
        judge_setting(&setting, seen, faults, &n);
        for (size_t i = 0; i < COUNT(emptied); i++)
            if (strcmp(setting.keyword, "setenv") == 0 && strcmp(setting.value, emptied[i]) == 0)
                empty[i] = true;
    }
    /* acceptenv has no line when nothing is accepted, which is as good. The first must be there at least. */
    if (!seen[0])
        fault(faults, &n, SSHD_COMMAND, &(struct setting){ "forcecommand", "" }, VG_SHELL_PATH);
    for (size_t i = 0; i < COUNT(emptied); i++)
        if (!empty[i])
            fault(faults, &n, SSHD_ENVIRONMENT, &(struct setting){ "setenv", "" }, emptied[i]);
    return n;
}

/* --- Match ------------------------------------------------------------------------------------------------------- */

/* The next word at *at, quotes taken off. */
static bool next_word(const char **at, char *word, size_t size)
{
    const char *p = *at;
    size_t n = 0;
    bool quoted = false;

    while (*p == ' ' || *p == '\t' || *p == '=')
        p++;
    if (!*p || *p == '\n' || *p == '#')
        return false;
    for (; *p && *p != '\n' && (quoted || (*p != ' ' && *p != '\t' && *p != '=')); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (n + 1 < size)
            word[n++] = *p;
    }
    word[n] = '\0';
    *at = p;
    return true;
}

/* Of "a,!b,c" the first that is not negated, with its wildcards filled in. */
static bool example(const char *list, char joker, char *ret, size_t size)
{
    while (*list) {
        size_t len = strcspn(list, ","), n = 0;
        if (list[0] != '!' && len > 0) {
            for (size_t i = 0; i < len && list[i] != '/' && n + 1 < size; i++)
                ret[n++] = list[i] == '*' || list[i] == '?' ? joker : list[i];
            ret[n] = '\0';
            return n > 0;
        }
        list += len + (list[len] == ',');
    }
    return false;
}

/* "10.*" stands for four numbers. */
static void fill_address(char *address, size_t size)
{
    unsigned dots = 0;

    for (const char *p = address; *p; p++)
        dots += *p == '.';
    for (; dots > 0 && dots < 3 && strlen(address) + 3 < size; dots++)
        strcat(address, ".1");
}

bool sshd_spec_of_match(const char *words, struct sshd_spec *ret)
{
    struct sshd_spec spec = { "localhost", "127.0.0.1", "127.0.0.1", 22 };
    char key[32], value[512], text[64];
    bool any = false;

    while (next_word(&words, key, sizeof key)) {
        bool is_address = strcasecmp(key, "address") == 0, is_local = strcasecmp(key, "localaddress") == 0;
        if (strcasecmp(key, "all") == 0 || !next_word(&words, value, sizeof value))
            continue;
        if (strcasecmp(key, "host") == 0 && example(value, 'x', spec.host, sizeof spec.host)) {
            any = true;
        } else if (strcasecmp(key, "localport") == 0 && example(value, '2', text, sizeof text)) {
            spec.local_port = (unsigned)strtoul(text, NULL, 10);
            any = true;
        } else if ((is_address || is_local) && example(value, '1', text, sizeof text)) {
            fill_address(text, sizeof text);
            memcpy(is_address ? spec.address : spec.local_address, text, sizeof text);
            any = true;
        }
    }
    *ret = spec;
    return any;
}

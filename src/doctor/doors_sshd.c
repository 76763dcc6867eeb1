/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sshd.*: each sshd that listens on this host is asked (sshd -T -C) what it would do for each of the gate's users, under
 * each name that the system takes for theirs, and from each place that a Match block of its files speaks of. */
#include "doctor/sshd_config.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/doctor.h"

#define OPTIONS_MAX 16
#define SPECS_MAX 32
#define SERVERS_MAX 8
#define RUNS_MAX 3000 /* of sshd -T, some ten milliseconds each */
#define DEPTH_MAX 16

struct server {
    pid_t pid;                           /* 0: none is running, this is how one would be started */
    char program[256];
    char options[OPTIONS_MAX][256];      /* -f and -o with their values */
    size_t n_options;
    char main[256];                      /* its sshd_config */
    struct sshd_spec specs[SPECS_MAX];
    size_t n_specs;
    char newest[256];                    /* of its files, the one that was changed last */
    struct timespec changed;
};

struct sshds {
    struct server list[SERVERS_MAX];
    size_t n;
};

/* Texts, or NULL. */
struct directory {
    char *sssd, *samba;
};

struct examination {
    struct door *config, *doors[N_SSHD_DOORS];
    const struct server *server;
    unsigned runs;
};

/* --- which there are --------------------------------------------------------------------------------------------- */

/* Its title is "sshd: PROGRAM ARGUMENTS [listener] ...". */
static void read_title(struct server *server, char *title)
{
    char *rest = title, *word;

    while ((word = strsep(&rest, " "))) {
        char which = word[0] == '-' ? word[1] : '\0';
        if (strcmp(word, "[listener]") == 0)
            return;
        /* "-f FILE" and "-fFILE" */
        const char *value = which && word[2] ? word + 2 : rest;
        if ((which != 'f' && which != 'o') || !value || server->n_options + 2 > OPTIONS_MAX)
            continue;
        if (value == rest)
            value = strsep(&rest, " ");
        snprintf(server->options[server->n_options++], sizeof server->options[0], "-%c", which);
        snprintf(server->options[server->n_options++], sizeof server->options[0], "%s", value);
        if (which == 'f')
            snprintf(server->main, sizeof server->main, "%s", value);
    }
}

static void add_server(void *context, const struct process *process)
{
    struct sshds *sshds = context;
    char title[1024];

    /* Its program is run below. */
    if (sshds->n == SERVERS_MAX || !process->is_roots || strncmp(process->cmdline, "sshd: ", 6) != 0 ||
        !strstr(process->cmdline, "[listener]"))
        return;
    struct server *server = &sshds->list[sshds->n++];
    *server = (struct server){ .pid = process->pid, .main = VG_SSHD_CONFIG };
    memcpy(server->program, process->exe, sizeof server->program);
    snprintf(title, sizeof title, "%s", process->cmdline + 6);
    read_title(server, title);
}

static void find_servers(struct sshds *sshds)
{
    static const char *const names[] = { "sshd", NULL };

    process_each(names, add_server, sshds);
    if (sshds->n == 0)
        sshds->list[sshds->n++] = (struct server){ .program = "/usr/sbin/sshd", .main = VG_SSHD_CONFIG };
}

/* --- their files ------------------------------------------------------------------------------------------------- */

typedef void on_line(void *context, const char *file, unsigned line, const char *keyword, const char *rest);

static void scan(const char *path, unsigned depth, on_line *visit, void *context);

static void scan_included(const char *patterns, unsigned depth, on_line *visit, void *context)
{
    char copy[1024], pattern[1100], *rest = copy, *word;

    snprintf(copy, sizeof copy, "%s", patterns);
    while ((word = strsep(&rest, " \t\""))) {
        glob_t found;
        if (!word[0])
            continue;
        snprintf(pattern, sizeof pattern, "%s%s", word[0] == '/' ? "" : "/etc/ssh/", word);
        if (glob(pattern, 0, NULL, &found) != 0)
            continue;
        for (size_t i = 0; i < found.gl_pathc; i++)
            scan(found.gl_pathv[i], depth + 1, visit, context);
        globfree(&found);
    }
}

static void scan(const char *path, unsigned depth, on_line *visit, void *context)
{
    char *text = depth < DEPTH_MAX ? probe_read(path) : NULL, *rest = text, *line;

    visit(context, path, 0, "", "");
    for (unsigned n = 1; text && (line = strsep(&rest, "\n")); n++) {
        char keyword[64];
        line += strspn(line, " \t\r");
        size_t len = strcspn(line, " \t=\"");
        if (line[0] == '#' || len == 0 || len >= sizeof keyword)
            continue;
        for (size_t i = 0; i < len; i++)
            keyword[i] = (char)tolower((unsigned char)line[i]);
        keyword[len] = '\0';
        const char *value = line + len + strspn(line + len, " \t=");
        visit(context, path, n, keyword, value);
        if (strcmp(keyword, "include") == 0)
            scan_included(value, depth, visit, context);
    }
    free(text);
}

/* Notes Match blocks, and when the files were changed. */
static void note(void *context, const char *file, unsigned line, const char *keyword, const char *rest)
{
    struct server *server = context;
    struct stat st;

    if (line == 0 && stat(file, &st) == 0 &&
        (st.st_mtim.tv_sec > server->changed.tv_sec ||
         (st.st_mtim.tv_sec == server->changed.tv_sec && st.st_mtim.tv_nsec > server->changed.tv_nsec))) {
        server->changed = st.st_mtim;
        snprintf(server->newest, sizeof server->newest, "%s", file);
    }
    if (strcmp(keyword, "match") == 0 && server->n_specs < SPECS_MAX &&
        sshd_spec_of_match(rest, &server->specs[server->n_specs]))
        server->n_specs++;
}

struct place {
    const char *keyword;
    char text[300]; /* "FILE:LINE", empty when none was found */
    bool have_ours; /* the gate's drop-in is among the files */
};

static void seek(void *context, const char *file, unsigned line, const char *keyword, const char *rest)
{
    struct place *place = context;

    (void)rest;
    if (strcmp(file, VG_SSHD_DROPIN) == 0)
        place->have_ours = true;
    else if (!place->have_ours && !place->text[0] && strcmp(keyword, place->keyword) == 0)
        snprintf(place->text, sizeof place->text, "%.250s:%u", file, line);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static int ask(const struct server *server, const char *user, const struct sshd_spec *spec, char **ret_output)
{
    char connection[400];
    const char *argv[OPTIONS_MAX + 6] = { server->program, "-T", "-C", connection };
    static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

    snprintf(connection, sizeof connection, "user=%.100s,host=%s,addr=%s,laddr=%s,lport=%u", user, spec->host,
             spec->address, spec->local_address, spec->local_port);
    for (size_t i = 0; i < server->n_options; i++)
        argv[4 + i] = server->options[i];
    return probe_run(argv, env, NULL, ret_output);
}

/* "alice", or "alice from 10.0.0.0", with the server's file where there is another than the usual. */
static void describe(char *text, size_t size, const struct server *server, const char *user,
                     const struct sshd_spec *spec)
{
    bool usual = strcmp(server->main, VG_SSHD_CONFIG) == 0, local = strcmp(spec->address, "127.0.0.1") == 0;

    snprintf(text, size, "%.100s%s%s%s%s%s", user, local ? "" : " from ", local ? "" : spec->address,
             usual ? "" : " (sshd -f ", usual ? "" : server->main, usual ? "" : ")");
}

static void tell(const struct examination *e, const char *who, const struct sshd_fault *fault)
{
    struct door *door = e->doors[fault->door];
    struct place place = { .keyword = fault->keyword };
    char mend[DOOR_TEXT_SIZE];

    if (fault->unknown) {
        snprintf(mend, sizeof mend, "look it up in sshd_config(5); if it opens anything, set it to no for group %s",
                 VG_GATE_GROUP);
        door_unknown(door, mend, "sshd has %s %s for %s, a keyword that this virtgate does not know", fault->keyword,
                     fault->value, who);
        return;
    }
    scan(e->server->main, 0, seek, &place);
    if (access(VG_SSHD_DROPIN, F_OK) < 0)
        snprintf(mend, sizeof mend, "virtgatectl setup");
    else if (!place.have_ours)
        snprintf(mend, sizeof mend, "have %s include " VG_SSHD_DROPIN " before anything else, and reload sshd",
                 e->server->main);
    else if (place.text[0])
        snprintf(mend, sizeof mend, "%s comes first and wins; take it out, or exempt group %s, and reload sshd",
                 place.text, VG_GATE_GROUP);
    else
        snprintf(mend, sizeof mend, "virtgatectl setup");
    door_open(door, mend, "sshd has %s %s for %s, expected %s", fault->keyword,
              fault->value[0] ? fault->value : "unset", who, fault->wanted);
}

static void examine_login(struct examination *e, const char *user, const struct sshd_spec *spec)
{
    static struct sshd_fault faults[SSHD_FAULTS_MAX];
    char *output = NULL, who[500];

    if (e->config->state == DOOR_OPEN)
        return;
    /* It would be read as another name, and more. */
    if (user[strcspn(user, ",= \t\n\"")] || strlen(user) > 100) {
        door_unknown(e->config, "give the account another name", "sshd -T -C cannot be asked about an account named %s",
                     user);
        return;
    }
    if (e->runs == RUNS_MAX) {
        door_unknown(e->config, "sshd -T -C user=NAME,... by hand", "there are too many users and places to try all");
        return;
    }
    e->runs++;
    int status = ask(e->server, user, spec, &output);
    if (status != 0) {
        if (output)
            output[strcspn(output, "\n")] = '\0';
        door_open(e->config, "sshd -t, and mend what it says; an sshd that is reloaded like that ends",
                  "sshd -T fails: %s",
                  status < 0 ? strerror(-status) : output);
    } else {
        size_t n = sshd_judge(output, faults);
        describe(who, sizeof who, e->server, user, spec);
        for (size_t i = 0; i < n; i++)
            tell(e, who, &faults[i]);
    }
    free(output);
}

/* --- names ------------------------------------------------------------------------------------------------------- */

static const struct sshd_spec here = { "localhost", "127.0.0.1", "127.0.0.1", 22 };

/* Another way to write the name, if the system takes it for the same account. */
static void examine_spelling(struct examination *e, const struct member *member, const char *spelling)
{
    const struct passwd *account = strcmp(spelling, member->name) == 0 ? NULL : getpwnam(spelling);

    if (account && account->pw_uid == member->as.uid)
        examine_login(e, spelling, &here);
}

static void change_case(char *text, const char *name, size_t size, int (*change)(int), bool first_only)
{
    snprintf(text, size, "%s", name);
    for (size_t i = 0; text[i] && (i == 0 || !first_only); i++)
        text[i] = (char)change((unsigned char)text[i]);
}

/* alice@DOMAIN, DOMAIN\alice and DOMAIN+alice. */
static void examine_domain(struct examination *e, const struct member *member, const char *domain, size_t len)
{
    char text[300];

    if (len == 0 || len > 100)
        return;
    snprintf(text, sizeof text, "%.100s@%.*s", member->name, (int)len, domain);
    examine_spelling(e, member, text);
    snprintf(text, sizeof text, "%.*s\\%.100s", (int)len, domain, member->name);
    examine_spelling(e, member, text);
    snprintf(text, sizeof text, "%.*s+%.100s", (int)len, domain, member->name);
    examine_spelling(e, member, text);
}

/* The domains that sssd.conf and smb.conf (for winbind) speak of. */
static void examine_domains(struct examination *e, const struct member *member, const struct directory *directory)
{
    static const char *const keys[] = { "workgroup", "realm" };

    for (const char *at = directory->sssd; at && (at = strstr(at, "[domain/")); at++)
        examine_domain(e, member, at + 8, strcspn(at + 8, "]\n"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (const char *at = directory->samba; at && (at = strcasestr(at, keys[i])); at++) {
            const char *value = at + strlen(keys[i]);
            value += strspn(value, " \t=");
            examine_domain(e, member, value, strcspn(value, " \t\r\n;#"));
        }
    }
}

/* Other accounts of the same uid. */
static void examine_aliases(struct examination *e, const struct member *member)
{
    char names[8][64];
    size_t n = 0;
    const struct passwd *account;

    setpwent();
    while (n < 8 && (account = getpwent()))
        if (account->pw_uid == member->as.uid && strcmp(account->pw_name, member->name) != 0)
            snprintf(names[n++], sizeof names[0], "%s", account->pw_name);
    endpwent();
    for (size_t i = 0; i < n; i++)
        examine_login(e, names[i], &here);
}

static void examine_member(struct examination *e, const struct member *member, const struct directory *directory)
{
    char text[128];

    examine_login(e, member->name, &here);
    for (size_t i = 0; i < e->server->n_specs; i++)
        examine_login(e, member->name, &e->server->specs[i]);
    change_case(text, member->name, sizeof text, toupper, false);
    examine_spelling(e, member, text);
    change_case(text, member->name, sizeof text, tolower, false);
    examine_spelling(e, member, text);
    change_case(text, member->name, sizeof text, toupper, true);
    examine_spelling(e, member, text);
    examine_domains(e, member, directory);
    examine_aliases(e, member);
}

/* --- what else concerns sshd ------------------------------------------------------------------------------------- */

/* sshd writes its pid file whenever it has read its files. */
static void examine_loaded(struct door *door, const struct server *server)
{
    char path[256] = "", mend[DOOR_TEXT_SIZE], *output = NULL, *text;
    struct stat st;

    if (server->pid == 0 || ask(server, "root", &here, &output) != 0) {
        free(output);
        return;
    }
    sshd_value(output, "pidfile", path, sizeof path);
    free(output);
    text = probe_read(path);
    if (text && strtol(text, NULL, 10) == server->pid && stat(path, &st) == 0 &&
        (server->changed.tv_sec > st.st_mtim.tv_sec ||
         (server->changed.tv_sec == st.st_mtim.tv_sec && server->changed.tv_nsec > st.st_mtim.tv_nsec))) {
        snprintf(mend, sizeof mend, "sshd -t && kill -HUP %ld", (long)server->pid);
        door_unknown(door, mend, "%s was changed after sshd had read it", server->newest);
    }
    free(text);
}

static void examine_others(struct door *door)
{
    if (access("/etc/ssh/sshrc", F_OK) == 0)
        door_open(door, "rm /etc/ssh/sshrc, or have it end at once for group " VG_GATE_GROUP,
                  "/etc/ssh/sshrc runs as the user before the gate does");
}

static void add_dropbear(void *context, const struct process *process)
{
    if (!process->is_roots)
        return; /* somebody's own can let in that account alone */
    door_open(context, "end it, or keep members of " VG_GATE_GROUP " out of it",
              "%s (pid %ld) takes logins beside sshd",
              process->name, (long)process->pid);
}

void doors_sshd(struct doors *doors, const struct members *members)
{
    static const char *const others[] = { "dropbear", "telnetd", "in.telnetd", "in.rlogind", NULL };
    static struct sshds sshds; /* too large for a stack */
    struct examination e = {
        .config = door_add(doors, "sshd.config", "sshd says what it would do for each of them"),
        .doors = {
            [SSHD_COMMAND] = door_add(doors, "sshd.command", "every login of theirs leads to " VG_SHELL_PATH),
            [SSHD_FORWARDING] = door_add(doors, "sshd.forwarding", "no forwarding of any kind, each named"),
            [SSHD_ENVIRONMENT] = door_add(doors, "sshd.environment", "no variable of the client's or user's gets in"),
            [SSHD_SESSIONS] = door_add(doors, "sshd.sessions", "ten sessions on a login at most, nothing exposed to them"),
            [SSHD_PAM] = door_add(doors, "sshd.pam", "PAM is used, by the name of sshd"),
            [SSHD_KEYWORDS] = door_add(doors, "sshd.keywords", "sshd has no feature that this virtgate does not know"),
        },
    };
    struct door *loaded = door_add(doors, "sshd.loaded", "sshd runs with the files as they are");
    struct door *rc = door_add(doors, "sshd.rc", "nothing runs before the gate");
    struct door *other = door_add(doors, "sshd.others", "no other program takes logins");
    const struct directory directory = { probe_read("/etc/sssd/sssd.conf"), probe_read("/etc/samba/smb.conf") };

    sshds.n = 0;
    find_servers(&sshds);
    for (size_t s = 0; s < sshds.n; s++) {
        e.server = &sshds.list[s];
        scan(sshds.list[s].main, 0, note, &sshds.list[s]);
        for (size_t i = 0; i < members->n; i++)
            examine_member(&e, &members->list[i], &directory);
        examine_loaded(loaded, &sshds.list[s]);
    }
    examine_others(rc);
    process_each(others, add_dropbear, other);
    free(directory.sssd);
    free(directory.samba);
}

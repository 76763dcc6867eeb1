/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* explain: what the policy says of a user and a machine, right by right, and which rule says so. Nothing is asked but
 * the files and the directory of accounts. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/json.h"
#include "ctl/ctl.h"

#define UID_OF_NOBODY_KNOWN 1 /* of an account that does not exist (yet); rules name users, not uids */

/* Rights in the order in which they are shown; watch is not to be had yet. */
static const enum right shown[] = { RIGHT_DISPLAY, RIGHT_SERIAL, RIGHT_POWER, RIGHT_TAKEOVER };

struct groups {
    char **list;
    size_t n;
};

static void groups_free(struct groups *groups)
{
    for (size_t i = 0; i < groups->n; i++)
        free(groups->list[i]);
    free(groups->list);
}

static int groups_add(struct groups *groups, const char *name, size_t len)
{
    char **grown = realloc(groups->list, (groups->n + 1) * sizeof *grown);

    if (!grown)
        return -ENOMEM;
    groups->list = grown;
    grown[groups->n] = strndup(name, len);
    return grown[groups->n++] ? 0 : -ENOMEM;
}

/* "a,b"; "" for none. */
static int groups_split(struct groups *groups, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        if (n == 0 || (text[n] == ',' && !text[n + 1]))
            return -EINVAL;
        int r = groups_add(groups, text, n);
        if (r < 0)
            return r;
        text += n + (text[n] == ',');
    }
    return 0;
}

/* The groups of an account by NSS. One without a name is left out: no rule can name it. */
static int groups_of(struct groups *groups, const struct passwd *account)
{
    int n = 64, room;
    gid_t *gids = NULL;

    do {
        room = n;
        gid_t *grown = realloc(gids, (size_t)room * sizeof *gids);
        if (!grown) {
            free(gids);
            return -ENOMEM;
        }
        gids = grown;
    } while (getgrouplist(account->pw_name, account->pw_gid, gids, &n) < 0 && n > room);
    int r = 0;
    for (int i = 0; i < n && i < room && r == 0; i++) {
        const struct group *group = getgrgid(gids[i]);
        if (group)
            r = groups_add(groups, group->gr_name, strlen(group->gr_name));
    }
    free(gids);
    return r;
}

static int find_account(const struct ctl *ctl, const char *user, struct subject *subject, struct groups *groups)
{
    errno = 0;
    const struct passwd *account = getpwnam(user);
    bool is_unknown = errno == 0 || errno == ENOENT || errno == ESRCH; /* getpwnam(3): what not found may look like */

    subject->user = user;
    subject->uid = account ? account->pw_uid : UID_OF_NOBODY_KNOWN;
    if (ctl->groups)
        return groups_split(groups, ctl->groups);
    if (account)
        return groups_of(groups, account);
    fprintf(stderr, "virtgatectl: note: %s '%s'; decided as a user without groups\n",
            is_unknown ? "there is no account" : "the directory did not answer for", user);
    return 0;
}

/* EX_OK, or the exit code after a message. The subject's groups are those of groups, in the caller's hands. */
static int read_subject(const struct ctl *ctl, struct subject *subject, struct groups *groups)
{
    *subject = (struct subject){ .address.family = AF_UNSPEC };
    if (ctl->from && address_parse(ctl->from, &subject->address) < 0)
        return ctl_usage_error(ctl, "--from: expected an IPv4 or IPv6 address");
    if (ctl->at && moment_parse(ctl->at, &subject->now) < 0)
        return ctl_usage_error(ctl, "--at: expected a time such as '2026-11-21 10:00'");
    int r = ctl->at ? 0 : moment_at(time(NULL), &subject->now);
    if (r == 0)
        r = find_account(ctl, ctl->argv[0], subject, groups);
    if (r == -EINVAL)
        return ctl_usage_error(ctl, "--groups: expected names with commas between them");
    if (r < 0) {
        fprintf(stderr, "virtgatectl: %s\n", strerror(-r));
        return EX_OSERR;
    }
    subject->groups = (const char *const *)groups->list;
    subject->n_groups = groups->n;
    return EX_OK;
}

/* --- output ------------------------------------------------------------------------------------------------------ */

static void print_text(const char *right, const struct verdict *verdict)
{
    printf("%s: %s", right, verdict->allowed ? "allowed" : "refused");
    if (verdict->allowed)
        printf(" by %s:%u (%s)\n", verdict->file, verdict->line, verdict->text);
    else if (verdict->file)
        printf(" (%s, %s:%u)\n", verdict->text, verdict->file, verdict->line);
    else
        printf(" (%s)\n", verdict->text);
}

static void print_json(struct json *json, const struct subject *subject, const struct vm *vm, const char *right,
                       const struct verdict *verdict)
{
    char rule[300]; /* a file's name and a line */

    snprintf(rule, sizeof rule, "%s:%u", verdict->file ? verdict->file : "", verdict->line);
    json_put_open(json, NULL, '{');
    json_put_string(json, "user", subject->user);
    json_put_string(json, "vm", vm->name);
    json_put_string(json, "right", right);
    json_put_bool(json, "allowed", verdict->allowed);
    json_put_string(json, "rule", verdict->file ? rule : NULL);
    json_put_string(json, "reason", verdict->text);
    json_put_close(json, '}');
}

/* Decides and prints the n rights; with list, JSON gets an array around them. */
static int explain(const struct ctl *ctl, const struct policy *policy, const struct subject *subject,
                   const struct vm *vm, const enum right *asked, size_t n, bool list)
{
    struct json json = JSON_TO(stdout);
    int code = EX_NOPERM;

    if (ctl->json && list)
        json_put_open(&json, NULL, '[');
    for (size_t i = 0; i < n; i++) {
        struct verdict verdict;
        if (policy_decide(policy, subject, vm, asked[i], &verdict))
            code = EX_OK;
        if (ctl->json)
            print_json(&json, subject, vm, right_name(asked[i]), &verdict);
        else
            print_text(right_name(asked[i]), &verdict);
    }
    if (ctl->json && list)
        json_put_close(&json, ']');
    if (ctl->json)
        json_put_end(&json);
    return code;
}

/* --- entry ------------------------------------------------------------------------------------------------------- */

/* USER VM [RIGHT] and --uuid. EX_OK, or EX_USAGE after a message. */
static int read_words(const struct ctl *ctl, enum right *right, struct uuid *uuid)
{
    if (ctl->argc < 2 || ctl->argc > 3 || !ctl->argv[0][0] || !ctl->argv[1][0])
        return ctl_usage_error(ctl, "expected USER VM [RIGHT], or --command STRING");
    if (ctl->argc == 3 && right_parse(ctl->argv[2], right) < 0)
        return ctl_usage_error(ctl, "expected display, serial, power or takeover as RIGHT");
    if (ctl->argc == 3 && *right == RIGHT_WATCH)
        return ctl_usage_error(ctl, "the right watch is not yet available");
    if (ctl->uuid && uuid_parse(ctl->uuid, strlen(ctl->uuid), uuid) < 0)
        return ctl_usage_error(ctl, "--uuid: expected 8-4-4-4-12 hexadecimal digits");
    return EX_OK;
}

int ctl_explain(const struct ctl *ctl)
{
    struct groups groups = { 0 };
    struct policy *policy = NULL;
    struct subject subject;
    struct uuid uuid;
    enum right right;

    if (ctl->command)
        return ctl_explain_command(ctl);
    int code = read_words(ctl, &right, &uuid);
    if (code == EX_OK)
        code = read_subject(ctl, &subject, &groups);
    if (code == EX_OK)
        code = ctl_load_policy(ctl, stderr, &policy);
    if (code == EX_OK) {
        struct vm vm = { .name = ctl->argv[1], .uuid = ctl->uuid ? &uuid : NULL };
        if (ctl->argc == 3)
            code = explain(ctl, policy, &subject, &vm, &right, 1, false);
        else
            code = explain(ctl, policy, &subject, &vm, shown, sizeof shown / sizeof shown[0], true);
    }
    policy_free(policy);
    groups_free(&groups);
    return code;
}

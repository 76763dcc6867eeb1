/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what with which domain. Types, loading, and the one decision that every lock of virtgate asks.
 *
 * A policy is immutable once loaded; all functions on a const policy may run side by side. Nothing here logs, and
 * nothing but policy_load() and moment_at() looks at the machine. */
#ifndef VG_POLICY_H
#define VG_POLICY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/uuid.h"

/* --- rights ------------------------------------------------------------------------------------------------------ */

enum right {
    RIGHT_WATCH = 1 << 0,    /* see the screen; not yet available: the loader refuses it by name */
    RIGHT_DISPLAY = 1 << 1,  /* screen, keyboard, mouse; includes watch */
    RIGHT_SERIAL = 1 << 2,   /* serial and console devices */
    RIGHT_POWER = 1 << 3,    /* start, shutdown, reboot, reset, power off, suspend, resume */
    RIGHT_TAKEOVER = 1 << 4, /* push another user off a serial console */
};
#define RIGHT_ALL (RIGHT_WATCH | RIGHT_DISPLAY | RIGHT_SERIAL | RIGHT_POWER | RIGHT_TAKEOVER)

typedef unsigned rights; /* a set of enum right */

/* The word of the ACL file for one right ("display"), NULL for a value that is not one right. */
const char *right_name(enum right right);
/* 0 and the right of that name, or -EINVAL. */
int right_parse(const char *name, enum right *ret);
/* Writes "display, serial" ("" for none), in the order above, separated by sep. */
void rights_format(rights set, const char *sep, char *out, size_t size);

/* --- what a decision is about ------------------------------------------------------------------------------------ */

struct address {
    int family;              /* AF_INET, AF_INET6, or AF_UNSPEC: the address is not known */
    union {
        struct in_addr v4;
        struct in6_addr v6;  /* never a v4-mapped one: address_parse() makes those AF_INET */
    };
};

/* Reads an address without a prefix length. 0 or -EINVAL. */
int address_parse(const char *text, struct address *ret);
/* As address_parse() reads it; "" when it is not known. */
#define ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN
void address_format(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* A point in local time. */
struct moment {
    int year, month, day;    /* 2026, 1-12, 1-31 */
    int weekday;             /* 0 = Monday ... 6 = Sunday */
    int minute;              /* of the day, 0-1439 */
};

/* The local time of t; the only place where the time zone comes in: the one that the process found when it first asked.
 * 0 or -errno. */
int moment_at(time_t t, struct moment *ret);
/* Reads "2026-11-21 10:00" or "2026-11-21T10:00" as local time as it stands (the weekday is computed). 0 or -EINVAL. */
int moment_parse(const char *text, struct moment *ret);

/* Nothing is ever allowed to a subject without a name, or with a uid that stands for "no user" or "a user that cannot be
 * expressed here": (uid_t)-1 and the kernel's overflow uid, 65534. */
struct subject {
    uid_t uid;               /* rules name users, not uids */
    const char *user;        /* the account's name */
    const char *const *groups; /* names of the account's groups, any order */
    size_t n_groups;
    struct address address;  /* where the ssh connection comes from */
    struct moment now;
};

struct vm {
    const char *name;        /* NULL or empty: nothing is allowed */
    const struct uuid *uuid; /* NULL: not known; then a uuid: pattern never matches */
};

/* Where several rules could be named, it is the first in the order of the files. Of several grants that are held back the
 * first is named; of several conditions that hold it back the last of this list. */
enum verdict_reason {
    VERDICT_GRANTED,         /* rule: the grant */
    VERDICT_DENIED,          /* rule: the deny */
    VERDICT_NO_RULE,         /* nothing grants this right on this VM to this subject; no rule */
    VERDICT_ADDRESS_UNKNOWN, /* rule: a grant that has a from, and the address is not known */
    VERDICT_ADDRESS,         /* rule: a grant whose from does not hold the address */
    VERDICT_HOURS,           /* rule: a grant whose hours are not now */
    VERDICT_EXPIRED,         /* rule: a grant whose until is past */
};

#define VERDICT_TEXT_SIZE 256

struct verdict {
    bool allowed;
    enum verdict_reason reason;
    const char *file;        /* base name of the file, "virtgate.ini"; owned by the policy; NULL without a rule */
    unsigned line;
    char text[VERDICT_TEXT_SIZE]; /* one sentence for a person, e.g. "the rule's hours are Mon-Fri 08:00-18:00" */
};

/* --- settings ---------------------------------------------------------------------------------------------------- */

#define POLICY_URI_SIZE 256
#define POLICY_SESSIONS_MAX 10000

struct settings {
    char uri[POLICY_URI_SIZE];   /* default qemu:///system */
    int64_t idle;                /* seconds, 0: no limit (the default) */
    int64_t max_time;            /* seconds, 0: no limit (the default) */
    unsigned max_sessions;       /* per user; default 16 */
    bool confined;               /* only for processes that the PAM lock has confined (not in a view) */
    bool confined_is_set;        /* somebody has decided about it, either way */
};

/* --- loading ----------------------------------------------------------------------------------------------------- */

struct policy;

/* What is wrong with the files, in the order of files and lines; line 0: the file as a whole. */
struct policy_error {
    char *file;                  /* the path as it was opened */
    unsigned line;
    char *message;               /* says what was expected */
};
struct policy_errors {
    struct policy_error *list;
    size_t n;                    /* at most POLICY_ERRORS_MAX; the last one then says that there are more */
};
#define POLICY_ERRORS_MAX 100

/* What the files say, in short (the manual page virtgate.ini(5) says it at length):
 *
 *   [gate]          uri, idle, max-time, max-sessions, confined
 *   [role NAME]     grant = RIGHTS
 *   [user NAME]     RIGHT or ROLE = VM PATTERNS; deny = VM PATTERNS; from, hours, until
 *   [group NAME]    the same
 *   [vm PATTERN]    RIGHT or ROLE = USERS and @GROUPS; deny = USERS and @GROUPS; from, hours, until
 *
 *  - Nothing is granted unless written. Grants add up, a deny wins over all of them, for every right.
 *  - from, hours and until of a section hold back the grants of that section only. Its deny holds always: a deny that ended
 *    with the working day would open at night what it closes by day.
 *  - Each section, and each key in it, is there once, over all files: no line is far from another that changes it. Only
 *    [gate] may stand once in each file, for its keys are settings by themselves.
 *  - Names of users and groups are matched as they are. A VM pattern is a glob on the whole name, byte by byte (dots
 *    and slashes mean nothing), or uuid:UUID.
 *  - In patterns of [user] and [group] %u is the user's name, in users and groups of [vm] %v is the VM's name, both inserted
 *    as they are; %% is a percent sign. `lab-%u-*` for alice matches lab-alice-bob-1 as well, which `lab-%u-*` for alice-bob
 *    does too: where names contain the separator, choose another.
 *  - `from` is ADDRESS or ADDRESS/PREFIX; an IPv4 caller is never in an IPv6 network. `hours` is [Day[-Day]] HH:MM-HH:MM; an
 *    end that is not after its start is on the next day. `until` is a day, which is the last one, or a minute, which is not.
 *
 * Reads path: a file (that one alone), or a folder (its virtgate.ini, then virtgate.d/ *.ini in the order of bytes; a
 * missing virtgate.d is an empty one). Every file and folder read must belong to root or to owner and not be writable by
 * group or others (base/path.h). Of virtgate.d only names that end in .ini and do not begin with '.' are read. All of it is
 * right, or there is no policy. A file over 64 MiB or a line over 198 bytes is not right.
 * 0 and *ret; -EINVAL with errors (never empty then); -ENOMEM with errors possibly empty. errors starts as { 0 } and is
 * freed by the caller with policy_errors_free(). */
int policy_load(const char *path, uid_t owner, struct policy **ret, struct policy_errors *errors);
void policy_errors_free(struct policy_errors *errors);
void policy_free(struct policy *policy);

const struct settings *policy_settings(const struct policy *policy);
size_t policy_n_rules(const struct policy *policy);

/* --- deciding (pure) --------------------------------------------------------------------------------------------- */

/* May the subject use one right on the VM? Fills *ret; returns ret->allowed. */
bool policy_decide(const struct policy *policy, const struct subject *subject, const struct vm *vm, enum right right,
                   struct verdict *ret);

/* Every right that policy_decide() would allow. */
rights policy_rights(const struct policy *policy, const struct subject *subject, const struct vm *vm);

/* False when no uuid whatever could make policy_decide() allow the right on a VM of that name: then nobody needs to ask
 * libvirtd (attack D23: no work before the decision). name NULL: on any VM at all; a pattern is then taken for one that
 * matches a VM which no deny names, unless everything is denied. */
bool policy_may_allow(const struct policy *policy, const struct subject *subject, const char *name, enum right right);

/* The same for every right that there is: with name NULL, has the subject any current grant at all? */
bool policy_may_allow_any(const struct policy *policy, const struct subject *subject, const char *name);

/* --- the view of one subject ------------------------------------------------------------------------------------- */

/* The rules that can concern this subject here and now, as bytes for the process that serves the subject: policy_decide()
 * on the decoded view, for the subject of that name, gives the verdicts of the whole policy (file, line and text
 * included) for any VM; for any other subject it allows nothing. The groups that matter and the settings come along, and
 * what the subject brings of groups, address and time is not looked at again: conditions (from, hours, until) are decided
 * when the view is made, not later. 0 and an allocated buffer, or -ENOMEM. */
int policy_view_encode(const struct policy *policy, const struct subject *subject, void **ret, size_t *ret_len);

/* Takes exactly what policy_view_encode() made; anything else is -EINVAL. -ENOMEM. */
int policy_view_decode(const void *data, size_t len, struct policy **ret);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the ACL share: a folder of their own per test, files in it, and short ways to ask. */
#ifndef VG_TEST_POLICY_H
#define VG_TEST_POLICY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "policy/policy.h"

struct folder {
    char path[64];
};

/* For cmocka_unit_test_setup_teardown(): *state is a struct folder. */
int folder_setup(void **state);
int folder_teardown(void **state);
#define FOLDER_TEST(function) cmocka_unit_test_setup_teardown(function, folder_setup, folder_teardown)

/* The path of name in the folder ("": the folder); valid until the fourth call after. */
const char *folder_path(const struct folder *folder, const char *name);
void folder_write(const struct folder *folder, const char *name, const char *text);
void folder_write_bytes(const struct folder *folder, const char *name, const char *bytes, size_t len);

/* Loads a file of the folder, or the whole folder (""); it has to be right. */
struct policy *folder_load(const struct folder *folder, const char *name);
/* Loads a text as virtgate.ini; it has to be right. */
struct policy *load_text(const char *text);

/* The errors of loading the file or folder, which has to fail. */
struct policy_errors load_errors(const struct folder *folder, const char *name);
/* It has to fail with this one error: in the file of that name, in the line, and the message contains part. */
void expect_refusal(const struct folder *folder, const char *load, const char *file, unsigned line, const char *part);
/* The same for virtgate.ini with this text. */
void refuses_text(const char *text, unsigned line, const char *part);
void refuses_bytes(const char *bytes, size_t len, unsigned line, const char *part);

/* A subject of uid 1000, on Saturday 2026-11-21 10:00, whose address is not known. */
struct subject somebody(const char *user, const char *const *groups, size_t n_groups);
#define GROUPS(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *)
#define NO_GROUPS NULL, 0

/* The verdict, which the view of the subject has to give as well. */
struct verdict decide(const struct policy *policy, const struct subject *subject, const char *vm, enum right right);
struct verdict decide_uuid(const struct policy *policy, const struct subject *subject, const char *vm, const char *uuid,
                           enum right right);
/* May this user of these groups open the VM's display, by a policy of this text? */
bool opens(const char *text, const char *user, const char *const *groups, size_t n_groups, const char *vm);

#endif

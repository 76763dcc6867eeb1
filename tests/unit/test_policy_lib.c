/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "policy/policy_impl.h"

int folder_setup(void **state)
{
    struct folder *folder = calloc(1, sizeof *folder);

    if (!folder)
        return -1;
    snprintf(folder->path, sizeof folder->path, "/tmp/virtgate-test-XXXXXX");
    *state = folder;
    return mkdtemp(folder->path) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int folder_teardown(void **state)
{
    struct folder *folder = *state;
    int r = nftw(folder->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);

    free(folder);
    return r;
}

const char *folder_path(const struct folder *folder, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s%s%s", folder->path, *name ? "/" : "", name);
    return path;
}

void folder_write_bytes(const struct folder *folder, const char *name, const char *bytes, size_t len)
{
    FD_AUTO fd = open(folder_path(folder, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(io_write_all(fd, bytes, len), 0);
}

void folder_write(const struct folder *folder, const char *name, const char *text)
{
    folder_write_bytes(folder, name, text, strlen(text));
}

static struct policy *expect_loaded(int r, struct policy *policy, struct policy_errors *errors)
{
    for (size_t i = 0; i < errors->n; i++)
        print_error("%s:%u: %s\n", errors->list[i].file, errors->list[i].line, errors->list[i].message);
    assert_int_equal(r, 0);
    assert_int_equal(errors->n, 0);
    return policy;
}

struct policy *folder_load(const struct folder *folder, const char *name)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    int r = policy_load(folder_path(folder, name), getuid(), &policy, &errors);

    return expect_loaded(r, policy, &errors);
}

struct policy *load_text(const char *text)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;
    int r = policy_load_text("virtgate.ini", text, strlen(text), &policy, &errors);

    return expect_loaded(r, policy, &errors);
}

struct policy_errors load_errors(const struct folder *folder, const char *name)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    assert_int_equal(policy_load(folder_path(folder, name), getuid(), &policy, &errors), -EINVAL);
    assert_null(policy);
    assert_true(errors.n > 0);
    return errors;
}

static void expect_one(const struct policy_errors *errors, const char *file, unsigned line, const char *part)
{
    bool right = errors->n == 1 && strcmp(errors->list[0].file, file) == 0 && errors->list[0].line == line &&
                 strstr(errors->list[0].message, part);

    if (right)
        return;
    print_error("expected %s:%u: ...%s...\n", file, line, part);
    for (size_t i = 0; i < errors->n; i++)
        print_error("  found %s:%u: %s\n", errors->list[i].file, errors->list[i].line, errors->list[i].message);
    fail();
}

void expect_refusal(const struct folder *folder, const char *load, const char *file, unsigned line, const char *part)
{
    struct policy_errors errors = load_errors(folder, load);

    expect_one(&errors, folder_path(folder, file), line, part);
    policy_errors_free(&errors);
    assert_null(errors.list);
}

void refuses_bytes(const char *bytes, size_t len, unsigned line, const char *part)
{
    struct policy_errors errors = { 0 };
    struct policy *policy = NULL;

    assert_int_equal(policy_load_text("etc/virtgate.ini", bytes, len, &policy, &errors), -EINVAL);
    assert_null(policy);
    expect_one(&errors, "etc/virtgate.ini", line, part);
    policy_errors_free(&errors);
}

void refuses_text(const char *text, unsigned line, const char *part)
{
    refuses_bytes(text, strlen(text), line, part);
}

struct subject somebody(const char *user, const char *const *groups, size_t n_groups)
{
    struct subject subject = { .uid = 1000, .user = user, .groups = groups, .n_groups = n_groups };

    assert_int_equal(moment_parse("2026-11-21 10:00", &subject.now), 0);
    return subject;
}

static void expect_same(const struct verdict *whole, const struct verdict *view)
{
    assert_int_equal(whole->allowed, view->allowed);
    assert_int_equal(whole->reason, view->reason);
    assert_int_equal(whole->line, view->line);
    assert_string_equal(whole->text, view->text);
    assert_string_equal(whole->file ? whole->file : "-", view->file ? view->file : "-");
}

static struct verdict decide_vm(const struct policy *policy, const struct subject *subject, const struct vm *vm,
                                enum right right)
{
    /* A view knows groups, address and time itself. */
    const struct subject bare = { .uid = subject->uid, .user = subject->user };
    struct verdict verdict, of_view;
    struct policy *view;
    void *bytes;
    size_t len;
    bool allowed = policy_decide(policy, subject, vm, right, &verdict);

    assert_int_equal(allowed, verdict.allowed);
    assert_int_equal(allowed, verdict.reason == VERDICT_GRANTED);
    if (allowed) {
        assert_true(policy_may_allow(policy, subject, vm->name, right));
        assert_true(policy_may_allow(policy, subject, NULL, right));
        assert_true(policy_may_allow_any(policy, subject, NULL));
    }
    assert_int_equal(policy_view_encode(policy, subject, &bytes, &len), 0);
    assert_int_equal(policy_view_decode(bytes, len, &view), 0);
    free(bytes);
    policy_decide(view, &bare, vm, right, &of_view);
    if (subject->user && *subject->user)
        expect_same(&verdict, &of_view);
    else
        assert_false(of_view.allowed);
    policy_free(view);
    return verdict;
}

/* The file's name lives as long as the policy. */
struct verdict decide(const struct policy *policy, const struct subject *subject, const char *vm, enum right right)
{
    return decide_vm(policy, subject, &(struct vm){ .name = vm }, right);
}

struct verdict decide_uuid(const struct policy *policy, const struct subject *subject, const char *vm, const char *uuid,
                           enum right right)
{
    struct uuid parsed;

    assert_int_equal(uuid_parse(uuid, strlen(uuid), &parsed), 0);
    return decide_vm(policy, subject, &(struct vm){ .name = vm, .uuid = &parsed }, right);
}

bool opens(const char *text, const char *user, const char *const *groups, size_t n_groups, const char *vm)
{
    struct policy *policy = load_text(text);
    struct subject subject = somebody(user, groups, n_groups);
    bool allowed = decide(policy, &subject, vm, RIGHT_DISPLAY).allowed;

    policy_free(policy);
    return allowed;
}

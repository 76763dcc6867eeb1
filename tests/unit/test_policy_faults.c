/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens when others fail: memory ends at every single place, and an inih that reads lines in its own way. The linker
 * puts the functions below in place of the real ones (--wrap, see policy.am). */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "policy/policy_impl.h"
#include "test_policy.h"

/* --- memory ------------------------------------------------------------------------------------------------------ */

static long allocations_left = -1; /* -1: without end */

static bool fails(void)
{
    if (allocations_left < 0)
        return false;
    if (allocations_left == 0)
        return true;
    allocations_left--;
    return false;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
char *__real_strdup(const char *text);
int __real_vasprintf(char **ret, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
/* The same in a fortified build. */
int __real___vasprintf_chk(char **ret, int flag, const char *format, va_list args) __attribute__((format(printf, 3, 0)));
int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, n, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_vasprintf(char **ret, const char *format, va_list args)
{
    return fails() ? -1 : __real_vasprintf(ret, format, args);
}

int __wrap___vasprintf_chk(char **ret, int flag, const char *format, va_list args)
{
    return fails() ? -1 : __real___vasprintf_chk(ret, flag, format, args);
}

static const char acl[] = "[role r]\ngrant = display\n[user alice]\nr = a, lab-*\ndeny = b\nfrom = 192.0.2.0/24\n"
                          "hours = 08:00-18:00\nuntil = 2030-01-01\n[group g]\nserial = *\n[vm *]\ndisplay = @vm-%v, alice\n";

/* Loads the text with every allocation but the first n; what has been allocated must be freed (a sanitizer looks). */
static int load_with(const char *text, long n, struct policy **ret, size_t *ret_errors)
{
    struct policy_errors errors = { 0 };
    int r;

    allocations_left = n;
    r = policy_load_text("virtgate.ini", text, strlen(text), ret, &errors);
    allocations_left = -1;
    *ret_errors = errors.n;
    policy_errors_free(&errors);
    return r;
}

static void no_memory_is_told_wherever_it_ends(void **state)
{
    struct policy *policy = NULL;
    size_t n_errors;
    long n = 0;
    int r;

    (void)state;
    while ((r = load_with(acl, n, &policy, &n_errors)) == -ENOMEM) {
        assert_null(policy);
        n++;
    }
    assert_int_equal(r, 0);
    assert_true(n > 20);
    policy_free(policy);
    /* Errors that cannot be told are no policy either. */
    for (n = 0; (r = load_with("[user a]\nfoo\ndisplay = \"\"\nbar = x\n", n, &policy, &n_errors)) == -ENOMEM;)
        n++;
    assert_int_equal(r, -EINVAL);
    assert_int_equal(n_errors, 3);
    assert_true(n > 10);
}

static void no_memory_for_a_view(void **state)
{
    struct policy *policy = load_text(acl), *view = NULL;
    struct subject alice = somebody("alice", GROUPS("g", "vm-a", "g"));
    void *bytes = NULL;
    size_t len;
    long n = 0;
    int r;

    (void)state;
    for (;; n++) {
        allocations_left = n;
        r = policy_view_encode(policy, &alice, &bytes, &len);
        allocations_left = -1;
        if (r == 0)
            break;
        assert_int_equal(r, -ENOMEM);
        assert_null(bytes);
    }
    assert_true(n > 5);
    for (n = 0;; n++) {
        allocations_left = n;
        r = policy_view_decode(bytes, len, &view);
        allocations_left = -1;
        if (r == 0)
            break;
        assert_int_equal(r, -ENOMEM);
        assert_null(view);
    }
    assert_true(n > 15);
    policy_free(view);
    policy_free(policy);
    free(bytes);
}

/* --- inih -------------------------------------------------------------------------------------------------------- */

static enum { AS_IT_IS, FORGETFUL, TRIMMING, SECTIONLESS, STRICT, OUT_OF_MEMORY } inih = AS_IT_IS;
static int room_of_inih;

struct between {
    ini_reader reader;
    ini_handler handler;
    void *stream, *user;
};

/* Reads as an inih of another buffer would. */
static char *read_between(char *out, int room, void *user)
{
    struct between *between = user;

    return between->reader(out, room_of_inih ? room_of_inih : room, between->stream);
}

static int handle_between(void *user, const char *section, const char *key, const char *value)
{
    struct between *between = user;
    char trimmed[256];

    if (inih == FORGETFUL && strcmp(key, "deny") == 0)
        return 1;
    snprintf(trimmed, sizeof trimmed, "%.*s", (int)strlen(value) - (inih == TRIMMING), value);
    return between->handler(between->user, inih == SECTIONLESS ? "" : section, key, trimmed);
}

int __real_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);
int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);

int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
    struct between between = { reader, handler, stream, user };

    if (inih == OUT_OF_MEMORY)
        return -2;
    int r = __real_ini_parse_stream(read_between, &between, handle_between, &between);
    return inih == STRICT ? 2 : r;
}

static void trap_inih_passes_over_a_line(void **state)
{
    (void)state;
    inih = FORGETFUL;
    refuses_text("[user alice]\ndisplay = *\ndeny = a\nserial = b\n", 3, "the ini reader did not understand the line");
    refuses_text("[user alice]\ndisplay = *\ndeny = a\n", 3, "the ini reader did not understand the line");
    inih = AS_IT_IS;
}

static void trap_inih_cuts_a_value(void **state)
{
    (void)state;
    inih = TRIMMING; /* as it does with the last byte of "a with grave" where the locale is ISO 8859-1 */
    refuses_text("[user alice]\ndeny = \xc3\xa0\n", 2, "the ini reader understood the line differently");
    inih = AS_IT_IS;
}

static void trap_inih_takes_another_section(void **state)
{
    (void)state;
    inih = SECTIONLESS;
    refuses_text("[user alice]\ndeny = a\n", 2, "the ini reader understood the line differently");
    inih = AS_IT_IS;
}

static void trap_inih_complains_itself(void **state)
{
    struct policy *policy = NULL;
    size_t n_errors;

    (void)state;
    inih = STRICT;
    refuses_text("[user alice]\ndeny = a\n", 2, "the ini reader did not understand the line");
    inih = OUT_OF_MEMORY;
    assert_int_equal(load_with(acl, -1, &policy, &n_errors), -ENOMEM);
    inih = AS_IT_IS;
}

static void trap_inih_has_another_buffer(void **state)
{
    char text[600];

    (void)state;
    room_of_inih = 30;
    refuses_text("[user alice]\ndeny = 4567890123456789012345678\n", 2, "a line of 32 bytes: expected at most 28");
    policy_free(load_text("[user alice]\ndeny = 456789012345678901234\n"));
    /* More room must not make a file right here that is wrong elsewhere. */
    room_of_inih = 1000;
    snprintf(text, sizeof text, "[user alice]\n#%0198d\n", 0);
    refuses_text(text, 2, "a line of 199 bytes: expected at most 198");
    room_of_inih = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_is_told_wherever_it_ends),
        cmocka_unit_test(no_memory_for_a_view),
        cmocka_unit_test(trap_inih_passes_over_a_line),
        cmocka_unit_test(trap_inih_cuts_a_value),
        cmocka_unit_test(trap_inih_takes_another_section),
        cmocka_unit_test(trap_inih_complains_itself),
        cmocka_unit_test(trap_inih_has_another_buffer),
    };

    return cmocka_run_group_tests_name("policy_faults", tests, NULL, NULL);
}

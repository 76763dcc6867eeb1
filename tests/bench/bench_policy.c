/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints how long it takes to load a large ACL and to decide by it. Not a test: a busy machine must not fail a build.
 *
 *   make check TESTS= && tests/bench/bench_policy */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/policy_impl.h"

enum { ROUNDS = 20001, PRINCIPALS = 1000, RULES_EACH = 10 };

struct text {
    char *data;
    size_t len;
    FILE *out;
};

static FILE *text_open(struct text *text)
{
    text->out = open_memstream(&text->data, &text->len);
    if (!text->out)
        abort();
    return text->out;
}

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return values[n / 2];
}

/* Loads the text, which closes it. */
static struct policy *load(struct text *text, double *ret_us)
{
    struct policy_errors errors = { 0 };
    struct policy *policy;

    if (fclose(text->out) != 0)
        abort();
    double began = now_us();
    if (policy_load_text("bench.ini", text->data, text->len, &policy, &errors) < 0) {
        fprintf(stderr, "bench.ini:%u: %s\n", errors.n ? errors.list[0].line : 0, errors.n ? errors.list[0].message : "");
        exit(1);
    }
    *ret_us = now_us() - began;
    free(text->data);
    return policy;
}

static void bench_load(void)
{
    double us[5];
    size_t rules = 0;

    for (size_t round = 0; round < 5; round++) {
        struct text text;
        FILE *out = text_open(&text);
        for (int i = 0; i < 20000; i++) /* 5 lines each */
            fprintf(out, "[user user%d]\ndisplay = desk-%d, lab-%d-*\nserial = desk-%d\nfrom = 10.%d.%d.0/24\n\n", i, i, i, i,
                    i / 256, i % 256);
        struct policy *policy = load(&text, &us[round]);
        rules = policy_n_rules(policy);
        policy_free(policy);
    }
    printf("load of 100000 lines, %zu rules: median of 5 %.3f s\n", rules, median(us, 5) / 1e6);
}

static void bench_decide(const char *what, const struct policy *policy, const struct subject *subject, const char *prefix,
                         int n_names)
{
    static double us[ROUNDS];
    char name[64];
    struct vm vm = { .name = name };
    struct verdict verdict;
    size_t allowed = 0;

    for (size_t i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof name, "%s%d", prefix, (int)i % n_names);
        double began = now_us();
        allowed += policy_decide(policy, subject, &vm, RIGHT_DISPLAY, &verdict);
        us[i] = now_us() - began;
    }
    double middle = median(us, ROUNDS);
    printf("%s: median %.2f us, 99%% %.2f us (%zu of %d allowed)\n", what, middle, us[ROUNDS * 99 / 100], allowed, ROUNDS);
}

/* Half of them users, half groups; half of the rules literal names, half patterns. */
static void bench_mixed(void)
{
    static const char *const groups[] = { "group0", "group100", "group200", "group300", "group400" };
    const struct subject subject = { .uid = 1000, .user = "user7", .groups = groups, .n_groups = 5 };
    struct text text;
    double us;
    FILE *out = text_open(&text);

    for (int i = 0; i < PRINCIPALS; i++) {
        fprintf(out, "[%s%d]\n", i % 2 ? "user user" : "group group", i / 2);
        fprintf(out, "display = vm%d-0, vm%d-1, vm%d-2, vm%d-3, vm%d-4\n", i, i, i, i, i);
        fprintf(out, "serial = lab%d-0-*, lab%d-1-?, *-lab%d-2, lab%d-[0-9]*, *lab-%d-*\n", i, i, i, i, i);
    }
    fprintf(out, "[vm *]\ndisplay = @vm-%%v\n");
    struct policy *policy = load(&text, &us);
    printf("%zu rules of %d users and groups; the subject is in 5 groups\n", policy_n_rules(policy), PRINCIPALS);
    bench_decide("  decide, granted by name", policy, &subject, "vm15-", 5);
    bench_decide("  decide, nothing matches", policy, &subject, "lab9999-", 1000);
    policy_free(policy);
}

static void bench_one_user(void)
{
    const struct subject subject = { .uid = 1000, .user = "alice" };
    struct text text;
    double us;
    FILE *out = text_open(&text);

    for (int i = 0; i < PRINCIPALS * RULES_EACH; i++)
        fprintf(out, "[vm desk-%d]\ndisplay = alice\n", i);
    struct policy *policy = load(&text, &us);
    printf("%zu rules of one user, all literal names\n", policy_n_rules(policy));
    bench_decide("  decide, granted", policy, &subject, "desk-", PRINCIPALS * RULES_EACH);
    bench_decide("  decide, nothing matches", policy, &subject, "disk-", PRINCIPALS * RULES_EACH);

    void *view;
    size_t len;
    struct policy *decoded;
    double began = now_us();
    if (policy_view_encode(policy, &subject, &view, &len) < 0)
        abort();
    double encoded = now_us();
    if (policy_view_decode(view, len, &decoded) < 0)
        abort();
    printf("  view of %zu bytes: encode %.1f ms, decode %.1f ms\n", len, (encoded - began) / 1e3,
           (now_us() - encoded) / 1e3);
    free(view);
    policy_free(decoded);
    policy_free(policy);
}

int main(void)
{
    bench_load();
    bench_mixed();
    bench_one_user();
    return 0;
}

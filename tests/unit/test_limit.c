/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit.h"

#include "broker/limit.h"

static void a_flood_is_counted_not_written(void **state)
{
    static struct limit limit;
    unsigned written = 0, suppressed = 99;

    (void)state;
    for (int i = 0; i < 1000; i++)
        written += limit_allows(&limit, 1000, 5000, &suppressed);
    assert_int_equal(written, LIMIT_BURST);
    assert_true(limit_allows(&limit, 1001, 5000, &suppressed)); /* another account is not touched */
    assert_int_equal(suppressed, 0);
    assert_false(limit_allows(&limit, 1000, 5000 + 900 / LIMIT_PER_SECOND, &suppressed));
    assert_true(limit_allows(&limit, 1000, 5000 + 1000 / LIMIT_PER_SECOND, &suppressed));
    assert_int_equal(suppressed, 1000 - LIMIT_BURST + 1);
    assert_true(limit_allows(&limit, 1000, 600000, &suppressed));
    assert_int_equal(suppressed, 0);
    for (int i = 0; i < LIMIT_BURST - 1; i++)
        assert_true(limit_allows(&limit, 1000, 600000, &suppressed));
    assert_false(limit_allows(&limit, 1000, 600000, &suppressed)); /* time does not save up more than a burst */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_flood_is_counted_not_written) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "base/fd.h"
#include "base/io.h"
#include "relay/relay.h"

/* A relay in a thread: user[0] and stream[0] are ours. */
struct scene {
    int user[2], out[2], stream[2], control[2];
    struct relay relay;
    struct relay_totals totals;
    enum relay_end end;
    pthread_t thread;
};

static void *run(void *context)
{
    struct scene *scene = context;

    scene->end = relay_run(&scene->relay, &scene->totals);
    return NULL;
}

static bool end_now(void *context, bool *drop)
{
    (void)context;
    (void)drop;
    return true;
}

static void make_pair(int pair[static 2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void start(struct scene *scene)
{
    make_pair(scene->user);
    make_pair(scene->stream);
    make_pair(scene->control);
    scene->relay.in = scene->relay.out = scene->user[1];
    scene->relay.stream = scene->stream[1];
    scene->relay.control = scene->control[1];
    scene->relay.watch = end_now;
    assert_int_equal(pthread_create(&scene->thread, NULL, run, scene), 0);
}

static void finish(struct scene *scene, enum relay_end end)
{
    pthread_join(scene->thread, NULL);
    assert_int_equal(scene->end, end);
    for (int i = 0; i < 2; i++) {
        fd_close(&scene->user[i]);
        fd_close(&scene->stream[i]);
        fd_close(&scene->control[i]);
    }
}

static void expect(int fd, const char *want)
{
    char got[64] = "";
    size_t len = 0;

    while (len < strlen(want)) {
        ssize_t n = read(fd, got + len, strlen(want) - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, want);
}

static void carries_both_ways_and_ends_with_the_stream(void **state)
{
    struct scene scene = { 0 };

    (void)state;
    start(&scene);
    assert_int_equal(write(scene.user[0], "hello", 5), 5);
    expect(scene.stream[0], "hello");
    assert_int_equal(write(scene.stream[0], "world!", 6), 6);
    fd_close(&scene.stream[0]); /* what was sent before is handed on */
    expect(scene.user[0], "world!");
    finish(&scene, RELAY_STREAM_ENDED);
    assert_int_equal(scene.totals.to_user, 6);
    assert_int_equal(scene.totals.from_user, 5);
}

static void a_user_who_has_said_all_still_listens(void **state)
{
    struct scene scene = { 0 };
    char byte;

    (void)state;
    start(&scene);
    assert_int_equal(write(scene.user[0], "bye", 3), 3);
    shutdown(scene.user[0], SHUT_WR);
    expect(scene.stream[0], "bye");
    assert_int_equal(read(scene.stream[0], &byte, 1), 0); /* the half-close travelled */
    assert_int_equal(write(scene.stream[0], "late", 4), 4);
    expect(scene.user[0], "late");
    fd_close(&scene.stream[0]);
    finish(&scene, RELAY_STREAM_ENDED);
}

static void a_user_who_is_gone_ends_it(void **state)
{
    struct scene scene = { 0 };
    char byte;

    (void)state;
    start(&scene);
    fd_close(&scene.user[0]);
    pthread_join(scene.thread, NULL);
    assert_int_equal(scene.end, RELAY_USER_ENDED);
    fd_close(&scene.stream[1]);
    assert_int_equal(read(scene.stream[0], &byte, 1), 0);
    fd_close(&scene.stream[0]);
    fd_close(&scene.user[1]);
    fd_close(&scene.control[0]);
    fd_close(&scene.control[1]);
}

static void control_ends_it_though_data_flows(void **state)
{
    struct scene scene = { 0 };

    (void)state;
    start(&scene);
    assert_int_equal(write(scene.control[0], "x", 1), 1);
    finish(&scene, RELAY_CONTROL);
}

/* The other direction goes on while one is stuck, and nothing is lost or changed. */
static void a_stuck_direction_does_not_stop_the_other(void **state)
{
    struct scene scene = { 0 };
    static char block[65536];
    size_t sent = 0;

    (void)state;
    start(&scene);
    fd_set_nonblock(scene.stream[0], 1);
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 7 % 251);
    for (int idle = 0; idle < 50;) { /* until the user's side takes no more */
        size_t at = sent % sizeof block;
        ssize_t n = write(scene.stream[0], block + at, sizeof block - at);
        if (n > 0) {
            sent += (size_t)n;
            idle = 0;
        } else {
            idle++;
            usleep(1000);
        }
    }
    assert_true(sent > 65536);
    assert_int_equal(write(scene.user[0], "keys", 4), 4);
    fd_set_nonblock(scene.stream[0], 0);
    expect(scene.stream[0], "keys");
    fd_close(&scene.stream[0]);
    for (size_t got = 0; got < sent;) {
        char back[4096];
        ssize_t n = read(scene.user[0], back, sizeof back);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(back[i], block[(got + (size_t)i) % sizeof block]);
        got += (size_t)n;
    }
    finish(&scene, RELAY_STREAM_ENDED);
    assert_int_equal(scene.totals.to_user, sent);
}

static bool stop_at_x(void *context, char *data, size_t *len)
{
    char *x = memchr(data, 'x', *len);

    (void)context;
    if (!x)
        return false;
    *len = (size_t)(x - data);
    return true;
}

static void a_filter_stops_it_after_what_came_before(void **state)
{
    struct scene scene = { .relay.filter = stop_at_x };

    (void)state;
    start(&scene);
    assert_int_equal(write(scene.user[0], "abxcd", 5), 5);
    expect(scene.stream[0], "ab");
    finish(&scene, RELAY_STOPPED);
}

/* A file cannot be spliced from everywhere, and /dev/null is neither socket nor pipe: the buffer takes over. */
static void odd_descriptors_work_too(void **state)
{
    struct relay_totals totals;
    int stream[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct relay relay = { .in = null, .out = null, .control = -1 };
    char byte;

    (void)state;
    make_pair(stream);
    relay.stream = stream[1];
    assert_int_equal(write(stream[0], "gone", 4), 4);
    shutdown(stream[0], SHUT_WR);
    assert_int_equal(relay_run(&relay, &totals), RELAY_STREAM_ENDED);
    assert_int_equal(totals.to_user, 4);
    fd_close(&stream[1]);
    assert_int_equal(read(stream[0], &byte, 1), 0);
    fd_close(&stream[0]);
    fd_close(&null);
}

static void descriptors_are_put_back(void **state)
{
    struct scene scene = { 0 };

    (void)state;
    start(&scene);
    fd_close(&scene.stream[0]);
    pthread_join(scene.thread, NULL);
    assert_false(fcntl(scene.user[1], F_GETFL) & O_NONBLOCK);
    for (int i = 0; i < 2; i++) {
        fd_close(&scene.user[i]);
        fd_close(&scene.control[i]);
    }
    fd_close(&scene.stream[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_both_ways_and_ends_with_the_stream),
        cmocka_unit_test(a_user_who_has_said_all_still_listens),
        cmocka_unit_test(a_user_who_is_gone_ends_it),
        cmocka_unit_test(control_ends_it_though_data_flows),
        cmocka_unit_test(a_stuck_direction_does_not_stop_the_other),
        cmocka_unit_test(a_filter_stops_it_after_what_came_before),
        cmocka_unit_test(odd_descriptors_work_too),
        cmocka_unit_test(descriptors_are_put_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

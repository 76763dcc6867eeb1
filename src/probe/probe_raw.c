/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe/probe_raw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/io.h"
#include "client/ssh_start.h"

/* --- ssh(1) and its control socket --------------------------------------------------------------------------------- */

struct raw {
    pid_t ssh;
    int fd;                 /* in proxy mode */
    uint32_t next;          /* number for the next channel */
    char folder[32];
};

#define MUX_HELLO 1
#define MUX_VERSION 4
#define MUX_OPEN_FORWARD 0x10000006
#define MUX_CLOSE_FORWARD 0x10000007
#define MUX_PROXY 0x1000000f
#define MUX_SAID_OK 0x80000001
#define MUX_SAID_FAILURE 0x80000003
#define MUX_SAID_PROXY 0x8000000f
#define MUX_FORWARD_REMOTE 2
#define MUX_PORT_OF_A_PATH 0xfffffffe
#define MESSAGE_MAX (256 * 1024)
#define LOGIN_MS 15000

static void path_in(const struct raw *raw, const char *name, char out[static 64])
{
    snprintf(out, 64, "%s/%s", raw->folder, name);
}

static void nap(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
}

static bool has_ended(struct raw *raw)
{
    if (raw->ssh > 0 && waitpid(raw->ssh, NULL, WNOHANG) != 0)
        raw->ssh = -1;
    return raw->ssh < 0;
}

static bool ends_within(struct raw *raw, int ms)
{
    for (int64_t end = io_monotonic_ms() + ms; !has_ended(raw); nap())
        if (io_monotonic_ms() > end)
            return false;
    return true;
}

#define END_WAIT_MS 2000

static void end_ssh(struct raw *raw)
{
    if (has_ended(raw))
        return;
    kill(raw->ssh, SIGTERM);
    if (ends_within(raw, END_WAIT_MS))
        return;
    kill(raw->ssh, SIGKILL);
    waitpid(raw->ssh, NULL, 0);
    raw->ssh = -1;
}

void raw_close(struct raw *raw)
{
    static const char *const names[] = { "mux", "log" };

    if (!raw)
        return;
    fd_close(&raw->fd);
    end_ssh(raw);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];

        path_in(raw, names[i], path);
        unlink(path);
    }
    rmdir(raw->folder);
    free(raw);
}

/* As a master that keeps to its socket, whatever the user's configuration has for other logins: no forwarding, command, tunnel
 * or background of its own, and no note in known_hosts. Nobody is asked: libssh's login came before and has done so. */
static int start_ssh(struct raw *raw, const struct probe_options *options)
{
    static const char *const settings[] = {
        "-MNTaxv", "-oBatchMode=yes", "-oControlPersist=no", "-oExitOnForwardFailure=no", "-oClearAllForwardings=yes",
        "-oPermitLocalCommand=no", "-oForkAfterAuthentication=no", "-oUpdateHostKeys=no",
    };
    char mux[64], log[64];
    FD_AUTO none = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct ssh_words words;
    int r = none < 0 ? -errno : ssh_words_init(&words, options->ssh);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        ssh_words_add(&words, settings[i]);
    path_in(raw, "mux", mux);
    path_in(raw, "log", log);
    ssh_words_add(&words, "-S");
    ssh_words_add(&words, mux);
    ssh_words_add(&words, "-E");
    ssh_words_add(&words, log);
    if (options->config->config) {
        ssh_words_add(&words, "-F");
        ssh_words_add(&words, options->config->config);
    }
    if (options->config->identity) {
        ssh_words_add(&words, "-i");
        ssh_words_add(&words, options->config->identity);
    }
    ssh_words_add_host(&words, login_spec(options->login));
    r = ssh_start(&words, none, none, none, &raw->ssh);
    if (r < 0)
        raw->ssh = -1;
    ssh_words_clear(&words);
    return r;
}

static int connect_mux(const struct raw *raw)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct timeval room = { .tv_sec = END_WAIT_MS / 1000 };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    path_in(raw, "mux", to.sun_path);
    /* A ssh(1) that gets nothing through to the host takes nothing either. */
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &room, sizeof room);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fd_close(&fd);
    return fd;
}

/* One message; what is behind its length. *ret is the caller's to free. 0, -EPIPE at the end, -ETIMEDOUT. */
static int receive(int fd, int64_t end, uint8_t **ret, size_t *ret_len)
{
    struct pollfd waiting = { .fd = fd, .events = POLLIN };
    int64_t left = end - io_monotonic_ms();
    uint8_t head[4], *data;
    size_t len;

    if (poll(&waiting, 1, left > 0 ? (int)left : 0) <= 0)
        return -ETIMEDOUT;
    if (io_read_exactly(fd, head, sizeof head, end + END_WAIT_MS) < 0)
        return -EPIPE;
    len = bytes_get_u32(head);
    data = len <= MESSAGE_MAX ? malloc(len + 1) : NULL;
    if (!data || io_read_exactly(fd, data, len, end + END_WAIT_MS) < 0) {
        free(data);
        return -EPIPE;
    }
    data[len] = 0;
    *ret = data;
    *ret_len = len;
    return 0;
}

static int send_framed(int fd, const struct bytes *bytes)
{
    struct bytes framed = { 0 };
    int r = -ENOMEM;

    bytes_string(&framed, bytes->data, bytes->len);
    if (!framed.failed && !bytes->failed)
        r = io_write_all(fd, framed.data, framed.len);
    bytes_free(&framed);
    return r;
}

/* A message to the master, which is freed; what kind of message it answers with, or 0. */
static uint32_t ask_master(int fd, struct bytes *message, int64_t end)
{
    uint8_t *said = NULL;
    size_t len;
    uint32_t kind = 0;

    if (send_framed(fd, message) == 0 && receive(fd, end, &said, &len) == 0 && len >= 4)
        kind = bytes_get_u32(said);
    free(said);
    bytes_free(message);
    return kind;
}

static bool greet_master(int fd, int64_t end)
{
    struct bytes hello = { 0 };

    bytes_u32(&hello, MUX_HELLO);
    bytes_u32(&hello, MUX_VERSION);
    return ask_master(fd, &hello, end) == MUX_HELLO;
}

static bool become_proxy(int fd, int64_t end)
{
    struct bytes proxy = { 0 };

    bytes_u32(&proxy, MUX_PROXY);
    bytes_u32(&proxy, 0);
    return ask_master(fd, &proxy, end) == MUX_SAID_PROXY;
}

/* The last line that ssh(1) wrote. */
static void last_words(const struct raw *raw, char out[static PROBE_SEEN_SIZE])
{
    char path[64], line[PROBE_SEEN_SIZE];
    FILE *log;

    snprintf(out, PROBE_SEEN_SIZE, "it said nothing");
    path_in(raw, "log", path);
    log = fopen(path, "re");
    if (!log)
        return;
    while (fgets(line, sizeof line, log)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] && strncmp(line, "debug", 5) != 0)
            snprintf(out, PROBE_SEEN_SIZE, "%s", line);
    }
    fclose(log);
}

static bool log_in(struct raw *raw, const struct probe_options *options)
{
    int64_t end = io_monotonic_ms() + LOGIN_MS + options->answer_ms;

    if (start_ssh(raw, options) < 0)
        return false;
    while ((raw->fd = connect_mux(raw)) < 0) {
        if (has_ended(raw) || io_monotonic_ms() > end)
            return false;
        nap();
    }
    return greet_master(raw->fd, end) && become_proxy(raw->fd, end);
}

static void drop(struct probe *probe)
{
    raw_close(probe->raw);
    probe->raw = NULL;
}

static struct raw *start_raw(struct probe *probe)
{
    struct raw *raw = calloc(1, sizeof *raw);
    char words[PROBE_SEEN_SIZE];

    if (!raw) {
        snprintf(probe->no_raw, sizeof probe->no_raw, "this computer is short of memory");
        return NULL;
    }
    *raw = (struct raw){ .ssh = -1, .fd = -1, .folder = "/tmp/virtgate-probe-XXXXXX" };
    if (!mkdtemp(raw->folder)) {
        snprintf(probe->no_raw, sizeof probe->no_raw, "no folder for ssh(1): %s", strerror(errno));
        free(raw);
        return NULL;
    }
    probe_pause(probe);
    if (log_in(raw, probe->options))
        return raw;
    last_words(raw, words);
    snprintf(probe->no_raw, sizeof probe->no_raw, "ssh(1) did not log in: %.180s", words);
    raw_close(raw);
    return NULL;
}

#define FAILURES_MAX 3

struct raw *raw_login(struct probe *probe, struct finding *finding)
{
    if (probe->raw && !has_ended(probe->raw) && probe->raw->fd >= 0)
        return probe->raw;
    drop(probe);
    if (probe->raw_failed < FAILURES_MAX)
        probe->raw = start_raw(probe);
    if (probe->raw)
        probe->raw_failed = 0;
    else if (probe->raw_failed < FAILURES_MAX)
        probe->raw_failed++;
    if (!probe->raw)
        finding_set(finding, VERDICT_UNKNOWN, "libssh cannot send it, and %.200s", probe->no_raw);
    return probe->raw;
}

bool raw_heard(struct probe *probe, const char *text)
{
    char path[64], line[1024];
    bool heard = false;
    FILE *log;

    if (!probe->raw)
        return false;
    path_in(probe->raw, "log", path);
    log = fopen(path, "re");
    if (!log)
        return false;
    while (!heard && fgets(line, sizeof line, log))
        heard = strstr(line, text) != NULL;
    fclose(log);
    return heard;
}

/* --- messages of SSH (RFC 4254) ------------------------------------------------------------------------------------ */

enum {
    MSG_OPEN = 90, MSG_CONFIRMED = 91, MSG_FAILED = 92, MSG_DATA = 94, MSG_EXTENDED_DATA = 95, MSG_EOF = 96, MSG_CLOSE = 97,
    MSG_REQUEST = 98, MSG_SUCCESS = 99, MSG_FAILURE = 100,
};

#define WINDOW (2 * 1024 * 1024)
#define PACKET 32768

static int send_message(struct raw *raw, uint8_t type, const struct bytes *payload)
{
    struct bytes message = { 0 };
    int r;

    bytes_raw(&message, (uint8_t[]){ 0, type }, 2);
    bytes_raw(&message, payload->data, payload->len);
    message.failed |= payload->failed;
    r = send_framed(raw->fd, &message);
    bytes_free(&message);
    return r;
}

static void send_number(struct raw *raw, uint8_t type, uint32_t number)
{
    struct bytes payload = { 0 };

    bytes_u32(&payload, number);
    send_message(raw, type, &payload);
    bytes_free(&payload);
}

/* Data and exit status go to the channel's answer. */
static void keep(struct raw_channel *channel, uint8_t type, const uint8_t *at, size_t len)
{
    static const char exit_status[] = "\0\0\0\13exit-status";

    if (type == MSG_DATA && len >= 4)
        answer_add(&channel->answer, false, at + 4, len - 4);
    else if (type == MSG_EXTENDED_DATA && len >= 8)
        answer_add(&channel->answer, true, at + 8, len - 8);
    else if (type == MSG_REQUEST && len == sizeof exit_status + 4 && memcmp(at, exit_status, sizeof exit_status - 1) == 0)
        channel->answer.status = (int)bytes_get_u32(at + len - 4);
    else if (type == MSG_CLOSE)
        channel->answer.ended = true;
}

/* The next message for the channel; *ret has what is behind its number. */
static int next_message(struct raw *raw, struct raw_channel *channel, int64_t end, uint8_t *ret_type, uint8_t **ret,
                        size_t *ret_len)
{
    for (;;) {
        uint8_t *data;
        size_t len;
        int r = receive(raw->fd, end, &data, &len);

        if (r < 0)
            return r;
        if (len >= 6 && bytes_get_u32(data + 2) == channel->local) {
            *ret_type = data[1];
            *ret_len = len - 6;
            memmove(data, data + 6, len - 6);
            *ret = data;
            keep(channel, *ret_type, *ret, *ret_len);
            return 0;
        }
        free(data);
    }
}

/* What it means that there was no message, and the end of a login that is of no more use. */
static enum raw_reply no_message(struct probe *probe, int r)
{
    enum raw_reply reply = RAW_SILENT;

    if (r != -ETIMEDOUT)
        reply = ends_within(probe->raw, probe->options->answer_ms) ? RAW_LOST : RAW_STUCK;
    drop(probe);
    return reply;
}

static enum raw_reply await(struct probe *probe, struct raw_channel *channel, uint8_t yes, uint8_t no, uint8_t **ret,
                            size_t *ret_len)
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;

    for (;;) {
        uint8_t type;
        int r = next_message(probe->raw, channel, end, &type, ret, ret_len);

        if (r < 0)
            return no_message(probe, r);
        if (type == yes || type == no)
            return type == yes ? RAW_YES : RAW_NO;
        free(*ret);
        *ret = NULL;
        if (type == MSG_CLOSE)
            return RAW_NO;
    }
}

static void read_refusal(const uint8_t *at, size_t len, uint32_t *ret_reason, char text[static PROBE_SEEN_SIZE])
{
    size_t said = len >= 8 ? bytes_get_u32(at + 4) : 0;

    *ret_reason = len >= 4 ? bytes_get_u32(at) : 0;
    if (said > len - 8 || len < 8)
        said = 0;
    snprintf(text, PROBE_SEEN_SIZE, "%.*s", (int)said, said ? (const char *)at + 8 : "");
}

enum raw_reply raw_open(struct probe *probe, const char *type, const struct bytes *more, struct raw_channel *ret,
                        uint32_t *ret_reason, char text[static PROBE_SEEN_SIZE])
{
    struct bytes payload = { 0 };
    uint8_t *said = NULL;
    size_t len = 0;
    enum raw_reply reply;
    int r;

    *ret = (struct raw_channel){ .local = probe->raw->next++, .answer = ANSWER_NONE };
    bytes_text(&payload, type);
    bytes_u32(&payload, ret->local);
    bytes_u32(&payload, WINDOW);
    bytes_u32(&payload, PACKET);
    bytes_raw(&payload, more ? more->data : NULL, more ? more->len : 0);
    r = send_message(probe->raw, MSG_OPEN, &payload);
    bytes_free(&payload);
    if (r < 0)
        return no_message(probe, -EPIPE);
    reply = await(probe, ret, MSG_CONFIRMED, MSG_FAILED, &said, &len);
    if (reply == RAW_YES && len >= 4)
        ret->remote = bytes_get_u32(said);
    if (reply == RAW_NO && said)
        read_refusal(said, len, ret_reason, text);
    ret->answer.opened = reply == RAW_YES;
    free(said);
    return reply;
}

enum raw_reply raw_session(struct probe *probe, struct raw_channel *ret, char text[static PROBE_SEEN_SIZE])
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;
    uint32_t reason = 0;
    enum raw_reply reply;

    text[0] = '\0';
    while ((reply = raw_open(probe, "session", NULL, ret, &reason, text)) == RAW_NO && io_monotonic_ms() < end)
        nap();
    return reply;
}

bool raw_session_to_ask_in(struct probe *probe, struct raw_channel *ret, enum raw_reply *ret_reply, struct finding *finding)
{
    char text[PROBE_SEEN_SIZE];

    if (!raw_login(probe, finding))
        return false;
    *ret_reply = raw_session(probe, ret, text);
    if (*ret_reply == RAW_NO)
        finding_set(finding, VERDICT_UNKNOWN, "no session to ask in: %.200s", text);
    return *ret_reply != RAW_NO;
}

static int send_request(struct probe *probe, const struct raw_channel *channel, const char *name, const struct bytes *more)
{
    struct bytes payload = { 0 };
    int r;

    bytes_u32(&payload, channel->remote);
    bytes_text(&payload, name);
    bytes_raw(&payload, "\1", 1);
    bytes_raw(&payload, more ? more->data : NULL, more ? more->len : 0);
    r = send_message(probe->raw, MSG_REQUEST, &payload);
    bytes_free(&payload);
    return r;
}

static enum raw_reply await_answer(struct probe *probe, struct raw_channel *channel)
{
    uint8_t *said = NULL;
    size_t len;
    enum raw_reply reply = await(probe, channel, MSG_SUCCESS, MSG_FAILURE, &said, &len);

    free(said);
    return reply;
}

enum raw_reply raw_request(struct probe *probe, struct raw_channel *channel, const char *name, const struct bytes *more)
{
    if (send_request(probe, channel, name, more) < 0)
        return no_message(probe, -EPIPE);
    return await_answer(probe, channel);
}

enum raw_reply raw_request_behind(struct probe *probe, struct raw_channel *channel, const char *first,
                                  const struct bytes *of_first, const char *name, const struct bytes *more)
{
    enum raw_reply reply;

    if (send_request(probe, channel, first, of_first) < 0 || send_request(probe, channel, name, more) < 0)
        return no_message(probe, -EPIPE);
    reply = await_answer(probe, channel);
    if (reply != RAW_YES)
        return reply == RAW_NO ? RAW_STUCK : reply;
    return await_answer(probe, channel);
}

enum raw_reply raw_first_output(struct probe *probe, struct raw_channel *channel)
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;

    while (channel->answer.out_len == 0 && !channel->answer.ended) {
        uint8_t type, *data;
        size_t len;
        int r = next_message(probe->raw, channel, end, &type, &data, &len);

        if (r < 0)
            return no_message(probe, r);
        free(data);
    }
    return RAW_YES;
}

static void send_text(struct raw *raw, const struct raw_channel *channel, const char *text)
{
    struct bytes payload = { 0 };

    bytes_u32(&payload, channel->remote);
    bytes_text(&payload, text);
    send_message(raw, MSG_DATA, &payload);
    bytes_free(&payload);
}

static bool is_read(const struct raw_channel *channel, const char *text, const char *proof)
{
    size_t len;

    return channel->answer.ended || (proof && answer_holds(&channel->answer, proof))
        || (text && answer_gate_line(&channel->answer, &len));
}

void raw_read(struct probe *probe, struct raw_channel *channel, const char *text, const char *proof)
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;

    if (text)
        send_text(probe->raw, channel, text);
    else
        send_number(probe->raw, MSG_EOF, channel->remote);
    while (!is_read(channel, text, proof)) {
        uint8_t type, *data;
        size_t len;
        int r = next_message(probe->raw, channel, end, &type, &data, &len);

        if (r < 0) {
            channel->answer.lost = no_message(probe, r) == RAW_LOST;
            return;
        }
        free(data);
    }
}

void raw_close_channel(struct probe *probe, struct raw_channel *channel)
{
    int64_t end = io_monotonic_ms() + END_WAIT_MS;

    if (!probe->raw || !channel->answer.opened)
        return;
    send_number(probe->raw, MSG_CLOSE, channel->remote);
    while (!channel->answer.ended) {
        uint8_t type, *data;
        size_t len;

        if (next_message(probe->raw, channel, end, &type, &data, &len) < 0) {
            drop(probe);    /* what runs there may run on */
            return;
        }
        free(data);
    }
}

/* --- listening sockets --------------------------------------------------------------------------------------------- */

static uint32_t ask_forward(int fd, uint32_t what, const char *path, int64_t end)
{
    struct bytes message = { 0 };

    bytes_u32(&message, what);
    bytes_u32(&message, 1);
    bytes_u32(&message, MUX_FORWARD_REMOTE);
    bytes_text(&message, path);
    bytes_u32(&message, MUX_PORT_OF_A_PATH);
    bytes_text(&message, "127.0.0.1");
    bytes_u32(&message, 1);
    return ask_master(fd, &message, end);
}

enum raw_reply raw_listen_socket(struct probe *probe, const char *path)
{
    int64_t end = io_monotonic_ms() + probe->options->answer_ms;
    FD_AUTO fd = connect_mux(probe->raw);

    if (fd < 0 || !greet_master(fd, end))
        return RAW_STUCK;
    switch (ask_forward(fd, MUX_OPEN_FORWARD, path, end)) {
    case MUX_SAID_OK:
        ask_forward(fd, MUX_CLOSE_FORWARD, path, io_monotonic_ms() + probe->options->answer_ms);
        return RAW_YES;
    case MUX_SAID_FAILURE:
        return RAW_NO;
    case 0:
        return has_ended(probe->raw) ? RAW_LOST : RAW_SILENT;
    default:
        return RAW_STUCK;
    }
}

void raw_judge_silence(enum raw_reply reply, struct finding *finding)
{
    if (reply == RAW_LOST)
        finding_set(finding, VERDICT_CLOSED, SEEN_LOST);
    else
        finding_set(finding, VERDICT_UNKNOWN, reply == RAW_STUCK ? "libssh cannot send it, and ssh(1) did not pass it on"
                                                                : "no answer in time");
}

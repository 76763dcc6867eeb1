/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/session_answer.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "session/domain_xml.h"
#include "session/session_find.h"
#include "session/virt_console.h"
#include "session/virt_open.h"
#include "wire/fdpass.h"
#include "wire/listing.h"
#include "wire/outcome.h"
#include "wire/reply.h"

#define END_SECONDS 4 /* less than the broker's patience (BROKER_ENDING_USEC) */

/* --- saying ------------------------------------------------------------------------------------------------------ */

static int reply_to_client(const struct session *session, enum reply_kind kind, uint8_t status, const char *line,
                           int fd)
{
    struct reply reply = { .kind = kind, .status = status };
    unsigned char wire[REPLY_WIRE_SIZE];

    text_copy(reply.line, sizeof reply.line, line);
    broker_encode_reply(&reply, wire);
    return fdpass_send(session->client, wire, sizeof wire, &fd, fd >= 0);
}

static struct outcome outcome_of(enum outcome_kind kind, enum right right, const struct finding *finding)
{
    struct outcome outcome = { .kind = kind, .right = right };
    const struct verdict *verdict = &finding->verdict;

    if (finding->domain.handle) {
        text_copy(outcome.vm, sizeof outcome.vm, finding->domain.name);
        outcome.uuid = finding->domain.uuid;
        outcome.has_uuid = 1;
    }
    if (verdict->file)
        snprintf(outcome.rule, sizeof outcome.rule, "%s:%u", verdict->file, verdict->line);
    text_copy(outcome.reason, sizeof outcome.reason, verdict->text);
    return outcome;
}

static int tell_broker(const struct session *session, const struct outcome *outcome, int fd)
{
    return fdpass_send(session->control, outcome, sizeof *outcome, &fd, fd >= 0);
}

/* Nothing was opened. line is for the user, reason for the log (NULL: the verdict's). */
__attribute__((format(printf, 6, 7)))
static void refuse(const struct session *session, enum right right, const struct finding *finding, uint8_t status,
                   const char *reason, const char *format, ...)
{
    struct outcome outcome = outcome_of(OUTCOME_REFUSED, right, finding);
    char line[REPLY_LINE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    outcome.status = status;
    if (reason) {
        memset(outcome.reason, 0, sizeof outcome.reason);
        text_escape(outcome.reason, sizeof outcome.reason, reason, strlen(reason));
    }
    tell_broker(session, &outcome, -1);
    reply_to_client(session, REPLY_REFUSED, status, line, -1);
}

static void refuse_libvirt(const struct session *session, enum right right, const struct finding *finding)
{
    char reason[VERDICT_TEXT_SIZE];

    snprintf(reason, sizeof reason, "libvirtd: %.200s", virt_error());
    refuse(session, right, finding, EX_UNAVAILABLE, reason, "%s",
           "libvirtd on this host does not answer; try again later");
}

/* The same line for a VM that is somebody else's and for one that was never defined. */
static void refuse_console(const struct session *session, enum right right, const struct finding *finding)
{
    char asked[COMMAND_TARGET_SIZE];

    command_show_target(&session->job.command, asked);
    refuse(session, right, finding, EX_NOPERM, NULL, "no console for you on '%s'", asked);
}

static struct subject subject_of(const struct session *session)
{
    /* The view holds this user's rules alone, and its conditions are decided. */
    return (struct subject){ .uid = session->job.uid, .user = session->job.user };
}

/* --- list and info ----------------------------------------------------------------------------------------------- */

struct listing {
    const struct policy *view;
    struct subject subject;
    FILE *out;
};

static void put_domain(struct listing *listing, const struct virt_domain *domain, rights set)
{
    char uuid[UUID_TEXT_SIZE], text[64];

    uuid_format(&domain->uuid, uuid);
    rights_format(set, ", ", text, sizeof text);
    session_put_field(listing->out, "name", domain->name);
    session_put_field(listing->out, "uuid", uuid);
    session_put_field(listing->out, "state", virt_state(domain));
    session_put_field(listing->out, "rights", text);
}

static rights rights_on(const struct listing *listing, const struct virt_domain *domain)
{
    struct vm vm = { .name = domain->name, .uuid = &domain->uuid };

    /* watch is no right of its own yet: shown beside display it would say nothing. */
    return policy_rights(listing->view, &listing->subject, &vm) & ~(rights)RIGHT_WATCH;
}

static int list_one(void *context, const struct virt_domain *domain)
{
    struct listing *listing = context;
    rights set = rights_on(listing, domain);

    if (set) {
        put_domain(listing, domain, set);
        session_put_record_end(listing->out);
    }
    return 0;
}

/* Takes the finished text of a listing to the user. */
static void send_listing(const struct session *session, const struct finding *finding, const char *text, size_t len)
{
    struct outcome outcome = outcome_of(OUTCOME_ANSWERED, 0, finding);
    FD_AUTO fd = -1;
    int r = text && len < LISTING_MAX ? session_seal_listing(text, len, &fd) : -EFBIG;

    if (r < 0) {
        refuse(session, 0, finding, EX_OSERR, "the listing cannot be made", "%s", "the listing cannot be made");
        return;
    }
    tell_broker(session, &outcome, -1);
    reply_to_client(session, REPLY_LISTING, EX_OK, "", fd);
}

static void answer_list(const struct session *session, struct virt *virt)
{
    struct listing listing = { .view = session->view, .subject = subject_of(session) };
    struct finding nothing = { .verdict.text = "" };
    char *text = NULL;
    size_t len = 0;
    int r = -ENOMEM;

    listing.out = open_memstream(&text, &len);
    if (listing.out) {
        r = virt_each_domain(virt, false, list_one, &listing);
        fclose(listing.out);
    }
    if (r < 0)
        refuse_libvirt(session, 0, &nothing);
    else
        send_listing(session, &nothing, text, len);
    free(text);
}

static int read_facts(const struct virt_domain *domain, struct domain_facts *facts)
{
    char *xml = virt_xml(domain);
    int r = xml ? domain_xml_read(xml, facts) : -EIO;

    free(xml);
    return r;
}

static void put_devices(struct listing *listing, const struct virt_domain *domain, rights set)
{
    struct domain_facts facts;
    char text[64];

    if (read_facts(domain, &facts) == 0) {
        for (size_t i = 0; (set & RIGHT_DISPLAY) && i < facts.n_displays; i++) {
            snprintf(text, sizeof text, "%zu %s", i, facts.display[i].type);
            session_put_field(listing->out, "display", text);
        }
        for (size_t i = 0; (set & RIGHT_SERIAL) && i < facts.n_consoles; i++)
            session_put_field(listing->out, "console", facts.console[i]);
    }
}

/* The right that makes the domain visible to its user: any. */
static int find_visible(const struct session *session, struct virt *virt, struct finding *finding)
{
    static const enum right any[] = { RIGHT_DISPLAY, RIGHT_SERIAL, RIGHT_POWER, RIGHT_TAKEOVER };
    struct subject subject = subject_of(session);
    int r = -EACCES;

    for (size_t i = 0; r == -EACCES && i < sizeof any / sizeof any[0]; i++) {
        if (i > 0)
            virt_domain_release(&finding->domain);
        r = session_find(virt, session->view, &subject, &session->job.command, any[i], finding);
    }
    return r;
}

static void answer_info(const struct session *session, struct virt *virt)
{
    struct listing listing = { .view = session->view, .subject = subject_of(session) };
    struct finding finding;
    char *text = NULL;
    size_t len = 0;
    int r = find_visible(session, virt, &finding);

    if (r == -EIO) {
        refuse_libvirt(session, 0, &finding);
    } else if (r < 0) {
        refuse_console(session, 0, &finding);
    } else if ((listing.out = open_memstream(&text, &len))) {
        rights set = rights_on(&listing, &finding.domain);
        put_domain(&listing, &finding.domain, set);
        put_devices(&listing, &finding.domain, set);
        session_put_record_end(listing.out);
        fclose(listing.out);
        send_listing(session, &finding, text, len);
        free(text);
    }
    virt_domain_release(&finding.domain);
}

/* --- display ----------------------------------------------------------------------------------------------------- */

/* The user may use it; does it run? Refuses and returns false when not. */
static bool check_running(const struct session *session, enum right right, const struct finding *finding)
{
    char shown[200];

    if (finding->domain.id >= 0)
        return true;
    text_escape(shown, sizeof shown, finding->domain.name, strlen(finding->domain.name));
    refuse(session, right, finding, EX_UNAVAILABLE, "the domain does not run", "'%s' is not running (%s)", shown,
           virt_state(&finding->domain));
    return false;
}

static void refuse_open(const struct session *session, enum right right, const struct finding *finding, int error)
{
    char shown[200], reason[VERDICT_TEXT_SIZE];

    text_escape(shown, sizeof shown, finding->domain.name, strlen(finding->domain.name));
    snprintf(reason, sizeof reason, "libvirtd: %.200s", virt_error());
    if (error == -ESTALE)
        refuse(session, right, finding, EX_TEMPFAIL, "another domain by the time of the open",
               "'%s' changed while it was opened; try again", shown);
    else if (error == -EBUSY)
        refuse(session, right, finding, EX_TEMPFAIL, "held by another session",
               "the serial console of '%s' is in use; try again later", shown);
    else
        refuse(session, right, finding, EX_UNAVAILABLE, reason, "'%s' did not open; it may be stopping", shown);
}

/* Why did it not open? Asked for afterwards: who opens a display that is there does not wait for the domain's XML. */
static void refuse_display(const struct session *session, const struct finding *finding, int error)
{
    struct domain_facts facts;
    char shown[200];

    if (error != -EIO || read_facts(&finding->domain, &facts) < 0 || finding->index < facts.n_displays) {
        refuse_open(session, RIGHT_DISPLAY, finding, error);
        return;
    }
    text_escape(shown, sizeof shown, finding->domain.name, strlen(finding->domain.name));
    refuse(session, RIGHT_DISPLAY, finding, EX_UNAVAILABLE, "no such display",
           "'%s' has no display number %u; it has %zu", shown, finding->index, facts.n_displays);
}

static void answer_display(const struct session *session, struct virt *virt)
{
    struct subject subject = subject_of(session);
    struct finding finding;
    FD_AUTO fd = -1;
    int r = session_find(virt, session->view, &subject, &session->job.command, RIGHT_DISPLAY, &finding);

    if (r == -EIO) {
        refuse_libvirt(session, RIGHT_DISPLAY, &finding);
    } else if (r < 0) {
        refuse_console(session, RIGHT_DISPLAY, &finding);
    } else if (!check_running(session, RIGHT_DISPLAY, &finding)) {
        /* refused already */
    } else if ((r = virt_open_display(virt, &finding.domain, finding.index, &fd)) < 0) {
        refuse_display(session, &finding, r);
    } else {
        /* The broker has its copy before the user has theirs: no display runs that cannot be cut. */
        struct outcome outcome = outcome_of(OUTCOME_OPENED, RIGHT_DISPLAY, &finding);
        if (tell_broker(session, &outcome, fd) == 0)
            reply_to_client(session, REPLY_STREAM, EX_OK, "", fd);
    }
    virt_domain_release(&finding.domain);
}

/* --- serial console ---------------------------------------------------------------------------------------------- */

/* The alias to open: the one that was asked for, if the domain has it as a serial or console device (never a channel),
 * else the first. NULL: none. */
static const char *choose_console(const struct domain_facts *facts, const char *asked)
{
    if (!asked[0])
        return facts->n_consoles ? facts->console[0] : NULL;
    for (size_t i = 0; i < facts->n_consoles; i++)
        if (strcmp(facts->console[i], asked) == 0)
            return facts->console[i];
    return NULL;
}

/* FORCE needs a right of its own. */
static bool check_takeover(const struct session *session, const struct finding *finding)
{
    struct subject subject = subject_of(session);
    struct vm vm = { .name = finding->domain.name, .uuid = &finding->domain.uuid };
    struct finding refused = *finding;
    char shown[200];

    if (!session->job.command.takeover ||
        policy_decide(session->view, &subject, &vm, RIGHT_TAKEOVER, &refused.verdict))
        return true;
    text_escape(shown, sizeof shown, finding->domain.name, strlen(finding->domain.name));
    refuse(session, RIGHT_TAKEOVER, &refused, EX_NOPERM, NULL, "you may not take over the serial console of '%s'",
           shown);
    return false;
}

/* What is said of a console at its end. */
static struct {
    const struct session *session;
    struct outcome outcome;
} ended;

/* The broker kills this process when it hears of the end, so nothing is begun after that which libvirtd would answer. By
 * SIGALRM it may interrupt anything: it sends, and does nothing else. */
static _Noreturn void leave(int signal)
{
    (void)signal;
    tell_broker(ended.session, &ended.outcome, -1);
    _exit(EX_OK);
}

static _Noreturn void end_console(const struct session *session, struct virt *virt, struct virt_console *console,
                        const struct finding *finding, const struct outcome *outcome)
{
    ended.session = session;
    ended.outcome = *outcome;
    signal(SIGALRM, leave);
    alarm(END_SECONDS);
    virt_console_end(console, virt, &finding->domain);
    leave(0);
}

static void carry_console(const struct session *session, struct virt *virt, struct virt_console *console,
                          const struct finding *finding)
{
    struct outcome outcome = outcome_of(OUTCOME_OPENED, RIGHT_SERIAL, finding);
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        refuse(session, RIGHT_SERIAL, finding, EX_OSERR, "no socket pair", "%s", "the host is short of descriptors");
        return;
    }
    if (tell_broker(session, &outcome, -1) == 0 &&
        reply_to_client(session, REPLY_STREAM, EX_OK, "", pair[1]) == 0) {
        fd_close(&pair[1]);
        alarm(0); /* opened: from now on the broker ends it */
        virt_console_run(console, pair[0], session->control, &outcome.to_user, &outcome.from_user);
    }
    outcome.kind = OUTCOME_ENDED;
    end_console(session, virt, console, finding, &outcome);
}

static void answer_console(const struct session *session, struct virt *virt)
{
    const struct command *command = &session->job.command;
    struct subject subject = subject_of(session);
    struct virt_console *console = NULL;
    struct domain_facts facts;
    struct finding finding;
    const char *device;
    char shown[200];
    int r = session_find(virt, session->view, &subject, command, RIGHT_SERIAL, &finding);

    if (r == -EIO) {
        refuse_libvirt(session, RIGHT_SERIAL, &finding);
    } else if (r < 0) {
        refuse_console(session, RIGHT_SERIAL, &finding);
    } else if (!check_takeover(session, &finding) || !check_running(session, RIGHT_SERIAL, &finding)) {
        /* refused already */
    } else if (read_facts(&finding.domain, &facts) < 0) {
        refuse_libvirt(session, RIGHT_SERIAL, &finding);
    } else if (!(device = choose_console(&facts, command->device))) {
        text_escape(shown, sizeof shown, finding.domain.name, strlen(finding.domain.name));
        refuse(session, RIGHT_SERIAL, &finding, EX_NOPERM, "no such serial or console device",
               "'%s' has no serial console%s%s", shown, command->device[0] ? " " : "", command->device);
    } else if ((r = virt_console_open(virt, &finding.domain, device, command->takeover, &console)) < 0) {
        refuse_open(session, RIGHT_SERIAL, &finding, r);
    } else {
        carry_console(session, virt, console, &finding);
        virt_console_close(console);
    }
    virt_domain_release(&finding.domain);
}

/* --- all of them ------------------------------------------------------------------------------------------------- */

void session_answer(const struct session *session)
{
    static void (*const answer[])(const struct session *session, struct virt *virt) = {
        [COMMAND_LIST] = answer_list,
        [COMMAND_INFO] = answer_info,
        [COMMAND_DISPLAY] = answer_display,
        [COMMAND_CONSOLE] = answer_console,
    };
    struct finding nothing = { .verdict.text = "" };
    size_t kind = session->job.command.kind;

    if (kind >= sizeof answer / sizeof answer[0] || !answer[kind]) {
        refuse(session, 0, &nothing, EX_NOPERM, "not for a session process", "%s", "this gate has no such service");
        return;
    }
    if (!session->virt)
        refuse_libvirt(session, 0, &nothing);
    else
        answer[kind](session, session->virt);
}

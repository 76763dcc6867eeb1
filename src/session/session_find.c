/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/session_find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/command.h"
#include "session/domain_xml.h"

static int decide(const struct policy *view, const struct subject *subject, enum right right, struct finding *finding)
{
    struct vm vm = { .name = finding->domain.name, .uuid = &finding->domain.uuid };

    return policy_decide(view, subject, &vm, right, &finding->verdict) ? 0 : -EACCES;
}

#define STOP 1 /* of a visit: seen enough */

struct search {
    const struct policy *view;
    const struct subject *subject;
    const struct command *command;
    enum right right;
    size_t n_matches;
    struct finding *finding;
    char text[8]; /* the port as digits: XML in which it does not stand is not worth parsing; "" with a path */
};

static bool display_matches(const struct domain_display *display, const struct command *command)
{
    if (command->target == BY_SOCKET)
        return display->socket[0] && strcmp(display->socket, command->path) == 0;
    return domain_display_is_at(display, command->host, command->port);
}

static bool is_written_out(const struct domain_display *display, const struct command *command)
{
    if (command->target == BY_SOCKET)
        return true;
    for (size_t i = 0; i < display->n_listens; i++)
        if (display->listen[i][0] && strcmp(display->listen[i], command->host) == 0)
            return true;
    return false;
}

/* A port or a path is no identity: it picks among the domains that the user may see, and nothing else is looked at. */
static int look_at(void *context, const struct virt_domain *domain)
{
    struct search *search = context;
    struct finding candidate = { .domain = *domain };
    struct domain_facts facts;

    if (decide(search->view, search->subject, search->right, &candidate) < 0)
        return 0;
    char *xml = virt_xml(domain);
    int r = xml && strstr(xml, search->text) ? domain_xml_read(xml, &facts) : -ENOENT;
    free(xml);
    if (r < 0)
        return 0;
    for (unsigned i = 0; i < facts.n_displays; i++) {
        if (!display_matches(&facts.display[i], search->command))
            continue;
        if (search->n_matches++ == 0 && virt_domain_share(domain, &search->finding->domain) == 0)
            search->finding->index = i;
        /* An address, written out, and a port have one listener, and a path has one: no other domain can match. */
        if (search->n_matches == 1 && is_written_out(&facts.display[i], search->command))
            return STOP;
    }
    return 0;
}

static int find_by_search(struct virt *virt, struct search *search)
{
    int r;

    if (search->command->target == BY_TCP)
        snprintf(search->text, sizeof search->text, "%u", search->command->port);
    r = virt_each_domain(virt, true, look_at, search);
    if (r < 0)
        return r; /* STOP is no error */
    if (search->n_matches != 1) {
        virt_domain_release(&search->finding->domain);
        snprintf(search->finding->verdict.text, VERDICT_TEXT_SIZE,
                 search->n_matches == 0 ? "no running domain of this user has such a display"
                                        : "several running domains of this user have such a display");
        return -ENOENT;
    }
    return search->finding->domain.handle ? 0 : -EIO;
}

int session_find(struct virt *virt, const struct policy *view, const struct subject *subject,
                 const struct command *command, enum right right, struct finding *finding)
{
    struct search search = { view, subject, command, right, 0, finding, "" };
    int r = -ENOENT;

    memset(finding, 0, sizeof *finding);
    finding->verdict.reason = VERDICT_NO_RULE;
    snprintf(finding->verdict.text, sizeof finding->verdict.text, "there is no such domain");
    switch (command->target) {
    case BY_NAME:
        finding->index = command->index;
        r = virt_find_by_name(virt, command->vm, &finding->domain);
        break;
    case BY_UUID:
        finding->index = command->index;
        r = virt_find_by_uuid(virt, &command->uuid, &finding->domain);
        break;
    case BY_TCP:
    case BY_SOCKET:
        r = find_by_search(virt, &search);
        break;
    case BY_NOTHING:
        break;
    }
    if (r < 0)
        return r == -EIO ? -EIO : -EACCES;
    return decide(view, subject, right, finding);
}

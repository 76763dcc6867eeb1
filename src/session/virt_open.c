/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/virt_open.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/fd.h"
#include "base/text.h"
#include "session/virt_console.h"
#include "session/virt_handle.h"

static void be_quiet(void *context, virErrorPtr error)
{
    (void)context;
    (void)error;
}

int virt_prepare(void)
{
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
        return -EIO;
    /* Without a handler libvirt prints to standard error what it also returns. */
    virSetErrorFunc(NULL, be_quiet);
    return 0;
}

int virt_connect(const char *uri, struct virt **ret)
{
    struct virt *virt = calloc(1, sizeof *virt);

    if (!virt)
        return -ENOMEM;
    virt->connection = virConnectOpen(uri);
    if (!virt->connection) {
        free(virt);
        return -EIO;
    }
    *ret = virt;
    return 0;
}

void virt_close(struct virt *virt)
{
    if (!virt)
        return;
    virConnectClose(virt->connection);
    free(virt);
}

static void on_readable(int watch, int fd, int events, void *context)
{
    (void)watch;
    (void)fd;
    (void)events;
    *(bool *)context = true;
}

int virt_wait_for(int fd)
{
    bool readable = false;
    int watch = virEventAddHandle(fd, VIR_EVENT_HANDLE_READABLE, on_readable, &readable, NULL);
    int r = watch < 0 ? -EIO : 0;

    while (r == 0 && !readable)
        if (virEventRunDefaultImpl() < 0)
            r = -EIO;
    if (watch >= 0)
        virEventRemoveHandle(watch);
    return r;
}

bool virt_is_alive(struct virt *virt)
{
    return virConnectIsAlive(virt->connection) == 1;
}

/* Takes ownership of handle, also on failure. */
static int domain_from(virDomainPtr handle, struct virt_domain *ret)
{
    struct virt_domain domain = { .handle = handle };
    const char *name;

    if (!handle)
        return virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? -ENOENT : -EIO;
    name = virDomainGetName(handle);
    /* A name that is too long for us is no name that anybody was granted. */
    if (!name || text_copy(domain.name, sizeof domain.name, name) < 0 ||
        virDomainGetUUID(handle, domain.uuid.byte) < 0) {
        virDomainFree(handle);
        return -ENOENT;
    }
    domain.id = (int)virDomainGetID(handle);
    *ret = domain;
    return 0;
}

int virt_find_by_name(struct virt *virt, const char *name, struct virt_domain *ret)
{
    return domain_from(virDomainLookupByName(virt->connection, name), ret);
}

int virt_find_by_uuid(struct virt *virt, const struct uuid *uuid, struct virt_domain *ret)
{
    return domain_from(virDomainLookupByUUID(virt->connection, uuid->byte), ret);
}

void virt_domain_release(struct virt_domain *domain)
{
    if (domain->handle)
        virDomainFree(domain->handle);
    domain->handle = NULL;
}

int virt_domain_share(const struct virt_domain *domain, struct virt_domain *ret)
{
    if (virDomainRef(domain->handle) < 0)
        return -EIO;
    *ret = *domain;
    return 0;
}

int virt_each_domain(struct virt *virt, bool running, int (*visit)(void *context, const struct virt_domain *domain),
                     void *context)
{
    virDomainPtr *list = NULL;
    int n = virConnectListAllDomains(virt->connection, &list, running ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : 0);
    int r = 0;

    if (n < 0)
        return -EIO;
    for (int i = 0; i < n; i++) {
        struct virt_domain domain;
        if (domain_from(list[i], &domain) < 0)
            continue;
        if (r == 0)
            r = visit(context, &domain);
        virt_domain_release(&domain);
    }
    free(list);
    return r;
}

const char *virt_state(const struct virt_domain *domain)
{
    int state;

    if (virDomainGetState(domain->handle, &state, NULL, 0) < 0)
        return "unknown";
    switch ((virDomainState)state) {
    case VIR_DOMAIN_RUNNING: return "running";
    case VIR_DOMAIN_BLOCKED: return "idle";
    case VIR_DOMAIN_PAUSED: return "paused";
    case VIR_DOMAIN_SHUTDOWN: return "in shutdown";
    case VIR_DOMAIN_SHUTOFF: return "shut off";
    case VIR_DOMAIN_CRASHED: return "crashed";
    case VIR_DOMAIN_PMSUSPENDED: return "pmsuspended";
    case VIR_DOMAIN_NOSTATE:
    default: return "no state";
    }
}

char *virt_xml(const struct virt_domain *domain)
{
    return virDomainGetXMLDesc(domain->handle, 0);
}

bool virt_is_same(struct virt *virt, const struct virt_domain *domain)
{
    struct virt_domain now;
    bool same;

    if (virt_find_by_uuid(virt, &domain->uuid, &now) < 0)
        return false;
    same = strcmp(now.name, domain->name) == 0 && now.id == domain->id && uuid_equal(&now.uuid, &domain->uuid);
    virt_domain_release(&now);
    return same;
}

int virt_open_display(struct virt *virt, const struct virt_domain *domain, unsigned index, int *ret_fd)
{
    int fd = virDomainOpenGraphicsFD(domain->handle, index, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH);

    if (fd < 0)
        return -EIO;
    /* Between the look-up and the open a domain may have been renamed, or destroyed and made anew. */
    if (!virt_is_same(virt, domain)) {
        fd_close(&fd);
        return -ESTALE;
    }
    *ret_fd = fd;
    return 0;
}

const char *virt_error(void)
{
    const virError *error = virGetLastError();

    return error && error->message ? error->message : "";
}

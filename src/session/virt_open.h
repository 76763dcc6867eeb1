/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The session's few calls of libvirt: find a domain, read its state and XML, open its display. A domain is looked up
 * once; what follows is done by its uuid and proved again afterwards. */
#ifndef VG_VIRT_OPEN_H
#define VG_VIRT_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/uuid.h"

struct virt;        /* a connection to libvirtd */

struct virt_domain {
    void *handle;   /* libvirt's; freed by virt_domain_release() */
    char name[256]; /* as libvirtd gave it with the handle */
    struct uuid uuid;
    int id;         /* of this run of the domain: another start has another one; -1 when it does not run */
};

/* Once, early: loads the library and its event loop; nothing is connected. 0 or -EIO. */
int virt_prepare(void);

/* uri is the host's setting, never a client's text. 0 or -EIO: libvirtd does not answer. */
int virt_connect(const char *uri, struct virt **ret);
void virt_close(struct virt *virt);

/* Waits until fd is readable or has ended, and keeps the connections of this process alive meanwhile: libvirtd drops a
 * client that does not answer its pings for half a minute. 0 or -EIO. */
int virt_wait_for(int fd);

/* False once libvirtd has closed the connection and virt_wait_for() has seen it. */
bool virt_is_alive(struct virt *virt);

/* 0; -ENOENT: no such domain; -EIO. */
int virt_find_by_name(struct virt *virt, const char *name, struct virt_domain *ret);
int virt_find_by_uuid(struct virt *virt, const struct uuid *uuid, struct virt_domain *ret);
void virt_domain_release(struct virt_domain *domain);
/* Another holder of the same: each releases its own. 0 or -EIO. */
int virt_domain_share(const struct virt_domain *domain, struct virt_domain *ret);

/* Calls visit for each domain (running ones, or all), until it answers other than 0, which is then returned.
 * 0 or -EIO or visit's. */
int virt_each_domain(struct virt *virt, bool running, int (*visit)(void *context, const struct virt_domain *domain),
                     void *context);

/* libvirt's words: "running", "paused", "shut off", ... */
const char *virt_state(const struct virt_domain *domain);

/* An allocated text, or NULL: gone, or libvirtd does not answer. Secrets are not in it. */
char *virt_xml(const struct virt_domain *domain);

/* True when the domain of that uuid still has the same name and is in the same run. */
bool virt_is_same(struct virt *virt, const struct virt_domain *domain);

/* Opens the display's stream without the password of the VM (the gate is the authority) and proves the domain again.
 * 0 and a descriptor of the caller's; -ESTALE: it is another domain by now; -EIO: no such display, or libvirtd or QEMU
 * failed. */
int virt_open_display(struct virt *virt, const struct virt_domain *domain, unsigned index, int *ret_fd);

/* What libvirt said last, for the log; "" for nothing. */
const char *virt_error(void);

#endif

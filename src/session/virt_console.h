/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A serial console: libvirt's stream carried over a socket pair whose other end is the user's. */
#ifndef VG_VIRT_CONSOLE_H
#define VG_VIRT_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "session/virt_open.h"

struct virt_console;

/* Opens the device (an alias that the domain has as a serial or console device) and proves the domain again. takeover:
 * whoever holds it is pushed off. 0; -EBUSY: somebody holds it; -ENOENT: no such device; -ESTALE: it is another domain by
 * now; -EIO. */
int virt_console_open(struct virt *virt, const struct virt_domain *domain, const char *device, bool takeover,
                      struct virt_console **ret);
void virt_console_close(struct virt_console *console);

/* To be called while libvirtd's answer can still be awaited, before this process goes: ends the stream, so that libvirtd has
 * nothing more to say on it when the connection closes. Waits as long as libvirtd does not answer. */
void virt_console_end(struct virt_console *console, struct virt *virt, const struct virt_domain *domain);

/* Carries bytes between the console and user (a socket; made not to wait) until the guest's side ends, the user's side
 * ends or is closed for writing, or control becomes readable or ends. At most 64 KiB towards the user and 4 KiB towards
 * the guest are held: a user who does not read stops the guest's output at libvirtd, not in this process. */
void virt_console_run(struct virt_console *console, int user, int control, uint64_t *ret_to_user,
                      uint64_t *ret_from_user);

#endif

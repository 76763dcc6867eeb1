/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's XML as a user of the gate may read it. rpc_xml_keep.c says what is left out and why.
 *
 * Displays: each <graphics> of type vnc or spice stays for a user with the right to displays, as the socket that the
 * gate opens by domain, whatever it listens on:
 *
 *   <graphics type='vnc' socket='/run/virtgate/display/UUID/INDEX'>
 *     <listen type='socket' socket='/run/virtgate/display/UUID/INDEX'/>
 *   </graphics>
 *
 * INDEX is its place among all <graphics> of the document, which is what libvirt counts; those that are left out count.
 *
 * Pure: no network, no files, no entities, no document type; bounded in size (RPC_XML_MAX both ways) and in depth
 * (libxml2's own bound, 256). */
#ifndef VG_RPC_XML_H
#define VG_RPC_XML_H

#include <stddef.h>

#include "base/uuid.h"
#include "policy/policy.h"

#define RPC_XML_MAX (4U << 20) /* also the longest string in libvirt's protocol (REMOTE_STRING_MAX) */

/* Once, before the process is confined and before any thread: whatever libxml2 sets up on first use. */
void rpc_xml_prepare(void);

/* Rewrites xml, which libvirtd gave for the domain uuid (virDomainGetXMLDesc), for a user with these rights, which are those
 * on a domain of that name (NULL: of any). *ret is
 * allocated, UTF-8, well-formed, ret_len bytes without its terminator; given to this function again, it comes out the
 * same except for the places of displays when some were left out.
 * 0; -ESTALE: it has another name by now; -EINVAL for anything but the XML of just that domain, or over the bounds;
 * -ENOMEM. */
int rpc_xml_rewrite(const char *xml, size_t len, const struct uuid *uuid, const char *name, rights allowed, char **ret,
                    size_t *ret_len);

#endif

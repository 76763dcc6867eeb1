/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which elements and attributes of a domain's XML a user may read. Decides by names alone; pure. */
#ifndef VG_RPC_XML_KEEP_H
#define VG_RPC_XML_KEEP_H

#include <stdbool.h>

#include "policy/policy.h"

/* May an element of that name stand in parent? <graphics> is the caller's business once it is kept. */
bool rpc_xml_keeps_element(const char *parent, const char *name, rights allowed);

/* May the attribute stand in element? */
bool rpc_xml_keeps_attribute(const char *element, const char *name, const char *value);

#endif

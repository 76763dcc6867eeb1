/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of libvirt's protocol: those that the gate makes, and what becomes of libvirtd's. */
#ifndef VG_RPC_ERROR_H
#define VG_RPC_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#include "rpc/rpc_codec.h"

/* libvirt/virterror.h */
#define RPC_ERR_INTERNAL_ERROR 1
#define RPC_ERR_OPERATION_DENIED 29
#define RPC_ERR_RPC 39
#define RPC_ERR_NO_DOMAIN 42

/* An error of the gate's. 0, an allocated payload and its length; -ENOMEM. */
int rpc_error_encode(int code, const char *text, void **ret, size_t *ret_len);

/* Replaces every what by with in its texts. 0 or -ENOMEM. */
int rpc_error_replace(struct vgr_error *error, const char *what, const char *with);

/* Takes the objects out that libvirt keeps in errors and does not use. */
void rpc_error_strip(struct vgr_error *error);

/* Does one of its texts have the domain's name, as a word, or its uuid? */
bool rpc_error_names(const struct vgr_error *error, const vgr_domain *dom);

/* Takes its texts away but for what the code says. 0 or -ENOMEM. */
int rpc_error_blank(struct vgr_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream sockets in the filesystem, under paths of any length: an address has room for 107 bytes only, so a
 * longer path is reached through a descriptor of its folder. Any thread.
 */
#ifndef BASE_LOCAL_H
#define BASE_LOCAL_H

#include "base/base.h"

/* Listens at `path`; a socket that stands there is replaced. The descriptor, close-on-exec and non-blocking,
 * or a negative errno. */
int base_local_listen(const char *path);
/* Connects, blocking. The descriptor, or a negative errno: -ENOENT nothing is there, -ECONNREFUSED nobody
 * listens any more. */
int base_local_connect(const char *path);
/* Whether the process at the other end runs as this one's user, or as root. */
bool base_local_peer_trusted(int fd);

#endif

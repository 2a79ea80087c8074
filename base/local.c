/* SPDX-License-Identifier: Apache-2.0 */
#include "base/local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* *ret_dir has to stay open as long as the address is used; -1 where it is not needed. */
static int address_of(const char *path, struct sockaddr_un *ret, int *ret_dir)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    if (strlen(path) < sizeof ret->sun_path) {
        memcpy(ret->sun_path, path, strlen(path) + 1);
        return 0;
    }
    base_autofree char *dir = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    if (!dir)
        return slash ? -ENOMEM : -ENAMETOOLONG;
    base_autoclose int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int len = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", fd, slash + 1);
    if (len < 0 || (size_t)len >= sizeof ret->sun_path)
        return -ENAMETOOLONG;
    *ret_dir = base_steal_fd(&fd);
    return 0;
}

int base_local_listen(const char *path)
{
    struct sockaddr_un address;
    struct stat st;
    base_autoclose int dir = -1;
    int err = address_of(path, &address, &dir);
    if (err)
        return err;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    base_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
        return -errno;
    return base_steal_fd(&fd);
}

int base_local_connect(const char *path)
{
    struct sockaddr_un address;
    base_autoclose int dir = -1;
    int err = address_of(path, &address, &dir);
    if (err)
        return err;
    base_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return -errno;
    return base_steal_fd(&fd);
}

bool base_local_peer_trusted(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof peer &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"
#include "cli/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* A folder of this user's alone: /run for root, XDG_RUNTIME_DIR, else one in /tmp that must be the user's
 * own. */
static bool record_dir(char out[256])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0] == '/' && strlen(runtime) < 200)
        (void)snprintf(out, 256, "%s/corpusfs", runtime);
    else if (geteuid() == 0)
        (void)snprintf(out, 256, "/run/corpusfs");
    else
        (void)snprintf(out, 256, "/tmp/corpusfs-%u", (unsigned)geteuid());
    struct stat st;
    if (mkdir(out, 0700) < 0 && errno != EEXIST)
        return false;
    return lstat(out, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

static bool record_path(const char *mountpoint, char out[512])
{
    char dir[256], name[33];
    if (!record_dir(dir))
        return false;
    struct base_hash hash = base_hash_of(mountpoint, strlen(mountpoint));
    base_hash_hex(&hash, name);
    (void)snprintf(out, 512, "%s/%s", dir, name);
    return true;
}

/* Where the folder of another user is, the first guess that is there. Only root has a reason to look. */
static bool record_dir_of(uid_t owner, char out[256])
{
    for (int i = 0; i < 2; i++) {
        struct stat st;
        (void)snprintf(out, 256, i == 0 ? "/run/user/%u/corpusfs" : "/tmp/corpusfs-%u", (unsigned)owner);
        if (lstat(out, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == owner)
            return true;
    }
    return false;
}

bool cli_status_socket(const char *mountpoint, uid_t owner, char out[512])
{
    char dir[256], name[33];
    if (owner == geteuid() ? !record_dir(dir) : !record_dir_of(owner, dir))
        return false;
    struct base_hash hash = base_hash_of(mountpoint, strlen(mountpoint));
    base_hash_hex(&hash, name);
    (void)snprintf(out, 512, "%s/%s.status", dir, name);
    return true;
}

/* The daemon's own; open, and locked, until its process ends. */
static int own_record = -1;

void cli_record_mount(const char *mountpoint)
{
    char path[512];
    if (!record_path(mountpoint, path))
        return;
    own_record = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own_record >= 0)
        (void)flock(own_record, LOCK_EX | LOCK_NB);
}

void cli_forget_mount(const char *mountpoint)
{
    char path[512];
    struct stat own, there;
    /* The next daemon for this mount point may have put its own there already. */
    if (own_record >= 0 && record_path(mountpoint, path) && fstat(own_record, &own) == 0 &&
        lstat(path, &there) == 0 && own.st_ino == there.st_ino && own.st_dev == there.st_dev)
        (void)unlink(path);
}

int cli_open_record(const char *mountpoint)
{
    char path[512];
    return record_path(mountpoint, path) ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
}

bool cli_wait_for_end(int record, int seconds)
{
    const struct timespec moment = {.tv_nsec = 20 * 1000 * 1000};
    for (int i = 0; record >= 0 && i < seconds * 50; i++) {
        if (flock(record, LOCK_EX | LOCK_NB) == 0)
            return true;
        nanosleep(&moment, NULL);
    }
    return record < 0;
}

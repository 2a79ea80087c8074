/* SPDX-License-Identifier: Apache-2.0 */
/* base/local.h and cli/progress.h: sockets under long paths, who may ask, and what a bar looks like. */
#include "base/local.h"
#include "cli/progress.h"

#include "check.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char top[64], folder[512], path[600];

static void set_up(void)
{
    (void)snprintf(top, sizeof top, "/tmp/corpusfs-test-XXXXXX");
    if (!mkdtemp(top))
        abort();
    (void)snprintf(folder, sizeof folder, "%s/%0200d", top, 7);
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    CHECK(chmod(top, 0755) == 0 && mkdir(folder, 0755) == 0);
}

static void tear_down(void)
{
    (void)unlink(path);
    CHECK(rmdir(folder) == 0 && rmdir(top) == 0);
}

static void test_connect(void)
{
    CHECK_INT(base_local_connect(path), -ENOENT);
    int listener = base_local_listen(path);
    CHECK(listener >= 0);
    int client = base_local_connect(path);
    CHECK(client >= 0);
    int served = accept(listener, NULL, NULL);
    CHECK(served >= 0 && base_local_peer_trusted(served) && base_local_peer_trusted(client));
    CHECK(!base_local_peer_trusted(STDIN_FILENO));
    close(served);
    close(client);
    close(listener);
    CHECK_INT(base_local_connect(path), -ECONNREFUSED);
    listener = base_local_listen(path); /* in the place of the dead one */
    client = base_local_connect(path);
    CHECK(listener >= 0 && client >= 0);
    close(client);
    close(listener);
}

static void test_other_user(void)
{
    if (geteuid() != 0) {
        (void)fprintf(stderr, "SKIP: needs root, to become another user\n");
        return;
    }
    int listener = base_local_listen(path);
    CHECK(listener >= 0 && chmod(path, 0777) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = setuid(65534) == 0 ? base_local_connect(path) : -1;
        _exit(fd >= 0 && read(fd, path, 1) == 0 && base_local_peer_trusted(fd) ? 0 : 1); /* root is trusted */
    }
    int status = 0, served;
    do
        served = accept(listener, NULL, NULL);
    while (served < 0 && errno == EAGAIN && waitpid(pid, &status, WNOHANG) == 0);
    CHECK(served >= 0 && !base_local_peer_trusted(served));
    close(served);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(listener);
}

static void test_sizes(void)
{
    char text[32];
    CHECK_STR(cli_size(0, text), "0 B");
    CHECK_STR(cli_size(1023, text), "1023 B");
    CHECK_STR(cli_size(1024, text), "1.0 KiB");
    CHECK_STR(cli_size(1048575, text), "1.0 MiB");
    CHECK_STR(cli_size((uint64_t)20 << 30, text), "20.0 GiB");
    CHECK_STR(cli_size(UINT64_MAX, text), "16.0 EiB");
}

/* What is written to standard error after 4000 seconds, in which half was done. */
static void show(bool terminal, char *out, size_t room)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);
    if (!file || kept < 0 || dup2(fileno(file), STDERR_FILENO) < 0)
        abort();
    struct cli_progress p;
    cli_progress_begin(&p, "verify");
    cli_progress_show(&p, 1, 2, 1 << 20); /* too early to say anything */
    p.terminal = terminal;
    p.begin_ns -= 4000000000000;
    p.next_ns = 0;
    cli_progress_show(&p, 1, 2, (uint64_t)8000 << 20);
    cli_progress_show(&p, 1, 2, (uint64_t)8000 << 20);
    cli_progress_end(&p);
    (void)fflush(stderr);
    (void)dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    out[fread(out, 1, room - 1, file)] = 0;
    (void)fclose(file);
}

static void test_progress(void)
{
    char said[512];
    show(true, said, sizeof said);
    CHECK_STR(said,
              "\rverify [###############...............]  50 %  2.0 MiB/s  1:06:40 left \033[K\r\033[K");
    show(false, said, sizeof said);
    CHECK_STR(said, "verify: 1 of 2 (50 %), 2.0 MiB/s, 1:06:40 left\n");
}

int main(void)
{
    set_up();
    CHECK_RUN(test_connect);
    CHECK_RUN(test_other_user);
    tear_down();
    CHECK_RUN(test_sizes);
    CHECK_RUN(test_progress);
    return check_result();
}

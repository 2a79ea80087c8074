/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker can and cannot do once it is locked in; as root, too, which it gives up. */
#include "decoders/sandbox.h"

#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

/* A call that has to fail, whatever the reason is called. */
#define REFUSED(call) CHECK((call) < 0 && (errno == EPERM || errno == EACCES || errno == ENOSYS))

static void check_files_refused(void)
{
    REFUSED(open("/etc/passwd", O_RDONLY));
    REFUSED(openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY));
    REFUSED(open("/tmp/corpusfs-sandbox-test", O_WRONLY | O_CREAT, 0600));
    REFUSED(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", NULL, 0));
    REFUSED(open("/proc/self/mem", O_RDWR));
    REFUSED(unlink("/tmp/corpusfs-sandbox-test"));
    REFUSED(rename("/tmp/corpusfs-a", "/tmp/corpusfs-b"));
    REFUSED(mkdir("/tmp/corpusfs-sandbox-test", 0700));
    REFUSED(chdir("/"));
    REFUSED(chmod("/tmp", 0777));
    REFUSED(syscall(SYS_memfd_create, "x", 0));
    REFUSED(syscall(SYS_io_uring_setup, 8, NULL));
}

static void check_processes_refused(int parent)
{
    char *const arguments[] = {(char *)"true", NULL};
    REFUSED(execve("/bin/true", arguments, arguments + 1));
    REFUSED(fork());
    REFUSED(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
    REFUSED(kill(parent, SIGTERM));
    REFUSED(kill(getpid(), SIGTERM));
    REFUSED(syscall(SYS_tgkill, parent, parent, SIGTERM));
    REFUSED(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
    REFUSED(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0));
    REFUSED(syscall(SYS_pidfd_open, parent, 0));
    REFUSED(setpriority(PRIO_PROCESS, 0, -5));
}

static void check_network_refused(void)
{
    int pair[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    REFUSED(socket(AF_INET, SOCK_STREAM, 0));
    REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
    REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    REFUSED(connect(3, (struct sockaddr *)&address, sizeof address));
}

static void check_rights_refused(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    REFUSED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
                                                                                                      : 0);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    REFUSED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
    REFUSED(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
    REFUSED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
    REFUSED(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
    REFUSED(setrlimit(RLIMIT_NOFILE, &limit));
    REFUSED(setuid(0));
    REFUSED(unshare(CLONE_NEWUSER));
    REFUSED(syscall(SYS_seccomp, 0, 0, NULL));
    REFUSED(syscall(SYS_bpf, 0, NULL, 0));
    REFUSED(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
    CHECK(getuid() != 0 && geteuid() != 0 && getgid() != 0);
}

static void *add_one(void *argument)
{
    ++*(int *)argument;
    return NULL;
}

/* What decoding needs. `data` is a descriptor to read and write, `reader` one to read. */
static void check_allowed(int data, int reader)
{
    char found[6] = "";
    struct stat st;
    CHECK_INT(pwrite(data, "hello", 5, 3), 5);
    CHECK_INT(pread(data, found, 5, 3), 5);
    CHECK_STR(found, "hello");
    CHECK_INT(pwrite(reader, "x", 1, 0), -1);
    CHECK_INT(ftruncate(data, 100), 0);
    CHECK(fstat(data, &st) == 0 && st.st_size == 100);
    int copy = fcntl(data, F_DUPFD_CLOEXEC, 10);
    CHECK(copy >= 10);
    close(copy);
    int n = 0;
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        if (CHECK_INT(pthread_create(&threads[i], NULL, add_one, &n), 0))
            pthread_join(threads[i], NULL);
    CHECK_INT(n, 8);
    void *much = malloc(64 << 20);
    if (CHECK(much != NULL))
        memset(much, 1, 64 << 20);
    free(much);
}

/* Runs in a child: there is no way out of the sandbox. */
static void run_inside(int parent)
{
    char name[] = "/tmp/corpusfs-sandbox-XXXXXX";
    int data = memfd_create("data", MFD_CLOEXEC), file = mkstemp(name);
    int reader = open(name, O_RDONLY | O_CLOEXEC);
    struct base_reason why = {""};
    unlink(name);
    close(file);
    if (!CHECK_INT(dec_sandbox_enter(UINT64_C(1) << 30, &why), 0))
        (void)fprintf(stderr, "%s\n", why.text);
    CHECK_INT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), -1); /* it cannot even ask */
    check_files_refused();
    check_processes_refused(parent);
    check_network_refused();
    check_rights_refused();
    check_allowed(data, reader);
}

static void run_child(uid_t uid)
{
    int parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        if (uid != getuid() && (setgid(uid) < 0 || setuid(uid) < 0))
            _exit(77);
        run_inside(parent);
        _exit(check_failures ? 1 : 0);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void test_as_we_are(void)
{
    run_child(getuid());
}

static void test_as_another(void)
{
    if (getuid() == 0)
        run_child(1000);
}

/* The limit of memory is real; it cannot be tested with the address sanitizer, whose own memory is larger. */
static void test_memory(void)
{
#ifndef __SANITIZE_ADDRESS__
    pid_t child = fork();
    if (child == 0) {
        struct base_reason why;
        if (dec_sandbox_enter(256 << 20, &why) < 0)
            _exit(1);
        void *volatile much = malloc((size_t)300 << 20);
        _exit(much ? 1 : 0);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
}

int main(void)
{
    CHECK_RUN(test_as_we_are);
    CHECK_RUN(test_as_another);
    CHECK_RUN(test_memory);
    return check_result();
}

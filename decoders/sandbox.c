/* SPDX-License-Identifier: Apache-2.0 */
#include "decoders/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int limit(int resource, uint64_t value)
{
    struct rlimit both = {value, value};
    return setrlimit(resource, &both) < 0 ? -errno : 0;
}

static int set_limits(uint64_t memory_bytes)
{
    int err = limit(RLIMIT_CORE, 0);
    if (!err)
        err = limit(RLIMIT_NOFILE, 64);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow memory takes terabytes   \
                                                                     */
    if (!err && memory_bytes > 0)
        err = limit(RLIMIT_AS, memory_bytes);
#else
    (void)memory_bytes;
#endif
    return err;
}

/* A worker of root has no use for root's rights: all it works with are descriptors. */
static int drop_root(void)
{
    const uid_t nobody = 65534;
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0 ||
        setresuid(nobody, nobody, nobody) < 0)
        return -errno;
    return 0;
}

/* Landlock with no paths allowed: a second wall behind seccomp, where the kernel has it. */
static void enter_landlock(void)
{
    struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (ruleset < 0)
        return;
    (void)syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
}

/* System calls that computing on open descriptors needs, whatever their arguments. */
static const int allowed[] = {
    /* the descriptors it holds and gets */
    SCMP_SYS(read),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(close),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* its own threads */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* clocks and chance */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(alarm),
    SCMP_SYS(setitimer),
    SCMP_SYS(time),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit),
    /* signals to itself: abort() */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
};

static int allow_with_arguments(scmp_filter_ctx filter)
{
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    int err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    /* Its arguments stand in memory, out of a filter's sight; libc falls back to clone. */
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; !err && i < BASE_ARRAY_LEN(mapping); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, mapping[i], 1,
                               SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                               SCMP_A1(SCMP_CMP_EQ, F_DUPFD_CLOEXEC));
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
    if (!err) /* libc's fstat() */
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                               SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    if (!err)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                               SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid()));
    return err;
}

/* Everything else is answered with EPERM rather than death: libraries ask for things that they can do
 * without. */
static int enter_seccomp(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter)
        return -ENOMEM;
    int err = 0;
    for (size_t i = 0; !err && i < BASE_ARRAY_LEN(allowed); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    if (!err)
        err = allow_with_arguments(filter);
    if (!err)
        err = seccomp_load(filter);
    seccomp_release(filter);
    return err;
}

int dec_sandbox_enter(uint64_t memory_bytes, struct base_reason *why)
{
    int err = set_limits(memory_bytes);
    if (err)
        return base_fail(why, err, "cannot set limits: %s", strerror(-err));
    err = drop_root();
    if (err)
        return base_fail(why, err, "cannot give up root's rights: %s", strerror(-err));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return base_fail(why, -errno, "cannot set no_new_privs: %s", strerror(errno));
    enter_landlock();
    err = enter_seccomp();
    if (err)
        return base_fail(why, err, "cannot load the seccomp filter: %s", strerror(-err));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The store under load: threads, processes that share it, and processes that die. */
#include "tests/unit/store.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- Tests: threads ---- */

#define N_THREADS 8u
#define BUDGET (12 * MIB)

struct load {
    struct cache_store *store;
    unsigned seed, n_ids, rounds;
    atomic_uint *failures;
};

static size_t len_of(unsigned id)
{
    return 20 * KIB + (id * 7919) % (300 * KIB);
}

static void *run_load(void *data)
{
    struct load *load = data;
    for (unsigned i = 0; i < load->rounds; i++) {
        unsigned id = (unsigned)rand_r(&load->seed) % load->n_ids;
        if (!get_or_make(load->store, id, len_of(id)))
            atomic_fetch_add(load->failures, 1);
    }
    return NULL;
}

static void run_threads(struct cache_store *store, unsigned n, unsigned seed, unsigned n_ids, unsigned rounds,
                        unsigned *ret_failures)
{
    pthread_t threads[N_THREADS];
    struct load loads[N_THREADS];
    atomic_uint failures = 0;
    for (unsigned i = 0; i < n; i++) {
        loads[i] = (struct load){store, seed + i, n_ids, rounds, &failures};
        if (pthread_create(&threads[i], NULL, run_load, &loads[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    *ret_failures = failures;
}

/* A process that works on the cache directory with n threads; its exit code is 0 when nothing failed. */
static pid_t start_child(unsigned n, unsigned seed, unsigned n_ids, unsigned rounds, uint64_t budget)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct cache_store *store = NULL;
    struct base_reason why = {{0}};
    if (cache_store_open(cache_dir, budget, &store, &why) < 0) {
        (void)fprintf(stderr, "child: %s\n", why.text);
        _exit(3);
    }
    unsigned failures;
    run_threads(store, n, seed, n_ids, rounds, &failures);
    cache_store_close(store);
    _exit(failures ? 2 : 0);
}

/* What du says while processes stand still in the middle of their work: a walk beside running ones would
 * count a file that is removed behind it, and the one that takes its room as well. */
static uint64_t du_stopped(const pid_t *children, size_t n)
{
    siginfo_t info;
    for (size_t i = 0; i < n; i++)
        if (kill(children[i], SIGSTOP) == 0)
            (void)waitid(P_PID, (id_t)children[i], &info, WSTOPPED | WEXITED | WNOWAIT);
    uint64_t bytes = du(cache_dir);
    for (size_t i = 0; i < n; i++)
        (void)kill(children[i], SIGCONT);
    return bytes;
}

/* Waits for children (at most 8), looking at the directory all the while: the most that it ever took. All
 * must exit with 0. */
static uint64_t watch_children(const pid_t *children, size_t n)
{
    bool done[8] = {false};
    uint64_t most = 0;
    for (size_t left = n; left > 0;) {
        if (left == n)
            most = BASE_MAX(most, du_stopped(children, n));
        for (size_t i = 0; i < n; i++) {
            int status = -1;
            if (done[i] || waitpid(children[i], &status, WNOHANG) != children[i])
                continue;
            CHECK_INT(status, 0);
            done[i] = true;
            left--;
        }
        usleep(1000);
    }
    return most;
}

static void test_budget_under_threads(void)
{
    setup();
    struct cache_store *store = open_store(BUDGET);
    unsigned failures;
    run_threads(store, N_THREADS, test_seed, 700, 250, &failures); /* 700 x 170 KiB: ten times the budget */
    struct cache_usage u = usage(store);
    CHECK_INT(failures, 0);
    CHECK(u.evicted > 100);
    CHECK(u.unkept < u.made / 20);
    CHECK_INT(n_files(), u.n_segments);
    CHECK(u.bytes <= u.budget_bytes);
    cache_store_close(store);
    CHECK(du(cache_dir) <= BUDGET);
    pid_t child = start_child(N_THREADS, test_seed, 700, 250, BUDGET);
    uint64_t most = watch_children(&child, 1);
    CHECK(most <= BUDGET);
    CHECK(most > BUDGET / 3); /* the budget is used, too */
    teardown();
}

/* ---- Tests: several processes, crashes ---- */

static void test_two_processes(void)
{
    setup();
    const pid_t children[] = {start_child(2, test_seed, 200, 200, BUDGET),
                              start_child(2, test_seed + 10, 200, 200, BUDGET)};
    CHECK(watch_children(children, 2) <= BUDGET);
    struct cache_store *store = open_store(BUDGET);
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
    CHECK_INT(n_tmp(), 0);
    teardown();
}

/* One store makes, the other reads; what one evicts the other lets go. */
static void test_two_stores(void)
{
    setup();
    struct cache_store *a = open_store(8 * MIB), *b = open_store(8 * MIB);
    CHECK(make(a, 1, 300 * KIB, 1));
    CHECK_INT(look(b, 1, 300 * KIB), 1);
    CHECK(make(b, 1, 300 * KIB, 1)); /* made twice, kept once */
    CHECK_INT(n_files(), 1);
    CHECK_INT(usage(b).n_segments, 1);
    CHECK_INT(usage(b).unkept, 0);
    for (unsigned i = 2; i < 40; i++)
        CHECK(make(i % 2 ? a : b, i, 300 * KIB, 1));
    CHECK_INT(n_files(), usage(a).n_segments);
    CHECK(du(cache_dir) <= 8 * MIB);
    cache_store_close(a);
    CHECK(make(b, 50, 300 * KIB, 1));
    cache_store_close(b);
    CHECK_INT(n_tmp(), 0);
    teardown();
}

static void verify_after_crash(void)
{
    struct cache_store *store = open_store(BUDGET);
    CHECK_INT(n_tmp(), 1);
    CHECK_INT(n_files(), usage(store).n_segments);
    for (unsigned id = 0; id < 200; id++)
        CHECK(look(store, id, len_of(id)) >= 0);
    CHECK_INT(usage(store).bad, 0);
    CHECK(du(cache_dir) <= BUDGET);
    cache_store_close(store);
}

static void test_crashes(void)
{
    setup();
    unsigned seed = test_seed;
    for (unsigned i = 0; i < 50; i++) {
        pid_t pid = start_child(2, seed + i, 200, 1000000, BUDGET);
        usleep(1000 + (unsigned)rand_r(&seed) % 60000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        verify_after_crash();
    }
    teardown();
}

/* Reserves most of a budget once told to, says so, and waits to be killed. */
static void child_reserve(int go, int done)
{
    int err = 0;
    struct cache_writer *w;
    if (read(go, &err, sizeof err) != (ssize_t)sizeof err)
        _exit(3);
    err = cache_writer_begin(open_store(16 * MIB), 12 * MIB, &w);
    if (write(done, &err, sizeof err) == (ssize_t)sizeof err)
        pause();
    _exit(4);
}

/* What a dead process reserved is free for one that was there all the time. The child is forked before there
 * are threads and databases. */
static void test_dead_neighbour(void)
{
    setup();
    int go[2], done[2], err = -1;
    if (pipe(go) < 0 || pipe(done) < 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        child_reserve(go[0], done[1]);
    }
    close(done[1]);
    struct cache_store *store = open_store(16 * MIB);
    CHECK_INT(write(go[1], &err, sizeof err), sizeof err);
    CHECK_INT(read(done[0], &err, sizeof err), sizeof err);
    CHECK_INT(err, 0);
    CHECK(usage(store).bytes > 12 * MIB);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (unsigned i = 0; i < 20; i++)
        CHECK(make(store, i, 600 * KIB, 1));
    CHECK_INT(usage(store).unkept, 0);
    CHECK(n_files() > 15);
    CHECK_INT(n_tmp(), 1);
    cache_store_close(store);
    close(go[0]);
    close(go[1]);
    close(done[0]);
    teardown();
}

static void *remove_again(void *data)
{
    atomic_uint *running = data;
    while (atomic_load(running) > 0) {
        remove_tree(cache_dir);
        usleep(20000);
    }
    return NULL;
}

static void test_directory_removed_under_load(void)
{
    setup();
    struct cache_store *store = open_store(BUDGET);
    pthread_t remover;
    atomic_uint running = 1;
    unsigned failures;
    if (pthread_create(&remover, NULL, remove_again, &running) != 0)
        abort();
    /* du() is not for two threads, and here not of interest: the remover uses no du(). */
    run_threads(store, N_THREADS, test_seed, 100, 100, &failures);
    atomic_store(&running, 0);
    pthread_join(remover, NULL);
    CHECK_INT(failures, 0);
    usleep(1100000); /* a failed start is not tried again at once */
    CHECK(make(store, 1000, 5000, 1));
    CHECK(make(store, 1001, 5000, 1));
    CHECK_INT(look(store, 1001, 5000), 1);
    CHECK_INT(n_files(), usage(store).n_segments);
    cache_store_close(store);
    teardown();
}

int main(int argc, char **argv)
{
    static const struct store_test tests[] = {
        STORE_TEST(test_budget_under_threads), STORE_TEST(test_two_processes),
        STORE_TEST(test_two_stores),           STORE_TEST(test_crashes),
        STORE_TEST(test_dead_neighbour),       STORE_TEST(test_directory_removed_under_load),
    };
    return store_tests(argc, argv, tests, BASE_ARRAY_LEN(tests));
}

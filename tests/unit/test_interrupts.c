/* SPDX-License-Identifier: Apache-2.0 */
/* fs/interrupts.h: whom a signal lets go, by the text of its status. */
#include "fs/interrupts.h"

#include "base/base.h"
#include "check.h"
#include <signal.h>

#define BIT(signal) ((uint64_t)1 << ((signal)-1))

struct masks {
    uint64_t own, shared, blocked, ignored, caught;
};

static bool wants_out(struct masks m)
{
    char text[600];
    (void)snprintf(text, sizeof text,
                   "Name:\tSigPnd:\t1\nState:\tD (disk sleep)\nThreads:\t3\nSigQ:\t1/96365\n"
                   "SigPnd:\t%016" PRIx64 "\nShdPnd:\t%016" PRIx64 "\nSigBlk:\t%016" PRIx64
                   "\nSigIgn:\t%016" PRIx64 "\nSigCgt:\t%016" PRIx64 "\nCapInh:\t0000000000000000\n",
                   m.own, m.shared, m.blocked, m.ignored, m.caught);
    return fs_status_wants_out(text);
}

static void test_nothing(void)
{
    CHECK(!wants_out((struct masks){0}));
    CHECK(!wants_out((struct masks){.caught = UINT64_MAX, .ignored = UINT64_MAX, .blocked = UINT64_MAX}));
}

/* Without a handler. */
static void test_default(void)
{
    static const int harmless[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    uint64_t all = 0;
    for (size_t i = 0; i < BASE_ARRAY_LEN(harmless); i++)
        all |= BIT(harmless[i]);
    for (int i = 1; i <= 64; i++) {
        const bool ends = !(all & BIT(i));
        CHECK_INT(wants_out((struct masks){.own = BIT(i)}), ends);
        CHECK_INT(wants_out((struct masks){.shared = BIT(i)}), ends);
        CHECK_INT(wants_out((struct masks){.shared = BIT(i), .own = all, .caught = all}), ends);
        CHECK(!wants_out((struct masks){.shared = BIT(i), .blocked = BIT(i)}));
        CHECK(!wants_out((struct masks){.own = BIT(i), .ignored = BIT(i)}));
    }
}

static void test_caught(void)
{
    const uint64_t ending = BIT(SIGINT) | BIT(SIGTERM) | BIT(SIGQUIT) | BIT(SIGHUP);
    for (int i = 1; i <= 64; i++) {
        const bool ends = ending & BIT(i);
        CHECK_INT(wants_out((struct masks){.own = BIT(i), .caught = BIT(i)}), ends);
        CHECK_INT(wants_out((struct masks){.shared = BIT(i), .caught = UINT64_MAX}), ends);
        CHECK(!wants_out((struct masks){.shared = BIT(i), .caught = BIT(i), .blocked = BIT(i)}));
    }
    CHECK(!wants_out((struct masks){.shared = BIT(SIGCHLD) | BIT(SIGALRM), .caught = BIT(SIGALRM)}));
}

/* What cannot be known counts. */
static void test_unknown(void)
{
    static const char good[] = "SigPnd:\t0\nShdPnd:\t0\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n";
    CHECK(!fs_status_wants_out(good));
    CHECK(fs_status_wants_out(""));
    char text[sizeof good];
    for (size_t len = 0; len + 1 < sizeof good; len++) { /* cut off */
        memcpy(text, good, len);
        text[len] = 0;
        CHECK(fs_status_wants_out(text));
    }
    for (size_t i = 0; good[i]; i++) { /* damaged */
        memcpy(text, good, sizeof good);
        text[i] = '?';
        CHECK(good[i] == '\t' || i + 2 == sizeof good || fs_status_wants_out(text));
    }
    CHECK(fs_status_wants_out("SigPnd:\t-1\nShdPnd:\t0\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n"));
    CHECK(
        fs_status_wants_out("SigPnd:\t00000000000000000\nShdPnd:\t11111111111111111\nSigBlk:\t0\nSigIgn:\t0\n"
                            "SigCgt:\t0\n"));
}

int main(void)
{
    CHECK_RUN(test_nothing);
    CHECK_RUN(test_default);
    CHECK_RUN(test_caught);
    CHECK_RUN(test_unknown);
    return check_result();
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A library for tests that stands between a program and libc, and between it and SQLite: it counts the calls
 * that change something in one directory, and makes chosen ones fail. A test links it and calls
 * faults_control(), or preloads it (LD_PRELOAD) into a program with CORPUSFS_FAULTS=FILE; FILE then holds a
 * struct faults, which the test maps, too (faults.py), to arm a fault while the program runs.
 *
 * With AddressSanitizer a preloaded library needs ASAN_OPTIONS=verify_asan_link_order=0.
 */
#ifndef TESTS_LIB_FAULTS_H
#define TESTS_LIB_FAULTS_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>

enum faults_kind {
    FAULTS_WRITE,  /* write, pwrite */
    FAULTS_SYNC,   /* fsync, fdatasync */
    FAULTS_RENAME, /* rename */
    FAULTS_RESIZE, /* ftruncate, fallocate */
    FAULTS_CREATE, /* open with O_CREAT */
    FAULTS_MKDIR,
    FAULTS_UNLINK,
    FAULTS_SQLITE, /* open_v2, prepare, step, exec, wal_checkpoint_v2: `error` is SQLite's */
    FAULTS_MEMORY, /* counted and failed by who wraps malloc: test_store_faults.c */
    FAULTS_N_KINDS
};

enum faults_mode {
    FAULTS_FAIL,
    FAULTS_SHORT, /* the first write only writes half, and says so; those after it fail */
    FAULTS_LATE,  /* the call does its work and then says that it failed */
};

struct faults_of_kind {
    _Atomic uint64_t calls;       /* so far; the next is number calls + 1 */
    _Atomic uint64_t first, last; /* numbers of the calls that fail; 0 = none */
    _Atomic uint64_t error, mode;
    _Atomic uint64_t failed; /* so many did */
};

struct faults {
    /* What counts: paths below dir, and descriptors above 2 of regular files on its device. Set by the test.
     */
    _Atomic uint64_t device;
    char dir[1024];
    _Atomic uint64_t tracing; /* 1: the SQL of each sqlite3_step is appended to FILE.sql */
    _Atomic uint64_t poison;  /* the inode number of a file that crashes who preads it; 0 = none */
    struct faults_of_kind kinds[FAULTS_N_KINDS];
};

struct faults *faults_control(void);
/* Counts a call; true: it is to fail now. For FAULTS_MEMORY. */
int faults_hit(enum faults_kind kind);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks a worker in, once and for good: after it the process can compute, read and write the descriptors that
 * it holds and is sent, start threads of its own, and end. It cannot open, connect, execute, signal others or
 * gain rights.
 */
#ifndef DECODERS_SANDBOX_H
#define DECODERS_SANDBOX_H

#include "base/base.h"

/* memory_bytes: RLIMIT_AS, 0 = none. Call before any thread is started and before any untrusted byte is read.
 * 0 or a negative errno with a reason: then the worker must not go on. */
int dec_sandbox_enter(uint64_t memory_bytes, struct base_reason *why);

#endif

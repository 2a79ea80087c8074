/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker's thread does with a task: look whether it was made before, run the job, check and keep the
 * result. */
#include "cache/making.h"

#include <errno.h>

int make_task(struct worker_thread *w, struct cache_task *t, struct cache_segment **ret_segment)
{
    struct making m = {.worker = w, .c = w->cache, .t = t, .path = w->cache->sources[t->clip].path};
    switch (t->kind) {
    case TASK_INDEX:
        return make_index(&m);
    case TASK_MEASURE:
        return make_size(&m);
    case TASK_FRAMES:
        return make_frames(&m, ret_segment);
    case TASK_AUDIO:
        return make_audio(&m, ret_segment);
    case TASK_SOUND:
        return make_sound(&m, ret_segment);
    case TASK_SUBTITLES:
        return make_subtitles(&m, ret_segment);
    case TASK_LIST:
        return make_list(&m);
    case TASK_UNPACK:
        return make_unpack(&m, ret_segment);
    case TASK_COMMAND: /* on a thread of its own */
        break;
    }
    return -EIO;
}

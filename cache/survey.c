/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into clips ahead of their readers. */
#include "cache/private.h"

#include <errno.h>
#include <sys/stat.h>

/* So many clips for each that is read; where clips are read from frame to frame, which takes all processors
 * for long, one, if they are read in order, all or each third, say; among so many behind it whose files are
 * named alike, and none of longer files: they are read through. */
enum { CLIPS_AHEAD = 4, AHEAD_OF_RUN = 1, NEIGHBOURS = 64, MOST_BYTES = 32 << 20 };

static bool is_in_run_locked(const struct cache *c)
{
    const struct media *m = c->clips[c->survey.clip].media;
    return m && plan_in_run(&m->views[c->survey.view]);
}

bool survey_is_habit_locked(const struct cache *c, size_t clip, size_t view)
{
    const struct survey *s = &c->survey;
    return s->began && s->clip != clip && s->view == view && is_in_run_locked(c);
}

/* From one clip that may be of use to the next. */
static size_t distance_locked(const struct survey *s)
{
    return s->in_order ? s->step : 1;
}

void survey_note_locked(struct cache *c, size_t clip, size_t view)
{
    struct survey *s = &c->survey;
    bool again = c->clips[clip].read;
    s->one_each = s->began && !s->again && !again;
    s->again = again;
    c->clips[clip].read = true;
    if (s->began && s->clip == clip)
        return;
    const size_t step = (clip + c->n_clips - s->clip) % c->n_clips;
    s->in_order = s->began && (step == 1 || step == s->step);
    s->step = s->began ? step : 0;
    s->distance = distance_locked(s);
    s->left = s->began ? CLIPS_AHEAD : 0; /* who reads one clip may want no other */
    s->view = view;
    s->clip = clip;
    s->began = true;
}

void survey_note_reader_locked(struct cache *c, size_t clip, size_t view)
{
    if (!c->clips[clip].begun)
        return;
    c->clips[clip].begun = false;
    survey_note_locked(c, clip, view);
}

bool survey_goes_on_locked(const struct cache *c, size_t clip, size_t view, size_t *ret)
{
    const struct survey *s = &c->survey;
    *ret = clip + s->step;
    return s->began && s->in_order && s->clip == clip && s->view == view && *ret < c->n_clips &&
           c->n_idle == c->n_workers;
}

static bool is_alike(const struct cache *c, size_t a, size_t b)
{
    const char *x = strrchr(c->sources[a].path, '.'), *y = strrchr(c->sources[b].path, '.');
    return x && y && strcmp(x, y) == 0;
}

static bool is_wanted_locked(const struct cache *c, size_t clip, struct cache_task *ret)
{
    const struct survey *s = &c->survey;
    const struct clip *k = &c->clips[clip];
    *ret = (struct cache_task){.kind = k->media ? TASK_MEASURE : TASK_INDEX, .clip = clip, .view = s->view};
    if (!k->media)
        return !k->surveyed && is_alike(c, clip, s->clip);
    const struct clip_view *v = &k->media->views[s->view];
    ret->media = k->media;
    return k->surveyed && v->n_files > 0 && !v->measured;
}

bool survey_is_due_locked(const struct cache *c)
{
    const unsigned left = c->survey.left;
    return left > 0 && !c->surveyor && c->n_workers > 1 &&
           (!is_in_run_locked(c) || (c->survey.in_order && left > CLIPS_AHEAD - AHEAD_OF_RUN));
}

bool survey_choose_locked(struct cache *c, struct cache_task *ret)
{
    struct survey *s = &c->survey;
    for (; s->left > 0 && s->distance <= NEIGHBOURS; s->distance += distance_locked(s)) {
        size_t clip = (s->clip + s->distance) % c->n_clips;
        if (!is_wanted_locked(c, clip, ret))
            continue;
        c->clips[clip].surveyed = true;
        if (ret->kind == TASK_MEASURE) {
            s->distance += distance_locked(s);
            s->left--;
        }
        return true;
    }
    s->left = 0;
    return false;
}

bool survey_is_short(struct cache *c, size_t clip)
{
    const struct cache_source *source = &c->sources[clip];
    struct cache_member member;
    struct stat st;
    if (source->archive)
        return cache_member_get(c, source->archive, source->member, &member) == 0 &&
               member.size <= MOST_BYTES;
    const struct source_place place = source_place(c, source->path);
    return fstatat(place.root, place.path, &st, 0) == 0 && st.st_size <= MOST_BYTES;
}

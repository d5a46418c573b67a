/* gate.c: see gate.h. */
#include "gate.h"

#include "must.h"

void gate_init(struct gate *gate)
{
    *gate = (struct gate){.is_closed = false};
    MUST(pthread_mutex_init(&gate->lock, NULL) == 0);
    MUST(pthread_cond_init(&gate->changed, NULL) == 0);
}

void gate_init_closed(struct gate *gate)
{
    gate_init(gate);
    gate->is_closed = true;
}

void gate_destroy(struct gate *gate)
{
    MUST(gate->waiting == 0);
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

static void gate_set(struct gate *gate, bool is_closed)
{
    pthread_mutex_lock(&gate->lock);
    gate->is_closed = is_closed;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

void gate_close(struct gate *gate)
{
    gate_set(gate, true);
}

void gate_open(struct gate *gate)
{
    gate_set(gate, false);
}

void gate_pass(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->arrived++;
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->is_closed)
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->waiting--;
    pthread_mutex_unlock(&gate->lock);
}

void gate_await(struct gate *gate, unsigned waiting)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < waiting)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* floor.c: a minimal baseline: the same job with nothing around it.
 *
 * One producer thread hands caller-owned operations to one worker through an atomic list. The
 * worker takes the whole list at once, finds the batch of each key in an open-addressed table
 * (prefetched sixteen at a time), runs the operation on the batch's resource and chains it. When
 * the window has passed it "saves" the batch (counts it) and completes every operation. No errors,
 * cancellation, stop, load, limits, metrics or sleeping: a library that has all of those and comes
 * near these figures is at the limit.
 *
 * Uses nothing of the library:
 *   cc -O2 -pthread floor.c -o floor
 *   ./floor OPERATIONS KEYS WINDOW_MS     prints one line of JSON
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct op {
    struct op *next;
    void (*run)(void *resource, void *arg);
    void (*done)(struct op *op, int status);
    const char *key;
    uint32_t key_size;
    uint32_t hash;
    void *arg;
};

struct batch {
    char key[16];
    uint32_t key_size;
    uint32_t hash;
    struct op *head, **tail;
    int64_t resource;
    uint64_t deadline;
    struct batch *next_due;
};

static struct batch **table;
static uint64_t table_mask;
static struct batch *due_head, **due_tail = &due_head, *free_batches;
static _Atomic(struct op *) inbox;
static uint64_t window_ns, batches_saved, ops_done, ops_total;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void increment(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
}
static void finish(struct op *op, int status)
{
    (void)op;
    (void)status;
    ops_done++;
}

static uint32_t hash_key(const char *key, uint32_t size)
{
    uint64_t h = 1469598103934665603u;
    for (uint32_t i = 0; i < size; i++) {
        h ^= (uint8_t)key[i];
        h *= 1099511628211u;
    }
    return (uint32_t)(h ^ (h >> 32));
}

static struct batch *find_or_open(const struct op *op, uint64_t now)
{
    uint64_t i = op->hash & table_mask;
    for (; table[i]; i = (i + 1) & table_mask) {
        struct batch *b = table[i];
        if (b->hash == op->hash && b->key_size == op->key_size &&
            !memcmp(b->key, op->key, op->key_size))
            return b;
    }
    struct batch *b = free_batches;
    if (b)
        free_batches = b->next_due;
    else
        b = malloc(sizeof *b);
    if (!b)
        abort();
    memcpy(b->key, op->key, op->key_size);
    b->key_size = op->key_size;
    b->hash = op->hash;
    b->head = NULL;
    b->tail = &b->head;
    b->resource = 0;
    b->deadline = now + window_ns;
    b->next_due = NULL;
    *due_tail = b;
    due_tail = &b->next_due;
    table[i] = b;
    return b;
}

static void remove_batch(const struct batch *b)
{
    uint64_t i = b->hash & table_mask;
    while (table[i] != b)
        i = (i + 1) & table_mask;
    for (uint64_t j = (i + 1) & table_mask; table[j]; j = (j + 1) & table_mask) {
        uint64_t home = table[j]->hash & table_mask;
        if (((j - home) & table_mask) >= ((j - i) & table_mask)) {
            table[i] = table[j];
            i = j;
        }
    }
    table[i] = NULL;
}

static void save_due(uint64_t now)
{
    while (due_head && due_head->deadline <= now) {
        struct batch *b = due_head;
        due_head = b->next_due;
        if (!due_head)
            due_tail = &due_head;
        batches_saved++;
        remove_batch(b);
        for (struct op *op = b->head, *next; op; op = next) {
            next = op->next;
            op->done(op, 0);
        }
        b->next_due = free_batches;
        free_batches = b;
    }
}

static void run_all(struct op *newest_first, uint64_t now)
{
    struct op *list = NULL;
    for (struct op *op = newest_first, *next; op; op = next) {
        next = op->next;
        op->next = list;
        list = op;
    }
    enum { GROUP = 16 };
    struct op *group[GROUP];
    while (list) {
        int n = 0;
        for (; list && n < GROUP; list = list->next) {
            __builtin_prefetch(&table[list->hash & table_mask]);
            group[n++] = list;
        }
        for (int i = 0; i < n; i++) {
            struct batch *b = table[group[i]->hash & table_mask];
            if (b)
                __builtin_prefetch(b);
        }
        for (int i = 0; i < n; i++) {
            struct op *op = group[i];
            op->next = NULL;
            struct batch *b = find_or_open(op, now);
            op->run(&b->resource, op->arg);
            *b->tail = op;
            b->tail = &op->next;
        }
    }
}

static void *work(void *arg)
{
    (void)arg;
    while (ops_done < ops_total) {
        struct op *ops = atomic_exchange_explicit(&inbox, NULL, memory_order_acquire);
        uint64_t now = now_ns();
        if (ops)
            run_all(ops, now);
        else if (!due_head)
            sched_yield();
        save_due(now);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: floor OPERATIONS KEYS WINDOW_MS\n");
        return 2;
    }
    ops_total = strtoull(argv[1], NULL, 10);
    uint64_t keys = strtoull(argv[2], NULL, 10), slots = 16;
    window_ns = strtoull(argv[3], NULL, 10) * 1000000u;
    while (slots < 2 * keys)
        slots *= 2;
    table_mask = slots - 1;
    table = calloc(slots, sizeof *table);
    char(*names)[24] = malloc(keys * sizeof *names);
    struct op *ops = malloc(ops_total * sizeof *ops);
    if (!table || !names || !ops)
        return 1;
    for (uint64_t i = 0; i < keys; i++)
        snprintf(names[i], sizeof names[i], "%" PRIu64, i);
    memset(ops, 1, ops_total * sizeof *ops);

    pthread_t worker;
    uint64_t start = now_ns();
    pthread_create(&worker, NULL, work, NULL);
    for (uint64_t i = 0; i < ops_total; i++) {
        struct op *op = &ops[i];
        op->run = increment;
        op->done = finish;
        op->arg = NULL;
        op->key = names[i % keys];
        op->key_size = (uint32_t)strlen(op->key);
        op->hash = hash_key(op->key, op->key_size);
        struct op *head = atomic_load_explicit(&inbox, memory_order_relaxed);
        do
            op->next = head;
        while (!atomic_compare_exchange_weak_explicit(&inbox, &head, op, memory_order_release,
                                                      memory_order_relaxed));
    }
    pthread_join(worker, NULL);
    double seconds = (double)(now_ns() - start) / 1e9;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("{\"bench\":\"floor\",\"ops\":%" PRIu64 ",\"keys\":%" PRIu64
           ",\"ops_per_s\":%.0f,\"cpu_ns_per_op\":%.1f,\"batches\":%" PRIu64
           ",\"batches_per_s\":%.0f,\"peak_rss_bytes\":%ld}\n",
           ops_total, keys, (double)ops_total / seconds, cpu * 1e9 / (double)ops_total,
           batches_saved, (double)batches_saved / seconds, use.ru_maxrss * 1024L);
    return 0;
}

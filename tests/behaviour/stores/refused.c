#include "refused.h"

#include "driver.h"
#include "test.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
char *__wrap_strndup(const char *text, size_t size);

/* Which of the requests from here on is refused, from 1; 0 or less: none. Any thread. */
static int refused_one;
static bool is_all_refused;

static bool is_refused(void)
{
    if (__atomic_load_n(&is_all_refused, __ATOMIC_SEQ_CST))
        return true;
    return __atomic_fetch_sub(&refused_one, 1, __ATOMIC_SEQ_CST) == 1;
}

bool refuse(int number)
{
    return __atomic_exchange_n(&refused_one, number, __ATOMIC_SEQ_CST) <= 0;
}

void refuse_all(bool refused)
{
    __atomic_store_n(&is_all_refused, refused, __ATOMIC_SEQ_CST);
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return is_refused() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return is_refused() ? NULL : __real_strndup(text, size);
}

static void *own_allocate(size_t size, void *arg)
{
    (void)arg;
    return __real_malloc(size);
}

static void own_release(void *memory, void *arg)
{
    (void)arg;
    free(memory);
}

batch_allocator refused_nothing(void)
{
    return (batch_allocator){own_allocate, own_release, NULL};
}

void refused_batches(batch_store *store)
{
    char key[1000];
    memset(key, 'k', sizeof key);
    int64_t sum = 0;
    int number = 0, refused = 0;
    bool was_reached = true;
    while (was_reached) {
        batch_options options = number_options(store, 1);
        /* The processor itself is refused nothing. */
        options.allocator = refused_nothing();
        batch_processor *processor = processor_start(&options);
        struct request request;
        request_init(&request, key, sizeof key, 1);
        refuse(++number);
        int status = request_run(processor, &request);
        was_reached = refuse(0);
        if (status == BATCH_OK)
            sum++;
        else
            refused++;
        assert_true(status == BATCH_OK || status == BATCH_LOAD_FAILED ||
                    status == BATCH_SAVE_FAILED);
        assert_int_equal(number_add(processor, key, sizeof key, 0), sum);
        processor_end(processor);
    }
    assert_true(refused > 0);
}

/* values.h: arrays in PostgreSQL's binary form: written as the parameters of a statement, and read
 * from its result.
 *
 * What comes from a server is never trusted: reading stays inside the value, whatever it holds.
 */
#ifndef BATCH_POSTGRES_VALUES_H
#define BATCH_POSTGRES_VALUES_H

#include "item.h"

#include <libpq-fe.h>

enum {
    BATCH__POSTGRES_PARAMS_MAX = 11,
    BATCH__POSTGRES_PARAMS_OLD = 4,  /* of rows: the first ones, of rows that are there */
    BATCH__POSTGRES_LOCKS_MAX = 256, /* the server has no room for any number of them */
    BATCH__POSTGRES_BYTES_MAX = 32 * 1024 * 1024 /* of keys and states in one statement */
};

struct batch__postgres_params {
    int count;
    const char *values[BATCH__POSTGRES_PARAMS_MAX];
    int sizes[BATCH__POSTGRES_PARAMS_MAX];
};

/* Room for the parameters of a statement, reused by the next one. All zeros at first; its owner
 * frees the bytes. */
struct batch__postgres_buffer {
    char *bytes;
    size_t capacity;
};

/* How many bytes an item needs in a statement, at most. */
size_t batch__postgres_size_of(const struct batch__postgres_item *item);

/* Parameters in `buffer`: of keys for LOAD and RECHECK; of rows for the two statements that save
 * them; of units for those that save units, with each item's unit as it stands in `all`; and for
 * those that lock: the keys of rows that are there, and the locks of the others (none at all, where
 * they are too many: that stands for every lock). Items of a save are sorted: those whose rows are
 * there first. False: no memory. */
bool batch__postgres_params_of_keys(struct batch__postgres_buffer *buffer,
                                    const struct batch__postgres_shape *shape,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params);
bool batch__postgres_params_of_rows(struct batch__postgres_buffer *buffer,
                                    const struct batch__postgres_shape *shape,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params);

bool batch__postgres_params_of_units(struct batch__postgres_buffer *buffer,
                                     const struct batch__postgres_shape *shape,
                                     struct batch__postgres_item *const *items, size_t items_size,
                                     const struct batch__postgres_item *all,
                                     struct batch__postgres_params *ret_params);
bool batch__postgres_params_of_locks(struct batch__postgres_buffer *buffer,
                                     const struct batch__postgres_shape *shape,
                                     struct batch__postgres_item *const *items, size_t items_size,
                                     struct batch__postgres_params *ret_params);

/* An array that came back, in the first row: element after element, NULL at the end. */
struct batch__postgres_array {
    const char *at;
    const char *end;
    int left;
};
void batch__postgres_array_init(struct batch__postgres_array *array, const PGresult *result,
                                int column);
const char *batch__postgres_array_next(struct batch__postgres_array *array, size_t *ret_size);

/* Of 8 bytes. */
int64_t batch__postgres_int64(const char *bytes);

#endif

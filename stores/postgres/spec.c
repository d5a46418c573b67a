#define _POSIX_C_SOURCE 200809L /* strdup */
#include "spec.h"

#include "../check.h"
#include "error.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

/* ---- Checking ------------------------------------------------------------------------------- */

static int invalid(batch_result *reterr, const char *text)
{
    return batch__postgres_fail(reterr, BATCH_INVALID, 0, text);
}

static bool is_empty(const char *text)
{
    return text != NULL && text[0] == '\0';
}

static bool is_too_long(const char *text)
{
    enum { NAME_MAX_SIZE = 63 };
    return text != NULL && strlen(text) > NAME_MAX_SIZE;
}

int batch__postgres_options_check(const batch_postgres_options *options, batch_result *reterr)
{
    const struct {
        const char *name, *member;
    } names[] = {{options->schema, "schema"},
                 {options->table, "table"},
                 {options->key_column, "key_column"},
                 {options->version_column, "version_column"},
                 {options->state_column, "state_column"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[128];
        if (is_empty(names[i].name))
            snprintf(text, sizeof text, "options.%s is empty", names[i].member);
        else if (is_too_long(names[i].name))
            snprintf(text, sizeof text,
                     "options.%s is longer than 63 bytes, to which PostgreSQL would truncate it",
                     names[i].member);
        else
            continue;
        return invalid(reterr, text);
    }
    if ((int)options->key_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->key_type > (int)BATCH_POSTGRES_TEXT)
        return invalid(reterr, "options.key_type is not BATCH_POSTGRES_AUTO, _BYTEA or _TEXT");
    if ((int)options->state_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->state_type > (int)BATCH_POSTGRES_JSONB)
        return invalid(reterr, "options.state_type is not one of batch_postgres_type");
    if ((int)options->durability < (int)BATCH_POSTGRES_ON ||
        (int)options->durability > (int)BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS)
        return invalid(reterr, "options.durability is not one of batch_postgres_durability");
    return BATCH_OK;
}

/* ---- Copying -------------------------------------------------------------------------------- */

static bool copy(const char *text, const char *text_default, char **ret_text)
{
    batch__check(text != NULL || text_default != NULL);
    *ret_text = strdup(text != NULL ? text : text_default);
    return *ret_text != NULL;
}

bool batch__postgres_spec_init(struct batch__postgres_spec *spec,
                               const batch_postgres_options *options)
{
    *spec = (struct batch__postgres_spec){
        .key_type = options->key_type,
        .state_type = options->state_type,
        .durability = options->durability,
    };
    return (options->schema == NULL || copy(options->schema, NULL, &spec->schema)) &&
           copy(options->table, "batch", &spec->table) &&
           copy(options->key_column, "key", &spec->key_column) &&
           copy(options->version_column, "version", &spec->version_column) &&
           copy(options->state_column, "state", &spec->state_column);
}

void batch__postgres_spec_destroy(struct batch__postgres_spec *spec)
{
    free(spec->schema);
    free(spec->table);
    free(spec->key_column);
    free(spec->version_column);
    free(spec->state_column);
}

bool batch__postgres_spec_set_schema(struct batch__postgres_spec *spec, const char *schema)
{
    return spec->schema != NULL || copy(schema, NULL, &spec->schema);
}

bool batch__postgres_shape_is_alike(const struct batch__postgres_shape *one,
                                    const struct batch__postgres_shape *other)
{
    return one->key_type == other->key_type && one->state_type == other->state_type &&
           one->version_size == other->version_size && one->has_long_keys == other->has_long_keys &&
           one->is_utf8 == other->is_utf8;
}

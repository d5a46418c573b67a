#define _POSIX_C_SOURCE 200809L /* strdup */
#include "spec.h"

#include "../check.h"
#include "error.h"

#include <stdlib.h>
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
    if (is_empty(options->schema) || is_empty(options->table) || is_empty(options->key_column) ||
        is_empty(options->version_column) || is_empty(options->state_column))
        return invalid(reterr, "the name of the schema, the table or a column is empty");
    if (is_too_long(options->schema) || is_too_long(options->table) ||
        is_too_long(options->key_column) || is_too_long(options->version_column) ||
        is_too_long(options->state_column))
        return invalid(reterr, "the name of the schema, the table or a column is longer than 63 "
                               "bytes, to which PostgreSQL would truncate it");
    if ((int)options->key_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->key_type > (int)BATCH_POSTGRES_TEXT)
        return invalid(reterr, "key_type is not BATCH_POSTGRES_AUTO, _BYTEA or _TEXT");
    if ((int)options->state_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->state_type > (int)BATCH_POSTGRES_JSONB)
        return invalid(reterr, "state_type is not one of batch_postgres_type");
    if ((int)options->durability < (int)BATCH_POSTGRES_ON ||
        (int)options->durability > (int)BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS)
        return invalid(reterr, "durability is not one of batch_postgres_durability");
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

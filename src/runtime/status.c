/* status.c: names, texts and properties of statuses, all from BATCH_STATUS_MAP; and the version. */
#include <batch/batch.h>

#define TEXT_OF(value) #value
#define TEXT(value)    TEXT_OF(value)

const char *batch_version(void)
{
    return TEXT(BATCH_VERSION_MAJOR) "." TEXT(BATCH_VERSION_MINOR) "." TEXT(BATCH_VERSION_PATCH);
}

#define COUNT(name, number, text) +1
_Static_assert(0 BATCH_STATUS_MAP(COUNT) == BATCH_STATUS_COUNT, "count the statuses");

const char *batch_status_name(int status)
{
    switch (status) {
#define NAME(name, number, text)                                                                   \
    case number:                                                                                   \
        return "BATCH_" #name;
        BATCH_STATUS_MAP(NAME)
#undef NAME
    default:
        return "not a status of libbatch";
    }
}

const char *batch_status_text(int status)
{
    switch (status) {
#define SENTENCE(name, number, text)                                                               \
    case number:                                                                                   \
        return text;
        BATCH_STATUS_MAP(SENTENCE)
#undef SENTENCE
    default:
        return "not a status of libbatch";
    }
}

bool batch_may_be_applied(int status)
{
    return status == BATCH_OK || status == BATCH_UNKNOWN;
}

bool batch_is_retryable(int status)
{
    switch (status) {
    case BATCH_BUSY:
    case BATCH_CONFLICT:
    case BATCH_LOAD_FAILED:
    case BATCH_SAVE_FAILED:
    case BATCH_NO_MEMORY:
        return true;
    default:
        return false;
    }
}

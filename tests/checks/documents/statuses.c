/* statuses.c: the table of docs/errors.md, from the library. */
#include <batch/batch.h>

#include <stdio.h>

static const char *applied(int status)
{
    if (status == BATCH_UNKNOWN)
        return "unknown";
    return batch_may_be_applied(status) ? "yes" : "no";
}

int main(void)
{
    for (int status = 0; status > -BATCH_STATUS_COUNT; status--)
        printf("| `%s` | %d | %s | %s | %s |\n", batch_status_name(status), status,
               batch_status_text(status), applied(status),
               batch_is_retryable(status) ? "yes" : "no");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ledger.c: see ledger.h. */
#include "ledger.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "random.h"

uint32_t ledger_send(struct ledger *ledger)
{
    uint32_t id = ++ledger->id_last;
    ledger->sent[ledger->sent_count] = id;
    ledger->acknowledged[ledger->sent_count] = false;
    ledger->sent_count++;
    return id;
}

bool ledger_is_full(const struct ledger *ledger)
{
    return ledger->sent_count == SENT_MAX || ledger->settled_count + ledger->sent_count == LOG_MAX;
}

void ledger_acknowledge(struct ledger *ledger, uint32_t id)
{
    uint32_t at = 0;
    while (ledger->sent[at] != id)
        at++;
    ledger->acknowledged[at] = true;
}

void ledger_settle(struct ledger *ledger, const struct log *log, struct verdicts *verdicts)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < ledger->settled_count; i++) {
        if (at < log->count && log->ids[at] == ledger->settled[i])
            at++;
        else
            verdicts->lost++;
    }
    for (uint32_t i = 0; i < ledger->sent_count; i++) {
        bool is_there = at < log->count && log->ids[at] == ledger->sent[i];
        at += is_there;
        verdicts->acknowledged += ledger->acknowledged[i];
        verdicts->unknown += !ledger->acknowledged[i];
        verdicts->unknown_applied += !ledger->acknowledged[i] && is_there;
        verdicts->lost += ledger->acknowledged[i] && !is_there;
    }
    verdicts->ghosts += log->count - at; /* not what may follow what was matched */
    memcpy(ledger->settled, log->ids, log->count * sizeof log->ids[0]);
    ledger->settled_count = log->count;
    ledger->sent_count = 0;
    if (log->count == 0)
        ledger->version_base = 0;
}

/* ---- As bytes ------------------------------------------------------------------------------- */

struct header {
    uint64_t sum; /* of what follows */
    uint32_t count;
    uint32_t saves;
    uint32_t filler_size;
    uint32_t unused;
};

static uint64_t sum_of(const unsigned char *bytes, uint32_t size)
{
    uint64_t sum = size, word;
    for (; size >= sizeof word; bytes += sizeof word, size -= (uint32_t)sizeof word) {
        memcpy(&word, bytes, sizeof word);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 29;
    }
    for (; size > 0; bytes++, size--)
        sum = (sum ^ *bytes) * UINT64_C(0x100000001B3);
    return sum;
}

unsigned char *log_encode(const struct log *log, uint32_t saves, uint32_t filler_max,
                          uint32_t *ret_size)
{
    struct random random = {log->ids[log->count - 1]};
    uint32_t filler_size = (uint32_t)random_below(&random, filler_max + 1);
    struct header header = {0, log->count, saves, filler_size, 0};
    uint32_t ids_size = log->count * (uint32_t)sizeof log->ids[0];
    uint32_t size = (uint32_t)sizeof header + ids_size + filler_size;
    unsigned char *bytes = malloc(size);
    if (bytes == NULL)
        return NULL;
    memcpy(bytes + sizeof header, log->ids, ids_size);
    memset(bytes + sizeof header + ids_size, (int)(log->count & 0xff), filler_size);
    memcpy(bytes, &header, sizeof header);
    header.sum = sum_of(bytes + sizeof header.sum, size - (uint32_t)sizeof header.sum);
    memcpy(bytes, &header, sizeof header);
    *ret_size = size;
    return bytes;
}

bool log_decode(struct log *log, const void *bytes, uint32_t size)
{
    struct header header;
    if (size < sizeof header)
        return false;
    memcpy(&header, bytes, sizeof header);
    if (header.count > LOG_MAX ||
        size != sizeof header + header.count * sizeof log->ids[0] + header.filler_size ||
        header.sum != sum_of((const unsigned char *)bytes + sizeof header.sum,
                             size - (uint32_t)sizeof header.sum))
        return false;
    log->count = header.count;
    log->saves = header.saves;
    memcpy(log->ids, (const unsigned char *)bytes + sizeof header,
           header.count * sizeof log->ids[0]);
    return true;
}

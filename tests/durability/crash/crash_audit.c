/* crash_audit.c: see crash_audit.h. */
#include "crash_audit.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "store_target.h"

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crash: audit: %s\n", what);
    exit(1);
}

struct audit {
    struct journal *journal;
    struct findings *findings;
    unsigned char key;
    unsigned char there[INCARNATIONS_MAX][SUBMITTERS][OPERATIONS_MAX]; /* as entry.keys */
    unsigned next[INCARNATIONS_MAX]
                 [SUBMITTERS]; /* on this key: no number below it may come any more */
};

/* ---- What is there -------------------------------------------------------------------------- */

static void look_at_id(struct audit *audit, uint32_t id)
{
    struct findings *findings = audit->findings;
    unsigned incarnation = life_of(id), submitter = submitter_of(id), number = number_of(id);
    if (incarnation >= INCARNATIONS_MAX || submitter >= SUBMITTERS || number >= OPERATIONS_MAX) {
        findings->ghosts++;
        return;
    }
    const struct entry *entry =
        &audit->journal->incarnations[incarnation].entries[submitter][number];
    unsigned char outcome = atomic_load(&entry->outcome);
    unsigned char key = (unsigned char)(1u << audit->key);
    if (outcome == OUTCOME_NONE || outcome == OUTCOME_REFUSED ||
        (atomic_load(&entry->keys) & key) == 0) {
        findings->ghosts++;
        return;
    }
    if ((audit->there[incarnation][submitter][number] & key) != 0)
        findings->twice++;
    else if (number < audit->next[incarnation][submitter])
        findings->disordered++;
    audit->there[incarnation][submitter][number] |= key;
    if (number >= audit->next[incarnation][submitter])
        audit->next[incarnation][submitter] = number + 1;
}

static batch_verdict look(void *resource, void *arg)
{
    struct audit *audit = arg;
    const struct log *log = resource;
    memset(audit->next, 0, sizeof audit->next);
    for (uint32_t i = 0; i < log->count; i++)
        look_at_id(audit, log->ids[i]);
    return BATCH_UNCHANGED;
}

static void look_at_keys(const char *target, unsigned round, struct audit *audit)
{
    batch_result error;
    batch_store *store;
    batch_processor *processor;
    batch_options options = BATCH_OPTIONS_INIT;
    if (target_open(&store, target, &error) != BATCH_OK)
        fail(error.message);
    options.store = store;
    options.resource_size = sizeof(struct log);
    options.codec = &log_codec;
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = UINT64_C(30000000000);
    if (batch_processor_start(&processor, &options, &error) != BATCH_OK)
        fail(error.message);
    for (audit->key = 0; audit->key < KEYS; audit->key++) {
        char key[KEY_SIZE];
        batch_op op = BATCH_OP_INIT;
        op.key_size = (size_t)snprintf(key, sizeof key, "%u/%u", round, audit->key);
        op.key = key;
        op.run = look;
        op.arg = audit;
        if (batch_run(processor, &op, &error) != BATCH_OK)
            fail(error.message);
    }
    if (batch_processor_stop(processor, BATCH_FOREVER) != 0 ||
        batch_processor_free(processor) != BATCH_OK || batch_store_close(store) != BATCH_OK)
        fail("cannot stop");
}

/* ---- What should be there ------------------------------------------------------------------- */

static void look_at_entry(struct findings *findings, const struct entry *entry, unsigned char there)
{
    unsigned char outcome = atomic_load(&entry->outcome);
    bool is_there = there != 0;
    findings->torn += is_there && there != atomic_load(&entry->keys);
    switch (outcome) {
    case OUTCOME_OK:
        findings->acknowledged++;
        findings->lost += !is_there;
        break;
    case OUTCOME_REFUSED:
        findings->refused++;
        break;
    case OUTCOME_SENT:
    case OUTCOME_UNKNOWN:
        findings->unknown++;
        findings->reported_unknown += outcome == OUTCOME_UNKNOWN;
        findings->unknown_applied += is_there;
        break;
    default:
        break;
    }
}

void audit(const char *target, struct journal *journal, unsigned round, struct findings *findings)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        fail("no memory");
    audit->journal = journal;
    audit->findings = findings;
    look_at_keys(target, round, audit);
    for (unsigned incarnation = 0; incarnation < INCARNATIONS_MAX; incarnation++) {
        for (unsigned submitter = 0; submitter < SUBMITTERS; submitter++) {
            for (unsigned i = 0; i < OPERATIONS_MAX; i++)
                look_at_entry(findings, &journal->incarnations[incarnation].entries[submitter][i],
                              audit->there[incarnation][submitter][i]);
        }
    }
    findings->reads += atomic_load(&journal->reads);
    findings->stale += atomic_load(&journal->stale);
    findings->torn_looks += atomic_load(&journal->torn);
    free(audit);
}

uint64_t audit_wrong(const struct findings *findings)
{
    return findings->lost + findings->twice + findings->ghosts + findings->disordered +
           findings->stale + findings->torn + findings->torn_looks;
}

void audit_print(const struct findings *findings, FILE *file)
{
    fprintf(file,
            "\"acknowledged\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"unknown\":%" PRIu64
            ",\"reported_unknown\":%" PRIu64 ",\"unknown_applied\":%" PRIu64 ",\"reads\":%" PRIu64
            ",\"lost\":%" PRIu64 ",\"twice\":%" PRIu64 ",\"ghosts\":%" PRIu64
            ",\"disordered\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"torn\":%" PRIu64
            ",\"torn_looks\":%" PRIu64,
            findings->acknowledged, findings->refused, findings->unknown,
            findings->reported_unknown, findings->unknown_applied, findings->reads, findings->lost,
            findings->twice, findings->ghosts, findings->disordered, findings->stale,
            findings->torn, findings->torn_looks);
}

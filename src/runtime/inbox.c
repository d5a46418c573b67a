#include "inbox.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "call.h"

bool batch__inbox_init(struct batch__inbox *inbox)
{
    inbox->xops = NULL;
    inbox->xcalls = NULL;
    inbox->xsignals = 0;
    inbox->xrest = BATCH__AWAKE;
    inbox->event = NULL;
    inbox->is_woken = false;
    return batch__lock_init(&inbox->lock);
}

void batch__inbox_destroy(struct batch__inbox *inbox)
{
    batch__lock_destroy(&inbox->lock);
}

static batch_op *closed_mark(struct batch__inbox *inbox)
{
    return (batch_op *)(void *)inbox;
}

static void wake_if(struct batch__inbox *inbox, enum batch__rest least)
{
    batch__check(least != BATCH__AWAKE);
    /* seq_cst: after our push, so that either we see the worker rest or it sees what we pushed */
    if (batch__load_seq_cst(&inbox->xrest) < (uint32_t)least)
        return;
    uint32_t rest = batch__exchange_seq_cst(&inbox->xrest, BATCH__AWAKE);
    if (rest == BATCH__AWAKE)
        return; /* another thread wakes it */
    if (rest == BATCH__AWAY) {
        batch__event_set(inbox->event);
        return;
    }
    batch__lock_take(&inbox->lock);
    inbox->is_woken = true;
    batch__lock_wake_one(&inbox->lock);
    batch__lock_give(&inbox->lock);
}

bool batch__inbox_push_ops_mp(struct batch__inbox *inbox, batch_op *newest, batch_op *oldest)
{
    batch_op *head = batch__load_relaxed(&inbox->xops);
    do {
        if (head == closed_mark(inbox))
            return false;
        oldest->private_next = head;
    } while (!batch__compare_exchange_seq_cst(&inbox->xops, &head, newest));
    if (head == NULL)
        wake_if(inbox, BATCH__ASLEEP);
    return true;
}

void batch__inbox_push_call_mp(struct batch__inbox *inbox, batch_call *call)
{
    batch_call *head = batch__load_relaxed(&inbox->xcalls);
    do
        call->next = head;
    while (!batch__compare_exchange_seq_cst(&inbox->xcalls, &head, call));
    if (head == NULL)
        wake_if(inbox, BATCH__NAPPING);
}

void batch__inbox_signal_mp(struct batch__inbox *inbox, enum batch__signal signal)
{
    batch__or_seq_cst(&inbox->xsignals, (uint32_t)signal);
    wake_if(inbox, BATCH__NAPPING);
}

batch_op *batch__inbox_take_ops_sc(struct batch__inbox *inbox, bool close)
{
    batch_op *newest = batch__load_relaxed(&inbox->xops);
    if (newest == closed_mark(inbox) || (newest == NULL && !close))
        return NULL;
    /* acquire: what the submitters wrote into the operations */
    newest = batch__exchange_acquire(&inbox->xops, close ? closed_mark(inbox) : NULL);
    batch_op *oldest_first = NULL;
    while (newest != NULL) {
        batch_op *next = newest->private_next;
        newest->private_next = oldest_first;
        oldest_first = newest;
        newest = next;
    }
    return oldest_first;
}

batch_call *batch__inbox_take_calls_sc(struct batch__inbox *inbox)
{
    if (batch__load_relaxed(&inbox->xcalls) == NULL)
        return NULL;
    /* acquire: what the store did with the calls */
    batch_call *newest = batch__exchange_acquire(&inbox->xcalls, NULL);
    batch_call *oldest_first = NULL;
    while (newest != NULL) {
        batch_call *next = newest->next;
        newest->next = oldest_first;
        oldest_first = newest;
        newest = next;
    }
    return oldest_first;
}

uint32_t batch__inbox_take_signals_sc(struct batch__inbox *inbox)
{
    if (batch__load_relaxed(&inbox->xsignals) == 0)
        return 0;
    return batch__exchange_acquire(&inbox->xsignals, 0);
}

bool batch__inbox_has_ops_sc(const struct batch__inbox *inbox)
{
    const batch_op *ops = batch__load_seq_cst(&inbox->xops);
    return ops != NULL && (const void *)ops != inbox;
}

static bool may_rest(const struct batch__inbox *inbox, enum batch__rest rest)
{
    return (rest == BATCH__NAPPING || !batch__inbox_has_ops_sc(inbox)) &&
           batch__load_seq_cst(&inbox->xcalls) == NULL &&
           batch__load_seq_cst(&inbox->xsignals) == 0;
}

bool batch__inbox_is_empty_sc(const struct batch__inbox *inbox)
{
    return may_rest(inbox, BATCH__ASLEEP);
}

void batch__inbox_rest_sc(struct batch__inbox *inbox, enum batch__rest rest, uint64_t until_ns)
{
    batch__check(rest != BATCH__AWAKE);
    batch__store_seq_cst(&inbox->xrest, (uint32_t)rest);
    if (!may_rest(inbox, rest)) {
        batch__store_relaxed(&inbox->xrest, BATCH__AWAKE);
        return;
    }
    batch__lock_take(&inbox->lock);
    /* A wake that was meant for an earlier rest may be found here: then this one is short. */
    if (!inbox->is_woken)
        batch__lock_wait(&inbox->lock, until_ns);
    inbox->is_woken = false;
    batch__lock_give(&inbox->lock);
    batch__store_relaxed(&inbox->xrest, BATCH__AWAKE);
}

void batch__inbox_leave_sc(struct batch__inbox *inbox)
{
    batch__check(inbox->event != NULL);
    batch__store_seq_cst(&inbox->xrest, BATCH__AWAY);
    if (!may_rest(inbox, BATCH__AWAY))
        wake_if(inbox, BATCH__AWAY);
}

bool batch__inbox_return_sc(struct batch__inbox *inbox)
{
    return batch__exchange_seq_cst(&inbox->xrest, BATCH__AWAKE) == BATCH__AWAKE;
}

/* sleep.pml: sleep and wake of src/runtime/inbox.c, for Spin: the worker never sleeps for ever with
 * something in the inbox that should wake it.
 *
 * A second look at what the explorer goes through, in another notation: any number of rests, naps
 * that end by time or by nothing, several of everything; but sequentially consistent, as all of
 * this is in inbox.c where it matters (that it must be, the explorer shows). A lost wake is a
 * deadlock: the worker waits, all others have ended (invalid end state).
 *
 * Names on the right and in comments are those of inbox.c; what is one atomic operation or one
 * critical section there is one step here, everything else interleaves.
 *
 * -DFLAG_CLEARED_LATE and -DNAP_TAKEN_FOR_SLEEP are injected bugs that Spin must find.
 */
mtype = { AWAKE, NAPPING, ASLEEP } /* enum batch__rest */

#define OPS   2 /* threads that push an operation */
#define CALLS 1 /* threads that push a call or signal; one atomic word stands for both */

byte ops;               /* xops: how many are pushed and not taken; 0: NULL */
byte calls;             /* xcalls, xsignals */
mtype rest = AWAKE;     /* xrest */
bool is_woken;          /* under lock */
bool is_locked;         /* lock */
bool is_signaled;       /* lock: somebody who waits is woken */
bool is_waiting;

inline lock_take() { atomic { !is_locked -> is_locked = true } }
inline lock_give() { is_locked = false }

/* wake_if: the exchange decides who wakes; then the lock, so that the worker is either before its
 * look at is_woken or waits. */
inline wake_if(least_is_nap)
{
    if
    :: rest == AWAKE || (rest == NAPPING && !least_is_nap) -> skip /* load xrest */
    :: else ->
        atomic { was = rest; rest = AWAKE }             /* exchange xrest */
        if
        :: was == AWAKE -> skip                         /* another thread wakes it */
        :: else ->
            lock_take();
            is_woken = true;
            atomic { if :: is_waiting -> is_signaled = true :: else fi }; /* lock_wake_one */
            lock_give()
        fi
    fi;
    was = AWAKE /* no longer needed: fewer states */
}

/* batch__inbox_push_ops_mp: the compare-and-exchange, and what was there before it. */
proctype op_pusher()
{
    bool was_empty;
    mtype was;
    atomic { was_empty = (ops == 0); ops++ }
    if
    :: was_empty -> wake_if(false)
    :: else
    fi
}

/* batch__inbox_push_call_mp, batch__inbox_signal_mp */
proctype call_pusher()
{
    bool was_empty;
    mtype was;
    atomic { was_empty = (calls == 0); calls++ }
    if
    :: was_empty ->
#ifdef NAP_TAKEN_FOR_SLEEP
        wake_if(false)
#else
        wake_if(true)
#endif
    :: else
    fi
}

/* may_rest: (rest == NAPPING || !has_ops) && xcalls == NULL && xsignals == 0; each a load. */
inline look_once_more()
{
    may = true;
    if
    :: how == ASLEEP && ops != 0 -> may = false
    :: else
    fi;
    if
    :: may && calls != 0 -> may = false
    :: else
    fi
}

/* batch__inbox_rest_sc. A nap that is `short` may end by time; one that is not waits for a call:
 * until_ns is then so late that nobody would wait for it. */
inline rest_sc(is_short)
{
#ifdef FLAG_CLEARED_LATE
    look_once_more();
    rest = how;
#else
    rest = how;                                         /* store xrest */
    look_once_more();
#endif
    if
    :: !may -> rest = AWAKE
    :: else ->
        lock_take();
        if
        :: is_woken -> skip
        :: else ->                                      /* lock_wait: gives the lock up and waits */
            atomic { is_waiting = true; is_locked = false };
            if
            :: atomic { is_signaled -> is_signaled = false; is_waiting = false }
            :: atomic { is_short -> is_waiting = false; is_signaled = false } /* until_ns */
            :: atomic { whims > 0 -> whims--; is_waiting = false; is_signaled = false }
            fi;                                         /* … without cause */
            lock_take()
        fi;
        is_woken = false;
        lock_give();
        rest = AWAKE                                    /* store xrest */
    fi
}

/* The worker: takes what there is (one exchange each), else naps or sleeps (shard.c). */
proctype worker()
{
    byte ops_taken, calls_taken, whims = 1;
    mtype how;
    bool may, found;
    do
    :: ops_taken == OPS && calls_taken == CALLS -> break
    :: else ->
        found = false;
        atomic { if :: calls > 0 -> calls_taken = calls_taken + calls; calls = 0; found = true
                    :: else fi };
        atomic { if :: ops > 0 -> ops_taken = ops_taken + ops; ops = 0; found = true
                    :: else fi };
        if
        :: found -> skip
        :: !found && calls_taken < CALLS ->             /* a call will come, and ends it */
            how = NAPPING; rest_sc(false)
        :: !found -> how = ASLEEP; rest_sc(false)
        :: !found -> how = NAPPING; rest_sc(true)
        fi
    od
}

init
{
    atomic {
        run worker();
        run op_pusher(); run op_pusher();
        run call_pusher()
    }
}

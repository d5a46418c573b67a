/* bugs.h: injected bugs. Each driver has to find all of them, or its silence means nothing.
 *
 * They are there in the program simulate-bugs alone, and one of them is switched on when it runs.
 * Those around the core stand in the sources here. Those of the core itself are put into a copy of
 * its files: bugs.cmake has which text is replaced by which, and its sources stay clean. With none
 * switched on, that program has to find nothing, like any other.
 */
#ifndef BATCH_TESTS_MODEL_BUGS_H
#define BATCH_TESTS_MODEL_BUGS_H

#define BUG_MAP(X)                                                                                 \
    X(version_not_checked, "the store saves whatever the version is")                              \
    X(version_used_again, "a row that is deleted and created again reuses its old version")        \
    X(applied_reported_as_conflict, "a save that was applied is reported as a conflict")           \
    X(failed_save_reported_ok, "a save that failed is reported as OK")                             \
    X(failed_save_applied, "a save that is reported as failed is applied")                         \
    X(save_unknown_reported_as_failed, "the core gets SAVE_FAILED for a save that is UNKNOWN")     \
    X(save_conflict_reported_as_failed, "the core gets SAVE_FAILED for a CONFLICT")                \
    X(saved_twice, "the end of a save is reported twice")                                          \
    X(call_forgotten, "some calls of the store never end")                                         \
    X(store_slow, "calls of the store take longer than they may")                                  \
    X(old_resource_loaded, "a load leaves in memory what is there")                                \
    X(completion_lost, "operations that were refused are not completed")                           \
    X(batch_completion_lost, "operations of a batch are not completed")                            \
    X(completed_twice, "operations are completed twice")                                           \
    X(cancel_flag_late, "a canceled operation is seen to be canceled only after it ran")           \
    X(cancel_withdrawn, "an operation that was canceled before submit is not marked so")           \
    X(wake_lost, "the worker does not wake for what is due")                                       \
    X(run_twice, "an operation is run twice")                                                      \
    X(replay_forgets, "an operation that is replayed changes nothing")                             \
    X(canceled_completed_twice, "core: a canceled operation is completed, and waits on")           \
    X(canceled_after_run, "core: an operation that ran is completed with CANCELED")                \
    X(canceled_replayed, "core: a canceled operation is replayed after a conflict")                \
    X(canceled_not_noticed, "core: waiting operations are not swept for canceled ones")            \
    X(canceled_before_turn, "core: nor are those that wait for their turn")                        \
    X(unknown_reported_as_failed, "core: UNKNOWN is reported as SAVE_FAILED")                      \
    X(failed_reported_as_ok, "core: SAVE_FAILED is reported as OK")                                \
    X(conflict_reported_as_failed, "core: CONFLICT is reported as SAVE_FAILED")                    \
    X(cached_after_failed_save, "core: a resource is cached after a save that failed")             \
    X(cached_not_rechecked, "core: nothing changed on a cached resource, and it is not rechecked") \
    X(cached_without_limit, "core: one more resource is cached than may be")                       \
    X(cached_after_stop, "core: a resource is cached though stop has come")                        \
    X(unknown_replayed, "core: UNKNOWN is replayed")                                               \
    X(replay_on_old_resource, "core: after a conflict the same resource is run on")                \
    X(replay_without_limit, "core: a conflict is replayed once too often")                         \
    X(replay_after_deadline, "core: a conflict is replayed after the deadline of its batch")       \
    X(replay_out_of_order, "core: a replay begins with the last operation")                        \
    X(replay_expires, "core: what has begun in time expires when it is to be replayed")            \
    X(replay_takes_others, "core: operations that waited behind a replay run in it")               \
    X(window_begins_twice, "core: a batch that waited for another begins a window of its own")     \
    X(load_error_completes_one, "core: a load that failed completes one waiting operation only")   \
    X(stop_forgets_waiting, "core: stop forgets operations that wait for the next batch")          \
    X(window_never_closes, "core: a window does not ask to be ended")                              \
    X(window_too_long, "core: a window is twice as long")                                          \
    X(window_closes_early, "core: a window is half as long")                                       \
    X(backlog_holds_window, "core: a window stays open while operations are in the inbox")         \
    X(come_too_late, "core: what came before a window ended is not in its batch")                  \
    X(turn_without_end, "core: a key runs on when its turn is over")                               \
    X(turn_clock_early, "core: the time of a turn begins before it does")                          \
    X(turn_jumped, "core: the last to come has the next turn")                                     \
    X(run_before_others, "core: operations run before all other actions")                          \
    X(flush_without_limit, "core: more batches close than the store is free to take")              \
    X(size_ignored, "core: a batch takes one more operation than it may")                          \
    X(fifo_broken, "core: the last to come is the first to run")                                   \
    X(save_without_change, "core: a batch is saved though nothing changed")                        \
    X(no_save_after_change, "core: a batch of which only some changed is not saved")               \
    X(expired_runs, "core: an operation begins after its start_by_ns")                             \
    X(no_memory_not_reported, "core: an operation that finds no memory is not completed")          \
    X(key_memory_lost, "core: the memory of a long key is not given back")                         \
    X(limit_ignored, "core: one more operation is taken than may wait")                            \
    X(keys_mixed_up, "core: a key is taken for another with the same hash and size")               \
    X(time_runs_back, "core: time runs backwards with an event that does")                         \
    X(loaded_not_noticed, "core: a batch does nothing when its load has ended")                    \
    X(waiting_not_joining, "core: operations that waited for the load find the window closed")     \
    X(loaded_for_nobody, "core: a batch is loaded though all its operations have left")            \
    X(backlog_not_counted, "core: what waits on a key does not count for who comes")               \
    X(others_not_counted, "core: nor do the turns of other keys")                                  \
    X(long_operation_counted, "core: an operation that takes long counts for what it takes")       \
    X(refused_after_run, "core: an operation that ran longer than it may wait is refused")         \
    X(refused_at_rest, "core: a key at rest is refused by how long saves take")                    \
    X(save_time_forgotten, "core: the mean of saves is not updated")                               \
    X(last_wait_recorded, "core: a record shows the wait of the last operation")                   \
    X(replay_time_early, "core: the time for replays begins with the batch, not with a conflict")  \
    X(too_old_completed, "core: what changed nothing is completed however long ago it was loaded") \
    X(too_old_joined, "core: operations join what was loaded too long ago")                        \
    X(age_from_worker, "core: what was loaded is as old as the worker knows of it")                \
    X(transaction_runs_early, "core: a transaction runs when one of its keys is ready")            \
    X(unit_closes_one, "core: one key of a unit closes without the others")                        \
    X(unit_decided_early, "core: a unit has an outcome when one of its keys has")                  \
    X(leg_dropped, "core: a transaction does not wait for its last key")                           \
    X(leg_completed_twice, "legs of a transaction are completed twice")                            \
    X(unit_torn, "the store saves half a unit")                                                    \
    X(check_not_checked, "the store does not compare the version of what was only read")           \
    X(requeued_last, "core: what is to be replayed is put behind what came later")                 \
    X(unit_not_halved, "core: a conflict of a unit does not make units smaller")                   \
    X(unit_not_limited, "core: a unit gets larger than it may")                                    \
    X(unit_not_dissolved, "core: a unit that the store refused is not tried in parts")             \
    X(unit_unchanged_not_saved, "core: a key of a unit that was only read is not checked")         \
    X(load_decides_one, "core: a failed load is not reported to the other keys of a transaction")  \
    X(blocked_joins, "core: what waits behind a transaction overtakes it")                         \
    X(rechecked_for_ever, "core: what is too old is loaded again as often as that is so")

enum bug {
    BUG_NONE,
#define BUG_ENUM(name, text) BUG_##name,
    BUG_MAP(BUG_ENUM)
#undef BUG_ENUM
        BUG_COUNT
};

#ifdef MODEL_BUGS
extern enum bug injected_bug;
#define BUG(name) (injected_bug == BUG_##name)
#else
#define BUG(name) 0
#endif

#endif

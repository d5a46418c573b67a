/* controls.h: mistakes that the simulation must find, or it shows nothing.
 *
 * They are there in the program simulate-controls alone, and one of them is switched on when it
 * runs. Those of the world around the core stand in the sources here. Those of the core itself are
 * made in a copy of its files: mistakes.cmake says which words are replaced by which, and its
 * sources stay clean. With none switched on, that program has to find nothing, like any other.
 */
#ifndef BATCH_TESTS_SIMULATION_CONTROLS_H
#define BATCH_TESTS_SIMULATION_CONTROLS_H

#define SIM_MISTAKE_MAP(X)                                                                         \
    X(version_not_checked, "the store saves whatever the version is")                              \
    X(version_used_again, "a row that is deleted and made again has its old version again")        \
    X(applied_told_as_conflict, "a save that was applied is called a conflict")                    \
    X(old_resource_loaded, "a load leaves in memory what is there")                                \
    X(answer_lost, "one of an action's answers is not given")                                      \
    X(cancel_signal_late, "a canceled operation is seen to be canceled only after it ran")         \
    X(wake_lost, "the worker sleeps through what is due")                                          \
    X(run_twice, "an operation is run twice")                                                      \
    X(canceled_told_twice, "core: a canceled operation is answered, and waits on")                 \
    X(canceled_after_run, "core: an operation that ran is told CANCELED")                          \
    X(canceled_runs_again, "core: a canceled operation runs again after a conflict")               \
    X(canceled_not_noticed, "core: nobody looks for the canceled among those who wait")            \
    X(canceled_and_forgotten, "core: not for one who then finds no place in his batch either")     \
    X(unknown_told_as_failed, "core: UNKNOWN is told as SAVE_FAILED")                              \
    X(failed_told_as_ok, "core: SAVE_FAILED is told as OK")                                        \
    X(conflict_told_as_failed, "core: CONFLICT is told as SAVE_FAILED")                            \
    X(kept_after_failed_save, "core: a resource is kept after a save that failed")                 \
    X(kept_not_looked_at, "core: nothing changed on a kept resource, and it is told at once")      \
    X(kept_without_limit, "core: one more resource is kept than may be")                           \
    X(kept_after_stop, "core: a resource is kept though stop has come")                            \
    X(unknown_replayed, "core: UNKNOWN is run again")                                              \
    X(replay_on_old_resource, "core: after a conflict the same resource is run on")                \
    X(replay_without_limit, "core: a conflict is replayed once too often")                         \
    X(replay_out_of_order, "core: a replay begins with the last operation")                        \
    X(load_error_answers_one, "core: a load that failed answers one of those who waited")          \
    X(stop_forgets_waiting, "core: stop forgets who waits for the next batch")                     \
    X(window_never_closes, "core: a window does not ask to be ended")                              \
    X(window_too_long, "core: a window is twice as long")                                          \
    X(window_closes_early, "core: a window is half as long")                                       \
    X(fifo_broken, "core: the last to come is the first to run")                                   \
    X(save_without_change, "core: a batch is saved though nothing changed")                        \
    X(no_save_after_change, "core: a batch of which only some changed is not saved")               \
    X(expired_runs, "core: an operation begins after its start_by_ns")                             \
    X(no_memory_not_told, "core: who finds no memory is not answered")                             \
    X(key_memory_lost, "core: the memory of a long key is not given back")                         \
    X(limit_ignored, "core: one more operation is taken than may wait")                            \
    X(loaded_not_noticed, "core: a batch is not looked at when its load has ended")                \
    X(waiting_not_joining, "core: who waited for the load finds the window closed")                \
    X(loaded_for_nobody, "core: a batch is loaded though all have left")                           \
    X(refused_at_rest, "core: a key at rest is judged by how long saves take")                     \
    X(deadline_of_another, "core: the deadline is counted from the batch before")

enum sim_mistake {
    SIM_NO_MISTAKE,
#define SIM_ENUM(name, text) SIM_MISTAKE_##name,
    SIM_MISTAKE_MAP(SIM_ENUM)
#undef SIM_ENUM
        SIM_MISTAKES
};

#ifdef SIM_CONTROLS
extern enum sim_mistake sim_mistake;
#define SIM_MISTAKE(name) (sim_mistake == SIM_MISTAKE_##name)
#else
#define SIM_MISTAKE(name) 0
#endif

#endif

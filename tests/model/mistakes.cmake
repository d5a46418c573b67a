# The injected bugs of the core, all in one copy of it, each behind a switch of its own: what they are
# is said in controls.h.
set(mistaken actions admission cache events pool replay sweep window)
foreach(file IN LISTS mistaken)
    batch_mutant_read(text_${file} src/core/${file}.c)
endforeach()

function(make_mistake file text instead)
    batch_mutant_replace(text_${file} src/core/${file}.c "${text}" "${instead}")
    set(text_${file} "${text_${file}}" PARENT_SCOPE)
endfunction()

# Submit.
make_mistake(events
    [[    batch__ops_push(&batch->waiting, op);]]
    [[    if (SIM_MISTAKE(fifo_broken) && batch->waiting.head != NULL) {
        op->private_next = batch->waiting.head;
        batch->waiting.head = op;
        batch->waiting.count++;
    } else
        batch__ops_push(&batch->waiting, op);]])
make_mistake(events
    [[core->ops >= core->config.ops_waiting_max]]
    [[core->ops >= core->config.ops_waiting_max + SIM_MISTAKE(limit_ignored)]])
make_mistake(events
    [[    if (batch == NULL)
        batch__refuse(core, op, BATCH_NO_MEMORY);]]
    [[    if (batch == NULL && SIM_MISTAKE(no_memory_not_told))
        core->ops--;
    else if (batch == NULL)
        batch__refuse(core, op, BATCH_NO_MEMORY);]])
make_mistake(pool
    [[if (batch->key_size > BATCH__KEY_INLINE)]]
    [[if (batch->key_size > BATCH__KEY_INLINE && !SIM_MISTAKE(key_memory_lost))]])
make_mistake(admission
    [[        return 0;
    }]]
    [[        return SIM_MISTAKE(refused_at_rest) ? save_ns : 0;
    }]])

# Cancel and expiry.
make_mistake(sweep
    [[            batch__refuse(core, op, status);
            continue;]]
    [[            batch__refuse(core, op, status);
            if (!SIM_MISTAKE(canceled_told_twice))
                continue;]])
make_mistake(sweep
    [[            batch->phase = BATCH__ENDED;]]
    [[            batch->phase = SIM_MISTAKE(loaded_for_nobody) ? BATCH__BEGUN : BATCH__ENDED;]])
make_mistake(events
    [[    core->is_sweep_wanted = true;]]
    [[    core->is_sweep_wanted = !SIM_MISTAKE(canceled_not_noticed);]])
make_mistake(sweep
    [[core->is_sweep_wanted && core->todo_first != NULL;]]
    [[core->is_sweep_wanted && core->todo_first != NULL &&
                           !SIM_MISTAKE(canceled_and_forgotten);]])
make_mistake(actions
    [[    int status = batch__op_refusal(op, core->now_ns);]]
    [[    int status = batch__op_refusal(op, core->now_ns);
    if (SIM_MISTAKE(expired_runs) && status == BATCH_EXPIRED)
        status = BATCH_OK;]])
make_mistake(actions
    [[if (batch__op_is_canceled(op)) {]]
    [[if (batch__op_is_canceled(op) && !SIM_MISTAKE(canceled_runs_again)) {]])

# Load, window, save.
make_mistake(events
    [[    batch->ran = batch__ops_take(ops);]]
    [[    if (SIM_MISTAKE(load_error_answers_one))
        batch__ops_push(&batch->ran, batch__ops_pop(ops));
    else
        batch->ran = batch__ops_take(ops);]])
make_mistake(events
    [[        first_load_failed(core, batch);
    batch__todo_push(core, batch);]]
    [[        first_load_failed(core, batch);
    if (!SIM_MISTAKE(loaded_not_noticed) || batch->phase != BATCH__OPEN)
        batch__todo_push(core, batch);]])
make_mistake(window
    [[    batch->joining = batch->waiting.count;]]
    [[    batch->joining = SIM_MISTAKE(waiting_not_joining) ? 0 : batch->waiting.count;]])
make_mistake(events
    [[    uint64_t window_ns = core->due.first != NULL ?]]
    [[    uint64_t window_ns = core->due.first != NULL && !SIM_MISTAKE(window_never_closes) ?]])
make_mistake(window
    [[sum_or_max(core->now_ns, core->config.window_ns)]]
    [[sum_or_max(core->now_ns, core->config.window_ns >> SIM_MISTAKE(window_closes_early)
                                       << SIM_MISTAKE(window_too_long))]])
make_mistake(window
    [[    batch->deadline_ns = sum_or_max(]]
    [[    if (!SIM_MISTAKE(deadline_of_another) || batch->deadline_ns == 0)
        batch->deadline_ns = sum_or_max(]])
make_mistake(actions
    [[    else
        batch->phase = batch->changed > 0 ? BATCH__CLOSED : BATCH__COMPLETE;]]
    [[    else if (SIM_MISTAKE(no_save_after_change) && batch->changed < batch->ran.count)
        batch->phase = BATCH__COMPLETE;
    else
        batch->phase = batch->changed > 0 || SIM_MISTAKE(save_without_change) ? BATCH__CLOSED
                                                                              : BATCH__COMPLETE;]])

# The outcome.
make_mistake(events
    [[        batch->status = (int8_t)status;]]
    [[        batch->status = (int8_t)status;
        if (SIM_MISTAKE(unknown_told_as_failed) && status == BATCH_UNKNOWN)
            batch->status = BATCH_SAVE_FAILED;
        if (SIM_MISTAKE(failed_told_as_ok) && status == BATCH_SAVE_FAILED)
            batch->status = BATCH_OK;
        if (SIM_MISTAKE(conflict_told_as_failed) && status == BATCH_CONFLICT)
            batch->status = BATCH_SAVE_FAILED;
        if (SIM_MISTAKE(canceled_after_run) && batch->ran.count > 1 &&
            batch__op_is_canceled(batch->ran.head))
            batch__refuse(core, batch__ops_pop(&batch->ran), BATCH_CANCELED);]])
make_mistake(actions
    [[    batch__todo_pop(core);
    if (batch->waiting.count > 0) {]]
    [[    batch__todo_pop(core);
    if (SIM_MISTAKE(stop_forgets_waiting) && core->is_stopping && batch->waiting.count > 0) {
        core->ops -= batch->waiting.count;
        batch->waiting.count = 0;
        batch->waiting.head = NULL;
        batch__waiting_remove(&core->waiting, batch);
    }
    if (batch->waiting.count > 0) {]])

# Replays and kept resources.
make_mistake(events
    [[status == BATCH_CONFLICT && batch__may_replay(core, batch)]]
    [[(status == BATCH_CONFLICT || (SIM_MISTAKE(unknown_replayed) && status == BATCH_UNKNOWN)) &&
        batch__may_replay(core, batch)]])
make_mistake(replay
    [[batch->replays < core->config.replays_max]]
    [[batch->replays < core->config.replays_max + SIM_MISTAKE(replay_without_limit)]])
make_mistake(replay
    [[    batch->to_replay = batch__ops_take(&batch->ran);]]
    [[    batch->to_replay = batch__ops_take(&batch->ran);
    if (SIM_MISTAKE(replay_out_of_order) && batch->to_replay.count > 1)
        batch__ops_push(&batch->to_replay, batch__ops_pop(&batch->to_replay));]])
make_mistake(replay
    [[    batch->phase = BATCH__DROP;]]
    [[    batch->phase = SIM_MISTAKE(replay_on_old_resource) ? BATCH__REPLAY : BATCH__DROP;]])
make_mistake(actions
    [[batch->changed == 0 && batch->is_cached]]
    [[batch->changed == 0 && batch->is_cached && !SIM_MISTAKE(kept_not_looked_at)]])
make_mistake(cache
    [[batch->status == BATCH_OK]]
    [[(batch->status == BATCH_OK || SIM_MISTAKE(kept_after_failed_save))]])
make_mistake(actions
    [[if (batch->is_loaded && core->is_stopping) {]]
    [[if (batch->is_loaded && core->is_stopping && !SIM_MISTAKE(kept_after_stop)) {]])
make_mistake(cache
    [[batch__cache_trim(core, core->config.cache_max - 1);]]
    [[batch__cache_trim(core, core->config.cache_max - !SIM_MISTAKE(kept_without_limit));]])

set(mistaken_sources)
foreach(file IN LISTS mistaken)
    batch_mutant_write(path core src/core/${file}.c "#include \"controls.h\"\n${text_${file}}")
    list(APPEND mistaken_sources "${path}")
endforeach()

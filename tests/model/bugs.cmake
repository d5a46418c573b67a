# The injected bugs of the core, all in one copy of it, each behind a switch of its own: what they are
# is written in bugs.h.
set(mutated actions admission cache events pool replay sweep table transaction unit window)
foreach(file IN LISTS mutated)
    batch_mutant_read(text_${file} src/core/${file}.c)
endforeach()

function(inject file text instead)
    batch_mutant_replace(text_${file} src/core/${file}.c "${text}" "${instead}")
    set(text_${file} "${text_${file}}" PARENT_SCOPE)
endfunction()

# Submit.
inject(events
    [[    batch__ops_push(&batch->waiting, op);]]
    [[    if (BUG(fifo_broken) && batch->waiting.head != NULL) {
        op->private_next = batch->waiting.head;
        batch->waiting.head = op;
        batch->waiting.count++;
    } else
        batch__ops_push(&batch->waiting, op);]])
inject(events
    [[    if (core->ops > ops_max ||]]
    [[    ops_max += BUG(limit_ignored);
    if (core->ops > ops_max ||]])
inject(events
    [[        enter(core, batch, op);
    else
        batch__refuse(core, op, status);]]
    [[        enter(core, batch, op);
    else if (BUG(no_memory_not_reported) && status == BATCH_NO_MEMORY)
        core->ops--;
    else
        batch__refuse(core, op, status);]])
inject(pool
    [[if (batch->key_size > BATCH__KEY_INLINE)]]
    [[if (batch->key_size > BATCH__KEY_INLINE && !BUG(key_memory_lost))]])
inject(admission
    [[    uint64_t count = batch->waiting.count;]]
    [[    uint64_t count = BUG(backlog_not_counted) ? 0 : batch->waiting.count;]])
inject(admission
    [[core->lap_mean_ns);
    return batch__sum_or_max]]
    [[BUG(others_not_counted) ? 0 : core->lap_mean_ns);
    return batch__sum_or_max]])
inject(admission
    [[    batch__mean_add(mean_ns, time_ns < most_ns ? time_ns : most_ns);]]
    [[    batch__mean_add(mean_ns,
                    time_ns < most_ns || BUG(long_operation_counted) ? time_ns : most_ns);]])
inject(events
    [[    batch__ops_push(&batch->ran, op);]]
    [[    if (BUG(refused_after_run) && op->start_by_ns != 0 && core->now_ns > op->start_by_ns)
        batch__refuse(core, op, BATCH_BUSY);
    else
        batch__ops_push(&batch->ran, op);]])
inject(admission
    [[begins at once */
        return 0;]]
    [[begins at once */
        return BUG(refused_at_rest) ? save_ns : 0;]])
inject(events
    [[    batch__check(core->running == NULL);
    if (now_ns > core->now_ns)]]
    [[    batch__check(core->running == NULL);
    if (now_ns > core->now_ns || BUG(time_runs_back))]])
inject(table
    [[if (key_size == 0 || memcmp(slot->batch->key, key, key_size) == 0)]]
    [[if (key_size == 0 || memcmp(slot->batch->key, key, key_size) == 0 || BUG(keys_mixed_up))]])

# Cancel and expiry.
inject(sweep
    [[            is_first_gone = is_first_gone || i == replaying;
            continue;]]
    [[            is_first_gone = is_first_gone || i == replaying;
            if (!BUG(canceled_completed_twice))
                continue;]])
inject(sweep
    [[        batch->phase = BATCH__ENDED;]]
    [[        batch->phase = BUG(loaded_for_nobody) ? BATCH__BEGUN : BATCH__ENDED;]])
inject(events
    [[    core->is_sweep_wanted = true;]]
    [[    core->is_sweep_wanted = !BUG(canceled_not_noticed);]])
inject(sweep
    [[ + sweep_list(core, &core->turns);]]
    [[ + (BUG(canceled_before_turn) ? 0 : sweep_list(core, &core->turns));]])
inject(actions
    [[    int status = batch__op_refusal(op, batch->replaying > 0 ? 0 : core->now_ns);]]
    [[    bool has_begun_before = batch->replaying > 0;
    int status = batch__op_refusal(op, has_begun_before ? 0 : core->now_ns);
    if ((BUG(expired_runs) && status == BATCH_EXPIRED) || (BUG(canceled_replayed) && has_begun_before))
        status = BATCH_OK;]])
inject(sweep
    [[        int status = batch__op_refusal(op, has_begun ? 0 : core->now_ns);]]
    [[        int status = batch__op_refusal(op, has_begun && !BUG(replay_expires) ? 0 : core->now_ns);
        if (BUG(canceled_replayed) && has_begun)
            status = BATCH_OK;]])

# Load, window, save.
inject(events
    [[        batch->ran = batch__ops_take(&batch->waiting);]]
    [[        batch->ran = batch__ops_take_first(
            &batch->waiting, BUG(load_error_completes_one) ? 1 : batch->waiting.count);]])
inject(window
    [[    if (batch->waiting.count > 0)]]
    [[    if (batch->waiting.count > 0 && !BUG(loaded_not_noticed))]])
inject(window
    [[    return batch->is_replay ? batch->replaying : batch->waiting.count;]]
    [[    if (BUG(waiting_not_joining) && !batch->is_replay)
        return 0;
    return batch->is_replay && !BUG(replay_takes_others) ? batch->replaying
                                                         : batch->waiting.count;]])
inject(events
    [[    uint64_t window_ns = core->due.first != NULL ?]]
    [[    uint64_t window_ns = core->due.first != NULL && !BUG(window_never_closes) ?]])
inject(window
    [[    batch->phase = BATCH__BEGUN;]]
    [[    batch->phase = BATCH__BEGUN;
    if (BUG(window_begins_twice) && batch->waiting.count > batch->replaying)
        batch__window_restart(core, batch);]])
inject(window
    [[sum_or_max(core->now_ns, core->config.window_ns)]]
    [[sum_or_max(core->now_ns, core->config.window_ns >> BUG(window_closes_early)
                                       << BUG(window_too_long))]])
inject(events
    [[    return deadline_ns(core, core->config.late_max_ns);]]
    [[    return deadline_ns(core, BUG(backlog_holds_window) ? UINT64_MAX : core->config.late_max_ns);]])
inject(events
    [[        batch__window_join(batch);]]
    [[        batch->joining = BUG(come_too_late) ? batch->joining : batch->waiting.count;]])
inject(actions
    [[    if (batch->changed > 0 || batch->unit != NULL)
        batch->phase = BATCH__CLOSED;]]
    [[    if (BUG(no_save_after_change) && batch->changed > 0 && batch->changed < batch->ran.count &&
        batch->unit == NULL)
        batch->phase = BATCH__COMPLETE;
    else if (batch->changed > 0 || (batch->unit != NULL && !BUG(unit_unchanged_not_saved)) ||
             BUG(save_without_change))
        batch->phase = BATCH__CLOSED;]])
inject(actions
    [[    return batch__is_too_old(core, batch) ?]]
    [[    return batch__is_too_old(core, batch) && !BUG(too_old_joined) ?]])
inject(replay
    [[batch->is_rechecked || !batch__is_too_old(core, batch)]]
    [[(batch->is_rechecked && !BUG(rechecked_for_ever)) || BUG(too_old_completed) ||
        !batch__is_too_old(core, batch)]])
inject(events
    [[between(finished_ns, batch]]
    [[between(BUG(age_from_worker) ? UINT64_MAX : finished_ns, batch]])
inject(actions
    [[batch->ran.count >= core->config.ops_max]]
    [[batch->ran.count >= core->config.ops_max + BUG(size_ignored)]])
inject(actions
    [[    if (batch->ran.count == 0 && !has_begun)
        batch->first_wait_ns =]]
    [[    if ((batch->ran.count == 0 && !has_begun) || BUG(last_wait_recorded))
        batch->first_wait_ns =]])
inject(events
    [[calls_max -= calls < calls_max ? calls : calls_max;]]
    [[calls_max -= BUG(flush_without_limit) ? 0 : calls < calls_max ? calls : calls_max;]])

# Turns.
inject(events
    [[    batch__turns_ran(core);]]
    [[    batch__turns_ran(core);
    if (BUG(turn_without_end))
        core->is_turn_over = false;]])
inject(actions
    [[    batch__turns_run(core);]]
    [[    batch__turns_run(core);
    if (BUG(turn_clock_early))
        core->turn_began_ns = 0;]])
inject(events
    [[        batch__turns_push(&core->turns, batch);]]
    [[        if (BUG(turn_jumped) && core->turns.first != NULL) {
            batch->in_turns = true;
            batch->waiters = (struct batch__link){NULL, core->turns.first};
            core->turns.first->waiters.previous = batch;
            core->turns.first = batch;
            batch__turn_end(core);
        } else
            batch__turns_push(&core->turns, batch);]])
inject(actions
    [[        if (has_others &&]]
    [[        if (has_others && !(BUG(run_before_others) && core->turns.first != NULL) &&]])

# The outcome.
inject(events
    [[            each->status = (int8_t)status;]]
    [[            each->status = (int8_t)status;
            if (BUG(unknown_reported_as_failed) && status == BATCH_UNKNOWN)
                each->status = BATCH_SAVE_FAILED;
            if (BUG(failed_reported_as_ok) && status == BATCH_SAVE_FAILED)
                each->status = BATCH_OK;
            if (BUG(conflict_reported_as_failed) && status == BATCH_CONFLICT)
                each->status = BATCH_SAVE_FAILED;
            if (BUG(canceled_after_run) && each->ran.count > 1 &&
                batch__op_is_canceled(each->ran.head))
                batch__refuse(core, batch__ops_pop(&each->ran), BATCH_CANCELED);]])
inject(actions
    [[    batch__todo_pop(core);
    if (batch->waiting.count > 0) {]]
    [[    batch__todo_pop(core);
    if (BUG(stop_forgets_waiting) && core->is_stopping && batch->waiting.count > 0) {
        core->ops -= batch->waiting.count;
        batch->waiting.count = 0;
        batch->waiting.head = NULL;
        batch__waiting_remove(&core->waiting, batch);
    }
    if (batch->waiting.count > 0) {]])
inject(events
    [[    batch__mean_add(&core->save_mean_ns,]]
    [[    if (!BUG(save_time_forgotten))
        batch__mean_add(&core->save_mean_ns,]])

# Replays and cached resources.
inject(events
    [[status == BATCH_CONFLICT && batch__may_replay(core, batch)]]
    [[(status == BATCH_CONFLICT || (BUG(unknown_replayed) && status == BATCH_UNKNOWN)) &&
        batch__may_replay(core, batch)]])
inject(replay
    [[batch->replays < core->config.replays_max]]
    [[batch->replays < core->config.replays_max + BUG(replay_without_limit)]])
inject(replay
    [[core->now_ns < batch->replay_by_ns]]
    [[core->now_ns < batch->replay_by_ns || BUG(replay_after_deadline)]])
inject(replay
    [[batch__sum_or_max(core->now_ns, core]]
    [[batch__sum_or_max(BUG(replay_time_early) ? batch->begun_ns : core->now_ns, core]])
inject(replay
    [[    batch->replaying += batch->ran.count;]]
    [[    batch->replaying += batch->ran.count;
    if (BUG(replay_out_of_order) && batch->ran.count > 1)
        batch__ops_push(&batch->ran, batch__ops_pop(&batch->ran));]])
inject(replay
    [[    if (batch->in_waiting)
        return;
    batch->start_by_min_ns = UINT64_MAX;
    batch__waiting_push(&core->waiting, batch);]]
    [[    if (!batch->in_waiting) {
        batch->start_by_min_ns = UINT64_MAX;
        batch__waiting_push(&core->waiting, batch);
    }
    if (BUG(replay_on_old_resource)) {
        batch__waiting_remove(&core->waiting, batch);
        batch->joining = batch->replaying;
        batch->phase = BATCH__OPEN;
    }]])
inject(replay
    [[    if (batch->is_cached)]]
    [[    if (batch->is_cached && !BUG(cached_not_rechecked))]])
inject(cache
    [[batch->status == BATCH_OK]]
    [[(batch->status == BATCH_OK || BUG(cached_after_failed_save))]])
inject(actions
    [[if (batch->is_loaded && core->is_stopping) {]]
    [[if (batch->is_loaded && core->is_stopping && !BUG(cached_after_stop)) {]])
inject(cache
    [[batch__cache_trim(core, core->config.cache_max - 1);]]
    [[batch__cache_trim(core, core->config.cache_max - !BUG(cached_without_limit));]])

# Transactions.
inject(actions
    [[    if (transaction->private_ready < transaction->parts_size)
        return block(core, batch);]]
    [[    if (transaction->private_ready < transaction->parts_size && !BUG(transaction_runs_early)) {
        if (BUG(blocked_joins) && batch->waiting.count > 1 &&
            !batch__op_is_leg(leg->private_next)) {
            batch__leg_is_not_ready(batch);
            batch_op *next = leg->private_next;
            leg->private_next = next->private_next;
            next->private_next = leg;
            batch->waiting.head = next;
            if (batch->waiting.tail == next)
                batch->waiting.tail = leg;
            return STEP_AGAIN;
        }
        return block(core, batch);
    }]])
inject(actions
    [[        close_batch(core, each, reason);
        each = batch__unit_next(each);]]
    [[        close_batch(core, each, reason);
        if (BUG(unit_closes_one) && each->unit != NULL)
            break;
        each = batch__unit_next(each);]])
inject(unit
    [[    return first->unit_count == 0 ?]]
    [[    return first->unit_count == 0 || BUG(unit_decided_early) ?]])
inject(events
    [[            enter(core, part->private_batch, &part->private_leg);]]
    [[        {
            if (BUG(leg_dropped) && i > 0 && i + 1 == transaction->parts_size) {
                part->private_is_ready = true;
                transaction->private_ready++;
                core->ops--;
                continue;
            }
            enter(core, part->private_batch, &part->private_leg);
        }]])
inject(replay
    [[    batch__ops_put_first(&batch->waiting, &batch->ran);]]
    [[    if (BUG(requeued_last) && batch->waiting.count > 0)
        batch__ops_put_first(&batch->ran, &batch->waiting), batch->waiting = batch->ran,
            batch->ran = (struct batch__ops){NULL, NULL, 0};
    else
        batch__ops_put_first(&batch->waiting, &batch->ran);]])
inject(unit
    [[        core->unit_max = (size < core->unit_max ? size : core->unit_max) / 2;]]
    [[        if (!BUG(unit_not_halved))
            core->unit_max = (size < core->unit_max ? size : core->unit_max) / 2;]])
inject(unit
    [[(keys <= core->unit_max && !is_small))]]
    [[(keys <= core->unit_max && !is_small) || BUG(unit_not_limited))]])
inject(events
    [[    batch->is_isolated = true;
    return true;]]
    [[    batch->is_isolated = true;
    return !BUG(unit_not_dissolved);]])
inject(events
    [[    batch__transactions_decide(core, &batch->ran, BATCH_LOAD_FAILED);]]
    [[    if (!BUG(load_decides_one))
        batch__transactions_decide(core, &batch->ran, BATCH_LOAD_FAILED);]])

set(mutant_sources)
foreach(file IN LISTS mutated)
    batch_mutant_write(path core src/core/${file}.c "#include \"bugs.h\"\n${text_${file}}")
    list(APPEND mutant_sources "${path}")
endforeach()

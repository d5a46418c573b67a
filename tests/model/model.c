#include "model.h"

#include "transcript.h"

#include <string.h>

/* The node that a client is sent to: the one meant, or the next that is up. */
static struct model_node *route(struct model *model, uint32_t number)
{
    for (uint32_t i = 0; i < model->config->nodes_size; i++) {
        struct model_node *node = &model->nodes[(number + i) % model->config->nodes_size];
        if (node->state != NODE_DOWN)
            return node;
    }
    return NULL;
}

static struct model_op *add_op(struct model *model, const struct schedule_item *item)
{
    struct model_op *op = &model->ops[model->ops_size];
    memset(&op->op, 0xDD, sizeof op->op); /* the private part may hold anything */
    memset(&op->draw, 0, sizeof *op - offsetof(struct model_op, draw));
    op->number = (uint8_t)model->ops_size++;
    op->key = item->key;
    op->draw = item->draw;
    op->effect = item->effect;
    op->takes_ns = item->takes_ns;
    op->fails_memory = item->fails_memory;
    op->is_canceled = item->is_canceled || (BUG(cancel_withdrawn) && op->number % 8 == 1);
    op->submitted_ns = model->now_ns;
    op->floor = model->rows[op->key].acknowledged;
    op->status = 1;
    op->op.key = key_text(op->key);
    op->op.key_size = strlen(op->op.key);
    op->op.private_hash = model->config->hash[op->key];
    op->op.private_state = BATCH__OP_ACCEPTED;
    op->op.private_canceled = item->is_canceled && !BUG(cancel_flag_late);
    return op;
}

static struct model_op *submit_op(struct model *model, struct model_node *node,
                                  const struct schedule_item *item)
{
    struct model_op *op = add_op(model, item);
    op->node = (uint8_t)node_number(model, node);
    op->op.start_by_ns = 0;
    if (item->start_by_ns != 0) {
        op->op.start_by_ns = model->now_ns + node->offset_ns + item->start_by_ns;
        saw(model, EVENT_expiry_set);
    }
    if (node != &model->nodes[op->key % model->config->nodes_size])
        saw(model, EVENT_misrouted);
    op->depth = (uint8_t)__builtin_popcountll(node->oracle.pending);
    node->oracle.pending |= op_bit(op->number);
    return op;
}

/* The keys of an item: bits. */
static uint32_t keys_of(const struct model *model, const struct schedule_item *item)
{
    uint32_t keys = (item->keys | 1U << item->key) & ((1U << model->config->keys_size) - 1);
    uint32_t size = (uint32_t)__builtin_popcount(keys);
    bool is_possible = size <= MODEL_PARTS && model->ops_size + size <= MODEL_OPS;
    return item->is_transaction && is_possible ? keys : 0;
}

static void submit_transaction(struct model *model, struct model_node *node,
                               const struct schedule_item *item, uint32_t keys)
{
    struct model_transaction *transaction = &model->transactions[model->transactions_size++];
    memset(transaction, 0xDD, sizeof *transaction);
    transaction->size = transaction->left = 0;
    transaction->is_complete = transaction->is_unsure = false;
    transaction->seen = 0;
    transaction->transaction.parts = transaction->parts;
    transaction->transaction.private_canceled = item->is_canceled && !BUG(cancel_flag_late);
    struct schedule_item one = *item;
    for (; keys != 0; keys &= keys - 1) {
        one.key = (uint8_t)__builtin_ctz(keys);
        one.effect = (uint8_t)((item->effect + transaction->size) % 3);
        struct model_op *op = submit_op(model, node, &one);
        batch_part *part = &transaction->parts[transaction->size];
        op->transaction = transaction;
        transaction->legs[transaction->size++] = op;
        part->private_leg.key = op->op.key;
        part->private_leg.key_size = op->op.key_size;
        part->private_leg.private_hash = op->op.private_hash;
        part->private_leg.start_by_ns = op->op.start_by_ns;
        part->private_leg.private_canceled = 0;
        op->is_canceled = transaction->legs[0]->is_canceled;
    }
    transaction->left = transaction->legs_size = transaction->size;
    transaction->transaction.parts_size = transaction->size;
    transaction->transaction.private_status = BATCH_OK;
    saw(model, transaction->size == 1 ? EVENT_transaction_of_one : EVENT_transaction);
}

void model_submit(struct model *model, const struct schedule_item *item)
{
    struct model_node *node = route(model, item->node);
    if (node == NULL) {
        model->tally->outcomes[OUTCOME_not_accepted]++;
        return;
    }
    uint8_t number = (uint8_t)model->ops_size;
    uint32_t keys = keys_of(model, item);
    if (keys != 0)
        submit_transaction(model, node, item, keys);
    else if (model->ops_size < MODEL_OPS)
        submit_op(model, node, item);
    else
        return;
    node->inbox[node->inbox_size++] = number;
    if (node->due_ns > model->now_ns)
        node->due_ns = model->now_ns;
}

/* As it is at the beginning. */
static void init(struct model *model, const struct schedule *schedule, struct tally *tally)
{
    wrong_begin(model);
    model->schedule = schedule;
    model->config = &schedule->config;
    model->tally = tally;
    model->now_ns = 0;
    model->hash = 0;
    model->steps = 0;
    model->item = 0;
    model->ops_size = 0;
    model->transactions_size = 0;
    model->units = 0;
    model->others_size = 0;
    model->oracle = (struct oracle){0};
    model_store_init(model);
    for (uint32_t i = 0; i < model->config->nodes_size; i++) {
        struct model_node *node = &model->nodes[i];
        node->offset_ns = model->config->offset_ns[i];
        node->iterations = 0;
        model_node_start(model, node);
    }
}

bool model_run(struct model *model, const struct schedule *schedule, struct tally *tally,
               void (*drive)(struct model *model, void *arg), void *arg)
{
    init(model, schedule, tally);
    if (setjmp(model->on_wrong) == 0)
        drive(model, arg);
    tally->schedules++;
    tally->calm += model->config->is_calm;
    tally->steps += model->steps;
    return model->format == NULL;
}

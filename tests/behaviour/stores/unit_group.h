/* unit_group.h: a group of calls, some of them in units, as it is planned and as it ends.
 *
 * A test plans the calls: what is stored before, what a stranger does between load and save, what
 * the table refuses. From the plan follows what must come of each. To get all calls into one group,
 * the save of another key is held at a gate until every operation has run; and to let strangers in
 * between, so is the save of the group.
 */
#ifndef BATCH_TEST_STORE_UNIT_GROUP_H
#define BATCH_TEST_STORE_UNIT_GROUP_H

#include "driver.h"
#include "gate.h"
#include "suite_parts.h"
#include "unit_store.h"

enum {
    CALLS_MAX = 4096,
    KEY_SIZE = 32,
    NOT_STORED = -1,
    OF_STRANGER = 500,
    ENCODE_MAX = 1000000 /* a larger number is not encoded */
};

enum stranger { STRANGER_NOT, STRANGER_WRITES, STRANGER_REMOVES };

struct planned {
    char key[KEY_SIZE];
    unsigned unit; /* 0: alone */
    bool is_check;
    bool is_refused; /* by the table, or because it cannot be encoded */
    int64_t before;  /* or NOT_STORED */
    enum stranger stranger;
    int64_t add;
};

struct unit_group {
    struct store_fixture *fixture;
    struct store_wrapper wrapper;
    struct gate alone; /* where the save of a key that is alone in its group is held, */
    struct gate gate;  /* and that of the others */
    struct latch ran;
    batch_options options;
    batch_processor *processor;
    struct request requests[CALLS_MAX];
    struct planned planned[CALLS_MAX];
    size_t size;
    size_t largest; /* group that was saved; written by sessions, one at a time */
};

/* The options may be changed before the start. */
struct unit_group *unit_group_new(struct store_fixture *fixture);
void unit_group_start(struct unit_group *group);
void unit_group_free(struct unit_group *group);

/* After a test: also ends the group of one that failed. */
int unit_group_tear_down(void **state);

/* What a wrapper that a test replaces does before each step. */
void unit_group_before_step(enum store_step step, size_t calls_size, void *group);

/* Plan a key that adds 1 to what is stored under it. */
struct planned *unit_plan(struct unit_group *group, unsigned unit, int64_t before);
struct planned *unit_plan_check(struct unit_group *group, unsigned unit, int64_t before);

/* One that the table refuses, as long as the rule is imposed; but not if it is only read. */
struct planned *unit_plan_poison(struct unit_group *group, unsigned unit, bool is_check,
                                 int64_t before);

/* Units `unit` and `unit + 1`, which nothing happens to, and a key that is alone. */
void unit_plan_bystanders(struct unit_group *group, unsigned unit, int64_t before);

/* Forget the plan, and what is stored. */
void unit_group_clear(struct unit_group *group);

/* Are they the same, or of one unit? */
bool unit_group_is_together(const struct planned *one, const struct planned *other);

/* What is stored before. */
void unit_group_prepare(struct unit_group *group);

/* Run all in one group; `meddle` is called after every load and before every save. */
void unit_group_run_with(struct unit_group *group, void (*meddle)(struct unit_group *group));

/* Do what strangers do, by the plan. */
void unit_group_strangers(struct unit_group *group);

/* What came of a call is what follows from the plan. */
void unit_group_assert_outcome(struct unit_group *group, size_t i);

/* Prepare, run with strangers, and look at every outcome. */
void unit_group_run(struct unit_group *group);

#endif

/* blame_test.c: whom an error belongs to, against a table of which some rows fail: who is failed,
 * and how many statements that takes. */
#include "stores/postgres/blame.h"
#include "test.h"

enum { KEYS_MAX = 5000, STATEMENTS_MAX = 100000 };

enum fate { PENDING, STORED, FAILED, ASIDE };

/* A group, and what the server makes of it. */
struct trial {
    size_t keys;
    bool is_poisoned[KEYS_MAX];
    const char *sqlstate; /* what the poisoned ones meet */
    bool has_context;
    bool fails_probe;     /* also a statement for no rows */
    size_t failures_left; /* of whatever is sent, then it passes */
    bool hands_over;      /* a load: keys before the poisoned one are handed over */
    /* What came of it: */
    enum fate fates[KEYS_MAX];
    size_t statements, failed_statements, probes, pauses, connections;
    bool is_over; /* BLAME_ALL_LATER */
};

static struct trial *trial_new(size_t keys, const char *sqlstate, bool has_context)
{
    struct trial *trial = calloc(1, sizeof *trial);
    assert_non_null(trial);
    assert_true(keys <= KEYS_MAX);
    trial->keys = keys;
    trial->sqlstate = sqlstate;
    trial->has_context = has_context;
    return trial;
}

static size_t count(const struct trial *trial, enum fate fate)
{
    size_t number = 0;
    for (size_t i = 0; i < trial->keys; i++)
        number += trial->fates[i] == fate;
    return number;
}

/* Send a part: true if it fails; `ret_left` for how many. */
static bool fails(struct trial *trial, const size_t *part, size_t size, size_t *ret_left)
{
    *ret_left = size;
    if (trial->failures_left > 0) {
        trial->failures_left--;
        return true;
    }
    if (size == 0)
        return trial->fails_probe;
    size_t first = 0;
    while (first < size && !trial->is_poisoned[part[first]])
        first++;
    for (size_t i = 0; i < size && (first == size || (trial->hands_over && i < first)); i++) {
        trial->fates[part[i]] = STORED;
        --*ret_left;
    }
    return first < size;
}

static void fate_of_all(struct trial *trial, enum fate from, enum fate to)
{
    for (size_t i = 0; i < trial->keys; i++) {
        if (trial->fates[i] == from)
            trial->fates[i] = to;
    }
}

static void send_next(struct trial *trial, struct batch__postgres_blame *blame)
{
    struct batch__postgres_error error = {.code = batch__postgres_code(trial->sqlstate),
                                          .has_context = trial->has_context};
    size_t pending = count(trial, PENDING), size = 0, left;
    size_t part[KEYS_MAX];
    struct batch__postgres_part next = batch__postgres_blame_next(blame, pending);
    assert_true(next.is_probe == (next.size == 0));
    assert_true(next.first < pending);
    for (size_t i = 0; i < trial->keys && size < next.size; i++) {
        if (trial->fates[i] == PENDING && next.first-- == 0) {
            part[size++] = i;
            next.first = 0;
        }
    }
    trial->statements++;
    trial->probes += size == 0;
    if (!fails(trial, part, size, &left)) {
        batch__postgres_blame_succeeded(blame, size);
        return;
    }
    trial->failed_statements++;
    switch (batch__postgres_blame_failed(blame, size, left, &error)) {
    case BATCH__POSTGRES_BLAME_STALE:
        trial->connections++;
        break;
    case BATCH__POSTGRES_BLAME_LATER:
        trial->pauses++;
        break;
    case BATCH__POSTGRES_BLAME_PART:
        break;
    case BATCH__POSTGRES_BLAME_ONE:
        assert_int_equal(size, 1);
        trial->fates[part[0]] = FAILED;
        break;
    case BATCH__POSTGRES_BLAME_ASIDE:
        assert_int_equal(size, 1);
        trial->fates[part[0]] = ASIDE;
        break;
    case BATCH__POSTGRES_BLAME_ALL:
        fate_of_all(trial, PENDING, FAILED);
        break;
    case BATCH__POSTGRES_BLAME_ALL_LATER:
        trial->is_over = true;
        break;
    }
}

static void run(struct trial *trial)
{
    struct batch__postgres_blame blame;
    batch__postgres_blame_init(&blame, trial->keys);
    while (count(trial, PENDING) > 0 && !trial->is_over) {
        send_next(trial, &blame);
        assert_true(trial->statements < STATEMENTS_MAX);
    }
}

/* Everybody but the poisoned ones is stored. */
static void assert_only_the_poisoned(const struct trial *trial, enum fate fate)
{
    for (size_t i = 0; i < trial->keys; i++)
        assert_int_equal(trial->fates[i], trial->is_poisoned[i] ? fate : STORED);
}

static size_t halvings(size_t keys)
{
    size_t number = 0;
    while (keys > 1) {
        keys = (keys + 1) / 2;
        number++;
    }
    return number;
}

TEST(test_without_an_error_a_group_is_one_statement)
{
    struct trial *trial = trial_new(KEYS_MAX, "23514", false);
    run(trial);
    assert_int_equal(trial->statements, 1);
    assert_int_equal(count(trial, STORED), KEYS_MAX);
    free(trial);
}

static const struct {
    const char *sqlstate;
    bool has_context;
    size_t more; /* statements than for halving: probes, samples, what is sent again */
    enum fate fate;
} errors[] = {
    {"23514", false, 0, FAILED}, /* a constraint */
    {"22012", false, 0, FAILED}, /* a cast, a generated column */
    {"22012", true, 1, FAILED},  /* a trigger that divides by zero */
    {"P0001", true, 1, FAILED},  /* one that raises an error */
    {"42P01", true, 3, FAILED},  /* one that misses a table */
    {"57P01", true, 3, FAILED},  /* one that lies */
    {"08006", true, 3, FAILED},  {"25006", true, 3, FAILED}, {"0A000", true, 3, FAILED},
    {"26000", true, 3, FAILED},  {"53100", true, 3, FAILED}, {"XX000", true, 3, FAILED},
    {"40001", true, 5, ASIDE},   {"40P01", true, 5, ASIDE},  {"57014", true, 5, ASIDE},
    {"55P03", true, 3, ASIDE},   /* others have it locked */
    {"53200", false, 3, FAILED}, /* too large for the server's memory */
    {"53100", false, 3, FAILED}, /* or for the disk */
    {"42501", false, 3, FAILED}, /* a policy that rejects it */
    {"XX001", false, 3, FAILED}, /* a damaged page */
    {"0A000", false, 4, FAILED}, /* a partition that is a foreign table */
    {"55P03", false, 5, ASIDE},  /* a partition that is locked */
};

/* Wherever it is, it costs the others no more than a statement per halving. */
TEST(test_one_poisoned_key_fails_alone)
{
    static const size_t sizes[] = {1, 2, 3, 10, 1000, KEYS_MAX};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            size_t keys = sizes[j];
            size_t step = keys < 20 ? 1 : keys / 20;
            for (size_t odd = 0; odd < keys; odd = odd == 0 ? 1 : odd + step) {
                struct trial *trial = trial_new(keys, errors[i].sqlstate, errors[i].has_context);
                trial->is_poisoned[odd] = true;
                run(trial);
                bool is_transient_and_alone = trial->is_over;
                if (!is_transient_and_alone)
                    assert_only_the_poisoned(trial, errors[i].fate);
                if (trial->statements > 2 + 2 * halvings(keys) + errors[i].more)
                    fail_msg("%s, %zu of %zu: %zu statements", errors[i].sqlstate, odd, keys,
                             trial->statements);
                free(trial);
            }
        }
    }
}

/* A probe that fails means that all fail: also one that is poisoned alone would not make it so. */
TEST(test_what_all_meet_without_rows_takes_a_constant_number_of_statements)
{
    for (size_t i = 2; i < sizeof errors / sizeof errors[0]; i++) {
        size_t statements[2];
        for (size_t j = 0; j < 2; j++) {
            struct trial *trial =
                trial_new(j == 0 ? 100 : KEYS_MAX, errors[i].sqlstate, errors[i].has_context);
            memset(trial->is_poisoned, true, sizeof trial->is_poisoned);
            trial->fails_probe = true;
            run(trial);
            bool may_pass = errors[i].fate == ASIDE;
            assert_int_equal(trial->is_over, may_pass);
            assert_int_equal(count(trial, STORED), 0);
            if (trial->statements > 6)
                fail_msg("%s: %zu statements", errors[i].sqlstate, trial->statements);
            statements[j] = trial->statements;
            free(trial);
        }
        assert_int_equal(statements[0], statements[1]);
    }
}

TEST(test_what_every_row_meets_takes_a_constant_number_of_statements)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct trial *trial = trial_new(KEYS_MAX, errors[i].sqlstate, errors[i].has_context);
        memset(trial->is_poisoned, true, sizeof trial->is_poisoned);
        run(trial);
        assert_int_equal(count(trial, STORED), 0);
        bool is_of_values = i < 4;
        size_t singles = is_of_values            ? BATCH__POSTGRES_SINGLES_ROW
                         : errors[i].has_context ? BATCH__POSTGRES_SINGLES_IN_CONTEXT
                                                 : BATCH__POSTGRES_SINGLES_PLAIN;
        size_t most = singles + errors[i].more + (is_of_values ? halvings(KEYS_MAX) : 0);
        if (trial->statements > most)
            fail_msg("%s: %zu statements", errors[i].sqlstate, trial->statements);
        free(trial);
    }
}

/* Whatever the share of the poisoned, nobody else fails for it. */
TEST(test_many_poisoned_keys_fail_alone)
{
    static const size_t each[] = {2, 3, 7, 100};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (size_t j = 0; j < sizeof each / sizeof each[0]; j++) {
            struct trial *trial = trial_new(1000, errors[i].sqlstate, errors[i].has_context);
            size_t poisoned = 0;
            for (size_t k = 0; k < trial->keys; k++)
                poisoned += trial->is_poisoned[k] = k % each[j] == 0;
            run(trial);
            assert_only_the_poisoned(trial, errors[i].fate);
            assert_true(trial->statements <= 10 + 18 * poisoned);
            free(trial);
        }
    }
}

/* Half of them, one beside the other. */
TEST(test_a_poisoned_half_fails_alone)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        struct trial *trial = trial_new(1000, errors[i].sqlstate, errors[i].has_context);
        memset(trial->is_poisoned, true, 500);
        run(trial);
        assert_only_the_poisoned(trial, errors[i].fate);
        assert_true(trial->statements <= 550);
        free(trial);
    }
}

/* A trial with errors about values: all rows but some good ones, from `first` on, are rejected. */
static struct trial *run_rejected(size_t error, size_t keys, size_t first, size_t good)
{
    struct trial *trial = trial_new(keys, errors[error].sqlstate, errors[error].has_context);
    memset(trial->is_poisoned, true, sizeof trial->is_poisoned);
    for (size_t i = first; i < first + good && i < keys; i++)
        trial->is_poisoned[i] = false;
    run(trial);
    return trial;
}

TEST(test_one_good_key_among_as_many_rejected_ones_as_are_tried_is_stored)
{
    size_t keys = BATCH__POSTGRES_SINGLES_ROW;
    for (size_t i = 0; i < 4; i++) {
        for (size_t good = 0; good < keys; good += 15) {
            struct trial *trial = run_rejected(i, keys, good, 1);
            assert_only_the_poisoned(trial, FAILED);
            free(trial);
        }
    }
}

/* One of them is among those that are tried, and then each is asked about. */
TEST(test_two_in_a_hundred_good_keys_among_rejected_ones_are_stored)
{
    for (size_t i = 0; i < 4; i++) {
        for (size_t first = 0; first < KEYS_MAX; first += KEYS_MAX / 10) {
            struct trial *trial = run_rejected(i, KEYS_MAX, first, KEYS_MAX / 50);
            assert_only_the_poisoned(trial, FAILED);
            free(trial);
        }
    }
}

/* Rejected at two places: nothing shows that there is one reason for all. */
TEST(test_rows_that_are_rejected_for_different_reasons_are_each_tried)
{
    struct batch__postgres_blame blame;
    struct batch__postgres_error error = {.code = batch__postgres_code("23514")};
    size_t pending = KEYS_MAX;
    batch__postgres_blame_init(&blame, KEYS_MAX);
    for (size_t i = 0; pending > 0; i++) {
        struct batch__postgres_part part = batch__postgres_blame_next(&blame, pending);
        error.origin = (uint32_t)(i % 200 == 0);
        enum batch__postgres_blamed blamed =
            batch__postgres_blame_failed(&blame, part.size, part.size, &error);
        assert_int_not_equal(blamed, BATCH__POSTGRES_BLAME_ALL);
        pending -= blamed == BATCH__POSTGRES_BLAME_ONE;
    }
}

TEST(test_what_passes_is_sent_again)
{
    static const struct {
        const char *sqlstate;
        size_t failures;
        bool is_stale;
    } cases[] = {{"40001", 2, false}, {"57014", 1, false}, {"25006", 1, true},
                 {"42P01", 1, true},  {"42883", 1, true},  {"26000", 1, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trial *trial = trial_new(1000, cases[i].sqlstate, false);
        trial->failures_left = cases[i].failures;
        run(trial);
        assert_int_equal(count(trial, STORED), 1000);
        assert_int_equal(trial->statements, 1 + cases[i].failures);
        assert_int_equal(cases[i].is_stale ? trial->connections : trial->pauses, cases[i].failures);
        free(trial);
    }
}

/* Rows come before the error: so many fewer are left to look at. */
TEST(test_a_load_hands_over_what_comes_before_the_error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (size_t odd = 0; odd < 1000; odd += 111) {
            struct trial *trial = trial_new(1000, errors[i].sqlstate, errors[i].has_context);
            trial->hands_over = true;
            trial->is_poisoned[odd] = true;
            run(trial);
            assert_only_the_poisoned(trial, errors[i].fate);
            assert_true(trial->statements <= 2 + 2 * halvings(1000) + errors[i].more);
            free(trial);
        }
    }
}

/* A lost connection, again and again: nothing says that it is of a row. */
TEST(test_a_connection_that_is_lost_is_tried_again)
{
    struct batch__postgres_blame blame;
    size_t later = 0;
    batch__postgres_blame_init(&blame, 1000);
    for (int i = 0; i < 1000; i++) {
        struct batch__postgres_part part = batch__postgres_blame_next(&blame, 1000);
        enum batch__postgres_blamed blamed =
            batch__postgres_blame_failed(&blame, part.size, part.size, NULL);
        assert_int_not_equal(blamed, BATCH__POSTGRES_BLAME_ALL);
        assert_int_not_equal(blamed, BATCH__POSTGRES_BLAME_ONE);
        later += blamed == BATCH__POSTGRES_BLAME_LATER || blamed == BATCH__POSTGRES_BLAME_ALL_LATER;
    }
    assert_true(later > 300); /* each time with a pause */
}

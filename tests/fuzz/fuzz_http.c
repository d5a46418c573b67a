/* fuzz_http.c: what train-server reads of strangers: the target of a request; and its command line,
 * of which a connection string must never be shown. The first byte chooses.
 */
#include "fuzz.h"

#include "booking/train_codec.h"
#include "http/options.h"
#include "http/response.h"
#include "table/store_options.h"

#include <getopt.h>

enum { SUBJECT_TARGET, SUBJECT_NAMES, SUBJECT_OPTIONS, SUBJECT_NAME_IN_SQL, SUBJECTS };

static uint64_t subjects[SUBJECTS];
static uint64_t kinds[TARGET_UNKNOWN + 1];
static uint64_t stores_hidden;

/* ---- Responses ------------------------------------------------------------------------------ */

static void expect_response(struct request *request)
{
    struct response response = response_make(request);
    unsigned http = response.http_status;
    fuzz_expect(http == 200 || http == 400 || http == 500 || http == 503 || http == 504);
    fuzz_expect(request->booking.status == BATCH_OK || http >= 500);
    fuzz_expect((http == 504) ==
                (request->booking.status == BATCH_UNKNOWN && request->target.kind == TARGET_BOOK));
    fuzz_expect(response.body_size > 0 && response.body[response.body_size - 1] == '\n');
    fuzz_expect(response.body == request->booking.json ||
                response.body_size <= sizeof request->body);
    fuzz_expect(!response.retry_later || http == 503);
    for (size_t i = 0; i + 1 < response.body_size; i++)
        fuzz_expect(response.body[i] != '\n'); /* one line */
}

/* Whatever became of it. */
static void expect_responses(const struct target *target, struct fuzz_bytes *bytes)
{
    static struct request request;
    static const enum train_result last = TRAIN_NO_MEMORY;
    memset(&request, 0xDD, sizeof request);
    request.target = *target;
    request.booking.json = NULL;
    memset(request.booking.message, 'm', sizeof request.booking.message - 1); /* the longest */
    request.booking.message[sizeof request.booking.message - 1] = '\0';
    for (int status = 0; status < BATCH_STATUS_COUNT; status++) {
        request.booking.status = -status;
        request.booking.result = (enum train_result)(fuzz_byte(bytes) % ((unsigned)last + 1));
        expect_response(&request);
    }
    struct train train;
    fuzz_expect(train_init(&train, 1 + fuzz_byte(bytes)));
    if (target->kind == TARGET_BOOK)
        train_book(&train, target->seat, target->person, target->person_size);
    request.booking.json = train_encode(&train, &request.booking.json_size);
    request.booking.status = BATCH_OK;
    request.booking.result = TRAIN_BOOKED;
    expect_response(&request);
    free(request.booking.json);
    train_release(&train);
}

/* ---- Targets -------------------------------------------------------------------------------- */

static void expect_same(const struct target *target, const struct target *again)
{
    fuzz_expect(again->kind == target->kind);
    fuzz_expect(again->train_size == target->train_size);
    fuzz_expect(memcmp(again->train, target->train, target->train_size) == 0);
    if (target->kind != TARGET_BOOK)
        return;
    fuzz_expect(again->seat == target->seat);
    fuzz_expect(again->person_size == target->person_size);
    fuzz_expect(memcmp(again->person, target->person, target->person_size) == 0);
}

/* Written as a target again, it says the same. */
static void expect_round_trip(const struct target *target)
{
    char uri[3 * (TARGET_TRAIN_MAX + TARGET_PERSON_MAX) + 64];
    bool is_book = target->kind == TARGET_BOOK;
    size_t at = (size_t)sprintf(uri, "%s", is_book ? "/book?train=" : "/trains/");
    at += target_escape(uri + at, target->train, target->train_size);
    if (is_book) {
        at += (size_t)sprintf(uri + at, "&seat=%u&person=", (unsigned)target->seat);
        at += target_escape(uri + at, target->person, target->person_size);
    }
    uri[at] = '\0';
    for (size_t i = 0; i < at; i++)
        fuzz_expect(uri[i] > ' ' && uri[i] <= '~');
    struct target again;
    target_parse(&again, uri);
    expect_same(target, &again);
}

static void expect_target(const struct target *target, struct fuzz_bytes *bytes)
{
    kinds[target->kind]++;
    fuzz_expect((target->kind == TARGET_INVALID) == (target->wrong != NULL));
    fuzz_expect(target->train_size <= TARGET_TRAIN_MAX);
    fuzz_expect(target->person_size <= TARGET_PERSON_MAX);
    if (target->kind != TARGET_BOOK && target->kind != TARGET_TRAIN)
        return;
    fuzz_expect(target->train_size > 0);
    fuzz_expect(target_train_is_text(target) == fuzz_is_utf8(target->train, target->train_size));
    fuzz_expect(memchr(target->train, '\0', target->train_size) == NULL);
    if (target->kind == TARGET_BOOK) {
        fuzz_expect(target->person_size > 0);
        fuzz_expect(fuzz_is_utf8(target->person, target->person_size));
        fuzz_expect(memchr(target->person, '\0', target->person_size) == NULL);
    }
    expect_round_trip(target);
    expect_responses(target, bytes);
}

static void try_target(struct fuzz_bytes *bytes)
{
    size_t size;
    char *uri = fuzz_take(bytes, bytes->left, true, &size);
    struct target target;
    memset(&target, 0xDD, sizeof target);
    target_parse(&target, uri);
    expect_target(&target, bytes);
    free(uri);
}

/* Any bytes but NUL as names: they come through, or are refused for a reason that is known. */
static void try_names(struct fuzz_bytes *bytes)
{
    struct target target = {.kind = TARGET_BOOK};
    size_t size;
    target.seat = fuzz_byte(bytes);
    char *train = fuzz_take(bytes, 1 + fuzz_byte(bytes) % TARGET_TRAIN_MAX, false, &size);
    memcpy(target.train, train, size);
    target.train_size = size;
    char *person = fuzz_take(bytes, 1 + fuzz_byte(bytes) % TARGET_PERSON_MAX, false, &size);
    memcpy(target.person, person, size);
    target.person_size = size;
    bool has_nul = memchr(target.train, '\0', target.train_size) != NULL ||
                   memchr(target.person, '\0', target.person_size) != NULL;
    if (target.train_size > 0 && size > 0 && !has_nul && fuzz_is_utf8(person, size))
        expect_round_trip(&target);
    free(train);
    free(person);
}

/* ---- The command line ----------------------------------------------------------------------- */

enum { ARGUMENTS_MAX = 12, OUTPUT_SIZE = 8192 };

struct said {
    enum options_result result;
    struct options options;
    char text[OUTPUT_SIZE];
};

/* What options_read says on either output. getopt_long moves the arguments about, so `arguments`
 * is copied. */
static void read_options(char **arguments, int arguments_size, struct said *ret_said)
{
    char *moved[ARGUMENTS_MAX + 1];
    memcpy(moved, arguments, (size_t)arguments_size * sizeof *moved);
    moved[arguments_size] = NULL;
    memset(ret_said, 0, sizeof *ret_said);
    FILE *out = stdout;
    FILE *err = stderr;
    stdout = stderr = fmemopen(ret_said->text, sizeof ret_said->text - 1, "w");
    fuzz_expect(stdout != NULL);
    optind = 0;
    struct options *options = &ret_said->options;
    options->office.window_ms = 100;
    options->office.sessions = 3;
    options->office.seats = OPTIONS_SEATS_DEFAULT;
    options->help = "help\n";
    options->own[0] = (struct option_number){"window-ms", 0, 5000, &options->office.window_ms};
    ret_said->result = options_read(options, arguments_size, moved);
    fclose(stdout);
    stdout = out;
    stderr = err;
}

static void expect_options(const struct options *options)
{
    fuzz_expect(options->office.store.kind != STORE_NONE && options->office.store.where != NULL);
    fuzz_expect(options->office.store.table[0] != '\0' &&
                options->office.store.state_column[0] != '\0');
    fuzz_expect(options->office.store.key_column[0] != '\0' &&
                options->office.store.version_column[0] != '\0');
    fuzz_expect(options->address[0] != '\0' && strlen(options->address) < sizeof options->address);
    fuzz_expect(strtoul(options->port, NULL, 10) <= 65535);
    fuzz_expect(options->office.window_ms <= 5000 && options->drain_ms <= 60000);
    fuzz_expect(options->office.sessions >= 1 && options->office.sessions <= 256);
    fuzz_expect(options->office.seats >= 1 && options->office.seats <= TRAIN_SEATS_MAX);
}

/* The conninfo without what makes it a URI. */
static char *secret_of(const char *where)
{
    static const char *const schemes[] = {"postgres://", "postgresql://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strncmp(where, schemes[i], strlen(schemes[i])) == 0)
            where += strlen(schemes[i]);
    }
    return (char *)(uintptr_t)where; /* an argument, which is not const */
}

/* With other letters in the conninfo it says the same. */
static void expect_hidden(char **arguments, int arguments_size, const struct said *said)
{
    if (said->options.office.store.kind != STORE_POSTGRES)
        return;
    static struct said again;
    char *secret = secret_of(said->options.office.store.where);
    stores_hidden += secret[0] != '\0';
    memset(secret, 'Z', strlen(secret));
    read_options(arguments, arguments_size, &again);
    fuzz_expect(again.options.office.store.kind == STORE_POSTGRES);
    fuzz_expect(again.result == said->result);
    fuzz_expect(strcmp(again.text, said->text) == 0);
}

static void try_options(struct fuzz_bytes *bytes)
{
    static struct said said;
    char name[] = "train-server";
    char *arguments[ARGUMENTS_MAX + 1] = {name};
    int size = 1;
    while (size < ARGUMENTS_MAX && bytes->left > 0) {
        size_t unused;
        arguments[size++] = fuzz_take(bytes, bytes->left, true, &unused);
    }
    arguments[size] = NULL;
    read_options(arguments, size, &said);
    if (said.result == OPTIONS_RUN)
        expect_options(&said.options);
    else
        fuzz_expect(said.text[0] != '\0');
    expect_hidden(arguments, size, &said);
    for (int i = 1; i < size; i++)
        free(arguments[i]);
}

/* ---- Names in SQL --------------------------------------------------------------------------- */

/* A name in quotes ends where it should, whatever is in it. */
static void try_name_in_sql(struct fuzz_bytes *bytes)
{
    size_t size;
    char *name = fuzz_take(bytes, bytes->left, true, &size);
    struct store_options options = {STORE_SQLITE, NULL, name, name, name, name};
    char *sql = store_options_sql(&options, "<%t>");
    fuzz_expect(sql != NULL);
    const char *at = sql + 2;
    fuzz_expect(memcmp(sql, "<\"", 2) == 0);
    for (size_t i = 0; i < size; i++) {
        fuzz_expect(*at == name[i]);
        at += name[i] == '"' ? 1 : 0;
        fuzz_expect(*at++ == name[i]);
    }
    fuzz_expect(strcmp(at, "\">") == 0);
    free(sql);
    free(name);
}

/* ---- All ------------------------------------------------------------------------------------ */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_size)
{
    static void (*const tries[SUBJECTS])(struct fuzz_bytes * bytes) = {
        try_target, try_names, try_options, try_name_in_sql};
    struct fuzz_bytes left = {bytes, bytes_size};
    unsigned subject = fuzz_byte(&left) % SUBJECTS;
    subjects[subject]++;
    tries[subject](&left);
    return 0;
}

bool fuzz_is_complete(void)
{
    bool is_complete = stores_hidden > 0;
    for (size_t i = 0; i < SUBJECTS; i++)
        is_complete &= subjects[i] > 0;
    for (size_t i = 0; i <= TARGET_UNKNOWN; i++)
        is_complete &= kinds[i] > 0;
    printf("%s\n", is_complete ? "all was tried" : "something was never tried");
    return is_complete;
}

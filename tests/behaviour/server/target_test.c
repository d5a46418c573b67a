/* What a request asks for, and the response to it. */

#include "http/response.h"
#include "random.h"
#include "test.h"

static struct target parse(const char *uri)
{
    struct target target;
    target_parse(&target, uri);
    return target;
}

static struct target parse_as(enum target_kind kind, const char *uri)
{
    struct target target = parse(uri);
    if (target.kind != kind)
        fail_msg("%s: kind %d and not %d", uri, (int)target.kind, (int)kind);
    return target;
}

static void assert_unknown(const char *const *uris, size_t size)
{
    for (size_t i = 0; i < size; i++)
        parse_as(TARGET_UNKNOWN, uris[i]);
}

static void assert_train(const struct target *target, const char *name, size_t size)
{
    assert_int_equal(target->train_size, size);
    assert_memory_equal(target->train, name, size);
}

TEST(a_booking_is_read)
{
    struct target target = parse_as(TARGET_BOOK, "/book?train=berlin&person=ann&seat=12");
    assert_train(&target, "berlin", 6);
    assert_int_equal(target.person_size, 3);
    assert_memory_equal(target.person, "ann", 3);
    assert_int_equal(target.seat, 12);
}

TEST(parameters_may_come_in_any_order_with_others)
{
    struct target target = parse_as(TARGET_BOOK, "/book?seat=1&x=%zz&&flag&person=p&train=t&");
    assert_train(&target, "t", 1);
}

TEST(names_are_decoded)
{
    struct target target =
        parse_as(TARGET_BOOK, "/book?train=a%01%2f%FF%3D&person=%c3%bc+%2B&seat=007");
    assert_train(&target, "a\1/\xff=", 5);
    assert_int_equal(target.person_size, 4);
    assert_memory_equal(target.person, "\xc3\xbc +", 4);
    assert_int_equal(target.seat, 7);
}

TEST(a_train_is_the_rest_of_its_path)
{
    struct target target = parse_as(TARGET_TRAIN, "/trains/a+b/c%20d?x=y");
    assert_train(&target, "a+b/c d", 7);
}

TEST(a_target_may_be_absolute)
{
    struct target target = parse_as(TARGET_TRAIN, "http://a:80/trains/b?c");
    assert_train(&target, "b", 1);
    parse_as(TARGET_HEALTH, "HTTPS://a/health");
    parse_as(TARGET_BOOK, "http://a/book?train=t&person=p&seat=1");
    static const char *const unknown[] = {"http://",      "http://a",       "http://a?/health",
                                          "http:/health", "ftp://a/health", "http://a//health"};
    assert_unknown(unknown, sizeof unknown / sizeof unknown[0]);
}

TEST(other_paths_are_unknown)
{
    static const char *const unknown[] = {
        "",        "//",        "/boo",     "/book/", "/bookx?train=t", "/trains", "book",
        "/BOOK?a", "//trains/", "/book%3f", "*",      "?train"};
    assert_unknown(unknown, sizeof unknown / sizeof unknown[0]);
    assert_int_equal(parse(NULL).kind, TARGET_UNKNOWN);
}

TEST(what_is_wrong_is_reported)
{
    static const char *const wrong[][2] = {
        {"/book", "missing"},
        {"/book?", "missing"},
        {"/book?train=t&person=p", "missing"},
        {"/book?train=t&seat=1", "missing"},
        {"/book?person=p&seat=1", "missing"},
        {"/book?train=t&train=t&person=p&seat=1", "twice"},
        {"/book?train=t&person=p&seat=1&seat=1", "twice"},
        {"/book?train=t&person=p&seat=", "empty"},
        {"/book?train=t&person=p&seat", "empty"},
        {"/book?train=t&person=p&seat=x", "not a number"},
        {"/book?train=t&person=p&seat=-1", "not a number"},
        {"/book?train=t&person=p&seat=1.5", "not a number"},
        {"/book?train=t&person=p&seat=+1", "not a number"},
        {"/book?train=t&person=p&seat=%31", "not a number"},
        {"/book?train=t&person=p&seat=99999999999999999999x", "not a number"},
        {"/book?train=t&person=&seat=1", "empty"},
        {"/book?train=&person=p&seat=1", "empty"},
        {"/book?train=t&person=%&seat=1", "broken"},
        {"/book?train=t&person=%a&seat=1", "broken"},
        {"/book?train=t&person=%ag&seat=1", "broken"},
        {"/book?train=%zz&person=p&seat=1", "broken"},
        {"/book?train=a b&person=p&seat=1", "broken"},
        {"/book?train=%00&person=p&seat=1", "NUL"},
        {"/book?train=a%00b&person=p&seat=1", "NUL"},
        {"/book?train=t&person=a%00&seat=1", "NUL"},
        {"/book?train=t&person=p&seat=%00", "not a number"},
        {"/book?train=t&person=%ff&seat=1", "UTF-8"},
        {"/book?train=t&person=%c0%80&seat=1", "UTF-8"},
        {"/book?train=t&person=%ed%a0%80&seat=1", "UTF-8"},
        {"/book?train=t&person=%f4%90%80%80&seat=1", "UTF-8"},
        {"/book?train=t&person=%e2%82&seat=1", "UTF-8"},
        {"/trains/", "empty"},
        {"/trains/%f", "broken"},
        {"/trains/a%00b", "NUL"},
        {"/trains/%00", "NUL"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct target target = parse_as(TARGET_INVALID, wrong[i][0]);
        assert_non_null(strstr(target.wrong, wrong[i][1]));
    }
}

TEST(names_have_limits)
{
    char uri[1000];
    for (int over = 0; over <= 1; over++) {
        snprintf(uri, sizeof uri, "/book?train=%0*d&person=p&seat=1", TARGET_TRAIN_MAX + over, 0);
        assert_int_equal(parse(uri).kind, over ? TARGET_INVALID : TARGET_BOOK);
        snprintf(uri, sizeof uri, "/book?train=t&person=%0*d&seat=1", TARGET_PERSON_MAX + over, 0);
        assert_int_equal(parse(uri).kind, over ? TARGET_INVALID : TARGET_BOOK);
        snprintf(uri, sizeof uri, "/trains/%0*d", TARGET_TRAIN_MAX + over, 0);
        assert_int_equal(parse(uri).kind, over ? TARGET_INVALID : TARGET_TRAIN);
    }
}

TEST(a_seat_too_large_for_any_train_is_for_the_train_to_refuse)
{
    struct target target = parse_as(TARGET_BOOK, "/book?train=t&person=p&seat=4294967297");
    assert_true(target.seat > TRAIN_SEATS_MAX);
}

/* Every name comes back from its escaped form. */
TEST(escaping_is_undone_by_reading)
{
    char name[TARGET_TRAIN_MAX];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (char)(i < 156 ? i + 100 : i - 155); /* all but NUL */
    char uri[3 * sizeof name + 16] = "/trains/";
    size_t size = strlen(uri);
    size += target_escape(uri + size, name, sizeof name);
    uri[size] = '\0';
    struct target target = parse_as(TARGET_TRAIN, uri);
    assert_train(&target, name, sizeof name);
    assert_int_equal(target_escape(uri, "aZ09-._~", 8), 8);
    assert_memory_equal(uri, "aZ09-._~", 8);
}

TEST(health_is_a_page)
{
    parse_as(TARGET_HEALTH, "/health");
    parse_as(TARGET_HEALTH, "/health?from=haproxy");
    parse_as(TARGET_PAGE, "/");
    parse_as(TARGET_PAGE, "/?train=berlin");
    parse_as(TARGET_PAGE, "http://t/");
    parse_as(TARGET_FIGURES, "/figures");
    parse_as(TARGET_METRICS, "/metrics");
    parse_as(TARGET_UNKNOWN, "/metrics/");
    parse_as(TARGET_UNKNOWN, "/health/");
    parse_as(TARGET_UNKNOWN, "/healthy");
}

TEST(a_name_that_a_column_of_text_can_hold)
{
    static const struct {
        const char *uri;
        bool is_text;
    } cases[] = {
        {"/trains/berlin", true}, {"/trains/%f0%9f%9a%82", true},   {"/trains/a%22%5c%0a", true},
        {"/trains/%ff", false},   {"/trains/%ed%a0%80%20x", false}, {"/trains/%c0%80", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct target target = parse_as(TARGET_TRAIN, cases[i].uri);
        assert_int_equal(target_train_is_text(&target), cases[i].is_text);
    }
}

/* Mutations of a good target: no byte sequence does harm, and what is accepted is within limits. */
TEST(any_bytes_are_read_safely)
{
    static const char good[] = "/book?train=t%41&person=%c3%bc&seat=12";
    struct random random = {1};
    for (int round = 0; round < 200000; round++) {
        char uri[sizeof good];
        memcpy(uri, good, sizeof good);
        for (int changes = 0; changes < 3; changes++) {
            uri[random_below(&random, sizeof good - 1)] = (char)random_next(&random);
        }
        struct target target = parse(uri);
        assert_true(target.train_size <= TARGET_TRAIN_MAX);
        assert_true(target.person_size <= TARGET_PERSON_MAX);
        assert_true((target.kind == TARGET_INVALID) == (target.wrong != NULL));
    }
}

/* ---- Responses ------------------------------------------------------------------------------- */

static struct request *new_request(const char *uri)
{
    struct request *request = calloc(1, sizeof *request);
    assert_non_null(request);
    target_parse(&request->target, uri);
    strcpy(request->booking.message, "the reason");
    return request;
}

static void assert_response(struct request *request, unsigned http_status, const char *part)
{
    assert_int_equal(response_status(request), http_status);
    struct response response = response_make(request);
    assert_int_equal(response.http_status, http_status);
    char body[2000];
    assert_true(response.body_size < sizeof body);
    memcpy(body, response.body, response.body_size);
    body[response.body_size] = '\0';
    assert_non_null(strstr(body, part));
    assert_true(response.retry_later == (http_status == 503));
}

TEST(each_result_has_a_status_and_a_sentence)
{
    struct request *request = new_request("/book?train=a%20b&person=p&seat=7");
    request->booking.result = TRAIN_BOOKED;
    assert_response(request, 200, "a%20b 7 p\n");
    request->booking.result = TRAIN_YOURS;
    assert_response(request, 200, "a%20b 7 p\n");
    request->booking.result = TRAIN_NO_SEAT;
    assert_response(request, 400, "no such seat");
    request->booking.result = TRAIN_TAKEN;
    assert_response(request, 400, "another person's");
    request->booking.result = TRAIN_HAS_ANOTHER;
    assert_response(request, 400, "has another seat");
    request->booking.result = TRAIN_NO_MEMORY;
    assert_response(request, 500, "memory");
    free(request);
}

TEST(a_failed_batch_is_reported_whatever_the_result)
{
    struct request *request = new_request("/book?train=t&person=p&seat=1");
    for (int result = TRAIN_BOOKED; result <= TRAIN_NO_MEMORY; result++) {
        request->booking.result = (enum train_result)result;
        request->booking.status = BATCH_SAVE_FAILED;
        assert_response(request, 500, "Nothing was changed: the reason");
        request->booking.status = BATCH_CONFLICT;
        assert_response(request, 503, "Nothing was changed. Try again later: the reason");
        request->booking.status = BATCH_LOAD_FAILED;
        assert_response(request, 500, "Nothing was changed: the reason");
        request->booking.status = BATCH_UNKNOWN;
        assert_response(request, 504, "may or may not have been saved");
        request->booking.status = BATCH_BUSY;
        assert_response(request, 503, "Try again later: the reason");
        request->booking.status = BATCH_STOPPED;
        assert_response(request, 503, "Try again later: the reason");
    }
    free(request);
}

/* A view saves nothing, so its outcome is never unknown. */
TEST(a_view_that_fails_is_reported)
{
    struct request *request = new_request("/trains/t");
    request->booking.status = BATCH_LOAD_FAILED;
    assert_response(request, 500, "could not be read: the reason");
    request->booking.status = BATCH_UNKNOWN;
    assert_response(request, 500, "could not be read: the reason");
    request->booking.status = BATCH_BUSY;
    assert_response(request, 503, "could not be read: the reason");
    request->booking.status = BATCH_CONFLICT;
    assert_response(request, 503, "could not be read: the reason");
    free(request);
}

TEST(the_longest_responses_fit)
{
    char uri[1000] = "/book?train=";
    for (int i = 0; i < TARGET_TRAIN_MAX; i++)
        strcat(uri, "%ff");
    strcat(uri, "&person=");
    for (int i = 0; i < TARGET_PERSON_MAX; i++)
        strcat(uri, "%01");
    strcat(uri, "&seat=99999");
    struct request *request = new_request(uri);
    assert_int_equal(request->target.kind, TARGET_BOOK);
    struct response response = response_make(request);
    assert_true(response.body_size <= sizeof request->body);
    memset(request->booking.message, 'x', sizeof request->booking.message - 1);
    request->booking.status = BATCH_UNKNOWN;
    assert_response(request, 504, "xxx\n");
    free(request);
}

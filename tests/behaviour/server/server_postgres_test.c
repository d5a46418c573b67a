/* train-server on tables of PostgreSQL that others have made, and write to. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage_database.h"
#include "test.h"

static const char *const batched[] = {"--window-ms", "5", NULL};
static const char *const direct[] = {NULL};

static void execute(const char *sql)
{
    postgres_server_execute(&storage_database, sql);
}

static void assert_value(const char *sql, const char *expected)
{
    char *value = postgres_server_value(&storage_database, sql);
    assert_non_null(value);
    assert_string_equal(value, expected);
    free(value);
}

static void assert_asked(const struct server *server, const char *target, int status,
                         const char *part)
{
    struct response response;
    assert_int_equal(ask(server, target, &response), status);
    if (strstr(response.body, part) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", target, part, response.body);
}

/* ---- The table ------------------------------------------------------------------------------- */

static const char on_another_program[] =
    "CREATE TABLE train (key text PRIMARY KEY, state text NOT NULL, ver int NOT NULL);"
    "INSERT INTO train VALUES ('berlin', '{\"Seats\":[\"\",\"ann\",\"\"]}', 7)";

static void the_table_of_another_program(const char *program, const char *const *options)
{
    struct folder folder;
    struct server server;
    storage_folder(&folder);
    execute(on_another_program);
    server_start(&server, program, &folder, options);
    assert_asked(&server, "/trains/berlin", 200, "{\"Seats\":[\"\",\"ann\",\"\"]}\n");
    assert_asked(&server, "/book?train=berlin&person=bob&seat=1", 400, "another person's");
    assert_asked(&server, "/book?train=berlin&person=bob&seat=0", 200, "berlin 0 bob\n");
    assert_value("SELECT state FROM train WHERE key = 'berlin'",
                 "{\"Seats\":[\"bob\",\"ann\",\"\"]}");
    assert_value("SELECT ver FROM train WHERE key = 'berlin'", "8");

    execute("UPDATE train SET state = '{\"Seats\":[\"bob\",\"ann\",\"cid\"]}', ver = ver + 1"
            " WHERE key = 'berlin'");
    assert_asked(&server, "/trains/berlin", 200, "\"cid\"");
    assert_asked(&server, "/book?train=berlin&person=dan&seat=2", 400, "another person's");

    /* A train that the server makes is one that the other program can read. */
    assert_asked(&server, "/book?train=paris&person=ann&seat=1", 200, "paris 1 ann\n");
    assert_value("SELECT state::json->'Seats'->>1 FROM train WHERE key = 'paris'", "ann");
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

TEST(a_table_that_another_program_made_is_taken_as_it_is)
{
    the_table_of_another_program(TRAIN_SERVER, batched);
}

TEST(so_it_is_by_direct_server)
{
    the_table_of_another_program(DIRECT_SERVER, direct);
}

TEST(the_table_is_made_if_it_is_missing)
{
    struct folder folder;
    struct server server;
    static const char *const programs[] = {TRAIN_SERVER, DIRECT_SERVER};
    for (size_t i = 0; i < 2; i++) {
        storage_folder(&folder);
        server_start(&server, programs[i], &folder, direct);
        assert_value("SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY column_name)"
                     " FROM information_schema.columns WHERE table_name = 'train'",
                     "key text, state text, ver bigint");
        assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
        folder_remove(&folder);
    }
}

TEST(names_and_types_of_ones_own)
{
    static const char *const options[] = {"--window-ms",
                                          "5",
                                          "--table",
                                          "My \"trains\"",
                                          "--key-column",
                                          "the key",
                                          "--state-column",
                                          "json",
                                          "--version-column",
                                          "%v",
                                          NULL};
    static const char *const types[][2] = {
        {"text", "text"}, {"varchar(20)", "jsonb"}, {"bytea", "bytea"}, {"text", "bytea"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char sql[512];
        char output[512];
        struct folder folder;
        struct server server;
        storage_folder(&folder);
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS \"My \"\"trains\"\"\"; CREATE TABLE \"My \"\"trains\"\"\""
                 " (\"the key\" %s PRIMARY KEY, json %s NOT NULL, \"%%v\" smallint NOT NULL)",
                 types[i][0], types[i][1]);
        execute(sql);
        server_start(&server, TRAIN_SERVER, &folder, options);
        assert_asked(&server, "/book?train=a%20b&person=p&seat=0", 200, "a%20b 0 p\n");
        assert_asked(&server, "/book?train=a%20b&person=q&seat=1", 200, "a%20b 1 q\n");
        assert_asked(&server, "/trains/a%20b", 200, "[\"p\",\"q\",");
        bool is_bytes = strcmp(types[i][0], "bytea") == 0;
        assert_asked(&server, "/book?train=a%ff&person=p&seat=0", is_bytes ? 200 : 400, "");
        assert_asked(&server, "/book?train=t&person=%00&seat=0", 400, "NUL");
        assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
        FILE *answers = fopen(folder.answers, "w");
        assert_non_null(answers);
        fputs("a%20b 0 p\na%20b 1 q\n", answers);
        fclose(answers);
        const char *arguments[] = {
            TRAIN_AUDIT,      "--table", "My \"trains\"", "--key-column", "the key",
            "--state-column", "json",    folder.store,    folder.answers, NULL};
        assert_int_equal(program_run(arguments, output, sizeof output), 0);
        assert_non_null(strstr(output, "2 bookings answered 200: all in the table"));
        folder_remove(&folder);
    }
    execute("DROP TABLE \"My \"\"trains\"\"\"");
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void a_train_that_fails(const char *program, const char *const *options)
{
    struct folder folder;
    struct server server;
    storage_folder(&folder);
    server_start(&server, program, &folder, options);
    execute("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON train FOR EACH ROW"
            " WHEN (NEW.key = 'bad') EXECUTE FUNCTION refuse();"
            "INSERT INTO train VALUES ('text', 'no JSON', 1)");
    assert_asked(&server, "/book?train=bad&person=ann&seat=0", 500, "Nothing was changed");
    assert_asked(&server, "/book?train=bad&person=ann&seat=0", 500, "the disk is on fire");
    assert_asked(&server, "/book?train=good&person=ann&seat=0", 200, "good 0 ann\n");
    assert_asked(&server, "/book?train=text&person=ann&seat=0", 500, "Nothing was changed");
    assert_asked(&server, "/trains/text", 500, "could not be read");
    execute("DROP TRIGGER refuse ON train");
    assert_asked(&server, "/book?train=bad&person=ann&seat=0", 200, "bad 0 ann\n");
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

TEST(a_train_that_fails_is_reported)
{
    a_train_that_fails(TRAIN_SERVER, batched);
}

TEST(a_train_that_fails_is_reported_by_direct_server)
{
    a_train_that_fails(DIRECT_SERVER, direct);
}

/* ---- Beside another program ------------------------------------------------------------------ */

/* What the other program does: read, decide, write if nobody else has written. */
static bool book_as_another_program(int seat)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "WITH seen AS (SELECT key, state::jsonb AS s, ver FROM train WHERE key = 'both'),"
             " written AS (UPDATE train SET ver = train.ver + 1,"
             " state = jsonb_set(s, '{Seats,%d}', '\"o%d\"')::text"
             " FROM seen WHERE train.key = seen.key AND train.ver = seen.ver RETURNING 1)"
             " SELECT count(*) FROM written",
             seat, seat);
    return postgres_server_number(&storage_database, sql) == 1;
}

static void beside_another_program(const char *program, const char *const *options)
{
    struct folder folder;
    struct server server;
    storage_folder(&folder);
    execute(on_another_program);
    server_start(&server, program, &folder, options);
    assert_asked(&server, "/book?train=both&person=s0&seat=0", 200, "both 0 s0\n");
    static const char form[] =
        "GET /book?train=both&person=s%d&seat=%d HTTP/1.1\r\nHost: t\r\n\r\n";
    int connection = connection_open(&server);
    for (int seat = 2; seat <= 28; seat += 2) {
        char request[128];
        struct response response;
        int size = snprintf(request, sizeof request, form, seat, seat);
        connection_send(connection, request, (size_t)size);
        int tries = 0;
        while (!book_as_another_program(seat - 1)) /* while the server books too */
            assert_true(tries++ < 1000);
        connection_read(connection, &response);
        assert_int_equal(response.status, 200);
    }
    close(connection);
    struct response response;
    assert_int_equal(ask(&server, "/trains/both", &response), 200);
    for (int seat = 0; seat <= 28; seat++) {
        char person[16];
        snprintf(person, sizeof person, "\"%c%d\"", seat % 2 == 0 ? 's' : 'o', seat);
        if (strstr(response.body, person) == NULL)
            fail_msg("%s is lost: %s", person, response.body);
    }
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

TEST(beside_another_program_nothing_is_lost)
{
    beside_another_program(TRAIN_SERVER, batched);
}

TEST(beside_another_program_direct_server_loses_nothing)
{
    beside_another_program(DIRECT_SERVER, direct);
}

/* ---- Passwords ------------------------------------------------------------------------------- */

/* Run a program to its end; also what it says on standard error. */
static int run(const char *program, const char *const *options, char *output, size_t output_size)
{
    const char *arguments[12] = {"/bin/sh", "-c", "exec \"$@\" 2>&1", "sh", program};
    for (size_t i = 5; *options != NULL && i < 11; i++)
        arguments[i] = *options++;
    return program_run(arguments, output, output_size);
}

TEST(a_password_is_never_shown)
{
#define LISTEN "--listen", "127.0.0.1:0"
    static const char *const lines[][7] = {
        {LISTEN, "--store", "postgres:host=127.0.0.1 port=1 password=secret", NULL},
        {LISTEN, "--store", "postgres:host=127.0.0.1 port=1 password=se secret", NULL},
        {LISTEN, "--store", "postgres:host=127.0.0.1 port=1 password='secret", NULL},
        {LISTEN, "--store", "postgres:secret", NULL},
        {LISTEN, "--store", "postgres://u:%secret@127.0.0.1:1/d", NULL},
        {LISTEN, "--store", "postgresql://u:secret@127.0.0.1:1/d", NULL},
        {LISTEN, "--store", "postgres:postgres://u:sec@secret:ret@127.0.0.1:1/d", NULL},
        {LISTEN, "--store", "mysql://u:secret@127.0.0.1/d", NULL},
        {LISTEN, "--store", "postgres:host=127.0.0.1", "password=secret", NULL},
        {LISTEN, "--store", "postgres:host=127.0.0.1", "--password=secret", NULL},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char output[2048];
        for (size_t j = 0; j < 2; j++) {
            static const char *const programs[] = {TRAIN_SERVER, DIRECT_SERVER};
            int code = run(programs[j], lines[i], output, sizeof output);
            assert_true(code == 1 || code == 2);
            assert_true(strlen(output) > 0);
            if (strstr(output, "secret") != NULL)
                fail_msg("%s, line %zu: %s", programs[j], i, output);
        }
        const char *audit[] = {lines[i][3], "/dev/null", lines[i][4], NULL};
        assert_int_equal(run(TRAIN_AUDIT, audit, output, sizeof output), 2);
        if (strstr(output, "secret") != NULL)
            fail_msg("audit, line %zu: %s", i, output);
    }
}

TEST(a_database_that_wants_a_password_gets_it)
{
    struct postgres_server database;
    struct folder folder;
    struct server server;
    char output[2048];
    postgres_server_init(&database, NULL, true);
    folder_make(&folder);
    snprintf(folder.store, sizeof folder.store, "postgres:%s", database.conninfo);
    server_start(&server, TRAIN_SERVER, &folder, batched);
    assert_asked(&server, "/book?train=t&person=p&seat=0", 200, "t 0 p\n");
    assert_int_equal(server_end(&server, SIGTERM, output, sizeof output), 0);
    assert_null(strstr(output, database.password));

    /* The wrong one: its last character is missing. */
    char *password = strstr(folder.store, database.password);
    assert_non_null(password);
    size_t size = strlen(database.password);
    memmove(password + size - 1, password + size, strlen(password + size) + 1);
    database.password[size - 1] = '\0';
    const char *const options[] = {"--store", folder.store, LISTEN, NULL};
    assert_int_equal(run(TRAIN_SERVER, options, output, sizeof output), 1);
    assert_non_null(strstr(output, "password authentication failed"));
    assert_null(strstr(output, database.password));
    postgres_server_destroy(&database);
    folder_remove(&folder);
}

/* Else the connection to the database takes their place, and what is printed is sent to it. */
TEST(standard_files_that_are_closed_become_no_connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    char store[128];
    snprintf(store, sizeof store, "postgres:host=127.0.0.1 port=%u dbname=x",
             ntohs(address.sin_port));
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            close(fd);
        execl(TRAIN_SERVER, TRAIN_SERVER, "--store", store, LISTEN, (char *)NULL);
        _exit(127);
    }
    int connection = accept(listener, NULL, NULL); /* the server has its end by then */
    assert_true(connection >= 0);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        char path[64], target[64] = "";
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        assert_true(readlink(path, target, sizeof target - 1) > 0);
        assert_string_equal(target, "/dev/null");
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(connection);
    close(listener);
}

TEST_GROUP(storage_begin, storage_end)

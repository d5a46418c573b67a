#include "postgres_place.h"

#include <stdio.h>
#include <stdlib.h>

static const char role_sql[] =
    "do $$ declare one record; begin "
    "create role contrary login; "
    "for one in "
    "select name, case when name in ('enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', "
    "'enable_mergejoin', 'enable_material', 'enable_memoize', 'enable_partitionwise_join') "
    "then 'on' else 'off' end as value from pg_settings where name like 'enable\\_%' "
    "union all select name, '400ms' from pg_settings where name in ('statement_timeout', "
    "'transaction_timeout', 'idle_in_transaction_session_timeout') "
    "union all select s.name, v.value from (values "
    "('lock_timeout', '1ms'), ('client_min_messages', 'error'), ('client_encoding', 'LATIN1'), "
    "('default_transaction_isolation', 'serializable'), ('default_transaction_deferrable', 'on'), "
    "('row_security', 'on'), ('standard_conforming_strings', 'off'), ('exit_on_error', 'on'), "
    "('synchronous_commit', 'off'), ('plan_cache_mode', 'force_custom_plan'), ('jit', 'on'), "
    "('jit_above_cost', '0'), ('jit_inline_above_cost', '-1'), ('jit_optimize_above_cost', '-1'), "
    "('work_mem', '64kB'), ('geqo_threshold', '2'), "
    "('join_collapse_limit', '1'), ('from_collapse_limit', '1'), ('seq_page_cost', '0'), "
    "('random_page_cost', '1e10'), ('cpu_index_tuple_cost', '1e10'), ('cpu_tuple_cost', '0'), "
    "('cpu_operator_cost', '1e10'), ('force_parallel_mode', 'on'), "
    "('debug_parallel_query', 'on'), ('parallel_setup_cost', '0'), ('parallel_tuple_cost', '0'), "
    "('min_parallel_table_scan_size', '0'), ('min_parallel_index_scan_size', '0'), "
    "('max_parallel_workers_per_gather', '8'), ('bytea_output', 'escape'), "
    "('quote_all_identifiers', 'on'), ('transform_null_equals', 'on'), ('array_nulls', 'off'), "
    "('check_function_bodies', 'off'), ('DateStyle', 'German'), ('extra_float_digits', '-15'), "
    "('client_connection_check_interval', '0')) as v(name, value) join pg_settings s "
    "on s.name = v.name "
    "loop execute format('alter role contrary set %I = %L', one.name, one.value); end loop; "
    "alter role contrary set search_path = contrary, public, pg_catalog; end $$";

const char postgres_contrary_schema_sql[] =
    "create schema contrary; grant usage, create on schema contrary to contrary; "
    "create domain contrary.int8 as pg_catalog.int4; "
    "create domain contrary.int4 as pg_catalog.int2; "
    "create domain contrary.oid as pg_catalog.int2; "
    "create domain contrary.bool as pg_catalog.int2; "
    "create domain contrary.text as pg_catalog.varchar(2); "
    "create domain contrary.name as pg_catalog.varchar(2); "
    "create domain contrary.bytea as pg_catalog.varchar(2); "
    "create domain contrary.jsonb as pg_catalog.varchar(2); "
    "create domain contrary.regclass as pg_catalog.varchar(2); "
    "create function contrary.never(anyelement, anyelement) returns pg_catalog.bool "
    "language sql as 'select false'; "
    "create operator contrary.= (leftarg = anyelement, rightarg = anyelement, "
    "function = contrary.never); "
    "create function contrary.never(pg_catalog.bytea, pg_catalog.bytea) returns pg_catalog.bool "
    "language sql as 'select false'; "
    "create operator contrary.= (leftarg = pg_catalog.bytea, rightarg = pg_catalog.bytea, "
    "function = contrary.never); "
    "create function contrary.current_setting(pg_catalog.text) returns pg_catalog.text "
    "language sql as 'select null::pg_catalog.text'; "
    "create function contrary.current_setting(pg_catalog.text, pg_catalog.bool) "
    "returns pg_catalog.text language sql as 'select null::pg_catalog.text'; "
    "create function contrary.unnest(anyarray) returns setof pg_catalog.bytea language sql "
    "as 'select null::pg_catalog.bytea'; "
    "create function contrary.octet_length(pg_catalog.bytea) returns pg_catalog.int4 "
    "language sql as 'select 1000000'";

void postgres_contrary_role(struct postgres_server *server)
{
    postgres_server_execute(server, role_sql);
}

void postgres_place_conninfo(const struct postgres_place *place, const char *role, unsigned port,
                             char ret_conninfo[POSTGRES_CONNINFO_SIZE])
{
    snprintf(ret_conninfo, POSTGRES_CONNINFO_SIZE,
             "host=127.0.0.1 port=%u user=%s dbname=%s sslmode=disable gssencmode=disable", port,
             role, place->database);
}

/* What waits in a pool for its next client would be ended by it, too. */
static const char idle_sql[] =
    "do $$ begin if exists (select from pg_settings where name = 'idle_session_timeout') then "
    "alter role contrary in database %s set idle_session_timeout = '400ms'; end if; end $$";

void postgres_place_make(struct postgres_server *server, const struct postgres_place *place)
{
    char text[POSTGRES_CONNINFO_SIZE], sql[POSTGRES_CONNINFO_SIZE];
    if (place->encoding == NULL)
        return;
    snprintf(text, sizeof text,
             "create database %s encoding '%s' lc_collate 'C' lc_ctype 'C' template template0",
             place->database, place->encoding);
    postgres_server_execute(server, text);
    postgres_place_conninfo(place, "batch", server->port, text);
    if (!place->is_pooled) {
        snprintf(sql, sizeof sql, idle_sql, place->database);
        postgres_server_execute(server, sql);
    }
    PGconn *conn = PQconnectdb(text);
    PGresult *result = PQexec(conn, postgres_contrary_schema_sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s: %s\n", place->name, PQresultErrorMessage(result));
        exit(1);
    }
    PQclear(result);
    PQfinish(conn);
}

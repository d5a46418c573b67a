# Seeded bugs for the rules of train-server: each must be found by the test that is named.

# server_mutant(<name> <file of http/> <text> <instead> <test program> <test>)
function(server_mutant name source text instead program test)
    set(mutant train-server-seeded-bug-${name})
    if(NOT TEST ${program})
        return()
    endif()
    batch_mutant(copy ${mutant} ${example}/http/${source} "${text}" "${instead}")
    set(patience_s 5)
    if(name MATCHES "deadline|noted|forgotten") # without the bug it takes up to 10 s
        set(patience_s 20)
    endif()
    # As an object, so that the one in the library is not taken.
    add_executable(${mutant} $<TARGET_OBJECTS:train-server> "${copy}")
    target_compile_definitions(${mutant} PRIVATE _GNU_SOURCE)
    target_link_libraries(${mutant} PRIVATE
        train-http batch::sqlite ${postgres_library} PkgConfig::MICROHTTPD batch_warnings)
    add_test(NAME server-seeded-bug-${name} COMMAND ${program})
    set_tests_properties(server-seeded-bug-${name} PROPERTIES TIMEOUT 120 LABELS release-only
        ENVIRONMENT "TEST_ONLY=${test};TRAIN_SERVER_MUTANT=$<TARGET_FILE:${mutant}>;PATIENCE_S=${patience_s}"
        PASS_REGULAR_EXPRESSION "FAILED  . ${test}")
endfunction()

# ---- Framing -------------------------------------------------------------------------------------

set(framing a_request_whose_end_is_in_doubt_is_the_last_on_its_connection*)
server_mutant(two-lengths framing.c "++reading->lengths > 1" "++reading->lengths > 2"
    server-requests ${framing})
server_mutant(folded framing.c "is_cut(reading->end, name, LINE_END_SIZE)" "name < reading->end"
    server-requests headers_are_well_formed*)
server_mutant(cut-at-the-end framing.c
    "info->header_size == (size_t)(end - method) + HEAD_END_SIZE" "info->header_size > 0"
    server-requests headers_are_well_formed*)
server_mutant(nul-in-line framing.c
    "is_cut(line.uri_end, line.version, 1)" "is_cut(line.version, line.version, 0)"
    server-requests first_lines_are_well_formed*)
server_mutant(head http.c "strcmp(method, MHD_HTTP_METHOD_HEAD)" "strcmp(method, \"head\")"
    server-requests head_is_answered_wherever_get_is*)

# ---- Host ----------------------------------------------------------------------------------------

set(host a_request_has_one_host*)
server_mutant(two-hosts framing.c "++reading->hosts > 1" "++reading->hosts > 2"
    server-requests ${host})
server_mutant(no-host framing.c "reading.hosts == 0 &&" "reading.hosts > 2 &&"
    server-requests ${host})
server_mutant(any-host framing.c "!is_host(value, value_size)" "value_size > 0 && !is_host(\"a\", 1)"
    server-requests ${host})

# ---- Arrival, names, signals ---------------------------------------------------------------------

server_mutant(no-deadline arrivals.c
    "    list_expire(&arrivals->arriving, arrivals->clock_ns);\n" ""
    server-requests a_request_that_takes_too_long_to_arrive_is_given_up)
server_mutant(full-connection loop.c "timeout_ms > TICK_MS" "timeout_ms > 1000 * TICK_MS"
    server-requests too_many_parts_of_a_request_end_in_an_answer_or_a_closed_connection*)
server_mutant(nul-in-name target.c
    "            if (c == '\\0')\n                return HAS_NUL;\n" ""
    server-http nul_is_refused_in_every_name*)
server_mutant(hangup server.c "        sigaddset(&signals, SIGHUP);\n" "        return signals;\n"
    server-stop sighup_stops_as_sigterm_does_unless_it_is_ignored)

# ---- Outcomes ------------------------------------------------------------------------------------

server_mutant(not-noted http.c
    "    note_outcome(loop_owner(request->loop), request);\n" ""
    server-failure failures_are_noticed_when_no_client_waits_for_them)
server_mutant(forgotten-at-once health.c
    "now_ns + health->limit_ns + (now_ns - begun_ns)" "now_ns"
    server-failure failures_are_noticed_when_no_client_waits_for_them)
server_mutant(never-healthy-again health.c
    "if (atomic_load_explicit(&health->xfailing_since_ns, memory_order_relaxed) != 0)" "if (now_ns == 0)"
    server-health one_bad_train_is_no_bad_server*)

# batch_add_test(<name> SOURCES <file>... [LIBRARIES <target>...] [INTERNAL] [TIMEOUT <seconds>]
#                [LABELS <label>...])
#
# A cmocka program that CTest runs, linked with tests/support and libbatch. INTERNAL links the static libraries, in
# which internal symbols can be reached, and adds src/ to the include path. Labels that ./check
# knows: release-only (not under sanitizers), asan-only, tsan-only (only under that one).
batch_find_module(cmocka batch_cmocka)

function(batch_add_test name)
    cmake_parse_arguments(test "INTERNAL" "TIMEOUT" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    add_executable(${name} ${test_SOURCES})
    target_link_libraries(${name} PRIVATE batch_warnings PkgConfig::${batch_cmocka} Threads::Threads)
    set(suffix)
    if(test_INTERNAL)
        set(suffix -static)
        target_include_directories(${name} PRIVATE "${batch_SOURCE_DIR}/src")
        if(BATCH_DEBUG_CHECKS)
            target_compile_definitions(${name} PRIVATE BATCH_DEBUG_CHECKS)
        endif()
    endif()
    foreach(library IN LISTS test_LIBRARIES ITEMS test-main test-support batch)
        if(library MATCHES "^batch" AND TARGET ${library}${suffix})
            set(library ${library}${suffix})
        endif()
        target_link_libraries(${name} PRIVATE ${library})
    endforeach()

    add_test(NAME ${name} COMMAND ${name})
    if(NOT test_TIMEOUT)
        set(test_TIMEOUT 180)
    endif()
    if(CMAKE_CROSSCOMPILING) # an emulator, most likely
        math(EXPR test_TIMEOUT "10 * ${test_TIMEOUT}")
    endif()
    set_tests_properties(${name} PROPERTIES TIMEOUT ${test_TIMEOUT} LABELS "${test_LABELS}")
endfunction()

# How this project makes its tests.
batch_find_module(cmocka batch_cmocka)

# Tests that take long have a COST, in seconds, about: CTest starts with the dearest, so that ./check
# does not wait for one test at its end. Those that take two processors need two free places at once,
# which there are at the beginning and where another of them ends: theirs is 1000 more. Beside them
# runs power-cuts, with 2000 more.

# What one build is enough for, as most seeded bugs, is not compiled for sanitizers.
set(BATCH_SANITIZED OFF)
if(CMAKE_C_FLAGS MATCHES "-fsanitize")
    set(BATCH_SANITIZED ON)
endif()

# batch_add_support(<name> [OBJECT] SOURCES <file>... [LIBRARIES <target>...])
#
# What several tests stand on, compiled once: a static library; or objects, if it calls libbatch,
# which is linked after them.
function(batch_add_support name)
    cmake_parse_arguments(support "OBJECT" "" "SOURCES;LIBRARIES" ${ARGN})
    set(type STATIC)
    if(support_OBJECT)
        set(type OBJECT)
    endif()
    add_library(${name} ${type} ${support_SOURCES})
    target_include_directories(${name} PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
    target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
    target_link_libraries(${name}
        PRIVATE batch_warnings PUBLIC Threads::Threads ${support_LIBRARIES})
endfunction()

# batch_add_test(<name> SOURCES <file>... [LIBRARIES <target>...] [INTERNAL] [TIMEOUT <seconds>]
#                [LABELS <label>...])
#
# A cmocka program that CTest runs, linked with tests/support and libbatch. INTERNAL links the static libraries, in
# which internal symbols can be reached, and adds src/ to the include path. Labels that ./check
# knows: release-only (not under sanitizers), asan-only, tsan-only (only under that one).
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

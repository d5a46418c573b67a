# The man pages: made from the comments of the headers of the libraries that are built. awk is part of
# every system that has man.
find_program(BATCH_AWK awk)
if(NOT BATCH_AWK)
    message(STATUS "There is no awk: no man pages")
    return()
endif()

set(headers)
get_property(libraries GLOBAL PROPERTY BATCH_LIBRARIES)
foreach(library IN LISTS libraries)
    get_target_property(names ${library} BATCH_HEADERS)
    list(TRANSFORM names PREPEND "${PROJECT_SOURCE_DIR}/include/batch/")
    list(APPEND headers ${names})
endforeach()

set(man "${PROJECT_BINARY_DIR}/man")
file(MAKE_DIRECTORY "${man}/man3")
add_custom_command(OUTPUT "${man}/index.md"
    COMMAND "${BATCH_AWK}" -v "folder=${man}/man3" -v "version=${PROJECT_VERSION}"
        -f "${PROJECT_SOURCE_DIR}/tools/make-reference.awk" ${headers} > "${man}/index.md"
    DEPENDS "${PROJECT_SOURCE_DIR}/tools/make-reference.awk" ${headers}
    COMMENT "Making the man pages" VERBATIM)
add_custom_target(batch_reference ALL DEPENDS "${man}/index.md")
install(DIRECTORY "${man}/man3" DESTINATION "${CMAKE_INSTALL_MANDIR}" COMPONENT dev
    FILES_MATCHING PATTERN "*.3")

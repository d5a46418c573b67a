# Debian packages: `cpack -G DEB` in a build with CMAKE_INSTALL_PREFIX=/usr (preset "package").
#
#   libbatch0.1, libbatch-sqlite0.1, libbatch-postgres0.1   the shared libraries, named after their sonames
#     (Debian policy 8.1: a package is named after its soname, so that the libraries of two that are not
#     compatible can be installed at once; until 1.0 the soname has the minor version: cmake/library.cmake)
#   libbatch-dev                                            headers, static libraries, CMake, pkg-config, man
#   libbatch-tools                                          train-server, train-load, train-audit
#
# Each is a component of the install rules: runtime, sqlite, postgres, dev and tools. What is left to do
# after these rules, cmake/packages-finish.cmake does.
set(CPACK_PACKAGE_NAME libbatch)
set(CPACK_PACKAGE_VENDOR "The libbatch authors")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "batch concurrent operations on one key")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_OUTPUT_FILE_PREFIX "${PROJECT_BINARY_DIR}/packages")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/packages-finish.cmake")

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(BATCH_PACKAGE_MAINTAINER "The libbatch authors <libbatch@example.org>" CACHE STRING
    "The maintainer whom the packages name")
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${BATCH_PACKAGE_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)

get_property(libraries GLOBAL PROPERTY BATCH_LIBRARIES)
foreach(library IN LISTS libraries) # where dpkg-shlibdeps finds those of this project
    get_target_property(folder ${library} BINARY_DIR)
    list(APPEND CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS "${folder}")
endforeach()

set(about "libbatch loads the resource of a key once, runs every operation that
arrives within a window on it in memory, saves it once, and only then
completes them all: the throughput of memory with the durability of one
transaction per operation.")

# batch_package(<component> <package> <section> <what the package has> [DEPENDS <components>...]
#               [PACKAGES <packages of others>...])
macro(batch_package component package section what)
    cmake_parse_arguments(package "" "" "DEPENDS;PACKAGES" ${ARGN})
    list(APPEND CPACK_COMPONENTS_ALL ${component})
    string(TOUPPER ${component} upper)
    set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package})
    set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
    set(CPACK_COMPONENT_${upper}_DESCRIPTION "${what}\n${about}")
    set(CPACK_COMPONENT_${upper}_DEPENDS ${package_DEPENDS})
    string(REPLACE ";" ", " CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${package_PACKAGES}")
    if(${section} STREQUAL libs)
        set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${PROJECT_BINARY_DIR}/triggers")
    endif()
    # Policy: what may be done with it, and what has changed.
    set(doc "${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}")
    install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" RENAME copyright DESTINATION "${doc}"
        COMPONENT ${component} EXCLUDE_FROM_ALL)
    install(FILES "${PROJECT_SOURCE_DIR}/CHANGELOG.md" RENAME changelog DESTINATION "${doc}"
        COMPONENT ${component} EXCLUDE_FROM_ALL)
    install(FILES "${PROJECT_BINARY_DIR}/changelog.Debian" DESTINATION "${doc}"
        COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${PROJECT_BINARY_DIR}/changelog.Debian" "libbatch (${PROJECT_VERSION}-1) unstable; urgency=medium

  * Packaged as it is released; changelog.gz has what has changed.

 -- ${BATCH_PACKAGE_MAINTAINER}  ${now}
")

file(WRITE "${PROJECT_BINARY_DIR}/triggers" "activate-noawait ldconfig\n")

set(soname ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(dev_packages libsodium-dev)
batch_package(runtime libbatch${soname} libs "one load and one save for many operations on a key")
if(TARGET batch-sqlite)
    batch_package(sqlite libbatch-sqlite${soname} libs "SQLite store of libbatch" DEPENDS runtime)
    list(APPEND dev_packages libsqlite3-dev)
endif()
if(TARGET batch-postgres)
    batch_package(postgres libbatch-postgres${soname} libs "PostgreSQL store of libbatch" DEPENDS runtime)
    list(APPEND dev_packages libpq-dev)
endif()
set(libraries ${CPACK_COMPONENTS_ALL})
install(FILES "${PROJECT_SOURCE_DIR}/examples/hello.c" "${PROJECT_SOURCE_DIR}/examples/hello.cpp"
    "${PROJECT_SOURCE_DIR}/examples/async.c" "${PROJECT_SOURCE_DIR}/examples/any_thread.c"
    DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/doc/libbatch-dev/examples"
    COMPONENT dev EXCLUDE_FROM_ALL)
batch_package(dev libbatch-dev libdevel "development files of libbatch and its stores"
    DEPENDS ${libraries} PACKAGES ${dev_packages})
if(TARGET train-server)
    batch_package(tools libbatch-tools database "seat booking server over libbatch, and its tools"
        DEPENDS ${libraries})
endif()
include(CPack)

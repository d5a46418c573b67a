# How this project makes a library: the sources are compiled with hidden symbols and position
# independent; from the objects come a shared and a static library, the version map, the pkg-config
# and CMake files, and the install rules.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Set what the sources of a library are compiled with. `target` is an object or static library.
function(batch_compile_for_library target)
    set_target_properties(${target} PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${target} PRIVATE "${batch_SOURCE_DIR}/include")
    target_link_libraries(${target} PRIVATE batch_warnings batch_hardening)
    if(BATCH_DEBUG_CHECKS)
        target_compile_definitions(${target} PRIVATE BATCH_DEBUG_CHECKS)
    endif()
endfunction()

# Compile the sources once more, as `target`, for a shared library that is optimized as a whole. In
# ret_has_it: is that possible, and a build that is optimized at all?
function(batch_compile_as_a_whole target ret_has_it)
    set(${ret_has_it} NO PARENT_SCOPE)
    if(NOT CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo)$")
        return()
    endif()
    include(CheckIPOSupported)
    check_ipo_supported(RESULT has_it OUTPUT why_not LANGUAGES C)
    if(has_it)
        add_library(${target} OBJECT ${ARGN})
        batch_compile_for_library(${target})
        set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
        set(${ret_has_it} YES PARENT_SCOPE)
    endif()
endfunction()

# batch_make_library(<name>
#     OBJECTS <object or static libraries, compiled by batch_compile_for_library>...
#     EXPORT_NAME <name behind batch::>   SYMBOLS <pattern of the exported names>
#     DESCRIPTION <one line>              HEADERS <names in include/batch>...
#     PKG <pkg-config module>...          [BASE <library of this project that it depends on>]
#     [CXX_HEADERS <names in include/batch: they export nothing>...]
#     [WHOLE <object library from batch_compile_as_a_whole, instead of OBJECTS for the shared one>])
#
# Makes the targets <name> (shared) and <name>-static.
function(batch_make_library library)
    cmake_parse_arguments(library "" "EXPORT_NAME;SYMBOLS;DESCRIPTION;BASE;WHOLE"
        "OBJECTS;HEADERS;CXX_HEADERS;PKG" ${ARGN})
    batch_find_module("${library_PKG}" library_PKG_NAME)
    string(REPLACE ";" " " library_PKG "${library_PKG}")

    set(objects)
    foreach(target IN LISTS library_OBJECTS)
        list(APPEND objects "$<TARGET_OBJECTS:${target}>")
    endforeach()
    add_library(${library}-static STATIC ${objects})
    if(library_WHOLE)
        add_library(${library} SHARED "$<TARGET_OBJECTS:${library_WHOLE}>")
        set_target_properties(${library} PROPERTIES INTERPROCEDURAL_OPTIMIZATION ON)
    else()
        add_library(${library} SHARED ${objects})
    endif()
    add_library(batch::${library_EXPORT_NAME} ALIAS ${library})
    add_library(batch::${library_EXPORT_NAME}-static ALIAS ${library}-static)

    set(map "${CMAKE_CURRENT_BINARY_DIR}/${library}.map")
    configure_file("${batch_SOURCE_DIR}/cmake/exports.map.in" "${map}" @ONLY)
    # Until 1.0 each minor version may break the binary interface, so it is part of the soname.
    set_target_properties(${library} PROPERTIES
        VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
        LINK_DEPENDS "${map}")
    target_link_options(${library} PRIVATE "LINKER:--version-script=${map}")
    get_target_property(hardening batch_hardening INTERFACE_LINK_OPTIONS)
    if(hardening)
        target_link_options(${library} PRIVATE ${hardening})
    endif()
    set_target_properties(${library}-static PROPERTIES OUTPUT_NAME ${library})

    foreach(suffix "" -static)
        set_target_properties(${library}${suffix} PROPERTIES
            LINKER_LANGUAGE C EXPORT_NAME ${library_EXPORT_NAME}${suffix})
        target_include_directories(${library}${suffix} PUBLIC
            "$<BUILD_INTERFACE:${batch_SOURCE_DIR}/include>"
            "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
        target_link_libraries(${library}${suffix} PRIVATE PkgConfig::${library_PKG_NAME} Threads::Threads)
        if(library_BASE)
            target_link_libraries(${library}${suffix} PUBLIC ${library_BASE}${suffix})
        endif()
    endforeach()

    set_property(GLOBAL APPEND PROPERTY BATCH_LIBRARIES ${library})
    set_property(TARGET ${library} PROPERTY BATCH_HEADERS ${library_HEADERS})
    if(BATCH_INSTALL)
        batch_install_library()
    endif()
endfunction()

# The install rules of batch_make_library, with its variables.
function(batch_install_library)
    list(APPEND library_HEADERS ${library_CXX_HEADERS})
    list(TRANSFORM library_HEADERS PREPEND "${batch_SOURCE_DIR}/include/batch/")
    install(FILES ${library_HEADERS} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/batch" COMPONENT dev)
    set(component ${library_EXPORT_NAME}) # of the shared library; see packages.cmake
    if(NOT library_BASE)
        set(component runtime)
    endif()

    set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/${library}")
    foreach(suffix "" -static)
        install(TARGETS ${library}${suffix} EXPORT ${library}${suffix}-targets
            LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component} NAMELINK_COMPONENT dev
            ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev)
        install(EXPORT ${library}${suffix}-targets NAMESPACE batch:: DESTINATION "${package_dir}"
            COMPONENT dev)
    endforeach()
    configure_package_config_file("${batch_SOURCE_DIR}/cmake/config.cmake.in" ${library}-config.cmake
        INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
    write_basic_package_version_file(${library}-config-version.cmake COMPATIBILITY SameMinorVersion)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${library}-config.cmake"
        "${CMAKE_CURRENT_BINARY_DIR}/${library}-config-version.cmake" DESTINATION "${package_dir}"
        COMPONENT dev)

    # Relative to where the .pc file lies, so that the whole prefix may be moved; absolute if the
    # one who builds asks for absolute folders.
    set(pc_includedir "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
    set(pc_libdir "${CMAKE_INSTALL_FULL_LIBDIR}")
    set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
    if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
        file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
        string(REGEX REPLACE "/$" "" up "${up}")
        set(pc_prefix "\${pcfiledir}/${up}")
        set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
        if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
            set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
        endif()
    endif()
    set(pc_requires)
    if(library_BASE)
        set(pc_requires "${library_BASE} >= ${PROJECT_VERSION}")
    endif()
    configure_file("${batch_SOURCE_DIR}/cmake/library.pc.in" ${library}.pc @ONLY)
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/${library}.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)
endfunction()

# A store as a library of its own, batch-<name>, target batch::<name>:
# batch_add_store(sqlite SOURCES sqlite.c PKG sqlite3 HEADER sqlite.h [DESCRIPTION <one line>])
function(batch_add_store name)
    cmake_parse_arguments(store "" "HEADER;DESCRIPTION" "SOURCES;PKG" ${ARGN})
    if(NOT store_DESCRIPTION)
        set(store_DESCRIPTION "The ${name} store of libbatch")
    endif()
    batch_find_module("${store_PKG}" module)
    add_library(batch-${name}-objects OBJECT ${store_SOURCES})
    batch_compile_for_library(batch-${name}-objects)
    target_link_libraries(batch-${name}-objects PRIVATE PkgConfig::${module})
    batch_make_library(batch-${name}
        OBJECTS batch-${name}-objects EXPORT_NAME ${name} SYMBOLS "batch_${name}_*"
        DESCRIPTION "${store_DESCRIPTION}" HEADERS ${store_HEADER} PKG ${store_PKG} BASE batch)
endfunction()

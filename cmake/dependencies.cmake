# What the libraries depend on. The targets are made global, so that a project that has libbatch as a
# subdirectory can link the static libraries from any of its own directories.

if(NOT TARGET Threads::Threads)
    set(THREADS_PREFER_PTHREAD_FLAG ON)
    find_package(Threads REQUIRED)
    set_target_properties(Threads::Threads PROPERTIES IMPORTED_GLOBAL TRUE)
endif()
find_package(PkgConfig REQUIRED)

# Find a pkg-config module once, as the global target PkgConfig::<NAME>; NAME is BATCH_<MODULE>. Also
# several modules, as one list.
function(batch_find_module module ret_name)
    string(MAKE_C_IDENTIFIER "BATCH_${module}" name)
    string(TOUPPER "${name}" name)
    if(NOT TARGET PkgConfig::${name})
        pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
    endif()
    set(${ret_name} ${name} PARENT_SCOPE)
endfunction()

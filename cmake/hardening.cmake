# batch_hardening: what the libraries are compiled and linked with against attackers, as far as the
# compiler and the linker know it. tools/check-hardening reads it off the result. Sanitizers find
# more, and do not go with all of it.
include(CheckCCompilerFlag)

option(BATCH_HARDENING "Compile and link the libraries with hardening flags" ON)
add_library(batch_hardening INTERFACE)

if(BATCH_HARDENING AND NOT CMAKE_C_FLAGS MATCHES "-fsanitize")
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
            -ftrivial-auto-var-init=zero)
        string(MAKE_C_IDENTIFIER "BATCH_HAS${flag}" has)
        check_c_compiler_flag(${flag} ${has})
        if(${has})
            target_compile_options(batch_hardening INTERFACE ${flag})
        endif()
    endforeach()
    # Needs optimization; a distribution may have set its own level.
    if(NOT CMAKE_C_FLAGS MATCHES "_FORTIFY_SOURCE")
        target_compile_options(batch_hardening INTERFACE
            "$<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
    endif()
    target_link_options(batch_hardening INTERFACE
        LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack LINKER:-z,defs)
endif()

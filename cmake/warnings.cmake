# batch_warnings: what every C target of this project is compiled with. Link it PRIVATE.
add_library(batch_warnings INTERFACE)
target_compile_options(batch_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wstrict-prototypes)
if(BATCH_WERROR)
    target_compile_options(batch_warnings INTERFACE -Werror)
else()
    # A parent project may ask for more than this, and for errors. Of its own sources: a switch over a
    # part of an enum is meant where it has a default, and what a newer compiler warns of stops nobody.
    target_compile_options(batch_warnings INTERFACE -Wno-switch-enum -Wno-error)
endif()

# batch_warnings: what every C target of this project is compiled with. Link it PRIVATE.
add_library(batch_warnings INTERFACE)
target_compile_options(batch_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wstrict-prototypes)
if(BATCH_WERROR)
    target_compile_options(batch_warnings INTERFACE -Werror)
endif()

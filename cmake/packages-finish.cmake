# packages-finish.cmake: what Debian's policy asks of the files of a package and install rules do not do.
# cpack runs it when all components are in CPACK_TEMPORARY_DIRECTORY and no package is made yet.
file(GLOB_RECURSE compressed "${CPACK_TEMPORARY_DIRECTORY}/*.3" "${CPACK_TEMPORARY_DIRECTORY}/changelog*")
file(GLOB_RECURSE archives "${CPACK_TEMPORARY_DIRECTORY}/*.a")
execute_process(COMMAND gzip -9n ${compressed} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND strip --strip-debug --enable-deterministic-archives
    --remove-section=.comment --remove-section=.note ${archives} COMMAND_ERROR_IS_FATAL ANY)

# cmake -DFROM=<file> -DTO=<file.c> -DNAME=<name> -P embed.cmake: the bytes of a file as a C array, `name`,
# and their number, `name`_size.
file(READ "${FROM}" bytes HEX)
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
get_filename_component(from "${FROM}" NAME)
file(WRITE "${TO}" "/* ${from} */
#include <stddef.h>
extern const unsigned char ${NAME}[];
extern const size_t ${NAME}_size;
const unsigned char ${NAME}[] = {
${bytes}};
const size_t ${NAME}_size = sizeof ${NAME};
")

/* utf8.c: UTF-8 by reading a character, writing it in the only right way, and comparing. */
#include "fuzz.h"

/* Returns the bytes written, 0 if there is no such character. */
static size_t write_character(uint32_t code, unsigned char *ret_bytes)
{
    if (code > 0x10ffff || (code & 0xfffff800) == 0xd800)
        return 0;
    if (code < 0x80) {
        ret_bytes[0] = (unsigned char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        ret_bytes[i] = (unsigned char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    static const unsigned char marks[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    ret_bytes[0] = (unsigned char)(marks[size] | code);
    return size;
}

bool fuzz_is_utf8(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    while (size > 0) {
        static const unsigned char bits_of_first[4] = {0x7f, 0x1f, 0x0f, 0x07};
        bool is_found = false;
        for (size_t width = 1; width <= 4 && width <= size && !is_found; width++) {
            uint32_t code = at[0] & bits_of_first[width - 1];
            for (size_t i = 1; i < width; i++)
                code = code << 6 | (at[i] & 0x3f);
            unsigned char again[4];
            is_found = write_character(code, again) == width && memcmp(again, at, width) == 0;
            if (is_found) {
                at += width;
                size -= width;
            }
        }
        if (!is_found)
            return false;
    }
    return true;
}

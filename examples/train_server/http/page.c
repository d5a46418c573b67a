/* page.c: see page.h. */
#include "http/page.h"

/* Made from page.html by the build. */
extern const unsigned char page_html[];
extern const size_t page_html_size;

struct response page_make(void)
{
    return (struct response){
        200, "text/html; charset=utf-8", (const char *)page_html, page_html_size, false, false};
}

/* page.h: the page at "/", page.html, which is part of the program. */
#ifndef PAGE_H
#define PAGE_H

#include "http/response.h"

/* What the page may do: run what is in it, and ask this server. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "                  \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "                     \
    "frame-ancestors 'none'"

struct response page_make(void);

#endif

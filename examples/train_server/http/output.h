/* output.h: standard output that nobody waits for.
 *
 * Whoever reads it may have stopped reading: a full pipe, a terminal that is held. Then what is
 * printed is dropped, and the server goes on. O_NONBLOCK would do that too, but is shared with all
 * that have the same pipe or terminal; so a thread writes, and it alone may be held up. */
#ifndef OUTPUT_H
#define OUTPUT_H

struct output;

/* Start the thread. NULL: no memory, or no thread. */
struct output *output_open(void);

/* Print as printf does. One thread at a time; does not block. */
__attribute__((format(printf, 2, 3))) void output_print(struct output *output, const char *format,
                                                        ...);

/* Wait until all is written, at most a second, and free it. */
void output_close(struct output *output);

#endif

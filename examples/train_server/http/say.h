/* say.h: messages for people, on standard error. */
#ifndef SAY_H
#define SAY_H

/* Print the program's name, a colon, the message, as printf does, and a line feed. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif

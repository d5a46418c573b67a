/* framing.c: see framing.h.
 *
 * libmicrohttpd parses in place: target, version, names and values are pieces of the bytes that
 * were received, in their order, each with a NUL in place of what followed. So a byte that is in no
 * piece and is no delimiter was cut off by a NUL in the request. */
#include "http/framing.h"

#include <string.h>
#include <strings.h>

/* What is between two lines (CR LF), and behind the last one. */
#define LINE_END_SIZE 2
#define HEAD_END_SIZE (2 * LINE_END_SIZE)

struct reading {
    const char *end; /* of the piece before */
    const char *problem;
    unsigned hosts;
    unsigned lengths;
    bool has_body;
    bool is_chunked;
};

static const char cut[] = "The request has a NUL, or a line that is folded or not ended by CR LF.";

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool consists_of(const char *text, size_t size, const char *more)
{
    for (size_t i = 0; i < size; i++)
        if (!is_alphanumeric(text[i]) && (text[i] == '\0' || strchr(more, text[i]) == NULL))
            return false;
    return true;
}

static bool is_number(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

/* A name or an address, and maybe a port; it may be empty (RFC 9110, 7.2). */
static bool is_host(const char *text, size_t size)
{
    size_t name_size = size;
    if (size > 0 && text[0] == '[') {
        const char *bracket = memchr(text, ']', size);
        if (bracket == NULL || bracket == text + 1)
            return false;
        name_size = (size_t)(bracket - text) + 1;
        if (!consists_of(text + 1, name_size - 2, ":.-_~!$&'()*+,;=%"))
            return false;
    } else {
        const char *colon = memchr(text, ':', size);
        if (colon != NULL)
            name_size = (size_t)(colon - text);
        if (!consists_of(text, name_size, "-._~%!$&'()*+,;=") || (colon != NULL && name_size == 0))
            return false;
    }
    if (name_size == size)
        return true;
    return text[name_size] == ':' && is_number(text + name_size + 1, size - name_size - 1);
}

static bool has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return true;
    return false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_named(const char *name, size_t name_size, const char *header)
{
    return name_size == strlen(header) && strncasecmp(name, header, name_size) == 0;
}

/* Nothing may be between two pieces but what ends the first. */
static bool is_cut(const char *end, const char *next, size_t size)
{
    return next < end || (size_t)(next - end) != size;
}

static bool is_cut_before_value(const char *name_end, const char *value)
{
    if (value <= name_end)
        return true;
    for (const char *at = name_end + 1; at < value; at++) /* behind the colon */
        if (!is_blank(*at))
            return true;
    return false;
}

static const char *read_header(struct reading *reading, const char *name, size_t name_size,
                               const char *value, size_t value_size)
{
    if (name_size == 0 || !consists_of(name, name_size, "!#$%&'*+-.^_`|~"))
        return "A header's name is empty, or has a character that may not be in it.";
    if (is_cut(reading->end, name, LINE_END_SIZE) || is_cut_before_value(name + name_size, value))
        return cut;
    reading->end = value + value_size;
    if (has_control(value, value_size))
        return "A header has a control character.";
    while (value_size > 0 && is_blank(value[value_size - 1]))
        value_size--;
    if (is_named(name, name_size, MHD_HTTP_HEADER_HOST)) {
        if (++reading->hosts > 1)
            return "There are two Host headers.";
        if (!is_host(value, value_size))
            return "The Host is not a name or an address with or without a port.";
    } else if (is_named(name, name_size, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
        if (++reading->lengths > 1)
            return "There are two Content-Length headers.";
        if (value_size == 0 || !is_number(value, value_size))
            return "The Content-Length is not a number.";
        if (value_size != 1 || value[0] != '0')
            reading->has_body = true;
    } else if (is_named(name, name_size, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        reading->is_chunked = true;
        reading->has_body = true;
    }
    return NULL;
}

static enum MHD_Result take_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   size_t name_size, const char *value, size_t value_size)
{
    struct reading *reading = arg;
    (void)kind;
    if (value == NULL)
        reading->problem = cut;
    else
        reading->problem = read_header(reading, name, name_size, value, value_size);
    return reading->problem == NULL ? MHD_YES : MHD_NO;
}

/* Is the head as long as what was read of it, from the method to the empty line? */
static bool is_whole(struct MHD_Connection *connection, const char *method, const char *end)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL && end >= method &&
           info->header_size == (size_t)(end - method) + HEAD_END_SIZE;
}

struct framing framing_read(struct MHD_Connection *connection, struct framing_line line)
{
    struct reading reading = {.end = line.version + strlen(line.version)};
    if (is_cut(line.method + strlen(line.method), line.uri, 1) ||
        is_cut(line.uri_end, line.version, 1))
        reading.problem = "The request line has a NUL, or a blank too many.";
    else
        MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_header, &reading);
    if (reading.problem == NULL && !is_whole(connection, line.method, reading.end))
        reading.problem = cut;
    if (reading.problem == NULL && reading.is_chunked && reading.lengths > 0)
        reading.problem = "There are a Content-Length and a Transfer-Encoding.";
    if (reading.problem == NULL && reading.hosts == 0 && strcmp(line.version, "HTTP/1.0") != 0)
        reading.problem = "There is no Host.";
    return (struct framing){reading.problem, reading.has_body};
}

# make-reference.awk: a man page (section 3) for each public function and each header.
#
#   awk [-v folder=DIR -v version=0.1.0] -f make-reference.awk HEADER...
#
# Writes the pages into DIR, if given, and the index, docs/reference/README.md, to standard output.
# The comment of a function has lines that begin with "Returns" (unless it is void) and "Threads:",
# where it also says whether it blocks; exit 1 and names, if one has not. In comments "word  text"
# is an entry of a list, "  - text" a bullet, four spaces an example; "---- text" begins a section.

function put(line) { out = out line (line == "" ? "" : "\n") }

function escape(text, done) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/"/, "\\(dq", text)
    while (match(text, /`[^`]*`/)) {
        done = done substr(text, 1, RSTART - 1) "\\fI" substr(text, RSTART + 1, RLENGTH - 2) "\\fP"
        text = substr(text, RSTART + RLENGTH)
    }
    return (done == "" && text ~ /^[.\047]/ ? "\\&" : "") done text
}

# Put a comment. In that of a function, "Returns" and "Threads:" begin sections.
function put_comment(text, is_function, lines, count, i, line, at, in_list) {
    count = split(text, lines, "\n")
    for (i = 1; i <= count; i++) {
        line = lines[i]
        at = index(line, "  ")
        if (is_function && line ~ /^(Returns|Threads:)/) {
            put(line ~ /^R/ ? ".SH RETURN VALUE" : ".SH THREADS")
            sub(/^(Threads: |Returns$)/, "", line)
            line = toupper(substr(line, 1, 1)) substr(line, 2)
            in_list = 0
        } else if (at > 1) {
            put(".TP\n.B " escape(substr(line, 1, at - 1)))
            line = substr(line, at)
            in_list = 1
        } else if (line ~ /^  - / || (at == 1 && !in_list)) {
            put(sub(/^  - /, "", line) ? ".IP \\(bu 2" : ".IP")
            in_list = 1
        } else if (at != 1) {
            put(line == "" || in_list ? ".PP" : "")
            in_list = 0
        }
        sub(/^ +/, "", line)
        put(escape(line))
    }
}

# Put code and the comments in it in their order: code bold, each line on its own, comments filled.
function put_code(text, lines, count, i, line, at, in_comment) {
    count = split(text, lines, "\n")
    put(".RS 4")
    for (i = 1; i <= count; i++) {
        line = lines[i]
        if (in_comment && sub(/^ *\*$/, "", line)) {
            put(".PP")
            continue
        }
        at = in_comment ? 1 : index(line "/*", "/*")
        text = substr(line, 1, at - 1)
        sub(/ *\\?$/, "", text)
        put(text ~ /[^ ]/ ? ".br\n.B \"" escape(text) "\"" : line == "" ? ".PP" : "")
        line = substr(line, at)
        in_comment = line != "" && line !~ /\*\/$/
        gsub(/^( *\* |\/\* | +)| *\*\/$/, "", line)
        put((line != "" && text ~ /[^ ]/ ? "\\(en " : "") escape(line))
    }
    put(".RE")
}

function begin_page(name, prototype) {
    summary = comment ~ /^[A-Z][A-Z_]/ ? comment : tolower(substr(comment, 1, 1)) substr(comment, 2)
    gsub(/\n/, " ", summary)
    gsub(/^[a-z]+\.h: |[.?]( .*|$)/, "", summary)
    out = ".TH " name " 3 \"\" \"libbatch " version "\"\n.nh\n.ad l\n.SH NAME\n" name " \\- "
    put(escape(summary) "\n.SH SYNOPSIS\n.B #include <batch/" header ">")
    put((prototype == "" ? "" : ".HP 4\n.B \"" prototype "\"\n") ".SH DESCRIPTION")
}

function end_page(name) {
    gsub(/(\.PP\n+)+\./, ".", out)
    if (folder != "" && name != "")
        printf "%s", out >(folder "/" name ".3")
}

function put_function(name, header_page, lacks) {
    gsub(/\n */, " ", code)
    match(code, /[a-z0-9_]+\(/)
    name = substr(code, RSTART, RLENGTH - 1)
    lacks = (code ~ /^BATCH_API void / || comment ~ /\nReturns/ ? "" : " what it returns;") \
            (comment ~ /\nThreads: / ? "" : " its threads;") \
            (comment ~ /\nThreads: .*[Bb]lock/ ? "" : " whether it blocks;")
    if (lacks != "")
        print FILENAME ": the comment of " name " does not say:" lacks >"/dev/stderr"
    broken += lacks != ""
    header_page = out
    begin_page(name, escape(substr(code, 11)))
    put_comment(comment, 1)
    put(".SH SEE ALSO\n.BR " page " (3)")
    end_page(name)
    out = header_page ".TP\n.BR " name " (3)\n" escape(summary) "\n"
    print "| `" name "` | " summary " |"
}

# At an empty line: what has been read is a comment, code, or code with its comment.
function flush() {
    if (code ~ /^BATCH_API/) {
        put_function()
    } else if (page == "" && comment != "") {
        page = (header ~ /^batch/ ? "" : "batch_") header
        begin_page(page)
        put_comment(comment)
        print "\n## [batch/" header "](../../include/batch/" header ")\n\n| function | |\n|---|---|"
    } else if (comment code != "") {
        put(".PP")
        put_comment(comment)
        put_code(code)
    }
    comment = code = ""
}

BEGIN { print "# Reference\n\nThe public headers, also installed as man pages: `man 3 batch_run`." }
FNR == 1 {
    flush()
    end_page(page)
    page = ""
    header = substr(FILENAME, match(FILENAME, /[^\/]*$/))
}
/^\/\* ---- / {
    gsub(/^\/\* -+ | -+ \*\/$/, "")
    put(".SH " toupper($0))
    next
}
!depth && code == "" && (in_note || /^\/\*/) {
    in_note = !/\*\/$/
    gsub(/^(\/\*| \*) ?| ?\*\/$/, "")
    comment = comment (comment == "" ? "" : "\n") $0
    next
}
!depth && /^(#(if|ifn?def|endif|else|include)|#define (BATCH_API|.*_H$)|extern|}$)/ { next }
/./ || depth {
    code = code (code == "" ? "" : "\n") $0
    depth += gsub(/{/, "{") - gsub(/}/, "}")
    next
}
{ flush() }

END {
    flush()
    end_page(page)
    exit broken > 0
}

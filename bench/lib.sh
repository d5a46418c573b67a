# shellcheck shell=bash
# lib.sh: what the scripts of this folder share; to be sourced.

# With --help, a script prints the comment that it begins with.
case ${1:-} in
-h | --help)
    sed -n '2,/^[^#]/s/^#$\|^# //p' "$0"
    exit
    ;;
esac

# need PROGRAM…: or exit.
need()
{
    local program
    for program in "$@"; do
        [ -x "$program" ] || { echo "$program is missing: build it first" >&2; exit 2; }
    done
}

# field NAME: its number, from lines of JSON on standard input.
field()
{
    sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"
}

# median: of three numbers on standard input, a line each.
median()
{
    sort -g | sed -n 2p
}

# postgres_start FOLDER [VARIABLE=VALUE…]: a PostgreSQL server with its default settings, with its data, log and socket
# in FOLDER, which is created in a folder of its own, and with these in its environment. Sets postgres_pid, postgres_bin,
# and postgres_conninfo.
postgres_start()
{
    local user tries=0
    local as=(setpriv --pdeathsig INT) # it ends with the script, however that ends
    # Debian keeps the server out of the path.
    postgres_bin=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -1)
    postgres_bin=$(dirname "${postgres_bin:-$(command -v postgres || true)}")
    [ -x "$postgres_bin/initdb" ] || { echo "PostgreSQL is missing: tools/install-packages bench" >&2; exit 2; }
    mkdir "$1"
    if [ "$(id -u)" = 0 ]; then # it refuses to run as root
        user=postgres
        id "$user" >/dev/null 2>&1 || user=nobody
        chmod 755 "$(dirname "$1")"
        chown "$user" "$1"
        as+=(--reuid "$user" --regid "$(id -g "$user")" --clear-groups)
    fi
    (cd "$1" && LC_ALL=C.UTF-8 "${as[@]}" "$postgres_bin/initdb" -D data -U batch -A trust -E UTF8 \
        >log 2>&1) || { cat "$1/log" >&2; exit 2; }
    "${as[@]}" env "${@:2}" "$postgres_bin/postgres" -D "$1/data" -c listen_addresses= \
        -c unix_socket_directories="$1" >>"$1/log" 2>&1 &
    postgres_pid=$!
    # shellcheck disable=SC2034 # for the script
    postgres_conninfo="host=$1 user=batch dbname=postgres"
    until grep -q '^ready' "$1/data/postmaster.pid" 2>/dev/null; do
        if ! kill -0 "$postgres_pid" 2>/dev/null || [ $((++tries)) -gt 600 ]; then
            cat "$1/log" >&2
            exit 2
        fi
        sleep 0.1
    done
}

# postgres_stop: the server, if it was started; what is in flight is rolled back.
postgres_stop()
{
    [ -n "${postgres_pid:-}" ] || return 0
    kill -INT "$postgres_pid" 2>/dev/null || true # "fast": no waiting for sessions
    wait "$postgres_pid" 2>/dev/null || true
    postgres_pid=
}

# shellcheck shell=bash
# http.sh: a booking server under the load of wrk: what ./demo and the scripts of this folder share; to be
# sourced. Servers are train-server and direct-server.

http_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
server_pid= # of the server, while there is one

# server_start LOG COMMAND…: start a server that prints to LOG, and wait until it listens; 1 if it ends
# instead. Sets server_pid and server_url. In a session of its own, so that Ctrl-C is for the script.
server_start()
{
    local log=$1
    shift
    : >"$log"
    setsid "$@" >"$log" 2>&1 </dev/null &
    server_pid=$!
    until grep -q '^listening on ' "$log"; do
        kill -0 $server_pid 2>/dev/null || return 1
        sleep 0.05
    done
    # shellcheck disable=SC2034 # for the script
    server_url=$(sed -n 's/^listening on //p' "$log")
}

# server_stop: let it complete what it has accepted. Its exit code; 0 if there is none.
server_stop()
{
    local pid=$server_pid
    server_pid=
    [ -z "$pid" ] || { kill "$pid" && wait "$pid"; }
}

# server_total LOG PATTERN: the number that \(\) in PATTERN matches in the last line of a server.
server_total()
{
    sed -n "s/^stopped: .*$2.*/\1/p" "$1"
}

# wrk_load CONNECTIONS SECONDS URL [OPTION-OF-LOAD-LUA…]: becomes wrk; to be run in a subshell.
wrk_load()
{
    local connections=$1 seconds=$2 url=$3
    shift 3
    exec wrk -t2 -c"$connections" -d"${seconds}s" --timeout 60s --latency \
        -s "$http_here/../examples/train_server/tools/load.lua" "$url" -- "$@"
}

# wrk_report FILE: of what wrk printed, "REQUESTS/S P50 P99 MEAN ERRORS", the times in ms.
wrk_report()
{
    awk '
        function ms(time) {
            return time * (time ~ /us$/ ? 0.001 : time ~ /ms$/ ? 1 : time ~ /m$/ ? 60000 : 1000)
        }
        /^Requests\/sec/ { rate = $2 }
        /^ +Latency +[0-9]/ { mean = ms($2) }
        /^ +50%/ { p50 = ms($2) }
        /^ +99%/ { p99 = ms($2) }
        /Non-2xx/ { errors += $NF }
        /Socket errors/ { gsub(",", ""); errors += $4 + $6 + $8 + $10 }
        END { printf "%.0f %.1f %.1f %.1f %d\n", rate, p50, p99, mean, errors }' "$1"
}

# shellcheck shell=bash
# process.sh: parts of a cluster as processes; to be sourced by deploy/cluster.
#
# Every part has a supervisor, deploy/cluster again, that starts it anew when it ends: what systemd
# does on a machine of its own. run/NAME in the folder holds the process id of the part NAME and
# run/NAME.supervisor that of its supervisor, each with the time at which the process was started,
# so that a number that has come to mean another process is never signalled.
#
# Needs: folder; self, the path of deploy/cluster; fail.

# until_true SECONDS COMMAND...: wait until it succeeds; 1 if it does not in that time.
until_true()
{
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

# identity PID: the process id and the time at which it was started. Fails if there is no such process,
# or if it is a zombie.
identity()
{
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [ "${fields[0]}" != Z ] && echo "$1 ${fields[19]}"
}

# note NAME PID: write run/NAME.
note()
{
    identity "$2" >"$folder/run/$1.new" && mv "$folder/run/$1.new" "$folder/run/$1"
}

# pid_of NAME: the process id in run/NAME, if that process is alive.
pid_of()
{
    local line
    { read -r line <"$folder/run/$1"; } 2>/dev/null || return 1
    [ "$(identity "${line%% *}")" = "$line" ] && echo "${line%% *}"
}

# postmaster NODE: the process id of its PostgreSQL, which runs on when Patroni is killed, if it is alive.
postmaster()
{
    local pid
    { read -r pid <"$folder/$1/data/postmaster.pid"; } 2>/dev/null || return 1
    [ "$(readlink "/proc/$pid/cwd")" = "$folder/$1/data" ] && echo "$pid"
}

# with_children PID: the process and all below it.
with_children()
{
    local child
    echo "$1"
    for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
        with_children "$child"
    done
}

# processes_of PART: of the part itself, without its supervisor.
processes_of()
{
    local pid
    if pid=$(pid_of "$1"); then
        with_children "$pid"
    fi
    if [[ $1 = postgres* ]] && pid=$(postmaster "$1"); then
        with_children "$pid"
    fi
}

# as USER COMMAND...: become the command, as that user if we are root. It ends with its supervisor.
as()
{
    local user=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --pdeathsig TERM "$@"
    fi
    exec setpriv --pdeathsig TERM "$@"
}

# supervise NAME COMMAND: run COMMAND NAME, wait for its end, run it again; on SIGTERM end it.
supervise()
{
    local name=$1 command=$2 child=
    trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null; stopping=yes' TERM
    trap '' INT HUP
    stopping=no
    note "$name.supervisor" $$
    cd "$folder/$name"
    while [ $stopping = no ]; do
        (trap - TERM INT HUP && "$command" "$name") &
        child=$!
        note "$name" $child || true
        while kill -0 $child 2>/dev/null; do
            wait $child || true
        done
        child=
        [ $stopping = yes ] || sleep 0.5
    done
}

# start PART [USER]: its supervisor, unless there is one. USER: of the part's folder, if we are root.
start()
{
    if pid_of "$1.supervisor" >/dev/null; then
        return 0
    fi
    rm -f "$folder/run/$1.supervisor"
    mkdir -p "$folder/$1"
    if [ "$(id -u)" = 0 ] && [ -n "${2:-}" ]; then
        chown "$2:" "$folder/$1"
    fi
    chmod 700 "$folder/$1"
    setsid "$self" supervise "$1" --folder "$folder" >>"$folder/log/$1" 2>&1 </dev/null 9>&- &
    disown
    until_true 10 pid_of "$1.supervisor" || fail "$1 has no supervisor" "$folder/log/$1"
}

is_gone()
{
    ! pid_of "$1" && ! pid_of "$1.supervisor" && [ -z "$(processes_of "$1")" ]
}

# stop PART...: shut them down, in parallel. A part that is suspended is resumed first; what does not
# end in time is killed.
stop()
{
    local part pids
    for part in "$@"; do
        pids=$(processes_of "$part")
        [ -z "$pids" ] || kill -CONT $pids 2>/dev/null || true
        pids=$(pid_of "$part.supervisor") || pids=$(pid_of "$part") || continue
        kill -TERM "$pids" 2>/dev/null || true
    done
    for part in "$@"; do
        until_true 15 is_gone "$part" || stop_now "$part"
    done
}

# stop_now PART: kill all of it, its supervisor first. The end of the supervisor makes the part shut
# down, which nothing does that is suspended.
stop_now()
{
    local pids
    pids=$(processes_of "$1")
    [ -z "$pids" ] || kill -STOP $pids 2>/dev/null || true
    kill -KILL $(pid_of "$1.supervisor") $(processes_of "$1") 2>/dev/null || true
    until_true 10 is_gone "$1" || fail "cannot end $1: $(processes_of "$1" | tr '\n' ' ')"
}


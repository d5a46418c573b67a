# shellcheck shell=bash
# process.sh: parts of a cluster as processes; to be sourced by deploy/cluster.
#
# Every part has a supervisor, another deploy/cluster, that restarts it when it ends: what systemd
# does on a machine of its own. run/NAME in the folder holds the process id of the part NAME and
# run/NAME.supervisor that of its supervisor, each with the time at which the process was started and the
# boot of the machine, so that a number that has come to mean another process is never signalled.
#
# Needs: folder; self, the path of deploy/cluster; postgres_bin; fail, give_up_if_interrupted.

# until_true SECONDS COMMAND...: wait until it succeeds; 1 if it does not in that time. Sets `reported`, what
# the command printed last.
until_true()
{
    local until=$((SECONDS + $1))
    shift
    until reported=$("$@" 2>&1); do
        give_up_if_interrupted
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

# identity PID: the process id, the time at which it was started and the boot. Fails if there is no such
# process, or if it is a zombie.
identity()
{
    local stat fields boot
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    { read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=unknown
    [ "${fields[0]}" != Z ] && echo "$1 ${fields[19]} $boot"
}

# note NAME PID: write run/NAME.
note()
{
    identity "$2" >"$folder/run/$1.$BASHPID" && mv "$folder/run/$1.$BASHPID" "$folder/run/$1"
}

# pid_of NAME: the process id in run/NAME, if that process is alive.
pid_of()
{
    local line
    { read -r line <"$folder/run/$1"; } 2>/dev/null || return 1
    [ "$(identity "${line%% *}")" = "$line" ] && echo "${line%% *}"
}

# is_postgres PID NODE: whether that process is a PostgreSQL on the data of that node.
is_postgres()
{
    [ "/proc/$1/cwd" -ef "$folder/$2/data" ] && [ "/proc/$1/exe" -ef "$postgres_bin/postgres" ]
}

# postmaster NODE: the process id of its PostgreSQL, which runs on when Patroni is killed, if it is alive.
# postmaster.pid alone says nothing: after a crash its number may be that of another process.
postmaster()
{
    local pid
    { read -r pid <"$folder/$1/data/postmaster.pid"; } 2>/dev/null || return 1
    [[ $pid =~ ^[0-9]+$ ]] && is_postgres "$pid" "$1" && identity "$pid" >/dev/null && echo "$pid"
}

# postgres_processes NODE: all of its PostgreSQL, also those whose postmaster has been killed.
postgres_processes()
{
    local entry
    [ -d "$folder/$1/data" ] || return 0
    for entry in /proc/[0-9]*; do
        if is_postgres "${entry#/proc/}" "$1" && identity "${entry#/proc/}" >/dev/null; then
            echo "${entry#/proc/}"
        fi
    done
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

# ends_of PART: how often it has ended by itself since its supervisor was started.
ends_of()
{
    cat "$folder/run/$1.ends" 2>/dev/null || echo 0
}

# condition PART: of its processes.
condition()
{
    local pids pid
    pids=$(processes_of "$1")
    [ -n "$pids" ] || { echo 'does not run' && return; }
    for pid in $pids; do
        if [[ $(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) = T* ]]; then
            echo 'is suspended'
            return
        fi
    done
    echo 'does not answer'
}

# processes_of PART: of the part itself, without its supervisor.
processes_of()
{
    local pid
    if pid=$(pid_of "$1"); then
        with_children "$pid"
    fi
    [[ $1 != postgres* ]] || postgres_processes "$1"
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
    local name=$1 command=$2 child= ends=0
    trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null; stopping=yes' TERM
    trap '' INT HUP
    stopping=no
    note "$name.supervisor" $$
    cd "$folder/$name"
    export HOME=$PWD # files of the user's own, such as ~/.postgresql, are not for the parts
    while [ $stopping = no ]; do
        (trap - TERM INT HUP && "$command" "$name") &
        child=$!
        note "$name" $child || true
        while kill -0 $child 2>/dev/null; do
            wait $child || true
        done
        child=
        [ $stopping = no ] || return 0
        ends=$((ends + 1))
        echo $ends >"$folder/run/$name.ends"
        echo "cluster: $name has ended; it is started again" >&2
        sleep 0.5
    done
}

# start PART [USER]: its supervisor, unless there is one. USER: of the part's folder, if we are root.
start()
{
    if pid_of "$1.supervisor" >/dev/null; then
        return 0
    fi
    rm -f "$folder/run/$1.supervisor" "$folder/run/$1.ends"
    mkdir -p "$folder/$1"
    if [ "$(id -u)" = 0 ] && [ -n "${2:-}" ]; then
        chown "$2:" "$folder/$1"
    fi
    chmod 700 "$folder/$1"
    setsid "$self" supervise "$1" --folder "$folder" >>"$folder/log/$1" 2>&1 </dev/null 9>&- &
    note "$1.supervisor" $! || true # at once, so that nothing that was started can be missed
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
        if pids=$(pid_of "$part.supervisor") || pids=$(pid_of "$part"); then
            kill -TERM "$pids" 2>/dev/null || true
        elif [[ $part = postgres* ]] && pids=$(postmaster "$part"); then
            kill -INT "$pids" 2>/dev/null || true # fast shutdown: there is no Patroni to ask for it
        fi
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
    kill -KILL $(pid_of "$1.supervisor") $pids $(processes_of "$1") 2>/dev/null || true
    until_true 10 is_gone "$1" || fail "cannot end $1: $(processes_of "$1" | tr '\n' ' ')"
    [[ $1 != postgres* ]] || free_memory "$1"
}

# free_memory NODE: the System V segment of a PostgreSQL that was killed, which its next start would free.
# postmaster.pid names it; it is freed only if that very process created it and no process uses it. The rest
# of its shared memory is in the folder (dynamic_shared_memory_type).
free_memory()
{
    local file lines segment
    for file in "$folder/$1"/data*/postmaster.pid; do
        mapfile -t lines 2>/dev/null <"$file" || continue
        segment=$(awk -v named="${lines[6]:-}" -v creator="${lines[0]#-}" '
            BEGIN { split(named, name, " ") }
            $2 == name[2] && ($1 + 4294967296) % 4294967296 == name[1] % 4294967296 &&
                $5 == creator && $7 == 0 { print $2 }' /proc/sysvipc/shm)
        [ -z "$segment" ] || ipcrm --shmem-id "$segment" || true
    done 2>/dev/null
}

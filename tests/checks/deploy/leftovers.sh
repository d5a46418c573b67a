# shellcheck shell=bash
# leftovers.sh: what remains of a cluster; to be sourced by the checks of deploy/cluster.
#
# Only what can be attributed to a cluster counts, since other tests run at the same time: processes by
# their folder, memory by who created it.
#
# Needs: fail.

# need_packages: or skip.
need_packages()
{
    local program
    PATH=$PATH:/usr/sbin
    for program in etcd patroni haproxy /usr/lib/postgresql/15/bin/postgres; do
        if ! command -v $program >/dev/null; then
            echo "skipped: there is no $program; tools/install-packages test"
            exit 77
        fi
    done
}

# until_true COMMAND...: wait for it, for a generous time.
until_true()
{
    local until=$((SECONDS + 60))
    until "$@"; do
        [ $SECONDS -lt $until ] || fail "in 60 s never true: $*"
        sleep 0.1
    done
}

# processes_in FOLDER: those that work in it or were told of it, but for this script and what it calls.
processes_in()
{
    {
        find /proc -mindepth 2 -maxdepth 2 -path '/proc/[0-9]*/cwd' -printf '%P %l/\n' |
            FOLDER="$1/" awk '{ at = index($0, " ") } index(substr($0, at + 1), ENVIRON["FOLDER"]) == 1'
        grep -lszxF -- "$1" /proc/[0-9]*/cmdline
    } 2>/dev/null | tr -d ' ' | sed -n 's|^/proc/||; s|^\([0-9]*\)/.*|\1|p' | sort -u |
        while read -r pid; do
            [ "$pid" = $$ ] || [ "$pid" = $BASHPID ] || [ ! -e "/proc/$pid" ] || echo "$pid"
        done || true
}

# segments_of PID...: System V shared memory that these processes have created.
segments_of()
{
    local pid
    for pid in "$@"; do
        awk -v pid="$pid" '$5 == pid { print $2 }' /proc/sysvipc/shm
    done
}

has_segment()
{
    awk -v id="$1" '$2 == id { found = 1 } END { exit !found }' /proc/sysvipc/shm
}

# shared_files_of PID...: in /dev/shm, that these processes have mapped.
shared_files_of()
{
    local pid
    for pid in "$@"; do
        sed -n 's|^[^/]*\(/dev/shm/.*\)|\1|p' "/proc/$pid/maps" 2>/dev/null || true
    done | sort -u
}

# nothing_left FOLDER [PID...]: of a cluster that was there, in which these processes had run.
nothing_left()
{
    local there=$1 left
    shift
    [ ! -e "$there" ] || fail "the folder is left: $(ls -A "$there")"
    left=$(processes_in "$there")
    [ -z "$left" ] || fail "processes are left: $(ps -o pid,args -p "$(echo $left | tr ' ' ',')")"
    left=$(segments_of "$@")
    [ -z "$left" ] || fail "shared memory is left: $left"
}

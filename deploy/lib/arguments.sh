# shellcheck shell=bash
# arguments.sh: what the commands take; to be sourced by deploy/cluster.
#
# Needs: wrong.

# COMMAND, its options, and how many arguments it takes, from and to.
commands='
up --folder,--port-base,--programs,--end-with 0 0
status --folder 0 0
load --folder 0 2
audit --folder 1 1000000
kill --folder,-* 1 1
stop --folder,--now 1 1
run --folder 1 1000000
down --folder,--keep 0 0
help - 0 0
supervise --folder 1 1
guard --folder 1 1
'

# check_number WHAT VALUE FROM TO: print it, or refuse it.
check_number()
{
    [[ $2 =~ ^[0-9]{1,9}$ ]] && [ $((10#$2)) -ge "$3" ] && [ $((10#$2)) -le "$4" ] ||
        wrong "$1 takes a number from $3 to $4, not '$2'"
    echo $((10#$2))
}

# folder_named NAME: its absolute path.
folder_named()
{
    [ -n "$1" ] || wrong "the name of the folder is empty"
    realpath --canonicalize-missing -- "$1" 2>/dev/null || wrong "there cannot be a folder $1"
}

# signal_named NAME: without SIG; NAME may be a number, too.
signal_named()
{
    local signal
    [[ $1 =~ ^[A-Za-z0-9] ]] && signal=$(kill -l "$1" 2>/dev/null) || return 1
    [[ $1 = [0-9]* ]] || signal=$(kill -l "$signal")
    echo "$signal"
}

# take_value OPTION VALUE
take_value()
{
    case $1 in
    --folder) folder=$2 ;;
    --port-base)
        wanted_port_base=$(check_number --port-base "$2" \
            "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null || echo 1024)" \
            $((65536 - port_count))) || exit
        ;;
    --programs)
        [ -d "$2" ] || wrong "there is no folder $2 with programs"
        wanted_programs=$(cd -- "$2" && pwd -P) || exit 1
        ;;
    --end-with)
        end_with=$(check_number --end-with "$2" 1 4194304) || exit
        [ -e "/proc/$end_with" ] || wrong "--end-with: there is no process $end_with"
        ;;
    esac
}

# read_arguments COMMAND ARGUMENT...: set folder, wanted_port_base, wanted_programs, end_with, keep, now,
# signal, and arguments, what is not an option. What the command does not take is refused.
read_arguments()
{
    local command=$1 options from to
    shift
    read -r options from to < <(awk -v command="$command" '$1 == command { print $2, $3, $4 }' <<<"$commands") || true
    [ -n "$options" ] || wrong "there is no command '$command'"
    while [ $# -gt 0 ]; do
        case $1 in
        --folder | --port-base | --programs | --end-with)
            [[ ,$options, = *,$1,* ]] || wrong "$command does not take $1"
            [ $# -ge 2 ] || wrong "$1 needs a value"
            take_value "$1" "$2"
            shift
            ;;
        --keep | --now)
            [[ ,$options, = *,$1,* ]] || wrong "$command does not take $1"
            [ "$1" = --keep ] && keep=yes || now=yes
            ;;
        -?*)
            if [ "$command" != kill ] || ! signal=$(signal_named "${1#-}"); then
                wrong "$command does not take $1"
            fi
            ;;
        *)
            arguments+=("$1")
            if [ "$command" = run ]; then # all that follows is a command of its own
                shift
                arguments+=("$@")
                break
            fi
            ;;
        esac
        shift
    done
    [ ${#arguments[@]} -le "$to" ] || wrong "$command does not take '${arguments[to]}'"
    [ ${#arguments[@]} -ge "$from" ] || wrong "$command takes $(
        case $command in
        audit) echo "files that load has written" ;;
        run) echo "a command" ;;
        *) echo "a part" ;;
        esac)"
}

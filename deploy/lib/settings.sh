# shellcheck shell=bash
# settings.sh: the folder of a cluster, its ports and its password; to be sourced by deploy/cluster.
#
# Needs: folder; wanted_port_base and wanted_programs as the command line has them, or empty; programs;
# fail, wrong; port_of, port_count and `as` when called.

folder_bytes_max=400 # PostgreSQL keeps a connection string with this path in it in 1,023 bytes
new_mib=2048         # free space for a new cluster: WAL of two nodes, three members of etcd
old_mib=512          # and for one that is started again

# taken PORT...: those of them that a socket of this machine has: one that listens, or is connected (states 0A,
# 01 to 03, 08 in /proc/net/tcp). Connections that are ending do not keep a server from its port.
taken()
{
    printf '%04X %d\n' $(printf '%s\n' "$@" | sed 'p') |
        awk 'FILENAME == "-" { port[$1] = $2; next }
             $4 ~ /^0[1238A]$/ && split($2, at, ":") && at[2] in port { print port[at[2]]; delete port[at[2]] }' \
            - /proc/net/tcp $([ -e /proc/net/tcp6 ] && echo /proc/net/tcp6)
}

choose_ports()
{
    local busy tries
    if [ -n "$wanted_port_base" ]; then
        port_base=$wanted_port_base
        busy=$(taken $(seq "$port_base" $((port_base + port_count - 1))))
        [ -z "$busy" ] || fail "port taken by another program: $(echo $busy); choose another --port-base"
        return 0
    fi
    # Below those that the system gives to outgoing connections.
    for ((tries = 0; tries < 1000; tries++)); do
        port_base=$((10000 + RANDOM % 1400 * 16))
        [ -n "$(taken $(seq "$port_base" $((port_base + port_count - 1))))" ] || return 0
    done
    fail "found no $port_count free ports in a row; name some with --port-base"
}

# check_ports PART...: those of parts that do not run must be free.
check_ports()
{
    local part name busy
    for part in "$@"; do
        if pid_of "$part.supervisor" >/dev/null || [ -n "$(processes_of "$part")" ]; then
            continue
        fi
        busy=$(taken $(for name in "$part" "$part"-{state,peer,patroni}; do port_of "$name"; done))
        [ -z "$busy" ] || fail "port of $part taken by another program: $(echo $busy)"
    done
}

# check_name: refuse a folder whose name cannot be passed on to all of the parts.
check_name()
{
    [[ ! $folder =~ [[:cntrl:]] ]] || wrong "the name of the folder has a control character in it"
    printf %s "$folder" | iconv --from-code UTF-8 --to-code UTF-8 >/dev/null 2>&1 ||
        wrong "the name of the folder is not valid UTF-8"
    [ "$(LC_ALL=C && echo ${#folder})" -le $folder_bytes_max ] ||
        wrong "the name of the folder is longer than $folder_bytes_max bytes"
}

# check_space MIB
check_space()
{
    local free files
    free=$(df --output=avail --block-size=1M -- "$folder" | tail -n +2)
    [ "$free" -ge "$1" ] || fail "$((free)) MiB are free in $folder, at least $1 are needed"
    files=$(df --output=itotal,iavail -- "$folder" | awk 'NR > 1 && $1 > 0 { print $2 }')
    [ "${files:-10000}" -ge 10000 ] || fail "$files files are free in $folder, at least 10000 are needed"
}

# check_file_system: PostgreSQL and etcd need permissions, owners, hard links, locks, and files that can be
# flushed. File systems made for other systems lack some of them.
check_file_system()
{
    local probe=$folder/probe lacks=
    rm -rf "$probe"
    {
        if ! mkdir -m 700 "$probe" || ! : >"$probe/a" || ! chmod 600 "$probe/a" ||
            [ "$(stat --format=%a "$probe")$(stat --format=%a "$probe/a")" != 700600 ]; then
            lacks=permissions
        elif ! ln "$probe/a" "$probe/b" || ! [ "$probe/a" -ef "$probe/b" ]; then
            lacks='hard links'
        elif ! mv "$probe/b" "$probe/c" || ! sync "$probe/a" "$probe"; then
            lacks='flushing'
        elif ! flock --nonblock "$probe/a" true; then
            lacks=locks
        elif [ "$(id -u)" = 0 ] && { ! chown postgres: "$probe" || ! as_postgres test -w "$probe"; }; then
            lacks='owners'
        fi
    } 2>/dev/null
    rm -rf "$probe"
    [ -z "$lacks" ] || fail "the file system of $folder has no $lacks, which PostgreSQL and etcd need"
}

as_postgres()
{
    (as postgres "$@")
}

# make_folder: a new folder, or an empty one; else complain. From the moment at which it is there it has
# settings, so that `down` knows it; all else is made by complete_folder.
make_folder()
{
    local made=no
    if [ ! -e "$folder" ] && [ ! -L "$folder" ]; then
        [ -d "$(dirname "$folder")" ] || fail "there is no folder $(dirname "$folder") to make one in"
        mkdir -m 711 "$folder" || fail "cannot make $folder; name another with --folder"
        made=yes
    elif [ ! -d "$folder" ] || [ -L "$folder" ] || [ ! -O "$folder" ]; then
        fail "$folder is not a folder of yours; name another with --folder"
    elif [ -n "$(ls -A "$folder" | grep -vx 'settings\.new')" ]; then
        fail "$folder holds something else; name another with --folder"
    fi
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf 'port_base=%q\nprograms=%q\npassword=%q\nmade=%q\n' \
        "$port_base" "$programs" "$password" $made >"$folder/settings.new") ||
        fail "cannot write to $folder"
    mv "$folder/settings.new" "$folder/settings"
}

# remove_folder: its settings last, so that what is left can be removed again. A folder that was there before
# stays, empty.
remove_folder()
{
    find "$folder" -mindepth 1 -maxdepth 1 ! -name settings -exec rm -rf {} + &&
        rm "$folder/settings" || fail "cannot remove all of $folder"
    if [ "${made:-yes}" = yes ]; then
        rmdir "$folder" || fail "cannot remove $folder"
        echo "$folder is gone."
    else
        echo "$folder, which was there before, is empty."
    fi
}

# complete_folder SPACE_MIB: what a cluster needs in its folder, and of the disk.
complete_folder()
{
    check_space "$1"
    if [ "$(id -u)" = 0 ] && ! { as_postgres test -x "$folder" && (as nobody test -x "$folder"); }; then
        fail "the users postgres and nobody cannot reach $folder; name another with --folder"
    fi
    check_file_system
    mkdir -p "$folder/run" "$folder/log" "$folder/patroni"
    (umask 077 && printf '127.0.0.1:*:*:*:%s\n' "$password" >"$folder/pgpass")
    cp "$here/haproxy.cfg" "$folder/"
    cp "$here/patroni.yml" "$folder/patroni/1.yml"
    # So that a PostgreSQL that is killed leaves nothing in /dev/shm.
    printf 'postgresql:\n  parameters:\n    dynamic_shared_memory_type: mmap\n' >"$folder/patroni/2.yml"
    chmod 755 "$folder/patroni"
    chmod 644 "$folder/haproxy.cfg" "$folder/patroni/"*.yml
}

# quoted VALUE: as a value in a connection string of libpq.
quoted()
{
    local value=${1//\\/\\\\}
    printf "'%s'" "${value//\'/\\\'}"
}

# read_settings: of a cluster that is there, or 1.
read_settings()
{
    [ -O "$folder" ] && [ ! -L "$folder" ] && [ -f "$folder/settings" ] && [ -O "$folder/settings" ] ||
        return 1
    . "$folder/settings"
    # What the servers connect to: whichever node takes writes.
    conninfo="host=127.0.0.1,127.0.0.1 port=$(port_of postgres1),$(port_of postgres2)"
    conninfo+=" dbname=trains user=postgres target_session_attrs=read-write connect_timeout=3"
    conninfo+=" passfile=$(quoted "$folder/pgpass")"
    superuser=${conninfo/dbname=trains/dbname=postgres}
    conninfo=${conninfo/user=postgres/user=trains}
}

need_cluster()
{
    read_settings || fail "there is no cluster in $folder; deploy/cluster up makes one"
}

# same_settings: refuse options of `up` that contradict a cluster that is there.
same_settings()
{
    [ "${wanted_port_base:-$port_base}" = "$port_base" ] ||
        wrong "the cluster in $folder has the ports from $port_base on; only a new one takes --port-base"
    [ "${wanted_programs:-$programs}" = "$programs" ] ||
        wrong "the cluster in $folder runs the programs in $programs; only a new one takes --programs"
}

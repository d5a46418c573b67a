# shellcheck shell=bash
# settings.sh: the folder of a cluster, its ports and its password; to be sourced by deploy/cluster.
#
# Needs: folder; port_base and programs as the command line has them; fail; port_of and port_count when
# called.

# taken PORT...: those of them that a socket of this machine has.
taken()
{
    printf '%04X %d\n' $(printf '%s\n' "$@" | sed 'p') |
        awk 'FILENAME == "-" { port[$1] = $2; next }
             split($2, at, ":") && at[2] in port { print port[at[2]]; delete port[at[2]] }' \
            - /proc/net/tcp $([ -e /proc/net/tcp6 ] && echo /proc/net/tcp6)
}

choose_ports()
{
    local busy
    if [ -n "$port_base" ]; then
        busy=$(taken $(seq "$port_base" $((port_base + port_count - 1))))
        [ -z "$busy" ] || fail "port taken by another program: $(echo $busy); choose another --port-base"
        return 0
    fi
    # Below those that the system gives to outgoing connections.
    while
        port_base=$((10000 + RANDOM % 1400 * 16))
        [ -n "$(taken $(seq "$port_base" $((port_base + port_count - 1))))" ]
    do :; done
}

# A new folder, or one that a cluster left with its data; else complain.
make_folder()
{
    if [ ! -e "$folder" ]; then
        mkdir -p "$(dirname "$folder")"
        mkdir -m 711 "$folder" || fail "cannot make $folder; name another with --folder"
    elif [ ! -d "$folder" ] || [ -L "$folder" ] || [ ! -O "$folder" ]; then
        fail "$folder is not a folder of yours; name another with --folder"
    elif [ -n "$(ls -A "$folder")" ]; then
        fail "$folder holds something else; name another with --folder"
    fi
    if ! (as postgres test -x "$folder"); then
        rmdir "$folder"
        fail "the user postgres cannot reach $folder; name another with --folder"
    fi
    mkdir "$folder/run" "$folder/log"
    password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    (umask 077 && printf '127.0.0.1:*:*:*:%s\n' "$password" >"$folder/pgpass")
    (umask 077 && printf 'port_base=%q\nprograms=%q\npassword=%q\n' \
        "$port_base" "$programs" "$password" >"$folder/settings")
}

# read_settings: of a cluster that is there, or 1.
read_settings()
{
    [ -O "$folder/settings" ] || return 1
    . "$folder/settings"
    # What the servers connect to: whichever node takes writes.
    conninfo="host=127.0.0.1,127.0.0.1 port=$(port_of postgres1),$(port_of postgres2)"
    conninfo+=" dbname=trains user=postgres target_session_attrs=read-write connect_timeout=3"
    conninfo+=" passfile=$folder/pgpass"
    superuser=${conninfo/dbname=trains/dbname=postgres}
    conninfo=${conninfo/user=postgres/user=trains}
}

need_cluster()
{
    read_settings || fail "there is no cluster in $folder; deploy/cluster up makes one"
}


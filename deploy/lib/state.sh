# shellcheck shell=bash
# state.sh: what the parts of the cluster report; to be sourced by deploy/cluster.
#
# Needs: what is in process.sh, parts.sh and settings.sh; superuser, the conninfo of one.

get()
{
    curl --disable --silent --show-error --fail --noproxy '*' --max-time 3 "http://$1"
}

sql()
{
    timeout --foreground 10 psql --no-psqlrc --quiet --tuples-only --no-align "$@"
}

# sql_on NODE [OPTION...]: on that node, whatever its role.
sql_on()
{
    local node=$1
    shift
    sql "host=127.0.0.1 port=$(port_of "$node") dbname=postgres user=postgres connect_timeout=2 \
        passfile=$(quoted "$folder/pgpass")" "$@"
}

# The roles of the nodes, a line for each: NODE ROLE STATE. ROLE is primary, sync, standby or unknown. All of
# it is what the nodes themselves know, and of a standby what its primary knows: Patroni's list may still call
# one synchronous for which no commit waits.
database_roles()
{
    local node states= self
    for node in "${nodes[@]}"; do
        self=$(sql_on "$node" --field-separator ' ' --command '
            select case when pg_is_in_recovery() then 1 else 0 end,
                current_setting($$synchronous_standby_names$$) <> $$$$' --command '
            select application_name, sync_state, state || $$, lag $$ ||
                coalesce(pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn), 0) || $$ bytes$$
            from pg_stat_replication where not pg_is_in_recovery()' 2>/dev/null) || self=
        states+="= $node $self"$'\n'
    done
    printf %s "$states" | awk '
        $1 == "=" {
            node = $2; order[++n] = node; known[node] = NF > 2; recovers[node] = $3 == 1; waits[node] = $4 == "t"
            next
        }
        NF > 2 {
            name = $1; sync[name] = $2; has_sync[node] += $2 == "sync"
            sub(/^[^ ]+ [^ ]+ /, ""); state[name] = $0
        }
        END {
            for (i = 1; i <= n; i++) {
                node = order[i]
                if (!known[node]) print node, "unknown does not answer"
                else if (!recovers[node] && waits[node] && !has_sync[node])
                    print node, "primary its commits wait for a synchronous standby"
                else if (!recovers[node])
                    print node, "primary", has_sync[node] ? "running" : "running, without a synchronous standby"
                else if (!(node in sync)) print node, "standby follows no primary"
                else print node, sync[node] == "sync" ? "sync" : "standby", state[node]
            }
        }'
}

# patroni_member ROLE: the node that is leader or sync_standby according to Patroni.
patroni_member()
{
    local node
    for node in "${nodes[@]}"; do
        get "$(address_of "$node-patroni")/cluster" && break
    done 2>/dev/null | tr '{' '\n' |
        sed -n "/\"role\": *\"$1\"/s/.*\"name\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}

# node_with ROLE: the node that is primary, sync or standby. One that does not answer, because it is
# suspended, is still the primary if Patroni says so.
node_with()
{
    local node
    node=$(database_roles | awk -v role="$1" '$2 == role && !found++ { print $1 }')
    [ -n "$node" ] || [ "$1" != primary ] || node=$(patroni_member leader)
    [ -n "$node" ] && echo "$node"
}

# As the primary sees it, since Patroni may report one that has just gone; and as Patroni sees it, which lets no
# other one take over.
standby_follows()
{
    sql "$superuser" --command 'select state, sync_state from pg_stat_replication' |
        grep -x 'streaming|sync' >/dev/null && [ -n "$(patroni_member sync_standby)" ]
}

# works PART: whether it works by itself. Else prints what is wrong.
works()
{
    case $1 in
    etcd*) get "$(address_of "$1")/health" | grep '"health":"true"' >/dev/null ;;
    postgres*) pid_of "$1" >/dev/null && sql_on "$1" --command 'select 1' >/dev/null ;;
    server*) get "$(address_of "$1")/health" >/dev/null ;;
    haproxy) get "$(address_of haproxy-state)/;csv" >/dev/null ;;
    esac
}

# all_work PART...
all_work()
{
    local part
    for part in "$@"; do
        works "$part" || return 1
    done
}

# A line for each server as HAProxy sees it: NAME STATE.
balancer_state()
{
    get "$(address_of haproxy-state)/;csv" | awk -F, '$1 == "servers" && $2 ~ /^server/ { print $2, $18 }'
}

balancer_uses_all()
{
    [ "$(balancer_state | grep -c ' UP$')" = ${#servers[@]} ]
}

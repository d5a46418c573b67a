# shellcheck shell=bash
# state.sh: what the parts of the cluster report; to be sourced by deploy/cluster.
#
# Needs: what is in process.sh and parts.sh; superuser, the conninfo of one.

get()
{
    curl --silent --fail --max-time 3 "http://$1"
}

# What Patroni reports, a line for each node: NAME ROLE STATE LAG.
database_state()
{
    local node
    for node in "${nodes[@]}"; do
        get "$(address_of "$node-patroni")/cluster" && break
    done 2>/dev/null | tr '{' '\n' | awk '
        function value(name) {
            return match($0, "\"" name "\": *\"?[^\",}]*") ? \
                gensub_free(substr($0, RSTART, RLENGTH)) : "-"
        }
        function gensub_free(text) {
            sub(/^[^:]*: *"?/, "", text)
            return text
        }
        /"role"/ { print value("name"), value("role"), value("state"), value("lag") }'
}

# node_with ROLE: the node that is leader, sync_standby or replica, and runs.
node_with()
{
    local node
    for node in $(database_state | awk -v role="$1" '$2 == role { print $1 }'); do
        postmaster "$node" >/dev/null && echo "$node" && return 0
    done
    return 1
}

sql()
{
    psql --no-psqlrc --quiet --tuples-only --no-align "$@"
}

# As the primary sees it: Patroni may report one that has just gone.
standby_follows()
{
    sql "$superuser" --command 'select state, sync_state from pg_stat_replication' |
        grep -qx 'streaming|sync'
}

members_agree()
{
    local member
    for member in "${members[@]}"; do
        get "$(address_of "$member")/health" | grep -q '"health":"true"' || return 1
    done
}

servers_answer()
{
    local server
    for server in "${servers[@]}"; do
        get "$(address_of "$server")/health" || return 1
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


# shellcheck shell=bash
# parts.sh: the parts of the cluster: their names, ports and users, and how each is run; to be sourced by
# deploy/cluster.
#
# A part runs in its own folder, folder/PART, and is given names relative to it where possible: the folder may
# have a name that a program does not quote when it passes it on.
#
# Needs: what is in process.sh; folder, and of the cluster port_base, programs, password, conninfo.

postgres_bin=/usr/lib/postgresql/15/bin
members=(etcd1 etcd2 etcd3)
nodes=(postgres1 postgres2)
servers=(server1 server2 server3)
parts=("${members[@]}" "${nodes[@]}" "${servers[@]}" haproxy)

# port_of NAME: its port; PART-state, PART-peer and PART-patroni name second ones.
port_of()
{
    local names=(haproxy haproxy-state "${servers[@]}" "${nodes[@]}" "${nodes[@]/%/-patroni}"
        "${members[@]}" "${members[@]/%/-peer}") i
    for i in "${!names[@]}"; do
        [ "${names[i]}" != "$1" ] || echo $((port_base + i))
    done
}
port_count=15

address_of()
{
    echo "127.0.0.1:$(port_of "$1")"
}

become_etcd()
{
    local member cluster=
    for member in "${members[@]}"; do
        cluster+=,$member=http://$(address_of "$member-peer")
    done
    # Heartbeats are less frequent than by default: here the members share processors with all the rest.
    as postgres etcd --name "$1" --data-dir data \
        --listen-client-urls "http://$(address_of "$1")" \
        --advertise-client-urls "http://$(address_of "$1")" \
        --listen-peer-urls "http://$(address_of "$1-peer")" \
        --initial-advertise-peer-urls "http://$(address_of "$1-peer")" \
        --initial-cluster "${cluster:1}" --initial-cluster-token trains \
        --heartbeat-interval 200 --election-timeout 2000 --log-level warn --logger zap
}

# A Patroni 3.0 that starts while its PostgreSQL still runs as primary resets synchronous_standby_names,
# and sets it again only if etcd does not name the standby as synchronous already. Otherwise commits
# would wait for no standby, and yet that standby would be allowed to take over. So the name is removed
# from etcd first: while it is not there no standby takes over, and Patroni assigns it again.
forget_standby()
{
    local key=/service/trains/sync value revision
    value=$(etcdctl get $key --print-value-only) || return 1
    if [[ $value =~ \"leader\":\ *\"$1\" ]]; then
        revision=$(etcdctl get $key --write-out fields | sed -n 's/^"ModRevision" : //p')
        printf 'mod("%s") = "%s"\n\nput %s %s\n\n\n' $key "$revision" \
            $key "'{\"leader\":\"$1\",\"sync_standby\":null}'" | etcdctl txn
    fi
}

# set_environment NODE: what patroni, patronictl and etcdctl need to know.
set_environment()
{
    local member endpoints=
    PATRONI_ETCD3_HOSTS=
    for member in "${members[@]}"; do
        PATRONI_ETCD3_HOSTS+=${PATRONI_ETCD3_HOSTS:+,}"'$(address_of "$member")'"
        endpoints+=,$(address_of "$member")
    done
    PATRONI_NAME=$1
    PATRONI_RESTAPI_LISTEN=$(address_of "$1-patroni")
    PATRONI_RESTAPI_CONNECT_ADDRESS=$PATRONI_RESTAPI_LISTEN
    PATRONI_RESTAPI_USERNAME=patroni
    PATRONI_RESTAPI_PASSWORD=$password
    PATRONI_POSTGRESQL_LISTEN=$(address_of "$1")
    PATRONI_POSTGRESQL_CONNECT_ADDRESS=$PATRONI_POSTGRESQL_LISTEN
    PATRONI_POSTGRESQL_DATA_DIR=data # pg_ctl passes it to a shell
    PATRONI_POSTGRESQL_BIN_DIR=$postgres_bin
    PATRONI_POSTGRESQL_PGPASS=$folder/$1/pgpass # absolute: PostgreSQL reads it from elsewhere
    PATRONI_SUPERUSER_USERNAME=postgres
    PATRONI_SUPERUSER_PASSWORD=$password
    PATRONI_REPLICATION_USERNAME=replicator
    PATRONI_REPLICATION_PASSWORD=$password
    PATRONICTL_CONFIG_FILE=$folder/patroni
    ETCDCTL_API=3 ETCDCTL_ENDPOINTS=${endpoints:1}
    export "${!PATRONI_@}" PATRONICTL_CONFIG_FILE ETCDCTL_API ETCDCTL_ENDPOINTS
}

become_postgres()
{
    set_environment "$1"
    if postmaster "$1" >/dev/null; then
        forget_standby "$1" || exit
    fi
    # Its own folder, by a name without blanks: a file of initdb's has a name that goes to a shell.
    export TMPDIR=/proc/self/cwd
    as postgres patroni ../patroni
}

become_server()
{
    exec setpriv --pdeathsig TERM "$programs/train-server" --store "postgres:$conninfo" \
        --listen "$(address_of "$1")" --drain-ms 3500
}

become_haproxy()
{
    BALANCER_LISTEN=$(address_of haproxy)
    BALANCER_STATE=$(address_of haproxy-state)
    SERVER1=$(address_of server1)
    SERVER2=$(address_of server2)
    SERVER3=$(address_of server3)
    export BALANCER_LISTEN BALANCER_STATE SERVER1 SERVER2 SERVER3
    as nobody haproxy -db -f ../haproxy.cfg
}

# start_part PART: if it does not run.
start_part()
{
    case $1 in
    etcd* | postgres*) start "$1" postgres ;;
    haproxy) start "$1" nobody ;;
    *) start "$1" ;;
    esac
}

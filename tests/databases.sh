#!/usr/bin/env bash
# Private database servers for the tests: a real MySQL and a real MariaDB.
#
#   tests/databases.sh prepare           install and prepare what the servers need (once; kept)
#   tests/databases.sh run COMMAND...    start both, run COMMAND with their URLs set, stop both
#   tests/databases.sh start [NAME [PID]]  start both and keep them running (NAME: dev), or for as long as a process lives
#   tests/databases.sh env [NAME]        print their URLs: eval "$(tests/databases.sh env)"
#   tests/databases.sh stop [NAME]       stop them and remove their data
#   tests/databases.sh crash NAME KIND [elsewhere]
#                                        SIGKILL for one (mysql, mariadb), which is then started again on what it left, at
#                                        its port or at another one; prints the port
#   tests/databases.sh disk NAME KIND data|log full|free
#                                        fills a disk of one that has small ones (MARQUEE_TEST_DISK), or gives it room again
#   tests/databases.sh status            list what runs
#
# A server that the environment names (MARQUEE_TEST_MYSQL_URL, MARQUEE_TEST_MARIADB_URL) is taken
# instead of a private one; its user must be allowed to CREATE and DROP DATABASE.
#
# The two are tested apart because they differ where it hurts: writers that only ever wait on
# MariaDB deadlock on MySQL. The servers keep every durability setting at the strength it has in
# production (the tests check those); they only get small buffers, which makes them start fast.
#
# What is prepared is kept under MARQUEE_TEST_CACHE (${XDG_CACHE_HOME:-~/.cache}/marquee-tests):
#   mysql/                  a chroot of Debian unstable with mysqld, since Debian's stable has none
#   mysql/templates/empty   an initialised data directory, copied for each start
#   mariadb/template        the same for MariaDB, whose server comes from the distribution
#   run/NAME/               a running pair: pids, ports, logs, data
# MARQUEE_TEST_DEBIAN_MIRROR names the Debian mirror; by default it is the one that apt uses.
# MARQUEE_TEST_DISK=SIZE (256m) gives each server disks of its own, in memory, one for its data and one for its binary log. They go
# with it: it cannot be crashed.
# MARQUEE_TEST_BUFFERS=default leaves the servers' buffers as large as they come, for those who measure.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

self=$(readlink -f "${BASH_SOURCE[0]}")
cache=${MARQUEE_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/marquee-tests}
mysql_root=$cache/mysql
# Small buffers start fast.
mysql_buffers=(--innodb-buffer-pool-size=64M --innodb-redo-log-capacity=16M)
mariadb_buffers=(--innodb-buffer-pool-size=64M --innodb-log-file-size=16M)
if [ "${MARQUEE_TEST_BUFFERS:-small}" = default ]; then mysql_buffers=() mariadb_buffers=(); fi
log_prefix='databases:'

say() { printf '%s %s\n' "$log_prefix" "$*" >&2; }

die() {
    say "$*"
    say "Or name servers that you have: MARQUEE_TEST_MYSQL_URL and MARQUEE_TEST_MARIADB_URL,"
    say "each mysql://user:password@host:port/ with a user who may CREATE and DROP DATABASE."
    exit 1
}

need_mysql() { [ -z "${MARQUEE_TEST_MYSQL_URL:-}" ]; }
need_mariadb() { [ -z "${MARQUEE_TEST_MARIADB_URL:-}" ]; }

# Runs this script as root: a chroot and packages need it.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        bash "$self" "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n env "MARQUEE_TEST_CACHE=$cache" \
            "MARQUEE_TEST_MYSQL_URL=${MARQUEE_TEST_MYSQL_URL:-}" \
            "MARQUEE_TEST_MARIADB_URL=${MARQUEE_TEST_MARIADB_URL:-}" \
            "MARQUEE_TEST_DEBIAN_MIRROR=${MARQUEE_TEST_DEBIAN_MIRROR:-}" \
            "MARQUEE_TEST_BUFFERS=${MARQUEE_TEST_BUFFERS:-}" \
            "MARQUEE_TEST_DISK=${MARQUEE_TEST_DISK:-}" \
            bash "$self" "$@"
    else
        die "private servers need root, or sudo without a password."
    fi
}

# shellcheck source=tests/debian.sh
. "$(dirname "$self")/debian.sh"

# One run at a time prepares or starts; the lock goes with the process.
lock() {
    mkdir -p "$cache/run"
    exec 9>"$cache/lock"
    flock -w 1200 9 || die "another run has held $cache/lock for 20 minutes."
}

# ---------------------------------------------------------------------------------- prepare

prepare_mysql() {
    if [ ! -x "$mysql_root/usr/sbin/mysqld" ]; then
        local building=$mysql_root.building
        say "fetching MySQL from Debian unstable (about a minute, kept for the next run)"
        rm -rf "$building"
        debian_root sid "$building" "$cache/debootstrap.log" mysql-server-core
        mkdir -p "$building/templates" "$building/run-marquee"
        rm -rf "$mysql_root"
        mv "$building" "$mysql_root"
    fi
    if [ ! -d "$mysql_root/templates/empty" ]; then
        say "initialising $(chroot "$mysql_root" mysqld --no-defaults --version)"
        rm -rf "$mysql_root/templates/building"
        if ! chroot "$mysql_root" mysqld --no-defaults --initialize-insecure --user=root \
            --datadir=/templates/building --innodb-redo-log-capacity=16M \
            >"$cache/mysql-initialise.log" 2>&1 </dev/null 9>&-; then
            tail -n 20 "$cache/mysql-initialise.log" >&2
            die "mysqld could not initialise a data directory."
        fi
        # A copy must be a server of its own.
        rm -f "$mysql_root/templates/building/auto.cnf"
        mv "$mysql_root/templates/building" "$mysql_root/templates/empty"
    fi
}

prepare_mariadb() {
    # A distribution's mysqld may be MySQL: only this name is MariaDB for certain.
    # mariadb-install-db needs my_print_defaults, which comes with the client.
    if ! command -v mariadbd >/dev/null || ! command -v my_print_defaults >/dev/null; then
        apt_install mariadb-server-core mariadb-client-core
    fi
    if [ ! -d "$cache/mariadb/template" ]; then
        say "initialising $(mariadbd --version)"
        mkdir -p "$cache/mariadb"
        rm -rf "$cache/mariadb/building"
        if ! mariadb-install-db --no-defaults --user=root --datadir="$cache/mariadb/building" \
            --auth-root-authentication-method=normal --skip-test-db --innodb-log-file-size=16M \
            >"$cache/mariadb-initialise.log" 2>&1 </dev/null 9>&-; then
            tail -n 20 "$cache/mariadb-initialise.log" >&2
            die "mariadb-install-db could not initialise a data directory."
        fi
        mv "$cache/mariadb/building" "$cache/mariadb/template"
    fi
}

prepare() {
    if need_mysql; then prepare_mysql; fi
    if need_mariadb; then prepare_mariadb; fi
}

# ------------------------------------------------------------------------------- start, stop

# When a process began, by which a pid that was given out again is told from the one that was noted.
began() { [ -r "/proc/$1/stat" ] && sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# Whether the process that a pid file ("pid began") names still runs.
lives() {
    local pid start
    read -r pid start 2>/dev/null <"$1" || return 1
    [ "$(began "$pid")" = "$start" ]
}

free_port() {
    local port
    for _ in $(seq 200); do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        # Nobody answers there: free.
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
    die "found no free port."
}

# A server that takes connections greets them.
greets() {
    local bytes
    bytes=$( (exec 3<>"/dev/tcp/127.0.0.1/$1" && timeout 2 head -c 5 <&3 | wc -c) 2>/dev/null) || return 1
    [ "$bytes" = 5 ]
}

# Starts one server and waits until it greets: spawn KIND DIRECTORY PORT COMMAND...
spawn() {
    local kind=$1 dir=$2 port=$3
    shift 3
    setsid "$@" >"$dir/$kind.log" 2>&1 </dev/null 9>&- &
    local pid=$!
    # A process that died at once has no start time; the loop below says so.
    echo "$pid $(began "$pid")" >"$dir/$kind.pid"
    for _ in $(seq 1800); do
        # Ours: the port could have been taken by another between the look and the bind.
        if ! lives "$dir/$kind.pid"; then break; fi
        if grep -q 'ready for connections' "$dir/$kind.log" && greets "$port"; then return 0; fi
        sleep 0.1
    done
    tail -n 20 "$dir/$kind.log" >&2
    say "$kind did not start."
    return 1
}

# Makes a server's directory with its data, from a template, and says in the array `before` by what the server is to be started,
# in `log` with what. Disks of its own, one for the data and one for the binary log, are mounted where nobody but the server
# sees them, so that they go when it does: data TEMPLATE DIRECTORY DATA INSIDE
data() {
    before=() log=()
    mkdir -p "$2/$3"
    if [ -z "${MARQUEE_TEST_DISK:-}" ]; then
        cp -a --reflink=auto "$1/." "$2/$3"
        return
    fi
    mkdir -p "$2/log"
    # shellcheck disable=SC2016 # the arguments are the inner shell's
    before=(unshare -m sh -c 'mount -t tmpfs -o "size=$1" none "$3" && mount -t tmpfs -o "size=$1" none "$4" && cp -a "$2/." "$3" &&
        shift 4 && exec "$@"' sh "$MARQUEE_TEST_DISK" "$1" "$2/$3" "$2/log")
    log=(--log-bin="$4/log/binlog")
}

# Runs MySQL on data that are there: serve_mysql NAME DIRECTORY PORT
serve_mysql() {
    local inside=/run-marquee/$1
    echo "$3" >"$2/mysql.port"
    spawn mysql "$2" "$3" "${before[@]}" chroot "$mysql_root" mysqld --no-defaults --user=root \
        --datadir="$inside/data" --init-file="$inside/init.sql" --pid-file="$inside/mysqld.pid" \
        --socket="$inside/my.sock" --port="$3" --bind-address=127.0.0.1 --mysqlx=OFF \
        --secure-file-priv=NULL --max-connections=500 --innodb-flush-log-at-trx-commit=1 --sync-binlog=1 \
        "${mysql_buffers[@]}" "${log[@]}" --performance-schema=OFF
}

start_mysql() {
    local name=$1 dir=$2 password=$3 port inside=/run-marquee/$1
    port=$(free_port)
    rm -rf "${mysql_root:?}$inside"
    data "$mysql_root/templates/empty" "$mysql_root$inside" data "$inside"
    echo "ALTER USER root@localhost IDENTIFIED BY '$password';" >"$mysql_root$inside/init.sql"
    serve_mysql "$name" "$dir" "$port" || return 1
    echo "export MARQUEE_TEST_MYSQL_URL='mysql://root:$password@127.0.0.1:$port/'" >>"$dir/env.building"
}

serve_mariadb() {
    echo "$3" >"$2/mariadb.port"
    spawn mariadb "$2" "$3" "${before[@]}" mariadbd --no-defaults --user=root \
        --datadir="$2/mariadb" --init-file="$2/init.sql" --pid-file="$2/mariadbd.pid" \
        --socket=my.sock --port="$3" --bind-address=127.0.0.1 \
        --secure-file-priv="$2/files" --max-connections=500 --innodb-flush-log-at-trx-commit=1 \
        "${mariadb_buffers[@]}" "${log[@]}"
}

start_mariadb() {
    local name=$1 dir=$2 password=$3 port
    port=$(free_port)
    data "$cache/mariadb/template" "$dir" mariadb "$dir"
    mkdir -p "$dir/files"
    echo "ALTER USER root@localhost IDENTIFIED BY '$password';" >"$dir/init.sql"
    serve_mariadb "$name" "$dir" "$port" || return 1
    echo "export MARQUEE_TEST_MARIADB_URL='mysql://root:$password@127.0.0.1:$port/'" >>"$dir/env.building"
}

# Starts what the environment does not name, as the pair NAME. OWNER, when given, is the process
# that the pair belongs to: the next run ends a pair whose owner is gone.
start() {
    local name=$1 owner=${2:-} dir=$cache/run/$1 password kind attempt
    lock
    sweep
    if [ -e "$dir/env" ]; then
        say "'$name' runs already."
        return
    fi
    prepare
    mkdir -p "$dir"
    if [ -n "$owner" ]; then echo "$owner $(began "$owner")" >"$dir/owner"; fi
    # A password, so that the tests sign in the way production does, and so that a neighbour cannot.
    password=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
    : >"$dir/env.building"
    for kind in mysql mariadb; do
        "need_$kind" || continue
        for attempt in 1 2 3; do
            "start_$kind" "$name" "$dir" "$password" && break
            end_server "$dir" "$kind"
            rm -rf "${dir:?}/$kind"
            if [ "$attempt" = 3 ]; then
                remove "$name"
                die "$kind could not be started."
            fi
        done
    done
    chmod a+r "$dir/env.building"
    mv "$dir/env.building" "$dir/env"
}

end_server() {
    local pid start file=$1/$2.pid
    lives "$file" || return 0
    # shellcheck disable=SC2034 # start: only lives() needs it
    read -r pid start <"$file"
    # What it holds is thrown away: nothing to wait for.
    kill -KILL "$pid" 2>/dev/null || true
    for _ in $(seq 100); do
        lives "$file" || return 0
        sleep 0.05
    done
}

# Ends one as a crash does, and starts it again where it was, or elsewhere.
crash() {
    local name=$1 kind=$2 dir=$cache/run/$1 port after before=() log=()
    port=$(cat "$dir/$kind.port")
    after=$port
    if [ "${3:-}" = elsewhere ]; then after=$(free_port); fi
    lives "$dir/$kind.pid" || die "'$name' has no $kind that runs."
    end_server "$dir" "$kind"
    # MySQL would look whether the process still runs that the lock of its socket names.
    rm -f "$mysql_root/run-marquee/$name"/my.sock*
    "serve_$kind" "$name" "$dir" "$after"
    sed -i "s|:$port/|:$after/|" "$dir/env"
    echo "$after"
}

# Fills a disk of a server to the last byte, or gives it its room again: fill NAME KIND data|log full|free
fill() {
    local dir=$cache/run/$1 pid start at
    lives "$dir/$2.pid" || die "'$1' has no $2 that runs."
    # shellcheck disable=SC2034 # start: only lives() needs it
    read -r pid start <"$dir/$2.pid"
    # As the server sees it: MySQL in its chroot.
    case $2/$3 in
    mysql/*) at=/run-marquee/$1/$3 ;;
    mariadb/data) at=$dir/mariadb ;;
    *) at=$dir/$3 ;;
    esac
    at=/proc/$pid/root$at
    [ "$(stat -f -c %T "$at" 2>/dev/null)" = tmpfs ] || die "'$1' was not started with MARQUEE_TEST_DISK: its disk is everybody's."
    rm -f "$at/ballast"
    if [ "$4" = full ]; then
        dd if=/dev/zero of="$at/ballast" bs=4k status=none 2>/dev/null || true
    fi
}

remove() {
    local dir=$cache/run/$1
    end_server "$dir" mysql
    end_server "$dir" mariadb
    rm -rf "$dir" "${mysql_root:?}/run-marquee/$1"
}

# Ends what crashed runs left: pairs whose owner is gone, and pairs that never came up.
sweep() {
    local dir name
    for dir in "$cache"/run/*/; do
        [ -d "$dir" ] || continue
        name=$(basename "$dir")
        if [ -e "$dir/owner" ] && lives "$dir/owner"; then continue; fi
        if [ ! -e "$dir/owner" ] && [ -e "$dir/env" ]; then
            # Kept by hand, unless its servers died, for instance with the machine.
            if { [ ! -e "$dir/mysql.pid" ] || lives "$dir/mysql.pid"; } &&
                { [ ! -e "$dir/mariadb.pid" ] || lives "$dir/mariadb.pid"; }; then continue; fi
        fi
        say "removing '$name', which an earlier run left."
        remove "$name"
    done
}

checked_name() {
    [[ $1 =~ ^[a-z0-9-]{1,40}$ ]] || die "a name is lower-case letters, digits and '-': $1"
    echo "$1"
}

run() {
    if ! need_mysql && ! need_mariadb; then
        exec "$@"
    fi
    local name=run-$$ code=0
    trap 'as_root stop "$name" || true' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    as_root start-owned "$name" $$ || exit 1
    # shellcheck source=/dev/null
    . "$cache/run/$name/env"
    "$@" || code=$?
    exit "$code"
}

command=${1:-help}
shift || true
case $command in
prepare)
    if [ "$(id -u)" != 0 ]; then as_root prepare; exit; fi
    lock
    prepare
    ;;
start)
    name=$(checked_name "${1:-dev}")
    as_root start-owned "$name" "${2:-}"
    cat "$cache/run/$name/env"
    ;;
start-owned) start "$(checked_name "$1")" "${2:-}" ;;
env)
    name=$(checked_name "${1:-dev}")
    [ -e "$cache/run/$name/env" ] || die "'$name' does not run: tests/databases.sh start $name"
    cat "$cache/run/$name/env"
    ;;
stop)
    name=$(checked_name "${1:-dev}")
    if [ "$(id -u)" != 0 ]; then as_root stop "$name"; exit; fi
    lock
    remove "$name"
    ;;
crash)
    name=$(checked_name "${1:-}")
    [[ ${2:-} =~ ^(mysql|mariadb)$ ]] || die "crash which, mysql or mariadb?"
    [[ ${3:-} =~ ^(elsewhere)?$ ]] || die "where: elsewhere, or where it was?"
    as_root crash-here "$name" "$2" "${3:-}"
    ;;
crash-here) crash "$1" "$2" "${3:-}" ;;
disk)
    name=$(checked_name "${1:-}")
    [[ ${2:-} =~ ^(mysql|mariadb)$ ]] || die "whose, mysql's or mariadb's?"
    [[ ${3:-} =~ ^(data|log)$ ]] || die "which disk, that of its data or that of its log?"
    [[ ${4:-} =~ ^(full|free)$ ]] || die "full, or free?"
    as_root disk-here "$name" "$2" "$3" "$4"
    ;;
disk-here) fill "$1" "$2" "$3" "$4" ;;
status)
    for dir in "$cache"/run/*/; do
        [ -d "$dir" ] || continue
        for kind in mysql mariadb; do
            [ -e "$dir/$kind.pid" ] || continue
            if lives "$dir/$kind.pid"; then state=runs; else state=died; fi
            echo "$(basename "$dir") $kind $state (pid $(cut -d' ' -f1 "$dir/$kind.pid"))"
        done
    done
    ;;
run)
    [ $# -gt 0 ] || die "run what?"
    run "$@"
    ;;
*)
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$self"
    ;;
esac

#!/usr/bin/env bash
# Imports IMDb files of 58,788 movies into each database: once into an empty one, and once again.
#
#   benches/load/import.sh [ROWS]
#
# SQLite in a temporary directory; MySQL and MariaDB where MARQUEE_TEST_MYSQL_URL and
# MARQUEE_TEST_MARIADB_URL name servers (tests/databases.sh start; eval "$(tests/databases.sh env)").
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rows=${1:-58788}
cargo build --release --quiet
marquee=$PWD/target/release/marquee
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 benches/load/make-imdb.py --only-movies --rows "$rows" "$folder" >/dev/null

measure() { # NAME URL
    for run in empty again; do
        began=$(date +%s.%N)
        DATABASE_URL=$2 RUST_LOG=warn "$marquee" import "$folder"/*.tsv.gz 2>"$folder/log" || { cat "$folder/log"; exit 1; }
        ended=$(date +%s.%N)
        awk -v n="$1" -v r="$run" -v rows="$rows" -v from="$began" -v to="$ended" \
            'BEGIN { t = to - from; printf "%-8s %-6s %7d rows %7.2f s %8.0f rows/s\n", n, r, rows, t, rows / t }'
    done
}

# The client's flags for a URL.
flags() { sed -E 's#mysql://([^:]+):([^@]+)@([^:]+):([0-9]+)/?.*#--user=\1 --password=\2 --host=\3 --port=\4#' <<<"$1"; }

measure "SQLite" "sqlite://$folder/marquee.db"
for server in "MySQL=${MARQUEE_TEST_MYSQL_URL:-}" "MariaDB=${MARQUEE_TEST_MARIADB_URL:-}"; do
    name=${server%%=*} url=${server#*=}
    if [ -z "$url" ]; then
        echo "$name: no server is named"
        continue
    fi
    database=marquee_import_$$
    client=$(command -v mariadb || command -v mysql) || { echo "$name: no client (mariadb or mysql) to make a database"; continue; }
    # shellcheck disable=SC2046
    "$client" $(flags "$url") -e "CREATE DATABASE $database"
    measure "$name" "${url%/}/$database"
    # shellcheck disable=SC2046
    "$client" $(flags "$url") -e "DROP DATABASE $database"
done

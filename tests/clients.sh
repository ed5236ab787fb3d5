#!/usr/bin/env bash
# Programs that talk to marquee in the tests, in the versions that are locked under tests/clients/.
#
#   tests/clients.sh prepare               install them (once; kept)
#   tests/clients.sh newman ARGUMENTS      run newman, which runs Postman collections
#   tests/clients.sh schemathesis ARGUMENTS
#
# What is installed is kept under MARQUEE_TEST_CACHE (${XDG_CACHE_HOME:-~/.cache}/marquee-tests), in a folder for
# each version of the lock files.
set -euo pipefail

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/clients
cache=${MARQUEE_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/marquee-tests}/clients

# The folder of what a lock file names: made by FUNCTION when it is not there yet. kept LOCKFILE FUNCTION
kept() {
    local folder
    folder=$cache/$(sha256sum "$1" | cut -c1-16)
    if [ ! -e "$folder/ready" ]; then
        mkdir -p "$cache"
        (
            flock -w 600 9 || exit 1
            if [ ! -e "$folder/ready" ]; then
                if [ "${MARQUEE_TEST_INSTALL:-on}" = off ]; then
                    echo "clients: not installed: $1" >&2
                    exit 1
                fi
                rm -rf "$folder"
                mkdir "$folder"
                "$2" "$folder" >"$folder.log" 2>&1 || {
                    tail -n 20 "$folder.log" >&2
                    echo "clients: $2 failed: is there a network?" >&2
                    exit 1
                }
                touch "$folder/ready"
            fi
        ) 9>"$cache/lock"
    fi
    echo "$folder"
}

install_newman() {
    cp "$here/newman/package.json" "$here/newman/package-lock.json" "$1"
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund)
}

# Debian's python3 comes without venv; its virtualenv does the same.
install_schemathesis() {
    if python3 -c 'import ensurepip, venv' 2>/dev/null; then
        python3 -m venv "$1/python"
    else
        virtualenv -p python3 "$1/python"
    fi
    "$1/python/bin/pip" install --disable-pip-version-check --no-deps -r "$here/schemathesis/requirements.txt"
}

newman() { kept "$here/newman/package-lock.json" install_newman; }
schemathesis() { kept "$here/schemathesis/requirements.txt" install_schemathesis; }

case ${1:-} in
prepare)
    newman >/dev/null
    schemathesis >/dev/null
    ;;
newman)
    shift
    folder=$(newman)
    exec "$folder/node_modules/.bin/newman" "$@"
    ;;
schemathesis)
    shift
    folder=$(schemathesis)
    exec "$folder/python/bin/schemathesis" "$@"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

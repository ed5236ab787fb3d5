# Debian's packages and small systems made of them, for scripts that source this. They have say() and die().
# shellcheck shell=bash
#
# MARQUEE_TEST_DEBIAN_MIRROR names the mirror; by default it is the one that apt uses.

apt_install() {
    command -v apt-get >/dev/null ||
        die "this machine has no apt-get: what the tests need is prepared on Debian and its kin only."
    say "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    local log
    log=$(mktemp)
    if ! { apt-get update && apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null 9>&-; then
        tail -n 20 "$log" >&2
        die "apt-get could not install: $*"
    fi
    rm -f "$log"
}

debian_mirror() {
    if [ -n "${MARQUEE_TEST_DEBIAN_MIRROR:-}" ]; then
        echo "$MARQUEE_TEST_DEBIAN_MIRROR"
        return
    fi
    local mirror
    # shellcheck disable=SC2016 # apt expands these, not the shell
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 2>/dev/null |
        awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    echo "${mirror:-https://deb.debian.org/debian}"
}

# A small Debian in a folder that is not there yet: debian_root SUITE FOLDER LOG [PACKAGE,PACKAGE...]
debian_root() {
    local suite=$1 folder=$2 log=$3 packages=${4:-} mirror
    command -v debootstrap >/dev/null || apt_install debootstrap
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || apt_install debian-archive-keyring
    mirror=$(debian_mirror)
    if ! debootstrap --variant=minbase ${packages:+"--include=$packages"} "$suite" "$folder" "$mirror" \
        >"$log" 2>&1 </dev/null 9>&-; then
        tail -n 20 "$log" >&2
        die "debootstrap failed (the whole story: $log)."
    fi
    # The archives and lists are not needed any more.
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
}

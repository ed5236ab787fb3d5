#!/usr/bin/env bash
# Fuzzing with libFuzzer, which looks for inputs that reach new code.
#
#   tests/fuzz.sh                 every target, each for MARQUEE_TEST_FUZZ_S seconds (60)
#   tests/fuzz.sh NAME            one, until it is stopped, or for MARQUEE_TEST_FUZZ_S seconds
#   tests/fuzz.sh list            their names
#   tests/fuzz.sh keep [NAME]     adds to the corpus of the repository what was found and reaches more, at most 24
#
# A target is a test in a module named fuzz (src/fuzz.rs). What libFuzzer finds is in target/fuzz/found/NAME. An input
# that fails is in src/__fuzz__/NAME/crashes, where the test finds it, too.
#
# cargo-bolero is not used: it would instrument and link every test binary there is (it has no --lib), not the one that has
# the targets. This does the same with what is there already, on the toolchain of rust-toolchain.toml.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

build() {
    local coverage=-Cllvm-args=-sanitizer-coverage
    # A target of its own keeps build scripts and procedural macros free of the instruments.
    BOLERO_FUZZER=libfuzzer RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module \
$coverage-inline-8bit-counters $coverage-level=4 $coverage-pc-table $coverage-trace-compares $coverage-stack-depth" \
        cargo test --lib --no-run --profile long --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir target/fuzz \
        --message-format json | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
}

targets() { "$binary" --list 2>/dev/null | sed -n 's/\(.*::fuzz::.*\): test$/\1/p'; }

# libFuzzer on one target: libfuzzer TEST ARGUMENT...
libfuzzer() {
    local test=$1
    shift
    # What failed is told by itself; how the runner came there is not wanted.
    RUST_BACKTRACE=0 BOLERO_LIBFUZZER_ARGS="$* -max_len=4096 -rss_limit_mb=2048" \
        "$binary" "$test" --exact --nocapture --quiet --test-threads 1
}

# What is found goes into the first folder; of the others it is only read. fuzz TEST SECONDS
fuzz() {
    local test=$1 name=${1##*::} log
    local kept=src/__fuzz__/$name found=target/fuzz/found/$name
    mkdir -p "$found" "$kept/crashes"
    log=$(mktemp)
    local code=0
    libfuzzer "$test" "$found" "$kept/corpus" "-artifact_prefix=$kept/crashes/" -timeout=10 \
        "-max_total_time=$2" -print_final_stats=1 >"$log" 2>&1 || code=$?
    if [ "$code" = 0 ]; then
        awk -v name="$name" '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") coverage = $(i + 1) }
            /^stat::number_of_executed_units/ { runs = $2 }
            END { printf "%-16s %10d runs, %5d edges, no crash\n", name, runs, coverage }' "$log"
    else
        tail -n 60 "$log"
        echo "$name: failed; its input is in $kept/crashes"
    fi
    rmdir --ignore-fail-on-non-empty "$kept/crashes"
    rm -f "$log"
    return "$code"
}

# libFuzzer's own -merge starts itself again, with arguments that a test never sees; its inner step does all that is needed.
keep() {
    local name=${1##*::} list control before
    local corpus=src/__fuzz__/$name/corpus
    list=$(mktemp) control=$(mktemp)
    find "$corpus" -type f >"$list"
    before=$(wc -l <"$list")
    # The longest of the short ones first, and not many of them: the repository stays small.
    find "target/fuzz/found/$name" -type f -size -257c -printf '%s %p\n' | sort -rn | cut -d ' ' -f 2- >>"$list"
    { wc -l <"$list" && echo "$before" && cat "$list"; } >"$control"
    libfuzzer "$1" -merge_inner=1 "-merge_control_file=$control" >/dev/null 2>&1
    # Of each input the code that none before it had reached.
    awk -v before="$before" '/^COV / && NF > 2 && $2 >= before && n++ < 24 { print $2 + 1 }' "$control" |
        while read -r number; do sed -n "${number}p" "$list"; done | xargs -r cp -t "$corpus"
    echo "$name: $(($(find "$corpus" -type f | wc -l) - before)) more"
    rm -f "$list" "$control"
}

binary=${MARQUEE_FUZZ_BINARY:-$(build)}
[ -x "$binary" ] || exit 1
export MARQUEE_FUZZ_BINARY=$binary
wanted=${2:-}
case ${1:-all} in
list) targets | sed 's/.*:://' ;;
keep) targets | { grep -E "::${wanted:-.*}$" || { echo "no such target" >&2 && exit 1; }; } |
    while read -r test; do keep "$test" </dev/null; done ;;
# As many at a time as there are processors.
all) targets | xargs -P "$(nproc)" -I TEST "$0" --one TEST "${MARQUEE_TEST_FUZZ_S:-60}" ;;
--one) fuzz "$2" "$3" ;;
*) fuzz "$(targets | grep "::$1$" || { echo "no target is named $1: tests/fuzz.sh list" >&2 && exit 1; })" "${MARQUEE_TEST_FUZZ_S:-0}" ;;
esac

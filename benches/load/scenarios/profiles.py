"""Where the time goes: samples of marquee's stacks under each kind of load, as flame graphs and by part."""

import collections
import contextlib
import os
import re
import subprocess
import sys

from .. import check, servers, stats, stores
from ..context import version
from ..generators import oha, wrk
from ..paced import bodies
from ..process import Failed, run as command
from ..report import table

TITLE = "Profiles"

# name: (what it is, movies)
LOADS = {
    "gzip": ("view all, gzip, a hit", 246),
    "304": ("view all, known to the client (304)", 246),
    "one": ("one movie, a hit", 246),
    "large": ("view all, as it is, a hit", 58_788),
    "mixed": ("view all, gzip, with 100 writes a second on MySQL", 100_000),
    "writes": ("64 clients write, on MySQL", 246),
    "import": ("an import of 100,000 movies into SQLite", 100_000),
}
SECONDS = 5
HERTZ = 499
# Frames narrower than that part of all are left out of a graph.
THINNEST = 0.3

# What a sample is counted as: the first that is found in its stack, read from the innermost frame out, function by function.
KERNEL = (("kernel: sends", r"tcp_sendmsg|sock_sendmsg|sock_write_iter|ksys_write"), ("kernel: receives", r"tcp_recvmsg|sock_recvmsg|sock_read_iter"),
          ("kernel: files", r"ext4|fsync|pwrite|pread|vfs_|io_uring"), ("kernel: waits and wakes", r"epoll|futex|schedule"), ("kernel: the rest", r""))
OWN = (("allocator", r"^(mi_|_mi_)|__rust_(alloc|dealloc|realloc)"), ("copies", r"^_*(memcpy|memmove|memset|memcmp)"),
       ("compression", r"zlib_rs|flate2|zstd|ZSTD|HUF_|crc32"), ("SQLite", r"sqlite3|^(pager|btree|vdbe)"), ("driver and diesel", r"mysql_async|mysql_common|diesel"),
       ("JSON and text", r"serde_json|serde_core|ryu|itoa|unicode"), ("marquee", r"marquee"), ("actix and http", r"actix|^http|h1::|httparse"), ("tokio", r"tokio|mio"))


def versions():
    return {"perf": version(["perf", "--version"], r"version ([\d.]+)")}


def run(context):
    """{name: {"samples", "parts": {part: samples}}}; the graphs go where the document is."""
    folder = context.new_folder("profiles") if context.quick else os.path.join(context.root, "docs", "benchmarks")
    found = {}
    for name, (_, movies) in LOADS.items():
        if context.quick and movies > 246:
            continue
        context.say(f"{name}: {LOADS[name][0]}")
        stacks = folded(context, name, context.collection(movies))
        graph(name, stacks, folder)
        found[name] = by_part(stacks)
    return found


def folded(context, name, collection):
    """The stacks that were seen, one a line with its number, as flame graphs are made of."""
    data = os.path.join(context.new_folder("perf"), "perf.data")
    seconds = 2 if context.quick else SECONDS
    with contextlib.ExitStack() as stack:
        if name == "import":
            with context.alone():
                lines = os.path.join(context.new_folder("lines"), "movies.ndjson")
                with open(lines, "wb") as file:
                    subprocess.run([context.binaries.marquee, "export"], stdout=file, check=True,
                                   env={**os.environ, "DATABASE_URL": f"sqlite://{collection.file}", "RUST_LOG": "warn"})
                command([*perf(data), context.binaries.marquee, "import", lines],
                        env={"DATABASE_URL": stores.empty(context, "sqlite"), "RUST_LOG": "warn"})
        else:
            url = stores.filled(context, "mysql", collection) if name in ("mixed", "writes") else None
            ours = stack.enter_context(servers.marquee(context, None if url else collection, url=url))
            check.right(ours, "gzip", collection.movies())
            with context.alone():
                load(context, name, ours, 1)
                seen = stack.enter_context(subprocess.Popen([*perf(data), "-p", str(ours.process.pid), "sleep", str(seconds)],
                                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                load(context, name, ours, seconds + 1)
                if seen.wait():
                    raise Failed("perf record failed: may this user watch others' processes (sysctl kernel.perf_event_paranoid)?")
        with context.alone():
            script = command(["perf", "script", "--no-inline", "-i", data], seconds=900)
    done = subprocess.run(["inferno-collapse-perf", "--kernel"], input=script, capture_output=True, text=True, check=True)
    return done.stdout


def perf(data):
    # The return addresses of what is shipped: it has no frame pointers.
    return ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "--call-graph", "dwarf,16384", "-o", data]


def load(context, name, server, seconds):
    if name == "writes":
        lines = os.path.join(context.folder, "written.ndjson")
        with open(lines, "wb") as file:
            file.writelines(each + b"\n" for each in bodies(20000))
        oha(server.url, connections=64, seconds=seconds, method="POST", more=("-Z", lines), headers={"Content-Type": "application/json"})
    elif name == "mixed":
        paced = subprocess.Popen([sys.executable, "-m", "load.paced", server.url, "100", str(seconds)],
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        paced.stdin.write(b"\n")
        paced.stdin.flush()
        wrk(server, "gzip", seconds=seconds)
        paced.communicate()
    elif name == "one":
        wrk(server, seconds=seconds, url=f"{server.url}/12")
    else:
        wrk(server, name if name in servers.KINDS else "identity", seconds=seconds)


def by_part(stacks):
    parts = collections.Counter()
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        parts[part(frames.split(";"))] += int(count)
    return {"samples": parts.total(), "parts": dict(parts.most_common())}


def part(frames):
    innermost = list(reversed(frames))
    if innermost[0].endswith("_[k]"):
        return next(name for name, those in KERNEL if re.search(those, " ".join(innermost)))
    for frame in innermost:
        for name, those in OWN:
            if re.search(those, frame):
                return name
    return "the rest"


def graph(name, stacks, folder):
    made = subprocess.run(["inferno-flamegraph", "--title", f"marquee: {LOADS[name][0]}", "--minwidth", str(THINNEST), "--hash", "--colors", "rust"],
                          input=stacks, capture_output=True, text=True, check=True)
    with open(os.path.join(folder, f"flame-{name}.svg"), "w", encoding="utf-8") as file:
        file.write(made.stdout)


def turns(_):
    return f"{SECONDS} s of each, {HERTZ} samples a second of processor time"


def tables(found):
    loads = [name for name in LOADS if name in found]
    parts = sorted({each for name in loads for each in found[name]["parts"]},
                   key=lambda each: -sum(found[name]["parts"].get(each, 0) / found[name]["samples"] for name in loads))
    rows = [[each, *(stats.number(100 * found[name]["parts"].get(each, 0) / found[name]["samples"]) for name in loads)] for each in parts]
    graphs = "\n".join(f"- [{name}](benchmarks/flame-{name}.svg): {LOADS[name][0]}, {LOADS[name][1]:,} movies" for name in loads)
    return f"""Samples of marquee's stacks while it is at work, the kernel's part included, by `perf` and DWARF (what is shipped has no frame
pointers). The flame graphs can be searched and zoomed when they are opened by themselves:

{graphs}

The same by part, in hundredths of the samples: the function that ran, or the one nearest to it that says where it belongs.

""" + table(["", *loads], rows)


def plots(found, folder):
    return []

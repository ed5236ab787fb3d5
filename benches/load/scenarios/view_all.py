"""GET /v1/movies of collections of three sizes, in three kinds of answers, by everybody."""

import contextlib

from .. import check, peers, plot, servers, stats
from ..context import version
from ..generators import oha, oha_figures, wrk
from ..process import Failed
from ..report import table

TITLE = "View all"

# Numbers of movies.
PARTS = ("246", "3201", "58788")
# The order of lines in tables and plots.
ORDER = ("bare", "bare, same headers", "marquee", "marquee, access log", "nginx", "nginx cache", "Varnish", "plain", "json-server", "Flask")
CONNECTIONS = 64
# Who cannot give each of 64 connections an answer within a turn is asked on so many: as many as there are workers.
FEW = 2


def versions():
    return {"wrk": version(["wrk", "-v"], r"wrk \S*?([\d.]+)"), "oha": version(["oha", "--version"], r"oha ([\d.]+)"),
            "actix-web": "4.18", **peers.versions()}


def run(context, part):
    """All contestants on one collection: {"kinds": {kind: {"lengths", "connections", "rounds"}}}."""
    size = int(part)
    found = {}
    collection = context.collection(size)
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        ours = enter(servers.marquee(context, collection))
        logging = enter(servers.marquee(context, collection, "marquee, access log", MARQUEE_ACCESS_LOG="on"))
        origin = enter(servers.marquee(context, collection, "origin", MARQUEE_CACHE_CONTROL="max-age=86400"))
        ready = servers.ready_bytes(context, ours)
        twins = context.database("mariadb")
        peers.fill(context, twins, collection)
        contestants = [
            ours, logging,
            enter(servers.bare(context, ready)),
            enter(servers.bare(context, ready, heads=True)),
            enter(peers.nginx(context, ready)),
            enter(peers.nginx_cache(context, origin)),
            enter(peers.varnish(context, origin)),
            enter(peers.plain(context, twins)),
            enter(peers.json_server(context, collection)),
            enter(peers.flask(context, twins)),
        ]
        for kind in servers.KINDS:
            context.say(f"{size:,} movies, {kind}")
            lengths, few = {}, {}
            with context.alone():
                for each in contestants:
                    lengths[each.name] = len(check.right(each, kind, collection.movies()).body)
                    time = peers.time_of_one(each, kind)
                    if time * CONNECTIONS / peers.cores() > 1:
                        few[each.name] = max(FEW, min(20, int(3 / time)))
                if ours.name in few:
                    raise Failed(f"{size:,} movies, {kind}: marquee needs {1 / CONNECTIONS:.3f} s and more for an answer; "
                                 "its rate on few connections says nothing beside that of others on many. Is the machine busy?")
                rounds = context.turns(contestants,
                                       lambda each: measure(context, each, kind, lengths[each.name], few.get(each.name)),
                                       rounds=1 + context.rounds * context.seconds)
                for each in contestants:
                    check.right(each, kind, collection.movies())
            found[kind] = {"lengths": lengths, "connections": {each.name: FEW if each.name in few else CONNECTIONS for each in contestants},
                           "rounds": rounds}
    return {"kinds": found}


def measure(context, server, kind, length, answers):
    """A turn of wrk; for those who are slow, a number of answers by oha."""
    if not answers:
        # Many short turns rather than some long ones: what disturbs a turn is then within one of many rounds.
        found = wrk(server, kind, CONNECTIONS, 1, length)
        server.process.rest()
        return found
    if context.warming:
        return None
    found = oha(server.url, server.headers(kind), FEW, requests=answers)
    if found["summary"]["sizePerRequest"] != length:
        raise Failed(f"{server.name}, {kind}: answers of {found['summary']['sizePerRequest']} bytes instead of {length}")
    return oha_figures(found)


def turns(found):
    counts = {len(kind["rounds"]) for part in found["parts"].values() for kind in part["kinds"].values()}
    return f"{' to '.join(map(str, sorted(counts)))} rounds, turns of 1 s"


def tables(found):
    parts = [WHAT]
    for size, of_size in found["parts"].items():
        parts.append(f"### {int(size):,} movies")
        for kind, part in of_size["kinds"].items():
            length = part["lengths"]["marquee"]
            told = {"identity": f"As it is: {length:,} bytes", "gzip": f"As gzip: {length:,} bytes", "304": "As a 304"}[kind]
            parts.append(f"**{told}**\n\n" + of_kind(part))
    return "\n\n".join(parts)


def of_kind(part):
    rows = []
    for name in ordered(part["rounds"]):
        rate = stats.of(part["rounds"], name)
        against = "" if name == "marquee" else stats.ratio(stats.ratios(part["rounds"], "marquee", name))
        cpu = ""
        if name != "marquee" and all("cpu_us" in turns[one] for turns in part["rounds"] for one in (name, "marquee")):
            cpu = stats.ratio(stats.ratios(part["rounds"], name, "marquee", "cpu_us"))
        percentiles = [stats.number(stats.of(part["rounds"], name, what)["median"]) for what in ("p50_ms", "p99_ms", "p999_ms")]
        connections = part["connections"][name]
        if connections == FEW:
            # So few answers have no 99th percentile.
            percentiles[1:] = ["", ""]
        rows.append([f"**{name}**" if name == "marquee" else name, stats.number(rate["median"]), against, cpu, *percentiles, connections])
    return table(["", "answers/s", "marquee against it", "by processor time", "p50 ms", "p99 ms", "p99.9 ms", "connections"], rows)


def ordered(rounds):
    return [name for name in ORDER if name in rounds[0]]


WHAT = """Everybody has the same movies and is asked for all of them by `wrk -t1 -c64`, as it is, as gzip, and with the tag that it
gave (`If-None-Match`), which makes a 304. *246* is the first 246 of the sample, as many as the well-known `imdb.json` has; *3,201* is
the sample and one more; *58,788* are invented by `benches/load/make-imdb.py`, as many as R's `movies` data set has.

| contestant | what it is |
|---|---|
| bare | an actix handler that answers with ready bytes and their type: the limit. *Same headers*: it sends those that marquee sends, too |
| marquee | as it is shipped, on SQLite; *access log*: with `MARQUEE_ACCESS_LOG=on`, into a file |
| nginx | the same bytes as files; `sendfile`, `open_file_cache`, `gzip_static` |
| nginx cache | `proxy_cache` in front of a marquee that allows it to keep answers (`MARQUEE_CACHE_CONTROL=max-age=86400`): it never asks during a turn, and would not notice a write for a day |
| Varnish | likewise, in memory, with `http_gzip_support=off`: else it unpacks its one gzipped copy for each client that takes none |
| plain | this very service in its plain form (`benches/plain`): actix, diesel-async on MariaDB, the whole collection as bytes under one moka key that every write invalidates, gzipped for each request as actix's `Compress` does |
| json-server | with its own defaults, in production mode |
| Flask | Flask-RESTful, SQLAlchemy with a pool of 100 on MariaDB and `selectinload`, Flask-Compress, under gunicorn with two workers |

A turn is one second, since what disturbs a turn on a shared machine is then within one of many rounds. The ratio *by processor time*
is that of what an answer costs the servers' processes: better above 1 as well, and less disturbed by neighbours; what the
load generator pays is not in it.

Neither Flask nor json-server has a cache: a 304 costs them the whole answer. Who cannot give each of 64 connections an answer
within a turn is asked on 2, for 2 to 20 answers a turn (by oha)."""


def bounds(found):
    sizes, gathered = {size: part["kinds"] for size, part in found["parts"].items()}, []

    def ratios_of(size, kind, other):
        part = sizes.get(size, {}).get(kind)
        return part and stats.ratios(part["rounds"], "marquee", other)

    def all_of(work, bound, least, pairs, other):
        some = [(f"{int(size):,} {kind}", ratios_of(size, kind, other)) for size, kind in pairs]
        some = [(told, ratio) for told, ratio in some if ratio]
        if some:
            gathered.append((work, bound, "; ".join(f"{told} {stats.ratio(ratio)}" for told, ratio in some),
                             all(ratio["median"] >= least for _, ratio in some)))

    small = [(size, kind) for size in ("246", "3201") for kind in servers.KINDS]
    every = [(size, kind) for size in ("246", "3201", "58788") for kind in servers.KINDS]
    all_of("view all, hit, 246 and 3,201 movies", "≥ 0.98 of the bare handler", 0.98, small, "bare")
    nginx = [(f"{int(size):,} {kind}", ratios_of(size, kind, "nginx"), stats.ratios(sizes[size][kind]["rounds"], "bare", "nginx"))
             for size, kind in small if size in sizes]
    if nginx:
        gathered.append(("the same against nginx's static file", "past 1.0 where the bare handler is, elsewhere no worse than it",
                         "; ".join(f"{told} {stats.ratio(ours)}, bare {stats.ratio(limit)}" for told, ours, limit in nginx),
                         all(ours["median"] >= min(1.0, limit["median"]) for _, ours, limit in nginx)))
    all_of("view all, hit, 58,788 movies", "≥ 0.9 of nginx's static file", 0.9, [("58788", kind) for kind in servers.KINDS], "nginx")
    all_of("view all against Varnish", "ahead everywhere", 1.0, every, "Varnish")
    all_of("view all against nginx `proxy_cache`", "ahead everywhere", 1.0, every, "nginx cache")
    all_of("view all against the Flask twin", "≥ 250 times", 250, every, "Flask")
    return gathered


def plots(found, folder):
    made = []
    sizes = list(found["parts"])
    figure, axes = plot.figure(len(servers.KINDS), len(sizes), 10.5, 2.7 * len(sizes))
    for row, size in enumerate(sizes):
        for column, kind in enumerate(servers.KINDS):
            part, axis = found["parts"][size]["kinds"][kind], axes[row][column]
            names = ordered(part["rounds"])[::-1]
            rates = [stats.of(part["rounds"], name)["median"] for name in names]
            axis.barh(range(len(names)), rates, color=[plot.colour(name) for name in names], height=0.7)
            axis.set_xscale("log")
            axis.set_xlim(min(rates) / 2, max(rates) * 6)
            for at, rate in enumerate(rates):
                axis.text(rate * 1.15, at, stats.number(rate), va="center", fontsize=8)
            axis.set_yticks(range(len(names)), names if column == 0 else [""] * len(names), fontsize=9)
            axis.tick_params(axis="x", labelsize=8)
            axis.grid(axis="y", visible=False)
            axis.set_title(f"{int(size):,} movies, {kind}")
    made.append((plot.save(figure, folder, "view-all"), "Answers a second by contestant, collection and kind of answer, on a logarithmic scale"))
    figure, axes = plot.figure(len(servers.KINDS), 1, 10.5, 3.4, sharey=True)
    marks = ("p50_ms", "p90_ms", "p99_ms", "p999_ms")
    for column, kind in enumerate(servers.KINDS):
        part, axis = found["parts"][sizes[0]]["kinds"][kind], axes[0][column]
        for name in ordered(part["rounds"]):
            values = [stats.of(part["rounds"], name, what)["median"] for what in marks]
            axis.plot(range(len(marks)), values, marker="o", markersize=3, linewidth=2 if name == "marquee" else 1.2,
                      color=plot.colour(name), label=name, zorder=3 if name == "marquee" else 2)
        axis.set_yscale("log")
        axis.set_xticks(range(len(marks)), ["p50", "p90", "p99", "p99.9"])
        axis.set_title(f"{int(sizes[0]):,} movies, {kind}")
    axes[0][0].set_ylabel("ms")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=9)
    made.append((plot.save(figure, folder, "view-all-latency"),
                 f"Latency of 64 connections at {int(sizes[0]):,} movies by contestant, from the median to 999 in 1,000, on a logarithmic scale"))
    return made

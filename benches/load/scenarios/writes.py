"""POST /v1/movies by so many clients at once, against the same with a transaction for each write."""

import contextlib

from .. import paced, peers, plot, servers, stats, stores
from ..check import ask
from ..context import version
from ..generators import oha, oha_figures
from ..process import Failed
from ..report import table

TITLE = "Write throughput"

PARTS = ("mysql", "mariadb", "sqlite")
CLIENTS = (1, 4, 16, 64, 256)
BOUND_AT = 64
BOUNDS = {"mysql": 8, "mariadb": 5}
# What a collection has at the start: the sample, as most who try it have.
MOVIES = 3201
ONE_EACH = "one transaction each"


def versions():
    return {"oha": version(["oha", "--version"], r"oha ([\d.]+)")}


def run(context, kind):
    """All contestants on one database: {"version", "clients": {number: rounds}}."""
    lines = paced.lines(context.new_folder("bodies"))
    with contextlib.ExitStack() as stack:
        with context.alone():
            contestants = [stack.enter_context(each) for each in of_database(context, kind)]
        found = {str(count): context.turns(contestants, lambda each: turn(context, each, count, lines), warm=False)
                 for count in ((4, BOUND_AT) if context.quick else CLIENTS)}
        with context.alone():
            # Whole, too: what they say must be what is there.
            for each in contestants:
                said, there = len(ask(each.url).json()), stores.movies(context, each.store)
                if said != there:
                    raise Failed(f"{each.name} answers {said} movies, and has {there}")
    return {"version": stores.version(context, kind), "clients": found}


def of_database(context, kind):
    """Each on a database of its own, of one server."""
    collection = context.collection(MOVIES)

    def on(url, server):
        server.store = url
        return server
    one, other = (stores.filled(context, kind, collection) for _ in range(2))
    yield on(one, servers.marquee(context, url=one))
    yield on(other, servers.marquee(context, url=other, name=ONE_EACH, MARQUEE_BATCH=1))
    if kind != "sqlite":
        url = context.database(kind)
        peers.fill(context, url, collection)
        yield on(url, peers.plain(context, url, PLAIN_RETRIES=20))


def turn(context, server, clients, lines):
    """So many clients write, each the next movie once the last is answered. What was answered 201 must be there afterwards."""
    before = stores.movies(context, server.store)
    metrics = servers.metrics(server)
    counters = None if server.store.startswith("sqlite") else stores.Counters(context, server.store)
    said = oha(server.url, connections=clients, seconds=context.seconds, method="POST", more=("-Z", lines), wrong=server.name == "plain",
               headers={"Content-Type": "application/json"})
    created = said["statusCodeDistribution"].get("201", 0)
    there = stores.movies(context, server.store) - before
    if there != created:
        raise Failed(f"{server.name}: {created} writes were answered 201, and {there} movies are there")
    figures = oha_figures(said)
    figures["refused"] = figures["requests"] - created
    figures["rate"] = created / figures["seconds"]
    if counters:
        figures["statements"] = counters.since()["statements"] / created
    commits = "marquee_commits_total"
    if commits in metrics:
        figures["writes_per_commit"] = created / (servers.metrics(server)[commits] - metrics[commits])
    return figures


def turns(found):
    seconds = sorted({part["run"]["seconds"] for part in found["parts"].values()})
    rounds = sorted({len(rounds) for part in found["parts"].values() for rounds in part["clients"].values()})
    return f"{' to '.join(map(str, rounds))} rounds, turns of {' or '.join(map(str, seconds))} s"


def bounds(found):
    for kind, part in found["parts"].items():
        if least := BOUNDS.get(kind):
            rounds = part["clients"][str(BOUND_AT)]
            ratio, plain = (stats.ratios(rounds, "marquee", name) for name in (ONE_EACH, "plain"))
            yield (f"writes by {BOUND_AT} clients on {stores.NAMES[kind]}, against a transaction for each", f"≥ {least}×, none lost",
                   f"{stats.ratio(ratio)}, none lost (against plain: {stats.ratio(plain)})", ratio["median"] >= least)


def tables(found):
    parts = [f"""Clients post movies with one to three genres and a director over HTTP, each the next one when the last is answered 201, and so
on disk: the databases sync every commit, as they come. After each turn the rows are counted: each movie that was answered 201
is there, whoever answered it, or the run had stopped.

*{ONE_EACH.capitalize()}* is marquee with `MARQUEE_BATCH=1`: all is the same but that a transaction takes one write. They follow
each other, since the lock of the revision row orders them. *plain* is the usual form of such a service (`benches/plain`): up to
100 transactions at a time through a pool, whose commits the database can sync together. It writes less for each movie: it has
neither what movies are found by (some 16 index entries) nor counts, segments and revisions. Where two of its transactions lock each
other out, it runs the victim again, up to 20 times; what then still fails is in the table.

Where clients are few there is little to put together, and what a movie is found by costs more than a transaction saves: then the
plain form is ahead. As they become more, its transactions wait for each other at the same genres, and its rate falls. A batch is
of half of the clients: those that were answered send their next while the others' transaction runs. On SQLite most of
a write is pages: a movie's some twenty index entries lie on nearly as many, and each goes to the log and, later, to the file."""]
    for kind, part in found["parts"].items():
        rows = []
        for count, rounds in part["clients"].items():
            for name in rounds[0]:
                values = {what: stats.of(rounds, name, what)["median"] for what in rounds[0][name]}
                refused = sum(turns[name]["refused"] for turns in rounds)
                rows.append([f"{count} × {name}", stats.number(values["rate"]), stats.ratio(stats.ratios(rounds, "marquee", name)),
                             stats.number(values["p50_ms"]), stats.number(values["p99_ms"]), stats.number(values.get("writes_per_commit")),
                             stats.number(values.get("statements")), f"{refused:,}"])
        parts.append(f"### {stores.NAMES[kind]} {part['version'] or ''}".rstrip() + "\n\n" + table(
            ["clients", "writes/s", "marquee against it", "p50 ms", "p99 ms", "writes in a commit", "statements for a write", "refused"], rows))
    return "\n\n".join(parts)


def plots(found, folder):
    databases = found["parts"]
    figure, axes = plot.figure(columns=len(databases), sharey=True)
    for axis, (kind, part) in zip(axes[0], databases.items()):
        clients = [int(count) for count in part["clients"]]
        for at, name in enumerate(next(iter(part["clients"].values()))[0]):
            figures = [stats.of(rounds, name) for rounds in part["clients"].values()]
            axis.plot(clients, [each["median"] for each in figures], marker="o", markersize=3.5, color=plot.colour(name, at), label=name)
            axis.fill_between(clients, [each["low"] for each in figures], [each["high"] for each in figures],
                              color=plot.colour(name, at), alpha=0.2, linewidth=0)
        axis.set(title=stores.NAMES[kind], xscale="log", yscale="log", xlabel="clients", xticks=clients, xticklabels=clients)
        axis.minorticks_off()
    axes[0][0].set_ylabel("writes/s")
    axes[0][0].legend()
    return [(plot.save(figure, folder, "writes"), "Writes a second by the number of clients, on each database")]

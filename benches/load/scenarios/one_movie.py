"""GET /v1/movies/{id}, when its segment is cached, against a bare handler with a body of that size."""

import contextlib

from .. import check, servers, stats
from ..context import version
from ..generators import wrk
from ..report import table

TITLE = "One movie"

KINDS = ("identity", "304")
MOVIE = 12


def versions():
    return {"wrk": version(["wrk", "-v"], r"wrk \S*?([\d.]+)")}


def run(context):
    collection = context.collection(3201)
    found = {}
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(servers.marquee(context, collection))
        ready = servers.ready_bytes(context, ours, f"/v1/movies/{MOVIE}")
        ours.url += f"/{MOVIE}"
        contestants = [ours, stack.enter_context(servers.bare(context, ready)), stack.enter_context(servers.bare(context, ready, heads=True))]
        expected = collection.movies()[MOVIE - 1]
        for kind in KINDS:
            lengths = {each.name: length(each, kind, expected) for each in contestants}
            rounds = context.turns(contestants, lambda each: wrk(each, kind, seconds=1, length=lengths[each.name]),
                                   rounds=1 + context.rounds * context.seconds)
            found[kind] = {"length": lengths["marquee"], "rounds": rounds}
    return {"kinds": found}


def length(server, kind, movie):
    """The length of an answer that was found to be right."""
    answer = check.ask(server.url, headers=server.headers(kind))
    if kind == "304":
        if answer.status != 304:
            raise check.Failed(f"{server.name}: {answer.status} instead of 304")
        return 0
    check.same_movies(check.Answer(answer.status, answer.headers, b"[" + answer.body + b"]"), [movie], server.name)
    return len(answer.body)


def turns(found):
    return f"{len(found['kinds']['identity']['rounds'])} rounds, turns of 1 s"


def tables(found):
    rows = []
    for kind, part in found["kinds"].items():
        for name in part["rounds"][0]:
            against = "" if name == "marquee" else stats.ratio(stats.ratios(part["rounds"], "marquee", name))
            cpu = "" if name == "marquee" else stats.ratio(stats.ratios(part["rounds"], name, "marquee", "cpu_us"))
            rows.append([f"{kind}, {name}", stats.number(stats.of(part["rounds"], name)["median"]), against, cpu,
                         *(stats.number(stats.of(part["rounds"], name, what)["median"]) for what in ("p50_ms", "p99_ms", "p999_ms"))])
    return (f"`GET /v1/movies/{MOVIE}` of 3,201, {found['kinds']['identity']['length']} bytes that are cut out of their cached segment, by "
            "`wrk -t1 -c64`, in turns of one second. The bare handler's path is a constant; marquee's has a parameter. The second ratio is of the processor "
            "time that an answer costs the server: better above 1 as well, and less disturbed by neighbours.\n\n"
            + table(["", "answers/s", "marquee against it", "by processor time", "p50 ms", "p99 ms", "p99.9 ms"], rows))


def bounds(found):
    ratio = stats.ratios(found["kinds"]["identity"]["rounds"], "marquee", "bare")
    return [("`GET /v1/movies/{id}`, hit", "≥ 0.9 of the bare handler with a body of that size", stats.ratio(ratio), ratio["median"] >= 0.9)]


def plots(found, folder):
    return []

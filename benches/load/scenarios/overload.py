"""POST /v1/movies at multiples of the rate that saturates: what is done all the same, and how the rest is refused."""

import contextlib
import os
import threading

from .. import paced, servers, stats, stores
from ..check import ask
from ..context import version
from ..generators import oha, oha_csv, oha_figures
from ..process import Failed, keeping_to
from ..report import table

TITLE = "More writes than it can do"

PARTS = ("mysql", "sqlite")
MOVIES = 3201
# Clients that each send their next movie when the last is answered: as many as one transaction takes, and twice.
CLIENTS = (256, 512)
# Of the peak; at the second one the bound is.
LOADS = (0.5, 2, 4)
BOUND_AT, BOUND = 2, 0.9
# Connections of the generator that sends at a rate: more than the mailbox takes commands (MARQUEE_MAILBOX, 4,096), so that
# what is due finds one that is free.
CONNECTIONS = 8000


class Case:
    """A load as one to take in turns."""

    def __init__(self, load):
        self.load, self.name = load, name_of(load)


def versions():
    return {"oha": version(["oha", "--version"], r"oha ([\d.]+)")}


def run(context, kind):
    """{"version", "peak": [rates of the rounds], "rounds": [{load: figures}]}"""
    lines = paced.lines(context.new_folder("bodies"))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Failed("overload takes two cores: the generator must not take from what it measures")
    its, generators = cores[:len(cores) // 2], cores[len(cores) // 2:]
    with contextlib.ExitStack() as stack:
        url = stores.filled(context, kind, context.collection(MOVIES))
        if database := stores.process_of(url):
            stack.enter_context(keeping_to(its, database))
        with keeping_to(its):
            ours = stack.enter_context(servers.marquee(context, url=url))
        ours.store = url
        stack.enter_context(keeping_to(generators))
        with context.alone():
            peaks = {count: [peak(context, ours, count, lines)["rate"] for _ in range(1 + context.rounds)][1:] for count in CLIENTS}
        best = max(stats.spread(rates)["median"] for rates in peaks.values())
        rounds = context.turns([Case(load) for load in LOADS], lambda case: turn(context, ours, case.load, best, lines), warm=False)
        with context.alone():
            said, there = len(ask(ours.url).json()), stores.movies(context, url)
            if said != there:
                raise Failed(f"it answers {said} movies, and has {there}")
    return {"version": stores.version(context, kind), "peaks": {str(count): rates for count, rates in peaks.items()}, "peak": best, "rounds": rounds}


def peak(context, server, clients, lines):
    """As many as it can, without refusing any."""
    before = stores.movies(context, server.store)
    figures = oha_figures(oha(server.url, connections=clients, seconds=context.seconds, method="POST", more=("-Z", lines),
                              headers={"Content-Type": "application/json"}))
    there(context, server, before, figures["requests"])
    return figures


def there(context, server, before, created):
    """What was answered 201 must be there, and nothing else."""
    found = stores.movies(context, server.store) - before
    if found != created:
        raise Failed(f"{server.name}: {created} writes were answered 201, and {found} movies are there")


def turn(context, server, load, best, lines):
    """Writes come at a rate that does not wait for answers. Each 201 must be there, and every other answer be a 503."""
    before, seconds = stores.movies(context, server.store), 2 * context.seconds
    with Visitor(server) as visitor:
        answers = oha_csv(server.url, lines, rate=round(load * best), seconds=seconds, connections=CONNECTIONS)
    done, refused = ([each for each in answers if each["status"] == status] for status in (201, 503))
    if len(done) + len(refused) != len(answers):
        raise Failed(f"{server.name}: {sorted({each['status'] for each in answers} - {201, 503})} among the answers")
    there(context, server, before, len(done) + visitor.created)
    server.process.rest()
    # Of the turn's second half: the mailbox is full then, if it ever is.
    half = [each for each in done if seconds / 2 <= each["start"] + each["seconds"] < seconds]
    return {"offered": len(answers) / seconds, "rate": len(half) / (seconds / 2), "requests": len(answers), "refused": len(refused),
            "told": visitor.refused, **percentiles("done", done), **percentiles("refused", refused)}


def percentiles(name, answers):
    took = sorted(each["seconds"] * 1e3 for each in answers)
    return {f"{name}_p{share}_ms": stats.percentile(took, share) for share in (50, 99)} if took else {}


class Visitor:
    """A client beside the load that looks at each answer: a refusal must say when to come again, and why."""

    def __init__(self, server):
        self.server, self.created, self.refused, self.failed = server, 0, 0, None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._visit)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        if self.failed:
            raise self.failed

    def _visit(self):
        body = paced.bodies(1)[0]
        try:
            while not self.over.wait(0.02):
                answer = ask(self.server.url, "POST", {"Content-Type": "application/json"}, body)
                if answer.status == 201:
                    self.created += 1
                    continue
                told = (answer.status, answer.header("retry-after").isdigit(), answer.header("content-type"))
                if told != (503, True, "application/problem+json"):
                    raise Failed(f"{self.server.name}: a write beyond what it can do was answered {answer.status} {answer.headers} {answer.body}")
                self.refused += 1
        except Failed as failed:
            self.failed = failed


def turns(found):
    parts = found["parts"].values()
    rounds = sorted({len(part["rounds"]) for part in parts})
    seconds = sorted({2 * part["run"]["seconds"] for part in parts})
    return f"{' or '.join(map(str, rounds))} rounds, turns of {' or '.join(map(str, seconds))} s"


def goodput(part, load):
    """What is done, of the peak."""
    return stats.spread(turns[name_of(load)]["rate"] / part["peak"] for turns in part["rounds"])


def name_of(load):
    return f"{load:g} times"


def tables(found):
    parts = [f"""First the peak: {' and '.join(map(str, CLIENTS))} clients post movies, each the next one when the last is answered, and the better median counts. Then writes come at
multiples of that rate, over up to {CONNECTIONS:,} connections, and do not wait for answers (oha's `-q`). What the mailbox has no room for (`MARQUEE_MAILBOX`, 4,096
as it comes) is refused at once with 503. *Goodput* is what is answered 201 within the second half of a turn. After each turn the rows are counted: each movie that was
answered 201 is there, and no other. A client beside the load sees that refusals carry `Retry-After` and a problem document.

marquee and its database share one half of the cores, and the generator has the other, at the peak as well: at twice the peak it sends and receives twice as much,
which must not be missing where the writes are done."""]
    for kind, part in found["parts"].items():
        rows = []
        for load in LOADS:
            values = {what: stats.middle_of([turns[name_of(load)] for turns in part["rounds"]], what) for what in
                      ("offered", "rate", "done_p50_ms", "done_p99_ms", "refused_p50_ms", "refused_p99_ms")}
            refused = sum(turns[name_of(load)]["refused"] for turns in part["rounds"]) / sum(turns[name_of(load)]["requests"] for turns in part["rounds"])
            rows.append([f"{load:g} × the peak", stats.number(values["offered"]), stats.number(values["rate"]), stats.ratio(goodput(part, load)),
                         f"{refused:.0%}", *(stats.number(values[what]) for what in ("done_p50_ms", "done_p99_ms", "refused_p50_ms", "refused_p99_ms"))])
        parts.append(f"### {TITLE}: {stores.NAMES[kind]} {part['version'] or ''}".rstrip() + f"\n\nThe peak: {stats.number(part['peak'])} writes/s.\n\n" + table(
            ["writes that come", "each second", "goodput", "of the peak", "refused", "201: p50 ms", "p99 ms", "503: p50 ms", "p99 ms"], rows))
    return "\n\n".join(parts)


def bounds(found):
    for kind, part in found["parts"].items():
        ratio = goodput(part, BOUND_AT)
        yield (f"writes at twice the load that saturates, on {stores.NAMES[kind]}", f"goodput ≥ {BOUND:.0%} of the peak, the rest 503 with `Retry-After`",
               stats.ratio(ratio), ratio["median"] >= BOUND)


def plots(found, folder):
    return []

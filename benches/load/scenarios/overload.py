"""POST /v1/movies at multiples of the rate that saturates: what is done all the same, and how the rest is refused."""

import contextlib
import os
import statistics
import threading

from .. import paced, servers, stats, stores
from ..check import ask
from ..context import version
from ..generators import oha_csv
from ..process import Failed, keep_threads_to, keeping_to
from ..report import table

TITLE = "More writes than it can do"

# Each database with all of marquee on one core, and apart: what writes has a core, what serves shares the other with the generator.
PARTS = ("mysql", "sqlite", "mysql_apart", "sqlite_apart")
APART = "_apart"
# The threads of marquee that write, and load, by their name.
WRITES = "database"
MOVIES = 3201
# Clients that each send their next movie when the last is answered: up to as many as the mailbox takes (MARQUEE_MAILBOX), four
# times as many as one transaction does.
CLIENTS = (256, 1024, 2048, 4096)
# Of the peak; at the first one the bound is.
LOADS = (2, 4)
BOUND_AT, BOUND = 2, 0.9
# Connections of the generator that sends at a rate: more than the mailbox takes commands (MARQUEE_MAILBOX, 4,096), so that
# what is due finds one that is free.
CONNECTIONS = 8000


def versions():
    return {"oha": version(["oha", "--version"], r"oha ([\d.]+)")}


def run(context, part):
    """{"version", "first": {clients: rate}, "clients", "rounds": [{"peaks": [rate], "loads": {load: figures}}]}"""
    kind, apart = part.removesuffix(APART), part.endswith(APART)
    lines = paced.lines(context.new_folder("bodies"))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Failed("overload takes two cores: the generator must not take from what it measures")
    its, generators = cores[:len(cores) // 2], cores[len(cores) // 2:]
    with contextlib.ExitStack() as stack:
        url = stores.filled(context, kind, context.collection(MOVIES))
        if database := stores.process_of(url):
            stack.enter_context(keeping_to(its, database))
        with keeping_to(generators if apart else its):
            ours = stack.enter_context(servers.marquee(context, url=url))
        ours.store = url
        ours.writes_on = its if apart else None
        stack.enter_context(keeping_to(generators))
        with context.alone():
            peak(context, ours, CLIENTS[0], lines)
            first = {str(count): peak(context, ours, count, lines) for count in CLIENTS}
        clients = int(max(first, key=first.get))
        rounds = [one_round(context, ours, clients, lines) for _ in range(context.rounds)]
        with context.alone():
            said, there = len(ask(ours.url).json()), stores.movies(context, url)
            if said != there:
                raise Failed(f"it answers {said} movies, and has {there}")
    return {"version": stores.version(context, kind), "first": first, "clients": clients, "rounds": rounds}


def one_round(context, server, clients, lines):
    """Each load between two peaks: the collection grows all the while, and the machine has other moods."""
    with context.alone():
        peaks, loads = [peak(context, server, clients, lines)], {}
        for load in LOADS:
            loads[name_of(load)] = turn(context, server, load, peaks[-1], lines)
            peaks.append(peak(context, server, clients, lines))
        return {"peaks": peaks, "loads": loads}


def peak(context, server, clients, lines):
    """As many as it can, without refusing any."""
    before, seconds = stores.movies(context, server.store), 4 * context.seconds
    separate(server)
    answers = oha_csv(server.url, lines, seconds, clients)
    if statuses := {each["status"] for each in answers} - {201}:
        raise Failed(f"{server.name}: {sorted(statuses)} among the answers to {clients} clients that wait for them")
    there(context, server, before, len(answers))
    return a_second(answers, seconds)


def separate(server):
    """Before each turn, since SQLite's connections are threads that come and go."""
    if server.writes_on:
        keep_threads_to(server.writes_on, server.process.pid, WRITES)


def a_second(done, seconds):
    """The slope of what is done in a turn after its first quarter, in which the mailbox fills. Answers come a transaction at a time, so
    that their number depends on how many transactions end within it."""
    ends = sorted(each["start"] + each["seconds"] for each in done)
    ends = [end for end in ends if seconds / 4 <= end < seconds]
    if len(ends) < 2:
        raise Failed(f"{len(ends)} writes were done within {3 * seconds / 4} s")
    return statistics.linear_regression(ends, range(len(ends))).slope


def there(context, server, before, created):
    """What was answered 201 must be there, and nothing else."""
    found = stores.movies(context, server.store) - before
    if found != created:
        raise Failed(f"{server.name}: {created} writes were answered 201, and {found} movies are there")


def turn(context, server, load, before_it, lines):
    """Writes come at a rate that does not wait for answers. Each 201 must be there, and every other answer be a 503."""
    before, seconds = stores.movies(context, server.store), 4 * context.seconds
    separate(server)
    with Visitor(server) as visitor:
        answers = oha_csv(server.url, lines, seconds, CONNECTIONS, round(load * before_it))
    done, refused = ([each for each in answers if each["status"] == status] for status in (201, 503))
    if len(done) + len(refused) != len(answers):
        raise Failed(f"{server.name}: {sorted({each['status'] for each in answers} - {201, 503})} among the answers")
    there(context, server, before, len(done) + visitor.created)
    server.process.rest()
    return {"offered": len(answers) / max(each["start"] for each in answers), "rate": a_second(done, seconds), "requests": len(answers), "refused": len(refused),
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
    seconds = sorted({4 * part["run"]["seconds"] for part in parts})
    return f"{' or '.join(map(str, rounds))} rounds, turns of {' or '.join(map(str, seconds))} s"


def goodput(part, load):
    """What is done, of the mean of the peak before and the one after."""
    at = LOADS.index(load)
    return stats.spread(each["loads"][name_of(load)]["rate"] / statistics.fmean(each["peaks"][at:at + 2]) for each in part["rounds"])


def arrangement(part, version=None):
    kind = part.removesuffix(APART)
    return f"{stores.NAMES[kind]}{f' {version}' if version else ''}, {'apart' if part.endswith(APART) else 'on one core'}"


def name_of(load):
    return f"{load:g} times"


def tables(found):
    parts = [f"""The peak is what is done for clients that post movies, each the next one when its last is answered: as many as do best in a first look.
In between, writes come at multiples of the peak before, over up to {CONNECTIONS:,} connections, and do not wait for answers (oha's `-q`). What the mailbox has no room for
(`MARQUEE_MAILBOX`, 4,096 as it comes) is refused at once with 503. *Goodput* is the slope of what is answered 201 after the first quarter of a turn, of the mean of the
peaks before and after it: as the collection grows, a write costs more. After each turn the rows are counted: each movie that was answered 201 is there, and no other.
A client beside the load sees that refusals carry `Retry-After` and a problem document.

A refusal costs little more than the system call that sends it. Where that is missing from the writes depends on who has which core, so there are two arrangements,
each of them the same at the peak. *Apart*, what writes (the database, and marquee's threads for it) has one half of the cores, and marquee's threads that serve
share the other half with the generator: as where load comes from elsewhere, and marquee has more cores than its one writer keeps busy. *On one core*, marquee and its database
share one half of the cores, and the generator has the other: each refusal is then paid for in writes."""]
    for name, part in found["parts"].items():
        rows = []
        for load in LOADS:
            taken = [each["loads"][name_of(load)] for each in part["rounds"]]
            values = {what: stats.middle_of(taken, what) for what in
                      ("offered", "rate", "done_p50_ms", "done_p99_ms", "refused_p50_ms", "refused_p99_ms")}
            refused = sum(each["refused"] for each in taken) / sum(each["requests"] for each in taken)
            rows.append([f"{load:g} × the peak", stats.number(values["offered"]), stats.number(values["rate"]), stats.ratio(goodput(part, load)),
                         f"{refused:.0%}", *(stats.number(values[what]) for what in ("done_p50_ms", "done_p99_ms", "refused_p50_ms", "refused_p99_ms"))])
        first = ", ".join(f"{count}: {stats.number(rate)}" for count, rate in part["first"].items())
        peaks = stats.number(statistics.median(peak for each in part["rounds"] for peak in each["peaks"]))
        parts.append(f"### {TITLE}: {arrangement(name, part['version'])}\n\nWrites/s by so many clients, in a first look: {first}. The peak, by {part['clients']}: {peaks}.\n\n" + table(
            ["writes that come", "each second", "goodput", "of the peak", "refused", "201: p50 ms", "p99 ms", "503: p50 ms", "p99 ms"], rows))
    return "\n\n".join(parts)


def bounds(found):
    for name, part in found["parts"].items():
        ratio = goodput(part, BOUND_AT)
        yield (f"writes at twice the load that saturates, on {arrangement(name)}", f"goodput ≥ {BOUND:.0%} of the peak, the rest 503 with `Retry-After`",
               stats.ratio(ratio), ratio["median"] >= BOUND)


def plots(found, folder):
    return []

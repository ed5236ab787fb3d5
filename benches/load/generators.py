"""The load generators, and what they found."""

import csv
import io
import json
import os

from .process import Failed, run

HERE = os.path.dirname(os.path.abspath(__file__))


def wrk_command(url, headers=None, connections=64, seconds=3, threads=1, script="wrk.lua"):
    """The command line, for the document as well."""
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", os.path.join(HERE, script)]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    return [*command, url]


def wrk(server, kind="identity", connections=None, seconds=3, length=None, url=None, script="wrk.lua"):
    """One turn of wrk: rate, percentiles in ms, processor time of the server per answer in microseconds.

    Any answer that is not 2xx or 3xx, any that does not come, and answers whose mean length is not that of the one that
    was checked, stop the run. `length` is the body's; a head is taken to be at most 2 kB.
    """
    connections = connections or server.connections
    before = server.process.cpu_seconds()
    command = wrk_command(url or server.url, server.headers(kind), connections, seconds, script=script)
    said = run(command, seconds=seconds + 120)
    used = server.process.cpu_seconds() - before
    try:
        found = json.loads(said.rstrip().rpartition("\n")[2])
    except ValueError as error:
        raise Failed(f"wrk said nothing that can be read:\n{said[-2000:]}") from error
    wrong = {name: found[name] for name in ("wrong_status", "connect", "write", "timeout") if found[name]}
    # A server that closes after each answer is reconnected to; wrk counts some of that as failed reads.
    if found["read"] and server.keeps_alive:
        wrong["read"] = found["read"]
    if wrong or not found["requests"]:
        raise Failed(f"{server.name}, {kind}: {wrong} in {found['requests']} answers")
    if length is not None:
        # What was under way when time was up is counted in bytes, but not in answers.
        mean, slack = found["bytes"] / found["requests"], connections * (length + 2048) / found["requests"]
        if not length <= mean <= length + 2048 + slack:
            raise Failed(f"{server.name}, {kind}: answers of {mean:.0f} bytes in the mean, for bodies of {length}")
    return {
        "rate": found["requests"] / found["seconds"],
        "mb_per_s": found["bytes"] / found["seconds"] / 1e6,
        "requests": found["requests"],
        "seconds": found["seconds"],
        "cpu_us": used / found["requests"] * 1e6,
        **{name: found[name] for name in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")},
    }


def oha(url, headers=None, connections=64, seconds=None, requests=None, method="GET", body=None, rate=None,
        content_type="application/json", more=(), wrong=False):
    """One turn of oha: for a number of requests, a rate of them, or other methods than GET. Its own JSON, with errors checked.

    `rate` is requests a second, with latencies from when each was due rather than from when it could be sent. With `wrong`,
    statuses other than 2xx and 3xx are for the caller to count.
    """
    command = ["oha", "--no-tui", "--output-format", "json", "-c", str(connections), "-m", method]
    command += ["-z", f"{seconds}s", "--wait-ongoing-requests-after-deadline"] if seconds else ["-n", str(requests)]
    if rate:
        command += ["-q", str(rate), "--latency-correction"]
    # By itself it asks for gzip.
    for name, value in {"Accept-Encoding": "identity", **(headers or {})}.items():
        command += ["-H", f"{name}: {value}"]
    if body is not None:
        command += ["-d", body, "-T", content_type]
    found = json.loads(run([*command, *more, url], seconds=(seconds or 600) + 300))
    refused = {code: count for code, count in found["statusCodeDistribution"].items() if not "200" <= code < "400"}
    if (refused and not wrong) or found["errorDistribution"]:
        raise Failed(f"oha {method} {url}: {refused} {found['errorDistribution']}")
    return found


def oha_figures(found):
    """The figures of oha's JSON under the names that wrk's have here."""
    percent = found["latencyPercentiles"]
    return {
        "rate": found["summary"]["requestsPerSec"],
        "requests": sum(found["statusCodeDistribution"].values()),
        "seconds": found["summary"]["total"],
        **{name: (percent[key] or 0) * 1e3 for name, key in
           (("p50_ms", "p50"), ("p90_ms", "p90"), ("p99_ms", "p99"), ("p999_ms", "p99.9"))},
        "max_ms": (found["summary"]["slowest"] or 0) * 1e3,
    }


def oha_csv(url, lines, seconds, connections, rate=None):
    """POSTs the lines of a file in turns, over so many connections: each its next line when the last is answered, or, with a rate, so
    many a second in all, whether or not they are answered.

    Of each answer its status, and in seconds when it was asked for, from the first on, and what it took. All are waited for at the end.
    oha leaves out what was not answered: with a rate, whose requests are counted out beforehand, that fails; without one only a run without
    any answer does.
    """
    wanted = round(rate * seconds) if rate else 1
    said = run(["oha", "--no-tui", "--output-format", "csv", "-m", "POST", "-c", str(connections),
                *(["-q", str(rate), "-n", str(wanted)] if rate else ["-z", f"{seconds}s", "--wait-ongoing-requests-after-deadline"]),
                "-T", "application/json", "-Z", lines, url], seconds=seconds + 300)
    answers = [{"start": float(each["request-start"]), "seconds": float(each["request-duration"]), "status": int(each["status"])}
               for each in csv.DictReader(io.StringIO(said))]
    if len(answers) < wanted:
        raise Failed(f"oha POST {url}: {len(answers)} answers to {wanted} requests")
    return answers

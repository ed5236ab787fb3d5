"""Whether an answer is right: status, length, and that a JSON parser reads the movies that were asked for."""

import gzip
import http.client
import json
import urllib.parse

from .process import Failed

# What tells a movie. Times and versions are left out: a twin that was filled by other means has its own.
TELLING = ("id", "imdb_id", "title", "year", "runtime_minutes", "directors", "genres", "rating", "votes", "popularity")


class Answer:
    """One answer, unchanged: nothing is followed, unpacked or cut."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name, default=""):
        return self.headers.get(name.lower(), default)

    def json(self):
        body = gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body
        return json.loads(body)


def ask(url, method="GET", headers=None, body=None, seconds=120):
    """One request on a connection of its own."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        # http.client would add Accept-Encoding: identity, which a load generator does not send.
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()


def same_movies(answer, movies, who):
    """That an answer holds just these movies, in their order; else the run stops."""
    try:
        got = answer.json()
    except (ValueError, OSError, EOFError) as error:
        raise Failed(f"{who}: no JSON: {error}: {answer.body[:200]!r}") from error
    if len(got) != len(movies):
        raise Failed(f"{who}: {len(got)} movies instead of {len(movies)}")
    for one, other in zip(got, movies):
        for member in TELLING:
            if one.get(member) != other.get(member):
                raise Failed(f"{who}: {member} is {one.get(member)!r} instead of {other.get(member)!r} in {one}")


def right(server, kind, movies):
    """Asks `server` for one kind of answer and checks it; gives the answer."""
    answer = ask(server.url, headers=server.headers(kind))
    who = f"{server.name}, {kind}"
    if kind == "304":
        if answer.status != 304 or answer.body:
            raise Failed(f"{who}: {answer.status} with {len(answer.body)} bytes")
        return answer
    if answer.status != 200:
        raise Failed(f"{who}: {answer.status} {answer.body[:500]!r}")
    coding = answer.header("content-encoding", "identity")
    if coding != kind:
        raise Failed(f"{who}: the answer is in {coding}")
    length = answer.header("content-length")
    if length and int(length) != len(answer.body):
        raise Failed(f"{who}: {len(answer.body)} bytes instead of {length}")
    same_movies(answer, movies, who)
    return answer

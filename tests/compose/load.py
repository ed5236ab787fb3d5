"""Clients of the gateway, and what they hold it to.

Each author has movies of its own and knows what every one of them must look like; readers look at the whole collection.
What an author was told is noted with its revision. Every read asks for the newest revision that was noted before it
(Marquee-Min-Revision), and is then held to everything that was noted until that moment: nothing acknowledged is lost,
nothing older comes. One tag never stands for two bodies, whichever replica answers.

A patient client does what the README tells clients to: a POST has an Idempotency-Key, a PATCH its If-Match, and what was
not answered is sent again. One that is not patient sends everything once, without a key: whatever is refused is an error.
"""

import gzip
import hashlib
import http.client
import json
import random
import ssl
import threading
import time
import uuid

# How long a patient client goes on trying: longer than anything takes to come back on a busy machine.
PATIENCE = 180
# What a gateway or a marquee says when somebody else, or the same one later, may do it: with a reason, as a problem.
REFUSED = 503


class Wrong(Exception):
    """An answer that must not be given."""


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def revision(self):
        return int(self.headers["Marquee-Revision"])

    def json(self):
        body = gzip.decompress(self.body) if self.headers["Content-Encoding"] == "gzip" else self.body
        return json.loads(body)


class Client:
    """One connection to the gateway, kept."""

    def __init__(self, load):
        self.load = load
        self.connection = None

    def once(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(
                "localhost", self.load.port, timeout=60, context=self.load.tls
            )
        headers = {"Authorization": f"Bearer {self.load.token}", **(headers or {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        try:
            self.connection.request(method, path, body, headers)
            response = self.connection.getresponse()
            return Answer(response, response.read())
        except BaseException:
            self.close()
            raise

    def ask(self, method, path, body=None, headers=None):
        """An answer that is not REFUSED, and whether it was the first that was asked for."""
        until = time.monotonic() + PATIENCE
        first = True
        while True:
            try:
                answer = self.once(method, path, body, headers)
                self.load.count(answer.status == REFUSED)
                if answer.status != REFUSED:
                    return answer, first
                if answer.headers["Content-Type"] != "application/problem+json":
                    raise Wrong(f"{method} {path}: {answer.headers} {answer.body[:200]}")
                said = f"{answer.status} {answer.body[:200]}"
            except (OSError, http.client.HTTPException) as error:
                self.load.count(True)
                said = repr(error)
            if not self.load.patient:
                raise Wrong(f"{method} {path} was refused: {said}")
            if time.monotonic() > until:
                raise Wrong(f"{method} {path} was refused for {PATIENCE} s, last: {said}")
            first = False
            time.sleep(random.uniform(0.05, 0.2))

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Load:
    """Authors and readers at work, from start() to stop()."""

    def __init__(self, port, token, certificate, patient=True, authors=6, readers=2):
        self.port, self.token, self.patient = port, token, patient
        self.tls = ssl.create_default_context(cafile=certificate)
        self.authors, self.readers = authors, readers
        self.lock = threading.Lock()
        # What is there, by id, as it was last acknowledged; and what was acknowledged to be gone.
        self.movies, self.gone = {}, set()
        self.revision = 0
        self.tags = {}
        self.figures = {"requests": 0, "refused": 0, "writes": 0, "reads": 0, "collections": 0}
        self.wrong = []
        self.stopping = threading.Event()
        self.threads = []

    def __enter__(self):
        works = [self.author] * self.authors + [self.reader] * self.readers
        for work in works:
            thread = threading.Thread(target=self.run, args=(work,), daemon=True)
            thread.start()
            self.threads.append(thread)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def run(self, work):
        client = Client(self)
        try:
            while not self.stopping.is_set() and not self.wrong:
                work(client)
                time.sleep(random.uniform(0, 0.02))
        except Exception as error:  # Whatever it is, the run has failed and must say so.
            self.wrong.append(f"{type(error).__name__}: {error}")
        finally:
            client.close()

    def count(self, refused):
        with self.lock:
            self.figures["requests"] += 1
            self.figures["refused"] += refused

    def done(self, figure):
        with self.lock:
            self.figures[figure] += 1

    def check(self):
        if self.wrong:
            raise Wrong(self.wrong[0])

    def progress(self, what=("writes", "reads", "collections"), by=20):
        """Waits until the load has got on: what comes back is in use again."""
        before = dict(self.figures)
        until = time.monotonic() + PATIENCE
        while any(self.figures[figure] < before[figure] + by for figure in what):
            self.check()
            if time.monotonic() > until:
                raise Wrong(f"the load does not get on: {before}, then {self.figures}")
            time.sleep(0.05)

    # ---- authors

    def note(self, answer, change):
        """An acknowledged write: `change` is made to what is known, with its revision."""
        with self.lock:
            self.revision = max(self.revision, answer.revision)
            self.figures["writes"] += 1
            change()

    def author(self, client):
        """The life of a movie: made, changed some times, read after each, and mostly deleted."""
        title = f"Under load {uuid.uuid4()}"
        movie = self.create(client, title)
        for votes in range(1, random.randint(2, 6)):
            movie = self.change(client, movie, votes)
            self.read(client, movie)
        if random.random() < 0.7:
            self.delete(client, movie)

    def create(self, client, title):
        headers = {"Idempotency-Key": str(uuid.uuid4())} if self.patient else None
        body = {"title": title, "votes": 0, "genres": ["Drama"]}
        answer, _ = client.ask("POST", "/v1/movies", body, headers)
        if answer.status != 201:
            raise Wrong(f"POST: {answer.status} {answer.body}")
        movie = answer.json()
        self.note(answer, lambda: self.movies.__setitem__(movie["id"], movie))
        self.expect(movie, title=title, votes=0, version=1)
        return movie

    def change(self, client, movie, votes):
        path = f"/v1/movies/{movie['id']}"
        before, _ = client.ask("GET", path, headers=self.newest())
        self.same(before, movie)
        headers = {"If-Match": before.headers["ETag"], "Content-Type": "application/merge-patch+json"}
        answer, first = client.ask("PATCH", path, {"votes": votes}, headers)
        if answer.status == 412 and not first:
            # One that was not answered was done: then it is as it was to be.
            answer, _ = client.ask("GET", path, headers={"Marquee-Min-Revision": str(answer.revision)})
        if answer.status != 200:
            raise Wrong(f"PATCH {path}: {answer.status} {answer.body}")
        changed = answer.json()
        self.expect(changed, title=movie["title"], votes=votes, version=movie["version"] + 1)
        self.note(answer, lambda: self.movies.__setitem__(movie["id"], changed))
        return changed

    def read(self, client, movie):
        answer, _ = client.ask("GET", f"/v1/movies/{movie['id']}", headers=self.newest())
        self.same(answer, movie)

    def delete(self, client, movie):
        path = f"/v1/movies/{movie['id']}"
        # From here on it may be gone.
        with self.lock:
            del self.movies[movie["id"]]
        answer, first = client.ask("DELETE", path)
        if answer.status != 204 and (answer.status != 404 or first):
            raise Wrong(f"DELETE {path}: {answer.status} {answer.body}")
        self.note(answer, lambda: self.gone.add(movie["id"]))
        answer, _ = client.ask("GET", path, headers=self.newest())
        if answer.status != 404:
            raise Wrong(f"GET {path} after it was deleted: {answer.status} {answer.body}")
        self.done("reads")

    def newest(self):
        return {"Marquee-Min-Revision": str(self.revision)}

    def same(self, answer, movie):
        if answer.status != 200 or answer.json() != movie:
            raise Wrong(f"GET of {movie} was {answer.status} {answer.body}")
        self.tagged(answer)
        self.done("reads")

    @staticmethod
    def expect(movie, **members):
        for name, value in members.items():
            if movie[name] != value:
                raise Wrong(f"{name} is not {value!r}: {movie}")

    # ---- readers

    def reader(self, client):
        """The whole collection, held to all that was known before it was asked for."""
        with self.lock:
            least, known, gone = self.revision, dict(self.movies), set(self.gone)
        headers = {"Marquee-Min-Revision": str(least), "Accept-Encoding": "gzip"}
        answer, _ = client.ask("GET", "/v1/movies", headers=headers)
        if answer.status != 200 or answer.revision < least:
            raise Wrong(f"GET /v1/movies at {least}: {answer.status} {answer.headers} {answer.body[:200]}")
        self.tagged(answer)
        movies = {movie["id"]: movie for movie in answer.json()}
        if int(answer.headers["X-Total-Count"]) != len(movies):
            raise Wrong(f"{answer.headers['X-Total-Count']} movies are counted, {len(movies)} came")
        with self.lock:
            still = set(self.movies)
        for number, movie in known.items():
            # What is about to be deleted may be there or not.
            if number in still and (number not in movies or movies[number]["version"] < movie["version"]):
                raise Wrong(f"at {answer.revision}: {movie} is {movies.get(number)}")
        if gone & movies.keys():
            raise Wrong(f"at {answer.revision}, deleted and there: {gone & movies.keys()}")
        self.done("collections")
        # Bytes of this size are work, for this program above all.
        self.stopping.wait(0.2)

    def tagged(self, answer):
        tag, digest = answer.headers["ETag"], hashlib.sha256(answer.body).digest()
        with self.lock:
            if self.tags.setdefault(tag, digest) != digest:
                raise Wrong(f"two bodies have the tag {tag}")

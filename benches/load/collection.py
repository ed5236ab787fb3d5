"""Collections of movies: made once, kept in the cache folder as SQLite files, copied for each contestant."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

from .check import TELLING
from .process import run

# Sizes that people know are of real movies: the sample, and as many of it as the imdb.json data set has.
SAMPLE = 3201
FROM_THE_SAMPLE = (246, SAMPLE)
ONE_MORE = {"imdb_id": "tt0032138", "title": "The Wizard of Oz", "year": 1939, "runtime_minutes": 102,
            "directors": ["Victor Fleming"], "genres": ["Adventure", "Family", "Fantasy", "Musical"], "rating": 8.1}


class Collection:
    """So many movies, as a SQLite file that marquee imported; `of(…)` makes it when it is not there yet."""

    def __init__(self, file, count):
        self.file, self.count = file, count
        self._movies = None

    @classmethod
    def of(cls, count, context, first_of=None):
        """`first_of=1_000_000`: the first of that collection, so that both have the same movies where both have any."""
        folder = os.path.join(context.cache, "collections", _version(context.root))
        file = os.path.join(folder, f"{count}-of-{first_of}.db" if first_of else f"{count}.db")
        if not os.path.exists(file):
            os.makedirs(folder, exist_ok=True)
            context.say(f"making a collection of {count:,} movies, kept for the next run")
            whole = context.collection(first_of) if first_of else None
            with tempfile.TemporaryDirectory(dir=folder) as building, context.alone():
                inputs = _first(count, whole, building) if whole else _inputs(count, context.root, building)
                made = os.path.join(building, "marquee.db")
                run([context.binaries.marquee, "import", *inputs],
                    env={"DATABASE_URL": f"sqlite://{made}", "RUST_LOG": "warn"})
                # All of it in one file, so that a copy is a copy of that file.
                with sqlite3.connect(made) as database:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    (found,) = database.execute("SELECT COUNT(*) FROM movies").fetchone()
                database.close()
                assert found == count, f"{found} movies instead of {count}"
                os.rename(made, file)
        return cls(file, count)

    def copy(self, folder):
        """A copy of its own for a contestant, in a folder that is there; gives the file."""
        target = os.path.join(folder, "marquee.db")
        subprocess.run(["cp", "--reflink=auto", self.file, target], check=True)
        return target

    def movies(self):
        """The movies as answers must have them: read by Python's sqlite3, so that no contestant vouches for itself."""
        if self._movies is None:
            self._movies = self.some(self.count)
        return self._movies

    def some(self, count):
        """The first of them, likewise. Ids are dense from 1 on."""
        database = sqlite3.connect(f"file:{self.file}?immutable=1", uri=True)
        names = {"genres": {}, "directors": {}}
        for what, one in (("genres", "genre"), ("directors", "director")):
            rows = database.execute(f"SELECT movie_id, name FROM movie_{what} l JOIN {what} n ON n.id = l.{one}_id "
                                    "WHERE movie_id <= ? ORDER BY movie_id, position", (count,))
            for movie, name in rows:
                names[what].setdefault(movie, []).append(name)
        columns = [name for name in TELLING if name not in names]
        movies = []
        for row in database.execute(f"SELECT {', '.join(columns)} FROM movies WHERE id <= ? ORDER BY id", (count,)):
            movie = dict(zip(columns, row))
            for what, found in names.items():
                movie[what] = found.get(movie["id"], [])
            movies.append(movie)
        database.close()
        return movies


def _version(root):
    """Changes with whatever the files are made of."""
    digest = hashlib.sha256()
    parts = [os.path.join(root, "benches", "load", "make-imdb.py"), os.path.join(root, "data", "movies.ndjson"), __file__]
    for folder, _, files in sorted(os.walk(os.path.join(root, "migrations", "sqlite"))):
        parts += [os.path.join(folder, name) for name in sorted(files)]
    for part in parts:
        with open(part, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _inputs(count, root, folder):
    """Files for `marquee import`."""
    if count in FROM_THE_SAMPLE:
        file = os.path.join(folder, "movies.ndjson")
        with open(os.path.join(root, "data", "movies.ndjson"), encoding="utf-8") as sample:
            lines = sample.readlines() + [json.dumps(ONE_MORE) + "\n"]
        with open(file, "w", encoding="utf-8") as out:
            out.writelines(lines[:count])
        return [file]
    script = os.path.join(root, "benches", "load", "make-imdb.py")
    run([sys.executable, script, folder, "--rows", count, "--only-movies"])
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".tsv.gz"))


def _first(count, whole, folder):
    """Likewise, of the first of another collection."""
    file = os.path.join(folder, "movies.ndjson")
    with open(file, "w", encoding="utf-8") as out:
        for movie in whole.some(count):
            out.write(json.dumps({name: value for name, value in movie.items() if name != "id"}) + "\n")
    return [file]

#!/usr/bin/env python3
"""Writes title.basics, title.ratings, title.crew and name.basics in exactly IMDb's form.

    python3 benches/load/make-imdb.py OUT_DIR [--rows 58788] [--only-movies] [--seed 1]

The titles, people and numbers are invented. The same arguments give the same bytes, gzip's header
included, so that a measurement can be repeated elsewhere.
"""

import argparse
import gzip
import io
import os
import random

ADJECTIVES = """Silent Golden Broken Last Hidden Burning Crooked Distant Electric Faithful Gentle Hollow
Invisible Lonely Midnight Northern Painted Quiet Restless Scarlet Secret Seventh Stolen Wandering
Winter Young""".split()
NOUNS = """Harbour Orchard Letter Empire Garden Horizon Island Journey Kingdom Lantern Mirror Mountain
Night Ocean Passenger Promise River Season Shadow Station Stranger Summer Theatre Train Valley Widow
Window Witness""".split()
PLACES = """Lisbon Kraków Ålesund Montréal Kyōto Tbilisi Zürich São-Paulo Naples Odesa Reykjavík Bombay
Cairo Dublin Łódź Århus""".split()
FIRST = """Ada Bo Carla Dmitri Elif François Greta Hiroshi Ingrid José Kwame Léa Mai Noor Olga Pedro Qi
Rosa Søren Tomás Ulla Vera Wanda Ximena Yusuf Zoë""".split()
LAST = """Almeida Bergström Castellanos Dvořák Eriksen Fournier García Haddad Ivanova Jørgensen Kowalski
Lindqvist Moreau Nakamura Okafor Petrović Quispe Rossi Schäfer Tanaka Underwood Vasquez Weiß Xu Yılmaz
Zieliński""".split()
GENRES = """Drama Comedy Action Romance Thriller Horror Crime Documentary Adventure Sci-Fi Family Fantasy
Mystery Biography History Music Animation War Western Sport""".split()
# About the shares of IMDb's own file.
TYPES = [("tvEpisode", 75), ("short", 9), ("movie", 6), ("video", 3), ("tvSeries", 3), ("tvMovie", 2),
         ("tvMiniSeries", 1), ("videoGame", 1)]


def title(rng):
    a, b, n, m = rng.choice(ADJECTIVES), rng.choice(ADJECTIVES), rng.choice(NOUNS), rng.choice(NOUNS)
    place = rng.choice(PLACES).replace("-", " ")
    return rng.choice((
        f"The {a} {n}", f"{a} {n}", f"{n} of {place}", f"The {n} and the {m}", f"{a} {b} {n}",
        f"{place}", f"{n}: The {a} {m}", f'"{a}" {n}', f"{rng.choice(FIRST)}'s {n}",
        f"{a} {n} {rng.randint(2, 9)}",
    ))


def rare(rng, share, value):
    return value if rng.random() < share else r"\N"


class Table:
    """A gzipped TSV file whose header carries neither time nor name."""

    def __init__(self, folder, name, columns):
        self.raw = open(os.path.join(folder, name + ".tsv.gz"), "wb")
        self.packed = gzip.GzipFile(filename="", mode="wb", fileobj=self.raw, compresslevel=6, mtime=0)
        self.text = io.TextIOWrapper(self.packed, encoding="utf-8", newline="\n", write_through=False)
        self.row(columns.split())

    def row(self, fields):
        self.text.write("\t".join(map(str, fields)) + "\n")

    def close(self):
        self.text.close()
        self.raw.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--rows", type=int, default=58788, help="rows of title.basics")
    parser.add_argument("--only-movies", action="store_true", help="every titleType is movie, none isAdult")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    os.makedirs(args.folder, exist_ok=True)
    basics = Table(args.folder, "title.basics", "tconst titleType primaryTitle originalTitle isAdult "
                   "startYear endYear runtimeMinutes genres")
    ratings = Table(args.folder, "title.ratings", "tconst averageRating numVotes")
    crew = Table(args.folder, "title.crew", "tconst directors writers")
    names = Table(args.folder, "name.basics", "nconst primaryName birthYear deathYear primaryProfession "
                  "knownForTitles")
    people = max(10, args.rows // 2)
    types, weights = zip(*TYPES)
    for number in range(1, args.rows + 1):
        tconst = f"tt{number:07}"
        kind = "movie" if args.only_movies else rng.choices(types, weights)[0]
        primary = title(rng)
        original = primary if rng.random() < 0.9 else title(rng)
        adult = 0 if args.only_movies else int(rng.random() < 0.03)
        year = min(2026, int(2026 - rng.expovariate(1 / 22)))
        genres = ",".join(sorted(rng.sample(GENRES, rng.choice((1, 1, 2, 3)))))
        end = rng.randint(max(1890, year), 2026) if kind == "tvSeries" and rng.random() < 0.5 else r"\N"
        basics.row((tconst, kind, primary, original, adult, rare(rng, 0.9, max(1890, year)), end,
                    rare(rng, 0.7, max(1, int(rng.gauss(95, 22)))), rare(rng, 0.95, genres)))
        if rng.random() < (0.6 if kind == "movie" else 0.13):
            votes = 5 + int(rng.paretovariate(0.8))
            rating = min(10.0, max(1.0, rng.gauss(6.4, 1.3)))
            ratings.row((tconst, f"{rating:.1f}", min(votes, 3_000_000)))
        directors = rng.sample(range(1, people + 1), rng.choices((0, 1, 2, 3), (15, 75, 8, 2))[0])
        writers = rng.sample(range(1, people + 1), rng.choices((0, 1, 2), (40, 45, 15))[0])
        crew.row((tconst, *(",".join(f"nm{n:07}" for n in group) or r"\N" for group in (directors, writers))))
    for number in range(1, people + 1):
        born = rng.randint(1880, 2000)
        known = ",".join(f"tt{rng.randint(1, args.rows):07}" for _ in range(rng.randint(1, 4)))
        names.row((f"nm{number:07}", f"{rng.choice(FIRST)} {rng.choice(LAST)}", rare(rng, 0.3, born),
                   rare(rng, 0.1, born + rng.randint(30, 95)), rng.choice(("director", "director,writer")), known))
    for table in (basics, ratings, crew, names):
        table.close()


if __name__ == "__main__":
    main()

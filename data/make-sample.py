#!/usr/bin/env python3
"""Turns the `movies` set of vega-datasets into the sample that marquee bundles.

    python3 data/make-sample.py path/to/vega-datasets/data/movies.json > data/movies.ndjson

The rules are numbered as in data/README.md, which says why each of them is there. The output has one
movie a line in the spelling that `POST /v1/movies` reads, in the order of the source; the same source
gives the same bytes. A record that no rule foresees stops the script: a sample is not guessed at.
"""

import json
import re
import sys

LAST_YEAR = 2011  # Rule 3: the newest release that the set knows of.
DATE = re.compile(r"[A-Z][a-z]{2} \d{2} (\d{4})")


def mended(text):
    """Rule 4: Windows-1252 bytes that were once read as Mac Roman."""
    try:
        return text.encode("mac_roman").decode("cp1252")
    except UnicodeError:
        return text


def title_of(record):
    title = record["Title"]
    if title is None:
        return None  # Rule 2.
    return mended(str(title)).strip()  # Rule 1.


def year_of(record):
    found = DATE.fullmatch(record["Release Date"])
    if not found:
        raise ValueError(f"no date: {record['Release Date']!r}")
    year = int(found.group(1))
    return year - 100 if year > LAST_YEAR else year  # Rule 3.


def names(text):
    """Rule 5: one name or none becomes a list of one or none."""
    return [] if text is None else [mended(text).strip()]


def movie(record, title):
    return {
        "title": title,
        "year": year_of(record),
        "runtime_minutes": record["Running Time min"],
        "directors": names(record["Director"]),
        "genres": names(record["Major Genre"]),
        "rating": record["IMDB Rating"],
        "votes": record["IMDB Votes"],
    }


def main(path, out):
    with open(path, encoding="utf-8") as source:
        records = json.load(source)
    seen = set()
    dropped = []
    kept = 0
    for record in records:
        title = title_of(record)
        if title is None:
            dropped.append("no title")
            continue
        made = movie(record, title)
        key = (title.casefold(), made["year"])
        if key in seen:  # Rule 6.
            dropped.append(f"{title} ({made['year']}) a second time")
            continue
        seen.add(key)
        out.write(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n")
        kept += 1
    print(f"{kept} movies written, {len(dropped)} dropped: {dropped}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    main(sys.argv[1], sys.stdout)

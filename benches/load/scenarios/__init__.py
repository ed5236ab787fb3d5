"""The scenarios, in the order in which docs/BENCHMARKS.md tells them.

To write one, put a module here and its name into ALL. A scenario is a module with

    TITLE = "…"                a heading
    def run(context): …        measures, and gives a dict that JSON can hold. `context` is a context.Context:
                               context.collection(n) gives movies, context.database("mysql") a database's URL,
                               context.turns(servers, measure) takes contestants in turns for some rounds,
                               context.alone() must be held around whatever is measured by other means,
                               context.quick asks for a look whether it works: few sizes, short
    def tables(found): …       Markdown below the heading, from what run() gave: what was asked, figures, what they mean
    def plots(found, folder):  writes SVGs by plot.figure() and plot.save(); gives [(file, alternative text), …]
    def bounds(found): …       (may be missing) [(work, bound, measured, met), …] for the table at the top: three texts,
                               and True, False, or None where it is not for us to say

    def turns(found): …        (may be missing) how many rounds of which turns, where that is not the context's: a text

A scenario that takes long may have PARTS, a tuple of names: then it is run(context, part), what it gives is kept as
found["parts"][part], and `./bench NAME:PART` measures one of them again.

Servers are started by servers.py and by peers.py; generators.wrk() and generators.oha() ask them and stop the run at the
first wrong answer; check.right() parses one whole answer. stats.py has medians, spreads and ratios by round: keep every
round in what run() gives, so that the document can be made anew from it.

What run() gives is stored in docs/benchmarks/NAME.json with the date, the commit, the machine and `versions()` of the
programs, where the module has that function. Names here have `-` in the command line and in files: view_all is view-all.
"""

ALL = ["view_all", "one_movie", "after_write", "start", "memory", "mixed", "writes", "overload", "replicas", "imdb_import", "fifteen_million", "profiles"]

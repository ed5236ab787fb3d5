"""The command line: see ./bench."""

import os
import signal
import sys
import tempfile

from . import report, scenarios
from .context import Context
from .process import Failed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(args):
    quick = "--quick" in args
    names = [arg.replace("-", "_") for arg in args if arg != "--quick"]
    if names == ["list"]:
        print("\n".join(f"{name.replace('_', '-'):18} {report.module(name).TITLE}" for name in scenarios.ALL))
        return
    if names == ["report"]:
        report.render(ROOT)
        return
    chosen = [tuple((name + ":").split(":")[:2]) for name in names or scenarios.ALL]
    unknown = [name for name, _ in chosen if name not in scenarios.ALL]
    if unknown:
        sys.exit(f"./bench: there is no {', '.join(unknown)}; there are {', '.join(scenarios.ALL)}".replace("_", "-"))
    with tempfile.TemporaryDirectory(prefix="marquee-bench-") as folder:
        context = Context(ROOT, os.environ["MARQUEE_BENCH_CACHE"], folder, quick)
        try:
            for name, part in chosen:
                scenario = report.module(name)
                if not hasattr(scenario, "PARTS"):
                    measure(context, name, scenario)
                for each in [part] if part else getattr(scenario, "PARTS", ())[:1 if quick else None]:
                    measure(context, name, scenario, each)
        finally:
            context.close()


def measure(context, name, scenario, part=None):
    """One scenario, or one part of it, from start to stored."""
    context.say(scenario.TITLE + (f": {part}" if part else ""))
    run = context.machine()
    run["versions"] = getattr(scenario, "versions", dict)()
    found = scenario.run(context, part) if part else scenario.run(context)
    if part:
        # The other parts stay what they were.
        parts = {} if context.quick else (report.stored(context.root, name) or {}).get("parts", {})
        parts[part] = {"run": run, **found}
        found = {"parts": {each: parts[each] for each in scenario.PARTS if each in parts}}
    found = {"run": run, **found}
    if context.quick:
        # The document must be able to say it, too.
        scenario.tables(found)
        scenario.plots(found, context.folder)
        getattr(scenario, "bounds", lambda _: [])(found)
        context.say("it works; nothing was stored")
        return
    report.store(context.root, name, found)
    report.render(context.root)


if __name__ == "__main__":
    # Whoever is asked to stop stops its contestants, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main(sys.argv[1:])
    except Failed as failed:
        sys.exit(f"./bench: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)

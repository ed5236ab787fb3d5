"""marquee beside its peers: ./bench runs it, docs/BENCHMARKS.md is what it writes.

Reading order: context.py (what a scenario is given), servers.py (the contestants), generators.py (wrk and oha), check.py,
report.py. How to write a scenario is told in scenarios/__init__.py.
"""

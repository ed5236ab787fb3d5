"""Medians, and the spread of what differs from round to round."""

import statistics


def spread(values):
    """{"median", "low", "high"} of some numbers."""
    values = list(values)
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def ratios(rounds, one, other, what="rate"):
    """Spread of one contestant's figure over another's, each from the same round. rounds: [{name: {what: number}}]."""
    return spread(turns[one][what] / turns[other][what] for turns in rounds)


def of(rounds, name, what="rate"):
    """Spread of one contestant's figure over the rounds."""
    return spread(turns[name][what] for turns in rounds)


def middle_of(turns, what):
    """The median of a figure, over those of some turns that have it."""
    values = [turn[what] for turn in turns if turn.get(what) is not None]
    return statistics.median(values) if values else None


def percentile(values, share):
    """The least of sorted values that so many hundredths of them do not exceed."""
    return values[max(0, -(-len(values) * share // 100) - 1)]


def number(value, digits=3):
    """A number as a person reads it: so many digits that count, thousands apart."""
    if value is None:
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        rounded = float(f"{value:.{digits}g}")
        return f"{rounded:,.0f}"
    return f"{value:.{digits}g}"


def ratio(found, digits=3):
    """A spread of ratios: 0.99 (0.97–1.02)."""
    return f"{_plain(found['median'], digits)} ({_plain(found['low'], digits)}–{_plain(found['high'], digits)})"


def _plain(value, digits):
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, digits - 1 if value < 10 else digits - 2)}f}"

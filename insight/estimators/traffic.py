"""What is asked of a server: how many requests a second, and how long their prompts and answers are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from insight.estimators.windows import StepWindow
    from metrics.histogram import Histogram

Lengths = tuple[tuple[float, float], ...]
"""(tokens, share of the requests), the shares adding up to 1."""
Arrival = tuple[float, float, int]
"""(seconds, prompt tokens to work on, output tokens)."""


class Traffic(Struct, frozen=True):
    """Poisson arrivals of requests of these lengths."""

    rate: float
    """Requests a second."""
    prompts: Lengths
    """Prompt tokens that are worked on: without the cached ones."""
    outputs: Lengths

    @property
    def prompt(self) -> float:
        """Mean prompt tokens worked on for a request: P."""
        return mean(self.prompts)

    @property
    def output(self) -> float:
        """Mean output tokens of a request: G."""
        return mean(self.outputs)

    def at(self, rate: float) -> Traffic:
        """Give the same mix at another rate."""
        return replace(self, rate=rate)


def mean(lengths: Lengths) -> float:
    """Give the mean length in tokens."""
    return sum(tokens * share for tokens, share in lengths)


def lengths(histogram: Histogram | None, tokens: float) -> Lengths:
    """Spread lengths with a mean of `tokens` as a histogram shows them; all alike where there is none.

    So they are where it tells nothing of them: where all counts lie in its only bucket, or in one that ends at 0. Each
    bucket stands for the length at one and the same share of its width, chosen so that the mean of the histogram comes
    out exactly; then all are scaled to `tokens`, which may be less for what a prefix cache gives.
    """
    if histogram is None or histogram.count <= 0 or histogram.sum <= 0:
        return ((tokens, 1.0),)
    edges = [*pairwise((0.0, *histogram.bounds))]
    top = histogram.bounds[-1] if histogram.bounds else 0.0
    edges.append((top, 2 * top))
    filled = [(lo, hi, n / histogram.count) for (lo, hi), n in zip(edges, histogram.counts, strict=True) if n > 0]
    least = sum(lo * share for lo, _, share in filled)
    room = sum((hi - lo) * share for lo, hi, share in filled)
    place = min(1.0, max(0.0, (histogram.sum / histogram.count - least) / room)) if room else 0.0
    spread = [(lo + place * (hi - lo), share) for lo, hi, share in filled]
    whole = mean(tuple(spread))
    if whole <= 0:
        return ((tokens, 1.0),)
    scale = tokens / whole
    return tuple((length * scale, share) for length, share in spread)


def observed(
    windows: Sequence[StepWindow], prompts: Histogram | None = None, outputs: Histogram | None = None
) -> Traffic | None:
    """Tell the traffic of these windows; None where no request began in them.

    Requests are counted by their first token, so that a queue does not distort it; the lengths have the shape of the
    histograms of the same time.
    """
    seconds = sum(each.seconds for each in windows)
    requests = sum(each.ttft_count for each in windows)
    if not requests or not seconds:
        return None
    prompt = sum(each.computed for each in windows) / requests
    output = 1.0 + sum(each.itl_count for each in windows) / requests
    return Traffic(requests / seconds, lengths(prompts, prompt), lengths(outputs, output))


def arrivals(traffic: Traffic, seconds: float, draw: random.Random) -> list[Arrival]:
    """Draw the arrivals of so many seconds."""
    moments: list[float] = []
    now = draw.expovariate(traffic.rate) if traffic.rate > 0 else seconds
    while now < seconds:
        moments.append(now)
        now += draw.expovariate(traffic.rate)
    prompts = _drawn(traffic.prompts, len(moments), draw)
    outputs = _drawn(traffic.outputs, len(moments), draw)
    # An output of 79.4 tokens is 79 for six requests and 80 for four.
    return [
        (moment, prompt, max(1, int(output + draw.random())))
        for moment, prompt, output in zip(moments, prompts, outputs, strict=True)
    ]


def _drawn(lengths: Lengths, count: int, draw: random.Random) -> list[float]:
    return draw.choices([tokens for tokens, _ in lengths], [share for _, share in lengths], k=count)

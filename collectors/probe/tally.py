"""What the probe has found so far: counters and histograms that only grow, as a server's own do.

Times count from the moment for which a request was planned, not from that at which it could be sent: else a monitor
that waits for a slow answer would leave out just the slow part (coordinated omission). A time that was not seen to its
end (a timeout, a failure, a request that could not be sent because the one before it still ran) is not dropped: the
`*_censored_seconds` histograms hold how long it certainly was.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from collectors.probe.prompt import Prefix
from collectors.probe.reply import Outcome
from metrics.histogram import Histogram
from metrics.series import series

if TYPE_CHECKING:
    from collections.abc import Iterable

    from collectors.probe.reply import Reply

_GROWTH = 1.1
"""Each bound is a tenth above the last, so that a quantile is known to a tenth."""
_CONNECTING = 0.01
"""Part of a TTFT that making a new connection may take without the TTFT being left out."""


def _bounds(low: float, high: float) -> tuple[float, ...]:
    """Make bounds from `low` to the first at or above `high`, to four digits."""
    bounds = [low]
    while bounds[-1] < high:
        bounds.append(float(f"{low * _GROWTH ** len(bounds):.4g}"))
    return tuple(bounds)


BOUNDS = _bounds(0.001, 60.0)
"""TTFT, E2E and their like, in seconds."""
TOKEN_BOUNDS = _bounds(0.0001, 5.0)
"""Gaps between tokens, in seconds."""
COARSE_BOUNDS = BOUNDS[3::4]
"""For what is needed less exactly. All histograms of a probe together have 740 buckets, 35 MB of the Store in 48 h."""


class LeftOut(StrEnum):
    """Why a request that was answered is left out of the latencies."""

    WARM_UP = "warm_up"
    """One of the first after a start of the server."""
    TAINTED = "tainted"
    """The monitor itself was too late to time it."""
    NEW_CONNECTION = "new_connection"
    """Its TTFT holds the making of a connection; its gaps count."""


class Skipped(StrEnum):
    """Why a planned request was not sent."""

    OVERRUN = "overrun"
    """The one before it still ran."""
    QUEUE = "queue"
    BUDGET = "budget"


def _no_counts() -> dict[str, float]:
    names = [series("probe_requests", outcome=each) for each in Outcome]
    names += [series("probe_skipped", reason=each) for each in Skipped]
    names += [series("probe_left_out", reason=each) for each in LeftOut]
    names += [series("probe_tokens", kind=each) for each in ("prompt", "output")]
    return dict.fromkeys((*names, "probe_uncounted"), 0.0)


def _no_observations() -> dict[str, Histogram]:
    bounds = {
        **{series("probe_ttft_seconds", prefix=each): BOUNDS for each in Prefix},
        **{series("probe_ttft_censored_seconds", prefix=each): COARSE_BOUNDS for each in Prefix},
        "probe_ttfo_seconds": COARSE_BOUNDS,
        "probe_first_byte_seconds": COARSE_BOUNDS,
        "probe_e2e_seconds": BOUNDS,
        "probe_e2e_censored_seconds": COARSE_BOUNDS,
        "probe_itl_seconds": TOKEN_BOUNDS,
        "probe_tpot_seconds": TOKEN_BOUNDS,
    }
    return {name: Histogram(each, (0.0,) * (len(each) + 1), 0.0) for name, each in bounds.items()}


class Tally(Struct, frozen=True):
    """Cumulative values by series name; a new one for each result, so that another thread may read it.

    Every series is there from the begin: what a series counted before it was first seen would not be taken for growth.
    """

    counters: dict[str, float] = field(default_factory=_no_counts)
    histograms: dict[str, Histogram] = field(default_factory=_no_observations)

    def skipped(self, reason: Skipped) -> Tally:
        """Count a planned request that was not sent."""
        return self._count({series("probe_skipped", reason=reason): 1.0})

    def overrun(self, prefix: Prefix, waited: float) -> Tally:
        """Count one that could not be sent for so long: what it would have taken was at least that."""
        return replace(self.skipped(Skipped.OVERRUN), histograms=self._observing(_censored(prefix, waited, waited)))

    def answered(self, prefix: Prefix, planned: float, reply: Reply, left_out: LeftOut | None) -> Tally:
        """Take in a request that ended, with the moment for which it was planned."""
        counted = {series("probe_requests", outcome=reply.outcome): 1.0}
        if reply.usage is not None:
            counted[series("probe_tokens", kind="prompt")] = float(reply.usage.prompt_tokens or 0)
            counted[series("probe_tokens", kind="output")] = float(reply.usage.output_tokens or 0)
        whole = reply.usage is not None and None not in {reply.usage.prompt_tokens, reply.usage.output_tokens}
        if not whole and reply.outcome is not Outcome.REFUSED:
            counted["probe_uncounted"] = 1.0  # it cost the server tokens, and nobody told how many
        if left_out is not None:
            counted[series("probe_left_out", reason=left_out)] = 1.0
        if left_out in {LeftOut.WARM_UP, LeftOut.TAINTED} or reply.outcome is Outcome.REFUSED:
            return self._count(counted)
        seen = list(_gaps(reply))
        if left_out is None:
            seen += _latencies(prefix, planned, reply)
        return replace(self._count(counted), histograms=self._observing(seen))

    def _count(self, counted: dict[str, float]) -> Tally:
        added = {name: self.counters[name] + value for name, value in counted.items()}
        return replace(self, counters={**self.counters, **added})

    def _observing(self, seen: Iterable[tuple[str, float]]) -> dict[str, Histogram]:
        histograms = dict(self.histograms)
        for name, value in seen:
            histograms[name] = _with(histograms[name], value)
        return histograms


def left_out(reply: Reply, *, warming_up: bool, tainted: bool) -> LeftOut | None:
    """Tell why a reply is left out of the latencies; None where it is not.

    A new connection is no reason where making it took no time worth mentioning: a server too busy to answer a GET
    before the probe, so that the probe needs a new connection, must not have its slowest answers left out.
    """
    if warming_up:
        return LeftOut.WARM_UP
    if reply.outcome is not Outcome.OK:
        return None
    if tainted:
        return LeftOut.TAINTED
    first = reply.first_token
    if not reply.reused and first is not None and reply.connecting > _CONNECTING * (first - reply.sent):
        return LeftOut.NEW_CONNECTION
    return None


def _latencies(prefix: Prefix, planned: float, reply: Reply) -> Iterable[tuple[str, float]]:
    ended = max(0.0, reply.ended - planned)
    if reply.first_byte is not None:
        yield "probe_first_byte_seconds", max(0.0, reply.first_byte - planned)
    if reply.first_token is not None:
        yield series("probe_ttft_seconds", prefix=prefix), max(0.0, reply.first_token - planned)
    if reply.first_answer is not None and reply.first_answer != reply.first_token:
        yield "probe_ttfo_seconds", max(0.0, reply.first_answer - planned)
    if reply.outcome is Outcome.OK and reply.last_token is not None:
        yield "probe_e2e_seconds", max(0.0, reply.last_token - planned)
        return
    yield from _censored(prefix, None if reply.first_token is not None else ended, ended)


def _censored(prefix: Prefix, ttft: float | None, e2e: float) -> Iterable[tuple[str, float]]:
    if ttft is not None:
        yield series("probe_ttft_censored_seconds", prefix=prefix), ttft
    yield "probe_e2e_censored_seconds", e2e


def _gaps(reply: Reply) -> Iterable[tuple[str, float]]:
    """Find the times between tokens: raw gaps are those only where every chunk was one token."""
    if reply.outcome is not Outcome.OK:
        return
    if reply.tpot is not None:
        yield "probe_tpot_seconds", reply.tpot
    if reply.usage is not None and reply.usage.output_tokens == reply.chunks:
        for gap in reply.gaps:
            yield "probe_itl_seconds", gap


def _with(histogram: Histogram, value: float) -> Histogram:
    counts = list(histogram.counts)
    counts[bisect_left(histogram.bounds, value)] += 1.0
    return Histogram(histogram.bounds, tuple(counts), histogram.sum + value)

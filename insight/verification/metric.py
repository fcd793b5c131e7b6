"""What is compared: of every number how it is taken from a spell of time, and which way is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from insight.verification.side import Side
from insight.verification.spells import Spell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metrics.observed import Measure

Pair = tuple[float, float] | None
"""What is added up and what it is divided by."""


class Metric(Struct, frozen=True):
    """How a number is taken, and which way it is better."""

    id: str
    title: str
    unit: str
    better: int
    """1: more is better; -1: less is; 0: neither."""
    pair: Callable[[Spell], Pair]
    """What is added up over spells and divided."""
    told: Callable[[Side], float | None]
    """The number that a Snapshot has."""
    kind: Literal["mean", "rate", "share"] = "mean"
    """A rate or share that is 0 is a number as any other; and shares are compared by their difference."""
    counted: str = ""
    """The histogram or counter whose observations it is of."""
    follows_load: bool = True
    """It changes with what is asked of the server, so that it is only judged where that is the same."""


def _mean(quantity: str, title: str, better: int, unit: str = "s") -> Metric:
    def pair(spell: Spell) -> Pair:
        observed = spell.histograms.get(quantity)
        return None if observed is None else (observed.sum, observed.count)

    return Metric(quantity, title, unit, better, pair, lambda side: _of(side, quantity, "mean"), counted=quantity)


def _rate(quantity: str, title: str, better: int, unit: str) -> Metric:
    def pair(spell: Spell) -> Pair:
        return (spell.counters[quantity], spell.seconds) if quantity in spell.counters else None

    return Metric(quantity, title, unit, better, pair, lambda side: _of(side, quantity, "rate"), "rate", quantity)


def _share(name: str, title: str, better: int, part: str, whole: Sequence[str], *, follows: bool) -> Metric:
    def pair(spell: Spell) -> Pair:
        known = [spell.counters[each] for each in whole if each in spell.counters]
        return (spell.counters[part], sum(known)) if part in spell.counters and known else None

    def told(side: Side) -> float | None:
        grown = [_of(side, each, "increase") for each in (part, *whole)]
        base = sum(each or 0.0 for each in grown[1:])
        return None if grown[0] is None or not base else grown[0] / base

    return Metric(name, title, "ratio", better, pair, told, "share", whole[0], follows)


def _gauge(quantity: str, title: str, unit: str, kind: Literal["rate", "share"] = "rate") -> Metric:
    def pair(spell: Spell) -> Pair:
        return (spell.gauges[quantity] * spell.seconds, spell.seconds) if quantity in spell.gauges else None

    return Metric(quantity, title, unit, 0, pair, lambda side: _of(side, quantity, "mean"), kind)


def _of(side: Side, quantity: str, field: str) -> float | None:
    measure: Measure | None = side.quantities.get(quantity)
    found: float | None = None if measure is None else getattr(measure, field)
    return found


def _time_per_token(spell: Spell) -> Pair:
    """Take the histogram; or of a server without any the seconds in which it generated, and the tokens (llama.cpp)."""
    observed, told = spell.histograms.get("tpot_seconds"), spell.counters
    if observed is not None:
        return observed.sum, observed.count
    if "output_seconds_total" not in told or "output_tokens_total" not in told:
        return None
    return told["output_seconds_total"], told["output_tokens_total"]


def _mix(spell: Spell) -> Pair:
    told = spell.counters
    known = "output_tokens_total" in told and "prompt_tokens_total" in told
    return (told["output_tokens_total"], told["prompt_tokens_total"]) if known else None


def _arrivals(spell: Spell) -> Pair:
    return None if spell.arrived is None else (spell.arrived, spell.seconds)


def _in_server(spell: Spell) -> Pair:
    there = [spell.gauges[each] for each in ("requests_running", "requests_waiting") if each in spell.gauges]
    return (sum(there) * spell.seconds, spell.seconds) if there else None


def _energy(spell: Spell) -> Pair:
    generated = spell.counters.get("output_tokens_total")
    return None if generated is None or not spell.joules else (generated, spell.joules)


HIT_RATE = _share(
    "prefix_hit_rate", "prefix cache hits", 0, "prompt_tokens_cached", ("prompt_tokens_total",), follows=True
)
ARRIVALS = Metric(
    "requests_arrived", "requests", "1/s", 0, _arrivals, lambda side: _of(side, "requests_finished", "rate"), "rate",
    "requests_finished",
)  # fmt: skip
LOAD = (
    ARRIVALS,
    _mean("prompt_tokens", "prompt length", 0, "tokens"),
    _mean("output_tokens", "output length", 0, "tokens"),
    HIT_RATE,
)  # fmt: skip
"""What is asked of the server. The hit rate is part of it as long as nobody changed the cache."""
PROMPTS = _rate("prompt_tokens_total", "prompt tokens", 0, "tokens/s")
IN_SERVER = Metric("requests_in_server", "requests in the server", "1", 0, _in_server, lambda _: None, "rate")
"""How much is asked by so many clients each of which waits for its answer: how often they ask follows the server."""
MIX = Metric("mix", "output tokens a prompt token", "1", 0, _mix, lambda _: None)
LOAD_IN_TOKENS = (PROMPTS, MIX, HIT_RATE)
"""The same of a server that counts no requests (llama.cpp)."""
ITL = _mean("itl_seconds", "ITL", -1)
TPOT = Metric("tpot_seconds", "TPOT", "s", -1, _time_per_token, lambda side: _of(side, "tpot_seconds", "mean"),
              counted="tpot_seconds")  # fmt: skip
TTFT = _mean("ttft_seconds", "TTFT", -1)
WAITING = replace(_gauge("requests_waiting", "requests waiting", "1"), better=-1)
"""Judged where no TTFT is known, of which waiting is a part."""
E2E, QUEUE = _mean("e2e_seconds", "E2E", 0), _mean("queue_seconds", "time in the queue", 0)
"""Neither is judged: E2E follows the luck of how long answers are, and its parts are judged; the queue is part of TTFT,
and from 1 to 2 ms it doubles."""
THROUGHPUT = _rate("output_tokens_total", "output tokens", 1, "tokens/s")
FINISHED = _rate("requests_finished", "requests finished", 1, "1/s")
RESULTS = (
    THROUGHPUT,
    TTFT,
    ITL,
    TPOT,
    E2E,
    QUEUE,
    _gauge("kv_cache_usage", "KV cache in use", "ratio"),
    _gauge("requests_running", "requests running", "1"),
    WAITING,
    _rate("preemptions", "preemptions", -1, "1/s"),
    _share("error_share", "errors", -1, "requests_failed", ("requests_finished", "requests_failed"), follows=False),
    _share("rejected_share", "refused", -1, "requests_rejected", ("requests_finished", "requests_rejected"),
           follows=True),
    Metric("tokens_per_joule", "output tokens a joule", "tokens/J", 1, _energy, lambda _: None, "mean"),
)  # fmt: skip
AROUND = (
    _gauge("cpu_usage", "host CPU in use", "ratio", "share"),
    _gauge("pressure_cpu", "host tasks waiting for a CPU", "ratio", "share"),
    _gauge("sm_clock_hertz", "GPU clock", "Hz"),
)
"""What is not the server and may have made it slower."""
QUANTILES = (("ttft_seconds", "TTFT", 0.95), ("itl_seconds", "ITL", 0.95))

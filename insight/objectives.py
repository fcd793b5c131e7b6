"""Service-level objectives: `ttft_p95=0.8s,itl_p95=50ms` as limits that a latency quantile should keep."""

from __future__ import annotations

import re
from itertools import permutations
from typing import TYPE_CHECKING

from metrics.snapshot import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

QUANTITIES = {
    "ttft": "ttft_seconds",
    "itl": "itl_seconds",
    "tpot": "tpot_seconds",
    "e2e": "e2e_seconds",
    "queue": "queue_seconds",
}
"""What an objective may be about, in the words of the command line."""
DEFAULT_OBJECTIVES = (
    # MLPerf Inference, Server scenario: TTFT 2000 ms for Llama-3.1-8B and Llama-2-70B; time per output token 100 ms for
    # the former. MLPerf holds them at p99; a live window seldom has the 100 requests that p99 takes, so here it is p95.
    Objective("ttft_seconds", 0.95, 2.0, default=True),
    Objective("itl_seconds", 0.95, 0.1, default=True),
)
PRESETS = {
    "llama-3.1-8b": (2.0, 0.1),
    "llama-3.1-8b:interactive": (0.5, 0.03),
    "llama-2-70b": (2.0, 0.2),
    "llama-2-70b:interactive": (0.45, 0.04),
    "mixtral-8x7b": (2.0, 0.2),
    "llama-3.1-405b": (6.0, 0.175),
    "llama-3.1-405b:interactive": (4.5, 0.08),
    "deepseek-r1": (2.0, 0.08),
    "deepseek-r1:interactive": (1.5, 0.015),
    "gpt-oss-120b": (3.0, 0.08),
    "gpt-oss-120b:interactive": (2.0, 0.02),
}
"""MLPerf Inference (inference_policies ac93e89, July 2026), by the class of the model: p99 of TTFT and of TPOT, in
seconds, in the Server and in the Interactive scenario. Written as `mlperf:llama-3.1-8b`."""
_NESTED = ("queue_seconds", "ttft_seconds", "e2e_seconds")
"""Each of a request is a part of the next: it waits, has its first token, has its last."""
LONGEST = 86_400.0
"""Seconds; a limit beyond a day is a slip of the pen."""
_MLPERF = "mlperf:"
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0}
_FORM = re.compile(
    r"(?P<name>[a-z0-9]+)_p(?P<percentile>\d{1,2}(?:\.\d+)?)=(?P<limit>\d+(?:\.\d+)?)(?P<unit>us|ms|s|min|)"
)


class BadObjectiveError(ValueError):
    """An objective that cannot be understood; the message is one line that names it and shows the form."""


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Read objectives that are separated by commas; the defaults stand for each quantity that is not named.

    A limit without a unit is in seconds, as every length of time on the command line.

    Raises BadObjectiveError.
    """
    stated: dict[tuple[str, float], Objective] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        for objective in _preset(part) if part.startswith(_MLPERF) else (_parse(part),):
            key = objective.quantity, objective.q
            if key in stated:
                raise BadObjectiveError(f"objective {part!r}: this quantile was given a limit before; give it once")
            stated[key] = objective
    _check_order(tuple(stated.values()))
    named = {objective.quantity for objective in stated.values()}
    return (*stated.values(), *(each for each in DEFAULT_OBJECTIVES if each.quantity not in named))


def _preset(part: str) -> tuple[Objective, ...]:
    limits = PRESETS.get(part.removeprefix(_MLPERF))
    if limits is None:
        raise BadObjectiveError(f"objective {part!r} is none of MLPerf's: mlperf: and one of {', '.join(PRESETS)}")
    ttft, tpot = limits
    return (Objective("ttft_seconds", 0.99, ttft, default=False), Objective("tpot_seconds", 0.99, tpot, default=False))


def _check_order(stated: Sequence[Objective]) -> None:
    """Raise BadObjectiveError where two contradict: p95 within 1 s asks more than p50 within 2 s.

    So does E2E within 1 s ask more than TTFT within 2 s.
    """
    for one, other in permutations(stated, 2):
        within = one.q <= other.q and _is_part(one.quantity, other.quantity)
        if within and other.limit < one.limit:
            first, second = (f"{name(each)}={each.limit:g}s" for each in (one, other))
            raise BadObjectiveError(f"objectives {first} and {second} contradict: who keeps the second keeps the first")


def _is_part(one: str, other: str) -> bool:
    """Tell whether no request can have more of the one than of the other: it is the same, or a part of it."""
    nested = one in _NESTED and other in _NESTED
    return one == other or (nested and _NESTED.index(one) < _NESTED.index(other))


def name(objective: Objective) -> str:
    """Write what an objective is about as on the command line: `ttft_p95`."""
    return f"{short_name(objective.quantity)}_p{objective.q * 100:g}"


def label(objective: Objective) -> str:
    """Write what an objective is about as a person reads it: `TTFT p95`."""
    return f"{title(objective.quantity)} p{objective.q * 100:g}"


def title(quantity: str) -> str:
    """Write a latency as a person reads it: `TTFT`, `queue time`."""
    return "queue time" if quantity == "queue_seconds" else short_name(quantity).upper()


def short_name(quantity: str) -> str:
    """Write a latency as the command line does: `ttft`."""
    return quantity.removesuffix("_seconds")


def _parse(part: str) -> Objective:
    match = _FORM.fullmatch(part)
    if not match:
        raise BadObjectiveError(
            f"objective {part!r} cannot be understood; write quantity_pN=limit: ttft_p95=0.8s,itl_p95=50ms"
        )
    quantity = QUANTITIES.get(match["name"])
    if quantity is None:
        raise BadObjectiveError(f"objective {part!r}: {match['name']!r} is none of {', '.join(QUANTITIES)}")
    q, limit = float(match["percentile"]) / 100, float(match["limit"]) * _UNITS[match["unit"]]
    if not 0 < q < 1 or not 0 < limit <= LONGEST:
        bounds = f"above 0 and at most {LONGEST:.0f} s"
        raise BadObjectiveError(f"objective {part!r}: the percentile must be above 0, and the limit {bounds}")
    return Objective(quantity, q, limit, default=False)

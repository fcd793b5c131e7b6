"""Service-level objectives: `ttft_p95=0.8s,itl_p95=50ms` as limits that a latency quantile should keep."""

from __future__ import annotations

import re

from metrics.snapshot import Objective

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
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_FORM = re.compile(
    r"(?P<name>[a-z0-9]+)_p(?P<percentile>\d{1,2}(?:\.\d+)?)=(?P<limit>\d+(?:\.\d+)?)(?P<unit>us|ms|s|min)"
)


class BadObjectiveError(ValueError):
    """An objective that cannot be understood; the message is one line that names it and shows the form."""


def parse_objectives(text: str) -> tuple[Objective, ...]:
    """Read objectives that are separated by commas; the defaults stand for each quantity that is not named.

    Raises BadObjectiveError.
    """
    stated: dict[tuple[str, float], Objective] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        objective = _parse(part)
        key = objective.quantity, objective.q
        if key in stated:
            raise BadObjectiveError(f"objective {part!r}: this quantile was given a limit before; give it once")
        stated[key] = objective
    named = {objective.quantity for objective in stated.values()}
    return (*stated.values(), *(each for each in DEFAULT_OBJECTIVES if each.quantity not in named))


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
            f"objective {part!r} cannot be understood; write quantity_pN=limit with a unit: ttft_p95=0.8s,itl_p95=50ms"
        )
    quantity = QUANTITIES.get(match["name"])
    if quantity is None:
        raise BadObjectiveError(f"objective {part!r}: {match['name']!r} is none of {', '.join(QUANTITIES)}")
    q, limit = float(match["percentile"]) / 100, float(match["limit"]) * _UNITS[match["unit"]]
    if not 0 < q < 1 or limit <= 0:
        raise BadObjectiveError(f"objective {part!r}: the percentile must be above 0 and the limit above 0 s")
    return Objective(quantity, q, limit, default=False)

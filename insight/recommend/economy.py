"""What the tokens of a server cost: energy, and money where the price of a GPU is stated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from insight.estimators import energy
from insight.rules.placement import gpus_of, tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.effect import Effect
    from metrics.view import SourceView


def spending(source: SourceView, seconds: float, price_per_hour: float | None) -> Iterator[Effect]:
    """Tell, over so many seconds, the energy of an output token and the price of a million; each where it is known."""
    tokens = source.increase("output_tokens_total", seconds)
    if tokens is None or tokens.value <= 0:
        return
    gpus = gpus_of(source)
    drawn = [gpu.increase("energy_joules", seconds) for gpu in gpus]
    joules = [each.value for each in drawn if each is not None]
    if joules and len(joules) == len(gpus):
        yield energy.per_token(math.fsum(joules), tokens.value, tokens.seconds, shared=any(map(_is_shared, gpus)))
    if price_per_hour is not None:
        yield energy.cost(price_per_hour * max(1, len(gpus)), tokens.value, tokens.seconds)


def _is_shared(gpu: SourceView) -> bool:
    found = tenants(gpu)
    return bool(found.engines or found.others or len(found.servers) > 1)

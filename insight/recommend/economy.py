"""What the tokens of a server cost: energy, and money where the price of a GPU is stated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight.estimators import energy
from insight.rules.cost import paid
from insight.rules.placement import is_shared, used_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.effect import Effect
    from metrics.view import SourceView


def spending(source: SourceView, seconds: float, price_per_hour: float | None) -> Iterator[Effect]:
    """Tell, over so many seconds, the energy of an output token and the price of a million; each where it is known.

    GPUs that it shares, or may share, count in full: energy is then a bound from above, and the price says so.
    """
    tokens = source.increase("output_tokens_total", seconds)
    if tokens is None or tokens.value <= 0:
        return
    gpus = used_by(source)
    drawn = [gpu.increase("energy_joules", seconds) for gpu in gpus]
    joules = [each.value for each in drawn if each is not None]
    if joules and len(joules) == len(gpus):
        shared = any(is_shared(gpu) is not False for gpu in gpus)
        yield energy.per_token(math.fsum(joules), tokens.value, tokens.seconds, shared=shared)
    if price_per_hour is not None:
        count, doubt = paid(source)
        found = energy.cost(price_per_hour * count, tokens.value, tokens.seconds)
        yield replace(found, assumptions=(*found.assumptions, doubt)) if doubt else found

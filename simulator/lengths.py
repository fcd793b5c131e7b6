"""How many tokens prompts and answers have."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from simulator.ranges import Tokens

if TYPE_CHECKING:
    from random import Random


class Lognormal(Struct, frozen=True, forbid_unknown_fields=True, tag="lognormal", tag_field="distribution"):
    """Token counts with a long tail."""

    median: Annotated[float, Meta(gt=0, le=100_000_000)]
    sigma: Annotated[float, Meta(ge=0, le=10)]
    """Standard deviation of the logarithm: 0.5 puts the 95th percentile at 2.3 times the median, 1 at 5.2 times."""
    least: Tokens = 1
    most: Tokens = 1_000_000

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise ValueError(f"least is {self.least}, above most, which is {self.most}")

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return min(self.most, max(self.least, round(self.median * exp(random.gauss(0.0, self.sigma)))))


class Choice(Struct, frozen=True, forbid_unknown_fields=True, tag="choice", tag_field="distribution"):
    """Token counts from a list, each as likely as the others."""

    of: Annotated[tuple[Tokens, ...], Meta(min_length=1)]

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return random.choice(self.of)


Lengths = Lognormal | Choice

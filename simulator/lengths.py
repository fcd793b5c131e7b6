"""How many tokens prompts and answers have."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from random import Random


class Lognormal(Struct, frozen=True, forbid_unknown_fields=True, tag="lognormal", tag_field="distribution"):
    """Token counts with a long tail."""

    median: float
    sigma: float
    """Standard deviation of the logarithm: 0.5 puts the 95th percentile at 2.3 times the median, 1 at 5.2 times."""
    least: int = 1
    most: int = 1_000_000

    def __post_init__(self) -> None:
        if self.median <= 0 or self.sigma < 0 or not 1 <= self.least <= self.most:
            raise ValueError("a lognormal needs median above 0, sigma of at least 0, and 1 <= least <= most")

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return min(self.most, max(self.least, round(self.median * exp(random.gauss(0.0, self.sigma)))))


class Choice(Struct, frozen=True, forbid_unknown_fields=True, tag="choice", tag_field="distribution"):
    """Token counts from a list, each as likely as the others."""

    of: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.of or min(self.of) < 1:
            raise ValueError("a choice needs at least one number of tokens, each 1 or more")

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return random.choice(self.of)


Lengths = Lognormal | Choice

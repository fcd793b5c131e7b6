"""How likely a finding is to come again, in words, with the horizon and the counts that the words rest on."""

from __future__ import annotations

from metrics import units

LONGEST_HORIZON = 86_400.0


def again(episodes: int, observed: float) -> str:
    """Say how likely at least one more episode is within as long as was observed, a day at most.

    For `episodes` >= 1 this is the Jeffreys predictive probability of a Poisson process that showed k episodes in T:
    P(at least one within H) = 1 - (T / (T + H))^(k + 1/2). For none it would be ignorance that looks like a risk (29 %
    for H = T), so then the rule of three bounds the rate instead: at most 3 / T with 95 % confidence.
    """
    if observed <= 0:
        return "not observed"
    if episodes == 0:
        return f"not observed in {units.duration(observed)} (at most 3 in as long)"
    horizon = min(LONGEST_HORIZON, observed)
    chance = 1 - (observed / (observed + horizon)) ** (episodes + 0.5)
    seen = "once" if episodes == 1 else f"{episodes} times"
    return f"{units.digits(chance * 100, 2)} % within {units.duration(horizon)} ({seen} in {units.duration(observed)})"

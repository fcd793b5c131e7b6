"""How much asking may cost: so many tokens in any hour, counted as the server counts them."""

from __future__ import annotations

from collections import deque

TOKENS_PER_HOUR = 60_000.0
"""Some two passes over the program's own items: 0.5 % of an engine that works on 3500 tokens a second."""
_HOUR = 3600.0


class Budget:
    """A sliding hour."""

    def __init__(self, tokens_per_hour: float = TOKENS_PER_HOUR) -> None:
        self.tokens_per_hour = tokens_per_hour
        self._spent: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self.spent = 0.0
        """Tokens that were ever taken."""

    def spend(self, tokens: float, now: float) -> None:
        """Count tokens that were taken."""
        self._forget(now)
        self._spent.append((now, tokens))
        self._sum += tokens
        self.spent += tokens

    def seconds_until(self, tokens: float, now: float) -> float:
        """Tell in how many seconds there is room for so many tokens; 0 for now.

        More than a whole hour's budget fits when nothing was spent for an hour: else it would never be asked.
        """
        self._forget(now)
        left, free_at = self._sum, now
        for moment, spent in self._spent:
            if left + tokens <= self.tokens_per_hour:
                break
            left, free_at = left - spent, moment + _HOUR
        return free_at - now

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - _HOUR:
            self._sum -= self._spent.popleft()[1]

"""What one piece of advice is about, and what an estimate of its effect gives."""

from __future__ import annotations

from msgspec import Struct, field

from insight.recommend.known import Known
from insight.settings import Settings
from metrics.effect import Effect
from metrics.finding import Evidence, Risk
from metrics.observed import Gpu, Target


class Case(Struct, frozen=True, eq=False, kw_only=True):
    """A finding that is under way, and everything that an estimate may rest on."""

    risk: Risk
    target: Target | None
    """The server that it is about; of a finding about a GPU or the host the only one, or the one that runs there."""
    known: Known | None
    """What the windows of that server tell."""
    alike: tuple[Known, ...] = ()
    """The same of every server of its model, its own among them; empty where one of them tells nothing."""
    gpus: tuple[Gpu, ...]
    present: frozenset[str]
    """Ids of the findings under way on the same server."""
    settings: Settings

    @property
    def needs(self) -> tuple[str, ...]:
        """What would have to be measured for step times that speak of the traffic of now; empty where they do."""
        if self.known is None:
            return ("to be measured: what this server counts of its tokens and requests",)
        return (f"to be measured: {self.known.needs}",) if self.known.needs else ()

    def evidence(self, quantity: str) -> Evidence | None:
        """Find the number of the finding that speaks of a quantity."""
        return next((each for each in self.risk.evidence if each.quantity == quantity), None)

    def number(self, quantity: str) -> float | None:
        """Give that number; None where there is none."""
        found = self.evidence(quantity)
        return None if found is None else found.value


class Estimate(Struct, frozen=True, eq=False):
    """What a piece of advice is expected to bring."""

    effect: Effect | None = None
    because: tuple[str, ...] = ()
    """What it rests on, or what would have to be measured."""
    values: dict[str, str] = field(default_factory=dict)
    """What stands for `{name}` in the proposed values of its actions: `{"slots": "256"}`."""
    withheld: str = ""
    """Why it should not be done here, though it usually answers such a finding; then it is no advice."""

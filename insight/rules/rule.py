"""What a rule is: a pure function from what one source shows to a Condition, and the data that gives it a life."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from insight.settings import Settings
from metrics.finding import Evidence, Severity
from metrics.sample import Source
from metrics.view import SourceView

AVAILABILITY = 0.99
"""Share of the requests that should be well where no objective says how many. Our default."""


class Condition(Struct, frozen=True, eq=False):
    """What a rule says of one source at one moment."""

    holds: bool | None
    """None: it cannot be told; `summary` says why."""
    summary: str = ""
    """The shortest sentence that says it: `54 waiting for 41 s`."""
    severity: Severity = Severity.WARNING
    description: str = ""
    evidence: tuple[Evidence, ...] = ()
    since: float | None = None
    """Monotonic time since when the data shows it to hold; None: since now."""
    affected: float | None = None
    """Share of the requests that it hits, where that was measured."""
    objective: float = AVAILABILITY
    """Share of the requests that should be well."""
    impact: str = ""
    """What it costs, as the rule's `impact`, where that was measured in something other than requests."""
    enter: float = 0.0
    """Seconds that it has to hold before it fires, where that was measured; the rule's own `enter` is kept as well."""


class Timing(Struct, frozen=True):
    """How long a condition has to last for something to be made of it, and of its end."""

    enter: float
    """Seconds that the condition has to hold before it fires."""
    keep: float
    """Seconds that it goes on firing after the condition ceased, as `resolving`."""


STICKY = 86_400.0
"""Kept for a day: what broke once is not trusted again because it is quiet now."""


class Rule(Struct, frozen=True, eq=False, kw_only=True):
    """One finding that may be made."""

    id: str
    title: str
    of: Source
    """The kind of source that it is asked about."""
    condition: Callable[[SourceView, Settings, bool], Condition | None]
    """The third argument tells whether it is firing, so that the limit to leave can lie below the limit to enter.
    None: it is not asked about this source at all."""
    live: Timing
    """For somebody who watches: screen, report, check."""
    page: Timing
    """For somebody who is woken up: exporter, alert rules. The catalogue's `for -> keep`."""
    source: str
    """Where the thresholds come from."""
    impact: str
    """`high`, `medium` or `low`, and what is exposed, in words."""
    mitigation: str
    needs_answer: bool = True
    """Nothing can be told while the source does not answer or the engine stands still."""
    event: bool = False
    """Its episodes are counted, as those of an XID or a restart; others are levels, and timed."""
    absent: str = ""
    """Why it cannot be told where there is no such source at all."""
    every: float = 0.0
    """Seconds from one asking to the next: what changes over minutes is not worked out each second."""

    def timing(self, name: str) -> Timing:
        """Tell how long it has to last: `live` or `page`, as the settings say."""
        return self.page if name == "page" else self.live


HOLDS_NOT = Condition(holds=False)
"""What a rule says of a source that is well: one object, so that nothing is made anew on every poll."""


def unknown(why: str) -> Condition:
    """Say that it cannot be told, and why."""
    return Condition(None, why)

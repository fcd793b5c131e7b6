"""The Snapshot: everything that is known and concluded at one moment, and the only thing that any output reads.

The screen, the report, the JSON, the exit code and the exporter cannot disagree, because they have no other source.
`msgspec.json.encode` of a Snapshot is the public JSON contract; its names are fixed, more may be added. None is "not
known" and never 0: where a number is None, `not_visible` or the field's own `why` says why.
"""

from __future__ import annotations

from msgspec import Struct, field

from metrics.effect import Effect
from metrics.finding import LoadLevel, Onset, Recommendation, Risk, Severity, Withheld
from metrics.observed import Driver, Gpu, Host, Measure, Target
from metrics.sample import Event

SCHEMA_VERSION = 1


class NotVisible(Struct, frozen=True, eq=False):
    """Something that could not be seen."""

    what: str
    why: str
    consequence: str
    target: str | None = None


class Score(Struct, frozen=True, eq=False):
    """One dimension of the scorecard."""

    score: float | None
    """0 to 100: the share of the objective that was certainly met; None where it cannot be said."""
    text: str
    """What was met or missed, in one line, or why there is no score."""
    objective: str | None = None
    best: float | None = None
    """0 to 100: the share that may have been met, where the buckets of a histogram leave more than one answer."""


class Scorecard(Struct, frozen=True, eq=False):
    """The four dimensions of a served model."""

    throughput: Score
    ttft: Score
    quality: Score
    efficiency: Score


class Objective(Struct, frozen=True, eq=False):
    """A limit that a latency quantile should keep."""

    quantity: str
    q: float
    limit: float
    default: bool
    """True where nobody stated it and the program's own was taken."""


class Verdict(Struct, frozen=True, eq=False):
    """The one sentence at the top."""

    severity: Severity | None
    """None: nothing fires."""
    text: str
    state: str = "quiet"
    """`firing`, `pending` (something is about to fire), `quiet` (watched, and nothing found), `blind` (nothing can be
    told), `young` (watched for too short a time to say that nothing is found)."""


class SinceMark(Struct, frozen=True, eq=False):
    """One server before the newest mark, and since: what was done at the mark has come to this."""

    mark: str
    """Its text."""
    target: str
    wall: float
    """From when on the time after it counts, in seconds since the epoch: the mark, or a restart that came after it."""
    seconds: float
    """Length of the time since; ..."""
    before_seconds: float
    """... and of the time before, which ends at the mark, or at the restart shortly before that it was set for."""
    before: dict[str, Measure] = field(default_factory=dict)
    """Rates and means are exact, quantiles are bounded by their buckets; `requests_arrived` is what the server was
    asked for."""
    after: dict[str, Measure] = field(default_factory=dict)
    alike: bool | None = None
    """Whether as many requests came in a second as before, to 20 %; None where that is not known."""
    why: str = ""
    """Why it cannot be told yet; empty where it can."""
    foretold: tuple[Effect, ...] = ()
    """What the advice that stood at the mark was expected to bring, of the same quantities."""


class Tool(Struct, frozen=True, eq=False):
    """What made the Snapshot."""

    name: str
    version: str


class Snapshot(Struct, frozen=True, eq=False):
    """One moment."""

    schema_version: int
    generated_at: str
    """RFC 3339, in UTC."""
    window_seconds: float | None
    """Real time that the numbers speak of: from the oldest to the newest poll within the window that was asked for."""
    tool: Tool
    mode: str
    """`live`, `replay`, `demo`, `report`."""
    simulated: bool
    """True when anything in it comes from the simulator."""
    verdict: Verdict
    objectives: tuple[Objective, ...]
    targets: tuple[Target, ...]
    gpus: tuple[Gpu, ...]
    driver: Driver | None
    host: Host | None
    quality: dict[str, Measure] | None
    """What the answers to questions with known answers say together (`insight.quality.summary`); `count` is the answers
    behind a number, `lo` and `hi` its 95 % interval. None where nobody was asked."""
    scorecard: Scorecard
    risks: tuple[Risk, ...]
    """Worst first."""
    recommendations: tuple[Recommendation, ...]
    not_visible: tuple[NotVisible, ...]
    events: tuple[Event, ...]
    """What happened in the window, oldest first: restarts, XID errors, marks."""
    generated_wall: float
    """`generated_at` as seconds since the epoch."""
    asked_window_seconds: float
    """The window that was asked for."""
    withheld: tuple[Withheld, ...] = ()
    onsets: tuple[Onset, ...] = ()
    """What changed first, oldest first; empty where nothing fires."""
    levels: tuple[LoadLevel, ...] = ()
    since_mark: tuple[SinceMark, ...] = ()
    """Of each server, since the newest mark; empty where there is none within the last hour or the window."""
    scorecards: dict[str, Scorecard] = field(default_factory=dict)
    """Of each server by its id, where there are several; `scorecard` is of all of them together."""
    track_record: str = ""
    """How often what was foretold before came, in a sentence; empty where nothing was ever held against what came."""
    monitor: dict[str, float] = field(default_factory=dict)
    """What this program itself missed: `polls_missed`, `polls_overrun`. In a replay also where it is: `replay_position`
    and `replay_seconds` from its first Sample, and `replay_ended`, 1 once there is no more."""

"""From a View to a Snapshot.

`observe` asks the rules alone and is cheap enough for every poll of a long recording; `snapshot` makes everything that
an output reads.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from msgspec.structs import replace

from insight import describe, lifecycle
from insight.causes import MASKS, SLOW_GPU
from insight.levels import levels
from insight.lifecycle import Phase
from insight.onsets import onsets
from insight.quality.score import quality_measures
from insight.recommend.choose import recommendations
from insight.recommend.knowledge import Knowledge
from insight.risks import risks, works_for
from insight.rules import RULES
from insight.rules.progress import STUCK
from insight.rules.rule import unknown
from insight.rules.server import FAILED_POLLS
from insight.scorecard import scorecard, scorecards
from insight.settings import Settings
from insight.since_mark import Marks
from insight.verdict import verdict
from metrics import units
from metrics.measure import measure
from metrics.sample import Source, State
from metrics.snapshot import SCHEMA_VERSION, NotVisible, Snapshot, Tool
from metrics.track import Tracks

if TYPE_CHECKING:
    from insight.lifecycle import Life
    from insight.recommend.known import Known
    from insight.rules.rule import Condition, Rule
    from metrics.finding import LoadLevel, Risk
    from metrics.observed import Gpu, Target
    from metrics.sample import Event
    from metrics.view import SourceView, View

TOOL_NAME = "chimera-top"
_log = logging.getLogger(__name__)
_ESTIMATES = "estimates"
_WATCHING = frozenset(("live", "demo"))
"""Modes in which a Snapshot is made each second."""
_SLOWING = SLOW_GPU | {"host_cpu_starvation"}
_RULES_OF = {kind: tuple(rule for rule in RULES if rule.of is kind) for kind in Source}


class Assessor:
    """Draws the conclusions, and remembers those of before: a finding has to last before it fires.

    Moments have to come in order. `settings` may be replaced between two calls.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._lives: dict[tuple[str, str], Life] = {}
        self._asked: dict[tuple[str, str], float] = {}
        self._failed: set[tuple[str, str]] = set()
        """Rules that failed, and estimators, by their source: each is written to the log once."""
        self._unestimated: dict[str, str] = {}
        """Servers on which the estimators failed when they were last asked about, and why."""
        self._tracks = Tracks()
        self._knowledge = Knowledge()
        self._marks = Marks()
        self._levels: dict[str, tuple[LoadLevel, ...]] = {}
        """Of each server, as they were when it was last asked about."""

    @property
    def unsettled(self) -> bool:
        """Whether something is about to fire, or to be over."""
        return any(life.phase is Phase.PENDING or life.phase is Phase.RESOLVING for life in self._lives.values())

    def observe(self, view: View) -> None:
        """Ask every rule about every source, and let the findings begin, fire and end."""
        for server in view.all(Source.SERVER):
            self._knowledge.observe(server)
        for kind, rules in _RULES_OF.items():
            for source in view.all(kind) if rules else ():
                self._ask(rules, source, view.mono)

    def _ask(self, rules: tuple[Rule, ...], source: SourceView, now: float) -> None:
        """Ask every rule about one source."""
        blind = blindness(source)
        masked: dict[str, str] = {}
        for rule in rules:
            key = rule.id, source.id
            life = self._lives.get(key)
            if rule.every:
                if blind is None and life is not None and now - self._asked.get(key, -math.inf) < rule.every:
                    continue
                self._asked[key] = now
            condition = self._condition(rule, source, firing=life is not None and life.phase is Phase.FIRING)
            if condition is None:
                self._lives.pop(key, None)
                continue
            if blind is not None and rule.needs_answer:
                condition = blind
            elif rule.id in masked:
                condition = unknown(f"not judged while this lasts: {masked[rule.id]}")
            timing = rule.timing(self.settings.timing)
            self._lives[key] = life = lifecycle.step(life, timing, condition, now)
            if rule is STUCK and condition.holds and life.phase is Phase.FIRING:
                blind = unknown("the engine makes no progress, so its numbers stand still")
            if life.phase is Phase.FIRING and rule.id in MASKS:
                masked |= dict.fromkeys(MASKS[rule.id], rule.title.lower())

    def _condition(self, rule: Rule, source: SourceView, *, firing: bool) -> Condition | None:
        """Ask one rule. One that fails must not take the other forty with it, nor the screen: it says so in its row."""
        try:
            return rule.condition(source, self.settings, firing)
        except Exception as error:  # noqa: BLE001 - whatever a rule runs into
            if (rule.id, source.id) not in self._failed:
                self._failed.add((rule.id, source.id))
                _log.exception("the rule %s failed on %s", rule.id, source.id)
            return unknown(f"an error within chimera-top: {type(error).__name__}; please report it")

    def snapshot(self, view: View) -> Snapshot:
        """Make a Snapshot of this moment; the rules are asked first."""
        self.observe(view)
        settings = self.settings
        found = risks(self._lives, view, settings.timing)
        knowns = self._knowns(found, view)
        targets = self._targets(view, knowns)
        gpus = self._gpus(view)
        advised, withheld = recommendations(found, targets, knowns, gpus, settings)
        seconds = max((each.window_seconds for each in targets if each.window_seconds is not None), default=None)
        if seconds is None:
            spans = [source.seconds(settings.window) for source in view.all(Source.GPU)]
            seconds = max((each for each in spans if each is not None), default=None)
        quality = quality_measures(view, settings.imported_quality)
        driver = next(view.all(Source.DRIVER), None)
        host = next(view.all(Source.HOST), None)
        return Snapshot(
            schema_version=SCHEMA_VERSION,
            generated_at=units.rfc3339(view.wall),
            window_seconds=seconds,
            tool=Tool(TOOL_NAME, settings.tool_version),
            mode=settings.mode,
            simulated=any(describe.simulated(source) for kind in Source for source in view.all(kind)),
            verdict=verdict(found, view, settings, seconds),
            objectives=settings.objectives,
            targets=targets,
            gpus=gpus,
            driver=describe.driver(driver) if driver else None,
            host=describe.host(host, settings.window) if host else None,
            quality=quality,
            scorecard=scorecard(view, targets, gpus, found, settings, quality),
            scorecards=scorecards(view, targets, gpus, found, settings, quality),
            risks=found,
            recommendations=advised,
            withheld=withheld,
            not_visible=describe.not_visible(view) + self._not_estimated(view),
            events=_events(view, settings.window),
            since_mark=self._marks.since(view, settings.window, advised),
            track_record=settings.track_record,
            onsets=onsets(targets, gpus, found),
            levels=tuple(level for each in view.ids(Source.SERVER) for level in self._levels.get(each, ())),
            generated_wall=view.wall,
            asked_window_seconds=settings.window,
            monitor=_monitor(view, settings.window),
        )

    def _knowns(self, found: tuple[Risk, ...], view: View) -> dict[str, Known]:
        """Tell what is known of each server, apart from the time since which something slows it.

        While somebody watches, one server at a time is asked about anew: a second with the fits of a hundred in it
        would miss polls. A report asks about all.
        """
        slowed = self._slowed_since(found, view)
        servers = list(view.all(Source.SERVER))
        one = self._knowledge.stalest(servers, slowed) if self.settings.mode in _WATCHING else None
        known: dict[str, Known] = {}
        for each in servers:
            if self.settings.mode not in _WATCHING or (one is not None and each.id == one.id):
                answer = self._known(each, slowed.get(each.id))
            else:
                answer = self._knowledge.kept(each)
            if answer is not None:
                known[each.id] = answer
        return known

    def _known(self, source: SourceView, slow_since: float | None) -> Known | None:
        """Ask about one server. One that fails must not take the others with it: it is told as not visible."""
        try:
            known = self._knowledge.of(source, self.settings, slow_since)
            self._levels[source.id] = levels(source, self.settings.window)
        except Exception as error:  # noqa: BLE001 - whatever an estimator runs into
            if (_ESTIMATES, source.id) not in self._failed:
                self._failed.add((_ESTIMATES, source.id))
                _log.exception("the estimators failed on %s", source.id)
            self._unestimated[source.id] = f"an error within chimera-top: {type(error).__name__}; please report it"
            self._knowledge.give_up(source, slow_since)
            self._levels.pop(source.id, None)
            return None
        self._unestimated.pop(source.id, None)
        return known

    def _not_estimated(self, view: View) -> tuple[NotVisible, ...]:
        """List the servers that the estimators failed on."""
        return tuple(
            NotVisible(_ESTIMATES, self._unestimated[each], "its load, capacity and cost are not told", each)
            for each in view.ids(Source.SERVER)
            if each in self._unestimated
        )

    def _slowed_since(self, found: tuple[Risk, ...], view: View) -> dict[str, float]:
        """Tell since when, by the monotonic clock, something slows each server that a finding says is slowed."""
        servers = works_for(found, view)
        since: dict[str, float] = {}
        for risk in found:
            life = self._lives.get((risk.id, risk.target or ""))
            if risk.id not in _SLOWING or life is None or life.since is None:
                continue
            moment = life.episodes[-1].begin if life.active else life.since
            server = servers.get(risk.target or "", risk.target or "")
            since[server] = min(moment, since.get(server, moment))
        return since

    def _targets(self, view: View, knowns: dict[str, Known]) -> tuple[Target, ...]:
        order = {name: index for index, name in enumerate(self.settings.targets)}
        ids = sorted(view.ids(Source.SERVER), key=lambda each: order.get(each, len(order)))
        described = (describe.target(view.of(each), self._tracks, self.settings.window) for each in ids)
        heard = tuple(
            replace(each, estimates=knowns[each.id].estimates) if each.id in knowns else each for each in described
        )
        return heard + tuple(describe.silent(each) for each in self.settings.targets if each not in ids)

    def _gpus(self, view: View) -> tuple[Gpu, ...]:
        found = [describe.gpu(source, self._tracks, self.settings.window) for source in view.all(Source.GPU)]
        return tuple(sorted(found, key=lambda each: (each.index is None, each.index, each.uuid)))


def blindness(source: SourceView) -> Condition | None:
    """Say why nothing can be told of a source now; None where its last answer is still fresh.

    A single poll that fails blinds nobody: under load polls are slow just when it matters.
    """
    if source.newest_ok is None:
        return unknown("it has not answered yet")
    age = source.age or 0.0
    if source.history.failed_polls >= FAILED_POLLS or age > source.view.patience:
        return unknown(f"no metrics for {units.duration(age)}")
    if source.state in {State.UNAUTHORISED, State.STARTING}:
        return unknown(source.newest.reason or f"it is {source.state.value}")
    return None


def _events(view: View, window: float) -> tuple[Event, ...]:
    """List what happened in the window, oldest first."""
    begin = view.wall - window
    found = [
        replace(each, target=source.id)
        for kind in Source
        for source in view.all(kind)
        for each in source.history.events
        if each.wall >= begin
    ]
    return tuple(sorted(found, key=lambda each: each.wall))


def _monitor(view: View, window: float) -> dict[str, float]:
    """Tell what this program itself missed in the window."""
    missed: dict[str, float] = {}
    for source in view.all(Source.MONITOR):
        for quantity in ("polls_missed", "polls_overrun"):
            counted = measure(source, quantity, window)
            if counted is not None and counted.increase is not None:
                missed[quantity] = missed.get(quantity, 0.0) + counted.increase
    return missed

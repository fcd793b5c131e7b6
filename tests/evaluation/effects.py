"""What a recommendation is expected to bring, against what it brought when it was really followed, in the simulator.

A scenario is watched to its end; each recommendation that stands there with an interval is followed: its changes are
made to the scenario, which is watched anew with another seed, and the same quantity is measured over the same time.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.rules.outcomes import labelled
from metrics.effect import Grade
from metrics.measure import measure
from metrics.sample import Source
from simulator.faults import (
    BadRequests,
    Clock,
    CoolingLoss,
    Errors,
    HostPressure,
    Ingress,
    Neighbour,
    PowerCap,
    Shift,
    Slow,
)
from simulator.scenario import EngineConfig, Scenario, load
from tests.evaluation.live import URL, Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import ProcessPoolExecutor

    from metrics.effect import Effect
    from metrics.finding import Change, Recommendation
    from metrics.view import SourceView, View

COVERED, HALF_WIDTH = 0.90, 0.15
ANOTHER_SEED = 10_000
MEASURED_SECONDS = 60.0
"""The end of the watch, over which a quantity is measured before and after."""
LONGER = 60.0
"""A scenario is watched for so much longer than its truth says, so that what was found has settled."""
TRIED = (
    "errors",
    "bad_requests",
    "slow_host",
    "slow_ingress",
    "power_brake",
    "overload",
    "cache_pressure",
    "slot_cap",
    "slow_prefill",
    "long_steps",
    "prefix_collapse",
    "uneven_replicas",
    "bad_drafts",
    "thermal_throttle",
    "power_cap",
    "straggler",
    "neighbour",
    "refusals",
)


class CannotBeFollowedError(Exception):
    """A change that the simulator has nothing for; the message names it."""


class Trial(Struct, frozen=True):
    """One recommendation that was followed."""

    scenario: str
    seed: int
    recommendation: str
    quantity: str
    unit: str
    grade: Grade
    now: float | None
    lo: float
    mid: float | None
    hi: float
    measured: float | None
    """What it came to; None where it could not be followed or measured, and `why` says so."""
    why: str = ""

    @property
    def covered(self) -> bool:
        """What was measured lies in the interval."""
        return self.measured is not None and self.lo <= self.measured <= self.hi

    @property
    def half_width(self) -> float | None:
        """Half of the interval, as a share of its middle."""
        middle = (self.lo + self.hi) / 2 if self.mid is None else self.mid
        return (self.hi - self.lo) / 2 / middle if middle else None


def follow(scenario: Scenario, recommendation: Recommendation) -> Scenario:
    """Make the change of a recommendation to a scenario: of several, which are ways to one end, the first that can be.

    Raises CannotBeFollowedError where none can.
    """
    mend = _MENDED.get(recommendation.id)
    if mend is not None:
        return mend(scenario)
    why = []
    for change in recommendation.changes:
        try:
            return _changed(scenario, change)
        except CannotBeFollowedError as error:
            why.append(str(error))
    raise CannotBeFollowedError("; ".join(why) or "it names no change")


def _changed(scenario: Scenario, change: Change) -> Scenario:
    flag = change.flag.split("=")[0].split()[0]
    setting = _FLAGS.get(flag)
    if setting is None:
        raise CannotBeFollowedError(f"the simulator has no {flag}")
    try:
        return setting(scenario, change.proposed)
    except ValueError as error:
        raise CannotBeFollowedError(f"{flag} {change.proposed}: {error}") from None


def _number(name: str) -> Callable[[Scenario, str], Scenario]:
    """Set a number of the engine."""
    return lambda scenario, value: _engine(scenario, **{name: int(value)})


def _engine(scenario: Scenario, **values: object) -> Scenario:
    engine = replace(scenario.engine, **values)
    if engine.max_num_batched_tokens < engine.max_num_seqs:
        engine = replace(engine, max_num_batched_tokens=engine.max_num_seqs)  # vLLM asks for that as well
    _check(engine)
    return replace(scenario, engine=engine)


def _check(engine: EngineConfig) -> None:
    engine.__post_init__()


def _caching(scenario: Scenario, value: str) -> Scenario:
    return _engine(scenario, enable_prefix_caching=value.lower() not in {"false", "off"})


def _cache_dtype(scenario: Scenario, value: str) -> Scenario:
    """Keep the KV cache in one byte instead of two: twice as many blocks in the same memory."""
    if not value.startswith("fp8"):
        raise ValueError("only fp8 is known")
    return _engine(scenario, num_gpu_blocks=2 * scenario.engine.num_gpu_blocks)


def _replicas(scenario: Scenario, value: str) -> Scenario:
    """Let so many engines share the load evenly, on GPUs that are added where there are too few."""
    count = int(value)
    gpus = replace(scenario.gpus, count=max(scenario.gpus.count, count * scenario.gpus.tensor_parallel))
    return _engine(replace(scenario, gpus=gpus), replica_shares=(1 / count,) * count)


def _speculation(scenario: Scenario, value: str) -> Scenario:
    """Switch it off, or draft so many tokens."""
    now = scenario.engine.speculation
    if value == "removed":
        return _engine(scenario, speculation=None)
    if now is None:
        raise ValueError("it does not speculate")
    return _engine(scenario, speculation=replace(now, tokens=int(value)))


def _power(scenario: Scenario, value: str) -> Scenario:
    """Limit every GPU to so many watts, instead of what limited it before."""
    watts = float(value.removesuffix("W"))
    rest = tuple(each for each in scenario.faults if not isinstance(each, PowerCap))
    return replace(scenario, faults=(*rest, PowerCap(at=0.0, watts=watts)))


def _without(*kinds: type) -> Callable[[Scenario], Scenario]:
    """Mend what is broken."""
    return lambda scenario: replace(
        scenario, faults=tuple(each for each in scenario.faults if not isinstance(each, kinds))
    )


def _evenly(scenario: Scenario) -> Scenario:
    count = len(scenario.engine.replica_shares)
    return _engine(scenario, replica_shares=(1 / count,) * count)


_FLAGS: dict[str, Callable[[Scenario, str], Scenario]] = {
    "--max-num-seqs": _number("max_num_seqs"),
    "--max-num-batched-tokens": _number("max_num_batched_tokens"),
    "--max-num-queued-reqs": _number("max_num_queued_reqs"),
    "--num-gpu-blocks-override": _number("num_gpu_blocks"),
    "--enable-prefix-caching": _caching,
    "--no-enable-prefix-caching": lambda scenario, _: _caching(scenario, "false"),
    "--kv-cache-dtype": _cache_dtype,
    "--data-parallel-size": _replicas,
    "replicas": _replicas,
    "--speculative-config": _speculation,
    "--speculative-config.num_speculative_tokens": _speculation,
    "nvidia-smi": _power,
}
"""What the flags of vLLM are in a scenario."""
_MENDED: dict[str, Callable[[Scenario], Scenario]] = {
    "balance_load": _evenly,
    "cool_gpu": _without(CoolingLoss),
    "error_causes": _without(Errors),
    "exclusive_gpu": _without(Neighbour),
    "hardware_check": _without(Clock),
    "power_supply": _without(Clock),
    "host_cpu": _without(Slow, HostPressure),
    "ingress": _without(Ingress),
    "isolate_straggler": _without(Clock),
    "power_limit": _without(PowerCap),
    "restore_prefix_cache": _without(Shift),
    "validate_requests": _without(BadRequests),
}
"""Recommendations that mend something, and are no setting of the server."""
_SAME = {"expected_wait_seconds": "queue_seconds"}
"""Quantities of an effect that are measured under another name."""


def measured(view: View, target: str, effect: Effect, seconds: float = MEASURED_SECONDS) -> float | None:
    """Give one number for what an effect speaks of: a share, a counter's rate, a histogram's mean, a gauge's mean.

    What is advised of a GPU is felt by its server, and some of it by a client alone.
    """
    known = [*view.ids(Source.GPU), *view.ids(Source.SERVER), *view.ids(Source.PROBE)]
    places = [each for each in (target, URL, f"probe:{URL}") if each in known]
    found = (_number_of(view.of(place), effect, seconds) for place in places)
    return next((each for each in found if each is not None), None)


def _number_of(source: SourceView, effect: Effect, seconds: float) -> float | None:
    name = _SAME.get(effect.quantity, effect.quantity)
    if name in _BAD and effect.unit == "ratio":
        bad, whole = _BAD[name](source)
        some, every = source.increase_of(bad, seconds), source.increase_of(whole, seconds)
        if every is None or not every.value:
            return None
        return some.value / every.value if some is not None else 0.0  # no such answer was ever given
    found = measure(source, name, seconds)
    if found is None:
        return None
    if name in _MEDIANS:
        return found.p50.estimate if found.p50 is not None else None
    return next((each for each in (found.rate, found.mean, found.value) if each is not None), None)


_BAD: dict[str, Callable[[SourceView], tuple[list[str], list[str]]]] = {
    "http_requests": lambda source: (labelled(source, "http_requests", "status", "4"), source.parts("http_requests")),
    "requests_failed": lambda source: (source.parts("requests_failed"), source.parts("requests_finished")),
}
"""Shares of requests: the series of those that went wrong, and of all."""
_MEDIANS = ("probe_ttft_seconds",)
"""Told as a median, because the gap is one between medians."""


def lived(scenario: Scenario, seed: int, *, asked: bool = False) -> Live:
    """Watch a scenario for a while longer than its truth says."""
    live = Live(scenario, seed, asked=asked, at_home=True)
    for _ in live.watch(scenario.truth.watch_seconds + LONGER):
        pass
    return live


def tried(recommendation: Recommendation, scenario: Scenario, seed: int) -> Trial | None:
    """Follow one recommendation, with another seed than it was made with; None where it promises no interval."""
    effect = recommendation.effect
    if effect is None or effect.lo is None or effect.hi is None:
        return None
    trial = Trial(
        scenario.name,
        seed,
        recommendation.id,
        effect.quantity,
        effect.unit,
        effect.grade,
        effect.now,
        effect.lo,
        effect.mid,
        effect.hi,
        None,
    )
    try:
        changed = follow(scenario, recommendation)
    except CannotBeFollowedError as error:
        return replace(trial, why=str(error))
    probed = any(isinstance(each, Ingress) for each in scenario.faults)  # as before, though the reason is gone
    after = lived(changed, seed + ANOTHER_SEED, asked=probed)
    found = measured(after.view, recommendation.target or "", effect)
    return replace(trial, measured=found, why="" if found is not None else f"{effect.quantity} is not measured")


def try_all(name: str, seed: int) -> list[Trial]:
    """Watch a scenario, and follow each recommendation that stands at its end, one at a time.

    What is advised of each of eight GPUs counts once.
    """
    scenario = load(name)
    live = lived(scenario, seed)
    given = {each.id: each for each in reversed(live.assessor.snapshot(live.view).recommendations)}
    found = (tried(each, scenario, seed) for each in reversed(given.values()))
    return [each for each in found if each is not None]


def tried_in_the_simulator(pool: ProcessPoolExecutor, seeds: Iterable[int]) -> list[Trial]:
    """Do so in every scenario that has something to change."""
    waits = [pool.submit(try_all, name, seed) for name in TRIED for seed in seeds]
    return [trial for each in waits for trial in each.result()]


def effects_table(trials: Sequence[Trial]) -> tuple[list[str], bool]:
    """One row for each recommendation, quantity and grade; whether what is to be reached was."""
    lines = [
        "| recommendation | scenario | quantity | grade | tried | inside | half-width |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    kinds = dict.fromkeys((t.recommendation, t.scenario, t.quantity, t.grade) for t in trials)
    for kind in kinds:
        mine = [t for t in trials if (t.recommendation, t.scenario, t.quantity, t.grade) == kind]
        lines.append(_row(mine))
    known = [each for each in trials if each.measured is not None]
    inside = sum(each.covered for each in known) / len(known) if known else None
    widths = [each.half_width for each in known if each.grade is Grade.B and each.half_width is not None]
    width = median(widths) if widths else None
    lines += [
        "",
        (
            f"Inside the interval: {_share(inside)} of {len(known)} (to reach {_share(COVERED)}); median half-width of "
            f"grade B: {_share(width)} of {len(widths)} (at most {_share(HALF_WIDTH)})."
        ),
        "",
        *dict.fromkeys(f"- {t.recommendation} in {t.scenario} was not tried: {t.why}" for t in trials if t.why),
        *(_outside(each) for each in known if not each.covered),
    ]
    return lines, inside is not None and inside >= COVERED and (width is None or width <= HALF_WIDTH)


def _row(trials: Sequence[Trial]) -> str:
    first = trials[0]
    known = [each for each in trials if each.measured is not None]
    widths = [each.half_width for each in known if each.half_width is not None]
    cells = (
        first.recommendation,
        first.scenario,
        first.quantity,
        first.grade.value,
        f"{len(known)} of {len(trials)}",
        str(sum(each.covered for each in known)) if known else "",
        _share(median(widths) if widths else None),
    )
    return f"| {' | '.join(cells)} |"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{100 * value:.0f} %"


def _outside(trial: Trial) -> str:
    return (
        f"- {trial.scenario}, seed {trial.seed}: {trial.recommendation} promised {trial.quantity} "
        f"{trial.lo:.4g} to {trial.hi:.4g} {trial.unit}, it came to {trial.measured:.4g}"
    )

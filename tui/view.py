"""What the user looks at: which page, which server, which risk. Everything a frame depends on besides the Snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from metrics.finding import RiskState, Severity
from metrics.sample import State
from tui.rows import Charset

if TYPE_CHECKING:
    from metrics.finding import Recommendation, Risk, Withheld
    from metrics.observed import Gpu, Target
    from metrics.snapshot import Snapshot
    from tui.palette import StyleName

Page = Literal["overview", "why", "watched", "gpu", "numbers", "help"]
Focus = Literal["risks", "gpus", "numbers"]
FOCI: tuple[Focus, ...] = ("risks", "gpus", "numbers")
WINDOWS = (60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
"""Windows that `+` and `-` step through, seconds."""


QUIET = ("", None)
"""Chosen in place of a risk: the line of those that do not hold."""


class View(Struct, frozen=True):
    """What is on the screen; changed by keys alone."""

    page: Page = "overview"
    focus: Focus = "risks"
    target: str | None = None
    """Id of the chosen server; None: the one in the most trouble."""
    risk: tuple[str, str | None] | None = None
    """Id and target of the chosen risk, so that the choice stays on it when the order changes; None: the first."""
    opened: tuple[str, str | None] | None = None
    """Id and target of the risk whose page is open: the page keeps its subject, whatever becomes worse meanwhile."""
    gpu: str | None = None
    """UUID of the chosen GPU; None: the first."""
    scroll: int = 0
    paused_seconds: float | None = None
    silent_seconds: float | None = None
    """How long no snapshot has come, once that is longer than it should be."""
    message: str = ""
    """One line in place of the keys: where an export went."""
    charset: Charset = "braille"


_STATES = (RiskState.FIRING, RiskState.PENDING, RiskState.RESOLVING)


def open_risks(snapshot: Snapshot) -> tuple[Risk, ...]:
    """List the risks that have something to say, in the order of the snapshot: worst first."""
    return tuple(risk for risk in snapshot.risks if risk.state in _STATES)


def folded(snapshot: Snapshot) -> tuple[tuple[Risk, ...], ...]:
    """Group the open risks into what has a row each: the same finding about several GPUs is one."""
    rows: dict[tuple[object, ...], list[Risk]] = {}
    for risk in open_risks(snapshot):
        about = "gpu" if (risk.target or "").startswith("gpu:") else risk.target
        rows.setdefault((risk.id, risk.state, risk.severity, about), []).append(risk)
    return tuple(map(tuple, rows.values()))


def alike(snapshot: Snapshot, risk: Risk) -> tuple[Risk, ...]:
    """List the findings that share a row with this one, itself among them."""
    return next((row for row in folded(snapshot) if risk in row), (risk,))


def chosen_risk(snapshot: Snapshot, view: View) -> Risk | None:
    """Find the first risk of the chosen row; the worst where none is chosen or the chosen one has gone."""
    rows = folded(snapshot)
    chosen = next((row for row in rows if any((risk.id, risk.target) == view.risk for risk in row)), None)
    return chosen[0] if chosen else rows[0][0] if rows else None


def on_quiet(snapshot: Snapshot, view: View) -> bool:
    """Tell whether the line of the risks that do not hold is chosen, as it is where none does and there are such."""
    return len(open_risks(snapshot)) < len(snapshot.risks) and (view.risk == QUIET or not open_risks(snapshot))


def opened_risk(snapshot: Snapshot, view: View) -> Risk | None:
    """Find the risk whose page is open, in whatever state it is now; None where it is not spoken of any more."""
    if view.opened is None:
        return chosen_risk(snapshot, view)
    name, about = view.opened
    same = [risk for risk in snapshot.risks if risk.id == name]
    found = next((risk for risk in same if risk.target == about), None)
    # what has ended on one of several GPUs or servers has no row of its own, but shares that of its rule
    return found or next((risk for risk in same if risk.target is None and risk.state not in _STATES), None)


def chosen_target(snapshot: Snapshot, view: View) -> Target | None:
    """Find the chosen server; where none is chosen, the one that the worst risk is about."""
    targets = {target.id: target for target in snapshot.targets}
    if view.target in targets:
        return targets[view.target]
    worst = next((risk.target for risk in open_risks(snapshot) if risk.target in targets), None)
    return targets[worst] if worst else next(iter(snapshot.targets), None)


def ordered_gpus(snapshot: Snapshot) -> list[Gpu]:
    """List the GPUs, that of the worst finding first, those in no trouble last, otherwise in their own order."""
    found = open_risks(snapshot)
    worst = {risk.target: rank for rank, risk in reversed(list(enumerate(found)))}

    def rank(gpu: Gpu) -> int:
        fine = gpu.state is State.OK and gpu.throttled_seconds is None
        return worst.get(f"gpu:{gpu.uuid}", len(found) + fine)

    return sorted(snapshot.gpus, key=rank)


def chosen_gpu(snapshot: Snapshot, view: View) -> Gpu | None:
    """Find the chosen GPU; the first in trouble where none is chosen."""
    gpus = ordered_gpus(snapshot)
    return next((gpu for gpu in gpus if gpu.uuid == view.gpu), gpus[0] if gpus else None)


def advice_for(snapshot: Snapshot, risk: Risk | None) -> tuple[Recommendation, ...]:
    """List what answers this risk; what answers others where nothing does."""
    if risk is None:
        return snapshot.recommendations
    return tuple(
        each
        for each in snapshot.recommendations
        if risk.id in each.risks and (each.target is None or risk.target is None or each.target == risk.target)
    )


def withheld_for(snapshot: Snapshot, risk: Risk) -> tuple[Withheld, ...]:
    """List what is not advised where this risk is; it is not told against which risk it would have been."""
    return tuple(each for each in snapshot.withheld if each.target is None or each.target == risk.target)


def lost(state: State) -> bool:
    """Tell whether a source is known not to answer: of such a one no number is shown as that of now."""
    return state not in {State.OK, State.STALE}


def serving(snapshot: Snapshot, target: Target | None) -> bool:
    """Tell whether a server answers and makes progress: if not, what its latencies were says nothing about now."""
    return target is not None and target.state is State.OK and _stuck(snapshot, target) is None


def without_page(snapshot: Snapshot, target: Target) -> bool:
    """Tell whether a server is up and has no metrics page where it was looked for: nothing can be said of it then."""
    named = (risk for risk in snapshot.risks if risk.id == "no_metrics_page" and risk.target == target.id)
    return target.state is State.DOWN and any(risk.state in _STATES for risk in named)


def _stuck(snapshot: Snapshot, target: Target) -> Risk | None:
    named = (risk for risk in snapshot.risks if risk.id == "stuck_server" and risk.target == target.id)
    return next((risk for risk in named if risk.state is RiskState.FIRING), None)


def idle_seconds(snapshot: Snapshot, target: Target | None) -> float | None:
    """Tell how old the latencies of a server are that answers no more, or stands still; None where it serves."""
    if target is None or serving(snapshot, target):
        return None
    stuck = _stuck(snapshot, target)
    if stuck is not None and stuck.since is not None:
        return max(0.0, snapshot.generated_wall - datetime.fromisoformat(stuck.since).timestamp())
    return target.age_seconds


def severity_style(severity: Severity) -> StyleName:
    """Name the style of a severity."""
    styles: dict[Severity, StyleName] = {Severity.CRITICAL: "critical", Severity.WARNING: "warning"}
    return styles.get(severity, "plain")


def alarms(snapshot: Snapshot, about: str) -> dict[str, StyleName]:
    """Say on which quantities of a target (its id, `gpu:<uuid>`) a firing risk rests, each with its style."""
    found: dict[str, StyleName] = {}
    for risk in reversed(snapshot.risks):  # the worst comes last and wins
        if risk.state is RiskState.FIRING and risk.target == about:
            for evidence in risk.evidence:
                found[evidence.quantity] = severity_style(risk.severity)
    return found

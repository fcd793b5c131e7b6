"""What keys do to what the user looks at: pure functions from a View to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from tui.view import FOCI, QUIET, WINDOWS, chosen_gpu, chosen_risk, chosen_target, folded, on_quiet, ordered_gpus

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot
    from tui.view import Focus, Page, View

_OPENS: dict[Focus, Page] = {"risks": "why", "gpus": "gpu", "numbers": "numbers"}


def helped(view: View) -> View:
    """Open the help, or close it."""
    return replace(view, page="overview" if view.page == "help" else "help", scroll=0)


def next_pane(view: View, step: int) -> View:
    """Choose the next pane."""
    at = FOCI.index(view.focus)
    return replace(view, focus=FOCI[(at + step) % len(FOCI)])


def next_window(seconds: float, step: int) -> float:
    """Choose the next longer or shorter window; the same where there is none."""
    if step > 0:
        return next((each for each in WINDOWS if each > seconds), seconds)
    return next((each for each in reversed(WINDOWS) if each < seconds), seconds)


def next_target(snapshot: Snapshot, view: View, step: int) -> View:
    """Choose the next server."""
    ids = [target.id for target in snapshot.targets]
    current = chosen_target(snapshot, view)
    if current is None:
        return view
    return replace(view, target=ids[(ids.index(current.id) + step) % len(ids)])


def numbered(snapshot: Snapshot | None, view: View, number: int) -> View:
    """Choose a server by its number where there are several, else a pane."""
    targets = snapshot.targets if snapshot is not None else ()
    if len(targets) > 1:
        return replace(view, target=targets[number - 1].id) if number <= len(targets) else view
    return replace(view, focus=FOCI[number - 1]) if number <= len(FOCI) else view


def moved(snapshot: Snapshot | None, view: View, step: int) -> View:
    """Choose the next risk or GPU; scroll on a page."""
    if view.page != "overview":
        return replace(view, scroll=max(0, view.scroll + step))
    if snapshot is None:
        return view
    if view.focus == "gpus" and snapshot.gpus:
        return _next_gpu(snapshot, view, step)
    return _next_risk(snapshot, view, step) if view.focus == "risks" else view


def _next_gpu(snapshot: Snapshot, view: View, step: int) -> View:
    gpus = ordered_gpus(snapshot)
    at = gpus.index(chosen_gpu(snapshot, view) or gpus[0])
    return replace(view, gpu=gpus[max(0, min(len(gpus) - 1, at + step))].uuid)


def _next_risk(snapshot: Snapshot, view: View, step: int) -> View:
    """Choose the next risk; below the last of them is the line of those that do not hold."""
    risks = [row[0] for row in folded(snapshot)]
    if not risks:
        return view
    current = chosen_risk(snapshot, view) or risks[0]
    at = len(risks) if view.risk == QUIET else risks.index(current)
    at = max(0, min(len(risks), at + step))
    return replace(view, risk=(risks[at].id, risks[at].target) if at < len(risks) else QUIET)


def deeper(snapshot: Snapshot | None, view: View) -> View:
    """Open what is chosen: why this risk, this GPU, every number."""
    if snapshot is None or view.page != "overview":
        return view
    risk = chosen_risk(snapshot, view)
    page: Page = "watched" if view.focus == "risks" and on_quiet(snapshot, view) else _OPENS[view.focus]
    return replace(view, page=page, opened=(risk.id, risk.target) if risk is not None else None, scroll=0)


def back(view: View) -> View:
    """Come back to the overview."""
    return replace(view, page="overview", opened=None, scroll=0)

"""The load of a day, for replaying how many replicas it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.estimators.scaling import DAY

if TYPE_CHECKING:
    from metrics.view import SourceView

STEP = 600.0
"""Seconds. A replica takes minutes to start: what rises and falls within less is not followed."""


def day_of(source: SourceView) -> tuple[float, ...]:
    """List the requests that ended, per second, of each step of the last day, oldest first; () before a day is known.

    A step without polls counts as one without requests.
    """
    now = source.view.mono
    if now - source.history.first_mono < DAY:
        return ()
    steps = [source.increase("requests_finished", STEP, now - k * STEP) for k in range(round(DAY / STEP))]
    return tuple(0.0 if each is None else each.rate or 0.0 for each in reversed(steps))

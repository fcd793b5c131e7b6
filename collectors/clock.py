"""The one place where the clock is read; everything else is told the time."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct


class Clock(Struct, frozen=True):
    """Two clocks: one to show and to join by, one to subtract."""

    wall: Callable[[], float] = time.time
    """Seconds since the epoch. It may be set, so that two readings say nothing of the time between them."""
    mono: Callable[[], float] = time.monotonic
    """Seconds of a clock that only goes forward: for every rate, window, schedule and deadline."""

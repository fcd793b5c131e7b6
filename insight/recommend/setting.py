"""Actions in words: what is set now, what is proposed, and which of them are left."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from insight.recommend.catalogue.advice import NOT_SET, Action
from metrics import units
from metrics.finding import Change

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from metrics.observed import Target

_FLAG = "flag_"
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_OPPOSITE = {"True": "False", "False": "True"}
_INEXACT = {"lower", "higher"}
"""What is proposed in one word and is no value; what takes several words is none either."""


class InForce(Struct, frozen=True):
    """What is set now."""

    text: str
    """As a person reads it: `12 k`."""
    number: float | None
    """The same as a number; None where it is none."""


class Setting(Struct, frozen=True):
    """An action on one server."""

    action: Action
    now: str | None
    """The value in force, or as it is seen; `NOT_SET`, or None where it is not told."""
    proposed: str
    number: float | None = None
    """The value in force as a number; None where it is none."""

    @property
    def done(self) -> bool:
        """Tell whether it is in force already."""
        now, proposed, wanted = self.now, self.proposed, _number(self.proposed)
        if now is None:
            return False
        if self.number is not None and wanted is not None:
            vague = self.action.vague
            beyond = self.number < wanted if vague == "lower" else self.number > wanted and vague == "higher"
            if beyond or self.number == wanted:
                return True
        return now.lower() in {each.lower() for each in (*self.action.done, proposed) if each}

    @property
    def worked_out(self) -> bool:
        """Tell whether an estimate gave the value that is proposed."""
        return self.action.to_be_worked_out and self.proposed != self.action.vague

    @property
    def typed(self) -> str:
        """What is typed: `--max-num-seqs 256`."""
        return f"{self.action.flag} {self.proposed}".rstrip()

    @property
    def already(self) -> str:
        """Say that it is so: `--kv-cache-dtype fp8`."""
        flag = self.action.flag
        if self.now is None or self.now == "True":
            return flag
        return f"{flag} {self.now}"

    @property
    def text(self) -> str:
        """The action with the value in force, and whether it takes a restart."""
        action = self.action
        said = action.text if not action.flag else f"{self.typed}: {action.text}" if action.text else self.typed
        notes = []
        if action.now:
            # Notes stand in brackets, and hold none.
            told = (self.now or "").replace(" (seen)", " seen")
            notes.append(f"now {told}" if told else "now: not told by the server")
        if self.now == NOT_SET:
            notes = ["now not set, the default"]
        if action.restart:
            notes.append("takes a restart")
        return f"{said} ({'; '.join(notes)})" if notes else said

    @property
    def change(self) -> Change | None:
        """The flag that it sets; None where it sets none, to no value that is known, or only lets something be seen."""
        action = self.action
        if not action.flag or action.informs or (action.to_be_worked_out and not self.proposed):
            return None
        return Change(action.flag, self.now, self.proposed or "on", action.restart, self.exact)

    @property
    def exact(self) -> bool:
        """Tell whether what is proposed is a value; else it is a direction, or says what kind of value it is."""
        return " " not in self.proposed and self.proposed not in _INEXACT


def setting(action: Action, target: Target | None, values: Mapping[str, str]) -> Setting:
    """Look up what is set, and fill in what an estimate worked out."""
    found = in_force(action.now, target)
    now = _seen(action, target, values) if found is None else found.text
    if action.flag.startswith("--no-"):  # its fact is that of what it turns off
        now = _OPPOSITE.get(now or "", now)
    return Setting(action, now, _proposed(action, target, values), None if found is None else found.number)


def in_force(names: str, target: Target | None) -> InForce | None:
    """Tell the value in force, by the first of the facts and gauges that is known.

    A flag is `NOT_SET` where others of the same command line are seen; else nobody knows.
    """
    if target is None:
        return None
    for name in names.split():
        measure = target.quantities.get(name)
        if measure is not None and measure.value is not None:
            return InForce(units.value(measure.value, measure.unit), measure.value)
        if target.facts.get(name):
            return InForce(target.facts[name], _number(target.facts[name]))
    seen = any(fact.startswith(_FLAG) for fact in target.facts)
    return InForce(NOT_SET, None) if seen and _FLAG in names else None


def left(settings: Collection[Setting], present: Collection[str]) -> list[Setting]:
    """Leave out what is in force already, and what would make another finding worse."""
    return [each for each in settings if not each.done and each.action.not_with not in present]


def _proposed(action: Action, target: Target | None, values: Mapping[str, str]) -> str:
    """Write the value proposed: for one engine, where the one worked out is that of all of them."""
    if not action.to_be_worked_out:
        return action.then
    times, parts = (_count(in_force(names, target)) for names in (action.times, action.shared_by))
    filled = {
        name: str(math.ceil(int(value) * times / parts)) if value.isdigit() else value for name, value in values.items()
    }
    try:
        return action.then.format_map(filled)
    except KeyError:
        return action.vague


def _seen(action: Action, target: Target | None, values: Mapping[str, str]) -> str | None:
    """Write what is seen of a value that is not told: `~32 (seen)`; None where an estimate gave none."""
    if not action.to_be_worked_out:
        return None
    found = _proposed(replace(action, then=action.then.replace("}", "_seen}"), vague=""), target, values)
    return f"~{found} (seen)" if found else None


def _count(found: InForce | None) -> int:
    """Read how many there are; one where it is not said."""
    return max(1, int(found.number)) if found is not None and found.number is not None else 1


def _number(text: str) -> float | None:
    """Read a number as it stands on a command line; None where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None

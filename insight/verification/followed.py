"""Which advice was followed: what was named, what was set, what the mark says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insight.verification.comparison import Setting
    from insight.verification.side import Side
    from metrics.snapshot import Change, Recommendation

_FLAG = re.compile(r"--?[a-z][a-z0-9-]*")


def followed(advice: Recommendation, settings: Sequence[Setting], applied: Sequence[str], mark: str) -> str:
    """Say what made it known that advice was followed; empty where nothing did."""
    if advice.id in applied:
        return "named by --applied"
    changed = {each.name: each for each in settings}
    for flag in _flags(advice):
        fact = next((name for name in _facts(flag) if name in changed), None)
        if fact is not None:
            return f"{flag} {changed[fact].before or 'not set'} -> {changed[fact].after or 'not set'}"
    text = mark.lower()
    names = (advice.id.lower(), advice.title.lower(), *_flags(advice))
    return f"the mark says {mark!r}" if text and any(name in text for name in names) else ""


def _flags(advice: Recommendation) -> tuple[str, ...]:
    """List the flags that a piece of advice speaks of: those of its changes, else those in its words."""
    if advice.changes:
        return tuple(each.flag.split("=")[0].split()[0] for each in advice.changes if each.flag.strip())
    return tuple(dict.fromkeys(flag for action in advice.actions for flag in _FLAG.findall(action.split(":")[0])[:1]))


def _facts(flag: str) -> tuple[str, ...]:
    """Name the facts that tell the value of a flag: by command line, by the server's own page."""
    name = flag.lstrip("-").replace("-", "_")
    return f"flag_{name}", name, name.removeprefix("kv_")


def other_value(changes: Sequence[Change], settings: Sequence[Setting]) -> str:
    """Say that a setting was changed to something else than was proposed; empty where it was not."""
    changed = {each.name: each.after for each in settings}
    for change in changes:
        value = next((changed[name] for name in _facts(change.flag.split()[0]) if name in changed), None)
        if value is not None and is_number(change.proposed) and is_number(value) and value != change.proposed:
            if float(value) == float(change.proposed):
                continue
            return f"{change.flag} was set to {value}, and the effect is foretold for {change.proposed}"
    return ""


def is_number(text: str) -> bool:
    """Tell whether a setting is a plain number."""
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def unknown_ids(before: Side, applied: Sequence[str]) -> list[str]:
    """List the ids of `applied` that `before` did not recommend."""
    return [name for name in applied if name not in {each.id for each in before.recommendations}]

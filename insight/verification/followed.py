"""Which advice was followed: what was named, what was set, what the mark says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from insight.verification.settings import FLAG, TOLD_BY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from insight.verification.settings import Setting
    from insight.verification.side import Side
    from metrics.finding import Change, Recommendation

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_DENIED = re.compile(r"(?<![\w-])(no|not|never|without)(?![\w-])|n't\b", re.IGNORECASE)
_CLAUSES = re.compile(r"[,;]|[.:](?:\s|$)|\b(?:but|and)\b", re.IGNORECASE)
_ON, _OFF = frozenset(("true", "on", "1", "yes")), frozenset(("false", "off", "0", "no"))


def followed(advice: Recommendation, settings: Sequence[Setting], applied: Sequence[str], mark: str) -> str:
    """Say what made it known that advice was followed; empty where nothing did.

    A setting does where it became what was proposed, or went the way that was; another number counts as well, and
    `other_value` then says that the effect was not foretold for it. What was proposed in words (`another value`) takes
    `applied`.
    """
    if advice.id in applied:
        return "named by --applied"
    for change in advice.changes:
        each = _changed(change, settings)
        if each is not None and (_reached(change, each) or _both_numbers(change, each)):
            return f"{_name(change)} {each.before or 'not set'} -> {each.after or 'not set'}"
    names = (advice.id, advice.title, *map(_name, advice.changes))
    return f"the mark says {mark!r}" if _says(mark, names) else ""


def other_value(changes: Sequence[Change], settings: Sequence[Setting]) -> str:
    """Say that a setting was changed to something else than was proposed; empty where it was not."""
    for change in changes:
        each = _changed(change, settings)
        if each is not None and _reached(change, each) is False:
            became = f"set to {each.after}" if each.after else "removed"
            return f"{change.flag} was {became}, and the effect is foretold for {change.proposed}"
    return ""


def is_number(text: str | None) -> bool:
    """Tell whether a setting is a plain number."""
    return text is not None and _NUMBER.fullmatch(text) is not None


def unknown_ids(before: Side, applied: Sequence[str]) -> list[str]:
    """List the ids of `applied` that `before` did not recommend."""
    return [name for name in applied if name not in {each.id for each in before.recommendations}]


def _name(change: Change) -> str:
    """Take the flag alone."""
    return change.flag.split("=")[0].split()[0]


def _changed(change: Change, settings: Sequence[Setting]) -> Setting | None:
    """Find the setting of a flag among those that changed, by command line or by the server's own page."""
    typed = _name(change)
    name = typed.lstrip("-").removeprefix("no-").replace("-", "_")
    facts = {each.name: each for each in settings}
    told_by = (f"{FLAG}{name}", name, *TOLD_BY.get(typed, ()))
    return next((facts[each] for each in told_by if each in facts), None)


def _reached(change: Change, setting: Setting) -> bool | None:
    """Tell whether a setting became what was proposed; None where what was proposed are words that do not tell."""
    if not change.exact or change.proposed in {"lower", "higher"}:
        told = [_one(word, setting) for word in change.proposed.lower().split(", or ")]
        return True if True in told else None if None in told else False
    wanted, after = change.proposed.lower(), (setting.after or "").lower()
    if change.flag.startswith("--no-") and wanted in _ON:
        return after in _OFF
    if wanted == "removed":
        return after in {"", *_OFF}
    if is_number(wanted) and is_number(after):
        return float(wanted) == float(after)
    if wanted in _ON and after in _ON:
        return True
    return after == wanted or after.startswith(f"{wanted}_")  # fp8_e4m3 is fp8


def _one(word: str, setting: Setting) -> bool | None:
    """Tell whether a setting went one way; None where that is no way."""
    if word == "removed":
        return (setting.after or "").lower() in {"", *_OFF}
    if word not in {"lower", "higher"} or not is_number(setting.before) or not is_number(setting.after):
        return None
    before, after = float(setting.before or 0), float(setting.after or 0)
    return after < before if word == "lower" else after > before


def _both_numbers(change: Change, setting: Setting) -> bool:
    return change.exact and is_number(change.proposed) and is_number(setting.after)


def _says(mark: str, names: Iterable[str]) -> bool:
    """Tell whether a mark names one of them as a whole word, and does not deny it in the same clause."""
    whole = [re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE) for name in names]
    found = [(clause, each.search(clause)) for clause in _CLAUSES.split(mark) for each in whole]
    return any(at is not None and not _DENIED.search(clause[: at.start()]) for clause, at in found)

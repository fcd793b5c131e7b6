"""The scenario that a command names."""

from __future__ import annotations

from difflib import get_close_matches

from chimera_top.exit import UsageError
from simulator.scenario import Scenario, ScenarioError, load, names


def scenario(name_or_path: str) -> Scenario:
    """Load a scenario; raises UsageError, with the nearest name, or with file, key and reason, where it cannot."""
    known = names()
    unknown = name_or_path not in known and not name_or_path.endswith(".toml")
    if unknown and (near := get_close_matches(name_or_path, known, 1)):
        raise UsageError(f"no scenario {name_or_path!r}; did you mean {near[0]!r}?")
    try:
        return load(name_or_path)
    except ScenarioError as error:
        raise UsageError(str(error)) from None

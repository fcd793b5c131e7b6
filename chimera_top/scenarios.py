"""The scenario that a command names."""

from __future__ import annotations

from chimera_top.exit import UsageError
from simulator.scenario import Scenario, ScenarioError, load


def scenario(name_or_path: str) -> Scenario:
    """Load a scenario; raises UsageError, with the file, the key and the reason, where it cannot be."""
    try:
        return load(name_or_path)
    except ScenarioError as error:
        raise UsageError(str(error)) from None

"""Scenarios of anybody's own, from the files of a folder, checked before the first of them is run."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from insight.rules import RULES
from simulator.scenario import ScenarioError, load, names
from simulator.scenario_text import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulator.scenario import Scenario


RISK_IDS = tuple(rule.id for rule in RULES)


def of_folder(folder: Path) -> list[str]:
    """List the scenario files of a folder; one without a truth is a base of others.

    Raises ScenarioError where there is none.
    """
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix == ".toml" and each.is_file())
    except OSError as error:
        raise ScenarioError(f"{folder}: cannot be read: {error.strerror}") from None
    judged = [str(each) for each in files if _is_judged(each.read_text("utf-8", errors="replace"))]
    if not judged:
        raise ScenarioError(f"{folder}: no .toml file with a [truth], against which the rules could be held")
    return judged


def _is_judged(text: str) -> bool:
    """Tell whether a file has a truth; what is no TOML is looked at all the same, to say what is wrong with it."""
    try:
        return "truth" in tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return True


def mistakes_in(scenarios: Sequence[str]) -> list[str]:
    """Tell what is wrong with scenarios, each a name or a path, one line for each that cannot be used."""
    return [line for each in scenarios for line in _mistakes(each)]


def _mistakes(name_or_path: str) -> Iterator[str]:
    try:
        scenario = load(name_or_path)
    except ScenarioError as error:
        yield str(error)
        return
    if name_or_path not in names():
        text = Path(name_or_path).read_text("utf-8")
        for key, reason in _never(scenario):
            line = line_of(text, key)
            place = name_or_path if line is None else f"{name_or_path}:{line}"
            yield f"{place}: {key}: {reason}"
            return


def _never(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Tell what could never be found or seen, with its key."""
    truth = scenario.truth
    for key, expected in (("risks", truth.risks), ("also", truth.also)):
        for each in expected:
            if each.id not in RISK_IDS:
                near = get_close_matches(each.id, RISK_IDS, 1)
                yield f"truth.{key}", f"no risk {each.id!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    for number, fault in enumerate(scenario.faults):
        if fault.at >= truth.watch_seconds:
            watched = f"when nobody watches any more (watch_seconds = {truth.watch_seconds:g})"
            yield f"faults[{number}].at", f"is {fault.at:g}, {watched}"

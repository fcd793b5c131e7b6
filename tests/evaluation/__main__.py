"""How well the rules and the predictions do: `python -m tests.evaluation [--part PART] [--seeds N] [--scenario NAME]`.

Prints Markdown. Exit code 1 where something that is to be reached was not, 2 where a scenario cannot be used.
`--scenarios DIR` holds the rules against the files of a folder instead of those that come with the program.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from simulator.scenario import ScenarioError, names
from tests.evaluation import health
from tests.evaluation.effects import effects_table, tried_in_the_simulator
from tests.evaluation.files import mistakes_in, of_folder
from tests.evaluation.labels import judge_named, leads, scores
from tests.evaluation.ramp import ramp_table
from tests.evaluation.tables import health_table, mistakes, rules_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.evaluation.labels import Run

PARTS = ("rules", "healthy", "effects", "ramp")
VARIANT_SEEDS = 3


def main() -> int:
    """Run the parts that are asked for; all where none is."""
    asked = _arguments()
    try:
        asked.scenario = [*(asked.scenario or ()), *(of_folder(asked.scenarios) if asked.scenarios else ())]
        wrong = mistakes_in(asked.scenario)
    except ScenarioError as error:
        wrong = [str(error)]
    if wrong:
        sys.stderr.writelines(f"python -m tests.evaluation: {line}\n" for line in wrong)
        return 2
    held = True
    # It takes minutes, and nothing else on the machine waits for it.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=os.nice, initargs=(10,)) as pool:
        for part in ["rules"] if asked.scenarios else asked.part or PARTS:
            lines, holds = _PARTS[part](pool, asked)
            sys.stdout.write("\n".join([f"### {part}", "", *lines, "", ""]))
            sys.stdout.flush()
            held = held and holds
    return 0 if held else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.evaluation", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument(
        "--seeds", type=_at_least_one, default=20, help="runs of each scenario, hours of the healthy one"
    )
    parser.add_argument(
        "--scenario", action="append", help="of the part `rules`, a name or a .toml file; all where none is given"
    )
    parser.add_argument(
        "--scenarios",
        type=Path,
        metavar="DIR",
        help="hold the rules against every .toml file in this folder that has a [truth]; implies `--part rules`",
    )
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} runs show nothing")
    return int(text)


def _each(pool: ProcessPoolExecutor, run: Callable[[str, int], Run], of: Sequence[tuple[str, int]]) -> list[Run]:
    waits = [pool.submit(run, name, seed) for name, seed in of]
    return [each.result() for each in waits]


def _rules(pool: ProcessPoolExecutor, asked: argparse.Namespace) -> tuple[list[str], bool]:
    of = list(product(asked.scenario or names(), range(1, asked.seeds + 1)))
    runs = _each(pool, judge_named, of)
    return [*rules_table(runs), "", *mistakes(runs)], leads(runs) and all(each.holds for each in scores(runs))


def _healthy(pool: ProcessPoolExecutor, asked: argparse.Namespace) -> tuple[list[str], bool]:
    of = [("healthy", seed) for seed in range(1, asked.seeds + 1)]
    others = [name for name in health.VARIANTS if name != "healthy"]
    of += product(others, range(1, min(VARIANT_SEEDS, asked.seeds) + 1))
    runs = _each(pool, health.hour, of)
    return [*health_table(runs), "", *mistakes(runs)], not any(run.wrong for run in runs)


def _effects(pool: ProcessPoolExecutor, asked: argparse.Namespace) -> tuple[list[str], bool]:
    return effects_table(tried_in_the_simulator(pool, range(1, asked.seeds + 1)))


def _ramp(_pool: ProcessPoolExecutor, _asked: argparse.Namespace) -> tuple[list[str], bool]:
    rows = ramp_table()
    lines = ["| statement | accepted | predicted | measured | |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        interval = "" if row.lo is None or row.hi is None else f" ({row.lo:.3g} to {row.hi:.3g})"
        cells = (
            row.statement,
            row.accepted,
            f"{row.predicted:.3g}{interval} {row.unit}",
            f"{row.measured:.3g} {row.unit}",
        )
        lines.append(f"| {' | '.join(cell.strip() for cell in cells)} | {'' if row.holds else 'missed'} |")
    return lines, all(row.holds for row in rows)


_PARTS = {"rules": _rules, "healthy": _healthy, "effects": _effects, "ramp": _ramp}


if __name__ == "__main__":
    sys.exit(main())

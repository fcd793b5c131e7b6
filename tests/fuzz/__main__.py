"""`python -m tests.fuzz [--seconds N] [--seed S] [--area NAME] [--again FILE]`: looks for input that breaks things.

Every case is drawn from the seed and its number, so a run can be repeated. A case that fails is kept in a file under
`--keep`, and `--again FILE` runs it alone. Exit 1 where anything failed.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz import answers, files, pages, recordings, streams
from tests.fuzz.case import Case, keep, kept

if TYPE_CHECKING:
    from types import FrameType, ModuleType

AREAS: dict[str, ModuleType] = {
    "pages": pages,
    "recordings": recordings,
    "streams": streams,
    "answers": answers,
    "files": files,
}
CASE_SECONDS = 10.0
"""CPU time that one case may take: ten pages, the largest of 12 MB, with everything that is made of them."""
MEMORY = 3 * 2**30
"""Bytes of address space: who wants more fails in the case that wants it."""


class SlowError(Exception):
    """A case took more than `CASE_SECONDS`."""


def case(area: str, seed: int, number: int) -> Case:
    """Make a case; the same seed and number make the same one."""
    return Case(area, seed, number, AREAS[area].make(Random(f"{seed} {area} {number}")))


def failure(one: Case) -> str:
    """Run a case; where it fails, say how and where."""
    signal.setitimer(signal.ITIMER_VIRTUAL, CASE_SECONDS)
    try:
        AREAS[one.area].run(one.pieces)
    except Exception:  # noqa: BLE001 whatever it is, it is what is looked for
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def _slow(_signal: int, _frame: FrameType | None) -> None:
    raise SlowError(f"more than {CASE_SECONDS:g} s of CPU time")


def _place(failed: str) -> str:
    """Tell failures apart by where they come from."""
    return "\n".join(line for line in failed.splitlines() if line.startswith('  File "'))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--area", choices=sorted(AREAS))
    parser.add_argument("--again", type=Path, metavar="FILE")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir(), "chimera-top-fuzz"), metavar="FOLDER")
    asked = parser.parse_args()
    signal.signal(signal.SIGVTALRM, _slow)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    if asked.again is not None:
        failed = failure(kept(asked.again))
        sys.exit(failed or None)
    names = [asked.area] if asked.area else list(AREAS)
    print(f"seed {asked.seed}", flush=True)
    counts: Counter[str] = Counter()
    places: Counter[str] = Counter()
    slowest = (0.0, "")
    end, number = time.monotonic() + asked.seconds, 0
    while time.monotonic() < end:
        one = case(names[number % len(names)], asked.seed, number)
        began = time.process_time()
        failed = failure(one)
        slowest = max(slowest, (time.process_time() - began, f"{one.area} {number}"))
        counts[one.area] += 1
        number += 1
        if failed:
            place = _place(failed)
            places[place] += 1
            if places[place] == 1:
                print(
                    f"\n{one.area} {one.number} of seed {one.seed} failed: {keep(one, asked.keep)}\n{failed}",
                    flush=True,
                )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{number} cases: {', '.join(f'{count} {name}' for name, count in counts.items())}")
    print(f"the slowest took {slowest[0]:.1f} s of CPU time ({slowest[1]}); most memory resident: {memory:.0f} MiB")
    print(f"{sum(places.values())} failed, in {len(places)} places; seed {asked.seed}")
    sys.exit(1 if places else 0)


if __name__ == "__main__":
    main()

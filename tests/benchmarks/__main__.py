"""`python -m tests.benchmarks [NAME...]`: measures what the program promises and prints it as a table.

Nothing here fails when a number is missed: machines differ, and a busy one is slower. The number is beside what it
should be, for a person to read.
"""

from __future__ import annotations

import argparse
import importlib
import platform

NAMES = ("parse_page", "memory", "assess", "draw", "screen", "targets", "simulate_speed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all where none is given")
    asked = parser.parse_args().names
    if unknown := set(asked) - {*NAMES}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: {', '.join(NAMES)}")
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    print(f"{'what':<78}{'measured':>12}  to reach")
    for name in asked or NAMES:
        module = importlib.import_module(f"tests.benchmarks.{name}")
        for what, measured, wanted in module.measure():
            print(f"{what:<78}{measured:>12}  {wanted}", flush=True)


if __name__ == "__main__":
    main()

"""`python -m tests.benchmarks [NAME...]`: measures what the program promises and prints it as a table.

Nothing here fails when a number is missed: machines differ, and a busy one is slower. The number is beside what it
should be, for a person to read.
"""

from __future__ import annotations

import importlib
import platform
import sys

NAMES = ("parse_page", "memory", "assess", "draw", "screen", "targets", "simulate_speed")


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}\n")
    print(f"{'what':<78}{'measured':>12}  to reach")
    for name in sys.argv[1:] or NAMES:
        if name not in NAMES:
            sys.exit(f"no benchmark {name!r}: {', '.join(NAMES)}")
        module = importlib.import_module(f"tests.benchmarks.{name}")
        for what, measured, wanted in module.measure():
            print(f"{what:<78}{measured:>12}  {wanted}", flush=True)


if __name__ == "__main__":
    main()

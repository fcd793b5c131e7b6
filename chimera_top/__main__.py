"""The entry point: nothing heavy is imported before it is known what is asked for."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `chimera-top` with the arguments of this process and return its exit code."""
    from chimera_top.cli import run  # noqa: PLC0415 `python -m` and the console script both pass through here, cheaply

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

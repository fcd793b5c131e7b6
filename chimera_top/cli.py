"""The command line: which command, with which flags. Only argparse is imported here."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from typing import NoReturn

from chimera_top import __version__
from chimera_top.exit import Exit, FailureError, UsageError
from chimera_top.flags import FLAGS

COMMANDS = {
    "live": "live screen of running servers and GPUs (the default)",
    "demo": "the same screen on a simulated server and simulated GPUs",
    "report": "watch for a while, then write a report",
    "check": "watch for a while, then one line a finding and an exit code: 0 ok, 1 warning, 2 critical, 3 unknown",
    "record": "write everything that is seen to a file",
    "replay": "the live screen on a recording",
    "compare": "two recordings or reports, or one recording before and after a mark: what changed, and is it more than "
    "noise; exit 0 no worse, 1 worse, 3 cannot be told",
    "simulate": "the simulated server alone, for other tools to be pointed at",
    "schema": "print the JSON Schema of `report --format json`",
}

_EPILOG = """\
TARGET is the base URL of a server (http://host:8000), the URL of its metrics page, or a recording.
Without TARGET: the servers of this host, also those that come while it runs.

commands:
{commands}

`chimera-top COMMAND --help` tells the flags of a command. Settings come from the flags, then the environment
(CHIMERA_TOP_INTERVAL, ...), then the configuration file, then the defaults.
Exit codes: 0 done, 64 wrong flag or configuration, 1 it could not be done; `check` and `compare` say 3 for both.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and lets the command choose the exit code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def run(argv: list[str]) -> int:
    """Run the command that `argv` asks for and return the exit code of the process."""
    command = argv[0] if argv and argv[0] in COMMANDS else "live"
    try:
        _refuse_mistakes(argv)
        flags = _parser(command).parse_args(argv[1:] if argv and argv[0] in COMMANDS else argv)
        module = importlib.import_module(f"chimera_top.commands.{command}")
        return int(module.run(flags))
    except (UsageError, FailureError) as error:
        return _failed(command, str(error), Exit.USAGE if isinstance(error, UsageError) else Exit.FAILED)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout went away; without this, Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.NO_READER
    except OSError as error:
        return _failed(
            command, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", Exit.FAILED
        )
    except Exception as error:
        import logging  # noqa: PLC0415 only now needed

        logging.getLogger(__name__).exception("internal error")
        message = f"internal error: {type(error).__name__}: {error}; --log-file FILE keeps where it came from"
        return _failed(command, message, Exit.FAILED)


def _failed(command: str, message: str, code: Exit) -> int:
    """Say what went wrong in one line; `check` and `compare` answer UNKNOWN, for theirs of 1 is a finding."""
    if sys.stderr is not None:
        sys.stderr.write(f"chimera-top: {message}\n")
    return Exit.CHECK_UNKNOWN if command in {"check", "compare"} else code


def _refuse_mistakes(argv: list[str]) -> None:
    """Raise UsageError for what argparse would take for a server: a mistyped command, or flags before the command."""
    if argv and argv[0].startswith("-") and (named := next((each for each in argv if each in COMMANDS), None)):
        raise UsageError(f"put the command first: chimera-top {named} {' '.join(e for e in argv if e != named)}")
    if (
        argv
        and re.fullmatch(r"[a-z]+", argv[0])
        and argv[0] not in {*COMMANDS, "localhost"}
        and not os.access(argv[0], os.F_OK)
    ):
        from difflib import get_close_matches  # noqa: PLC0415 only for a mistake

        near = get_close_matches(argv[0], COMMANDS, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"{argv[0]!r} is no command; {hint}A server is named by host:port or URL, see --help")


def _parser(command: str) -> argparse.ArgumentParser:
    live = command == "live"
    parser = _Parser(
        prog="chimera-top" if live else f"chimera-top {command}",
        description="See what an LLM inference server and its GPUs do, what is at risk, and what to do about it."
        if live
        else f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
        epilog=_EPILOG.format(commands="\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items()))
        if live
        else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"chimera-top {__version__}")
    for add in FLAGS[command]:
        add(parser)
    return parser

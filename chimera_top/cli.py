"""The command line: which command, with which flags. Only argparse is imported here."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NoReturn

from chimera_top import __version__
from chimera_top.exit import Exit, FailureError, UsageError

COMMANDS = {
    "live": "live screen of running servers and GPUs (the default)",
    "demo": "the same screen on a simulated server and simulated GPUs",
    "report": "watch for a while, then write a report",
    "check": "watch for a while, then one line a finding and an exit code: 0 ok, 1 warning, 2 critical, 3 unknown",
    "record": "write everything that is seen to a file",
    "replay": "the live screen on a recording",
    "simulate": "the simulated server alone, for other tools to be pointed at",
    "schema": "print the JSON Schema of `report --format json`",
}

_EPILOG = """\
TARGET is the base URL of a server (http://host:8000), the URL of its metrics page, or a recording.
Without TARGET: http://127.0.0.1:8000.

commands:
{commands}

`chimera-top COMMAND --help` tells the flags of a command. Settings come from the flags, then the environment
(CHIMERA_TOP_INTERVAL, ...), then the configuration file, then the defaults.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and lets the command choose the exit code."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")


def run(argv: list[str]) -> int:
    """Run the command that `argv` asks for and return the exit code of the process."""
    command = argv[0] if argv and argv[0] in COMMANDS else "live"
    try:
        flags = _parser(command).parse_args(argv[1:] if argv and argv[0] in COMMANDS else argv)
        module = importlib.import_module(f"chimera_top.commands.{command}")
        return int(module.run(flags))
    except UsageError as error:
        sys.stderr.write(f"chimera-top: {error}\n")
        return 3 if command == "check" else Exit.USAGE
    except FailureError as error:
        sys.stderr.write(f"chimera-top: {error}\n")
        return 3 if command == "check" else Exit.FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of stdout went away; without this, Python complains once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parser(command: str) -> argparse.ArgumentParser:
    live = command == "live"
    parser = _Parser(
        prog="chimera-top" if live else f"chimera-top {command}",
        description="See what an LLM inference server and its GPUs do, what is at risk, and what to do about it."
        if live
        else COMMANDS[command].capitalize() + ".",
        epilog=_EPILOG.format(commands="\n".join(f"  {name:<9} {text}" for name, text in COMMANDS.items()))
        if live
        else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"chimera-top {__version__}")
    for add in _FLAGS[command]:
        add(parser)
    return parser


def _targets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="URL of a server or of its metrics page")


def _watching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("watching")
    group.add_argument("--interval", metavar="TIME", help="from poll to poll (1s)")
    group.add_argument("--no-gpu", dest="gpu", action="store_false", default=None, help="leave NVML alone")
    group.add_argument("--slo", metavar="LIST", help="objectives: ttft_p95=0.8s,itl_p95=50ms")
    group.add_argument("--token-env", metavar="NAME", help="environment variable that holds the server's bearer token")
    group.add_argument(
        "--header",
        dest="headers",
        action="append",
        metavar="HEADER=NAME",
        help="send HEADER, its value from variable NAME",
    )
    group.add_argument("--ca-cert", metavar="FILE", help="trust this certificate authority for https targets")


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="configuration file (~/.config/chimera-top/config.toml)")
    parser.add_argument("--log-file", metavar="FILE", help="write what goes wrong inside to a file")


def _screen(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("screen")
    group.add_argument("--window", metavar="TIME", help="window of the graphs and numbers (5min)")
    group.add_argument("--ascii", action="store_true", default=None, help="draw with ASCII characters only")
    group.add_argument("--mouse", action="store_true", default=None, help="let the screen have the mouse")


def _recording(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", metavar="FILE", help="also write everything that is seen to this file")


def _for(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", dest="for_", metavar="TIME", help="watch for so long, and speak of exactly that window"
    )
    parser.add_argument("--replay", metavar="FILE", help="speak of a recording instead of watching")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("md", "json", "text"), help="what to write (md; text to a terminal)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (stdout)")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the recording; one that is there is added to"
    )
    parser.add_argument("--for", dest="for_", metavar="TIME", help="stop after so long (else with Ctrl-C)")


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("--speed", metavar="X", type=float, default=1.0, help="so many times as fast (1)")
    parser.add_argument("--slo", metavar="LIST", help="objectives: ttft_p95=0.8s,itl_p95=50ms")


def _scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario", metavar="NAME", default="overload", help="a bundled scenario, or a TOML file (overload)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="the same seed gives the same run (1)")


def _port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="P", type=int, default=8000, help="port on 127.0.0.1 (8000; 0: any)")


_FLAGS = {
    "live": (_targets, _watching, _screen, _recording, _config),
    "demo": (_scenario, _watching, _screen, _recording, _config),
    "report": (_targets, _for, _report, _watching, _recording, _config),
    "check": (_targets, _for, _watching, _config),
    "record": (_targets, _output, _watching, _config),
    "replay": (_file, _screen, _config),
    "simulate": (_scenario, _port),
    "schema": (),
}

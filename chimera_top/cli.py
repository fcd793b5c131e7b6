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
    for add in _FLAGS[command]:
        add(parser)
    return parser


def _targets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="URL of a server or of its metrics page")


def _watching(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("watching")
    group.add_argument("--interval", metavar="TIME", help="from poll to poll (1s); a bare number is seconds")
    group.add_argument("--no-gpu", dest="gpu", action="store_false", default=None, help="leave NVML alone")
    group.add_argument("--slo", metavar="LIST", help="objectives: ttft_p95=0.8s,itl_p95=50ms; a bare number is seconds")
    group.add_argument("--token-env", metavar="NAME", help="environment variable that holds the server's bearer token")
    group.add_argument(
        "--header",
        dest="headers",
        action="append",
        metavar="HEADER=NAME",
        help="send HEADER, its value from variable NAME",
    )
    group.add_argument("--ca-cert", metavar="FILE", help="trust this certificate authority for https targets")
    group.add_argument("--gpu-price", metavar="X", type=float, help="dollars for an hour of one GPU: what tokens cost")


def _probe(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("probe (sends requests that generate, which costs tokens)")
    group.add_argument(
        "--probe",
        action="store_true",
        default=None,
        help="measure what a client gets, with a small request now and then",
    )
    group.add_argument("--probe-interval", metavar="TIME", help="from request to request (10s)")
    group.add_argument(
        "--probe-budget", metavar="N", type=int, help="tokens an hour, prompts included, at most (60000)"
    )
    group.add_argument("--probe-model", metavar="NAME", help="model to ask (the first that the server names)")
    group.add_argument(
        "--probe-force", action="store_true", default=None, help="go on while requests wait in the server for over 30 s"
    )
    group.add_argument("--price", metavar="X", type=float, help="dollars for a million tokens, to say what this costs")


def _quality(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("quality (asks questions, which costs tokens)")
    group.add_argument(
        "--quality",
        action="append",
        metavar="FILE",
        help="grade the answers to the questions of FILE.jsonl, or to the program's own: builtin; "
        "FILE.json: show these results of lm-eval or Inspect",
    )
    group.add_argument("--quality-budget", metavar="N", type=int, help="tokens an hour, prompts included (60000)")
    group.add_argument(
        "--embeddings",
        metavar="URL",
        help="another server, whose /v1/embeddings tell whether answers keep to the point",
    )
    group.add_argument(
        "--embeddings-token-env", metavar="NAME", help="environment variable that holds the token of that server alone"
    )


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
    parser.add_argument(
        "--format",
        choices=("md", "html", "text", "json", "csv", "paste"),
        help="what to write (as FILE is called, else md; text to a terminal); csv: the series, paste: 20 lines",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (stdout)")
    parser.add_argument(
        "--identifiers",
        action="store_true",
        help="keep hosts, addresses, users, paths and tokens, which are replaced by stand-ins otherwise",
    )
    group = parser.add_argument_group("narrative (sends the redacted report to a model)")
    group.add_argument(
        "--narrate",
        metavar="URL",
        help="let a model behind this OpenAI-compatible URL say it in prose, numbers checked",
    )
    group.add_argument("--narrate-model", metavar="NAME", help="model to ask (the first that the server names)")
    group.add_argument("--narrate-token-env", metavar="NAME", help="environment variable that holds its token")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", required=True, help="the recording; one that is there is added to"
    )
    parser.add_argument("--for", dest="for_", metavar="TIME", help="stop after so long (else with Ctrl-C)")
    parser.add_argument(
        "--mark", metavar="TEXT", help="begin with a mark; SIGUSR1 sets another while it runs (kill -USR1 PID)"
    )


def _two(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="BEFORE", help="a recording, or a report as JSON; with --mark both in one")
    parser.add_argument("after", metavar="AFTER", nargs="?", help="the same server, after what was changed")
    parser.add_argument(
        "--mark", metavar="MARK", help="compare BEFORE up to this mark with BEFORE after it: its number, text or hh:mm"
    )
    parser.add_argument("--server", metavar="URL", help="of several servers, this one alone")
    parser.add_argument("--force", action="store_true", help="compare different models all the same")
    parser.add_argument(
        "--applied",
        action="append",
        default=[],
        metavar="ID",
        help="advice of BEFORE that was followed, where no setting tells: its prediction is held against AFTER",
    )
    parser.add_argument("--format", choices=("text", "md", "json"), default="text", help="what to write (text)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (stdout)")


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument("--speed", metavar="X", type=float, default=1.0, help="so many times as fast (1)")
    parser.add_argument(
        "--slo", metavar="LIST", help="objectives: ttft_p95=0.8s,itl_p95=50ms; a bare number is seconds"
    )


def _scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario", metavar="NAME", default="overload", help="a bundled scenario, or a TOML file (overload)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="the same seed gives the same run (1)")


def _port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="P", type=int, default=8000, help="port on 127.0.0.1 (8000; 0: any)")


_FLAGS = {
    "live": (_targets, _watching, _probe, _quality, _screen, _recording, _config),
    "demo": (_scenario, _watching, _screen, _recording, _config),
    "report": (_targets, _for, _report, _watching, _probe, _quality, _recording, _config),
    "check": (_targets, _for, _watching, _probe, _quality, _config),
    "record": (_targets, _output, _watching, _probe, _quality, _config),
    "replay": (_file, _screen, _config),
    "compare": (_two, _config),
    "simulate": (_scenario, _port),
    "schema": (),
}

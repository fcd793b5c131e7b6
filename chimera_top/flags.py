"""The flags of the command line, in groups, and which command has which."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping


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
        "--mark",
        metavar="MARK",
        help="compare BEFORE up to this mark with BEFORE after it, from mark to mark: its number, text or hh:mm",
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


FLAGS: Mapping[str, tuple[Callable[[argparse.ArgumentParser], None], ...]] = {
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
"""The groups of flags that each command has, in the order of its help."""

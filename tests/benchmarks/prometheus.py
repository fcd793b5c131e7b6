"""A Prometheus beside us, as a peer to be measured: started on loopback, where it is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.exposition import Parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 20.0
_INTERVALS = "prometheus_target_interval_length_seconds"


class Prometheus:
    """A running one."""

    def __init__(self, pid: int, place: str, version: str) -> None:
        self.pid = pid
        self.place = place
        self.version = version

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def intervals(self) -> tuple[float, float]:
        """Tell how many intervals there were between two scrapes of a target, and how long all were together."""
        page = Parser().parse(_get(self.place, "/metrics"))
        told = {series.name: value for series, value in page.samples.items() if series.labels == {"interval": "1s"}}
        return told.get(f"{_INTERVALS}_count", 0.0), told.get(f"{_INTERVALS}_sum", 0.0)


def version() -> str:
    """Tell which version is installed; `""` where none is."""
    program = shutil.which("prometheus")
    if program is None:
        return ""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return (said.stdout or said.stderr).split("version ")[1].split("+")[0].split()[0]


@contextlib.contextmanager
def scraping(address: str, paths: Sequence[str], folder: Path) -> Iterator[Prometheus | None]:
    """Let a Prometheus scrape these pages once a second; None where it is not installed."""
    if not (number := version()):
        yield None
        return
    listed = "\n".join(
        f"  - targets: ['{address}']\n    labels: {{__metrics_path__: {path}, instance: '{path}'}}" for path in paths
    )
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 900ms}\n"
        f"scrape_configs:\n- job_name: targets\n  static_configs:\n{listed}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={place}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(place)
        yield Prometheus(process.pid, place, number)
    finally:
        process.terminate()
        process.wait()


def _await(place: str) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            _get(place, "/-/ready")
        except (OSError, HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _get(place: str, path: str) -> bytes:
    connection = HTTPConnection(place, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise HTTPException(f"{answer.status} from {path}")
        return body
    finally:
        connection.close()

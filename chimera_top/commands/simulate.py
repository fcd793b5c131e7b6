"""`chimera-top simulate`: the simulated server alone, for other tools to be pointed at."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from chimera_top.exit import Exit, FailureError, UsageError
from chimera_top.scenarios import scenario
from chimera_top.watch import LOOK_SECONDS, interrupted
from collectors.clock import Clock
from simulator.http import serve_in_thread

if TYPE_CHECKING:
    import argparse


def run(flags: argparse.Namespace) -> int:
    """Serve a scenario on loopback until interrupted."""
    if not 0 <= flags.port <= 65_535:
        raise UsageError(f"--port {flags.port} is no port: 0 to 65535")
    try:
        server = serve_in_thread(scenario(flags.scenario), seed=flags.seed, clock=Clock(), port=flags.port)
    except OSError as error:
        raise FailureError(
            f"cannot listen on 127.0.0.1:{flags.port}: {error.strerror}; choose another --port"
        ) from None
    sys.stdout.write(f"SIMULATED {flags.scenario} server on {server.url} (seed {flags.seed}); Ctrl-C ends it\n")
    sys.stdout.flush()
    with interrupted() as signals:
        while not signals:
            time.sleep(LOOK_SECONDS)
    server.close()
    return Exit.OK

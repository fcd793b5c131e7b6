"""`insight.flags`: what is advised stands beside what is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.command_line import flags
from collectors.engine_flags import FLAGS
from insight.flags import ADVICE
from metrics.sample import Sample, Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.insight.conftest import Drive


def test_every_flag_that_is_named_is_read() -> None:
    """No advice asks for a flag of the command line that is not on the list of what is kept."""
    for advice in ADVICE:
        for engine, actions in advice.actions.items():
            named = {each.now for each in actions if each.now is not None and each.now.startswith("flag_")}
            if named:
                known = FLAGS[engine]
                names = (each.split()[0] for group in (known.numbers, known.words, known.switches) for each in group)
                assert named <= {"flag_" + name.removeprefix("--").replace("-", "_") for name in names}


def test_advice_names_what_the_command_line_says(drive: Callable[[], Drive]) -> None:
    """What is set stands behind the flag; where it is not seen, that is said."""
    driven = drive()
    line = ["vllm", "serve", "m", "--max-num-seqs", "8"]
    for mono in range(200):
        gauges = {"requests_running": 8.0, "requests_waiting": 40.0, "kv_cache_usage": 0.4}
        counters = {"requests_finished": float(mono), "output_tokens_total": 100.0 * mono, "engine_steps": 10.0 * mono}
        facts = {"engine": "vllm", **flags("vllm", line)}
        driven.poll(
            float(mono),
            Sample("http://a", Source.SERVER, 1.0 + mono, float(mono), gauges=gauges, counters=counters, facts=facts),
        )
    advised = {each.id: each.actions for each in driven.snapshot().recommendations}
    assert "--max-num-seqs higher (now 8; takes a restart)" in advised["scale_out"]
    assert any("(now: not told by the server" in action for action in advised["admission_control"])

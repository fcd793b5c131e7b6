"""What can be changed against each finding, on each kind of server: data, in the words of its command line.

Flags are those of vLLM 0.32 (its sources), llama.cpp of 2026 (its help), SGLang, TGI and TensorRT-LLM (their
documentation); another version may call one something else, which `CHECK` says.
"""

from __future__ import annotations

from insight.recommend.catalogue import (
    cache,
    decoding,
    hardware,
    host,
    prefix,
    quality,
    scaling,
    service,
    steps,
    traffic,
)
from insight.recommend.catalogue.advice import ANY, CHECK, KINDS, NOT_SET, OTHERS, Action, Advice

ADVICE: tuple[Advice, ...] = (
    *service.ADVICE,
    *hardware.ADVICE,
    *host.ADVICE,
    *traffic.ADVICE,
    *cache.ADVICE,
    *prefix.ADVICE,
    *steps.ADVICE,
    *scaling.ADVICE,
    *decoding.ADVICE,
    *quality.ADVICE,
)
"""In the order in which it is given for one finding: what is done at once before what takes hardware."""

__all__ = ["ADVICE", "ANY", "CHECK", "KINDS", "NOT_SET", "OTHERS", "Action", "Advice"]

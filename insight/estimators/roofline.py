"""How near a GPU is to what it can do at most, by what the engine reckons: MBU of its bandwidth, MFU of its arithmetic.

The peaks are a table by the name of the device (`peaks.toml`); a GPU that is not there has no shares.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources

import msgspec
from msgspec import Struct

NARROW = ("fp8", "int8", "w8a8", "fp4", "compressed-tensors", "modelopt", "quark")
"""Words of a model's name or of a kind of quantisation by which the arithmetic may be in 8 bits; with the others (AWQ,
GPTQ, GGUF) weights are unpacked, and the arithmetic is in 16."""


class Peak(Struct, frozen=True, forbid_unknown_fields=True):
    """What one GPU can do at most."""

    bandwidth: float
    """Bytes per second of device memory."""
    flops_16: float
    """Per second, dense, in 16 bits, ..."""
    flops_8: float
    """... and in 8."""


class Shares(Struct, frozen=True):
    """Shares of what one GPU can do at most."""

    bandwidth: float
    """MBU."""
    arithmetic: float
    """MFU, at least ..."""
    arithmetic_most: float
    """... and at most: they differ where it is not known in how many bits it is done."""


def peak(device: str | None) -> Peak | None:
    """Look up a device by the whole name that NVML gives: a slice or a variant of a card is another one."""
    return _peaks().get(device or "")


def shares(device: str | None, flops: float, dram_bytes: float, model: str) -> Shares | None:
    """Divide what one GPU does in a second by what it can do; None where its peaks are not known.

    MFU = FLOP/s / peak FLOP/s, MBU = bytes/s / peak bytes/s (Databricks, LLM inference performance engineering).
    `model` is the name of the model and of its quantisation.
    """
    found = peak(device)
    if found is None:
        return None
    narrow = any(word in model.lower() for word in NARROW)
    most = flops / found.flops_16
    return Shares(dram_bytes / found.bandwidth, flops / found.flops_8 if narrow else most, most)


@lru_cache(maxsize=1)
def _peaks() -> dict[str, Peak]:
    text = resources.files("insight.estimators").joinpath("peaks.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Peak])

"""How near a server is to what its GPUs can do at most: MFU of the arithmetic, MBU of the memory bandwidth.

The peaks are a table by device name and type of number (`peaks.toml`); where it has no row there is no share.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources

from msgspec import Struct

BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5, "int4": 0.5}
"""Bytes of one number."""


class Peak(Struct, frozen=True):
    """What one GPU can do at most."""

    flops: float
    """Per second, dense."""
    bandwidth: float
    """Bytes per second of device memory."""

    @property
    def ridge(self) -> float:
        """FLOP per byte at which arithmetic takes over from memory: 295 on an H100 SXM with bf16."""
        return self.flops / self.bandwidth


class Model(Struct, frozen=True):
    """What has to be known of a model, from its `config.json`."""

    parameters: float
    """Active for one token."""
    layers: int
    kv_heads: int
    head_dim: int
    weight_type: str
    kv_type: str
    latent: int | None = None
    """MLA: `kv_lora_rank + qk_rope_head_dim`, which is kept in place of keys and values."""
    read_parameters: float | None = None
    """Read in a step; more than the active ones where the experts of several tokens differ. None: the active ones."""

    @property
    def kv_bytes_per_token(self) -> float:
        """2 * layers * KV heads * head dimension * bytes; MLA: latent * layers * bytes."""
        width = self.latent if self.latent is not None else 2 * self.kv_heads * self.head_dim
        return width * self.layers * BYTES[self.kv_type]

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights that a step reads."""
        return (self.read_parameters or self.parameters) * BYTES[self.weight_type]


def peak(device: str | None, number: str) -> Peak | None:
    """Look up a device by the name that NVML gives and the type of number (`bf16`, `fp8`); None where it is not known.

    fp16 counts like bf16 where only that is listed: tensor cores do both at one speed. A MIG slice has no row.
    """
    if device is None or " MIG " in device:
        return None
    names = [name for name in _peaks() if device == name or device.startswith((f"{name} ", f"{name}-"))]
    if not names:
        return None
    row = _peaks()[max(names, key=len)]
    flops = row.get(number, row.get(_ALIKE.get(number, "")))
    return None if flops is None else Peak(flops, row["bandwidth"])


def mfu(
    model: Model, tokens_per_second: float, context: float, heads: int, found: Peak | None, gpus: int
) -> float | None:
    """Give the share of the peak arithmetic.

    A token takes 2 * active parameters + 4 * layers * heads * head_dim * context FLOP.
    `tokens_per_second` counts prompt tokens that are computed and output tokens; `context` is the mean number of tokens
    that one attends to.
    """
    if found is None or gpus < 1:
        return None
    token = 2 * model.parameters + 4 * model.layers * heads * model.head_dim * context
    return token * tokens_per_second / (found.flops * gpus)


def mbu(model: Model, step_seconds: float, resident_tokens: float, found: Peak | None, gpus: int) -> float | None:
    """Give the share of the peak bandwidth: (weights + KV of all resident tokens) a decode step / its time.

    For a step without prefill; `gpus` share the weights and the cache (tensor parallel).
    """
    if found is None or gpus < 1 or step_seconds <= 0:
        return None
    return _read(model, resident_tokens) / gpus / step_seconds / found.bandwidth


def shortest_step(model: Model, resident_tokens: float, found: Peak | None, gpus: int) -> float | None:
    """Bound a decode step (s) from below: nothing is faster than reading weights and cache once."""
    return None if found is None or gpus < 1 else _read(model, resident_tokens) / gpus / found.bandwidth


def ridge_batch(model: Model, found: Peak | None) -> float | None:
    """Give the batch from which decoding is bound by arithmetic: ridge * bytes of a weight / 2, the cache left out."""
    return None if found is None else found.ridge * BYTES[model.weight_type] / 2


_ALIKE = {"fp16": "bf16"}


@lru_cache(maxsize=1)
def _peaks() -> dict[str, dict[str, float]]:
    text = resources.files("insight.estimators").joinpath("peaks.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _read(model: Model, resident_tokens: float) -> float:
    return model.weight_bytes + resident_tokens * model.kv_bytes_per_token

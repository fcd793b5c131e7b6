"""A scenario: a server, its load, its GPUs, and what goes wrong when, as a TOML file says it.

Times are seconds from the moment at which the simulated server is first looked at; `warm_up_seconds` of engine time
lie before it, so that the first page already shows a server at work.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

if TYPE_CHECKING:
    from random import Random


class ScenarioError(Exception):
    """A scenario that cannot be used: one line with the file, the key and the reason."""


class Lognormal(Struct, frozen=True, forbid_unknown_fields=True, tag="lognormal", tag_field="distribution"):
    """Token counts with a long tail."""

    median: float
    sigma: float
    """Standard deviation of the logarithm: 0.5 puts the 95th percentile at 2.3 times the median, 1 at 5.2 times."""
    least: int = 1
    most: int = 1_000_000

    def __post_init__(self) -> None:
        if self.median <= 0 or self.sigma < 0 or not 1 <= self.least <= self.most:
            raise ValueError("a lognormal needs median above 0, sigma of at least 0, and 1 <= least <= most")

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return min(self.most, max(self.least, round(self.median * exp(random.gauss(0.0, self.sigma)))))


class Choice(Struct, frozen=True, forbid_unknown_fields=True, tag="choice", tag_field="distribution"):
    """Token counts from a list, each as likely as the others."""

    of: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.of or min(self.of) < 1:
            raise ValueError("a choice needs at least one number of tokens, each 1 or more")

    def draw(self, random: Random) -> int:
        """Draw one token count."""
        return random.choice(self.of)


Lengths = Lognormal | Choice


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine: how long a step takes, and what bounds a batch. Limits carry vLLM's names."""

    model: str
    max_model_len: int
    base_ms: float
    """A step costs this ..."""
    per_sequence_ms: float
    """... and this for each sequence that decodes in it ..."""
    per_prompt_token_ms: float
    """... and this for each prompt token that is computed in it."""
    noise: float = 0.0
    """Standard deviation of the logarithm of a step's time; 0 makes every step cost exactly what its batch costs."""
    max_num_seqs: int
    max_num_batched_tokens: int
    num_gpu_blocks: int
    block_size: int = 16
    enable_prefix_caching: bool = True
    max_num_queued_reqs: int | None = None
    """Requests beyond so many waiting ones are refused; None queues without a limit, as vLLM does unless told."""

    def __post_init__(self) -> None:
        positive = ("base_ms", "max_model_len", "max_num_seqs", "block_size")
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be above 0")
        if min(self.per_sequence_ms, self.per_prompt_token_ms, self.noise) < 0:
            raise ValueError("per_sequence_ms, per_prompt_token_ms and noise must not be below 0")
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                "max_num_batched_tokens must be at least max_num_seqs: every sequence decodes in every step"
            )
        # Otherwise one long sequence could never finish: it would be preempted for want of blocks, alone, for ever.
        if (self.num_gpu_blocks - 1) * self.block_size < self.max_model_len:
            raise ValueError("num_gpu_blocks must hold one sequence of max_model_len tokens, and one block more")


class Workload(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The requests that arrive, independent of one another (Poisson)."""

    requests_per_second: float
    prompt_tokens: Lengths
    """Of the part of a prompt that no other request shares."""
    output_tokens: Lengths
    max_tokens: int
    """What every request asks for at most: a longer output is cut here and ends with reason `length`, else `stop`."""
    shared_prefixes: int = 0
    """So many system prompts are in use, each as likely as the others ..."""
    shared_prefix_tokens: int = 0
    """... each so long ..."""
    shared_prefix_share: float = 0.0
    """... and this share of all requests begins with one of them."""

    def __post_init__(self) -> None:
        if self.requests_per_second < 0:
            raise ValueError("requests_per_second must not be below 0")
        if not 0 <= self.shared_prefix_share <= 1:
            raise ValueError("shared_prefix_share must lie between 0 and 1")
        if self.shared_prefix_share > 0 and self.shared_prefixes < 1:
            raise ValueError("shared_prefix_share above 0 needs shared_prefixes of at least 1")
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")


class GpuConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The GPUs: the first `tensor_parallel` of them serve the model in lockstep, the others idle."""

    count: int
    tensor_parallel: int
    memory_used_gib: float
    """On each GPU that serves: weights, the KV cache that is set aside at the start, and the rest."""

    def __post_init__(self) -> None:
        if not 1 <= self.tensor_parallel <= self.count:
            raise ValueError("tensor_parallel must lie between 1 and count")


class LoadChange(Struct, frozen=True, forbid_unknown_fields=True, tag="load", tag_field="kind"):
    """From `at` on, arrivals come at `multiplier` times the workload's rate, reached in a ramp of `over` seconds."""

    at: float
    multiplier: float
    over: float = 0.0


class Freeze(Struct, frozen=True, forbid_unknown_fields=True, tag="freeze", tag_field="kind"):
    """The engine makes no step for so long, while HTTP goes on answering with the numbers of the last one."""

    at: float
    seconds: float


class Restart(Struct, frozen=True, forbid_unknown_fields=True, tag="restart", tag_field="kind"):
    """The server process dies and is back after so long, with empty counters and an empty cache."""

    at: float
    seconds: float


class CoolingLoss(Struct, frozen=True, forbid_unknown_fields=True, tag="cooling_loss", tag_field="kind"):
    """From `at` on, one GPU heats `factor` times as far above its surroundings as it should."""

    at: float
    gpu: int
    factor: float


Fault = LoadChange | Freeze | Restart | CoolingLoss


class ExpectedRisk(Struct, frozen=True, forbid_unknown_fields=True):
    """A risk that a monitor should see, and from when its cause is there."""

    id: str
    since: float = field(name="from")


class Truth(Struct, frozen=True, forbid_unknown_fields=True):
    """What is really wrong: what the rules are measured against."""

    risks: tuple[ExpectedRisk, ...] = ()
    advice: tuple[str, ...] = ()
    """Ids of recommendations that would help."""


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    name: str
    title: str
    """One line: what happens."""
    warm_up_seconds: float = 60.0
    engine: EngineConfig
    workload: Workload
    gpus: GpuConfig
    faults: tuple[Fault, ...] = ()
    truth: Truth = field(default_factory=Truth)

    def __post_init__(self) -> None:
        if self.warm_up_seconds < 0:
            raise ValueError("warm_up_seconds must not be below 0")
        if self.workload.shared_prefix_tokens + 2 > self.engine.max_model_len:
            raise ValueError("shared_prefix_tokens leaves no room for a prompt and an answer within max_model_len")
        for fault in self.faults:
            if fault.at < 0:
                raise ValueError(f"a fault at {fault.at} s lies in the warm-up, which nobody sees")
            if isinstance(fault, CoolingLoss) and not 0 <= fault.gpu < self.gpus.count:
                raise ValueError(f"cooling_loss names GPU {fault.gpu}, there are {self.gpus.count}")


def names() -> tuple[str, ...]:
    """Name the scenarios that come with the program."""
    return tuple(
        sorted(each.name.removesuffix(".toml") for each in _bundled().iterdir() if each.name.endswith(".toml"))
    )


def load(name_or_path: str) -> Scenario:
    """Read a scenario that comes with the program, by its name, or any other by the path of its file.

    Raises ScenarioError where there is none or where it cannot be used.
    """
    if name_or_path in names():
        return parse(
            _bundled().joinpath(f"{name_or_path}.toml").read_text("utf-8"), f"{name_or_path}.toml", name_or_path
        )
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise ScenarioError(
            f"no scenario {name_or_path!r}: give one of {', '.join(names())}, or the path of a .toml file"
        )
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"{path}: cannot be read: {reason}") from None
    return parse(text, str(path), path.stem)


def parse(text: str, file: str, name: str) -> Scenario:
    """Read a scenario from TOML text; `file` is what an error calls it. Raises ScenarioError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{file}: no valid TOML: {error}") from None
    try:
        return msgspec.convert({"name": name, **document}, Scenario, strict=True)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        raise ScenarioError(f"{file}: {key}: {reason}" if key else f"{file}: {reason}") from None


def _bundled() -> resources.abc.Traversable:
    return resources.files("simulator").joinpath("scenarios")

"""A scenario: a server, its load, its GPUs, and what goes wrong when, as a TOML file says it.

Times are seconds from the moment at which the simulated server is first looked at; `warm_up_seconds` of engine time
lie before it, so that the first page already shows a server at work.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
from msgspec import Struct, field

from simulator.faults import OF_GPU, Fault
from simulator.lengths import Lengths
from simulator.scenario_text import TextError, line_of, read


class ScenarioError(Exception):
    """A scenario that cannot be used: one line with the file, the key and the reason."""


class Speculation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Speculative decoding: a draft of so many tokens, each accepted with a chance if the one before it was."""

    tokens: int
    acceptance: float
    draft_ms: float
    """What drafting adds to a step."""

    def __post_init__(self) -> None:
        if self.tokens < 1 or not 0 <= self.acceptance <= 1 or self.draft_ms < 0:
            raise ValueError("speculation needs tokens of at least 1, acceptance from 0 to 1, draft_ms of at least 0")

    @property
    def accepted(self) -> float:
        """Tokens of a draft that are accepted, on average: p + p^2 + ... + p^tokens."""
        return sum(self.acceptance**position for position in range(1, self.tokens + 1))


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
    """Requests beyond so many that wait and run are refused; None queues without a limit, as vLLM does unless told."""
    speculation: Speculation | None = None
    replica_shares: tuple[float, ...] = (1.0,)
    """So many engines stand behind one address (data parallel), and each gets this share of the requests."""

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
        if not self.replica_shares or min(self.replica_shares) < 0 or abs(sum(self.replica_shares) - 1) > 1e-6:
            raise ValueError("replica_shares must be shares that add up to 1")
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
    """The GPUs: groups of `tensor_parallel`, each in lockstep under one engine; those that are left idle."""

    count: int
    tensor_parallel: int
    memory_used_gib: float
    """On each GPU that serves: weights, the KV cache that is set aside at the start, and the rest."""

    def __post_init__(self) -> None:
        if not 1 <= self.tensor_parallel <= self.count:
            raise ValueError("tensor_parallel must lie between 1 and count")


class ExpectedRisk(Struct, frozen=True, forbid_unknown_fields=True):
    """A risk that a monitor should see, or may, and from when its cause is there."""

    id: str
    since: float = field(name="from")


class Truth(Struct, frozen=True, forbid_unknown_fields=True):
    """What is really wrong: what the rules are measured against."""

    risks: tuple[ExpectedRisk, ...] = ()
    """What has to be found. Anything that fires before its time, or is named neither here nor in `also`, is false."""
    also: tuple[ExpectedRisk, ...] = ()
    """What is true as well, a consequence most often, and may be found or not."""
    advice: tuple[str, ...] = ()
    """Ids of recommendations that would help."""
    watch_seconds: float = 90.0
    """For so long it is watched, from second 0 on."""
    poll_seconds: float = 1.0
    """From poll to poll; a day is watched in coarser steps."""

    def __post_init__(self) -> None:
        if self.poll_seconds <= 0 or self.watch_seconds <= 0:
            raise ValueError("watch_seconds and poll_seconds must be above 0")
        late = [each.id for each in (*self.risks, *self.also) if each.since >= self.watch_seconds]
        if late:
            raise ValueError(f"{late[0]} is there only after watch_seconds, when nobody watches any more")


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
        if self.gpus.tensor_parallel * len(self.engine.replica_shares) > self.gpus.count:
            raise ValueError("there are not tensor_parallel GPUs for each of replica_shares")
        for fault in self.faults:
            if isinstance(fault, OF_GPU) and not 0 <= fault.gpu < self.gpus.count:
                raise ValueError(f"a fault names GPU {fault.gpu}, there are {self.gpus.count}")


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
        return parse(_bundled_text(name_or_path), f"{name_or_path}.toml", name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise ScenarioError(f"{_unknown(name_or_path)}, or the path of a .toml file")
    return parse(_text(path), str(path), path.stem, path.parent)


def parse(text: str, file: str, name: str, folder: Path | None = None) -> Scenario:
    """Read a scenario from TOML text; `file` is what an error calls it. Raises ScenarioError.

    Its base is a scenario that comes with the program, or a file in `folder`, where there is one.
    """

    def base_text(base: str) -> str:
        if base in names():
            return _bundled_text(base)
        if folder is None or not base.endswith(".toml"):
            raise TextError(f"base: {_unknown(base)}{', or a .toml file' if folder else ''}")
        return _text(folder / base)

    try:
        document = read(text, base_text)
    except TextError as error:
        raise ScenarioError(f"{file}: {error}") from None
    try:
        return msgspec.convert({"name": name, **document}, Scenario, strict=True)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        key = where.rstrip("`").lstrip(".")
        line = line_of(text, key) if key else None
        at = f" (at line {line})" if line is not None else ""
        raise ScenarioError(f"{file}: {key}: {reason}{at}" if key else f"{file}: {reason}") from None


def _unknown(name: str) -> str:
    return f"no scenario {name!r}: give one of {', '.join(names())}"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError(f"{path}: cannot be read: {reason}") from None


def _bundled_text(name: str) -> str:
    return _bundled().joinpath(f"{name}.toml").read_text("utf-8")


def _bundled() -> resources.abc.Traversable:
    return resources.files("simulator").joinpath("scenarios")

"""A scenario: a server, its load, its GPUs, and what goes wrong when, as a TOML file says it.

Times are seconds from the moment at which the simulated server is first looked at; `warm_up_seconds` of engine time
lie before it, so that the first page already shows a server at work.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from simulator.faults import OF_GPU, Fault, Neighbour, Shift
from simulator.lengths import Lengths
from simulator.ranges import Few, Gib, Milliseconds, Rate, Seconds, Share, SomeTokens, Tokens
from simulator.scenario_text import TextError, line_of, read, said


class ScenarioError(Exception):
    """A scenario that cannot be used: one line with the file, the key and the reason."""


class Speculation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Speculative decoding: a draft of so many tokens, each accepted with a chance if the one before it was."""

    tokens: Few
    acceptance: Share
    draft_ms: Milliseconds
    """What drafting adds to a step."""

    @property
    def accepted(self) -> float:
        """Tokens of a draft that are accepted, on average: p + p^2 + ... + p^tokens."""
        return sum(self.acceptance**position for position in range(1, self.tokens + 1))


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The engine: how long a step takes, and what bounds a batch. Limits carry vLLM's names."""

    model: str
    max_model_len: Tokens
    base_ms: Annotated[float, Meta(gt=0, le=1e6)]
    """A step costs this ..."""
    per_sequence_ms: Milliseconds
    """... and this for each sequence that decodes in it ..."""
    per_prompt_token_ms: Milliseconds
    """... and this for each prompt token that is computed in it."""
    noise: Annotated[float, Meta(ge=0, le=2)] = 0.0
    """Standard deviation of the logarithm of a step's time; 0 makes every step cost exactly what its batch costs."""
    max_num_seqs: Few
    max_num_batched_tokens: Tokens
    num_gpu_blocks: Tokens
    block_size: Annotated[int, Meta(ge=1, le=65_536)] = 16
    enable_prefix_caching: bool = True
    max_num_queued_reqs: Annotated[int, Meta(ge=0)] | None = None
    """Requests beyond so many that wait and run are refused; None queues without a limit, as vLLM does unless told."""
    speculation: Speculation | None = None
    replica_shares: Annotated[tuple[Share, ...], Meta(min_length=1, max_length=1000)] = (1.0,)
    """So many engines stand behind one address (data parallel), and each gets this share of the requests."""

    def __post_init__(self) -> None:
        if self.max_num_batched_tokens < self.max_num_seqs:
            raise ValueError(
                "max_num_batched_tokens must be at least max_num_seqs: every sequence decodes in every step"
            )
        if abs(sum(self.replica_shares) - 1) > 1e-6:
            raise ValueError(f"replica_shares must add up to 1, and add up to {sum(self.replica_shares):g}")
        # Otherwise one long sequence could never finish: it would be preempted for want of blocks, alone, for ever.
        if (self.num_gpu_blocks - 1) * self.block_size < self.max_model_len:
            raise ValueError("num_gpu_blocks must hold one sequence of max_model_len tokens, and one block more")


class Workload(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The requests that arrive, independent of one another (Poisson)."""

    requests_per_second: Rate
    prompt_tokens: Lengths
    """Of the part of a prompt that no other request shares."""
    output_tokens: Lengths
    max_tokens: Tokens
    """What every request asks for at most: a longer output is cut here and ends with reason `length`, else `stop`."""
    shared_prefixes: SomeTokens = 0
    """So many system prompts are in use, each as likely as the others ..."""
    shared_prefix_tokens: SomeTokens = 0
    """... each so long ..."""
    shared_prefix_share: Share = 0.0
    """... and this share of all requests begins with one of them."""

    def __post_init__(self) -> None:
        if self.shared_prefix_share > 0 and self.shared_prefixes < 1:
            raise ValueError("shared_prefix_share above 0 needs shared_prefixes of at least 1")


class GpuConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The GPUs: groups of `tensor_parallel`, each in lockstep under one engine; those that are left idle."""

    count: Annotated[int, Meta(ge=1, le=1000)]
    tensor_parallel: Annotated[int, Meta(ge=1, le=1000)]
    memory_used_gib: Gib
    """On each GPU that serves: weights, the KV cache that is set aside at the start, and the rest."""

    def __post_init__(self) -> None:
        if self.tensor_parallel > self.count:
            raise ValueError(f"tensor_parallel is {self.tensor_parallel}, above count, which is {self.count}")


class ExpectedRisk(Struct, frozen=True, forbid_unknown_fields=True):
    """A risk that a monitor should see, or may, and from when its cause is there."""

    id: str
    since: Seconds = field(name="from")


class Truth(Struct, frozen=True, forbid_unknown_fields=True):
    """What is really wrong: what the rules are measured against."""

    risks: tuple[ExpectedRisk, ...] = ()
    """What has to be found. Anything that fires before its time, or is named neither here nor in `also`, is false."""
    also: tuple[ExpectedRisk, ...] = ()
    """What is true as well, a consequence most often, and may be found or not."""
    advice: tuple[str, ...] = ()
    """Ids of recommendations that would help."""
    watch_seconds: Annotated[float, Meta(gt=0, le=1e7)] = 90.0
    """For so long it is watched, from second 0 on."""
    poll_seconds: Annotated[float, Meta(ge=0.01, le=3600)] = 1.0
    """From poll to poll; a day is watched in coarser steps."""

    def __post_init__(self) -> None:
        late = [each.id for each in (*self.risks, *self.also) if each.since >= self.watch_seconds]
        if late:
            raise ValueError(f"{late[0]} is there only after watch_seconds, when nobody watches any more")


class Scenario(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of it."""

    name: str
    title: str
    """One line: what happens."""
    warm_up_seconds: Seconds = 60.0
    engine: EngineConfig
    workload: Workload
    gpus: GpuConfig
    faults: tuple[Fault, ...] = ()
    truth: Truth = field(default_factory=Truth)

    def __post_init__(self) -> None:
        if self.workload.shared_prefix_tokens + 2 > self.engine.max_model_len:
            raise ValueError("workload.shared_prefix_tokens: no room for a prompt and an answer within max_model_len")
        serving = self.gpus.tensor_parallel * len(self.engine.replica_shares)
        if serving > self.gpus.count:
            raise ValueError(f"gpus.count: is {self.gpus.count}, and replica_shares of tensor_parallel take {serving}")
        for number, fault in enumerate(self.faults):
            self._check(f"faults[{number}]", fault)

    def _check(self, key: str, fault: Fault) -> None:
        if isinstance(fault, OF_GPU) and not 0 <= fault.gpu < self.gpus.count:
            raise ValueError(f"{key}.gpu: there is no GPU {fault.gpu}, there are {self.gpus.count}")
        if isinstance(fault, Shift) and fault.shared_prefix_share and not self.workload.shared_prefixes:
            raise ValueError(f"{key}.shared_prefix_share: above 0 needs shared_prefixes of at least 1 in the workload")
        if isinstance(fault, Neighbour):
            others = [each for each in self.faults if isinstance(each, Neighbour) and each.gpu == fault.gpu]
            taken = sum(each.share for each in others if each.there(fault.at))
            if taken >= 1:
                raise ValueError(f"{key}.share: those of the neighbours on GPU {fault.gpu} add up to {taken:g}")


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
            raise TextError(f"base: {_unknown(base)}{', or a .toml file' if folder else ''}", line_of(text, "base"))
        try:
            return _text(folder / base)
        except ScenarioError as error:
            raise TextError(f"base: {error}", line_of(text, "base")) from None

    try:
        document = read(text, base_text)
    except TextError as error:
        raise ScenarioError(f"{_at(file, error.line)}: {error}") from None
    try:
        return msgspec.convert({"name": name, **document}, Scenario, strict=True)
    except msgspec.ValidationError as error:
        key, reason = said(str(error), document)
        line = line_of(text, key) if key else None
        raise ScenarioError(f"{_at(file, line)}: {f'{key}: ' if key else ''}{reason}") from None


def _at(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def _unknown(name: str) -> str:
    if near := get_close_matches(name, names(), 1):
        return f"no scenario {name!r}; did you mean {near[0]!r}? Else give one of {', '.join(names())}"
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

"""What a piece of advice is: a way to answer findings, with what to type on each kind of server."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from metrics.finding import Risk

ANY = ""
"""Stands for whatever server it is."""
OTHERS = "*"
"""Stands for servers that are not named."""
NOT_SET = "not set (default)"
"""The value in force where the command line is seen and the flag is not on it."""
CHECK = "check the flags against --help of this version"
KINDS = (
    "caching",
    "horizontal scaling",
    "dynamic scaling",
    "preprocessing",
    "quality assurance",
    "fine-tuning",
    "warm-up",
    "parallelisation",
    "engine parameters",
    "batching",
    "dynamic allocation",
    "KV cache",
    "chunked prefill",
    "speculation",
    "quantisation",
    "admission control",
    "power and thermal",
    "load balancing",
    "repair",
)
"""The classes of advice."""


class Action(Struct, frozen=True):
    """One thing to do."""

    text: str
    """What to do; beside a flag what that does."""
    flag: str = ""
    """As it is typed; without dashes it is a key of the file with options (TensorRT-LLM)."""
    now: str = ""
    """Facts and gauges that tell the value in force, the best first: `cache_dtype flag_kv_cache_dtype`."""
    then: str = ""
    """The value proposed: `fp8`, `higher`; `{name}` is taken from what the estimate worked out."""
    vague: str = ""
    """What is proposed where no such value could be worked out; empty where no word says it."""
    shared_by: str = ""
    """Fact that tells how many engines have such a value each, where the one worked out is that of all together."""
    times: str = ""
    """Fact by which the value worked out is multiplied: that many there are in what is one for the estimate."""
    restart: bool = False
    """It takes a restart of the server."""
    informs: bool = False
    """It only lets something be seen: the server does what it did."""
    done: tuple[str, ...] = ()
    """Values of `now` with which it has been done already; `NOT_SET` where it is so by default."""
    not_with: str = ""
    """Id of a finding on the same server that it would make worse."""

    @property
    def to_be_worked_out(self) -> bool:
        """Tell whether the value proposed is one that an estimate gives."""
        return "{" in self.then


class Advice(Struct, frozen=True, kw_only=True):
    """One way to answer findings."""

    id: str
    title: str
    kind: str
    """One of `KINDS`."""
    rules: tuple[str, ...]
    """Ids of the rules that it answers."""
    actions: Mapping[str, tuple[Action, ...]]
    """By engine, or those of `OTHERS`; those of `ANY` come behind them."""
    for_finding: Callable[[Risk, tuple[Action, ...]], tuple[Action, ...]] | None = None
    """Says the actions in the finding's own numbers: which XID it was, who the neighbour is."""
    relieves: tuple[str, ...] = ()
    """The limits of a server that it lifts: `slots`, `kv_cache`, `objective`, `measured` (whatever it is)."""
    cost: str = ""
    """What it takes: hardware, memory, another latency; empty where nothing but the doing."""
    harm: str = ""
    """What may get worse by it."""
    disproved_by: str
    """What would show, after it is done, that it was wrong."""
    because: str
    """What would have to be measured to say what it brings, where nothing is worked out."""

    def offered(self, engine: str | None, risk: Risk | None = None) -> tuple[Action, ...]:
        """List what can be done on a server of this kind (None: not known), about this finding where one is given."""
        usual = (*self.actions.get(engine or OTHERS, self.actions.get(OTHERS, ())), *self.actions.get(ANY, ()))
        return usual if risk is None or self.for_finding is None else self.for_finding(risk, usual)

"""What secrets, hosts, addresses, paths and users look like in a text, and which words look so and are none."""

from __future__ import annotations

import re

HIDDEN = "[redacted]"
PUBLIC = frozenset(
    (
        *("localhost", "root", "nobody", "daemon", "system", "ubuntu", "debian", "centos", "admin", "user", "users"),
        *("docker", "kubernetes", "server", "servers", "host", "node", "worker", "gateway", "gpu", "gpus", "cpu"),
        *("model", "models", "engine", "vllm", "sglang", "llama", "llamacpp", "ollama", "triton", "tgi", "lmdeploy"),
        *("trtllm", "nim", "dynamo", "ray", "litellm", "openai", "python", "prometheus", "nvidia", "cuda", "probe"),
        *("true", "false", "none", "auto", "simulated", "unknown", "host-network", "the"),
    )
)
"""Names of hosts and users that tell nobody apart: products, system accounts, and words that reports are made of."""
PROGRAMS = re.compile(
    r"(?:python[\d.]*|vllm|VLLM::[\w:.-]+|sglang(?:::[\w:.-]+)?|llama-server|ollama(?:_llama_server)?|tritonserver"
    r"|trtllm-\w+|text-generation-\w+|lmdeploy|ray(?:::[\w:.-]+)?|raylet|mpirun|torchrun|Xorg|nvidia-[\w-]+|dcgm[\w-]*)"
)
"""Names of processes that are those of products; any other may be the name of somebody's work."""
STAND_IN = re.compile(r"(?:host|addr|user|process|id)-\d+|server [A-Z]+|~|\[redacted\]")
_OPEN = r"""\\?["']?\s*"""
"""What stands between a key and its `=` or `:` where both are quoted, as in JSON and in a dict of Python."""
_VALUE = r"""(?:\[redacted\]|"[^"]*"|'[^']*'|\\?["']?[^\s"'&,;]+)"""
SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)(?=\S*[\d_.=+/-])[\w.~+/=-]{6,}"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(?i)((?<![\w-])--(?:[\w-]+-)?(?:api-key|token|password|secret)[ =])\S+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            rf"(?i)\b(authorization{_OPEN}[:=]\s*(?:\\?[\"']?(?:bearer|basic|digest|negotiate|token)\s+)?){_VALUE}"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            rf"(?i)((?<![A-Za-z])(?:set-)?cookies?{_OPEN}[:=]\s*)"
            r"""(?:\[redacted\]|"[^"]*"|'[^']*'|[^\s"',;]+(?:;\s*[^\s=;]+=[^\s;]*)*)"""
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"(?i)((?<![\w-])(?:[\w-]*[\d_-])?(?:api[_-]?key|key|token|secret|password|passwd|pwd|signature|sig)"
            rf"{_OPEN}=\s*){_VALUE}"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        # Not `a token: 20 ms` nor `wants a token: --token-env NAME`, which are sentences of ours.
        re.compile(
            r"(?i)((?<![\w-])(?:[\w-]*[\d_-])?(?:api[_-]?key|token|secret|password|passwd|pwd)"
            rf"{_OPEN}:\s*)(?!--|[~<>]?\d[\d.-]*\s?(?:[mµ]?s|%)(?!\w)){_VALUE}"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(
            r"\b(?:(?:sk|pk|rk|nvapi|glpat|xox[abprs])-[\w-]{10,}|(?:hf|gh[pousr]|github_pat)_\w{10,}|AKIA[0-9A-Z]{12,}"
            r"|AIza[\w-]{20,}|eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?)"
        ),
        HIDDEN,
    ),
    (re.compile(r"(?<![\w/+])(?=[\w+/]*\d)(?=[\w+/]*[a-z])(?=[\w+/]*[A-Z])[A-Za-z0-9+/]{32,}={0,2}(?!\w)"), HIDDEN),
    (re.compile(r"\b(?:[0-9a-f]{32,}|[0-9A-F]{32,})\b"), HIDDEN),
)
URL = re.compile(
    r"""\b([A-Za-z][A-Za-z0-9+.-]*)://((?:[^\s/?#"'<>(),;|\[\]]+|\[[0-9A-Fa-f:.%\w]+\])+)?([^\s"'<>|),;]*)"""
)
WEB = re.compile(r"(?:[a-z]+\+)?(?:https?|wss?|grpcs?|tcp)", re.IGNORECASE)
EMAIL = re.compile(r"(?<![\w.+@-])([\w.+-]*\w)@((?:[\w-]+\.)*[\w-]*\w)")
UUID = re.compile(r"\b(?:GPU-|MIG-)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")
WINDOWS = re.compile(r"""(?:(?<!\w)[A-Za-z]:\\|\\\\)(?:[^\\"'<>|\n]+\\)*([^\\\s"'<>|]*)""")
_BLANK = r"(?:\x20[\w.@%+-]+){1,2}(?=/(?!(?:s|min|h|J|or)\b)[\w.])"
"""The rest of a part of a path that has blanks in it: a `/` comes behind it, and not that of `tokens/s` or `and/or`."""
PATH = re.compile(
    rf"(?<![\w.~/<])(?:~\w*|\.{{1,2}})?(?:/[\w.@%+~:=-]*[\w@%+~=-](?:{_BLANK})?){{2,}}/?|(?<![\w.~/<])~\w*/[\w.@%+=-]*\w"
)
QUOTED_PATH = re.compile(r"""(["'])(~?\w*(?:/[^"'/\n]+){2,}/?)\1""")
HOME = re.compile(r"(?:(?:/export)?/home|/Users)/[^/]+/?|/root/?|~\w*/?")
OPEN_PATH = re.compile(r"/(?:v\d+|api|metrics|health|prometheus|proc|sys|dev)(?:/|$)")
"""Paths of interfaces and of the kernel: the same everywhere."""
RELATIVE = re.compile(r"(?:^|(?<==))(?:[\w.@%+~-]+/){2,}([\w.@%+~-]+)/?$")
MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:\d{1,3}(?:\.\d{1,3}){3})?(?:%\w+)?(?![\w:])"
)
HOST = re.compile(r"(?<![\w.@/-])((?:[^\W_](?:(?:[^\W_]|-)*[^\W_])?\.)+)([^\W\d_]{2,})(?![\w-]|\.\w)")
WITH_PORT = re.compile(
    r"(?<![\w.:-])(?<!server )(?!\d{4}-\d\d-)(?=[\d-]*[^\W\d])(?P<name>\w(?:[\w-]*\w)?):(?P<port>\d{2,5})(?!\w|[.:]\w)"
)
NO_HOSTS = frozenset(
    (
        *("port", "line", "row", "column", "status", "code", "exit", "error", "errno", "http", "id", "pid", "tid"),
        *("rank", "step", "seed", "xid", "time", "token", "tokens", "request", "requests"),
    )
)
"""What has a number behind its colon that is no port."""
ENDINGS = frozenset(
    (
        *("com", "net", "org", "io", "ai", "dev", "cloud", "app", "edu", "gov", "info", "local", "localdomain", "lan"),
        *("internal", "intranet", "intra", "corp", "home", "arpa", "example", "test", "invalid", "cluster", "svc"),
        *("de", "uk", "fr", "eu", "us", "ch", "at", "nl", "be", "se", "no", "fi", "dk", "pl", "it", "es", "cz", "ca"),
        *("cn", "jp", "kr", "tw", "hk", "sg", "in", "au", "nz", "br", "mx", "il", "tr", "ru", "ua", "za"),
    )
)
"""What a name of two parts has to end in to be that of a host; one of three or more only must not be a file."""
FILES = frozenset(
    (
        *("so", "py", "sh", "md", "rs", "js", "ts", "cc", "cpp", "cu", "go", "txt", "log", "json", "jsonl", "toml"),
        *("yaml", "yml", "gguf", "bin", "pt", "pth", "safetensors", "engine", "plan", "onnx", "rec", "csv", "html"),
        *("tar", "gz", "xz", "zip", "conf", "cfg", "service", "dll", "exe", "jinja"),
    )
)
LABEL = re.compile(
    r"""(?<![\w-])(?P<label>user|username|owner|account|tenant|namespace|host|hostname|node|pod|instance|client)"""
    r"""(?P<sign>\\?["']?\s*=\s*|\\?["']?\s*:\s*(?=\\?["']|[^\s,;"']*[\d.-]|[^\s,;"']+\s*(?:$|[,;)}\]]))|\s+(?=\\?["']))"""
    r"""(?P<quote>\\?["'])?(?P<value>(?(quote)[^"'\\]+|[^\s,;"')}]+))"""
)
"""`user=x`, `"user": "x"`, `user "x"`, and `user: x` at the end of a phrase: otherwise it may be a sentence."""
OURS = re.compile(r"(?:\w+_)?p\d{2,3}|load\d+|(?:bf|fp|int)\d+", re.IGNORECASE)
"""Words of ours with a digit in them, which a user or a host may be called as well."""
WHOSE = frozenset(("user", "username", "owner", "account", "tenant", "namespace", "client"))

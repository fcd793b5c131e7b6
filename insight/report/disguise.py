"""Stand-ins for what tells where and whose something is: the same for the same thing throughout a report.

What is known to be a host or a user is replaced wherever it stands; what only looks like an address, a path or a secret
is replaced by its form. Where a form cannot be told from something harmless (a version of four parts is also an
address), the harmless is given up: what was lost can be asked for, what was told cannot be taken back.
"""

from __future__ import annotations

import re
from collections import Counter
from ipaddress import ip_address
from urllib.parse import urlsplit

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
_PROGRAMS = re.compile(
    r"(?:python[\d.]*|vllm|VLLM::[\w:.-]+|sglang(?:::[\w:.-]+)?|llama-server|ollama(?:_llama_server)?|tritonserver"
    r"|trtllm-\w+|text-generation-\w+|lmdeploy|ray(?:::[\w:.-]+)?|raylet|mpirun|torchrun|Xorg|nvidia-[\w-]+|dcgm[\w-]*)"
)
"""Names of processes that are those of products; any other may be the name of somebody's work."""
_STAND_IN = re.compile(r"(?:host|addr|user|process|id)-\d+|server [A-Z]+|~|\[redacted\]")
_OPEN = r"""\\?["']?\s*"""
"""What stands between a key and its `=` or `:` where both are quoted, as in JSON and in a dict of Python."""
_VALUE = r"""(?:\[redacted\]|"[^"]*"|'[^']*'|\\?["']?[^\s"'&,;]+)"""
_SECRETS = (
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
_URL = re.compile(
    r"""\b([A-Za-z][A-Za-z0-9+.-]*)://((?:[^\s/?#"'<>(),;|\[\]]+|\[[0-9A-Fa-f:.%\w]+\])+)?([^\s"'<>|),;]*)"""
)
_WEB = re.compile(r"(?:[a-z]+\+)?(?:https?|wss?|grpcs?|tcp)", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+@-])([\w.+-]*\w)@((?:[\w-]+\.)*[\w-]*\w)")
_UUID = re.compile(r"\b(?:GPU-|MIG-)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")
_WINDOWS = re.compile(r"""(?:(?<!\w)[A-Za-z]:\\|\\\\)(?:[^\\"'<>|\n]+\\)*([^\\\s"'<>|]*)""")
_BLANK = r"(?:\x20[\w.@%+-]+){1,2}(?=/(?!(?:s|min|h|J|or)\b)[\w.])"
"""The rest of a part of a path that has blanks in it: a `/` comes behind it, and not that of `tokens/s` or `and/or`."""
_PATH = re.compile(
    rf"(?<![\w.~/<])(?:~\w*|\.{{1,2}})?(?:/[\w.@%+~:=-]*[\w@%+~=-](?:{_BLANK})?){{2,}}/?|(?<![\w.~/<])~\w*/[\w.@%+=-]*\w"
)
_QUOTED_PATH = re.compile(r"""(["'])(~?\w*(?:/[^"'/\n]+){2,}/?)\1""")
_HOME = re.compile(r"(?:(?:/export)?/home|/Users)/[^/]+/?|/root/?|~\w*/?")
_OPEN_PATH = re.compile(r"/(?:v\d+|api|metrics|health|prometheus|proc|sys|dev)(?:/|$)")
"""Paths of interfaces and of the kernel: the same everywhere."""
_RELATIVE = re.compile(r"(?:^|(?<==))(?:[\w.@%+~-]+/){2,}([\w.@%+~-]+)/?$")
_MAC = re.compile(r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?:\d{1,3}(?:\.\d{1,3}){3})?(?:%\w+)?(?![\w:])"
)
_HOST = re.compile(r"(?<![\w.@/-])((?:[^\W_](?:(?:[^\W_]|-)*[^\W_])?\.)+)([^\W\d_]{2,})(?![\w-]|\.\w)")
_WITH_PORT = re.compile(
    r"(?<![\w.:-])(?<!server )(?!\d{4}-\d\d-)(?=[\d-]*[^\W\d])(?P<name>\w(?:[\w-]*\w)?):(?P<port>\d{2,5})(?!\w|[.:]\w)"
)
_NO_HOSTS = frozenset(
    (
        *("port", "line", "row", "column", "status", "code", "exit", "error", "errno", "http", "id", "pid", "tid"),
        *("rank", "step", "seed", "xid", "time", "token", "tokens", "request", "requests"),
    )
)
"""What has a number behind its colon that is no port."""
_ENDINGS = frozenset(
    (
        *("com", "net", "org", "io", "ai", "dev", "cloud", "app", "edu", "gov", "info", "local", "localdomain", "lan"),
        *("internal", "intranet", "intra", "corp", "home", "arpa", "example", "test", "invalid", "cluster", "svc"),
        *("de", "uk", "fr", "eu", "us", "ch", "at", "nl", "be", "se", "no", "fi", "dk", "pl", "it", "es", "cz", "ca"),
        *("cn", "jp", "kr", "tw", "hk", "sg", "in", "au", "nz", "br", "mx", "il", "tr", "ru", "ua", "za"),
    )
)
"""What a name of two parts has to end in to be that of a host; one of three or more only must not be a file."""
_FILES = frozenset(
    (
        *("so", "py", "sh", "md", "rs", "js", "ts", "cc", "cpp", "cu", "go", "txt", "log", "json", "jsonl", "toml"),
        *("yaml", "yml", "gguf", "bin", "pt", "pth", "safetensors", "engine", "plan", "onnx", "rec", "csv", "html"),
        *("tar", "gz", "xz", "zip", "conf", "cfg", "service", "dll", "exe", "jinja"),
    )
)
_LABEL = re.compile(
    r"""(?<![\w-])(?P<label>user|username|owner|account|tenant|namespace|host|hostname|node|pod|instance|client)"""
    r"""(?P<sign>\\?["']?\s*=\s*|\\?["']?\s*:\s*(?=\\?["']|[^\s,;"']*[\d.-]|[^\s,;"']+\s*(?:$|[,;)}\]]))|\s+(?=\\?["']))"""
    r"""(?P<quote>\\?["'])?(?P<value>(?(quote)[^"'\\]+|[^\s,;"')}]+))"""
)
"""`user=x`, `"user": "x"`, `user "x"`, and `user: x` at the end of a phrase: otherwise it may be a sentence."""
_OURS = re.compile(r"(?:\w+_)?p\d{2,3}|load\d+|(?:bf|fp|int)\d+", re.IGNORECASE)
"""Words of ours with a digit in them, which a user or a host may be called as well."""
_WHOSE = frozenset(("user", "username", "owner", "account", "tenant", "namespace", "client"))


class Disguise:
    """Remembers who got which stand-in; they are numbered in the order in which they are first met."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        """By what is replaced wherever it stands as a word, in lower case."""
        self._numbers: Counter[str] = Counter()
        self._words: re.Pattern[str] | None = None
        self._done: dict[str, str] = {}

    def name(self, real: str, stand_in: str) -> None:
        """Replace a text wherever it stands by this."""
        if real and not _STAND_IN.fullmatch(real):
            self._given.setdefault(real.lower(), stand_in)
            self._words = None

    def host(self, real: str, *, everywhere: bool = True) -> str:
        """Give the stand-in of a host, by its name or address. `everywhere`: also where it stands as a bare word."""
        real = real.strip("[]").rstrip(".")
        if _STAND_IN.fullmatch(real):
            return real
        try:
            address = ip_address(real.partition("%")[0])
        except ValueError:
            pass
        else:
            return real if address.is_loopback or address.is_unspecified else self._stand_in("addr", real)
        if real.lower() in PUBLIC or not real:
            return real
        stand_in = self._stand_in("host", real)
        if everywhere or _tells(real):
            self.name(real, stand_in)
            label = real.partition(".")[0]
            if re.search(r"[\d-]", label) and not label.isdigit():
                self.name(label, stand_in)
        return stand_in

    def user(self, real: str, *, everywhere: bool = True) -> str:
        """Give the stand-in of a user. `everywhere`: also where the name stands as a bare word that could be any."""
        if _STAND_IN.fullmatch(real) or real.lower() in PUBLIC or not real:
            return real
        stand_in = self._stand_in("user", real)
        if everywhere or _tells(real):
            self.name(real, stand_in)
        return stand_in

    def process(self, real: str) -> str:
        """Give the stand-in of a process, unless it is a well-known program."""
        if _STAND_IN.fullmatch(real) or _PROGRAMS.fullmatch(real) or not real:
            return real
        stand_in = self._stand_in("process", real)
        self.name(real, stand_in)
        return stand_in

    def _stand_in(self, kind: str, real: str) -> str:
        key = f"{kind}\0{real.lower()}"
        if key not in self._given:
            self._numbers[kind] += 1
            self._given[key] = f"{kind}-{self._numbers[kind]}"
        return self._given[key]

    def meet(self, text: str) -> None:
        """Learn the hosts and users that a text names, so that they are replaced in every other as well."""
        for match in _URL.finditer(text):
            if _WEB.fullmatch(match[1]) and (found := _host_of(match[2] or "")):
                self.host(found, everywhere=False)
        for match in _EMAIL.finditer(_URL.sub(" ", text)):
            self.user(match[1])
            self.host(match[2], everywhere=False)
        for match in re.finditer(r"(?:/home|/Users|\\Users)[/\\]([\w.-]*\w)", text):
            self.user(match[1], everywhere=False)
        for match in _LABEL.finditer(text):
            self._label(match)
        for match in _WITH_PORT.finditer(_URL.sub(" ", text)):
            self._with_port(match)

    def text(self, text: str) -> str:
        """Write a text without what tells where and whose."""
        done = self._done.get(text)
        if done is None:
            done = self._done[text] = self._write(text)
        return done

    def _write(self, text: str) -> str:
        if not text or text.isspace():
            return text
        for pattern, instead in _SECRETS:
            text = pattern.sub(instead, text)
        text = self._known(text)
        text = _URL.sub(self._url, text)
        text = _EMAIL.sub(lambda match: f"{self.user(match[1])}@{self.host(match[2], everywhere=False)}", text)
        text = _UUID.sub(lambda match: self._stand_in("id", match[0]), text)
        text = _QUOTED_PATH.sub(lambda match: f"{match[1]}{_shortened(match[2])}{match[1]}", text)
        text = _WINDOWS.sub(lambda match: _last(match[1]), text)
        text = _RELATIVE.sub(lambda match: match[1], text)
        text = _PATH.sub(lambda match: _shortened(match[0]), text)
        text = _MAC.sub(lambda match: self._stand_in("addr", match[0]), text)
        text = _IPV4.sub(self._address, text)
        text = _IPV6.sub(self._address, text)
        text = _LABEL.sub(self._label, text)
        text = _HOST.sub(self._named, text)
        return _WITH_PORT.sub(self._with_port, text)

    def _known(self, text: str) -> str:
        """Replace what is known by name, the longest first."""
        if self._words is None:
            names = sorted((each for each in self._given if "\0" not in each), key=len, reverse=True)
            joined = "|".join(map(re.escape, names)) or r"(?!)"
            self._words = re.compile(rf"(?<![\w-])(?:{joined})(?![\w-])", re.IGNORECASE)
            self._done.clear()
        return self._words.sub(lambda match: self._given[match[0].lower()], text)

    def _url(self, match: re.Match[str]) -> str:
        scheme, place, path = match[1], match[2] or "", (match[3] or "").partition("?")[0].partition("#")[0]
        if not _WEB.fullmatch(scheme):
            return _last(path.rstrip("/").rpartition("/")[2])  # of a bucket or a file, what it is called
        host = _host_of(place)
        port = re.search(r":(\d+)$", place)
        shown = f"{scheme}://{self.host(host, everywhere=False)}{port[0] if port else ''}" if host else f"{scheme}://"
        return f"{shown}{path}" if _OPEN_PATH.match(path) else shown

    def _address(self, match: re.Match[str]) -> str:
        try:
            ip_address(match[0].partition("%")[0])
        except ValueError:
            return match[0]
        return self.host(match[0])

    def _label(self, match: re.Match[str]) -> str:
        value = match["value"]
        name, colon, port = value.partition(":")
        if value.isdigit() or value.startswith("[") or _STAND_IN.match(value):
            return match[0]
        give = self.user if match["label"] in _WHOSE else self.host
        return f"{match['label']}{match['sign']}{match['quote'] or ''}{give(name, everywhere=False)}{colon}{port}"

    def _with_port(self, match: re.Match[str]) -> str:
        if match["name"].lower() in _NO_HOSTS:
            return match[0]
        return f"{self.host(match['name'], everywhere=False)}:{match['port']}"

    def _named(self, match: re.Match[str]) -> str:
        parts, ending = match[1].count("."), match[2].lower()
        if ending in _FILES or (parts < 2 and ending not in _ENDINGS):
            return match[0]
        return self.host(match[0])


def _host_of(place: str) -> str:
    try:
        return urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return ""


def _tells(name: str) -> bool:
    """Tell a name that is hardly a word of a sentence, and so may be replaced wherever it stands."""
    return re.search(r"[\d.-]", name) is not None and _OURS.fullmatch(name) is None


def _shortened(path: str) -> str:
    if _HOME.fullmatch(path):
        return "~"
    return path if _OPEN_PATH.match(path) else _last(path.rstrip("/").rpartition("/")[2])


def _last(component: str) -> str:
    return component or "…"

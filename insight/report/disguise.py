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

from insight.report import forms


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
        if real and not forms.STAND_IN.fullmatch(real):
            self._given.setdefault(real.lower(), stand_in)
            self._words = None

    def host(self, real: str, *, everywhere: bool = True) -> str:
        """Give the stand-in of a host, by its name or address. `everywhere`: also where it stands as a bare word."""
        real = real.strip("[]").rstrip(".")
        if forms.STAND_IN.fullmatch(real):
            return real
        try:
            address = ip_address(real.partition("%")[0])
        except ValueError:
            pass
        else:
            return real if address.is_loopback or address.is_unspecified else self._stand_in("addr", real)
        if real.lower() in forms.PUBLIC or not real:
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
        if forms.STAND_IN.fullmatch(real) or real.lower() in forms.PUBLIC or not real:
            return real
        stand_in = self._stand_in("user", real)
        if everywhere or _tells(real):
            self.name(real, stand_in)
        return stand_in

    def process(self, real: str) -> str:
        """Give the stand-in of a process, unless it is a well-known program."""
        if forms.STAND_IN.fullmatch(real) or forms.PROGRAMS.fullmatch(real) or not real:
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
        for match in forms.URL.finditer(text):
            if forms.WEB.fullmatch(match[1]) and (found := _host_of(match[2] or "")):
                self.host(found, everywhere=False)
        for match in forms.EMAIL.finditer(forms.URL.sub(" ", text)):
            self.user(match[1])
            self.host(match[2], everywhere=False)
        for match in re.finditer(r"(?:/home|/Users|\\Users)[/\\]([\w.-]*\w)", text):
            self.user(match[1], everywhere=False)
        for match in forms.LABEL.finditer(text):
            self._label(match)
        for match in forms.WITH_PORT.finditer(forms.URL.sub(" ", text)):
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
        for pattern, instead in forms.SECRETS:
            text = pattern.sub(instead, text)
        text = self._known(text)
        text = forms.URL.sub(self._url, text)
        text = forms.EMAIL.sub(lambda match: f"{self.user(match[1])}@{self.host(match[2], everywhere=False)}", text)
        text = forms.UUID.sub(lambda match: self._stand_in("id", match[0]), text)
        text = forms.QUOTED_PATH.sub(lambda match: f"{match[1]}{_shortened(match[2])}{match[1]}", text)
        text = forms.WINDOWS.sub(lambda match: _last(match[1]), text)
        text = forms.RELATIVE.sub(lambda match: match[1], text)
        text = forms.PATH.sub(lambda match: _shortened(match[0]), text)
        text = forms.MAC.sub(lambda match: self._stand_in("addr", match[0]), text)
        text = forms.IPV4.sub(self._address, text)
        text = forms.IPV6.sub(self._address, text)
        text = forms.LABEL.sub(self._label, text)
        text = forms.HOST.sub(self._named, text)
        return forms.WITH_PORT.sub(self._with_port, text)

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
        if not forms.WEB.fullmatch(scheme):
            return _last(path.rstrip("/").rpartition("/")[2])  # of a bucket or a file, what it is called
        host = _host_of(place)
        port = re.search(r":(\d+)$", place)
        shown = f"{scheme}://{self.host(host, everywhere=False)}{port[0] if port else ''}" if host else f"{scheme}://"
        return f"{shown}{path}" if forms.OPEN_PATH.match(path) else shown

    def _address(self, match: re.Match[str]) -> str:
        try:
            ip_address(match[0].partition("%")[0])
        except ValueError:
            return match[0]
        return self.host(match[0])

    def _label(self, match: re.Match[str]) -> str:
        value = match["value"]
        name, colon, port = value.partition(":")
        is_ipv6 = value.startswith("[") and ":" in value  # and has a stand-in as an address
        if value.isdigit() or is_ipv6 or forms.STAND_IN.match(value.lstrip("[")):
            return match[0]
        give = self.user if match["label"] in forms.WHOSE else self.host
        return f"{match['label']}{match['sign']}{match['quote'] or ''}{give(name, everywhere=False)}{colon}{port}"

    def _with_port(self, match: re.Match[str]) -> str:
        if match["name"].lower() in forms.NO_HOSTS:
            return match[0]
        return f"{self.host(match['name'], everywhere=False)}:{match['port']}"

    def _named(self, match: re.Match[str]) -> str:
        parts, ending = match[1].count("."), match[2].lower()
        if ending in forms.FILES or (parts < 2 and ending not in forms.ENDINGS):
            return match[0]
        return self.host(match[0])


def _host_of(place: str) -> str:
    try:
        return urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return ""


def _tells(name: str) -> bool:
    """Tell a name that is hardly a word of a sentence, and so may be replaced wherever it stands."""
    return re.search(r"[\d.-]", name) is not None and forms.OURS.fullmatch(name) is None


def _shortened(path: str) -> str:
    if forms.HOME.fullmatch(path):
        return "~"
    return path if forms.OPEN_PATH.match(path) else _last(path.rstrip("/").rpartition("/")[2])


def _last(component: str) -> str:
    return component or "…"

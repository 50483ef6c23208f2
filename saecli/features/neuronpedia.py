"""What Neuronpedia says of features: asked for once each, kept in the user's cache, missing where it does not answer.

API: GET ``/api/feature/{model}/{source}/{index}``, of which ``explanations[].description`` is read.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from saecli import __version__
from saecli.core.atomic import write_text
from saecli.core.errors import InputError, UsageError
from saecli.core.progress import Progress, silent
from saecli.formats.documents import read_document

VARIABLE: Final = "SAECLI_NEURONPEDIA"
"""Environment variable with the address of another server of the same API."""
_SERVER: Final = "https://www.neuronpedia.org"
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_MOST_BYTES: Final = 16 << 20
_AT_ONCE: Final = 4
_GIVE_UP: Final = 3
"""Answers that did not come, after which nothing more is asked."""


@dataclass
class Neuronpedia:
    """Asks for explanations.

    Attributes:
        folder: Of the cache (:attr:`saecli.core.cache.Cache.explanations`).
        timeout: Seconds to wait for an answer.
        server: Address without a slash at the end.
    """

    folder: Path
    timeout: float = 10.0
    server: str = field(default_factory=lambda: (os.environ.get(VARIABLE) or _SERVER).rstrip("/"))

    def __post_init__(self) -> None:
        parts = urlsplit(self.server)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise UsageError(f"{VARIABLE} is {self.server!r}, expected an address that begins with https.")

    def explain(
        self, wanted: Iterable[tuple[str, Sequence[int]]], progress: Progress = silent
    ) -> dict[tuple[str, int], str]:
        """Explanations of features, those that there are.

        Args:
            wanted: Names of dictionaries (``gpt2-small/8-res_post_128k-oai``) and features of each.
            progress: Told how far it is, and once what was missing.
        """
        asked = [(name, feature) for name, features in wanted for feature in features]
        found = {one: text for one in asked if (text := self._kept(*one))}
        missing = [one for one in asked if one not in found]
        reasons: list[str] = []
        silent_: list[str] = []

        def ask(one: tuple[str, int]) -> str:
            if len(silent_) >= _GIVE_UP:
                return ""
            try:
                text = self._ask(*one)
            except (URLError, TimeoutError, OSError, http.client.HTTPException, ValueError) as error:
                reasons.append(_reason(error))
                if not isinstance(error, HTTPError | ValueError):
                    silent_.append(reasons[-1])
                return ""
            if text:
                self._keep(*one, text)
            else:
                reasons.append("it has none")
            return text

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for done, (one, text) in enumerate(zip(missing, pool.map(ask, missing), strict=True)):
                progress("asking Neuronpedia", done + 1, len(missing))
                if text:
                    found[one] = text
        if without := len(asked) - len(found):
            why = (silent_ or reasons)[0]
            progress(f"Neuronpedia gave no explanation of {without:,} of {len(asked):,} features: {why}.")
        return found

    def _ask(self, name: str, feature: int) -> str:
        """The first explanation; empty if there is none.

        Raises:
            URLError, TimeoutError, OSError, HTTPException: No answer.
            ValueError: One that is not JSON of a feature.
        """
        address = f"{self.server}/api/feature/{quote(name)}/{feature}"
        request = Request(address, headers={"User-Agent": f"saecli/{__version__}", "Accept": "application/json"})  # noqa: S310 - the scheme was checked
        with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310 - the scheme was checked
            data = answer.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError("its answer is too long")
        try:
            document = json.loads(data)
        except ValueError as error:
            raise ValueError("its answer is not JSON") from error
        several = document.get("explanations") if isinstance(document, dict) else None
        if several is not None and not isinstance(several, list):
            raise ValueError("its answer is no feature")
        texts = [one.get("description") for one in several or [] if isinstance(one, dict)]
        return next((" ".join(text.split()) for text in texts if isinstance(text, str) and text.strip()), "")

    def _path(self, name: str, feature: int) -> Path:
        model, source = name.split("/")
        return self.folder / quote(model, safe="") / quote(source, safe="") / f"{feature}.json"

    def _kept(self, name: str, feature: int) -> str:
        path = self._path(name, feature)
        if not path.is_file():
            return ""
        try:
            return str(read_document(path, "an explanation").get("explanation", ""))
        except InputError:  # damaged: it is asked for again
            return ""

    def _keep(self, name: str, feature: int, text: str) -> None:
        path = self._path(name, feature)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps({"schema": "saecli.explanation/1", "explanation": text}) + "\n")
        except OSError:  # a full disk
            path.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return "it does not know them" if error.code == 404 else f"it answers {error.code}"
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "it did not answer in time"
    return str(error) if isinstance(error, ValueError) else "it cannot be reached"

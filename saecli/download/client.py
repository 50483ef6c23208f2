"""Requests that wait and try again, and what a failure means to a person.

The session, the token and the errors of the hub are huggingface_hub's. Redirects are followed here, so that a token
never leaves the server it is for and nothing is fetched unencrypted.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urljoin, urlsplit

from saecli import __version__
from saecli.core.errors import InputError
from saecli.download.meaning import Stopped, Transient, origin, raise_for_status, understood
from saecli.download.patience import Patience
from saecli.download.source import is_loopback, without_secrets

MAX_REDIRECTS: Final = 8
MAX_BODY: Final = 64 << 20
"""The largest answer that is read whole."""

T = TypeVar("T")


@dataclass
class Client:
    """Speaks to servers.

    Attributes:
        patience: How long to wait.
        stop: Set when the user asked to stop.
        tell: Gets lines for people.
    """

    patience: Patience
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = lambda line: None

    @property
    def endpoint(self) -> str:
        """Address of the hub, without a slash at the end."""
        from huggingface_hub import constants

        return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")

    def retried(self, step: Callable[[], T], progress: Callable[[], int] = lambda: 0) -> T:
        """Calls `step` until it raises nothing transient; as many times as the patience allows without progress.

        Raises:
            SaecliError: What the last failure means.
            Stopped: The user asked to stop.
        """
        tries, before = 0, progress()
        while True:
            self.check()
            try:
                return step()
            except Transient as failure:
                if (now := progress()) - before >= 1 << 20:
                    tries, before = 0, now
                tries += 1
                wait = self.patience.first_wait_s * 2 ** (tries - 1)
                if failure.wait_s is not None:
                    wait = max(wait, failure.wait_s)
                asked_too_much = (failure.wait_s or 0) > self.patience.longest_wait_s
                if tries >= self.patience.attempts or asked_too_much:
                    raise failure.fault from failure
                self.pause(min(wait, self.patience.longest_wait_s))

    def pause(self, seconds: float) -> None:
        """Waits, and wakes when the user asks to stop."""
        while seconds > 0:
            self.check()
            self.patience.sleep(min(seconds, 0.5))
            seconds -= 0.5

    def check(self) -> None:
        """Raises `Stopped` if the user asked to stop."""
        if self.stop.is_set():
            raise Stopped

    @contextlib.contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None, *, what: str, commit: str = "") -> Iterator[Any]:
        """Opens a URL once and gives the streamed answer, whatever redirects lead to it.

        Args:
            url: The address; its credentials are used and never shown.
            headers: Sent with the request.
            what: The thing asked for, for messages: `config.json of hf:org/repo`.
            commit: The revision the hub must answer with; any if empty.

        Raises:
            Transient: It may work later.
            InputError: It will not.
        """
        from huggingface_hub import constants, get_session, get_token

        start = origin(url)
        own = {"user-agent": f"saecli/{__version__}", "accept-encoding": "identity", **(headers or {})}
        trusted = start == origin(self.endpoint) and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN
        token = get_token() if trusted else None
        timeout = (self.patience.connect_s, self.patience.read_s, self.patience.read_s, self.patience.connect_s)
        try:
            for _ in range(MAX_REDIRECTS):
                sent = {**own, "authorization": f"Bearer {token}"} if token and origin(url) == start else own
                with get_session().stream(
                    "GET", url, headers=sent, timeout=timeout, follow_redirects=False
                ) as response:
                    target = response.headers.get("location") if 300 <= response.status_code < 400 else None
                    answered = response.headers.get("x-repo-commit", commit)
                    if commit and response.status_code < 400 and answered != commit:
                        raise InputError(
                            f"{urlsplit(url).hostname} answers with revision {answered[:40]} of {what}, "
                            f"asked was {commit}.",
                            "Try again later.",
                        )
                    if target is None:
                        raise_for_status(response, what, self.endpoint)
                        yield response
                        return
                    url = redirected(url, target)
        except Exception as error:
            meaning = understood(error, what, url)
            if meaning is error:
                raise
            raise meaning from error
        raise InputError(f"{what} leads from one address to the next without end.", "Try again later.")

    def json(self, url: str, *, what: str) -> tuple[Any, str]:
        """Fetches a JSON document.

        Returns:
            The document, and the address of the next page or an empty string.
        """
        import json

        def step() -> tuple[Any, str]:
            with self.open(url, what=what) as response:
                body = whole(response, what)
                following = response.links.get("next", {}).get("url", "")
            try:
                return json.loads(body), redirected(url, following) if following else ""
            except (ValueError, RecursionError) as error:
                raise InputError(f"{urlsplit(url).hostname} did not answer with JSON for {what}.") from error

        return self.retried(step)


def whole(response: Any, what: str) -> bytes:
    """Reads an answer whole, up to a limit."""
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MAX_BODY:
            raise InputError(f"The answer for {what} is larger than {MAX_BODY >> 20} MB, which no list is.")
    return bytes(body)


def redirected(url: str, target: str) -> str:
    """Returns where a redirect leads.

    Raises:
        InputError: To something that is not to be fetched.
    """
    to = urljoin(url, target)
    parts = urlsplit(to)
    if parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "") and urlsplit(url).scheme == "http"
    ):
        return to
    raise InputError(f"{without_secrets(url)} leads to {without_secrets(to)}, which is not fetched: it is not https.")

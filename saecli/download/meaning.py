"""What a failure of a server or of the line means to a person, and whether it may pass."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from saecli.core.errors import InputError, SaecliError

RETRIED: Final = (408, 429, 500, 502, 503, 504)


class Transient(Exception):
    """A failure that may pass: the server or the line, not the request.

    Args:
        fault: What to tell when it does not pass.
        wait_s: The pause the server asks for.
    """

    def __init__(self, fault: SaecliError, wait_s: float | None = None) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.wait_s = wait_s


class Stopped(Exception):
    """The user asked to stop."""


class Refused(InputError):
    """The server does not let this user have it; asking for more of the same is of no use."""


class MissingRepository(Refused):
    """The hub has no such repository for this user."""


class MissingRevision(InputError):
    """The repository has no such revision."""


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def raise_for_status(response: Any, what: str, endpoint: str) -> None:
    """Raises what an answer's status means."""
    status = response.status_code
    if status < 400 or status == 416:
        return
    host = response.request.url.host
    if status in RETRIED:
        raise Transient(InputError(*_busy(status, host, what)), _retry_after(response.headers))
    if origin(str(response.request.url)) == origin(endpoint):
        from huggingface_hub.utils import hf_raise_for_status

        hf_raise_for_status(response)
    raise InputError(*_refused(status, host, what))


def _busy(status: int, host: str, what: str) -> tuple[str, str]:
    if status == 429:
        return f"{host} asks for fewer requests (429) and does not give {what} now.", "Try again in some minutes."
    return f"{host} cannot give {what} at the moment ({status}).", "Try again later."


def _refused(status: int, host: str, what: str) -> tuple[str, str]:
    if status == 401:
        return f"{host} gives {what} only to those who log in (401).", "Put a user and password into the URL."
    if status == 403:
        return f"{host} refuses {what} (403).", "Ask its owners for access, or for a new link."
    if status in (404, 410):
        return f"{host} has no {what} ({status}).", "Check the address."
    return f"{host} refuses {what} ({status}).", "Check the address."


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    if value:
        from email.utils import parsedate_to_datetime

        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def understood(error: Exception, what: str, url: str) -> Exception:
    """Returns what an error of the hub's library or of the line means: a `SaecliError`, or a `Transient` around one."""
    from huggingface_hub import errors as hub

    if isinstance(error, Transient | Stopped | SaecliError):
        return error
    host = urlsplit(url).hostname
    if isinstance(error, hub.GatedRepoError):
        repo = _repo_of(error)
        page = f"https://huggingface.co/{repo}" if repo else "its page"
        return Refused(
            f"{what} is gated: its owners let in only whom they know.",
            f"Ask for access at {page}, then log in with `hf auth login`.",
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        return MissingRepository(
            f"{host} has no {what}, or it is private.", "Check the name; for a private one log in with `hf auth login`."
        )
    if isinstance(error, hub.RevisionNotFoundError):
        return MissingRevision(f"{what} does not exist: no such revision.", "Leave out the revision for the newest.")
    if isinstance(error, hub.EntryNotFoundError):
        return InputError(f"{host} has no {what} (404).", "It may have been removed; try without a revision.")
    if isinstance(error, hub.OfflineModeIsEnabled):
        return Refused(f"{what} is not here, and HF_HUB_OFFLINE=1 forbids to fetch it.", "Unset HF_HUB_OFFLINE.")
    if isinstance(error, hub.HfHubHTTPError):
        status = error.response.status_code
        if status == 401:
            return Refused(
                f"{host} wants a valid token for {what} (401).", "Log in with `hf auth login`, or correct HF_TOKEN."
            )
        if status == 403:
            return Refused(
                f"The token has no right to read {what} (403).", "Use one with read access: `hf auth login`."
            )
        return InputError(*_refused(status, str(host), what))
    if _is_tls(error):
        return InputError(
            f"The encrypted connection to {host} failed: {_reason(error)}.",
            "Check the clock and the proxy; SSL_CERT_FILE names further certificates.",
        )
    if type(error).__module__.partition(".")[0].startswith(("httpx", "httpcore")):
        kind = type(error).__name__
        if kind in ("UnsupportedProtocol", "InvalidURL", "LocalProtocolError"):
            return InputError(f"{what} has an address that cannot be used: {_reason(error)}.")
        if "Timeout" in kind:
            return Transient(InputError(f"{host} did not answer in time for {what}.", "Try again later."))
        if kind in ("ConnectError", "ProxyError"):
            return Transient(
                InputError(f"{host} cannot be reached: {_reason(error)}.", "Check the network, then run it again.")
            )
        return Transient(InputError(f"The connection to {host} broke off during {what}.", "Run it again to continue."))
    return error


def _is_tls(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _reason(error: Exception) -> str:
    return (next(iter(str(error).splitlines()), "") or type(error).__name__).rstrip(".")


def _repo_of(error: Any) -> str:
    repo, kind = getattr(error, "repo_id", None), getattr(error, "repo_type", None)
    return f"{'datasets/' if kind == 'dataset' else ''}{repo}" if repo else ""

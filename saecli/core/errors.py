"""Errors a user can act on: one sentence, one hint, one exit code.

Exit codes of the whole program:

| code | meaning |
|---|---|
| 0 | done |
| 1 | failure (a fault of the program or of the machine) |
| 2 | usage or configuration |
| 3 | missing, bad or refused input, or the network |
| 4 | a check the user asked for failed |
| 5 | some items of a group failed |
| 130, 143 | interrupted by Ctrl-C, by SIGTERM |
"""

from __future__ import annotations

from collections.abc import Iterable


class SaecliError(Exception):
    """A known error.

    Args:
        message: One sentence: what was given, what was expected.
        hint: The next step for the user, or nothing.
    """

    exit_code = 1
    code = "failure"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Failure(SaecliError):
    """The work could not be done for a reason that is not the user's input (exit 1)."""

    exit_code = 1
    code = "failure"


class UsageError(SaecliError):
    """A wrong flag, value or configuration key (exit 2)."""

    exit_code = 2
    code = "usage"


class InputError(SaecliError):
    """Missing, bad or refused input, or the network (exit 3)."""

    exit_code = 3
    code = "input"


class CheckFailed(SaecliError):
    """A check the user asked for did not hold (exit 4)."""

    exit_code = 4
    code = "check"


class PartialFailure(SaecliError):
    """Some items of a group failed, the others are done (exit 5)."""

    exit_code = 5
    code = "partial"


class Interrupted(SaecliError):
    """Stopped by Ctrl-C (exit 130) or SIGTERM (exit 143)."""

    code = "interrupted"

    def __init__(self, message: str, hint: str = "", *, exit_code: int = 130) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; raised by the handler that the command line installs."""


def named(code: str, message: str, hint: str) -> SaecliError:
    """Returns the error of a stored code."""
    known = (UsageError, InputError, CheckFailed, PartialFailure)
    return next((kind for kind in known if kind.code == code), Failure)(message, hint)


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Returns `Did you mean 'x'?` for the nearest known name, or an empty string."""
    import difflib  # only on the way to an error

    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""

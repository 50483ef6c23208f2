"""Where the files that ship with the program are: in a wheel, an editable install and a checkout alike.

Three facts carry it: `saecli` and `zoo` always stand side by side; the embedded models lie in `zoo/assets`; the
templates lie in `saecli/templates` in a wheel and beside `saecli` in a checkout (and so in an editable install).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from saecli.core.errors import InputError, UsageError, did_you_mean

PACKAGE = Path(__file__).resolve().parent.parent


def resource(*parts: str) -> Path:
    """Returns the path of a shipped file or folder.

    Args:
        parts: `"templates"` or `"assets"`, then names below it, which must exist: `resource("assets", "othello-mini")`.

    Raises:
        InputError: It is not there: the installation is damaged.
    """
    room, *rest = parts
    if room == "templates":
        inside = PACKAGE / "templates"
        base = inside if inside.is_dir() else PACKAGE.parent / "templates"
    elif room == "assets":
        base = PACKAGE.parent / "zoo" / "assets"
    else:
        raise ValueError(f"resource({room!r}): expected 'templates' or 'assets'")
    path = base.joinpath(*rest)
    if rest and not path.exists():
        raise InputError(f"{'/'.join(parts)} is missing from this installation.", "Install saecli again.")
    return path


def template_names() -> list[str]:
    """Returns the names of the shipped run templates."""
    return sorted(path.stem for path in resource("templates").glob("*.toml"))


def template_path(name: str) -> Path:
    """Returns the file of a run template, or raises a `UsageError` with the nearest name."""
    if name not in template_names():
        raise no_template(name, "--template")
    return resource("templates", f"{name}.toml")


def no_template(name: str, where: str) -> UsageError:
    """Returns the error of an unknown template, with the nearest name; it begins with `where`."""
    names = template_names()
    hint = did_you_mean(name, names) or (f"Known: {', '.join(names)}." if names else "None is installed.")
    return UsageError(f"{where} {name}: there is no such template.", hint)


def require_own_zoo() -> None:
    """Raises an `InputError` that names the culprit if another module called `zoo` hides ours."""
    expected = PACKAGE.parent / "zoo"
    spec = find_spec("zoo")
    origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    if origin is None:
        raise InputError("The package zoo that belongs to saecli is missing.", "Install saecli again.")
    if origin.parent != expected:
        raise InputError(
            f"Another module named zoo hides the one of saecli: {origin}.",
            "Run from another folder, or rename or remove that module.",
        )

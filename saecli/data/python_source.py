"""Text that every machine has: the source of the running Python's standard library.

A fixed list of packages, so that another machine with the same Python reads the same text and another Python nearly the
same; :func:`digest` tells them apart. Packages that a later version dropped, that distributions install apart, or that
hold tables and tests instead of code are left out. Whole packages are held out: no file of a training package is in
another split.
"""

from __future__ import annotations

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from saecli.core.errors import InputError

Split = Literal["train", "val", "test"]

_VAL = "calendar fractions heapq json mailbox pprint selectors shutil tomllib wave"
_TEST = "argparse bisect csv fileinput getopt graphlib plistlib sched statistics zoneinfo"
_TRAIN = """
__future__ _collections_abc _compat_pickle _markupbase _py_abc _pydecimal _pyio _sitebuiltins _strptime
_threading_local _weakrefset abc ast asyncio base64 bdb bz2 cProfile cmd code codecs codeop collections colorsys
compileall concurrent configparser contextlib contextvars copy copyreg ctypes curses dataclasses datetime dbm decimal
difflib dis doctest email enum filecmp fnmatch ftplib functools genericpath getpass gettext glob gzip hashlib hmac
html http imaplib importlib inspect io ipaddress keyword linecache locale logging lzma mimetypes modulefinder
multiprocessing netrc ntpath numbers opcode operator optparse os pathlib pdb pickle pickletools pkgutil platform
poplib posixpath profile pstats pty py_compile pyclbr pydoc queue quopri random re reprlib rlcompleter runpy secrets
shelve shlex signal site smtplib socket socketserver sqlite3 ssl stat string stringprep struct subprocess symtable
sysconfig tabnanny tarfile tempfile textwrap threading timeit token tokenize trace traceback tracemalloc tty types
typing unittest urllib uuid warnings weakref webbrowser wsgiref xml xmlrpc zipapp zipfile zipimport
"""

HELD_OUT: Final[dict[str, Split]] = {**dict.fromkeys(_VAL.split(), "val"), **dict.fromkeys(_TEST.split(), "test")}
"""Packages that no model is trained on: ``val`` to choose by, ``test`` to report."""

PACKAGES: Final = tuple(sorted({*HELD_OUT, *_TRAIN.split()}))
"""Top-level modules and packages read."""


@dataclass(frozen=True)
class Module:
    """One source file.

    Attributes:
        name: Path below the standard library: ``json/decoder.py``.
        split: Where it belongs.
        text: Its source.
    """

    name: str
    split: Split
    text: str


def modules(library: Path | None = None) -> list[Module]:
    """Every file of :data:`PACKAGES` in the order of names; tests and packages that are not there are left out.

    Args:
        library: The standard library's folder; the running Python's if not given.

    Raises:
        InputError: It has no source (a Python of compiled files only).
    """
    library = library or Path(sysconfig.get_path("stdlib"))
    found = [
        Module(file.relative_to(library).as_posix(), HELD_OUT.get(package, "train"), _text(file))
        for package in PACKAGES
        for file in _files(library, package)
    ]
    if not any(module.split == "train" for module in found):
        raise InputError(f"{library} has no source files of Python's standard library.")
    return found


def digest(found: list[Module]) -> str:
    """sha256 of names and texts: equal where two machines read the same."""
    total = hashlib.sha256()
    for module in found:
        data = module.text.encode()
        total.update(f"{module.name}\n{len(data)}\n".encode() + data)
    return total.hexdigest()


def _files(library: Path, package: str) -> list[Path]:
    single, folder = library / f"{package}.py", library / package
    below = sorted(folder.rglob("*.py")) if folder.is_dir() else []
    files = [file for file in [single, *below] if file.is_file()]
    return [file for file in files if not {"test", "tests"} & set(file.relative_to(library).parts)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8, as Python's source is: {error}.") from error

"""A suite on disk: ``suite.json`` (schema ``saecli.suite/1``) and one SAELens folder per dictionary.

``suite.json`` records the sha256 of every file, so a damaged file is found when it is read and not by its effects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.atomic import write_bytes
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, SaecliError
from saecli.core.fingerprint import fingerprint_tensors
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.formats import saelens
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item

NAME: Final = "saecli"
TITLE: Final = "a suite of saecli"
HEADER: Final = "suite.json"
SCHEMA: Final = "saecli.suite"
MAJOR: Final = 1
_MAX_HEADER_BYTES: Final = 1 << 24


def suite_files(suite: Suite, dtype: torch.dtype = torch.float32) -> dict[str, bytes]:
    """The files of a suite, by path below its folder, ``suite.json`` last.

    Args:
        suite: The suite.
        dtype: Number type of the stored weights; fingerprints are of the rounded values.
    """
    files: dict[str, bytes] = {}
    entries = []
    info = suite.info
    for site, dictionary in suite.items():
        folder = str(site)
        parts = saelens.to_files(
            dictionary,
            dtype,
            info.processing,
            model_name=info.model,
            context_size=info.context,
            prepend_bos=info.bos is not None,
        )
        files |= {f"{folder}/{name}": data for name, data in parts.items()}
        rounded = {name: value.to(dtype) for name, value in dictionary.state_dict().items()}
        entries.append(
            {
                "folder": folder,
                **dictionary.config.to_json(),
                "fingerprint": fingerprint_tensors(rounded),
                "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
                "measured": dict(info.measured.get(site, {})),
            }
        )
    header = {
        "schema": f"{SCHEMA}/{MAJOR}",
        "name": info.name,
        "model": info.model,
        "model_fingerprint": info.model_fingerprint,
        "processing": info.processing,
        "residual": info.residual,
        "context": info.context,
        "bos": info.bos,
        "left_out": list(info.left_out),
        "vocabulary": info.vocabulary,
        "dictionaries": entries,
    }
    return {**files, HEADER: (json.dumps(header, indent=1, allow_nan=False) + "\n").encode()}


def write_suite(suite: Suite, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Write a suite into a folder, ``suite.json`` last, every file whole or absent."""
    for name, data in suite_files(suite, dtype).items():
        write_bytes(folder / name, data)


def read_suite(
    folder: Path, *, name: str = "", device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Suite:
    """Open a suite; its dictionaries are read when first used.

    Args:
        folder: Holds ``suite.json``.
        name: How the user called it, for messages; the stored name if not given.
        device: Where the dictionaries go.
        dtype: Number type in memory.

    Raises:
        InputError: Here for ``suite.json``: missing, damaged or of a newer major version. From the suite, when a
            dictionary is first used: a file is missing or is not the one recorded.
    """
    header = _header(folder / HEADER)
    try:
        entries = {Site.parse(entry["reads"]): entry for entry in header["dictionaries"]}
        configs = [_config(entry) for entry in entries.values()]
        info = SuiteInfo(
            name=name or str(header["name"]),
            model=str(header["model"]),
            model_fingerprint=str(header["model_fingerprint"]),
            processing=header["processing"],
            residual=header["residual"],
            context=int(header["context"]),
            bos=header["bos"],
            vocabulary=str(header["vocabulary"]),
            left_out=tuple(map(int, header.get("left_out", ()))),
            measured={site: dict(entry["measured"]) for site, entry in entries.items() if entry["measured"]},
        )
        fingerprints = {site: str(entry["fingerprint"]) for site, entry in entries.items()}
        folders = {site: _inside(folder, str(entry["folder"])) for site, entry in entries.items()}
        digests = {site: dict(entry["sha256"]) for site, entry in entries.items()}
    except (KeyError, TypeError, ValueError, AttributeError, SaecliError) as error:
        raise InputError(f"{folder / HEADER} is damaged: {error!r}.", "Fetch or write it again.") from error
    if len(configs) != len(header["dictionaries"]):
        raise InputError(f"{folder / HEADER} lists two dictionaries at one site.")
    by_site = {config.reads: config for config in configs}

    def load(site: Site) -> Dictionary:
        for file in (saelens.CONFIG, saelens.WEIGHTS):
            _verify(folders[site] / file, digests[site].get(file))
        config = by_site[site]
        dictionary, _ = saelens.read_saelens(folders[site], reads=config.reads, writes=config.writes, dtype=dtype)
        if not saelens.same(dictionary.config, config):
            raise InputError(f"{folders[site]} is not the dictionary that {folder / HEADER} describes.")
        return dictionary.to(device)

    return Suite(info, configs, load, fingerprints)


def is_suite(folder: Path) -> bool:
    """Whether a folder holds a suite of this format."""
    return (folder / HEADER).is_file()


def sniff(path: Path) -> bool:
    """Whether a folder holds a suite of this format."""
    return path.is_dir() and is_suite(path)


def open(path: Path, hints: Hints) -> Found:
    """The suite's dictionaries one by one; hints are not needed."""
    suite = read_suite(path)
    info = suite.info

    def load(site: Site) -> Callable[[torch.dtype], Dictionary]:
        return lambda dtype: read_suite(path, dtype=dtype)[site]

    items = [
        Item(
            name=str(site),
            config=config,
            files=tuple(path / str(config.reads) / name for name in (saelens.CONFIG, saelens.WEIGHTS)),
            load=load(site),
            model=info.model,
            processing=info.processing,
            context=info.context,
            prepends_bos=info.bos is not None,
            measured=info.measured.get(site, {}),
        )
        for site, config in suite.configs.items()
    ]
    return Found(NAME, path, tuple(items))


def rounded(suite: Suite, dtype: torch.dtype) -> Suite:
    """The suite as it reads back after being stored in ``dtype``: for measurements of what is shipped."""
    dictionaries = []
    for dictionary in suite.values():
        state = {name: value.cpu().to(dtype).to(value.dtype) for name, value in dictionary.state_dict().items()}
        copy = saelens.make_dictionary_at(dictionary.config, Path(suite.info.name))
        copy.load_state_dict(state, assign=True)
        dictionaries.append(copy.requires_grad_(False).eval())
    return Suite.of(suite.info, dictionaries)


def with_measurements(suite: Suite, measured: Mapping[Site, Mapping[str, float]]) -> Suite:
    """The same suite with measurements in its header."""
    info = replace(suite.info, measured=measured)
    return Suite(info, list(suite.configs.values()), suite.__getitem__, suite.fingerprints)


def _header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path.parent} holds no suite: there is no {HEADER}.")
    header = read_document(path, "a suite's header", _MAX_HEADER_BYTES)
    schema, _, major = str(header.get("schema")).partition("/")
    if schema != SCHEMA or not major.isdecimal():
        raise InputError(f"{path} is not a {SCHEMA} file.")
    if int(major) > MAJOR:
        raise InputError(
            f"{path} is {SCHEMA}/{major}, and this version reads up to {SCHEMA}/{MAJOR}.", "Update saecli."
        )
    return header


def _config(entry: Mapping[str, Any]) -> DictionaryConfig:
    names = DictionaryConfig.__dataclass_fields__
    return DictionaryConfig.from_json({name: entry[name] for name in names})


def _inside(folder: Path, name: str) -> Path:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise InputError(f"{name!r} is no plain folder name.")
    return folder / name


def _verify(path: Path, expected: str | None) -> None:
    try:
        actual = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.", "Fetch or write the suite again.") from error
    if actual != expected:
        raise InputError(
            f"{path} is corrupted: its sha256 is not the one that {HEADER} records.", "Fetch or write the suite again."
        )

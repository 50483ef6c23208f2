"""Loading a model or a suite: by its zoo name, by ``hf:org/name``, or from local files.

A model in GPT-2's layout, and in those of nanoGPT, minGPT, HookedTransformer and gpt-circuits, is read without
transformers; others are read by transformers, which is imported only then. Code that comes with a model is never run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel
from saecli.core.suite import Suite
from saecli.formats.documents import read_document
from saecli.formats.suite import is_suite, read_suite
from zoo.family import Family
from zoo.huggingface import CONFIG, read_config
from zoo.index import families, find_model, find_release, zoo_name
from zoo.resolve import Dictionaries, resolve_dictionaries, resolve_model

if TYPE_CHECKING:
    from saecli.core.connections import Connections
    from saecli.data.vocabulary import Vocabulary
    from saecli.formats.registry import Found, Hints

_SUITE: Final = "Name dictionaries with --suite."
_PER_FEATURE: Final = "connections-c*.safetensors"
RANDOM: Final = re.compile(r"random:(?P<name>.+?)(@(?P<seed>\d+))?")
"""``random:othello-mini@3``: the shape of a model, with fresh weights of a seed (0 if none is given)."""


def load_model(
    name_or_path: str,
    processing: Literal["raw", "folded"] = "raw",
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> HookedModel:
    """Load a model, frozen and ready to run.

    Args:
        name_or_path: A model of the zoo (``othello-mini``), ``hf:org/name`` once it is downloaded, a folder or
            checkpoint, or ``random:`` before any of these for its shape with fresh weights.
        processing: ``raw`` weights, or ``folded`` (see :mod:`saecli.core.folding`). Weights that were published folded
            stay so.
        device: Where it runs.
        dtype: Number type of the weights in memory.

    Raises:
        UsageError: Neither a name nor a path.
        InputError: Not downloaded, damaged, or no model that can be read.
    """
    if match := RANDOM.fullmatch(name_or_path):
        from zoo.random_weights import randomise

        model = randomise(_read(match["name"], name_or_path, dtype), int(match["seed"] or 0))
    else:
        model = _read(name_or_path, name_or_path, dtype)
    model.module.to(device)
    if processing == "folded":
        from saecli.core.bridge import BridgeModel
        from saecli.core.folding import folded
        from saecli.core.hooks import ThinModel

        if isinstance(model, BridgeModel):
            return model.folded()
        if isinstance(model, ThinModel):
            return folded(model)
    return model


def load_suite(
    name_or_path: str,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    include: Sequence[str] = (),
    site: str | None = None,
) -> Suite:
    """Load dictionaries as the suite of one model; they are read when first asked for.

    Args:
        name_or_path: A suite of the zoo (``othello-mini``), ``hf:org/name`` once it is downloaded, a folder of
            dictionaries in any format, or a folder with a suite in ``suite/``.
        device: Where the dictionaries go.
        dtype: Number type of the weights in memory.
        include: Patterns of names that choose from dictionaries that are no suite of ours; all without.
        site: See :func:`open_dictionaries`.

    Raises:
        UsageError: Neither a name nor a path, or no dictionary of such a name.
        InputError: Not downloaded, damaged, or of no format that is known.
    """
    path, _, entry = _dictionaries(name_or_path)
    if is_suite(path):
        suite = read_suite(path, name=name_or_path, device=device, dtype=dtype)
        if entry is None or entry.joins is None:
            return suite
        name, kind = entry.joins
        other = load_suite(name, device, dtype)
        return suite.joined(other.only([site for site in other if site.kind == kind]))
    return open_dictionaries(name_or_path, site=site).only(include).suite(name_or_path, dtype, device)


def load_connections(suite: str, file: str | None = None) -> Connections:
    """Connections of a suite: of a file, or those that lie beside its dictionaries.

    Args:
        suite: See :func:`load_suite`.
        file: A file of connections, or a folder with one: of a run of ``saecli connect`` the one with the most of each
            feature, of which the others are parts. None for those beside the suite.

    Raises:
        InputError: There is none, or it is damaged.
    """
    from saecli.formats.connections import NAME, read_connections

    path = Path(file) if file is not None else _dictionaries(suite).path / NAME
    if file is None and not path.is_file():
        raise InputError(
            f"{suite} has no {NAME} beside its dictionaries.", f"Choose connections: saecli connect --suite {suite}"
        )
    if path.is_dir() and not (path / NAME).is_file():
        numbered = {int(one.stem[13:]): one for one in path.glob(_PER_FEATURE) if one.stem[13:].isdecimal()}
        if not numbered:
            raise InputError(f"{path} holds no {NAME}, and no {_PER_FEATURE} of saecli connect.")
        path = numbered[max(numbered)]
    return read_connections(path / NAME if path.is_dir() else path)


def open_dictionaries(name_or_path: str, *, site: str | None = None, norm_scale: float | None = None) -> Found:
    """Open dictionaries one by one, several per site or of several kinds too.

    Args:
        name_or_path: See :func:`load_suite`.
        site: Where a lone dictionary reads and writes, if its files do not say: ``12.mlp_in>12.mlp_out``.
        norm_scale: What its inputs were multiplied by in training, if its files do not say.

    Raises:
        UsageError: Neither a name nor a path, or no site.
        InputError: Not downloaded, damaged, or of no format that is known.
    """
    from saecli.formats import registry

    found = _dictionaries(name_or_path)
    return registry.open_dictionaries(found.path, _hints(found, site=site, norm_scale=norm_scale))


def attach(suite: Suite, model: HookedModel) -> Suite:
    """Check that a suite was made for a model, by all that is known of both.

    Returns:
        The suite itself.

    Raises:
        InputError: They name different models of the zoo, or as :meth:`saecli.core.suite.Suite.attach` says.
    """
    made_for, given = zoo_name(suite.info.model), zoo_name(model.info.name)
    if made_for and given and made_for != given:
        raise InputError(f"{suite.info.name} was made for {made_for}, not for {given}.", f"Use it with {made_for}.")
    return suite.attach(model)


def load_vocabulary(name_or_path: str, known: str = "") -> Vocabulary:
    """The token vocabulary of a model, without loading its weights.

    Args:
        name_or_path: See :func:`load_model`.
        known: Its name where the model is loaded already: ``model.info.vocabulary``.

    Raises:
        UsageError: Neither a name nor a path.
        InputError: Not downloaded, or its vocabulary is not known and no ``tokenizer.json`` lies beside it.
    """
    from saecli.data import vocabulary

    match = RANDOM.fullmatch(name_or_path)
    model = resolve_model(match["name"] if match else name_or_path)
    folder = model.path if model.path.is_dir() else model.path.parent
    name = known
    if not name and model.entry is not None and model.family is not None:
        name = model.entry.vocabulary or model.family.vocabulary
    return vocabulary.load_vocabulary(name or _noted_vocabulary(folder), folder)


def _noted_vocabulary(folder: Path) -> str:
    """What a folder's configuration says of its vocabulary, or its size tells; empty if neither does."""
    from zoo.gpt2 import VOCABULARIES

    if not (folder / CONFIG).is_file():
        document = read_document(folder / "model.json", "a model") if (folder / "model.json").is_file() else {}
        return VOCABULARIES.get(document.get("vocab_size", 0), "")
    document = read_config(folder)
    note = document.get("saecli")
    noted = str(note.get("vocabulary", "")) if isinstance(note, dict) else ""
    if noted or (folder / "tokenizer.json").is_file() or document.get("model_type") != "gpt2":
        return noted
    return VOCABULARIES.get(document.get("vocab_size", 0), "")


def locate_suite(name_or_path: str) -> Path:
    """The folder or file of dictionaries; see :func:`load_suite`."""
    return _dictionaries(name_or_path).path


def locate_dictionaries(name_or_path: str) -> tuple[Path, Hints]:
    """The folder or file of dictionaries, and what the zoo knows of them; see :func:`load_suite`."""
    found = _dictionaries(name_or_path)
    return found.path, _hints(found)


def locate_model(name_or_path: str) -> Path:
    """The folder or file of a model; see :func:`load_model`."""
    return resolve_model(name_or_path).path


def family_of(path: Path) -> Family:
    """The family that reads a folder or file of the user.

    Raises:
        InputError: None does.
    """
    kinds = families()
    model_type = read_config(path).get("model_type") if (path / CONFIG).is_file() else None
    for family in kinds.values():
        if model_type in family.model_types:
            return family
    for family in kinds.values():
        if family.recognises is not None and family.recognises(path):
            return family
    if not path.is_dir():
        raise InputError(f"{path} is no model in a format that is known.")
    read_config(path)  # says what is missing
    return kinds["other"]


def _read(name_or_path: str, called: str, dtype: torch.dtype) -> HookedModel:
    path, family, entry = resolve_model(name_or_path)
    family = family or family_of(path)
    if family.load is None:
        raise InputError(f"The family {family.name} of {name_or_path} has no function that loads its models.")
    model = family.load(path, called, dtype)
    vocabulary = (entry.vocabulary if entry else "") or model.info.vocabulary
    model.info = replace(model.info, vocabulary=vocabulary)
    return model


def _dictionaries(name_or_path: str) -> Dictionaries:
    from saecli.formats import registry

    model = find_model(name_or_path)
    if model is not None and find_release(name_or_path) is None:
        if not model[1].suite:
            raise UsageError(f"The zoo has no dictionaries of {name_or_path}.", _SUITE)
        name_or_path = model[1].suite
    found = resolve_dictionaries(name_or_path)
    if found.path.is_dir() and not is_suite(found.path):
        if is_suite(found.path / "suite"):
            return found._replace(path=found.path / "suite")
        if _is_model(found.path) and not registry.search(found.path):
            raise UsageError(f"{name_or_path} is a model without dictionaries beside it.", _SUITE)
    return found


def _is_model(folder: Path) -> bool:
    return (folder / CONFIG).is_file() and bool(read_config(folder).get("model_type"))


def _hints(found: Dictionaries, *, site: str | None = None, norm_scale: float | None = None) -> Hints:
    """What the zoo and the user know of dictionaries beside their files."""
    from saecli.formats.registry import Hints

    entry = found.entry
    known = {"model": entry.model, "processing": entry.processing, "kind": entry.site} if entry else {}
    scales = norm_scale or (entry.norm_scales if entry else ()) or None
    return Hints.parse(site, norm_scale=scales, **known)

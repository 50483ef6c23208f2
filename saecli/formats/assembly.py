"""A dictionary put together from named tensors: names and shapes are compared with what is expected before any is read.

Names decide the orientation of a tensor, never its shape; the shape only has to be right.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.dictionaries import make_dictionary

Shape = tuple[int, ...]


def check_shapes(
    path: Path, found: Mapping[str, Shape], expected: Mapping[str, Shape], ignored: Collection[str] = ()
) -> None:
    """Compare the tensors of a file with those that it should have.

    Raises:
        InputError: One is missing, unknown or of another shape; the first by name is told.
    """
    if missing := sorted(expected.keys() - found.keys()):
        raise InputError(f"{path} has no tensor {', '.join(missing)}.")
    if unknown := sorted(found.keys() - expected.keys() - set(ignored)):
        raise InputError(f"{path} has the unknown tensor {', '.join(unknown)}.")
    for name, shape in sorted(expected.items()):
        if tuple(found[name]) != shape:
            raise InputError(f"{path} has {name} of shape {tuple(found[name])}, expected {shape}.")


def shape_of(path: Path, found: Mapping[str, Shape], name: str, axes: int = 2) -> Shape:
    """The shape of a tensor by which the sizes of the others are known.

    Raises:
        InputError: There is none of that name, or it has other axes.
    """
    if name not in found:
        raise InputError(f"{path} has no tensor {name}.")
    if len(found[name]) != axes:
        raise InputError(f"{path} has {name} of shape {tuple(found[name])}, expected {axes} axes.")
    return found[name]


def dictionary_of(config: DictionaryConfig, state: Mapping[str, Tensor], dtype: torch.dtype, where: Path) -> Dictionary:
    """A frozen dictionary with these parameters, not copied where their number type is right already.

    Args:
        config: What it is.
        state: Parameter → tensor; a parameter left out is zero.
        dtype: Number type in memory.
        where: What it is read from, for messages.

    Raises:
        InputError: The config is one that no dictionary can have.
    """
    try:
        with torch.device("meta"):
            dictionary = make_dictionary(config)
    except UsageError as error:
        raise InputError(f"{where}: {error.message}", error.hint) from error
    zeros = {
        name: torch.zeros(value.shape, dtype=dtype)
        for name, value in dictionary.state_dict().items()
        if name not in state
    }
    given = {name: value.to(dtype) for name, value in state.items()}
    dictionary.load_state_dict({**zeros, **given}, assign=True)
    return dictionary.requires_grad_(False).eval()


def positive(document: Mapping[str, Any], key: str, path: Path) -> int:
    """A whole number from 1 of a configuration.

    Raises:
        InputError: It is missing or something else.
    """
    value = document.get(key)
    if type(value) is not int or value < 1:
        raise InputError(f"{path} has {key} = {value!r}, expected a whole number from 1.")
    return value

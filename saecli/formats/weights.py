"""The named tensors of a model on disk: one file or several, looked at by their headers and read when asked for.

Safetensors files, sharded ones with their index, and files of ``torch.save``, which are read without running them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

from saecli.core.errors import InputError
from saecli.formats.documents import read_document
from saecli.formats.safe import load_safetensors, load_torch, safetensors_header, safetensors_metadata

SAFETENSORS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
PICKLED: Final = "pytorch_model.bin"
_AGAIN: Final = "Fetch or write it again."


@dataclass(frozen=True)
class Weights:
    """Named tensors.

    Attributes:
        path: The file or folder, for messages.
        shapes: Shape by name.
        metadata: What the files say beside the tensors.
        files: Safetensors file of every name; empty for tensors in memory.
        tensors: Tensors that are there already, perhaps as views of a file: never written to.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def read(self, names: Iterable[str]) -> dict[str, torch.Tensor]:
        """Reads tensors by name.

        Raises:
            InputError: A file is damaged.
        """
        wanted = list(names)
        result = {name: self.tensors[name] for name in wanted if name in self.tensors}
        for file in dict.fromkeys(self.files[name] for name in wanted if name in self.files):
            result |= load_safetensors(file, [name for name in wanted if self.files.get(name) == file])
        return result


def open_weights(folder: Path) -> Weights:
    """Opens the weights of a Hugging Face folder: whole, sharded, or of an old ``pytorch_model.bin``.

    Raises:
        InputError: There are none, a file is damaged, or one needs code to be read.
    """
    if (folder / SAFETENSORS).is_file():
        return open_safetensors([folder / SAFETENSORS], folder / SAFETENSORS)
    if (folder / INDEX).is_file():
        return open_safetensors(_shards(folder), folder)
    if (folder / PICKLED).is_file():
        return from_tensors(load_torch(folder / PICKLED), folder / PICKLED)
    raise InputError(f"{folder} has no {SAFETENSORS}, no {INDEX} and no {PICKLED}.")


def open_safetensors(files: list[Path], path: Path) -> Weights:
    """Opens safetensors files as one set of tensors; only their headers are read.

    Args:
        files: The files; a tensor of the same name in two of them is an error.
        path: What to call them in messages.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    places: dict[str, Path] = {}
    metadata: dict[str, str] = {}
    for file in files:
        found = {name: header.shape for name, header in safetensors_header(file).items()}
        metadata |= safetensors_metadata(file)
        if twice := sorted(found.keys() & shapes.keys()):
            raise InputError(f"{file} has the tensor {twice[0]}, and so has {places[twice[0]].name}.", _AGAIN)
        shapes |= found
        places |= dict.fromkeys(found, file)
    return Weights(path, shapes, metadata, files=places)


def from_tensors(state: Any, path: Path) -> Weights:
    """A state dict in memory.

    Raises:
        InputError: It is not names and tensors.
    """
    if not isinstance(state, Mapping) or not state:
        raise InputError(f"{path} holds {type(state).__name__}, expected named tensors.")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise InputError(f"{path} holds {name!r}: {type(tensor).__name__}, expected named tensors.")
    return Weights(path, {name: tuple(tensor.shape) for name, tensor in state.items()}, tensors=dict(state))


def _shards(folder: Path) -> list[Path]:
    table = read_document(folder / INDEX, "an index of weights", max_bytes=1 << 26).get("weight_map")
    if not isinstance(table, dict) or not table or not all(isinstance(name, str) for name in table.values()):
        raise InputError(f"{folder / INDEX} has no table 'weight_map' of files.", _AGAIN)
    names = sorted(set(table.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise InputError(f"{folder / INDEX} names {name!r}, which is no safetensors file of its folder.")
        if not (folder / name).is_file():
            raise InputError(f"{folder} has no {name}, which its {INDEX} names.", "Download it again.")
    return [folder / name for name in names]

"""Vectors of one's own as training data: ``.npy`` arrays [N, d] and safetensors files with such tensors.

Files are mapped into memory; what is read is a chunk of rows at a time, in an order that is another in every epoch. The
last tenth of the rows of every array is held out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.progress import Progress, silent
from saecli.core.ranks import ONE, Ranks
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.data.permutation import shuffled
from saecli.data.shards import map_array
from saecli.formats.safe import safetensors_header
from saecli.train.activations import Rows, Stream

_FLOATS: Final = ("<f4", "<f2", "<f8")
_TENSORS: Final = ("F32", "F16", "BF16", "F64")
_HELD_OUT: Final = 10
_CHUNK: Final = 2048
_MEASURED: Final = 64
"""Chunks of held-out rows that are measured at most."""


@dataclass(frozen=True)
class _Array:
    """One array: its name for people, its shape, and how rows of it are read."""

    name: str
    rows: int
    width: int
    read: Callable[[int, int], Tensor]


class VectorFiles:
    """Rows of several arrays, one after another.

    Args:
        paths: The files.
        hold_out: Whether the last tenth of the rows of every array is kept from training.

    Raises:
        InputError: A file is missing, damaged or not of this kind, widths differ, or there are too few rows.
    """

    def __init__(self, paths: Sequence[Path], *, hold_out: bool = True) -> None:
        self._arrays = [array for path in paths for array in _open(path)]
        first = self._arrays[0]
        self.width = first.width
        for array in self._arrays:
            if array.width != self.width:
                raise InputError(f"{array.name} has width {array.width}, and {first.name} has {self.width}.")
        held = [-(-array.rows // _HELD_OUT) if hold_out else 0 for array in self._arrays]
        self._spans: dict[str, list[tuple[int, int]]] = {
            "train": [(0, array.rows - out) for array, out in zip(self._arrays, held, strict=True)],
            "val": [(array.rows - out, array.rows) for array, out in zip(self._arrays, held, strict=True)],
        }
        if not self.rows("train"):
            needed = "2 rows are needed, one of them held out" if hold_out else "1 row is needed"
            raise InputError(f"{first.name} has {first.rows} rows; at least {needed}.")

    @property
    def identity(self) -> str:
        """Names and shapes, and what is held out."""
        return repr([(array.name, array.rows, array.width) for array in self._arrays]) + repr(self._spans)

    def rows(self, split: Literal["train", "val"]) -> int:
        """Number of rows of a side."""
        return sum(stop - start for start, stop in self._spans[split])

    def read(self, split: Literal["train", "val"], start: int, stop: int) -> Tensor:
        """float32 [stop - start, width]: rows of a side.

        Raises:
            InputError: A value is not finite.
        """
        spans = self._spans[split]
        ends = np.cumsum([last - first for first, last in spans]).tolist()
        parts = []
        while start < stop:
            number = bisect_right(ends, start)
            array, (first, last) = self._arrays[number], spans[number]
            at = first + start - (ends[number - 1] if number else 0)
            until = min(last, at + stop - start)
            rows = array.read(at, until).float()
            if not bool(torch.isfinite(rows).all()):
                raise InputError(f"{array.name} has a value that is not finite in its rows {at} to {until - 1}.")
            parts.append(rows)
            start += until - at
        return torch.cat(parts) if parts else torch.empty(0, self.width)


class VectorStream(Stream):
    """Blocks of rows of files by number; see :class:`saecli.train.activations.Stream`.

    Args:
        files: The rows.
        site: Where they are said to be from.
        buffer: Rows per block, nearly.
        seed: Of the order.
        device: Where training is.
        dtype: In which number type.
        ranks: The processes; each reads its part of every chunk.
        progress: Told when the rows are read again.
    """

    def __init__(
        self,
        files: VectorFiles,
        site: Site,
        buffer: int,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        ranks: Ranks = ONE,
        progress: Progress = silent,
    ) -> None:
        rows = files.rows("train")
        chunk = min(_CHUNK, rows)
        super().__init__([site], buffer, chunk, -(-chunk // ranks.size), seed, device, ranks)
        self._dtype, self._progress, self._again = dtype, progress, False
        self._files, self._rows, self._chunks = files, rows, -(-rows // self.per_batch)

    def rows(self, step: int) -> Rows:
        """One chunk; every epoch has each of them once."""
        epoch, place = divmod(step, self._chunks)
        if epoch and not self._again:
            self._again = True
            self._progress(f"All {self._rows:,} training rows were read; they are read again, in another order.")
        start = int(shuffled(np.array([place]), self._chunks, self.seed, epoch)[0]) * self.per_batch
        count = min(self.per_batch, self._rows - start)
        part = self.ranks.part(count)
        read = self._files.read("train", start + part.start, start + part.stop)
        return Rows({self.sites[0]: read.to(self.device, self._dtype)}, part.start, count)


@torch.no_grad()
def measure_vectors(suite: Suite, files: VectorFiles) -> dict[Site, dict[str, float]]:
    """L0, variance explained (pooled) and dead share of dictionaries over held-out rows, evenly chosen if many."""
    count, chunks = files.rows("val"), -(-files.rows("val") // _CHUNK)
    chosen = [number * chunks // min(chunks, _MEASURED) * _CHUNK for number in range(min(chunks, _MEASURED))]
    measured = {}
    for site, dictionary in suite.items():
        rows = error = square = active = 0.0
        total_D = torch.zeros(files.width, dtype=torch.float64)
        fired_F = torch.zeros(dictionary.n_latents, dtype=torch.bool)
        for start in chosen:
            x = files.read("val", start, min(start + _CHUNK, count))
            acts = dictionary.encode(x)
            left = (x - dictionary.reconstruct(x)).double()
            rows += len(x)
            error += float(left.square().sum())
            square += float(x.double().square().sum())
            active += float((acts != 0).sum())
            total_D += x.double().sum(0)
            fired_F |= (acts != 0).any(0)
        spread = square - float(total_D.square().sum()) / rows
        row = {"l0": active / rows, "dead_share": float((~fired_F).double().mean())}
        row["variance_explained"] = 1 - error / spread if spread > 0 else 0.0
        measured[site] = {name: round(value, 5) for name, value in row.items()}
    return measured


def _open(path: Path) -> list[_Array]:
    if path.suffix == ".safetensors":
        arrays = _tensors(path)
    elif path.suffix == ".npy":
        mapped = map_array(path, _FLOATS, 2)
        if mapped.ndim != 2:
            raise InputError(f"{path} holds an array of shape {list(mapped.shape)}, expected [rows, width].")
        rows, width = mapped.shape
        arrays = [_Array(str(path), rows, width, lambda start, stop: torch.from_numpy(mapped[start:stop].copy()))]
    else:
        raise InputError(f"{path} is neither a .npy nor a .safetensors file.")
    for array in arrays:
        if not array.rows or not array.width:
            raise InputError(f"{array.name} is empty: {array.rows} rows of width {array.width}.")
    return arrays


def _tensors(path: Path) -> list[_Array]:
    header = safetensors_header(path)
    if not header:
        raise InputError(f"{path} holds no tensor.")
    for name, (dtype, shape) in header.items():
        if len(shape) != 2 or dtype not in _TENSORS:
            raise InputError(
                f"{path} holds {name} of shape {list(shape)} and type {dtype}, expected [rows, width] of "
                f"{', '.join(_TENSORS)}."
            )
    file = safe_open(path, framework="pt").__enter__()

    def reader(name: str) -> Callable[[int, int], Tensor]:
        return lambda start, stop: file.get_slice(name)[start:stop]

    shapes = sorted((name, header[name].shape) for name in header)
    return [_Array(f"{path}:{name}", shape[0], shape[1], reader(name)) for name, shape in shapes]

"""What names of numpy stand for in a pickle: scalars become numbers, arrays become tensors."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor

from saecli.formats.safe.pickles import Refused, Unfinished

DTYPES: Final = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u8": torch.uint64,
    "u4": torch.uint32,
    "u2": torch.uint16,
    "u1": torch.uint8,
    "b1": torch.bool,
}
"""numpy's name of a number type without its byte order → torch's."""


def dtype_of(name: Any) -> torch.dtype:
    """The number type of numpy's ``f4``, ``<f4``, ``|u1``.

    Raises:
        Refused: Big-endian, or no number: objects, text, dates, records.
    """
    text = str(name)
    if text[:1] == ">" and text[-1:] != "1":
        raise Refused("holds big-endian numbers, which are not read")
    if (dtype := DTYPES.get(text.lstrip("<>|="))) is None:
        what = "objects" if text.lstrip("|") == "O" else f"values of numpy's type {text[:80]!r}"
        raise Refused(f"holds {what}, expected numbers")
    return dtype


def _dtype(name: Any, *_: Any) -> Unfinished:
    def finish(state: Any) -> torch.dtype:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else "="
        return dtype_of(f"{order}{name}")

    return Unfinished(finish)


def _array(*_: Any) -> Unfinished:
    def finish(state: Any) -> Tensor:
        match state:
            case (_, tuple(shape), torch.dtype() as dtype, bool(fortran), (bytes() | bytearray()) as raw):
                return _tensor(raw, dtype, shape, "F" if fortran else "C")
        raise Refused("has a damaged numpy array, or one of objects")

    return Unfinished(finish)


def _scalar(dtype: Any, raw: Any = None) -> Any:
    if not (isinstance(dtype, torch.dtype) and isinstance(raw, (bytes, bytearray))):
        raise Refused("has a damaged numpy number, or a numpy object")
    return _tensor(raw, dtype, (), "C").item()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> Tensor:
    if not (isinstance(dtype, torch.dtype) and isinstance(raw, (bytes, bytearray)) and isinstance(shape, tuple)):
        raise Refused("has a damaged numpy array")
    return _tensor(raw, dtype, shape, order)


def _tensor(raw: bytes | bytearray, dtype: torch.dtype, shape: tuple[Any, ...], order: Any) -> Tensor:
    if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise Refused(f"claims a numpy array of shape {shape} in {len(raw):,} bytes")
    values = torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)
    return shaped(values, shape, fortran=order == "F")


def shaped(values: Tensor, shape: tuple[int, ...], *, fortran: bool) -> Tensor:
    """Numbers [N] as an array, row by row or (``fortran``) column by column."""
    if not fortran:
        return values.reshape(shape)
    return values.reshape(shape[::-1]).permute(*reversed(range(len(shape))))


NUMPY: Final[dict[str, Any]] = {
    "numpy.dtype": _dtype,
    "numpy.ndarray": lambda *_: None,
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")
        for name, make in (
            ("multiarray.scalar", _scalar),
            ("multiarray._reconstruct", _array),
            ("numeric._frombuffer", _from_buffer),
        )
    },
}

"""What names of torch stand for in a pickle: tensors are views of storages that the file really has."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from saecli.formats.safe.numpy_values import NUMPY
from saecli.formats.safe.pickles import Inert, Name, Refused, key

_STORAGES: Final = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}
_DTYPES: Final = (
    *("float64", "double", "float32", "float", "float16", "half", "bfloat16", "float8_e4m3fn", "float8_e5m2"),
    *("int64", "long", "int32", "int", "int16", "short", "int8", "uint8", "uint16", "uint32", "uint64", "bool"),
)


class Storage(NamedTuple):
    """Numbers that tensors are views of, in one dimension."""

    values: Tensor


def table(device: str | torch.device) -> dict[str, Any]:
    """Full name → constructor or value, with tensors made on a device."""

    def tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
        return _tensor(storage, offset, size, stride).to(device)

    def typed(
        storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
    ) -> Tensor:
        if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
            raise Refused("has a damaged tensor")
        if storage.values.numel() * storage.values.element_size() % dtype.itemsize:
            raise Refused("has a storage that is no whole number of its tensor's numbers")
        return _tensor(Storage(storage.values.view(dtype)), offset, size, stride).to(device)

    def with_attributes(make: Any, kind: Any, arguments: Any, _state: Any) -> Tensor:
        if not (isinstance(make, Name) and isinstance(kind, Name) and isinstance(arguments, tuple)):
            raise Refused("has a damaged tensor")
        return names[make.name](*arguments)

    names: dict[str, Any] = {
        **_TABLE,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v3": typed,
        "torch._tensor._rebuild_from_type_v2": with_attributes,
    }
    return names


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    if not isinstance(storage, Storage) or not _naturals((offset,)) or not _naturals(size) or not _naturals(stride):
        raise Refused("has a damaged tensor")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else -1
    if len(size) > 64 or count > len(storage.values) or last >= len(storage.values):
        raise Refused(f"claims a tensor of shape {tuple(size)} over {len(storage.values):,} numbers")
    return storage.values.as_strided(size, stride, offset if count else 0)


def _parameter(values: Any, *_: Any) -> Tensor:
    if not isinstance(values, Tensor):
        raise Refused("has a damaged parameter")
    return values


def _ordered(items: Any = (), *rest: Any) -> OrderedDict[Any, Any]:
    if rest or not isinstance(items, (list, tuple, dict)):
        raise Refused("has a damaged OrderedDict")
    pairs = items.items() if isinstance(items, dict) else items
    return OrderedDict((key(name), value) for name, value in pairs)


def _counter(items: Any = ()) -> Counter[Any]:
    if not isinstance(items, dict):
        raise Refused("has a damaged Counter")
    return Counter(items)


def _bytes(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused("has damaged bytes")
    return text.encode("latin-1")


def _set(items: Any = ()) -> set[Any]:
    if not isinstance(items, list):
        raise Refused("has a damaged set")
    return set(map(key, items))


def _device(kind: Any, index: Any = None) -> str:
    return str(kind) if index is None else f"{kind}:{index}"


def _size(items: Any) -> torch.Size:
    if not _naturals(items):
        raise Refused("has a damaged size")
    return torch.Size(items)


def _object(kind: Any, *_: Any) -> Inert:
    if not isinstance(kind, Name):
        raise Refused("has a damaged object")
    return Inert(kind.name)


def _no_value(*_: Any) -> None:
    raise Refused("makes a tensor or a storage by itself, which a file of values does not")


def _naturals(values: Any) -> bool:
    return isinstance(values, (tuple, list)) and all(type(v) is int and 0 <= v < 1 << 62 for v in values)


def storage_dtype(name: str) -> torch.dtype | None:
    """The number type of ``torch.FloatStorage`` and the like; None if the name is none of them."""
    module, _, kind = name.rpartition(".")
    return _STORAGES.get(kind.removesuffix("Storage")) if module in ("torch", "torch.cuda", "torch.storage") else None


_TABLE: Final[dict[str, Any]] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "_codecs.encode": _bytes,
    "builtins.set": _set,
    "copyreg._reconstructor": _object,
    "torch.device": _device,
    "torch.Size": _size,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    **{
        f"{module}.{kind}": _no_value
        for module in ("torch", "torch.cuda", "torch.storage")
        for kind in (*(f"{one}Storage" for one in _STORAGES), "Tensor")
    },
    "torch.nn.parameter.Parameter": _no_value,
    **NUMPY,
    **{f"torch.{name}": getattr(torch, name) for name in _DTYPES},
}

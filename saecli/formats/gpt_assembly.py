"""A GPT put together from the tensors of a file, whatever they are called there.

A layout says for every parameter of :class:`saecli.core.gpt.GPT` which tensors of the file it is made of. Names, shapes
and the number of weights are compared with the model's shape before anything is allocated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.errors import InputError
from saecli.core.gpt import GPT, Activation, GPTConfig
from saecli.formats.documents import read_document
from saecli.formats.weights import Weights

EMBEDDING, HEAD = "transformer.wte.weight", "lm_head.weight"
MASKS: Final = (".attn.bias", ".attn.masked_bias", ".attn.mask", ".attn.IGNORE")
"""Ends of the names of buffers, which are no weights."""

_BLOCK: Final = re.compile(r"blocks\.(\d+)\.")
_ACTIVATIONS: Final[dict[str, Activation]] = {
    "gelu": "gelu",
    "gelu_new": "gelu_new",
    "gelu_fast": "gelu_new",
    "gelu_pytorch_tanh": "gelu_new",
}


@dataclass(frozen=True)
class Part:
    """What one parameter is made of.

    Attributes:
        keys: Tensors of the file; none for a parameter that the file leaves out.
        shapes: The shapes they must have.
        make: Puts them together.
    """

    keys: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    make: Callable[..., Tensor]


def one(key: str, shape: tuple[int, ...], make: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> Part:
    """A parameter made of one tensor."""
    return Part((key,), (shape,), make)


def constant(shape: tuple[int, ...], value: float) -> Part:
    """A parameter that the layout leaves out: zero biases, gains of one."""
    return Part((), (), lambda: torch.full(shape, value))


def parameter_shapes(config: GPTConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every parameter of a GPT; a tied unembedding is not among them."""
    d, m = config.d_model, config.mlp_width
    yield EMBEDDING, (config.vocab_size, d)
    yield "transformer.wpe.weight", (config.n_ctx, d)
    for layer in range(config.n_layer):
        block = f"transformer.h.{layer}."
        for norm in ("ln_1", "ln_2"):
            if norm == "ln_2" and config.norm == "dynamic_tanh":
                yield f"{block}ln_2.alpha", (1,)
            yield f"{block}{norm}.weight", (d,)
            yield f"{block}{norm}.bias", (d,)
        maps = {"attn.c_attn": (d, 3 * d), "attn.c_proj": (d, d), "mlp.c_fc": (d, m), "mlp.c_proj": (m, d)}
        for name, shape in maps.items():
            yield f"{block}{name}.weight", shape
            yield f"{block}{name}.bias", shape[1:]
    yield "transformer.ln_f.weight", (d,)
    yield "transformer.ln_f.bias", (d,)
    if not config.tied:
        yield HEAD, (config.vocab_size, d)
    if config.head_bias:
        yield "lm_head.bias", (config.vocab_size,)


def assemble(
    config: GPTConfig,
    part_of: Callable[[str, tuple[int, ...]], Part],
    weights: Weights,
    dtype: torch.dtype,
    *,
    ignored: Collection[str] = (),
    said_by: str = "the model's shape",
) -> GPT:
    """Makes a GPT.

    Args:
        config: The shape that is expected.
        part_of: What a parameter of this name and shape is made of.
        weights: The tensors.
        dtype: Number type of the model's weights.
        ignored: Tensors that are no parameters: mask buffers, second copies.
        said_by: Where the shape comes from, for messages.

    Raises:
        InputError: The file does not hold this model; nothing larger than the file has been allocated then.
    """
    path, shapes = weights.path, {name: shape for name, shape in weights.shapes.items() if name not in ignored}
    if config.n_layer > len(shapes):
        raise InputError(f"{path} holds {weights.count} weights, {said_by} describes {config.n_parameters}.")
    parts = {name: part_of(name, shape) for name, shape in parameter_shapes(config)}
    expected = {key: shape for part in parts.values() for key, shape in zip(part.keys, part.shapes, strict=True)}
    for key in sorted(expected.keys() | shapes.keys()):
        if key not in shapes:
            raise InputError(f"{path} has no tensor {key}.")
        if key not in expected:
            raise InputError(f"{path} has a tensor {key}, which this kind of model has not.")
        if shapes[key] != expected[key]:
            found, right = list(shapes[key]), list(expected[key])
            raise InputError(f"{path} has {key} of shape {found}, {said_by} says {right}.")
    model = GPT(config, initialise=False)
    state: dict[str, Tensor] = {}
    for name, part in parts.items():
        tensors = weights.read(part.keys)
        state[name] = part.make(*(tensors[key] for key in part.keys)).to(dtype).contiguous().clone()
    if config.tied:
        state[HEAD] = state[EMBEDDING]
    model.load_state_dict(state, assign=True)
    if config.tied:
        model.lm_head.weight = model.transformer.wte.weight
    return model.eval()


def config_of(path: Path, vocab: int, n_ctx: int, n_layer: int, n_head: int, d_model: int, **more: Any) -> GPTConfig:
    """A model's shape, or an InputError that names the file."""
    try:
        return GPTConfig(vocab, n_ctx, n_layer, n_head, d_model, **more)
    except ValueError as error:
        raise InputError(f"{path} describes no possible model: {error}.") from error


def whole_sizes(values: Any, names: tuple[str, ...], path: Path, said_by: str) -> list[int]:
    """Whole numbers by name, or an InputError that names them."""
    found: list[Any] = [values.get(name) for name in names] if isinstance(values, Mapping) else []
    if not found or not all(type(value) is int for value in found):
        raise InputError(f"{path}: {said_by} should give whole numbers for {', '.join(names)}, found {found}.")
    return found


def matrix(weights: Weights, name: str) -> tuple[int, int]:
    """The shape of a matrix that must be there."""
    shape = weights.shapes.get(name, ())
    if len(shape) != 2:
        raise InputError(f"{weights.path} has no matrix {name}.")
    return shape[0], shape[1]


def count_layers(weights: Weights) -> int:
    """The number of blocks by tensors named ``blocks.7.…``."""
    return 1 + max((int(match[1]) for name in weights.shapes if (match := _BLOCK.match(name))), default=0)


def beside(path: Path) -> dict[str, Any]:
    """What the ``config.json`` beside a checkpoint says, if there is one."""
    beside = path.parent / "config.json"
    return read_document(beside, "a model's configuration") if beside.is_file() else {}


def activation_of(document: Mapping[str, Any], path: Path) -> Activation:
    """The activation function that a configuration names; the exact GELU if it names none."""
    name = next((document[key] for key in ("act_fn", "activation_function", "activation") if key in document), "gelu")
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise InputError(f"{path.parent / 'config.json'} has the activation {name!r}, expected one of {known}.")
    return _ACTIVATIONS[name]

"""Weight folding: norms into the layers that read them, with every prediction unchanged.

A norm's gain g and bias β are linear, so the layer W, b that reads the norm can take them over::

    (x̂ ⊙ g + β) W + b  =  x̂ (g ⊙ W) + (β W + b)

LayerNorm subtracts the mean of what it reads, so nothing may depend on it: what writes into the residual stream is
centred over d_model, and so is what reads a LayerNorm. Softmax ignores a constant, so the unembedding is centred over
the vocabulary, unless logits are soft-capped. Attention patterns sum to one, so value biases move to the output bias.

A model with DynamicTanh somewhere is not centred, since DynamicTanh sees the mean; its gain and bias are folded.

The residual stream of a LayerNorm model changes (by its mean), and so do attn_in and mlp_in; log-probabilities do not.
Dictionaries trained on one processing do not fit the other.

Source: TransformerLens' ``ProcessWeights`` (fold_layer_norm, center_writing_weights, center_unembed,
fold_value_biases), which is the oracle of the tests.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from saecli.core.errors import InputError
from saecli.core.gpt import GPT
from saecli.core.hooks import ThinModel
from saecli.core.model import BlockWeights


@dataclass(frozen=True)
class ModelWeights:
    """All that folding reads and writes.

    Attributes:
        embeddings: Tables that are added into the residual stream, [n, d_model] each.
        blocks: The blocks' weights.
        ln_w, ln_b: Gain and bias of the final norm, [d_model].
        W_U, b_U: Unembedding [d_model, V] and its bias [V].
    """

    embeddings: tuple[Tensor, ...]
    blocks: tuple[BlockWeights, ...]
    ln_w: Tensor
    W_U: Tensor
    ln_b: Tensor | None = None
    b_U: Tensor | None = None


def fold(weights: ModelWeights, *, centred: bool, softcapped: bool) -> ModelWeights:
    """Fold a model's weights; the input is not changed.

    Args:
        weights: Raw weights.
        centred: The norms are LayerNorms, which subtract the mean.
        softcapped: Logits are soft-capped, so the unembedding may not be centred.
    """
    W_U, b_U = _absorb(weights.W_U, weights.b_U, weights.ln_w, weights.ln_b, centred)
    if not softcapped:
        W_U = _centre(W_U, -1)
        b_U = None if b_U is None else _centre(b_U, -1)
    return ModelWeights(
        embeddings=tuple(_centre(table, -1) for table in weights.embeddings) if centred else weights.embeddings,
        blocks=tuple(fold_block(block, centred=centred) for block in weights.blocks),
        ln_w=torch.ones_like(weights.ln_w),
        ln_b=_zeros(weights.ln_b),
        W_U=W_U,
        b_U=b_U,
    )


def fold_block(weights: BlockWeights, *, centred: bool) -> BlockWeights:
    """Fold one block's weights; the input is not changed.

    Args:
        weights: Raw weights.
        centred: The norms are LayerNorms, which subtract the mean.
    """
    w = weights
    ln1, ln2 = (_gain(w.ln1_w, w.W_in), w.ln1_b), (_gain(w.ln2_w, w.W_in), w.ln2_b)
    W_Q, b_Q = _absorb(w.W_Q, w.b_Q, *ln1, centred)
    W_K, b_K = _absorb(w.W_K, w.b_K, *ln1, centred)
    W_V, b_V = _absorb(w.W_V, w.b_V, *ln1, centred)
    W_in, b_in = _absorb(w.W_in, w.b_in, *ln2, centred)
    W_gate = None if w.W_gate is None else _absorb(w.W_gate, None, *ln2, centred)[0]
    W_O, b_O, W_out, b_out = w.W_O, w.b_O, w.W_out, w.b_out
    if b_V is not None:
        value = b_V.repeat_interleave(W_O.shape[0] // b_V.shape[0], dim=0)
        moved = torch.einsum("he,hed->d", value, W_O)
        b_O, b_V = moved if b_O is None else b_O + moved, torch.zeros_like(b_V)
    if centred:
        W_O, W_out = _centre(W_O, -1), _centre(W_out, -1)
        b_O = None if b_O is None else _centre(b_O, -1)
        b_out = None if b_out is None else _centre(b_out, -1)
    return BlockWeights(
        W_Q=W_Q,
        W_K=W_K,
        W_V=W_V,
        W_O=W_O,
        W_in=W_in,
        W_out=W_out,
        W_gate=W_gate,
        b_Q=b_Q,
        b_K=b_K,
        b_V=b_V,
        b_O=b_O,
        b_in=b_in,
        b_out=b_out,
        ln1_w=None if w.ln1_w is None else torch.ones_like(w.ln1_w),
        ln1_b=_zeros(w.ln1_b),
        ln2_w=None if w.ln2_w is None else torch.ones_like(w.ln2_w),
        ln2_b=_zeros(w.ln2_b),
    )


def folded(model: ThinModel) -> ThinModel:
    """The model with folded weights, on a copy of its module. A folded model is returned as it is.

    Computed in float64, stored in the model's own number type. Norms stay modules, with gain 1 and bias 0.

    Raises:
        InputError: A norm has a bias that the layer after it has no place for.
    """
    if model.info.processing == "folded":
        return model
    paths, info = model.paths, replace(model.info, processing="folded")
    module = copy.deepcopy(model.module)
    unembed: Any = module.get_submodule(paths.unembed)
    norm: Any = module.get_submodule(paths.final_norm)
    blocks = list(module.get_submodule(paths.blocks).children())
    norms = [norm, *(block.get_submodule(path) for block in blocks for path in (paths.ln1, paths.ln2))]
    centred = all(isinstance(each, nn.LayerNorm) for each in norms)
    tables: list[Any] = [module.get_submodule(path) for path in paths.embeddings]

    raw = ModelWeights(
        embeddings=tuple(table.weight.double() for table in tables) if centred else (),
        blocks=(),
        ln_w=paths.norm_offset + norm.weight.double(),
        ln_b=_double(getattr(norm, "bias", None)),
        W_U=unembed.weight.double().t(),
        b_U=_double(getattr(unembed, "bias", None)),
    )
    ends = fold(raw, centred=centred, softcapped=paths.softcap is not None)
    with torch.no_grad():
        for table, value in zip(tables, ends.embeddings, strict=False):
            table.weight.copy_(value)
        head = nn.Linear(
            info.d_model,
            ends.W_U.shape[1],
            bias=ends.b_U is not None,
            device=unembed.weight.device,
            dtype=unembed.weight.dtype,
        )
        head.weight.copy_(ends.W_U.t())
        if ends.b_U is not None:
            head.bias.copy_(ends.b_U)
        module.set_submodule(paths.unembed, head)
        _note_head(module, has_bias=ends.b_U is not None)
        for block in blocks:
            stored = paths.weights(block, info)
            in_double = {item.name: _double(getattr(stored, item.name)) for item in fields(stored)}
            _store(stored, fold_block(BlockWeights(**in_double), centred=centred), info.name)  # pyright: ignore[reportArgumentType]
        for each in norms:
            _neutralise(each, paths.norm_offset)
    return ThinModel(module, info, paths)


def _absorb(
    W: Tensor, b: Tensor | None, gain: Tensor, bias: Tensor | None, centred: bool
) -> tuple[Tensor, Tensor | None]:
    """Let a reading layer W [..., d, out], b [..., out] take over the norm it reads."""
    if bias is not None:
        moved = torch.einsum("d,...do->...o", bias, W)
        b = moved if b is None else b + moved
    W = W * gain[:, None]
    return (_centre(W, -2) if centred else W), b


def _centre(x: Tensor, dim: int) -> Tensor:
    return x - x.mean(dim, keepdim=True)


def _gain(gain: Tensor | None, like: Tensor) -> Tensor:
    return like.new_ones(like.shape[0]) if gain is None else gain


def _zeros(x: Tensor | None) -> Tensor | None:
    return None if x is None else torch.zeros_like(x)


def _double(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.double()


def _store(views: BlockWeights, new: BlockWeights, name: str) -> None:
    """Write weights through the views of a module's own; norms are not among them."""
    for item in fields(views):
        if item.name.startswith("ln"):
            continue
        view, value = getattr(views, item.name), getattr(new, item.name)
        if view is not None:
            view.copy_(value)
        elif value is not None and bool(value.any()):
            raise InputError(f"{name} cannot be folded: its layers have no place for {item.name}.", "Use raw weights.")


def _neutralise(norm: Any, offset: float) -> None:
    """Give a norm the gain 1 and the bias 0."""
    norm.weight.fill_(1 - offset)
    if getattr(norm, "bias", None) is not None:
        norm.bias.zero_()


def _note_head(module: Any, has_bias: bool) -> None:
    """Note in the module's configuration that the unembedding is no longer the embedding, and whether it has a bias."""
    if isinstance(module, GPT):
        module.config = replace(module.config, tied=False, head_bias=has_bias)
    elif hasattr(module.config, "tie_word_embeddings"):
        module.config.tie_word_embeddings = False

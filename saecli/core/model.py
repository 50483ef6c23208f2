"""HookedModel: a transformer with named sites.

There are two makers with equal numbers at equal sites: :class:`saecli.core.hooks.ThinModel` (forward hooks on the
module itself; the default) and :class:`saecli.core.bridge.BridgeModel` (TransformerLens' ``TransformerBridge``).
Engines see only this interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from saecli.core.errors import UsageError
from saecli.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor, nn

Edit = Callable[["Tensor"], "Tensor"]
"""What a write does: the site's tensor [B, S, width] in, the tensor that takes its place out."""

Aux = Literal["attn_pattern", "ln1_scale", "ln2_scale", "final_scale"]
"""Read-only sites: (layer, name). ``final_scale`` belongs to layer ``n_layers``."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, apart from its weights.

    Attributes:
        name: Zoo name or path as the user gave it.
        family: Zoo family: ``gpt2``, ``pythia``, ``gemma``, ``othellogpt``, ``chessgpt``, ``toy``.
        n_layers, d_model, n_heads, d_head, d_mlp, n_ctx, d_vocab: The usual sizes.
        parallel: Attention and MLP both read the block's input (GPT-NeoX); there is no resid_mid.
        processing: ``raw`` weights, or ``folded`` (norms folded into the next layer, writing weights centred).
        vocabulary: Name of the token vocabulary: ``othello``, ``chess``, ``ascii`` or a Hugging Face tokenizer.
        bos: Token id that starts every document, or None.
    """

    name: str
    family: str
    n_layers: int
    d_model: int
    n_heads: int
    d_head: int
    d_mlp: int
    n_ctx: int
    d_vocab: int
    parallel: bool = False
    processing: Literal["raw", "folded"] = "raw"
    vocabulary: str = ""
    bos: int | None = None

    def width(self, site: Site) -> int:
        """Width of the vectors at a site."""
        return {"mlp_post": self.d_mlp, "attn_z": self.n_heads * self.d_head}.get(site.kind, self.d_model)

    def check(self, site: Site) -> Site:
        """Return the site if the model has it.

        Raises:
            UsageError: No such layer, or no resid_mid because the blocks are parallel.
        """
        if site.canonical.layer > self.n_layers - (site.canonical.kind != "resid_pre"):
            raise UsageError(f"{self.name} has no site {site}: its {self.n_layers} layers are 0..{self.n_layers - 1}.")
        if self.parallel and site.kind == "resid_mid":
            raise UsageError(f"{self.name} has no site {site}: its attention and MLP run in parallel.")
        return site


@dataclass(frozen=True)
class BlockWeights:
    """Weights of one block in canonical einsum shapes; None where the model has none.

    Attributes:
        W_Q, W_O: [H, d_model, d_head], [H, d_head, d_model].
        W_K, W_V: [H_kv, d_model, d_head].
        W_in, W_out: [d_model, d_mlp], [d_mlp, d_model].
        W_gate: [d_model, d_mlp] for gated MLPs.
        b_Q, b_K, b_V, b_O, b_in, b_out: Biases in matching shapes.
        ln1_w, ln1_b, ln2_w, ln2_b: Norm gains and biases.
    """

    W_Q: Tensor
    W_K: Tensor
    W_V: Tensor
    W_O: Tensor
    W_in: Tensor
    W_out: Tensor
    W_gate: Tensor | None = None
    b_Q: Tensor | None = None
    b_K: Tensor | None = None
    b_V: Tensor | None = None
    b_O: Tensor | None = None
    b_in: Tensor | None = None
    b_out: Tensor | None = None
    ln1_w: Tensor | None = None
    ln1_b: Tensor | None = None
    ln2_w: Tensor | None = None
    ln2_b: Tensor | None = None


@dataclass(frozen=True)
class Block:
    """One block as pure functions of tensors; all differentiable, also under ``torch.func`` and batched gradients.

    Attributes:
        ln1: resid_pre [B, S, d] → attn_in.
        attention: attn_in [B, S, d] → attn_out (explicit softmax, post-norm included), causal from position 0.
        ln2: resid_mid (resid_pre when parallel) [B, S, d] → mlp_in.
        mlp: mlp_in [B, S, d] → mlp_out (post-norm included). Position-wise, as are the norms.
        parallel: Whether ln2 reads resid_pre.
        weights: The block's weights.
        attention_post: The norm that ends ``attention``; None where there is none.
        act: Activation function of an MLP without gates; None if it is not known.
    """

    ln1: Callable[[Tensor], Tensor]
    attention: Callable[[Tensor], Tensor]
    ln2: Callable[[Tensor], Tensor]
    mlp: Callable[[Tensor], Tensor]
    parallel: bool
    weights: BlockWeights
    attention_post: Callable[[Tensor], Tensor] | None = None
    act: Callable[[Tensor], Tensor] | None = None

    def __call__(self, resid_pre: Tensor) -> Tensor:
        """resid_pre [B, S, d] → resid_post."""
        attn_out = self.attention(self.ln1(resid_pre))
        resid_mid = resid_pre + attn_out
        return resid_mid + self.mlp(self.ln2(resid_pre if self.parallel else resid_mid))


@dataclass(frozen=True)
class ModelRun:
    """What one forward pass produced.

    Attributes:
        logits: [B, S, V], or None when the pass stopped earlier.
        sites: The sites asked for, [B, S, width] each; after the write where one was written.
        aux: Read-only sites by (layer, name): patterns [B, H, S, S], scales [B, S, 1].
    """

    logits: Tensor | None
    sites: dict[Site, Tensor] = field(default_factory=dict)
    aux: dict[tuple[int, str], Tensor] = field(default_factory=dict)


class HookedModel(ABC):
    """A model with named sites. Parameters are frozen (``requires_grad`` False) unless :attr:`module` is trained."""

    info: ModelInfo
    module: nn.Module

    @abstractmethod
    def run(
        self,
        tokens: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        aux: Collection[tuple[int, Aux]] = (),
        stop_after: Site | None = None,
        attention_mask: Tensor | None = None,
    ) -> ModelRun:
        """Run the model on token ids.

        Args:
            tokens: int64 [B, S].
            read: Sites whose tensors are returned (part of the autograd graph when one is recorded).
            write: Edits, applied in the order of computation. A write at resid_mid changes both the MLP's input and
                the skip path; its gradient is exact.
            aux: Read-only sites to compute; only the layers named compute patterns.
            stop_after: Deepest site needed; nothing after it is computed and ``logits`` is None.
            attention_mask: bool [B, S], False at padding (right padding).

        Raises:
            UsageError: A site the model does not have, or a sequence longer than its context.
        """

    @abstractmethod
    def run_from(
        self,
        site: Site,
        resid: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        stop_after: Site | None = None,
    ) -> ModelRun:
        """Run only what follows a residual site (resid_pre or resid_post), from its value ``resid`` [B, S, d]."""

    @abstractmethod
    def block(self, layer: int) -> Block:
        """Block ``layer`` as functions and weights."""

    @abstractmethod
    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [B, S] → resid_pre of block 0 [B, S, d] (position embedding included where there is one)."""

    @abstractmethod
    def unembed(self, resid: Tensor) -> Tensor:
        """Final residual stream [..., d] → logits [..., V] (final norm and soft-capping included)."""

    def final_norm(self, resid: Tensor) -> Tensor:
        """Final residual stream [..., d] → what :meth:`head` is given; the same where the model has no last norm."""
        return resid

    def head(self, normed: Tensor) -> Tensor:
        """What the last norm makes [..., d] → logits [..., V]; ``unembed`` is ``head`` of ``final_norm``."""
        return self.unembed(normed)

"""ThinModel: sites as plain forward hooks on the module itself.

Nothing of the module is replaced: attention keeps its fused kernel, a pass without sites is the bare module, and only
the sites asked for get a hook. Three places need more than a hook:

* a write at resid_mid must reach the skip path as well as the MLP, so it is done to what attention adds:
  ``attn_out := new_mid - resid_pre`` (read ``mid = resid_pre + attn_out``); value and gradient are exact;
* a pass that starts at a block runs the model as usual with the earlier blocks bypassed, so masks and rotary
  embeddings are the model's own and position embeddings are not added twice;
* :meth:`ThinModel.block` calls the attention module with the arguments the model itself gives it (mask, rotary
  embeddings), caught once per sequence length, and with explicit softmax instead of the fused kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saecli.core.errors import UsageError
from saecli.core.gpt import GPT, Attention, DynamicTanh
from saecli.core.model import Aux, Block, Edit, HookedModel, ModelInfo, ModelRun
from saecli.core.paths import GPT2, ModulePaths
from saecli.core.site import Site
from saecli.core.visit import SiteVisit, StopPass, aux_source, check_start, check_tokens


def thin_gpt(
    module: GPT,
    name: str = "gpt",
    *,
    family: str = "gpt2",
    vocabulary: str = "",
    bos: int | None = None,
    processing: str = "raw",
) -> ThinModel:
    """The project's own GPT as a HookedModel. Freezes the module and sets it to evaluation.

    Args:
        module: The GPT; not copied.
        name, family, vocabulary, bos, processing: See :class:`saecli.core.model.ModelInfo`.
    """
    config = module.config
    info = ModelInfo(
        name=name,
        family=family,
        n_layers=config.n_layer,
        d_model=config.d_model,
        n_heads=config.n_head,
        d_head=config.d_model // config.n_head,
        d_mlp=config.mlp_width,
        n_ctx=config.n_ctx,
        d_vocab=config.vocab_size,
        processing="folded" if processing == "folded" else "raw",
        vocabulary=vocabulary,
        bos=bos,
    )
    return ThinModel(module, info, GPT2)


class ThinModel(HookedModel):
    """A HookedModel by forward hooks. One pass at a time: hooks of two threads on one module would mix.

    Args:
        module: A language model: token ids [B, S] → logits [B, S, V], or an object with ``logits``. It is used as it
            is, frozen and set to evaluation.
        info: What the model is.
        paths: Where its parts are.
    """

    def __init__(self, module: nn.Module, info: ModelInfo, paths: ModulePaths) -> None:
        self.module = module.requires_grad_(False).eval()
        self.info = info
        self.paths = paths
        self._parts = [_Parts.of(block, paths) for block in module.get_submodule(paths.blocks).children()]
        self._final_norm = module.get_submodule(paths.final_norm)
        self._unembed = module.get_submodule(paths.unembed)
        self._context: _AttentionContext | None = None
        if len(self._parts) != info.n_layers:
            raise ValueError(f"{info.name} should have {info.n_layers} layers, its module has {len(self._parts)}")

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
        """Run the model on token ids; see :meth:`saecli.core.model.HookedModel.run`.

        Attention is causal, so right padding never reaches a real position: the mask is only checked, and what is
        computed at padded positions means nothing.
        """
        check_tokens(self.info, tokens, attention_mask)
        needed = {(layer, name): aux_source(self.info, layer, name) for layer, name in aux}
        visit = SiteVisit(self.info, {*read, *needed.values()}, write, stop_after)
        logits = self._forward(tokens, visit)
        return ModelRun(
            logits,
            {site: visit.seen[site] for site in read},
            {(layer, name): self._aux(layer, name, visit.seen[source]) for (layer, name), source in needed.items()},
        )

    def run_from(
        self,
        site: Site,
        resid: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        stop_after: Site | None = None,
    ) -> ModelRun:
        start = check_start(self.info, site, resid)
        visit = SiteVisit(self.info, read, write, stop_after, start)
        tokens = torch.zeros(resid.shape[:2], dtype=torch.long, device=resid.device)
        with ExitStack() as stack:
            for part in self._parts[: start.layer]:
                stack.enter_context(_replaced_forward(part.block, _identity))
            stack.callback(self._entry(start.layer).register_forward_pre_hook(_give(resid)).remove)
            logits = self._forward(tokens, visit)
        return ModelRun(logits, {site: visit.seen[site] for site in read})

    def block(self, layer: int) -> Block:
        part = self._parts[layer]

        def attention(attn_in: Tensor) -> Tensor:
            return self._attend(layer, attn_in)[0]

        def mlp(mlp_in: Tensor) -> Tensor:
            return part.add_mlp(part.mlp(mlp_in))

        weights = self.paths.weights(part.block, self.info)
        post = None if part.attention_post is part.attention else part.attention_post
        act = getattr(part.mlp, "act", None) if weights.W_gate is None else None
        return Block(part.ln1, attention, part.ln2, mlp, self.info.parallel, weights, post, act)

    def embed(self, tokens: Tensor) -> Tensor:
        start = Site(0, "resid_pre")
        return self.run(tokens, read=[start], stop_after=start).sites[start]

    def unembed(self, resid: Tensor) -> Tensor:
        return self.head(self.final_norm(resid))

    def final_norm(self, resid: Tensor) -> Tensor:
        return self._final_norm(resid)

    def head(self, normed: Tensor) -> Tensor:
        logits = self._unembed(normed)
        cap = self.paths.softcap
        return logits if cap is None else cap * torch.tanh(logits / cap)

    def _entry(self, layer: int) -> nn.Module:
        """The module whose first argument is resid_pre of ``layer``."""
        return self._final_norm if layer == self.info.n_layers else self._parts[layer].block

    def _forward(self, tokens: Tensor, visit: SiteVisit) -> Tensor | None:
        """The whole model under the visit's hooks; None when the visit stopped it."""
        with ExitStack() as stack:
            for site in visit.wanted:
                self._attach(site, visit, stack)
            try:
                out = self.module(tokens, **self.paths.options)
            except StopPass:
                return None
        return out if isinstance(out, Tensor) else out.logits

    def _attach(self, site: Site, visit: SiteVisit, stack: ExitStack) -> None:
        """Hook the module where ``site`` passes."""
        layer, kind = site.canonical.layer, site.canonical.kind
        if kind == "resid_pre":
            handle = self._entry(layer).register_forward_pre_hook(visit.on_input(site))
        else:
            part = self._parts[layer]
            if kind == "attn_in":
                handle = part.ln1.register_forward_hook(visit.on_output(site))
            elif kind == "attn_z":
                handle = part.attention_out.register_forward_pre_hook(visit.on_input(site))
            elif kind == "attn_out":
                handle = part.attention_post.register_forward_hook(visit.on_output(site))
            elif kind == "resid_mid" and site in visit.write:
                handle = part.attention_post.register_forward_hook(visit.on_attention_output(site))
            elif kind == "resid_mid":
                handle = part.ln2.register_forward_pre_hook(visit.on_input(site))
            elif kind == "mlp_in":
                handle = part.ln2.register_forward_hook(visit.on_output(site))
            elif kind == "mlp_post":
                handle = part.mlp_down.register_forward_pre_hook(visit.on_input(site))
            else:
                handle = part.mlp_post_norm.register_forward_hook(visit.on_output(site))
        stack.callback(handle.remove)

    def _aux(self, layer: int, name: str, source: Tensor) -> Tensor:
        if name == "attn_pattern":
            return self._attend(layer, source)[1]
        if name == "final_scale":
            return norm_scale(self._final_norm, source)
        part = self._parts[layer]
        return norm_scale(part.ln1 if name == "ln1_scale" else part.ln2, source)

    def _attend(self, layer: int, attn_in: Tensor) -> tuple[Tensor, Tensor]:
        """attn_in [B, S, d] → attn_out [B, S, d] and pattern [B, H, S, S], by explicit softmax."""
        part = self._parts[layer]
        arguments = self._attention_arguments(layer, attn_in)
        with explicit_softmax(part.attention):
            out = part.attention(attn_in, **arguments)
        if isinstance(part.attention, Attention):
            pattern: Any = part.attention.pattern
            part.attention.pattern = None
        else:
            out, pattern = out[:2]
        return part.add_attention(out), pattern

    def _attention_arguments(self, layer: int, attn_in: Tensor) -> dict[str, Any]:
        """What the model gives ``layer``'s attention beside the hidden states, for any batch of this length."""
        key = (attn_in.shape[-2], attn_in.dtype, attn_in.device)
        if self._context is None or self._context.key != key:
            self._context = _AttentionContext(key, self._catch_arguments(*key))
        return self._context.arguments[layer]

    @torch.inference_mode(False)
    @torch.no_grad()
    def _catch_arguments(self, length: int, dtype: torch.dtype, device: torch.device) -> list[dict[str, Any]]:
        """One pass over a single sequence in which every block stops where it calls its attention."""
        caught: list[dict[str, Any]] = []

        def catch(_module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught.append({name: value for name, value in kwargs.items() if name != "hidden_states"})
            raise StopPass

        if isinstance(self.module, GPT):  # its attention takes nothing but the hidden states
            return [{}] * self.info.n_layers
        with ExitStack() as stack:
            for part in self._parts:
                stack.enter_context(explicit_softmax(part.attention))
                stack.callback(part.attention.register_forward_pre_hook(catch, with_kwargs=True).remove)
                stack.enter_context(_replaced_forward(part.block, _until_stopped(part.block.forward)))
            stack.callback(self._final_norm.register_forward_pre_hook(_stop).remove)
            stack.enter_context(suppress(StopPass))
            self.module(torch.zeros(1, length, dtype=torch.long, device=device), **self.paths.options)
        return caught


@dataclass(frozen=True)
class _Parts:
    """The modules of one block that sites hang on."""

    block: nn.Module
    ln1: nn.Module
    ln2: nn.Module
    attention: nn.Module
    attention_out: nn.Module
    attention_post: nn.Module
    mlp: nn.Module
    mlp_down: nn.Module
    mlp_post_norm: nn.Module

    @classmethod
    def of(cls, block: nn.Module, paths: ModulePaths) -> _Parts:
        get = block.get_submodule
        return cls(
            block=block,
            ln1=get(paths.ln1),
            ln2=get(paths.ln2),
            attention=get(paths.attention),
            attention_out=get(paths.attention_out),
            attention_post=get(paths.attention_post or paths.attention),
            mlp=get(paths.mlp),
            mlp_down=get(paths.mlp_down),
            mlp_post_norm=get(paths.mlp_post_norm or paths.mlp),
        )

    def add_attention(self, out: Tensor) -> Tensor:
        """The attention module's output → what is added to the residual stream."""
        return out if self.attention_post is self.attention else self.attention_post(out)

    def add_mlp(self, out: Tensor) -> Tensor:
        """The MLP's output → what is added to the residual stream."""
        return out if self.mlp_post_norm is self.mlp else self.mlp_post_norm(out)


@dataclass(frozen=True)
class _AttentionContext:
    """The arguments of every layer's attention module for sequences of one length, dtype and device."""

    key: tuple[int, torch.dtype, torch.device]
    arguments: list[dict[str, Any]]


def norm_scale(norm: nn.Module, x: Tensor) -> Tensor:
    """What a norm divides by: ``sqrt(var(x) + eps)`` for LayerNorm, ``sqrt(mean(x²) + eps)`` for RMSNorm.

    Args:
        norm: The norm module; any module but ``nn.LayerNorm`` and DynamicTanh is taken for an RMSNorm.
        x: What it is given, [..., d].

    Returns:
        [..., 1].

    Raises:
        UsageError: DynamicTanh, which divides by nothing.
    """
    if isinstance(norm, DynamicTanh):
        raise UsageError("DynamicTanh has no scale: it is no norm.", "Leave the norms' scales out.")
    if isinstance(norm, nn.LayerNorm):
        return (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
    eps: Any = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    return (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


@contextmanager
def explicit_softmax(attention: nn.Module) -> Iterator[None]:
    """Let an attention module compute its pattern explicitly (differentiable twice and under vmap) and return it."""
    if isinstance(attention, Attention):
        before, attention.eager = attention.eager, True
        try:
            yield
        finally:
            attention.eager = before
    else:
        config: Any = attention.config
        before = config._attn_implementation
        config._attn_implementation = "eager"
        try:
            yield
        finally:
            config._attn_implementation = before


@contextmanager
def _replaced_forward(module: nn.Module, forward: Callable[..., Tensor]) -> Iterator[None]:
    """Let a module compute something else for a while."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = before


def _identity(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
    return hidden_states


def _until_stopped(forward: Callable[..., Any]) -> Callable[..., Tensor]:
    def run(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with suppress(StopPass):
            forward(hidden_states, *args, **kwargs)
        return hidden_states

    return run


def _give(value: Tensor) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    return lambda _module, args: (value, *args[1:])


def _stop(_module: nn.Module, _args: tuple[Any, ...]) -> None:
    raise StopPass

"""BridgeModel: sites by TransformerLens' ``TransformerBridge``, for any architecture it knows.

The bridge replaces parts of the module it wraps, so the module belongs to the BridgeModel from then on. TransformerLens
is imported when the first one is made (5 seconds). Two things are not as TransformerLens has them:

* its ``hook_resid_mid`` is only the input of ln2: a write there misses the skip path. Here resid_mid is written through
  what attention adds, as in :mod:`saecli.core.hooks`;
* its ``ln1.hook_normalized`` is the value before the norm's gain and bias; ``attn_in`` is the value after them.

Every name is checked here: some versions of TransformerLens ignore a hook name they do not know.

Source: https://github.com/TransformerLensOrg/TransformerLens, tested with 4.3.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saecli.core.errors import InputError
from saecli.core.model import Aux, Block, BlockWeights, Edit, HookedModel, ModelInfo, ModelRun
from saecli.core.site import Site
from saecli.core.visit import OutputHook, SiteVisit, StopPass, aux_source, check_start, check_tokens

_HOOKS = {
    "resid_pre": "hook_resid_pre",
    "attn_in": "ln1.hook_out",
    "attn_z": "attn.hook_z",
    "attn_out": "hook_attn_out",
    "resid_mid": "hook_resid_mid",
    "mlp_in": "ln2.hook_out",
    "mlp_post": "mlp.hook_post",
    "mlp_out": "hook_mlp_out",
}
_AUX_HOOKS = {"attn_pattern": "attn.hook_pattern", "ln1_scale": "ln1.hook_scale", "ln2_scale": "ln2.hook_scale"}


class BridgeModel(HookedModel):
    """A HookedModel by TransformerBridge.

    Args:
        module: A Hugging Face causal language model; wrapped in place and frozen.
        info: What the model is; read from the bridge's configuration if it is not given.
        name: The model's name for people, if ``info`` is not given.
        processing: ``folded`` turns on TransformerLens' compatibility mode, the oracle of :mod:`saecli.core.folding`.
    """

    def __init__(
        self,
        module: nn.Module,
        info: ModelInfo | None = None,
        *,
        name: str = "model",
        processing: Literal["raw", "folded"] = "raw",
    ) -> None:
        builder = importlib.import_module("transformer_lens.model_bridge.sources._bridge_builder")
        self._bridge: Any = builder.build_bridge_from_module(
            module, type(module).__name__, hf_config=module.config, tokenizer=None
        )
        self.module = self._bridge
        self._bridge.to = partial(self._bridge.to, print_details=False)  # results of commands stand on stdout
        module.requires_grad_(False).eval()
        self._bridge.eval()
        config = self._bridge.cfg
        self.info = info or ModelInfo(
            name=name,
            family=str(config.architecture),
            n_layers=config.n_layers,
            d_model=config.d_model,
            n_heads=config.n_heads,
            d_head=config.d_head,
            d_mlp=config.d_mlp,
            n_ctx=config.n_ctx,
            d_vocab=config.d_vocab,
            parallel=bool(config.parallel_attn_mlp),
        )
        self._points: dict[str, nn.Module] = self._bridge.hook_dict
        self._arguments: tuple[Any, list[dict[str, Any]]] | None = None
        if processing == "folded":
            self.info = replace(self.info, processing="raw")
            self.folded()

    def folded(self) -> BridgeModel:
        """The same model with folded weights, by TransformerLens' compatibility mode; changes this one's weights.

        Raises:
            InputError: The vocabulary is as large as the model is wide: TransformerLens (4.3) tells the unembedding's
                orientation by its shape.
        """
        if self.info.processing == "raw":
            if self.info.d_vocab == self.info.d_model:
                sizes = f"{self.info.d_vocab} tokens and the width {self.info.d_model}"
                raise InputError(f"{self.info.name} has {sizes}: TransformerLens cannot fold it.", "Use raw weights.")
            self._bridge.enable_compatibility_mode(disable_warnings=True)
            self.info = replace(self.info, processing="folded")
            self._points = self._bridge.hook_dict
        return self

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

        Read-only sites are TransformerLens' own hooks. A pass that reads some does not stop early.
        """
        check_tokens(self.info, tokens, attention_mask)
        needed = {aux_source(self.info, layer, name) for layer, name in aux}
        visit = SiteVisit(self.info, {*read, *needed}, write, stop_after)
        if aux:
            visit.stop = None
        seen: dict[tuple[int, str], Tensor] = {}
        with ExitStack() as stack:
            for key in aux:
                stack.callback(self._aux_point(*key).register_forward_hook(_keep(seen, key)).remove)
            logits = self._forward(tokens, visit)
        return ModelRun(logits if stop_after is None else None, {site: visit.seen[site] for site in read}, seen)

    def run_from(
        self,
        site: Site,
        resid: Tensor,
        *,
        read: Collection[Site] = (),
        write: Mapping[Site, Edit] | None = None,
        stop_after: Site | None = None,
    ) -> ModelRun:
        """Run what follows a residual site. Earlier blocks are computed too (on a dummy token) and overwritten."""
        start = check_start(self.info, site, resid)
        visit = SiteVisit(self.info, read, write, stop_after, start)
        tokens = torch.zeros(resid.shape[:2], dtype=torch.long, device=resid.device)
        with ExitStack() as stack:
            stack.callback(self._point(start).register_forward_hook(lambda *_: resid).remove)
            logits = self._forward(tokens, visit)
        return ModelRun(logits, {site: visit.seen[site] for site in read})

    def block(self, layer: int) -> Block:
        part = self._bridge.blocks[layer]

        def attention(attn_in: Tensor) -> Tensor:
            out = part.attn(hidden_states=attn_in, **self._attention_arguments(layer, attn_in))
            out = out if isinstance(out, Tensor) else out[0]
            return part.ln1_post(out) if hasattr(part, "ln1_post") else out

        def mlp(mlp_in: Tensor) -> Tensor:
            out = part.mlp(mlp_in)
            out = out if isinstance(out, Tensor) else out[0]
            return part.ln2_post(out) if hasattr(part, "ln2_post") else out

        post = getattr(part, "ln1_post", None)
        return Block(part.ln1, attention, part.ln2, mlp, self.info.parallel, _weights(part), post)

    def embed(self, tokens: Tensor) -> Tensor:
        start = Site(0, "resid_pre")
        return self.run(tokens, read=[start], stop_after=start).sites[start]

    def unembed(self, resid: Tensor) -> Tensor:
        return self.head(self.final_norm(resid))

    def final_norm(self, resid: Tensor) -> Tensor:
        return self._bridge.ln_final(resid)

    def head(self, normed: Tensor) -> Tensor:
        logits = self._bridge.unembed(normed)
        cap = getattr(self._bridge.cfg, "output_logits_soft_cap", None)
        return cap * torch.tanh(logits / cap) if cap is not None and cap > 0 else logits

    def _point(self, site: Site) -> nn.Module:
        """The hook point that a site's tensor passes."""
        layer, kind = site.canonical.layer, site.canonical.kind
        if layer == self.info.n_layers:
            return self._points["ln_final.hook_in"]
        return self._points[f"blocks.{layer}.{_HOOKS[kind]}"]

    def _aux_point(self, layer: int, name: str) -> nn.Module:
        return self._points["ln_final.hook_scale" if name == "final_scale" else f"blocks.{layer}.{_AUX_HOOKS[name]}"]

    def _forward(self, tokens: Tensor, visit: SiteVisit) -> Tensor | None:
        with ExitStack() as stack:
            for site in visit.wanted:
                if site.kind == "resid_mid" and site in visit.write:
                    point, hook = self._point(Site(site.layer, "attn_out")), visit.on_attention_output(site)
                else:
                    point, hook = self._point(site), visit.on_output(site)
                    if site.kind == "attn_z":
                        hook = _side_by_side(hook)
                stack.callback(point.register_forward_hook(hook).remove)
            try:
                return self._bridge(tokens, use_cache=False)
            except StopPass:
                return None

    @torch.inference_mode(False)
    @torch.no_grad()
    def _attention_arguments(self, layer: int, attn_in: Tensor) -> dict[str, Any]:
        """What the model gives ``layer``'s attention beside the hidden states, for any batch of this length."""
        key = (attn_in.shape[-2], attn_in.dtype, attn_in.device)
        if self._arguments is None or self._arguments[0] != key:
            caught: list[dict[str, Any]] = []

            def catch(_module: nn.Module, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
                caught.append({name: value for name, value in kwargs.items() if name != "hidden_states"})
                if len(caught) == self.info.n_layers:
                    raise StopPass

            with ExitStack() as stack:
                for part in self._bridge.blocks:
                    stack.callback(part.attn.register_forward_pre_hook(catch, with_kwargs=True).remove)
                stack.enter_context(suppress(StopPass))
                self._bridge(torch.zeros(1, key[0], dtype=torch.long, device=key[2]), use_cache=False)
            self._arguments = (key, caught)
        return self._arguments[1][layer]


def _side_by_side(hook: OutputHook) -> OutputHook:
    """A hook on heads side by side [B, S, H * d_head], for a hook point that may hold them as [B, S, H, d_head]."""

    def outer(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Any:
        shape = output.shape
        value = hook(module, args, output.reshape(*shape[:2], -1))
        return value if value is None else value.reshape(shape)

    return outer


def _keep(seen: dict[tuple[int, str], Tensor], key: tuple[int, str]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _args: Any, output: Tensor) -> None:
        seen[key] = output

    return hook


def _weights(part: Any) -> BlockWeights:
    """A block's weights in TransformerLens' own canonical shapes."""

    def gain(norm: Any) -> Tensor | None:
        weight = getattr(norm, "weight", None)
        return 1 + weight if weight is not None and norm.uses_weight_offset else weight

    def bias(norm: Any) -> Tensor | None:
        return getattr(norm.original_component, "bias", None)

    attn, mlp = part.attn, part.mlp
    return BlockWeights(
        W_Q=attn.W_Q,
        W_K=attn.W_K,
        W_V=attn.W_V,
        W_O=attn.W_O,
        W_in=mlp.W_in,
        W_out=mlp.W_out,
        W_gate=mlp.W_gate,
        b_Q=attn.b_Q,
        b_K=attn.b_K,
        b_V=attn.b_V,
        b_O=attn.b_O,
        b_in=mlp.b_in,
        b_out=mlp.b_out,
        ln1_w=gain(part.ln1),
        ln1_b=bias(part.ln1),
        ln2_w=gain(part.ln2),
        ln2_b=bias(part.ln2),
    )

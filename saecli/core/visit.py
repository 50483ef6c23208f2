"""SiteVisit: what one forward pass reads and writes at which sites, and where it stops.

Both makers of :class:`saecli.core.model.HookedModel` attach its hooks, each at the modules where its sites pass; names
and order are checked here, before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from torch import Tensor, nn

from saecli.core.errors import UsageError
from saecli.core.model import Aux, Edit, ModelInfo
from saecli.core.site import Site

InputHook = Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...] | None]
OutputHook = Callable[[nn.Module, tuple[Any, ...], Any], Any]


class StopPass(Exception):
    """Leaves a forward pass at the deepest site that is needed."""


class SiteVisit:
    """The state of one forward pass.

    Args:
        info: The model.
        read: Sites to keep.
        write: Edits by site.
        stop: The deepest site needed, or None to compute the logits.
        start: The residual site where the pass begins, or None for the tokens.

    Attributes:
        wanted: Every site that needs a hook, in the order of computation.
        write: The edits.
        stop: The deepest site needed, or None.
        seen: The tensors kept so far, after their edit.

    Raises:
        UsageError: The model has no such site, or the pass does not go by it.
    """

    def __init__(
        self,
        info: ModelInfo,
        read: Collection[Site],
        write: Mapping[Site, Edit] | None,
        stop: Site | None,
        start: Site | None = None,
    ) -> None:
        self.write = dict(write or {})
        self.seen: dict[Site, Tensor] = {}
        self.stop = stop
        self._read = set(read)
        # A write at resid_mid becomes a write of what attention adds, for which the block's input is needed.
        self._read.update(Site(site.layer, "resid_pre") for site in self.write if site.kind == "resid_mid")
        sites = self._read | self.write.keys() | ({stop} if stop is not None else set())
        self.wanted = sorted(info.check(site) for site in sites)
        asked = {*read, *self.write} | ({stop} if stop is not None else set())
        if start is not None and asked and min(asked) < start:
            raise UsageError(f"A pass that starts at {start} does not go by {min(asked)}.")
        if stop is not None and self.wanted[-1] > stop:
            raise UsageError(f"A pass that stops after {stop} does not reach {self.wanted[-1]}.")

    def visit(self, site: Site, value: Tensor) -> Tensor:
        """Edit and keep a site's value; leave the pass if it is the last one.

        Raises:
            StopPass: Nothing deeper is needed.
        """
        if site in self.write:
            value = self.write[site](value)
        if site in self._read:
            self.seen[site] = value
        if site == self.stop:
            raise StopPass
        return value

    def on_input(self, site: Site) -> InputHook:
        """Forward pre-hook for a site that is a module's first argument."""

        def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            value = self.visit(site, args[0])
            return None if value is args[0] else (value, *args[1:])

        return hook

    def on_output(self, site: Site) -> OutputHook:
        """Forward hook for a site that is a module's output, or the first of its outputs."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            old = output[0] if isinstance(output, tuple) else output
            value = self.visit(site, old)
            if value is old:
                return None
            return (value, *output[1:]) if isinstance(output, tuple) else value

        return hook

    def on_attention_output(self, site: Site) -> OutputHook:
        """Forward hook that edits resid_mid through what attention adds, so that the skip path is edited with it."""

        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
            added = output[0] if isinstance(output, tuple) else output
            resid_pre = self.seen[Site(site.layer, "resid_pre")]
            resid_mid = resid_pre + added
            value = self.visit(site, resid_mid)
            if value is resid_mid:
                return None
            value = value - resid_pre
            return (value, *output[1:]) if isinstance(output, tuple) else value

        return hook


def check_tokens(info: ModelInfo, tokens: Tensor, attention_mask: Tensor | None = None) -> None:
    """Check the shape of token ids [B, S] and that a mask pads on the right.

    Attention is causal, so right padding never reaches a real position and the mask changes nothing there.

    Raises:
        UsageError: No batch of sequences, longer than the context, or padded elsewhere.
    """
    if tokens.ndim != 2:
        raise UsageError(f"Tokens should have the shape [batch, sequence], not {list(tokens.shape)}.")
    _check_length(info, tokens.shape[1])
    if attention_mask is not None:
        if attention_mask.shape != tokens.shape:
            raise UsageError(f"An attention mask of shape {list(attention_mask.shape)} does not fit the tokens.")
        mask = attention_mask.bool()
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise UsageError("Only right padding is supported: the attention mask has padding before a token.")


def check_start(info: ModelInfo, site: Site, resid: Tensor) -> Site:
    """Check where a pass starts and return the site as ``resid_pre``.

    Raises:
        UsageError: Not a residual stream between blocks, or a tensor that is not [B, S, d_model].
    """
    start = info.check(site).canonical
    if start.kind != "resid_pre":
        raise UsageError(f"A pass starts at resid_pre or resid_post of a layer, not at {site}.")
    if resid.ndim != 3 or resid.shape[-1] != info.d_model:
        raise UsageError(f"{site} should have the shape [batch, sequence, {info.d_model}], not {list(resid.shape)}.")
    _check_length(info, resid.shape[1])
    return start


def aux_source(info: ModelInfo, layer: int, name: Aux) -> Site:
    """The site that a read-only site is computed from.

    Raises:
        UsageError: The model has no such read-only site.
    """
    last = name == "final_scale"
    if name not in get_args(Aux) or not (layer == info.n_layers if last else 0 <= layer < info.n_layers):
        raise UsageError(f"{info.name} has no read-only site {name!r} at layer {layer}.")
    if name == "attn_pattern":
        return Site(layer, "attn_in")
    if name == "ln2_scale" and not info.parallel:
        return Site(layer, "resid_mid")
    return Site(layer, "resid_pre")


def _check_length(info: ModelInfo, length: int) -> None:
    if not 1 <= length <= info.n_ctx:
        raise UsageError(f"{info.name} reads 1 to {info.n_ctx} tokens at a time, not {length}.")

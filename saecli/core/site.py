"""Sites: the named places of a transformer where a dictionary reads or writes.

A site is a layer and a kind. Within one block the stream passes the kinds in this order::

    resid_pre -> attn_in -> attn_z -> attn_out -> resid_mid -> mlp_in -> mlp_post -> mlp_out -> resid_post

``attn_in`` and ``mlp_in`` are what the attention and the MLP are given (after their norm); ``attn_out`` and ``mlp_out``
are what they add to the residual stream (after a post-norm where the model has one); ``attn_z`` is what the heads have
mixed, side by side, before the output projection; ``mlp_post`` is the hidden layer of the MLP after its activation
function. ``resid_post`` of layer L is the same tensor as ``resid_pre`` of layer L + 1,
and the two sites are equal. Parallel blocks (GPT-NeoX) have no ``resid_mid``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final

from saecli.core.errors import UsageError

KINDS: Final = (
    "resid_pre",
    "attn_in",
    "attn_z",
    "attn_out",
    "resid_mid",
    "mlp_in",
    "mlp_post",
    "mlp_out",
    "resid_post",
)
"""Every kind, in the order in which a block computes them."""

RESIDUAL_KINDS: Final = ("resid_pre", "resid_mid", "resid_post")

# One table of names. The first entry of a row is the name that is written; all of them are read.
_TRANSFORMER_LENS: Final[dict[str, tuple[str, ...]]] = {
    "resid_pre": ("hook_resid_pre", "hook_in"),
    "attn_in": ("ln1.hook_normalized", "ln1.hook_out", "attn.hook_in"),
    "attn_z": ("attn.hook_z",),
    "attn_out": ("hook_attn_out", "attn.hook_out", "ln1_post.hook_out"),
    "resid_mid": ("hook_resid_mid", "ln2.hook_in"),
    "mlp_in": ("ln2.hook_normalized", "ln2.hook_out", "mlp.hook_in"),
    "mlp_post": ("mlp.hook_post",),
    "mlp_out": ("hook_mlp_out", "mlp.hook_out", "ln2_post.hook_out"),
    "resid_post": ("hook_resid_post", "hook_out"),
}
_GPT_CIRCUITS: Final[dict[str, str]] = {
    "resid_pre": "act",
    "resid_mid": "residmid",
    "mlp_in": "mlpin",
    "mlp_out": "mlpout",
    "resid_post": "residpost",
}
_FROM_TRANSFORMER_LENS: Final = {name: kind for kind, names in _TRANSFORMER_LENS.items() for name in names}
_FROM_GPT_CIRCUITS: Final = {name: kind for kind, name in _GPT_CIRCUITS.items()}

_TL_NAME = re.compile(r"blocks\.(\d+)\.([a-z0-9_.]+)")
_GC_NAME = re.compile(r"(\d+)_([a-z]+)")
_OWN_NAME = re.compile(r"(\d+)(?:\.([a-z_]+))?")


@total_ordering
@dataclass(frozen=True, eq=False)
class Site:
    """A place in the model: ``Site(6, "attn_out")``.

    Attributes:
        layer: Index of the block, from 0. ``Site(n_layers, "resid_pre")`` is the final residual stream.
        kind: One of :data:`KINDS`.
    """

    layer: int
    kind: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"There is no site kind {self.kind!r}.", f"The kinds are {', '.join(KINDS)}.")
        if self.layer < 0:
            raise UsageError(f"A site's layer is 0 or more, not {self.layer}.")

    @property
    def depth(self) -> tuple[int, int]:
        """Position in the order of computation; equal for the two names of one residual stream."""
        if self.kind == "resid_post":
            return self.layer + 1, 0
        return self.layer, KINDS.index(self.kind)

    @property
    def is_residual(self) -> bool:
        """Whether the site is the residual stream itself (rather than what a module is given or adds)."""
        return self.kind in RESIDUAL_KINDS

    @property
    def canonical(self) -> Site:
        """The same site with the residual stream between blocks written as ``resid_pre``."""
        return Site(self.layer + 1, "resid_pre") if self.kind == "resid_post" else self

    @property
    def hook_name(self) -> str:
        """TransformerLens' name, for example ``blocks.6.hook_resid_pre``."""
        return f"blocks.{self.layer}.{_TRANSFORMER_LENS[self.kind][0]}"

    @property
    def circuits_key(self) -> str:
        """gpt-circuits' key, for example ``6_act``.

        Raises:
            UsageError: gpt-circuits has no name for this kind.
        """
        if self.kind not in _GPT_CIRCUITS:
            raise UsageError(f"gpt-circuits has no key for {self}.")
        return f"{self.layer}_{_GPT_CIRCUITS[self.kind]}"

    def __str__(self) -> str:
        return f"{self.layer}.{self.kind}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Site) and self.depth == other.depth

    def __lt__(self, other: Site) -> bool:
        return self.depth < other.depth

    def __hash__(self) -> int:
        return hash(self.depth)

    @classmethod
    def parse(cls, text: str, residual: str = "resid_pre") -> Site:
        """Read a site in any notation of the table.

        Args:
            text: ``6.attn_out``, ``blocks.6.hook_attn_out``, ``6_mlpin``, or a bare ``6``.
            residual: The kind that a bare number means: a suite's own label scheme.

        Raises:
            UsageError: The text names no site.
        """
        text = text.strip()
        if match := _TL_NAME.fullmatch(text):
            kind = _FROM_TRANSFORMER_LENS.get(match[2])
        elif match := _GC_NAME.fullmatch(text):
            kind = _FROM_GPT_CIRCUITS.get(match[2])
        elif match := _OWN_NAME.fullmatch(text):
            kind = residual if match[2] is None else match[2] if match[2] in KINDS else None
        else:
            match = kind = None
        if match is None or kind is None:
            raise UsageError(
                f"{text!r} names no site.", "Write a site as 6 (residual), 6.attn_out or blocks.6.hook_attn_out."
            )
        return cls(int(match[1]), kind)

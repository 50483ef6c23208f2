"""What is connected with what: the modules of a suite, the ends of the model, and what is upstream of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saecli.core.connections import Module
from saecli.core.model import ModelInfo
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.pruned.modules import modules_of


@dataclass(frozen=True)
class Down:
    """A module and those whose features its features may depend on.

    Attributes:
        module: The module.
        ups: Modules upstream, in the order of computation; never none.
        starts: Where each begins among the upstream features laid side by side.
        width: Number of upstream features.
    """

    module: Module
    ups: tuple[Module, ...]
    starts: tuple[int, ...]
    width: int

    @classmethod
    def of(cls, module: Module, ups: Sequence[Module]) -> Down:
        """Lay upstream features side by side."""
        starts = [0]
        for up in ups:
            starts.append(starts[-1] + up.n_latents)
        return cls(module, tuple(ups), tuple(starts[:-1]), starts[-1])

    @property
    def site(self) -> Site:
        """What the module is named by."""
        return self.module.reads


def connected_modules(suite: Suite, info: ModelInfo, *, embed: bool, logits: bool) -> tuple[Module, ...]:
    """The modules of a suite in the order of computation, between the ends of the model that are asked for.

    Raises:
        InputError: A dictionary is missing, or its features are not linear in those before (see
            :func:`saecli.pruned.modules.modules_of`).
    """
    return (
        *((Module.embed(info.d_vocab),) if embed else ()),
        *modules_of(suite, info.n_layers),
        *((Module.logits(info.n_layers, info.d_vocab),) if logits else ()),
    )


def downs_of(modules: Sequence[Module], *, parallel: bool) -> list[Down]:
    """Every module that has modules upstream, with them."""
    pairs = [
        (down, [up for up in modules if up is not down and up.is_upstream_of(down, parallel=parallel)])
        for down in modules
    ]
    return [Down.of(down, ups) for down, ups in pairs if ups]

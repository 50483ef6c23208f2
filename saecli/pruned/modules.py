"""Which dictionaries of a suite the pruned pass goes through, and what it refuses."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from saecli.core.connections import Connections, Module
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.model import HookedModel, ModelInfo
from saecli.core.site import Site
from saecli.core.suite import Suite
from saecli.pruned.affine import AffineBlock
from saecli.pruned.frozen import Frozen, freeze

ARCHITECTURES: Final = ("topk", "abstopk", "jumprelu", "standard", "gated", "groupmax", "identity")
"""Those whose features are a function of pre-activations that are linear in the input."""

_WRITES: Final = {"attn_out": "attn_out", "mlp_in": "mlp_out"}
"""Kind of site read → kind written."""
_PROBE: Final = 5


def modules_of(suite: Suite, n_layers: int) -> tuple[Module, ...]:
    """The attention-output dictionary and the MLP transcoder of every layer, in the order of computation.

    Dictionaries of the suite at other sites are left aside.

    Raises:
        InputError: One is missing, or one has parts that are not linear in its pre-activations' input.
    """
    modules = []
    for layer in range(n_layers):
        for kind, written in _WRITES.items():
            reads, writes = Site(layer, kind), Site(layer, written)
            config = suite.configs.get(reads)
            if config is None or config.written != (writes,):
                what = "attention-output dictionary" if kind == "attn_out" else "MLP transcoder (mlp_in to mlp_out)"
                found = ", ".join(sorted({_kind(one) for one in suite.configs.values()})) or "nothing"
                raise InputError(
                    f"{suite.info.name} has no {what} at layer {layer}; it has {found}.",
                    "A connected suite needs a dictionary of attn_out and a transcoder from mlp_in to mlp_out in "
                    "every layer.",
                )
            _check_config(suite.info.name, config)
            modules.append(Module(reads, writes, config.n_latents))
    return tuple(modules)


def check_connections(suite: Suite, modules: tuple[Module, ...], connections: Connections, info: ModelInfo) -> None:
    """Check that connections are between these modules and the ends of this model.

    Raises:
        InputError: Other modules, numbers of features or blocks, or those of a suite with another fingerprint.
    """
    name = suite.info.name
    theirs = {module.reads: module for module in connections.modules if module.what == "features"}
    for module in modules:
        other = theirs.pop(module.reads, None)
        if other is None:
            raise InputError(f"The connections have no module {module.reads}, which {name} has.")
        if other.n_latents != module.n_latents or other.writes != module.writes:
            raise InputError(
                f"The connections have {other.n_latents} features from {other.reads} to {other.writes}, and {name} "
                f"has {module.n_latents} from {module.reads} to {module.writes}."
            )
    if theirs:
        raise InputError(f"The connections have the module {next(iter(theirs))}, which {name} does not have.")
    for end in connections.modules:
        if end.what != "features" and end not in (
            Module.embed(info.d_vocab),
            Module.logits(info.n_layers, info.d_vocab),
        ):
            raise InputError(
                f"The connections have {end.n_latents} {end.what} at {end.reads}, and {info.name} has {info.d_vocab} "
                f"tokens and {info.n_layers} layers."
            )
    if connections.parallel != info.parallel:
        kinds = ("sequential", "parallel")
        raise InputError(
            f"The connections are of {kinds[connections.parallel]} blocks, and those of the model of {name} are "
            f"{kinds[info.parallel]}."
        )
    theirs_is = connections.suite_fingerprint
    if theirs_is and theirs_is != suite.fingerprint:
        raise InputError(
            f"The connections belong to another suite than {name} ({theirs_is[:11]} and {suite.fingerprint[:11]}).",
            "Use the suite they were chosen for, or choose connections of this one.",
        )


@torch.no_grad()
def check_affine(model: HookedModel, modules: tuple[Module, ...], blocks: dict[int, AffineBlock]) -> None:
    """Check on a few tokens that the affine picture of every block gives the model's own values.

    Raises:
        InputError: It does not: a norm after attention, a norm without a scale, weights of an unknown layout.
    """
    info = model.info
    device = next(model.module.parameters()).device
    tokens = torch.arange(min(_PROBE, info.n_ctx), device=device)[None] % info.d_vocab
    try:
        frozen = freeze(model, modules, tokens)
    except UsageError as error:
        raise InputError(f"{info.name} has no pruned pass: {error.message}", error.hint) from error
    stream = frozen.embedded_BSD
    for layer, block in blocks.items():
        attended, reads = Site(layer, "attn_out"), Site(layer, "mlp_in")
        found = {attended: block.attention(stream, frozen.mixes[layer])}
        middle = stream if info.parallel else stream + frozen.targets[attended]
        found[reads] = block.ln2(middle, frozen.scales[reads])
        for site, value in found.items():
            expected = frozen.inputs[site]
            tolerance = 3 * torch.finfo(expected.dtype).eps ** 0.5 * expected.abs().max()
            if not bool((value - expected).abs().max() <= tolerance):
                raise InputError(
                    f"{info.name} has no exact pruned pass: with its norms' scales and patterns fixed, {site} is not "
                    "an affine function of the residual stream.",
                    "A norm after attention (Gemma 2 and 3) is one reason.",
                )
        stream = stream + frozen.targets[attended] + frozen.targets[reads]


def true_errors(dictionaries: dict[Site, Dictionary], frozen: Frozen) -> dict[Site, Tensor]:
    """What every dictionary leaves unexplained of the true model: target − reconstruction of the true input."""
    with torch.no_grad():
        return {site: frozen.targets[site] - one.reconstruct(frozen.inputs[site]) for site, one in dictionaries.items()}


def _check_config(name: str, config: DictionaryConfig) -> None:
    where = f"The dictionary of {name} at {config.reads}"
    if config.arch not in ARCHITECTURES:
        raise InputError(f"{where} is {config.arch}; a pruned pass knows {', '.join(ARCHITECTURES)}.")
    for option in ("normalize", "skip"):
        if config.options.get(option):
            raise InputError(f"{where} has the option {option}, with which features are not linear in those before.")


def _kind(config: DictionaryConfig) -> str:
    written = ", ".join(site.kind for site in config.written)
    return config.reads.kind if written == config.reads.kind else f"{config.reads.kind} to {written}"

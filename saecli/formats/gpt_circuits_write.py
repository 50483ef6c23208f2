"""Writes what :mod:`saecli.formats.gpt_circuits` reads: ``sae.json`` and the tensors, without a GPT.

What is stored follows from the weights. Dictionaries that are the first rows of the widest, all of them or those of one
block (``residmid``, ``residpost``), become a staircase with ``sae.shared.{j}.safetensors``; an encoder that is the
transposed decoder becomes a variant _v2. How a staircase was trained (detached or not) the weights do not tell; that
pairs were trained with a penalty on their Jacobian (``jsae_layer``, ``jsae_block``) their options say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from saecli.core.atomic import write_bytes
from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.staircase import is_staircase
from saecli.formats.gpt_circuits_folder import CONFIG

_STAIRCASES: Final = {"topk": "topk_staircase", "jumprelu": "jumprelu_staircase"}
_JACOBIAN: Final[Mapping[tuple[str, ...], str]] = {
    ("mlp_in", "mlp_out"): "jsae_layer",
    ("resid_mid", "resid_post"): "jsae_block",
}
_ARCHITECTURES: Final = ("standard", "gated", "jumprelu", "topk")


def write(dictionaries: Mapping[str, Dictionary], folder: Path, dtype: torch.dtype = torch.float32, **_: Any) -> None:
    """Write dictionaries as a checkpoint folder of gpt-circuits.

    Args:
        dictionaries: In any order; they are written in that of depth.
        folder: Where.
        dtype: Number type of the stored weights.

    Raises:
        UsageError: gpt-circuits has nothing like one of them, or no folder of all of them; nothing is written.
    """
    made = sorted(dictionaries.values(), key=lambda one: one.config.reads)
    for one in made:
        _check(one)
    arch = made[0].config.arch
    if other := next((one for one in made if one.config.arch != arch), None):
        raise UsageError(
            f"A folder of gpt-circuits has dictionaries of one architecture, and these are {arch} and "
            f"{other.config.arch}.",
            "Choose some with --include.",
        )
    variant, groups = _variant(arch, made)
    document: dict[str, Any] = {
        "n_features": [one.n_latents for one in made],
        "sae_variant": variant,
        "sae_keys": [one.config.reads.circuits_key for one in made],
    }
    if arch == "topk":
        document["top_k"] = [one.config.options["k"] for one in made]
    files: dict[str, dict[str, Tensor]] = {}
    for number, group in enumerate(groups):
        widest = max(group, key=lambda one: one.n_latents)
        shared: dict[str, Tensor] = {"W_enc": widest.W_enc_DF, "W_dec": widest.W_dec_FD}
        if arch == "jumprelu":
            shared["log_threshold"] = _log(widest)
        files[f"sae.shared.{number}.safetensors"] = shared
    for index, one in enumerate(made):
        files[f"sae.{index}.safetensors"] = _tensors(one, bool(groups), variant.endswith("_v2"))
    for name, tensors in files.items():
        stored = {key: value.detach().cpu().to(dtype).contiguous() for key, value in tensors.items()}
        write_bytes(folder / name, serialise(stored))
    write_bytes(folder / CONFIG, (json.dumps(document, indent=1) + "\n").encode())


def _check(one: Dictionary) -> None:
    config = one.config
    if config.arch not in _ARCHITECTURES:
        raise UsageError(
            f"gpt-circuits has no {config.arch} dictionaries, and that at {config.reads} is one.",
            f"It has {', '.join(_ARCHITECTURES)}.",
        )
    problems = {
        f"writes {config.writes}": config.reads != config.writes,
        "has a skip path": one.W_skip_DO is not None,
        "normalises its input": one.normalize is not None,
        "does not subtract b_dec from its input": config.reads == config.writes and not one.subtracts_b_dec,
    }
    for problem, so in problems.items():
        if so:
            raise UsageError(f"gpt-circuits has no dictionary like that at {config.reads}: it {problem}.")
    _ = config.reads.circuits_key
    if config.arch == "jumprelu" and bool((_threshold(one) < 0).any()):
        raise UsageError(f"gpt-circuits stores the logarithm of thresholds, and {config.reads} has negative ones.")


def _variant(arch: str, made: Sequence[Dictionary]) -> tuple[str, list[Sequence[Dictionary]]]:
    """The variant, and what shares weights."""
    if arch in _STAIRCASES and len(made) > 1:
        if is_staircase(made):
            return _STAIRCASES[arch], [made]
        pairs = [made[at : at + 2] for at in range(0, len(made), 2)]
        if arch == "topk" and all(map(_is_block, pairs)) and all(map(is_staircase, pairs)):
            return "staircase_block", list(pairs)
        kinds = {tuple(one.config.reads.kind for one in pair) for pair in pairs}
        trained = all(one.config.options.get("jacobian") for one in made)
        if trained and len(kinds) == 1 and (kind := kinds.pop()) in _JACOBIAN and all(map(_of_one_layer, pairs)):
            return _JACOBIAN[kind], []
    tied = all(torch.equal(one.W_enc_DF, one.W_dec_FD.T) for one in made)
    if arch == "gated":
        tied = tied and not any(bool(one.get_parameter("r_mag_F").any()) for one in made)
    return (f"{arch}_v2" if tied and arch in ("standard", "gated") else arch), []


def _is_block(pair: Sequence[Dictionary]) -> bool:
    sites = [one.config.reads for one in pair]
    return [site.kind for site in sites] == ["resid_mid", "resid_post"] and _of_one_layer(pair)


def _of_one_layer(pair: Sequence[Dictionary]) -> bool:
    return len({one.config.reads.layer for one in pair}) == 1


def _tensors(one: Dictionary, shared: bool, tied: bool) -> dict[str, Tensor]:
    """What is stored of a dictionary alone."""
    if one.config.arch == "gated":
        own: dict[str, Tensor] = {"W_dec": one.W_dec_FD, "b_dec": one.b_dec_D, "b_gate": one.b_enc_F}
        own["b_mag"] = one.get_parameter("b_mag_F")
        return own if tied else own | {"W_gate": one.W_enc_DF, "r_mag": one.get_parameter("r_mag_F")}
    own: dict[str, Tensor] = {"b_enc": one.b_enc_F, "b_dec": one.b_dec_D}
    if shared:
        return own
    own["W_dec"] = one.W_dec_FD
    if one.config.arch == "jumprelu":
        own["jumprelu.log_threshold"] = _log(one)
    return own if tied else own | {"W_enc": one.W_enc_DF}


def _threshold(one: Dictionary) -> Tensor:
    return one.get_parameter("threshold_F")


def _log(one: Dictionary) -> Tensor:
    return _threshold(one).log()

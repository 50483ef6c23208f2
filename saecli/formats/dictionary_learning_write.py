"""Writes dictionary_learning's ``ae.pt`` and ``config.json``, for the classes it has.

Its AutoEncoder subtracts the decoder bias from the input and has unit decoder columns once loaded; a dictionary that
differs becomes an AutoEncoderNew, with the subtraction folded into the encoder's bias. The others likewise.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor

from saecli.core.atomic import write_bytes
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import UsageError

_TRAINERS: Final = {
    "AutoEncoder": "StandardTrainer",
    "AutoEncoderNew": "StandardTrainerAprilUpdate",
    "GatedAutoEncoder": "GatedSAETrainer",
    "JumpReluAutoEncoder": "JumpReluTrainer",
    "AutoEncoderTopK": "TopKTrainer",
    "MatryoshkaBatchTopKSAE": "MatryoshkaBatchTopKTrainer",
    "IdentityDict": "",
}
_UNKNOWN: Final = -1.0
"""Threshold of an AutoEncoderTopK that was never learned."""


def to_files(
    dictionary: Dictionary, dtype: torch.dtype = torch.float32, *, model: str = "", context: int = 0
) -> dict[str, bytes]:
    """The files of a dictionary's folder, by name.

    Args:
        dictionary: standard, topk, gated, jumprelu or identity; an autoencoder whose input is taken as it is.
        dtype: Number type of the stored weights.
        model, context: Name of the model and positions per sequence, for config.json.

    Raises:
        UsageError: dictionary_learning has no such class.
    """
    name, tensors = _class_and_tensors(dictionary)
    config = dictionary.config
    for key, value in tensors.items():
        if value.is_floating_point():
            tensors[key] = value.to(torch.float32 if not value.ndim else dtype).contiguous()
            if not tensors[key].isfinite().all():
                raise UsageError(f"{key} of the dictionary at {config.reads} does not fit into {dtype}.")
    trainer = {
        "trainer_class": _TRAINERS[name],
        "dict_class": name,
        "activation_dim": config.d_in,
        "dict_size": config.n_latents,
        "layer": config.reads.layer,
        "submodule_name": f"{config.reads.kind}_layer_{config.reads.layer}",
        "lm_name": model,
        **({"k": config.options["k"]} if "k" in tensors else {}),
    }
    into = config.reads.kind.endswith("_in")
    buffer = {
        "d_submodule": config.d_in,
        "io": "in" if into else "out",
        "ctx_len": context,
    }
    data = io.BytesIO()
    torch.save(tensors, data)
    document = json.dumps({"trainer": trainer, "buffer": buffer}, indent=4) + "\n"
    return {"config.json": document.encode(), "ae.pt": data.getvalue()}


def write(
    dictionaries: Mapping[str, Dictionary],
    folder: Path,
    dtype: torch.dtype = torch.float32,
    *,
    model: str = "",
    context: int = 0,
    prepends_bos: bool | None = None,
    processing: Literal["raw", "folded", ""] = "",
) -> None:
    """Write dictionaries, one folder each.

    Args:
        dictionaries: By path below ``folder``; an empty path is the folder itself.
        folder: Where.
        dtype: Number type of the stored weights.
        model: Name of the model.
        context: Positions per sequence it was trained on; 0 if unknown.
        prepends_bos, processing: Have no place in this format.

    Raises:
        UsageError: dictionary_learning has nothing like one of them; nothing is written.
    """
    files = {
        folder / name / file: data
        for name, dictionary in dictionaries.items()
        for file, data in to_files(dictionary, dtype, model=model, context=context).items()
    }
    for path, data in files.items():
        write_bytes(path, data)


def _class_and_tensors(dictionary: Dictionary) -> tuple[str, dict[str, Tensor]]:
    config, state = dictionary.config, {key: value.detach().cpu() for key, value in dictionary.state_dict().items()}
    if config.arch not in ("standard", "topk", "gated", "jumprelu", "identity"):
        raise UsageError(f"dictionary_learning has no class like {config.arch}.", "SAELens' format may hold it.")
    if config.reads != config.writes or config.options.get("skip"):
        raise UsageError("dictionary_learning has no class for transcoders and skip paths; SAELens' format has.")
    if config.options.get("normalize"):
        raise UsageError(f"dictionary_learning has no class that normalises inputs ({config.options['normalize']}).")
    if config.arch == "identity":
        return "IdentityDict", _nothing(state)
    W_enc_DF, W_dec_FD, b_enc_F, b_dec_D = (state[name] for name in ("W_enc_DF", "W_dec_FD", "b_enc_F", "b_dec_D"))
    shift_F = (b_dec_D.double() @ W_enc_DF.double()).to(b_enc_F.dtype)
    subtracts = dictionary.subtracts_b_dec
    raw_F = b_enc_F - shift_F if subtracts else b_enc_F  # the encoder's bias for an input as it is
    centred_F = b_enc_F if subtracts else b_enc_F + shift_F  # and for an input less b_dec
    if _is_matryoshka(config, state):
        k, sizes = (torch.tensor(config.options[key], dtype=torch.int) for key in ("k", "group_sizes"))
        tensors = {"W_enc": W_enc_DF, "b_enc": centred_F, "W_dec": W_dec_FD, "b_dec": b_dec_D}
        scalars = {"k": k, "threshold": state["threshold_F"][0].clone(), "group_sizes": sizes}
        return "MatryoshkaBatchTopKSAE", tensors | scalars
    if config.arch == "jumprelu":
        tensors = {"W_enc": W_enc_DF, "b_enc": raw_F, "W_dec": W_dec_FD, "b_dec": b_dec_D}
        return "JumpReluAutoEncoder", {**tensors, "threshold": state["threshold_F"]}
    linear = {"encoder.weight": W_enc_DF.T, "decoder.weight": W_dec_FD.T}
    if config.arch == "gated":
        b_mag_F = state["b_mag_F"] if subtracts else state["b_mag_F"] + state["r_mag_F"].exp() * shift_F
        biases = {"decoder_bias": b_dec_D, "gate_bias": centred_F, "mag_bias": b_mag_F, "r_mag": state["r_mag_F"]}
        return "GatedAutoEncoder", linear | biases
    if config.arch == "topk":
        threshold = torch.tensor(float(config.options.get("threshold", _UNKNOWN)))
        scalars = {"k": torch.tensor(config.options["k"], dtype=torch.int), "threshold": threshold}
        return "AutoEncoderTopK", {**linear, "encoder.bias": centred_F, "b_dec": b_dec_D, **scalars}
    norms_F = W_dec_FD.norm(dim=1)
    if subtracts and torch.allclose(norms_F, torch.ones_like(norms_F)):
        return "AutoEncoder", {**linear, "encoder.bias": b_enc_F, "bias": b_dec_D}
    return "AutoEncoderNew", {**linear, "encoder.bias": raw_F, "decoder.bias": b_dec_D}


def _is_matryoshka(config: DictionaryConfig, state: Mapping[str, Tensor]) -> bool:
    """Whether its groups are known, and its one threshold allows negative features no more than theirs does."""
    if config.arch != "jumprelu" or not {"k", "group_sizes"} <= config.options.keys():
        return False
    threshold_F = state["threshold_F"]
    return bool((threshold_F == threshold_F[0]).all() and threshold_F[0] >= 0)


def _nothing(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    eye = torch.eye(len(state["b_dec_D"]), dtype=state["b_dec_D"].dtype)
    identity = all(torch.equal(state[name], eye) for name in ("W_enc_DF", "W_dec_FD"))
    if not identity or state["b_enc_F"].any() or state["b_dec_D"].any():
        raise UsageError(
            "dictionary_learning's IdentityDict has no weights, and this dictionary's are not the identity."
        )
    return {}

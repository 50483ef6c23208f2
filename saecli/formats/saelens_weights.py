"""The tensors of SAELens' files: their names, their shapes, and the factors that are folded into them.

``W_enc`` [d_in, d_sae], ``W_dec`` [d_sae, d_out], ``b_enc`` [d_sae], ``b_dec`` [d_out]; gated: ``b_gate``, ``b_mag``,
``r_mag`` [d_sae] and no ``b_enc``; jumprelu: ``threshold`` [d_sae], formerly ``log_threshold``; transcoders with a skip
path: ``W_skip`` [d_out, d_in]. Names decide the orientation, never shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.formats.saelens_config import OWN_PREFIX, Parsed

_NAMES: Final = {
    "W_enc_DF": "W_enc",
    "b_enc_F": "b_enc",
    "W_dec_FD": "W_dec",
    "b_dec_D": "b_dec",
    "threshold_F": "threshold",
    "r_mag_F": "r_mag",
    "b_mag_F": "b_mag",
    "W_skip_DO": "W_skip",
}
_SCALAR: Final = "topk_threshold"  # of a batchtopk checkpoint
_FACTOR: Final = "scaling_factor"  # of the activations, in old files


def is_tied(config: DictionaryConfig) -> bool:
    """Whether the encoder is the decoder."""
    return config.arch in ("matching_pursuit", "temporal") and bool(config.options.get("tied_weights", True))


def name_of(ours: str, arch: str) -> str:
    """SAELens' name of one of our tensors."""
    return "b_gate" if arch == "gated" and ours == "b_enc_F" else _NAMES.get(ours, ours)


def check_shapes(dictionary: Dictionary, parsed: Parsed, stored: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Compare the names and shapes of stored tensors with what the configuration asks for.

    Raises:
        InputError: A tensor is missing, unknown or of the wrong shape.
    """
    config = dictionary.config
    expected = {name_of(ours, config.arch): tuple(value.shape) for ours, value in dictionary.state_dict().items()}
    if "W_skip" in expected:
        expected["W_skip"] = (config.d_out, config.d_in)
    if parsed.architecture in ("batchtopk", "matryoshka_batchtopk"):
        del expected["threshold"]
        expected[_SCALAR] = ()
    elif "log_threshold" in stored and "threshold" in expected:
        expected["log_threshold"] = expected.pop("threshold")
    if _FACTOR in stored and not parsed.architecture.startswith(OWN_PREFIX):
        expected[_FACTOR] = (config.n_latents,)
    if missing := expected.keys() - stored.keys():
        raise InputError(f"{path} has no tensor {', '.join(sorted(missing))}.")
    if unknown := stored.keys() - expected.keys():
        raise InputError(f"{path} has the unknown tensor {', '.join(sorted(unknown))}.")
    for name, shape in expected.items():
        if stored[name] != shape:
            raise InputError(f"{path} has {name} of shape {stored[name]}, expected {shape}.")


def state_of(
    tensors: Mapping[str, Tensor], parsed: Parsed, dtype: torch.dtype, path: Path, whitening: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Stored tensors as a dictionary's state, everything folded.

    Args:
        tensors: As stored; not written to.
        parsed: What cfg.json says.
        dtype: Number type of the state.
        path: For messages.
        whitening: ``mean``, ``matrix`` and ``inverse_matrix`` of the inputs, where they were whitened.
    """
    config = parsed.config
    folds = parsed.whitened or parsed.rescaled or parsed.norm_scale != 1 or _FACTOR in tensors or _SCALAR in tensors
    wide = torch.float64 if parsed.whitened else torch.promote_types(dtype, torch.float32) if folds else dtype
    w = {name: value.to(wide, copy=True) if folds else value.to(wide) for name, value in tensors.items()}
    if (factor := w.pop(_FACTOR, None)) is not None and not torch.allclose(factor, torch.ones_like(factor)):
        if not parsed.finetuned:
            raise InputError(f"{path} has a scaling_factor, and its configuration says nothing of fine-tuning.")
        w["W_dec"] *= factor[:, None]
    if "log_threshold" in w:
        w["threshold"] = w.pop("log_threshold").exp()
    if parsed.norm_scale != 1:
        _fold_scale(w, parsed)
    if parsed.rescaled:
        _fold_decoder_norms(w)
    if parsed.whitened:
        _fold_whitening(w, config, whitening)
    if _SCALAR in w:
        w["threshold"] = w.pop(_SCALAR).expand(config.n_latents).clone()
    own = parsed.architecture.startswith(OWN_PREFIX)
    if is_tied(config) and not own and not config.options.get("apply_b_dec_to_input", True):
        w["b_dec"] = torch.zeros_like(w["b_dec"])  # sae-lens then leaves it out of the output too
    if "W_skip" in w:
        w["W_skip"] = w["W_skip"].T.contiguous()
    ours = {name_of(name, config.arch): name for name in _NAMES}
    return {ours.get(name, name): value.to(dtype) for name, value in w.items()}


def tensors_of(dictionary: Dictionary, dtype: torch.dtype) -> dict[str, Tensor]:
    """A dictionary's state under SAELens' names.

    Raises:
        UsageError: A number is too large for the number type.
    """
    arch = dictionary.config.arch
    out = {}
    for ours, value in dictionary.state_dict().items():
        stored = value.detach().cpu().to(dtype)
        if not stored.isfinite().all():
            raise UsageError(
                f"{name_of(ours, arch)} of the dictionary at {dictionary.config.reads} does not fit into {dtype}."
            )
        out[name_of(ours, arch)] = (stored.T if ours == "W_skip_DO" else stored).contiguous()
    return out


def _fold_scale(w: dict[str, Tensor], parsed: Parsed) -> None:
    """Inputs were multiplied by s before the encoder and outputs divided by it; the encoder's biases stay."""
    w["b_dec"] /= parsed.norm_scale
    if parsed.architecture == "matching_pursuit":  # the encoder is the decoder: s and 1/s cancel
        return
    w["W_enc"] *= parsed.norm_scale
    w["W_dec"] /= parsed.norm_scale
    if parsed.rescaled and _SCALAR in w:
        w[_SCALAR] /= parsed.norm_scale


def _fold_decoder_norms(w: dict[str, Tensor]) -> None:
    norms_F = w["W_dec"].norm(dim=1)
    w["W_enc"] *= norms_F
    w["b_enc"] *= norms_F
    w["W_dec"] /= norms_F.clamp_min(torch.finfo(norms_F.dtype).tiny)[:, None]


def _fold_whitening(w: dict[str, Tensor], config: DictionaryConfig, whitening: Mapping[str, Tensor]) -> None:
    """The encoder saw (x − mean) M, the output was y M⁻¹ + mean."""
    mean, matrix, inverse = (whitening[name].to(w["W_enc"].dtype) for name in ("mean", "matrix", "inverse_matrix"))
    w["W_enc"] = matrix @ w["W_enc"]
    if not config.options.get("apply_b_dec_to_input", config.reads == config.writes):
        shift_F = mean @ w["W_enc"]
        if config.arch == "gated":
            w["b_gate"] -= shift_F
            w["b_mag"] -= shift_F * w["r_mag"].exp()
        else:
            w["b_enc"] -= shift_F
    w["W_dec"] = w["W_dec"] @ inverse
    w["b_dec"] = w["b_dec"] @ inverse + mean

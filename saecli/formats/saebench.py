"""SAEBench's result file of its core evaluation, from numbers measured here.

The layout is that of sae-bench 0.6 (``evals/core/eval_output.py``); what is undefined is -1, as there. Ablation means
zero, as there. Where its code does not compute what its names say, these numbers are what the names say:

    mse                        mean over tokens of |x − x̂|²; there divided by the number of tokens once more
    explained_variance         1 − Σ|x − x̂|² / Σ|x − mean x|²; there the mean is one of squares over dimensions
    explained_variance_legacy  mean over tokens of 1 − |x − x̂|² / |x − mean x|²

``datetime_epoch_millis`` is 0: the same measurement gives the same bytes, and its time is in the run's manifest.
Source: https://github.com/adamkarvonen/SAEBench (``sae_bench/evals/core``).
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary
from saecli.core.errors import UsageError
from saecli.core.fidelity import SiteFidelity, SuiteFidelity
from saecli.core.suite import SuiteInfo
from saecli.formats.saelens_config import OWN_PREFIX, architecture_of, document_of

_UNDEFINED: Final = -1
_DIGITS: Final = 7
_TOGETHER: Final = 1024
"""Features whose cosines with all others are computed together."""


@dataclass(frozen=True)
class Measurement:
    """What is common to all files of one measurement.

    Attributes:
        fingerprint: Names the measurement; ``eval_id`` follows from it.
        model: Name of the model.
        dtype: Its number type, as torch calls it.
        data: What it read.
        n_ctx: Positions per sequence.
    """

    fingerprint: str
    model: str
    dtype: str
    data: str
    n_ctx: int


def eval_results(
    dictionary: Dictionary,
    one: SiteFidelity,
    fidelity: SuiteFidelity,
    info: SuiteInfo,
    measurement: Measurement,
    release: str,
    sae_id: str,
) -> str:
    """The text of ``{release}_{sae_id}_eval_results.json``.

    Args:
        dictionary: What was measured.
        one: Its numbers.
        fidelity: Those of its suite.
        info: That suite.
        measurement: Where and on what.
        release: Name of the suite.
        sae_id: Name of the dictionary in it.
    """
    features = _features(dictionary, one)
    document = {
        "eval_type_id": "core",
        "eval_config": _config(fidelity, info, measurement),
        "eval_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"saecli.validate/1#{measurement.fingerprint}")),
        "datetime_epoch_millis": 0,
        "eval_result_metrics": _metrics(one, fidelity, features),
        "eval_result_details": [
            {"index": index, **dict(zip(features, values, strict=True))}
            for index, values in enumerate(zip(*(column.tolist() for column in features.values()), strict=True))
        ],
        "sae_bench_commit_hash": "Unknown",
        "sae_lens_id": sae_id,
        "sae_lens_release_id": release,
        "sae_lens_version": None,
        "sae_cfg_dict": _sae_config(dictionary, info, measurement),
        "eval_result_unstructured": {},
    }
    return json.dumps(_defined(document), allow_nan=False) + "\n"


def _config(fidelity: SuiteFidelity, info: SuiteInfo, measurement: Measurement) -> dict[str, Any]:
    computed = (
        "kl",
        "ce_loss",
        "l2_norms",
        "sparsity_metrics",
        "variance_metrics",
        "featurewise_density_statistics",
        "featurewise_weight_based_metrics",
    )
    return {
        "model_name": measurement.model,
        "llm_dtype": measurement.dtype,
        "batch_size_prompts": fidelity.sequences,
        "n_eval_reconstruction_batches": 1,
        "n_eval_sparsity_variance_batches": 1,
        "dataset": measurement.data,
        "context_size": measurement.n_ctx,
        **{f"compute_{name}": True for name in computed},
        "exclude_special_tokens_from_reconstruction": bool(info.left_out),
        "verbose": False,
    }


def _metrics(one: SiteFidelity, fidelity: SuiteFidelity, features: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    return {
        "model_behavior_preservation": {
            "kl_div_score": one.dictionary.kl_recovered_zero.value,
            "kl_div_with_ablation": one.zero.kl.value,
            "kl_div_with_sae": one.dictionary.kl.value,
        },
        "model_performance_preservation": {
            "ce_loss_score": one.dictionary.recovered_zero.value,
            "ce_loss_with_ablation": one.zero.ce.value,
            "ce_loss_with_sae": one.dictionary.ce.value,
            "ce_loss_without_sae": fidelity.ce.value,
        },
        "reconstruction_quality": {
            "explained_variance": one.dictionary.variance_explained.value,
            "explained_variance_legacy": one.reconstruction.variance_explained_by_token.value,
            "mse": one.reconstruction.mse.value,
            "cossim": one.reconstruction.cosine.value,
        },
        "shrinkage": {
            "l2_norm_in": one.reconstruction.norm_in.value,
            "l2_norm_out": one.reconstruction.norm_out.value,
            "l2_ratio": one.reconstruction.norm_ratio.value,
            "relative_reconstruction_bias": one.reconstruction.relative_bias.value,
        },
        "sparsity": {"l0": one.l0.value, "l1": one.l1.value},
        "token_stats": {
            "total_tokens_eval_reconstruction": fidelity.tokens,
            "total_tokens_eval_sparsity_variance": fidelity.tokens,
        },
        "misc_metrics": _frequencies(features),
    }


def _frequencies(features: dict[str, np.ndarray]) -> dict[str, float]:
    density_F = features["feature_density"]
    total = float(density_F.sum())
    often = {"1": density_F > 0.01, "10": density_F > 0.1}
    return {
        **{f"freq_over_{percent}_percent": float(which.mean()) for percent, which in often.items()},
        **{
            f"normalized_freq_over_{percent}_percent": float(density_F[which].sum()) / total if total else 0.0
            for percent, which in often.items()
        },
        "average_max_encoder_cosine_sim": float(features["max_encoder_cosine_sim"].mean()),
        "average_max_decoder_cosine_sim": float(features["max_decoder_cosine_sim"].mean()),
        "frac_alive": float((density_F > 0).mean()),
    }


@torch.no_grad()
def _features(dictionary: Dictionary, one: SiteFidelity) -> dict[str, np.ndarray]:
    """Per feature [F], in float64; NaN where undefined."""
    encoder_FD, decoder_FD = dictionary.W_enc_DF.detach().T.float(), dictionary.W_dec_FD.detach().float()
    bias_F = getattr(dictionary, "b_mag_F", getattr(dictionary, "b_enc_F", None))
    bias_F = torch.zeros(dictionary.n_latents) if bias_F is None else bias_F.detach()
    undefined_F = torch.full((dictionary.n_latents,), math.nan)
    aligned_F = undefined_F
    if encoder_FD.shape == decoder_FD.shape:
        aligned_F = (encoder_FD / encoder_FD.norm(dim=1, keepdim=True)).mul(
            decoder_FD / decoder_FD.norm(dim=1, keepdim=True)
        )
        aligned_F = aligned_F.sum(1)
    of_weights = {
        "encoder_bias": bias_F,
        "encoder_norm": encoder_FD.norm(dim=1),
        "encoder_decoder_cosine_sim": aligned_F,
        "max_decoder_cosine_sim": largest_cosines(decoder_FD),
        "max_encoder_cosine_sim": largest_cosines(encoder_FD),
    }
    return {
        "feature_density": one.density_F,
        "consistent_activation_heuristic": one.per_sequence_F,
        **{name: values_F.double().cpu().numpy() for name, values_F in of_weights.items()},
    }


def largest_cosines(directions_FD: Tensor) -> Tensor:
    """Per row [F] the largest cosine with another row; that of a zero row is 0, NaN if there is no other row."""
    unit_FD = torch.nn.functional.normalize(directions_FD, dim=1)
    if len(unit_FD) < 2:
        return torch.full((len(unit_FD),), math.nan)
    largest = []
    for start in range(0, len(unit_FD), _TOGETHER):
        cosine_CF = unit_FD[start : start + _TOGETHER] @ unit_FD.T
        own_C = torch.arange(len(cosine_CF), device=cosine_CF.device)
        cosine_CF[own_C, own_C + start] = -math.inf
        largest.append(cosine_CF.amax(1))
    return torch.cat(largest)


def _sae_config(dictionary: Dictionary, info: SuiteInfo, measurement: Measurement) -> dict[str, Any]:
    config = dictionary.config
    try:
        architecture = architecture_of(config)
    except UsageError:
        architecture = OWN_PREFIX + config.arch
    document = document_of(config, architecture, info.processing)
    document["dtype"] = str(dictionary.W_dec_FD.dtype).removeprefix("torch.")
    document["metadata"] |= {"model_name": info.model or measurement.model}
    if info.context:
        document["metadata"]["context_size"] = info.context
    return document


def _defined(value: Any) -> Any:
    """Plain values, rounded as SAEBench does, with -1 for what is not a number."""
    if isinstance(value, dict):
        return {name: _defined(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(one) for one in value]
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else _UNDEFINED
    return value

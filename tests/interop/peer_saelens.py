"""sae-lens, in its own environment: write fixtures with its classes, and check what this project wrote.

python peer_saelens.py write FIXTURES
python peer_saelens.py check FOLDER
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import sae_lens
import torch
from example import FILE, difference, inputs, load, randomise, report, save
from sae_lens import SAE
from sae_lens.loading import pretrained_sae_loaders as loaders
from sae_lens.saes import (
    AbsTopKSAE,
    AbsTopKSAEConfig,
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    GatedSAE,
    GatedSAEConfig,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    JumpReLUSkipTranscoder,
    JumpReLUSkipTranscoderConfig,
    JumpReLUTranscoder,
    JumpReLUTranscoderConfig,
    MatchingPursuitSAE,
    MatchingPursuitSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    SkipTranscoder,
    SkipTranscoderConfig,
    StandardSAE,
    StandardSAEConfig,
    StandardTrainingSAE,
    StandardTrainingSAEConfig,
    TemporalSAE,
    TemporalSAEConfig,
    TopKSAE,
    TopKSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
    Transcoder,
    TranscoderConfig,
)
from sae_lens.saes.sae import SAEMetadata
from sae_lens.training.activation_scaler import ActivationScaler
from safetensors.torch import load_file, save_file

WIDTH = 8
RAW = {"apply_b_dec_to_input": False}
TEMPORAL = {"n_heads": 2, "bottleneck_factor": 4}

INFERENCE: dict[str, tuple[type, type, dict[str, Any]]] = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "standard-raw": (StandardSAE, StandardSAEConfig, RAW),
    "standard-z": (StandardSAE, StandardSAEConfig, {"reshape_activations": "hook_z"}),
    "gated": (GatedSAE, GatedSAEConfig, {}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
    "topk": (TopKSAE, TopKSAEConfig, {"k": 3}),
    "topk-rescaled": (TopKSAE, TopKSAEConfig, {"k": 3, "rescale_acts_by_decoder_norm": True}),
    "topk-layer-norm": (TopKSAE, TopKSAEConfig, {"k": 3, "normalize_activations": "layer_norm"}),
    "topk-constant-norm": (TopKSAE, TopKSAEConfig, {"k": 3, "normalize_activations": "constant_norm_rescale"}),
    "abstopk": (AbsTopKSAE, AbsTopKSAEConfig, {"k": 3, "rescale_acts_by_decoder_norm": True}),
    "matching_pursuit": (MatchingPursuitSAE, MatchingPursuitSAEConfig, {"max_iterations": 5}),
    "matching_pursuit-raw": (MatchingPursuitSAE, MatchingPursuitSAEConfig, {"residual_threshold": 1.0, **RAW}),
    "temporal": (TemporalSAE, TemporalSAEConfig, {**TEMPORAL, "kval_topk": 4}),
    "temporal-untied": (
        TemporalSAE,
        TemporalSAEConfig,
        {
            **TEMPORAL,
            "n_attn_layers": 2,
            "sae_diff_type": "relu",
            "tied_weights": False,
            "normalize_activations": "constant_scalar_rescale",
            "activation_normalization_factor": 0.5,
        },
    ),
    "transcoder": (Transcoder, TranscoderConfig, {"d_out": 6, **RAW}),
    "skip_transcoder": (SkipTranscoder, SkipTranscoderConfig, {"d_out": WIDTH, **RAW}),
    "jumprelu_transcoder": (JumpReLUTranscoder, JumpReLUTranscoderConfig, {"d_out": WIDTH, **RAW}),
    "jumprelu_skip_transcoder": (JumpReLUSkipTranscoder, JumpReLUSkipTranscoderConfig, {"d_out": 6, **RAW}),
    "transcoder-layer-norm": (
        Transcoder,
        TranscoderConfig,
        {"d_out": WIDTH, "normalize_activations": "layer_norm", **RAW},
    ),
}
TRAINING: dict[str, tuple[type, type, dict[str, Any]]] = {
    "checkpoint-standard": (StandardTrainingSAE, StandardTrainingSAEConfig, {}),
    "checkpoint-topk": (TopKTrainingSAE, TopKTrainingSAEConfig, {"k": 3}),
    "checkpoint-batchtopk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, {"k": 3.5}),
    "checkpoint-matryoshka": (
        MatryoshkaBatchTopKTrainingSAE,
        MatryoshkaBatchTopKTrainingSAEConfig,
        {"k": 3, "matryoshka_widths": [4, WIDTH]},
    ),
}
SCALES = ("none", "expected_average_only_in", "covariance_whitening")


def metadata(name: str) -> SAEMetadata:
    """Where the dictionary is, as sae-lens says it."""
    if "transcoder" in name:
        return SAEMetadata(hook_name="blocks.3.ln2.hook_normalized", hook_name_out="blocks.3.hook_mlp_out")
    return SAEMetadata(hook_name="blocks.3.attn.hook_z" if name.endswith("-z") else "blocks.3.hook_resid_post")


def run(folder: Path, dictionary: Any, x: torch.Tensor) -> None:
    """What a dictionary makes of an input, in the width of ours: heads side by side."""
    with torch.no_grad():
        heads = x.unflatten(-1, (2, -1)) if dictionary.cfg.reshape_activations == "hook_z" else x
        save(folder, x, dictionary.encode(heads), dictionary(heads).reshape(*x.shape[:-1], -1))


def write(fixtures: Path) -> None:
    for seed, (name, (cls, config, options)) in enumerate(INFERENCE.items()):
        latents = WIDTH if seed % 2 and "temporal" not in name else 16
        made = cls(config(d_in=WIDTH, d_sae=latents, metadata=metadata(name), **options))
        randomise(made, seed)
        made.save_model(fixtures / name)
        run(fixtures / name, SAE.load_from_disk(fixtures / name), inputs(WIDTH, seed, 4, 8))
    for seed, (name, (cls, config, options)) in enumerate(TRAINING.items(), start=100):
        for scale in SCALES:
            write_checkpoint(
                fixtures / f"{name}-{scale}", cls, config, {**options, "normalize_activations": scale}, seed
            )
    write_flat(fixtures)


def write_checkpoint(folder: Path, cls: type, config: type, options: dict[str, Any], seed: int) -> None:
    """A training's state; what it makes of an input is what its finished form does."""
    made = cls(config(d_in=WIDTH, d_sae=WIDTH, metadata=metadata(folder.name), **options))
    randomise(made, seed)
    if hasattr(made, "topk_threshold"):
        made.topk_threshold.fill_(0.123456789)
    made.save_model(folder)
    scaler = ActivationScaler()
    batches = iter([inputs(WIDTH, seed + batch, 64) * 3 for batch in range(4)])
    if options["normalize_activations"] == "expected_average_only_in":
        scaler.estimate_scaling_factor(WIDTH, batches, 4)
        made.fold_activation_norm_scaling_factor(scaler.scaling_factor)
    if options["normalize_activations"] == "covariance_whitening":
        scaler.estimate_whitening(WIDTH, batches, 4)
        whitening = scaler.whitening
        made.fold_activation_whitening(whitening.mean, whitening.matrix, whitening.inverse_matrix)
    if options["normalize_activations"] != "none":
        scaler.save(str(folder / "activation_scaler.json"))
    finished = folder / "finished"
    made.save_inference_model(finished)
    run(folder, SAE.load_from_disk(finished), inputs(WIDTH, seed, 4, 8) * 3)
    shutil.rmtree(finished)


def write_flat(fixtures: Path) -> None:
    """Files of versions before 6, as sae-lens 6 reads them."""
    common = {"d_in": WIDTH, "dtype": "torch.float32", "device": "cpu", "model_name": "tiny", "context_size": 64}
    flat = {
        "flat-standard": {"d_sae": 16, "hook_point": "blocks.3.hook_mlp_out", "normalize_activations": False},
        "flat-topk": {
            "d_sae": WIDTH,
            "hook_name": "blocks.3.hook_resid_pre",
            "activation_fn_str": "topk",
            "activation_fn_kwargs": {"k": 3},
            "normalize_activations": "layer_norm",
        },
        "flat-jumprelu-z": {
            "architecture": "jumprelu",
            "d_sae": 16,
            "hook_name": "blocks.3.attn.hook_z",
            "hook_head_index": None,
            "apply_b_dec_to_input": False,
            "normalize_activations": None,
        },
    }
    for (name, document), source in zip(flat.items(), ("standard", "topk", "jumprelu"), strict=True):
        folder = fixtures / name
        folder.mkdir()
        tensors = load_file(fixtures / source / "sae_weights.safetensors")
        if name == "flat-standard":
            tensors["scaling_factor"] = torch.ones(16)
        (folder / "cfg.json").write_text(json.dumps({**common, **document}))
        save_file(tensors, folder / "sae_weights.safetensors")
        run(folder, SAE.load_from_disk(folder), inputs(WIDTH, 200, 4, 8))


def check(folder: Path) -> None:
    rows = []
    for case in sorted(folder.iterdir()):
        made = SAE.load_from_disk(case)
        x, features, output = load(case)
        heads = x.unflatten(-1, (2, -1)) if made.cfg.reshape_activations == "hook_z" else x
        with torch.no_grad():
            theirs = made(heads).reshape(output.shape)
            rows.append((case.name, difference(features, made.encode(heads)), difference(output, theirs)))
    report(rows)


def refusals(fixtures: Path) -> None:
    """Which fixtures of other libraries sae-lens' own loaders for them cannot read, and why."""
    loaders.hf_hub_download = lambda repo_id, filename, **_: str(fixtures / filename)  # nothing is fetched
    found = {}
    for case in sorted(path.parent for path in fixtures.rglob(FILE)):
        name = case.relative_to(fixtures).as_posix()
        if name.startswith("saelens/"):
            continue
        try:
            if name.startswith("sparsify/"):
                made = SAE.load_from_disk(case, converter=loaders.sparsify_disk_loader)
            else:
                made = SAE.load_from_disk(
                    name,
                    converter=lambda path, device, cfg_overrides: loaders.dictionary_learning_sae_huggingface_loader_1(
                        "", str(path), device
                    )[:2],
                )
            x, features, output = load(case)
            with torch.no_grad():
                off = difference(features, made.encode(x)), difference(output, made(x))
            if not max(off) <= 1e-5:
                found[name] = f"loads it with features off by {off[0]:.1g} and an output off by {off[1]:.1g}"
        except Exception as error:  # whatever it raises is the finding
            found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    (fixtures / "sae_lens_cannot.json").write_text(
        json.dumps({"sae_lens": sae_lens.__version__, "cannot": found}, indent=1) + "\n"
    )
    for name, why in found.items():
        print(f"  sae-lens cannot load {name}: {why}")


if __name__ == "__main__":
    {"write": write, "check": check, "refusals": refusals}[sys.argv[1]](Path(sys.argv[2]))

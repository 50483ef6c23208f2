"""SAELens' ``cfg.json``, of every version of sae-lens, as a dictionary's configuration, and back.

Before version 6 it was flat and three of its keys had other names. Architectures are named here as they are there; a
training checkpoint's (``batchtopk``, ``matryoshka_batchtopk``) are read as what they are at inference.
Source: https://github.com/jbloomAus/SAELens (``saes/``, ``loading/pretrained_sae_loaders.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from saecli.core.dictionary import NORMALISATIONS, DictionaryConfig
from saecli.core.errors import InputError, UsageError, did_you_mean
from saecli.formats.registry import Hints
from saecli.formats.saelens_sites import hook_name, read_site, written_site

OWN_PREFIX: Final = "saecli/"
"""Marks an architecture that sae-lens does not have, in the files of a suite."""

_OURS: Final = {
    **{name: name for name in ("standard", "gated", "jumprelu", "topk", "abstopk", "matching_pursuit", "temporal")},
    "batchtopk": "jumprelu",
    "matryoshka_batchtopk": "jumprelu",
    "transcoder": "standard",
    "skip_transcoder": "standard",
    "jumprelu_transcoder": "jumprelu",
    "jumprelu_skip_transcoder": "jumprelu",
}
_LEGACY_NAMES: Final = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}
_MORE_OPTIONS: Final = "saecli_options"
_KEPT: Final[Mapping[str, tuple[str, ...]]] = {"jumprelu": ("k", "group_sizes"), "topk": ("threshold", "jacobian")}
"""What is known of a dictionary from its training and changes nothing it computes; kept in the metadata."""
_TOO_WIDE: Final = 1 << 28
_PURSUIT: Final = {"residual_threshold": 1e-2, "max_iterations": None, "stop_on_duplicate_support": True}
_TEMPORAL: Final = {"n_heads": 8, "n_attn_layers": 1, "bottleneck_factor": 64, "tied_weights": True}


@dataclass(frozen=True)
class Parsed:
    """What a cfg.json says.

    Attributes:
        config: What the dictionary is once everything below is folded into its weights.
        architecture: As it is called there.
        metadata: Its metadata.
        norm_scale: What inputs are multiplied by before the encoder; to be folded.
        whitened: Whether inputs are whitened before the encoder; to be folded.
        rescaled: Whether features compete by what they write (pre-activation times decoder norm); to be folded.
        finetuned: Whether a stored ``scaling_factor`` of the activations counts.
        notes: What is odd, one sentence each.
    """

    config: DictionaryConfig
    architecture: str
    metadata: Mapping[str, Any]
    norm_scale: float = 1.0
    whitened: bool = False
    rescaled: bool = False
    finetuned: bool = False
    notes: tuple[str, ...] = ()


def parse_config(document: Mapping[str, Any], path: Path, hints: Hints, norm_scale: float | None = None) -> Parsed:
    """Read a cfg.json.

    Args:
        document: Its content.
        path: Its name, for messages.
        hints: Sites win over those of the metadata; ``norm_scale`` serves where the files have none.
        norm_scale: What a checkpoint's ``activation_scaler.json`` says.

    Raises:
        InputError: Something that no version of sae-lens writes, that is not supported, or that is missing.
    """
    document = _modern(document)
    architecture, metadata = str(document.get("architecture")), document["metadata"]
    own = architecture.startswith(OWN_PREFIX)
    if not own and architecture not in _OURS:
        hint = did_you_mean(architecture, _OURS) or f"Those that are read: {', '.join(_OURS)}."
        raise InputError(f"{path} is of the unknown architecture {architecture!r}.", hint)
    transcodes = own or "transcoder" in architecture
    d_in, n_latents, d_out = _sizes(document, path, transcodes)
    reads, notes = read_site(document, path, hints)
    writes = written_site(metadata, path, hints) if transcodes else reads
    config = DictionaryConfig(architecture, d_in, n_latents, reads, writes, d_out)
    if own:
        options = document.get("options")
        if not isinstance(options, dict):
            raise InputError(f"{path} has no options of its architecture {architecture}.")
        config = replace(config, arch=architecture.removeprefix(OWN_PREFIX), options=options)
        return Parsed(config, architecture, metadata, notes=notes)
    scale, whitened, normalize = _normalisation(document, path, norm_scale or hints.scale_at(reads.layer))
    options = {
        **_architecture_options(document, path),
        "apply_b_dec_to_input": bool(document.get("apply_b_dec_to_input", True)) and not transcodes,
        "normalize": normalize,
        "skip": "skip" in architecture,
        **_kept_options(metadata.get(_MORE_OPTIONS), _OURS[architecture], n_latents, path),
    }
    if architecture == "matching_pursuit":
        options["residual_threshold"] /= scale
    if transcodes and normalize and reads == writes:
        raise InputError(f"{path} is a transcoder with normalised inputs that writes what it reads, which is not read.")
    config = canonical(replace(config, arch=_OURS[architecture], options=options))
    rescaled, finetuned = (
        bool(document.get(key)) for key in ("rescale_acts_by_decoder_norm", "finetuning_scaling_factor")
    )
    return Parsed(config, architecture, metadata, scale, whitened, rescaled, finetuned, notes)


def canonical(config: DictionaryConfig) -> DictionaryConfig:
    """The same configuration without the options that say what is so by default."""
    defaults = {"apply_b_dec_to_input": config.reads == config.writes, "normalize": None, "skip": False, "k": None}
    defaults |= {"matching_pursuit": _PURSUIT, "temporal": _TEMPORAL}.get(config.arch, {})
    kept = {key: value for key, value in config.options.items() if key not in defaults or value != defaults[key]}
    return replace(config, options=kept)


def architecture_of(config: DictionaryConfig) -> str:
    """What sae-lens 6 calls such a dictionary.

    Raises:
        UsageError: It has none like it; the sentence says what comes closest.
    """
    options, arch = config.options, config.arch
    skip, transcodes = bool(options.get("skip")), config.reads != config.writes
    if arch not in _OURS.values():
        closest = {
            "identity": "abstopk with k equal to the width does the same",
            "groupmax": "topk comes closest",
            "cross_layer": "one transcoder per layer written comes closest",
        }.get(arch)
        raise UsageError(f"sae-lens has no architecture like {arch}{f'; {closest}' if closest else ''}.")
    if not skip and not transcodes:
        return arch
    if arch not in ("standard", "jumprelu"):
        raise UsageError(f"sae-lens has no {arch} transcoder; its transcoders are standard and jumprelu.")
    if not transcodes and (options.get("apply_b_dec_to_input", True) or options.get("normalize")):
        raise UsageError("sae-lens has a skip path only in transcoders, which take the input as it is.")
    return ("" if arch == "standard" else f"{arch}_") + ("skip_transcoder" if skip else "transcoder")


def document_of(config: DictionaryConfig, architecture: str, processing: str) -> dict[str, Any]:
    """cfg.json in the layout of sae-lens 6, but for ``dtype`` and the rest of ``metadata``.

    Args:
        config: What the dictionary is.
        architecture: As sae-lens calls it.
        processing: Weight processing of its model, on which depends what a module's input is called.
    """
    options = config.options
    document: dict[str, Any] = {
        "architecture": architecture,
        "d_in": config.d_in,
        "d_sae": config.n_latents,
        "device": "cpu",
        "apply_b_dec_to_input": bool(options.get("apply_b_dec_to_input", config.reads == config.writes)),
        "normalize_activations": options.get("normalize") or "none",
        "reshape_activations": "none",
    }
    metadata: dict[str, Any] = {"hook_name": hook_name(config.reads, processing), "hook_head_index": None}
    if kept := {key: options[key] for key in _KEPT.get(config.arch, ()) if key in options}:
        metadata[_MORE_OPTIONS] = kept
    if architecture.startswith(OWN_PREFIX):
        document["options"] = options
    elif config.arch in ("topk", "abstopk"):
        document |= {"k": options["k"], "rescale_acts_by_decoder_norm": False}
    elif config.arch == "matching_pursuit":
        document |= {key: options.get(key, default) for key, default in _PURSUIT.items()}
    elif config.arch == "temporal":
        document |= {key: options.get(key, default) for key, default in _TEMPORAL.items()}
        document |= {"sae_diff_type": "topk" if options.get("k") else "relu", "kval_topk": options.get("k")}
        if scale := options.get("input_scale"):
            document |= {
                "normalize_activations": "constant_scalar_rescale",
                "activation_normalization_factor": scale,
            }
    if architecture.startswith(OWN_PREFIX) or "transcoder" in architecture:
        document["d_out"] = config.d_out
        metadata |= {"hook_name_out": hook_name(config.writes, processing), "hook_head_index_out": None}
    elif config.reads.kind == "attn_z":
        document["reshape_activations"] = "hook_z"
    return {**document, "metadata": metadata}


def _modern(document: Mapping[str, Any]) -> dict[str, Any]:
    """cfg.json in the layout of sae-lens 6, whatever version wrote it."""
    if isinstance(document.get("metadata"), dict):
        return dict(document)
    flat = {_LEGACY_NAMES.get(name, name): value for name, value in document.items()}
    modern = {"architecture": "standard", **flat, "metadata": flat}
    activation, parameters = flat.get("activation_fn") or "relu", flat.get("activation_fn_kwargs")
    parameters = parameters if isinstance(parameters, dict) else {}
    if "topk" in (activation, modern["architecture"]):
        modern |= {"architecture": "topk", "k": flat.get("k", parameters.get("k"))}
    elif activation != "relu":
        modern["architecture"] = f"{modern['architecture']} with activation {activation}"
    return modern


def _sizes(document: Mapping[str, Any], path: Path, transcodes: bool) -> tuple[int, int, int]:
    sizes = [document.get("d_in"), document.get("d_sae"), document.get("d_out" if transcodes else "d_in")]
    if not all(type(size) is int and 0 < size < _TOO_WIDE for size in sizes):
        raise InputError(f"{path} has no sizes d_in and d_sae{' and d_out' if transcodes else ''}.")
    return sizes[0], sizes[1], sizes[2]  # pyright: ignore[reportReturnType]


def _normalisation(document: Mapping[str, Any], path: Path, scale: float | None) -> tuple[float, bool, str | None]:
    """Factor to fold, whether a whitening is to be folded, and the option ``normalize``."""
    stated = document.get("normalize_activations")
    if stated is None or isinstance(stated, bool):
        stated = "expected_average_only_in" if stated else "none"
    if stated == "none" or str(stated).endswith("folded"):
        return 1.0, False, None
    if stated in NORMALISATIONS:
        return 1.0, False, str(stated)
    if stated == "constant_scalar_rescale" and document.get("architecture") == "temporal":
        return 1.0, False, None
    if document.get("architecture") == "temporal":
        raise InputError(
            f"{path} has normalize_activations = {stated!r}, which sae-lens cannot fold into a temporal one."
        )
    if stated == "covariance_whitening":
        if document.get("architecture") == "matching_pursuit":
            raise InputError(f"{path} whitens its input, which cannot be folded into a matching pursuit dictionary.")
        return 1.0, True, None
    if stated != "expected_average_only_in":
        raise InputError(f"{path} has normalize_activations = {stated!r}, which is unknown.")
    if not isinstance(scale, int | float) or not 0 < scale < float("inf"):
        raise InputError(
            f"{path} was trained on inputs times sqrt(d_in) / mean norm (normalize_activations = {stated!r}), and the "
            "files do not hold that number.",
            "A release's table may: it is sae-lens' norm_scaling_factor.",
        )
    return float(scale), False, None


def _architecture_options(document: Mapping[str, Any], path: Path) -> dict[str, Any]:
    architecture = document["architecture"]
    if architecture in ("topk", "abstopk"):
        return {"k": _whole(document.get("k"))}
    if architecture == "matching_pursuit":
        options = {key: document.get(key, default) for key, default in _PURSUIT.items()}
        options["residual_threshold"] = _number(options["residual_threshold"], "residual_threshold", path)
        return options
    if architecture == "temporal":
        kind = document.get("sae_diff_type", "topk")
        if kind not in ("relu", "topk"):
            raise InputError(f"{path} has sae_diff_type = {kind!r}, expected relu or topk.")
        options = {key: document.get(key, default) for key, default in _TEMPORAL.items()}
        if kind == "topk":
            options["k"] = _whole(document.get("kval_topk"))
        if document.get("normalize_activations") == "constant_scalar_rescale":
            key = "activation_normalization_factor"
            options["input_scale"] = _number(document.get(key, 1.0), key, path)
        return options
    return {}


def _kept_options(stated: Any, arch: str, n_latents: int, path: Path) -> dict[str, Any]:
    """Those of ``_KEPT`` that a file of ours states."""
    if not isinstance(stated, Mapping):
        return {}
    kept = {key: stated[key] for key in _KEPT.get(arch, ()) if key in stated}
    if "threshold" in kept:
        _number(kept["threshold"], "threshold", path)
    if not isinstance(kept.get("jacobian", True), bool | Mapping):
        raise InputError(f"{path} has jacobian = {kept['jacobian']!r}, expected its coefficient and reduction.")
    if type(kept.get("k", 1)) is not int:
        raise InputError(f"{path} has k = {kept['k']!r}, expected a whole number.")
    sizes = kept.get("group_sizes", [n_latents])
    whole = isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes)
    if not whole or sum(sizes) != n_latents:
        raise InputError(f"{path} has group_sizes = {sizes!r}, expected numbers that sum to {n_latents}.")
    return kept


def _number(value: Any, key: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise InputError(f"{path} has {key} = {value!r}, expected a number.")
    return float(value)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value

"""dictionary_learning's folder: ``ae.pt`` (a torch file of tensors) and ``config.json``, one dictionary.

``ae.pt`` may also be a backup of a training ({step, ae, optimizer, config, norm_factor}), and ``checkpoints/ae_N.pt``
are read as single files. Behaviour is that of the classes as the library's own loader gives them: decoder columns of an
AutoEncoder are brought to norm 1, and BatchTopK and Matryoshka dictionaries use their threshold.
Source: https://github.com/saprmarks/dictionary_learning (``dictionary.py``, ``trainers/``, ``utils.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.formats.dictionary_learning_config import class_of, sites_of
from saecli.formats.dictionary_learning_write import to_files, write
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.saelens import make_dictionary_at
from saecli.formats.safe import load_torch

__all__ = ["NAME", "TITLE", "open", "sniff", "to_files", "write"]

NAME: Final = "dictionary_learning"
TITLE: Final = "dictionary_learning"
WEIGHTS: Final = "ae.pt"
CONFIG: Final = "config.json"
_WIDEST: Final = 1 << 16  # of neurons, whose matrices are made here
_RESULTS: Final = "eval_results.json"
_FILE: Final = re.compile(r"ae(_\w+)?\.pt")
_BIASES: Final = ("bias", "encoder.bias", "decoder.bias", "b_enc", "b_dec", "decoder_bias", "gate_bias", "mag_bias")


@dataclass(frozen=True)
class _Stored:
    """Tensors of a file, the step they are a backup of (or None), and what the biases are still to be scaled by."""

    tensors: Mapping[str, Tensor]
    step: int | None = None
    norm_factor: float = 1.0


def sniff(path: Path) -> bool:
    """Whether a folder has an ``ae.pt``, or a file is called like one."""
    return (path / WEIGHTS).is_file() if path.is_dir() else bool(_FILE.fullmatch(path.name)) and path.is_file()


def open(path: Path, hints: Hints) -> Found:
    """The dictionary of a folder or of a checkpoint's file."""
    file = path / WEIGHTS if path.is_dir() else path
    folder = file.parent.parent if file.parent.name == "checkpoints" else file.parent
    document = read_document(folder / CONFIG, "a training's configuration") if (folder / CONFIG).is_file() else {}
    trainer, buffer = (value if isinstance(value := document.get(key), dict) else {} for key in ("trainer", "buffer"))
    stored = _read(file)
    name = class_of(trainer, stored.tensors.keys(), file)
    told, written, notes = sites_of(document, file.absolute(), hints)
    reads = site_of(file, told, hints)
    hinted = hints.writes if hints.writes != hints.reads else None
    writes = hinted or (reads if written == told or written is None else written)
    width = buffer.get("d_submodule") or trainer.get("activation_dim")
    shape = _Shape.of(name, stored.tensors, trainer, width, file)
    if reads != writes and shape.subtracts:
        notes = (*notes, f"What it adds to {writes}, its decoder bias, is subtracted from its input too.")
    config = DictionaryConfig(
        shape.arch,
        shape.d_in,
        shape.n_latents,
        reads,
        writes,
        shape.d_in,
        {
            **shape.options,
            **({"threshold": shape.options["threshold"] * stored.norm_factor} if "threshold" in shape.options else {}),
            **({} if shape.subtracts == (reads == writes) else {"apply_b_dec_to_input": shape.subtracts}),
        },
    )
    make_dictionary_at(config, file)  # options that no dictionary can have are refused here
    _check(name, stored.tensors, shape, file)

    def load(dtype: torch.dtype) -> Dictionary:
        dictionary = make_dictionary_at(config, file)
        state = {ours: value.to(dtype).contiguous() for ours, value in _state(name, _read(file), shape).items()}
        dictionary.load_state_dict(state, assign=True)
        return dictionary.requires_grad_(False).eval()

    context = buffer.get("ctx_len")
    return Found(
        NAME,
        path,
        (
            Item(
                name="",
                config=config,
                files=tuple(part for part in (file, folder / CONFIG) if part.is_file()),
                load=load,
                model=hints.model or str(trainer.get("lm_name") or ""),
                processing=hints.processing,
                context=context if type(context) is int else 0,
                metadata={**trainer, "dict_class": name, **shape.metadata},
                measured=_measured(folder / _RESULTS),
                notes=(*notes, *shape.notes, *_backup_note(stored)),
            ),
        ),
    )


@dataclass(frozen=True)
class _Shape:
    """What follows from a class and its tensors."""

    arch: str
    d_in: int
    n_latents: int
    subtracts: bool
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, name: str, tensors: Mapping[str, Tensor], trainer: Mapping[str, Any], width: Any, path: Path) -> _Shape:
        if name == "IdentityDict":
            if type(width) is not int or not 1 <= width <= _WIDEST:
                raise InputError(
                    f"{path} holds an IdentityDict and no tensor, and no config.json gives its width (to {_WIDEST:,})."
                )
            return cls("identity", width, width, True, {}, {}, ())
        encoder = tensors["W_enc"].T if "W_enc" in tensors else tensors["encoder.weight"]  # [F, D]
        if encoder.ndim != 2:
            raise InputError(f"{path} has an encoder of shape {tuple(encoder.shape)}, expected two axes.")
        n_latents, d_in = encoder.shape
        arch, options, metadata, notes = "standard", {}, {}, ()
        if name == "AutoEncoder":
            notes = ("Decoder columns are brought to norm 1, as the library does when it loads an AutoEncoder.",)
        elif name == "GatedAutoEncoder":
            arch = "gated"
        elif name == "JumpReluAutoEncoder":
            arch = "jumprelu"
        elif name == "AutoEncoderTopK":
            arch, options = "topk", {"k": _k(tensors, trainer, path)}
            if "threshold" in tensors and (learned := _scalar(tensors, "threshold", path)) >= 0:
                options["threshold"] = learned
        elif name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE"):
            metadata = {"k": _k(tensors, trainer, path)}
            if "group_sizes" in tensors:
                metadata["group_sizes"] = tensors["group_sizes"].flatten().tolist()
                options = dict(metadata) if sum(metadata["group_sizes"]) == n_latents else {}
            if (threshold := _scalar(tensors, "threshold", path)) < 0:
                notes = (f"Its threshold is {threshold:g}, never set in training: every positive feature is active.",)
                options = {}
            else:
                arch = "jumprelu"
        subtracts = name not in ("AutoEncoderNew", "JumpReluAutoEncoder")
        return cls(arch, d_in, n_latents, subtracts, options, metadata, notes)


def _read(path: Path) -> _Stored:
    value = load_torch(path)
    step, factor = None, 1.0
    if isinstance(value, dict) and isinstance(value.get("ae"), dict):
        step, norm, value = value.get("step"), value.get("norm_factor"), value["ae"]
        factor = float(norm) if isinstance(norm, int | float | Tensor) else 1.0
    if not isinstance(value, dict) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise InputError(f"{path} does not hold the tensors of a dictionary.")
    tensors = {str(key).removeprefix("_orig_mod."): tensor for key, tensor in value.items()}
    return _Stored(tensors, step if type(step) is int else None, factor)


def _backup_note(stored: _Stored) -> tuple[str, ...]:
    if stored.step is None:
        return ()
    scaled = f" Its biases are multiplied by {stored.norm_factor:g}, the norm of its inputs." * (
        stored.norm_factor != 1
    )
    return (f"It is a backup of step {stored.step} of a training.{scaled}",)


def _k(tensors: Mapping[str, Tensor], trainer: Mapping[str, Any], path: Path) -> Any:
    stated = trainer.get("k")
    if "k" not in tensors:
        if type(stated) is not int:
            raise InputError(
                f"{path} does not say how many features are active.",
                'Put a config.json with {"trainer": {"dict_class": "AutoEncoderTopK", "k": K}} beside it.',
            )
        return stated
    k = int(_scalar(tensors, "k", path))
    if stated not in (None, k):
        raise InputError(f"{path} has k = {k}, and the config.json beside it says {stated}.")
    return k


def _scalar(tensors: Mapping[str, Tensor], name: str, path: Path) -> float:
    if tensors[name].numel() != 1:
        raise InputError(f"{path} has {name} of shape {tuple(tensors[name].shape)}, expected one number.")
    return float(tensors[name])


def _check(name: str, tensors: Mapping[str, Tensor], shape: _Shape, path: Path) -> None:
    d, f = shape.d_in, shape.n_latents
    expected = {
        **dict.fromkeys(("W_enc", "decoder.weight"), (d, f)),
        **dict.fromkeys(("W_dec", "encoder.weight"), (f, d)),
        **dict.fromkeys(("bias", "b_dec", "decoder.bias", "decoder_bias"), (d,)),
        **dict.fromkeys(("encoder.bias", "b_enc", "r_mag", "gate_bias", "mag_bias"), (f,)),
    }
    if name == "JumpReluAutoEncoder":
        expected["threshold"] = (f,)
    for key, value in tensors.items():
        if tuple(value.shape) != expected.get(key, tuple(value.shape)):
            raise InputError(f"{path} has {key} of shape {tuple(value.shape)}, expected {expected[key]}.")


def _state(name: str, stored: _Stored, shape: _Shape) -> dict[str, Tensor]:
    """The state of our dictionary, in the stored number type or fp32."""
    d, f = shape.d_in, shape.n_latents
    if name == "IdentityDict":
        eye = torch.eye(d)
        return {"W_enc_DF": eye, "b_enc_F": torch.zeros(d), "W_dec_FD": eye.clone(), "b_dec_D": torch.zeros(d)}
    tensors = dict(stored.tensors)
    if stored.norm_factor != 1:
        for key in _BIASES:
            if key in tensors:
                tensors[key] = tensors[key].float() * stored.norm_factor
        if "threshold" in tensors and (tensors["threshold"].numel() > 1 or float(tensors["threshold"]) >= 0):
            tensors["threshold"] = tensors["threshold"].float() * stored.norm_factor
    direct = "W_enc" in tensors
    state = {
        "W_enc_DF": tensors["W_enc"] if direct else tensors["encoder.weight"].T,
        "W_dec_FD": tensors["W_dec"] if direct else tensors["decoder.weight"].T,
        "b_enc_F": next(tensors[key] for key in ("encoder.bias", "b_enc", "gate_bias") if key in tensors),
        "b_dec_D": next(tensors[key] for key in ("bias", "decoder.bias", "decoder_bias", "b_dec") if key in tensors),
    }
    if name == "GatedAutoEncoder":
        state |= {"r_mag_F": tensors["r_mag"], "b_mag_F": tensors["mag_bias"]}
    if shape.arch == "jumprelu":
        state["threshold_F"] = tensors["threshold"].expand(f).clone()
    if name == "AutoEncoder":
        _fold_decoder_norms(state)
    return {key: value.clone() for key, value in state.items()}


def _fold_decoder_norms(state: dict[str, Tensor]) -> None:
    """AutoEncoder.from_pretrained: columns of norm 1, features scaled accordingly; columns that nearly are, stay."""
    wide = {key: value.to(torch.promote_types(value.dtype, torch.float32)) for key, value in state.items()}
    norms_F = wide["W_dec_FD"].norm(dim=1)
    if torch.allclose(norms_F, torch.ones_like(norms_F)):
        return
    state["W_dec_FD"] = wide["W_dec_FD"] / norms_F.clamp_min(torch.finfo(norms_F.dtype).tiny)[:, None]
    state["W_enc_DF"] = wide["W_enc_DF"] * norms_F
    state["b_enc_F"] = wide["b_enc_F"] * norms_F


def _measured(path: Path) -> dict[str, float]:
    """L0 and variance explained, if the library's evaluation has left them."""
    if not path.is_file():
        return {}
    names = {"l0": "l0", "frac_variance_explained": "variance_explained"}
    results = read_document(path, "results of an evaluation")
    return {ours: float(results[key]) for key, ours in names.items() if isinstance(results.get(key), int | float)}

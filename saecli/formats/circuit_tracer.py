"""circuit-tracer's sets: a transcoder for every layer, or a cross-layer transcoder, with config.yaml.

Per layer: ``layer_{i}.safetensors`` with ``W_enc`` [F, d] (rows are features), ``W_dec`` [F, d], ``b_enc`` [F],
``b_dec`` [d], ``activation_function.threshold`` [F] for JumpReLU, ``W_skip`` [d, d] (output += x @ W_skip.T).
Across layers: ``W_enc_{i}.safetensors`` with ``W_enc_{i}`` [F, d], ``b_enc_{i}``, ``b_dec_{i}`` (of the output of
layer i), ``threshold_{i}``; ``W_dec_{i}.safetensors`` with ``W_dec_{i}`` [F, layers − i, d], whose entry j writes layer
i + j.

config.yaml names the model, ``feature_input_hook`` and ``feature_output_hook`` within a block. The model's weights are
raw; ``ln2.hook_normalized`` is the input of the MLP before the norm's gain, which folded weights have taken over.
Source: https://github.com/safety-research/circuit-tracer (``circuit_tracer/transcoder``, ``utils/hf_utils.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, shape_of
from saecli.formats.circuit_tracer_config import CONFIG, mentions_a_set, read_config
from saecli.formats.circuit_tracer_write import write as write
from saecli.formats.cross_layer import cross_layer_of
from saecli.formats.registry import Found, Hints, Item
from saecli.formats.safe import load_safetensors, safetensors_header

NAME: Final = "circuit-tracer"
TITLE: Final = "circuit-tracer transcoders"

_LAYER: Final = re.compile(r"layer_(\d+)\.safetensors")
_ENCODER: Final = re.compile(r"W_enc_(\d+)\.safetensors")
_THRESHOLD: Final = "activation_function.threshold"
_BEFORE_GAIN: Final = "ln2.hook_normalized"
_NAMES: Final = {"b_enc": "b_enc_F", "W_dec": "W_dec_FD", "b_dec": "b_dec_D"}
_MOST_NAMED: Final = 8
_ACTIVATIONS: Final = ("relu", "topk", "jumprelu", "jump_relu", None)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Set:
    """What is common to the layers of a set."""

    path: Path
    document: Mapping[str, Any]
    hints: Hints

    def sites(self, layer: int) -> tuple[Site, Site]:
        """What the dictionary of a layer reads, and what it writes (first)."""
        reads, writes = self.hints.reads, self.hints.writes
        writes = writes if writes != reads else None
        if reads is None and "feature_input_hook" not in self.document:
            raise InputError(
                f"{self.path} does not say at which site of every layer its transcoders read.",
                "Say it for the first layer with --site, for example '0.mlp_in>0.mlp_out'.",
            )
        reads = reads or self._site("feature_input_hook")
        if writes is None:
            writes = self._site("feature_output_hook") if "feature_output_hook" in self.document else Site(0, "mlp_out")
        return replace(reads, layer=layer), replace(writes, layer=layer)

    def _site(self, key: str) -> Site:
        try:
            return Site.parse(f"blocks.0.{self.document[key]}")
        except UsageError as error:
            raise InputError(
                f"{self.path / CONFIG} has {key} = {self.document[key]!r}, which names no site."
            ) from error

    def item(self, layer: int, config: DictionaryConfig, files: tuple[Path, ...], load: Any, *notes: str) -> Item:
        before_gain = self.document.get("feature_input_hook") == _BEFORE_GAIN
        processing: Literal["raw", "folded", ""] = "folded" if before_gain else "raw" if self.document else ""
        return Item(
            name=f"layer_{layer}",
            config=config,
            files=files,
            load=load,
            model=self.hints.model or str(self.document.get("model_name") or ""),
            processing=self.hints.processing or processing,
            metadata={key: self.document[key] for key in ("model_kind", "scan") if key in self.document},
            notes=notes,
        )


def sniff(path: Path) -> bool:
    """Whether a folder holds config.yaml of a transcoder set, or files of one without it."""
    if not path.is_dir():
        return False
    if mentions_a_set(path / CONFIG) or (path / "W_enc_0.safetensors").is_file():
        return True
    return any(_has_encoder(file) for file in sorted(_numbered(path, _LAYER).values())[:1])


def open(path: Path, hints: Hints) -> Found:
    """The dictionaries of a set, one per layer.

    Raises:
        InputError: Damaged, a layer, file or tensor is missing, or of another shape, files are not local yet, or
            nothing says where the transcoders read.
    """
    document = read_config(path / CONFIG) if (path / CONFIG).is_file() else {}
    kind = document.get("model_kind") or ("cross_layer_transcoder" if _numbered(path, _ENCODER) else "transcoder_set")
    whole = _Set(path, document, hints)
    if kind == "transcoder_set":
        files = _listed(whole) if "transcoders" in document else _numbered(path, _LAYER)
        _complete(path, files, "layer_{}.safetensors")
        items = [_transcoder(whole, layer, file) for layer, file in files.items()]
    elif kind == "cross_layer_transcoder":
        if "transcoders" in document:
            _listed(whole)
            raise InputError(f"{path / CONFIG} lists the files of a cross-layer transcoder; open their folder instead.")
        files = _numbered(path, _ENCODER)
        _complete(path, files, "W_enc_{}.safetensors")
        items = [_cross_layer(whole, layer, file, len(files)) for layer, file in files.items()]
    else:
        raise InputError(f"{path / CONFIG} has model_kind {kind!r}, expected transcoder_set or cross_layer_transcoder.")
    return Found(NAME, path, tuple(items))


# --- a transcoder per layer -------------------------------------------------------------------------------------------


def _transcoder(whole: _Set, layer: int, file: Path) -> Item:
    found = {name: header.shape for name, header in safetensors_header(file).items()}
    n_latents, d_in = shape_of(file, found, "W_enc")
    d_out = shape_of(file, found, "W_dec")[1]
    expected = {"W_enc": (n_latents, d_in), "b_enc": (n_latents,), "W_dec": (n_latents, d_out), "b_dec": (d_out,)}
    if "W_skip" in found:
        expected["W_skip"] = (d_out, d_in)
    if _THRESHOLD in found:
        expected[_THRESHOLD] = _threshold_shape(found[_THRESHOLD], n_latents)
    if "k" in found:
        expected["k"] = () if found["k"] == () else (1,)
    check_shapes(file, found, expected)

    arch, options, notes = _activation(whole, file, found)
    reads, writes = whole.sites(layer)
    if reads == writes:
        options["apply_b_dec_to_input"] = False
    if "W_skip" in found:
        options["skip"] = True
    config = DictionaryConfig(arch, d_in, n_latents, reads, writes, d_out, options)
    return whole.item(layer, config, (file,), partial(_load, file, config), *notes)


def _load(file: Path, config: DictionaryConfig, dtype: torch.dtype) -> Dictionary:
    stored = load_safetensors(file)
    state = {ours: stored[theirs] for theirs, ours in _NAMES.items()}
    state["W_enc_DF"] = stored["W_enc"].T
    if "W_skip" in stored:
        state["W_skip_DO"] = stored["W_skip"].T
    if config.arch == "jumprelu":
        state["threshold_F"] = _threshold(file, stored[_THRESHOLD], config.n_latents)
    return dictionary_of(config, state, dtype, file)


def _activation(whole: _Set, file: Path, found: Shapes) -> tuple[str, dict[str, Any], list[str]]:
    """Architecture, options and notes: what config.yaml says, else what the tensors say."""
    said = whole.document.get("activation")
    if said not in _ACTIVATIONS:
        raise InputError(f"{whole.path / CONFIG} has activation {said!r}; relu, topk and jumprelu are read.")
    if said == "topk" or (said is None and "k" in found and _THRESHOLD not in found):
        k = _whole_number(file, load_safetensors(file, ["k"])["k"]) if "k" in found else whole.document.get("k")
        if "k" in found and whole.document.get("k", k) != k:
            raise InputError(f"{file} has k = {k}, and {whole.path / CONFIG} says {whole.document['k']}.")
        note = "circuit-tracer keeps negative values among the k largest; here they are 0."
        return "topk", {"k": k}, [note]
    if (said in ("jumprelu", "jump_relu")) > (_THRESHOLD in found):
        raise InputError(f"{file} has no {_THRESHOLD}, which activation {said!r} needs.")
    if _THRESHOLD not in found:
        return "standard", {}, []
    if said == "relu":
        raise InputError(f"{file} has thresholds, and {whole.path / CONFIG} says that its activation is relu.")
    return "jumprelu", {}, []


# --- a transcoder across layers ---------------------------------------------------------------------------------------


def _cross_layer(whole: _Set, layer: int, file: Path, layers: int) -> Item:
    names = {name: f"{name}_{layer}" for name in ("W_enc", "b_enc", "b_dec", "threshold", "W_dec")}
    found = {name: header.shape for name, header in safetensors_header(file).items()}
    n_latents, d_in = shape_of(file, found, names["W_enc"])
    (d_out,) = shape_of(file, found, names["b_dec"], axes=1)
    expected = {names["W_enc"]: (n_latents, d_in), names["b_enc"]: (n_latents,), names["b_dec"]: (d_out,)}
    threshold = names["threshold"] in found
    if threshold:
        expected[names["threshold"]] = _threshold_shape(found[names["threshold"]], n_latents)
    check_shapes(file, found, expected)
    decoder = file.with_name(f"W_dec_{layer}.safetensors")
    notes = [] if decoder.is_file() else [f"{decoder.name} is not here, so layer {layer} cannot be decoded."]
    if decoder.is_file():
        shapes = {name: header.shape for name, header in safetensors_header(decoder).items()}
        check_shapes(decoder, shapes, {names["W_dec"]: (n_latents, layers - layer, d_out)})
    reads, writes = whole.sites(layer)
    options = {
        "writes": [str(replace(writes, layer=target)) for target in range(layer, layers)],
        "activation": "jumprelu" if threshold else "relu",
    }
    config = DictionaryConfig("cross_layer", d_in, n_latents, reads, writes, d_out, options)
    load = partial(_load_cross_layer, file, decoder, names, config)
    return whole.item(layer, config, (file, decoder) if decoder.is_file() else (file,), load, *notes)


def _load_cross_layer(
    file: Path, decoder: Path, names: Mapping[str, str], config: DictionaryConfig, dtype: torch.dtype
) -> Dictionary:
    if not decoder.is_file():
        raise InputError(f"{file.parent} has no {decoder.name}.", "Download it, or choose other layers.")
    stored = load_safetensors(file)
    state = {
        "W_enc_DF": stored[names["W_enc"]].T,
        "b_enc_F": stored[names["b_enc"]],
        "b_dec_D": stored[names["b_dec"]],
    }
    if names["threshold"] in stored:
        state["threshold_F"] = _threshold(file, stored[names["threshold"]], config.n_latents)
    return cross_layer_of(config, state, load_safetensors(decoder)[names["W_dec"]], dtype, file)


# --- files and tensors ------------------------------------------------------------------------------------------------


def _numbered(path: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    found = {int(match[1]): file for file in path.iterdir() if (match := pattern.fullmatch(file.name))}
    return dict(sorted(found.items()))


def _complete(path: Path, files: Mapping[int, Path], name: str) -> None:
    absent = (name.format(layer) for layer in range(max(files, default=0) + 1) if layer not in files)
    if missing := list(islice(absent, _MOST_NAMED)):
        raise InputError(f"{path} has no {', '.join(missing)}; a set has every layer from 0.", "Download the rest.")


def _listed(whole: _Set) -> dict[int, Path]:
    """The files that config.yaml lists, by layer."""
    listed = whole.document["transcoders"]
    if not isinstance(listed, list):
        raise InputError(f"{whole.path / CONFIG} has a list of transcoders that is none.")
    if remote := [name for name in listed if "://" in name]:
        raise InputError(
            f"{whole.path / CONFIG} lists {len(remote)} transcoders that are not local yet, the first {remote[0]}.",
            f"Download them: saecli download {remote[0].split('?')[0].replace('://', ':')}.",
        )
    files = {layer: whole.path / name for layer, name in enumerate(listed)}
    for name, file in zip(listed, files.values(), strict=True):  # by name: in the cache, files are links
        if ".." in Path(name).parts or Path(name).is_absolute() or file.suffix != ".safetensors":
            raise InputError(f"{whole.path / CONFIG} lists {file}, which is no safetensors file of its folder.")
    return files


def _has_encoder(file: Path) -> bool:
    try:
        return {"W_enc", "W_dec", "b_enc", "b_dec"} <= safetensors_header(file).keys()
    except InputError:
        return False


def _whole_number(file: Path, stored: Tensor) -> int:
    if stored.is_floating_point():
        raise InputError(f"{file} has k of type {stored.dtype}, expected a whole number.")
    return int(stored)


def _threshold_shape(shape: tuple[int, ...], n_latents: int) -> tuple[int, ...]:
    """One threshold for all features or one for each."""
    return shape if shape in ((), (1,), (1, n_latents)) else (n_latents,)


def _threshold(file: Path, stored: Tensor, n_latents: int) -> Tensor:
    if (stored < 0).any():
        raise InputError(f"{file} has negative thresholds, above which negative activations pass; they are not read.")
    return stored.reshape(-1).expand(n_latents)

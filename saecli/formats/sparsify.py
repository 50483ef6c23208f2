"""EleutherAI's sparsify: a folder per hookpoint with cfg.json and sae.safetensors, config.json of the run above them.

Tensors ``encoder.weight`` [F, d], ``encoder.bias`` [F], ``W_dec`` [F, d] (rows are features), ``b_dec`` [d], for skip
connections ``W_skip`` [d, d] (output += x @ W_skip.T). Pre-activations are of x − b_dec, of x where ``transcode`` is
true; ReLU, then the k largest (``topk``), or the largest of each of k groups (``groupmax``); of old ``signed`` coders
the k largest by absolute value. Files from before ``transcode`` always subtract b_dec, those of transcoders too: such
ones are known by ``transcode`` in the run's config.json.

A hookpoint is the name of a module of the Hugging Face model: an autoencoder reads the output of the module, a
transcoder its input.
Source: https://github.com/EleutherAI/sparsify (``sparse_coder.py``, ``fused_encoder.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import torch
from safetensors.torch import save as serialise

from saecli.core.atomic import write_bytes
from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, positive
from saecli.formats.documents import read_document
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.safe import load_safetensors, safetensors_header

NAME: Final = "sparsify"
TITLE: Final = "EleutherAI sparsify"
CONFIG: Final = "cfg.json"
WEIGHTS: Final = "sae.safetensors"
RUN: Final = "config.json"

_HOOKPOINT: Final = re.compile(r"(?:[a-z_]+\.)*(?:layers|h|blocks)\.(\d+)(?:\.(mlp|attention|attn|self_attn))?")
_EMBEDDINGS: Final = ("embed_tokens", "embed_in", "model.embed_tokens", "gpt_neox.embed_in")
_SITES: Final = {"": ("resid_pre", "resid_post"), "mlp": ("mlp_in", "mlp_out"), "attn": ("attn_in", "attn_out")}
_POST_NORMED: Final = re.compile(r"gemma-?[23]|olmo-?2", re.IGNORECASE)
"""Models whose modules' outputs are normed before they are added, so that no site holds the bare output."""

_RUN_DEPTH: Final = 3


def sniff(path: Path) -> bool:
    """Whether a folder holds cfg.json and sae.safetensors."""
    return (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def open(path: Path, hints: Hints) -> Found:
    """The coder of one hookpoint's folder.

    Raises:
        InputError: Damaged, a tensor is missing, unknown or of another shape, its site is not known, or it needs
            something that a dictionary does not get.
    """
    where, file = path / CONFIG, path / WEIGHTS
    document = read_document(where, "a coder's configuration")
    for key in ("embed_skip", "gram_lookup"):
        if document.get(key):
            raise InputError(f"{where} has {key}, which needs the model's tokens beside the site; it is not read.")
    run = _run(path)
    model = hints.model or str(run.get("model") or "")
    transcode = document.get("transcode", run.get("transcode"))
    hinted = hints.writes if hints.writes != hints.reads else None
    notes: list[str] = []
    if "transcode" not in document and transcode:
        notes.append("Written by sparsify before transcoders took their input as it is: it subtracts b_dec.")
    if transcode is None and document.get("skip_connection"):
        transcode = hinted is not None
        notes.append("cfg.json does not say whether this coder with a skip connection is a transcoder.")

    d = positive(document, "d_in", where)
    latents = document.get("num_latents") or d * positive(document, "expansion_factor", where)
    if type(latents) is not int or latents < 1:
        raise InputError(f"{where} has num_latents = {latents!r}, expected a whole number.")
    expected = {"encoder.weight": (latents, d), "encoder.bias": (latents,), "W_dec": (latents, d), "b_dec": (d,)}
    if skip := bool(document.get("skip_connection")):
        expected["W_skip"] = (d, d)
    check_shapes(file, {name: header.shape for name, header in safetensors_header(file).items()}, expected)

    told = _sites(path, bool(transcode), model)
    reads = site_of(path, told and told[0], hints)
    writes = (hinted or (told[1] if told and hints.reads is None else None)) if transcode else reads
    if writes is None:
        hint = "Say it with --site, for example '8.mlp_in>8.mlp_out'."
        raise InputError(f"{path} does not say what the transcoder writes.", hint)
    options: dict[str, Any] = {"k": document.get("k")}
    if (subtracts := not document.get("transcode", False)) != (reads == writes):
        options["apply_b_dec_to_input"] = subtracts
    if skip:
        options["skip"] = True
    config = DictionaryConfig(_architecture(document, where), d, latents, reads, writes, d, options)
    item = Item(
        name="",
        config=config,
        files=(where, file),
        load=partial(_load, file, config),
        model=model,
        processing=hints.processing or "raw",
        context=run["ctx_len"] if type(run.get("ctx_len")) is int else 0,
        metadata={key: value for key in ("dataset", "split") if isinstance(value := run.get(key), str)},
        notes=tuple(notes),
    )
    return Found(NAME, path, (item,))


def _load(file: Path, config: DictionaryConfig, dtype: torch.dtype) -> Dictionary:
    stored = load_safetensors(file)
    state = {
        "W_enc_DF": stored["encoder.weight"].T,
        "b_enc_F": stored["encoder.bias"],
        "W_dec_FD": stored["W_dec"],
        "b_dec_D": stored["b_dec"],
    }
    if "W_skip" in stored:
        state["W_skip_DO"] = stored["W_skip"].T
    return dictionary_of(config, state, dtype, file)


def _architecture(document: Mapping[str, Any], where: Path) -> str:
    activation = document.get("activation", "topk")
    if activation not in ("topk", "groupmax"):
        raise InputError(f"{where} has activation {activation!r}; topk and groupmax are read.")
    if document.get("signed"):
        if activation != "topk":
            raise InputError(f"{where} has signed with activation {activation!r}, expected topk.")
        return "abstopk"
    return activation


def _run(path: Path) -> dict[str, Any]:
    """config.json of the run a hookpoint's folder belongs to; it may be absent, and others have files of that name."""
    for folder in path.absolute().parents[:_RUN_DEPTH]:
        if (folder / RUN).is_file():
            try:
                return read_document(folder / RUN, "a run's configuration")
            except InputError:
                return {}
    return {}


def _sites(path: Path, transcode: bool, model: str) -> tuple[Site, Site] | None:
    """What is read and written by the names of the folders, the innermost first; None if they do not say."""
    for part in [path.absolute().name, *(folder.name for folder in path.absolute().parents[: _RUN_DEPTH - 1])]:
        if part in _EMBEDDINGS and not transcode:
            return Site(0, "resid_pre"), Site(0, "resid_pre")
        if match := _HOOKPOINT.fullmatch(part):
            module = "mlp" if match[2] == "mlp" else "attn" if match[2] else ""
            if module and _POST_NORMED.search(model):
                return None
            before, after = (Site(int(match[1]), kind) for kind in _SITES[module])
            return (before, after) if transcode else (after, after)
    return None


# --- writing ----------------------------------------------------------------------------------------------------------

_WRITTEN: Final = ("topk", "groupmax")
_ATTENTION: Final = {"gpt2": "attn", "pythia": "attention", "gpt-neox": "attention"}


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
    """Write coders as a run of sparsify: a folder per hookpoint, and config.json with what is known of the run.

    Args:
        dictionaries: TopK or GroupMax autoencoders of block, MLP or attention outputs, or transcoders from a module's
            input to its output. Their names have no place here: folders are named by hookpoints.
        folder: Where; made if needed.
        dtype: Number type of the stored weights.
        model: Name of the model, which decides how its modules are called.
        context: Positions per sequence they were trained on; 0 if unknown.
        prepends_bos, processing: Have no place in this format.

    Raises:
        UsageError: Something that sparsify cannot express, named; nothing is written then.
    """
    files: dict[str, bytes] = {}
    for dictionary in dictionaries.values():
        hookpoint = _hookpoint(dictionary.config, model)
        if f"{hookpoint}/{CONFIG}" in files:
            raise UsageError(f"sparsify has one coder of a hookpoint in a folder, and two are of {hookpoint}.")
        files |= {f"{hookpoint}/{name}": data for name, data in _files(dictionary, dtype).items()}
    for name, data in files.items():
        write_bytes(folder / name, data)
    if run := {key: value for key, value in (("model", model), ("ctx_len", context)) if value}:
        write_bytes(folder / RUN, (json.dumps(run, indent=2) + "\n").encode())


def _files(dictionary: Dictionary, dtype: torch.dtype) -> dict[str, bytes]:
    config = dictionary.config
    transcode = config.reads != config.writes
    if config.arch not in _WRITTEN:
        raise UsageError(f"sparsify has topk and groupmax coders, not {config.arch} ({config.reads}).")
    if config.d_in != config.d_out:
        raise UsageError(f"sparsify's coders read and write one width, not {config.d_in} and {config.d_out}.")
    if unknown := sorted(config.options.keys() - {"k", "skip", "apply_b_dec_to_input", "threshold"}):
        raise UsageError(f"sparsify has no option {', '.join(unknown)} ({config.reads}).")
    if dictionary.subtracts_b_dec == transcode:
        what = "transcoder does not subtract" if transcode else "autoencoder subtracts"
        raise UsageError(f"sparsify's {what} b_dec from its input, and the one at {config.reads} is otherwise.")
    document = {
        "activation": config.arch,
        "expansion_factor": max(1, config.n_latents // config.d_in),
        "normalize_decoder": False,
        "num_latents": config.n_latents,
        "k": config.options["k"],
        "multi_topk": False,
        "skip_connection": dictionary.W_skip_DO is not None,
        "transcode": transcode,
        "d_in": config.d_in,
    }
    tensors = {
        "encoder.weight": dictionary.W_enc_DF.T,
        "encoder.bias": dictionary.b_enc_F,
        "W_dec": dictionary.W_dec_FD,
        "b_dec": dictionary.b_dec_D,
    }
    if dictionary.W_skip_DO is not None:
        tensors["W_skip"] = dictionary.W_skip_DO.T
    stored = {name: value.detach().cpu().to(dtype).contiguous() for name, value in tensors.items()}
    for name, value in stored.items():
        if not value.isfinite().all():
            raise UsageError(f"{name} of the dictionary at {config.reads} does not fit into {dtype}.")
    return {WEIGHTS: serialise(stored), CONFIG: (json.dumps(document, indent=2) + "\n").encode()}


def _hookpoint(config: DictionaryConfig, model: str) -> str:
    """The module whose output is written, and whose input is read by a transcoder."""
    modules = {pair[1]: (module, pair[0]) for module, pair in _SITES.items()}
    writes = config.writes
    if writes.kind == "resid_pre" and writes.layer:
        writes = Site(writes.layer - 1, "resid_post")
    if writes.kind in modules:
        module, before = modules[writes.kind]
        if config.reads in (writes, Site(writes.layer, before)) and not (module and _POST_NORMED.search(model)):
            blocks = "h" if "gpt2" in model else "layers"
            if module == "attn":
                module = next((name for key, name in _ATTENTION.items() if key in model), "self_attn")
            return f"{blocks}.{writes.layer}" + (f".{module}" if module else "")
    raise UsageError(f"sparsify has no hookpoint that reads {config.reads} and writes {config.writes}.")

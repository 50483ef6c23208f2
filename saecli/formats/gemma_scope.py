"""Gemma Scope (Gemma 2): ``{layer_N|embedding}/width_W/average_l0_K/params.npz``, one JumpReLU dictionary each.

Arrays ``W_enc`` [d_in, F], ``W_dec`` [F, d_out], ``b_enc`` and ``threshold`` [F], ``b_dec`` [d_out]; ``w_enc`` and
``w_dec`` are read too. What a dictionary reads is said by its repository, ``gemma-scope-2b-pt-res``::

    res           resid_post                            the residual stream after block N
    embedding/    resid_pre of block 0                  trained before Gemma's factor sqrt(d), which is folded in
    mlp           mlp_out                               after the post-norm
    att           attn_z                                the heads side by side, before the output projection
    transcoders   mlp_in → mlp_out, folded weights      the normed MLP input without the norm's gain

Source: Lieberum et al. 2024, https://arxiv.org/abs/2408.05147; https://huggingface.co/google/gemma-scope.
"""

from __future__ import annotations

import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Final, Literal

import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of, shape_of
from saecli.formats.registry import Found, Hints, Item, site_of
from saecli.formats.safe import load_npz, npz_shapes

NAME: Final = "gemma-scope"
TITLE: Final = "Gemma Scope"
WEIGHTS: Final = "params.npz"
CONTEXT: Final = 1024

_NAMES: Final = {
    "W_enc": "W_enc_DF",
    "b_enc": "b_enc_F",
    "W_dec": "W_dec_FD",
    "b_dec": "b_dec_D",
    "threshold": "threshold_F",
}
_LOWER: Final = {"w_enc": "W_enc", "w_dec": "W_dec"}
_KINDS: Final = {"res": "resid_post", "mlp": "mlp_out", "att": "attn_z", "transcoders": "mlp_in"}
_REPOSITORY: Final = re.compile(r"gemma-scope-(2b|9b|27b)-(pt|it)-(res|mlp|att|transcoders)(?![a-z0-9])")


def sniff(path: Path) -> bool:
    """Whether a folder (or the file itself) holds params.npz with the arrays of a JumpReLU dictionary."""
    file = path / WEIGHTS if path.is_dir() else path
    if file.name != WEIGHTS or not file.is_file() or not zipfile.is_zipfile(file):
        return False
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.lower().removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False
    return {"w_enc", "w_dec", "threshold"} <= names


def open(path: Path, hints: Hints) -> Found:
    """The dictionary of a folder.

    Raises:
        InputError: Damaged, an array is missing, unknown or of another shape, or its site is not known.
    """
    file = path / WEIGHTS if path.is_dir() else path
    found = npz_shapes(file)
    names = {_LOWER.get(name, name): name for name in found}
    shapes = {name: found[stored] for name, stored in names.items()}
    if len(names) != len(found):
        raise InputError(f"{file} has both spellings of {', '.join(sorted(found.keys() & _LOWER.keys()))}.")
    d_in, n_latents = shape_of(file, shapes, "W_enc")
    d_out = shape_of(file, shapes, "W_dec")[1]
    expected = {"W_enc": (d_in, n_latents), "b_enc": (n_latents,), "W_dec": (n_latents, d_out), "b_dec": (d_out,)}
    check_shapes(file, shapes, {**expected, "threshold": (n_latents,)})

    place = file.absolute().parent
    repository = next((match for part in reversed(place.parts) if (match := _REPOSITORY.search(part))), None)
    kind = _KINDS[repository[3]] if repository else hints.kind.partition(">")[0]
    embedding = "embedding" in place.parts
    reads = site_of(file, _site(place, kind, embedding), hints)
    transcoder = reads.kind == "mlp_in"
    told = hints.writes if hints.writes != hints.reads else None
    writes = told or (Site(reads.layer, "mlp_out") if transcoder else reads)
    if d_in != d_out and writes == reads:
        raise InputError(f"{file} reads {d_in} numbers and writes {d_out}, so it cannot write {writes} too.")
    processing: Literal["raw", "folded", ""] = hints.processing or ("folded" if transcoder else "")
    options = {} if writes != reads else {"apply_b_dec_to_input": False}
    width, l0 = _named(place, r"width_(\w+)"), _named(place, r"average_l0_(\d+)")
    config = DictionaryConfig("jumprelu", d_in, n_latents, reads, writes, d_out, options)
    item = Item(
        name="",
        config=config,
        files=(file,),
        load=partial(_load, file, config, embedding),
        model=hints.model or (_model(repository[1], repository[2]) if repository else ""),
        processing=processing,
        context=CONTEXT,
        prepends_bos=True,
        metadata={"width": width} if width else {},
        measured={"l0": float(l0)} if l0 else {},
        notes=(_EMBEDDING_NOTE,) if embedding else (),
    )
    return Found(NAME, path, (item,))


_EMBEDDING_NOTE: Final = (
    "Trained on embeddings before Gemma multiplies them by sqrt(d_model): W_enc is divided by that, W_dec and b_dec "
    "are multiplied by it, so that it reads and writes the residual stream."
)


def _site(place: Path, kind: str, embedding: bool) -> Site | None:
    """The site by the names of the folders, or None."""
    if embedding:
        return Site(0, "resid_pre") if kind in ("", "resid_post") else None
    layer = _named(place, r"layer_(\d+)")
    return Site(int(layer), kind) if layer and kind else None


def _named(place: Path, pattern: str) -> str:
    """What the innermost folder of a pattern says, empty if there is none."""
    return next((match[1] for part in reversed(place.parts) if (match := re.fullmatch(pattern, part))), "")


def _model(size: str, variant: str) -> str:
    return f"google/gemma-2-{size}" + ("-it" if variant == "it" else "")


def _load(file: Path, config: DictionaryConfig, embedding: bool, dtype: torch.dtype) -> Dictionary:
    state = {_NAMES[_LOWER.get(name, name)]: values for name, values in load_npz(file).items()}
    if embedding:
        scale = config.d_in**0.5
        state["W_enc_DF"] = state["W_enc_DF"] / scale
        state["W_dec_FD"] = state["W_dec_FD"] * scale
        state["b_dec_D"] = state["b_dec_D"] * scale
    return dictionary_of(config, state, dtype, file)

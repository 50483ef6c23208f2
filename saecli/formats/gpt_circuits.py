"""A checkpoint folder of gpt-circuits: ``sae.json``, ``sae.{i}.safetensors`` and the GPT they were trained on.

``sae.json`` has ``n_features``, ``sae_variant``, ``top_k`` and, in newer ones, ``sae_keys`` such as ``0_act`` and
``0_mlpin``; file i belongs to key i, whatever that key says. Tensors: ``W_enc`` [d, F], ``W_dec`` [F, d], ``b_enc``,
``b_dec``, for JumpReLU ``jumprelu.log_threshold``, for gated ``W_gate``, ``r_mag``, ``b_gate``, ``b_mag``; the variants
_v2 have no encoder of their own, it is the transposed decoder.

A staircase stores ``W_enc`` and ``W_dec`` once, in ``sae.shared.{j}.safetensors``; dictionary i is the first F_i
features of them, and what is read here are views of one tensor.

Source: https://github.com/peterlai/gpt-circuits, https://github.com/Stefan-Heimersheim/gpt-circuits
(``models/sae``, ``config/sae/models.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.formats.assembly import check_shapes, dictionary_of
from saecli.formats.documents import read_document
from saecli.formats.gpt_circuits_folder import CONFIG, VARIANTS, Folder, read_folder, whole
from saecli.formats.gpt_circuits_write import write as write
from saecli.formats.registry import Found, Hints, Item
from saecli.formats.safe import load_safetensors, safetensors_header

NAME: Final = "gpt-circuits"
TITLE: Final = "checkpoint folders of gpt-circuits"
MODEL: Final = "model.json"

_PENALTY: Final = {"reduction": "sum", "at": "clean"}
"""How Jacobian-sparse pairs were trained; the coefficient is not stored."""
_TOPK_NOTE: Final = (
    "gpt-circuits has a version whose topk has no ReLU, and the files do not tell which wrote them: "
    "negative ones among the k largest are read as inactive."
)


def sniff(path: Path) -> bool:
    """Whether a folder has gpt-circuits' ``sae.json``."""
    return path.is_dir() and (path / CONFIG).is_file()


def open(path: Path, hints: Hints) -> Found:
    """The dictionaries of a folder; only headers are read.

    Raises:
        InputError: ``sae.json`` is damaged, names a variant or hook point that is not known, or a file is damaged or
            does not fit.
    """
    model = read_document(path / MODEL, "a model's configuration") if (path / MODEL).is_file() else {}
    folder = read_folder(path, model)
    present = [index for index in range(len(folder.widths)) if folder.file(index).is_file()]
    if not present:
        raise InputError(f"{path} has {CONFIG} and no {folder.file(0).name}.")
    absent = [folder.keys[index] for index in range(len(folder.widths)) if index not in present]
    notes = (f"The files of {', '.join(absent)} are not there.",) if absent else ()
    if VARIANTS[folder.variant] == "topk":
        notes += (_TOPK_NOTE,)

    @cache
    def shared(context: int, dtype: torch.dtype) -> dict[str, Tensor]:
        return {name: value.to(dtype) for name, value in load_safetensors(folder.shared_file(context)).items()}

    def item(index: int) -> Item:
        config, files = _config(folder, index)
        staircase = folder.context(index) is not None

        def load(dtype: torch.dtype) -> Dictionary:
            own = {name: value.to(dtype) for name, value in load_safetensors(files[0]).items()}
            above = shared(folder.context(index) or 0, dtype) if staircase else {}
            return dictionary_of(config, _state(folder, config, own, above), dtype, files[0])

        return Item(
            name=folder.keys[index],
            config=config,
            files=files,
            load=load,
            model=hints.model or (str(path) if model else ""),
            processing="raw",
            context=whole(model.get("block_size")),
            prepends_bos=False,
            metadata={"sae_variant": folder.variant, "sae_key": folder.keys[index]}
            | ({"chunks": folder.chunks(index)} if staircase else {}),
        )

    return Found(NAME, path, tuple(item(index) for index in present), notes)


def _config(folder: Folder, index: int) -> tuple[DictionaryConfig, tuple[Path, ...]]:
    """What dictionary ``index`` is, after its headers have been compared with it, and its files."""
    arch, width, context = VARIANTS[folder.variant], folder.widths[index], folder.context(index)
    file = folder.file(index)
    own = _shapes(file)
    if context is None:
        files, d_in = (file,), own.get("b_dec", (0,))[0]
        check_shapes(file, own, _own_shapes(arch, folder.tied, d_in, width))
    else:
        files = (file, folder.shared_file(context))
        shared, most = _shapes(files[1]), folder.chunks(index, whole=True)[-1]
        d_in = shared.get("W_dec", (0, 0))[-1]
        # JumpReLU's context has biases of its own that nothing uses, and a context may hold the one b_dec of all.
        biases = {"b_enc": (most,), "b_dec": (d_in,)}
        expected = {"W_enc": (d_in, most), "W_dec": (most, d_in)} | (
            {"log_threshold": (most,)} if arch == "jumprelu" else {}
        )
        check_shapes(files[1], shared, expected | {name: shape for name, shape in biases.items() if name in shared})
        mine = {"b_enc": (width,), "b_dec": (d_in,)}
        check_shapes(file, own, {name: shape for name, shape in mine.items() if name in own or name not in shared})
    options: dict[str, Any] = {"k": folder.top_k[index]} if arch == "topk" else {}
    if folder.variant.startswith("jsae"):
        options["jacobian"] = dict(_PENALTY)
    try:
        site = Site.parse(folder.keys[index])
    except UsageError as error:
        raise InputError(f"{folder.path / CONFIG}: {error.message}", error.hint) from error
    return DictionaryConfig(arch, d_in, width, site, site, d_in, options), files


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    return {name: header.shape for name, header in safetensors_header(path).items()}


def _own_shapes(arch: str, tied: bool, d_in: int, width: int) -> dict[str, tuple[int, ...]]:
    """Tensors of a dictionary that shares nothing."""
    shapes: dict[str, tuple[int, ...]] = {"W_dec": (width, d_in), "b_dec": (d_in,)}
    if arch == "gated":
        shapes |= {"b_gate": (width,), "b_mag": (width,)}
        return shapes if tied else shapes | {"W_gate": (d_in, width), "r_mag": (width,)}
    shapes |= {"b_enc": (width,)} | ({"jumprelu.log_threshold": (width,)} if arch == "jumprelu" else {})
    return shapes if tied else shapes | {"W_enc": (d_in, width)}


def _state(
    folder: Folder, config: DictionaryConfig, own: Mapping[str, Tensor], shared: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Parameters of a dictionary; slices of the shared tensors are views of them."""
    count = config.n_latents
    W_dec_FD = own["W_dec"] if "W_dec" in own else shared["W_dec"][:count]
    state = {"W_dec_FD": W_dec_FD, "b_dec_D": own["b_dec"] if "b_dec" in own else shared["b_dec"]}
    if config.arch == "gated":
        encoder = W_dec_FD.T if folder.tied else own["W_gate"]
        magnitude = {"b_mag_F": own["b_mag"]} | ({} if folder.tied else {"r_mag_F": own["r_mag"]})
        return state | magnitude | {"W_enc_DF": encoder, "b_enc_F": own["b_gate"]}
    if folder.tied:
        state["W_enc_DF"] = W_dec_FD.T
    else:
        state["W_enc_DF"] = own["W_enc"] if "W_enc" in own else shared["W_enc"][:, :count]
    state["b_enc_F"] = own["b_enc"] if "b_enc" in own else shared["b_enc"][:count]
    if config.arch == "jumprelu":
        log = own["jumprelu.log_threshold"] if not shared else shared["log_threshold"][:count]
        state["threshold_F"] = log.exp()
    return state

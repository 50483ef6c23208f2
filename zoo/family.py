"""What a family of the zoo is: data about its models, dictionaries and data sets, and how its modules are read.

A family is one file of this package, or one object of a third-party package under the entry point group
``saecli.zoo``. The data are plain and light: importing a family imports neither torch nor transformers, so that lists
and completion are fast. Its functions import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import torch

    from saecli.core.model import HookedModel

Processing = Literal["raw", "folded"]

HUGGING_FACE_FILES: Final = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
"""What is needed of a model on the hub: no other framework's copy of the weights."""


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for by name.

    Attributes:
        source: Where it comes from: ``hf:org/repo[/path][@revision]``, ``https://…``, ``asset:NAME`` for one that
            ships with the program, or ``file:PATH`` for one that ships with another package.
        description: One line for lists.
        include: Names (glob patterns) of the files that are needed.
        processing: Weight processing under which its published dictionaries were trained.
        data: Default data set (a name of the zoo or of the program's own generators), empty without one.
        suite: Name of its default suite, empty without one.
        vocabulary: Its token vocabulary, where the family has no common one.
    """

    source: str
    description: str
    include: tuple[str, ...] = HUGGING_FACE_FILES
    processing: Processing = "raw"
    data: str = ""
    suite: str = ""
    vocabulary: str = ""


@dataclass(frozen=True)
class ReleaseEntry:
    """Published dictionaries of one model: a suite, or a collection of several per site.

    Attributes:
        model: Name of the model they belong to.
        source: As of :class:`ModelEntry`; a source that ends in ``.zip`` is an archive whose members are fetched.
        description: One line for lists.
        format: Format name (see :mod:`saecli.formats`), empty if it is to be found out.
        pattern: Path of one dictionary below the source, with ``{layer}`` in it, empty if only the hub's list tells.
        site: Kind of site, if the files do not name it (``resid_post``); ``reads>writes`` for transcoders.
        layers: Number of layers it covers, 0 if only the hub's list tells.
        processing: Weight processing of the model it was trained on; empty where its files tell, or else raw.
        labels: Where descriptions of its features are (a Neuronpedia source name), empty if nowhere.
        default: Glob patterns of what is fetched if nothing is said, where the whole is too large.
        norm_scales: What inputs were multiplied by in training, by layer, where the files lack it.
        joins: A suite and the kind of its sites that are part of this one too: ``("othello-mini", "attn_out")``.
    """

    model: str
    source: str
    description: str
    format: str = ""
    pattern: str = ""
    site: str = ""
    layers: int = 0
    processing: Processing | Literal[""] = ""
    labels: str = ""
    default: tuple[str, ...] = ()
    norm_scales: tuple[float, ...] = ()
    joins: tuple[str, str] | None = None


@dataclass(frozen=True)
class DataEntry:
    """A data set that can be asked for as ``data:NAME``.

    Attributes:
        source: ``hf:datasets/org/repo[/path][@revision]``, ``https://…``, or ``generate:othello`` and the like.
        description: One line for lists.
        tokenizer: Vocabulary that its shards are in by default.
        column: Column of the text or tokens in tabular files.
        documents: What a document of a text file is: the ``file``, its ``lines``, or what stands between two of a text
            given here.
        separator: What is written after every document: ``newline``, ``eos`` or nothing.
        include: Names (glob patterns) of the files that are needed; empty takes all.
    """

    source: str
    description: str
    tokenizer: str
    column: str = "text"
    documents: str = "file"
    separator: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """One family of models.

    Attributes:
        name: ``gpt2``, ``pythia``, ...
        description: One line.
        models, releases, data: What can be asked for by name.
        model_types: ``model_type`` values of Hugging Face configurations that :attr:`load` reads.
        recognises: Whether a local folder or file without such a configuration is of this family; looks at names and
            headers only.
        load: Reads a folder or file: ``load(path, name, dtype) -> HookedModel``.
        vocabulary: Name of its token vocabulary, if its models share one.
    """

    name: str
    description: str
    models: dict[str, ModelEntry] = field(default_factory=dict)
    releases: dict[str, ReleaseEntry] = field(default_factory=dict)
    data: dict[str, DataEntry] = field(default_factory=dict)
    model_types: tuple[str, ...] = ()
    recognises: Callable[[Path], bool] | None = None
    load: Callable[[Path, str, torch.dtype], HookedModel] | None = None
    vocabulary: str = ""

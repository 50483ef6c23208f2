"""dictionary_learning, in an environment of its own: write fixtures with its classes, check what this project wrote.

python peer_dictionary_learning.py write FIXTURES
python peer_dictionary_learning.py check FOLDER
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import torch
from example import difference, inputs, load, randomise, report, save

nnsight = types.ModuleType("nnsight")  # of which only a name is imported, for models that are not run here
nnsight.LanguageModel = object
sys.modules["nnsight"] = nnsight

from dictionary_learning.dictionary import (  # noqa: E402
    AutoEncoder,
    AutoEncoderNew,
    GatedAutoEncoder,
    IdentityDict,
    JumpReluAutoEncoder,
)
from dictionary_learning.trainers.batch_top_k import BatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKSAE  # noqa: E402
from dictionary_learning.trainers.top_k import AutoEncoderTopK  # noqa: E402
from dictionary_learning.utils import load_dictionary  # noqa: E402

WIDTH = 8
CASES: dict[str, tuple[type, dict[str, Any], float | None]] = {
    "AutoEncoder": (AutoEncoder, {}, None),
    "AutoEncoderNew": (AutoEncoderNew, {}, None),
    "GatedAutoEncoder": (GatedAutoEncoder, {}, None),
    "JumpReluAutoEncoder": (JumpReluAutoEncoder, {}, None),
    "AutoEncoderTopK": (AutoEncoderTopK, {"k": 3}, 0.1),
    "BatchTopKSAE": (BatchTopKSAE, {"k": 3}, 0.4),
    "BatchTopKSAE-unset": (BatchTopKSAE, {"k": 3}, -1.0),
    "MatryoshkaBatchTopKSAE": (MatryoshkaBatchTopKSAE, {"k": 3, "group_sizes": [2, 6]}, 0.4),
    "IdentityDict": (IdentityDict, {}, None),
}


def write(fixtures: Path) -> None:
    for seed, (name, (cls, options, threshold)) in enumerate(CASES.items()):
        folder = fixtures / name
        folder.mkdir(parents=True)
        latents = WIDTH if seed % 2 or "group_sizes" in options else 16
        made = cls(WIDTH) if cls is IdentityDict else cls(WIDTH, latents, **options)
        randomise(made, seed)
        if threshold is not None:
            made.threshold.fill_(threshold)
        trainer = {
            "dict_class": cls.__name__,
            "activation_dim": WIDTH,
            "dict_size": latents,
            "layer": 3,
            "lm_name": "tiny",
            "submodule_name": "resid_post_layer_3",
            **({"k": 3} if "k" in options else {}),
        }
        document = {"trainer": trainer, "buffer": {"d_submodule": WIDTH, "io": "out", "ctx_len": 64}}
        (folder / "config.json").write_text(json.dumps(document))
        torch.save(made.state_dict(), folder / "ae.pt")
        loaded = made if cls is IdentityDict else load_dictionary(str(folder), "cpu")[0]
        x = inputs(WIDTH, seed)
        with torch.no_grad():
            save(folder, x, loaded.encode(x), loaded(x))


def check(folder: Path) -> None:
    rows = []
    for case in sorted(folder.iterdir()):
        name = json.loads((case / "config.json").read_text())["trainer"]["dict_class"]
        made = (
            IdentityDict.from_pretrained(str(case)) if name == "IdentityDict" else load_dictionary(str(case), "cpu")[0]
        )
        x, features, output = load(case)
        with torch.no_grad():
            rows.append((case.name, difference(features, made.encode(x)), difference(output, made(x))))
    report(rows)


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))

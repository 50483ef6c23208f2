"""Write every architecture in the formats of other libraries, with an input and what this project makes of it.

python -m tests.interop.ours FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import dictionary_learning, saelens, sparsify
from tests.interop.example import inputs, randomise, save

RESID, IN, OUT, Z = Site(3, "resid_post"), Site(3, "mlp_in"), Site(3, "mlp_out"), Site(3, "attn_z")
MODEL = "EleutherAI/pythia-70m"
RAW = {"apply_b_dec_to_input": False}
TEMPORAL = {"n_heads": 2, "bottleneck_factor": 4}

SAELENS = {
    "standard": ("standard", RESID, RESID, {}),
    "standard-raw": ("standard", RESID, RESID, RAW),
    "standard-z": ("standard", Z, Z, {}),
    "gated": ("gated", RESID, RESID, {}),
    "gated-raw": ("gated", RESID, RESID, RAW),
    "jumprelu": ("jumprelu", RESID, RESID, {}),
    "topk": ("topk", RESID, RESID, {"k": 3}),
    "topk-layer-norm": ("topk", RESID, RESID, {"k": 3, "normalize": "layer_norm"}),
    "topk-constant-norm": ("topk", RESID, RESID, {"k": 3, "normalize": "constant_norm_rescale"}),
    "abstopk": ("abstopk", RESID, RESID, {"k": 3}),
    "matching_pursuit": ("matching_pursuit", RESID, RESID, {"max_iterations": 4, "residual_threshold": 0.5}),
    "temporal": ("temporal", RESID, RESID, {**TEMPORAL, "k": 4, "tied_weights": False}),
    "temporal-scaled": ("temporal", RESID, RESID, {**TEMPORAL, "input_scale": 0.5}),
    "transcoder": ("standard", IN, OUT, {}),
    "skip_transcoder": ("standard", IN, OUT, {"skip": True}),
    "jumprelu_transcoder": ("jumprelu", IN, OUT, {}),
    "jumprelu_skip_transcoder": ("jumprelu", IN, OUT, {"skip": True}),
}
DICTIONARY_LEARNING = {
    "standard": ("standard", RESID, RESID, {}),
    "standard-raw": ("standard", RESID, RESID, RAW),
    "standard-unit": ("standard", RESID, RESID, {}),
    "topk": ("topk", RESID, RESID, {"k": 3}),
    "topk-raw": ("topk", RESID, RESID, {"k": 3, **RAW}),
    "gated": ("gated", RESID, RESID, {}),
    "gated-raw": ("gated", RESID, RESID, RAW),
    "jumprelu": ("jumprelu", RESID, RESID, {}),
    "jumprelu-raw": ("jumprelu", RESID, RESID, RAW),
    "identity": ("identity", RESID, RESID, {}),
}
SPARSIFY = {
    "topk": ("topk", RESID, RESID, {"k": 3}),
    "skip": ("topk", IN, OUT, {"k": 3, "skip": True}),
}


def make(name: str, case: tuple[str, Site, Site, dict], seed: int) -> Dictionary:
    """One dictionary; every other one is square, so that an orientation cannot be told by shapes."""
    arch, reads, writes, options = case
    d = 8
    latents = d if arch == "identity" or (seed % 2 and arch != "temporal") else 16
    made = make_dictionary(DictionaryConfig(arch, d, latents, reads, writes, d, options)).requires_grad_(False).eval()
    randomise(made, seed)
    if name.endswith("-unit"):
        made.W_dec_FD /= made.W_dec_FD.norm(dim=1, keepdim=True)
    if arch == "identity":
        for name_, value in made.named_parameters():
            value.copy_(torch.eye(d) if name_.startswith("W") else torch.zeros(d))
    return made


def main(folder: Path) -> None:
    for module, cases in ((saelens, SAELENS), (dictionary_learning, DICTIONARY_LEARNING), (sparsify, SPARSIFY)):
        for seed, (name, case) in enumerate(cases.items()):
            made = make(name, case, seed)
            where = folder / module.NAME / name
            module.write({"": made}, where, model=MODEL)
            x = inputs(8, seed, 4, 8)
            (written,) = {path.parent for path in where.rglob("*") if path.suffix in (".pt", ".safetensors")}
            save(written, x, made.encode(x), made(x))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

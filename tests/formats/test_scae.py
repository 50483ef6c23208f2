"""SCAE suites: the dictionaries of a checkpoint without the language model in it."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch

from saecli.core.errors import InputError
from saecli.core.folding import folded
from saecli.core.site import Site
from saecli.formats.registry import open_dictionaries, open_suite, sniff
from saecli.formats.safe import load_torch
from tests.core.tiny_models import LAYERS, D, tiny

F, K = 12, 3
MODULES = [f"{kind}_{layer}" for layer in range(LAYERS) for kind in ("attn", "mlp")]


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1000 * seed + sum(shape)))


def module(name: str, width: int = F) -> dict[str, torch.Tensor]:
    seed = MODULES.index(name)
    return {
        "encoder.weight": rand(width, D, seed=seed),
        "encoder.bias": rand(width, seed=seed),
        "decoder.weight": rand(D, width, seed=seed + 50),
        "b_dec": rand(D, seed=seed),
    }


LM = {"model.embed.W_E": torch.zeros(9, D), "model.blocks.0.attn.mask": torch.ones(4, 4, dtype=torch.bool)}


def flat(prefix: str = "aes.", infix: str = "", width: int = F) -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}.{infix}{key}": value for name in MODULES for key, value in module(name, width).items()}


def write(folder: Path, layout: str, width: int = F) -> Path:
    """A suite as one of its versions writes it; what to open."""
    config: dict[str, object] = {"k": K, "n_features": width}
    (folder / "config.json").write_text(json.dumps(config))
    if layout == "hub":
        torch.save(flat(width=width) | LM | {"connections": {"attn_1": {}}}, folder / "checkpoint.pt")
    elif layout == "ddp":
        models = {f"module_dict.{name}.{key}": value for name in MODULES for key, value in LM.items()}
        torch.save(flat("module_dict.", "ae.", width) | models | {"connections": None}, folder / "checkpoint.pt")
    elif layout == "training":
        (folder / "config.json").write_text(json.dumps(config | {"buffer_config": {"ctx_len": 128, "batch_size": 2}}))
        for name in ("step_10", "final"):
            (folder / name).mkdir()
            state = {"suite_state": flat(width=width) | LM, "optimizer_state": {}, "step": 10}
            torch.save(state, folder / name / "checkpoint.pt")
    else:
        for name in MODULES:
            torch.save(module(name, width) | {"k": torch.tensor(99)}, folder / f"ae_{name}.pt")
    return folder


def by_hand(x: torch.Tensor, tensors: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    t = {key: value.double() for key, value in tensors.items()}
    acts = torch.zeros(len(x), len(t["encoder.bias"]), dtype=torch.float64)
    for row, vector in enumerate(x.double()):
        rows = zip(t["encoder.weight"], t["encoder.bias"], strict=True)
        pre = [max(float(w @ (vector - t["b_dec"]) + b), 0) for w, b in rows]
        for j in sorted(range(len(pre)), key=lambda j: -pre[j])[:K]:
            acts[row, j] = pre[j]
    return acts, torch.stack([t["decoder.weight"] @ a + t["b_dec"] for a in acts])


@pytest.mark.parametrize("layout", ["hub", "ddp", "training", "files"])
@pytest.mark.parametrize("width", [F, D])
def test_every_layout_computes_what_the_fork_computes(tmp_path, layout, width):
    """At F = d a transposed matrix has the right shape."""
    found = open_dictionaries(write(tmp_path, layout, width))
    assert (found.format, len(found.items)) == ("scae", 2 * LAYERS)
    x = rand(15, D, seed=9)
    for item in found.items:
        acts, out = by_hand(x, module(item.name, width))
        made = item.load(torch.float64)
        torch.testing.assert_close(made.encode(x.double()), acts, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(made(x.double()), out, atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(made.reconstruct(x.double()), out, atol=1e-6, rtol=1e-6)
        assert (item.processing, item.context) == ("folded", 128 if layout == "training" else 0)


def test_modules_are_where_they_read_and_write(tmp_path):
    found = open_dictionaries(write(tmp_path, "hub"))
    places = {item.name: (str(item.config.reads), str(item.config.writes)) for item in found.items}
    assert list(places) == MODULES
    assert places["attn_1"] == ("1.attn_out", "1.attn_out")
    assert places["mlp_1"] == ("1.mlp_in", "1.mlp_out")
    assert all(item.config.options["apply_b_dec_to_input"] for item in found.items)


def test_what_is_odd_is_said(tmp_path):
    notes = open_dictionaries(write(tmp_path, "hub")).notes
    assert any("2 tensors of the language model" in note for note in notes)
    assert any("connections" in note for note in notes)
    assert any("input of attention" in note for note in notes)


def test_one_file_is_opened_by_its_name(tmp_path):
    write(tmp_path, "hub")
    assert sniff(tmp_path / "checkpoint.pt") == "scae"
    assert len(open_dictionaries(tmp_path / "checkpoint.pt").items) == 2 * LAYERS
    write(tmp_path, "files")
    found = open_dictionaries(tmp_path / "ae_mlp_1.pt")
    assert [str(item.config.reads) for item in found.items] == ["1.mlp_in"]


def test_a_suite_attaches_to_the_folded_model_alone(tmp_path):
    write(tmp_path, "hub")
    module_, make = tiny("gpt2")
    model = make(module_, "gpt2")
    suite = open_suite(tmp_path, "sparse")
    with pytest.raises(InputError, match="made for folded weights"):
        suite.attach(model)
    assert len(suite.attach(folded(model))) == 2 * LAYERS
    assert suite[Site(1, "mlp_in")].config.writes == Site(1, "mlp_out")


def test_k_must_be_said(tmp_path):
    write(tmp_path, "hub")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="has k = None"):
        open_dictionaries(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json that says k"):
        open_dictionaries(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aes.mlp_0.decoder.weight": None}, r"no tensor decoder\.weight \(module mlp_0\)"),
        ({"aes.mlp_0.decoder.weight": torch.zeros(F, D)}, r"decoder\.weight of shape \(12, 32\), expected \(32, 12\)"),
        ({"aes.mlp_0.decoder.bias": torch.zeros(D)}, r"unknown tensor decoder\.bias \(module mlp_0\)"),
        ({"W_OV": torch.zeros(2)}, "unknown tensor W_OV"),
        ({"aes.mlp_0.b_dec": 3}, "of type int, expected a tensor"),
        ({"aes.mlp_0.b_dec": torch.tensor(0.0)}, "b_dec of shape"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, changes, message):
    write(tmp_path, "hub")
    state = {key: value for key, value in (flat() | LM | changes).items() if value is not None}
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=message):
        open_dictionaries(tmp_path)


class Evil:
    def __reduce__(self):
        return Path.touch, (Path("evil"),)


@pytest.mark.parametrize("content", ["evil", "cut", "none"])
def test_a_checkpoint_is_never_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "hub")
    path = tmp_path / "checkpoint.pt"
    if content == "evil":
        torch.save({"aes.attn_0.b_dec": Evil()}, path)
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    else:
        path.write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"checkpoint\.pt"):
        open_dictionaries(tmp_path)
    assert not (tmp_path / "evil").exists()


def resident() -> int:
    """Bytes of memory of this process, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured by Linux' /proc")
def test_the_language_model_inside_is_not_read(tmp_path):
    """Its numbers stay on the disk: the file is far larger than what is read of it."""
    write(tmp_path, "hub")
    path, size = tmp_path / "checkpoint.pt", 16 << 20
    torch.save(flat() | {"model.embed.W_E": torch.zeros(size, dtype=torch.uint8)}, path)
    before = resident()
    for item in open_dictionaries(tmp_path).items:
        item.load(torch.float32)
    read = resident() - before
    state = load_torch(path)
    assert state["model.embed.W_E"].sum() == 0
    assert resident() - before - read > size // 2, "this test sees no memory"
    assert read < size // 4

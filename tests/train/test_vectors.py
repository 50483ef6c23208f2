"""Dictionaries on vectors of one's own: every row is read, bad files are one sentence, the numbers are right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from saecli.core.site import Site
from saecli.formats.suite import read_suite
from saecli.train.vectors import VectorFiles, VectorStream
from tests.train.test_sae import features

RUN = ("--latents", "32", "--k", "3", "--tokens", "20000", "--batch", "256", "--buffer", "4000", "--lr", "0.02")
ASK = ("--threads", "1", "--out", "run", "--json", "--log-every", "10")
SITE = Site(3, "mlp_out")


def test_files_of_both_kinds_train_a_suite_without_a_model(tmp_path: Path, saecli):
    rows = features(5000)
    np.save(tmp_path / "a.npy", rows[:2000].half().numpy())
    save_file({"x": rows[2000:3000].contiguous(), "y": rows[3000:].contiguous()}, tmp_path / "b.safetensors")
    files = ("--activations", "a.npy", "--activations", "b.safetensors", "--site", "3.mlp_out")
    done = saecli("train", "sae", *files, *RUN, *ASK)
    assert done.code == 0, done.err
    assert "Next:" not in done.err
    answer = json.loads(done.out)
    (row,) = answer["dictionaries"]
    assert (answer["model"], row["site"], row["ce_recovered"]) == ("", "3.mlp_out", None)
    assert row["variance_explained"] > 0.7
    suite = read_suite(tmp_path / "run" / "suite")
    assert (suite.info.model, suite.info.model_fingerprint, suite.sites) == ("", "", (SITE,))
    held_out = torch.cat([rows[1800:2000].half().float(), rows[2900:3000], rows[4800:]])
    left = (held_out - suite[SITE](held_out)).square().sum() / (held_out - held_out.mean(0)).square().sum()
    assert row["variance_explained"] == pytest.approx(1 - float(left), abs=1e-4)
    acts = suite[SITE].encode(held_out) > 0
    assert row["l0"] == pytest.approx(float(acts.sum(1).float().mean()), abs=1e-4)
    assert row["dead_share"] == pytest.approx(float((~acts.any(0)).float().mean()), abs=1e-4)
    np.save(tmp_path / "a.npy", rows[:1999].numpy())
    assert saecli("train", "sae", *files, *RUN, *ASK).code != 0  # other content: another run


def test_every_training_row_is_read_once_an_epoch_and_in_another_order(tmp_path: Path):
    for name, start, count in (("a", 0, 3000), ("b", 3000, 4000)):
        np.save(tmp_path / f"{name}.npy", np.arange(start, start + count, dtype=np.float32)[:, None])
    files = VectorFiles([tmp_path / "a.npy", tmp_path / "b.npy"])
    expected = torch.cat([torch.arange(0, 2700), torch.arange(3000, 6600)]).float()
    said: list[tuple[int, str]] = []
    epochs: list[list[torch.Tensor]] = []
    stream = VectorStream(
        files, SITE, 6300, 0, torch.device("cpu"), progress=lambda label, *_, **__: said.append((len(epochs), label))
    )
    for epoch in range(6):
        epochs.append([stream.rows(4 * epoch + step).vectors_ND[SITE][:, 0] for step in range(4)])
    assert said == [(1, "All 6,300 training rows were read; they are read again, in another order.")]
    assert all(torch.equal(torch.cat(epoch).sort().values, expected) for epoch in epochs)
    assert len({tuple(float(part[0]) for part in epoch) for epoch in epochs}) > 1
    held_out = torch.cat([torch.arange(2700, 3000), torch.arange(6600, 7000)]).float()
    assert torch.equal(files.read("val", 0, 700)[:, 0], held_out)
    assert VectorFiles([tmp_path / "a.npy"], hold_out=False).rows("train") == 3000


def bad_files(folder: Path) -> dict[str, str]:
    """File → what is said of it."""
    array = features(50).numpy()
    np.save(folder / "flat.npy", array[0])
    np.save(folder / "whole.npy", array.astype(np.int32))
    np.save(folder / "empty.npy", array[:0])
    np.save(folder / "one.npy", array[:1])
    np.save(folder / "nan.npy", np.where(np.arange(50)[:, None] == 7, np.nan, array))
    (folder / "cut.npy").write_bytes((folder / "nan.npy").read_bytes()[:-4])
    (folder / "text.npy").write_text("no array")
    (folder / "other.txt").write_text("1 2 3")
    save_file({"x": torch.zeros(3, 2, 2)}, folder / "cube.safetensors")
    save_file({"x": torch.zeros(3, 2, dtype=torch.int64)}, folder / "ints.safetensors")
    (folder / "torn.safetensors").write_bytes((folder / "cube.safetensors").read_bytes()[:-1])
    return {
        "nothing.npy": "Cannot read nothing.npy: No such file or directory",
        "flat.npy": "flat.npy holds an array of shape [8], expected [rows, width]",
        "whole.npy": "whole.npy holds '<i4', expected one of <f4, <f2, <f8",
        "empty.npy": "empty.npy is empty: 0 rows of width 8",
        "one.npy": "one.npy has 1 rows; at least 2 rows are needed",
        "nan.npy": "nan.npy has a value that is not finite in its rows",
        "cut.npy": "its header describes",
        "text.npy": "text.npy is not a .npy file",
        "other.txt": "other.txt is neither a .npy nor a .safetensors file",
        "cube.safetensors": "cube.safetensors holds x of shape [3, 2, 2] and type F32, expected [rows, width]",
        "ints.safetensors": "ints.safetensors holds x of shape [3, 2] and type I64",
        "torn.safetensors": "torn.safetensors has a damaged safetensors header",
    }


def test_bad_files_are_one_sentence(tmp_path: Path, saecli):
    for name, sentence in bad_files(tmp_path).items():
        done = saecli("train", "sae", "--activations", name, *RUN, *ASK)
        assert (done.code, sentence in done.err) == (3, True), (name, done.err)
    np.save(tmp_path / "wide.npy", features(50, 9).numpy())
    np.save(tmp_path / "good.npy", features(50).numpy())
    done = saecli("train", "sae", "--activations", "good.npy", "--activations", "wide.npy", *RUN, *ASK)
    assert (done.code, "wide.npy has width 9, and good.npy has 8" in done.err) == (3, True), done.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--activations", "a.npy", "--kind", "mlp_out"), "--kind is of a model, and --activations has none"),
        (("--activations", "a.npy", "--data", "othello"), "--data is of a model"),
        (("gpt2", "--activations", "a.npy"), "--activations reads no model, and gpt2 is one"),
        (("--site", "3.mlp_out"), "--site says where the vectors of --activations are from"),
        (("none", "--activations", "a.npy", "--site", "x"), "'x' names no site"),
    ],
)
def test_flags_of_models_and_vectors_do_not_mix(tmp_path: Path, saecli, flags, sentence):
    np.save(tmp_path / "a.npy", features(50).numpy())
    done = saecli("train", "sae", *flags, "--plan")
    assert (done.code, sentence in done.err) == (2, True), done.err


def test_the_plan_of_vectors(tmp_path: Path, saecli):
    np.save(tmp_path / "a.npy", features(50).numpy())
    done = saecli("train", "sae", "none", "--activations", "a.npy", "--plan", *RUN)
    assert done.code == 0, done.err
    assert "0.resid_pre: topk 32 latents" in done.out + done.err
    assert "of 45 rows" in done.out + done.err

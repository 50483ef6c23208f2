"""Dictionaries on any model and data: shards, models of Hugging Face, folded weights, BOS."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.core.hooks import thin_gpt
from saecli.core.site import Site
from saecli.data.sets import open_source
from saecli.formats.hf_gpt2 import save_gpt
from saecli.formats.suite import read_suite
from saecli.learning.reading import data_name, open_data, open_held_out
from saecli.train.activations import ActivationStream
from saecli.train.left_out import left_out
from saecli.train.sae_config import TrainSaeConfig
from tests.core.tiny_models import tiny

TEXT = "the cat sat on the mat. the dog sat on the cat. " * 60
SMALL = ("--latents", "24", "--k", "3", "--tokens", "1500", "--batch", "256", "--buffer", "600", "--sequences", "4")
FEW = (*SMALL, "--held-out", "3", "--threads", "1", "--out", "run", "--json")


def text_model(folder: Path) -> None:
    torch.manual_seed(0)
    save_gpt(GPT(GPTConfig(128, 32, 2, 2, 16)), folder, vocabulary="ascii")


@pytest.fixture
def cats(tmp_path: Path, saecli) -> str:
    """Shards of text, and a model "lm" that reads it."""
    text_model(tmp_path / "lm")
    (tmp_path / "cats.txt").write_text(TEXT)
    assert saecli("convert", "cats.txt", "cats", "--to", "shards").code == 0
    return "cats"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    """Shards of another project with tokens below 37, and no word of their vocabulary."""
    import numpy as np

    folder = tmp_path / "numbers"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for split, count in (("train", 3000), ("val", 400)):
        np.save(folder / f"{split}_000000.npy", generator.integers(0, 37, count, dtype=np.uint16))
    (folder / "shards.json").write_text(json.dumps(header(folder)))
    return folder


def header(folder: Path) -> dict[str, object]:
    """What shards.json says of them: a vocabulary of a name that nobody knows."""
    import numpy as np

    from saecli.core.inputs import hash_file

    (folder / "documents").mkdir()
    files = []
    for path in sorted(folder.glob("*.npy")):
        np.save(folder / "documents" / path.name, np.zeros(1, np.int64))
        files.append(
            {
                "name": path.name,
                "tokens": len(np.load(path)),
                "sha256": hash_file(path),
                "documents_sha256": hash_file(folder / "documents" / path.name),
                "continues": False,
            }
        )
    return {"schema": "saecli.shards/1", "vocabulary": {"name": "mine", "size": 37}, "files": files}


def hf_model(family: str, bos: int | None = None):
    module, make = tiny(family)
    model = make(module, f"tiny-{family}", bos=bos)
    model.info = replace(model.info, vocabulary="")
    return model


def test_a_text_model_learns_from_a_folder_of_shards(tmp_path, saecli, cats):
    done = saecli("train", "sae", "lm", "--data", cats, *FEW)
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert [row["site"] for row in answer["dictionaries"]] == ["0.resid_pre", "1.resid_pre", "2.resid_pre"]
    assert all(0 < row["l0"] <= 3 and row["variance_explained"] > 0.3 for row in answer["dictionaries"])
    suite = read_suite(tmp_path / "run" / "suite")
    assert (suite.info.vocabulary, suite.info.context, suite.info.processing) == ("ascii", 32, "raw")
    fidelity = json.loads((tmp_path / "run" / "fidelity.json").read_text())["suite"]
    assert (fidelity["sequences"], fidelity["tokens"]) == (3, 96)


def test_a_transcoder_reads_one_site_and_writes_another(tmp_path, saecli, cats):
    from zoo.load import load_model

    done = saecli(
        "train",
        "sae",
        "lm",
        "--data",
        cats,
        "--kind",
        "mlp_in>mlp_out",
        *FEW,
        "--k",
        "6",
        "--lr",
        "0.02",
        "--tokens",
        "9000",
    )
    assert done.code == 0, done.err
    rows = json.loads(done.out)["dictionaries"]
    sites = ["0.mlp_in>0.mlp_out", "1.mlp_in>1.mlp_out"]
    assert [row["site"] for row in rows] == [*sites, *sites]
    assert all(row["variance_explained"] > 0.3 for row in rows)
    suite = read_suite(tmp_path / "run" / "suite-k6")
    reads, writes = Site(1, "mlp_in"), Site(1, "mlp_out")
    assert suite.configs[reads].writes == writes
    assert suite.info.measured[reads]["variance_explained"] == rows[-1]["variance_explained"]
    model = load_model("lm")
    tokens = torch.tensor([list(TEXT[:32].encode())])
    seen = model.run(tokens, read=[reads, writes]).sites
    left = (seen[writes] - suite[reads](seen[reads])).square().sum()
    assert float(left / (seen[writes] - seen[writes].mean((0, 1))).square().sum()) < 0.6


def test_folded_weights_are_recorded_and_another_run(tmp_path, saecli, cats):
    from zoo.load import load_model

    assert saecli("train", "sae", "lm", "--data", cats, "--processing", "folded", *FEW).code == 0
    suite = read_suite(tmp_path / "run" / "suite")
    assert suite.info.processing == "folded"
    suite.attach(load_model("lm", "folded"))
    with pytest.raises(InputError, match="made for folded weights"):
        suite.attach(load_model("lm"))


@pytest.mark.parametrize("family", ["gpt2", "neox"])
def test_models_of_hugging_face(tmp_path, numbers, family):
    from saecli.core.fidelity import measure_suites
    from saecli.train.sae import train_sae

    model = hf_model(family, bos=0)
    config = TrainSaeConfig(
        data=str(numbers), latents=(48,), k=(4,), tokens=3000, batch=256, buffer=800, sequences=8, held_out=5, lr=0.01
    )
    source = open_data(config, model.info)
    result = train_sae(config, model, tmp_path / "work", source=source, threads=1)
    suite = result.suites[""]
    assert (suite.info.context, suite.info.bos) == (16, 0)
    data = open_held_out(config, model.info, source, left_out(config, model.info, source))
    measured = measure_suites(model, {"": suite}, data.held_out, data.fitting)[""]
    assert all(one.dictionary.variance_explained.value > 0.15 for one in measured.sites)
    assert measured.sequences == 5


def test_vectors_of_bos_are_left_out_by_choice(numbers):
    model = hf_model("gpt2", bos=0)
    site = Site(1, "resid_pre")
    for drop in (True, False):
        config = TrainSaeConfig(data=str(numbers), sequences=4, drop=("bos",) if drop else ("none",))
        source = open_data(config, model.info)
        batch = source.batch(0)
        assert (batch.tokens_BS[:, 0] == 0).all()
        stream = ActivationStream(model, source, [site], 1, 0, left_out(config, model.info, source))
        values = model.run(batch.tokens_BS, read=[site]).sites[site]
        here = batch.next_BS >= 0 if not drop else (batch.next_BS >= 0) & (batch.tokens_BS != 0)
        assert torch.equal(stream.filling(0).block().vectors_ND[site], values[here])
        counted = open_held_out(config, model.info, source, left_out(config, model.info, source)).held_out[0]
        assert bool((counted.next_BS[:, 0] >= 0).any()) is not drop


def test_the_first_position_is_kept_where_no_bos_is(cats):
    model = thin_gpt(GPT(GPTConfig(128, 32, 1, 2, 8)), "tiny", vocabulary="ascii")
    config = TrainSaeConfig(data=cats, sequences=4)
    source = open_data(config, model.info)
    assert left_out(config, model.info, source) == frozenset()
    stream = ActivationStream(model, source, [Site(0, "resid_pre")], 1, 0)
    assert len(stream.filling(0).block().order_N) == 4 * 32


def test_the_context_is_the_datas_own_at_most_the_models(cats):
    info = thin_gpt(GPT(GPTConfig(128, 32, 1, 2, 8)), "tiny", vocabulary="ascii").info
    assert open_data(TrainSaeConfig(data=cats), info).n_ctx == 32
    assert open_data(TrainSaeConfig(data=cats, context=8), info).n_ctx == 8
    with pytest.raises(UsageError, match="--context 64 is more than the 32 positions of tiny"):
        open_data(TrainSaeConfig(data=cats, context=64), info)
    game = thin_gpt(GPT(GPTConfig(61, 59, 1, 2, 8)), "game", vocabulary="othello").info
    with pytest.raises(UsageError, match="--context 20 does not fit games of Othello, which have 59"):
        open_data(TrainSaeConfig(data="othello", context=20), game)


def test_what_a_model_reads_if_nobody_says():
    def info(vocabulary: str):
        return thin_gpt(GPT(GPTConfig(61, 59, 1, 2, 8)), "tiny", vocabulary=vocabulary).info

    assert data_name(TrainSaeConfig(model="othello-mini"), info("othello")) == "othello"
    assert data_name(TrainSaeConfig(model="./my-model"), info("othello")) == "othello"
    assert data_name(TrainSaeConfig(model="random:gpt2@3"), info("gpt2")) == "data:openwebtext"
    with pytest.raises(UsageError, match=r"What tiny reads is not known.*--data"):
        data_name(TrainSaeConfig(model="./my-model"), info("ascii"))


def test_data_of_another_vocabulary_are_one_sentence(cats, numbers):
    chess = thin_gpt(GPT(GPTConfig(128, 32, 1, 2, 8)), "tiny", vocabulary="chess").info
    with pytest.raises(InputError, match="tiny reads the vocabulary 'chess', and the data are 'ascii'"):
        open_data(TrainSaeConfig(data=cats, model="lm"), chess)
    with pytest.raises(InputError, match="The data have 128 tokens of the vocabulary 'ascii', and tiny-gpt2 reads 37"):
        open_data(TrainSaeConfig(data=cats, model="lm"), hf_model("gpt2").info)
    info = thin_gpt(GPT(GPTConfig(61, 32, 1, 2, 8)), "big", bos=60).info
    with pytest.raises(InputError, match="begins with token 60, and the data have only 37"):
        open_data(TrainSaeConfig(data=str(numbers), model="lm"), info)


def test_tokenizers_are_compared_by_their_content(tmp_path, saecli):
    from tokenizers import Tokenizer, models, pre_tokenizers

    for name, words in (("words", "? the cat sat"), ("others", "? the dog sat")):
        table = {word: number for number, word in enumerate(words.split())}
        tokenizer = Tokenizer(models.WordLevel(table, unk_token="?"))  # noqa: S106
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
        save_gpt(GPT(GPTConfig(4, 32, 1, 2, 8)), tmp_path / name)
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
    (tmp_path / "cats.txt").write_text(TEXT)
    assert saecli("convert", "cats.txt", "cats", "--to", "shards", "--tokenizer", "words").code == 0
    done = saecli("train", "sae", "words", "--data", "cats", *FEW)
    assert done.code == 0, done.err
    done = saecli("train", "sae", "others", "--data", "cats", *FEW, "--overwrite")
    assert done.code == 3
    assert "others and the data have different vocabularies" in done.err


def test_held_out_data_that_end_early_are_measured_as_far_as_they_go(cats):
    info = thin_gpt(GPT(GPTConfig(128, 32, 1, 2, 8)), "tiny", vocabulary="ascii").info
    config = TrainSaeConfig(data=cats, held_out=1000)
    source = open_data(config, info)
    data = open_held_out(config, info, source, left_out(config, info, source))
    assert sum(len(one.tokens_BS) for one in data.held_out) == open_source(
        cats, batch_size=1, seed=0, held_out=1, n_ctx=32
    ).count("val")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("a", "has no sequence to predict in its split"), ("", ""), ("the cat. " * 5, "")],
)
def test_very_short_texts_train_or_say_why_not(tmp_path, saecli, text, sentence):
    text_model(tmp_path / "lm")
    (tmp_path / "short.txt").write_text(text)
    made = saecli("convert", "short.txt", "short", "--to", "shards", "--val-fraction", "0.5")
    if made.code:
        assert made.err.count("\n") <= 3
        return
    done = saecli("train", "sae", "lm", "--data", "short", *FEW)
    if sentence:
        assert done.code == 3
        assert sentence in done.err
    else:
        assert done.code == 0, done.err


def test_wrong_data_are_one_sentence_before_anything_runs(tmp_path, saecli):
    text_model(tmp_path / "lm")
    (tmp_path / "empty").mkdir()
    for data, code, sentence in (
        (
            "nothing",
            2,
            "nor data:NAME, nor hf:ORG/NAME, nor a folder of shards, nor text",
        ),
        ("empty", 3, "empty holds no file of text or tokens"),
        ("data:tinystories", 3, "is not on this machine"),
        ("othello", 3, "lm reads the vocabulary 'ascii', and the data are 'othello'"),
    ):
        for extra in ((), ("--plan",)):
            done = saecli("train", "sae", "lm", "--data", data, *FEW, *extra)
            assert (done.code, sentence in done.err) == (code, True), done.err

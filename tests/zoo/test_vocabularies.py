"""Which vocabulary a model has, and meta.pkl files."""

from __future__ import annotations

import pickle

import pytest
import torch

from saecli.core.errors import InputError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.hf_gpt2 import save_gpt
from saecli.games.chess_text import CHARACTERS as CHESS
from tests.data.test_vocabulary import tokenizer
from tests.zoo.test_layouts import circuits, nanogpt
from zoo.chessgpt import check_meta
from zoo.load import load_model, load_vocabulary


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_models_own_vocabulary(tmp_path):
    assert load_vocabulary("othello-mini").name == "othello"
    assert load_vocabulary("random:othello-mini@3").name == "othello"
    save_gpt(GPT(GPTConfig(128, 8, 1, 1, 4)), tmp_path / "toy", vocabulary="ascii")
    assert load_vocabulary(str(tmp_path / "toy")).name == "ascii"
    save_gpt(GPT(GPTConfig(300, 8, 1, 1, 4)), tmp_path / "text")
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        load_vocabulary(str(tmp_path / "text"))
    tokenizer(tmp_path / "text")
    assert load_vocabulary(str(tmp_path / "text")).decode([0]) == "<|endoftext|>"


@pytest.mark.parametrize(("size", "name"), [(32, "chess"), (61, "othello"), (128, "ascii"), (33, "")])
def test_the_number_of_tokens_tells_where_nothing_else_does(tmp_path, size, name):
    torch.manual_seed(0)
    save_gpt(GPT(GPTConfig(size, 8, 1, 1, 4)), tmp_path)
    assert load_model(str(tmp_path)).info.vocabulary == name
    if name:
        assert load_vocabulary(str(tmp_path)).name == name


def test_gpt_circuits_and_checkpoints_without_a_known_vocabulary(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for path in (circuits(tmp_path / "a")[0], nanogpt(tmp_path / "b")[0]):
        assert load_model(str(path)).info.vocabulary == ""


def test_meta_pickles_are_compared_and_never_run(tmp_path, capsys):
    path = tmp_path / "meta.pkl"
    stoi = {character: token for token, character in enumerate(CHESS)}
    meta = {"vocab_size": 32, "stoi": stoi, "itos": dict(enumerate(CHESS))}
    path.write_bytes(pickle.dumps(meta))
    check_meta(path)
    path.write_bytes(pickle.dumps({**meta, "stoi": {**stoi, "x": 3}}))
    with pytest.raises(InputError, match="32 characters, expected ChessGPT's 32 in their order"):
        check_meta(path)
    path.write_bytes(pickle.dumps({**meta, "evil": Evil()}))
    with pytest.raises(InputError, match=r"meta\.pkl"):
        check_meta(path)
    assert "executed" not in capsys.readouterr().out

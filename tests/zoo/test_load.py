"""Loading models by name or folder."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from saecli.core.errors import InputError, UsageError
from saecli.core.gpt import GPT, GPTConfig
from saecli.formats.hf_gpt2 import save_gpt
from tests.core.tiny_models import VOCAB, tiny
from zoo.load import load_model, load_suite


@pytest.fixture
def othello(tmp_path):
    torch.manual_seed(0)
    save_gpt(GPT(GPTConfig(61, 60, 2, 2, 16)), tmp_path, vocabulary="othello")
    return tmp_path


def test_a_folder_of_this_project_knows_its_vocabulary(othello):
    model = load_model(str(othello), dtype=torch.float64)
    assert (model.info.family, model.info.vocabulary, model.info.bos) == ("othellogpt", "othello", None)
    assert (model.info.n_layers, model.info.d_model, model.info.n_ctx, model.info.d_vocab) == (2, 16, 60, 61)
    tokens = torch.arange(10)[None]
    logits = model.run(tokens).logits
    assert logits.dtype == torch.float64
    assert not logits.requires_grad
    new = load_model(str(othello), processing="folded", dtype=torch.float64)
    assert new.info.processing == "folded"
    torch.testing.assert_close(new.run(tokens).logits.log_softmax(-1), logits.log_softmax(-1))


def test_neither_transformers_nor_transformer_lens_is_imported_for_it(othello):
    code = (
        "import sys; from zoo.load import load_model; load_model(sys.argv[1]);"
        "sys.exit(bool({'transformers', 'transformer_lens'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(othello)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("family", "name"), [("gpt2", "gpt2"), ("neox", "pythia"), ("gemma2", "gemma"), ("gemma3", "gemma")]
)
def test_folders_of_transformers_load_with_equal_logits(tmp_path, capfd, family, name):
    module, _ = tiny(family)
    module.save_pretrained(tmp_path)
    capfd.readouterr()
    model = load_model(str(tmp_path))
    assert capfd.readouterr() == ("", "")
    tokens = torch.randint(1, VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.run(tokens).logits, module(tokens).logits, rtol=0, atol=1e-5)
    assert model.info.family == name


@pytest.mark.parametrize(
    ("given", "message"),
    [("othelo-mini", "Did you mean 'othello-mini'"), ("./nothing-here", "neither a model of the zoo nor a folder")],
)
def test_an_unknown_name_is_a_usage_error_with_the_nearest_name(given, message):
    with pytest.raises(UsageError, match=message):
        load_model(given)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type": "bert"}', "type 'bert'"),
        ("[]", "no JSON object|not a JSON object"),
        ("{", "not JSON"),
        (json.dumps({"model_type": "gpt_neox"}), r"has no model\.safetensors"),
    ],
)
def test_a_folder_without_a_readable_model_is_bad_input(tmp_path, config, message):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=message):
        load_model(str(tmp_path))
    with pytest.raises(InputError, match=r"no readable config\.json"):
        load_model(str(tmp_path / ".."))


def test_a_suite_of_another_model_of_the_zoo_is_refused():
    from zoo.index import zoo_name
    from zoo.load import attach

    assert zoo_name("google/gemma-2-2b") == zoo_name("hf:google/gemma-2-2b@main") == "gemma-2-2b"
    assert zoo_name("gpt2-small") == zoo_name("gpt2") == "gpt2"
    assert zoo_name("/home/me/gpt2") == zoo_name("") == ""
    model = load_model("othello-mini")
    suite = load_suite("othello-mini")
    assert attach(suite, model) is suite
    suite.info = replace(suite.info, model="openai-community/gpt2-medium")
    with pytest.raises(InputError, match="was made for gpt2-medium, not for othello-mini"):
        attach(suite, model)
    suite.info = replace(suite.info, model="a-model-of-mine")
    assert attach(suite, model) is suite


def test_a_model_without_dictionaries_asks_for_them(tmp_path):
    save_gpt(GPT(GPTConfig(61, 8, 1, 1, 8)), tmp_path / "model", vocabulary="othello")
    for name in ("gpt2-xl", str(tmp_path / "model")):
        with pytest.raises(UsageError, match="dictionaries") as refused:
            load_suite(name)
        assert "--suite" in refused.value.hint

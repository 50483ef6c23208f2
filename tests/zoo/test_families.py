"""Tiny random models of every family: read from disk, both makers agree at every site, raw and folded."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saecli.core.errors import InputError, UsageError
from saecli.core.site import KINDS, Site
from tests.core.tiny_models import CONTEXT, randomised, tiny
from zoo.load import family_of, load_model


def gpt2_shaped(vocab: int, activation: str = "gelu_new"):
    import transformers as hf

    torch.manual_seed(0)
    config = hf.GPT2Config(
        vocab_size=vocab,
        n_positions=CONTEXT,
        n_embd=24,
        n_layer=2,
        n_head=4,
        activation_function=activation,
        bos_token_id=0,
        eos_token_id=0,
    )
    return randomised(hf.GPT2LMHeadModel(config))


MODELS = {
    "gpt2": (lambda: tiny("gpt2")[0], "gpt2"),
    "pythia": (lambda: tiny("neox")[0], "pythia"),
    "gemma 2": (lambda: tiny("gemma2")[0], "gemma"),
    "gemma 3": (lambda: tiny("gemma3")[0], "gemma"),
    "chessgpt": (lambda: gpt2_shaped(32, "gelu"), "chessgpt"),
    "othellogpt": (lambda: gpt2_shaped(61), "othellogpt"),
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=MODELS)
def case(request, tmp_path_factory):
    """A folder of transformers, and for both kinds of weights the bridge around a copy of the module in float64."""
    from saecli.core.bridge import BridgeModel

    make, family = MODELS[request.param]
    module = make()
    folder = tmp_path_factory.mktemp("model")
    module.save_pretrained(folder)
    oracles = {
        processing: BridgeModel(copy.deepcopy(module).double(), name="oracle", processing=processing)
        for processing in ("raw", "folded")
    }
    return folder, family, module, oracles


def close(a, b, atol=3e-6):
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("processing", ["raw", "folded"])
@pytest.mark.parametrize("tokens", ["one", "full", "padded"])
def test_both_makers_agree_at_every_site(case, processing, tokens):
    folder, family, module, oracles = case
    model = load_model(str(folder), processing, dtype=torch.float64)
    assert (model.info.family, model.info.processing) == (family, processing)
    shape = {"one": (1, 1), "full": (1, CONTEXT), "padded": (2, 7)}[tokens]
    ids = torch.randint(1, 30, shape, generator=torch.Generator().manual_seed(2))
    mask = torch.ones(shape, dtype=torch.bool)
    if tokens == "padded":
        mask[1, 4:] = False
    kinds = [kind for kind in KINDS if not (model.info.parallel and kind == "resid_mid")]
    sites = [Site(layer, kind) for layer in range(model.info.n_layers) for kind in kinds]
    sites.append(Site(model.info.n_layers, "resid_pre"))
    ours = model.run(ids, read=sites, attention_mask=mask)
    theirs = oracles[processing].run(ids, read=sites, attention_mask=mask)
    close(ours.logits, theirs.logits)
    for site in sites:
        close(ours.sites[site], theirs.sites[site])
    if processing == "raw":
        single = load_model(str(folder))
        for row in range(shape[0]):
            length = int(mask[row].sum())
            alone = module(ids[row : row + 1, :length]).logits
            close(single.run(ids, attention_mask=mask).logits[row, :length], alone[0])
            close(single.run(ids[row : row + 1, :length]).logits, alone)


def test_sharded_and_pickled_weights_are_the_same_model(case, tmp_path):
    folder, _, module, _ = case
    tokens = torch.arange(1, 9)[None]
    expected = load_model(str(folder)).run(tokens).logits
    sharded, pickled = tmp_path / "sharded", tmp_path / "pickled"
    module.save_pretrained(sharded, max_shard_size="20KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    assert torch.equal(load_model(str(sharded)).run(tokens).logits, expected)
    pickled.mkdir()
    (pickled / "config.json").write_bytes((folder / "config.json").read_bytes())
    torch.save(load_file(folder / "model.safetensors"), pickled / "pytorch_model.bin")
    assert torch.equal(load_model(str(pickled)).run(tokens).logits, expected)


def test_what_a_trainer_left_beside_the_weights_is_not_taken_for_a_model(case):
    folder, family, _, _ = case
    torch.save({"cpu": torch.ones(3)}, folder / "rng_state.pth")
    assert load_model(str(folder)).info.family == family


def test_an_index_that_leads_elsewhere_or_nowhere(case, tmp_path):
    folder, *_ = case
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    index = tmp_path / "model.safetensors.index.json"
    for name, message in {
        "../secret.safetensors": "no safetensors file of its folder",
        "weights.bin": "no safetensors file of its folder",
        "gone.safetensors": "has no gone.safetensors, which its",
    }.items():
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(InputError, match=message):
            load_model(str(tmp_path))


def test_missing_and_unknown_tensors_and_too_few_weights_are_named(case, tmp_path):
    folder, *_ = case
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    stored = load_file(folder / "model.safetensors")
    name = next(
        name for name in sorted(stored) if ("1." in name and name.endswith("norm.weight")) or ".ln_1.weight" in name
    )
    for change in ({name: None}, {"unheard.of": torch.ones(3)}):
        tensors = {key: value for key, value in (stored | change).items() if value is not None}
        if None in change.values():
            tensors["padding"] = stored[name]  # so that the number of weights is right
        save_file(tensors, tmp_path / "model.safetensors")
        with pytest.raises(InputError, match=rf"{name}|unheard\.of|holds [\d,]+ weights|padding"):
            load_model(str(tmp_path))
    config = json.loads((folder / "config.json").read_text())
    layers = next(key for key in ("n_layer", "num_hidden_layers") if key in config)
    (tmp_path / "config.json").write_text(json.dumps({**config, layers: config[layers] + 1, "layer_types": None}))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"holds [\d,]+ weights"):
        load_model(str(tmp_path))


def test_a_configuration_of_a_thousand_million_layers_is_refused_at_once(case, tmp_path):
    folder, *_ = case
    config = json.loads((folder / "config.json").read_text())
    layers = next(key for key in ("n_layer", "num_hidden_layers") if key in config)
    for document in ({**config, layers: 10**9}, {**config, "text_config": {"num_hidden_layers": 10**9}, layers: 10**9}):
        (tmp_path / "config.json").write_text(json.dumps(document))
        (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
        with pytest.raises(InputError, match=r"holds [\d,]+ (tensors|weights)"):
            load_model(str(tmp_path))


def test_the_text_model_of_a_gemma_3_that_sees(tmp_path):
    import transformers as hf

    text = {
        "vocab_size": 300,
        "hidden_size": 32,
        "num_hidden_layers": 7,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "intermediate_size": 64,
        "max_position_embeddings": 32,
        "sliding_window": 4,
    }
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = hf.Gemma3Config(
        text_config=text,
        vision_config={**vision, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4,
        image_token_index=299,
        boi_token_index=298,
        eoi_token_index=297,
    )
    torch.manual_seed(0)
    module = randomised(hf.Gemma3ForConditionalGeneration(config))
    module.save_pretrained(tmp_path / "new")
    tokens = torch.arange(3, 20)[None]
    expected = module(input_ids=tokens).logits
    model = load_model(str(tmp_path / "new"))
    assert (model.info.family, model.info.n_layers, model.info.bos) == ("gemma", 7, 2)
    close(model.run(tokens).logits, expected, 1e-5)
    (tmp_path / "old").mkdir()
    (tmp_path / "old/config.json").write_bytes((tmp_path / "new/config.json").read_bytes())
    state = {
        name.replace("model.language_model.", "language_model.model."): tensor
        for name, tensor in load_file(tmp_path / "new/model.safetensors").items()
    }
    save_file(state, tmp_path / "old/model.safetensors", metadata={"format": "pt"})
    close(load_model(str(tmp_path / "old")).run(tokens).logits, expected, 1e-5)


def neo(folder: Path):
    """A GPT-Neo, as TinyStories' models are: pickled weights, attention local in every second layer."""
    import transformers as hf

    torch.manual_seed(0)
    config = hf.GPTNeoConfig(
        vocab_size=37,
        max_position_embeddings=16,
        hidden_size=16,
        num_layers=2,
        attention_types=[[["global", "local"], 1]],
        num_heads=2,
        window_size=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    module = randomised(hf.GPTNeoForCausalLM(config))
    module.save_pretrained(folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model.bin")
    return module


def test_any_architecture_that_the_bridge_knows(tmp_path):
    from saecli.core.bridge import BridgeModel

    module = neo(tmp_path)
    tokens = torch.arange(1, 10)[None]
    hidden = module(tokens, output_hidden_states=True)
    for processing in ("raw", "folded"):
        model = load_model(str(tmp_path), processing)
        assert isinstance(model, BridgeModel)
        assert (model.info.processing, model.info.n_layers, model.info.d_model) == (processing, 2, 16)
        run = model.run(tokens, read=[Site(1, "resid_pre")])
        close(run.logits.log_softmax(-1), hidden.logits.log_softmax(-1), 1e-5)
        stream = hidden.hidden_states[1]
        close(
            run.sites[Site(1, "resid_pre")],
            stream if processing == "raw" else stream - stream.mean(-1, keepdim=True),
            1e-5,
        )
    assert family_of(tmp_path).name == "other"


def test_folding_by_the_bridge_is_refused_where_it_takes_one_matrix_for_another():
    from saecli.core.bridge import BridgeModel

    with pytest.raises(InputError, match="24 tokens and the width 24"):
        BridgeModel(gpt2_shaped(24), processing="folded")


@pytest.mark.parametrize("config", [{"architectures": ["MyModel"]}, {"model_type": "bert"}, {"architectures": 3}])
def test_what_the_bridge_does_not_know_is_refused(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="TransformerLens' bridge does not know"):
        load_model(str(tmp_path))


def test_random_weights_keep_the_shape_and_come_from_their_seed(case):
    folder, family, _, _ = case
    tokens = torch.arange(1, 9)[None]
    state = torch.random.get_rng_state()
    trained = load_model(str(folder))
    first, again, other = (load_model(f"random:{folder}{seed}") for seed in ("", "@0", "@1"))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.info.family == family
    assert [parameter.shape for parameter in first.module.parameters()] == [
        parameter.shape for parameter in trained.module.parameters()
    ]
    logits = [model.run(tokens).logits for model in (trained, first, again, other)]
    assert torch.equal(logits[1], logits[2])
    assert not torch.allclose(logits[1], logits[3])
    assert not torch.allclose(logits[1], logits[0])
    assert load_model(f"random:{folder}@1", "folded").info.processing == "folded"


def test_random_weights_of_the_embedded_model():
    model = load_model("random:othello-mini@3")
    assert (model.info.name, model.info.vocabulary, model.info.n_layers) == ("random:othello-mini@3", "othello", 8)
    with pytest.raises(UsageError, match="Did you mean 'othello-mini'"):
        load_model("random:othello-mni@3")


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path))
    for name in ("gpt2", "hf:org/some-model"):
        with pytest.raises(InputError, match=f"{name} is not downloaded yet") as caught:
            load_model(name)
        assert caught.value.hint == f"Get it: saecli download {name}"
    with pytest.raises(InputError, match="gpt2 is not downloaded yet"):
        load_model("random:gpt2")


def test_a_downloaded_model_is_found_by_its_name(tmp_path, monkeypatch):
    from saecli.core.cache import Cache
    from saecli.core.inputs import hash_file
    from saecli.core.lock import Locked, LockedFile, update

    monkeypatch.setenv("SAECLI_CACHE", str(tmp_path))
    cache, commit = Cache.at(), "0" * 40
    folder = cache.snapshot("models/adamkarvonen/8LayerChessGPT2", commit)
    module = gpt2_shaped(32)
    module.save_pretrained(folder)
    files = tuple(
        LockedFile(path.name, path.stat().st_size, hash_file(path), "lfs sha256") for path in sorted(folder.iterdir())
    )
    source, repo = "hf:adamkarvonen/8LayerChessGPT2", "models/adamkarvonen/8LayerChessGPT2"
    locked = Locked(source=source, repo=repo, path="", revision=commit, include=(), files=files)
    update(cache.lock, {"chessgpt": locked})
    tokens = torch.arange(9)[None]
    for name in ("chessgpt", source):
        model = load_model(name)
        assert (model.info.name, model.info.family, model.info.vocabulary) == (name, "chessgpt", "chess")
        close(model.run(tokens).logits, module(tokens).logits)

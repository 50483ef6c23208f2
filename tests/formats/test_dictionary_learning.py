"""dictionary_learning's folders: every class as its formula says, what is missing or contradictory, and round trips."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.dictionary import Dictionary, DictionaryConfig
from saecli.core.errors import InputError, UsageError
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats.dictionary_learning import to_files, write
from saecli.formats.registry import Hints, open_dictionaries

SIZES = [(6, 8), (8, 8), (8, 6)]
SITE = Site(5, "resid_post")


def tensors_of(name: str, d: int, f: int, threshold: float = 0.5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(d + f)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    linear = {"encoder.weight": rand(f, d), "decoder.weight": rand(d, f)}
    scalars = {"k": torch.tensor(3, dtype=torch.int), "threshold": torch.tensor(threshold)}
    return {
        "AutoEncoder": {**linear, "encoder.bias": rand(f), "bias": rand(d)},
        "AutoEncoderNew": {**linear, "encoder.bias": rand(f), "decoder.bias": rand(d)},
        "GatedAutoEncoder": {
            **linear,
            "decoder_bias": rand(d),
            "r_mag": rand(f),
            "gate_bias": rand(f),
            "mag_bias": rand(f),
        },
        "AutoEncoderTopK": {**linear, "encoder.bias": rand(f), "b_dec": rand(d), **scalars},
        "BatchTopKSAE": {**linear, "encoder.bias": rand(f), "b_dec": rand(d), **scalars},
        "MatryoshkaBatchTopKSAE": {
            "W_enc": rand(d, f),
            "W_dec": rand(f, d),
            "b_enc": rand(f),
            "b_dec": rand(d),
            "group_sizes": torch.tensor([2, f - 2]),
            **scalars,
        },
        "JumpReluAutoEncoder": {
            "W_enc": rand(d, f),
            "W_dec": rand(f, d),
            "b_enc": rand(f),
            "b_dec": rand(d),
            "threshold": rand(f),
        },
        "IdentityDict": {},
    }[name]


CLASSES = (
    "AutoEncoder",
    "AutoEncoderNew",
    "GatedAutoEncoder",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
    "IdentityDict",
)


def by_hand(name: str, t: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and output of one vector, feature by feature."""
    if name == "IdentityDict":
        return x, x
    rows = t["W_enc"].T if "W_enc" in t else t["encoder.weight"]
    columns = t["W_dec"].T if "W_dec" in t else t["decoder.weight"]
    bias = next(t[key] for key in ("bias", "decoder.bias", "decoder_bias", "b_dec") if key in t)
    centred = x if name in ("AutoEncoderNew", "JumpReluAutoEncoder") else x - bias
    out, codes = bias.clone(), torch.zeros(len(rows))
    for feature, row in enumerate(rows):
        inner = float(sum(a * b for a, b in zip(row.tolist(), centred.tolist(), strict=True)))
        if name == "GatedAutoEncoder":
            magnitude = torch.exp(t["r_mag"][feature]) * inner + t["mag_bias"][feature]
            codes[feature] = max(magnitude, 0) if inner + t["gate_bias"][feature] > 0 else 0
            continue
        inner += float(t.get("encoder.bias", t.get("b_enc"))[feature])
        codes[feature] = max(inner, 0)
        if name == "JumpReluAutoEncoder" and inner <= t["threshold"][feature]:
            codes[feature] = 0
        if name in ("BatchTopKSAE", "MatryoshkaBatchTopKSAE") and codes[feature] <= t["threshold"]:
            codes[feature] = 0
    if name == "AutoEncoderTopK":
        codes[codes.argsort(descending=True)[int(t["k"]) :]] = 0
    for feature in range(len(rows)):
        out += codes[feature] * columns[:, feature]
    if name == "AutoEncoder":  # as the library's loader leaves it
        codes = codes * columns.norm(dim=0)
    return codes, out


def folder(path: Path, name: str, tensors: dict, **trainer: object) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path / "ae.pt")
    said = {"dict_class": name, "layer": 5, "lm_name": "tiny", "submodule_name": "resid_post_layer_5", **trainer}
    document = {"trainer": said, "buffer": {"d_submodule": 6, "io": "out", "ctx_len": 59}}
    (path / "config.json").write_text(json.dumps(document))
    return path


def only(path: Path, hints: Hints | None = None):
    (item,) = open_dictionaries(path, hints).items
    return item


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(("d", "f"), SIZES)
def test_every_class_is_its_formula(tmp_path, name, d, f):
    tensors = tensors_of(name, d, f)
    item = only(folder(tmp_path, name, tensors, activation_dim=d), None)
    if name == "IdentityDict":
        d = f = 6  # the configuration's d_submodule
    assert (item.config.reads, item.config.d_in, item.config.n_latents) == (SITE, d, f)
    assert (item.model, item.context) == ("tiny", 59)
    made = item.load(torch.float32)
    x = torch.randn(20, d, generator=torch.Generator().manual_seed(0))
    for row in x:
        codes, out = by_hand(name, tensors, row)
        torch.testing.assert_close(made.encode(row), codes, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(made(row), out, rtol=1e-5, atol=2e-6)
    assert (made.encode(x) != 0).any()


def test_an_autoencoder_whose_columns_have_norm_1_keeps_its_numbers(tmp_path):
    tensors = tensors_of("AutoEncoder", 6, 8)
    tensors["decoder.weight"] /= tensors["decoder.weight"].norm(dim=0)
    made = only(folder(tmp_path, "AutoEncoder", tensors)).load(torch.float32)
    assert torch.equal(made.W_enc_DF, tensors["encoder.weight"].T)
    assert torch.equal(made.W_dec_FD, tensors["decoder.weight"].T)


@pytest.mark.parametrize("name", ["BatchTopKSAE", "MatryoshkaBatchTopKSAE"])
def test_a_threshold_that_was_never_set_is_plain_relu_and_said(tmp_path, name):
    tensors = tensors_of(name, 6, 8, threshold=-1.0)
    item = only(folder(tmp_path, name, tensors))
    assert item.config.arch == "standard"
    assert "threshold is -1" in item.notes[0]
    x = torch.randn(6)
    torch.testing.assert_close(item.load(torch.float32).encode(x), by_hand(name, tensors, x)[0])


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ("IdentityDict",)])
def test_a_backup_is_a_dictionary_in_units_of_its_inputs_norm(tmp_path, name):
    """f(x) of the finished dictionary is s · f(x / s) of the one in training."""
    tensors, s = tensors_of(name, 6, 8), 2.5
    path = folder(tmp_path, name, {"step": 700, "ae": tensors, "optimizer": {}, "config": {}, "norm_factor": s})
    item = only(path)
    assert "backup of step 700" in item.notes[-1]
    made = item.load(torch.float64)
    for x in torch.randn(10, 6, generator=torch.Generator().manual_seed(1)):
        codes, out = by_hand(name, tensors, x / s)
        torch.testing.assert_close(made.encode(x.double()).float(), s * codes, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(made(x.double()).float(), s * out, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ("IdentityDict", "BatchTopKSAE")])
def test_names_of_tensors_tell_the_class(tmp_path, name):
    tensors = tensors_of(name, 8, 8)
    if name == "AutoEncoderTopK":
        del tensors["k"], tensors["threshold"]
    folder(tmp_path / "resid_out_layer5" / "x", name, tensors)
    (tmp_path / "resid_out_layer5" / "x" / "config.json").unlink()
    if name == "AutoEncoderTopK":
        with pytest.raises(InputError, match="does not say how many features are active"):
            only(tmp_path)
        return
    item = only(tmp_path)
    assert item.name == "resid_out_layer5/x"
    assert (item.metadata["dict_class"], item.config.reads) == (name, SITE)


def test_classes_of_the_same_names_are_not_guessed_apart(tmp_path):
    folder(tmp_path, "BatchTopKSAE", tensors_of("BatchTopKSAE", 6, 8))
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"AutoEncoderTopK or BatchTopKSAE, and no config\.json says which") as error:
        only(tmp_path, Hints(reads=SITE))
    assert '"dict_class": "AutoEncoderTopK"' in (error.value.hint or "")


def test_the_trainer_tells_the_class_where_the_class_is_missing(tmp_path):
    tensors = tensors_of("BatchTopKSAE", 6, 8)
    item = only(folder(tmp_path, "", tensors, trainer_class="BatchTopKTrainer"))
    assert (item.metadata["dict_class"], item.config.arch) == ("BatchTopKSAE", "jumprelu")
    folder(tmp_path, "<class 'dictionary_learning.trainers.top_k.AutoEncoderTopK'>", tensors)
    assert only(tmp_path).config.options == {"k": 3, "threshold": 0.5}


def test_a_checkpoint_is_described_by_the_folder_above(tmp_path):
    tensors = tensors_of("JumpReluAutoEncoder", 6, 8)
    folder(tmp_path, "JumpReluAutoEncoder", tensors)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "ae.pt").rename(tmp_path / "checkpoints" / "ae_100.pt")
    item = only(tmp_path / "checkpoints" / "ae_100.pt")
    assert (item.config.reads, item.config.arch) == (SITE, "jumprelu")


def test_groups_and_thresholds_of_training_are_kept(tmp_path):
    def options(made: Dictionary) -> tuple[str, dict[str, object]]:
        write({"": made}, tmp_path)
        item = only(tmp_path)
        x = torch.randn(50, 6)
        torch.testing.assert_close(item.load(torch.float32)(x), made(x))
        return str(item.metadata["dict_class"]), dict(item.config.options)

    nested = make_dictionary(DictionaryConfig("jumprelu", 6, 8, SITE, SITE, 6, {"k": 2, "group_sizes": [3, 5]}))
    topk = make_dictionary(DictionaryConfig("topk", 6, 8, SITE, SITE, 6, {"k": 2, "threshold": 0.75}))
    for made in (nested, topk):
        for parameter in made.requires_grad_(False).parameters():
            torch.nn.init.normal_(parameter)
    nested.threshold_F.fill_(0.5)
    assert options(nested) == ("MatryoshkaBatchTopKSAE", {"k": 2, "group_sizes": [3, 5]})
    assert options(topk) == ("AutoEncoderTopK", {"k": 2, "threshold": 0.75})
    nested.threshold_F[0] = 0.25  # thresholds of their own have no place in that class
    assert options(nested)[0] == "JumpReluAutoEncoder"


def test_a_group_of_trainers_is_found_and_its_results_are_kept(tmp_path):
    for number in range(3):
        path = folder(tmp_path / "sweep" / f"trainer_{number}", "AutoEncoder", tensors_of("AutoEncoder", 6, 8))
        (path / "eval_results.json").write_text('{"l0": 41.5, "frac_variance_explained": 0.875}')
    found = open_dictionaries(tmp_path)
    assert found.format == "dictionary_learning"
    assert [item.name for item in found.items] == [f"sweep/trainer_{number}" for number in range(3)]
    assert found.items[0].measured == {"l0": 41.5, "variance_explained": 0.875}


@pytest.mark.parametrize(
    ("trainer", "io", "site"),
    [
        ({"submodule_name": "mlp_out_layer_3"}, "out", Site(3, "mlp_out")),
        ({"submodule_name": "mlp_layer3"}, "in", Site(3, "mlp_in")),
        ({"submodule_name": "attn", "layer": 2}, "out", Site(2, "attn_out")),
        ({"submodule_name": "attention_out_layer2"}, "out", Site(2, "attn_out")),
        ({"submodule_name": "mlp_act_layer2"}, "out", Site(2, "mlp_post")),
        ({"submodule_name": "resid_pre", "layer": 2}, "out", Site(2, "resid_pre")),
        ({"submodule_name": None, "layer": 4}, "out", Site(4, "resid_post")),
        ({"submodule_name": None, "layer": 4}, "in", Site(4, "resid_pre")),
        ({"submodule_name": "embed", "layer": 0}, "out", Site(0, "resid_pre")),
    ],
)
def test_sites(tmp_path, trainer, io, site):
    path = folder(tmp_path, "AutoEncoderNew", tensors_of("AutoEncoderNew", 6, 8), **trainer)
    document = json.loads((path / "config.json").read_text())
    document["buffer"]["io"] = io
    (path / "config.json").write_text(json.dumps(document))
    config = only(path).config
    assert config.reads == config.writes == site
    assert only(path, Hints(reads=Site(9, "mlp_in"))).config.reads == Site(9, "mlp_in")


def test_a_transcoder_subtracts_the_bias_it_adds(tmp_path):
    tensors = tensors_of("AutoEncoderTopK", 6, 8)
    path = folder(tmp_path, "AutoEncoderTopK", tensors, submodule_name="mlp_3", layer=3)
    (path / "config.json").write_text((path / "config.json").read_text().replace('"out"', '"in_and_out"'))
    item = only(path)
    assert (item.config.reads, item.config.writes) == (Site(3, "mlp_in"), Site(3, "mlp_out"))
    assert "subtracted from its input too" in item.notes[-1]
    x = torch.randn(6)
    torch.testing.assert_close(item.load(torch.float32)(x), by_hand("AutoEncoderTopK", tensors, x)[1])


def without_site(path: Path) -> None:
    (path / "config.json").write_text('{"trainer": {"dict_class": "AutoEncoderNew"}}')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, c: t.pop("encoder.bias"), "those of no class"),
        (lambda t, c: t.update(extra=torch.zeros(2)), "those of no class"),
        (lambda t, c: t.update({"decoder.weight": torch.zeros(8, 6)}), r"decoder.weight of shape \(8, 6\)"),
        (lambda t, c: t.update({"encoder.weight": torch.zeros(8)}), "expected two axes"),
        (lambda t, c: c.update(dict_class="CrossCoder"), "of class CrossCoder, which is not read"),
        (lambda t, c: c.update(dict_class="GatedAutoEncoder"), "said to be GatedAutoEncoder and has the tensors of"),
        (lambda t, c: t.update(k=torch.tensor(9, dtype=torch.int)), "needs k from 1"),
        (lambda t, c: c.update(k=2), "has k = 3, and the config.json beside it says 2"),
        (lambda t, c: t.update(threshold=torch.zeros(8)), None),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    tensors, trainer = tensors_of("BatchTopKSAE", 6, 8), {}
    name = "AutoEncoderTopK" if message and message.startswith("needs k") else "BatchTopKSAE"
    change(tensors, trainer)
    path = folder(tmp_path, trainer.pop("dict_class", name), tensors, **trainer)
    with pytest.raises(InputError, match=message or "threshold of shape"):
        only(path)


def test_no_site_no_width_no_tensors(tmp_path):
    path = folder(tmp_path, "AutoEncoderNew", tensors_of("AutoEncoderNew", 6, 8))
    without_site(path)
    with pytest.raises(InputError, match="does not say at which site"):
        only(path)
    torch.save({}, path / "ae.pt")
    (path / "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json gives its width"):
        only(path, Hints(reads=SITE))
    torch.save([1, 2], path / "ae.pt")
    with pytest.raises(InputError, match="does not hold the tensors"):
        only(path)


ARCHS = st.sampled_from([("standard", {}), ("topk", {"k": 3}), ("gated", {}), ("jumprelu", {})])


@settings(deadline=None, max_examples=30)
@given(arch=ARCHS, size=st.sampled_from(SIZES), subtracts=st.booleans(), unit=st.booleans(), seed=st.integers(0, 99))
def test_what_is_written_reads_back(tmp_path_factory, arch, size, subtracts, unit, seed):
    (d, f), site = size, Site(2, "mlp_in")
    options = {**arch[1], **({} if subtracts else {"apply_b_dec_to_input": False})}
    made = make_dictionary(DictionaryConfig(arch[0], d, f, site, site, d, options)).requires_grad_(False).double()
    for value in made.parameters():
        value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    if unit:
        made.W_dec_FD /= made.W_dec_FD.norm(dim=1, keepdim=True)
    folder = tmp_path_factory.mktemp("written")
    write({"one": made, "two": made}, folder, torch.float64, model="tiny", context=12)
    found = open_dictionaries(folder)
    assert [item.name for item in found.items] == ["one", "two"]
    item = found.items[0]
    assert (item.config.reads, item.model, item.context) == (site, "tiny", 12)
    back = item.load(torch.float64)
    x = torch.randn(20, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + 1))
    torch.testing.assert_close(back.encode(x), made.encode(x))
    torch.testing.assert_close(back(x), made(x))


def test_neurons_are_written_as_an_empty_file(tmp_path):
    made = make_dictionary(DictionaryConfig("identity", 6, 6, SITE, SITE, 6)).requires_grad_(False)
    made.W_enc_DF.copy_(torch.eye(6))
    made.W_dec_FD.copy_(torch.eye(6))
    write({"": made}, tmp_path)
    assert torch.load(tmp_path / "ae.pt", weights_only=True) == {}
    x = torch.randn(3, 6)
    assert torch.equal(only(tmp_path).load(torch.float32).encode(x), x)
    made.b_dec_D[0] = 1
    with pytest.raises(UsageError, match="are not the identity"):
        to_files(made)


@pytest.mark.parametrize(
    ("arch", "writes", "options", "message"),
    [
        ("abstopk", SITE, {"k": 2}, "no class like abstopk"),
        ("matching_pursuit", SITE, {}, "no class like matching_pursuit"),
        ("standard", Site(5, "mlp_out"), {}, "no class for transcoders"),
        ("standard", SITE, {"skip": True}, "no class for transcoders and skip paths"),
        ("standard", SITE, {"normalize": "layer_norm"}, "normalises inputs"),
    ],
)
def test_what_the_library_lacks_is_refused_before_anything_is_written(tmp_path, arch, writes, options, message):
    fine = make_dictionary(DictionaryConfig("standard", 6, 8, SITE, SITE, 6))
    other = make_dictionary(DictionaryConfig(arch, 6, 8, SITE, writes, 6, options))
    for parameter in (*fine.parameters(), *other.parameters()):
        torch.nn.init.ones_(parameter)
    with pytest.raises(UsageError, match=message):
        write({"a": fine, "b": other}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "sites"), [("mlp_post", "5.mlp_post"), ("", "5.resid_post")])
def test_where_only_a_layer_is_told_the_zoo_tells_the_kind(kind, sites, tmp_path):
    made = make_dictionary(DictionaryConfig("standard", 4, 8, Site(5, "mlp_post"), Site(5, "mlp_post"), 4, {}))
    torch.nn.init.normal_(made.W_enc_DF)
    torch.nn.init.normal_(made.W_dec_FD)
    write({"": made.requires_grad_(False)}, tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    document["trainer"].pop("submodule_name", None)
    document["trainer"]["layer"] = 5
    (tmp_path / "config.json").write_text(json.dumps(document))
    found = open_dictionaries(tmp_path, Hints(kind=kind))
    assert str(found.items[0].config.reads) == sites
    assert bool(found.items[0].notes) == (not kind)


@pytest.mark.parametrize(
    ("name", "site"), [("othello-saes-all-mlps", "5.mlp_post"), ("othello-saes-all-layers", "5.resid_post")]
)
def test_the_zoo_knows_what_the_board_game_dictionaries_read(name, site, tmp_path):
    """Their configurations tell a layer; 2,048 wide ones are of the neurons, which no site of width 512 can be."""
    from zoo.index import find_release

    _, entry = find_release(name)
    path = folder(tmp_path / "layer_5", "AutoEncoder", tensors_of("AutoEncoder", 6, 8), layer=5, submodule_name=None)
    assert open_dictionaries(path, Hints(kind=entry.site)).items[0].config.reads == Site.parse(site)


def test_one_site_said_for_a_transcoder_is_the_one_it_reads(tmp_path):
    path = folder(tmp_path, "AutoEncoderTopK", tensors_of("AutoEncoderTopK", 6, 8), submodule_name="layers.5.mlp", k=3)
    document = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**document, "buffer": {**document["buffer"], "io": "in_and_out"}}))
    config = only(path, Hints.parse("5.resid_mid")).config
    assert (config.reads, config.writes) == (Site(5, "resid_mid"), Site(5, "mlp_out"))
    assert only(path).config.reads == Site(5, "mlp_in")

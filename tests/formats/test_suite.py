"""Suites on disk: what is written reads back, and nothing damaged is read."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saecli.core.dictionary import DictionaryConfig
from saecli.core.errors import InputError
from saecli.core.site import Site
from saecli.core.suite import Suite, SuiteInfo
from saecli.dictionaries import make_dictionary
from saecli.formats.documents import read_document
from saecli.formats.saelens import read_saelens, to_files
from saecli.formats.suite import read_suite, rounded, write_suite

SITES = (Site(0, "resid_pre"), Site(0, "mlp_out"), Site(1, "resid_pre"))


def make(arch: str = "topk", site: Site = SITES[0], **options: object):
    options = {"k": 3} | options if arch == "topk" else options
    made = make_dictionary(DictionaryConfig(arch, 6, 12, site, site, 6, options))
    generator = torch.Generator().manual_seed(site.layer)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made.requires_grad_(False)


@pytest.fixture
def suite() -> Suite:
    measured = {SITES[1]: {"l0": 3.0, "variance_explained": 0.75}}
    info = SuiteInfo("pair", "tiny", "v1:00", context=59, vocabulary="othello", measured=measured)
    return Suite.of(info, [make(site=site) for site in SITES])


def folder_of(tmp_path: Path, made, dtype=torch.float32) -> Path:
    for name, data in to_files(made, dtype).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("arch", "options"), [("topk", {"threshold": 1.25}), ("jumprelu", {"k": 3, "group_sizes": [2, 4, 6]})]
)
def test_what_is_known_from_training_reads_back_and_changes_nothing_that_sae_lens_reads(tmp_path, arch, options):
    made = make(arch, **options)
    back, metadata = read_saelens(folder_of(tmp_path, made))
    assert back.config == made.config
    assert metadata.keys() - json.loads(to_files(make(arch))["cfg.json"])["metadata"].keys() == {"saecli_options"}
    write_suite(Suite.of(SuiteInfo("one", "tiny"), [made]), tmp_path / "suite")
    assert read_suite(tmp_path / "suite")[SITES[0]].config == made.config


@pytest.mark.parametrize(
    ("arch", "options", "words"),
    [
        ("topk", {"threshold": "high"}, "threshold = 'high', expected a number"),
        ("jumprelu", {"group_sizes": [2, 4]}, r"group_sizes = \[2, 4\], expected numbers that sum to 12"),
        ("jumprelu", {"k": 2.5}, r"k = 2\.5, expected a whole number"),
    ],
)
def test_damaged_knowledge_from_training_is_refused(tmp_path, arch, options, words):
    folder = folder_of(tmp_path, make(arch))
    metadata = read_document(folder / "cfg.json", "a configuration")["metadata"]
    edit(folder / "cfg.json", metadata={**metadata, "saecli_options": options})
    with pytest.raises(InputError, match=words):
        read_saelens(folder)


@pytest.mark.parametrize("arch", ["standard", "topk"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("subtract", [True, False])
def test_a_dictionary_reads_back(tmp_path, arch, dtype, subtract):
    made = make(arch, **({} if subtract else {"apply_b_dec_to_input": False}))
    back, metadata = read_saelens(folder_of(tmp_path, made, dtype))
    assert back.config == made.config
    assert metadata["hook_name"] == "blocks.0.hook_resid_pre"
    for name, value in made.state_dict().items():
        assert torch.equal(back.state_dict()[name], value.to(dtype).float())


def test_decoder_norms_are_folded(tmp_path):
    made = make(k=12)
    folder = folder_of(tmp_path, made)
    edit(folder / "cfg.json", rescale_acts_by_decoder_norm=True)
    back, _ = read_saelens(folder)
    x = torch.randn(5, 6)
    torch.testing.assert_close(back(x), made(x))
    torch.testing.assert_close(back.W_dec_FD.norm(dim=1), torch.ones(12))


def test_the_flat_layout_before_sae_lens_6(tmp_path):
    made = make()
    folder = folder_of(tmp_path, made)
    legacy = {
        "d_in": 6,
        "d_sae": 12,
        "hook_point": "blocks.5.hook_mlp_out",
        "activation_fn_str": "topk",
        "activation_fn_kwargs": {"k": 3},
        "normalize_activations": None,
    }
    (folder / "cfg.json").write_text(json.dumps(legacy))
    back, _ = read_saelens(folder)
    assert (back.config.arch, back.config.options, back.config.reads) == ("topk", {"k": 3}, Site(5, "mlp_out"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "jumprely"}, "of the unknown architecture 'jumprely'"),
        ({"normalize_activations": "cubic"}, "normalize_activations = 'cubic', which is unknown"),
        ({"d_sae": None}, "no sizes"),
        ({"d_sae": 13}, r"W_dec of shape \(12, 6\), expected \(13, 6\)|of shape .*, expected"),
        ({"k": 40}, "needs k from 1 to that"),
        ({"metadata": {"hook_name": "nowhere"}}, "names no site"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(tmp_path, changes, message):
    folder = folder_of(tmp_path, make())
    edit(folder / "cfg.json", **changes)
    with pytest.raises(InputError, match=message):
        read_saelens(folder)


def test_damaged_missing_and_unknown_tensors_are_refused(tmp_path):
    folder = folder_of(tmp_path, make())
    path = folder / "sae_weights.safetensors"
    whole = path.read_bytes()
    tensors = load_file(path)
    path.write_bytes(whole[:-4])
    with pytest.raises(InputError, match="has a damaged safetensors header"):
        read_saelens(folder)
    path.write_bytes((1 << 60).to_bytes(8, "little") + whole[8:])
    with pytest.raises(InputError, match="claims a header"):
        read_saelens(folder)
    save_file({**tensors, "threshold": torch.zeros(12)}, path)
    with pytest.raises(InputError, match="unknown tensor threshold"):
        read_saelens(folder)
    del tensors["b_enc"]
    save_file(tensors, path)
    with pytest.raises(InputError, match="no tensor b_enc"):
        read_saelens(folder)
    path.unlink()
    with pytest.raises(InputError, match=r"has no sae_weights\.safetensors"):
        read_saelens(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_suite_reads_back(suite, tmp_path, dtype):
    write_suite(suite, tmp_path, dtype)
    back = read_suite(tmp_path)
    assert back.info == suite.info
    assert back.sites == suite.sites
    assert back.fingerprint == rounded(suite, dtype).fingerprint
    for site in suite:
        assert torch.equal(back[site].W_enc_DF, suite[site].W_enc_DF.to(dtype).float())
    assert read_suite(tmp_path, name="mine").info == replace(suite.info, name="mine")


def test_a_changed_file_is_found_when_it_is_used(suite, tmp_path):
    write_suite(suite, tmp_path)
    path = tmp_path / "0.mlp_out" / "sae_weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    back = read_suite(tmp_path)
    assert back[SITES[0]] is not None
    with pytest.raises(InputError, match=r"0\.mlp_out/sae_weights\.safetensors is corrupted"):
        back[SITES[1]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "saecli.suite/2"}, "saecli.suite/2, and this version reads up to saecli.suite/1"),
        ({"schema": "other/1"}, "is not a saecli.suite file"),
        ({"dictionaries": [{}]}, "is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(suite, tmp_path, changes, message):
    write_suite(suite, tmp_path)
    edit(tmp_path / "suite.json", **changes)
    with pytest.raises(InputError, match=message):
        read_suite(tmp_path)


def test_a_suite_cannot_point_outside_its_folder(suite, tmp_path):
    write_suite(suite, tmp_path / "suite")
    header = json.loads((tmp_path / "suite" / "suite.json").read_text())
    header["dictionaries"][0]["folder"] = "../elsewhere"
    (tmp_path / "suite" / "suite.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match="no plain folder name"):
        read_suite(tmp_path / "suite")


def test_no_suite(tmp_path):
    with pytest.raises(InputError, match=r"there is no suite\.json"):
        read_suite(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "is not a JSON object"),
        (b"{", "is not JSON"),
        (b"\xff{}", "is not JSON"),
        (b" " * 65, "larger than 64 bytes"),
    ],
)
def test_a_document_that_is_none_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_document(tmp_path / "x.json", "a header", 1 << 20 if len(content) > 65 else 64)
    with pytest.raises(InputError, match=r"no readable y\.json"):
        read_document(tmp_path / "y.json", "a header")

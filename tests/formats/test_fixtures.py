"""Files written by sae-lens, dictionary_learning and sparsify themselves (``make interop``) read as these read them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saecli.core.errors import SaecliError
from saecli.formats.registry import open_dictionaries
from tests.interop.example import ATOL, FILE, difference, load

FIXTURES = Path(__file__).parent / "fixtures"
CASES = sorted(path.parent.relative_to(FIXTURES).as_posix() for path in FIXTURES.rglob(FILE))
CANNOT = json.loads((FIXTURES / "sae_lens_cannot.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_a_dictionary_behaves_as_in_the_library_that_wrote_it(case):
    (item,) = open_dictionaries(FIXTURES / case).items
    made = item.load(torch.float32)
    x, features, output = load(FIXTURES / case)
    largest = max(1.0, float(output.abs().max()), float(features.abs().max()))
    assert difference(features, made.encode(x)) <= ATOL * largest
    assert difference(output, made(x)) <= ATOL * largest
    assert difference(output, made.reconstruct(x)) <= ATOL * largest
    assert (features != 0).any()


def test_every_format_and_class_is_there():
    names = {case.split("/")[0] for case in CASES}
    assert names == {"saelens", "dictionary_learning", "sparsify"}
    architectures = {item.config.arch for case in CASES for item in open_dictionaries(FIXTURES / case).items}
    assert architectures >= {
        *("standard", "gated", "jumprelu", "topk", "abstopk", "matching_pursuit", "temporal", "identity", "groupmax"),
    }
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 1_000_000


def test_what_sae_lens_cannot_load_is_read_here():
    """Recorded when the fixtures were made, by sae-lens' own loaders for these formats."""
    refused = CANNOT["cannot"]
    assert any(name.startswith("sparsify/") for name in refused)
    assert "dictionary_learning/AutoEncoderNew" in refused
    for name in refused:
        assert name in CASES


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.just(10**30),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
KEYS = ("activation_fn", "activation_fn_kwargs", "k", "max_iterations", "n_heads", "layer", "options", "d_out", "l0")


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_configuration_with_odd_values_is_read_or_refused_in_a_sentence(data, tmp_path_factory):
    cases = [case for case in CASES if not case.startswith("sparsify/")]
    folder = tmp_path_factory.mktemp("odd") / "dictionary"
    shutil.copytree(FIXTURES / data.draw(st.sampled_from(cases)), folder)
    path = folder / ("cfg.json" if (folder / "cfg.json").exists() else "config.json")
    document = json.loads(path.read_text())
    tables = [document, *(value for value in document.values() if isinstance(value, dict))]
    for _ in range(data.draw(st.integers(1, 3))):
        table = data.draw(st.sampled_from(tables))
        table[data.draw(st.sampled_from(sorted({*table, *KEYS})))] = data.draw(ODD)
    path.write_text(json.dumps(document))
    said = str(folder)
    try:
        for item in open_dictionaries(folder).items:
            item.load(torch.float32)
    except SaecliError as error:
        said = error.message
    assert str(folder) in said

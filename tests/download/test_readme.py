"""What the README says of downloads, done on a hub on this machine."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from pathlib import Path

import torch

from saecli.core.dictionary import DictionaryConfig
from saecli.core.lock import locate
from saecli.core.site import Site
from saecli.dictionaries import make_dictionary
from saecli.formats import dictionary_learning

TEXT = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_downloads_of_the_readme_work(saecli, hub, cache):
    (block,) = [b for b in re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL) if "download" in b]
    lines = [line.split("  #")[0].strip().replace("https://host", f"{hub.cdn}/files") for line in block.splitlines()]
    hub.repository("openai-community/gpt2", {"config.json": b"{}", "model.safetensors": b"weights"})
    hub.repository("org/repo", {"layer_8/a.npz": b"a", "layer_8/b.txt": b"b"}, refs=("main", "v1"))
    with zipfile.ZipFile(sink := io.BytesIO(), "w") as archive:
        archive.writestr("group/trainer_1/ae.pt", b"one")
        archive.writestr("group/trainer_2/ae.pt", b"two")
    hub.files["sweep.zip"] = sink.getvalue()
    site = Site(3, "resid_post")
    made = make_dictionary(DictionaryConfig("topk", 4, 8, site, site, 4, {"k": 2}))
    for weights in (made.W_enc_DF, made.W_dec_FD):
        torch.nn.init.normal_(weights)
    dictionary_learning.write({"trainer_0": made.requires_grad_(False)}, Path())
    assert len(lines) == 7
    for line in lines:
        outcome = saecli(*shlex.split(line)[1:])
        assert outcome.code == 0, f"{line}\n{outcome.err}"
    assert {path.name for path in locate("hf:org/repo/layer_8@v1").iterdir()} == {"a.npz", "b.txt"}
    assert [path.name for path in locate(f"{hub.cdn}/files/sweep.zip!").glob("group/*/*.pt")] == ["ae.pt"]
    assert locate("gpt2") is not None

"""Files that could run code or eat memory: their values are read, their tricks are refused and named."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import re
import resource
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as serialise

from saecli.core.errors import InputError
from saecli.formats.safe import (
    Inert,
    load_npy,
    load_npz,
    load_safetensors,
    load_torch,
    read_pickled_values,
    safetensors_header,
    safetensors_metadata,
)

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def saved(value: Any, *, modern: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=modern)
    return buffer.getvalue()


def refused(read: Callable[[Path], Any], path: Path, data: bytes | None = None) -> str:
    """The sentence with which a file is refused: quickly, and without the memory that it claims."""
    if data is not None:
        path.write_bytes(data)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InputError) as caught:
        read(path)
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def equal(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, torch.Tensor):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and torch.equal(ours, theirs.detach())
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(equal(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, (list, tuple)):
        return type(ours) is type(theirs) and all(equal(*pair) for pair in zip(ours, theirs, strict=True))
    return ours == theirs


VALUES = {
    "state": torch.nn.Linear(3, 4).state_dict(),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "rows": torch.arange(12.0).reshape(4, 3)[1:3],
    "half": torch.tensor([1.5, -2.0]).half(),
    "brain": torch.tensor([1.5, -2.0]).bfloat16(),
    "flags": torch.tensor([True, False, True]),
    "ids": torch.arange(5).to(torch.uint16),
    "none": torch.empty(0, 3),
    "one": torch.tensor(7),
    "plain": [1, 2.5, None, "text", b"\xff\0", True, -(1 << 70), (1, (2, 3)), {"nested": []}],
    "set": {1, 2},
    "counts": collections.Counter("aab"),
    "size": torch.Size([2, 3]),
    "type": torch.bfloat16,
}


class Call:
    """Pickles as a call."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self):
        return self.what, self.arguments


# --- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modern", [True, False])
def test_files_of_torch_save_are_read_in_both_layouts(tmp_path: Path, modern: bool):
    (path := tmp_path / "ae.pt").write_bytes(saved(VALUES, modern=modern))
    assert equal(load_torch(path), VALUES)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_read_in_every_protocol(tmp_path: Path, protocol: int):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.arange(6).reshape(2, 3)), "s": np.float32(2)}
    (path := tmp_path / "values.pkl").write_bytes(pickle.dumps({**VALUES, "numpy": arrays}, protocol))
    tensors = {"a": torch.from_numpy(arrays["a"]), "f": torch.from_numpy(arrays["f"]), "s": 2.0}
    assert equal(read_pickled_values(path), {**VALUES, "numpy": tensors})


def on_gpu(values: torch.Tensor) -> bytes:
    """What torch.save writes for the storage of a tensor that lives on a GPU."""
    storage = torch.storage.TypedStorage(wrap_storage=values.untyped_storage(), dtype=values.dtype, _internal=True)
    return saved(storage, modern=False).replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")


def test_tensors_of_a_gpu_are_read_on_a_machine_without(tmp_path: Path):
    values = torch.arange(6).reshape(2, 3)
    storage = Call(torch.storage._load_from_bytes, on_gpu(values))
    tensor = Call(torch._utils._rebuild_tensor_v2, storage, 0, (2, 3), (3, 1), False, collections.OrderedDict())
    (path := tmp_path / "connections.pkl").write_bytes(pickle.dumps({"mlp_0": {"attn_0": tensor}}))
    with pytest.raises(RuntimeError, match="CUDA"):
        pickle.loads(path.read_bytes())  # noqa: S301 - that the file is what it should be
    assert equal(read_pickled_values(path), {"mlp_0": {"attn_0": values}})
    (path := tmp_path / "checkpoint.pt").write_bytes(on_gpu(values))
    assert load_torch(path).values.tolist() == list(range(6))


def test_a_config_object_of_an_old_checkpoint_is_read_as_its_attributes(tmp_path: Path):
    Config = type("LanguageModelSAERunnerConfig", (), {"__module__": "sae_training.config"})
    config = Config()
    config.__dict__ |= {"d_in": 4, "device": "cuda"}
    data = renamed_classes(Config, lambda: saved({"cfg": config, "state_dict": {"W_enc": torch.ones(4, 2)}}))
    (path := tmp_path / "old.pt").write_bytes(data)
    values = load_torch(path)
    assert isinstance(values["cfg"], Inert)
    assert values["cfg"].state == {"d_in": 4, "device": "cuda"}
    assert torch.equal(values["state_dict"]["W_enc"], torch.ones(4, 2))


def renamed_classes(kind: type, make: Callable[[], bytes]) -> bytes:
    """What `make` gives while the class can be imported from the module that it names."""
    import sys
    import types

    module = types.ModuleType(kind.__module__)
    setattr(module, kind.__name__, kind)
    parent = types.ModuleType(kind.__module__.split(".")[0])
    sys.modules |= {parent.__name__: parent, module.__name__: module}
    try:
        return make()
    finally:
        del sys.modules[parent.__name__], sys.modules[module.__name__]


def test_values_of_a_file_are_private_to_the_reader(tmp_path: Path):
    (path := tmp_path / "a.pt").write_bytes(saved({"w": torch.ones(4)}))
    before = path.read_bytes()
    load_torch(path)["w"].zero_()
    assert path.read_bytes() == before


# --- what would run code ----------------------------------------------------------------------------------------------


def tricks(marker: Path) -> dict[str, Any]:
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    inner = pickle.dumps(Call(os.system, touch))
    return {
        "system": Call(os.system, touch),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "getattr": Call(getattr, Call(__import__, "os"), "system"),
        "__import__": Call(__import__, "antigravity"),
        "Popen": Call(subprocess.Popen, ["touch", str(marker)]),
        "open": Call(open, str(marker), "w"),
        "pickle.loads": Call(pickle.loads, inner),
        "torch.serialization.load": Call(torch.load, str(marker)),
        "bytearray": Call(bytearray, 1 << 45),
    }


WRAPPERS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], bytes]]] = {
    "torch zip": (load_torch, lambda trick: saved({"w": torch.ones(2), "x": trick})),
    "torch legacy": (load_torch, lambda trick: saved({"w": torch.ones(2), "x": trick}, modern=False)),
    "pickle as torch": (load_torch, lambda trick: pickle.dumps(trick)),
    "pickle": (read_pickled_values, lambda trick: pickle.dumps({"mlp_0": [trick]})),
    "pickle 0": (read_pickled_values, lambda trick: pickle.dumps([trick], 0)),
    "pickle 2": (read_pickled_values, lambda trick: pickle.dumps([trick], 2)),
    "nested": (
        read_pickled_values,
        lambda trick: pickle.dumps(Call(torch.storage._load_from_bytes, saved(trick, modern=False))),
    ),
    "nested pickle": (
        read_pickled_values,
        lambda trick: pickle.dumps(Call(torch.storage._load_from_bytes, pickle.dumps(trick))),
    ),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", tricks(Path("marker")))
def test_code_is_refused_and_named(tmp_path: Path, wrapper: str, name: str):
    marker = tmp_path / "marker"
    read, wrap = WRAPPERS[wrapper]
    sentence = refused(read, tmp_path / "ae.pt", wrap(tricks(marker)[name]))
    assert re.search(rf"wants to import \S*{name}; a file of values needs no code", sentence)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"cos\nsystem\n(S'touch MARKER'\ntR.", "wants to import os.system"),
        (b"(S'touch MARKER'\nios\nsystem\n.", "wants to import os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0ctouch MARKER\x85R.", "wants to import os.system"),
        (b"(cos\nsystem\nS'touch MARKER'\no.", "wants to import os.system"),
        (b"\x82\x01.", "EXT1"),
        (b"Pos.system\n.", "PERSID"),
        (b"X\x02\x00\x00\x00osQ.", "refers to data outside it"),
        (b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01s}b.", "damaged|gives a state"),
        (b"cbuiltins\nobject\n)\x81}(X\x01\x00\x00\x00aK\x01ub(tR.", "damaged"),
        (b"K\x01)R.", "calls something that has no name"),
        (b"}K\x01b.", "gives a state"),
    ],
)
def test_hand_made_tricks_are_refused(tmp_path: Path, data: bytes, answer: str):
    marker = tmp_path / "MARKER"
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        (tmp_path / "x.pkl").write_bytes(data)
        with pytest.raises(InputError, match=answer):
            read_pickled_values(tmp_path / "x.pkl")
    finally:
        os.chdir(here)
    assert not marker.exists()


# --- what would eat memory --------------------------------------------------------------------------------------------


def test_claims_of_pickles_are_not_believed(tmp_path: Path):
    path = tmp_path / "x.pkl"
    huge = struct.pack("<Q", 1 << 60)
    for data in (b"\x80\x04\x8e" + huge + b"abc.", b"\x80\x05\x96" + huge + b".", b"\x80\x04\x95" + huge + b"K\x01."):
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            assert read_pickled_values(path) == 1
    memo = b"K\x01r\xff\xff\xff\x7f" + b"."  # the last place of a memo of two thousand million
    path.write_bytes(memo)
    assert read_pickled_values(path) == 1


def test_a_pickle_that_copies_itself_is_refused(tmp_path: Path):
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    again = b"c_codecs\nencode\nh\x00h\x01\x86R"
    data = b"(" + text + b"q\x00X\x06\x00\x00\x00latin1q\x01" + again * 1000 + b"t."
    assert "far more than its size" in refused(read_pickled_values, tmp_path / "x.pkl", data)


def test_deep_values_do_not_exhaust_the_stack(tmp_path: Path):
    deep = b")" + b"\x85" * 200_000
    assert "keys are not plain" in refused(read_pickled_values, tmp_path / "x.pkl", b"}" + deep + b"K\x01s.")
    doubled = b")" + b"2\x86" * 200 + b"\x85"
    assert "keys are not plain" in refused(read_pickled_values, tmp_path / "x.pkl", b"}" + doubled + b"K\x01s.")
    (path := tmp_path / "y.pkl").write_bytes(b"]" * 200_000 + b"a" * 199_999 + b".")
    assert isinstance(read_pickled_values(path), list)
    nested = pickle.dumps(b"")
    for _ in range(8):
        nested = saved(Call(torch.storage._load_from_bytes, nested), modern=False)
    sentence = refused(
        read_pickled_values, tmp_path / "z.pkl", pickle.dumps(Call(torch.storage._load_from_bytes, nested))
    )
    assert "_load_from_bytes" in sentence


@pytest.mark.parametrize("modern", [True, False])
def test_storages_that_the_file_does_not_have_are_refused(tmp_path: Path, modern: bool):
    data = saved({"w": torch.ones(1000)}, modern=modern)
    for claim in (1 << 30, 1001):
        forged = forge(
            data, lambda pickled, n=claim: pickled.replace(b"M\xe8\x03", b"J" + struct.pack("<i", n)), modern
        )
        sentence = refused(load_torch, tmp_path / "ae.pt", forged)
        assert "claims" in sentence


def forge(data: bytes, change: Callable[[bytes], bytes], modern: bool, **entry_options: Any) -> bytes:
    """A file of torch.save with its pickle changed."""
    if not modern:
        return change(data)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as result:
        for info in source.infolist():
            body = source.read(info)
            result.writestr(
                info.filename, change(body) if info.filename.endswith("data.pkl") else body, **entry_options
            )
    return target.getvalue()


def test_tensors_are_no_larger_than_their_numbers(tmp_path: Path):
    path = tmp_path / "ae.pt"
    wide = torch.ones(1).expand(1 << 40)
    assert "claims a tensor" in refused(load_torch, path, saved({"w": wide}))
    outside = forge(saved(torch.ones(8)[4:]), lambda p: p.replace(b"K\x04K\x04\x85", b"K\x06K\x04\x85"), True)
    assert "claims a tensor" in refused(load_torch, path, outside)


def test_zip_bombs_and_forged_entries_are_refused(tmp_path: Path):
    path = tmp_path / "ae.pt"
    compressed = forge(saved(torch.zeros(1 << 20)), lambda p: p, True, compress_type=zipfile.ZIP_DEFLATED)
    assert len(compressed) < 20_000
    assert "compressed entry" in refused(load_torch, path, compressed)
    data = bytearray(saved(torch.ones(64)))
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<II", data, directory + 20, 1 << 30, 1 << 30)
    assert "larger than the file" in refused(load_torch, path, bytes(data))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("weights.txt", "1 2 3")
    assert "without the data.pkl" in refused(load_torch, path, other.getvalue())
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), script)
    assert "TorchScript" in refused(load_torch, path, script.getvalue())


@FUZZ
@given(data=st.data())
def test_damaged_files_of_torch_are_refused_in_a_sentence(tmp_path: Path, data: st.DataObject):
    modern = data.draw(st.booleans())
    whole = bytearray(saved({"w": torch.arange(6.0), "n": [1, "x"], "cut": torch.ones(3)[1:]}, modern=modern))
    damage(data, whole, load_torch, tmp_path / "ae.pt")


@FUZZ
@given(data=st.data())
def test_damaged_pickles_are_refused_in_a_sentence(tmp_path: Path, data: st.DataObject):
    values = {"w": torch.arange(6), "n": [1, "x", {2: (3, None)}], "a": np.arange(3), "s": np.float64(1)}
    whole = bytearray(pickle.dumps(values, data.draw(st.integers(0, 5))))
    damage(data, whole, read_pickled_values, tmp_path / "x.pkl")


def damage(data: st.DataObject, whole: bytearray, read: Callable[[Path], Any], path: Path) -> None:
    """Cut or change some bytes: the file is read or refused as bad input, and no other error comes out."""
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(1, len(whole) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with contextlib.suppress(InputError):
        read(path)


# --- numpy --------------------------------------------------------------------------------------------------------


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_are_read(tmp_path: Path, save: Any):
    arrays = {
        "W_enc": np.arange(12, dtype=np.float32).reshape(3, 4),
        "columns": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "scalar": np.array(2.5),
        "none": np.zeros((0, 4), np.float16),
        "flags": np.array([True, False]),
    }
    save(tmp_path / "params.npz", **arrays)
    values = load_npz(tmp_path / "params.npz")
    assert equal(values, {name: torch.from_numpy(array) for name, array in arrays.items()})


@pytest.mark.parametrize("mmap", [True, False])
def test_npy_files_are_read(tmp_path: Path, mmap: bool):
    np.save(tmp_path / "shard.npy", np.arange(9, dtype=np.uint16))
    values = load_npy(tmp_path / "shard.npy", mmap=mmap)
    assert values.dtype == torch.uint16
    assert values.tolist() == list(range(9))


def test_arrays_that_are_no_numbers_are_refused(tmp_path: Path):
    marker = tmp_path / "marker"
    objects = np.array([Call(os.system, f"touch {marker}")], dtype=object)
    assert "holds objects, expected numbers" in refused(load_npz, tmp_path / "x.npz", npz(a=np.ones(2), b=objects))
    assert "holds objects, expected numbers" in refused(load_npy, tmp_path / "x.npy", npy(objects))
    assert not marker.exists()
    for array, answer in (
        (np.arange(3, dtype=">f4"), "big-endian"),
        (np.array(["text"]), "numpy's type '<U4'"),
        (np.zeros(2, dtype=[("a", "f4")]), "expected numbers"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), "expected numbers"),
    ):
        assert answer in refused(load_npy, tmp_path / "x.npy", npy(array))


def test_claims_of_arrays_are_not_believed(tmp_path: Path):
    path = tmp_path / "x.npy"
    good = npy(np.arange(4.0))
    assert "claims shape" in refused(load_npy, path, good.replace(b"(4,), }", b"(9**9,)}").replace(b"9**9", b"9999"))
    assert "claims shape" in refused(load_npy, path, good.replace(b"(4,), }" + b" " * 16, b"(1152921504606846976,)}"))
    assert "damaged header" in refused(load_npy, path, good.replace(b"(4,), }", b"(9**9,)}"[:7]))
    assert "claims shape" in refused(load_npy, path, good[:-1])
    assert "header that claims" in refused(load_npy, path, b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31) + b"{}")
    deep = b"(" * 60_000 + b" " * 5
    assert "damaged header" in refused(load_npy, path, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(deep)) + deep)
    assert "no .npy array" in refused(load_npy, path, b"text")
    assert "is empty" in refused(load_npy, path, b"")


def test_npz_bombs_are_refused(tmp_path: Path):
    path = tmp_path / "x.npz"
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("w.npy", "w", force_zip64=True) as member,
    ):
        header = npy(np.zeros(0)).replace(b"(0,), }          ", b"(12500000,), }   ")
        member.write(header)
        for _ in range(100):
            member.write(bytes(1_000_000))
    assert "which weights do not" in refused(load_npz, path, bomb.getvalue())
    good = npz(a=np.ones(3), b=np.ones(3))
    assert "no zip file" in refused(load_npz, path, good[:-30])
    notes = io.BytesIO(good)
    with zipfile.ZipFile(notes, "a") as archive:
        archive.writestr("../evil.sh", "touch marker")
    assert "no array" in refused(load_npz, path, notes.getvalue())


@FUZZ
@given(data=st.data())
def test_damaged_npz_files_are_refused_in_a_sentence(tmp_path: Path, data: st.DataObject):
    buffer = io.BytesIO()
    save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    save(buffer, a=np.arange(6.0), b=np.ones((2, 2), np.float32))
    damage(data, bytearray(buffer.getvalue()), load_npz, tmp_path / "x.npz")


# --- safetensors ------------------------------------------------------------------------------------------------------


def header_of(text: str | bytes, body: bytes = b"") -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw + body


def test_headers_of_safetensors_are_read_alone(tmp_path: Path):
    tensors = {"W": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3).bfloat16(), "none": torch.empty(0, 3)}
    (path := tmp_path / "w.safetensors").write_bytes(serialise(tensors, {"schema": "x/1"}))
    header = safetensors_header(path)
    assert header == {"W": ("F32", (2, 3)), "b": ("BF16", (3,)), "none": ("F32", (0, 3))}
    assert safetensors_metadata(path) == {"schema": "x/1"}
    assert equal(load_safetensors(path, ["b"]), {"b": tensors["b"]})
    assert equal(dict(sorted(load_safetensors(path).items())), dict(sorted(tensors.items())))
    with pytest.raises(InputError, match="has no tensor V"):
        load_safetensors(path, ["W", "V"])


ENTRY = '"%s":{"dtype":"F32","shape":[2],"data_offsets":[%d,%d]}'


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (struct.pack("<Q", 1 << 60) + b"{}", "claims a header of 1,152,921,504,606,846,976 bytes in a file of 10"),
        (b"abc", "claims a header"),
        (b"", "claims a header"),
        (header_of("{", b""), "damaged safetensors header"),
        (header_of("[" * 50_000), "nested too deeply"),
        (header_of("[1]"), "no JSON object"),
        (header_of("{" + ENTRY % ("a", 0, 8) + "," + ENTRY % ("b", 4, 12) + "}", bytes(12)), "b begins at byte 4"),
        (header_of("{" + ENTRY % ("a", 0, 8) + "," + ENTRY % ("b", 12, 20) + "}", bytes(20)), "b begins at byte 12"),
        (header_of("{" + ENTRY % ("a", 0, 8) + "," + ENTRY % ("a", 8, 16) + "}", bytes(16)), "twice"),
        (header_of("{" + ENTRY % ("a", 0, 8) + "}", bytes(7)), "the file has 7"),
        (header_of("{" + ENTRY % ("a", 0, 8) + "}", bytes(9)), "the file has 9"),
        (header_of("{" + ENTRY % ("a", 0, 4) + "}", bytes(4)), "said to take 4"),
        (header_of('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}'), "no known type, shape or place"),
        (header_of('{"a":{"dtype":"OBJ","shape":[1],"data_offsets":[0,8]}}', bytes(8)), "no known type"),
        (header_of('{"a":{"dtype":"F32","shape":[1e9],"data_offsets":[0,8]}}', bytes(8)), "no known type"),
        (header_of('{"__metadata__":{"a":{"b":1}}}'), "metadata is not text"),
        (header_of(b"\xff\xfe{}"), "damaged safetensors header"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, data: bytes, answer: str):
    assert answer in refused(safetensors_header, tmp_path / "w.safetensors", data)
    assert answer in refused(load_safetensors, tmp_path / "w.safetensors")


@pytest.mark.parametrize("read", [load_torch, read_pickled_values, load_npz, load_npy, safetensors_header])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, read: Callable[[Path], Any]):
    assert "cannot be read: No such file or directory" in refused(read, tmp_path / "gone")

"""Members of archives on a server: only they are fetched, whole and checked, and no archive writes where it likes."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import warnings
import zipfile

import pytest

from saecli.core.lock import Lock, locate
from tests.download.conftest import loose_files
from tests.download.hub import Always, Corrupt, Cut, Whole

NOISE = random.Random(0).randbytes(600_000)
PACKED = b"the same again " * 40_000
MEMBERS = {
    "sweep/standard/trainer0/ae.pt": NOISE,
    "sweep/standard/trainer0/config.json": b'{"trainer": {}}',
    "sweep/gated/trainer1/ae.pt": PACKED,
    "sweep/results.pkl": NOISE[::-1],
    "empty.txt": b"",
}


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **changes) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", method) as file:
        warnings.simplefilter("ignore")
        for name, body in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.compress_type = method
            for key, value in changes.items():
                setattr(info, key, value)
            with file.open(info, "w", force_zip64=name.endswith("results.pkl")) as member:
                member.write(body)
    return sink.getvalue()


@pytest.fixture
def url(hub):
    hub.files["sweep.zip"] = archive(MEMBERS)
    return f"{hub.cdn}/files/sweep.zip"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_only_the_chosen_members_are_fetched(saecli, hub, cache, url, method):
    hub.files["sweep.zip"] = archive(MEMBERS, method)
    outcome = saecli("download", url, "--include", "sweep/*/ae.pt", "--json")
    assert outcome.code == 0, outcome.err
    row = json.loads(outcome.out)["names"][0]
    assert {file["path"]: (file["bytes"], file["verified"]) for file in row["files"]} == {
        "sweep/standard/trainer0/ae.pt": (len(NOISE), "zip crc32"),
        "sweep/gated/trainer1/ae.pt": (len(PACKED), "zip crc32"),
    }
    place = locate(f"{url}!")
    assert loose_files(place) == {file["path"] for file in row["files"]}
    for path in loose_files(place):
        assert (place / path).read_bytes() == MEMBERS[path]
    assert len(hub.seen) == 4, "the size, the directory, and one request per member"
    assert not list(cache.files.rglob("*.incomplete"))


@pytest.mark.parametrize("form", ["{url}!/sweep/standard", "{url}!/sweep/standard/*"])
def test_members_can_be_named_in_the_source(saecli, hub, cache, url, form):
    row = json.loads(saecli("download", form.format(url=url), "--plan", "--json").out)["names"][0]
    assert [file["path"] for file in row["files"]] == [
        "sweep/standard/trainer0/ae.pt",
        "sweep/standard/trainer0/config.json",
    ]
    assert loose_files(cache.files) == set()


def test_members_of_an_archive_on_the_hub(saecli, hub, cache):
    commit = hub.repository("org/saes", {"sweep.zip": archive(MEMBERS), "b.txt": b"b"}, large=("sweep.zip",))
    outcome = saecli("download", "hf:org/saes/sweep.zip!/empty.txt", "--json")
    assert outcome.code == 0, outcome.err
    row = json.loads(outcome.out)["names"][0]
    assert (row["name"], row["revision"]) == ("hf:org/saes/sweep.zip!", commit)
    assert (locate("hf:org/saes/sweep.zip!") / "empty.txt").read_bytes() == b""
    more = saecli("download", "hf:org/saes/sweep.zip", "--include", "*/config.json")
    assert more.code == 0
    assert loose_files(locate("hf:org/saes/sweep.zip!")) == {"empty.txt", "sweep/standard/trainer0/config.json"}
    hub.seen.clear()
    assert saecli("download", "hf:org/saes/sweep.zip", "--include", "*/config.json").code == 0
    assert hub.seen == []


def test_without_members_the_archive_itself_is_fetched(saecli, hub, cache, url):
    assert saecli("download", url).code == 0
    assert locate(url).read_bytes() == hub.files["sweep.zip"]


def test_a_member_continues_where_it_stopped(saecli, hub, cache, url, monkeypatch):
    from dataclasses import replace

    from saecli.download import engine

    monkeypatch.setattr(engine, "PATIENCE", replace(engine.PATIENCE, attempts=1))
    hub.faults["sweep.zip"] = [None, None, Cut(200_000)]
    name = f"{url}!/sweep/standard/trainer0/ae.pt"
    assert saecli("download", name).code == 3
    assert loose_files(cache.files) == set()
    hub.seen.clear()
    assert saecli("download", name).code == 0
    start = int(hub.seen[-1].range.removeprefix("bytes=").partition("-")[0])
    assert start == 200_000, "the first member begins at 0"
    assert (locate(f"{url}!") / "sweep/standard/trainer0/ae.pt").read_bytes() == NOISE


def test_a_wrong_byte_is_found(saecli, hub, cache, url):
    hub.faults["sweep.zip"] = [None, None, Always(Corrupt(5_000))]
    outcome = saecli("download", f"{url}!/sweep/standard/trainer0/ae.pt")
    assert outcome.code == 3
    assert "sweep/standard/trainer0/ae.pt of " in outcome.err
    assert "arrived damaged" in outcome.err
    assert loose_files(cache.files) == set()
    assert not list(cache.files.rglob("*.incomplete"))
    hub.faults.clear()
    assert saecli("download", f"{url}!/sweep/standard/trainer0/ae.pt").code == 0


def test_another_content_later_is_an_error_with_both_values(saecli, hub, cache, url):
    saecli("download", f"{url}!/empty.txt")
    (locate(f"{url}!") / "empty.txt").unlink()
    hub.files["sweep.zip"] = archive({**MEMBERS, "empty.txt": b"not any more"})
    outcome = saecli("download", f"{url}!/empty.txt")
    assert outcome.code == 3
    for body in (b"", b"not any more"):
        assert hashlib.sha256(body).hexdigest() in outcome.err


def refused(saecli, hub, cache, body, include="*"):
    hub.files["bad.zip"] = body
    outcome = saecli("download", f"{hub.cdn}/files/bad.zip", "--include", include)
    assert outcome.code == 3
    assert loose_files(cache.files) == set()
    assert not list(cache.files.parent.parent.rglob("evil*"))
    return outcome.err


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../evil", "'..'"),
        ("a/../../evil", "'..'"),
        ("/evil", "an absolute path"),
        ("C:/evil", "an absolute path"),
        ("..\\evil", "a backslash"),
        ("evil\0.pt", "a control character"),
        ("evil\n.pt", "a control character"),
        ("a/AUX.json", "the name of a device"),
        ("evil.", "a name that not every file system can hold"),
        ("a/evil:stream", "a name that not every file system can hold"),
        ("a//evil", "an empty part"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(saecli, hub, cache, name, reason):
    error = refused(saecli, hub, cache, archive({"good.txt": b"good", name: b"evil"}))
    assert f"with {reason}, so nothing of it is written" in error


@pytest.mark.parametrize("names", [("a/b", "A/B"), ("caf\u00e9", "cafe\u0301"), ("a", "A/b")])
def test_names_that_are_one_file_on_some_systems_are_refused(saecli, hub, cache, names):
    error = refused(saecli, hub, cache, archive(dict.fromkeys(names, b"evil")))
    assert "which are one file on some file systems" in error or "as a file and as a folder" in error


def test_links_and_devices_are_refused(saecli, hub, cache):
    for mode in (0o120777, 0o060666):
        body = archive({"link": b"/etc/passwd"}, external_attr=mode << 16, create_system=3)
        assert "is a link or a device" in refused(saecli, hub, cache, body)


def test_encrypted_members_are_refused(saecli, hub, cache):
    body = bytearray(archive({"a.pt": b"secret"}))
    body[body.index(b"PK\x01\x02") + 8] |= 1
    assert "a.pt in " in (error := refused(saecli, hub, cache, bytes(body)))
    assert "is encrypted" in error


def test_other_methods_are_refused(saecli, hub, cache):
    body = archive({"a.pt": b"x" * 1000}, zipfile.ZIP_LZMA)
    assert "is packed by method 14 (stored and deflated are read)" in refused(saecli, hub, cache, body)


def test_bombs_are_refused_by_what_they_declare(saecli, hub, cache):
    body = archive({"zeros": bytes(8 << 20)})
    assert "would grow 1,02" in refused(saecli, hub, cache, body)


def test_bombs_are_refused_by_what_they_do(saecli, hub, cache):
    body = bytearray(archive({"zeros": bytes(3 << 20)}))
    entry = body.index(b"PK\x01\x02")
    body[entry + 24 : entry + 28] = struct.pack("<L", 1000)  # it declares a thousand bytes
    assert "unpacks to more than the 1,000 bytes it declares" in refused(saecli, hub, cache, bytes(body))


def test_members_that_overlap_are_refused(saecli, hub, cache):
    body = bytearray(archive({"a": NOISE[:5000], "b": NOISE[5000:9000]}, zipfile.ZIP_STORED))
    second = body.index(b"PK\x01\x02", body.index(b"PK\x01\x02") + 4)
    body[second + 42 : second + 46] = struct.pack("<L", 100)  # b begins inside of a
    assert "overlaps another member" in refused(saecli, hub, cache, bytes(body))


def test_a_directory_larger_than_its_archive_is_not_allocated(saecli, hub, cache):
    body = bytearray(archive(MEMBERS))
    end = body.rindex(b"PK\x05\x06")
    body[end + 12 : end + 16] = struct.pack("<L", 0xFFFFFFF0)
    assert "is no zip archive that can be read" in refused(saecli, hub, cache, bytes(body))


@pytest.mark.parametrize("body", [b"", b"not a zip", NOISE, archive(MEMBERS)[:-100]])
def test_what_is_no_archive_is_refused(saecli, hub, cache, body):
    assert "no zip archive" in (error := refused(saecli, hub, cache, body)) or "size of" in error


def test_a_server_without_parts_is_named(saecli, hub, cache):
    hub.faults["bad.zip"] = [Always(Whole())]
    error = refused(saecli, hub, cache, archive(MEMBERS))
    assert "The server gives no parts of " in error
    assert "Leave out --include" in error


def test_a_pattern_without_members_shows_some(saecli, hub, cache):
    error = refused(saecli, hub, cache, archive(MEMBERS), include="*.safetensors")
    assert "has no member like *.safetensors. It has 5, such as sweep/standard/trainer0/ae.pt" in error


def test_a_large_directory_is_fetched_apart_from_the_end(saecli, hub, cache):
    hub.files["many.zip"] = archive({f"folder/{i:05d}-{'x' * 60}.txt": b"%d" % i for i in range(1500)})
    assert saecli("download", f"{hub.cdn}/files/many.zip!/folder/00007*").code == 0
    (entry,) = Lock.read(cache.lock).names.values()
    assert [file.bytes for file in entry.files] == [1]

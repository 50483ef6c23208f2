"""Files of any server, of Google Drive, and the ways in which servers and people go wrong."""

from __future__ import annotations

import hashlib
import json

import pytest

from saecli.core.lock import Lock, locate
from saecli.download import web
from tests.download.conftest import loose_files
from tests.download.hub import Always, Corrupt, Cut, Silent, Status, Whole

BODY = bytes(range(256)) * 4_000


@pytest.fixture
def url(hub):
    hub.files["table.npz"] = BODY
    return f"{hub.cdn}/files/table.npz"


def once(monkeypatch, **changes):
    from dataclasses import replace

    from saecli.download import engine

    monkeypatch.setattr(engine, "PATIENCE", replace(engine.PATIENCE, attempts=1, **changes))


def test_a_file_arrives_and_the_lock_says_it_was_trusted(saecli, hub, cache, url):
    outcome = saecli("download", url, "--json")
    assert outcome.code == 0, outcome.err
    (file,) = json.loads(outcome.out)["names"][0]["files"]
    assert file == {
        "path": "table.npz",
        "bytes": len(BODY),
        "here": False,
        "sha256": hashlib.sha256(BODY).hexdigest(),
        "verified": "first use",
    }
    assert locate(url).read_bytes() == BODY
    hub.seen.clear()
    assert saecli("download", url).code == 0
    assert hub.seen == []


def test_another_content_later_is_an_error_with_both_values(saecli, hub, cache, url):
    saecli("download", url)
    locate(url).unlink()
    hub.files["table.npz"] = other = BODY[:-1] + b"?"
    outcome = saecli("download", url)
    assert outcome.code == 3
    for body in (BODY, other):
        assert hashlib.sha256(body).hexdigest() in outcome.err
    assert loose_files(cache.files) == set()


@pytest.mark.parametrize("fault", [Cut(500_000), Silent(500_000)])
def test_the_next_call_continues_where_it_stopped(saecli, hub, cache, url, monkeypatch, fault):
    once(monkeypatch, read_s=0.2)
    hub.faults["table.npz"] = [None, fault]
    assert saecli("download", url).code == 3
    assert loose_files(cache.files) == set()
    hub.seen.clear()
    assert saecli("download", url).code == 0
    assert [one.range for one in hub.seen] == ["bytes=0-0", "bytes=500000-1023999"]
    assert locate(url).read_bytes() == BODY


@pytest.mark.parametrize("etag", ['"changed"', ""])
def test_a_part_of_another_file_is_thrown_away(saecli, hub, cache, url, monkeypatch, etag):
    once(monkeypatch)
    hub.faults["table.npz"] = [None, Cut(500_000)]
    saecli("download", url)
    hub.files["table.npz"] = BODY[::-1]
    if not etag:
        hub.etags["table.npz"] = 'W/"weak"'
    hub.seen.clear()
    assert saecli("download", url).code == 0
    assert [one.range for one in hub.seen] == ["bytes=0-0", ""]
    assert locate(url).read_bytes() == BODY[::-1]


def test_a_server_without_parts_starts_again(saecli, hub, cache, url, monkeypatch):
    hub.faults["table.npz"] = [Whole(), Cut(500_000), Always(Whole())]
    assert saecli("download", url).code == 0
    assert locate(url).read_bytes() == BODY


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "127.0.0.1 gives {url} only to those who log in (401)."),
        (403, "127.0.0.1 refuses {url} (403)."),
        (404, "127.0.0.1 has no {url} (404). Check the address."),
        (429, "127.0.0.1 asks for fewer requests (429) and does not give {url} now."),
        (503, "127.0.0.1 cannot give {url} at the moment (503)."),
    ],
)
def test_a_refusal_is_one_sentence(saecli, hub, cache, url, status, sentence):
    hub.faults["table.npz"] = [Always(Status(status))]
    outcome = saecli("download", url)
    assert outcome.code == 3
    assert sentence.format(url=url) in outcome.err
    assert loose_files(cache.files) == set()


def test_credentials_are_used_and_never_told(saecli, hub, cache, url):
    secret = url.replace("//", "//anna:s3cr3t@") + "?access_token=t0k3n&v=2&X-Amz-Signature=s1gn"
    hub.faults["table.npz"] = [Always(Status(403))]
    refused = saecli("download", secret)
    hub.faults.clear()
    outcome = saecli("download", secret, "--json")
    assert outcome.code == 0
    assert {one.token for one in hub.seen} == {"Basic YW5uYTpzM2NyM3Q="}
    assert all("access_token=t0k3n" in one.path for one in hub.seen)
    told = refused.err + outcome.out + outcome.err + cache.lock.read_text()
    assert not [word for word in ("s3cr3t", "t0k3n", "s1gn", "anna") if word in told]
    assert Lock.read(cache.lock).find(f"{url}?v=2") is not None
    hub.seen.clear()
    assert saecli("download", secret.replace("t0k3n", "an0th3r")).code == 0
    assert hub.seen == []


def test_a_redirect_to_an_unencrypted_server_is_refused(saecli, hub, cache, url):
    hub.faults["table.npz"] = [Status(302, {"Location": "http://example.org/table.npz?token=abc"})]
    outcome = saecli("download", url)
    assert outcome.code == 3
    assert "leads to http://example.org/table.npz, which is not fetched: it is not https." in outcome.err


@pytest.mark.parametrize("told", ["../../evil", "/etc/passwd", "a\\b", "CON", ".."])
def test_a_server_does_not_choose_where_a_file_goes(saecli, hub, cache, url, told):
    hub.headers["Content-Disposition"] = f'attachment; filename="{told}"'
    assert saecli("download", url).code == 0
    place = locate(url)
    assert place.parent == cache.files_of(url)
    assert place.read_bytes() == BODY


@pytest.fixture
def drive(hub, monkeypatch):
    monkeypatch.setattr(web, "DRIVE", hub.cdn)
    return "1kxpZkpdL2Yhs3xnv2zhbDw-OnlBkzZcx"


def test_a_file_of_google_drive(saecli, hub, cache, drive):
    hub.files[f"uc?export=download&id={drive}"] = BODY
    hub.headers["Content-Disposition"] = 'attachment; filename="connections_100.pkl"'
    link = f"https://drive.google.com/file/d/{drive}/view?usp=sharing"
    assert saecli("download", link).code == 0
    assert locate(f"https://drive.google.com/file/d/{drive}").name == "connections_100.pkl"


def test_a_large_file_of_google_drive_is_confirmed(saecli, hub, cache, drive):
    fields = f'<input type="hidden" name="id" value="{drive}"><input type="hidden" name="confirm" value="t">'
    page = f'<html><form id="download-form" action="{hub.cdn}/download">{fields}<input type="submit"></form></html>'
    hub.files[f"uc?export=download&id={drive}"] = page.encode()
    hub.files[f"download?id={drive}&confirm=t"] = BODY
    hub.page(f"uc?export=download&id={drive}")
    outcome = saecli("download", f"https://drive.google.com/uc?id={drive}")
    assert outcome.code == 0, outcome.err
    assert locate(f"https://drive.google.com/file/d/{drive}").read_bytes() == BODY


def test_a_page_instead_of_a_file_of_google_drive_asks_for_a_hand(saecli, hub, cache, drive):
    hub.files[f"uc?export=download&id={drive}"] = b"<html>Too many users have viewed this file.</html>"
    hub.page(f"uc?export=download&id={drive}")
    outcome = saecli("download", f"https://drive.google.com/file/d/{drive}")
    assert outcome.code == 3
    assert "Fetch it in a browser" in outcome.err


def test_a_folder_of_google_drive_is_asked_for_and_taken_in(saecli, hub, cache, drive):
    link = f"https://drive.google.com/drive/folders/{drive}"
    outcome = saecli("download", link)
    assert outcome.code == 3
    folder = cache.files_of(link)
    assert f"{link} is a folder of Google Drive. Fetch it in a browser, then put its files into {folder}" in outcome.err
    (folder / "top_connections_10.pkl").write_bytes(b"pairs")
    (folder / "top_connections_20.pkl").write_bytes(b"more pairs")
    assert saecli("download", link).code == 0
    assert locate(link) == folder
    (folder / "top_connections_10.pkl").write_bytes(b"other pairs")
    assert "is not what it was" in saecli("download", link).err


def test_a_wrong_byte_of_a_known_file_is_found(saecli, hub, cache, url):
    saecli("download", url)
    locate(url).unlink()
    hub.faults["table.npz"] = [None, Corrupt(7)]
    outcome = saecli("download", url)
    assert outcome.code == 3
    assert "is not what it was: the lock says sha256" in outcome.err
    assert saecli("download", url).code == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("http://example.org/a.npz", "http://example.org/a.npz would be fetched unencrypted. Use https."),
        ("ftp://example.org/a", "ftp://example.org/a is no address that can be fetched."),
        ("hf:org/../a", "'hf:org/../a' names no repository."),
        ("hf:org/a/../b", "'hf:org/a/../b' names a path with '..'."),
        ("gpt2-smal", "'gpt2-smal' is neither a name of the zoo nor a source."),
        ("https://drive.google.com/drive/my-drive", "names no file of Google Drive."),
    ],
)
def test_a_name_that_means_nothing_is_a_usage_error(saecli, cache, name, sentence):
    outcome = saecli("download", name)
    assert outcome.code == 2
    assert sentence in outcome.err

"""Token vocabularies: text to token ids and back, without pickles and without transformers.

``othello``, ``chess`` and ``ascii`` are built in; Hugging Face tokenizers are read from ``tokenizer.json`` by the
``tokenizers`` library, imported when one is opened.

Sources: OthelloGPT (https://github.com/likenneth/othello_world), ChessGPT
(https://github.com/adamkarvonen/chess_llm_interpretability), gpt-circuits' ASCII tokenizer.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from saecli.core.errors import InputError, UsageError, did_you_mean
from saecli.core.inputs import hash_file
from saecli.core.lock import locate
from saecli.games.chess_text import CHARACTERS

TOKENIZER: Final = "tokenizer.json"
BUILT_IN: Final = ("othello", "chess", "ascii")

_SUPPLIERS: Final = {"gpt2": "gpt2", "gpt-neo": "gpt2", "pythia": "pythia-70m", "gemma": "gemma-2-2b"}
"""Vocabulary → the smallest model of the zoo that comes with it."""

_MAX_BYTES: Final = 1 << 27


class Vocabulary(ABC):
    """Tokens of a language model.

    Attributes:
        name: What it is called: a built-in name, or that of the model or folder it came with.
        size: Number of tokens; ids are 0..size - 1.
        bos, eos, pad: Token that starts a document, that ends one, that fills up a sequence; None without.
        files: Files that define it, where its name does not.
    """

    name: str
    size: int
    bos: int | None = None
    eos: int | None = None
    pad: int | None = None
    files: tuple[Path, ...] = ()

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Text to token ids, nothing added.

        Raises:
            InputError: The vocabulary has no tokens for it.
        """

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Token ids to text; bytes that are no text become U+FFFD."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Several texts to token ids."""
        return [self.encode(text) for text in texts]

    def token_text(self, token: int) -> str:
        r"""One token for people: what cannot be printed is spelled out, as ``\n`` and ``\xe2``."""
        return _visible(self.decode([token]))

    def record(self) -> dict[str, Any]:
        """What is written beside tokens: the name, the size, and a digest where others have the same name."""
        return {"name": self.name, "size": self.size}

    def _check(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self.size:
                raise InputError(f"The vocabulary {self.name} has tokens 0..{self.size - 1}, not {token}.")


class Othello(Vocabulary):
    """Moves of Othello: token 0 is pass, 1..60 are the squares that are played. Text is ``F5 D6 C3``."""

    name, size = "othello", 61

    def encode(self, text: str) -> list[int]:
        """See :func:`saecli.games.othello.parse_game`; the rules are not checked."""
        from saecli.games import othello

        try:
            return othello.moves_to_tokens(othello.parse_game(text)).tolist()
        except ValueError as error:
            raise InputError(f"{error}.") from error

    def decode(self, tokens: Sequence[int]) -> str:
        from saecli.games import othello

        self._check(tokens)
        return " ".join(othello.token_name(int(token)) for token in tokens)


class Characters(Vocabulary):
    """One token per character.

    Args:
        name: What it is called.
        characters: In the order of their tokens.
        replacement: Stands for characters that are not there; without it they are an error.
    """

    def __init__(self, name: str, characters: str, replacement: str = "") -> None:
        self.name, self.size = name, len(characters)
        self._characters = characters
        self._tokens = {character: token for token, character in enumerate(characters)}
        self._replacement = self._tokens.get(replacement)

    def encode(self, text: str) -> list[int]:
        found = [self._tokens.get(character, self._replacement) for character in text]
        if None in found:
            bad = text[found.index(None)]
            raise InputError(f"The vocabulary {self.name} has no {bad!r} (U+{ord(bad):04X}).")
        return [token for token in found if token is not None]

    def decode(self, tokens: Sequence[int]) -> str:
        self._check(tokens)
        return "".join(self._characters[token] for token in tokens)


class HuggingFace(Vocabulary):
    """A tokenizer of Hugging Face; special tokens in a text are read as such.

    Args:
        file: ``tokenizer.json``; ``tokenizer_config.json`` beside it names the tokens that start and end documents.
        name: What it is called.

    Raises:
        InputError: Missing or damaged.
    """

    def __init__(self, file: Path, name: str) -> None:
        from tokenizers import Tokenizer

        self.name, self._file = name, file
        document = _document(file)
        try:
            self._tokenizer = Tokenizer.from_str(json.dumps(document))
        except Exception as error:  # the library raises nothing more specific
            raise InputError(f"{file} is no tokenizer of Hugging Face: {error}.", "Fetch it again.") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.size = max(self._tokenizer.get_vocab(True).values(), default=-1) + 1
        self._byte_level = '"ByteLevel"' in json.dumps(document.get("decoder"))
        beside = file.with_name("tokenizer_config.json")
        config = _document(beside) if beside.is_file() else {}
        self.bos = self._special(config.get("bos_token"))
        self.eos = self._special(config.get("eos_token", "<|endoftext|>"))
        self.pad = self._special(config.get("pad_token"))
        self.files = () if name in _SUPPLIERS else (file, *([beside] if beside.is_file() else []))

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [one.ids for one in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, tokens: Sequence[int]) -> str:
        self._check(tokens)
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    def token_text(self, token: int) -> str:
        self._check([token])
        text = self._tokenizer.id_to_token(token)
        if text is None:
            return f"<{token}>"
        if byte := re.fullmatch("<0x([0-9A-F]{2})>", text):
            return _visible(bytes.fromhex(byte[1]).decode("utf-8", "backslashreplace"))
        if self._byte_level and all(character in _BYTES for character in text):
            raw = bytes(_BYTES[character] for character in text)
            return _visible(raw.decode("utf-8", "backslashreplace"))
        return _visible(text.replace("▁", " "))

    @cached_property
    def sha256(self) -> str:
        """Digest of the file."""
        return hash_file(self._file)

    def record(self) -> dict[str, Any]:
        return {**super().record(), "tokenizer_sha256": self.sha256}

    def _special(self, named: Any) -> int | None:
        text = named.get("content") if isinstance(named, dict) else named
        return self._tokenizer.token_to_id(text) if isinstance(text, str) else None


def load_vocabulary(name: str, folder: Path | None = None) -> Vocabulary:
    """A vocabulary by name, or that of a folder.

    Args:
        name: A built-in name, the name of a model that is downloaded, or a folder with ``tokenizer.json``; a tokenizer
            in ``folder`` goes by this name.
        folder: Where ``tokenizer.json`` may be.

    Raises:
        UsageError: No such vocabulary.
        InputError: It is not downloaded yet, or damaged.
    """
    if name == "othello":
        return Othello()
    if name == "chess":
        return Characters("chess", CHARACTERS)
    if name == "ascii":
        return Characters("ascii", "".join(map(chr, range(128))), replacement="?")
    here = folder if folder is not None and (folder / TOKENIZER).is_file() else None
    here = here or (Path(name) if name and (Path(name) / TOKENIZER).is_file() else None)
    supplier = _SUPPLIERS.get(name, name)
    here = here or (locate(supplier) if supplier else None)
    if here is not None and (file := _file(here)):
        return HuggingFace(file, name or str(folder))
    if name in _SUPPLIERS:
        hint = f"Get it: saecli download {supplier} --include '*token*'"
        raise InputError(f"The vocabulary {name} is not downloaded yet.", hint)
    if folder is not None and not name:
        raise InputError(f"The vocabulary of {folder} is not known: it has no {TOKENIZER}.")
    known = (*BUILT_IN, *_SUPPLIERS)
    hint = did_you_mean(name, known) or f"Known: {', '.join(known)}, or a folder with {TOKENIZER}."
    raise UsageError(f"There is no vocabulary {name!r}.", hint)


def _file(place: Path) -> Path | None:
    file = place / TOKENIZER if place.is_dir() else place.with_name(TOKENIZER)
    return file if file.is_file() else None


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        document = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}.", "Fetch it again.") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is no JSON object of at most {_MAX_BYTES:,} bytes.", "Fetch it again.")
    return document


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _byte_table() -> dict[str, int]:
    """Character → byte, as byte-level tokenizers write bytes: printable Latin-1 as itself, the rest from U+0100 on."""
    itself = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(itself)]
    return {chr(byte): byte for byte in itself} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES: Final = _byte_table()

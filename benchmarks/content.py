"""File contents that compress like the real thing: code, JSON, notes, logs, binaries, database pages.

Owns: bytes from a seed. Does not own: where files lie (`workspaces.py`), the words (`vocabulary.toml`).

Every maker takes a `random.Random` and a size, and gives exactly that many bytes. Ratios were set beside
trees of installed software (zstd level 3, each alone / grouped by 512 KiB): Python 0.26 / 0.23, JavaScript
0.30 / 0.22, notes 0.35 / 0.23, shared objects 0.31 / 0.31, service logs 0.1 to 0.2; pictures do not shrink.
"""

import base64
import random
import tomllib
from pathlib import Path

PAGE_BYTES = 4096

_DATA = tomllib.loads(Path(__file__).with_name("vocabulary.toml").read_text())
WORDS = _DATA["words"].split()
LICENCES = _DATA["licences"].rstrip("\n").split("\n%%\n")
TEMPLATES = {
    name: [part + "\n" for part in text.removesuffix("\n").split("\n%%\n")]
    for name, text in _DATA["templates"].items()
}
# kind: (its templates, how a comment starts)
FORMATS = {
    "py": ("python", "#"),
    "ts": ("script", "//"),
    "js": ("script", "//"),
    "md": ("notes", ">"),
    "json": ("record", ""),
}


class Word(str):
    """A word that also knows its capitalised form, so that templates can ask for it."""

    __slots__ = ("title",)

    def __new__(cls, text):
        word = super().__new__(cls, text)
        word.title = text.capitalize()
        return word


LEXICON = [Word(word) for word in WORDS]


class Voice:
    """What the files of one package have in common: favourite words, a licence, a house style."""

    def __init__(self, rng):
        base = rng.sample(LEXICON, 70)
        pairs = [Word(f"{a}_{b}") for a, b in zip(rng.sample(base, 40), rng.sample(base, 40), strict=True)]
        self.words = base + pairs
        self.licence = rng.choice(LICENCES)

    def text(self, rng, kind, size):
        """A text file of `size` bytes: the package's head, then blocks over the file's own few words."""
        name, comment = FORMATS[kind]
        templates = TEMPLATES[name]
        own = rng.choices(self.words, k=14 + min(60, size // 400)) + rng.choices(LEXICON, k=4 + size // 3000)
        templates = rng.sample(templates, max(3, len(templates) * 3 // 4))
        parts = ["{\n"] if kind == "json" else [f"{comment} {self.licence.format(c=comment)}\n\n"]
        length = len(parts[0])
        while length < size:
            for template in rng.choices(templates, k=8):
                part = template.format(*rng.choices(own, k=6), **_numbers(rng, kind))
                parts.append(part)
                length += len(part)
        return "".join(parts).encode()[:size]


def _numbers(rng, kind):
    bits = rng.getrandbits(40)
    numbers = {"n": bits % 997, "m": bits % 9, "d": 10 + bits % 20}
    if kind == "json":
        numbers["t"] = f"{bits % 24:02d}:{bits // 24 % 60:02d}:{bits // 1440 % 60:02d}"
        numbers["h"] = base64.b64encode(rng.randbytes(64)).decode().rstrip("=")
    return numbers


TRACE = """Traceback (most recent call last):
  File "/srv/app/{0}/{1}.py", line {n}, in {2}
    {3} = self.{4}({1})
  File "/srv/app/{4}/{0}.py", line {m}, in {4}
    raise {5}Error("{3} {1} is missing")
{5}Error: {3} {1} is missing
"""


def log_lines(rng, size, first_second=0):
    """`size` bytes of an agent's log: rising times, call ids, now and then a stack trace."""
    tools = rng.choices(WORDS, k=24)
    lines, length, second = [], 0, first_second
    while length < size:
        bits = rng.getrandbits(64)
        a, b, c = tools[bits % 24], tools[bits // 24 % 24], tools[bits // 576 % 24]
        level = "INFO" if bits % 16 else "WARNING"
        end = "ok" if bits % 16 else "retry"
        day, hour, minute = 1 + second // 86400 % 28, second // 3600 % 24, second // 60 % 60
        line = (
            f"2026-05-{day:02d}T{hour:02d}:{minute:02d}:{second % 60:02d}.{bits % 1000:03d}Z {level}"
            f" agent.{a} call={bits >> 32:08x} tool={b} path=src/{a}/{c}.py status={end} "
            f"ms={bits % 9973}\n"
        )
        if bits % 211 == 0:
            line += TRACE.format(
                a, b, c, tools[bits % 23], tools[bits % 19], a.capitalize(), n=bits % 900, m=bits % 400
            )
        lines.append(line)
        length += len(line)
        second += bits % 4
    return "".join(lines).encode()[:size]


def binary(rng, size):
    """A binary file: half of them pictures or archives that do not shrink, half object code that does."""
    if rng.random() < 0.5:
        return (b"\x89PNG\r\n\x1a\n" + rng.randbytes(size))[:size]
    opcodes = [rng.randbytes(rng.randint(2, 9)) for _ in range(90)]
    strings = [
        f"{a}_{b}\0".encode() for a, b in zip(rng.choices(WORDS, k=60), rng.choices(WORDS, k=60), strict=True)
    ]
    parts, length = [b"\x7fELF\x02\x01\x01" + bytes(57)], 64
    while length < size:
        code = rng.choices(opcodes, k=90)
        code += (
            [rng.randbytes(2) for _ in range(26)] + rng.choices(strings, k=6) + [bytes(rng.randint(4, 60))]
        )
        part = b"".join(code)
        parts.append(part)
        length += len(part)
    return b"".join(parts)[:size]


def database_page(rng, number):
    """One 4 KiB leaf page in the manner of SQLite: header, cell pointers, a gap, cells from the end."""
    cells, used = [], 0
    while True:
        text = f"{rng.choice(WORDS)} {rng.choice(WORDS)} {rng.choice(WORDS)} 2026-05-{rng.randint(1, 28):02d}"
        cell = (number * 64 + len(cells)).to_bytes(4, "big") + rng.randbytes(12) + text.encode()
        if used + len(cell) + 2 * len(cells) > PAGE_BYTES * 85 // 100:
            break
        cells.append(cell)
        used += len(cell)
    head = b"\x0d\0\0" + len(cells).to_bytes(2, "big") + (PAGE_BYTES - used).to_bytes(2, "big") + b"\0"
    at, pointers = PAGE_BYTES, []
    for cell in cells:
        at -= len(cell)
        pointers.append(at.to_bytes(2, "big"))
    return (head + b"".join(pointers)).ljust(PAGE_BYTES - used, b"\0") + b"".join(reversed(cells))


def make(kind, size, seed, package):
    """The bytes of one file.

    Args:
        kind: "py", "ts", "js", "json", "md", "log" or "bin".
        size: Bytes wanted.
        seed: Names this file's own random stream.
        package: Names the stream of what the files of one package share.
    """
    rng = random.Random(seed)
    if kind == "bin":
        return binary(rng, size)
    if kind == "log":
        return log_lines(rng, size)
    return voice(package).text(rng, kind, size)


_voices = {}


def voice(package):
    """The voice of a package; the last few are kept because files come package by package."""
    if package not in _voices:
        if len(_voices) > 64:
            _voices.clear()
        _voices[package] = Voice(random.Random(package))
    return _voices[package]

"""A second reader of the store, written from docs/format.md alone. Trusts nothing; at most 80 lines."""

import json
import struct
import zlib

from blake3 import blake3
from zstandard import DICT_TYPE_RAWCONTENT, ZstdCompressionDict, ZstdDecompressor, get_frame_parameters


def derived(context, data):
    return blake3(data, derive_key_context="casreplay 2026 v1 " + context).digest()


def unzstd(body, raw, prefix=b""):
    assert get_frame_parameters(body).content_size == raw
    prefix = ZstdCompressionDict(prefix, DICT_TYPE_RAWCONTENT) if prefix else None
    return ZstdDecompressor(dict_data=prefix).decompress(body, max_output_size=raw)


class Reader:
    def __init__(self, folder):
        self.copies, self.snapshots, log = {}, {}, (folder / "log").read_bytes()
        first, second = (folder / "format").read_text().splitlines()
        assert (first, log[:32]) == ("casreplay store 1", b"casreplay log 1\n" + bytes.fromhex(second[3:]))
        at, chain, lengths, gone = 32, derived("log chain", bytes(32) + log[:32]), {}, set()
        while at < len(log):
            magic, kind, packed, pairs, raw, size = struct.unpack_from("<4sBBHII", log, at)
            body, end = at + 64 + 8 * pairs, at + 100 + 8 * pairs + size
            chain = derived("log chain", chain + log[at : end - 36])
            assert (magic, chain) == (b"crL1", log[end - 36 : end - 4])
            payload = unzstd(log[body : end - 36], raw) if packed else log[body : end - 36]
            fields = json.loads(payload)
            for number, length in struct.iter_unpack("<II", log[at + 64 : body]):
                lengths[number] = max(length, lengths.get(number, 0))
            assert kind != 1 or derived("snapshot", payload) == log[at + 32 : at + 64]
            self.snapshots |= {log[at + 32 : at + 64].hex(): fields} if kind == 1 else {}
            gone.update(fields["ids"] if kind == 2 else fields["dropped"] if kind == 3 else ())
            at = end
        self.snapshots = {name: one for name, one in self.snapshots.items() if name not in gone}
        for number in set(lengths) - gone:
            self.scan((folder / "segments" / f"{number:08d}.seg").read_bytes()[: lengths[number]], 16)

    def scan(self, data, at):
        while at < len(data):
            kind, is_a, packed, depth, raw, size, n, _, *sums = struct.unpack_from("<4x4B2I2H2I", data, at)
            start = at + 28 + (36 * n if kind == 2 else 32 + 8 * (kind == 3) + 32 * (packed == 2))
            table, body = data[at + 28 : start], data[start : start + size]
            assert sums == [zlib.crc32(body), zlib.crc32(data[at : at + 24] + table)]
            for i in range(n):
                copies = self.copies.setdefault(table[32 * i : 32 * i + 32], [])
                copies.append((depth, kind, is_a, packed, raw, table, body, i))
            at = start + size

    def body(self, name, limit=33):
        depth, kind, is_a, packed, raw, table, body, i = min(c for c in self.copies[name] if c[0] < limit)
        if packed:
            body = unzstd(body, raw, self.body(table[-32:], depth)[0] if packed == 2 else b"")
        n = len(table) // 36
        lengths = struct.unpack(f"<{n}I", table[32 * n :]) if kind == 2 else (len(body),)
        return body[sum(lengths[:i]) : sum(lengths[: i + 1])], kind, is_a

    def get(self, name):
        raw, kind, is_a = self.body(name)
        raw = b"".join(self.get(raw[i : i + 32]) for i in range(0, len(raw), 36)) if kind == 3 else raw
        assert (derived("tree", raw) if is_a == 2 else blake3(raw).digest()) == name
        return raw

    def files(self, tree, path=b""):
        raw = self.get(tree)
        n, is_node = struct.unpack_from("<I", raw, 4)[0], raw[:4] == b"crN1"
        at = 8 + n * (40 if is_node else 44)
        end = at + 4 + struct.unpack_from("<I", raw, at)[0]
        inner = iter([raw[i : i + 32] for i in range(end + (0 if is_node else 8 * n), len(raw), 32)])
        for i, name in enumerate(raw[at + 4 : end].split(b"\0") if n else ()):
            if not is_node:
                blob, kind = raw[8 + 12 * n + 32 * i :][:32], chr(raw[8 + i])
                yield path + name, kind, self.get(blob) if kind in "fxl" and raw[8 + n + i] < 3 else None
            if is_node or kind == "d":
                yield from self.files(next(inner), path if is_node else path + name + b"/")

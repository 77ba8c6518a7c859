from __future__ import annotations

from support.cache_folder import CacheFolder

from casreplay.codec.hashing import blob_id
from casreplay.forensics.secrets.blobs import BlobSecrets
from casreplay.forensics.secrets.cache import NoCache, StoredCache, cache_key
from casreplay.forensics.secrets.model import FileKind
from casreplay.forensics.secrets.scanner import SecretScanner, fingerprinter

SECRET = "Xk9" + "mQ2vLr7w"
TEXT = f"password={SECRET}\n".encode()
SCANNER = SecretScanner(fingerprinter(b"k" * 32), engine="re")


def test_a_blob_is_read_once_a_rule_set() -> None:
    read = []

    def stream(blob):
        read.append(blob)
        yield TEXT

    folder = CacheFolder()
    cache = StoredCache(folder.read, folder.write)
    first = BlobSecrets(SCANNER, cache, stream).of(blob_id(TEXT), b"a.log")
    cache.save()
    again = BlobSecrets(SCANNER, StoredCache(folder.read, folder.write), stream)
    assert again.of(blob_id(TEXT), b"b.log") == first
    assert (again.remembered, again.scanned, len(read)) == (1, 0, 1)
    assert again.of(blob_id(TEXT), b"b.yaml") != ()
    assert again.scanned == 1


def test_the_file_holds_no_value() -> None:
    folder = CacheFolder()
    cache = StoredCache(folder.read, folder.write)
    BlobSecrets(SCANNER, cache, lambda _blob: iter([TEXT])).of(blob_id(TEXT), b"a.log")
    cache.save()
    stored = folder.files["secrets"]
    assert not any(SECRET[i : i + 6].encode() in stored for i in range(len(SECRET) - 5))


def test_damage_costs_a_scan_and_nothing_else() -> None:
    folder = CacheFolder()
    cache = StoredCache(folder.read, folder.write)
    cache.put(b"a" * 16, ())
    cache.put(b"b" * 16, SCANNER.scan_bytes(TEXT, b"a.log"))
    cache.save()
    good = folder.files["secrets"]
    folder.files["secrets"] = b"{broken\n\xff\xfe\n[1]\n" + good[:-20]
    survivor = StoredCache(folder.read, folder.write)
    assert survivor.get(b"a" * 16) == ()
    assert survivor.get(b"b" * 16) is None


def test_nothing_added_nothing_written() -> None:
    folder = CacheFolder()
    StoredCache(folder.read, folder.write).save()
    assert folder.files == {}


def test_keys_depend_on_blob_rules_and_kind() -> None:
    keys = {
        cache_key(blob_id(blob), rules, kind)
        for blob in (b"1", b"2")
        for rules in (b"r", b"s")
        for kind in (FileKind.LOG, FileKind.CODE)
    }
    assert len(keys) == 8


def test_only_what_the_earlier_content_did_not_hold_is_new() -> None:
    other = b"password=An0ther" + b"Val9ue\n"
    blobs = {blob_id(TEXT): TEXT, blob_id(TEXT + other): TEXT + other}
    secrets = BlobSecrets(SCANNER, NoCache(), lambda blob: iter([blobs[blob]]))
    old, new = blobs
    [match] = secrets.new_since(old, new, b"a.log")
    assert match.line == 2
    assert len(secrets.new_since(None, new, b"a.log")) == 2

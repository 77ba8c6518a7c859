from __future__ import annotations

from support.cache_folder import CacheFolder
from support.pairs import blob_secrets, make_pair

from casreplay.forensics.triggers import check as module
from casreplay.forensics.triggers.check import check
from casreplay.forensics.triggers.log_cache import LogCache
from casreplay.model.config import Config, TriggerConfig

PAIR = make_pair({"a.log": b"INFO ok\n"}, {"a.log": b"INFO ok\nERROR: broken\n  why\n"})


def look(folder: CacheFolder, config: Config | None = None):
    cache = LogCache(folder.read, folder.write)
    result = check(PAIR, config or Config(), blob_secrets(PAIR), logs=cache)
    cache.save()
    return result


def test_a_second_look_reads_no_log_and_says_the_same(monkeypatch) -> None:
    folder = CacheFolder()
    first = look(folder)
    monkeypatch.setattr(module, "read_log", None)
    second = look(folder)
    assert first.findings == second.findings
    assert [(f.location.line, f.location.end_line) for f in second.findings] == [(2, 3)]


def test_other_triggers_look_again() -> None:
    folder = CacheFolder()
    assert len(look(folder).findings) == 1
    own = Config(triggers=(TriggerConfig("why", "log", patterns=("why",)),))
    assert {f.rule for f in look(folder, own).findings} == {"log.error", "why"}
    assert look(folder, Config(disabled_triggers=("log",))).findings == ()


def test_damage_is_dropped() -> None:
    folder = CacheFolder()
    want = look(folder).findings
    for damage in (b"{", b'["k", 1]\n', folder.files["log-findings"].replace(b'"high"', b'"odd"'), b"\xff\n"):
        folder.files["log-findings"] = damage
        assert look(folder).findings == want


def test_what_could_not_be_read_is_not_remembered() -> None:
    pair = make_pair({}, {"a.log": b"\0\1\2" * 999})
    folder = CacheFolder()
    cache = LogCache(folder.read, folder.write)
    for _ in range(2):
        result = check(pair, Config(), blob_secrets(pair), logs=cache)
        assert result.coverage["not_examined"][0]["reason"] == "binary"
    cache.save()
    assert folder.files == {}

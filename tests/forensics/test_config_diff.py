from __future__ import annotations

import builtins
import json

import pytest

from casreplay.forensics.config_diff import entries
from casreplay.forensics.config_diff.compare import compare, format_of, parse
from casreplay.forensics.config_diff.entries import ParseFailure
from casreplay.forensics.config_diff.yaml_reader import read_yaml_lines


def differ(before: str, after: str, path: str) -> list[tuple[str, str, str, str, int, int]]:
    """(kind, key, old, new, old line, new line) of each change; 0 where there is no line."""
    diff = compare(before.encode(), after.encode(), path.encode())
    assert diff is not None
    assert diff.failure is None
    return [
        (
            change.kind.value,
            change.key,
            change.before.value if change.before else "",
            change.after.value if change.after else "",
            change.before.line if change.before else 0,
            change.after.line if change.after else 0,
        )
        for change in diff.changes
    ]


JSON_A = '{\n  "port": 80,\n  "db": {"host": "a", "tls": true},\n  "old": 1\n}\n'
JSON_B = '{\n  "port": "80",\n  "db": {"host": "b", "tls": true},\n  "new": [1, 2]\n}\n'
YAML_A = "port: 80\ndb:\n  host: a\n  tls: true\nold: 1\n"
YAML_B = "port: '80'\ndb:\n  host: b\n  tls: true\nnew: [1, 2]\n"
TOML_A = 'port = 80\nold = 1\n[db]\nhost = "a"\ntls = true\n'
TOML_B = 'port = "80"\nnew = [1, 2]\n[db]\nhost = "b"\ntls = true\n'


@pytest.mark.parametrize(
    ("path", "before", "after", "lines"),
    [
        ("a.json", JSON_A, JSON_B, (2, 3, 4, 4)),
        ("a.yaml", YAML_A, YAML_B, (1, 3, 5, 5)),
        ("a.toml", TOML_A, TOML_B, (1, 4, 2, 2)),
    ],
)
def test_added_removed_changed_and_type(path, before, after, lines) -> None:
    found = {key: (kind, old, new, a, b) for kind, key, old, new, a, b in differ(before, after, path)}
    port, host, new, old = lines
    assert found["port"] == ("type-changed", "80", "80", port, port)
    assert found["db.host"] == ("changed", "a", "b", host, host)
    assert found["new"] == ("added", "", "[1, 2]", 0, new)
    assert found["old"] == ("removed", "1", "", old, 0)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("a.ini", "[db]\nhost = a\n; note\n[web]\nport: 1\n", "[db]\nhost = b\n[web]\nport: 1\n"),
        (".env", "export host=a\nport=1\n", "host='b'\nport=1 # same\n"),
        ("a.properties", "db.host=a\nport 1\n", "db.host: b\nport=1\n"),
        ("setup.cfg", "[db]\nhost = a\n", "[db]\nhost = b\n"),
    ],
)
def test_one_key_a_line_formats(path, before, after) -> None:
    [(kind, key, old, new, _, _)] = differ(before, after, path)
    assert (kind, key.split(".")[-1], old, new) == ("changed", "host", "a", "b")


def test_a_key_that_moved() -> None:
    before = '{"a": {"timeout": 30, "x": 1}, "b": {"y": 2}}'
    after = '{"a": {"x": 1}, "b": {"timeout": 30, "y": 2}}'
    assert [(kind, key) for kind, key, *_ in differ(before, after, "a.json")] == [("moved", "b.timeout")]


def test_order_and_layout_are_no_change() -> None:
    value = {"b": [1, 2], "a": {"x": None, "y": "z"}}
    assert differ(json.dumps(value), json.dumps(value, indent=3, sort_keys=True), "a.json") == []
    assert differ("a: 1\nb: 2\n", "# moved\nb:   2\na: 1\n", "a.yaml") == []


def test_an_item_inserted_into_a_named_list_moves_nothing() -> None:
    before = {"steps": [{"name": "build", "run": "make"}, {"name": "test", "run": "pytest"}]}
    after = {"steps": [{"name": "lint", "run": "ruff"}, *before["steps"]]}
    keys = {key for _, key, *_ in differ(json.dumps(before), json.dumps(after), "a.json")}
    assert keys == {"steps[name=lint].name", "steps[name=lint].run"}
    import yaml

    keys = {key for _, key, *_ in differ(yaml.dump(before), yaml.dump(after), "a.yaml")}
    assert keys == {"steps[name=lint].name", "steps[name=lint].run"}


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("a.json", '{\n  "a": 1,\n}\n', 3),
        ("a.json", '{"a": 1', 1),
        ("a.json", "", 0),
        ("a.json", '{"a": 1} x', 1),
        ("a.json", "{'a': 1}", 1),
        ("a.yaml", "a: 1\n b: 2\n", 2),
        ("a.yaml", "a: [1, 2\n", 2),
        ("a.toml", "a = 1\na = 2\n", 2),
        ("a.toml", "a = \n", 1),
        ("a.ini", "[a]\nb = 1\n<<<<<<< HEAD\n", 3),
        (".env", "A=1\nnonsense here\n", 2),
    ],
)
def test_what_no_longer_parses_says_where(path, text, line) -> None:
    diff = compare(None, text.encode(), path.encode())
    assert diff is not None
    assert diff.failure is not None
    assert diff.failure.line in (line, line + 1)
    assert not diff.failure.reason[0].isupper()


def test_json_with_comments_is_fine_where_its_reader_takes_them() -> None:
    text = b'{\n  // note\n  "a": 1,\n}\n'
    assert compare(None, text, b"tsconfig.json").failure is None
    assert compare(None, text, b".vscode/settings.json").failure is None
    assert compare(None, text, b"settings.json").failure is not None
    assert compare(text, text.replace(b"1", b"2"), b"settings.json").failure is None


def test_bytes_that_are_no_text() -> None:
    for data in (b'{"a": "\xff"}', b'{"a": 1}\0', b"\x89PNG\r\n\x1a\n\0\0"):
        assert compare(None, data, b"a.json").failure is not None
    wide = '{"a": 1}'.encode("utf-16")
    assert compare(wide, '{"a": 2}'.encode("utf-16"), b"a.json").changes[0].key == "a"
    assert compare(b"a=\xe4\n", b"a=\xf6\n", b"a.ini").changes[0].kind == "changed"


def test_bounds() -> None:
    deep = "[" * 150 + "]" * 150
    assert "deeper than 100" in compare(None, deep.encode(), b"a.json").failure.reason
    assert compare(None, deep.encode(), b"a.yaml").failure is not None
    assert compare(None, ("x = " + deep).encode(), b"a.toml").failure is not None
    with pytest.raises(ParseFailure, match="larger than 2 MB"):
        parse(b" " * (entries.MAX_BYTES + 1), "json")


def test_yaml_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x, x, {k: v}]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    text = "\n".join(lines).encode()
    diff = compare(text, text + b"\nb: 1\n", b"a.yaml")
    assert "20,000" in diff.reduced


def test_yaml_runs_no_code_and_reads_every_document() -> None:
    text = "a: !!python/object/apply:os.system ['true']\n---\nb: 1\n"
    diff = compare(text.encode(), text.replace("b: 1", "b: 2").encode(), b"a.yaml")
    assert [change.key for change in diff.changes] == ["[document 2].b"]


def test_without_pyyaml_coverage_says_that_it_is_reduced(monkeypatch) -> None:
    real = builtins.__import__

    def without_yaml(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    diff = compare(YAML_A.encode(), YAML_B.encode(), b"a.yaml")
    assert "PyYAML is not installed" in diff.reduced
    assert ("changed", "db.host") in [(change.kind.value, change.key) for change in diff.changes]


def test_the_plain_yaml_reader_keeps_nesting() -> None:
    parsed = read_yaml_lines("a:\n  b:\n    c: 1\n  d: 'x'\ne: y # note\n")
    assert [(e.key, e.value, e.line) for e in parsed.entries] == [
        ("a.b.c", "1", 3), ("a.d", "x", 4), ("e", "y", 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"a.json", "json"), (b"x/.env", "env"), (b".env.local", "env"), (b"a.YML", "yaml"),
        (b"Cargo.toml", "toml"), (b".npmrc", "ini"), (b"a.properties", "properties"), (b"a.py", ""),
        (b"README", ""), (b"nginx.conf", ""),
    ],
)  # fmt: skip
def test_formats_by_name(path, name) -> None:
    assert format_of(path) == name


def test_multi_line_values() -> None:
    before = "[a]\nlist =\n    one\n    two\n"
    assert differ(before, before.replace("two", "three"), "a.ini")[0][:2] == ("changed", "a.list")
    assert differ("a=1\\\n2\nb=3\n", "a=1\\\n4\nb=3\n", "a.properties")[0][1] == "a"
    assert differ('K="a\nb"\nL=1\n', 'K="a\nc"\nL=1\n', ".env")[0][1] == "K"


def test_tables_of_toml_arrays_have_lines_and_names() -> None:
    before = '[[job]]\nname = "a"\nn = 1\n\n[[job]]\nname = "b"\nn = 2\n'
    [(kind, key, old, new, _, line)] = differ(before, before.replace("n = 2", "n = 3"), "a.toml")
    assert (kind, key, old, new, line) == ("changed", "job[name=b].n", "2", "3", 7)


@pytest.mark.parametrize(
    ("path", "piece", "tail"),
    [
        (b"a.yaml", b"[", b""),
        (b"a.yaml", b"{a: ", b""),
        (b"a.yaml", b"- ", b""),
        (b"a.yaml", b"? ", b""),
        (b"a.toml", b"[", b""),
        (b"a.toml", b"a.", b"b = 1"),
        (b"a.toml", b'"a" . ', b"b = 1"),
        (b"a.json", b"[", b""),
        (b"a.json", b'{"a":', b""),
        (b"a.ini", b"[", b""),
        (b"a.ini", b"a = 1\n" + b" b\n" * 9, b""),
        (b".env", b"A=", b""),
        (b".env", b'A="x\n', b""),
        (b"a.properties", b"a=\\\n", b""),
    ],
)
def test_hostile_nesting_neither_crashes_nor_takes_long(path, piece, tail) -> None:
    data = piece * (1_500_000 // len(piece)) + tail
    diff = compare(None, data, path)
    assert diff is not None
    reads_all_lines = path in (b".env", b"a.properties") or piece.startswith(b"a = 1\n")
    assert (diff.failure is None) == reads_all_lines

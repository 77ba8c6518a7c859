from __future__ import annotations

import io
import json
import sys

import pytest

from casreplay.cli.output import Output
from casreplay.errors import AmbiguousNameError, NoRepositoryError


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Called in the test itself: pytest puts its own streams back before a test begins."""

    def install():
        monkeypatch.setattr(sys, "stdout", Terminal())
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stdout

    return install


def test_colours_on_a_terminal_only(on_terminal):
    on_terminal()
    assert Output({}).style("x", "red") == "\x1b[31mx\x1b[0m"
    assert Output({}).style("x", "bold", "cyan") == "\x1b[1;36mx\x1b[0m"
    assert Output({}).style("x", "red", stream=io.StringIO()) == "x"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_the_environment_can_forbid_colours(on_terminal, environ):
    on_terminal()
    assert Output(environ).style("x", "red") == "x"


def test_an_empty_no_color_means_nothing(on_terminal):
    on_terminal()
    assert Output({"NO_COLOR": ""}).style("x", "red") != "x"


def test_the_option_forbids_colours(on_terminal):
    on_terminal()
    out = Output({})
    out.forbid_color()
    assert out.style("x", "red") == "x"


def test_an_error_and_its_hint_stand_on_lines_of_their_own(capsys):
    Output({}).error(NoRepositoryError("No store here", hint="Type this\nor that"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: No store here\nhint: Type this\n      or that\n"


def test_an_error_cannot_move_the_cursor(capsys):
    Output({}).error(NoRepositoryError("bad \x1b[2J name"))
    assert capsys.readouterr().err == "error: bad \\x1b[2J name\n"


def test_errors_as_json_carry_their_fields(capsys):
    out = Output({})
    out.json = True
    out.error(AmbiguousNameError("Two fit", hint="Pick one", candidates=[b"\x01" * 32, "x"], path=b"a\xff"))
    assert json.loads(capsys.readouterr().err) == {
        "error": {
            "type": "AmbiguousNameError",
            "message": "Two fit",
            "hint": "Pick one",
            "exit_code": 2,
            "fields": {"candidates": ["01" * 32, "x"], "path": "a\\xff"},
        }
    }


def test_quiet_keeps_answers_and_drops_confirmations(capsys):
    out = Output({}, quiet=True)
    out.line("answer")
    out.confirm("all went well")
    out.note("by the way")
    out.warning("look here")
    captured = capsys.readouterr()
    assert captured.out == "answer\n"
    assert captured.err == "warning: look here\n"


def test_json_rows_are_one_array_whatever_their_number(capsys):
    out = Output({})
    for rows in ([], [{"a": 1}], [{"a": 1}, {"b": "\u202e"}]):
        out.data_rows(iter(rows))
        text = capsys.readouterr().out
        assert text.isascii()
        assert json.loads(text) == rows


def test_bytes_go_into_a_pipe_unchanged(capfdbinary):
    Output({}).raw([b"\x1b[2J\xff", b"\r\n"])
    assert capfdbinary.readouterr().out == b"\x1b[2J\xff\r\n"


def test_bytes_on_a_terminal_are_escaped(on_terminal):
    shown = on_terminal()
    Output({}).raw([b"a\x1b[2J\xff\n"])
    assert shown.getvalue() == "a\\x1b[2J\\xff\n"

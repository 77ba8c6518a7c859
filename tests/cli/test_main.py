from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import click
import pytest

from casreplay import errors
from casreplay.cli import registry
from casreplay.cli.main import LazyGroup, run
from casreplay.cli.options import command, json_option


@pytest.fixture
def add_command(monkeypatch):
    """Adds a command whose body is the given function."""

    def add(body, name="probe"):
        @command(name, examples=[f"casreplay {name}"])
        @json_option
        @click.pass_obj
        def probe(session, *, as_json):
            return body(session)

        module = types.ModuleType("made_up_commands")
        module.probe = probe
        monkeypatch.setitem(sys.modules, "made_up_commands", module)
        entry = registry.Entry("made_up_commands", "probe", "A made-up command", "look")
        monkeypatch.setitem(registry.COMMANDS, name, entry)

    return add


def raising(error):
    def body(session):
        raise error

    return body


def every_error():
    return [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_exit_code_and_is_shown(kind, add_command, capsys):
    add_command(raising(kind("Something is wrong", hint="Do this", number=3)))
    assert run(["probe"]) == kind.exit_code
    assert capsys.readouterr().err == "error: Something is wrong\nhint: Do this\n"
    assert run(["probe", "--json"]) == kind.exit_code
    shown = json.loads(capsys.readouterr().err)["error"]
    assert shown["type"] == kind.__name__
    assert shown["exit_code"] == kind.exit_code
    assert shown["fields"] == {"number": 3}


def test_an_internal_error_is_no_traceback(add_command, capsys):
    add_command(raising(RuntimeError("the \x1b[1m unforeseen")))
    assert run(["probe"], environ={}) == 1
    text = capsys.readouterr().err
    assert text.startswith("error: Internal error: RuntimeError: the \\x1b[1m unforeseen\n")
    assert "CASREPLAY_DEBUG=1" in text
    assert "Traceback" not in text


def test_the_traceback_is_there_when_asked_for(add_command, capsys):
    add_command(raising(RuntimeError("the unforeseen")))
    assert run(["probe"], environ={"CASREPLAY_DEBUG": "1"}) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_refusal_of_the_system_is_named(add_command, capsys):
    add_command(raising(PermissionError(13, "Permission denied", "/some/file")))
    assert run(["probe"]) == 1
    assert capsys.readouterr().err.startswith("error: Permission denied: /some/file\n")


def test_ctrl_c_is_130(add_command, capsys):
    add_command(raising(KeyboardInterrupt()))
    assert run(["probe"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_a_commands_number_is_the_exit_code(add_command):
    add_command(lambda session: 3)
    assert run(["probe"]) == 3
    add_command(lambda session: None)
    assert run(["probe"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["probe", "--nonsense"],
        ["--nonsense"],
        ["probe", "surplus"],
        ["-C", "/no/such/folder", "probe"],
    ],
)
def test_wrong_calls_are_2_and_have_a_hint(arguments, add_command, capsys):
    add_command(lambda session: None)
    assert run(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_wrong_call_with_json_answers_in_json(add_command, capsys):
    add_command(lambda session: None)
    assert run(["probe", "--json", "--nonsense"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["type"] == "UsageError"


def test_a_typing_error_names_the_nearest_command(capsys):
    assert run(["comit"]) == 2
    assert capsys.readouterr().err == "error: There is no command 'comit'\nhint: Did you mean commit?\n"


@pytest.mark.parametrize("before", [True, False])
def test_global_options_may_stand_on_either_side(before, add_command, tmp_path):
    seen = {}

    def body(session):
        seen.update(cwd=session.cwd, store=session.store_option, quiet=session.out.quiet)

    add_command(body)
    options = ["-C", str(tmp_path), "--store", "elsewhere", "--quiet", "--no-color"]
    assert run([*options, "probe"] if before else ["probe", *options]) == 0
    assert seen == {"cwd": os.fsencode(tmp_path), "store": "elsewhere", "quiet": True}


def test_help_lists_every_command_without_importing_any(capsys):
    before = set(sys.modules)
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for name, entry in registry.COMMANDS.items():
        assert f"  {name} " in text
        assert entry.short_help in text
    loaded = {entry.module for entry in registry.COMMANDS.values()}
    assert not (set(sys.modules) - before) & loaded


def test_every_command_belongs_to_a_family_that_help_shows():
    assert {entry.family for entry in registry.COMMANDS.values()} <= set(registry.FAMILIES)


@pytest.mark.parametrize("name", list(registry.COMMANDS))
def test_every_command_has_help_with_an_example(name, capsys):
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Examples:" in text
    assert f"  casreplay {name}" in text


def test_help_is_a_word_too(capsys):
    assert run(["help"]) == 0
    whole = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == whole
    assert run(["help", "diff"]) == 0
    assert "casreplay diff [OPTIONS]" in capsys.readouterr().out


def test_no_arguments_show_the_help(capsys):
    assert run([]) == 0
    assert "Usage: casreplay" in capsys.readouterr().out


def test_commands_are_completed_without_being_imported(add_command):
    add_command(lambda session: None, name="probe")
    group = LazyGroup("casreplay")
    names = [item.value for item in group.shell_complete(click.Context(group), "pro")]
    assert names == ["probe"]


def casreplay(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "casreplay", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_the_process_shows_its_version():
    done = casreplay("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("casreplay ")


def test_help_does_not_load_what_it_does_not_need():
    program = (
        "import sys; from casreplay.cli.main import run; run(['--help']); "
        "print(sorted({'blake3', 'zstandard', 'sqlite3', 'pathspec', 'json'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_went_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "casreplay", "--help"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell):
    done = casreplay("--help", env={**os.environ, "_CASREPLAY_COMPLETE": f"{shell}_source"})
    assert "_CASREPLAY_COMPLETE" in done.stdout
    assert done.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_a_full_disk_under_the_output_is_nobodys_mistake(history):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from casreplay.cli.main import main; main()", "log"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=history.folder,
            env={
                **os.environ,
                **history.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "CASREPLAY_DEBUG": "",
            },
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Free some space" in done.stderr


class TestTheEndOfTheProcess:
    """The console script skips taking the interpreter apart, and nothing else."""

    def _run(self, *arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=False,
        )

    def _program(self, before, *words):
        text = f"import atexit, sys; {before}; from casreplay.cli.main import program; program()"
        return self._run("-c", text, *words)

    def test_what_was_printed_arrives_and_exit_handlers_run(self):
        done = self._program("atexit.register(print, 'handled')", "--version")
        assert done.returncode == 0
        assert done.stdout.splitlines()[1:] == ["handled"]

    def test_what_an_exit_handler_leaves_in_a_buffer_arrives(self):
        leave = "atexit.register(lambda: (sys.stdout.write('no newline'), sys.stderr.write('nor here')))"
        done = self._program(leave, "--version")
        assert done.stdout.endswith("no newline")
        assert done.stderr == "nor here"

    def test_the_code_is_the_commands(self):
        done = self._program("pass", "no-such-command")
        assert done.returncode == errors.EXIT_USAGE
        assert "no-such-command" in done.stderr

    def test_the_interpreter_is_not_taken_apart(self):
        body = "{'__del__': lambda _, write=os.write: write(1, b'taken apart')}"
        keep = f"import os; last = type('Last', (), {body})()"
        assert "taken apart" not in self._program(keep, "--version").stdout
        watched = f"{keep}; sys.setprofile(lambda *_: None)"
        assert "taken apart" in self._program(watched, "--version").stdout

    def test_threads_are_waited_for(self):
        body = "threading.main_thread().join(), print('done')"
        start = f"import threading; threading.Thread(target=lambda: ({body})).start()"
        assert self._program(start, "--version").stdout.endswith("done\n")

    def test_a_profiler_gets_its_figures(self):
        done = self._run("-m", "cProfile", "-m", "casreplay", "--version")
        assert "function calls" in done.stdout


@pytest.mark.parametrize(
    "command", [["-m", "casreplay"], ["-c", "from casreplay.__main__ import program; program()"]]
)
def test_an_interrupt_while_modules_are_loaded_leaves_no_traceback(tmp_path, command):
    """The first module that is loaded stands for all of them."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
    done = subprocess.run(
        [sys.executable, *command], env=environ, cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_damage_that_nobody_knows_more_about_gets_a_hint(add_command, capsys):
    add_command(raising(errors.CorruptError("Segment 2 is missing")))
    assert run(["probe"]) == errors.EXIT_CORRUPT
    assert "hint: casreplay fsck --data says what is damaged" in capsys.readouterr().err
    add_command(raising(errors.CorruptError("Segment 2 is missing", hint="Look there")))
    run(["probe"])
    assert "hint: Look there" in capsys.readouterr().err


def test_a_deleted_current_folder_is_told_of_and_restored(history):
    """A process of its own: it must be in the folder."""
    program = (
        "import os, shutil, sys; from casreplay.cli.main import run; "
        "here = os.getcwd(); shutil.rmtree(here); "
        "environ = {**os.environ, 'PWD': here}; "
        "codes = [run(line.split(), environ=environ) for line in sys.argv[1:]]; "
        "print(codes, os.path.exists(here + '/a.txt'))"
    )
    lines = ["log --oneline -n 1", "commit", "restore good", f"-C {history.folder.parent} status"]
    done = subprocess.run(
        [sys.executable, "-c", program, *lines],
        cwd=history.folder,
        env={**os.environ, **history.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[0, 1, 0, 10] True"
    assert f"Cannot list the workspace {history.folder}: No such file" in done.stderr

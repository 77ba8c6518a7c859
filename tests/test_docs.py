"""The documents cannot drift: commands, options, exit codes, errors, JSON, links."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from support import json_docs

from casreplay import errors
from casreplay.cli import bisect_view, reference
from casreplay.cli.main import cli
from casreplay.cli.registry import COMMANDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CLI_PAGE = DOCS / "cli.md"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def every_command():
    """Path and command, subcommands included."""

    def walk(command, context, path):
        yield path, command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                yield from walk(child, click.Context(child, info_name=name, parent=context), f"{path} {name}")

    root = click.Context(cli, info_name="casreplay")
    for name in COMMANDS:
        command = cli.get_command(root, name)
        yield from walk(command, click.Context(command, info_name=name, parent=root), f"casreplay {name}")


def test_the_command_line_page_is_what_the_commands_say():
    assert CLI_PAGE.read_text("utf-8") == reference.render(), (
        "run: python -m casreplay.cli.reference > docs/cli.md"
    )


def test_every_command_and_option_stands_on_the_page():
    text = CLI_PAGE.read_text("utf-8")
    for path, command in every_command():
        assert re.search(rf"^###+ {re.escape(path)}$", text, re.MULTILINE), path
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for name in parameter.opts:
                    assert name in text, f"{path} {name}"


@pytest.mark.parametrize(("path", "command"), list(every_command()), ids=str)
def test_every_command_has_help_examples_and_explained_options(path, command):
    assert command.help, path
    assert command.examples, path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path} {parameter.opts}"


def test_every_exit_code_is_documented():
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes | set(bisect_view.EXIT_CODES.values()) <= set(reference.EXIT_CODES)
    text = CLI_PAGE.read_text("utf-8")
    for code in reference.EXIT_CODES:
        assert f"\n| {code} | " in text


def test_every_error_is_listed_exported_and_documented():
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.CasreplayError)
    }
    assert kinds == set(errors.__all__)
    text = CLI_PAGE.read_text("utf-8")
    for name in kinds:
        assert f"| `{name}` | " in text


def test_every_variable_of_the_environment_is_documented():
    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "casreplay").rglob("*.py"))
    used = set(re.findall(r"[\"'](CASREPLAY_[A-Z_]+|NO_COLOR|XDG_DATA_HOME)[\"']", source))
    assert used <= set(reference.ENVIRONMENT)


def test_every_command_with_json_has_its_fields_documented():
    sections = json_docs.sections()
    for path, command in every_command():
        if any("--json" in parameter.opts for parameter in command.params):
            assert path in sections, f"{path} --json is not in docs/json.md"


def test_the_json_page_names_no_command_that_does_not_exist():
    known = {path for path, _ in every_command()}
    for heading in json_docs.sections():
        assert heading in known or not heading.startswith("casreplay ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page):
    for name in re.findall(r"`((?:tests|benchmarks|casreplay|docs)/[\w./-]+)`", page.read_text("utf-8")):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made where such pages are shown."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_only_commands_that_exist(page):
    for word in re.findall(r"^\$ casreplay ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE):
        assert word in COMMANDS, f"{page.name} shows casreplay {word}"

"""A group whose commands are imported when they run, so that help and mistyped names load none of them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Table: TypeAlias = Mapping[str, tuple[str, str]]
"""Name -> module in the group's package (its `command` is it) and the line of help."""


class CommandTable(click.Group):
    """A group of the commands in `table`, whose modules are in `package`; other options are those of any group."""

    def __init__(self, *, table: Table, package: str, **options: Any) -> None:
        super().__init__(**options)
        self.table = table
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.table:
            return None
        command = import_module(f"{self.package}.{self.table[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, with their lines of help, and options; imports no command."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=line) for name, (_, line) in self.table.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

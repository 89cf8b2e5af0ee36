"""`crdtgraph completion`: what makes a shell complete commands, options and names."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, output_option

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog="""\b
Install it with one line in the shell's own file:
  ~/.bashrc                   eval "$(crdtgraph completion bash)"
  ~/.zshrc (after compinit)   eval "$(crdtgraph completion zsh)"
  ~/.config/fish/config.fish  crdtgraph completion fish | source

"""
    + examples("crdtgraph completion bash", "crdtgraph completion zsh", "crdtgraph completion fish"),
)
@click.argument("shell", type=click.Choice(SHELLS))
@output_option
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands, options, the names of contexts, and refs."""
    from click.shell_completion import get_completion_class

    from cli.main import COMPLETE_VARIABLE
    from cli.output import print_document

    kind = get_completion_class(shell)
    assert kind is not None
    # click asks bash for its version here, which is of no use to a script that is only printed.
    script = kind.source_template % kind(ctx.find_root().command, {}, "crdtgraph", COMPLETE_VARIABLE).source_vars()
    invocation = ctx.find_object(Invocation) or Invocation()
    if invocation.output is Output.TEXT:
        click.echo(script)
    else:
        print_document(invocation.output, {"shell": shell, "script": script})

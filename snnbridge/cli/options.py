"""Arguments and options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import click
from click.shell_completion import CompletionItem

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_FLAGS = "snnbridge.cli.flags"
_FLAGS_B = "snnbridge.cli.flags_b"
_DECLARED = "snnbridge.cli.declared"


class Verb(click.Command):
    """A verb that takes every option of every format as a flag of its own.

    A verb that reads two files has each once more for the second, with ``-b`` at its end. The
    formats are loaded only if there is a flag that the verb itself does not have.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with the formats' options if there is a flag of theirs."""
        known = {flag for param in self.params for flag in (*param.opts, *param.secondary_opts)}
        given = {arg.partition("=")[0] for arg in args if arg.startswith("--") and arg != "--"}
        if given - known - set(ctx.help_option_names):
            ctx.meta[_DECLARED] = list(_declared(known))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; name the options of the formats too where a file says too little."""
        from snnbridge.errors import UnknownValue

        try:
            return super().invoke(ctx)
        except UnknownValue as error:
            raise UnknownValue(f"{error}{_advice(ctx, error.missing)}", error.missing) from error

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the verb's own parameters, and those that `parse_args` has found."""
        return [*super().get_params(ctx), *ctx.meta.get(_DECLARED, ())]


def _advice(ctx: click.Context, missing: Sequence[tuple[str, str]]) -> str:
    """Name the options of formats that state what is missing."""
    from snnbridge.bridge import find

    wanted = {"dt" for _, name in missing if name == "dt"}
    wanted |= {"scheme" for _, name in missing if name.startswith("rule.")}
    found = {}
    for path, format in (("file", "from_"), ("src", "from_"), ("a", "from_"), ("b", "from_b")):
        if path in ctx.params:
            read = find(ctx.params[path], format=ctx.params.get(format))[1]
            flags = [f"--{option.name}" for option in read.options if option.name in wanted]
            if flags:
                found[read.name] = " and ".join(flags)
    return "".join(f", or, for {name} files, with {flags}" for name, flags in found.items())


def _declared(known: set[str]) -> Iterator[click.Option]:
    """Yield an option for each that a format declares and the verb does not have."""
    from snnbridge.registry import default

    names = {option.name: option.help for format in default() for option in format.options}
    sides = [("", _FLAGS)] + [("-b", _FLAGS_B)] * ("--from-b" in known)
    for (name, help), (side, place) in product(names.items(), sides):
        flag = f"--{name.replace('_', '-')}{side}"
        if flag not in known:
            stored = f"format_{name}{side}".replace("-", "_")
            keep = _keeper(name, place)
            yield click.Option([flag, stored], help=help, expose_value=False, callback=keep)


def _keeper(name: str, place: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def keep(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None:
            ctx.meta.setdefault(place, {})[name] = value

    return keep


def flags() -> dict[str, str]:
    """Return the formats' options that were given as flags of their own, by name."""
    return dict(click.get_current_context().meta.get(_FLAGS, {}))


def flags_b() -> dict[str, str]:
    """Return those that were given for the second of two files."""
    return dict(click.get_current_context().meta.get(_FLAGS_B, {}))


class Finite(click.FloatRange):
    """A number in a range, neither infinite nor NaN, which compares with nothing."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return found


def complete_format(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a format."""
    from snnbridge.registry import default

    return [
        CompletionItem(f.name, help=f.summary) for f in default() if f.name.startswith(incomplete)
    ]


def format_option(flag: str, name: str, help: str) -> Decorator:
    """Return an option that takes a format's name."""
    return click.option(flag, name, metavar="FORMAT", shell_complete=complete_format, help=help)


def path_argument(name: str) -> Decorator:
    """Return an argument that takes a path; that it exists is for the formats to say."""
    return click.argument(name, type=click.Path(path_type=str))


def spec_option(flag: str, name: str, help: str) -> Decorator:
    """Return an option that takes a side file."""
    kind = click.Path(exists=True, dir_okay=False)
    return click.option(flag, name, metavar="FILE", type=kind, help=help)


as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
spec = spec_option(
    "--spec", "spec", "States what the file does not say; `snnbridge spec FILE` prints a form."
)
trusted = click.option(
    "--trusted", is_flag=True,
    help="You trust the file's origin: lift the limits on memory and time.",
)  # fmt: skip
format_options = click.option(
    "-o", "--option", "options", multiple=True, metavar="NAME=VALUE",
    help="An option of the format, also `--NAME VALUE`; `snnbridge formats -v` lists them.",
)  # fmt: skip

format_options_of_both = click.option(
    "-o", "--option", "options", multiple=True, metavar="NAME=VALUE",
    help="An option of the formats of A and B, also `--NAME VALUE`; `snnbridge formats -v` "
    "lists them.",
)  # fmt: skip

format_options_b = click.option(
    "--option-b", "options_b", multiple=True, metavar="NAME=VALUE",
    help="An option of B's format alone, also `--NAME-b VALUE`.",
)  # fmt: skip


def parse(options: Sequence[str]) -> dict[str, str]:
    """Split ``name=value`` pairs.

    Raises
    ------
    click.UsageError
        For a pair without ``=``.
    """
    parsed = {}
    for option in options:
        name, found, value = option.partition("=")
        if not found:
            raise click.UsageError(f"an option is NAME=VALUE, not {option!r}")
        parsed[name] = value
    return parsed


def together(*decorators: Decorator) -> Decorator:
    """Return one decorator that adds several options, in this order."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorate in reversed(decorators):
            function = decorate(function)
        return function

    return add

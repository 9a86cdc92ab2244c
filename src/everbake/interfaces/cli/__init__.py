"""The command line. Each command's module is imported when the command is called, not before."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from everbake.errors import EverbakeError

# name: (module, function, one line for --help), in the order of --help
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "Watch the whole loop work on a year of real data."),
    "init": ("starting", "init", "Propose a recipe, from a script if there is one."),
    "check": ("starting", "check", "Try the recipe on a sample; change nothing."),
    "ingest": ("changing", "ingest", "Take files as one batch and run what is due."),
    "up": ("serving", "up", "Serve, watch folders, retrain: until Ctrl-C."),
    "predict": ("predicting", "predict", "Answer rows with the champion."),
    "predictions": ("predicting", "predictions", "What the server has answered."),
    "labels": ("labelling", "labels", "Say what came true of the predictions."),
    "replay": ("replaying", "replay", "Let a version answer what was asked before."),
    "status": ("looking", "status", "Is each model fresh, good and safe?"),
    "why": ("explaining", "why", "The decision about a version, with its evidence."),
    "compare": ("comparing", "compare", "What differs between two versions, and by how much."),
    "versions": ("looking", "versions", "The versions of a model."),
    "runs": ("looking", "runs", "The runs of a model."),
    "logs": ("looking", "logs", "What a run printed."),
    "retrain": ("changing", "retrain", "Run without new data."),
    "promote": ("changing", "promote", "Make a version the champion."),
    "rollback": ("changing", "rollback", "Bring an older champion back, at once."),
    "pin": ("changing", "pin", "Say which version no candidate may fall behind."),
    "pause": ("changing", "pause", "Start no runs until resumed."),
    "resume": ("changing", "resume", "Start runs, and let winners serve, again."),
    "cancel": ("changing", "cancel", "Kill the job of a run."),
    "data": ("data", "data", "Data versions, contract and quarantine."),
    "audit": ("auditing", "audit", "Every fact; `audit verify` checks that none was edited."),
    "doctor": ("auditing", "doctor", "Is everything in this project as it should be?"),
    "where": ("auditing", "where", "Where everything lies."),
    "error": ("auditing", "error", "What an error code means."),
    "completion": ("auditing", "completion", "A completion script for your shell."),
}


class LazyGroup(click.Group):
    """Commands by name; the module of a command is imported only to run it."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names in their order."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(f"everbake.interfaces.cli.{module}"), function)
        return found

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in COMMANDS])

    @override
    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As ever, with the near miss of a name that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], list(COMMANDS), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"there is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The project's folder (default: here).",
)
@click.option("-v", "--verbose", is_flag=True, help="With tracebacks.")
@click.version_option(package_name="everbake")
@click.pass_context
def cli(ctx: click.Context, project: Path, verbose: bool) -> None:  # noqa: FBT001 - a flag of the command line
    """Keep a model right after it ships: data in, judged champion out."""
    ctx.obj = project
    ctx.meta["everbake.verbose"] = verbose


def main(arguments: list[str] | None = None) -> None:
    """The entry of the program `everbake`."""
    words = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(lambda: cli.main(words, prog_name="everbake", standalone_mode=False), words))


def run(call: Callable[[], Any], words: list[str]) -> int:  # noqa: PLR0911 - one code for each way to end
    """The exit code of a call; what went wrong is told on stderr."""
    try:
        code = call()
        sys.stdout.flush()
    except EverbakeError as error:
        return _tell(error, words)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last resort of a program
        return _tell_unforeseen(error, words)
    return code if isinstance(code, int) else 0


def _tell(error: EverbakeError, words: list[str]) -> int:
    from everbake.interfaces.render import error_document, error_text

    if "--json" in words:
        click.echo(error_document(error))
    click.echo(error_text(error), err=True)
    if {"-v", "--verbose"} & set(words):
        _traceback(error)
    return error.exit_code


def _tell_unforeseen(error: Exception, words: list[str]) -> int:
    told = EverbakeError(
        "EB000",
        f"something unforeseen went wrong: {type(error).__name__}: {error}",
        why="this is a bug in everbake",
        mend="repeat the command with `everbake -v` and report what it prints",
    )
    _tell(told, [word for word in words if word not in ("-v", "--verbose")])
    if {"-v", "--verbose"} & set(words):
        _traceback(error)
    return 1


def _traceback(error: Exception) -> None:
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True)

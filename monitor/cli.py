"""The command `squall`: names of commands, errors in words, exit codes.

takes  the command line
gives  0 when it went well, 1 when it did not, 2 when the command line or the settings are wrong
never  imports torch, streamlit or duckdb before a command needs them
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from monitor import __version__

# name: (module under monitor.commands, one line of help); a module is imported when its command is used.
_COMMANDS = {
    "run": ("run", "Run the daemon: poll, score, detect, deliver."),
    "once": ("run", "Run one cycle, then exit."),
    "reload": ("reload", "Let the running daemon read its settings anew."),
    "status": ("status", "Say how the daemon, feeds, model and deliveries are."),
    "dashboard": ("dashboard", "Open the dashboard."),
    "demo": ("demo", "Play three invented weeks through the real path, offline."),
    "alerts": ("alerts", "List alerts and deliveries, test channels, redeliver."),
    "feeds": ("feeds", "List and check feeds, read and write OPML."),
    "themes": ("themes", "List risk themes, try them on a headline."),
    "config": ("config", "Check or show the settings."),
    "backtest": ("backtest", "Run history through the detectors."),
    "score": ("score", "Score headlines from a file, standard input, or a whole archive."),
    "backfill": ("backfill", "Take a scored archive into the store."),
    "explain": ("explain", "Show which words made the model say what it says."),
    "evaluate": ("evaluate", "Measure the model on labelled headlines."),
    "train": ("train", "Train an adapter."),
    "label": ("label", "Label headlines, for training and measurement."),
    "models": ("models", "List, compare, promote and roll back models."),
    "rescore": ("rescore", "Score stored headlines again with the present model."),
    "doctor": ("doctor", "Look for what keeps Squall from its work, and say what to do."),
    "backup": ("backup", "Copy the store, while the daemon runs or not."),
    "restore": ("backup", "Put a backup in the place of the store."),
    "compact": ("backup", "Give space of the store back to the disk."),
}


# No room, or no more of it for this user or file.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _ReaderGone(Exception):
    """Whoever read our output has gone (`squall score ... | head`)."""


@contextmanager
def _reader_gone() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        # click itself would exit with 1 on this, as if something had gone wrong.
        raise _ReaderGone from None


class _Lazy(click.Group):
    """Knows its commands by name, and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"monitor.commands.{module}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"monitor.commands.{module}.{cmd_name} is no command")
        return command

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        with _reader_gone():  # --help and --version speak here
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> object:
        with _reader_gone():
            return super().invoke(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    envvar="SQUALL_CONFIG",
    is_eager=True,  # --version asks for it, wherever it stands
    help="Settings file; else ./squall.toml, then squall/squall.toml in your config folder.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=lambda ctx, _, asked: _tell_version(ctx) if asked else None,
    help="Print the version, with those of the store's schema and of the model that would score.",
)
@click.pass_context
def squall(ctx: click.Context, config: Path | None) -> None:
    """Watch financial news, and tell people when it turns."""
    ctx.obj = config


def _tell_version(ctx: click.Context) -> None:
    """Version, schema and model by the settings in the usual places; a model that cannot be had is told in words."""
    from models.errors import ModelError
    from monitor.chosen_model import chosen_adapter
    from monitor.errors import SettingsUnusable
    from monitor.settings_file import find_settings, load_settings
    from monitor.storage.migrating import known_migrations

    try:
        model = chosen_adapter(load_settings(find_settings(ctx.params.get("config"))).model).model
    except SettingsUnusable:
        model = "none (the settings cannot be used: `squall config check` says why)"
    except ModelError as error:
        model = f"none ({error})"
    click.echo(f"squall {__version__}, schema {len(known_migrations())}, model {model}")
    ctx.exit()


def main() -> None:
    """Run the command line; errors of ours become one message and an exit code, never a traceback."""
    from alerts.errors import AlertError, ChannelUnusable
    from models.errors import ModelError
    from monitor.errors import MonitorError, SettingsUnusable

    # A terminated command ends as if it had returned, so that what it started (a dashboard, a receiver) ends too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        # Without its standalone mode click returns the code of ctx.exit(code), and the result of a command otherwise.
        code = squall(standalone_mode=False)
    except (SettingsUnusable, ChannelUnusable) as error:
        _fail(str(error), 2)
    except (MonitorError, ModelError, AlertError) as error:
        _fail(str(error), 1)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _fail(f"not everything could be written: {error.strerror}; make room, and begin anew", 1)
    except _ReaderGone:
        # There is nobody left to tell. What is still buffered goes nowhere, or Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> None:
    click.echo(f"squall: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

"""`trifold models export`, `import` and `remove`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trifold.interfaces.models.words import in_megabytes, made_on, shown
from trifold.task import Host

__all__ = ["export", "import_", "remove"]


@click.command(
    short_help="Write a version as one archive.",
    epilog="""\b
Examples:
  trifold models export mine
  trifold models export mine@2 /media/stick
  trifold models export mine@2 second.zip --force""",
)
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@click.pass_obj
def export(host: Host, model: str, out: Path | None, force: bool) -> None:
    """Write MODEL as one archive that `trifold models import` reads.

    OUT is a file or a folder; without it, NAME-VERSION.trifold.zip in the current folder. Prints the archive's
    SHA-256, which the receiver can check.
    """
    from trifold.models.archive import archive_name, export_archive
    from trifold.models.registry import find
    from trifold.models.space import readable_size

    folder = find(model)
    path = out or Path()
    if path.is_dir():
        path /= archive_name(folder)
    with host.progress("export (MB)") as progress:
        digest = export_archive(folder, path, force=force, progress=in_megabytes(progress))
    host.out.print(f"{shown(str(path), 500)}: {folder.version}, {readable_size(path.stat().st_size)}", soft_wrap=True)
    host.out.print(f"SHA-256 {digest}", soft_wrap=True)


@click.command(
    "import",
    short_help="Add the version in an archive.",
    epilog="""\b
Examples:
  trifold models import mine-2.trifold.zip
  trifold models import mine-2.trifold.zip --sha256 6b5e1f…""",
)
@click.argument("archive", type=click.Path(path_type=Path))
@click.option("--sha256", metavar="HASH", help="Refuse the archive unless this is its SHA-256.")
@click.option(
    "--max-gb", type=click.FloatRange(min=0, min_open=True), default=20, show_default=True, help="Refuse more."
)
@click.pass_obj
def import_(host: Host, archive: Path, sha256: str | None, max_gb: float) -> None:
    """Add the version in ARCHIVE under the name that it has inside.

    Every file is checked by its size and SHA-256. Without --sha256 this shows that the archive is whole, not who
    wrote it.
    """
    from trifold.models.archive import import_archive

    with host.progress("import (MB)") as progress:
        done = import_archive(archive, sha256=sha256, most_bytes=int(max_gb * 10**9), progress=in_megabytes(progress))
    version = done.folder.version
    if done.already_there:
        host.out.print(f"{version} is there already, and the same.")
    else:
        host.out.print(f"{version} is there now. `trifold models show {version}` tells about it.", soft_wrap=True)


@click.command(
    short_help="Remove one version for good.",
    epilog="""\b
Examples:
  trifold models remove mine@1
  trifold models remove mine@1 --yes""",
)
@click.argument("model")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(context: click.Context, model: str, yes: bool) -> None:
    """Remove MODEL, the full name of one version, for good.

    Asks first on a terminal; elsewhere --yes is needed. The model that comes with trifold stays.
    """
    from trifold.models.versions import check_removable
    from trifold.models.versions import remove as take_out

    host: Host = context.obj
    check_removable(model)
    if not yes and not _agreed(model):
        host.err.print(f"{model} is kept.")
        context.exit(1)
    take_out(model)
    host.out.print(f"{model} is removed.")


def _agreed(version: str) -> bool:
    from trifold.errors import InvalidInput, TrifoldError
    from trifold.models.registry import find
    from trifold.models.space import readable_size

    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInput(f"{version}: nobody can be asked here whether to remove it. Say so with --yes.")
    try:
        folder = find(version)
        size = readable_size(sum(facts["bytes"] for facts in folder.manifest["files"].values()))
        made = made_on(folder)
        facts = f" ({size}, made on {made})" if made else f" ({size})"
    except TrifoldError:
        facts = " (damaged)"
    return click.confirm(f"Remove {version}{facts} for good?", err=True)

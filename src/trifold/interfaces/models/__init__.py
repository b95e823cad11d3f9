"""`trifold models`: what is there, how versions differ, and how they come and go."""

import click

from trifold.interfaces.models.comparing import diff
from trifold.interfaces.models.listing import list_models, show
from trifold.interfaces.models.moving import export, import_, remove

__all__ = ["models"]


@click.group(
    epilog="""\b
Examples:
  trifold models list
  trifold models diff default mine
  trifold models export mine@2"""
)
def models() -> None:
    """List, inspect, compare, copy and remove models."""


for command in (list_models, show, diff, export, import_, remove):
    models.add_command(command)

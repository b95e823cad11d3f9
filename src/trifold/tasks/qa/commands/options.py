"""Options that several commands share."""

from __future__ import annotations

import click

__all__ = ["always_option", "json_option", "model_option", "precision_option"]

model_option = click.option(
    "--model", default="default", show_default=True, help="A name, name@version, or a model folder."
)
precision_option = click.option("--precision", help="Which graph to run: int8 or fp32. [default: the fastest sound]")
always_option = click.option(
    "--always-answer", is_flag=True, help="Answer even where the passage probably does not say."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

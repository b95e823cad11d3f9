"""Writes a reader's model card from the facts in its `trifold.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["card"]


def card(facts: Mapping[str, Any], notes: Sequence[str], sections: Sequence[str] = ()) -> str:
    """A model card in Markdown with the front matter of the Hugging Face hub.

    facts: the manifest; without `metrics`, `data` or `calibration_data` the card has no word of them. notes: what a
    user should know before trusting the model, one sentence or two each. sections: more to tell after what was
    measured, in Markdown, each with its heading.
    """
    settings = facts["task_settings"]
    languages = [f"language: [{', '.join(settings['languages'])}]"] if settings["languages"] else []
    lines = [
        "---",
        f"license: {facts['license'].lower()}",
        *languages,
        "pipeline_tag: question-answering",
        f"base_model: {facts['base']['name']}",
        "---",
        f"# {facts['name']}@{facts['version']}",
        "",
        facts["description"],
        "",
        "## Before you trust it",
        "",
        *(f"- {note}" for note in notes),
        "",
        *(_measured(facts["metrics"]) if facts["metrics"] else []),
        *(line for section in sections for line in (section.strip(), "")),
        "## Made from",
        "",
        f"- Base: {facts['base']['name']} ({facts['base']['license']}), {facts['base']['source']}.",
        f"- Training: {facts['training']['summary']}",
        f"- Calibration: {_calibration(facts)}",
        f"- Windows of {settings['window']['length']} tokens that share {settings['window']['stride']}.",
        f"- Licence: {facts['license']}. Made {_commit(facts)}by `{facts['command']}`.",
        *(["", "## Data", ""] if facts["data"] else []),
        *(f"- {data['file']}: {data['rows']:,} rows, SHA-256 {data['sha256']}" for data in facts["data"]),
    ]
    return "\n".join(lines) + "\n"


def _commit(facts: Mapping[str, Any]) -> str:
    return f"at commit {facts['git_commit']} " if facts["git_commit"] else ""


def _measured(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "## Measured",
        "",
        "| data | graph | questions | exact match | F1 | has answer F1 | no answer F1 | ECE | AUROC |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(metric) for metric in metrics),
        "",
        "Exact match and F1 in percent, by the official SQuAD definitions. ECE: 15 bins of equal mass. Each row is "
        "`trifold evaluate DATA --json`, with `--always-answer` and `--precision` where the row says so.",
        "",
    ]


def _calibration(facts: Mapping[str, Any]) -> str:
    if facts["calibration_data"] is None:
        return "none."
    return (
        f"{calibration_words(facts['task_settings']['calibration'])}, fitted on {facts['calibration_data']['summary']}"
    )


def calibration_words(calibration: Mapping[str, Any]) -> str:
    """The fitted numbers in one phrase."""
    answer, null = calibration["answer"], calibration["null"]
    return (
        f"Platt scaling (answer: slope {answer['slope']:.3f}, windows {answer['windows']:.3f}, offset "
        f"{answer['offset']:.3f}; no answer: {null['slope']:.3f}, {null['windows']:.3f}, {null['offset']:.3f}), "
        f"threshold {calibration['threshold']:.3f}"
    )


def _row(metric: Mapping[str, Any]) -> str:
    def percent(part: Mapping[str, Any], key: str) -> str:
        return "" if part[key] is None else f"{part[key]:.1f}"

    always = ", always answering" if metric["always_answer"] else ""
    cells = [
        f"{metric['data']}{always}",
        metric["precision"],
        f"{metric['n']:,}",
        percent(metric, "exact"),
        percent(metric, "f1"),
        percent(metric["has_answer"], "f1"),
        percent(metric["no_answer"], "f1"),
        f"{metric['ece']:.3f}",
        "" if metric["auroc"] is None else f"{metric['auroc']:.3f}",
    ]
    return f"| {' | '.join(cells)} |"

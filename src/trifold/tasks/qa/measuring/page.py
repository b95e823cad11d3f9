"""The report as one HTML page without script, fonts or anything else from outside."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from trifold.printable import printable
from trifold.tasks.qa.measuring.changes import Change, Kind, Piece
from trifold.tasks.qa.measuring.figures import history_figure, score_figures
from trifold.tasks.qa.measuring.plots import interval_plot

if TYPE_CHECKING:
    from trifold.tasks.qa.measuring.comparison import Measure, Outcome
    from trifold.tasks.qa.measuring.report import Report, Section

__all__ = ["to_html"]

_STYLE = Path(__file__).with_name("page.css")
_LONGEST = 600
_READINGS: Mapping[Outcome, tuple[str, str]] = {
    "better": ("▲", "better"),
    "worse": ("▼", "worse"),
    "unclear": ("○", "may be chance"),
    "same": ("=", "same"),
}
_KINDS: Mapping[Kind, tuple[str, str]] = {
    "lost": ("Lost", "right before, wrong after"),
    "won": ("Won", "wrong before, right after"),
    "other": ("Other wrong", "wrong before and after, but not the same"),
}
_TERMS = (
    (
        "Exact match, F1",
        "Share of answers equal to a gold answer, and mean overlap of words, in percent, as the official SQuAD 2.0 "
        "script counts (Rajpurkar et al. 2018). Where the passage does not say, silence is right.",
    ),
    (
        "Span F1",
        "For questions with several answers, over all of them: equal spans, or the overlapping share of each "
        "(MultiSpanQA, Li et al. 2022).",
    ),
    (
        "Yes/no accuracy",
        "Share of right verdicts in percent; balanced: the mean of the shares among yes and among no.",
    ),
    (
        "ECE",
        "Expected calibration error: the mean gap between a score and the share of replies right, over 15 bins of "
        "equal mass. 0 is best (Naeini et al. 2015).",
    ),
    ("AUROC", "How often a right reply has a higher score than a wrong one. 1 is best, 0.5 is chance."),
    (
        "Coverage at 90 % precision",
        "The largest share of questions that can be answered, the surest first, with at least 90 % of the answers "
        "right (Geifman & El-Yaniv 2017).",
    ),
    (
        "95 % interval",
        "Paired bootstrap interval of the difference: the questions are drawn again and again, for both models the "
        "same ones. It tells what other questions of this kind would show, not what another training would.",
    ),
)


def to_html(report: Report) -> str:
    """The page as text. What comes from files stands in it escaped, with control characters made visible."""
    style = _STYLE.read_text(encoding="utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    facts = report.facts
    title = _safe(facts.get("title") or "Before and after")
    body = "".join(
        [
            _header(report, title),
            *(_section(section, f"s{i}") for i, section in enumerate(report.sections)),
            _provenance(facts),
            _glossary(),
        ]
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _safe(value: object, most: int = _LONGEST) -> str:
    """Text from anywhere as HTML, cut where it is very long."""
    text = str(value)
    return escape(printable(text if len(text) <= most else text[:most] + " …"))


def _minus(text: str) -> str:
    """The typographic minus before figures."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "\N{MINUS SIGN}", text)


def _interval(m: Measure) -> str:
    """An interval that may break before its "to" only."""
    return _minus(m.show_interval()).replace(" to ", " to\N{NO-BREAK SPACE}")


def _header(report: Report, title: str) -> str:
    facts = report.facts
    models = [_safe(facts[key]) for key in ("base", "model") if facts.get(key)]
    line = " <span aria-label='became'>→</span> ".join(f"<code>{name}</code>" for name in models)
    if facts.get("created"):
        line += f" · {_safe(facts['created'])}"
    warnings = "".join(f"<li>{_safe(warning)}</li>" for warning in facts.get("warnings", ()))
    return (
        f'<header><p class="eyebrow">trifold · before and after</p><h1>{title}</h1>'
        f'<p class="models">{line}</p></header>\n'
        f'<section class="conclusion" aria-label="Conclusion"><div class="heads">'
        f"{''.join(_headline(section) for section in report.sections)}</div>"
        f"{''.join(f'<p>{_minus(_safe(text))}</p>' for text in report.conclusion)}</section>\n"
        + (f'<section class="warnings"><h2>Warnings</h2><ul>{warnings}</ul></section>\n' if warnings else "")
    )


def _headline(section: Section) -> str:
    m = section.headline
    return (
        f'<div class="head {m.outcome}"><p class="what">{_safe(section.place)}</p>'
        f'<p class="big"><span>{m.show(m.before)}</span> <span class="arrow" aria-label="became">→</span> '
        f"<strong>{m.show(m.after)}</strong></p>"
        f'<p class="what">{_safe(m.label)} · <b class="outcome">{_minus(m.show(m.difference, signed=True))}</b> '
        f"({_interval(m)})</p></div>"
    )


def _section(section: Section, name: str) -> str:
    limit = max(
        (abs(value) * m.points for m in section.measures for value in (m.interval or ())), default=0.0
    ) or 1.0  # fmt: skip
    rows = "".join(_row(m, limit, section.n) for m in section.measures)
    heading = section.place[0].upper() + section.place[1:]
    return (
        f'<section aria-labelledby="{name}-h"><h2 id="{name}-h">{_safe(heading)}</h2>\n'
        '<div class="scroll"><table class="measures"><caption>Both models on the same questions, and the difference '
        "with its 95 % interval. The plots share one scale, in points, with 0 in the middle.</caption><thead><tr><th "
        'scope="col">measure</th><th scope="col">before</th><th scope="col">after</th><th scope="col">difference</th>'
        '<th scope="col">95 % interval</th><th scope="col" class="wide">in one scale</th><th scope="col">reading</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>\n"
        f'<div class="figures">{score_figures(section, name)}</div>\n{_changes(section, name)}</section>\n'
    )


def _row(m: Measure, limit: float, n: int) -> str:
    unit = "" if m.unit == "number" else " <small>%</small>"
    count = f" <small>of {m.n:,}</small>" if m.n != n else ""
    picture = ""
    if m.difference is not None and m.interval is not None:
        label = f"{m.label}: {m.show(m.difference, signed=True)}, 95 % {m.show_interval()}"
        low, high = m.interval
        picture = interval_plot(
            m.difference * m.points, low * m.points, high * m.points, limit, m.outcome, _minus(label)
        )
    symbol, words = ("", "not defined") if m.difference is None else _READINGS[m.outcome]
    return (
        f'<tr class="{m.outcome}"><th scope="row">{_safe(m.label)}{unit}{count}</th><td>{m.show(m.before)}</td>'
        f'<td><b>{m.show(m.after)}</b></td><td class="outcome">{_minus(m.show(m.difference, signed=True))}</td>'
        f'<td>{_interval(m)}</td><td class="wide">{picture}</td>'
        f'<td class="outcome reading">{symbol} <span>{words}</span></td></tr>'
    )


def _changes(section: Section, name: str) -> str:
    kinds = get_args(Kind)
    if not any(changes.count for changes in section.changes.values()):
        return "<h3>Questions that changed</h3><p>None.</p>"
    first = next(kind for kind in kinds if section.changes[kind].count)
    tabs = "".join(
        f'<input type="radio" class="tab {kind}" name="{name}-kind" id="{name}-{kind}"'
        f"{' checked' if kind == first else ''}>"
        f'<label for="{name}-{kind}">{_KINDS[kind][0]} <b>{section.changes[kind].count:,}</b></label>'
        for kind in kinds
    )
    lists = "".join(_cards(kind, section) for kind in kinds)
    return (
        f"<h3>Questions that changed</h3>\n<div class='changes'>{tabs}"
        '<p class="key">In the passages: <mark class="gold">gold answer</mark>, <mark class="before">before</mark>, '
        f'<mark class="after">after</mark>.</p>{lists}</div>\n'
    )


def _cards(kind: Kind, section: Section) -> str:
    changes = section.changes[kind]
    shown = len(changes.shown)
    some = "" if shown == changes.count else f", the {shown} surest replies of the new model"
    words = f"{_KINDS[kind][0]}: {_KINDS[kind][1]} ({changes.count:,}{some})"
    cards = "".join(_card(change) for change in changes.shown)
    return f'<div class="cards {kind}"><h4>{words}</h4><ol>{cards}</ol></div>'


def _card(change: Change) -> str:
    rows = "".join(
        f'<div class="{style}"><dt>{label}</dt><dd dir="auto">{_quoted(texts)}{score}</dd></div>'
        for label, style, texts, score in (
            ("gold", "gold", change.golds, ""),
            ("before", "before", change.before, f" <small>{_sure(change.before_score)}</small>"),
            ("after", "after", change.after, f" <small>{_sure(change.after_score)}</small>"),
        )
    )
    passage = "".join(_piece(piece) for piece in change.pieces)
    return (
        f'<li><p class="question" dir="auto">{_safe(change.question)}</p><dl>{rows}</dl>'
        f'<blockquote dir="auto">{passage}</blockquote><p class="id">{_safe(change.id, 80)}</p></li>'
    )


def _sure(score: float) -> str:
    return f"{100 * score:.0f}\N{NO-BREAK SPACE}% sure"


def _quoted(texts: Sequence[str]) -> str:
    return " · ".join(f"<q>{_safe(text, 300)}</q>" for text in texts) or "<i>the passage does not say</i>"


def _piece(piece: Piece) -> str:
    if piece.gap:
        return " … "
    text = _safe(piece.text, 2000)
    return f'<mark class="{" ".join(sorted(piece.marks))}">{text}</mark>' if piece.marks else text


def _provenance(facts: Mapping[str, Any]) -> str:
    """How the new model was made: learning curve, data, arguments."""
    single = [(key, facts[key]) for key in ("base", "model", "created", "command") if facts.get(key)]
    if facts.get("seconds") is not None:
        single.append(("time", f"{float(facts['seconds']) / 60:.1f} minutes"))
    rows = [*single, *dict(facts.get("arguments") or {}).items()]
    table = "".join(f'<tr><th scope="row">{_safe(key)}</th><td>{_safe(value)}</td></tr>' for key, value in rows)
    files = "".join(
        f"<tr><th scope='row'>{_safe(one.get('file', ''))}</th><td>{_safe(one.get('role', ''))}</td>"
        f"<td class='number'>{_count(one.get('rows'))}</td><td><code class='hash'>{_safe(one.get('sha256', ''))}</code>"
        "</td></tr>"
        for one in facts.get("data") or ()
    )
    curve = history_figure(facts.get("history") or ())
    if not (table or files or curve):
        return ""
    return (
        '<section aria-labelledby="made"><h2 id="made">How it was made</h2>\n'
        + (f'<div class="figures">{curve}</div>' if curve else "")
        + (
            "<div class='scroll'><table class='facts'><caption>Data</caption><thead><tr><th scope='col'>file</th>"
            "<th scope='col'>used for</th><th scope='col'>rows</th><th scope='col'>SHA-256</th></tr></thead>"
            f"<tbody>{files}</tbody></table></div>"
            if files
            else ""
        )
        + (f"<table class='facts'><caption>Training</caption><tbody>{table}</tbody></table>" if table else "")
        + "</section>\n"
    )


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _safe("" if value is None else value)


def _glossary() -> str:
    entries = "".join(f"<dt>{escape(term)}</dt><dd>{escape(words)}</dd>" for term, words in _TERMS)
    heading = '<h2 id="terms">What the measures mean</h2>'
    return f'<section aria-labelledby="terms">{heading}<dl class="terms">{entries}</dl></section>\n'

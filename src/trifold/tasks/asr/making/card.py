"""The model card of a recogniser: what it was learnt from, whether to trust it, what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["card"]


def card(facts: Mapping[str, Any], phones: Sequence[str]) -> str:
    """Markdown. facts: of the manifest. phones: silence first."""
    audio = facts["audio"]
    learnt = facts.get("learnt")
    lines = [
        f"# {facts['name']}@{facts['version']}",
        "",
        "Writes down speech; learnt without any transcript by `trifold asr train`.",
        "",
        "## Whether to trust it",
        "",
    ]
    if learnt is None:
        lines += ["There was no text, so its units are sounds that come again and again, not phones of the language."]
    else:
        agreed = learnt["agreement"]
        seeds = "" if agreed is None else f"Seeds agree on {agreed:.0%} of the sounds. "
        lines += [
            f"**{learnt['verdict']}.** {'; '.join(learnt['causes'])}".rstrip(),
            "",
            f"{seeds}Nobody has compared it with what was said; `trifold asr score` does, where there are references. "
            "Phones of one kind may stand for each other throughout.",
        ]
    lines += [
        "",
        "## Learnt from",
        "",
        f"- {audio['recordings']:,} recordings, {audio['seconds'] / 3600:.2f} hours, "
        f"{audio['speech_seconds'] / 3600:.2f} of them speech (SHA-256 of all samples {audio['sha256'][:16]}…)",
        *_heard(facts["hearing"]),
        *(f"- {name} (SHA-256 {digest[:16]}…)" for name, digest in facts["text"].items()),
        *([f"- {_voices(aloud)}"] if (aloud := facts.get("read_aloud")) else []),
        f"- settings: {', '.join(f'{key} {value}' for key, value in facts['training'].items())}",
        f"- {facts['seconds'] / 60:.1f} minutes of computing",
        "",
        f"## Its {len(phones) - 1} {'phones' if learnt else 'units'}",
        "",
        " ".join(phones[1:]),
        "",
        "## What it cannot do",
        "",
        "It knows the voices, rooms and microphones that it heard. Tone, several speakers at once, noise and languages "
        "that are mixed are not solved. Recordings of people need their consent, for learning from them too.",
        "",
    ]
    return "\n".join(lines)


def _voices(aloud: Mapping[str, Any]) -> str:
    """What they are, and what is to be known of their licences."""
    voices = aloud["voices"]
    named = ", ".join(f"{one['voice']} ({one['by']})" for one in voices)
    licences = (
        "; most voices of MBROLA may be used without charge for what is not commerce alone: see their licences"
        if any(one["by"] == "MBROLA" for one in voices)
        else ""
    )
    return f"begun from what the {'voice' if len(voices) == 1 else 'voices'} {named} said of the text{licences}"


def _heard(hearing: Mapping[str, Any]) -> list[str]:
    """How the recordings were heard, where it is not as by default."""
    found = []
    if hearing["activity"] != "energy":
        found.append(f"- speech found in them by {hearing['activity']}")
    if "encoder" in hearing and "layer" not in hearing:
        found.append(
            f"- heard with a small network beside cepstra, {hearing['width']} features in all; it was trained on these "
            "recordings alone, is in this folder and needs no torch"
        )
    elif "encoder" in hearing:
        found.append(
            f"- heard with layer {hearing['layer']} of {hearing['encoder']}, {hearing['width']} principal components: "
            "transcribing needs that encoder, and torch"
        )
    return found

"""The corrections of a task: kept, looked through, changed and forgotten."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from trifold.correction import Checked, Correction, CorrectionForm
from trifold.errors import Conflict
from trifold.jobs.dataset import DataSet

__all__ = ["Corrections"]


class Corrections:
    """The corrections of one task. Safe to share between threads, and with other processes.

    Every method raises DataError for a file that does not fit, and EngineError for one that cannot be read or
    written; those that change something raise Overloaded when another process does not let go of the file.
    """

    def __init__(self, path: Path, form: CorrectionForm, most: int) -> None:
        """path: of the data set. most: its bytes. Nothing is touched on the disk yet."""
        self.form = form
        self.file = DataSet(path, form, most)

    def all(self) -> Iterable[Correction]:
        """All of them, in the order of the file."""
        return self.file.load().kept.values()

    def search(self, words: str) -> list[Correction]:
        """Those that have these words in any of their texts, in any case; the one that was changed last comes first."""
        found = list(self.all())
        if wanted := words.casefold():
            texts: dict[str, bool] = {}  # many corrections share a text

            def fits(one: Correction) -> bool:
                if one.about not in texts:
                    texts[one.about] = wanted in one.about.casefold()
                return texts[one.about] or any(wanted in text.casefold() for text in self.form.texts(one.content))

            found = [one for one in found if fits(one)]
        found.reverse()
        return sorted(found, key=lambda one: one.changed or one.created or "", reverse=True)

    def find(self, name: str) -> Correction | None:
        """The correction with this id, if there is one."""
        return self.file.load().kept.get(name)

    def add(self, checked: Checked) -> tuple[Correction, bool]:
        """Keep a correction. One of the same text and key is replaced: the latest word counts; whether that was so.

        Raises Full.
        """

        def work(kept: dict[str, Correction]) -> tuple[Correction, bool]:
            about, earlier = self._compared(checked, kept.values())
            if earlier is not None:
                kept[earlier.id] = _changed(earlier, about, checked)
                return kept[earlier.id], True
            name, now = secrets.token_hex(8), _now()
            kept[name] = Correction(id=name, created=now, changed=now, about=about, content=checked.content)
            return kept[name], False

        done = self.file.change(work)
        assert done is not None
        return done

    def change(self, name: str, revision: int, checked: Checked) -> Correction | None:
        """Put another content in the place of this revision of a correction; None when there is no such correction.

        Raises Conflict for another revision, or when another correction has the same text and key; Full.
        """

        def work(kept: dict[str, Correction]) -> Correction | None:
            found = _of_revision(kept.get(name), revision)
            if found is None:
                return None
            about, other = self._compared(checked, (one for one in kept.values() if one.id != name))
            if other is not None:
                raise Conflict(f"{other.id} is a correction of the same already. Change or delete that one.")
            kept[name] = _changed(found, about, checked)
            return kept[name]

        return self.file.change(work)

    def remove(self, name: str, revision: int) -> bool:
        """Forget this revision of a correction; whether it was there. Raises Conflict."""

        def work(kept: dict[str, Correction]) -> bool | None:
            if _of_revision(kept.get(name), revision) is None:
                return None
            del kept[name]
            return True

        return self.file.change(work) is not None

    def _compared(self, checked: Checked, kept: Iterable[Correction]) -> tuple[str, Correction | None]:
        """Its text, as others hold it where they do, and the correction of the same text and key, if any."""
        key, about, same = self.form.key(checked.content), checked.about, None
        for one in kept:
            if one.about == about:
                about = one.about  # held once, however many corrections are about it
                if self.form.key(one.content) == key:
                    same = one  # the last one, where somebody put in several by hand
        return about, same


def _of_revision(found: Correction | None, revision: int) -> Correction | None:
    if found is not None and found.revision != revision:
        raise Conflict(
            f"it was changed meanwhile: its revision is {found.revision:,}, not {revision:,}. Look at it again first."
        )
    return found


def _changed(earlier: Correction, about: str, checked: Checked) -> Correction:
    return replace(earlier, revision=earlier.revision + 1, changed=_now(), about=about, content=checked.content)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""Which libraries read people's files: what they keep, how fast, in how much memory.

    python benchmarks/documents.py [--part pdf] [--part html] [--part word] [--part encodings] [--part start]

Candidates that are not installed are left out: pip install pypdf pdfminer.six python-docx docx2python beautifulsoup4 \\
inscriptis html-text charset-normalizer. `pdf` needs TRIFOLD_DATA (SQuAD 1.1 dev, whose paragraphs are typeset) and the
extra `dev`; where Chromium is, it prints them too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

import documents_readers as readers
from trifold.documents.document import MB, Bounds
from trifold.documents.reading import read_document
from trifold.tasks.qa.data.examples import read_examples

_TUNED = 200
"""Paragraphs at the start of the file, on which the rules of `trifold.documents.paragraphs` were tried out."""
PARTS = ("pdf", "html", "word", "encodings", "start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(measure(*options.read)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        for part in options.part or PARTS:
            globals()[f"part_{part}"](Path(scratch))
            print()


def measure(name: str, path: str) -> Mapping[str, object]:
    """One reader on one file, in this process of its own."""
    began = time.perf_counter()
    text = readers.ALL[name](Path(path).read_bytes())
    seconds = time.perf_counter() - began
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert peak is not None
    return {"seconds": seconds, "peak": int(peak[1]) / 1024, "text": text}


def read(name: str, path: Path) -> Mapping[str, object] | None:
    """The same in another process; None where the reader is not installed, fails, or takes a minute."""
    words = [sys.executable, __file__, "--read", name, str(path)]
    try:
        done = subprocess.run(words, capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout) if done.returncode == 0 else None


def part_pdf(scratch: Path) -> None:
    """Sentences that hold an answer, found word for word in what a reader makes of paragraphs that were typeset."""
    paragraphs, sentences = material(120)
    layouts: dict[str, Callable[[Sequence[str], Path], None]] = {
        "one column": lambda texts, to: typeset(texts, to, 1),
        "two columns": lambda texts, to: typeset(texts, to, 2),
    }
    if chromium := shutil.which("chromium"):
        layouts["Chromium, one column"] = lambda texts, to: printed(chromium, texts, to, 1)
        layouts["Chromium, two columns"] = lambda texts, to: printed(chromium, texts, to, 2)
    for layout, make in layouts.items():
        path = scratch / "made.pdf"
        make([broken(text) for text in paragraphs], path)
        print(f"{layout}: {len(sentences)} sentences, {path.stat().st_size / MB:.2f} MB")
        print(f"  {'':34}{'as it comes':>12}{'lines joined':>13}{'seconds':>9}{'MB':>6}")
        for name in readers.PDF:
            if (found := read(name, path)) is not None:
                text = str(found["text"])
                rates = [sum(s in t for s in sentences) / len(sentences) for t in (text, joined(text))]
                print(f"  {name:34}{rates[0]:12.1%}{rates[1]:13.1%}{found['seconds']:9.2f}{found['peak']:6.0f}")


def material(count: int) -> tuple[list[str], list[str]]:
    """Paragraphs of SQuAD 1.1 dev in Latin-1, spread over the file, and their sentences that hold an answer."""
    if not os.environ.get("TRIFOLD_DATA"):
        sys.exit("TRIFOLD_DATA is not set to a folder with the data (SQuAD 1.1 dev is read).")
    found: dict[str, set[str]] = {}
    for example in read_examples(Path(os.environ["TRIFOLD_DATA"]) / "qa" / "squad-dev-v1.1.json.gz"):
        passage, answer = example.passage, example.golds[0]
        if passage.encode("latin-1", "ignore").decode("latin-1") != passage or "  " in passage or "\n" in passage:
            continue
        start = passage.rfind(". ", 0, answer.start)
        end = passage.find(". ", answer.start + len(answer.text))
        sentence = passage[start + 2 if start >= 0 else 0 : end + 1 if end >= 0 else len(passage)]
        found.setdefault(passage, set()).add(sentence)
    later = list(found)[_TUNED:]
    chosen = later[:: max(1, len(later) // count)][:count]
    return chosen, [sentence for passage in chosen for sentence in sorted(found[passage])]


def broken(text: str) -> str:
    """Soft hyphens in long words, about where syllables end."""
    return re.sub(r"(?<=[a-z]{2}[aeiou])(?=[bcdfghklmnprstv][aeiou][a-z])", "\u00ad", text)


def joined(text: str) -> str:
    """What a program would do that knows of lines only."""
    return re.sub(r"\s+", " ", re.sub(r"[\u00ad\ufffe\u0002](?:\r?\n)?|(?<=[a-z])-\r?\n", "", text))


def typeset(texts: Sequence[str], to: Path, columns: int) -> None:
    from fpdf import FPDF
    from fpdf.enums import Align

    class Pages(FPDF):
        def header(self) -> None:
            self.set_font("Helvetica", size=9)
            self.cell(0, 8, "A book of paragraphs", new_x="LMARGIN", new_y="NEXT")

        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Helvetica", size=9)
            self.cell(0, 8, str(self.page_no()), align="C")

    document = Pages(format="A4")
    document.add_page()
    document.set_font("Times", size=10)
    with document.text_columns(ncols=columns, gutter=8) as text:
        for words in texts:
            with text.paragraph(text_align=Align.J, bottom_margin=4) as paragraph:
                paragraph.write(words)
    document.output(str(to))


def printed(chromium: str, texts: Sequence[str], to: Path, columns: int) -> None:
    page = to.with_suffix(".html")
    style = f"body {{ columns: {columns}; text-align: justify; font: 10pt serif }} p {{ margin: 0; text-indent: 1em }}"
    body = "\n".join(f"<p>{escape(text)}</p>" for text in texts)
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{body}", "utf-8")
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={to}", page.as_uri()]
    subprocess.run(words, check=True, capture_output=True)


def part_html(scratch: Path) -> None:
    """Pages that are large, deep, or go on after their end."""
    line = "<p>The quick <b>brown</b> fox jumps over the <a href='x'>lazy</a> dog.</p>\n"
    pages = {
        "3.5 MB": line * 50_000 + "<p>last",
        "10,000 deep": "<div>" * 10_000 + "last",
        "after </html>": f"<html><body>{line}</body></html>\n<p>last",
    }
    print(f"{'HTML':34}" + "".join(f"{name:>24}" for name in pages))
    for name in readers.HTML:
        row = ""
        for content in pages.values():
            path = scratch / "made.html"
            path.write_text(content, "utf-8")
            found = read(name, path)
            if found is None:
                row += f"{'-':>24}"
                continue
            kept = "whole" if str(found["text"]).rstrip().endswith("last") else "LOST"
            told = f"{kept}, {found['seconds']:.2f} s, {found['peak']:.0f} MB"
            row += f"{told:>24}"
        print(f"{name:34}{row}")


def part_word(scratch: Path) -> None:
    """What is kept of a Word file with one of everything."""
    path, large = scratch / "made.docx", scratch / "large.docx"
    path.write_bytes(readers.word_file(readers.WORD_BODY))
    large.write_bytes(readers.word_file(readers.WORD_LINE * 5000))
    print(f"{'Word':20}{'missing':64}{'5,000 paragraphs':>20}")
    for name in readers.WORD:
        if (found := read(name, path)) is None or (slow := read(name, large)) is None:
            continue
        missing = [word for word in readers.WORD_KEPT if word not in str(found["text"])]
        extra = [f"+{word}" for word in readers.WORD_GONE if word in str(found["text"])]
        print(
            f"{name:20}{', '.join([*missing, *extra]) or 'nothing':64}{slow['seconds']:12.2f} s{slow['peak']:4.0f} MB"
        )


def part_encodings(_: Path) -> None:
    """Texts in the encodings that people have, told by their bytes alone."""
    print(f"{'encodings told right':34}" + "".join(f"{name:>24}" for name in readers.ENCODINGS))
    for times, label in ((1, "a sentence or two"), (20, "a page")):
        row = ""
        for guess in readers.ENCODINGS.values():
            right = total = 0
            for text, encodings in readers.SAMPLES:
                for encoding in encodings:
                    content = (text * times).encode(encoding, "ignore")
                    total += 1
                    right += guess(content) == content.decode(encoding)
            told = f"{right} of {total}"
            row += f"{told:>24}"
        print(f"{label:34}{row}")


def part_start(_: Path) -> None:
    """From a small file to its text, with the process that parses it: seconds, the middle of nine."""
    files = {
        "text": b"It was written by Ada.",
        "text, Windows-1252": "It was written by José.".encode("cp1252"),
        "Markdown": b"# It\n\nwas *written* by Ada.",
        "HTML": b"<!doctype html><p>It was written by Ada.",
        "Word": readers.word_file(readers.WORD_LINE),
        "PDF": readers.pdf_file("It was written by Ada."),
    }
    for kind, content in files.items():
        seconds = []
        for _turn in range(9):
            began = time.perf_counter()
            read_document(content, Bounds(text=MB), name="a.md" if kind == "Markdown" else None)
            seconds.append(time.perf_counter() - began)
        print(f"{kind:34}{sorted(seconds)[4]:8.3f}")


if __name__ == "__main__":
    main()

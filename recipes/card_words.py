"""What the card of `default@1` says beside its figures."""

DESCRIPTION = (
    "A small English reader (22.6 M parameters, 10.6 M of them outside the word table) that answers questions with "
    "quotations from a passage, or says that it does not answer them. Its two lower layers read question and passage "
    "apart, so that a passage is read once for many questions. It comes with trifold and runs offline."
)
CALIBRATED_ON = (
    "up to 1,500 answered and as many unanswerable questions of SQuAD 2.0's training set, of titles that were not "
    "taught, those of 15 % of the passages of Natural Questions' training set, which were not taught either, and up to "
    "400 of each with another question's passage."
)
NOTES = [
    "It reads English. Text in other scripts gets a warning in the reply; other languages in Latin script do not.",
    "It quotes; it does not count, compare or conclude. Questions with several answers get the likeliest one.",
    "It was taught with Wikipedia. On other kinds of text, such as privacy policies below, it is far weaker until it "
    "is fine-tuned.",
    "A score is the probability of a right answer among questions like those it was calibrated on, of which half have "
    "an answer. Where every question has one, what it does not answer is wrong, and says so too rarely: ask it to "
    "answer always.",
    "transformers, which reads question and passage together in every layer, reads these weights otherwise than they "
    "were taught, and answers worse with them.",
]
INGREDIENTS = """## What each ingredient was worth

- The trial as the beginning: 805 steps from the encoder alone reached an F1 of 60 on titles held out, at the full
  learning rate; the divided trial begins with 74.
- Two layers apart: in short runs of distillation they cost 2 to 3 points of F1 (docs/performance.md), and bring 1.4
  times the speed where twenty questions share a passage.
- int8: the difference of the first two lines of "The same questions typed otherwise".
- Unanswerable questions: `default@0`, the same trial without them, had an F1 of 5.2 on the questions without an
  answer of SQuAD 2.0 dev, and of 41.3 on all.
- Natural Questions, passages without the answer, slips and missing question marks were not left out one by one: a run
  takes over an hour."""

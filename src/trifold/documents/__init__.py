"""Text out of files that people have: plain text, Markdown, HTML, PDF, Word."""

"""Streams of rows out of files and into files, whatever the rows are about."""

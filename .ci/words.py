#!/usr/bin/env python3
"""Find gendered pronouns in code, documents and English texts: `.ci/words.py [FOLDER]`.

Prints `file:line: word` for each and exits with 1 when there are any. A name made of several words
(`test_a_friend_sees_…`) is read word by word.

Texts in other languages are left out: files and TOML sections named after a language, and quotes in
the quotation marks of another language („…“, «…»), and the code of the Land Hessen. The migrations
that were applied are checksummed and can no longer change.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

WORDS = re.findall(r"\w+", "he she his her hers him himself herself whoever whomever whom")
ENDINGS = {".py", ".md", ".sql", ".ts", ".svelte", ".html", ".css", ".mjs", ".toml", ".json"}
FOREIGN = {"de", "fr", "it", "pl"}
NOT_OURS = {"node_modules", "dist", "build", "var", "__pycache__", "package-lock.json", "results"}
APPLIED = ("0001_", "0002_", "0003_", "0004_")

# An underscore parts two words; letters and digits do not.
WORD = re.compile(rf"(?<![^\W_])(?:{'|'.join(WORDS)})(?![^\W_])", re.IGNORECASE)
QUOTED = re.compile(r"„[^“”]*[“”]|«[^»]*»|\b(?:de|fr|it|pl) = \"[^\"]*\"|\bHE 05 Hessen\b")
SECTION = re.compile(r"^\[+([^\]]+)\]")


def checked_files(root: Path) -> Iterator[Path]:
    """The files that must be free of the words."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in NOT_OURS and (not name.startswith(".") or name == ".ci")
        )
        for name in sorted(names):
            file = Path(folder, name)
            if is_checked(file, root):
                yield file


def is_checked(file: Path, root: Path) -> bool:
    """Whether a file is code, a document or an English text."""
    if file.name in NOT_OURS or file.resolve() == Path(__file__).resolve():
        return False
    if file.parent.name == "migrations" and file.name.startswith(APPLIED):
        return False
    if file.suffix in {".toml", ".json"} and file.stem in FOREIGN:
        return False
    return (
        file.suffix in ENDINGS
        or file.name == "Makefile"
        or file.relative_to(root).parts[0] == ".ci"
    )


def find_words(file: Path) -> Iterator[tuple[int, str]]:
    """Each word with the number of its line."""
    foreign = False
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        if file.suffix == ".toml" and (section := SECTION.match(line)):
            foreign = section[1].rpartition(".")[2] in FOREIGN
        if not foreign:
            for found in WORD.finditer(QUOTED.sub("", line)):
                yield number, found[0]


def main() -> int:
    """Print every word; 1 when there was one."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    lines = [
        f"{file.relative_to(root).as_posix()}:{number}: {word}\n"
        for file in checked_files(root)
        for number, word in find_words(file)
    ]
    sys.stdout.writelines(lines)
    if lines:
        sys.stdout.write(
            f"{len(lines)} gendered pronouns. Cure: “the friend … they”, “the customer … they”, "
            "“anybody who”, or the plural\n"
        )
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())

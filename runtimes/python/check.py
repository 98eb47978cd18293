"""Parses a handler's file and the files of the same folder that it imports, and prints what it found as JSON.

    python3 check.py FOLDER FILE → {"executable", "version", "files": [...], "faults": [{"file", "line", "column", "message", "text"}]}

The executable is told because `python3` may be a script that takes longer to find Python than Python takes to start.
"""

import ast
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from own_code import OwnCode  # noqa: E402  the folder of this file comes first only now


def main(root, entry):
    own = OwnCode(root)
    files, faults, queue = [], [], [entry]
    while queue:
        path = queue.pop(0)
        if path in files or path not in own:
            continue
        files.append(path)
        try:
            with open(path, "rb") as source:
                tree = ast.parse(source.read(), path)
        except SyntaxError as error:
            faults.append(
                {
                    "file": error.filename or path,
                    "line": error.lineno or 1,
                    "column": max(1, error.offset or 1),
                    "message": f"{type(error).__name__}: {error.msg}",
                    "text": (error.text or "").rstrip("\r\n"),
                }
            )
            continue
        except (OSError, ValueError) as error:
            faults.append({"file": path, "line": 1, "column": 1, "message": str(error), "text": ""})
            continue
        for node in ast.walk(tree):
            queue.extend(imported(node, root, path))
    print(json.dumps({"executable": sys.executable, "version": sys.version.split()[0], "files": files, "faults": faults}))


def imported(node, root, path):
    """The files below the folder that an import statement reads."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        base = root
    elif isinstance(node, ast.ImportFrom):
        stem = node.module or ""
        names = [stem, *(f"{stem}.{alias.name}".strip(".") for alias in node.names)]
        base = root
        for _ in range(node.level):
            base = os.path.dirname(path) if base == root else os.path.dirname(base)
    else:
        return []
    return [file for name in names for file in files_of(base, name)]


def files_of(base, name):
    found = []
    parts = [part for part in name.split(".") if part]
    for count in range(1, len(parts) + 1):
        stem = os.path.join(base, *parts[:count])
        for file in (f"{stem}.py", os.path.join(stem, "__init__.py")):
            if os.path.isfile(file):
                found.append(file)
    return found


main(sys.argv[1], sys.argv[2])

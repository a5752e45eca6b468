"""Templates from a folder; what they compile to is kept as Python keeps what modules compile to."""

from __future__ import annotations

from collections.abc import MutableMapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from jinja2 import Environment, FileSystemLoader, Template


class TemplateFiles(FileSystemLoader):
    """The templates of a folder; the next process need not compile them again.

    To compile those of all pages is a fifth of the start of a server. Python itself reads and writes the files, so all
    that holds for its own holds for them: they lie in ``__pycache__`` beside the templates, are trusted as the package
    is, and where none can be or shall be written (``PYTHONDONTWRITEBYTECODE``), none is.

    Parameters
    ----------
    folder
        The templates.
    made_by
        The file that says how they are compiled: its settings and its filters are in what comes of them.
    """

    def __init__(self, folder: Path, made_by: Path) -> None:
        super().__init__(folder)
        self._made_by = made_by

    def load(self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None) -> Template:  # noqa: A002 (jinja2's name)
        """Return a template; raises `jinja2.TemplateNotFound`."""
        _, path, is_current = self.get_source(environment, name)
        code = _Compiler(environment, name, path, self._made_by).get_code(name)
        assert code is not None
        return environment.template_class.from_code(environment, code, globals or {}, is_current)


class _Compiler(SourceFileLoader):
    """Python's loader of source files, for one template."""

    def __init__(self, environment: Environment, name: str, path: str, made_by: Path) -> None:
        super().__init__(name, path)
        self._environment, self._made_by = environment, made_by

    def source_to_code(self, data: Any, path: Any, **_: Any) -> CodeType:  # type: ignore[override]
        """Compile the template."""
        return self._environment.compile(bytes(data).decode(), self.name, str(path))

    def path_stats(self, path: str | bytes) -> dict[str, float]:
        """Return what compiled code holds for: not the template alone, but what compiles it as well."""
        own, *others = [Path(each).stat() for each in (str(path), self._made_by, jinja2.__file__)]
        # In whole seconds each: images of containers keep no more.
        return {"mtime": sum(int(each.st_mtime) for each in (own, *others)), "size": own.st_size}

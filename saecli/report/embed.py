"""Pages of one file: data and scripts inside, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from saecli.core.resources import resource


def page(name: str, data: Any, scripts: Sequence[str] = (), **context: Any) -> str:
    """Render ``templates/report/NAME.html.j2`` with its ``.css``, its ``.js`` if it has one, and the data it reads.

    The template gets ``style`` and ``script`` with their hashes ``style_hash`` and ``script_hash`` for the content
    security policy, ``data`` as JSON, and the context; every other text is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = resource("templates", "report")
    style = (folder / f"{name}.css").read_text(encoding="utf-8")
    own = [name] if (folder / f"{name}.js").is_file() else []
    script = "".join((folder / f"{one}.js").read_text(encoding="utf-8") for one in (*scripts, *own))
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(f"{name}.html.j2").render(
        **context,
        data=Markup(_script_json(data)),  # noqa: S704 - escaped by _script_json
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _script_json(data: Any) -> str:
    """JSON that no HTML parser can mistake for markup."""
    text = json.dumps(data, separators=(",", ":"), sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

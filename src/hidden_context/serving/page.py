"""The OpenAPI document as a page without scripts, fonts or other sites."""

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing."""
_PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ info.title }} {{ info.version }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { overflow-x: auto; padding: 0.5rem; border: 1px solid; }
td { padding-right: 1rem; vertical-align: top; }
:root { color-scheme: light dark; }
</style>
<h1>{{ info.title }} {{ info.version }}</h1>
<p>{{ info.description }} The same for programs: <a href="openapi.json">openapi.json</a>.</p>
{% for operation in operations %}
<h2><code>{{ operation.method }} {{ operation.path }}</code></h2>
<p>{{ operation.description }}</p>
{% for parameter in operation.parameters %}
<p><code>?{{ parameter.name }}=</code> {{ parameter.description }}</p>
{% endfor %}
{% for name, schemas in operation.schemas.items() %}
<details><summary>{{ name }}</summary>
{% for title, schema in schemas.items() %}
<h3>{{ title }}</h3>
<pre>{{ schema }}</pre>
{% endfor %}
</details>
{% endfor %}
<table>
{% for status, said in operation.statuses.items() %}
<tr><td>{{ status }}<td>{{ said }}
{% endfor %}
</table>
{% endfor %}
</html>
""")


def page_of(document: Mapping[str, Any]) -> str:
    """HTML of an OpenAPI document; references are shown beside what refers to them."""
    operations = [
        {
            "method": method.upper(),
            "path": path,
            "description": operation.get("description", ""),
            "parameters": operation.get("parameters", []),
            "schemas": {
                "Request": _schemas(operation.get("requestBody", {}), document),
                "Answer": _schemas(operation["responses"].get("200", {}), document),
            },
            "statuses": {
                status: response["description"]
                for status, response in sorted(operation["responses"].items())
            },
        }
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    for operation in operations:
        operation["schemas"] = {name: of for name, of in operation["schemas"].items() if of}
    return _PAGE.render(info=document["info"], operations=operations)


def _schemas(content: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, str]:
    """The schema of a body, and those that it refers to, by name."""
    schema = content.get("content", {}).get("application/json", {}).get("schema")
    if not schema:
        return {}
    named = document["components"]["schemas"]
    found: dict[str, Any] = {} if "$ref" in schema else {schema.get("title", "Body"): schema}
    waiting = [schema]
    while waiting:
        for name in _names(waiting.pop()):
            if name not in found:
                found[name] = named[name]
                waiting.append(named[name])
    return {name: json.dumps(each, indent=1, ensure_ascii=False) for name, each in found.items()}


def _names(schema: Any) -> list[str]:
    """Names of the schemas that one refers to itself."""
    if isinstance(schema, Mapping):
        own = [schema["$ref"].rsplit("/", 1)[1]] if isinstance(schema.get("$ref"), str) else []
        return own + [name for each in schema.values() for name in _names(each)]
    return [name for each in schema for name in _names(each)] if isinstance(schema, list) else []

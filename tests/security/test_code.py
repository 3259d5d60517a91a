"""What the code itself promises, read from it: no SQL, process or object is made from input."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = ("aggregation", "brokerhub", "comparison", "connections", "health", "sync")
SANDBOX = ROOT / "connections" / "sandbox"
SQL = re.compile(r"\b(SELECT|DELETE FROM|INSERT INTO|UPDATE|WHERE|TRUNCATE|ANALYZE|ALTER TABLE|CREATE (TEMP|INDEX))\b")
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if SANDBOX not in path.parents:
                yield path.relative_to(ROOT), ast.parse(path.read_text())


MODULES = list(modules())


def _is_ours(node: ast.expr, locals_: dict[str, bool]) -> bool:
    """Whether the value is written in the code: a constant, one in capitals, a name of Django's, or made of such."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return bool(CONSTANT.fullmatch(name)) or locals_.get(name, False)
        case ast.Attribute(attr="db_table" | "column"):
            return True
        case ast.Attribute(attr=name):
            return bool(CONSTANT.fullmatch(name))
        case ast.Call(func=ast.Attribute(value=value, attr="items" | "keys" | "values"), args=[]):
            return _is_ours(value, locals_)
        case ast.Call(func=ast.Name(), args=args, keywords=[]):  # a function of such
            return bool(args) and all(_is_ours(part, locals_) for part in args)
        case ast.Call(func=ast.Attribute(attr="quote_name")):
            return True  # Django's own way for names that come from the database
        case ast.Call(func=ast.Attribute(value=value, attr="format"), args=args, keywords=keywords):
            return all(_is_ours(part, locals_) for part in (value, *args, *(word.value for word in keywords)))
        case ast.Call(func=ast.Attribute(value=value, attr="join"), args=[ast.GeneratorExp() as found]):
            inner = locals_ | {
                name.id: _is_ours(each.iter, locals_)
                for each in found.generators
                for name in ast.walk(each.target)
                if isinstance(name, ast.Name)
            }
            return _is_ours(value, locals_) and _is_ours(found.elt, inner)
        case ast.Call(func=ast.Attribute(value=value, attr="join"), args=args):
            return all(_is_ours(part, locals_) for part in (value, *args))
        case ast.BinOp(left=left, right=right):
            return _is_ours(left, locals_) and _is_ours(right, locals_)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_ours(body, locals_) and _is_ours(orelse, locals_)
        case ast.JoinedStr(values=values):
            return all(_is_ours(part, locals_) for part in values)
        case ast.FormattedValue(value=value) | ast.Starred(value=value):
            return _is_ours(value, locals_)
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return all(_is_ours(part, locals_) for part in elements)
    return False


def _locals(tree: ast.Module) -> dict[str, bool]:
    """Names in small letters that are only ever given, as a variable or as an argument, what is written in the code."""
    given: dict[str, list[ast.expr]] = {}
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    given.setdefault(target.id, []).append(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            names = [argument.arg for argument in functions[node.func.id].args.args]
            for name, value in [*zip(names, node.args, strict=False), *((k.arg, k.value) for k in node.keywords)]:
                if name is not None:
                    given.setdefault(name, []).append(value)
    ours: dict[str, bool] = {}
    for _ in range(3):  # a name may be made of others
        ours = {name: all(_is_ours(value, ours) for value in values) for name, values in given.items()}
    return ours


def put_together(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and expression of each part of an SQL statement that may come from elsewhere."""
    known = _locals(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            parts: list[ast.expr] = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
            text = "".join(part.value for part in (node.left, node.right) if _is_text(part))  # type: ignore[attr-defined]
            parts = [part for part in (node.left, node.right) if not _is_text(part)]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
            text = str(node.func.value.value) if _is_text(node.func.value) else ""  # type: ignore[attr-defined]
            parts = [*node.args, *(word.value for word in node.keywords)]
        else:
            continue
        if SQL.search(text):
            yield from ((node.lineno, ast.unparse(part)) for part in parts if not _is_ours(part, known))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_sql_is_put_together_from_constants_only():
    found = [(str(path), line, part) for path, tree in MODULES for line, part in put_together(tree)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "cursor.execute(f\"SELECT * FROM t WHERE name = '{name}'\")",
        'sql = "SELECT * FROM t WHERE id = %s" % request.GET["id"]',
        'sql = "DELETE FROM t WHERE id = " + str(pk)',
        'sql = "UPDATE t SET x = {}".format(value)',
    ],
)
def test_sql_made_from_input_would_be_seen(code):
    assert list(put_together(ast.parse(code)))


def calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, dict[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func), {str(word.arg): ast.unparse(word.value) for word in node.keywords}


def test_no_process_is_started_through_a_shell():
    for path, tree in MODULES:
        for call, name, words in calls(tree):
            assert words.get("shell", "False") == "False", (path, call.lineno)
            assert name not in {"os.system", "os.popen", "eval", "exec"}, (path, call.lineno)


def test_nothing_is_unpickled():
    for path, tree in MODULES:
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "yaml", "dill"} & {name.split(".")[0] for name in names}, path


def test_certificates_are_always_checked():
    for path, tree in MODULES:
        for call, name, words in calls(tree):
            assert words.get("verify", "True") != "False", (path, call.lineno)
            assert "unverified" not in name, (path, call.lineno)


def test_redirects_are_never_followed():
    """Each place that asks another server says so; the demo's browser, which only ever sees the sandbox, may."""
    asking = 0
    for path, tree in MODULES:
        if path.name == "demo.py":
            continue
        for call, name, words in calls(tree):
            assert words.get("allow_redirects", "False") == "False", (path, call.lineno)
            if re.fullmatch(r"requests\.(get|post|put|delete|request)", name):
                assert "allow_redirects" in words, (path, call.lineno)
                asking += 1
    assert asking


def test_xml_is_read_by_the_defused_parser_only():
    """The standard library lends its names for types and for building; what parses is defusedxml's."""
    for path, tree in MODULES:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("xml.", "lxml")):
                assert {alias.name for alias in node.names} <= {"Element", "ParseError", "TreeBuilder"}, path
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith(("xml", "lxml")) for alias in node.names), path


def test_scripts_keep_no_data_in_the_browser_and_write_no_markup():
    """A switch may be remembered, by a word that stands in the script."""
    scripts = sorted((ROOT / "static" / "js").glob("*.js"))
    assert scripts
    for script in scripts:
        text = script.read_text()
        for word in ("sessionStorage", "indexedDB", "document.cookie", "eval(", "new Function"):
            assert word not in text, (script.name, word)
        assert text.count("setItem(") == len(re.findall(r'localStorage\.setItem\([A-Z_]+, "\w+"\)', text)), script.name
        assert not re.search(r"\.(innerHTML|outerHTML)\s*=|insertAdjacentHTML|document\.write", text), script.name

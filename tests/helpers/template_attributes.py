"""What templates ask of each value, and what the code can give them, without running either."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count

from jinja2 import Environment, nodes
from jinja2.runtime import LoopContext
from markupsafe import Markup

BUILTINS = (dict, list, Markup, LoopContext)
"""What templates are given beside records of the code: they may use methods of these, too."""

Value = tuple[object, ...]
"""Where a value of a template comes from: a name, and attributes of it."""


class _Reader:
    """A walk through a template that gathers by value which attributes are asked of it."""

    def __init__(self) -> None:
        self.asked: defaultdict[Value, dict[str, int]] = defaultdict(dict)
        self._numbers = count()

    def walk(self, node: nodes.Node, scope: dict[str, Value]) -> None:
        """Gather from a node and all below it; of each name in scope it is known which value it has."""
        if isinstance(node, nodes.For):
            self.walk(node.iter, scope)
            inner = scope | self._new("loop", *_names(node.target))
            for child in (*node.body, *([node.test] if node.test else ())):
                self.walk(child, inner)
            for child in node.else_:
                self.walk(child, scope)
            return
        if isinstance(node, nodes.Macro | nodes.CallBlock):
            scope = scope | self._new(*(name for argument in node.args for name in _names(argument)))
        if isinstance(node, nodes.Getattr):
            self.asked[self._value(node.node, scope)].setdefault(node.attr, node.lineno)
        for child in node.iter_child_nodes():
            self.walk(child, scope)
        if isinstance(node, nodes.Assign):
            value = self._value(node.node, scope)
            scope.update(self._new(*_names(node.target)))
            if isinstance(node.target, nodes.Name):
                scope[node.target.name] = value

    def _new(self, *names: str) -> dict[str, Value]:
        return {name: (next(self._numbers),) for name in names}

    def _value(self, node: nodes.Node, scope: dict[str, Value]) -> Value:
        if isinstance(node, nodes.Name):
            return scope.get(node.name, (node.name,))
        if isinstance(node, nodes.Getattr):
            return (*self._value(node.node, scope), node.attr)
        return (next(self._numbers),)


def _names(target: nodes.Node) -> list[str]:
    own = [target.name] if isinstance(target, nodes.Name) else []
    return own + [name.name for name in target.find_all(nodes.Name)]


def asked_of_values(template: str) -> list[dict[str, int]]:
    """By value of a template the attributes that it is asked for, each with a line that asks."""
    reader = _Reader()
    reader.walk(_parsed(template), {})
    return list(reader.asked.values())


def names_of_parts(template: str) -> frozenset[str]:
    """Macros of a template, which another one may import, and its blocks."""
    tree = _parsed(template)
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}
    return frozenset(macros | {block.name for block in tree.find_all(nodes.Block)})


def names_of_classes(modules: Iterable[ast.Module]) -> set[frozenset[str]]:
    """By class its fields, properties and methods, also those of its bases."""
    own: defaultdict[str, set[str]] = defaultdict(set)
    bases: defaultdict[str, set[str]] = defaultdict(set)
    for module in modules:
        for line in (line for line in module.body if isinstance(line, ast.ClassDef)):
            own[line.name].update(_members(line))
            bases[line.name].update(base.id for base in line.bases if isinstance(base, ast.Name))
    return {frozenset(own[name].union(*(own[b] for b in bases[name] if b in own))) for name in own}


def names_of_others(modules: Iterable[ast.Module]) -> set[frozenset[str]]:
    """By module its own names, by literal dictionary its keys, and the names of BUILTINS."""
    found = {frozenset(dir(builtin)) for builtin in BUILTINS}
    for module in modules:
        found.add(frozenset(_members(module)))
        every = list(ast.walk(module))
        assigned: defaultdict[str, set[str]] = defaultdict(set)
        for node in every:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                for target in node.targets:
                    assigned[ast.unparse(target)] |= _keys(node.value)
        for node in every:
            if isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                spread = [assigned[ast.unparse(value)] for key, value in pairs if key is None]
                found.add(frozenset(_keys(node).union(*spread)))
    return found


def _parsed(template: str) -> nodes.Template:
    return Environment(autoescape=True).parse(template)


def _keys(node: ast.Dict) -> set[str]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def _members(node: ast.ClassDef | ast.Module) -> Iterator[str]:
    for line in node.body:
        if isinstance(line, ast.FunctionDef | ast.ClassDef):
            yield line.name
        elif isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            yield line.target.id
        elif isinstance(line, ast.Assign):
            yield from (target.id for target in line.targets if isinstance(target, ast.Name))

"""Lays a script out as one straight list of statements, functions and main guards looked into."""

import ast
import copy
from collections.abc import Iterable, Iterator, Sequence

from typing_extensions import override

from everbake.views.script import Function, Script, bound, called, names

_ACTIONS = frozenset(
    [
        "fit",
        "fit_transform",
        "predict",
        "predict_proba",
        "decision_function",
        "train_test_split",
        "cross_val_score",
        "cross_validate",
    ]
)
_DEPTH = 8
# Enough for any script written by hand, small enough for an answer at once.
_MOST = 2000
_UNROLLED = 30
_Scope = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def steps(script: Script) -> list[ast.stmt]:
    """The statements of a script in the order in which they run, as far as can be told."""
    walker = _Walker(script)
    main = list(walker.flat(script.tree.body, 0))
    if any(acts(step, frozenset()) for step in main):
        return main
    for name in walker.uncalled():
        function = script.function(name)
        if function is not None:
            main.extend(walker.flat(function.body, 1))
    return main


def acts(node: ast.AST, actions: frozenset[str]) -> bool:
    """Whether code reads data, splits it, trains or predicts, by itself or through `actions`."""
    return any(
        called(part) in _ACTIONS
        or called(part).startswith("read_")
        or (
            isinstance(part, ast.Call)
            and isinstance(part.func, ast.Name)
            and part.func.id in actions
        )
        for part in ast.walk(node)
    )


class _Walker:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._used = names(script.tree) | bound(script.tree)
        self._count = 0
        self._opened: set[str] = set()
        self._actions = self._closure()

    def _closure(self) -> frozenset[str]:
        """Functions that must be looked into: they act, or take the table apart."""
        functions = {
            name: node
            for name in self._script.definitions
            if (node := self._script.function(name)) is not None
        }
        found = {name for name, node in functions.items() if _takes_apart(node)}
        while True:
            more = {n for n, node in functions.items() if acts(node, frozenset(found))}
            if more <= found:
                return frozenset(found)
            found |= more

    def uncalled(self) -> list[str]:
        """Functions that act and that no other function calls."""
        mentioned = {
            name
            for other, node in self._script.definitions.items()
            for name in names(node)
            if name != other
        }
        return [n for n in self._script.definitions if n in self._actions - mentioned]

    def flat(self, body: Sequence[ast.stmt], depth: int) -> Iterator[ast.stmt]:
        """The statements of a body, one after the other."""
        for node in body:
            if self._count > _MOST:
                return
            self._count += 1
            inner = self._inner(node)
            if inner is None:
                yield from self._simple(node, depth)
            else:
                yield from self.flat(inner, depth)

    def _inner(self, node: ast.stmt) -> list[ast.stmt] | None:
        """The statements inside a compound statement that is looked into, else None."""
        if isinstance(node, Function | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Pass):
            return []
        if isinstance(node, ast.With | ast.AsyncWith):
            return node.body
        if isinstance(node, ast.Try):
            return [*node.body, *node.orelse, *node.finalbody]
        if isinstance(node, ast.If) and _is_guard(node.test):
            return [*node.body, *node.orelse]
        return self._acting(node) if acts(node, self._actions) else None

    def _acting(self, node: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(node, ast.If):
            return [*node.body, *node.orelse]
        if isinstance(node, ast.While):
            return node.body
        if isinstance(node, ast.For) and not _trains(node):
            return self._unrolled(node)
        return (
            [*self._first(node), *node.body] if isinstance(node, ast.For | ast.AsyncFor) else None
        )

    def _unrolled(self, loop: ast.For) -> list[ast.stmt] | None:
        """A loop over a fixed list, such as columns to encode, written out; else None."""
        over = self._literal(loop.iter.id) if isinstance(loop.iter, ast.Name) else loop.iter
        if not isinstance(over, ast.List | ast.Tuple) or not isinstance(loop.target, ast.Name):
            return None
        if len(over.elts) > _UNROLLED:
            return None
        body: list[ast.stmt] = []
        for entry in over.elts:
            swap = _Names({loop.target.id: entry})
            body += [swap.visit(copy.deepcopy(node)) for node in loop.body]
        return body

    def _first(self, loop: ast.For | ast.AsyncFor) -> list[ast.stmt]:
        """What binds the variables of a loop to the first entry that it goes over."""
        over = loop.iter
        items = called(over) == "items"
        if isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute):
            over = over.func.value
        if isinstance(over, ast.Name):
            over = self._literal(over.id) or over
        first: ast.expr | None = None
        if isinstance(over, ast.Dict) and over.keys and over.keys[0] is not None:
            pair = ast.Tuple([over.keys[0], over.values[0]], ast.Load())
            first = pair if items else over.keys[0]
        elif isinstance(over, ast.List | ast.Tuple) and over.elts:
            first = over.elts[0]
        if first is None:
            return []
        return [ast.copy_location(ast.Assign([loop.target], copy.deepcopy(first)), loop)]

    def _literal(self, name: str) -> ast.expr | None:
        return next(
            (
                node.value
                for node in ast.walk(self._script.tree)
                if isinstance(node, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == name for t in node.targets)
            ),
            None,
        )

    def _simple(self, node: ast.stmt, depth: int) -> Iterator[ast.stmt]:
        if depth > _DEPTH or isinstance(node, ast.For | ast.If | ast.While):
            yield node
            return
        node = copy.deepcopy(node)
        before: list[ast.stmt] = []
        for call in _calls(node):
            function = self._opens(call, node)
            if function is None:
                continue
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            self._opened.add(name)
            body, answer = self._inlined(call, function)
            before.extend(self.flat(body, depth + 1))
            self._opened.discard(name)
            _Swap(call, answer).visit(node)
        yield from before
        yield node

    def _opens(self, call: ast.Call, node: ast.stmt) -> Function | None:
        if not isinstance(call.func, ast.Name) or call.func.id in self._opened:
            return None
        function = self._script.function(call.func.id)
        if function is None or any(word.arg is None for word in call.keywords):
            return None
        several = (
            isinstance(node, ast.Assign)
            and node.value is call
            and isinstance(node.targets[0], ast.Tuple)
            and isinstance(_answer(function), ast.Tuple)
        )
        return function if several or call.func.id in self._actions else None

    def _inlined(self, call: ast.Call, function: Function) -> tuple[list[ast.stmt], ast.expr]:
        """The body of a called function with its arguments in place, and what it returns."""
        body = copy.deepcopy(function.body)
        bindings = _arguments(call, function)
        rebound = {name for node in body for name in _stores(node)}
        swaps: dict[str, ast.expr] = {}
        before: list[ast.stmt] = []
        for name in [*bindings, *sorted(rebound - set(bindings))]:
            value = bindings.get(name)
            if isinstance(value, ast.Name | ast.Constant) and name not in rebound:
                swaps[name] = value
                continue
            fresh = name if name in rebound and value is None else self._fresh(name)
            swaps[name] = ast.Name(fresh, ast.Load())
            if value is not None:
                made = ast.Assign([ast.Name(fresh, ast.Store())], value)
                before.append(ast.copy_location(made, call))
        swap = _Names(swaps)
        body = [swap.visit(node) for node in body]
        answer: ast.expr = ast.Constant(None)
        last = body[-1] if body else None
        if isinstance(last, ast.Return) and last.value is not None:
            answer = last.value
            if any(called(part) in self._actions for part in ast.walk(answer)):
                name = self._fresh("answer")
                kept = ast.Assign([ast.Name(name, ast.Store())], answer)
                body[-1] = ast.copy_location(kept, last)
                answer = ast.Name(name, ast.Load())
        return before + _without_returns(body), answer

    def _fresh(self, name: str) -> str:
        fresh, count = name, 1
        while fresh in self._used:
            count += 1
            fresh = f"{name}_{count}"
        self._used.add(fresh)
        return fresh


def _trains(node: ast.AST) -> bool:
    """Whether code does more than to transform columns."""
    return any(called(part) in _ACTIONS - {"fit_transform"} for part in ast.walk(node))


class _Swap(ast.NodeTransformer):
    """Replaces one node by another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    @override
    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else self.generic_visit(node)


class _Names(ast.NodeTransformer):
    """Replaces names by expressions."""

    def __init__(self, swaps: dict[str, ast.expr]) -> None:
        self._swaps = swaps

    @override
    def visit_Name(self, node: ast.Name) -> ast.expr:
        new = self._swaps.get(node.id)
        if new is None:
            return node
        if isinstance(new, ast.Name):
            return ast.copy_location(ast.Name(new.id, node.ctx), node)
        return copy.deepcopy(new) if isinstance(node.ctx, ast.Load) else node


def _arguments(call: ast.Call, function: Function) -> dict[str, ast.expr]:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    found: dict[str, ast.expr] = {}
    defaults = arguments.defaults
    for one, value in zip(given[len(given) - len(defaults) :], defaults, strict=True):
        found[one.arg] = value
    for one, kept in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if kept is not None:
            found[one.arg] = kept
    found |= {one.arg: value for one, value in zip(given, call.args, strict=False)}
    found |= {word.arg: word.value for word in call.keywords if word.arg}
    return found


def _answer(function: Function) -> ast.expr | None:
    last = function.body[-1]
    return last.value if isinstance(last, ast.Return) else None


def _takes_apart(function: Function) -> bool:
    return any(called(part) in {"drop", "pop"} for part in ast.walk(function))


def _stores(node: ast.stmt) -> set[str]:
    if isinstance(node, Function | ast.ClassDef):
        return {node.name}
    return {
        part.id
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _calls(node: ast.stmt) -> list[ast.Call]:
    """Calls in a statement, innermost first; what a lambda or comprehension binds is left out."""
    found: list[ast.Call] = []

    def collect(part: ast.AST) -> None:
        if isinstance(part, _Scope | Function | ast.ClassDef):
            return
        for child in ast.iter_child_nodes(part):
            collect(child)
        if isinstance(part, ast.Call):
            found.append(part)

    collect(node)
    return found


def _without_returns(body: Iterable[ast.stmt]) -> list[ast.stmt]:
    return [node for node in body if not isinstance(node, ast.Return)]


def _is_guard(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and "__name__" in names(test)

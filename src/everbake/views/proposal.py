"""Proposes a recipe from a script, which is read and never run."""

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from everbake.views.layout import expression, laid_out
from everbake.views.script import (
    Import,
    Script,
    bound,
    called,
    is_builtin,
    names,
    read_script,
)
from everbake.views.script_answer import Given, Modelled, chosen, columns_seen, texts_in
from everbake.views.script_data import MODEL
from everbake.views.script_follow import follow
from everbake.views.script_label import (
    UNKNOWN,
    columns_of,
    inputs_of,
    kept_features,
    label_of,
    with_label_changes,
)
from everbake.views.script_metric import Metric, metric_of
from everbake.views.script_rows import ROWS
from everbake.views.script_steps import steps
from everbake.views.script_tables import without_label
from everbake.views.script_trace import Fit, Trace
from everbake.views.template import Parts, model_name, rendered

_CLASSIFIERS = ("Classifier", "LogisticRegression", "SVC", "NB", "Discriminant", "Perceptron")
_HELD_OUT_WORDS = {"eval_set", "validation_data", "callbacks", "verbose", "eval_metric"}
_WIDTH = 100
_LONG = 92
_DUMMIES = (
    "get_dummies makes other columns of other rows: "
    "a OneHotEncoder in the model's pipeline does not"
)


@dataclass(frozen=True)
class Proposal:
    """A proposed recipe.

    Attributes:
        text: the source of `recipe.py`.
        name: the name of the model.
        notes: what was found, and what the person must look at, one sentence each.
        complete: whether nothing was guessed.
    """

    text: str
    name: str
    notes: tuple[str, ...]
    complete: bool


def propose(script: str, filename: str) -> Proposal:
    """A recipe that does what a pandas and scikit-learn script does.

    Raises:
        UsageError: the script is not Python.
    """
    read = read_script(script, filename)
    name = model_name(filename)
    try:
        trace = follow(read, steps(read))
        proposal = _Builder(read, trace, name).proposal()
        compile(proposal.text, "recipe.py", "exec", dont_inherit=True)
    except (RecursionError, SyntaxError, ValueError):
        fallback = blank(name)
        note = f"{filename} could not be followed: this is a recipe to start from."
        return Proposal(fallback.text, name, (note, *fallback.notes), complete=False)
    return proposal


def blank(name: str, columns: tuple[str, ...] = ()) -> Proposal:
    """A recipe to start from; the columns of the data, if known, are listed in it."""
    model = model_name(name)
    drop = f'rows.drop(columns=["{UNKNOWN}"], errors="ignore").select_dtypes("number")'
    comments = [f"Columns of the data: {', '.join(map(repr, columns))}"] if columns else []
    notes = [
        f'Put the column that the model learns in place of "{UNKNOWN}".',
        "For classes, take LogisticRegression and accuracy_score.",
    ]
    if columns:
        notes.append(f"The data has the columns {', '.join(columns)}.")
    parts = Parts(
        name=model,
        imports=frozenset(
            {
                Import("sklearn.linear_model", "LinearRegression"),
                Import("sklearn.metrics", "mean_squared_error"),
            }
        ),
        data=f'label="{UNKNOWN}"',
        gate="mean_squared_error",
        train=ast.parse(f"inputs = {drop}\nLinearRegression().fit(inputs, rows['{UNKNOWN}'])").body,
        predict=ast.parse(f"inputs = {drop}\nmodel.predict(inputs)").body,
        model="LinearRegression",
        comments=[one[: _WIDTH - 2].replace("\n", " ") for one in comments],
    )
    parts = replace(parts, train=_returning(parts.train), predict=_returning(parts.predict))
    return Proposal(rendered(parts), model, tuple(notes), complete=False)


def _returning(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """A body whose last expression is returned."""
    return [*body[:-1], *(ast.Return(one.value) for one in body[-1:] if isinstance(one, ast.Expr))]


class _Builder:
    """Puts a recipe together from what was found in a script."""

    def __init__(self, script: Script, trace: Trace, name: str) -> None:
        self._script = script
        self._trace = trace
        self._name = name
        self._imports: set[Import] = set()
        self._fit, self._score = chosen(trace)
        fit = self._fit
        found = label_of(trace, fit.label if fit else None)
        self._label = with_label_changes(trace, found)
        self._local = "inputs" if "inputs" not in names(script.tree) else "inputs_"
        self._inputs = inputs_of(trace, fit.inputs if fit else None, self._label.column)

    def proposal(self) -> Proposal:
        """The proposed recipe."""
        trace, fit = self._trace, self._fit
        if fit is None:
            trace.guesses.append((0, "No training such as model.fit(X, y) was found"))
        if self._label.column == UNKNOWN:
            seen = ", ".join(columns_seen(self._script)) or "none"
            trace.guesses.append((0, f"No label was found; columns that the script names: {seen}"))
        metric = metric_of(trace, self._score, self._is_classifier())
        train, predict, features = self._train(), self._predict(metric), self._features()
        split, times = self._split()
        model = self._annotation()
        body = [*train, *predict, *features, *([metric.wrapper] if metric.wrapper else [])]
        carried, stars = self._carried(body, metric)
        parts = Parts(
            name=self._name,
            imports=frozenset(self._imports | set(metric.imports)),
            data=f"label={_text(self._label.column)}" + times,
            gate=metric.name + (f', better="{metric.better}"' if metric.better else ""),
            train=train,
            predict=predict,
            model=model,
            features=features,
            carried=carried,
            split=split,
            stars=stars,
        )
        return Proposal(rendered(parts), self._name, self._notes(metric), self._is_complete(metric))

    def _is_complete(self, metric: Metric) -> bool:
        return not (self._trace.guesses or metric.guessed)

    def _notes(self, metric: Metric) -> tuple[str, ...]:
        found = [(self._fit.line, "the model is trained here")] if self._fit else []
        if self._label.column != UNKNOWN and self._fit:
            found.append((self._fit.line, f'the label is "{self._label.column}"'))
        sentences = [
            (f"Line {line}: {text}." if line else f"{text}.")
            for line, text in sorted(dict.fromkeys([*found, *self._trace.notes]))
        ]
        sentences.append(metric.note)
        sentences += [
            (f"Look at line {line}: {text}." if line else f"{text}.")
            for line, text in sorted(dict.fromkeys(self._trace.guesses))
        ]
        return tuple(sentences)

    def _train(self) -> list[ast.stmt]:
        fit = self._fit
        if fit is None:
            self._imports.add(Import("sklearn.linear_model", "LinearRegression"))
            model: ast.expr = ast.parse("LinearRegression()", mode="eval").body
            words: list[ast.keyword] = []
        else:
            model, words = fit.model, [w for w in fit.words if w.arg not in _HELD_OUT_WORDS]
        chain = without_label(self._trace, fit.inputs.chain if fit else (), self._label.column)
        if chain:
            self._imports.add(Import("sklearn.pipeline", "make_pipeline"))
            model = ast.Call(ast.Name("make_pipeline", ast.Load()), [*chain, model], [])
            if words and fit is not None:
                self._trace.guesses.append((fit.line, "the options of fit(...) are left out"))
            words = []
        inputs, label = self._inputs, self._label.expr
        call = ast.Call(ast.Attribute(model, "fit", ast.Load()), [inputs, label], words)
        before = self._slice(names(call), fit.locals if fit else 0)
        filters = [step.node for step in self._trace.filters]
        if len(ast.unparse(call)) > _LONG:
            before.append(ast.Assign([ast.Name(self._local, ast.Store())], inputs))
            call.args = [ast.Name(self._local, ast.Load()), label]
        if isinstance(model, ast.Name) and self._is_keras():
            return [*filters, *before, ast.Expr(call), ast.Return(model)]
        return [*filters, *before, ast.Return(call)]

    def _is_keras(self) -> bool:
        roots = {one.module.partition(".")[0] for one in self._script.imports.values()}
        return bool(roots & {"keras", "tensorflow", "torch"})

    def _predict(self, metric: Metric) -> list[ast.stmt]:
        fit = self._fit
        answer = self._answer(fit, metric)
        answer = Given(self._inputs).visit(answer)
        if any(called(part) == "get_dummies" for part in ast.walk(self._inputs)):
            self._trace.guesses.append((fit.line if fit else 0, _DUMMIES))
        wanted = names(answer) - {"model"}
        answer = Modelled(fit.key if fit else "").visit(answer)
        lost = any(name.startswith(MODEL) for name in names(answer))
        if lost or any(called(p) == "inverse_transform" for p in ast.walk(answer)):
            self._trace.guesses.append(
                (
                    fit.line if fit else 0,
                    "what becomes of the predictions could not be carried over",
                )
            )
            answer = self._plain(metric)
            wanted = names(answer) - {"model"}
        if self._label.inverse and self._is_transformed():
            function = ast.parse(self._label.inverse, mode="eval").body
            answer = ast.Call(function, [answer], [])
            if "np" not in self._script.imports:
                self._imports.add(Import("numpy", "", "np"))
        return [*self._slice(wanted, len(self._trace.locals)), ast.Return(answer)]

    def _is_transformed(self) -> bool:
        """Whether the script measures on the label's changed scale: everbake does not."""
        truth = self._score.truth if self._score else None
        if truth is None:
            return True
        return not (isinstance(truth, ast.Call) and called(truth) == self._label.inverse[3:])

    def _answer(self, fit: Fit | None, metric: Metric) -> ast.expr:
        score = self._score
        if score is not None and score.answer is not None:
            return copy.deepcopy(score.answer)
        made = [
            expr
            for key, expr in self._trace.answers
            if fit is not None and key == fit.key and ROWS in names(expr)
        ]
        if made and not metric.probabilities:
            return copy.deepcopy(made[-1])
        return self._plain(metric)

    def _plain(self, metric: Metric) -> ast.expr:
        text = "model.predict_proba(0)[:, 1]" if metric.probabilities else "model.predict(0)"
        return Given(self._inputs).visit(ast.parse(text, mode="eval").body)  # type: ignore[no-any-return]

    def _features(self) -> list[ast.stmt]:
        trace = self._trace
        wanted = columns_of(trace, self._inputs)
        dates = [name for name in trace.dates if name]
        kept = kept_features(trace, self._label.column, None if wanted is None else set(wanted))
        if not kept:
            return []
        read = {name for step in kept for name in texts_in(step.node)}
        body = [
            ast.parse(f"rows[{name!r}] = pd.to_datetime(rows[{name!r}])").body[0]
            for name in dict.fromkeys(dates)
            if name in read or name == trace.index
        ]
        nodes = [step.node for step in kept]
        wants = {name for node in nodes for name in names(node)}
        return [*self._slice(wants, len(trace.locals)), *body, *nodes]

    def _slice(self, wanted: set[str], upto: int) -> list[ast.stmt]:
        """The local statements that some names need, in order."""
        needed: list[ast.stmt] = []
        wanted = set(wanted)
        for step in reversed(self._trace.locals[:upto]):
            if step.writes & wanted and not any(n.startswith(MODEL) for n in names(step.node)):
                wanted |= names(step.node)
                needed.insert(0, step.node)
        return needed

    def _split(self) -> tuple[str, str]:
        """The split and the time column of the table, as source."""
        trace = self._trace
        times = [n for n in [*trace.ordered, *trace.dates, trace.index] if n]
        times = [name for name in times if name != self._label.column]
        time = times[0] if times else ""
        table = f", time={_text(time)}" if time else ""
        timely = any(one.timely for one in trace.splits)
        random = next((one for one in trace.splits if one.share is not None), None)
        if timely and not time:
            line = next(one.line for one in trace.splits if one.timely)
            trace.guesses.append((line, "rows are held out in order: name their Table(time=...)"))
        if random is None:
            return "", table
        if timely:
            return (f"TimeSplit({random.share})" if time else f"HashSplit({random.share})"), table
        label = self._label.column
        kept = f", stratify={_text(label)}" if random.stratified else ""
        if time:
            trace.notes.append(
                (random.line, f'rows are held out at random, though "{time}" orders them')
            )
        return f"HashSplit({random.share}{kept})", table

    def _is_classifier(self) -> bool | None:
        made = self._estimator()
        return any(part in made for part in _CLASSIFIERS) if made else None

    def _estimator(self) -> str:
        """The class of the model, or nothing."""
        node = self._fit.model if self._fit else None
        for step in reversed(self._trace.locals[: self._fit.locals if self._fit else 0]):
            if isinstance(node, ast.Name) and node.id in step.writes:
                node = step.node.value if isinstance(step.node, ast.Assign) else node
        return called(node) if node is not None else ""

    def _annotation(self) -> str:
        fit, made = self._fit, self._estimator()
        if fit is None:
            return "LinearRegression"
        if (
            without_label(self._trace, fit.inputs.chain, self._label.column)
            or made == "make_pipeline"
        ):
            self._imports.add(Import("sklearn.pipeline", "Pipeline"))
            return "Pipeline"
        found = self._script.imports.get(made)
        if found is None or not found.item or not made[:1].isupper() or found.module[:1] == ".":
            return "Any"
        self._imports.add(found)
        return made

    def _carried(self, body: list[ast.stmt], metric: Metric) -> tuple[list[str], list[str]]:
        """The constants, functions and imports that the recipe's code needs."""
        script = self._script
        wanted = {metric.name} | set().union(*(names(node) for node in body), set())
        found: dict[str, ast.stmt] = {}
        while True:
            more = {name for name in wanted if name in script.definitions and name not in found}
            more |= {name for name in wanted if name in script.constants and name not in found}
            if not more:
                break
            for name in more:
                node = script.definitions.get(name) or ast.Assign(
                    [ast.Name(name, ast.Store())], script.constants.get(name, ast.Constant(None))
                )
                found[name] = node
                wanted |= names(node)
        self._imports |= {script.imports[name] for name in wanted if name in script.imports}
        for name in sorted(wanted & {"ColumnTransformer", "OrdinalEncoder"}):
            if name not in script.imports:
                home = "sklearn.compose" if name == "ColumnTransformer" else "sklearn.preprocessing"
                self._imports.add(Import(home, name))
        order = [*script.constants, *script.definitions]
        texts = [
            script.sources.get(name) or laid_out(found[name]) for name in order if name in found
        ]
        if metric.wrapper is not None:
            texts.append(laid_out(metric.wrapper))
        return texts, self._unknown(body, [*found.values()])

    def _unknown(self, body: list[ast.stmt], carried: list[ast.stmt]) -> list[str]:
        """Modules of which everything is imported, if a name is left; names are told."""
        made = {name for node in [*body, *carried] for name in bound(node)}
        made |= {one.name or one.item or one.module.partition(".")[0] for one in self._imports}
        made |= {ROWS, "model", "pd", "LinearRegression"} | set(self._script.definitions)
        left = {name for node in [*body, *carried] for name in names(node)} - made
        left = {name for name in left if not is_builtin(name)}
        if left and self._script.stars:
            return list(self._script.stars)
        for name in sorted(left):
            self._trace.guesses.append((0, f'It could not be told where "{name}" comes from'))
        return []


def _text(value: str) -> str:
    return expression(ast.Constant(value))

"""The job behind `everbake check`: try the recipe on a sample, change nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from everbake.core.decision import Check, Decision
from everbake.core.describing import describe
from everbake.core.gate import Given, judge_rows
from everbake.core.recipe import Recipe
from everbake.core.redact import writable
from everbake.core.work import CheckOrder, CheckReport
from everbake.errors import EverbakeError, RecipeError, UserCodeError
from everbake.host.alone import survey
from everbake.host.artifacts import load, save
from everbake.host.calling import predict, recipe_of, train, with_features
from everbake.host.candidates import taught
from everbake.host.inputs import same_answers
from everbake.host.judging import rules_of
from everbake.host.leakage import column_checks, split_checks
from everbake.host.protocol import JobContext
from everbake.host.rows import frame, read_table, rows_form
from everbake.host.skew import check_skew
from everbake.host.splitting import Held, split_known
from everbake.host.thresholds import check_scores, choose_threshold, threshold_checks
from everbake.host.training import check_columns, known_rows, truth_of
from everbake.host.updating import Lesson

SAMPLE = 1_000
_FEWEST = 2  # rows to train on one and update by another


def check(order: CheckOrder, context: JobContext) -> CheckReport:
    """Train twice on a sample, predict, score, update, and compare features by row."""
    recipe = recipe_of(context.recipe, order.model)
    declared = Check("recipe", "pass", f"{order.model} imports and is well formed")
    if not order.files:
        detail = "no data yet: train, predict and the metric were not tried"
        return CheckReport((declared, Check("data", "unknown", detail)))
    table = read_table(order.files, order.rows)
    try:
        check_columns(recipe, table)
    except RecipeError as error:
        return CheckReport((declared, Check("data", "fail", str(error))))
    held = split_known(table, known_rows(recipe, table), _spec(recipe), None)
    trial = _Trial(recipe, context, *sampled(table, held))
    return CheckReport((declared, *trial.run(), *_leakage(recipe, table, held)))


def sampled(table: pa.Table, held: Held) -> tuple[pa.Table, Held]:
    """The newest rows of both sides: those of the whole table may all be held out.

    Returns:
        At most 1,000 rows in their order, a fifth of them held out where there are as many, and
        what the split says about each.
    """
    judge, train = np.flatnonzero(held.judge), np.flatnonzero(held.train)
    judge = judge[-max(SAMPLE // 5, SAMPLE - len(train)) :]
    train = train[-(SAMPLE - len(judge)) :]
    places = np.sort(np.concatenate([train, judge]))
    return table.take(places), Held(held.train[places], held.judge[places], 0)


def refusal(decision: Decision, mend: str) -> str | None:
    """What a trial says of a model that would be rejected; None of any other.

    Raises:
        UserCodeError: the answers are none. A limit that is broken may be kept by more rows.
    """
    if decision.verdict != "rejected":
        return None
    if decision.code == "guardrail":
        return f"warning: on this sample it would be rejected. {decision.because}"
    raise UserCodeError("EB317", decision.because, mend=mend)


def _leakage(recipe: Recipe, table: pa.Table, held: Held) -> tuple[Check, ...]:
    """On all rows: what a sample is too small to show. Every column may come to be used."""
    found = survey(table, recipe.data)
    lesson = Lesson(held.train, held.train)
    return split_checks(table, held, lesson, recipe) + column_checks(
        found, recipe, table.column_names
    )


def _spec(recipe: Recipe) -> Any:  # noqa: ANN401 - a RecipeSpec
    return describe(recipe, rows_form(recipe.train))


def tried(name: str, step: Callable[[], str]) -> Check:
    """What came of a step of a trial, which says how it went and may raise anything."""
    try:
        detail = step()
    except EverbakeError as error:
        return Check(name, "fail", writable(str(error)))
    except Exception as error:  # noqa: BLE001 - the user's code may raise anything
        return Check(name, "fail", writable(f"{type(error).__name__}: {error}"))
    return Check(name, "warn" if detail.startswith("warning: ") else "pass", detail)


@dataclass
class _Trial:
    """The steps of a trial; the first that fails ends it."""

    recipe: Recipe
    context: JobContext
    sample: pa.Table
    held: Held
    model: object = None
    answers: Any = None
    cut: float | None = None

    def run(self) -> list[Check]:
        """One check a step, up to the first that fails."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("features", self._features),
            ("train", self._train),
            ("repeatable", self._repeatable),
            ("save", self._save),
            ("predict", self._predict),
            *([] if self.recipe.threshold is None else [("threshold", self._threshold)]),
            ("score", self._score),
            *([("update", self._update)] if self.recipe.update else []),
        ]
        done: list[Check] = []
        for name, step in steps:
            check = tried(name, step)
            done.append(check)
            if check.state == "fail":
                break
        return [*done, *self._advice()]

    def _features(self) -> str:
        if self.recipe.features is None:
            return "none declared"
        check_skew(self.recipe, self.sample)
        return "the same for a row alone as among others"

    def _rows(self) -> pa.Table:
        return self.sample.filter(pa.array(self.held.train))

    def _train(self) -> str:
        self.model = train(self.recipe, self._rows(), self.context.seed, self.context.log)
        return f"{type(self.model).__name__} on {self._rows().num_rows} rows"

    def _repeatable(self) -> str:
        again = train(self.recipe, self._rows(), self.context.seed, self.context.log)
        given = with_features(self.recipe, self.sample)
        one = predict(self.recipe, self.model, given)
        other = predict(self.recipe, again, given)
        if same_answers(one, other):
            return "training twice gave the same answers"
        return "warning: training twice gave different answers; pass `seed` on to the model"

    def _save(self) -> str:
        form, data = save(self.model)
        self.model = load(form, data)
        return f"{len(data):,} bytes of {form}"

    def _predict(self) -> str:
        judged = self.sample.filter(pa.array(self.held.judge))
        self.answers = predict(self.recipe, self.model, with_features(self.recipe, judged))
        given = "one value" if not self.answers.ndim else f"{len(self.answers)} answers"
        return f"{given} for {judged.num_rows} held-out rows"

    def _threshold(self) -> str:
        rows = self._rows()
        chosen = choose_threshold(self.recipe, rows, truth_of(rows, self.recipe), self.context)
        check_scores(self.answers, chosen)
        self.cut = None if chosen is None else chosen.value
        (told,) = threshold_checks(chosen)
        return told.detail if told.state == "pass" else f"warning: {told.detail}"

    def _score(self) -> str:
        judged = self.sample.filter(pa.array(self.held.judge))
        if not judged.num_rows:
            return "warning: no row is held out: nothing to score on"
        rules = rules_of(self.recipe)
        truth = truth_of(judged, self.recipe)
        cuts = (None, self.cut, None)
        given = Given(truth, None, self.answers, rows=frame(judged), thresholds=cuts)
        decision = judge_rows(given, rules)
        refused = refusal(decision, "answer every row with a number")
        if refused is not None:
            return refused
        if decision.candidate is None:
            return f"warning: {decision.because}"
        return f"{rules.name} = {decision.candidate:.6g} on {judged.num_rows} rows"

    def _update(self) -> str:
        rows = self._rows()
        if rows.num_rows < _FEWEST:
            return "warning: too few rows to train on some and update by others"
        given = with_features(self.recipe, self.sample)
        first, second = taught(self.recipe, rows, self.context)
        before, after = (predict(self.recipe, model, given) for model in (first, second))
        if after.shape != before.shape:
            raise UserCodeError(
                "EB317",
                f"{after.shape} answers after an update, {before.shape} before",
                mend="return a model of the same kind from update",
            )
        half = rows.num_rows // 2
        if same_answers(before, after):
            return f"warning: {rows.num_rows - half} more rows changed no answer"
        return f"{type(second).__name__} of {half} rows, updated by {rows.num_rows - half} more"

    def _advice(self) -> list[Check]:
        if not self.recipe.refit:
            return []
        detail = (
            "only rows newer than the last refit can judge the next candidate: "
            "small batches stay inconclusive longer"
        )
        return [Check("refit", "warn", detail)]

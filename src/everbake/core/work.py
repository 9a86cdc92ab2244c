"""What the owner orders from a host, and what the host reports: plain data, by file and digest."""

from dataclasses import dataclass, field

from everbake.core.bundle import Input, Threshold
from everbake.core.contract import Contract
from everbake.core.dataset import Column
from everbake.core.decision import Check
from everbake.core.spec import Ranked, RecipeSpec


@dataclass(frozen=True)
class Refusal:
    """An error of four parts, as data: which class, and its parts."""

    kind: str
    code: str
    what: str
    where: str
    why: str
    mend: str


@dataclass(frozen=True)
class Model:
    """A saved model.

    Attributes:
        path: the file.
        digest: SHA-256 of its bytes.
        form: `skops` or `cloudpickle`.
    """

    path: str
    digest: str
    form: str


@dataclass(frozen=True)
class Base:
    """A saved model that is to learn on.

    Attributes:
        name: what people call it, such as `version 3`.
        saved: the model.
        rows: file with the set of rows that it has learned from.
    """

    name: str
    saved: Model
    rows: str


@dataclass(frozen=True)
class TrainOrder:
    """Train a candidate.

    Attributes:
        model: name of the recipe.
        files: the table's Parquet files.
        rows: the first so many rows of the table.
        champion_rows: file with the set of rows that the champion was trained on.
        most_held_out: rows that a split in time holds out at most.
        refit: train on all rows, hold nothing out.
        best_rows: file with those that the best version so far was trained on.
        base: the model that is taught the rows it does not know; None: train from scratch.
        because: why from scratch, where the recipe has an `update`.
        threshold: of the version that was judged (with `refit`) or is taught: it stays.
    """

    model: str
    files: tuple[str, ...]
    rows: int
    champion_rows: str | None
    most_held_out: int | None = None
    refit: bool = False
    best_rows: str | None = None
    base: Base | None = None
    because: str = ""
    threshold: Threshold | None = None


@dataclass(frozen=True)
class Told:
    """What one column tells of the label by itself: a share of all there is to tell.

    Attributes:
        column: the column.
        share: on all rows; 0 (or less) is nothing.
        before: on the rows that had arrived when the champion was trained; None: too few.
        since: on those that came later; None: too few.
    """

    column: str
    share: float
    before: float | None = None
    since: float | None = None

    @property
    def change(self) -> float:
        """By how much `since` differs from `before`; 0 where one is not known."""
        if self.before is None or self.since is None:
            return 0.0
        return abs(self.since - self.before)


@dataclass(frozen=True)
class TrainReport:
    """A trained candidate; the files lie in the job's directory.

    Attributes:
        rows: rows trained on.
        held_out: rows on which it can be compared.
        runtime: `linear`, `trees` or `native`.
        why: one sentence: why it is compiled, or why not.
        form: format of `model.bin`.
        columns: the columns of a request, with their types as stored.
        needed: those without which the model fails or answers differently.
        checks: what was looked at on the way (leakage, order in time).
        seconds: of the user's `train` alone.
        example: a row that was trained on, as a request would hold it.
        native_above: rows in one call above which it is faster natively; None: never.
        new_rows: those of `rows` that its base did not know.
        told: what each column tells of the label alone, the strongest first; none of few rows.
        threshold: from which score it decides "positive", if the recipe asks for that.
    """

    rows: int
    held_out: int
    runtime: str
    why: str
    form: str
    columns: tuple[Column, ...]
    needed: tuple[str, ...]
    checks: tuple[Check, ...]
    seconds: float
    example: dict[str, object]
    native_above: int | None = None
    new_rows: int = 0
    told: tuple[Told, ...] = ()
    threshold: Threshold | None = None


@dataclass(frozen=True)
class ScoreOrder:
    """Score rows with a saved model and the recipe it came from.

    Attributes:
        model: name of the recipe.
        files: the table's Parquet files.
        rows: the first so many rows of the table.
        judge: file with the positions of the rows to score.
        saved: the model.
        ranked: what the table holds, where lists are wanted for the users of these rows.
    """

    model: str
    files: tuple[str, ...]
    rows: int
    judge: str
    saved: Model
    ranked: Ranked | None = None


@dataclass(frozen=True)
class Precedent:
    """What a jump of the metric is held against.

    Attributes:
        value: the best that any of the last decisions by the same metric had; None without one.
        doubled: whether the candidate has learned from twice the champion's rows, or more.
        edited: whether the recipe is another one than the champion's.
        new: columns that it needs and the champion does not.
        told: what each column tells alone, the strongest first.
    """

    value: float | None
    doubled: bool
    edited: bool
    new: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()


@dataclass(frozen=True)
class FreshOrder:
    """Find the rows that can judge a version that was judged before, and is pending.

    Attributes:
        model: name of the recipe.
        files: the table's Parquet files.
        rows: the first so many rows of the table.
        candidate: file with the set of rows that the version was trained on.
        others: files with those that the champion and the best version so far were trained on.
        judged: file with the set of rows that judged it last.
    """

    model: str
    files: tuple[str, ...]
    rows: int
    candidate: str
    others: tuple[str, ...]
    judged: str | None = None


@dataclass(frozen=True)
class FreshReport:
    """The rows that can judge the version; the files lie in the job's directory.

    Attributes:
        rows: how many they are.
        checks: what was looked at about them.
    """

    rows: int
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A set of rows that has decided before.

    Attributes:
        path: file with the set.
        rows: how many they are.
    """

    path: str
    rows: int


@dataclass(frozen=True)
class JudgeOrder:
    """Judge a candidate by answers that were computed before.

    Attributes:
        model: name of the recipe.
        files: the table's Parquet files.
        rows: the first so many rows of the table.
        judge: file with the positions of the rows.
        truth: file with the labels, of which a ranking recipe has none.
        candidate: file with the candidate's answers, None if it does not answer these rows.
        champion: file with the champion's answers, None without a champion or rows.
        checks: what was looked at before.
        has_champion: whether somebody serves (who may have seen all held-out rows).
        more_rows: rows that the candidate has learned from beyond the champion's.
        best: file with the answers of the best version so far, if that is not the champion.
        best_name: what to call it.
        earlier: the sets of rows by which the model was decided about before.
        look: the number of this look, where it is known without them.
        precedent: what a jump of the metric is held against, if somebody serves.
        thresholds: frozen with champion, candidate and best version, as far as they have one.
        trained: file with the set of rows that the candidate was trained on.
    """

    model: str
    files: tuple[str, ...]
    rows: int
    judge: str
    truth: str
    candidate: str | None
    champion: str | None
    checks: tuple[Check, ...] = ()
    has_champion: bool = False
    more_rows: int = 0
    best: str | None = None
    best_name: str = ""
    earlier: tuple[Judged, ...] = ()
    look: int | None = None
    precedent: Precedent | None = None
    thresholds: tuple[float | None, float | None, float | None] = (None, None, None)
    trained: str = ""


@dataclass(frozen=True)
class JudgeReport:
    """What was decided, and by which rows; their set lies in the job's directory.

    Attributes:
        decision: as scripts see it.
        look: the how-manieth decision by these rows this is.
        level: the two-sided error that it may spend.
        rows: how many they are.
        digest: which they are: over the sorted hashes of their contents.
        surpasses: whether the candidate was shown to be better than the best version so far.
        best_broken: whether that version gave no answer that could be used.
    """

    decision: dict[str, object]
    look: int
    level: float
    rows: int
    digest: str
    surpasses: bool
    best_broken: bool


@dataclass(frozen=True)
class UnseenOrder:
    """Find the rows on which some versions can be compared.

    Attributes:
        model: name of the recipe.
        files: the table's Parquet files.
        rows: the first so many rows of the table.
        trained: files with the sets of rows that the versions were trained on.
    """

    model: str
    files: tuple[str, ...]
    rows: int
    trained: tuple[str, ...]


@dataclass(frozen=True)
class UnseenReport:
    """How many such rows there are; the job's directory holds the files that judging needs."""

    rows: int


@dataclass(frozen=True)
class SessionOrder:
    """Answer requests with a saved model.

    Attributes:
        model: name of the recipe.
        saved: the model.
        columns: the columns of a request with their types.
    """

    model: str
    saved: Model
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class CheckOrder:
    """Try a recipe on a sample of rows, changing nothing.

    Attributes:
        model: name of the recipe.
        files: files of the table; without any, only the declaration is checked.
        rows: the first so many rows of the table.
    """

    model: str
    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class CheckReport:
    """What the trial found."""

    checks: tuple[Check, ...] = field(default=())


@dataclass(frozen=True)
class DescribeReport:
    """The recipes of one file."""

    specs: tuple[RecipeSpec, ...]


@dataclass(frozen=True)
class BatchFile:
    """One file of rows to answer, and where its answers go.

    Attributes:
        source: the file.
        name: what to call it.
        output: the Parquet file with the answers.
    """

    source: str
    name: str
    output: str


@dataclass(frozen=True)
class BatchAsked:
    """What somebody wants to have answered.

    Attributes:
        version: the version that answers.
        blob: digest of its bundle.
        contract: the table's rules, whose ranges are worth a notice.
        keep: columns of the files that are copied beside the answers.
        files: what to read and where to write.
        threads: that the model and the reading may use.
    """

    version: int
    blob: str
    contract: Contract
    keep: tuple[str, ...]
    files: tuple[BatchFile, ...]
    threads: int


@dataclass(frozen=True)
class BatchOrder:
    """Answer all rows of some files.

    Attributes:
        model: name of the recipe.
        inputs: the columns of a request.
        saved: the model.
        runtime: what answers: `native` is the version's own code.
        compiled: file of its compiled runtime, None for `native`.
        asked: by which version, which files, and where to.
        threshold: from which score the version decides "positive", if it decides.
    """

    model: str
    inputs: tuple[Input, ...]
    saved: Model
    runtime: str
    compiled: str | None
    asked: BatchAsked
    threshold: float | None = None


@dataclass(frozen=True)
class BatchDone:
    """One file whose rows are answered.

    Attributes:
        name: what the file is called.
        output: where its answers are.
        rows: how many there are.
        resumed: how many of them an earlier command had answered.
        notices: what is worth a look, but answered.
    """

    name: str
    output: str
    rows: int
    resumed: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchReport:
    """The files, in the order in which they were given."""

    files: tuple[BatchDone, ...]


@dataclass(frozen=True)
class ReplayOrder:
    """Judge the answers of a replay beside those that were given at the time.

    Attributes:
        model: name of the recipe.
        labelled: file with a JSON object a line: label, both answers, the decision that was made
            by the first of them, features.
        threshold: from which score the version that answers again decides, if it decides.
    """

    model: str
    labelled: str
    threshold: float | None = None

"""The whole experiment as one typed, validated tree, read from YAML.

Every default is the paper's setting (§V-A) where the paper states one. Relative paths are taken from the working
directory of the command, as in a shell, and are frozen as absolute ones in the run folder.
"""

import difflib
import hashlib
import json
import zlib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from distdnas_hpc.errors import UserError


def _parse_days(value: Any) -> Any:
    """Read days as a list [1, 2, 5], a number, or text such as '1-4' or '1-4,6'."""
    if type(value) is int:
        return (value,)
    if not isinstance(value, str):
        return value
    days: list[int] = []
    for part in value.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"days are written like '1-4' or '1-4,6', not '{value}'")
        days.extend(range(int(first), int(last or first) + 1))
    return tuple(days)


def _check_days(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days:
        raise ValueError("at least one day is needed")
    if len(set(days)) < len(days):
        raise ValueError("a day is named twice")
    if min(days) < 1:
        raise ValueError("days are numbered from 1 (Criteo's file day_0 is day 1)")
    return tuple(sorted(days))


Days = Annotated[tuple[int, ...], BeforeValidator(_parse_days), AfterValidator(_check_days)]


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values are never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _numbered(letter: str) -> BeforeValidator:
    """Read a number of columns as that many names, as Criteo does (I1, I2 and so on)."""

    def read(value: Any) -> Any:
        if type(value) is int and value > 0:
            return tuple(f"{letter}{i + 1}" for i in range(value))
        if not isinstance(value, list | tuple):
            raise ValueError(f"give a list of column names or the number of columns (1 or more), not {value!r}")
        return value

    return BeforeValidator(read)


class Schema(Section):
    """Columns of a click log.

    `tsv` is Criteo's format: no header, separated by tabs, in the order label, dense, sparse; categorical values are 8
    hexadecimal digits. In `csv` (with a header) and `parquet`, columns are found by name, others are ignored, and
    categorical values are any text or integers.
    """

    format: Literal["tsv", "csv", "parquet"] = "tsv"
    separator: str | None = Field(None, min_length=1, max_length=1, description="csv: between fields; default: comma")
    label: str | None = Field(None, description="csv and parquet: name of the column with 0 or 1 (a click)")
    dense_names: Annotated[tuple[str, ...], _numbered("I")] = Field(
        alias="dense", min_length=1, description="integer columns: their names, or how many (I1, I2, …)"
    )
    sparse_names: Annotated[tuple[str, ...], _numbered("C")] = Field(
        alias="sparse", min_length=1, description="categorical columns: their names, or how many (C1, C2, …)"
    )
    missing: str = Field("", description="csv and parquet: text that means 'no value', beside the empty one")

    @model_validator(mode="after")
    def _keys_fit_the_format(self) -> "Schema":
        if self.format == "tsv":
            for key in ("separator", "label", "missing"):
                if getattr(self, key):
                    raise ValueError(f"'{key}' is for format csv or parquet; remove it, or set 'format'")
        elif self.label is None:
            raise ValueError(f"format {self.format} needs 'label', the name of the column with 0 or 1")
        if self.format == "parquet" and self.separator:
            raise ValueError("'separator' is for format csv; remove it")
        names = [*([self.label] if self.label else []), *self.dense_names, *self.sparse_names]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the column '{name}' is named twice among 'label', 'dense' and 'sparse'")
        return self

    @property
    def dense(self) -> int:
        """Number of dense columns."""
        return len(self.dense_names)

    @property
    def sparse(self) -> int:
        """Number of categorical columns."""
        return len(self.sparse_names)


SCHEMAS = {"criteo": Schema.model_validate({"dense": 13, "sparse": 26})}


def _named_schema(value: Any) -> Any:
    if isinstance(value, str):
        if value not in SCHEMAS:
            raise ValueError(f"no schema is called '{value}'; known: {', '.join(SCHEMAS)}")
        return SCHEMAS[value]
    return value


class DayColumn(Section):
    """The column that names the day of each row: equal values are one day, and sorted they are days 1 to the last."""

    column: str
    characters: int | None = Field(
        None, ge=1, description="first characters of the value that name the day; default: all"
    )


class Data(Section):
    """Where the raw days are and how they become shards."""

    schema_: Annotated[Schema, BeforeValidator(_named_schema)] = Field(alias="schema")
    raw: str = Field(description="raw file, text also gzipped; '{day}' in it is replaced by the day's number")
    days: int = Field(ge=1, description="number of days in all")
    first_file: int = Field(0, ge=0, description="number in the name of day 1's file (Criteo Terabyte: 0)")
    rows_per_day: int | None = Field(None, ge=1, description="cut one raw file in order into days of so many rows")
    day: DayColumn | None = Field(None, description="the column that names each row's day, in one raw file")
    max_rows: int = Field(5_000_000, ge=2, description="cap on the rows of one embedding table, id 0 included")
    overflow: Literal["hash", "frequent"] = Field(
        "hash", description="a column with more values than the cap: hash them into it, or keep the most frequent ones"
    )
    min_count: int = Field(1, ge=1, description="values seen less often in the training days get id 0, as unseen ones")
    shard_rows: int = Field(8_388_608, ge=1, description="rows of one HDF5 shard")
    on_bad_row: Literal["fail", "skip"] = Field(
        "fail", description="at a faulty row: stop, or leave it out and list it in rejected.tsv"
    )

    @model_validator(mode="after")
    def _one_way_to_find_days(self) -> "Data":
        if ("{day}" in self.raw) + (self.rows_per_day is not None) + (self.day is not None) != 1:
            raise ValueError(
                "give either 'raw' with {day} in it (a file a day), 'rows_per_day' (one file cut in order) or 'day' "
                "(one file with a column that names the day)"
            )
        if self.first_file and "{day}" not in self.raw:
            raise ValueError("'first_file' is for 'raw' with {day} in it; remove it")
        if self.day is not None and self.schema_.format == "tsv":
            raise ValueError("'day' needs columns with names: set schema.format to csv or parquet, or use rows_per_day")
        return self

    @property
    def counted(self) -> bool:
        """Whether ids depend on how often a value is seen."""
        return self.overflow == "frequent" or self.min_count > 1

    def raw_file(self, day: int) -> Path:
        """Path of the raw file that holds `day` (1-based)."""
        return Path(self.raw.replace("{day}", str(day - 1 + self.first_file)))


class Model(Section):
    """Dimensions of the interaction networks (paper §III-A, §V-A)."""

    blocks: int = Field(7, ge=1, description="N, the number of choice blocks")
    dim_d: int = Field(256, ge=1, description="width of a dense output")
    dim_s: int = Field(16, ge=1, description="embedding dimension")
    n_s: int = Field(16, ge=1, description="N_s, vectors in a sparse output")
    merged: int = Field(8, ge=1, description="extra sparse vectors made by a block's dense-to-sparse merger")
    heads: int = Field(4, ge=1, description="attention heads of transformer and pma")
    baseline_width: int = Field(512, ge=1, description="units of the baselines' MLP layers")
    baseline_layers: int = Field(7, ge=1, description="MLP layers above the baselines' interactions")

    @model_validator(mode="after")
    def _heads_divide(self) -> "Model":
        if self.dim_s % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dim_s ({self.dim_s})")
        return self


class Optimizer(Section):
    """How w is trained (paper §V-A): exact Adagrad for embeddings, Adam for everything else, no weight decay."""

    embedding_lr: float = Field(0.04, gt=0)
    dense_lr: float = Field(0.001, gt=0)
    clip_norm: float | None = Field(
        None, gt=0, description="longest gradient of the network (not of embeddings), by its global norm; null: any"
    )
    divergence: float = Field(
        5.0, gt=1, description="stop when LogLoss exceeds so many times log 2, what answering 1/2 to every row costs"
    )


class Checkpoint(Section):
    """When search and training tasks write what their next attempt goes on from. Not part of the experiment.

    At the paper's size one takes 3.6 GB, of which a task keeps two: 24 tasks at a time write 150 MB/s on average.
    """

    minutes: float | None = Field(10.0, gt=0, description="between two; null: not by the clock")
    steps: int | None = Field(None, ge=1, description="also after every so many steps")


class Cost(Section):
    """The cost model behind the cost importance s (paper §IV-B)."""

    samples: int = Field(5000, ge=20, description="architectures sampled to fit the forest")
    trees: int = Field(500, ge=1, description="trees of the boosted regression forest")
    latency_weight: float = Field(
        0.5, ge=0, le=1, description="share of measured latency in the cost; 0 = MACs alone, equal for equal seeds"
    )
    latency_batch: int = Field(1024, ge=1, description="rows of the batch whose latency is measured")


class Temperature(Section):
    """λ of the Gumbel softmax, linear from `start` to `end` over the day."""

    start: float = Field(1.0, gt=0)
    end: float = Field(0.5, gt=0)

    def at(self, share: float) -> float:
        """Return λ when `share` (0 to 1) of the day is done."""
        return self.start + (self.end - self.start) * share


class Search(Section):
    """One day's DNAS and the averaging over days (paper §IV)."""

    days: Days = Field(description="days to search, e.g. 1-22")
    min_days: int | None = Field(None, ge=1, description="aggregate when so many days are finished; default: all")
    batch_size: int = Field(8192, ge=1)
    bilevel: Literal["first_order", "second_order", "joint"] = Field(
        "first_order",
        description="how w and the architecture weights take turns: alternating steps, DARTS' unrolled step (twice the "
        "work), or both on every batch",
    )
    gamma: float = Field(0.004, ge=0, description="γ, strength of the cost-aware regularisation")
    temperature: Temperature = Temperature()
    architecture_lr: float = Field(0.001, gt=0, description="Adam learning rate of the logits of A and B")
    warmup_steps: int = Field(10_000, ge=0, description="linear warm-up of every learning rate from 0")
    theta: float = Field(0.2, gt=0, lt=1, description="θ, the discretization threshold on mean probabilities")

    @model_validator(mode="after")
    def _min_days_possible(self) -> "Search":
        if self.min_days is not None and self.min_days > len(self.days):
            raise ValueError(f"min_days ({self.min_days}) is more than the {len(self.days)} days to search")
        return self


class Train(Section):
    """Final training and test (paper §V-A)."""

    days: Days = Field(description="days to train on, in order, e.g. 1-23")
    test_day: int = Field(ge=1)
    batch_size: int = Field(8192, ge=1)
    warmup_days: int = Field(2, ge=0, description="linear warm-up of every learning rate over the first days")
    copies: int = Field(1, ge=1, description="M, copies of the discovered network side by side")
    baselines: tuple[Literal["dlrm"], ...] = Field(("dlrm",), description="published models trained beside it")

    @model_validator(mode="after")
    def _test_is_unseen(self) -> "Train":
        if self.test_day <= max(self.days):
            raise ValueError(f"test_day ({self.test_day}) must come after the last training day ({max(self.days)})")
        if self.warmup_days > len(self.days):
            raise ValueError(f"warmup_days ({self.warmup_days}) is more than the {len(self.days)} training days")
        return self


class Slurm(Section):
    """What each task asks of Slurm; None leaves the cluster's default."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = Field(None, description="single GPU of search and training tasks, e.g. gpu:a5000:1")
    time_minutes: int = Field(240, ge=1)
    mem_gb: float | None = Field(None, gt=0)
    array_parallelism: int = Field(256, ge=1, description="elements of one array that may run at a time (--array=…%k)")
    setup: tuple[str, ...] = Field((), description="shell lines before the task, e.g. 'module load cuda'")
    sbatch: dict[str, str | int | bool] = Field({}, description="further sbatch options, e.g. {mail-type: FAIL}")


class Cluster(Section):
    """Where tasks run. Not part of the experiment: it may differ between two commands on the same run folder."""

    executor: Literal["inline", "local", "slurm"] = "local"
    workers: int = Field(2, ge=1, description="local executor: tasks at a time")
    threads: int = Field(1, ge=1, description="CPU threads (and Slurm CPUs) of a task")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where torch sees one")
    slurm: Slurm = Slurm()


class Config(Section):
    """One experiment."""

    run: Path = Field(description="the run folder; holds everything of this experiment")
    seed: int = Field(1, ge=0)
    data: Data
    model: Model = Model()
    optimizer: Optimizer = Optimizer()
    cost: Cost = Cost()
    search: Search
    train: Train
    checkpoint: Checkpoint = Checkpoint()
    cluster: Cluster = Cluster()

    @model_validator(mode="after")
    def _days_exist(self) -> "Config":
        for key, last in (("search.days", max(self.search.days)), ("train.test_day", self.train.test_day)):
            if last > self.data.days:
                raise ValueError(f"{key} names day {last}, but data.days says there are {self.data.days}")
        return self

    def seed_of(self, *names: str) -> int:
        """Return a 32-bit seed of its own for one use of randomness, e.g. ('search', 'day_03')."""
        return zlib.crc32("/".join((str(self.seed), *names)).encode())

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain YAML values, every default spelled out."""
        return self.model_dump(mode="json", by_alias=True)

    def experiment(self) -> dict[str, Any]:
        """Return what decides results: everything but where the run lives, where its tasks run and how they resume."""
        return {key: value for key, value in self.to_dict().items() if key not in ("run", "cluster", "checkpoint")}

    def fingerprint(self) -> str:
        """16 hexadecimal digits that are equal exactly when `experiment()` is."""
        return hashlib.sha256(json.dumps(self.experiment(), sort_keys=True).encode()).hexdigest()[:16]


def load_config(path: Path) -> Config:
    """Read and validate a config; every fault is one UserError that names file, line and key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            f"The config {path} does not exist; give the path of a YAML file such as configs/quickstart.yaml."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The config {path} can't be read: {error}.") from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = _line_of_each_key(node, path)
        tree = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}; mend the line.") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path}: the config must be a mapping of keys to values; see configs/quickstart.yaml.")
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(_sentences(error, path, lines)) from None
    absolute = {
        "run": config.run.expanduser().absolute(),
        "data": config.data.model_copy(update={"raw": str(Path(config.data.raw).expanduser().absolute())}),
    }
    return config.model_copy(update=absolute)


def _line_of_each_key(node: yaml.Node | None, path: Path, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    lines: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            key = (*prefix, str(key_node.value))
            line = key_node.start_mark.line + 1
            if key in lines:
                raise UserError(
                    f"{path}, line {line}: the key {'.'.join(key)} stands twice (see line {lines[key]}); remove one."
                )
            lines[key] = line
            lines.update(_line_of_each_key(value_node, path, key))
    return lines


def _sentences(error: ValidationError, path: Path, lines: dict[tuple[str, ...], int]) -> str:
    """Put pydantic's findings into one sentence each: file, line, key, fault, remedy."""
    found = []
    for detail in error.errors():
        key = tuple(str(part) for part in detail["loc"])
        line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        where = f"{path}, line {line}" if line else f"{path}"
        name = ".".join(key)
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "extra_forbidden":
            known = _keys_beside(key)
            close = difflib.get_close_matches(key[-1], known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known keys here: {', '.join(known)}."
            found.append(f"{where}: unknown key '{name}'; {hint}")
        elif detail["type"] == "missing":
            found.append(f"{where}: the key '{name}' is missing; add it.")
        elif detail["type"] == "value_error":
            found.append(f"{where}: {name + ': ' if name else ''}{message}.")
        else:
            message = message[0].lower() + message[1:]
            found.append(f"{where}: '{name}' is {detail['input']!r} but {message.replace('input should', 'should')}.")
    return "\n".join(found)


def _keys_beside(key: tuple[str, ...]) -> list[str]:
    """Names that the config knows in the section where `key` stands."""
    section: Any = Config
    for part in key[:-1]:
        fields = {field.alias or name: field.annotation for name, field in section.model_fields.items()}
        kinds = (fields.get(part), *get_args(fields.get(part)))  # `Section | None` where a section may be left out
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
        if section is None:
            return []
    return [field.alias or name for name, field in section.model_fields.items()]

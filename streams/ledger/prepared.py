"""A connection to SQLite in memory that compiles each statement once and runs it by the driver.

For simulations, which run the same few hundred statements a billion times: SQLAlchemy's own way
from a statement to its rows costs many times what SQLite needs for it. What is read and written
is the same; a test holds the two against each other.
"""

import weakref
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, LargeBinary

STATEMENTS_MOST: Final = 4_000  # kept compiled; what is composed anew differs in little
Values = Mapping[str, Any]
Process = Callable[[Any], Any]


class Rows(list[Any]):
    """All rows of a statement, with the questions that a `CursorResult` answers."""

    rowcount = -1

    def all(self) -> "Rows":
        """Every row."""
        return self

    def first(self) -> Any:
        """The first row, None where there is none."""
        return self[0] if self else None

    def one(self) -> Any:
        """The only row. Raises `ValueError` where there is another number of them."""
        (row,) = self
        return row

    def scalar(self) -> Any:
        """The first column of the first row, None where there is none."""
        return self[0][0] if self else None

    def scalar_one(self) -> Any:
        """The first column of the only row. Raises `ValueError`."""
        return self.one()[0]

    def scalars(self) -> "Rows":
        """The first column of every row."""
        return Rows([row[0] for row in self])


class _Slot(msgspec.Struct, frozen=True):
    """Where one bound value comes from: by key, by its place in the statement, or fixed."""

    key: str
    name: str
    required: bool
    place: int | None
    value: Any
    process: Process | None
    lists: bool


class _Prepared:
    """One statement, compiled. With lists in it, it has a SQL of its own for their lengths."""

    def __init__(self, compiled: Any, dialect: Any) -> None:
        self.compiled = compiled
        names = list(compiled.positiontup or ())
        self.slots = [_slot(compiled, name) for name in names]
        self.lists = [place for place, slot in enumerate(self.slots) if slot.lists][::-1]
        self.sql = str(compiled.string)
        self.plain = _is_plain(compiled)
        self.row: Process | None = None
        self._dialect = dialect
        self._by_lengths: dict[tuple[int, ...], str] = {}
        self._results: list[tuple[int, Process]] = []

    def with_lists(self, values: Sequence[Any]) -> tuple[str, Sequence[Any]]:
        """The SQL and its values, for lists of these lengths."""
        flat = list(values)
        lengths = []
        for place in self.lists:  # from the end, so that the places before stay
            value = flat[place]
            lengths.append(len(value))
            flat[place : place + 1] = value
        sql = self._by_lengths.get(tuple(lengths))
        if sql is None:
            given = {slot.name: value for slot, value in zip(self.slots, values, strict=True)}
            state = self.compiled._process_parameters_for_postcompile(given)  # noqa: SLF001
            sql = self._by_lengths[tuple(lengths)] = str(state.statement)
        return sql, flat

    def rows(self, cursor: Any) -> Rows:
        """What the statement found."""
        found = cursor.fetchall()
        if not found:
            return Rows()
        make = self.row or self._name(cursor.description)
        results = self._results
        if not results:
            return Rows(map(make, found))
        rows = Rows()
        for one in found:
            values = list(one)
            for place, process in results:
                values[place] = process(values[place])
            rows.append(make(values))
        return rows

    def _name(self, description: Sequence[Sequence[Any]]) -> Process:
        self.row = _named(tuple(column[0] for column in description))
        for place, entry in enumerate(self.compiled._result_columns):  # noqa: SLF001
            if isinstance(entry.type, LargeBinary):
                continue  # the driver gives bytes already
            process = entry.type._cached_result_processor(self._dialect, None)  # noqa: SLF001
            if process is not None:
                self._results.append((place, process))
        return self.row


def _slot(compiled: Any, name: str) -> _Slot:
    parameter = compiled.binds[name]
    place = None
    if compiled.cache_key is not None:
        matches, _ = compiled._cache_key_bind_match  # noqa: SLF001 - as `construct_params` does
        for index, one in enumerate(compiled.cache_key[1]):
            if parameter in matches[one]:
                place = index
    process = compiled._bind_processors.get(name)  # noqa: SLF001 - as above
    if isinstance(parameter.type, LargeBinary):
        process = None  # the driver takes bytes
    return _Slot(
        key=parameter.key,
        name=name,
        required=parameter.required,
        place=place,
        value=None if parameter.required else parameter.effective_value,
        process=process,
        lists=parameter in compiled.post_compile_params,
    )


def _is_plain(compiled: Any) -> bool:
    """Whether nothing in it asks for more than values: else SQLAlchemy runs it itself."""
    tuples = any(one.type._is_tuple_type for one in compiled.post_compile_params)  # noqa: SLF001
    more = compiled.insert_prefetch or compiled.update_prefetch or compiled.literal_execute_params
    return not (tuples or more)


class _Bound:
    """A statement with the values that it was composed with, and how to add those it is given."""

    def __init__(self, prepared: _Prepared, given: Values, extracted: Sequence[Any]) -> None:
        self.prepared = prepared
        self._fixed: dict[str, Any] = {}
        self._processes: list[tuple[int, Process, bool]] = []
        keys = []
        for place, slot in enumerate(prepared.slots):
            key = slot.key if slot.key in given else slot.name
            if key not in given:
                if slot.required and prepared.plain:
                    raise KeyError(slot.key)
                held = slot.value if slot.place is None else extracted[slot.place].value
                self._fixed[key] = held
            keys.append(key)
            if slot.process is not None:
                self._processes.append((place, slot.process, slot.lists))
        self._pick = _picker(keys)

    def values(self, given: Values) -> Sequence[Any]:
        """What the driver is given, in its order; a list stands in one place."""
        if self._fixed:
            given = {**self._fixed, **given}
        found = self._pick(given)
        if not self._processes:
            return found
        values = list(found)
        for place, process, lists in self._processes:
            value = values[place]
            values[place] = [process(one) for one in value] if lists else process(value)
        return values


def _picker(keys: list[str]) -> Callable[[Values], Sequence[Any]]:
    if not keys:
        return lambda _: ()
    pick = itemgetter(*keys)
    return pick if len(keys) > 1 else lambda given: (pick(given),)


_NOTHING: Final[Values] = {}


@lru_cache(maxsize=STATEMENTS_MOST)
def _named(names: tuple[str, ...]) -> Process:
    make: Any = namedtuple  # noqa: PYI024 - the names are known when it runs
    made: Process = make("Row", names, rename=True)._make
    return made


class PreparedConnection:
    """Stands in for a `Connection` where the ledger's operations are given one.

    What it does not know is asked of the real one, which shares its transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw: Any = connection.connection.driver_connection
        self.dialect = connection.dialect
        self.connection = connection.connection  # whoever wants the driver asks for it here
        self._known: dict[int, tuple[Any, dict[Any, _Bound]]] = {}
        self._prepared: dict[Any, _Prepared] = {}

    def __getattr__(self, name: str) -> Any:
        """What is not here is the real connection's."""
        return getattr(self._connection, name)

    def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement over one set of values, or many."""
        if parameters is None:
            given, many = _NOTHING, False
        elif isinstance(parameters, dict):
            given, many = parameters, False
        else:
            given = parameters[0] if parameters else _NOTHING
            many = len(parameters) > 1
        shape = (many, *given)
        known = self._known.get(id(statement))
        if known is None:
            known = self._know(statement)
        bound = known[1].get(shape)
        if bound is None:
            bound = known[1][shape] = self._bind(statement, given, many=many)
        if not bound.prepared.plain:
            return self._connection.execute(statement, parameters)
        if many:
            return self._run_many(bound, parameters)
        return self._run(bound, given)

    def _know(self, statement: Any) -> "tuple[Any, dict[Any, _Bound]]":
        place = id(statement)
        gone = weakref.ref(statement, lambda _: self._known.pop(place, None))
        known: tuple[Any, dict[Any, _Bound]] = (gone, {})
        self._known[place] = known
        return known

    def _bind(self, statement: Any, given: Values, *, many: bool) -> "_Bound":
        cache_key = statement._generate_cache_key()  # noqa: SLF001 - as SQLAlchemy's own cache does
        columns = sorted(given)
        key = (cache_key.key, tuple(columns), many)
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= STATEMENTS_MOST:
                self._prepared.clear()
            compiled = statement._compiler(  # noqa: SLF001 - as above
                self.dialect, cache_key=cache_key, column_keys=columns, for_executemany=many
            )
            prepared = self._prepared[key] = _Prepared(compiled, self.dialect)
        return _Bound(prepared, given, cache_key.bindparams)

    def _run(self, bound: "_Bound", given: Values) -> Rows:
        values = bound.values(given)
        prepared = bound.prepared
        sql = prepared.sql
        if prepared.lists:
            sql, values = prepared.with_lists(values)
        cursor = self._raw.execute(sql, values)
        if cursor.description is not None:
            return prepared.rows(cursor)
        rows = Rows()
        rows.rowcount = cursor.rowcount
        return rows

    def _run_many(self, bound: "_Bound", many: Sequence[Values]) -> Rows:
        found = Rows()
        found.rowcount = 0
        for given in many:
            cursor = self._raw.execute(bound.prepared.sql, bound.values(given))
            if cursor.description is not None:
                found.extend(bound.prepared.rows(cursor))
            found.rowcount += max(0, cursor.rowcount)
        return found

    def scalars(self, statement: Any, parameters: Any = None) -> Any:
        """The first column of each row."""
        return self.execute(statement, parameters).scalars()

    def scalar(self, statement: Any, parameters: Any = None) -> Any:
        """The first column of the first row."""
        return self.execute(statement, parameters).scalar()

    def exec_driver_sql(self, sql: str, parameters: Any = None) -> Any:
        """Run SQL as it stands."""
        if isinstance(parameters, list):
            cursor = self._raw.executemany(sql, parameters)
        else:
            cursor = self._raw.execute(sql, parameters or ())
        if cursor.description is None:
            found = Rows()
        else:
            names = [column[0] for column in cursor.description]
            found = Rows(map(_named(tuple(names)), cursor.fetchall()))
        found.rowcount = cursor.rowcount
        return found

    @contextmanager
    def begin_nested(self) -> Iterator[None]:
        """A savepoint."""
        self._raw.execute("SAVEPOINT nested")
        try:
            yield
        except BaseException:
            self._raw.execute("ROLLBACK TO nested")
            self._raw.execute("RELEASE nested")
            raise
        self._raw.execute("RELEASE nested")

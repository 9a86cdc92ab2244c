"""What requests that go to a host together mean to each other. The host is part of the test."""

import asyncio
import contextlib
import socket
import statistics
import struct

import msgspec
import pytest

from everbake.host.session import Call, spared
from everbake.serving.native import Limits, NativeAnswers
from everbake.serving.problems import ProblemError

LENGTH = struct.Struct(">I")
FIXED = 0.005  # seconds of a call, however many rows it has


def features(rows):
    """The user's code: it raises over negative features and tells the first of them."""
    for row in rows:
        if isinstance(row["feature"], int) and row["feature"] < 0:
            raise ValueError(f"{row['feature']} is no good")
    return [row["feature"] for row in rows]


async def host(channel: socket.socket, calls: list[Call]) -> None:
    """Answers calls until the other side closes, each after a while, and notes them."""
    channel.setblocking(False)  # noqa: FBT003 - the standard library's signature
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            call = msgspec.msgpack.decode(await reader.readexactly(length), type=Call)
            calls.append(call)
            await asyncio.sleep(FIXED)
            told = msgspec.msgpack.encode(spared(call.rows, features, call.sizes, call.seconds))
            writer.write(LENGTH.pack(len(told)) + told)
    writer.close()


@contextlib.asynccontextmanager
async def session(bundle, calls):
    """Answers of such a host, closed at the end."""
    ours, theirs = socket.socketpair()
    work = asyncio.create_task(host(theirs, calls))
    answers = await NativeAnswers.connect(lambda _: ours, bundle, Limits())
    yield answers
    await answers.close()
    await work


async def together(answers, *requests):
    """What requests get that wait for the same call: one of features each."""
    asked = [answers.answer([{"feature": one} for one in request]) for request in requests]
    return await asyncio.gather(*asked, return_exceptions=True)


async def rounds(answers: NativeAnswers, number: int, times: int) -> None:
    """A caller that asks again as soon as it was answered."""
    for _ in range(times):
        assert await answers.answer([{"feature": number}]) == [number]


def test_callers_that_were_answered_apart_are_answered_together_soon(native_bundle):
    calls: list[Call] = []

    async def run() -> None:
        async with session(native_bundle, calls) as answers:
            first = asyncio.create_task(rounds(answers, 0, 60))
            while len(calls) < 3:  # the probe, and two calls for the first caller alone
                await asyncio.sleep(0.001)
            await asyncio.gather(first, *(rounds(answers, number, 40) for number in range(1, 8)))

    asyncio.run(run())
    assert statistics.median(len(call.rows) for call in calls[10:35]) == 8


def test_a_caller_whose_rows_raise_costs_no_other_its_answer(native_bundle):
    calls: list[Call] = []

    async def run():
        async with session(native_bundle, calls) as answers:
            many = [-n if n % 2 else n for n in range(1, 2001)]
            return await together(answers, many, [7], [-3])

    _, good, bad = asyncio.run(run())
    assert [call.sizes for call in calls] == [[1], [2000, 1, 1]]
    assert good == [7]
    assert "-3 is no good" in bad.what
    assert 0 < calls[1].seconds < Limits().seconds


@pytest.mark.parametrize("value", ["\ud800", 2**70, object()])
def test_a_value_that_cannot_be_sent_is_its_callers_alone(native_bundle, value):
    calls: list[Call] = []

    async def run():
        async with session(native_bundle, calls) as answers:
            told = await together(answers, [1], [2, value], [3])
            return told, await together(answers, [value]), await together(answers, [4])

    (first, refused, last), (alone,), after = asyncio.run(run())
    assert (first, last, after) == ([1], [3], [[4]])
    for problem, row in ((refused, 1), (alone, 0)):
        assert isinstance(problem, ProblemError)
        assert (problem.code, problem.status) == ("EB515", 422)
        assert (problem.place.row, problem.place.column) == (row, "feature")
        assert problem.document()
    assert [call.sizes for call in calls] == [[1], [1, 1], [1]]


def test_a_host_that_ends_while_nobody_asks_leaves_nothing_that_waits(native_bundle):
    async def run():
        ours, theirs = socket.socketpair()
        work = asyncio.create_task(host(theirs, []))
        answers = await NativeAnswers.connect(lambda _: ours, native_bundle, Limits())
        theirs.shutdown(socket.SHUT_RDWR)
        await work
        async with asyncio.timeout(20):
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0)
        assert not answers.alive
        (problem,) = await together(answers, [1])
        assert problem.code == "EB521"
        await answers.close()

    asyncio.run(run())

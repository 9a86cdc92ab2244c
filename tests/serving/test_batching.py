"""Which requests go to a host together. The host here says the same to every row, after a while."""

import asyncio
import socket
import statistics
import struct

import msgspec

from everbake.serving.native import Limits, NativeAnswers

LENGTH = struct.Struct(">I")
FIXED = 0.005  # seconds of a call, however many rows it has


async def host(channel: socket.socket, sizes: list[int]) -> None:
    """Answers calls until the other side closes, and notes how many rows they had."""
    reader, writer = await asyncio.open_unix_connection(sock=channel)
    try:
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            rows = msgspec.msgpack.decode(await reader.readexactly(length))["rows"]
            sizes.append(len(rows))
            await asyncio.sleep(FIXED)
            told = msgspec.msgpack.encode({"predictions": [row["feature"] for row in rows]})
            writer.write(LENGTH.pack(len(told)) + told)
    except asyncio.IncompleteReadError:
        writer.close()


async def rounds(answers: NativeAnswers, number: int, times: int) -> None:
    """A caller that asks again as soon as it was answered."""
    for _ in range(times):
        assert await answers.answer([{"feature": number}]) == [number]


def test_callers_that_were_answered_apart_are_answered_together_soon(native_bundle):
    sizes: list[int] = []

    async def run() -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)  # noqa: FBT003 - the standard library's signature
        work = asyncio.create_task(host(theirs, sizes))
        answers = await NativeAnswers.connect(lambda _: ours, native_bundle, Limits())
        first = asyncio.create_task(rounds(answers, 0, 60))
        while len(sizes) < 3:  # the probe, and two calls for the first caller alone
            await asyncio.sleep(0.001)
        await asyncio.gather(first, *(rounds(answers, number, 40) for number in range(1, 8)))
        await answers.close()
        await work

    asyncio.run(run())
    assert statistics.median(sizes[10:35]) == 8

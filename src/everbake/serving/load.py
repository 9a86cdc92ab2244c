"""Brings a bundle into memory, or into a host, ready to answer."""

import asyncio

from everbake.core.bundle import Bundle
from everbake.errors import HealthError
from everbake.ports import Blobs
from everbake.runtimes.kinds import KINDS
from everbake.serving.compiled import CompiledAnswers
from everbake.serving.decode import RequestDecoder
from everbake.serving.native import Limits, NativeAnswers, Opener
from everbake.serving.router import Answers, Loaded


class Loader:
    """Loads bundles.

    Args:
        blobs: where they lie.
        opener: opens a session in a version's host.
        limits: of such a session and of a request.
    """

    def __init__(self, blobs: Blobs, opener: Opener, limits: Limits) -> None:
        self._blobs = blobs
        self._opener = opener
        self._limits = limits

    async def load(self, digest: str) -> Loaded:
        """The bundle, ready to answer.

        Raises:
            HealthError: its files are not what the digest says, or of a kind not known here.
            ValueError: its files cannot be read.
            OSError: its host cannot be reached.
        """
        bundle = await asyncio.to_thread(self._bundle, digest)
        answers = await self._answers(bundle)
        decoder = RequestDecoder(bundle.inputs, self._limits.rows)
        cut = None if bundle.threshold is None else bundle.threshold.value
        return Loaded(digest, decoder, answers, bundle.example or None, cut)

    def _bundle(self, digest: str) -> Bundle:
        return Bundle.decode(self._blobs.get(digest))

    async def _answers(self, bundle: Bundle) -> Answers:
        if bundle.runtime in KINDS and bundle.runtime_data is not None:
            return await asyncio.to_thread(self._compiled, bundle.runtime, bundle.runtime_data)
        if bundle.runtime == "native":
            return await NativeAnswers.connect(self._opener, bundle, self._limits)
        raise HealthError(
            "EB527", f'runtime "{bundle.runtime}" is not known', mend="upgrade everbake"
        )

    def _compiled(self, kind: str, blob: str) -> CompiledAnswers:
        return CompiledAnswers(kind, self._blobs.get(blob))

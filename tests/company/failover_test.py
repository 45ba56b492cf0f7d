"""A primary and its synchronous standby change places under load; two service processes have both in their DSN.

Nothing acknowledged is lost; meanwhile answers are 503 with Retry-After; 2 s after the promotion all are served again,
by the same processes; each change is in the event streams, once.
"""

import asyncio
import json
import tempfile
import time
import unittest
from collections.abc import Awaitable, Callable
from itertools import takewhile
from pathlib import Path

from tests.company.cluster import PROGRAMS, Cluster
from tests.company.failover_load import Follower, Writer
from tests.helpers.network import Proxy
from tests.helpers.postgres import available
from tests.helpers.processes import ServiceProcess
from tests.helpers.raw import peer
from tests.helpers.running import running
from tests.helpers.timing import FULL, PATIENCE, at_most

RUNS_ALONE = True
"""It asserts times."""

ROUNDS = 20 if FULL else 1
WRITERS = 8
"""How many write, half of them through each process."""

WITHIN = 3.0
"""Seconds that an answer takes while a server is away or silent."""

BACK = 2.0
"""Seconds after the promotion by which every client has been served."""

HANGS = 6.0
"""Seconds that an answer takes while a COMMIT hangs: `statement-timeout`, and a grace."""


@unittest.skipIf(available() is not None, available() or "")
@unittest.skipUnless((PROGRAMS / "pg_rewind").exists(), "needs a PostgreSQL of Debian (postgresql)")
class FailoverTest(unittest.IsolatedAsyncioTestCase):

    cluster: Cluster

    @classmethod
    def setUpClass(cls) -> None:
        cls.cluster = Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self) -> None:
        self.networks = [Proxy(member.port) for member in self.cluster.members]
        for network in self.networks:
            self.addCleanup(network.close)
        self.services = [self.start(name) for name in ("one", "two")]
        ports = [service.port for service in self.services]
        self.writers = [
            Writer(f"{self.id()}-{number}", ports if number % 2 else ports[::-1]) for number in range(WRITERS)]
        self.followers = [Follower(port, stay) for port in ports for stay in (None, 0.5)]

    def start(self, name: str) -> ServiceProcess:
        """Start a service that has both servers in its DSN."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        hosts = ",".join(f"127.0.0.1:{network.port}" for network in self.networks)
        dsn = f"postgresql://postgres@{hosts}/postgres?sslmode=disable&target_session_attrs=read-write"
        return self.enterContext(running(folder, {"postgres": dsn}))

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would warn of every slow step
        self.over = asyncio.Event()
        self.following = [asyncio.create_task(follower.run()) for follower in self.followers]
        await self.until(lambda: all(follower.last_id for follower in self.followers))
        self.since = int(min(follower.last_id for follower in self.followers))
        self.writing = [asyncio.create_task(writer.run(self.over)) for writer in self.writers]

    async def asyncTearDown(self) -> None:
        for task in (*self.writing, *self.following):
            task.cancel()
        await asyncio.gather(*self.writing, *self.following, return_exceptions=True)

    # --- What happens ------------------------------------------------------------------------------------------------

    async def test_the_primary_dies(self) -> None:
        async def die() -> float:
            self.cluster.primary.kill()
            await self.until_failed()
            return await self.promoted()
        await self.withstand(die, WITHIN, rejoin=True)

    async def test_a_switchover(self) -> None:
        async def switch() -> float:
            await asyncio.to_thread(self.cluster.primary.stop)
            return await self.promoted()
        await self.withstand(switch, WITHIN, rejoin=True)

    async def test_the_network_to_the_primary_is_cut(self) -> None:
        async def cut() -> float:
            old = self.cluster.primary
            network = self.networks[self.cluster.members.index(old)]
            network.swallows = True
            await self.until_failed()
            back = await self.promoted()
            await self.until_served(back)
            await asyncio.to_thread(old.kill)  # as a cluster's manager does before the network is back
            network.swallows = False
            network.cut()
            return back
        await self.withstand(cut, WITHIN, rejoin=True)

    async def test_the_standby_is_lost(self) -> None:
        async def lose() -> float:
            await asyncio.to_thread(self.cluster.standby.kill)
            lost = time.monotonic()
            await self.until_failed()
            writes = [each for writer in self.writers for each in writer.served if each.write and each.at > lost]
            self.assertEqual({each.answer.status for each in writes}, {503})
            await asyncio.to_thread(self.cluster.standby.start)
            await asyncio.to_thread(self.cluster.primary.wait_for, self.cluster.standby)
            return time.monotonic()
        await self.withstand(lose, HANGS, rejoin=False)

    async def promoted(self) -> float:
        """Promote the standby; return when that was done."""
        await asyncio.to_thread(self.cluster.promote)
        return time.monotonic()

    # --- What holds --------------------------------------------------------------------------------------------------

    async def withstand(self, fault: Callable[[], Awaitable[float]], within: float, rejoin: bool) -> None:
        """Let it happen under load; `fault` returns when all was well again. Then check what was answered."""
        slowest = []
        for _ in range(ROUNDS):
            await self.until_served(time.monotonic())
            well = await fault()
            slowest.append(await self.until_served(well) - well)
            self.assertLess(slowest[-1], at_most(BACK))
            if rejoin:
                await asyncio.to_thread(self.cluster.rejoin)
        self.over.set()
        await asyncio.wait_for(asyncio.gather(*self.writing), PATIENCE)
        served = [each for writer in self.writers for each in writer.served]
        self.assertLess(max(each.answer.seconds for each in served), at_most(within))
        await self.compare()
        for service in self.services:
            self.assertIsNone(service.process.poll())
        failed = sum(each.answer.status == 503 for each in served)
        print(f"\n{self._testMethodName}: {ROUNDS} times, {len(served)} requests, {failed} of them 503, the slowest "
              f"{max(each.answer.seconds for each in served):.2f} s; served {min(slowest):.2f} to {max(slowest):.2f} s "
              f"after; {[follower.streams for follower in self.followers]} streams")

    async def compare(self) -> None:
        """What was acknowledged is there, once; and the streams sent each change, once."""
        with peer(self.services[0].port) as client:
            changes, position = list[tuple[int, str]](), self.since
            while page := json.loads(client.ask("GET", f"/changes?since={position}")[2])["changes"]:
                changes += [(change["revision"], change["id"]) for change in page]
                position = page[-1]["revision"]
        await self.until(lambda: all(follower.seen[-1:] >= changes[-1:] for follower in self.followers))
        for follower in self.followers:
            self.assertEqual(follower.seen, changes)
        known = {title: place for writer in self.writers for title, place in writer.known.items()}
        self.assertLessEqual(set(known.values()), set(changes))

    async def until_served(self, after: float) -> float:
        """Wait until each client has read and written since; return when the last of them had."""
        def first(writer: Writer, write: bool) -> float:
            since = takewhile(lambda each: each.at > after, reversed(writer.served))
            return min((each.ended for each in since if each.write is write and each.answer.status != 503), default=0)

        await self.until(lambda: all(first(writer, write) for writer in self.writers for write in (True, False)))
        return max(first(writer, write) for writer in self.writers for write in (True, False))

    async def until_failed(self) -> None:
        """Wait until each client was refused something."""
        before = time.monotonic()

        def refused(writer: Writer) -> bool:
            since = takewhile(lambda each: each.at > before, reversed(writer.served))
            return any(each.answer.status == 503 for each in since)

        await self.until(lambda: all(map(refused, self.writers)))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; fails when a client does, or it takes too long."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                for task in (*self.following, *getattr(self, "writing", ())):
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)


if __name__ == "__main__":
    unittest.main()

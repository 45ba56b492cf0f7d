"""Two functions to compile: one of calls and attributes, one of what C does already."""

import json
import time


class Window:
    """Which requests of the last seconds count against a limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.first = 0
        self.count = 0

    def take(self, now: int) -> bool:
        if now - self.first >= 10:
            self.first = now
            self.count = 0
        self.count += 1
        return self.count <= self.limit


def calls() -> None:
    window = Window(5)
    for now in range(20):
        window.take(now)


def encoding() -> None:
    json.dumps({"title": "Buy milk", "priority": "high", "completed": False})


def main() -> None:
    print("compiled" if not __file__.endswith(".py") else "plain Python")
    for name, function in (("calls", calls), ("encoding", encoding)):
        rounds: list[float] = []
        for _ in range(5):
            began = time.process_time()
            for _ in range(5_000):
                function()
            rounds.append((time.process_time() - began) / 5_000 * 1e6)
        print(f"{name}: {min(rounds):.2f} usec")

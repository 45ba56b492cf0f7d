"""The benchmark's figures: how they are read, compared and told."""

import unittest

from benchmarks import report
from benchmarks.client import request
from benchmarks.load import LoadError, parse
from benchmarks.measure import QUICK, Sample, ratio, typical
from benchmarks.profiling import hottest, page, read_stacks
from benchmarks.report import Goal, Results, goals, rate, tables
from benchmarks.workloads import WORKLOADS

RESULT = ('RESULT {"requests": 10, "seconds": 2.0, "errors": 1, "p50": 0.001, "p90": 0.002, '
          '"p99": 0.003}')


def sample(candidate: str, number: int, cpu: float, workload: str = "get") -> Sample:
    """Make a sample with this CPU time, in microseconds."""
    return Sample(workload, candidate, number, 1e6 / cpu, cpu / 1e6, 0.001, 0.002, 0.003)


class LoadTest(unittest.TestCase):
    """What wrk's script prints."""

    def test_result_line_is_found_in_wrks_output(self) -> None:
        load = parse(f"Running 2s test\n{RESULT}\n")
        self.assertEqual((10, 2.0, 1, 0.003), (load.requests, load.seconds, load.errors, load.p99))

    def test_output_without_a_result_is_an_error(self) -> None:
        with self.assertRaisesRegex(LoadError, "unable to connect"):
            parse("unable to connect")

    def test_requests_are_whole(self) -> None:
        self.assertEqual(
            b"POST /tasks HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Host: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n{}",
            request("POST", "/tasks", b"{}"))

    def test_mix_has_its_shares(self) -> None:
        [mix] = [each for each in WORKLOADS if each.name == "mix"]
        made = [(f"/tasks/{number}", f'"{number}"') for number in range(1000)]
        sent = mix.requests(made, 0)
        conditional = sum(b"If-None-Match" in each for each in sent)
        methods = [each.split()[0] for each in sent]
        self.assertEqual((100, 50, 50), (
            conditional, methods.count(b"POST"), methods.count(b"PUT")))
        self.assertEqual(800, methods.count(b"GET") - conditional)


class ReportTest(unittest.TestCase):
    """Medians, ratios and goals."""

    def results(self, *samples: Sample) -> Results:
        names = ("taskservice", "blacksheep", "fastapi")
        return Results(QUICK, {name: name.title() for name in names}, list(samples))

    def test_typical_is_the_median_over_the_rounds(self) -> None:
        samples = [sample("fastapi", number, cpu) for number, cpu in enumerate((100, 900, 200))]
        self.assertAlmostEqual(2e-4, typical(samples, "get", "fastapi", report.cpu))

    def test_ratio_is_taken_within_each_round(self) -> None:
        """A slow round of both leaves it as it is."""
        samples = [sample("taskservice", 0, 100), sample("fastapi", 0, 200),
                   sample("fastapi", 1, 2000), sample("taskservice", 1, 1000)]
        pair = ("get", "taskservice"), ("get", "fastapi")
        self.assertAlmostEqual(0.5, ratio(samples, report.cpu, *pair))
        self.assertAlmostEqual(2.0, ratio(samples, rate, *pair))

    def test_goal_is_set_by_the_fastest_python_peer(self) -> None:
        results = self.results(
            sample("taskservice", 0, 90), sample("blacksheep", 0, 100), sample("fastapi", 0, 180))
        by_fastest, by_fastapi = goals(results)
        self.assertIn("Blacksheep", by_fastest.text)
        self.assertTrue(by_fastest.reached)
        self.assertFalse(by_fastapi.reached)

    def test_more_is_better_where_the_goal_says_at_least(self) -> None:
        self.assertTrue(Goal("a", 0.5, 0.6, at_most=False).reached)
        self.assertFalse(Goal("a", 0.5, 0.6).reached)

    def test_tables_name_the_fastest_first(self) -> None:
        results = self.results(sample("fastapi", 0, 180), sample("taskservice", 0, 90))
        lines = tables(results).splitlines()
        self.assertEqual("| Taskservice | 90.0 |", lines[2])
        self.assertEqual("| Fastapi | 180.0 |", lines[3])

    def test_nothing_measured_is_an_empty_report(self) -> None:
        self.assertEqual("", tables(self.results()))


class ProfileTest(unittest.TestCase):
    """What py-spy's stacks come to."""

    def test_functions_have_their_own_share_and_that_with_calls(self) -> None:
        found = {hot.name: hot for hot in hottest(read_stacks("main;a (f.py:1) 3\nmain 1\n"))}
        self.assertEqual((0.75, 0.75), (found["a (f.py:1)"].own, found["a (f.py:1)"].total))
        self.assertEqual((0.25, 1.0), (found["main"].own, found["main"].total))

    def test_recursion_counts_once(self) -> None:
        [hot] = hottest(read_stacks("a;a;a 4"))
        self.assertEqual((1.0, 1.0), (hot.own, hot.total))


class ProfilePageTest(unittest.TestCase):

    def test_it_has_the_graph_as_it_is_and_the_table_as_text(self) -> None:
        made = page("a<b", '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg><g/></svg>\n', "f<g>")
        self.assertTrue(made.startswith("<!DOCTYPE html>\n"))
        self.assertEqual(made.count("<!DOCTYPE"), 1)
        for part in ("<title>a&lt;b</title>", "\n<svg><g/></svg>\n", "<pre>f&lt;g&gt;</pre>"):
            self.assertIn(part, made)

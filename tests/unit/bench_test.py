"""The benchmark's figures: how they are read, compared and printed."""

import unittest

from benchmarks import lists, report
from benchmarks.client import request
from benchmarks.load import LoadError, parse
from benchmarks.measure import QUICK, Sample, ratio, typical
from benchmarks.profiling import hottest, page, read_stacks
from benchmarks.report import Goal, Results, goals, rate, tables
from benchmarks.workloads import WORKLOADS
from taskservice.datamodel import StoredTask, TaskSort
from taskservice.http.listing import parse_list_query

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


class ListsTest(unittest.TestCase):
    """The matrix of lists."""

    def cells(self, milliseconds: float) -> lists.Cells:
        return {(row, sort): milliseconds for row in lists.FILTERS for sort in TaskSort}

    def test_the_tasks_have_what_the_filters_are_named_for(self) -> None:
        tasks = [StoredTask.of("a", 1, entry) for _, entry in lists.listed_tasks(4_000)]
        shares = {}
        for row in lists.FILTERS:
            query = parse_list_query(row.query).query
            shares[row.name] = sum(map(query.matcher(), tasks)) / len(tasks)
        near = {"none": 1, "urgent": 0.17, "due before all": 0, "due: first half": 0.25,
                "q in 1 of 1,000": 0.001, "q in none": 0, "q in the older half": 0.5}
        for name, share in near.items():
            self.assertAlmostEqual(shares.pop(name), share, delta=0.03 * (share not in (0, 0.001)))
        self.assertLess(shares.pop("due: first 0.1 %"), 0.01)
        self.assertTrue(all(0 < share < 0.8 for share in shares.values()), shares)

    def test_what_is_beyond_its_limit_is_marked_and_counted(self) -> None:
        cells = self.cells(1.0)
        late = [(row, TaskSort.TITLE) for row in lists.FILTERS if row.limit is not None][:3]
        cells |= dict.fromkeys(late, 300.0)
        text = "\n".join(lists.table(cells, True))
        self.assertEqual(text.count("300.00!"), 3)
        self.assertNotIn("!", "\n".join(lists.table(cells, False)))
        [goal] = goals(Results(QUICK, {}, lists=text))
        self.assertEqual((goal.value, goal.reached), (3, False))

    def test_growth_is_drawn_by_the_dearest_sort(self) -> None:
        stores = {1_000: self.cells(0.5), 10_000: self.cells(5.0)}
        stores[10_000][lists.FILTERS[0], TaskSort.TITLE] = 50.0
        drawn = [line.split() for line in lists.growth(stores)]
        self.assertEqual(drawn[1:3], [["none", "1,000", "0.50"], ["10,000", "50.00", "#" * 16]])


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

"""From errors to statuses: every error is in the table, and none shows of the inside."""

import inspect
import json
import unittest

from taskservice import errors
from taskservice.errors import Violation
from taskservice.http.problems import STATUS, Problem, problem_of

SECRET = "/var/secret: password"

EXPECTED: dict[type[BaseException], int] = {
    errors.TodoListError: 500,
    errors.ConfigError: 500,
    errors.BadInputError: 400,
    errors.MalformedBodyError: 400,
    errors.InvalidTaskError: 400,
    errors.TooManyLinesError: 413,
    errors.TaskTooLargeError: 413,
    errors.UnsupportedMediaTypeError: 415,
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.MisdirectedError: 421,
    errors.TaskNotFoundError: 404,
    errors.TaskExistsError: 412,
    errors.StaleRevisionError: 412,
    errors.ConditionFailedError: 412,
    errors.IdempotencyKeyReusedError: 422,
    errors.ChangesExpiredError: 410,
    errors.StoreError: 500,
    errors.StoreUnavailableError: 503,
    errors.StoreBusyError: 503,
    errors.QueryTimeoutError: 503,
    errors.TooManyReadsError: 503,
    errors.TooManyFollowersError: 503,
    errors.StoreReadOnlyError: 503,
    errors.StoreFullError: 507,
    errors.StoreInUseError: 500,
    errors.StoreVersionError: 500,
    errors.DamagedTaskError: 500,
    ValueError: 500,
    KeyboardInterrupt: 500,
}

FOR_CLIENTS = (
    errors.QueryTimeoutError, errors.TooManyReadsError, errors.TooManyFollowersError)
"""The errors of the server that say what clients can do; they are made of numbers alone."""


def make(kind: type[BaseException]) -> BaseException:
    """Make an error of a class."""
    if issubclass(kind, (errors.TaskExistsError, errors.StaleRevisionError)):
        return kind("some-id", 7)
    if issubclass(kind, errors.UnsupportedMediaTypeError):
        return kind(SECRET, "Content-Type", ["application/json"])
    if issubclass(kind, errors.InvalidTaskError):
        return kind([Violation("/title", "is too short")])
    if issubclass(kind, FOR_CLIENTS):
        return kind(5)
    return kind("some-id" if kind is errors.TaskNotFoundError else SECRET)


def error_classes() -> list[type[BaseException]]:
    """Return every class of the module of errors."""
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [kind for kind in found if issubclass(kind, BaseException)]


class StatusTest(unittest.TestCase):

    def test_every_error_has_the_status_that_it_should(self) -> None:
        for kind in {*error_classes(), *EXPECTED}:
            with self.subTest(kind.__name__):
                self.assertIn(kind, EXPECTED, "a new error: which status has it?")
                self.assertEqual(problem_of(make(kind)).status, EXPECTED[kind])

    def test_every_error_is_drawn_in_the_tree(self) -> None:
        drawn = (errors.__doc__ or "").split()
        for kind in error_classes():
            self.assertIn(kind.__name__, drawn)
            self.assertTrue(issubclass(kind, errors.TodoListError), kind)
            self.assertTrue(kind.__doc__, kind)

    def test_what_a_client_can_cause_is_in_the_table_and_not_an_error_of_the_server(self) -> None:
        for kind in error_classes():
            ours = kind in (errors.TodoListError, errors.ConfigError)
            if not ours and not issubclass(kind, errors.StoreError):
                self.assertTrue(any(base in STATUS for base in kind.__mro__[:-3]), kind)
                self.assertLess(EXPECTED[kind], 500, kind)

    def test_a_5xx_shows_nothing_of_the_inside(self) -> None:
        for kind, status in EXPECTED.items():
            if status >= 500 and not issubclass(kind, FOR_CLIENTS):
                with self.subTest(kind.__name__):
                    problem = problem_of(make(kind))
                    self.assertEqual(problem.message, problem.reason)
                    self.assertNotIn("secret", repr(problem))

    def test_who_asks_for_too_much_gets_what_to_do(self) -> None:
        keys = ("http.query-timeout", "http.max-queued-reads", "http.max-event-streams")
        for kind, named in zip(FOR_CLIENTS, keys, strict=True):
            problem = problem_of(kind(5))
            self.assertEqual((problem.reason, problem.headers), ("Service Unavailable", {"Retry-After": "1"}))
            self.assertIn(named, problem.message)

    def test_an_error_of_the_client_shows_what_is_wrong(self) -> None:
        self.assertEqual(problem_of(errors.BadInputError("limit: 0")).message, "limit: 0")
        self.assertEqual(problem_of(errors.BadInputError("limit: 0")).reason, "Bad Request")

    def test_the_reasons_of_the_first_days_are_kept(self) -> None:
        for error, reason in (
                (errors.MalformedBodyError("Invalid JSON body"), "Invalid JSON body"),
                (errors.InvalidTaskError([]), "JSON Schema validation failed"),
                (errors.TaskNotFoundError("x"), "'x'")):
            problem = problem_of(error)
            self.assertEqual((problem.reason, problem.message), (reason, reason))

    def test_a_reason_has_at_most_150_characters(self) -> None:
        longest = problem_of(errors.TaskNotFoundError("x" * 148))
        self.assertEqual((len(longest.reason), longest.reason), (150, longest.message))
        longer = problem_of(errors.TaskNotFoundError("x" * 149))
        self.assertEqual((longer.reason, len(longer.message)), ("Not Found", 151))

    def test_headers(self) -> None:
        for kind in (errors.StaleRevisionError, errors.TaskExistsError):
            self.assertEqual(problem_of(kind("a", 7)).headers, {"ETag": '"7"'})
        self.assertEqual(problem_of(errors.ConditionFailedError('W/"7"')).headers, {"ETag": 'W/"7"'})
        for unavailable in (kind for kind in error_classes() if EXPECTED[kind] == 503):
            self.assertIn("Retry-After", problem_of(make(unavailable)).headers, unavailable)
        for error in (errors.UnauthorizedError("no"), errors.ForbiddenError("no")):
            self.assertRegex(problem_of(error).headers["WWW-Authenticate"], "^Bearer ")
        for field, name in (("Content-Type", "Accept"), ("Content-Encoding", "Accept-Encoding")):
            problem = problem_of(errors.UnsupportedMediaTypeError("no", field, ["a", "b"]))
            self.assertEqual(problem.headers, {name: "a, b"})
        self.assertEqual(problem_of(errors.StoreFullError("full")).headers, {})


class BodyTest(unittest.TestCase):

    def test_the_shape_of_the_tutorial_comes_first(self) -> None:
        body = Problem(404, "'x'", "'x'").to_json(
            {"req_id": "1", "method": "GET", "uri": "/tasks/x", "ip": "::1"}, None)
        self.assertEqual(
            body, b'{"method": "GET", "uri": "/tasks/x", "code": 404, "message": "\'x\'", '
                  b'"req_id": "1"}')

    def test_the_ids_of_the_request_and_of_its_trace(self) -> None:
        body = json.loads(Problem(404, "", "").to_json({"req_id": "1", "trace_id": "4bf92f"}, None))
        self.assertEqual((body["req_id"], body["trace_id"]), ("1", "4bf92f"))
        self.assertNotIn("trace_id", json.loads(Problem(404, "", "").to_json({"req_id": "1"}, None)))

    def test_violations_and_trace(self) -> None:
        problem = problem_of(errors.InvalidTaskError([Violation("/a", "b"), Violation("", "c")]))
        reported = json.loads(problem.to_json({}, "Traceback"))
        self.assertEqual(
            reported["errors"], [{"pointer": "/a", "detail": "b"}, {"pointer": "", "detail": "c"}])
        self.assertEqual(reported["trace"], "Traceback")

    def test_the_members_of_rfc_9457_show_the_same(self) -> None:
        reported = json.loads(Problem(404, "'x'", "'x'").to_json({"uri": "/tasks/x"}, None, True))
        self.assertEqual(
            {name: reported[name] for name in ("type", "title", "status", "detail", "instance")},
            {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "'x'",
             "instance": "/tasks/x"})
        self.assertEqual((reported["code"], reported["message"]), (404, "'x'"))

    def test_any_uri_can_be_reported(self) -> None:
        uri = '/\ud800"\x00\xff'
        self.assertEqual(json.loads(Problem(404, "", "").to_json({"uri": uri}, None))["uri"], uri)

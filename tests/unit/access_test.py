"""Tokens, their scopes and the hosts that are answered to, as plain values."""

import hashlib
import hmac
import re
import unittest
from unittest import mock

from taskservice.config import HttpConfig
from taskservice.errors import ForbiddenError, MisdirectedError, UnauthorizedError
from taskservice.http.access import Access, hash_token, new_token
from tests.helpers.running import READER, TOKENS, WRITER

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "FROB")


class CheckTokenTest(unittest.TestCase):

    def setUp(self) -> None:
        self.access = Access.of(TOKENS, HttpConfig.hosts)

    def test_without_tokens_all_may_do_everything(self) -> None:
        everybody = Access.of((), HttpConfig.hosts)
        for authorization in (None, "", "Bearer x", "Basic x"):
            self.assertIsNone(everybody.check_token(authorization, "DELETE"))

    def test_a_writer_may_do_everything_and_is_named(self) -> None:
        for method in METHODS:
            token = self.access.check_token(f"Bearer {WRITER}", method)
            assert token is not None
            self.assertEqual(token.name, "robot")

    def test_a_reader_may_read_only(self) -> None:
        for method in METHODS:
            if method in ("GET", "HEAD"):
                token = self.access.check_token(f"Bearer {READER}", method)
                assert token is not None
                self.assertEqual(token.name, "dashboard")
            else:
                with self.assertRaisesRegex(ForbiddenError, "dashboard"):
                    self.access.check_token(f"Bearer {READER}", method)

    def test_the_scheme_is_in_any_case_and_the_token_in_its_own(self) -> None:
        for scheme in ("bearer", "BEARER", "Bearer"):
            self.assertIsNotNone(self.access.check_token(f"{scheme}  {WRITER} ", "GET"))
        with self.assertRaises(UnauthorizedError):
            self.access.check_token(f"Bearer {WRITER.upper()}", "GET")

    def test_what_is_no_token_is_refused_without_being_repeated(self) -> None:
        for authorization in (
                None, "", "Bearer", "Bearer ", WRITER, f"Basic {WRITER}", f"Bearer {WRITER}x",
                f"Bearer {WRITER[:-1]}", f"Bearer{WRITER}", f"Bearer {WRITER} {WRITER}",
                "Bearer \xff", "Bearer \udcff", f"Bearer {hash_token(WRITER).hex()}"):
            with self.subTest(authorization), self.assertRaises(UnauthorizedError) as caught:
                self.access.check_token(authorization, "GET")
            self.assertNotIn(WRITER[:-1], str(caught.exception))

    def test_all_tokens_are_compared_in_constant_time(self) -> None:
        """Whichever it is, and also when it is none of them: the first match ends nothing."""
        for secret in (READER, WRITER, "unknown"):
            with mock.patch.object(
                    hmac, "compare_digest", wraps=hmac.compare_digest) as compare:
                try:
                    self.access.check_token(f"Bearer {secret}", "GET")
                except UnauthorizedError:
                    pass
            compared = [call.args for call in compare.call_args_list]
            self.assertEqual(
                compared,
                [(bytes.fromhex(token["sha256"]), hash_token(secret)) for token in TOKENS])


class CheckHostTest(unittest.TestCase):

    def check(self, host: str, *hosts: str) -> bool:
        """Return whether a host is answered to."""
        try:
            Access.of((), hosts).check_host(host)
        except MisdirectedError as error:
            self.assertIn("http.hosts", str(error))
            return False
        return True

    def test_the_loopback_names_are_the_default(self) -> None:
        hosts = HttpConfig.hosts
        for host in ("localhost", "LocalHost", "localhost:8080", "127.0.0.1", "127.0.0.1:1",
                     "[::1]", "[::1]:8080"):
            self.assertTrue(self.check(host, *hosts), host)
        for host in ("", "example.com", "example.com:8080", "localhost.example.com", "::1",
                     "127.0.0.1.example.com:80", "[::1].example.com", "[::1]x:80", "[::1", "[::1:80", "::1]",
                     "localhost:80:80", "localhost@example.com", "xlocalhost"):
            self.assertFalse(self.check(host, *hosts), host)

    def test_an_address_cannot_be_rebound(self) -> None:
        for host in ("10.0.0.7", "10.0.0.7:8080", "255.255.255.255", "[2001:DB8::1]", "[::2]:80", "[::ffff:10.0.0.7]"):
            self.assertTrue(self.check(host, "tasks.example.com"), host)

    def test_what_only_looks_like_an_address_is_a_name(self) -> None:
        for host in ("10.0.7", "10.0.0.256", "010.0.0.7", "0x7f.0.0.1", "[::1", "x::1]",
                     "2130706433", "10.0.0.7.", "10.0.0.7.nip.io",
                     "[10.0.0.7]", "2001:db8::1", "[2001:db8::g]", "10.0.0.7 ", "\uff11\uff10.0.0.7"):
            self.assertFalse(self.check(host, "tasks.example.com"), host)

    def test_the_config_names_others(self) -> None:
        for host in ("tasks.example.com", "TASKS.example.COM:443"):
            self.assertTrue(self.check(host, "Tasks.example.com"), host)
        self.assertFalse(self.check("localhost", "tasks.example.com"))

    def test_a_star_before_a_name_covers_its_subdomains(self) -> None:
        for host in ("a.example.com", "A.B.Example.COM:443"):
            self.assertTrue(self.check(host, "*.Example.com"), host)
        for host in ("example.com", ".example.com", "aexample.com", "example.com.evil", "a.example.com.evil", "com"):
            self.assertFalse(self.check(host, "*.example.com"), host)
        self.assertFalse(self.check("a.example.com", "example.com"))

    def test_a_star_is_any(self) -> None:
        for host in ("", "example.com", "[::2]:1", "a:b:c"):
            self.assertTrue(self.check(host, "*"), host)


class NewTokenTest(unittest.TestCase):

    def test_it_has_256_bits_that_nobody_guesses(self) -> None:
        tokens = {new_token() for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        for token in tokens:
            self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]{43}", token), token)

    def test_its_hash_is_what_the_config_has(self) -> None:
        token = new_token()
        self.assertEqual(hash_token(token), hashlib.sha256(token.encode()).digest())


if __name__ == "__main__":
    unittest.main()

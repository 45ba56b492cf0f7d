"""The client behind proxies: which of the addresses in X-Forwarded-For is believed."""

import unittest

from taskservice.http.forwarded import TrustedProxies, share_of

PROXIES = TrustedProxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])


class ClientTest(unittest.TestCase):

    def test_the_rightmost_address_that_is_not_trusted(self) -> None:
        for forwarded, client in (
                ("203.0.113.7", "203.0.113.7"), ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
                ("1.1.1.1, 203.0.113.7", "203.0.113.7"), ("1.1.1.1,203.0.113.7 ,\t10.1.2.3,10.0.0.2", "203.0.113.7"),
                ("10.9.9.9, 203.0.113.7", "203.0.113.7"), ("2001:db8::7, fd00::1", "2001:db8::7"),
                ("::ffff:203.0.113.7", "203.0.113.7")):
            with self.subTest(forwarded):
                self.assertEqual(PROXIES.client("10.0.0.1", forwarded), client)

    def test_where_all_are_trusted_the_first_of_them(self) -> None:
        self.assertEqual(PROXIES.client("127.0.0.1", "10.0.0.9, 10.0.0.8"), "10.0.0.9")

    def test_a_peer_that_is_not_trusted_is_the_client(self) -> None:
        for peer in ("203.0.113.9", "2001:db8::9", "11.0.0.1"):
            self.assertEqual(PROXIES.client(peer, "1.1.1.1"), peer)
        self.assertEqual(TrustedProxies([]).client("127.0.0.1", "1.1.1.1"), "127.0.0.1")

    def test_a_trusted_peer_that_says_nothing_is_the_client(self) -> None:
        for forwarded in (None, "", " ", ","):
            self.assertEqual(PROXIES.client("10.0.0.1", forwarded), "10.0.0.1")

    def test_what_is_no_address_ends_the_list(self) -> None:
        for forwarded in ("unknown", "", "010.0.0.1", '"2001:db8::7"', "1.2.3.4:80"):
            self.assertEqual(PROXIES.client("10.0.0.1", f"1.1.1.1, {forwarded}"), "10.0.0.1", forwarded)
        self.assertEqual(PROXIES.client("10.0.0.1", "1.1.1.1, unknown, 10.0.0.2"), "10.0.0.2")

    def test_ipv4_over_an_ipv6_socket(self) -> None:
        self.assertEqual(PROXIES.client("::ffff:10.0.0.1", "203.0.113.7"), "203.0.113.7")


class SchemeTest(unittest.TestCase):

    def test_the_last_value_of_a_trusted_peer(self) -> None:
        for forwarded, scheme in (
                ("https", "https"), ("http, https", "https"), ("https,HTTP", "http"), ("wss", "http"), ("", "http"),
                (None, "http"), ("https, ", "http")):
            with self.subTest(forwarded):
                self.assertEqual(PROXIES.scheme("10.0.0.1", "http", forwarded), scheme)

    def test_others_are_not_believed(self) -> None:
        self.assertEqual(PROXIES.scheme("203.0.113.7", "http", "https"), "http")


class ShareTest(unittest.TestCase):
    """By what a limit counts a client."""

    def test_an_ipv4_address_counts_by_itself(self) -> None:
        for address in ("203.0.113.7", "::ffff:203.0.113.7"):
            self.assertEqual(share_of(address), "203.0.113.7")

    def test_an_ipv6_address_counts_with_its_64(self) -> None:
        for address in ("2001:db8:0:1::7", "2001:db8:0:1:ffff:ffff:ffff:ffff"):
            self.assertEqual(share_of(address), "2001:db8:0:1::/64")
        self.assertEqual(share_of("2001:db8:0:2::7"), "2001:db8:0:2::/64")

    def test_what_is_no_address_counts_as_it_is(self) -> None:
        self.assertEqual(share_of("0.0.0.0:1"), "0.0.0.0:1")


class NetworksTest(unittest.TestCase):

    def test_what_is_no_network_is_an_error(self) -> None:
        for network in ("proxy.example.com", "10.0.0.1/8", "10.0.0.0/33", ""):
            self.assertRaises(ValueError, TrustedProxies, [network])


if __name__ == "__main__":
    unittest.main()

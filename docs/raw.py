#!/usr/bin/env python3
r"""Send bytes to a server as they are, and print what comes until it closes the connection.

    docs/raw.py HOST:PORT BYTES      \r and \n in BYTES are a carriage return and a line feed
"""

import socket
import sys

PATIENCE = 30.0

address, text = sys.argv[1:]
host, _, port = address.rpartition(":")
with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
    connection.sendall(text.replace(r"\r", "\r").replace(r"\n", "\n").encode())
    answer = b""
    while received := connection.recv(65_536):
        answer += received
sys.stdout.write(answer.decode("utf-8", "replace").replace("\r", "") + "\n")  # in one piece, also for `head`

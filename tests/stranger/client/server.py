"""Starts the Rust server and tells it what to do; its commands are described in ../server/src/main.rs."""

import socket
import subprocess


class Server:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        word, port, public = self.process.stdout.readline().split()
        assert word == "listening"
        self.address, self.public = ("127.0.0.1", int(port)), bytes.fromhex(public)

    def tell(self, *words):
        """One command; the answer is the server's report as a dictionary."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer or answer[0] == "error:":
            raise RuntimeError(f"server: {answer}")
        pairs = dict(zip(answer[::2], answer[1::2] + [""]))
        return {k: int(v) if v.isdigit() else v for k, v in pairs.items()}

    def raw(self, data, enough=None, wait=20.0):
        """Sends bytes on a link of their own: what comes back until the server closes, or until `enough` bytes have come, or
        None if neither happens."""
        with socket.create_connection(self.address, timeout=wait) as sock:
            answer = b""
            try:
                sock.sendall(data)
                while (enough is None or len(answer) < enough) and (more := sock.recv(65536)):
                    answer += more
            except ConnectionError:
                pass
            except TimeoutError:
                return None
            return answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=5)
